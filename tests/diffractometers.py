"""The files that diffractometers write, of one synthetic scan: a substrate peak, the hump of a layer, a background."""

import io
import zipfile
from xml.sax.saxutils import quoteattr

import numpy as np

PEAK, POINTS = 20, 120
STEP = 4.0 / 3600.0
ANGLE = (np.arange(POINTS) - PEAK) * 4.0
ROW = np.arange(POINTS)
Y = np.rint(
    1e5 * np.exp(-4.0 * np.log(2.0) * ((ROW - PEAK) / 10.0) ** 2) + 300.0 * np.exp(-(((ROW - 72) / 9.0) ** 2)) + 20.0
)
Y[PEAK] += 2000.0
OMEGA = 25.53 - ANGLE / 3600.0  # falls: the rows of the files run as the curve does
SCHEMA = "http://www.xrdml.com/XRDMeasurement"
ATTENUATOR = np.where(np.abs(ROW - PEAK) < 8, 131.32, 1.0)


def numbers(values):
    return " ".join(f"{v:.10g}" for v in np.atleast_1d(values))


def xrdml_scan(
    y=Y,
    *,
    tag="counts",
    unit="counts",
    axis="Omega",
    omega=OMEGA,
    two=51.06,
    phi=12.0,
    ends=True,
    time=2.0,
    factor=None,
    **more,
):
    positions = ""
    for name, x in (("2Theta", two), ("Omega", omega), ("Phi", phi)):
        if np.size(x) == 1:
            body = f"<commonPosition>{x}</commonPosition>"
        elif ends:
            body = f"<startPosition>{x[0]:.10f}</startPosition><endPosition>{x[-1]:.10f}</endPosition>"
        else:
            body = f"<listPositions>{numbers(x)}</listPositions>"
        positions += f'<positions axis="{name}" unit="deg">{body}</positions>'
    if time is not None:
        times = "commonCountingTime" if np.size(time) == 1 else "countingTimes"
        positions += f'<{times} unit="seconds">{numbers(time)}</{times}>'
    if factor is not None:
        factors = "commonBeamAttenuationFactor" if np.size(factor) == 1 else "beamAttenuationFactors"
        positions += f"<{factors}>{numbers(factor)}</{factors}>"
    return (
        f'<scan appendNumber="0" mode="Continuous" scanAxis="{axis}" status="{more.get("status", "Completed")}">'
        f"<header><startTimeStamp>2024-05-01T10:00:00+02:00</startTimeStamp></header><dataPoints>{positions}"
        f'{more.get("extra", "")}<{tag} unit="{unit}">{numbers(y)}</{tag}></dataPoints></scan>'
    )


def xrdml(*scans, version="2.1", head='<?xml version="1.0" encoding="UTF-8"?>\n'):
    space = f' xmlns="{SCHEMA}/{version}"' if version else ""
    return (
        f'{head}<xrdMeasurements{space} status="Completed"><comment><entry>x</entry></comment>'
        f'<xrdMeasurement measurementType="Scan" status="Completed">'
        f'<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1></usedWavelength>'
        f"{''.join(scans or [xrdml_scan()])}</xrdMeasurement></xrdMeasurements>\n"
    )


def ras_scan(x=OMEGA, y=Y, factor=None, *, number="{:.4f}".format, end="\n", **header):
    header = {
        "FILE_SAMPLE": "implanted GGG",
        "MEAS_DATA_COUNT": len(x),
        "MEAS_SCAN_AXIS_X": "ω",
        "MEAS_SCAN_AXIS_X_INTERNAL": "Omega",
        "MEAS_SCAN_MODE": "CONTINUOUS",
        "MEAS_SCAN_SPEED": "0.0333333333333",
        "MEAS_SCAN_SPEED_UNIT": "deg/min",
        "MEAS_SCAN_STEP": f"{STEP:.10f}",
        "MEAS_SCAN_UNIT_X": "deg",
        "MEAS_SCAN_UNIT_Y": "counts",
    } | header
    factor = np.ones(len(x)) if factor is None else factor
    rows = [f"{a:.8f} {number(b)} {c:.4f}" for a, b, c in zip(x, y, factor, strict=True)]
    lines = ["*RAS_HEADER_START", *(f'*{key} "{value}"' for key, value in header.items()), "*RAS_HEADER_END"]
    return end.join([*lines, "*RAS_INT_START", *rows, "*RAS_INT_END"]) + end


def ras(*scans, end="\n"):
    return f"*RAS_DATA_START{end}{''.join(scans or [ras_scan(end=end)])}*RAS_DATA_END{end}*DSC_DATA_END{end}"


def brml_route(y=Y, *, theta=OMEGA, two=51.06, factor=1.0, time=1.0, name="RockingScan", flag="Measured", width=1):
    theta, two, factor, time = (np.broadcast_to(v, len(y)) for v in (theta, two, factor, time))
    columns = zip(time, factor, two, theta, np.full(len(y), 21.5), y, strict=True)
    rows = "".join(f"<Datum>{','.join(f'{v:.10g}' for v in row)}</Datum>" for row in columns)
    fields = "".join(f'<FieldDefinitions FieldName="{n}" AxisId="{n}" />' for n in ("TwoTheta", "Theta"))
    views = [
        ("FixedRawDataView", 0, 1, ' LogicName="MeasuredTime"', ""),
        ("FixedRawDataView", 1, 1, ' LogicName="AbsorptionFactor"', ""),
        ("VaryingRawDataView", 2, 2, "", f"<Varying>{fields}</Varying>"),
        ("RecordedRawDataView", 4, 1, "", '<Recording><Unit Base="Temperature" /></Recording>'),
        ("RecordedRawDataView", 5, width, "", '<Recording LogicName="ScanCounter"><Unit Base="Counts" /></Recording>'),
    ]
    described = "".join(
        f'<RawDataView xsi:type="{kind}" Start="{start}" Length="{length}"{more}>{body}</RawDataView>'
        for kind, start, length, more, body in views
    )
    return (
        f'<DataRoute RouteFlag="{flag}"><ScanInformation ScanName={quoteattr(name)}><TimePerStep>1</TimePerStep>'
        f"</ScanInformation>{rows}<DataViews>{described}</DataViews></DataRoute>"
    )


def brml(*routes):
    """One document for each route."""
    out = io.BytesIO()
    names = [f"Experiment0/RawData{i}.xml" for i in range(max(len(routes), 1))]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        listed = "".join(f"<string>{name}</string>" for name in names)
        container = f"<DataContainer><RawDataReferenceList>{listed}</RawDataReferenceList></DataContainer>"
        archive.writestr("Experiment0/DataContainer.xml", container)
        for name, route in reversed(list(zip(names, routes or [brml_route()], strict=True))):
            start = '<RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            archive.writestr(name, f"{start}<DataRoutes>{route}</DataRoutes></RawData>")
    return out.getvalue()


def archive(members):
    """A zip archive of members by their names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def put(folder, suffix, content):
    file = folder / f"curve{suffix}"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


WRITERS = {".xrdml": (xrdml, xrdml_scan), ".ras": (ras, ras_scan), ".brml": (brml, brml_route)}


def check(curve, angle=ANGLE, intensity=Y, peak=PEAK, per_count=1.0):
    np.testing.assert_allclose(curve.angle, angle, rtol=0.0, atol=1e-3)
    np.testing.assert_allclose(curve.intensity, intensity, rtol=1e-6)
    assert curve.peak_index == peak
    if per_count is None:
        assert curve.per_count is None
    else:
        np.testing.assert_allclose(curve.per_count, per_count, rtol=1e-6)
