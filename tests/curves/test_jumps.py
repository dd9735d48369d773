"""Steps of attenuators and hot pixels are found; flanks, fringes and noise are neither."""

import numpy as np
import pytest
from diffractometers import ANGLE, POINTS, ROW, Y, put

from xrdsim.curves.curve import Curve, read_curve
from xrdsim.curves.jumps import find_hot, find_jumps, undone
from xrdsim.curves.peak import find_peak
from xrdsim.curves.sides import layer_side
from xrdsim.errors import CurveError, ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.forward.model import simulate
from xrdsim.forward.prior import draw_prior

SCANS = (Scan(-80.0, 4.018, 701), Scan(-120.0, 2.0, 600), Scan(-300.0, 10.0, 320))


@pytest.fixture(scope="module")
def curves():
    """(angle, counts) of 24 profiles, several instruments, scans and counting times."""
    rng = np.random.default_rng(1)
    profiles = draw_prior(24, rng=rng)
    made = []
    for fwhm in (5.0, 30.0, 90.0):
        for scan in SCANS:
            seen = simulate(profiles, fwhm=fwhm, scan=scan, background=1e-4).intensity
            made += [(scan.angle, rng.poisson(level * y).astype(float)) for level in (3e3, 1e6) for y in seen]
    return made


def read(tmp_path, x, y, **more):
    return read_curve(put(tmp_path, ".xy", "".join(f"{a:.12g} {b:.12g}\n" for a, b in zip(x, y, strict=True))), **more)


def test_no_false_alarms(curves):
    """Of 432 curves."""
    assert sum(bool(find_jumps(y, 1.0)) for _, y in curves) <= 2
    assert sum(bool(find_jumps(y, None)) for _, y in curves) <= 4
    assert sum(bool(find_hot(y, 1.0)) for x, y in curves if x[1] - x[0] < 10.0) == 0


@pytest.mark.parametrize("fwhm", [0.0, 3.0, 12.0])
@pytest.mark.parametrize("step", [0.5, 1.0, 2.0, 4.0])
def test_no_false_alarms_at_the_edges_of_a_perfect_crystal(fwhm, step):
    """Total reflection over 10″ without absorption, R = (|η| − √(η² − 1))² beyond."""
    x = np.arange(-200.0, 400.0, step)
    eta = np.maximum(np.abs(x) / 5.0, 1.0)
    y = (eta - np.sqrt(eta**2 - 1.0)) ** 2
    if fwhm > 0.0:
        seen = np.exp(-4.0 * np.log(2.0) * (x / fwhm) ** 2)[np.abs(x) <= 3.0 * fwhm]
        y = np.convolve(y, seen / seen.sum(), mode="same")
    assert find_jumps(y + 1e-6, 1e-6) == []
    assert find_hot(y + 1e-6, 1e-6) == []


@pytest.mark.parametrize("factor", [5.0, 20.0, 100.0])
def test_attenuators_left_in_are_found(curves, factor):
    tried, both = 0, 0
    for x, y in curves:
        left_in = np.where(np.abs(x) < 30.0, np.rint(y / factor), y)
        if x[1] - x[0] > 3.0 or left_in[np.abs(x) < 30.0].min() < 30.0:
            continue  # too few counts behind the attenuator
        jumps = find_jumps(left_in, 1.0)
        assert 1 <= len(jumps) <= 2
        tried += 1
        both += len(jumps) == 2
        for _, found in jumps:
            assert factor / 2.0 < max(found, 1.0 / found) < 2.0 * factor
        if len(jumps) == 2:
            whole = undone(left_in, jumps)
            assert abs(x[int(np.argmax(whole))]) <= 30.0
    assert tried >= 10
    assert both >= 0.9 * tried


def test_a_jump_is_said_and_recorded(tmp_path):
    noisy = np.random.default_rng(2).poisson(Y + 200.0).astype(float)
    assert read(tmp_path, ANGLE, noisy).jumps == ()
    for x, sign in ((ANGLE, 1), (25.53 - ANGLE / 3600.0, -1)):
        ((angle, factor),) = read(tmp_path, x, np.where(ROW > 60, 10.0 * noisy, noisy)).jumps
        assert angle == pytest.approx(162.0, abs=0.01)
        assert factor == pytest.approx(10.0, rel=0.3)
        note = read(tmp_path, x, np.where(ROW > 60, 10.0 * noisy, noisy)).note
        assert "at 162 arcsec, as of an attenuator that was not corrected" in note, sign


def test_hot_pixels_are_left_out(tmp_path):
    noisy = np.random.default_rng(2).poisson(Y + 100.0).astype(float)
    for at, height in ((45, 900.0), (100, 5000.0), (115, 1e6)):
        y = noisy.copy()
        y[at] = height
        curve = read(tmp_path, ANGLE, y)
        assert curve.angle.size == POINTS - 1
        assert "1 single points that stand out left out" in curve.note
    many = noisy.copy()
    many[50::8] *= 20.0  # a comb is no hot pixel
    assert read(tmp_path, ANGLE, many).angle.size == POINTS


