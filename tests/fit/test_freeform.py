"""Fits of profiles of no given shape: the prior, its evidence, starts, solutions, and what is said of them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import xrdsim
from xrdsim.curves.curve import Curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.freeform.before import Before, Freeform, problem_of
from xrdsim.fit.freeform.fitting import fit_profile, freeform
from xrdsim.fit.freeform.search import explore, is_mirrored, moved
from xrdsim.fit.freeform.smoothness import effective, evidence, smoothed, smoothest
from xrdsim.fit.freeform.starts import (
    beside,
    damage_for,
    exchanged,
    mirrored,
    nearly_projected,
    parted,
    projected,
    shapes,
    turned_within,
    with_fringes,
)
from xrdsim.fit.preparation import measurement_of
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.settings import fitted_space
from xrdsim.forward.derived import damage_profile
from xrdsim.forward.sublayers import Sublayers, simulate_sublayers
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import roughness, spline_space

COUNTS = 3e5
LAYER = 10.0  # Å
DEPTH = np.arange(0.5 * LAYER, 4500.0, LAYER)


def two_humps(z):
    return 0.008 * np.exp(-(((z - 1200.0) / 600.0) ** 2)) + 0.005 * np.exp(-(((z - 3300.0) / 450.0) ** 2))


def measured(strain, seed=1, counts=COUNTS):
    layers = Sublayers(np.full(len(DEPTH), LAYER), strain)
    intensity = simulate_sublayers(layers, fwhm=35.0)[2] + 1e-4
    counted = np.random.default_rng(seed).poisson(counts * intensity)
    return Curve(DEFAULT_SCAN.angle, counted / counts, 20, "made", per_count=1.0 / counts)


@pytest.fixture(scope="module")
def humps():
    return measured(two_humps(DEPTH))


@pytest.fixture(scope="module")
def posed(humps):
    """The problem of a spline, and coordinates near the truth."""
    space = spline_space(15, depth=(4000.0, 5200.0), strain=(0.0, 0.02))
    given = Problem(space, (measurement_of(humps, space),))
    x = projected(given, DEPTH, two_humps(DEPTH), 4600.0, np.empty(0), given.measurements[0].start)
    return given, x


def test_gradient_and_matrix_hold_the_prior(posed):
    given, x = posed
    bare, whole = given.evaluate(x, None, 1e-6), smoothed(given, 3.0).evaluate(x, None, 1e-6)
    params, change = given.params(x), given.space.unit_slope(x[:, given.layout.profile])[0]
    matrix = 3.0e6 * roughness(given.space.profile)
    size = len(matrix)
    assert whole.objective[0] - bare.objective[0] == pytest.approx(0.5 * float(params[0] @ matrix @ params[0]))
    np.testing.assert_allclose(
        whole.gradient[0, :size] - bare.gradient[0, :size], change.T @ matrix @ params[0], rtol=1e-6, atol=1e-3
    )
    np.testing.assert_allclose(
        (whole.hessian - bare.hessian)[0, :size, :size], change.T @ matrix @ change, rtol=1e-6, atol=1e-2
    )
    values = given.values(x)
    assert smoothed(given, 3.0).objective(values)[0] > given.objective(values)[0]
    assert smoothed(given, 3.0).misfit(values)[0] == given.misfit(values)[0]


def test_evidence_has_a_maximum_and_is_that_of_a_gaussian_integral(posed):
    """Against the same integral by the determinant of all the coefficients' distribution, where no limit holds."""
    given, x = posed
    best = smoothest(given, x)
    assert 1e-2 < best.weight < 1e4
    for weight in (0.1 * best.weight, 10.0 * best.weight):
        some = smoothed(given, weight)
        assert evidence(some, refine(some, best.x).x, weight, 1.0) < best.evidence
    some = smoothed(given, best.weight)
    some = replace(some, space=replace(some.space, low=(4000.0, *13 * (-0.01,))), penalty=some.penalty)
    there = refine(some, some.coordinates(given.params(best.x), *given.values(best.x)[0, 14:]))
    state = some.evaluate(there.x, None, 1e-3)
    matrix = state.hessian[0]
    unit = np.concatenate([1.0 / some.space.span * np.array([1.0, *13 * (1e-3,)]), np.ones(4)])
    matrix = matrix * np.outer(unit, unit)
    volume = 0.5 * (18 - 13) * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(matrix)[1]
    volume += 0.5 * np.linalg.slogdet(matrix[16:, 16:])[1] - np.log(2.0 * np.pi)  # scale and background are solved for
    expected = -float(state.objective[0]) + 0.5 * 13 * np.log(best.weight) + volume
    assert evidence(some, there.x, best.weight, 1.0) == pytest.approx(expected, abs=0.05)


