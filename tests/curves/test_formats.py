"""Formats beside XRDML, RAS and BRML: the same scan in each gives the same curve, and what the file states."""

import sys

import numpy as np
import pytest
from diffractometers import (
    ANGLE,
    ATTENUATOR,
    OMEGA,
    POINTS,
    ROW,
    STEP,
    Y,
    archive,
    brml,
    brml_route,
    check,
    csv_scan,
    nexus,
    nja,
    nja_scan,
    panalytical_csv,
    put,
    ras,
    ras_scan,
    rasx,
    rasx_scan,
    raw1,
    raw2,
    raw3,
    raw4,
    spec,
    spec_scan,
    udf,
    uxd,
    uxd_scan,
    xrdml,
    xrdml_scan,
)

from xrdsim.curves import isolated as isolation
from xrdsim.curves.curve import list_scans, read_curve
from xrdsim.errors import CurveError

pytest.importorskip("h5py")

FILES = {
    ".rasx": rasx,
    ".uxd": uxd,
    ".udf": udf,
    ".nja": nja,
    ".raw": raw3,
    "_1.raw": raw1,
    "_2.raw": raw2,
    "_4.raw": raw4,
    ".spec": spec,
    ".csv": panalytical_csv,
    ".nxs": nexus,
    ".xrdml": xrdml,
    ".ras": ras,
    ".brml": brml,
}
SEVERAL = {
    ".rasx": rasx(rasx_scan(), rasx_scan(2.0 * Y)),
    ".uxd": uxd(uxd_scan(), uxd_scan(2.0 * Y)),
    ".nja": nja(nja_scan(), nja_scan(2.0 * Y)),
    "_1.raw": raw1(Y, 2.0 * Y),
    "_2.raw": raw2(Y, 2.0 * Y),
    "_3.raw": raw3(Y, 2.0 * Y),
    "_4.raw": raw4(Y, 2.0 * Y, record=8),
    ".spec": spec(spec_scan(), spec_scan(2.0 * Y, number=2)),
    ".csv": panalytical_csv(csv_scan(), csv_scan(2.0 * Y)),
    ".nxs": nexus((OMEGA, Y), (OMEGA, 2.0 * Y)),
}


def near(curve, intensity=Y, per_count=1.0):
    """Angles of single precision are off by some hundredths of an arcsec."""
    np.testing.assert_allclose(curve.angle, ANGLE, atol=0.1)
    check(curve, curve.angle, intensity, per_count=per_count)


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("name", ["", ".dat", ".brml", ".raw"])
def test_the_same_scan_whatever_the_name(tmp_path, suffix, name):
    curve = read_curve(put(tmp_path, name or suffix, FILES[suffix]()))
    near(curve, per_count=None if suffix == ".nxs" else 1.0)  # a smooth curve of whole numbers is none of counts
    assert curve.note.count("\n") == 0
    assert "in deg, with the substrate peak in row 20" in curve.note


@pytest.mark.parametrize("suffix", SEVERAL)
def test_one_of_several_scans(tmp_path, suffix):
    file = put(tmp_path, suffix, SEVERAL[suffix])
    assert [row[:3] for row in list_scans(file)] == ["1: ", "2: "]
    with pytest.raises(CurveError, match=r"holds 2 scans; choose one with --number N: 1: .*; 2: "):
        read_curve(file)
    for number in (1, 2):
        near(read_curve(file, number=number), number * Y, None if suffix == ".nxs" else 1.0)


STATED = {  # wavelength, kalpha2, omega, two_theta, kind
    ".rasx": (1.540593, None, 25.53, 51.06, "rocking"),
    ".uxd": (1.5406, None, 25.53, 51.06, "rocking"),
    ".udf": (1.54056, None, None, 51.06, "coupled"),
    ".nja": (1.540598, None, 25.53, 51.06, "rocking"),
    ".raw": (1.5406, False, 25.53, 51.06, "rocking"),
    "_1.raw": (1.5406, None, None, 51.06, None),
    "_2.raw": (1.5406, None, None, 51.06, None),
    "_4.raw": (1.5406, False, 25.53, 51.06, "rocking"),
    ".spec": (1.5406, None, 25.53, None, "rocking"),
    ".csv": (1.540598, None, 25.53, None, "rocking"),
    ".nxs": (1.5406, None, 25.53, None, "rocking"),
    ".xrdml": (1.540598, False, 25.53, 51.06, "rocking"),
    ".ras": (None, None, 25.53, None, "rocking"),
    ".brml": (None, None, 25.53, 51.06, "rocking"),
}


@pytest.mark.parametrize("suffix", STATED)
def test_what_a_file_states(tmp_path, suffix):
    wave, doublet, omega, two_theta, kind = STATED[suffix]
    stated = read_curve(put(tmp_path, suffix, FILES[suffix]())).stated
    assert stated.wavelength == (None if wave is None else pytest.approx(wave, abs=1e-6))
    assert (stated.kalpha2, stated.kind) == (doublet, kind)
    for found, expected in ((stated.omega, omega), (stated.two_theta, two_theta)):
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-4))


