"""The measurement model of a fit: Φ, its derivatives, scale and background, and which points are used."""

from dataclasses import replace

import numpy as np
import pytest
from noisy import FWHM, PROFILES, SHORT, ZERO, noisy
from scipy.optimize import minimize

from xrdsim.curves.curve import Curve
from xrdsim.errors import CurveError, ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.forward.model import simulate
from xrdsim.profiles.space import ParameterSpace

DEFAULT = ParameterSpace()
NARROW = replace(
    DEFAULT,
    low=(0.004, 0.0005, 3000.0, 1000.0, 0.001, 1000.0, -1000.0),
    high=(0.012, 0.006, 6500.0, 4000.0, 0.02, 6000.0, 0.0),
    strain_sum=0.02,
)
FIXED = replace(
    DEFAULT,
    low=(*DEFAULT.low[:3], 3000.0, *DEFAULT.low[4:6], -200.0),
    high=(*DEFAULT.high[:3], 3000.0, *DEFAULT.high[4:6], -200.0),
)
TIED = replace(DEFAULT, ties=(("L2", "L1"),))
SPACES = {"default": DEFAULT, "damage": DEFAULT.with_damage(), "narrow": NARROW, "fixed": FIXED, "tied": TIED}


@pytest.fixture(scope="module")
def curve():
    return noisy(PROFILES[0])


def params_of(space, unit):
    return space.tied(np.column_stack(space.from_unit(list(unit.T))))


@pytest.mark.parametrize("name", SPACES)
def test_slope_of_the_unit_cube(name):
    space, h = SPACES[name], 1e-7
    unit = np.random.default_rng(3).uniform(0.02, 0.98, (40, len(space.low)))
    found = space.unit_slope(unit)
    for j in range(unit.shape[1]):
        ahead, behind = unit.copy(), unit.copy()
        ahead[:, j] += h
        behind[:, j] -= h
        numerical = (params_of(space, ahead) - params_of(space, behind)) / (2 * h)
        scale = np.where(space.span > 0.0, space.span, 1.0)
        np.testing.assert_allclose(found[:, :, j] / scale, numerical / scale, atol=1e-6)


def counted(curve):
    return problem(curve)


def logarithmic(curve):
    return problem(replace(curve, per_count=None))


def with_priors(curve):
    return problem(
        curve, unknowns=Unknowns(priors={"L1": (5000.0, 150.0), "D02": (0.002, 0.0003), "fwhm": (30.0, 2.0)})
    )


def with_exposure(curve):
    per_count = np.where(curve.angle < 400.0, 5.0, 1.0) * curve.per_count
    return problem(replace(curve, intensity=np.round(curve.intensity / per_count) * per_count, per_count=per_count))


def irregular(curve):
    kept = np.random.default_rng(5).random(len(curve.angle)) < 0.8
    shift = np.random.default_rng(6).uniform(-2.0, 2.0, kept.sum())
    return problem(replace(curve, angle=curve.angle[kept] + shift, intensity=curve.intensity[kept]))


def damaged(curve):
    return problem(curve, unknowns=Unknowns(DEFAULT.with_damage()))


def tied(curve):
    return problem(curve, unknowns=Unknowns(TIED))


def without_background(curve):
    return problem(curve, unknowns=Unknowns(background=2e-4))


def sloping(curve):
    return problem(curve, unknowns=Unknowns(background="linear"))


def value(given, x, linear):
    """Φ at coordinates (k,), scale and background (l,), priors included."""
    at = given.values(x[None])
    (mu,) = given.expected(at, linear[None], 1e-6)
    out = float(given.measurements[0].objective(mu)[0])
    for name, (mean, std) in given.priors.items():
        out += 0.5 * ((at[0, given.layout.names.index(name)] - mean) / std) ** 2
    return out, mu[0]