def test_effective_unknowns_fall_with_smoothness(posed):
    given, x = posed
    counted = []
    for weight in (1e-3, 1.0, 1e3):
        some = smoothed(given, weight)
        counted.append(effective(some, given, refine(some, x).x))
    free = int(given.layout.free.sum())
    assert free >= counted[0] > counted[1] > counted[2] > 2.0


def test_half_the_interval_is_the_same_profile_with_the_same_prior(posed):
    given, x = posed
    coarse = smoothed(given, 1.0)
    there = refine(coarse, x).x
    space = spline_space(27, depth=(4000.0, 5200.0), strain=(0.0, 0.02))
    fine = smoothed(Problem(space, (measurement_of(given.measurements[0].curve, space),)), 8.0)
    both = (coarse, there), (fine, moved(coarse, there, fine))
    one, other = (xrdsim.strain_profile(each.params(at), DEPTH, space=each.space)[0] for each, at in both)
    np.testing.assert_allclose(other, one, atol=2e-3 * one.max())
    few, many = (float(each.params(at)[0] @ each.penalty @ each.params(at)[0]) for each, at in both)
    assert many == pytest.approx(few, rel=0.3)  # at the ends control points are nearer to each other
    assert fine.freedom == coarse.freedom == len(given) - 5  # L, zero, FWHM, scale and background


def test_projections_and_mirror_images(posed):
    given, _ = posed
    own = given.measurements[0].start
    x = projected(given, DEPTH, two_humps(DEPTH), 4600.0, np.empty(0), own)
    again = xrdsim.strain_profile(given.params(x), DEPTH, space=given.space)[0]
    assert np.abs(again - two_humps(DEPTH)).max() < 2e-4
    quick = nearly_projected(given, DEPTH, two_humps(DEPTH)[None], 4600.0, np.empty(0), own)
    assert np.abs(xrdsim.strain_profile(given.params(quick), DEPTH, space=given.space)[0] - again).max() < 2e-4
    turned = mirrored(DEPTH, two_humps(DEPTH), 4000.0)
    np.testing.assert_allclose(turned[DEPTH < 4000.0], two_humps(4000.0 - DEPTH[DEPTH < 4000.0]), atol=1e-6)
    assert (turned[DEPTH > 4000.0] == 0.0).all()
    drawn = shapes(DEPTH, 0.01, 4000.0, 50, np.random.default_rng(0))
    assert (drawn >= 0.0).all()
    assert (abs(drawn.max(axis=1) - 0.01) < 0.0016).all()


def test_parts_in_another_order():
    strain, end = two_humps(DEPTH), 4400.0
    lower = exchanged(DEPTH, strain, end, 0.5)
    np.testing.assert_allclose(lower[DEPTH < 2200.0], two_humps(DEPTH[DEPTH < 2200.0] + 2200.0), atol=1e-5)
    inside = (DEPTH > 2205.0) & (end > DEPTH)
    np.testing.assert_allclose(lower[inside], two_humps(DEPTH[inside] - 2200.0), atol=1e-5)
    turned, inside = turned_within(DEPTH, strain, 1000.0, 2000.0), (DEPTH > 1000.0) & (DEPTH < 2000.0)
    np.testing.assert_allclose(turned[inside], two_humps(3000.0 - DEPTH[inside]), atol=1e-5)
    assert (turned[~inside] == strain[~inside]).all()
    for by in (-400.0, 400.0):
        moved = parted(DEPTH, strain, 2000.0, by)
        assert (moved[DEPTH <= 2000.0] == strain[DEPTH <= 2000.0]).all()
        inside = (2000.0 + max(by, 0.0) < DEPTH) & (DEPTH < 4000.0)
        np.testing.assert_allclose(moved[inside], two_humps(DEPTH[inside] - by), atol=1e-5)