def test_material_and_reflection_are_read(tmp_path):
    reflection = "<reflection><material>Si</material><hkl><h>0</h><k>0</k><l>4</l></hkl></reflection>"
    for content in (
        xrdml().replace("<dataPoints>", reflection + "<dataPoints>"),
        xrdml().replace("</usedWavelength>", "</usedWavelength>" + reflection),
    ):
        curve = read_curve(put(tmp_path, ".xrdml", content))
        assert (curve.stated.material, curve.stated.hkl) == ("Si", (0, 0, 4))
        assert "the file states Si 004, λ 1.5406 Å, without Kα2, ω 25.53°, 2θ 51.06°" in curve.note
    for bad in ("<h>x</h><k>0</k><l>4</l>", "<h>0</h><k>0</k><l>0</l>", ""):
        content = xrdml().replace("<dataPoints>", f"<reflection><hkl>{bad}</hkl></reflection><dataPoints>")
        assert read_curve(put(tmp_path, ".xrdml", content)).stated.hkl is None
    assert read_curve(put(tmp_path, ".nxs", nexus())).stated.material == "Gd3Ga5O12"
    assert read_curve(put(tmp_path, ".nxs", nexus(hkl="4 4 4"))).stated.hkl == (4, 4, 4)
    assert read_curve(put(tmp_path, ".spec", spec())).stated.hkl == (4, 4, 4)


def test_the_doublet_as_far_as_it_is_stated(tmp_path):
    alpha2 = "<kAlpha2>1.5444260</kAlpha2><ratioKAlpha2KAlpha1>{}</ratioKAlpha2KAlpha1></usedWavelength>"
    for intended, ratio, expected in (
        ("K-Alpha", 0.5, True),
        ("K-Alpha 1", 0.5, None),
        ("K-Alpha 1", 0.0, False),
    ):
        content = xrdml().replace('"K-Alpha 1"', f'"{intended}"').replace("</usedWavelength>", alpha2.format(ratio))
        assert read_curve(put(tmp_path, ".xrdml", content)).stated.kalpha2 is expected
    assert read_curve(put(tmp_path, ".raw", raw3(ratio=0.5))).stated.kalpha2 is None


def test_coupled_scans(tmp_path):
    for suffix, content in (
        (".rasx", rasx(rasx_scan(x=2.0 * OMEGA, axis="TwoThetaOmega"))),
        (".uxd", uxd(uxd_scan(drive="COUPLED", start=2.0 * OMEGA[0], step=-2.0 * STEP))),
        (".uxd", uxd(uxd_scan(x=2.0 * OMEGA, drive="COUPLED", marker="_2THETACOUNTS"))),
        (".nja", nja(nja_scan(x=2.0 * OMEGA, axis="OT"))),
        (".raw", raw3(code=0)),
        (".raw", raw4(name="Locked Coupled")),
        (".csv", panalytical_csv(csv_scan(x=2.0 * OMEGA), axis="2Theta-Omega")),
        (".ras", ras(ras_scan(2.0 * OMEGA, MEAS_SCAN_AXIS_X_INTERNAL="TwoThetaOmega"))),
        (".xrdml", xrdml(xrdml_scan(axis="2Theta-Omega", two=2.0 * OMEGA))),
    ):
        curve = read_curve(put(tmp_path, suffix, content))
        near(curve)
        assert curve.stated.kind == "coupled"
        assert "angle taken as 2theta in deg" in curve.note


def test_scans_of_the_detector_alone(tmp_path):
    for suffix, content in (
        (".uxd", uxd(uxd_scan(x=2.0 * OMEGA, drive="2THETA"))),
        (".nja", nja(nja_scan(x=2.0 * OMEGA, axis="T"))),
        (".raw", raw3(code=2)),
        (".raw", raw4(name="Detector Scan")),
        (".rasx", rasx(rasx_scan(x=2.0 * OMEGA, axis="TwoTheta"))),
    ):
        with pytest.raises(CurveError, match="is taken for no rocking curve; say --axis"):
            read_curve(put(tmp_path, suffix, content))


def test_counting_times_and_rates(tmp_path):
    for suffix, content in (
        (".uxd", uxd(uxd_scan(Y / 2.0, marker="_CPS"))),
        (".rasx", rasx(rasx_scan(Y / 2.0, unit="cps"))),
    ):
        near(read_curve(put(tmp_path, suffix, content)), Y / 2.0, 0.5)
    assert read_curve(put(tmp_path, ".nxs", nexus((OMEGA, Y / 2.0), counts="cps", count_time=2.0))).per_count == 0.5
    assert list_scans(put(tmp_path, ".uxd", uxd())) == ["1: THETA 25.5522 … 25.42 deg, 120 points, 2 s a point"]


