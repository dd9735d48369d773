"""Files of diffractometers: XRDML of PANalytical, RAS of Rigaku and BRML of Bruker, read into columns.

A reader makes the ``Columns`` of every scan from the bytes of a file. XRDML keeps ``counts`` as counted and
``intensities`` with the attenuation factors in them, as BRML does. RAS does not say: it is read the way in which the
curve goes on where the attenuator changes.
"""

import io
import re
import zipfile
import zlib
from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.columns import Columns, Floats, as_measured, refuse
from xrdsim.errors import CurveError
from xrdsim.limits import LARGEST_FILE

_MOST_COLUMNS = 10_000  # of a BRML file

_EXPORT = "export the scan as .xy, in columns of angle and intensity"
_UNITS = {"deg": "deg", "degree": "deg", "degrees": "deg", "°": "deg", "arcsec": "arcsec", "sec": "arcsec"}
_COUPLED = ("2thetaomega", "2thetatheta", "theta2theta", "gonio")  # scans given by 2θ that turn the crystal too
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def read_xrdml(data: bytes, source: str) -> list[Columns]:
    """Scans of a PANalytical file, XRDML 1.0 to 2.x."""
    root = _parse_xml(data, source)
    if root.tag != "xrdMeasurements":
        refuse(source, f"the XML holds <{root.tag[:40]}>, no <xrdMeasurements>; {_EXPORT}")
    scans = enumerate(root.findall("xrdMeasurement/scan"), start=1)
    return [_xrdml_scan(scan, i, f"{source}, scan {i}") for i, scan in scans]


def _xrdml_scan(scan: ElementTree.Element, number: int, where: str) -> Columns:
    points = scan.find("dataPoints")
    found = None if points is None else next((e for e in points if e.tag in ("counts", "intensities")), None)
    if points is None or found is None:
        refuse(where, "there are no counts and no intensities; measure or export it again")
    raw, stored = found.tag == "counts", _numbers(found.text, where)
    if raw and points.find("divergenceCorrections") is not None:
        refuse(where, "the divergence slit moved and the counts are not corrected for it; export it corrected")
    angles: dict[str, Floats] = {}
    units: dict[str, str] = {}
    for positions in points.findall("positions"):
        drive = positions.get("axis", "")
        ends = [_numbers(positions.findtext(end), where) for end in ("startPosition", "endPosition")]
        x = _numbers(positions.findtext("listPositions") or positions.findtext("commonPosition"), where)
        if all(end.size == 1 for end in ends):
            x = np.linspace(ends[0][0], ends[1][0], stored.size)
        angles[drive] = _fit(x, stored.size, f"positions of {drive}", where)
        units[drive] = positions.get("unit", "deg")
    name = scan.get("scanAxis", "")
    key, axis = _choose(name, angles, where)
    status = scan.get("status", "Completed")
    columns = Columns(
        angles[key],
        stored,
        np.arange(1, stored.size + 1),
        f"scan {number} ({name or key}) of an XRDML file",
        "point",
        number,
        name or key,
        axis,
        _unit(units[key], where),
        remarks=() if status == "Completed" else (f"the scan is marked {status!r}",),
    )
    factor = _column(points, ("beamAttenuationFactors", "commonBeamAttenuationFactor"), stored.size, where)
    time = _column(points, ("countingTimes", "commonCountingTime"), stored.size, where)
    rate = _is_rate(found.get("unit", "counts"), where)
    return as_measured(columns, factor=factor, corrected=not raw, time=time, rate=rate)


