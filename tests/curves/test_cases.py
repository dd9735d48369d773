"""Handed files that went wrong: each is read as it should be, or refused with the right words."""

from pathlib import Path

import numpy as np
import pytest

from xrdsim.curves.curve import list_scans, read_curve
from xrdsim.errors import CurveError

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the handed files are not at hand")


def read(name, **more):
    return read_curve(CASES / name, **more)


@pytest.mark.parametrize(
    ("name", "points", "peak", "per_count", "words"),
    [
        ("m01_si004_named_in_file.xrdml", 701, 0.0, 1.0, "Si 004"),
        ("m07_jump_x10.xy", 701, 0.0, None, "jumps by a factor of"),
        ("m09_kalpha2.xy", 701, 0.0, 1.0, "omega in deg"),
        ("m10_coarse_tail.xy", 434, 0.0, 1.0, "irregular, with steps of 4.018 … 12.05"),
        ("m12_counts_with_step_in_header.uxd", 701, 0.0, 1.0, "step 7.2 arcsec"),
        ("m13_dark_subtracted.xy", 701, 0.0, None, "negative points taken as they are"),
        ("m15_utf16.txt", 120, 0.0, 1.0, "relative in arcsec"),
        ("m16_header_number.txt", 120, 0.0, 1.0, "λ 1.5406 Å"),
        ("m17_panalytical.csv", 120, 0.0, 1.0, "2theta in deg"),
        ("m19_four_columns.dat", 120, 0.0, 1.0, "4-column"),
        ("m20_point_number_first.dat", 120, 0.0, 1.0, "3-column"),
        ("m24_rigaku.rasx", 120, 0.0, 1.0, "RASX"),
        ("m24b_rigaku_renamed.brml", 120, 0.0, 1.0, "RASX"),
        ("millidegrees.txt", 561, 0.0, 1.0, "relative in mdeg"),
        ("minus_side.xy", 561, 0.0, 1.0, "the axis is mirrored"),
        ("fine_steps.xy", 5600, 0.0, None, "step 0.5"),
    ],
)
def test_files_that_are_read(name, points, peak, per_count, words):
    curve = read(name)
    assert (curve.angle.size, curve.angle[curve.peak_index], curve.per_count) == (points, peak, per_count)
    assert words in curve.note
    assert curve.angle[-1] > 300.0  # the layer is on the positive side


def test_what_the_files_state():
    stated = read("m01_si004_named_in_file.xrdml").stated
    assert (stated.material, stated.hkl, stated.wavelength) == ("Si", (0, 0, 4), 1.540598)
    assert stated.omega == pytest.approx(34.56, abs=0.01)
    assert stated.two_theta == pytest.approx(69.13)
    assert read("m03_powder.xrdml").stated.kind == "coupled"


def test_jumps():
    (inside, down), (outside, up) = read("m06_attenuator_left_in.xy").jumps
    assert (inside, outside) == (pytest.approx(-38.2, abs=0.1), pytest.approx(38.2, abs=0.1))
    assert (1.0 / down, up) == (pytest.approx(100.0, rel=0.1), pytest.approx(100.0, rel=0.1))
    assert read("m06_attenuator_left_in.xy").angle[20] == 0.0  # the peak under the attenuator, not a fringe
    assert [round(angle) for angle, _ in read("m07_jump_x10.xy").jumps] == [199]


def test_the_attenuated_peak_has_its_height():
    curve = read("attenuator.ras")
    assert curve.jumps == ()
    assert "attenuation factors 1 … 9 applied" in curve.note
    assert set(np.unique(curve.per_count)) == {1.0, 9.0}


def test_a_scan_that_begins_after_the_peak():
    with pytest.raises(CurveError, match=r"looks like a fringe.*--peak"):
        read("m14_scan_begins_after_peak.xy")
    curve = read("m14_scan_begins_after_peak.xy", peak="0arcsec")
    assert (curve.angle[0], curve.peak_index) == (60.274, 0)


@pytest.mark.parametrize("name", ["m22_two_scans.xy", "two_scans.dat"])
def test_two_scans(name):
    assert len(list_scans(CASES / name)) == 2
    with pytest.raises(CurveError, match="the file holds 2 scans; choose one with --number"):
        read(name)
    for number in (1, 2):
        assert read(name, number=number).angle.size in (120, 561)


def test_only_the_frame_of_a_line_detector_is_refused():
    assert len(list_scans(CASES / "m25_one_psd_frame_hides_the_rest.brml")) == 2
    assert read("m25_one_psd_frame_hides_the_rest.brml", number=1).angle.size == 120
    with pytest.raises(CurveError, match="scan 2: 4 channels of a line detector"):
        read("m25_one_psd_frame_hides_the_rest.brml", number=2)
