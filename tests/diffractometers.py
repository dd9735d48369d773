"""The files that diffractometers write, of one synthetic scan: a substrate peak, the hump of a layer, a background."""

import io
import struct
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


def rasx_scan(y=Y, x=OMEGA, factor=None, *, axis="Omega", two=51.06, **more):
    """Columns and conditions of one scan."""
    factor = np.ones(len(x)) if factor is None else factor
    rows = "\r\n".join(f"{a:.8f}\t{b:.4f}\t{c:.4f}" for a, b, c in zip(x, y, factor, strict=True))
    conditions = (
        '<?xml version="1.0" encoding="utf-8"?><MeasurementConditions><ScanInformation>'
        f"<AxisName>{axis}</AxisName><PositionUnit>deg</PositionUnit><IntensityUnit>{more.get('unit', 'counts')}"
        "</IntensityUnit><Step>0.01</Step><Speed>0.3</Speed><SpeedUnit>deg/min</SpeedUnit></ScanInformation>"
        "<HWConfigurations><XrayGenerator><WavelengthKalpha1>1.540593</WavelengthKalpha1></XrayGenerator>"
        f'</HWConfigurations><Axes><Axis Name="Omega" Unit="deg" Position="25.5" />'
        f'<Axis Name="TwoTheta" Unit="deg" Position="{two}" /></Axes></MeasurementConditions>'
    )
    return "\ufeff" + rows + "\r\n", conditions


def rasx(*scans):
    members = {}
    for i, (profile, conditions) in enumerate(scans or [rasx_scan()]):
        members |= {f"Data{i}/Profile{i}.txt": profile, f"Data{i}/MesurementConditions{i}.xml": conditions}
    return archive(members)


def uxd_scan(y=Y, x=OMEGA, *, drive="THETA", marker="_COUNTS", time=2.0, two=51.06, start=None, step=None):
    equal = marker in ("_COUNTS", "_CPS")
    start, step = x[0] if start is None else start, -STEP if step is None else step
    rows = [f"{b:.10g}" for b in y] if equal else [f"{a:.8f} {b:.10g}" for a, b in zip(x, y, strict=True)]
    head = [f"_DRIVE='{drive}'", f"_STEPTIME={time}", f"_2THETA={two}"]
    head += [f"_STEPSIZE={step:.12f}", f"_STEPCOUNT={len(y)}", f"_START={start:.8f}"]
    return "\n".join(["; (Data for Range)", *head, marker, *rows]) + "\n"


def uxd(*scans):
    head = "; C:\\data\\x.raw\n_FILEVERSION=2\n_SAMPLE='x'\n_ANODE='Cu'\n_WL1=1.540600\n_WL2=1.544390\n_WLRATIO=0.5\n"
    return head + "".join(scans or [uxd_scan()])


def udf(y=Y, *, start=2.0 * 25.53 + 2.0 * 80.0 / 3600.0, step=-2.0 * STEP, axis="", time="2.0"):
    values = ",\n".join(", ".join(f"{v:8g}" for v in y[i : i + 8]) for i in range(0, len(y), 8))
    named = f"ScanAxis,{axis},/\n" if axis else ""
    return (
        "SampleIdent,implanted,/\nTitle1,x,/\nDiffrType,PW1800,/\nAnode,Cu,/\nLabdaAlpha1, 1.54056,/\n"
        f"LabdaAlpha2, 1.54439,/\nRatioAlpha21, 0.5,/\n{named}ScanStepTime, {time},/\n"
        f"DataAngleRange, {start:.9f}, {start + (len(y) - 1) * step:.9f},/\nScanStepSize, {step:.12f},/\nRawScan\n"
        f"{values}/\n"
    )


def nja_scan(y=Y, x=OMEGA, *, axis="O", two=51.06, omega=25.53):
    rows = "\n".join(f"{a:.8f}\t{b:.6g}" for a, b in zip(x, y, strict=True))
    axes = f"&Axis=O\t&Task=Drive\t&Pos={omega}\n&Axis=T\t&Task=Drive\t&Pos={two}\n"
    return f"#ScanTableParameter\n&ScanAxis={axis}\n&Time=2.0\n{axes}\n#Values\n&NoValues={len(y)}\n{rows}\n\n"


def nja(*scans):
    scans = scans or [nja_scan()]
    head = f"&FileType=DIF\n&Anode=Cu\n&Wavelength=1.540598\n\n#MeasParameter\n&NumScans={len(scans)}\n\n"
    return head + "".join(scans)


def raw1(*scans):
    """``scans`` are intensities; angles are 2θ."""
    out = b""
    for i, y in enumerate(scans or [Y]):
        start, step = 2.0 * OMEGA[0], -2.0 * STEP
        head = struct.pack("<IffIIffff", len(y), 2.0, step, 0, 0, start, OMEGA[0], -1e6, -1e6) + b"x".ljust(32, b"\0")
        head += struct.pack("<ff", 1.5406, 1.54439) + bytes(72) + struct.pack("<I", i + 1 < len(scans or [Y]))
        out += b"RAW " + head + np.asarray(y, "<f4").tobytes()
    return out