@pytest.mark.parametrize(
    "prepare", [counted, logarithmic, with_priors, with_exposure, irregular, damaged, tied, without_background, sloping]
)
def test_gradient_and_scoring_matrix(curve, prepare):
    given = prepare(curve)
    size = len(given.space.low)
    params = np.append(PROFILES[0] * [1.03, 0.9, 0.99, 1.01, 1.04, 1.02, 2.0], [0.15, 1.2])[:size]
    x = given.coordinates(params[None], ZERO + 1.0, FWHM - 3.0)[0]
    state = given.evaluate(x[None], None, 1e-6)
    gradient, matrix, linear = state.gradient[0], state.hessian[0], state.linear[0]
    assert state.objective[0] == pytest.approx(value(given, x, linear)[0], rel=1e-9)

    both, length = np.append(x, linear), np.sqrt(np.diag(matrix))
    slopes = []
    for j, one in enumerate(length):
        away = np.zeros(len(both))
        if j >= len(x) and given.layout.linear[j - len(x)].fixed:
            assert gradient[j] == 0.0
            slopes.append(np.zeros(len(given)))
            continue
        if one > 1e-6:
            away[j] = min(0.05 / one, 1e-3 if j < len(x) else np.inf)
        (up, mu_up), (down, mu_down) = (value(given, *np.split(each, [len(x)])) for each in (both + away, both - away))
        width = 2.0 * max(away[j], 1e-300)
        slopes.append((mu_up - mu_down) / width)
        if one > 1e-6:
            assert abs((up - down) / width - gradient[j]) < 0.02 * one
    j = np.array(slopes)
    weight = given.measurements[0].weights(value(given, x, linear)[1])[0]
    numerical = (j * weight) @ j.T
    free = np.flatnonzero(np.abs(j).max(axis=1) > 0.0)
    change = np.eye(len(both))
    change[:size, :size] = given.space.unit_slope(x[None, :size])[0]
    for name, (_, std) in given.priors.items():
        row = change[given.layout.names.index(name)] / std
        numerical += np.outer(row, row)
    relative = (matrix - numerical)[np.ix_(free, free)] / np.outer(length[free], length[free])
    assert np.abs(relative).max() < 2e-3