def read_ras(data: bytes, source: str) -> list[Columns]:
    """Scans of a Rigaku text file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp932", errors="replace")
    lines = [row.strip() for row in re.split(r"\r\n?|\n", text)]
    if not lines[0].startswith("*RAS_"):
        what = f"{lines[0][:40]!r} begins no RAS file" if data else "the file is empty"
        refuse(source, f"{what}; copy or export it again, or name columns of text .xy", 1)
    scans: list[Columns] = []
    header: dict[str, str] = {}
    start = None
    for i, row in enumerate(lines):
        if start is not None and row == "*RAS_INT_END":
            rows = [(k + 1, lines[k].split()) for k in range(start, i) if lines[k]]
            scans.append(_ras_scan(rows, header, len(scans) + 1, source))
            start = None
        elif start is not None and (row.startswith("*") or i + 1 == len(lines)):
            refuse(source, "the scan does not end with *RAS_INT_END; copy or export the file again", i + 1)
        elif row == "*RAS_HEADER_START":
            header = {}
        elif row == "*RAS_INT_START":
            start = i + 1
        elif start is None and (entry := re.fullmatch(r'\*(\S+)\s+"?([^"]*)"?', row)):
            header[entry[1]] = entry[2].strip()
    return scans


def _ras_scan(rows: list[tuple[int, list[str]]], header: dict[str, str], number: int, source: str) -> Columns:
    where = f"{source}, scan {number}"
    table = np.ones((len(rows), 3))
    for k, (line, fields) in enumerate(rows):
        if len(fields) not in (2, 3):
            refuse(source, f"{len(fields)} columns; angle, intensity and attenuation factor are needed", line)
        table[k, : len(fields)] = _numbers(" ".join(fields), source, line)
        if table[k, 2] <= 0.0:
            refuse(source, f"the attenuation factor {table[k, 2]:g} is not positive; correct it", line)
    points = _number(header.get("MEAS_DATA_COUNT"))
    if points is not None and points != len(rows):
        refuse(where, f"{len(rows)} of {points:g} points are there; copy or export the file again")
    x, stored, factor = table.T
    name = header.get("MEAS_SCAN_AXIS_X_INTERNAL") or header.get("MEAS_SCAN_AXIS_X") or "an axis without a name"
    plain = _plain(name)
    columns = Columns(
        x,
        stored,
        np.array([line for line, _ in rows], dtype=np.int64),
        f"scan {number} ({name}) of a RAS file",
        "line",
        number,
        name,
        "omega" if plain == "omega" else "2theta" if plain in _COUPLED else None,
        _unit(header.get("MEAS_SCAN_UNIT_X", "deg"), where),
    )
    step, speed = (_number(header.get(f"MEAS_SCAN_{key}")) or 0.0 for key in ("STEP", "SPEED"))
    how = header.get("MEAS_SCAN_SPEED_UNIT", "").lower()
    seconds = speed if how.startswith("sec") else 60.0 * step / speed if how == "deg/min" and speed > 0.0 else 0.0
    time = np.full(x.size, seconds) if seconds > 0.0 else None
    rate = _is_rate(header.get("MEAS_SCAN_UNIT_Y", "counts"), where)
    return as_measured(columns, factor=factor, corrected=_goes_on(stored, factor), time=time, rate=rate)


def _goes_on(stored: Floats, factor: Floats) -> bool:
    """Whether a curve goes on at the changes of the attenuator as it is stored, better than with the factors."""
    at = np.flatnonzero(np.diff(factor))
    floor = 0.5 * stored[stored > 0.0].min(initial=np.inf)
    if not at.size or not np.isfinite(floor):
        return False
    jumps = [np.sum(np.abs(np.log(y[at + 1] / y[at]))) for y in (np.maximum(stored, floor) * f for f in (1.0, factor))]
    return bool(jumps[0] < jumps[1])


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
        refuse(source, f"{what}; copy or export the file again, or {_EXPORT}")
    scans: list[Columns] = []
    for name, document in documents:
        routes = _parse_xml(document, f"{source}, {name}").findall("DataRoutes/DataRoute")
        for route in [r for r in routes if r.get("RouteFlag") == "Measured"] or routes:
            number = len(scans) + 1
            scans.append(_brml_scan(route, number, f"{source}, scan {number}"))
    return scans


def _unpacked(archive: zipfile.ZipFile, name: str, source: str) -> bytes:
    """A member of an archive, up to the size that a file may have, whatever its header says."""
    with archive.open(name) as member:
        data = member.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        refuse(source, f"{name} unpacks to more than {LARGEST_FILE / 1e6:g} MB, which no scan does; {_EXPORT}")
    return data


def _brml_scan(route: ElementTree.Element, number: int, where: str) -> Columns:
    fixed: dict[str, int] = {}  # the columns of each name
    drives: dict[str, int] = {}
    counters: list[tuple[int, str]] = []
    for view in route.findall("DataViews/RawDataView"):
        start, length = (int(max(_number(view.get(key)) or 0.0, 0.0)) for key in ("Start", "Length"))
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
                    refuse(where, f"{length} channels of a line detector at every point; {_EXPORT}")
    if not counters or not drives:
        refuse(where, f"there are no angles or no counts; {_EXPORT}")
    counter, unit = counters[0]
    width = 1 + max(counter, *drives.values(), *fixed.values())
    rows = []
    for i, datum in enumerate(route.findall("Datum"), start=1):
        row = _numbers((datum.text or "").replace(",", " "), where, i, "point")
        if row.size < width:
            refuse(where, f"{row.size} values of {width} are there; copy or export the file again", i, "point")
        rows.append(row[:width])
    table = np.array(rows).reshape(-1, width)
    angles = {drive: table[:, column] for drive, column in drives.items()}
    about = route.find("ScanInformation")
    name = "" if about is None else about.get("ScanName") or about.get("VisibleName") or ""
    key, axis = _choose(name, angles, where)
    what = f"scan {number} ({name or key}) of a BRML file"
    points = np.arange(1, len(table) + 1)
    columns = Columns(angles[key], table[:, counter], points, what, "point", number, name or key, axis, "deg")
    factor, time = (
        _positive(table[:, fixed[quantity]], quantity, where) if quantity in fixed else None
        for quantity in ("AbsorptionFactor", "MeasuredTime")
    )
    return as_measured(columns, factor=factor, corrected=True, time=time, rate=unit == "cps")


READERS = {".xrdml": read_xrdml, ".ras": read_ras, ".brml": read_brml}


def _choose(name: str, angles: dict[str, Floats], where: str) -> tuple[str, str | None]:
    """Drive that gives the glancing angle and the kind of angle; None if the crystal did not turn."""
    if not angles:
        refuse(where, f"there are no angles; {_EXPORT}")
    drives = {_plain(key): key for key in angles}
    scanned = _plain(name)
    ways = {plain: np.ptp(angles[key]) if angles[key].size else 0.0 for plain, key in drives.items()}
    turns = {plain: ways[plain] for plain in ("omega", "theta", "2theta") if plain in drives}
    moving = [plain for plain, way in turns.items() if way > 0.1 * max(turns.values())]  # the others only tremble
    if scanned in drives.keys() - turns.keys() or not moving:
        return drives.get(scanned) or drives[max(ways, key=lambda plain: ways[plain])], None
    if "2theta" not in moving or (moving[0] == "omega" and scanned.startswith("omega")):
        return drives[moving[0]], "omega"
    return drives["2theta"], "2theta" if len(moving) > 1 or scanned in _COUPLED else None


def _plain(name: str) -> str:
    name = name.lower().replace("θ", "theta").replace("ω", "omega").replace("two", "2")
    return re.sub(r"[^a-z0-9]|scan$", "", name)


def _parse_xml(data: bytes, source: str) -> ElementTree.Element:
    if not data.strip():
        refuse(source, "the file is empty; copy or export it again")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        what = "this is no complete XML; copy or export the file again, or name columns of text .xy"
        refuse(source, what, error.position[0])
    except (ValueError, LookupError):
        refuse(source, "the encoding of the XML is unknown; export the file again")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _numbers(text: str | None, where: str, at: int | None = None, place: str = "line") -> Floats:
    fields = (text or "").split()
    for i, field in enumerate(fields, start=1):
        if _number(field) is None:
            what = f"{field[:40]!r} is no finite number; correct it or export the file again"
            refuse(where, what, at or i, place if at else "point")
    return np.array([float(field) for field in fields])


def _number(field: str | None) -> float | None:
    try:
        value = float(field or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _column(points: ElementTree.Element, names: tuple[str, ...], size: int, where: str) -> Floats | None:
    """Positive values, one for each point, of the first of the elements that is there."""
    for name in names:
        if text := points.findtext(name):
            return _positive(_fit(_numbers(text, where), size, name, where), name, where)
    return None


def _positive(values: Floats, name: str, where: str) -> Floats:
    for i in np.flatnonzero(values <= 0.0).tolist():
        refuse(where, f"{name} {values[i]:g} is not positive; correct it", i + 1, "point")
    return values


def _fit(values: Floats, size: int, name: str, where: str) -> Floats:
    if values.size not in (1, size):
        refuse(where, f"{values.size} {name} for {size} points; copy or export the file again")
    return values if values.size == size else np.full(size, values[0])


def _unit(name: str, where: str) -> str:
    if name.strip().lower() not in _UNITS:
        refuse(where, f"the unit of the angles is {name!r}; {_EXPORT}")
    return _UNITS[name.strip().lower()]


def _is_rate(unit: str, where: str) -> bool:
    plain = re.sub(r"[\s/]", "", unit.lower())
    if plain not in ("counts", "cps", "countss", "countssec"):
        refuse(where, f"the unit of the intensities is {unit!r}; {_EXPORT}")
    return plain != "counts"
