"""What measurement and transfer do to a file: it is read with a note, or refused with the place."""

import re

import numpy as np
import pytest
from diffractometers import (
    ANGLE,
    ATTENUATOR,
    OMEGA,
    POINTS,
    ROW,
    SCHEMA,
    WRITERS,
    Y,
    archive,
    brml,
    brml_route,
    check,
    put,
    ras,
    ras_scan,
    xrdml,
    xrdml_scan,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdsim.curves.curve import list_scans, read_curve
from xrdsim.errors import CurveError


def test_unsorted_angles_are_sorted(tmp_path):
    order = np.random.default_rng(5).permutation(POINTS)
    time = np.where(ROW > 60, 10.0, 1.0)
    scan = xrdml_scan((Y * time)[order], omega=OMEGA[order], ends=False, time=time[order])
    check(read_curve(put(tmp_path, ".xrdml", xrdml(scan))), per_count=1.0 / time)
    check(read_curve(put(tmp_path, ".ras", ras(ras_scan(OMEGA[order], Y[order])))))
    check(read_curve(put(tmp_path, ".brml", brml(brml_route(Y[order], theta=OMEGA[order])))))


@pytest.mark.parametrize("suffix", WRITERS)
def test_duplicated_angles(tmp_path, suffix):
    whole, scan = WRITERS[suffix]
    x = OMEGA.copy()
    x[41] = x[40]
    more = {".xrdml": {"omega": x, "ends": False}, ".ras": {"x": x}, ".brml": {"theta": x}}[suffix]
    place = "line 56" if suffix == ".ras" else "point 42"
    with pytest.raises(CurveError, match=rf"curve\{suffix}, {place}: the angle 25\.\d+ comes again; delete one"):
        read_curve(put(tmp_path, suffix, whole(scan(**more))))


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("value", ["NaN", "inf", "1e999", "12,5x", "--"])
def test_values_that_are_no_numbers(tmp_path, suffix, value):
    y = Y.copy()
    y[30] = 7777.0
    whole, scan = WRITERS[suffix]
    content = whole(scan(y=y))
    if suffix == ".brml":
        content = brml(brml_route(y).replace(",7777<", f",{value.replace(',', '.')}<"))
    else:
        content = content.replace("7777.0000" if suffix == ".ras" else "7777", value)
    place = {".ras": "line 45", ".xrdml": "scan 1, point 31", ".brml": "scan 1, point 31"}[suffix]
    with pytest.raises(CurveError, match=rf"curve\{suffix}, {place}: '[^']+' is no finite number; correct it"):
        read_curve(put(tmp_path, suffix, content))


def test_a_gap_is_refused(tmp_path):
    kept = np.delete(ROW, np.arange(80, 92))
    text = "\n".join(f"{a} {y}" for a, y in zip(ANGLE[kept], Y[kept], strict=True))
    for suffix, content, place in (
        (".xy", text, "line 81: no points between 236 and 288, 13 steps"),
        (".ras", ras(ras_scan(OMEGA[kept], Y[kept])), r"line 94: no points between 25\.\d+ and 25\.\d+, 13 steps"),
        (".xrdml", xrdml(xrdml_scan(Y[kept], omega=OMEGA[kept], ends=False)), r"point 80: no points between 25\.\d+"),
    ):
        with pytest.raises(CurveError, match=rf"curve\{suffix}, {place}.*; cut the file there or measure it again"):
            read_curve(put(tmp_path, suffix, content))


def test_lost_points_are_noted(tmp_path):
    kept = np.delete(ROW, [50, 51, 90])
    curve = read_curve(put(tmp_path, ".ras", ras(ras_scan(OMEGA[kept], Y[kept]))))
    check(curve, ANGLE[kept], Y[kept])
    assert "step 4 arcsec, irregular, with steps of 4 … 12 arcsec" in curve.note


def test_steps_may_change(tmp_path):
    kept = np.r_[0:60, 60:POINTS:3]
    far = np.where(kept < 60, ANGLE[kept], 240.0 + 80.0 * (np.arange(kept.size) - 60))
    curve = read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(Y[kept], omega=25.53 - far / 3600.0, ends=False))))
    check(curve, far, Y[kept])
    assert "irregular, with steps of 4 … 84 arcsec" in curve.note