def raw2(*scans):
    scans = scans or [Y]
    out = b"RAW2" + struct.pack("<H", len(scans)) + bytes(162) + b"01-May-2024 10:00:00" + b"Cu"
    out += struct.pack("<fff", 1.5406, 1.54439, 0.5) + bytes(8) + struct.pack("<f", 240.0) + bytes(42)
    for y in scans:
        out += struct.pack("<HHIfff", 60, len(y), 0, 2.0, -2.0 * STEP, 2.0 * OMEGA[0]) + bytes(26)
        out += struct.pack("<H", 300) + bytes(12) + np.asarray(y, "<f4").tobytes()
    return out


def raw3(*scans, code=3, ratio=0.0, extra=40, status=1):
    scans = scans or [Y]
    file = bytearray(712)
    file[:8] = b"RAW1.01\0"
    struct.pack_into("<II", file, 8, status, len(scans))
    struct.pack_into("<ddddd", file, 616, 1.5418, 1.5406, 1.54439, 1.39222, ratio)
    out = bytes(file)
    for y in scans:
        head = bytearray(304)
        struct.pack_into("<IIdd", head, 0, 304, len(y), OMEGA[0], 51.06 if code == 3 else 2.0 * OMEGA[0])
        struct.pack_into("<d", head, 176, -STEP * (1.0 if code == 3 else 2.0))
        struct.pack_into("<fI", head, 192, 2.0, code)
        struct.pack_into("<d", head, 240, 1.5406)
        struct.pack_into("<III", head, 248, 0, 4, extra)
        out += bytes(head) + bytes(extra) + np.asarray(y, "<f4").tobytes()
    return out


def raw4(*scans, name="Rocking Curve", record=4):
    out = bytearray(61)
    out[:8] = b"RAW4.00\0"
    comment = struct.pack("<III", 10, 48, 0) + b"USER".ljust(24, b"\0") + b"x".ljust(12, b"\0")
    source = bytearray(120)
    struct.pack_into("<II", source, 0, 30, 120)
    struct.pack_into("<ddddd", source, 72, 1.5418, 1.5406, 1.54439, 1.39222, 0.0)
    out += comment + source
    for y in scans or [Y]:
        drives = b""
        for drive, at in (("2Theta", 51.06), ("Theta", OMEGA[0]), ("Phi", 12.0)):
            part = struct.pack("<III", 50, 64, 0) + drive.encode().ljust(24, b"\0") + bytes(20) + struct.pack("<d", at)
            drives += part
        head = bytearray(160)
        head[32 : 32 + len(name)] = name.encode()
        coupled = "oupled" in name
        struct.pack_into("<ddIf", head, 72, OMEGA[0] * (1 + coupled), -STEP * (1 + coupled), len(y), 2.0)
        struct.pack_into("<dII", head, 112, 1.5406, 0, 0)
        struct.pack_into("<II", head, 136, record, len(drives))
        out += head + drives
        out += b"".join(struct.pack("<f", v).ljust(record, b"\1") for v in y)
    return bytes(out)


def spec_scan(y=Y, x=OMEGA, number=1, *, motor="th", command="ascan", time=2.0):
    rows = "\n".join(f"{a:.8f} {i} {time:g} {1e5 + i:g} {b:g}" for i, (a, b) in enumerate(zip(x, y, strict=True)))
    return (
        f"#S {number}  {command}  {motor} {x[0]:g} {x[-1]:g} {len(x) - 1} {time:g}\n#D Wed May 01 10:00:00 2024\n"
        f"#T {time:g}  (Seconds)\n#G4 0 0 0 1.5406 0\n#Q 4 4 4\n#N 5\n#L {motor}  Epoch  Seconds  Monitor  Detector\n"
        f"{rows}\n\n"
    )


def spec(*scans):
    return "#F x\n#E 1714550400\n#D Wed May 01 10:00:00 2024\n#O0 th  tth  chi\n\n" + "".join(scans or [spec_scan()])


def csv_scan(y=Y, x=OMEGA):
    return "[Scan points]\nAngle,Intensity\n" + "".join(f"{a:.8f},{b:g}\n" for a, b in zip(x, y, strict=True))


def panalytical_csv(*scans, axis="Omega"):
    head = "[Measurement conditions]\nSample identification,x\nScan axis,{}\nK-Alpha1 wavelength,1.540598\n"
    return head.format(axis) + "Time per step,2.0\n" + "".join(scans or [csv_scan()])


def nexus(*scans, angle="omega", unit="degree", counts="counts", **more):
    """``scans`` are pairs of angles and intensities; members by ``more`` are written beside them."""
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for i, (x, y) in enumerate(scans or [(OMEGA, Y)]):
            entry = file.create_group(f"entry{i}")
            entry.attrs["NX_class"] = "NXentry"
            entry["instrument/monochromator/wavelength"] = 1.5406
            entry["sample/chemical_formula"] = "Gd3Ga5O12"
            data = entry.create_group("data")
            data.attrs["NX_class"], data.attrs["signal"], data.attrs["axes"] = "NXdata", "detector", [angle]
            data.create_dataset(angle, data=x).attrs["units"] = unit
            data.create_dataset("detector", data=y, compression="gzip").attrs["units"] = counts
            data.create_dataset("errors", data=np.sqrt(y))
        for name, value in more.items():
            file[name] = value
    return out.getvalue()
