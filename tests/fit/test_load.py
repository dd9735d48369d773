"""A fit depends on what it was given and not on the time that this takes; a budget cuts it off, and it says so."""

import time
from dataclasses import replace

import numpy as np
import pytest
from noisy import PROFILES, noisy

from xrdsim.curves.curve import Curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.fit import search
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.preparation import groups, within_reach
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.forward.model import simulate
from xrdsim.profiles.space import ParameterSpace

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def small(monkeypatch):
    """Searches of a few evaluations."""
    for name, value in (("_FIRST", 8), ("_CHILDREN", 4), ("_SPREAD", 1), ("WORK", 600), ("_STANDSTILL", 60)):
        monkeypatch.setattr(search, name, value)


@pytest.mark.parametrize("damage", [False, True])
def test_a_slow_machine_finds_the_same(small, monkeypatch, damage):
    space = ParameterSpace().with_damage() if damage else ParameterSpace()
    curve = replace(noisy(PROFILES[1], scan=Scan(-80.0, 12.0, 65), counts=2e4), per_count=None)
    given = problem(curve, unknowns=Unknowns(space))
    quick = fit_curve(given, budget=600.0)
    evaluate = Problem.evaluate

    def slow(*arguments):
        time.sleep(0.002)
        return evaluate(*arguments)

    monkeypatch.setattr(Problem, "evaluate", slow)
    tardy = fit_curve(given, budget=600.0)
    assert quick.ended == tardy.ended == "effort"
    assert replace(quick, seconds=0.0).to_dict() == replace(tardy, seconds=0.0).to_dict()
    more = fit_curve(given, budget=600.0, effort=2.0)
    assert more.evaluations > 1.5 * quick.evaluations


@pytest.mark.parametrize("budget", [0.3, 1.5])
def test_a_budget_holds_and_the_result_says_that_it_ended_the_search(budget, monkeypatch):
    monkeypatch.setattr(search, "_STANDSTILL", 10**6)
    curve = replace(noisy(PROFILES[1]), per_count=None)
    begun = time.perf_counter()
    fit = fit_curve(curve, budget=budget, effort=1000.0)
    assert time.perf_counter() - begun < 1.2 * budget + 3.0
    assert fit.ended == "budget"
    assert f"The budget of {budget:g} s cut the search off" in fit.reason
    assert fit.settings["budget"] == budget


def test_the_budget_counts_from_the_time_that_is_given(monkeypatch):
    monkeypatch.setattr(search, "_STANDSTILL", 10**6)
    curve = replace(noisy(PROFILES[1]), per_count=None)
    begun = time.perf_counter()
    fit = fit_curve(curve, budget=100.0, effort=1000.0, begun=begun - 99.5)
    assert fit.ended == "budget"
    assert time.perf_counter() - begun < 4.0


@pytest.mark.parametrize("effort", [0.0, -1.0, np.nan, np.inf])
def test_efforts_without_meaning(effort):
    with pytest.raises(ParameterError, match="effort"):
        fit_curve(noisy(PROFILES[0]), effort=effort)


def test_a_refinement_stops_at_its_time():
    given = problem(noisy(PROFILES[0]))
    x = given.coordinates(PROFILES[:1] * 1.02, 0.0, 40.0)
    assert refine(given, x, until=time.perf_counter() - 1.0).iterations.max() == 1


def test_points_that_no_strain_reaches_are_left_out():
    curve = noisy(PROFILES[0])
    angle = np.concatenate([[-40000.0, -20000.0], curve.angle, [30000.0, 90000.0]])
    wide = Curve(angle, np.concatenate([[1e-4, 1e-4], curve.intensity, [1e-4, 1e-4]]), curve.peak_index + 2, "wide")
    space = ParameterSpace()
    reached = within_reach(wide, space, GGG_444)
    np.testing.assert_array_equal(reached.angle, curve.angle)
    assert reached.peak_index == curve.peak_index
    assert "4 points farther than" in reached.note
    assert within_reach(curve, space, GGG_444) is curve
    fit = fit_curve(wide, starts=PROFILES[:1], only_refine=True)
    assert len(fit.angle) == len(curve.angle)
    assert "no strain reaches them" in fit.note


def test_dense_points_are_summed_and_tell_the_same():
    scan = Scan(-80.0, 0.5, 2561)
    seen = simulate(PROFILES[0], scan=scan, fwhm=38.0, background=2e-4, zero=3.0).intensity[0]
    counts = np.random.default_rng(3).poisson(2e4 * seen)
    peak = int(np.argmin(np.abs(scan.angle)))
    fine = Curve(scan.angle, counts / 2e4, peak, "fine", per_count=1 / 2e4)
    given = problem(fine)
    assert len(given) < 600
    (one,) = given.measurements
    assert one.data.sum() == pytest.approx(counts[one.used].sum())
    assert one.exposure.max() == 5.0
    fit = fit_curve(given, starts=PROFILES[:1], only_refine=True)
    alone = fit_curve(problem(fine, unknowns=Unknowns(fwhm=(4.0, 120.0))), starts=PROFILES[:1], only_refine=True)
    assert "Up to 5 neighbouring points are summed" in fit.note
    assert "summed" not in alone.note
    assert fit.reduced_chi2 == pytest.approx(1.0, abs=0.15)
    assert len(fit.model) == len(fine.angle)
    for one, other in zip(fit.parameters, alone.parameters, strict=True):
        assert abs(one.value - other.value) < 0.6 * max(other.std, 1e-12)
        assert one.std == pytest.approx(other.std, rel=0.35)
    scale = {each.name: each.value for each in fit.measurement}["scale"]
    assert scale == pytest.approx(1.0, rel=0.1)


def test_groups_end_at_gaps():
    angle = np.concatenate([np.arange(10.0), 100.0 + np.arange(7.0)])
    np.testing.assert_array_equal(groups(angle, 32.0), [0, 4, 8, 10, 14])
    np.testing.assert_array_equal(groups(angle, 8.0), np.arange(17))
