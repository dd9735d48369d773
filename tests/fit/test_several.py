"""Several measurements of one profile: sums over them, the truth they lead to, and what they tell together."""

import json
from dataclasses import replace

import numpy as np
import pytest
from noisy import PROFILES, noisy

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import GAUSSIAN, dispersion
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.fit import search
from xrdsim.fit.fitting import describe, fit_curve
from xrdsim.fit.likelihood import profile_likelihood
from xrdsim.fit.posterior import laplace, posterior, quadratic
from xrdsim.fit.preparation import measurement_of
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import METHODS, refine
from xrdsim.fit.report.page import page
from xrdsim.fit.report.tables import minima_table, table, write_series
from xrdsim.profiles.space import ParameterSpace

pytestmark = pytest.mark.usefixtures("one_thread")

GGG_888 = replace(GGG_444, hkl=(8, 8, 8))
SPACE = ParameterSpace()
TRUTH = PROFILES[2:]  # (1, 7), away from all limits
COUNTS = 2e6
SEEN = {  # of the second measurement
    "another instrument": {"zero": -6.0, "fwhm": 60.0, "scan": Scan(-100.0, 5.0, 241)},
    "another reflection": {"zero": 5.0, "fwhm": 55.0, "scan": Scan(-150.0, 20.0, 260), "reflection": GGG_888},
}
OWN = {"instrument": [3.0, 38.0], "linear": [1.0, 2e-4]}
SCALE, BACKGROUND = 7.0, 3e-3


@pytest.fixture(scope="module", params=SEEN)
def several(request):
    """The problem of two curves, and the true values of their zero and instrument."""
    seen = SEEN[request.param]
    other = noisy(TRUTH[0], 1, counts=COUNTS, scale=SCALE, background=BACKGROUND / SCALE, **seen)
    experiment = Experiment(seen.get("reflection", GGG_444))
    measured = (
        measurement_of(noisy(TRUTH[0], counts=COUNTS), SPACE),
        measurement_of(other, SPACE, experiment=experiment, instrument=GAUSSIAN, mask=48.0, zero=(-20.0, 20.0)),
    )
    return Problem(SPACE, measured), [*OWN["instrument"], seen["zero"], seen["fwhm"]]


@pytest.fixture(scope="module")
def refined(several):
    """The minimum (1, k) that a start beside the truth leads to."""
    given, own = several
    start = given.coordinates(TRUTH * [1.003, 0.97, 0.998, 1.002, 1.01, 0.99, 1.0], *np.add(own, 1.5))
    return refine(given, start, rtol_dex=1e-4)


def alone(given):
    return [replace(given, measurements=(each,), priors={}) for each in given.measurements]


def beside(several):
    given, own = several
    return given.coordinates(TRUTH * [1.03, 0.9, 0.99, 1.01, 1.04, 1.02, 2.0], *np.add(own, [1, -3, -1, 2]))


def test_where_the_unknowns_lie(several):
    layout = several[0].layout
    assert layout.names == (*SPACE.names, "zero", "fwhm", "zero_2", "fwhm_2")
    assert [each.name for each in layout.linear] == ["scale", "background", "scale_2", "background_2"]
    assert [each.owner for each in layout.unknowns] == [None] * 7 + [0, 0, 1, 1]
    np.testing.assert_array_equal(layout.rows[0], [*range(7), 7, 8, 11, 12])
    np.testing.assert_array_equal(layout.rows[1], [*range(7), 9, 10, 13, 14])


def test_sums_over_the_measurements(several):
    given, x = several[0], beside(several)
    found = given.evaluate(x)
    objective, gradient, matrix = np.zeros(1), np.zeros((1, 15)), np.zeros((1, 15, 15))
    for each, own, linear in zip(alone(given), ([7, 8], [9, 10]), ([11, 12], [13, 14]), strict=True):
        part = each.evaluate(x[:, [*range(7), *own]])
        rows = np.array([*range(7), *own, *linear])
        objective += part.objective
        gradient[:, rows] += part.gradient
        matrix[:, rows[:, None], rows] += part.hessian
        np.testing.assert_array_equal(found.linear[:, np.array(linear) - 11], part.linear)
    np.testing.assert_array_equal(found.objective, objective)
    np.testing.assert_array_equal(found.gradient, gradient)
    np.testing.assert_array_equal(found.hessian, matrix)
    assert given.misfit(given.values(x))[0] == pytest.approx(objective[0], rel=1e-6)
    assert len(given) == sum(len(each) for each in alone(given))
    assert given.freedom == len(given) - 15


