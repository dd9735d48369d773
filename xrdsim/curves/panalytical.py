"""XRDML files of PANalytical: ``counts`` as counted, ``intensities`` with the attenuation factors in them."""

from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.columns import Columns, Floats, as_measured, refuse
from xrdsim.curves.values import EXPORT, as_many, choose, is_rate, numbers, parse_xml, positive, unit_of


def read_xrdml(data: bytes, source: str) -> list[Columns]:
    """Scans of a PANalytical file, XRDML 1.0 to 2.x."""
    root = parse_xml(data, source)
    if root.tag != "xrdMeasurements":
        refuse(source, f"the XML holds <{root.tag[:40]}>, no <xrdMeasurements>; {EXPORT}")
    scans = enumerate(root.findall("xrdMeasurement/scan"), start=1)
    return [_xrdml_scan(scan, i, f"{source}, scan {i}") for i, scan in scans]


def _xrdml_scan(scan: ElementTree.Element, number: int, where: str) -> Columns:
    points = scan.find("dataPoints")
    found = None if points is None else next((e for e in points if e.tag in ("counts", "intensities")), None)
    if points is None or found is None:
        refuse(where, "there are no counts and no intensities; measure or export it again")
    raw, stored = found.tag == "counts", numbers(found.text, where)
    if raw and points.find("divergenceCorrections") is not None:
        refuse(where, "the divergence slit moved and the counts are not corrected for it; export it corrected")
    angles: dict[str, Floats] = {}
    units: dict[str, str] = {}
    for positions in points.findall("positions"):
        drive = positions.get("axis", "")
        ends = [numbers(positions.findtext(end), where) for end in ("startPosition", "endPosition")]
        x = numbers(positions.findtext("listPositions") or positions.findtext("commonPosition"), where)
        if all(end.size == 1 for end in ends):
            x = np.linspace(ends[0][0], ends[1][0], stored.size)
        angles[drive] = as_many(x, stored.size, f"positions of {drive}", where)
        units[drive] = positions.get("unit", "deg")
    name = scan.get("scanAxis", "")
    key, axis = choose(name, angles, where)
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
        unit_of(units[key], where),
        remarks=() if status == "Completed" else (f"the scan is marked {status!r}",),
    )
    factor = _column(points, ("beamAttenuationFactors", "commonBeamAttenuationFactor"), stored.size, where)
    time = _column(points, ("countingTimes", "commonCountingTime"), stored.size, where)
    rate = is_rate(found.get("unit", "counts"), where)
    return as_measured(columns, factor=factor, corrected=not raw, time=time, rate=rate)


def _column(points: ElementTree.Element, names: tuple[str, ...], size: int, where: str) -> Floats | None:
    """Positive values, one for each point, of the first of the elements that is there."""
    for name in names:
        if text := points.findtext(name):
            return positive(as_many(numbers(text, where), size, name, where), name, where)
    return None
