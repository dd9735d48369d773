"""BRML files of Bruker, with the attenuation factors in the intensities."""

from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.formats.containers import unpack
from xrdsim.curves.formats.values import (
    EXPORT,
    choose,
    each_scan,
    goniometer,
    kind_of,
    number_of,
    numbers,
    parse_xml,
    positive,
)
from xrdsim.curves.stated import Stated, wavelength_of

MEMBERS = r"(^|/)RawData\d+\.xml$"  # of the archive: one document for each measurement
_MOST_COLUMNS = 10_000  # of a BRML file
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def read_brml(data: bytes, source: str) -> Scans:
    """Scans of a Bruker file with one counter: a zip archive with one XML document for each measurement."""
    parts: list[partial[Columns]] = []
    for name, document in unpack(data, MEMBERS, "BRML", source).items():
        root = parse_xml(document, f"{source}, {name}")
        routes = root.findall("DataRoutes/DataRoute")
        for route in [r for r in routes if r.get("RouteFlag") == "Measured"] or routes:
            number = len(parts) + 1
            parts.append(partial(_brml_scan, route, _stated(root), number, f"{source}, scan {number}"))
    return each_scan(parts)


def _brml_scan(route: ElementTree.Element, stated: Stated, number: int, where: str) -> Columns:
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
    table = _table(route, 1 + max(counter, *drives.values(), *fixed.values()), where)
    angles = {drive: table[:, column] for drive, column in drives.items()}
    about = route.find("ScanInformation")
    name = "" if about is None else about.get("ScanName") or about.get("VisibleName") or ""
    key, axis = choose(name, angles, where)
    columns = Columns(
        angles[key],
        table[:, counter],
        np.arange(1, len(table) + 1),
        f"scan {number} ({name or key}) of a BRML file",
        "point",
        number,
        name or key,
        axis,
        "deg",
        stated=_scanned(stated, name or key, axis, angles),
        drives=goniometer(angles),
    )
    factor, time = (
        positive(table[:, fixed[quantity]], quantity, where) if quantity in fixed else None
        for quantity in ("AbsorptionFactor", "MeasuredTime")
    )
    return as_measured(columns, factor=factor, corrected=True, time=time, rate=unit == "cps")


def _table(route: ElementTree.Element, width: int, where: str) -> Floats:
    """The first columns of all points (n, width)."""
    texts = [(datum.text or "").replace(",", " ") for datum in route.findall("Datum")]
    sizes = {len(text.split()) for text in texts}
    if len(sizes) == 1 and min(sizes) >= width:
        try:
            table = np.array(list(map(float, " ".join(texts).split()))).reshape(len(texts), -1)[:, :width]
            if np.isfinite(table).all():
                return table
        except ValueError:
            pass  # the place is found below
    rows = []
    for i, text in enumerate(texts, start=1):
        row = numbers(text, where, i, "point")
        if row.size < width:
            refuse(where, f"{row.size} values of {width} are there; copy or export the file again", i, "point")
        rows.append(row[:width])
    return np.array(rows).reshape(-1, width)


def _stated(root: ElementTree.Element) -> Stated:
    """What the instrument is said to have had as its beam."""
    lines: dict[str, float] = {}
    for element in root.iter():
        if element.tag in ("WaveLengthAlpha1", "WaveLengthRatio") and element.tag not in lines:
            value = number_of(element.get("Value") or element.text)
            lines |= {} if value is None else {element.tag: value}
    none = lines.get("WaveLengthRatio") == 0.0
    return Stated(wavelength=wavelength_of(lines.get("WaveLengthAlpha1")), kalpha2=False if none else None)


def _scanned(stated: Stated, name: str, axis: str | None, angles: dict[str, Floats]) -> Stated:
    """The same, with what was scanned."""
    return replace(stated, axis=name, kind=kind_of(name, axis, angles))
