"""Whole fits: without a start, their records, and their uncertainties against exact ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noisy import FWHM, PROFILES, ZERO, noisy
from scipy.stats import truncnorm

from xrdsim.curves.curve import read_curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.fit import fitting, search
from xrdsim.fit import posterior as uncertainty
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.posterior import Posterior, effective_samples, laplace, posterior
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import refine, without_linear
from xrdsim.forward.derived import strain_profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import ALL_NAMES, NAMES

KEYS = {
    "source", "note", "verdict", "reason", "parameters", "measurement", "measurement_std", "misfit", "minima",
    "correlation", "uncertainty", "profile_likelihood", "seconds", "evaluations", "ended", "settings", "curve",
    "profile", "derived", "assumed", "notes", "schema",
}  # fmt: skip
SETTINGS = {
    "ranges", "zero", "fwhm", "scale", "background", "priors", "per_count", "offset", "points", "mask", "both_sides",
    "excluded", "strain_sum", "ties", "convention", "monochromator", "reflection", "method", "seed", "budget", "effort",
    "chains", "instrument", "limits", "tolerance",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def solved():
    """Fits without a start, that end at the noise on any machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_SPREAD", 1)
        return [fit_curve(noisy(row, seed), budget=20.0) for seed, row in enumerate(PROFILES[:2])]


@pytest.fixture(scope="module")
def refined():
    """A problem and its minimum (1, k)."""
    given = problem(noisy(PROFILES[0], counts=2e6))
    return given, refine(given, given.coordinates(PROFILES[:1], ZERO, FWHM), rtol_dex=1e-4).x


@pytest.mark.parametrize("number", range(2))
def test_curves_are_solved_without_a_start(solved, number):
    fit = solved[number]
    assert fit.reduced_chi2 <= 1.15
    assert fit.verdict == "solved"
    assert fit.ended == "noise"
    estimates = dict(zip(NAMES, fit.parameters, strict=True))
    for name, truth in zip(NAMES, PROFILES[number], strict=True):
        each = estimates[name]
        assert each.low <= each.value <= each.high
        assert abs(each.value - truth) < 5.0 * each.std + 0.02 * (each.high - each.low) or name == "Rp2"
    scale, _, zero, fwhm = fit.measurement
    assert scale.value == pytest.approx(1.0, rel=0.3)
    assert zero.value == pytest.approx(ZERO, abs=5.0 * zero.std)
    assert fwhm.value == pytest.approx(FWHM, abs=5.0 * fwhm.std)


def test_whoever_watches_sees_the_best_minima_and_changes_nothing():
    curve, seen = noisy(PROFILES[0]), []
    watched = fit_curve(curve, starts=PROFILES[:1], budget=20.0, watch=lambda given, x: seen.append((given, x.copy())))
    alone = fit_curve(curve, starts=PROFILES[:1], budget=20.0)
    assert watched.minima == alone.minima
    assert len(seen) >= 2
    for given, x in seen:
        assert x.shape == (1, len(given.layout))
    given, x = seen[-1]
    np.testing.assert_allclose(given.params(x)[0][:5], watched.minima[0].values[:5], rtol=0.05)


def test_the_record_of_a_fit(solved):
    for fit in solved:
        record = fit.to_dict()
        assert set(record) == KEYS
        assert set(record["settings"]) == SETTINGS
        assert tuple(record["parameters"]) == NAMES
        assert tuple(record["measurement"]) == ("scale", "background", "zero_arcsec", "fwhm_arcsec")
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        points = len(record["curve"]["angle"])
        assert all(len(column) == points for column in record["curve"].values())
        assert sum(record["curve"]["used"]) == record["settings"]["points"]
        assert np.shape(record["profile"]["band"]) == (4, len(record["profile"]["depth"]))
        assert np.shape(record["correlation"]["values"]) == (9, 9)


def test_bands_and_minima_are_in_order(solved):
    for fit in solved:
        assert (np.diff(fit.band, axis=0) >= 0.0).all()
        chi2 = [each.reduced_chi2 for each in fit.minima]
        assert chi2 == sorted(chi2)
        assert fit.minima[0].acceptable
        assert fit.minima[0].values == tuple(each.value for each in fit.parameters)
        assert chi2[0] == fit.reduced_chi2


def test_the_same_seed_gives_the_same_numbers(monkeypatch):
    for name, value in (("_FIRST", 8), ("_CHILDREN", 4), ("_SPREAD", 1), ("_STANDSTILL", 2)):
        monkeypatch.setattr(search, name, value)
    curve = noisy(PROFILES[1], scan=Scan(-80.0, 12.0, 65), counts=2e4)
    one, other = (fit_curve(curve, budget=60.0, seed=3) for _ in range(2))
    assert one.ended == other.ended != "budget"
    timeless = [replace(each, seconds=0.0).to_dict() for each in (one, other)]
    assert timeless[0] == timeless[1]