def test_a_saturated_peak_is_noted(tmp_path):
    y = np.minimum(Y, 8e4)
    flat = int(np.sum(y == 8e4))
    for suffix, (whole, scan) in WRITERS.items():
        curve = read_curve(put(tmp_path, suffix, whole(scan(y=y))))
        check(curve, intensity=y)
        assert f"the peak flat over {flat} points, as of a saturated detector" in curve.note
    assert "saturated" not in read_curve(put(tmp_path, ".xrdml", xrdml())).note


def test_an_aborted_scan_is_noted(tmp_path):
    curve = read_curve(put(tmp_path, ".xrdml", xrdml(xrdml_scan(status="Aborted"))))
    assert "the scan is marked 'Aborted'" in curve.note


@pytest.mark.parametrize("suffix", WRITERS)
def test_truncated_files(tmp_path, suffix):
    content = WRITERS[suffix][0]()
    content = content if isinstance(content, bytes) else content.encode()
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(CurveError, match=rf"curve\{suffix}(, .*)?: .*(copy|export)"):
            read_curve(put(tmp_path, suffix, content[: int(part * len(content))]))


def test_lost_lines_of_ras(tmp_path):
    rows = ras().split("\n")
    with pytest.raises(CurveError, match=r"curve.ras, scan 1: 110 of 120 points are there; copy or export"):
        read_curve(put(tmp_path, ".ras", "\n".join(rows[:40] + rows[50:])))
    with pytest.raises(CurveError, match=r"line \d+: the scan does not end with \*RAS_INT_END"):
        read_curve(put(tmp_path, ".ras", "\n".join(row for row in rows if row != "*RAS_INT_END")))


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"  \n",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00",
        bytes(range(256)) * 9,
        b"PK\x03\x04" + bytes(60),
        "\n".join(f"{a} {y}" for a, y in zip(ANGLE, Y, strict=True)).encode(),
        b"<html><body>404 not found</body></html>",
    ],
)
def test_files_of_another_kind(tmp_path, suffix, content):
    with pytest.raises(CurveError, match=rf"curve\{suffix}(, line \d+)?: .*(copy|export)"):
        read_curve(put(tmp_path, suffix, content))


def test_the_content_decides_what_a_file_is(tmp_path):
    for name in (".txt", ".xy", ".dat", *WRITERS):
        for whole, _ in WRITERS.values():
            check(read_curve(put(tmp_path, name, whole())))
    with pytest.raises(CurveError, match=r"this is a zip archive without a scan, neither \.brml nor \.rasx, not text"):
        read_curve(put(tmp_path, ".xy", archive({"readme.txt": b"nothing"})))
    for content in (b"FI\x00\x00" + bytes(900), b"RAW_1.06" + bytes(900), b"RAW9.00" + bytes(900)):
        with pytest.raises(
            CurveError, match=r"curve.raw: this is a binary .raw file, not text, and none of .* export the scan as .xy"
        ):
            read_curve(put(tmp_path, ".raw", content))