def test_whole_numbers_under_an_attenuator_were_counted(tmp_path):
    factor = np.where(np.abs(ROW - 20) < 8, 9.0, 1.0)
    steep = np.where(np.abs(ROW - 20) < 8, 7.0 * Y, Y)  # goes on better as it is stored
    counted = np.rint(steep / factor)
    for suffix, content in (
        (".ras", ras(ras_scan(y=counted, factor=factor))),
        (".rasx", rasx(rasx_scan(counted, factor=factor))),
    ):
        curve = read_curve(put(tmp_path, suffix, content))
        check(curve, intensity=counted * factor, per_count=factor)
        assert "attenuation factors 1 … 9 applied" in curve.note
    curve = read_curve(put(tmp_path, ".rasx", rasx(rasx_scan(counted * factor, factor=factor))))
    check(curve, intensity=counted * factor, per_count=factor)
    assert "contained" in curve.note
    rounded = np.rint(np.rint(Y / ATTENUATOR) * ATTENUATOR)
    assert "contained" in read_curve(put(tmp_path, ".ras", ras(ras_scan(y=rounded, factor=ATTENUATOR)))).note


def test_one_unreadable_scan_does_not_hide_the_others(tmp_path):
    for suffix, content in (
        (".brml", brml(brml_route(), brml_route(width=4))),
        (".xrdml", xrdml(xrdml_scan(), "<scan />")),
        (".uxd", uxd(uxd_scan(), "_COUNTS\n1\n2\n")),
        (".raw", raw4(Y, Y, name="PSD Fixed Scan")),
    ):
        file = put(tmp_path, suffix, content)
        assert re_cannot(list_scans(file)[1])
        with pytest.raises(CurveError, match="scan 2: "):
            read_curve(file, number=2)
        if suffix != ".raw":
            near(read_curve(file, number=1))


def re_cannot(listed):
    return listed.startswith("2: cannot be read (")


def test_rasx_without_conditions(tmp_path):
    profile = rasx_scan()[0]
    for members in (
        {"Data0/Profile0.txt": profile},
        {"Data0/Profile0.txt": profile, "Data0/MesurementConditions0.xml": "<x/>"},
    ):
        curve = read_curve(put(tmp_path, ".rasx", archive(members)))
        check(curve)
        assert "angle taken as omega in deg" in curve.note


def test_hdf5_without_h5py(tmp_path, monkeypatch):
    file = put(tmp_path, ".h5", nexus())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CurveError, match=r"need h5py, which is not installed: pip install 'xrdsim\[hdf5\]'"):
        read_curve(file)


def test_a_file_that_crashes_its_library_is_refused(monkeypatch):
    def read(function):
        return isolation.isolated("xrdsim.curves.formats.nexus", function, nexus(), "curve.h5", "it is damaged")

    assert len(read("scans_of")) == 1
    with pytest.raises(CurveError, match=r"curve\.h5: it is damaged"):
        read("hkl_of")  # ends with another error
    monkeypatch.setattr(isolation, "_MOST_SECONDS", 0.01)
    with pytest.raises(CurveError, match=r"curve\.h5: it is damaged"):
        read("scans_of")


def test_hdf5_without_nexus(tmp_path):
    import h5py

    path = tmp_path / "curve.h5"
    with h5py.File(path, "w") as file:
        file["scan/omega"], file["scan/counts"], file["scan/monitor"] = OMEGA, Y, np.ones(POINTS)
    near(read_curve(path), per_count=None)
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = OMEGA, Y
    with pytest.raises(CurveError, match="no group of the HDF5 file holds an angle and an intensity; export"):
        read_curve(path)


