"""BRML files of Bruker, with the attenuation factors in the intensities."""

import io
import re
import zipfile
import zlib
from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.columns import Columns, as_measured, refuse
from xrdsim.curves.values import EXPORT, choose, number_of, numbers, parse_xml, positive
from xrdsim.errors import CurveError
from xrdsim.limits import LARGEST_FILE

_MOST_COLUMNS = 10_000  # of a BRML file
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def read_brml(data: bytes, source: str) -> list[Columns]:
    """Scans of a Bruker file with one counter: a zip archive with one XML document for each measurement."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if re.search(r"(^|/)RawData\d+\.xml$", name)]
            names.sort(key=lambda name: [int(digits) for digits in re.findall(r"\d+", name)])
            documents = [(name, _unpacked(archive, name, source)) for name in names]
    except CurveError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        what = "this is no complete BRML archive" if data else "the file is empty"
        refuse(source, f"{what}; copy or export the file again, or {EXPORT}")
    scans: list[Columns] = []
    for name, document in documents:
        routes = parse_xml(document, f"{source}, {name}").findall("DataRoutes/DataRoute")
        for route in [r for r in routes if r.get("RouteFlag") == "Measured"] or routes:
            number = len(scans) + 1
            scans.append(_brml_scan(route, number, f"{source}, scan {number}"))
    return scans


def _unpacked(archive: zipfile.ZipFile, name: str, source: str) -> bytes:
    """A member of an archive, up to the size that a file may have, whatever its header says."""
    with archive.open(name) as member:
        data = member.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        refuse(source, f"{name} unpacks to more than {LARGEST_FILE / 1e6:g} MB, which no scan does; {EXPORT}")
    return data


def _brml_scan(route: ElementTree.Element, number: int, where: str) -> Columns:
    fixed: dict[str, int] = {}  # the columns of each name
    drives: dict[str, int] = {}
    counters: list[tuple[int, str]] = []
    for view in route.findall("DataViews/RawDataView"):
        start, length = (int(max(number_of(view.get(key)) or 0.0, 0.0)) for key in ("Start", "Length"))
        if start > _MOST_COLUMNS:
            refuse(where, f"its data begin in column {start:g}; copy or export the file again")
        kind = view.get(_TYPE, "").rpartition(":")[2]
        if kind == "FixedRawDataView":
            fixed[view.get("LogicName", "")] = start
        elif kind == "VaryingRawDataView":
            fields = enumerate(view.findall("Varying/FieldDefinitions"), start=start)
            drives |= {field.get("AxisId") or field.get("FieldName") or "": i for i, field in fields}
        elif kind == "RecordedRawDataView":
            base = view.find("Recording/Unit")
            unit = "counts" if base is None else base.get("Base", "counts").lower()
            if unit in ("counts", "cps"):  # others are temperatures and the like
                counters.append((start, unit))
                if length > 1:
                    refuse(where, f"{length} channels of a line detector at every point; {EXPORT}")
    if not counters or not drives:
        refuse(where, f"there are no angles or no counts; {EXPORT}")
    counter, unit = counters[0]
    width = 1 + max(counter, *drives.values(), *fixed.values())
    rows = []
    for i, datum in enumerate(route.findall("Datum"), start=1):
        row = numbers((datum.text or "").replace(",", " "), where, i, "point")
        if row.size < width:
            refuse(where, f"{row.size} values of {width} are there; copy or export the file again", i, "point")
        rows.append(row[:width])
    table = np.array(rows).reshape(-1, width)
    angles = {drive: table[:, column] for drive, column in drives.items()}
    about = route.find("ScanInformation")
    name = "" if about is None else about.get("ScanName") or about.get("VisibleName") or ""
    key, axis = choose(name, angles, where)
    what = f"scan {number} ({name or key}) of a BRML file"
    points = np.arange(1, len(table) + 1)
    columns = Columns(angles[key], table[:, counter], points, what, "point", number, name or key, axis, "deg")
    factor, time = (
        positive(table[:, fixed[quantity]], quantity, where) if quantity in fixed else None
        for quantity in ("AbsorptionFactor", "MeasuredTime")
    )
    return as_measured(columns, factor=factor, corrected=True, time=time, rate=unit == "cps")
