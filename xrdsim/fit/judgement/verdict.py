"""What a refined curve is worth: the verdict of a fit, how well each parameter is determined, and the misfit."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xrdsim.curves.curve import DEFAULT_STEP
from xrdsim.experiment.reflection import strain_to_angle, stretch
from xrdsim.fit.judgement.estimate import Estimate
from xrdsim.fit.judgement.points import aside_of, points_of
from xrdsim.fit.judgement.residuals import chi2_of_noise, rest_of, structure_of
from xrdsim.fit.measurement import Measurement, Scoring
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import CurveFit, Verdict
from xrdsim.fit.search import acceptable
from xrdsim.fit.settings import taken_for_granted
from xrdsim.fit.unknowns import Array, Unknown
from xrdsim.forward.derived import depth_end, largest_strain, strain_profile

MISFIT_FROM = 30 * DEFAULT_STEP
"""Angle [arcsec] from which on the mean |log10| is taken, for GGG 444."""

FINAL = 1e-4
"""Accuracy of the model that is reported [dex]."""

_BROAD = 0.5  # of its range: a wider interval does not determine a parameter
_EDGE = 0.02  # of its range: an interval that ends so near a limit is open there
_POOR = 0.1  # RMS misfit [dex] above which a curve of unknown noise is not described
_SMALL = 0.01  # dex (RMS) of unknown noise, below which its structure says nothing
_TOGETHER = 3.2  # … that χ² and the correlation of neighbours, independent in noise, do not reach together
_UNUSUAL = 3.0  # standard deviations of χ² that noise does not reach
_GUESSED = 1.3  # by how much χ² may be larger where the noise is estimated
_WITHIN = 4.5  # of Φ above the best one, three deviations, up to which a minimum describes a curve as well
_DIFFERENT = 0.1  # of the strain: profiles that differ by more are different ones
_DEPTHS = 400
_LIFTED = 4.5  # gain of Φ beyond a limit for which it is in the way
_PHYSICAL = ("lorentz", "tail", "eta", "kappa", "D02", "D01", "Rp2", "Rp1")  # whose 0 is no end of a range
_NOISY = 3.0  # … or above so many times the scatter of neighbouring points


def estimate_of(unknown: Unknown, numbers: tuple[float, float, float, float]) -> Estimate:
    """An unknown with what its interval (value, std, low, high) says of it within its limits."""
    (value, std, low, high), least, most = numbers, unknown.low, unknown.high
    if unknown.fixed:
        return Estimate(unknown.name, unknown.unit, value, 0.0, value, value, True, fixed=True, kind=unknown.kind)
    span = most - least
    return Estimate(
        unknown.name,
        unknown.unit,
        value,
        std,
        low,
        high,
        bool(high - low <= _BROAD * span),
        open_low=bool(low - least <= _EDGE * span),
        open_high=bool(most - high <= _EDGE * span),
        at_limit=bool(min(value - least, most - value) <= 1e-6 * span),
        tied_to=unknown.tied_to,
        kind=unknown.kind,
    )


def described(
    measured: Measurement, chi2: float | None, mu: Array, freedom: float, largest: float
) -> tuple[Verdict, str]:
    """Whether what a model leaves of a curve is noise, and a sentence.

    Parameters
    ----------
    measured : the curve.
    chi2 : its reduced χ², None where the noise is unknown.
    mu : (n,) the model.
    freedom : points less free unknowns.
    largest : the largest strain of the profile.
    """
    away, residual = measured.difference(mu), measured.residuals(mu)
    rms = float(np.sqrt(np.mean(away**2)))
    jumps = [each for each in measured.curve.jumps if measured.used[np.abs(measured.curve.angle - each[0]).argmin()]]
    if jumps:
        angle, factor = max(jumps, key=lambda jump: abs(math.log(jump[1])))
        return Verdict.NOT_DESCRIBED, (
            f"The intensity jumps by a factor of {max(factor, 1.0 / factor):.3g} at {angle:.4g}″, as of an attenuator "
            "that was not corrected: correct it, or leave one side out with --exclude."
        )
    found = structure_of(residual, measured.angle)
    left = rest_of(measured, residual, largest)
    where = f" What is left lies in {left}." if left else ""
    level = 0.0  # of χ², in standard deviations
    if chi2 is not None:
        usual, spread = chi2_of_noise(mu, freedom)
        limit = max(1.15, usual + _UNUSUAL * spread) * (_GUESSED if measured.estimated else 1.0)
        level = 0.0 if measured.estimated else (chi2 - usual) / spread
        least = 1.0 - 6.0 * math.sqrt(2.0 / freedom)
        if not measured.estimated and chi2 < min(least, 0.5):
            return Verdict.UNDETERMINED, (
                f"The reduced χ² is {chi2:.3g}, far below 1: the points scatter less than counts do. per_count = "
                f"{measured.per_count:.3g} is too large, or the curve was smoothed; the intervals are too wide."
            )
        good, poor = chi2 <= limit, f"The reduced χ² is {chi2:.3g}, noise alone gives at most {limit:.3g}."
        text = f"The reduced χ² is {chi2:.3g}: the model describes the curve within its noise."
        if measured.estimated:
            text = f"{text[:-1]}, which is estimated from the scatter of the points."
    else:
        limit = max(_POOR, _NOISY * measured.scatter)
        good = rms <= limit
        poor = f"The curve and the model differ by {rms:.3g} dex (RMS), more than {limit:.3g}."
        text = (
            f"Curve and model differ by {rms:.3g} dex (RMS); neighbouring points scatter by {measured.scatter:.2g} dex."
        )
    noise = found.noise and found.correlation + level <= math.sqrt(2.0) * _TOGETHER
    if good and (noise or (chi2 is None and rms <= _SMALL)):
        return Verdict.SOLVED, text
    if good:
        poor = (
            f"{text.split(':')[0].rstrip('.')}, but what is left is no noise: residuals of neighbours are alike by "
            f"{found.correlation:.2g} standard deviations, and near {found.where:.4g}″ they stand out by "
            f"{found.smooth:.2g}."
        )
    verdict = Verdict.NOT_DESCRIBED if float(np.abs(away).mean()) > _POOR else Verdict.ROUGH
    return verdict, f"{poor}{where} {_next_step(verdict, measured)}"


def _next_step(verdict: Verdict, measured: Measurement) -> str:
    """What to try where a curve is not described, of what the model has not got yet."""
    if verdict == Verdict.NOT_DESCRIBED:
        return (
            "The model does not describe the curve, or a better minimum was not found: check crystal, reflection, "
            "surface, axis and step, and try more --effort."
        )
    there = {"--damage": measured.simulator.space.damage, "--defects": measured.experiment.defects is not None}
    untried = ["another --seed", "more --effort", *(option for option, known in there.items() if not known)]
    return (
        "The model lacks something there, or a better minimum was not found: look at the residuals, try "
        f"{', '.join(untried)} or another --instrument; take the intervals for too narrow."
    )


def judge(
    given: Problem, curves: Sequence[CurveFit], largest: float, estimates: list[Estimate], beyond: Sequence[str]
) -> tuple[Verdict, str]:
    """Verdict and a sentence: each curve must be described, and the strain must be seen and determined.

    Parameters
    ----------
    given : the problem.
    curves : what is said of each measurement.
    largest : the largest strain of the profile.
    estimates : of its parameters.
    beyond : unknowns that would describe the curve better beyond their limits.
    """
    first = given.measurements[0]
    several = len(curves) > 1
    foreign = [text for each in given.measurements if not each.curve.jumps and (text := _foreign(each))]
    poor = [each for each in curves if each.verdict != Verdict.SOLVED]
    if poor:
        order = (Verdict.NOT_DESCRIBED, Verdict.ROUGH)
        worst = next((each for kind in order for each in poor if each.verdict == kind), poor[0])
        which = f"{len(poor)} of {len(curves)} curves are not described well. {_name(worst)}: " if several else ""
        if foreign and worst.verdict in order:
            return Verdict.NOT_THIS, f"{which}{worst.reason} {foreign[0]}"
        if beyond and worst.verdict == Verdict.ROUGH:
            return Verdict.AT_LIMITS, f"{which}{worst.reason} {_limits(beyond)}"
        return worst.verdict, which + worst.reason
    text = "Every curve is described." if several else curves[0].reason
    if beyond:
        return Verdict.AT_LIMITS, f"{text} But {_limits(beyond)}"
    unseen = [each.remark for each in curves if each.remark]
    if unseen:
        return Verdict.ROUGH, f"{text} But the whole curve is not:{unseen[0]} Fit the peak, too, without --mask."
    free = [each for each in estimates if not each.fixed and not each.tied_to]
    known = [each.name for each in free if each.determined]
    reach, end = strain_to_angle(largest, first.experiment.reflection), first.simulator.scan.last
    if not any(_reaches(each, largest) for each in given.measurements):
        return Verdict.UNDETERMINED, (
            f"{text} But its largest strain, {100.0 * largest:.3g} %, diffracts at {reach:.0f}″, beyond the end of the "
            f"scan at {end:.0f}″: what lies there fits anyhow. Measure further."
        )
    if len(known) < 3:
        return Verdict.UNDETERMINED, f"{text} But it determines only {', '.join(known) or 'no parameter'}."
    return Verdict.SOLVED, text


def _limits(beyond: Sequence[str]) -> str:
    one = len(beyond) == 1
    return (
        f"{', '.join(beyond)} {'stands' if one else 'stand'} at {'its limit' if one else 'their limits'}, beyond which "
        "the curve would be described better: widen the ranges (--space, --fwhm, --zero, --shape) if that has a "
        "meaning; if not, the model stands in for something else."
    )


def unique(given: Problem, params: Array, objective: Array) -> str:
    """Why a profile is not the only one: how far another of the minima (m, p) with Φ (m,) is away, or nothing."""
    factor = given.inflation(float(objective.min()))
    alike = objective <= objective.min() + _WITHIN * factor
    if alike.sum() < 2:
        return ""
    end = float(depth_end(params[alike], space=given.space).max())
    depth = np.linspace(0.0, end, _DEPTHS)
    strain = strain_profile(params[alike], depth, space=given.space)
    share = np.abs(strain - strain[0]).sum(axis=1) / max(float(strain[0].sum()), 1e-300)
    if share.max() <= _DIFFERENT:
        return ""
    number, other = int((share > _DIFFERENT).sum()), int(share.argmax())
    differs = f"differs by {100.0 * share[other]:.0f} % of the strain"
    first, second = (float(depth[strain[i].argmax()]) for i in (0, other))
    if abs(first - second) > _DIFFERENT * end:
        differs += f", with its largest strain at {second:.0f} Å, not at {first:.0f} Å"
    words = "s describe it as well, of which one" if number > 1 else " describes it as well, which"
    return (
        f"But {number} other profile{words} {differs}: all are shown. More counts, a longer scan, another reflection "
        "or what is known of the sample can tell them apart."
    )


def beyond_limits(given: Problem, x: Array, state: Scoring) -> list[str]:
    """Unknowns at a limit (1, k) beyond which the curve would be described better by more than three deviations.

    ``state`` is that of these coordinates. Limits that are those of the physics, 0 of a share, of a width of a tail, of
    the damage or of a strain, and both of a static Debye–Waller factor, are none of the ranges.
    """
    layout = given.layout
    factor = given.inflation(float(state.objective[0]))
    found = []
    for j, unknown in enumerate(layout.unknowns):
        if not unknown.free:
            continue
        slope, curved = float(state.gradient[0, j]), float(state.hessian[0, j, j])
        low, high, span = layout.low[j], layout.high[j], layout.high[j] - layout.low[j]
        physical = unknown.low == 0.0 and (unknown.name.split("_")[0] in _PHYSICAL or unknown.kind == "strain")
        outward = (x[0, j] - low <= 1e-6 * span and slope > 0.0 and not physical) or (
            high - x[0, j] <= 1e-6 * span and slope < 0.0
        )
        outward = outward and unknown.kind != "factor"
        if outward and 0.5 * slope**2 / max(curved, 1e-300) > _LIFTED * factor:
            found.append(unknown.name)
    return found


def _foreign(measured: Measurement) -> str:
    """Why a substrate peak is not that of the reflection, or nothing."""
    curve = measured.curve
    high = curve.intensity >= 0.5 * curve.intensity[curve.peak_index]
    below, above = np.flatnonzero(~high[: curve.peak_index + 1]), np.flatnonzero(~high[curve.peak_index :])
    if not (len(below) and len(above)):
        return ""
    width = float(curve.angle[curve.peak_index + above[0]] - curve.angle[below[-1]]) - curve.step
    widest = max(
        (
            high
            for each, (_, high) in zip(measured.instrument.parameters, measured.limits, strict=True)
            if each.name == "fwhm"
        ),
        default=math.inf,
    )
    if width <= 2.0 * widest + 2.0 * curve.step:
        return ""
    return (
        f"The substrate peak is {width:.0f}″ wide, wider than a perfect crystal of this reflection behind an "
        f"instrument of at most {widest:.0f}″: a powder, a mosaic, another reflection, or another unit of the angles."
    )


def compare(given: Problem, values: Array, linear: Array, freedom: float, chi2: float | None) -> list[CurveFit]:
    """What values (1, k) with scales and backgrounds (1, l) make of each curve.

    Parameters
    ----------
    freedom : of all points.
    chi2 : reduced χ² of a single curve, where the priors have their part in it.
    """
    found = []
    expected = given.expected(values, linear, FINAL)
    largest = float(largest_strain(values[:, given.layout.profile], given.space.profile)[0])
    for i, each in enumerate(given.measurements):
        own, scales = given.layout.own[i], given.layout.scales[i]
        mu = expected[i]
        away = each.difference(mu[0])
        share = freedom * len(each) / len(given)
        reduced = 2.0 * float(each.objective(mu)[0]) / share if each.counting else None
        if len(given.measurements) == 1:
            reduced = chi2
        rms = float(np.sqrt(np.mean(away**2)))
        verdict, reason = described(each, reduced, mu[0], share, largest)
        model = each.whole(values[:, given.layout.profile], values[:, own], linear[:, scales], FINAL)
        tail = each.angle >= misfit_from(each) * (1.0 - 1e-9)
        found.append(
            CurveFit(
                source=each.curve.source,
                note=each.curve.note,
                assumed=taken_for_granted(each),
                reflection=each.experiment.reflection.title,
                verdict=verdict,
                reason=reason,
                remark=peak_remark(each, model),
                misfit_from=misfit_from(each),
                reduced_chi2=reduced,
                mean_abs_log10=float(np.abs(away[tail]).mean()) if tail.any() else math.nan,
                rms_dex=rms,
                shown=points_of(each, model),
                aside=aside_of(each),
                estimated=each.estimated,
            )
        )
    return found


def misfit_from(measured: Measurement) -> float:
    """Angle [arcsec] from which on the mean |log10| of a measurement is taken: the same strain in all of them."""
    return MISFIT_FROM * stretch(measured.experiment.reflection)


def _name(curve: CurveFit) -> str:
    return Path(curve.source).name or curve.reflection


def _reaches(measured: Measurement, strain: float) -> bool:
    """Whether a scan goes on to where a strain diffracts."""
    return strain_to_angle(strain, measured.experiment.reflection) <= measured.simulator.scan.last


def peak_remark(measured: Measurement, model: Array) -> str:
    """What the model makes of a substrate peak that is not fitted, where that is far from the measured one."""
    curve = measured.curve
    ratio = float(model[curve.peak_index] / max(curve.intensity[curve.peak_index], 1e-300))
    if measured.used[curve.peak_index] or 0.5 < ratio < 2.0:
        return ""
    return (
        f" The model's substrate peak, which is left out of the fit, is {ratio:.2g} times the measured one: without "
        "it, scale and damage can stand in for each other."
    )


def as_good(given: Problem, value: float, best: float) -> bool:
    """Whether a minimum is statistically as good as the best one."""
    factor = given.inflation(best)
    return value <= max(acceptable(given) if given.counting else 0.0, best + 10.0 * factor)


def difference(given: Problem, expected: list[Array]) -> Array:
    """log10 measured/model (n,) of all measurements for one place, μ (1, n) of each."""
    pairs = zip(given.measurements, expected, strict=True)
    return np.concatenate([each.difference(mu[0]) for each, mu in pairs])
