"""RASX files of Rigaku: a zip archive with the columns of each scan as text and its conditions as XML."""

import re
from functools import partial

from xrdsim.curves.columns import Columns, Scans, refuse
from xrdsim.curves.formats.containers import names_of, unpack
from xrdsim.curves.formats.rigaku import Header, scan_of
from xrdsim.curves.formats.values import EXPORT, each_scan, parse_xml
from xrdsim.errors import CurveError

MEMBERS = r"(^|/)Profile\d+\.txt$"  # of the archive
_CONDITIONS = r"(^|/)MesurementConditions\d+\.xml$"  # as Rigaku spells it
_KEYS = {  # elements of the conditions, and the keys of a RAS file that say the same
    "AxisName": "MEAS_SCAN_AXIS_X_INTERNAL",
    "Step": "MEAS_SCAN_STEP",
    "Speed": "MEAS_SCAN_SPEED",
    "SpeedUnit": "MEAS_SCAN_SPEED_UNIT",
    "PositionUnit": "MEAS_SCAN_UNIT_X",
    "IntensityUnit": "MEAS_SCAN_UNIT_Y",
    "WavelengthKalpha1": "HW_XG_WAVE_LENGTH_ALPHA1",
}


def read_rasx(data: bytes, source: str) -> Scans:
    """Scans of a Rigaku archive."""
    members = unpack(data, rf"{MEMBERS}|{_CONDITIONS}", "RASX", source)
    profiles = [name for name in members if re.search(MEMBERS, name)]
    if not profiles and names_of(data):
        refuse(source, f"this zip archive holds no Data*/Profile*.txt, as .rasx files do; {EXPORT}")
    parts: list[partial[Columns]] = []
    for number, name in enumerate(profiles, start=1):
        folder, _, file = name.rpartition("Profile")
        conditions = members.get(f"{folder}MesurementConditions{file.removesuffix('.txt')}.xml", b"")
        parts.append(partial(_rasx_scan, members[name], conditions, number, f"{source}, {name}"))
    return each_scan(parts)


def _rasx_scan(profile: bytes, conditions: bytes, number: int, where: str) -> Columns:
    text = profile.decode("utf-8-sig", errors="replace")
    lines = enumerate(re.split(r"\r\n?|\n", text), start=1)
    rows = [(line, row.split()) for line, row in lines if row.strip() and not row.lstrip().startswith(("#", "*"))]
    return scan_of(rows, _header(conditions, where), number, "RASX", where)


def _header(conditions: bytes, where: str) -> Header:
    """The conditions by the keys of a RAS file; none where there is no XML that can be read."""
    try:
        root = parse_xml(conditions, where)
    except CurveError:
        return {}
    header: Header = {}
    scan = root.find("ScanInformation")
    for element in [*(scan.iter() if scan is not None else ()), *root.iter("WavelengthKalpha1")]:
        if element.tag in _KEYS and (element.text or "").strip():
            header.setdefault(_KEYS[element.tag], (element.text or "").strip())
    for i, axis in enumerate(root.findall("Axes/Axis")):
        if axis.get("Position") and axis.get("Unit", "deg") == "deg":
            header[f"MEAS_COND_AXIS_NAME_INTERNAL-{i}"] = axis.get("Name", "")
            header[f"MEAS_COND_AXIS_POSITION-{i}"] = axis.get("Position", "")
    return header