def test_gradient_by_finite_differences(several):
    priors = {"L1": (5000.0, 150.0), "fwhm_2": (50.0, 4.0)}
    given, x = replace(several[0], priors=priors), beside(several)
    state = given.evaluate(x, None, 1e-6)

    def value(at):
        values = given.values(at[None, :11])
        each = zip(given.measurements, given.expected(values, at[None, 11:], 1e-6), strict=True)
        out = sum(float(measured.objective(mu)[0]) for measured, mu in each)
        for name, (mean, std) in priors.items():
            out += 0.5 * ((values[0, given.layout.names.index(name)] - mean) / std) ** 2
        return out

    at, length = np.append(x, state.linear), np.sqrt(np.einsum("kk->k", state.hessian[0]))
    assert state.objective[0] == pytest.approx(value(at), rel=1e-9)
    for j, one in enumerate(length):
        step = np.zeros(len(at))
        step[j] = min(0.05 / one, 1e-3 if j < 11 else np.inf)
        slope = (value(at + step) - value(at - step)) / (2.0 * step[j])
        assert abs(slope - state.gradient[0, j]) < 0.02 * one, j


def test_refinement_finds_the_truth(several, refined):
    given, own = several
    assert refined.converged[0]
    assert 2.0 * refined.objective[0] / given.freedom < 1.15
    truth = given.coordinates(TRUTH, *own)
    assert refined.objective[0] <= refine(given, truth, rtol_dex=1e-4).objective[0] + 0.02
    values, std = given.values(refined.x)[0], laplace(given, refined.x).std
    away = np.abs(values - [*TRUTH[0], *own]) / std
    assert away.max() < 4.0
    units = np.repeat([each.per_count for each in given.measurements], 2)
    np.testing.assert_allclose(refined.linear[0] * units, [*OWN["linear"], SCALE, BACKGROUND], rtol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_there(several, refined, method):
    given = several[0]
    start = np.clip(refined.x + 0.002, None, given.layout.high)
    end = METHODS[method](given, start, max_iter=60)
    assert 2.0 * end.objective[0] / given.freedom < 1.15
    np.testing.assert_allclose(end.x[0, [0, 2, 3]], refined.x[0, [0, 2, 3]], atol=0.01)


def test_intervals_are_narrower_than_from_either_curve_alone(several, refined):
    """With the shape of the second Gaussian held, so that no limit cuts them."""
    given = several[0].held("L2", TRUTH[0, 5]).held("Rp2", TRUTH[0, 6])
    x = refine(given, refined.x, rtol_dex=1e-4).x
    low, high = laplace(given, x).quantiles((0.05, 0.95))
    for each, own in zip(alone(given), ([7, 8], [9, 10]), strict=True):
        at = x[:, [*range(7), *own]]
        ends = laplace(each, refine(each, at, rtol_dex=1e-4).x).quantiles((0.05, 0.95))
        assert ((high - low)[:5] < (ends[1] - ends[0])[:5]).all()
        more = information(given, x) - information(each, at)
        assert np.linalg.eigvalsh(more).min() > -1e-6 * np.linalg.eigvalsh(more).max()


def information(given, x):
    """Scoring matrix (5, 5) of the free parameters in parts of their ranges, all else eliminated."""
    free = given.layout.free
    inverse = np.linalg.inv(quadratic(given, x)[1][0][np.ix_(free, free)])[:5, :5]
    return np.linalg.inv(inverse) * np.outer(SPACE.span[:5], SPACE.span[:5])


def test_chains_and_likelihood(several, refined):
    given = several[0]
    normal = laplace(given, refined.x)
    chains = posterior(given, refined.x, steps=20)
    assert chains.names == given.layout.names
    assert given.space.contains(chains.samples[:, :7]).all()
    for name in ("Rp1", "zero_2"):
        j = normal.names.index(name)
        ends = normal.quantiles((0.05, 0.95))[:, j]
        found = profile_likelihood(given, refined.x, name, (ends[0], ends[1]))
        assert found.high - found.low == pytest.approx(ends[1] - ends[0], rel=0.25)


def test_a_fit_from_a_start_says_all_of_both(several, refined, tmp_path):
    given, own = several
    fit = fit_curve(given, begin=refined.x, only_refine=True, likelihood=("fwhm_2",))
    assert fit.verdict == "solved"
    names = ["scale", "background", "zero", "fwhm", "scale_2", "background_2", "zero_2", "fwhm_2"]
    assert [each.name for each in fit.measurement] == names
    for name, true in zip(("zero", "fwhm", "zero_2", "fwhm_2"), own, strict=True):
        assert abs(fit[name].value - true) < 4.0 * fit[name].std
    assert fit["scale_2"].value == pytest.approx(SCALE, rel=0.1)
    assert fit["scale_2"].low < fit["scale_2"].value < fit["scale_2"].high
    record = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert record["measurement"]["fwhm_2_arcsec"] == fit["fwhm_2"].value
    assert list(record["minima"][0])[1:5] == ["zero_arcsec", "fwhm_arcsec", "zero_2_arcsec", "fwhm_2_arcsec"]
    assert len(record["correlation"]["names"]) == 11
    assert record["profile_likelihood"]["fwhm_2"]["low"] < own[3] < record["profile_likelihood"]["fwhm_2"]["high"]
    (other,) = record["settings"]["others"]
    assert other["points"] == len(given.measurements[1])
    assert other["reflection"]["hkl"] == list(given.measurements[1].experiment.reflection.hkl)
    assert "".join(map(str, other["reflection"]["hkl"])) in fit.assumed
    assert {"FWHM 2 [″]", "scale 2 [intensity]"} <= {row[0] for row in table(fit)[1]}
    assert "zero 2 [″]" in {row[0] for row in minima_table(fit)[1]}
    assert "FWHM 2" in page(fit, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "fwhm_2_std [arcsec]" in write_series([fit], tmp_path / "series.csv").read_text(encoding="utf-8")
    assert "result.json" in [path.name for path in fit.save(tmp_path)]


def test_a_search_without_a_start(several, monkeypatch):
    for name, value in (("_SPREAD", 1), ("_SURE", 1)):
        monkeypatch.setattr(search, name, value)
    given, own = several
    fit = fit_curve(given, budget=60.0)
    assert fit.verdict == "solved"
    assert fit.reduced_chi2 < 1.15
    assert abs(fit["fwhm_2"].value - own[3]) < 5.0 * fit["fwhm_2"].std


def test_what_was_not_refined_is_described(several):
    given, own = several
    fit = describe(given, given.coordinates(TRUTH, *own))
    assert fit.verdict == "estimate"
    assert fit["zero_2"].value == own[2]
    assert fit["background_2"].value == pytest.approx(BACKGROUND, rel=0.1)


def test_curves_of_which_one_has_no_counts(several, refined):
    given = several[0]
    first, second = given.measurements
    bare = measurement_of(replace(second.read, per_count=None), SPACE, experiment=second.experiment)
    mixed = replace(given, measurements=(first, bare))
    fit = fit_curve(mixed, begin=refined.x, only_refine=True)
    assert not mixed.counting
    assert fit.reduced_chi2 is None
    assert fit.verdict == "solved"


def test_values_that_are_left_out_begin_where_a_refinement_does(several):
    given = several[0]
    np.testing.assert_array_equal(given.coordinates(TRUTH, 3.0, 38.0)[0, 7:9], [3.0, 38.0])
    second = given.measurements[1]
    start = 40.0 * dispersion(second.experiment.reflection)
    np.testing.assert_allclose(given.coordinates(TRUTH, 3.0, 38.0)[0, 9:], [0.0, start])
    held = given.held("fwhm_2", 33.0)
    assert held.coordinates(TRUTH)[0, -1] == 33.0
    assert held.layout.solved.sum() == given.layout.solved.sum() - 1
    assert held.measurements[0] is given.measurements[0]


def test_one_measurement_is_the_usual_problem():
    curve = noisy(TRUTH[0])
    one = Problem(
        SPACE, (measurement_of(curve, SPACE, limits={"fwhm": (25.0, 70.0)}, scale=1.0),), {"L1": (5000.0, 100.0)}
    )
    usual = problem(curve, unknowns=Unknowns(fwhm=(25.0, 70.0), scale=1.0, priors={"L1": (5000.0, 100.0)}))
    assert one.layout == usual.layout
    x = usual.coordinates(TRUTH)
    np.testing.assert_array_equal(one.evaluate(x).hessian, usual.evaluate(x).hessian)


def test_problems_without_meaning():
    measured = measurement_of(noisy(TRUTH[0]), SPACE)
    with pytest.raises(ParameterError, match="at least one measurement"):
        Problem(SPACE, ())
    with pytest.raises(ParameterError, match="seed 0 is prepared for two Gaussians up to a thickness of 8400 Å, not"):
        Problem(replace(SPACE, high=(*SPACE.high[:2], 9000.0, *SPACE.high[3:])), (measured,))
    with pytest.raises(ParameterError, match="there is no prior of fwhm_2; choose among Dmax1, D01"):
        Problem(SPACE, (measured,), {"fwhm_2": (40.0, 1.0)})
    with pytest.raises(ParameterError, match="there is no prior of scale"):
        Problem(SPACE, (measured,), {"scale": (1.0, 0.1)})
    with pytest.raises(ParameterError, match="the limits of zero, 5 … -5, must be in order"):
        Problem(SPACE, (replace(measured, zero=(5.0, -5.0)),))
    with pytest.raises(ParameterError, match="the prior of fwhm_2, 5000 ± 1, is far from its range 20 … 120"):
        Problem(SPACE, (measured, measured), {"fwhm_2": (5000.0, 1.0)})
