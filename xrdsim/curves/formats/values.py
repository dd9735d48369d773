"""Numbers, units and drives as the files of diffractometers give them, checked."""

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.angles import unit_named
from xrdsim.curves.columns import Columns, Floats, Scans, Unreadable, refuse
from xrdsim.curves.stated import ScanKind
from xrdsim.errors import CurveError

EXPORT = "export the scan as .xy, in columns of angle and intensity"
COUPLED = (  # scans in which crystal and detector turn
    *("2thetaomega", "omega2theta", "2thetatheta", "theta2theta", "gonio", "coupled"),
    *("lockedcoupled", "unlockedcoupled", "coupled2thetatheta"),
)
_SCANNED_2THETA = ("2thetaomega", "2thetatheta", "theta2theta", "gonio", "coupled2thetatheta")


def each_scan(parts: Sequence[Callable[[], Columns]]) -> Scans:
    """The scans of a file, of which one that cannot be read does not hide the others."""
    scans: Scans = []
    for number, read in enumerate(parts, start=1):
        try:
            scans.append(read())
        except CurveError as error:
            scans.append(Unreadable(number, error))
    return scans


def choose(name: str, angles: dict[str, Floats], where: str) -> tuple[str, str | None]:
    """Drive that gives the glancing angle and the kind of angle; None if the crystal did not turn."""
    if not angles:
        refuse(where, f"there are no angles; {EXPORT}")
    drives = {plain_name(key): key for key in angles}
    scanned = plain_name(name)
    ways = {plain: np.ptp(angles[key]) if angles[key].size else 0.0 for plain, key in drives.items()}
    turns = {plain: ways[plain] for plain in ("omega", "theta", "2theta") if plain in drives}
    moving = [plain for plain, way in turns.items() if way > 0.1 * max(turns.values())]  # the others only tremble
    if scanned in drives.keys() - turns.keys() or not moving:
        return drives.get(scanned) or drives[max(ways, key=lambda plain: ways[plain])], None
    if "2theta" not in moving or (moving[0] == "omega" and scanned.startswith("omega")):
        return drives[moving[0]], "omega"
    return drives["2theta"], "2theta" if len(moving) > 1 or scanned in _SCANNED_2THETA else None


def goniometer(angles: dict[str, Floats]) -> dict[str, Floats]:
    """ω and 2θ (n,) in degrees among the drives of a file, by the names of ``Columns.drives``."""
    drives = {plain_name(key): values for key, values in angles.items() if values.size}
    found = {"omega": drives.get("omega", drives.get("theta")), "two_theta": drives.get("2theta")}
    return {name: values for name, values in found.items() if values is not None}


def scanned(x: Floats, axis: str | None) -> dict[str, Floats]:
    """Angles [degrees] of a scan by the name of what was scanned."""
    name = {"omega": "omega", "2theta": "two_theta"}.get(axis or "")
    return {} if name is None else {name: x}


def kind_of(name: str, axis: str | None, angles: dict[str, Floats] | None = None) -> ScanKind | None:
    """Whether only the crystal turned, or the detector followed."""
    drives = goniometer(angles or {})
    if axis is None:
        return None
    if {"omega", "two_theta"} <= drives.keys() and np.ptp(drives["omega"]) > 0.0:
        ratio = np.ptp(drives["two_theta"]) / np.ptp(drives["omega"])
        return "coupled" if ratio > 0.1 else "rocking"
    if axis == "2theta" or plain_name(name) in COUPLED:
        return "coupled"
    return "rocking" if axis == "omega" else None


def plain_name(name: str) -> str:
    name = name.lower().replace("θ", "theta").replace("ω", "omega").replace("two", "2")
    return re.sub(r"[^a-z0-9]|scan$", "", name)


def parse_xml(data: bytes, source: str) -> ElementTree.Element:
    if not data.strip():
        refuse(source, "the file is empty; copy or export it again")
    if any(
        word.encode(code) in data for word in ("<!DOCTYPE", "<!ENTITY") for code in ("ascii", "utf-16-le", "utf-16-be")
    ):
        refuse(source, "the XML defines entities, which no diffractometer writes; export the file again")
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


def numbers(text: str | None, where: str, at: int | None = None, place: str = "line") -> Floats:
    fields = (text or "").split()
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        for i, field in enumerate(fields, start=1):
            if number_of(field) is None:
                what = f"{field[:40]!r} is no finite number; correct it or export the file again"
                refuse(where, what, at or i, place if at else "point")
    return values


def number_of(field: str | None) -> float | None:
    try:
        value = float(field or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def positive(values: Floats, name: str, where: str) -> Floats:
    for i in np.flatnonzero(values <= 0.0).tolist():
        refuse(where, f"{name} {values[i]:g} is not positive; correct it", i + 1, "point")
    return values


def seconds(value: float | None, size: int) -> Floats | None:
    """Counting times (n,) of one that is the same for all; None where it is unknown."""
    return np.full(size, value) if value is not None and 0.0 < value < 1e9 else None


def as_many(values: Floats, size: int, name: str, where: str) -> Floats:
    if values.size not in (1, size):
        refuse(where, f"{values.size} {name} for {size} points; copy or export the file again")
    return values if values.size == size else np.full(size, values[0])


def unit_of(name: str, where: str) -> str:
    unit = unit_named(name)
    if unit is None:
        refuse(where, f"the unit of the angles is {name!r}; {EXPORT}")
    return unit


def is_rate(unit: str, where: str) -> bool:
    plain = re.sub(r"[\s/]", "", unit.lower())
    if plain not in ("counts", "cps", "countss", "countssec"):
        refuse(where, f"the unit of the intensities is {unit!r}; {EXPORT}")
    return plain != "counts"


def taken_from(form: str, number: int, name: str) -> str:
    """What a scan was taken from, for a sentence; the form of the file has its article."""
    return f"scan {number} ({name}) of {form} file" if name else f"scan {number} of {form} file"