def test_the_example_of_the_manual(capsys):
    manual = (Path(__file__).parents[2] / "docs" / "fit.md").read_text(encoding="utf-8")
    code = manual.split("```python\n")[1].split("```")[0]
    exec(code.replace("budget=8.0", "budget=0.1"), {})
    assert "Dmax1 = " in capsys.readouterr().out


@pytest.mark.parametrize("per_count", [None, 1.0 / 3e5])
def test_a_curve_that_was_refined_from_its_own_result(per_count):
    curve = replace(noisy(PROFILES[1], 1), per_count=per_count)
    fit = fit_curve(curve, starts=PROFILES[1:2], only_refine=True)
    again = fit_curve(curve, starts=np.array([[each.value for each in fit.parameters]]), only_refine=True)
    assert again.rms_dex == pytest.approx(fit.rms_dex, rel=0.01)
    assert (fit.reduced_chi2 is None) == (per_count is None)
    assert fit.verdict == "solved"


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"only_refine": True}, "a refinement needs a start"),
        ({"method": "simplex"}, "'simplex' is unknown"),
        ({"budget": 0.0}, "budget = 0"),
        ({"budget": np.inf}, "budget = inf"),
        ({"starts": np.full((1, 7), 1.0)}, "Dmax1 = 1"),
    ],
)
def test_choices_without_meaning(refined, choices, words):
    with pytest.raises(ParameterError, match=words):
        fit_curve(refined[0], **choices)


def test_starts_along_what_is_determined_least(refined):
    """They are some standard deviations away, within the limits, and leave alone what is fixed."""
    given, x = refined
    given = given.held("fwhm", FWHM)
    x = refine(given, x, rtol_dex=1e-4).x
    state = given.evaluate(x, None, 1e-2)
    matrix = without_linear(state.hessian[0], x.shape[1])
    starts = search._along(x, given, np.random.default_rng(0), 40)
    assert ((starts >= given.layout.low) & (starts <= given.layout.high)).all()
    away = starts - x
    assert (away[:, ~given.layout.free] == 0.0).all()
    inside = ((starts > given.layout.low) & (starts < given.layout.high))[:, given.layout.free].all(axis=1)
    rise = np.sqrt(np.einsum("ij,jk,ik->i", away, matrix, away))[inside]
    assert inside.sum() > 10
    assert (rise < 12.5).all()
    assert np.median(rise) > 2.0


