"""The whole way from a measured curve to a result: search, refine, judge, state uncertainties."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.curve import DEFAULT_STEP, Curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import Reflection, strain_to_angle
from xrdsim.fit.derived import UNITS, derived
from xrdsim.fit.likelihood import profile_likelihood
from xrdsim.fit.points import equidistant, within_reach
from xrdsim.fit.posterior import LEVEL, Posterior, laplace, posterior
from xrdsim.fit.problem import LINEAR, Array, Problem, problem
from xrdsim.fit.refine import METHODS, Refined, evaluate
from xrdsim.fit.result import Estimate, Fit, Minimum
from xrdsim.fit.search import Ending, acceptable, search, valleys
from xrdsim.forward.model import depth_end, largest_strain, strain_profile
from xrdsim.profiles.space import TABLE

MISFIT_FROM = 30 * DEFAULT_STEP
"""Angle [arcsec] from which on the mean |log10| is taken."""

BUDGET = 30.0
"""Seconds after which a fit is cut off; on an idle core the work of a search takes about a quarter of it."""

_SHARES = (0.7, 0.85, 1.0)  # parts of the budget after which the search, its comparison, its refinement are cut off
_LEAST = 0.3  # s that the last refinement has in any case
_GOOD, _FINAL = 1e-3, 1e-4  # accuracy of the model when valleys are compared, and in the last refinement [dex]
_NEARLY = ((120, 6), (8, 20))  # how many valleys are refined so far, by how many evaluations at most
_DEPTHS = 400
_BROAD = 0.5  # of its range: a wider interval does not determine a parameter
_EDGE = 0.02  # of its range: an interval that ends so near a limit is open there
_POOR = 0.1  # RMS misfit [dex] above which a curve of unknown noise is not described
_NOISY = 3.0  # … or above so many times the scatter of neighbouring points


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
    method : of the last refinement: ``lm``, ``slsqp`` or ``trf``, see ``xrdsim.fit.refine``.
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
    same = within_reach(curve, unknowns.space, given.physics["reflection"])
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
    alike = np.array([_alike(given, float(value), float(objective[0])) for value in objective])
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
    units = [parameter.unit for parameter in TABLE[:size]] + ["arcsec"] * 2
    estimates = [
        _estimate(
            name,
            units[j],
            (float(values[j]), float(sampled.std[j]), float(low[j]), float(high[j])),
            (float(ends[j, 0]), float(ends[j, 1])),
            bool(unknowns.free[j]),
            ties.get(name, ""),
        )
        for j, name in enumerate(unknowns.names)
    ]
    curve, used = given.curve, given.used
    model = _whole(given, x[0], refined.linear[at])
    at_data = given.expected(given.curves(x[:1], _FINAL), refined.linear[at : at + 1])[0]
    residual = _difference(given, at_data)
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
                rms if not minima else _rms(given, row),
                bool(_alike(given, float(value), float(objective[0]))),
            )
        )
    strongest = float(largest_strain(unknowns.params(x[:1]))[0])
    verdict, reason = _judge(given, chi2, rms, strongest, estimates[:size])
    reason += _peak_remark(curve, model, used)
    measurement = [
        *(
            Estimate(name, "intensity", value, std, max(value - 1.645 * std, 0.0), value + 1.645 * std, True)
            for name, value, std in zip(LINEAR, linear, _linear_std(given, x[0]), strict=True)
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
        _settings(given),
        derived=_derived(given, values[None, :size], sampled),
        assumed=assumed(given),
    )


def assumed(given: Problem) -> str:
    """What a fit takes for granted, in a sentence."""
    return assumed_of(given.physics["reflection"], given.unknowns.fwhm, given.unknowns.space.damage)


def assumed_of(reflection: Reflection, fwhm: tuple[float, float], damage: bool) -> str:
    """The same of a reflection, limits of the FWHM [arcsec] and whether there is damage."""
    low, high = fwhm
    width = f"{low:g} … {high:g}″" if low < high else f"{low:g}″"
    film = "" if reflection.film is None else f", under a film of {reflection.film.crystal}"
    return (
        f"Assumed: {reflection.crystal} {''.join(map(str, reflection.hkl))}{film}, {reflection.wavelength:g} Å, a "
        f"Gaussian instrument of FWHM {width}, {'with' if damage else 'without'} lattice damage."
    )


def _derived(given: Problem, params: Array, sampled: Posterior) -> tuple[Estimate, ...]:
    size, space = params.shape[1], given.unknowns.space
    drawn = replace(sampled, names=tuple(UNITS), samples=derived(sampled.samples[:, :size], space))
    best = derived(params, space)[0]
    low, high = drawn.intervals(best, LEVEL)
    return tuple(
        Estimate(name, unit, float(best[j]), float(drawn.std[j]), float(low[j]), float(high[j]), True)
        for j, (name, unit) in enumerate(UNITS.items())
    )


def _estimate(
    name: str, unit: str, numbers: tuple[float, ...], limits: tuple[float, float], free: bool, tied_to: str
) -> Estimate:
    (value, std, low, high), (least, most) = numbers, limits
    if not free and (not tied_to or least == most):
        return Estimate(name, unit, value, 0.0, value, value, True, "fixed")
    span = most - least
    determined = high - low <= _BROAD * span
    open_low, open_high = low - least <= _EDGE * span, most - high <= _EDGE * span
    remark = ""
    if open_low and open_high and not determined:
        remark = "not determined: any value of its range fits"
    elif open_low:
        remark = f"{'' if determined else 'not determined: '}any value below {high:.4g} fits"
    elif open_high:
        remark = f"{'' if determined else 'not determined: '}any value above {low:.4g} fits"
    elif not determined:
        remark = "not determined"
    if min(value - least, most - value) <= 1e-6 * span:
        remark = f"at its limit {value:.4g}; {remark or 'one-sided'}"
    remark = "; ".join(filter(None, (f"tied to {tied_to}" if tied_to else "", remark)))
    return Estimate(name, unit, value, std, low, high, bool(determined), remark, tied_to)


def _judge(
    given: Problem, chi2: float | None, rms: float, largest: float, estimates: list[Estimate]
) -> tuple[str, str]:
    """Verdict and a sentence; ``largest`` is the largest strain of the profile."""
    free = [each for each in estimates if each.remark != "fixed" and not each.tied_to]
    known = [each.name for each in free if each.determined]
    if chi2 is not None:
        limit = max(1.15, 1.0 + 4.0 * math.sqrt(2.0 / given.freedom))
        if chi2 > limit:
            return "not described", (
                f"The reduced χ² is {chi2:.3g}, noise alone gives at most {limit:.3g}: the model does not describe the "
                "curve, or a better minimum was not found."
            )
        least = 1.0 - 6.0 * math.sqrt(2.0 / given.freedom)
        if chi2 < min(least, 0.5):
            return "undetermined", (
                f"The reduced χ² is {chi2:.3g}, far below 1: the points scatter less than counts do. per_count = "
                f"{given.per_count:.3g} is too large, or the curve was smoothed; the intervals are too wide."
            )
        text = f"The reduced χ² is {chi2:.3g}: the model describes the curve within its noise."
    else:
        limit = max(_POOR, _NOISY * given.scatter)
        if rms > limit:
            return "not described", (
                f"The curve and the model differ by {rms:.3g} dex (RMS), more than {limit:.3g}: the model does not "
                "describe the curve, or a better minimum was not found."
            )
        text = f"Curve and model differ by {rms:.3g} dex (RMS); neighbouring points scatter by {given.scatter:.2g} dex."
    reach = strain_to_angle(largest, given.physics["reflection"])
    if reach > given.grid.last:
        return "undetermined", (
            f"{text} But its largest strain, {100.0 * largest:.3g} %, diffracts at {reach:.0f}″, beyond the end of the "
            f"scan at {given.grid.last:.0f}″: what lies there fits anyhow. Measure further."
        )
    if len(known) < 3:
        return "undetermined", f"{text} But it determines only {', '.join(known) or 'no parameter'}."
    return "solved", text


def _peak_remark(curve: Curve, model: Array, used: NDArray[np.bool_]) -> str:
    """What the model makes of a substrate peak that is not fitted, where that is far from the measured one."""
    ratio = float(model[curve.peak_index] / max(curve.intensity[curve.peak_index], 1e-300))
    if used[curve.peak_index] or 0.5 < ratio < 2.0:
        return ""
    return (
        f" The model's substrate peak, which is left out of the fit, is {ratio:.2g} times the measured one: without "
        "it, scale and damage can stand in for each other."
    )


def _alike(given: Problem, value: float, best: float) -> bool:
    """Whether a minimum is statistically as good as the best one."""
    factor = given.inflation(best)
    return value <= max(acceptable(given) if given.counting else 0.0, best + 10.0 * factor)


def _rms(given: Problem, row: Array) -> float:
    curves = given.curves(row[None], _FINAL)
    mu = given.expected(curves, given.scaled(curves))[0]
    return float(np.sqrt(np.mean(_difference(given, mu) ** 2)))


def _difference(given: Problem, mu: Array) -> Array:
    """log10 measured/model (n,) of intensities, of which none is 0."""
    data, below = given.data.clip(0.5 if given.counting else 0.0), given.offset * given.exposure
    return np.asarray(np.log10((data + below) / (mu + below)))


def _linear_std(given: Problem, row: Array) -> tuple[float, float]:
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
    grid, picked, between = equidistant(given.curve.angle, np.ones(len(given.curve.angle), bool))
    everything = replace(given, grid=grid, picked=picked, between=between, exposure=np.ones(len(given.curve.angle)))
    intensity = everything.curves(row[None], _FINAL)[0]
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


def _settings(given: Problem) -> dict[str, Any]:
    unknowns = given.unknowns
    return {
        "ranges": {
            name: [low, high]
            for name, low, high in zip(unknowns.space.names, unknowns.space.low, unknowns.space.high, strict=True)
        },
        "zero": list(unknowns.zero),
        "fwhm": list(unknowns.fwhm),
        "scale": unknowns.scale,
        "background": unknowns.background,
        "priors": {name: list(value) for name, value in unknowns.priors.items()},
        "per_count": given.per_count if given.counting else None,
        "offset": given.offset,
        "points": len(given),
        **given.left_out,
        "strain_sum": unknowns.space.strain_sum,
        "ties": dict(unknowns.space.ties),
        "convention": given.physics["convention"],
        "monochromator": given.physics["monochromator"],
        "reflection": given.physics["reflection"].to_dict(),
    }