def test_model_at_irregular_angles():
    fine = Scan(-80.0, 0.5, 2561)
    exact = simulate(PROFILES[0], scan=fine, zero=ZERO, fwhm=25.0, rtol_dex=1e-5).intensity[0]
    rng = np.random.default_rng(2)
    for mean in (3, 8, 20):
        picked = np.cumsum(rng.integers(mean // 2 + 1, 3 * mean // 2 + 2, 3000))
        picked = picked[picked < len(exact)]
        given = problem(Curve(fine.angle[picked], exact[picked], 0, per_count=1e-5), both_sides=True)
        (one,) = given.measurements
        assert one.between is not None
        seen = one.curves(PROFILES[:1], np.array([[ZERO, 25.0]]), 1e-5)[0]
        np.testing.assert_allclose(np.log10(seen), np.log10(exact[np.isin(fine.angle, one.angle)]), atol=1e-4)


def test_lost_points_of_equal_steps_need_no_interpolation(curve):
    kept = np.delete(np.arange(len(curve.angle)), [40, 41, 90])
    (some,) = problem(replace(curve, angle=curve.angle[kept], intensity=curve.intensity[kept])).measurements
    assert some.between is None
    (whole,) = problem(curve).measurements
    at = PROFILES[:1], np.array([[ZERO, FWHM]])
    here = np.isin(whole.angle, some.angle)
    np.testing.assert_allclose(some.curves(*at)[0], whole.curves(*at)[0][here], rtol=1e-12)


@pytest.mark.parametrize("prepare", [counted, logarithmic, with_exposure])
def test_scale_and_background_are_at_their_best(curve, prepare, prior):
    (given,) = prepare(curve).measurements
    near = PROFILES[0] * np.random.default_rng(4).uniform(0.97, 1.03, (6, 7))
    for rows, steps, within in ((near, 6, 1e-6), (prior[:8], 6, 0.03), (prior[:8], 30, 1e-6)):
        curves = given.curves(rows, np.tile([0.0, FWHM], (len(rows), 1)))
        for one, found in zip(curves, given.scaled(curves, steps=steps), strict=True):

            def value(z, one=one):
                return float(given.objective(given.expected(one[None], np.exp(z)[None]))[0])

            begin = np.log(np.maximum(found, 1e-9 * given.data.max()))
            least = minimize(value, begin, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-7}).fun
            assert value(np.log(np.maximum(found, 1e-300))) < least * (1.0 + within)


@pytest.mark.parametrize(("ends", "within"), [((3e-4, 1e-4), 0.03), ((0.0, 4e-4), 0.1), ((5e-4, 0.0), 0.1)])
def test_both_ends_of_a_linear_background(curve, ends, within):
    """They are found at the first and the last angle, and neither becomes negative."""
    share = (curve.angle - curve.angle[0]) / np.ptp(curve.angle)
    mean = simulate(PROFILES[0], scan=Scan(curve.angle[0], curve.step, len(curve.angle)), fwhm=FWHM).intensity[0]
    counts = np.random.default_rng(2).poisson(3e6 * (mean + (1.0 - share) * ends[0] + share * ends[1]))
    given = problem(replace(curve, intensity=counts / 3e6, per_count=1.0 / 3e6), unknowns=Unknowns(background="linear"))
    (one,) = given.measurements
    linear = one.scaled(one.curves(PROFILES[:1], np.array([[0.0, FWHM]]), 1e-4), steps=12)
    found = one.in_unit_of_file(linear)[0]
    np.testing.assert_allclose(found, [1.0, *ends], rtol=within, atol=4e-6)
    assert (found >= 0.0).all()
    at = PROFILES[:1], np.array([[0.0, FWHM]])
    whole = one.whole(*at, linear, 1e-4)[one.used] / one.per_count
    np.testing.assert_allclose(whole, one.expected(one.curves(*at, 1e-4), linear)[0], rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_fixed_scale_and_background(curve, offset):
    unit = curve.per_count
    raised = replace(curve, intensity=curve.intensity + offset * unit, offset=offset)
    given = problem(raised, unknowns=Unknowns(scale=1.1, background=3e-4 + offset * unit))
    x = given.coordinates(PROFILES[:1], ZERO, FWHM)
    found = refine(given, x, max_iter=5)
    np.testing.assert_allclose(found.linear[0] * unit, [1.1, 3e-4], rtol=1e-9)
    assert given.layout.solved.sum() == 9


def test_only_one_of_scale_and_background_fixed(curve):
    given = problem(curve, unknowns=Unknowns(scale=1.0))
    (one,) = given.measurements
    found = one.scaled(one.curves(PROFILES[:1], np.array([[ZERO, FWHM]]), 1e-4))[0]
    assert found[0] * curve.per_count == pytest.approx(1.0)
    assert found[1] * curve.per_count == pytest.approx(2e-4, rel=0.1)


def test_which_points_are_used(curve):
    def angle(**choices):
        return problem(curve, **choices).measurements[0].angle

    assert angle().min() == 48.0
    assert angle(mask=0.0).min() == 0.0
    both = angle(both_sides=True)
    assert both.min() == SHORT.start
    assert np.abs(both).min() == 48.0
    excluded = angle(exclude=((200.0, 300.0), (1000.0, 2000.0)))
    assert not ((excluded >= 200.0) & (excluded <= 300.0)).any()
    assert excluded.max() < 1000.0
    assert 192.0 in excluded


def test_counts_are_those_of_the_detector(curve):
    (given,) = problem(replace(curve, offset=0.0)).measurements
    np.testing.assert_allclose(given.data, np.round(given.data), atol=1e-6)
    (changed,) = with_exposure(curve).measurements
    np.testing.assert_allclose(changed.data, np.round(changed.data), atol=1e-6)
    assert np.mean(changed.exposure) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"per_count": 0.0}, "per_count = 0 must be a positive number"),
        ({"per_count": -1e-5}, "per_count = -1e-05 must be a positive number"),
        ({"per_count": np.nan}, "per_count = nan must be a positive number"),
        ({"mask": -1.0}, "mask = -1 must be at least 0"),
        ({"exclude": ((900.0, 300.0),)}, "the excluded angles 900 … 300 must be in order"),
        ({"exclude": ((np.nan, 300.0),)}, "the excluded angles nan … 300 must be in order"),
        ({"mask": np.nan}, "mask = nan must be at least 0"),
    ],
)
def test_settings_without_meaning(curve, choices, words):
    with pytest.raises(ParameterError, match=words):
        problem(curve, **choices)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"offset": 1000.0}, r"is -\d+ counts; correct per_count"),
        ({"mask": 1000.0}, "26 of 161 points are left to fit, 50 are needed"),
        ({"exclude": ((0.0, 5000.0),)}, "0 of 161 points are left"),
    ],
)
def test_curves_that_cannot_be_fitted(curve, choices, words):
    with pytest.raises(CurveError, match=words):
        problem(curve, **choices)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"fwhm": (0.0, 50.0)}, "the limits of fwhm"),
        ({"fwhm": (50.0, 40.0)}, "the limits of fwhm"),
        ({"zero": (-np.inf, 0.0)}, "the limits of zero"),
        ({"scale": -1.0}, "scale = -1"),
        ({"background": np.nan}, "background = nan"),
        ({"background": "square"}, "background 'square' is unknown; choose constant, linear, auto"),
        ({"priors": {"L3": (1.0, 1.0)}}, "no prior of L3"),
        ({"priors": {"kappa": (0.1, 0.1)}}, "no prior of kappa"),
        ({"priors": {"L1": (5000.0, 0.0)}}, "the prior of L1"),
    ],
)
def test_unknowns_without_meaning(choices, words):
    with pytest.raises(ParameterError, match=words):
        Unknowns(**choices)