def test_neighbours_are_whole_fringes_away():
    """The phase h·∫ε dz of what lies below a slab changes by as many turns, to a sublayer."""
    strain = np.where(DEPTH < 3000.0, 0.01, 0.0)
    period = 2.0 * np.pi / GGG_444.h0
    for orders in (-2, -1, 1, 2):
        added = with_fringes(DEPTH, strain, 1000.0, orders, period) - strain
        assert added.sum() * LAYER / period == pytest.approx(orders, abs=0.01 * LAYER / period)
    rows = beside(DEPTH, two_humps(DEPTH), 9, period, np.random.default_rng(0))
    assert rows.shape == (9, len(DEPTH))
    assert len({row.tobytes() for row in rows[:4]}) == 4


def test_damage_may_be_complete_unless_a_range_is_given(humps):
    for high, expected in ((0.6, 1.0), (0.3, 0.3)):
        space = ParameterSpace().with_damage()
        space = replace(space, high=(*space.high[:-2], high, space.high[-1]))
        given = Problem(space, (measurement_of(humps, space),))
        own = given.measurements[0].start
        before = Before(given, DEPTH, two_humps(DEPTH), 4400.0, np.array([0.1, 1.0]), own, {})
        assert problem_of(before, Freeform(), 15).space.high[-2] == expected


def test_two_humps_are_found_where_two_gaussians_end(humps, tmp_path):
    given = problem(humps)
    first = fit_curve(given, effort=0.1)
    assert first.reduced_chi2 > 1.5
    found = freeform(given, first, Freeform())
    assert found.reduced_chi2 < 1.2
    assert found.verdict in ("solved", "described, not unique")
    truth = two_humps(found.depth)
    assert np.abs(found.strain - truth).sum() < 0.05 * truth.sum()
    inside = (found.band[0] - 1e-5 <= truth) & (truth <= found.band[3] + 1e-5)
    assert inside[truth > 1e-4].mean() > 0.8
    told = json.loads((found.save(tmp_path)[0]).read_text())
    assert told["settings"]["spline"]["coefficients"] in (17, 27, 37, 47)
    assert told["settings"]["profile"] == fitted_space(found.settings).profile.name
    assert set(told) >= {"verdict", "parameters", "derived", "minima", "curve", "profile", "misfit"}
    assert list(told["parameters"])[:3] == ["L", "c1", "c2"]
    assert told["resolution"]["part_of_largest_strain"] == 0.03
    width = np.array(told["resolution"]["width"], float)
    assert 100.0 < np.nanmedian(width) < 1000.0
    assert told["resolution"]["depth"][-1] == pytest.approx(found["L"].value)
    assert told["settings"]["spline"]["mirror_reduced_chi2"] > found.reduced_chi2


def test_auto_keeps_two_gaussians_that_describe_the_curve(demonstration):
    truth = xrdsim.simulate(demonstration, fwhm=35.0, background=1e-4)
    counts = np.random.default_rng(3).poisson(1e5 * truth.intensity[0])
    curve = Curve(DEFAULT_SCAN.angle, counts / 1e5, 20, "two Gaussians", per_count=1e-5)
    given = problem(curve, unknowns=Unknowns(ParameterSpace()))
    found = fit_profile(given, profile="auto", effort=0.1, starts=demonstration[None])
    assert found.parameters[0].name == "Dmax1"
    assert any("no spline" in note for note in found.notes)


def test_settings_without_meaning(humps):
    given = problem(humps)
    with pytest.raises(ParameterError, match="unknown; choose two-gaussians, spline, auto"):
        fit_profile(given, profile="pizza")
    with pytest.raises(ParameterError, match="leave them out"):
        fit_profile(given, profile="spline", chains=True)
    with pytest.raises(ParameterError, match="5 … 100"):
        Freeform(coefficients=3)
    with pytest.raises(ParameterError, match="depth"):
        Freeform(depth=-1.0)


