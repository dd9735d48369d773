"""Files of diffractometers: the same scan in every format and unit gives the same curve."""

import re

import numpy as np
import pytest
from diffractometers import (
    ANGLE,
    ATTENUATOR,
    OMEGA,
    POINTS,
    ROW,
    WRITERS,
    Y,
    brml,
    brml_route,
    check,
    put,
    ras,
    ras_scan,
    xrdml,
    xrdml_scan,
)

from xrdsim.curves.curve import list_scans, read_curve
from xrdsim.errors import CurveError, ParameterError


@pytest.mark.parametrize("suffix", WRITERS)
def test_one_scan_of_every_format(tmp_path, suffix):
    for name in (suffix, suffix.upper()):
        curve = read_curve(put(tmp_path, name, WRITERS[suffix][0]()))
        check(curve)
        for part in ("scan 1 (", f"{suffix[1:].upper()} file", "in counts", "omega in deg", "row 20"):
            assert part in curve.note
        assert curve.note.count("\n") == 0


@pytest.mark.parametrize("version", ["1.0", "1.3", "1.5", "2.0", "2.1", "2.3", ""])
def test_versions_of_xrdml(tmp_path, version):
    check(read_curve(put(tmp_path, ".xrdml", xrdml(version=version))))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_of_xrdml(tmp_path, encoding):
    check(read_curve(put(tmp_path, ".xrdml", xrdml(head="").encode(encoding))))


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize(
    ("axis", "omega", "two", "kind"),
    [
        ("Omega", OMEGA, 51.06, "omega"),
        ("Omega-2Theta", OMEGA, 2.0 * OMEGA - 0.4, "omega"),
        ("2Theta-Omega", OMEGA, 2.0 * OMEGA - 0.4, "2theta"),
        ("Gonio", OMEGA, 2.0 * OMEGA, "2theta"),
        ("2Theta-Omega", 25.53, 2.0 * OMEGA, "2theta"),
        ("", OMEGA, 2.0 * OMEGA, "2theta"),
    ],
)
def test_axes_of_xrdml(tmp_path, axis, omega, two, kind, ends):
    for rows in (slice(None), slice(None, None, -1)):
        at = [x[rows] if np.size(x) > 1 else x for x in (omega, two)]
        scan = xrdml_scan(Y[rows], axis=axis, omega=at[0], two=at[1], ends=ends)
        curve = read_curve(put(tmp_path, ".xrdml", xrdml(scan)))
        check(curve)
        assert f"angle taken as {kind} in deg" in curve.note


@pytest.mark.parametrize(
    ("name", "x", "kind"),
    [("Omega", OMEGA, "omega"), ("TwoThetaOmega", 2.0 * OMEGA, "2theta"), ("TwoThetaTheta", 2.0 * OMEGA, "2theta")],
)
def test_axes_of_ras(tmp_path, name, x, kind):
    curve = read_curve(put(tmp_path, ".ras", ras(ras_scan(x, MEAS_SCAN_AXIS_X_INTERNAL=name))))
    check(curve)
    assert f"angle taken as {kind} in deg" in curve.note


def test_any_reflection(tmp_path):
    for at in (14.2, 33.0, 60.7):
        check(read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(omega=OMEGA - 25.53 + at)))))


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ras_with_japanese_names(tmp_path, encoding, end):
    scan = ras_scan(2.0 * OMEGA, end=end, MEAS_SCAN_AXIS_X="2θ/ω", MEAS_SCAN_AXIS_X_INTERNAL="")
    check(read_curve(put(tmp_path, ".ras", ras(scan, end=end).encode(encoding))))


def test_axes_of_brml(tmp_path):
    curve = read_curve(put(tmp_path, ".brml", brml(brml_route(two=2.0 * OMEGA, name="TwoThetaOmegaScan"))))
    check(curve)
    assert "(TwoThetaOmegaScan)" in curve.note
    assert "angle taken as 2theta in deg" in curve.note


def test_drives_that_tremble(tmp_path):
    noise = 1e-5 * np.random.default_rng(2).standard_normal(POINTS)
    check(read_curve(put(tmp_path, ".brml", brml(brml_route(two=51.06 + noise)))))
    check(read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(axis="", two=51.06 + noise, ends=False)))))
    with pytest.raises(CurveError, match="is taken for no rocking curve"):
        read_curve(put(tmp_path, ".brml", brml(brml_route(theta=25.53 + noise, two=2.0 * OMEGA, name="2Theta"))))


def test_scans_that_do_not_turn_the_crystal(tmp_path):
    files = [
        put(tmp_path, ".xrdml", xrdml(xrdml_scan(axis="2Theta", omega=25.53, two=2.0 * OMEGA))),
        put(tmp_path, ".ras", ras(ras_scan(2.0 * OMEGA, MEAS_SCAN_AXIS_X_INTERNAL="TwoTheta"))),
        put(tmp_path, ".brml", brml(brml_route(theta=25.53, two=2.0 * OMEGA, name="2Theta"))),
    ]
    for file in files:
        with pytest.raises(
            CurveError, match=rf"curve\{file.suffix}: a scan of \w+ is taken for no rocking curve; say --axis"
        ):
            read_curve(file)
        check(read_curve(file, axis="2theta"))