def test_files_without_a_scan(tmp_path):
    for suffix, content in (
        (".xrdml", f'<xrdMeasurements xmlns="{SCHEMA}/2.0"><xrdMeasurement /></xrdMeasurements>'),
        (".ras", "*RAS_DATA_START\n*RAS_DATA_END\n"),
        (".brml", brml("")),
    ):
        file = put(tmp_path, suffix, content)
        assert list_scans(file) == []
        with pytest.raises(CurveError, match="the file holds no scan"):
            read_curve(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xrdml().replace("xrdMeasurements", "xrdSettings"), "the XML holds <xrdSettings>, no <xrdMeasurements>"),
        (xrdml("<scan />"), "scan 1: there are no counts and no intensities"),
        (xrdml(xrdml_scan().replace("positions", "places")), "scan 1: there are no angles"),
        (xrdml(xrdml_scan(Y[:90], omega=OMEGA, ends=False)), "scan 1: 120 positions of Omega for 90 points"),
        (xrdml(xrdml_scan(time=np.ones(7))), "scan 1: 7 countingTimes for 120 points"),
        (xrdml(xrdml_scan(factor=ATTENUATOR[1:])), "scan 1: 119 beamAttenuationFactors for 120 points"),
        (xrdml(xrdml_scan(factor=0.0 * ATTENUATOR)), "scan 1, point 1: beamAttenuationFactors 0 is not positive"),
        (xrdml(xrdml_scan(time=-1.0)), "scan 1, point 1: commonCountingTime -1 is not positive"),
        (xrdml(xrdml_scan().replace('"deg"', '"mm"')), "scan 1: the unit of the angles is 'mm'"),
        (xrdml(xrdml_scan(unit="mV")), "scan 1: the unit of the intensities is 'mV'"),
        (xrdml(xrdml_scan(extra="<divergenceCorrections>1 2</divergenceCorrections>")), "the divergence slit moved"),
        (xrdml(xrdml_scan([])), "0 points are too few"),
        (xrdml(xrdml_scan(Y[:30], omega=OMEGA[:30])), "30 points are too few"),
        (xrdml(head='<?xml version="1.0" encoding="klingon"?>'), "no complete XML|encoding of the XML is unknown"),
    ],
)
def test_faults_of_xrdml(tmp_path, content, message):
    with pytest.raises(CurveError, match=rf"curve\.xrdml.*({message})"):
        read_curve(put(tmp_path, ".xrdml", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ras(ras_scan(factor=np.zeros(POINTS))), "line 15: the attenuation factor 0 is not positive"),
        (ras().replace(" 1.0000\n", " 1 2 3\n", 1), "line 15: 5 columns; angle, intensity and attenuation factor"),
        (ras(ras_scan(MEAS_SCAN_UNIT_X="Å")), "scan 1: the unit of the angles is 'Å'"),
        (ras(ras_scan(MEAS_SCAN_AXIS_X="", MEAS_SCAN_AXIS_X_INTERNAL="")), "a scan of an axis without a name"),
    ],
)
def test_faults_of_ras(tmp_path, content, message):
    with pytest.raises(CurveError, match=rf"curve\.ras.*{message}"):
        read_curve(put(tmp_path, ".ras", content))


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (brml_route(width=1280), "scan 1: 1280 channels of a line detector at every point; export"),
        (brml_route().replace("<Datum>1,1,", "<Datum>1,", 1), "scan 1, point 1: 5 values of 6 are there; copy"),
        (brml_route().replace("RawDataView", "View"), "scan 1: there are no angles or no counts"),
        (brml_route(factor=0.0), "scan 1, point 1: AbsorptionFactor 0 is not positive"),
        ("<DataRoute", r"RawData0.xml, line 1: this is no complete XML"),
        (brml_route([], theta=1.0), "0 points are too few"),
    ],
)
def test_faults_of_brml(tmp_path, route, message):
    with pytest.raises(CurveError, match=rf"curve\.brml.*{message}"):
        read_curve(put(tmp_path, ".brml", brml(route)))


PIECES = {
    ".xrdml": re.findall(r"<[^>]*>|[^<]+", xrdml(xrdml_scan(Y[:3], omega=OMEGA[:3], factor=ATTENUATOR[:3]))),
    ".ras": ras(ras_scan(OMEGA[:3], Y[:3])).split("\n"),
}


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(sorted(WRITERS)))
def test_no_file_ends_in_another_error(tmp_path_factory, data, suffix):
    file = tmp_path_factory.mktemp("any") / f"curve{suffix}"
    if suffix in PIECES and data.draw(st.booleans()):
        pieces = list(PIECES[suffix])
        i, j = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(pieces) - 1)])))
        pieces[i:j] = data.draw(st.lists(st.sampled_from(pieces) | st.text(max_size=9), max_size=3))
        content = ("\n" if suffix == ".ras" else "").join(pieces).encode()
    elif data.draw(st.booleans()):
        content = data.draw(st.binary(max_size=80))
    else:
        content = bytearray(brml(brml_route(Y[:5], theta=OMEGA[:5])))
        for _ in range(data.draw(st.integers(1, 9))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    with pytest.raises(CurveError, match="curve"):
        read_curve(file)