def test_hdf5_does_not_look_outside(tmp_path):
    import h5py

    other = put(tmp_path, "_other.h5", nexus())
    path = tmp_path / "curve.h5"
    with h5py.File(path, "w") as file:
        file["omega"] = h5py.ExternalLink(str(other), "/entry0/data/omega")
        file["counts"] = h5py.ExternalLink(str(other), "/entry0/data/detector")
    with pytest.raises(CurveError, match="no group of the HDF5 file"):
        read_curve(path)
    layout = h5py.VirtualLayout(shape=(POINTS,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(other), "/entry0/data/detector", shape=(POINTS,))
    with h5py.File(path, "w") as file:
        file["omega"] = OMEGA
        file.create_virtual_dataset("counts", layout)
    with pytest.raises(CurveError, match="no group of the HDF5 file"):
        read_curve(path)


def test_what_unpacks_to_too_much(tmp_path):
    import h5py

    path = tmp_path / "curve.h5"
    with h5py.File(path, "w") as file:
        for name in ("omega", "counts"):
            file.create_dataset(name, shape=(50_000_000,), dtype="f8", chunks=(1_000_000,), compression="gzip")
    with pytest.raises(CurveError, match="unpacks to more than 64 MB, which no scan does"):
        read_curve(path)
    bomb = archive({f"Data{i}/Profile{i}.txt": b"0" * 30_000_000 for i in range(3)})
    with pytest.raises(CurveError, match="unpacks to more than 64 MB, which no scan does"):
        read_curve(put(tmp_path, ".rasx", bomb))


def test_no_entities(tmp_path):
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    for encoding in ("utf-8", "utf-16"):
        content = xrdml(head="").replace("<xrdMeasurements", laughs + "<xrdMeasurements", 1).encode(encoding)
        with pytest.raises(CurveError, match="the XML defines entities"):
            read_curve(put(tmp_path, ".xrdml", content))


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".uxd", uxd(uxd_scan()).replace("_START", "_BEGIN"), "_START or _STEPSIZE is missing"),
        (".uxd", uxd(uxd_scan()).replace("_STEPCOUNT=120", "_STEPCOUNT=121"), "scan 1: 120 of 121 points are there"),
        (".uxd", uxd(uxd_scan(x=OMEGA, marker="_2THETACOUNTS")) + "1\n", r"line \d+: 1 values; angle and intensity"),
        (".udf", udf().replace("/\n", "\n")[:-1], "does not end with a slash"),
        (".udf", udf().replace("ScanStepSize", "Step"), "DataAngleRange or ScanStepSize is missing"),
        (".udf", udf(Y[:100]).replace("RawScan\n", "RawScan\n1, 2, 3,\n"), "103 points do not fill"),
        (".nja", nja(nja_scan()).replace("NoValues=120", "NoValues=121"), "120 of 121 points are there"),
        (".nja", nja(nja_scan()).replace("#Values\n&NoValues=120\n", "#Values\n&NoValues=120\n1 2 3\n"), "3 values"),
        (".spec", spec(spec_scan().replace("#L ", "#X ")), "there are no columns named in #L"),
        (".spec", spec(spec_scan() + "1 2 3\n"), "3 values for 5 columns"),
        (".csv", panalytical_csv(csv_scan().replace("Intensity", "Phase")), "names no columns Angle and Intensity"),
        (".raw", raw3()[:-40], "scan 1: 110 of 120 points are there"),
        (".raw", raw4()[:-40], "scan 1: 110 of 120 points are there"),
        (".raw", raw2()[:300], "scan 1: (the file ends|0 of 120)"),
        (".raw", raw1(np.full(POINTS, np.nan)), "scan 1, point 1: nan is no finite number"),
        (".raw", b"nothing", "this is no .raw file of Bruker"),
        (".nxs", b"\x89HDF\r\n\x1a\n" + bytes(100), "this is no complete HDF5 file"),
        (".nxs", nexus((OMEGA, np.where(ROW == 3, np.nan, Y))), "scan 1, point 4: nan is no finite number"),
        (".rasx", rasx(("1 2 3 4\n", "<x/>")), r"Profile0.txt, line 1: 4 columns; angle, intensity"),
    ],
)
def test_faults(tmp_path, suffix, content, message):
    with pytest.raises(CurveError, match=rf"curve\{suffix}.*{message}"):
        read_curve(put(tmp_path, suffix, content))


def test_columns_of_spec(tmp_path):
    file = put(tmp_path, ".spec", spec())
    near(read_curve(file, columns=(1, 5)))
    with pytest.raises(CurveError, match="there is no column 6"):
        read_curve(file, columns=(1, 6))
    with pytest.raises(CurveError, match="says which of its columns are angle and intensity; leave out --columns"):
        read_curve(put(tmp_path, ".ras", ras()), columns=(1, 2))


@pytest.mark.parametrize("suffix", FILES)
def test_damaged_files_end_in_a_message(tmp_path, suffix):
    """Truncated anywhere and with flipped bytes, a file is read or refused, never more."""
    content = FILES[suffix]()
    content = content.encode() if isinstance(content, str) else content
    rng = np.random.default_rng(len(suffix))
    few = suffix == ".nxs"  # a process for each
    damaged = [content[: int(size)] for size in rng.integers(0, len(content), 2 if few else 12)]
    for _ in range(3 if few else 25):
        flipped = bytearray(content)
        for place in rng.integers(0, len(content), int(rng.integers(1, 8))):
            flipped[place] = int(rng.integers(0, 256))
        damaged.append(bytes(flipped))
    for each in damaged:
        message, curve = "", None
        try:
            curve = read_curve(put(tmp_path, suffix, each))
        except CurveError as error:
            message = str(error)
        assert curve is None or np.isfinite([curve.angle, curve.intensity]).all()
        assert curve is not None or ("curve" in message and "\n" not in message)