def test_quantiles_of_weighted_samples():
    samples = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0], [9.0, 9.0]])
    given = Posterior(("a", "b"), samples, np.array([0.25, 0.25, 0.5, 0.0]), 4.0, "laplace")
    np.testing.assert_array_equal(given.quantiles((0.1, 0.5, 0.9)), [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    assert given.std[0] == pytest.approx(np.sqrt(0.5))
    np.testing.assert_allclose(np.diag(given.correlation), 1.0)
    rows = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(given.quantiles((1.0,), rows)[0], [4.0, 5.0])


@pytest.mark.parametrize(("gradient", "low", "high"), [(0.0, -0.5, 2.0), (3.0, 0.0, 1.0), (20.0, 0.0, 5.0)])
def test_samples_of_a_cut_normal_distribution(gradient, low, high):
    """Φ = g·δ + δ²/2 in the first column, within limits, beside an uncut one."""
    limits = np.concatenate([np.eye(2), -np.eye(2)]), np.array([high, 100.0, -low, 100.0]), np.full(4, 1e-15)
    rng = np.random.default_rng(0)
    drawn = uncertainty._hit_and_run(np.diag([1.0, 4.0]), np.array([gradient, 0.0]), limits, 4000, 40, rng)
    exact = truncnorm(low + gradient, high + gradient, loc=-gradient)
    assert (drawn[:, 0] >= low - 1e-9).all()
    assert (drawn[:, 0] <= high + 1e-9).all()
    assert drawn[:, 0].mean() == pytest.approx(exact.mean(), abs=0.07 * exact.std())
    assert drawn[:, 0].std() == pytest.approx(exact.std(), rel=0.06)
    assert drawn[:, 1].std() == pytest.approx(0.5, rel=0.06)


def test_samples_of_a_normal_distribution_cut_by_a_slanted_plane():
    limits = np.array([[1.0, 1.0]]), np.array([0.5]), np.full(1, 1e-15)
    drawn = uncertainty._hit_and_run(np.eye(2), np.zeros(2), limits, 4000, 40, np.random.default_rng(1))
    along = drawn.sum(axis=1) / np.sqrt(2.0)
    exact = truncnorm(-np.inf, 0.5 / np.sqrt(2.0))
    assert along.max() <= 0.5 / np.sqrt(2.0) + 1e-9
    assert along.mean() == pytest.approx(exact.mean(), abs=0.07 * exact.std())
    assert along.std() == pytest.approx(exact.std(), rel=0.06)
    assert (drawn[:, 0] - drawn[:, 1]).std() == pytest.approx(np.sqrt(2.0), rel=0.06)


def test_limits_that_are_far_from_a_centre_outside_cut_nevertheless():
    """The uncut distribution has its centre at −10⁴ in both columns; x ≥ 0 leaves what y ≤ 0.5 cuts."""
    f = np.array([[1.0, -0.99999], [-0.99999, 1.0]])
    limits = np.array([[-1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 0.5]), np.full(2, 1e-15)
    drawn = uncertainty._hit_and_run(f, f @ np.full(2, 1e4), limits, 2000, 40, np.random.default_rng(2))
    assert drawn[:, 0].min() >= -1e-9
    assert 0.4 < drawn[:, 1].max() <= 0.5 + 1e-9
    assert drawn[:, 1].min() < -1.0


@pytest.mark.parametrize("push", [0.3, 30.0, 1e4])
def test_samples_beside_a_limit_that_holds_a_minimum(push):
    """Along the limit they are those of the form on it; away from it they fall off. No principal axis lies along it."""
    rng = np.random.default_rng(3)
    turned = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    f = turned @ np.diag([1.0, 30.0, 1e3, 1e7]) @ turned.T
    normal = np.full(4, 0.5)
    limits = np.concatenate([1e4 * normal[None], -np.eye(4)]), np.array([0.0, *np.full(4, 50.0)]), np.full(5, 1e-15)
    g = -push * normal
    drawn = uncertainty._hit_and_run(f, g, limits, 4000, 40, rng)
    inward = -drawn @ normal
    precision = 1.0 / (normal @ np.linalg.solve(f, normal))  # of the distance, all else free
    begin = push / np.sqrt(precision)
    exact = truncnorm(begin, np.inf).mean() - begin if begin < 30.0 else 1.0 / begin  # the far tail is exponential
    assert inward.min() >= -1e-9
    assert inward.mean() == pytest.approx(exact / np.sqrt(precision), rel=0.06)
    face = np.linalg.svd(normal[None])[2][1:].T
    along = (drawn + inward[:, None] * np.linalg.solve(f, normal) * precision) @ face  # less what follows the distance
    expected = np.linalg.inv(face.T @ f @ face)
    np.testing.assert_allclose(np.cov(along.T), expected, atol=0.08 * np.abs(expected).max())


def test_samples_keep_ranges_and_constraints(refined):
    given = refined[0]
    tight = ParameterSpace(high=(0.0085, 0.0085, 5300.0, 5300.0, 0.031, 5300.0, 0.0), strain_sum=0.0036)
    for space in (ParameterSpace(), tight, tight.with_damage()):
        problem_ = replace(given, space=space)
        size = len(space.low)
        params = np.append(PROFILES[0], [0.0, 1.0])[None, :size]
        drawn = laplace(problem_, refine(problem_, problem_.coordinates(params, ZERO, FWHM)).x)
        assert space.contains(drawn.samples[:, :size]).all()
        assert (np.abs(drawn.samples[:, size]) <= 20.0).all()
        assert drawn.weights.sum() == pytest.approx(1.0)


def test_fixed_parameters_are_certain(refined):
    given = refined[0]
    low, high = ParameterSpace().low, ParameterSpace().high
    space = ParameterSpace((*low[:6], -50.0), (*high[:6], -50.0))
    held = replace(given, space=space).held("fwhm", FWHM)
    fit = fit_curve(held, starts=PROFILES[:1], only_refine=True)
    last, fwhm = fit.parameters[-1], fit.measurement[-1]
    assert (last.std, last.low, last.high, last.remark) == (0.0, -50.0, -50.0, "fixed")
    assert (fwhm.std, fwhm.value) == (0.0, FWHM)


def test_nothing_to_fit_is_refused(refined):
    row = tuple(PROFILES[0].tolist())
    held = replace(refined[0], space=ParameterSpace(row, row)).held("fwhm", FWHM).held("zero", ZERO)
    with pytest.raises(ParameterError, match="free one of them"):
        fit_curve(held)


def test_a_prior_narrows_what_the_curve_does_not_tell(refined):
    given, x = refined
    held = replace(given, priors={"Rp2": (-50.0, 5.0)})
    x = refine(held, x, rtol_dex=1e-4).x
    drawn = laplace(held, x)
    assert drawn.std[6] == pytest.approx(5.0, rel=0.3)


def test_walkers_that_never_move_are_no_samples():
    chains = np.random.default_rng(0).standard_normal((300, 8, 3))
    whole = effective_samples(chains)
    assert 1000.0 < whole <= 2400.0
    chains[:, 2] = chains[0, 2]
    assert effective_samples(chains) == pytest.approx(7.0 / 8.0 * whole, rel=0.2)
    assert effective_samples(np.repeat(chains[:1], 300, axis=0)) == 0.0


def test_chains_agree_with_the_normal_distribution(refined):
    given = refined[0]
    low, high, row = ParameterSpace().low, ParameterSpace().high, PROFILES[0]
    space = ParameterSpace((*low[:4], *row[4:]), (*high[:4], *row[4:]))
    few = replace(given, space=space)
    x = refine(few, few.coordinates(row[None], ZERO, FWHM), rtol_dex=1e-4).x
    normal, chains = laplace(few, x), posterior(few, x, steps=100)
    assert chains.method == "chains"
    assert chains.effective > 50.0
    free = [0, 1, 2, 3, 7, 8]
    np.testing.assert_allclose(chains.std[free], normal.std[free], rtol=0.35)
    apart = (chains.weights @ chains.samples - normal.weights @ normal.samples)[free] / normal.std[free]
    assert np.abs(apart).max() < 0.5
    np.testing.assert_array_equal(chains.samples[:, 4:7], np.tile(row[4:], (len(chains.samples), 1)))


def test_the_share_of_two_minima(refined, monkeypatch):
    """Two valleys of one shape, Φ of the second one higher by 1: its share is 1/e of the first one's."""
    given, x = refined
    narrow = np.diag([1e12, 1e12, 1.0, 1.0, 1e12, 1.0, 1.0, 1e4, 1.0])
    monkeypatch.setattr(
        uncertainty, "quadratic", lambda _, at: (np.zeros((2, 9)), np.stack([narrow] * 2), 1.0 * (at[:, -2] > 1.0))
    )
    both = np.concatenate([x, x])
    both[:, -2] = 0.0, 2.0  # zero, ± 0.01″
    share = np.mean(laplace(given, both).samples[:, -2] > 1.0)
    assert share == pytest.approx(1.0 / (1.0 + np.e), abs=0.12)


GOOD = {
    ("2e15", True): (0.0083834, 0.0019139, 4493.5, 3311.0, 0.0015076, 2473.1, 0.0, 0.50902, 0.26154),
    ("2e15", False): (0.0081947, 0.0011503, 5178.9, 3241.8, 0.0022798, 2720.2, 0.0),
    ("6e15", True): (0.020153, 0.0053708, 4772.1, 3576.0, 0.0039051, 2733.0, 0.0, 0.54017, 0.29031),
    ("6e15", False): (0.019957, 0.0034967, 5696.2, 3392.4, 0.0058161, 3018.7, 0.0),
}
WORST = {("2e15", True): 0.0145, ("6e15", True): 0.0355, ("2e15", False): 0.023, ("6e15", False): 0.039}


@pytest.mark.parametrize(("name", "damage"), WORST)
def test_measured_curves_from_good_values(measured_folder, name, damage):
    curve = read_curve(measured_folder / f"ggg_he_{name}.txt")
    start = np.array([GOOD[name, damage]])
    fit = fit_curve(measured_problem(curve, damage), starts=start, only_refine=True)
    assert fit.mean_abs_log10 <= WORST[name, damage]


def measured_problem(curve, damage):
    space = ParameterSpace().with_damage() if damage else ParameterSpace()
    return problem(curve, unknowns=Unknowns(space))


@pytest.mark.slow
def test_measured_curves_without_a_start(measured_folder):
    for (name, damage), most in WORST.items():
        curve = read_curve(measured_folder / f"ggg_he_{name}.txt")
        fit = fit_curve(measured_problem(curve, damage), budget=8.0)
        assert fit.mean_abs_log10 <= most, (name, damage)
        assert len(fit.parameters) == len(ALL_NAMES if damage else NAMES)


def test_the_band_of_the_profile_gives_each_minimum_its_share(refined):
    given, _ = refined
    rows = np.repeat(np.column_stack([PROFILES[[0, 1, 1, 1, 1, 1]], np.full((6, 2), 40.0)]), 400, axis=0)
    weights = np.repeat([0.98] + 5 * [0.004], 400) / 400.0
    shares = Posterior(given.layout.names, rows, weights, 2400.0, "laplace")
    depth, strain, band, *_ = fitting._profile(given, PROFILES[0], shares)
    np.testing.assert_allclose(band, np.tile(strain, (4, 1)), rtol=1e-12)
    assert not np.allclose(strain, strain_profile(PROFILES[1][None], depth)[0])