def test_a_damage_that_is_free_is_turned_with_the_strain(humps):
    given = Problem(ParameterSpace().with_damage(), (measurement_of(humps, ParameterSpace().with_damage()),))
    before = Before(given, DEPTH, two_humps(DEPTH), 4400.0, np.array([0.4, 1.0]), given.measurements[0].start, {})
    tied, free = problem_of(before, Freeform(), 20), problem_of(before, Freeform(free_damage=12), 20)
    assert free.space.names[-12:] == tuple(f"d{i}" for i in range(1, 13))
    x = projected(tied, DEPTH, two_humps(DEPTH), 4400.0, before.damage, before.own)
    factor = damage_for(free, tied, x, DEPTH)
    expected = damage_profile(tied.params(x), DEPTH, space=tied.space)[0]
    np.testing.assert_allclose(factor, expected)
    freed = moved(tied, x, free)
    inside = DEPTH < 4200.0
    again = damage_profile(free.params(freed), DEPTH, space=free.space)[0]
    assert np.abs(again - expected)[inside].max() < 0.05
    assert tied.objective(tied.values(x))[0] == pytest.approx(free.objective(free.values(freed))[0], rel=0.5)
    turned = damage_for(free, tied, x, DEPTH, 4000.0)
    np.testing.assert_allclose(turned[DEPTH < 4000.0], np.interp(4000.0 - DEPTH[DEPTH < 4000.0], DEPTH, factor))
    assert (turned[DEPTH > 4000.0] == 1.0).all()
    upside_down = projected(
        free, DEPTH, mirrored(DEPTH, two_humps(DEPTH), 4400.0), 4400.0, turned, free.measurements[0].start
    )
    assert is_mirrored(free, np.concatenate([freed, upside_down])).tolist() == [False, True]


def test_a_damage_that_is_free_needs_damage(humps):
    with pytest.raises(ParameterError, match="fit with damage, too"):
        fit_profile(problem(humps), profile="spline", spline=Freeform(free_damage=6))
    with pytest.raises(ParameterError, match="5 … 100"):
        Freeform(free_damage=2)


def test_mirrored_profiles_of_a_free_damage_are_alternatives():
    """Of a curve of few counts, with what is to be said of it."""
    space = spline_space(12, own=6).with_damage()
    row = [4300.0, 1e-3, 4e-3, 8e-3, 9e-3, 6e-3, 3e-3, 5e-3, 2e-3, 1e-3, 5e-4, 0.95, 0.9, 0.8, 0.85, 0.9, 0.9]
    intensity = xrdsim.simulate(row, space=space, fwhm=35.0, background=1e-4).intensity[0]
    counts = np.random.default_rng(4).poisson(1e4 * intensity)
    curve = Curve(DEFAULT_SCAN.angle, counts / 1e4, 20, "free", per_count=1e-4)
    given = problem(curve, unknowns=Unknowns(ParameterSpace().with_damage()))
    found = fit_profile(given, profile="spline", spline=Freeform(coefficients=12, free_damage=6), effort=0.3)
    assert found.reduced_chi2 < 1.2
    assert found.verdict == "described, not unique"
    assert any("mirror image" in note for note in found.notes)
    assert found.settings["spline"]["free_damage"] == 6
    assert "does not follow the strain" in found.assumed
    depth, fitted = np.linspace(0.0, 4300.0, 200), fitted_space(found.settings)
    rows = [each.values for each in found.minima if each.acceptable]
    strains = xrdsim.strain_profile(rows, depth, space=fitted)
    truth = xrdsim.strain_profile(row, depth, space=space)[0]
    away, turned = (np.abs(strains - each).sum(axis=1) / truth.sum() for each in (truth, truth[::-1]))
    assert away.min() < 0.1
    assert turned.min() < 0.3


def test_a_profile_that_is_given_is_tried_first(humps):
    """Two Gaussians end elsewhere; from the truth nothing is left to be looked for."""
    given = problem(humps)
    first = fit_curve(given, effort=0.1)
    before = Before.of(given, first)
    start = smoothed(problem_of(before, Freeform(), 15), 0.1)
    layers = Sublayers(np.full(len(DEPTH), LAYER), two_humps(DEPTH))
    found = explore(start, before, np.random.default_rng(0), math.inf, layers)
    strain = xrdsim.strain_profile(start.params(found.x[:1]), DEPTH, space=start.space)[0]
    assert np.abs(strain - two_humps(DEPTH)).sum() < 0.05 * two_humps(DEPTH).sum()
    assert found.objective[0] < 0.6 * len(start)
