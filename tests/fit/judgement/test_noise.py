"""What one count is: found in counts that were scaled, rounded, moved or edited, and estimated where it is lost."""

from dataclasses import replace

import numpy as np
import pytest
from noisy import PROFILES, noisy

from xrdsim.curves.curve import Curve
from xrdsim.fit.judgement.noise import noise_of, quantum_of
from xrdsim.fit.preparation import WHOLE, measurement_of, saturated
from xrdsim.profiles.space import ParameterSpace

COUNTS = 3e5


@pytest.fixture(scope="module")
def counted():
    """A curve of whole counts."""
    curve = noisy(PROFILES[0], counts=COUNTS)
    return replace(curve, intensity=np.rint(curve.intensity * COUNTS), per_count=None)


def scaled(curve, quantum, added=0.0, digits=None):
    y = quantum * (curve.intensity + added)
    if digits:
        y = np.array([float(f"{value:.{digits - 1}e}") for value in y])
    return replace(curve, intensity=y)


@pytest.mark.parametrize("quantum", [1.0, 0.5, 3.3e-6, 217.0])
@pytest.mark.parametrize("digits", [None, 6])
def test_scaled_counts(counted, quantum, digits):
    found = noise_of(scaled(counted, quantum, digits=digits))
    assert not found.estimated
    assert found.per_count == pytest.approx(quantum, rel=1e-4)
    assert found.offset == pytest.approx(0.0, abs=0.3)
    assert not found.edited
    assert f"Multiples of {found.per_count:.6g}" in found.words


def test_a_constant_that_was_added_shows_in_the_scatter():
    level = np.geomspace(2e4, 20.0, 700)
    counts = Curve(np.arange(700) * 4.0, np.random.default_rng(3).poisson(level).astype(float), 0)
    found = noise_of(scaled(counts, 2.5e-6, added=100.0))
    assert found.per_count == pytest.approx(2.5e-6, rel=1e-4)
    assert found.offset == pytest.approx(100.0, abs=25.0)
    curve = found.of(scaled(counts, 2.5e-6, added=100.0))
    assert curve.per_count == found.per_count
    assert "of which were added" in curve.note


def test_a_peak_that_was_edited_is_left_out(counted):
    y = 2e-6 * counted.intensity
    near = np.abs(counted.angle) < 25.0
    y[near] *= 0.7713579
    found = noise_of(replace(counted, intensity=y))
    assert found.per_count == pytest.approx(2e-6, rel=1e-4)
    ((low, high),) = found.edited
    assert counted.angle[near].min() - 1.0 <= low <= counted.angle[near].min() + 9.0
    assert counted.angle[near].max() - 9.0 <= high <= counted.angle[near].max() + 1.0
    measured = measurement_of(replace(counted, intensity=y), ParameterSpace(), **WHOLE)
    assert not measured.used[counted.peak_index]
    assert measured.used[0]
    assert "as if edited" in measured.curve.note


def test_without_a_quantum_the_scatter_is_described():
    """Counts behind a factor that varies, as of a monitor."""
    rng = np.random.default_rng(0)
    level = np.geomspace(2e5, 40.0, 700)
    y = rng.poisson(level) * (1.0 + 1e-3 * rng.standard_normal(700)) * 0.37
    found = noise_of(Curve(np.arange(700) * 4.0, y, 0))
    assert found.estimated
    assert found.per_count == pytest.approx(0.37, rel=0.3)
    assert "estimated from the scatter" in found.words


def test_a_dark_count_that_was_taken_off():
    rng = np.random.default_rng(1)
    level = np.geomspace(2e4, 2.0, 700)
    y = rng.poisson(level + 80.0) - 80.3
    found = noise_of(Curve(np.arange(700) * 4.0, y, 0))
    assert found.offset < 0.0
    counts = y / found.per_count - found.offset
    assert counts.min() >= 0.0
    tail = counts[-200:]
    assert 0.5 <= tail.var() / tail.mean() <= 2.2  # of few counts the scatter says it no better


def test_smooth_intensities_have_none():
    y = np.geomspace(1.0, 1e-4, 500)
    assert quantum_of(y) is None
    assert noise_of(Curve(np.arange(500) * 4.0, y, 0)).estimated


@pytest.mark.parametrize("points", [50, 55, 80])
def test_short_curves(points):
    y = np.random.default_rng(2).poisson(np.geomspace(1e4, 20.0, points)) * 0.1237
    assert noise_of(Curve(np.arange(points) * 4.0, y, 0)).per_count > 0.0


def test_a_saturated_top_is_not_used(counted):
    top = np.minimum(counted.intensity, 0.4 * counted.intensity.max())
    flat = replace(counted, intensity=top, per_count=1.0)
    ((low, high),) = saturated(flat)
    assert low < 0.0 < high
    measured = measurement_of(flat, ParameterSpace(), **WHOLE)
    np.testing.assert_array_equal(measured.used, (flat.angle < low) | (flat.angle > high))
    assert saturated(counted) == ()


def test_whole_numbers_are_counts_where_few_are_low():
    y = np.random.default_rng(5).poisson(np.geomspace(3e4, 90.0, 60)).astype(float)
    curve = Curve(np.arange(60) * 4.0, y, 0)
    assert quantum_of(y) is None
    found = noise_of(curve)
    assert (found.per_count, found.offset, found.estimated) == (1.0, 0.0, False)
    assert "Whole numbers" in found.words


def test_noise_that_grows_as_the_intensity_is_that_of_its_least():
    """No quantum describes it; one of nearly nothing would make every model wrong."""
    level = np.geomspace(1.0, 1e-3, 400)
    y = level * (1.0 + 0.05 * np.random.default_rng(6).standard_normal(400))
    found = noise_of(Curve(np.arange(400) * 4.0, y, 0))
    assert found.estimated
    assert 0.2 * 0.05**2 * 1e-3 <= found.per_count <= 20.0 * 0.05**2 * 1e-3
