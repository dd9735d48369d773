"""The whole way from a measured curve to a result: search, refine, judge, state uncertainties."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.curve import Curve
from xrdsim.errors import ParameterError
from xrdsim.fit.judgement.doublet import seen_doublet
from xrdsim.fit.judgement.estimate import Estimate, logarithm, natural
from xrdsim.fit.judgement.evidence import best_backgrounds, best_instruments, likeliest_tolerances
from xrdsim.fit.judgement.verdict import (
    FINAL,
    as_good,
    beyond_limits,
    compare,
    difference,
    estimate_of,
    judge,
    misfit_from,
    unique,
)
from xrdsim.fit.likelihood import profile_likelihood
from xrdsim.fit.measurement import Measurement, Scoring
from xrdsim.fit.mirror import mirrored
from xrdsim.fit.posterior import LEVEL, Posterior, laplace, posterior
from xrdsim.fit.problem import Problem, problem
from xrdsim.fit.refinement import METHODS, Refined, refine
from xrdsim.fit.result import Fit, FittedProfile, Minimum, Verdict
from xrdsim.fit.search import GOOD, Ending, Watch, distinct, nearly, search, valleys
from xrdsim.fit.settings import assumed, settings_to_dict
from xrdsim.fit.unknowns import INTENSITY, Array
from xrdsim.forward.derived import UNITS, damage_profile, depth_end, derived, largest_strain, strain_profile

BUDGET = 180.0
"""Seconds for each curve after which a fit of the usual effort is cut off; on an idle core it takes some ten."""

_SHARES = (0.6, 0.74, 0.86)  # parts of the budget after which search, comparison, refinement end; the rest describes
_LEAST = 0.3  # s that the last refinement has in any case
_WITH_OTHERS = (Verdict.SOLVED, Verdict.ROUGH, Verdict.AT_LIMITS)  # say which other profiles describe a curve as well
_GAINED = 1.0  # of Φ by which another valley must be lower to become the best one
_DEPTHS = 400
_QUANTILES = (0.025, 0.16, 0.84, 0.975)  # of profiles
_MIRRORED = 40  # evaluations of the refinement of a mirrored profile
_TRIMMED = 4  # times that outliers are left out of the scale of an estimate


def usual_budget(given: Problem, effort: float = 1.0) -> float:
    """Seconds after which a fit is cut off of which nothing else is said."""
    return BUDGET * len(given.measurements) * max(1.0, effort)


def fit_curve(
    curve: Curve | Problem,
    *,
    starts: Array | None = None,
    begin: Array | None = None,
    budget: float | None = None,
    effort: float = 1.0,
    seed: int = 0,
    method: str = "lm",
    max_iter: int = 60,
    only_refine: bool = False,
    chains: bool = False,
    likelihood: tuple[str, ...] = (),
    begun: float | None = None,
    progress: Callable[[float, float], None] | None = None,
    watch: Watch | None = None,
) -> Fit:
    """Fit a measured curve, or all those of a problem together.

    Parameters
    ----------
    curve : as read, for a problem of the defaults; or the problem, such as ``xrdsim.fit.problem.problem`` makes it.
    starts : (m, 7 or 9) parameters to begin with.
    begin : (m, k) coordinates of the unknowns to begin with, beside them.
    budget : seconds after which search and refinement are cut off, wherever they are; the result then says so, and
        depends on the speed of the machine. Otherwise it depends on what was given alone. None: ``usual_budget``.
    effort : work of the search, in parts of the usual one.
    seed : of everything random.
    method : of the last refinement: ``lm``, ``slsqp`` or ``trf``, see ``xrdsim.fit.refinement``.
    max_iter : of the last refinement.
    only_refine : no search, only the refinement of the starts.
    chains : sample the posterior by Markov chains instead of Laplace's approximation.
    likelihood : names whose profile likelihood is computed.
    begun : time of ``time.perf_counter`` from which the budget counts; None: now.
    progress : called with the seconds spent and the reduced χ² (unknown noise: mean square misfit) of the best minimum.
    watch : called with the best minimum as the search goes on, see ``xrdsim.fit.search.search``, and before it is
        judged.

    Raises
    ------
    ParameterError
        ``only_refine`` without starts, or a setting without meaning.
    CurveError
        Too few points.
    """
    begun = time.perf_counter() if begun is None else begun
    given = problem(curve) if isinstance(curve, Curve) else curve
    if method not in METHODS:
        raise ParameterError(f"method {method!r} is unknown; choose {', '.join(METHODS)}")
    if not (math.isfinite(effort) and effort > 0.0):
        raise ParameterError(f"effort = {effort:g} must be positive, in parts of the usual work of the search")
    budget = usual_budget(given, effort) if budget is None else budget
    if not (math.isfinite(budget) and budget > 0.0):
        raise ParameterError(f"budget = {budget:g} s must be positive")
    if seed < 0:
        raise ParameterError(f"seed = {seed} must not be negative")
    if max_iter < 1:
        raise ParameterError(f"max_iter = {max_iter} must be at least 1")
    free = [unknown.name for unknown in given.layout.unknowns if unknown.free]
    if not free:
        raise ParameterError("all parameters, zero and fwhm are fixed: free one of them")
    for name in likelihood:
        if name not in free:
            tie = dict(given.space.ties).get(name)
            reason = f"{name} is tied to {tie}" if tie else f"{name!r} is fixed or unknown"
            raise ParameterError(f"{reason}, it has no likelihood of its own; choose among {', '.join(free)}")
    first = None if starts is None else given.coordinates(given.space.check(starts))
    if begin is not None:
        first = begin if first is None else np.concatenate([first, begin])
    if only_refine:
        if first is None:
            raise ParameterError("a refinement needs a start")
        x, evaluations, ended, ends = first, 0, Ending.REFINED, [math.inf, math.inf]
    else:
        until, *ends = (begun + share * budget for share in _SHARES)
        found = search(given, effort=effort, until=until, seed=seed, starts=first, progress=progress, watch=watch)
        x, evaluations, ended = found.x, found.evaluations, found.reason
    objective = np.full(1, np.inf)
    if len(x) > 1:  # all valleys, so far that they can be compared, and the best one to the end
        x, objective = nearly(given, x, ends[0])
        x, objective = valleys(given, x, objective)
        if time.perf_counter() > ends[0]:
            ended = Ending.BUDGET
    last = max(ends[1], time.perf_counter() + _LEAST)
    final = partial(METHODS[method], max_iter=max_iter, rtol_dex=FINAL, until=last)
    if watch:
        watch(given, x[:1])
    searched = given
    given, refined, x, objective = _by_evidence(searched, x, objective, final, last)
    if not only_refine:
        x, objective = _with_mirror(given, x, objective, last)
        best = int(objective.argmin())
        if objective[best] < objective[0] - _GAINED:  # the mirrored one, to which other evidence may lead
            x[[0, best]], objective[[0, best]] = x[[best, 0]], objective[[best, 0]]
            for i, measured in enumerate(searched.measurements):
                given, x = given.behind(i, measured.instrument, x)
            given, refined, x, objective = _by_evidence(searched, x, objective, final, last)
    if time.perf_counter() > ends[1]:
        ended = Ending.BUDGET
    alike = np.array([as_good(given, float(value), float(objective[0])) for value in objective])
    sampled = (posterior if chains else laplace)(given, x[alike], seed=seed)
    chosen = {"method": method, "seed": seed, "chains": chains}
    chosen |= {"budget": None if only_refine else budget, "effort": None if only_refine else effort}
    fit = result_of(given, refined, (x, objective), sampled, evaluations, ended)
    if fit.verdict in (Verdict.ROUGH, Verdict.NOT_DESCRIBED, Verdict.AT_LIMITS):
        fit = replace(fit, reason=fit.reason + seen_doublet(given, x, last))
    if ended is Ending.BUDGET:
        cut = f" The budget of {budget:g} s cut the search off: another run may end elsewhere. Give a larger --budget."
        fit = replace(fit, reason=fit.reason + cut)
    if likelihood:
        estimates = (*fit.parameters, *fit.measurement, *map(logarithm, fit.defects))
        intervals = {each.name: (each.low, each.high) for each in estimates}
        each = tuple(profile_likelihood(given, x[alike], name, intervals[name], level=LEVEL) for name in likelihood)
        fit = replace(fit, likelihoods=each)
    return replace(fit, seconds=time.perf_counter() - begun, settings=fit.settings | chosen)


def _by_evidence(
    given: Problem, x: Array, objective: Array, final: Callable[[Problem, Array], Refined], until: float
) -> tuple[Problem, Refined, Array, Array]:
    """The problem as the curves show instruments, backgrounds and tolerances, the refined minimum, and all with Φ.

    Parameters
    ----------
    given : the problem of the search.
    x, objective : its minima (m, k), the best first, and Φ (m,).
    final : the last refinement.
    until : time of ``time.perf_counter`` at which the others are cut off.
    """
    searched = given
    given, x = best_instruments(*best_backgrounds(given, x, until), until)
    changed = given is not searched
    refined = final(given, x[:1])
    given = likeliest_tolerances(given, refined.x, refined.linear)
    if given.tolerances != searched.tolerances:
        changed, refined = True, final(given, refined.x)
    if len(x) == 1 or not changed:
        return given, refined, np.concatenate([refined.x, x[1:]]), np.append(refined.objective, objective[1:])
    x, objective = nearly(given, x[1:], until)
    x, objective = np.concatenate([refined.x, x]), np.append(refined.objective, objective)
    best = int(objective.argmin())
    if objective[best] < objective[0] - _GAINED:
        x[[0, best]], objective[[0, best]] = x[[best, 0]], objective[[best, 0]]
        refined = final(given, x[:1])
        x[0], objective[0] = refined.x[0], refined.objective[0]
    x, others = valleys(given, x, np.append(objective.min(), objective[1:]))  # some of which have become one
    return given, refined, x, np.append(objective[0], others[1:])


def _with_mirror(given: Problem, x: Array, objective: Array, until: float) -> tuple[Array, Array]:
    """Minima and Φ with that of the mirrored partner of the best one, where it is another one and nearly as good."""
    other = refine(given, mirrored(given, x[:1]), max_iter=_MIRRORED, rtol_dex=GOOD, until=until)
    value = float(other.objective[0])
    if not as_good(given, value, float(objective[0])):
        return x, objective
    both, values = np.concatenate([x, other.x]), np.append(objective, value)
    kept, _ = distinct(given, both, values, len(values))
    if len(kept) == len(x):
        return x, objective
    order = np.argsort(values[1:], kind="stable") + 1
    return both[np.append(0, order)], values[np.append(0, order)]


def describe(given: Problem, x: Array, sampled: Posterior | None = None) -> Fit:
    """What coordinates (1, k) that were not refined make of a curve, with scale and background at their best.

    Parameters
    ----------
    given : the problem.
    x : coordinates of its unknowns.
    sampled : what they may be; None where nothing says that.
    """
    values = given.values(x)
    pairs = list(zip(given.measurements, given.curves(values, FINAL), strict=True))
    scales = [_without_outliers(each, curves) for each, curves in pairs]
    objective = np.zeros(1)
    for (each, curves), linear in zip(pairs, scales, strict=True):
        objective += each.objective(each.expected(curves, linear))
    refined = Refined(x, np.concatenate(scales, axis=1), objective, np.zeros(1, bool), np.ones(1, np.int64))
    known = sampled or Posterior(given.layout.names, values, np.ones(1), 0.0, "none")
    fit = result_of(given, refined, (x, objective), known, 1, Ending.ESTIMATE)
    fit = replace(
        fit,
        verdict=Verdict.ESTIMATE,
        curves=tuple(replace(each, verdict=Verdict.ESTIMATE) for each in fit.curves),
        reason=f"Curve and model differ by {fit.rms_dex:.3g} dex (RMS), before any refinement.",
    )
    if sampled is not None:
        return fit
    return replace(fit, parameters=_unsure(fit.parameters), derived=_unsure(fit.derived))


def _without_outliers(measured: Measurement, curves: Array) -> Array:
    """Scale and background (1, l) of an unscaled curve (1, n), from the points that it comes near to."""
    linear = measured.scaled(curves)
    for _ in range(_TRIMMED):
        away = np.abs(measured.difference(measured.expected(curves, linear)[0]))
        near = away <= 3.0 * np.median(away) + 1e-12
        some = replace(measured, data=measured.data[near], angle=measured.angle[near], exposure=measured.exposure[near])
        linear = some.scaled(curves[:, near])
    return linear


def _unsure(estimates: tuple[Estimate, ...]) -> tuple[Estimate, ...]:
    """The same without anything that says how certain they are."""
    return tuple(
        each if each.fixed else replace(each, std=math.nan, low=math.nan, high=math.nan, determined=False)
        for each in estimates
    )


def result_of(
    given: Problem,
    refined: Refined,
    distinct: tuple[Array, Array],
    sampled: Posterior,
    evaluations: int,
    ended: Ending,
    alike: NDArray[np.bool_] | None = None,
) -> Fit:
    """What is said of minima, of which those that are ``alike`` are as good as the first; None: by their Φ."""
    (x, objective), layout, first = distinct, given.layout, given.measurements[0]
    at, size = int(np.argmin(refined.objective)), layout.profile.stop
    values, linear = given.values(x), refined.linear[at : at + 1]
    params = values[:1, :size]
    low, high = sampled.intervals(values[0], LEVEL)
    std = sampled.std
    estimates = [
        estimate_of(unknown, (float(values[0, j]), float(std[j]), float(low[j]), float(high[j])))
        for j, unknown in enumerate(layout.unknowns)
    ]
    residual = difference(given, given.expected(values[:1], linear, FINAL))
    tail = np.concatenate([each.angle >= misfit_from(each) * (1.0 - 1e-9) for each in given.measurements])
    chi2 = [2.0 * float(value) / given.freedom if given.counting else None for value in objective]
    rms = [float(np.sqrt(np.mean(residual**2)))]
    for row in values[1:, None]:
        rms.append(float(np.sqrt(np.mean(difference(given, given.expected(row, rtol_dex=FINAL)) ** 2))))
    if alike is None:
        alike = np.array([as_good(given, float(value), float(objective[0])) for value in objective])
    minima = [
        Minimum(
            tuple(row[:size].tolist()),
            dict(zip(layout.names[size:], row[size:].tolist(), strict=True)),
            chi2[i],
            rms[i],
            bool(alike[i]),
        )
        for i, row in enumerate(values)
    ]
    strongest = float(largest_strain(params, given.space.profile)[0])
    state = given.evaluate(x[:1], None, FINAL)
    of_measurements = tuple(_of_measurements(given, state, linear, estimates))
    curves = [
        replace(each, measurement=own)
        for each, own in zip(compare(given, values[:1], linear, given.freedom, chi2[0]), of_measurements, strict=True)
    ]
    verdict, reason = judge(given, curves, strongest, estimates[:size], beyond_limits(given, x[:1], state))
    if verdict in _WITH_OTHERS and (others := unique(given, values[alike, :size], objective[alike])):
        verdict, reason = Verdict.NOT_UNIQUE if verdict is Verdict.SOLVED else verdict, f"{reason} {others}"
    return Fit(
        source=first.curve.source,
        note=first.curve.note,
        verdict=verdict,
        reason=reason + (curves[0].remark if len(curves) == 1 else ""),
        parameters=tuple(estimates[:size]),
        measurement=tuple(each for own in of_measurements for each in own),
        reduced_chi2=chi2[0],
        mean_abs_log10=float(np.abs(residual[tail]).mean()) if tail.any() else math.nan,
        rms_dex=rms[0],
        minima=tuple(minima),
        correlation=sampled.correlation,
        uncertainty={"method": sampled.method, "effective_samples": sampled.effective, "level": LEVEL},
        curves=tuple(curves),
        **_profile(given, params[0], sampled)._asdict(),
        seconds=0.0,
        evaluations=evaluations,
        ended=str(ended),
        settings=settings_to_dict(given.settled(x[:1])),
        defects=tuple(natural(each) for each in estimates[layout.shared]),
        derived=derived_estimates(given, params, sampled),
        assumed=assumed(curves),
    )


def _of_measurements(
    given: Problem, state: Scoring, linear: Array, estimates: list[Estimate]
) -> Iterator[tuple[Estimate, ...]]:
    """Scale, background, zero and instrument of each measurement in turn."""
    spread = linear_std(given, state)
    for each, own, scales in zip(given.measurements, given.layout.instruments, given.layout.scales, strict=True):
        numbers = each.in_unit_of_file(linear[:, scales])[0].tolist(), (spread[scales] * each.per_count).tolist()
        found = []
        for unknown, value, std in zip(given.layout.linear[scales], *numbers, strict=True):
            low, high = max(value - 1.645 * std, 0.0), value + 1.645 * std
            found.append(Estimate(unknown.name, INTENSITY, value, std, low, high, True))
        yield (*found, *estimates[own])


def derived_estimates(given: Problem, params: Array, sampled: Posterior) -> tuple[Estimate, ...]:
    size, space = params.shape[1], given.space
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


def linear_std(given: Problem, state: Scoring) -> Array:
    """Standard deviations (l,) of scales and backgrounds at one place, the other unknowns free too."""
    kept = given.layout.solved
    h = state.hessian[0][np.ix_(kept, kept)]
    factor = given.inflation(float(state.objective[0]))
    length = np.sqrt(np.maximum(np.diag(h), 1e-300))
    covariance = np.linalg.pinv(h / np.outer(length, length), rcond=1e-12, hermitian=True) / np.outer(length, length)
    std = np.zeros(len(kept))
    std[kept] = np.sqrt(np.maximum(np.diag(covariance), 0.0) * factor)
    return std[len(given.layout) :]


def _profile(given: Problem, params: Array, sampled: Posterior) -> FittedProfile:
    """Strain and damage over depth, and their quantiles."""
    size, space = len(params), given.space
    some = slice(None, None, max(1, len(sampled.samples) // 1000))  # as many of each minimum as of all
    rows, weights = sampled.samples[some, :size], sampled.weights[some]
    drawn = Posterior(sampled.names, rows, weights / weights.sum(), sampled.effective, sampled.method)
    deepest = float(drawn.quantiles((0.975,), depth_end(rows, space=space))[0])
    depth = np.linspace(0.0, 1.02 * max(float(depth_end(params[None], space=space)[0]), deepest), _DEPTHS)
    found = []
    for profile in (strain_profile, damage_profile)[: 1 + space.damage]:
        band = drawn.quantiles(_QUANTILES, profile(rows, depth, space=space))
        found += [profile(params[None], depth, space=space)[0], band]
    return FittedProfile(depth, *found)
