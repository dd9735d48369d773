"""The whole way from a measured curve to a result: search, refine, judge, state uncertainties."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xrdsim.curves.curve import DEFAULT_STEP, Curve
from xrdsim.errors import ParameterError
from xrdsim.fit.likelihood import profile_likelihood
from xrdsim.fit.points import everywhere, within_reach
from xrdsim.fit.posterior import LEVEL, Posterior, laplace, posterior
from xrdsim.fit.problem import LINEAR, Array, Problem, problem
from xrdsim.fit.refinement import METHODS, Refined, evaluate
from xrdsim.fit.result import Estimate, Fit, Minimum, Verdict
from xrdsim.fit.search import Ending, search, valleys
from xrdsim.fit.settings import assumed, settings_to_dict
from xrdsim.fit.verdict import as_good, difference, estimate_of, judge, peak_remark, rms_dex
from xrdsim.forward.derived import UNITS, depth_end, derived, largest_strain, strain_profile

MISFIT_FROM = 30 * DEFAULT_STEP
"""Angle [arcsec] from which on the mean |log10| is taken."""

BUDGET = 30.0
"""Seconds after which a fit is cut off; on an idle core the work of a search takes about a quarter of it."""

_SHARES = (0.7, 0.85, 1.0)  # parts of the budget after which the search, its comparison, its refinement are cut off
_LEAST = 0.3  # s that the last refinement has in any case
_GOOD, _FINAL = 1e-3, 1e-4  # accuracy of the model when valleys are compared, and in the last refinement [dex]
_NEARLY = ((120, 6), (8, 20))  # how many valleys are refined so far, by how many evaluations at most
_DEPTHS = 400
_TRIMMED = 4  # times that outliers are left out of the scale of an estimate


def fit_curve(
    curve: Curve,
    given: Problem | None = None,
    *,
    starts: Array | None = None,
    begin: Array | None = None,
    budget: float = BUDGET,
    effort: float = 1.0,
    seed: int = 0,
    method: str = "lm",
    max_iter: int = 60,
    only_refine: bool = False,
    chains: bool = False,
    likelihood: tuple[str, ...] = (),
    begun: float | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Fit:
    """Fit a measured curve.

    Parameters
    ----------
    curve : as read.
    given : what is fitted and how, from ``xrdsim.fit.problem.problem``; None for its defaults.
    starts : (m, 7 or 9) parameters to begin with.
    begin : (m, k) coordinates of the unknowns to begin with, beside them.
    budget : seconds after which search and refinement are cut off, wherever they are; the result then says so, and
        depends on the speed of the machine. Otherwise it depends on what was given alone.
    effort : work of the search, in parts of the usual one.
    seed : of everything random.
    method : of the last refinement: ``lm``, ``slsqp`` or ``trf``, see ``xrdsim.fit.refinement``.
    max_iter : of the last refinement.
    only_refine : no search, only the refinement of the starts.
    chains : sample the posterior by Markov chains instead of Laplace's approximation.
    likelihood : names whose profile likelihood is computed.
    begun : time of ``time.perf_counter`` from which the budget counts; None: now.
    progress : called with the seconds spent and the reduced χ² (unknown noise: mean square misfit) of the best minimum.

    Raises
    ------
    ParameterError
        ``only_refine`` without starts, or a setting without meaning.
    CurveError
        Too few points.
    """
    begun = time.perf_counter() if begun is None else begun
    given = given or problem(curve)
    unknowns = given.unknowns
    same = within_reach(curve, unknowns.space, given.experiment.reflection)
    if not (np.array_equal(same.angle, given.curve.angle) and np.array_equal(same.intensity, given.curve.intensity)):
        raise ParameterError(f"the problem was made of {given.curve.source or 'another curve'}, not of this curve")
    if method not in METHODS:
        raise ParameterError(f"method {method!r} is unknown; choose {', '.join(METHODS)}")
    if not (math.isfinite(budget) and budget > 0.0):
        raise ParameterError(f"budget = {budget:g} s must be positive")
    if seed < 0:
        raise ParameterError(f"seed = {seed} must not be negative")
    if max_iter < 1:
        raise ParameterError(f"max_iter = {max_iter} must be at least 1")
    if not (math.isfinite(effort) and effort > 0.0):
        raise ParameterError(f"effort = {effort:g} must be positive, in parts of the usual work of the search")
    free = [name for name, fitted in zip(unknowns.names, unknowns.free, strict=True) if fitted]
    if not free:
        raise ParameterError("all parameters, zero and fwhm are fixed: free one of them")
    for name in likelihood:
        if name not in free:
            tie = dict(unknowns.space.ties).get(name)
            reason = f"{name} is tied to {tie}" if tie else f"{name!r} is fixed or unknown"
            raise ParameterError(f"{reason}, it has no likelihood of its own; choose among {', '.join(free)}")
    first = None
    if starts is not None:
        rows = unknowns.space.check(starts)
        first = unknowns.coordinates(rows, np.mean(unknowns.zero), np.clip(40.0, *unknowns.fwhm))
    if begin is not None:
        first = begin if first is None else np.concatenate([first, begin])
    if only_refine:
        if first is None:
            raise ParameterError("a refinement needs a start")
        x, evaluations, ended, ends = first, 0, Ending.REFINED, [math.inf, math.inf]
    else:
        until, *ends = (begun + share * budget for share in _SHARES)
        found = search(given, effort=effort, until=until, seed=seed, starts=first, progress=progress)
        x, evaluations, ended = found.x, found.evaluations, found.reason
    objective = np.full(1, np.inf)
    if len(x) > 1:  # all valleys, so far that they can be compared, and the best one to the end
        objective = np.full(len(x), np.inf)
        for count, steps in _NEARLY:
            nearly = METHODS["lm"](given, x[:count], max_iter=steps, rtol_dex=_GOOD, until=ends[0])
            x[:count], objective[:count] = nearly.x, nearly.objective
            order = np.argsort(objective, kind="stable")
            x, objective = x[order], objective[order]
        x, objective = valleys(given, x, objective)
    last = max(ends[1], time.perf_counter() + _LEAST)
    refined = METHODS[method](given, x[:1], max_iter=max_iter, rtol_dex=_FINAL, until=last)
    if time.perf_counter() > ends[1]:
        ended = Ending.BUDGET
    x = np.concatenate([refined.x, x[1:]])
    objective = np.append(refined.objective, objective[1:])
    alike = np.array([as_good(given, float(value), float(objective[0])) for value in objective])
    sampled = (posterior if chains else laplace)(given, x[alike], seed=seed)
    chosen = {"method": method, "seed": seed, "chains": chains}
    chosen |= {"budget": None if only_refine else budget, "effort": None if only_refine else effort}
    fit = _result(given, refined, (x, objective), sampled, evaluations, ended)
    if ended is Ending.BUDGET:
        cut = f" The budget of {budget:g} s cut the search off: another run may end elsewhere. Give a larger --budget."
        fit = replace(fit, reason=fit.reason + cut)
    if likelihood:
        intervals = {each.name: (each.low, each.high) for each in (*fit.parameters, *fit.measurement)}
        each = tuple(profile_likelihood(given, x[alike], name, intervals[name], level=LEVEL) for name in likelihood)
        fit = replace(fit, likelihoods=each)
    return replace(fit, seconds=time.perf_counter() - begun, settings=fit.settings | chosen)


def describe(given: Problem, x: Array, sampled: Posterior | None = None) -> Fit:
    """What coordinates (1, k) that were not refined make of a curve, with scale and background at their best.

    Parameters
    ----------
    given : the problem.
    x : coordinates of its unknowns.
    sampled : what they may be; None where nothing says that.
    """
    curves = given.curves(x, _FINAL)
    linear = _without_outliers(given, curves)
    objective = given.objective(given.expected(curves, linear))
    refined = Refined(x, linear, objective, np.zeros(1, bool), np.ones(1, np.int64))
    row = np.append(given.unknowns.params(x)[0], x[0, len(given.unknowns.space.low) :])
    known = sampled or Posterior(given.unknowns.names, row[None], np.ones(1), 0.0, "none")
    fit = _result(given, refined, (x, objective), known, 1, Ending.ESTIMATE)
    fit = replace(
        fit,
        verdict=Verdict.ESTIMATE,
        reason=f"Curve and model differ by {fit.rms_dex:.3g} dex (RMS), before any refinement.",
    )
    if sampled is not None:
        return fit
    return replace(fit, parameters=_unsure(fit.parameters), derived=_unsure(fit.derived))


def _without_outliers(given: Problem, curves: Array) -> Array:
    """Scale and background (1, 2) of an unscaled curve (1, n), from the points that it comes near to."""
    linear = given.scaled(curves)
    for _ in range(_TRIMMED):
        away = np.abs(difference(given, given.expected(curves, linear)[0]))
        near = away <= 3.0 * np.median(away) + 1e-12
        linear = replace(given, data=given.data[near], exposure=given.exposure[near]).scaled(curves[:, near])
    return linear


def _unsure(estimates: tuple[Estimate, ...]) -> tuple[Estimate, ...]:
    """The same without anything that says how certain they are."""
    return tuple(
        each if each.fixed else replace(each, std=math.nan, low=math.nan, high=math.nan, determined=False)
        for each in estimates
    )


def _result(
    given: Problem,
    refined: Refined,
    distinct: tuple[Array, Array],
    sampled: Posterior,
    evaluations: int,
    ended: Ending,
) -> Fit:
    unknowns = given.unknowns
    x, objective = distinct
    at = int(np.argmin(refined.objective))
    linear = ((refined.linear[at] + [0.0, given.offset]) * given.per_count).tolist()
    size = len(unknowns.space.low)
    values = np.append(unknowns.params(x[:1])[0], x[0, size:])
    low, high = sampled.intervals(values, LEVEL)
    ties = dict(unknowns.space.ties)
    ends = np.array([*zip(unknowns.space.low, unknowns.space.high, strict=True), unknowns.zero, unknowns.fwhm])
    table = unknowns.space.profile.table[:size]
    units = [parameter.unit for parameter in table] + ["arcsec"] * 2
    kinds = [parameter.kind for parameter in table] + [""] * 2
    estimates = [
        estimate_of(
            name,
            units[j],
            (float(values[j]), float(sampled.std[j]), float(low[j]), float(high[j])),
            (float(ends[j, 0]), float(ends[j, 1])),
            free=bool(unknowns.free[j]),
            tied_to=ties.get(name, ""),
            kind=kinds[j],
        )
        for j, name in enumerate(unknowns.names)
    ]
    curve, used = given.curve, given.used
    model = _whole(given, x[0], refined.linear[at])
    at_data = given.expected(given.curves(x[:1], _FINAL), refined.linear[at : at + 1])[0]
    residual = difference(given, at_data)
    tail = given.angle >= MISFIT_FROM * (1.0 - 1e-9)
    chi2 = 2.0 * float(objective[0]) / given.freedom if given.counting else None
    rms = float(np.sqrt(np.mean(residual**2)))
    minima: list[Minimum] = []
    for row, value in zip(x, objective, strict=True):
        minima.append(
            Minimum(
                tuple(unknowns.params(row[None])[0].tolist()),
                float(row[size]),
                float(row[size + 1]),
                2.0 * float(value) / given.freedom if given.counting else None,
                rms if not minima else rms_dex(given, row),
                bool(as_good(given, float(value), float(objective[0]))),
            )
        )
    strongest = float(largest_strain(unknowns.params(x[:1]), unknowns.space.profile)[0])
    verdict, reason = judge(given, chi2, rms, strongest, estimates[:size])
    reason += peak_remark(curve, model, used)
    measurement = [
        *(
            Estimate(name, "intensity", value, std, max(value - 1.645 * std, 0.0), value + 1.645 * std, True)
            for name, value, std in zip(LINEAR, linear, linear_std(given, x[0]), strict=True)
        ),
        *estimates[size:],
    ]
    depth, strain, band = _profile(given, values[:size], sampled)
    return Fit(
        curve.source,
        curve.note,
        verdict,
        reason,
        tuple(estimates[:size]),
        tuple(measurement),
        chi2,
        float(np.abs(residual[tail]).mean()) if tail.any() else math.nan,
        rms,
        tuple(minima),
        sampled.correlation,
        {"method": sampled.method, "effective_samples": sampled.effective, "level": LEVEL},
        curve.angle,
        curve.intensity,
        model,
        used,
        depth,
        strain,
        band,
        0.0,
        evaluations,
        str(ended),
        settings_to_dict(given),
        derived=derived_estimates(given, values[None, :size], sampled),
        assumed=assumed(given),
    )


def derived_estimates(given: Problem, params: Array, sampled: Posterior) -> tuple[Estimate, ...]:
    size, space = params.shape[1], given.unknowns.space
    drawn = replace(sampled, names=tuple(UNITS), samples=derived(sampled.samples[:, :size], space))
    best = derived(params, space)[0]
    low, high = drawn.intervals(best, LEVEL)
    return tuple(
        Estimate(
            name,
            unit,
            float(best[j]),
            float(drawn.std[j]),
            float(low[j]),
            float(high[j]),
            True,
            kind="strain" if name == "largest_strain" else "",
        )
        for j, (name, unit) in enumerate(UNITS.items())
    )


def linear_std(given: Problem, row: Array) -> tuple[float, float]:
    """Standard deviations of scale and background, the other unknowns free too, in the unit of the file."""
    state = evaluate(given, row[None], None, _FINAL)
    kept = np.append(given.unknowns.free, [given.unknowns.scale is None, given.unknowns.background is None])
    h = state.hessian[0][np.ix_(kept, kept)]
    factor = given.inflation(float(state.objective[0]))
    length = np.sqrt(np.maximum(np.diag(h), 1e-300))
    covariance = np.linalg.pinv(h / np.outer(length, length), rcond=1e-12, hermitian=True) / np.outer(length, length)
    std = np.zeros(len(kept))
    std[kept] = np.sqrt(np.maximum(np.diag(covariance), 0.0) * factor) * given.per_count
    return float(std[-2]), float(std[-1])


def _whole(given: Problem, row: Array, linear: Array) -> Array:
    """Model at all measured angles in the unit of the file."""
    unknowns = given.unknowns
    params, instrument = unknowns.params(row[None]), unknowns.instrument(row[None])
    intensity = everywhere(given.simulator.within(_FINAL), given.curve.angle, params, *instrument)
    return np.asarray((linear[0] * intensity + linear[1] + given.offset) * given.per_count)


def _profile(given: Problem, params: Array, sampled: Posterior) -> tuple[Array, Array, Array]:
    """Depth [Å], strain and its quantiles."""
    size, space = len(params), given.unknowns.space
    some = slice(None, None, max(1, len(sampled.samples) // 1000))  # as many of each minimum as of all
    rows, weights = sampled.samples[some, :size], sampled.weights[some]
    drawn = Posterior(sampled.names, rows, weights / weights.sum(), sampled.effective, sampled.method)
    deepest = float(drawn.quantiles((0.975,), depth_end(rows, space=space))[0])
    depth = np.linspace(0.0, 1.02 * max(float(depth_end(params[None], space=space)[0]), deepest), _DEPTHS)
    band = drawn.quantiles((0.025, 0.16, 0.84, 0.975), strain_profile(rows, depth, space=space))
    return depth, strain_profile(params[None], depth, space=space)[0], band
