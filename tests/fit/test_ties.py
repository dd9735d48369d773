"""Ties of parameters: every vector that a fit or a network states keeps them, and intervals are those of the pair."""

import json
from dataclasses import replace

import numpy as np
import pytest
from noisy import FWHM, ZERO, noisy

from xrdsim import ParameterSpace
from xrdsim.errors import ParameterError
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.likelihood import profile_likelihood
from xrdsim.fit.posterior import laplace, posterior, quadratic
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import METHODS, refine

pytestmark = pytest.mark.usefixtures("one_thread")

EQUAL = np.array([0.0081, 0.0009, 4500.0, 2500.0, 0.0026, 4500.0, -300.0])  # L2 = L1
FLAT = np.array([0.0045, 0.0045, 4500.0, 2500.0, 0.0015, 3000.0, -300.0])  # D01 = Dmax1
HALVES = np.array([0.0081, 0.0026, 4500.0, 2500.0, 0.0026, 3000.0, -300.0])  # D02 = D01
SHARED = np.array([0.0081, 0.0009, 4500.0, 2500.0, 0.0026, 2500.0, -300.0])  # L2 = Rp1
CASES = {
    "L2 = L1": (("L2", "L1"), EQUAL),
    "L1 = L2": (("L1", "L2"), EQUAL),
    "D01 = Dmax1": (("D01", "Dmax1"), FLAT),
    "D02 = D01": (("D02", "D01"), HALVES),
    "L2 = Rp1": (("L2", "Rp1"), SHARED),
}


def tied_space(tie):
    """The default ranges with one tie; both have the range that they have in common."""
    space = ParameterSpace()
    i, j = (space.names.index(name) for name in tie)
    low, high = list(space.low), list(space.high)
    low[i] = low[j] = max(low[i], low[j])
    high[i] = high[j] = min(high[i], high[j])
    return ParameterSpace(tuple(low), tuple(high), ties=(tie,))


@pytest.fixture(scope="module", params=CASES)
def tied(request):
    """The columns of the pair, the one that moves first; the problem and its minimum."""
    tie, row = CASES[request.param]
    given = problem(noisy(row), unknowns=Unknowns(tied_space(tie)))
    x = refine(given, given.coordinates(row[None], ZERO, FWHM), rtol_dex=1e-4).x
    ((follower, leader),) = given.space.ties
    return given.layout.names.index(leader), given.layout.names.index(follower), given, x


def test_every_coordinate_is_a_vector_that_keeps_tie_and_constraints(tied):
    i, j, given, _ = tied
    low, high = given.layout.low, given.layout.high
    rng = np.random.default_rng(1)
    x = low + rng.random((2000, len(low))) * (high - low)
    params = given.params(x)
    assert np.array_equal(params[:, i], params[:, j])
    given.space.check(params)


def test_the_curvature_is_that_of_both_moving_together(tied):
    i, j, given, x = tied
    _, matrices, _ = quadratic(given, x)
    size = len(given.space.low)
    row = np.append(given.params(x)[0], x[0, size:])
    h = 1e-3 * given.space.span[i]
    rows = np.tile(row, (3, 1))
    rows[0, [i, j]] -= h
    rows[2, [i, j]] += h
    inside = given.space.contains(rows[:, :size])
    assert inside.all()
    values = given.objective(rows, 1e-5)
    numerical = (values[0] - 2.0 * values[1] + values[2]) / h**2
    assert matrices[0, i, i] == pytest.approx(numerical, rel=0.15)  # the scoring matrix is an expectation
    assert not matrices[0, j].any()


