"""Where a fit begins: samples of the pretrained network within the limits of the fit, and what refinement does."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from noisy import FWHM, PROFILES, noisy

import xrdml.inference.starts
from xrdml.data.ranges import Ranges
from xrdml.inference.starts import SOLVED, NetworkStarts, allowed, candidates, mismatch, solve, solve_curve
from xrdml.networks.checkpoint import load_model
from xrdsim.errors import CheckpointError
from xrdsim.experiment.reflection import YIG_ON_GGG_444
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import KAPPA, P


@pytest.fixture(scope="module")
def trained():
    return load_model()


def fitted(curve, space=None, **change):
    return problem(curve, unknowns=Unknowns(space or ParameterSpace(), **change))


def ranges(space, fwhm=(20.0, 120.0)):
    return Ranges.of(space, (-20.0, 20.0), fwhm)


def uncounted(given):
    return replace(given, measurements=(replace(given.measurements[0], counting=False),))


def test_candidates_keep_the_limits_and_come_in_order(trained):
    curve = noisy(PROFILES[0])
    given = fitted(curve, ParameterSpace(high=(0.02, 0.01, 6000, 4000, 0.01, 5000, 0)), fwhm=(FWHM, FWHM))
    x = candidates(given, trained, 40)
    assert x.shape == (40, 9)
    rows = given.params(x)
    assert given.space.contains(rows).all()
    assert np.all(x[:, -1] == FWHM)
    objective = given.misfit(given.values(x))
    assert np.argmin(objective) < 5
    assert np.corrcoef(np.arange(40), np.argsort(np.argsort(objective)))[0, 1] > 0.9
    np.testing.assert_array_equal(x, candidates(given, trained, 40))


def test_a_network_with_damage_is_told_that_there_is_none(trained):
    told = allowed(ranges(ParameterSpace()), trained)
    assert told.low[0, KAPPA] == told.high[0, KAPPA] == 0.0
    assert told.low[0, P] == told.high[0, P] == 1.0
    free = allowed(ranges(ParameterSpace().with_damage()), trained)
    np.testing.assert_array_equal(free.high, trained.ranges.high)
    assert allowed(ranges(ParameterSpace(), (100.0, 120.0)), trained).low[0, -1] == 80.0


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("number", range(len(PROFILES)))
def test_refinement_of_candidates_describes_a_curve(trained, number):
    curve = noisy(PROFILES[number])
    given = fitted(curve)
    found = solve(given, candidates(given, trained))
    assert 2.0 * found.objective[0] / given.freedom < 1.15


@pytest.mark.usefixtures("one_thread")
def test_a_second_group_of_starts_that_finds_nothing_better_is_the_last(trained, monkeypatch):
    """A χ² that solves the curve but is above what its noise explains asks for another try, not for all of them."""
    curve = noisy(PROFILES[0])
    given = fitted(curve)
    x = candidates(given, trained)
    monkeypatch.setattr(xrdml.inference.starts, "acceptable", lambda given: 0.0)
    calls = []
    monkeypatch.setattr(
        xrdml.inference.starts, "refine", lambda *args, **kwargs: calls.append(1) or refine(*args, **kwargs)
    )
    found = solve(given, x)
    assert len(calls) == 2 * 3
    assert 2.0 * found.objective[0] / given.freedom < SOLVED
    calls.clear()
    solve(uncounted(given), x, attempts=3)
    assert len(calls) == 3 * 3


@pytest.mark.usefixtures("one_thread")
def test_a_curve_that_is_not_solved_gets_further_samples(trained, monkeypatch):
    curve = noisy(PROFILES[0])
    given = fitted(curve)
    seeds, drawn = [], candidates
    monkeypatch.setattr(
        xrdml.inference.starts, "candidates", lambda *args, seed: seeds.append(seed) or drawn(*args, draws=8, seed=seed)
    )
    found = solve_curve(given, trained)
    assert 2.0 * found.objective[0] / given.freedom < SOLVED
    assert seeds == [0]
    seeds.clear()
    again = solve_curve(uncounted(given), trained)  # nothing says when to end
    assert seeds == [0, 1, 2, 3]
    assert len(again.x) == 1


def test_curves_that_a_network_cannot_know_get_no_starts(trained, tmp_path):
    curve = noisy(PROFILES[0])
    film = problem(curve, experiment=Experiment(YIG_ON_GGG_444))
    assert "another reflection" in mismatch(film, trained)
    assert NetworkStarts()(film) is None
    assert "another convention" in mismatch(problem(curve, experiment=Experiment(convention="linear")), trained)
    assert "monochromator" in mismatch(problem(curve, experiment=Experiment(monochromator=0.2)), trained)
    assert not mismatch(problem(curve), trained)
    with pytest.raises(CheckpointError, match="leave the model out"):
        NetworkStarts(str(trained.path))(film)
    with pytest.raises(CheckpointError, match="no trained model"):
        NetworkStarts(str(tmp_path))(film)


def test_starts_can_be_sent_to_another_process(trained):
    curve = noisy(PROFILES[0])
    sent = pickle.loads(pickle.dumps(replace(NetworkStarts(), count=7)))
    assert sent(fitted(curve)).shape == (7, 9)