def test_attenuated_counts_are_multiplied(tmp_path):
    counted = np.rint(Y / ATTENUATOR)
    curve = read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(counted, factor=ATTENUATOR))))
    check(curve, intensity=counted * ATTENUATOR, per_count=ATTENUATOR)
    np.testing.assert_allclose(curve.counts, counted, atol=1e-6)
    assert "attenuation factors 1 … 131.3 applied" in curve.note
    assert not curve.per_count.flags.writeable
    check(read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(factor=10.0)))), intensity=10.0 * Y, per_count=10.0)


def test_intensities_contain_the_attenuation(tmp_path):
    counted = np.rint(Y / ATTENUATOR)
    exact = counted * ATTENUATOR
    for file, stored in (
        (
            put(tmp_path, ".xrdml", xrdml(xrdml_scan(np.rint(exact), tag="intensities", factor=ATTENUATOR))),
            np.rint(exact),
        ),
        (put(tmp_path, ".brml", brml(brml_route(exact, factor=ATTENUATOR))), exact),
    ):
        curve = read_curve(file)
        check(curve, intensity=stored, per_count=ATTENUATOR)
        np.testing.assert_array_equal(np.rint(curve.counts), counted)
        assert "attenuation factors 1 … 131.3 contained" in curve.note


def test_ras_is_read_so_that_the_curve_goes_on(tmp_path):
    counted = np.rint(Y / ATTENUATOR)
    for stored, word in ((counted, "applied"), (counted * ATTENUATOR, "contained")):
        curve = read_curve(put(tmp_path, ".ras", ras(ras_scan(y=stored, factor=ATTENUATOR))))
        check(curve, intensity=counted * ATTENUATOR, per_count=ATTENUATOR)
        assert f"attenuation factors 1 … 131.3 {word}" in curve.note


def test_counts_per_second(tmp_path):
    for file in (
        put(tmp_path, ".xrdml", xrdml(xrdml_scan(Y / 2.0, tag="intensities", unit="cps"))),
        put(tmp_path, ".ras", ras(ras_scan(y=Y / 2.0, MEAS_SCAN_UNIT_Y="cps"))),
        put(
            tmp_path,
            ".ras",
            ras(ras_scan(y=Y / 2.0, MEAS_SCAN_UNIT_Y="cps", MEAS_SCAN_SPEED_UNIT="sec", MEAS_SCAN_SPEED=2)),
        ),
    ):
        curve = read_curve(file)
        check(curve, intensity=Y / 2.0, per_count=0.5)
        np.testing.assert_allclose(curve.counts, Y, rtol=1e-6)
        assert "in counts per second" in curve.note
    check(
        read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(Y / 2.0, unit="cps", time=None)))),
        intensity=Y / 2.0,
        per_count=None,
    )


def test_counting_times_that_change(tmp_path):
    time = np.where(ROW > 60, 10.0, 1.0)
    for file in (
        put(tmp_path, ".xrdml", xrdml(xrdml_scan(Y * time, time=time))),
        put(tmp_path, ".brml", brml(brml_route(Y * time, time=time))),
    ):
        curve = read_curve(file)
        check(curve, per_count=1.0 / time)
        np.testing.assert_allclose(curve.counts, Y * time)
        assert "in counts per second, from counts in 1 … 10 s" in curve.note


def test_counts_that_are_none(tmp_path):
    curve = read_curve(put(tmp_path, ".ras", ras(ras_scan(y=Y / 3.0))))
    np.testing.assert_allclose(curve.intensity, Y / 3.0, atol=1e-4)
    assert curve.per_count is None
    assert curve.counts is None
    assert "in counts, which are not whole counts" in curve.note


@pytest.mark.parametrize("suffix", WRITERS)
def test_several_scans(tmp_path, suffix):
    whole, scan = WRITERS[suffix]
    file = put(tmp_path, suffix, whole(scan(), scan(y=2.0 * Y), scan(y=3.0 * Y)))
    listed = list_scans(file)
    assert [row[0] for row in listed] == ["1", "2", "3"]
    assert re.fullmatch(r"2: (Omega|RockingScan) 25\.\d+ … 25\.\d+ deg, 120 points, [12] s a point", listed[1])
    with pytest.raises(
        CurveError, match=r"curve\.\w+: the file holds 3 scans; choose one with --number N: 1: .*; 2: .*; 3: "
    ):
        read_curve(file)
    for number in (1, 2, 3):
        curve = read_curve(file, number=number)
        check(curve, intensity=number * Y)
        assert f"scan {number} (" in curve.note
    for number in (0, 4, -1):
        with pytest.raises(CurveError, match=rf"there is no scan {number}; give --number as one of 1 … 3: 1: "):
            read_curve(file, number=number)


