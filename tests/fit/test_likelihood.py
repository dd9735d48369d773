"""Profile likelihoods, against the normal distribution where it holds and at limits where it does not."""

from dataclasses import replace

import numpy as np
import pytest
from noisy import FWHM, ZERO, noisy

from xrdsim import ParameterSpace
from xrdsim.errors import ParameterError
from xrdsim.fit import likelihood as module
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.likelihood import profile_likelihood
from xrdsim.fit.posterior import laplace
from xrdsim.fit.problem import problem
from xrdsim.fit.refinement import refine

pytestmark = pytest.mark.usefixtures("one_thread")

ROW = np.array([0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, -50.0])


@pytest.fixture(scope="module")
def refined():
    given = problem(noisy(ROW))
    x = refine(given, given.coordinates(ROW[None], ZERO, FWHM), rtol_dex=1e-4).x
    return given, x


def test_crossings_of_a_parabola_and_of_an_open_side():
    values = np.linspace(-3.0, 3.0, 25)
    np.testing.assert_allclose(module._crossings(values, values**2, 2.25), (-1.5, 1.5), atol=1e-9)
    assert module._crossings(values, np.where(values > 0.0, values**2, 0.0), 2.25) == pytest.approx((-3.0, 1.5))


def test_it_agrees_with_the_normal_distribution_where_the_curve_tells_most(refined):
    given, x = refined
    normal = laplace(given, x)
    for name in ("Rp1", "D02", "zero"):
        j = normal.names.index(name)
        ends = normal.quantiles((0.05, 0.95))[:, j]
        found = profile_likelihood(given, x, name, (ends[0], ends[1]))
        assert (np.diff(found.values) > 0.0).all()
        assert found.rise.min() == 0.0
        assert found.high - found.low == pytest.approx(ends[1] - ends[0], rel=0.25)


def test_a_limit_ends_the_interval(refined):
    given, x = refined
    found = profile_likelihood(given, x, "Rp2", (-300.0, 0.0))
    assert found.high == 0.0
    assert found.low < -50.0


def test_values_that_the_constraints_exclude(refined):
    given = refined[0]
    space = ParameterSpace(strain_sum=0.0036)
    tight = replace(given, space=space)
    row = space.from_unit(list(np.full(7, 0.5)))
    start = tight.coordinates(np.array([row]), 0.0, 40.0)
    found = profile_likelihood(tight, refine(tight, start).x, "D02", (0.0005, 0.0036))
    assert np.isinf(found.rise[found.values > space.strain_sum - space.low[1] + 1e-9]).all()
    assert found.high <= space.strain_sum - space.low[1] + 1e-9


def test_of_a_fit(refined):
    given = refined[0]
    fit = fit_curve(given, starts=ROW[None], only_refine=True, likelihood=("L1", "fwhm"))
    stored = fit.to_dict()["profile_likelihood"]
    assert list(stored) == ["L1", "fwhm"]
    assert stored["L1"]["low"] < fit.parameters[2].value < stored["L1"]["high"]
    with pytest.raises(ParameterError, match="L9"):
        fit_curve(given, starts=ROW[None], only_refine=True, likelihood=("L9",))
    fixed = given.held("fwhm", 40.0)
    with pytest.raises(ParameterError, match="fixed"):
        fit_curve(fixed, starts=ROW[None], only_refine=True, likelihood=("fwhm",))


@pytest.mark.parametrize(("bend", "counts"), [(-800.0, 3e4), (-300.0, 1e4)])
def test_intervals_of_a_parameter_to_which_the_curve_does_not_answer_in_proportion(bend, counts):
    """Those of exp(−Φ) itself, over a grid; a normal distribution of Rp2 would miss the lower end by a quarter."""
    row = np.array([0.0095, 0.0040, 3600.0, 1800.0, 0.0015, 2000.0, bend])
    low, high = ParameterSpace().low[6], ParameterSpace().high[6]
    space = ParameterSpace((*row[:6], low), (*row[:6], high))
    given = replace(problem(noisy(row, counts=counts)).held("zero", ZERO).held("fwhm", FWHM), space=space)
    x = refine(given, given.coordinates(row[None], ZERO, FWHM), rtol_dex=1e-4).x
    grid = np.linspace(low, high, 1301)
    rows = np.tile(given.values(x), (len(grid), 1))
    rows[:, 6] = grid
    rise = given.objective(rows, 1e-4) / given.inflation(float(refine(given, x).objective[0]))
    share = np.cumsum(np.exp(rise.min() - rise))
    expected = grid[np.searchsorted(share, np.array([0.05, 0.5, 0.95]) * share[-1])]
    found = laplace(given, x).quantiles((0.05, 0.5, 0.95))[:, 6]
    np.testing.assert_allclose(found, expected, atol=0.07 * (expected[2] - expected[0]))