def test_a_scan_that_begins_after_the_peak_is_refused(tmp_path, curves):
    refused, all_of = 0, 0
    for x, y in curves[::7]:
        kept = x > 95.0
        all_of += 1
        try:
            read(tmp_path, x[kept], y[kept])
        except CurveError as error:
            refused += 1
            assert any(word in str(error) for word in ("--peak", "--axis", "too few"))  # noqa: PT017
    assert refused >= 0.9 * all_of


def test_few_whole_scans_are_refused(curves):
    """A layer that is nearly as high as the substrate peak cannot be told from it."""
    refused = 0
    for x, y in curves:
        try:
            find_peak(x, y, "curve")
        except CurveError:
            refused += 1
    assert refused <= 0.03 * len(curves)


def test_the_side_of_the_fringes(curves):
    found = [layer_side(x, y, int(np.abs(x).argmin()), 1.0, 30) for x, y in curves]
    assert -1 not in found
    mirrored = [layer_side(-x[::-1], y[::-1], x.size - 1 - int(np.abs(x).argmin()), 1.0, 30) for x, y in curves]
    assert mirrored == [-side for side in found]
    assert np.mean(np.abs(found)) > 0.8


def test_a_mirrored_axis_is_taken_so(tmp_path, curves):
    x, y = next((x, y) for x, y in curves if x[0] == -300.0 and y.max() > 1e4)
    kept = x < 1500.0
    straight, mirrored = read(tmp_path, x[kept], y[kept]), read(tmp_path, -x[kept], y[kept])
    np.testing.assert_allclose(mirrored.angle, straight.angle)
    np.testing.assert_array_equal(mirrored.intensity, straight.intensity)
    assert "the fringes lie at lower angles, so the axis is mirrored" in mirrored.note
    assert "mirrored" not in straight.note
    np.testing.assert_allclose(read(tmp_path, -x[kept], y[kept], axis="relative-reversed").angle, straight.angle)
    assert read(tmp_path, -x[kept], y[kept], axis="relative").angle[0] < -1000.0


@pytest.mark.parametrize(
    ("x", "peak", "options"),
    [
        (ANGLE, "0arcsec", {}),
        (ANGLE + 500.0, "500 arcsec", {"axis": "relative"}),
        (25.53 - ANGLE / 3600.0, "25.53deg", {}),
        (25.53 - ANGLE / 3600.0, "25530mdeg", {}),
        (33.0 - ANGLE / 3600.0, "33deg", {"axis": "omega"}),
    ],
)
@pytest.mark.parametrize("kept", [slice(None), slice(40, None)])
def test_the_peak_by_its_angle(tmp_path, x, peak, options, kept):
    curve = read(tmp_path, x[kept], Y[kept], peak=peak, **options)
    np.testing.assert_allclose(curve.angle, ANGLE[kept], atol=1e-3)
    assert curve.peak_index == np.abs(ANGLE[kept]).argmin()
    assert "the substrate peak at" in curve.note


def test_the_peak_by_its_angle_without_angles(tmp_path):
    file = put(tmp_path, ".xy", "\n".join(map(str, Y)))
    np.testing.assert_allclose(read_curve(file, step=4.0, peak="80arcsec").angle, ANGLE)
    assert read_curve(file, step=4.0, peak="20").peak_index == 20
    for peak in ("", "here", "25.4", "12 parsec"):
        with pytest.raises(ParameterError, match="give its row, or its angle with a unit"):
            read_curve(file, peak=peak)


def test_dark_subtracted_intensities_are_taken_as_they_are(tmp_path):
    rng = np.random.default_rng(4)
    y = rng.poisson(Y + 30.0) - 50.3
    assert (y < 0.0).sum() > 10
    curve = read(tmp_path, ANGLE, y)
    np.testing.assert_allclose(curve.intensity, y)
    assert curve.per_count is None
    assert f"{(y < 0.0).sum()} negative points taken as they are" in curve.note
    dropped = read(tmp_path, ANGLE, y, drop_negative=True)
    assert dropped.angle.size == (y >= 0.0).sum()
    assert f"{np.mean(y < 0.0):.2g} of all, which raises what is left" in dropped.note
    y[50] = -400.0
    with pytest.raises(CurveError, match=r"line 51: the intensity -400 is negative; .*--drop-negative"):
        read(tmp_path, ANGLE, y)
    whole = rng.poisson(Y) - 25.0  # a whole dark count
    assert read(tmp_path, ANGLE, whole).per_count is None


def test_records_without_more_state_nothing():
    curve = Curve(ANGLE, Y, 20)
    assert (curve.jumps, str(curve.stated), curve.stated.hkl) == ((), "", None)


def test_long_scans_are_read_fast(tmp_path):
    import time

    x = np.arange(100_000) * 0.03 - 300.0
    y = np.random.default_rng(1).poisson(
        1e4 * np.exp(-((x / 20.0) ** 2)) + 30.0 + 100.0 * np.exp(-(((x - 900) / 99) ** 2))
    )
    file = put(tmp_path, ".xy", "".join(f"{a:.3f} {b}\n" for a, b in zip(x, y, strict=True)))
    best = np.inf
    for _ in range(3):
        begun = time.perf_counter()
        curve = read_curve(file)
        best = min(best, time.perf_counter() - begun)
    assert curve.angle.size == 100_000
    assert best < 3.0  # under 1 s where nothing else runs
