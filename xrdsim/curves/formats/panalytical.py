"""XRDML files of PANalytical: ``counts`` as counted, ``intensities`` with the attenuation factors in them."""

from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import numpy as np

from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.formats.values import (
    EXPORT,
    as_many,
    choose,
    each_scan,
    goniometer,
    is_rate,
    kind_of,
    number_of,
    numbers,
    parse_xml,
    plain_name,
    positive,
    unit_of,
)
from xrdsim.curves.stated import ScanKind, Stated, hkl_of, wavelength_of


def read_xrdml(data: bytes, source: str) -> Scans:
    """Scans of a PANalytical file, XRDML 1.0 to 2.x."""
    root = parse_xml(data, source)
    if root.tag != "xrdMeasurements":
        refuse(source, f"the XML holds <{root.tag[:40]}>, no <xrdMeasurements>; {EXPORT}")
    found = [
        (measurement, scan) for measurement in root.findall("xrdMeasurement") for scan in measurement.findall("scan")
    ]
    parts = enumerate(found, start=1)
    return each_scan([partial(_xrdml_scan, scan, of, i, f"{source}, scan {i}") for i, (of, scan) in parts])


def _xrdml_scan(scan: ElementTree.Element, of: ElementTree.Element, number: int, where: str) -> Columns:
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
    in_degrees = {drive: x for drive, x in angles.items() if units[drive] == "deg"}
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
        stated=_stated(scan, of, name or key, kind_of(name, axis, angles)),
        drives=goniometer(in_degrees),
    )
    factor = _column(points, ("beamAttenuationFactors", "commonBeamAttenuationFactor"), stored.size, where)
    time = _column(points, ("countingTimes", "commonCountingTime"), stored.size, where)
    rate = is_rate(found.get("unit", "counts"), where)
    return as_measured(columns, factor=factor, corrected=not raw, time=time, rate=rate)


def _stated(scan: ElementTree.Element, of: ElementTree.Element, axis: str, kind: ScanKind | None) -> Stated:
    """What the scan or its measurement says: the nearer one counts."""
    wave, reflection = of.find("usedWavelength"), scan.find("reflection")
    if reflection is None:
        reflection = of.find("reflection")
    stated = Stated(axis=axis, kind=kind)
    if wave is not None:
        intended = plain_name(wave.get("intended", ""))
        line = number_of(wave.findtext("kBeta")) if intended == "kbeta" else number_of(wave.findtext("kAlpha1"))
        stated = replace(stated, wavelength=wavelength_of(line), kalpha2=_doublet(wave, of, intended))
    if reflection is not None:
        hkl = hkl_of(*((reflection.findtext(f"hkl/{index}") or "").strip() for index in "hkl"))
        stated = replace(stated, material=(reflection.findtext("material") or "").strip() or None, hkl=hkl)
    return stated


def _doublet(wave: ElementTree.Element, of: ElementTree.Element, intended: str) -> bool | None:
    """Whether Kα2 is in the beam: "K-Alpha 1" is also written where nothing takes Kα2 away."""
    ratio = number_of(wave.findtext("ratioKAlpha2KAlpha1"))
    none = ratio == 0.0 or wave.find("kAlpha2") is None or of.find("incidentBeamPath/monochromator") is not None
    if intended == "kalpha":
        return None if ratio == 0.0 else True
    return False if intended in ("kalpha1", "kbeta") and none else None


def _column(points: ElementTree.Element, names: tuple[str, ...], size: int, where: str) -> Floats | None:
    """Positive values, one for each point, of the first of the elements that is there."""
    for name in names:
        if text := points.findtext(name):
            return positive(as_many(numbers(text, where), size, name, where), name, where)
    return None
