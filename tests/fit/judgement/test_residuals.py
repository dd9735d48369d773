"""What is noise and what is not, and where in a curve the rest is."""

import numpy as np
import pytest
from noisy import PROFILES, noisy

from xrdsim.fit.judgement.residuals import chi2_of_noise, parts_of, rest_of, structure_of
from xrdsim.fit.preparation import WHOLE, measurement_of
from xrdsim.profiles.space import ParameterSpace

ANGLE = 4.0 * np.arange(500)


def test_white_noise_is_noise():
    """Of 2000 residuals of white noise hardly one is taken for structure."""
    rng = np.random.default_rng(0)
    called = [not structure_of(rng.standard_normal(500), ANGLE).noise for _ in range(2000)]
    assert np.mean(called) <= 2e-3


@pytest.mark.parametrize("shape", ["sine", "hump", "steps"])
def test_what_is_left_of_a_wrong_model_is_found(shape):
    rng = np.random.default_rng(1)
    added = {
        "sine": 0.7 * np.sin(ANGLE / 60.0),
        "hump": 2.0 * np.exp(-(((ANGLE - 900.0) / 60.0) ** 2)),
        "steps": 0.5 * np.sign(np.sin(ANGLE / 200.0)),
    }[shape]
    found = [structure_of(rng.standard_normal(500) + added, ANGLE) for _ in range(100)]
    assert np.mean([not each.noise for each in found]) >= 0.95
    if shape == "hump":
        assert np.median([each.where for each in found]) == pytest.approx(900.0, abs=40.0)


def test_the_parts_of_a_curve_are_named():
    curve = noisy(PROFILES[0])
    measured = measurement_of(curve, ParameterSpace(), **WHOLE)
    strain = float(PROFILES[0][0])
    parts = parts_of(measured, strain)
    ends = list(parts.values())
    assert [low for low, _ in ends[1:]] == [high for _, high in ends[:-1]]
    for name, (low, high) in parts.items():
        inside = (measured.angle >= low) & (measured.angle < high)
        if inside.any():
            assert rest_of(measured, np.where(inside, 3.0, 0.5), strain).startswith(name)
    assert rest_of(measured, np.full(len(measured), 0.5), strain) == ""


@pytest.mark.parametrize("level", [0.02, 0.3, 1.0, 3.0, 20.0, 3000.0])
def test_chi2_of_counts_is_that_of_many_draws(level):
    n, unknowns, draws = 400, 10, 2000
    expected = np.full(n, level)
    counts = np.random.default_rng(11).poisson(expected, (draws, n))
    log = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / expected), 0.0)
    deviance = 2.0 * (expected - counts + log).sum(axis=1)
    mean, spread = chi2_of_noise(expected, n - unknowns)
    drawn = (deviance - unknowns) / (n - unknowns)
    assert mean == pytest.approx(drawn.mean(), abs=5.0 * spread / np.sqrt(draws))
    assert spread == pytest.approx(drawn.std(), rel=0.08)
