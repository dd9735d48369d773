"""The measurement of stored curves: convolution against the simulator, resampling against known functions."""

import numpy as np
import pytest

from xrdsim import simulate
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward.prior import draw_prior
from xrdsim.observation.resample import narrowest_fwhm, observe, to_window

BASE = DEFAULT_SCAN.extended(150.0)


@pytest.fixture(scope="module")
def stored():
    params = draw_prior(6, rng=np.random.default_rng(3))
    return params, simulate(params, scan=BASE, fwhm=20.0).intensity.astype(np.float32)


def repeat(angle, n):
    return np.tile(angle, n), np.arange(n + 1) * len(angle)


@pytest.mark.parametrize("fwhm", [22.0, 25.0, 40.0, 80.0])
@pytest.mark.parametrize("zero", [-8.0, 0.0, 5.3])
def test_agrees_with_the_simulator(stored, fwhm, zero):
    params, curves = stored
    expected = simulate(params, fwhm=fwhm, zero=zero, scale=0.7, background=8e-5).intensity
    angles, offsets = repeat(DEFAULT_SCAN.angle, len(params))
    seen = observe(
        curves, BASE, 20.0, angles=angles, offsets=offsets, fwhm=fwhm, zero=zero, scale=0.7, background=8e-5
    ).reshape(expected.shape)
    off_peak = np.abs(DEFAULT_SCAN.angle) >= 48.0
    error = np.abs(np.log10(seen / expected))
    assert error[:, off_peak].max() < 1e-3
    assert error.max() < 2e-3


def test_samples_have_their_own_scan_and_instrument(stored):
    params, curves = stored
    scans = [np.linspace(-100.0, 900.0, 300), np.linspace(-60.0, 2700.0, 411), np.array([512.3])]
    offsets = np.cumsum([0, *map(len, scans)])
    fwhm, zero = np.array([30.0, 55.0, 70.0]), np.array([4.0, -3.0, 0.5])
    scale, background = np.array([1.0, 2.0, 0.3]), np.array([0.0, 1e-4, 5e-5])
    seen = observe(
        curves[:3],
        BASE,
        20.0,
        angles=np.concatenate(scans),
        offsets=offsets,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
    )
    for i, scan in enumerate(scans):
        grid = Scan(scan[0], scan[1] - scan[0] if len(scan) > 1 else 1.0, len(scan))
        alone = simulate(
            params[i], scan=grid, fwhm=fwhm[i], zero=zero[i], scale=scale[i], background=background[i]
        ).intensity[0]
        np.testing.assert_allclose(seen[offsets[i] : offsets[i + 1]], alone, rtol=3e-3)


def test_flat_curves_keep_their_norm_at_the_ends():
    flat = np.ones((1, BASE.points), dtype=np.float32)
    ends = np.array([BASE.start, 0.3, BASE.last])
    seen = observe(flat, BASE, 20.0, angles=ends, offsets=[0, 3], fwhm=80.0)
    np.testing.assert_allclose(seen, 1.0, rtol=1e-6)
    outside = observe(flat, BASE, 20.0, angles=[BASE.last + 10.0], offsets=[0, 1], fwhm=80.0)
    assert np.isnan(outside).all()


def test_refuses_what_it_cannot_make(stored):
    _, curves = stored
    one = {"angles": [100.0], "offsets": [0, 1]}
    with pytest.raises(ParameterError, match=r"fwhm = 20 arcsec .* at least 20\.89"):
        observe(curves[:1], BASE, 20.0, fwhm=20.0, **one)
    assert 20.0 < narrowest_fwhm(BASE, 20.0) < 25.0
    with pytest.raises(ParameterError, match="fwhm = nan"):
        observe(curves[:1], BASE, 20.0, fwhm=np.nan, **one)
    with pytest.raises(ParameterError, match="zero has the shape"):
        observe(curves[:1], BASE, 20.0, fwhm=30.0, zero=[0.0, 1.0], **one)
    with pytest.raises(ParameterError, match="701 points"):
        observe(curves[:1], DEFAULT_SCAN, 20.0, fwhm=30.0, **one)
    with pytest.raises(ParameterError, match="offsets"):
        observe(curves[:1], BASE, 20.0, fwhm=30.0, angles=[1.0, 2.0], offsets=[0, 1])


