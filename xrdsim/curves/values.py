"""Numbers, units and drives as the files of diffractometers give them, checked."""

import re
from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.columns import Floats, refuse

EXPORT = "export the scan as .xy, in columns of angle and intensity"
UNITS = {"deg": "deg", "degree": "deg", "degrees": "deg", "°": "deg", "arcsec": "arcsec", "sec": "arcsec"}
COUPLED = ("2thetaomega", "2thetatheta", "theta2theta", "gonio")  # scans given by 2θ that turn the crystal too


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
    return drives["2theta"], "2theta" if len(moving) > 1 or scanned in COUPLED else None


def plain_name(name: str) -> str:
    name = name.lower().replace("θ", "theta").replace("ω", "omega").replace("two", "2")
    return re.sub(r"[^a-z0-9]|scan$", "", name)


def parse_xml(data: bytes, source: str) -> ElementTree.Element:
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


def numbers(text: str | None, where: str, at: int | None = None, place: str = "line") -> Floats:
    fields = (text or "").split()
    for i, field in enumerate(fields, start=1):
        if number_of(field) is None:
            what = f"{field[:40]!r} is no finite number; correct it or export the file again"
            refuse(where, what, at or i, place if at else "point")
    return np.array([float(field) for field in fields])


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


def as_many(values: Floats, size: int, name: str, where: str) -> Floats:
    if values.size not in (1, size):
        refuse(where, f"{values.size} {name} for {size} points; copy or export the file again")
    return values if values.size == size else np.full(size, values[0])


def unit_of(name: str, where: str) -> str:
    if name.strip().lower() not in UNITS:
        refuse(where, f"the unit of the angles is {name!r}; {EXPORT}")
    return UNITS[name.strip().lower()]


def is_rate(unit: str, where: str) -> bool:
    plain = re.sub(r"[\s/]", "", unit.lower())
    if plain not in ("counts", "cps", "countss", "countssec"):
        refuse(where, f"the unit of the intensities is {unit!r}; {EXPORT}")
    return plain != "counts"
