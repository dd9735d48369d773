"""Refinement: every method arrives where the truth leads, within the ranges and constraints."""

from dataclasses import replace

import numpy as np
import pytest
from noisy import FWHM, PROFILES, ZERO, noisy

from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.problem import problem
from xrdsim.fit.refinement import METHODS, refine, refine_all, slsqp, trf
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import RP2

NEAR = np.random.default_rng(8).uniform(0.995, 1.005, PROFILES.shape)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def problems():
    return [problem(noisy(row, seed)) for seed, row in enumerate(PROFILES)]


@pytest.fixture(scope="module")
def logarithmic():
    curve = noisy(PROFILES[1], 4)
    return problem(replace(curve, per_count=None))


def near(given, rows):
    return given.coordinates(np.atleast_2d(rows), 0.0, 45.0)


def inside(given, found):
    params = given.params(found.x)
    low, high = given.layout.low, given.layout.high
    return given.space.contains(params).all() and ((found.x >= low) & (found.x <= high)).all()


@pytest.fixture(scope="module")
def solutions(problems):
    return [refine(given, near(given, rows)) for given, rows in zip(problems, PROFILES * NEAR, strict=True)]


@pytest.mark.parametrize("number", range(len(PROFILES)))
def test_lm_arrives_where_the_truth_leads(problems, solutions, number):
    given, found = problems[number], solutions[number]
    truth = refine(given, given.coordinates(PROFILES[number : number + 1], ZERO, FWHM))
    assert found.converged[0]
    assert found.objective[0] == pytest.approx(truth.objective[0], abs=0.02)
    assert 2.0 * found.objective[0] / given.freedom < 1.15
    assert inside(given, found)
    gradient, matrix = (getattr(given.evaluate(found.x, None, 1e-3), name)[0] for name in ("gradient", "hessian"))
    free = (found.x[0] > given.layout.low) & (found.x[0] < given.layout.high)
    assert np.abs(gradient / np.sqrt(np.diag(matrix)))[:-2][free].max() < 0.1


def test_what_the_result_says_of_itself(problems, solutions):
    for given, found in zip(problems, solutions, strict=True):
        state = given.evaluate(found.x, found.linear, 1e-3)
        assert state.objective[0] == pytest.approx(found.objective[0], abs=1e-3)
        assert 1 < found.iterations[0] <= 50


@pytest.mark.parametrize("number", range(len(PROFILES)))
def test_trf_reaches_the_same(problems, solutions, number):
    given = problems[number]
    found = trf(given, near(given, PROFILES[number] * NEAR[number]))
    assert found.objective[0] == pytest.approx(solutions[number].objective[0], rel=1e-3)
    assert inside(given, found)


def mean_square(given, found):
    (mu,) = given.expected(given.values(found.x), steps=20)
    return float(np.mean(np.log10(given.measurements[0].data.clip(0.5) / mu) ** 2))


@pytest.mark.parametrize("number", range(len(PROFILES)))
def test_slsqp_minimises_its_own_objective(problems, solutions, number):
    given = problems[number]
    found = slsqp(given, near(given, PROFILES[number] * NEAR[number]))
    (one,) = given.measurements
    compared = replace(given, measurements=(replace(one, data=one.data.clip(0.5), counting=False),))
    assert mean_square(compared, found) <= mean_square(compared, solutions[number]) * (1.0 + 1e-6)
    assert inside(given, found)


def test_all_methods_agree_without_counts(logarithmic):
    found = [method(logarithmic, near(logarithmic, PROFILES[1] * NEAR[1])) for method in METHODS.values()]
    least = min(each.objective[0] for each in found)
    assert all(each.objective[0] < least + 0.02 for each in found)
    assert all(inside(logarithmic, each) for each in found)


def test_many_starts_are_as_good_as_single_ones(problems):
    given = problems[0]
    starts = near(given, PROFILES[0] * np.random.default_rng(1).uniform(0.98, 1.02, (4, 7)))
    together = refine(given, starts, max_iter=12)
    alone = [refine(given, start[None], max_iter=12) for start in starts]
    np.testing.assert_allclose(together.x, np.concatenate([each.x for each in alone]), atol=1e-7)
    np.testing.assert_allclose(together.objective, np.concatenate([each.objective for each in alone]), rtol=1e-9)
    np.testing.assert_array_equal(together.iterations, np.concatenate([each.iterations for each in alone]))
    assert together.best(2)[0] == np.argmin(together.objective)


def test_many_curves_at_once(problems, solutions):
    starts = [near(given, rows) for given, rows in zip(problems, PROFILES * NEAR, strict=True)]
    for one, other in zip(refine_all(problems, starts), solutions, strict=True):
        np.testing.assert_allclose(one.x, other.x, atol=1e-9)
        np.testing.assert_allclose(one.objective, other.objective, rtol=1e-12)


def test_results_far_from_the_start_keep_the_constraints(problems):
    space = ParameterSpace(strain_sum=0.012).with_damage()
    given = replace(problems[1], space=space)
    starts = np.random.default_rng(2).random((8, 11))
    assert inside(given, refine(given, starts, max_iter=8))
    assert inside(given, slsqp(given, starts[:2], max_iter=8))


@pytest.mark.parametrize("damping", [1, 1e-2, 1e-5])
def test_the_first_damping_does_not_matter(problems, solutions, damping):
    for given, rows, found in zip(problems, PROFILES * NEAR, solutions, strict=True):
        other = refine(given, near(given, rows), damping=damping)
        assert other.converged[0]
        assert other.objective[0] == pytest.approx(found.objective[0], abs=0.02)


def test_corners_of_the_cube_are_no_harm(problems):
    given = problems[0]
    starts = np.array([given.layout.low, given.layout.high])
    found = refine(given, starts, max_iter=15)
    first = given.evaluate(starts, None, 1e-3).objective
    assert np.isfinite(found.objective).all()
    assert (found.objective <= first).all()
    assert inside(given, found)


def test_a_solution_on_a_limit():
    truth = np.array([0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, 0.0])
    curve = next(
        curve
        for curve in (noisy(truth, seed, counts=2e6) for seed in range(20))
        if refine(problem(curve), near(problem(curve), truth)).x[0, RP2] == 1.0
    )
    given = problem(curve)
    found = refine(given, near(given, [*truth[:6], -150.0]))
    assert found.converged[0]
    assert found.x[0, RP2] == 1.0
    fit = fit_curve(given, starts=np.array([[*truth[:6], -150.0]]), only_refine=True)
    last = fit.parameters[RP2]
    assert (last.value, last.high) == (0.0, 0.0)
    assert last.low < 0.0
    assert last.remark.startswith("at its limit 0")
    assert fit.verdict == "solved"
    assert fit.ended == "refined"


def test_fixed_and_tied_parameters_stay(problems):
    default = ParameterSpace()
    space = replace(default, low=(*default.low[:6], -50.0), high=(*default.high[:6], -50.0), ties=(("L2", "L1"),))
    given = replace(problems[0], space=space).held("fwhm", FWHM)
    start = given.coordinates(PROFILES[:1], ZERO, FWHM)
    for method in METHODS.values():
        found = method(given, start, max_iter=10)
        params = given.params(found.x)[0]
        assert params[RP2] == -50.0
        assert params[5] == params[2]
        assert found.x[0, -1] == FWHM