def test_samples_keep_the_tie_and_intervals_hold_the_best_value(tied):
    i, j, given, x = tied
    for sampled in (laplace(given, x), posterior(given, x, steps=12)):
        assert np.array_equal(sampled.samples[:, i], sampled.samples[:, j])
        given.space.check(sampled.samples[:, :7])
    fit = fit_curve(given, begin=x, only_refine=True)
    leader, follower = fit.parameters[i], fit.parameters[j]
    assert (leader.value, leader.std, leader.low, leader.high) == (
        follower.value,
        follower.std,
        follower.low,
        follower.high,
    )
    assert follower.tied_to == leader.name
    assert leader.low < leader.value < leader.high
    assert follower.remark.startswith(f"tied to {leader.name}")
    assert fit.settings["ties"] == {follower.name: leader.name}
    assert fit.to_dict()["parameters"][follower.name]["tied_to"] == leader.name


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_the_tie(tied, method):
    i, j, given, x = tied
    begun = np.clip(x + 0.01 * given.layout.free * (given.layout.high - given.layout.low), None, 1.0)
    begun[:, -2:] = x[:, -2:]
    end = METHODS[method](given, begun, max_iter=60)
    params = given.params(end.x)[0]
    assert params[i] == params[j]
    assert end.objective[0] < given.misfit(given.values(begun))[0]
    assert 2.0 * end.objective[0] / given.freedom < 1.5


def test_the_likelihood_is_that_of_the_pair(tied):
    i, j, given, x = tied
    sampled = laplace(given, x)
    low, high = sampled.quantiles((0.05, 0.95))
    name = given.layout.names[i]
    found = profile_likelihood(given, x, name, (float(low[i]), float(high[i])))
    assert np.isfinite(found.rise).sum() >= 20
    assert found.high - found.low == pytest.approx(high[i] - low[i], rel=0.3)
    with pytest.raises(ParameterError, match=f"{given.layout.names[j]} is tied to {name}"):
        fit_curve(given, begin=x, only_refine=True, likelihood=(given.layout.names[j],))


def test_three_at_once_and_what_no_order_keeps():
    space = ParameterSpace()
    low, high = list(space.low), list(space.high)
    for j in (0, 1, 4):
        low[j], high[j] = 0.001, 0.03
    three = ParameterSpace(tuple(low), tuple(high), ties=(("D01", "D02"), ("Dmax1", "D02"))).ordered()
    assert dict(three.ties) == {"Dmax1": "D01", "D02": "D01"}
    unit = np.random.default_rng(0).random((500, 7))
    three.check(three.tied(np.column_stack(three.from_unit(list(unit.T)))))
    with pytest.raises(ParameterError, match="a tie of D02 and Dmax1 does not keep D01"):
        Unknowns(ParameterSpace(tuple(low), tuple(high), ties=(("D02", "Dmax1"),)))


def test_a_tie_goes_with_the_damage():
    space = replace(ParameterSpace(), ties=(("L2", "L1"),)).with_damage()
    assert space.without_damage().ties == (("L2", "L1"),)
    low, high = list(space.low), list(space.high)
    low[7], high[7], low[8], high[8] = 0.3, 0.6, 0.3, 0.6
    both = replace(space, low=tuple(low), high=tuple(high), ties=(("L2", "L1"), ("p", "kappa")))
    assert both.without_damage().ties == (("L2", "L1"),)


def test_a_network_keeps_ties_after_a_round_trip(tmp_path, few_held):
    from xrdml import load_model, train

    space = tied_space(("L2", "L1"))
    run = train(None, simulate=64, space=space, model="flow", epochs=1, batch_size=32, output=tmp_path / "flow")
    trained = load_model(run.path)
    assert trained.space.ties == (("L2", "L1"),)
    card = json.loads((run.path / "model.json").read_text())
    assert card["definition"]["parameters"]["ties"] == [["L2", "L1"]]
    inputs = np.random.default_rng(0).standard_normal((3, 2, trained.window.points)).astype(np.float32)
    estimate, draws = trained.estimate(inputs), trained.draw(inputs, 20).values
    assert np.array_equal(estimate[:, 2], estimate[:, 5])
    assert np.array_equal(draws[..., 2], draws[..., 5])
