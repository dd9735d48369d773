"""Which instrument a curve shows, and by how much a model may be wrong."""

import math

import naive
import numpy as np
import pytest
from noisy import PROFILES

from xrdsim.curves.curve import Curve
from xrdsim.experiment.instrument import GAUSSIAN, PEDESTAL, VOIGT, Family
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.judgement.evidence import best_backgrounds, best_instruments, likeliest_tolerances
from xrdsim.fit.mirror import mirrored
from xrdsim.fit.preparation import WHOLE, measurement_of
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.forward.derived import strain_profile
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.profiles.space import ParameterSpace

SPACE = ParameterSpace()
SCAN = Scan(-240.0, 4.0, 420)
OWN = {Family.GAUSSIAN: (GAUSSIAN, [40.0]), Family.VOIGT: (VOIGT, [38.0, 6.0])}
OWN |= {Family.PEDESTAL: (PEDESTAL, [40.0, 0.08, 120.0])}


def problem_of(family, counts=3e5, wrong=0.0, seed=0, ends=(1e-4, 1e-4)):
    made, own = OWN[family]
    observer = Observer(Simulator(Experiment(rtol_dex=1e-5), SCAN, SPACE), made)
    ground = np.linspace(*ends, SCAN.points)
    mean = counts * (observer.curves(PROFILES[:1], np.array([[1.0, *own]]))[0] + ground)
    rng = np.random.default_rng(seed)
    drawn = rng.poisson(mean * (1.0 + wrong * rng.standard_normal(len(mean))).clip(0.0)).astype(float)
    curve = Curve(SCAN.angle, drawn, int(np.abs(SCAN.angle).argmin()), per_count=1.0)
    return Problem(SPACE, (measurement_of(curve, SPACE, **WHOLE),))


@pytest.mark.parametrize("family", OWN)
def test_the_shape_is_found(family):
    given = problem_of(family)
    x = refine(given, given.coordinates(PROFILES[:1])).x
    chosen, at = best_instruments(given, x, math.inf)
    (measured,) = chosen.measurements
    assert measured.instrument.family == family
    found = at[0, chosen.layout.profile.stop + 1 :]
    np.testing.assert_allclose(found, OWN[family][1], rtol=0.25)


@pytest.mark.parametrize(("ends", "shape"), [((1e-4, 1e-4), "auto"), ((3e-4, 1e-4), "linear"), ((0.0, 2e-4), "linear")])
def test_a_linear_background_is_found_where_there_is_one(ends, shape):
    given = problem_of(Family.VOIGT, ends=ends)
    x = refine(given, given.coordinates(PROFILES[:1])).x
    chosen, at = best_instruments(*best_backgrounds(given, x, math.inf), math.inf)
    (measured,) = chosen.measurements
    assert measured.ground == shape
    if measured.sloping:
        found = refine(chosen, at[:1])
        assert found.objective[0] < 0.5 * (chosen.freedom + 4.0 * math.sqrt(2.0 * chosen.freedom))
        numbers = measured.in_unit_of_file(found.linear)[0] / 3e5
        np.testing.assert_allclose(numbers, [1.0, *ends], rtol=0.1, atol=1.5e-5)


def test_a_trend_that_is_not_there_costs_no_refinement(monkeypatch):
    """A background stays constant without a refinement where the score promises too little."""
    given = problem_of(Family.VOIGT)
    x = refine(given, given.coordinates(PROFILES[:1]), max_iter=6).x
    monkeypatch.setattr("xrdsim.fit.judgement.evidence.refine", None)
    assert best_backgrounds(given, x, math.inf) == (given, x)


@pytest.mark.parametrize(("wrong", "low", "high"), [(0.0, 0.0, 0.006), (0.015, 0.010, 0.020)])
def test_the_tolerance_is_found(wrong, low, high):
    given = problem_of(Family.GAUSSIAN, counts=3e6, wrong=wrong)
    found = refine(given, given.coordinates(PROFILES[:1]))
    (tolerance,) = likeliest_tolerances(given, found.x, found.linear).tolerances
    assert low <= tolerance <= high


def test_the_deviance_is_that_of_the_negative_binomial():
    (measured,) = problem_of(Family.GAUSSIAN).tolerating((0.02,)).measurements
    mu = measured.data * 1.05 + 1.0
    expected = naive.negative_binomial_deviance(measured.data, mu, 0.02)
    np.testing.assert_allclose(2.0 * measured.objective(mu[None])[0], expected, rtol=1e-9)
    np.testing.assert_allclose((measured.residuals(mu) ** 2).sum(), expected, rtol=1e-9)
    step = 1e-4 * mu
    slope = (measured.objective(mu + step) - measured.objective(mu - step)) / (2.0 * 1e-4)
    np.testing.assert_allclose(slope, -(measured.weights(mu)[1] * mu).sum(), rtol=1e-5)


def test_the_mirrored_profile_is_the_profile_upside_down():
    given = problem_of(Family.GAUSSIAN)
    x = given.coordinates(PROFILES[:1])
    other = given.params(mirrored(given, x))
    depth = np.linspace(0.0, PROFILES[0][2], 200)
    one, turned = (strain_profile(rows, depth, space=SPACE)[0] for rows in (PROFILES[:1], other))
    away = np.abs(turned - one[::-1]).sum() / one.sum()
    assert away < 0.25  # the family has no exact one
    assert away < 0.6 * np.abs(turned - one).sum() / one.sum()