def test_window_returns_points_measured_on_it():
    intensity = 10.0 ** np.linspace(0.0, -5.0, DEFAULT_SCAN.points)
    seen = to_window(DEFAULT_SCAN.angle, intensity, [0, DEFAULT_SCAN.points], DEFAULT_SCAN, peak_mask=20.0)
    masked = np.abs(DEFAULT_SCAN.angle) < 20.0
    np.testing.assert_array_equal(seen.valid[0], ~masked)
    np.testing.assert_allclose(seen.log_intensity[0][~masked], np.log10(intensity)[~masked], atol=1e-9)
    assert np.all(seen.log_intensity[0][masked] == 0.0)


@pytest.mark.parametrize(("step", "tolerance"), [(1.3, 2e-4), (2.0, 2e-4), (3.9, 2e-4), (7.0, 1e-9), (10.0, 1e-9)])
def test_window_reproduces_an_exponential_at_any_step(step, tolerance):
    angle = np.arange(-150.0, 1400.0, step)
    seen = to_window(angle, 10.0 ** (-angle / 300.0), [0, len(angle)], DEFAULT_SCAN)
    grid = DEFAULT_SCAN.angle
    expected = (np.abs(grid) >= 48.0) & (grid >= angle[0]) & (grid <= angle[-1])
    np.testing.assert_array_equal(seen.valid[0], expected)
    np.testing.assert_allclose(seen.log_intensity[0][expected], (-grid / 300.0)[expected], atol=tolerance)


def test_finer_steps_use_all_counts():
    rng = np.random.default_rng(0)
    angle = np.arange(-150.0, 2700.0, 0.5)
    seen = to_window(angle, rng.poisson(100.0, len(angle)), [0, len(angle)], DEFAULT_SCAN)
    scatter = np.std(seen.log_intensity[0][seen.valid[0]]) * np.log(10.0)
    assert scatter < 0.045  # one point in eight would give 0.1


def test_missing_points_and_zero_counts():
    angle = np.arange(-100.0, 1500.0, 4.0)
    keep = (angle < 600.0) | (angle > 640.0)
    seen = to_window(angle[keep], np.where(angle[keep] > 1000.0, 0.0, 8.0), [0, keep.sum()], DEFAULT_SCAN)
    grid = DEFAULT_SCAN.angle
    assert not seen.valid[0][(grid > 597.0) & (grid < 643.0)].any()
    assert seen.valid[0][(grid > 500.0) & (grid < 596.0)].all()
    np.testing.assert_allclose(seen.log_intensity[0][(grid > 1010.0) & (grid < 1490.0)], np.log10(4.0))


def test_curves_without_counts_or_points_are_invalid():
    angle = np.arange(0.0, 400.0, 4.0)
    angles = np.concatenate([angle, angle, [5.0]])
    intensity = np.concatenate([np.zeros_like(angle), np.ones_like(angle), [1.0]])
    seen = to_window(angles, intensity, [0, 100, 200, 200, 201], DEFAULT_SCAN, peak_mask=[48.0, 60.0, 48.0, 48.0])
    np.testing.assert_array_equal(seen.valid.any(axis=1), [False, True, False, False])
    assert DEFAULT_SCAN.angle[np.flatnonzero(seen.valid[1])[0]] >= 60.0
    with pytest.raises(ParameterError, match="3 intensities do not belong to 201 angles"):
        to_window(angles, [1.0, 2.0, 3.0], [0, 201], DEFAULT_SCAN)