def test_long_lists_are_cut(tmp_path):
    with pytest.raises(CurveError, match=r"holds 12 scans; .*; 8: [^;]*; …$"):
        read_curve(put(tmp_path, ".xrdml", xrdml(*12 * [xrdml_scan()])))


def test_text_is_one_scan(tmp_path):
    file = put(tmp_path, ".xy", "\n".join(f"{a} {y}" for a, y in zip(ANGLE, Y, strict=True)))
    assert list_scans(file) == ["1: -80 … 396, 120 points"]
    assert read_curve(file, number=1).angle.size == POINTS
    with pytest.raises(CurveError, match="there is no scan 2; give --number as one of 1 … 1"):
        read_curve(file, number=2)
    assert list_scans(put(tmp_path, ".txt", "\n".join(map(str, Y)))) == ["1: arcsec, 120 points"]


def test_other_drives_do_not_stand_in_the_way(tmp_path):
    noise = 1e-5 * np.random.default_rng(2).standard_normal(POINTS)
    phi = xrdml_scan(axis="Phi", omega=25.53 + noise, phi=3.0 * ROW, ends=False)
    file = put(tmp_path, ".xrdml", xrdml(phi, xrdml_scan()))
    assert list_scans(file)[0] == "1: Phi 0 … 357 deg, 120 points, 2 s a point"
    check(read_curve(file, number=2))
    with pytest.raises(CurveError, match="a scan of Phi is taken for no rocking curve"):
        read_curve(file, number=1)
    check(read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(phi=3.0 * ROW)))))


def test_only_measured_routes_of_brml(tmp_path):
    check(read_curve(put(tmp_path, ".brml", brml(brml_route() + brml_route(5.0 * Y, flag="Final")))))


def test_overrides(tmp_path):
    file = put(tmp_path, ".xrdml", xrdml())
    check(read_curve(file, axis="2theta"), ANGLE / 2.0)
    check(read_curve(file, unit="arcsec"), ANGLE / 3600.0)
    check(read_curve(file, peak=30), ANGLE - 40.0, peak=30)
    with pytest.raises(CurveError, match="has an angle column; leave out --step"):
        read_curve(file, step=4.0)


def test_what_a_count_is_can_be_said(tmp_path):
    text = put(tmp_path, ".xy", "\n".join(f"{a} {0.25 * (y + 1.0)}" for a, y in zip(ANGLE, Y, strict=True)))
    assert read_curve(text).per_count is None
    curve = read_curve(text, per_count=0.25, offset=1.0)
    assert (curve.per_count, curve.offset) == (0.25, 1.0)
    np.testing.assert_allclose(curve.counts, Y)
    curve = read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(factor=ATTENUATOR))), per_count=2.0)
    assert curve.per_count == 2.0


@pytest.mark.parametrize("per_count", [0.0, -1.0, np.nan, np.inf])
def test_no_count_without_meaning(tmp_path, per_count):
    with pytest.raises(ParameterError, match=r"per_count is .*; the intensity of one count must be positive"):
        read_curve(put(tmp_path, ".xrdml", xrdml()), per_count=per_count)
    with pytest.raises(ParameterError, match="the offset is nan counts; it must be finite"):
        read_curve(put(tmp_path, ".xrdml", xrdml()), offset=np.nan)


def test_dropped_points_take_their_counts_along(tmp_path):
    y, time = Y.copy(), np.where(ROW > 60, 10.0, 1.0)
    y[90] = -3.0
    file = put(tmp_path, ".xrdml", xrdml(xrdml_scan(y * time, time=time)))
    with pytest.raises(CurveError, match=r"point 91: the intensity -3 is negative; .*--drop-negative"):
        read_curve(file)
    curve = read_curve(file, drop_negative=True)
    np.testing.assert_allclose(curve.counts, np.delete(Y * time, 90))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_xrayutilities_reads_the_same(tmp_path):
    io = pytest.importorskip("xrayutilities").io
    counted = np.rint(Y / ATTENUATOR)
    scan = xrdml_scan(counted, axis="2Theta-Omega", two=2.0 * OMEGA, factor=ATTENUATOR)
    file = put(tmp_path, ".xrdml", xrdml(scan))
    found = io.XRDMLFile(str(file)).scan
    np.testing.assert_allclose(found.scanmot, 2.0 * OMEGA, atol=1e-8)
    np.testing.assert_allclose(2.0 * found.int, read_curve(file).intensity)
    found = io.RASFile(str(put(tmp_path, ".ras", ras()))).scan.data
    np.testing.assert_allclose(found["Omega"], OMEGA, atol=1e-7)
    np.testing.assert_allclose(found["int"], Y)
