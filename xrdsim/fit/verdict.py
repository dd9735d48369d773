"""What a refined curve is worth: the verdict of a fit, how well each parameter is determined, and the misfit."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xrdsim.curves.curve import DEFAULT_STEP
from xrdsim.experiment.reflection import strain_to_angle, stretch
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import CurveFit, Estimate, FittedCurve, Verdict
from xrdsim.fit.search import acceptable
from xrdsim.fit.unknowns import Array, Unknown

MISFIT_FROM = 30 * DEFAULT_STEP
"""Angle [arcsec] from which on the mean |log10| is taken, for GGG 444."""

FINAL = 1e-4
"""Accuracy of the model that is reported [dex]."""

_BROAD = 0.5  # of its range: a wider interval does not determine a parameter
_EDGE = 0.02  # of its range: an interval that ends so near a limit is open there
_POOR = 0.1  # RMS misfit [dex] above which a curve of unknown noise is not described
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


def described(measured: Measurement, chi2: float | None, rms: float, freedom: float) -> tuple[Verdict, str]:
    """Whether a model describes a curve, and a sentence.

    Parameters
    ----------
    measured : the curve.
    chi2, rms : its reduced χ², None where the noise is unknown, and RMS misfit [dex].
    freedom : points less free unknowns.
    """
    if chi2 is not None:
        limit = max(1.15, 1.0 + 4.0 * math.sqrt(2.0 / freedom))
        if chi2 > limit:
            return Verdict.NOT_DESCRIBED, (
                f"The reduced χ² is {chi2:.3g}, noise alone gives at most {limit:.3g}: the model does not describe the "
                "curve, or a better minimum was not found."
            )
        least = 1.0 - 6.0 * math.sqrt(2.0 / freedom)
        if chi2 < min(least, 0.5):
            return Verdict.UNDETERMINED, (
                f"The reduced χ² is {chi2:.3g}, far below 1: the points scatter less than counts do. per_count = "
                f"{measured.per_count:.3g} is too large, or the curve was smoothed; the intervals are too wide."
            )
        return Verdict.SOLVED, f"The reduced χ² is {chi2:.3g}: the model describes the curve within its noise."
    limit = max(_POOR, _NOISY * measured.scatter)
    if rms > limit:
        return Verdict.NOT_DESCRIBED, (
            f"The curve and the model differ by {rms:.3g} dex (RMS), more than {limit:.3g}: the model does not "
            "describe the curve, or a better minimum was not found."
        )
    return Verdict.SOLVED, (
        f"Curve and model differ by {rms:.3g} dex (RMS); neighbouring points scatter by {measured.scatter:.2g} dex."
    )


def judge(given: Problem, curves: Sequence[CurveFit], largest: float, estimates: list[Estimate]) -> tuple[Verdict, str]:
    """Verdict and a sentence: each curve must be described, and the strain must be seen and determined.

    Parameters
    ----------
    given : the problem.
    curves : what is said of each measurement.
    largest : the largest strain of the profile.
    estimates : of its parameters.
    """
    first = given.measurements[0]
    several = len(curves) > 1
    poor = [each for each in curves if each.verdict != Verdict.SOLVED]
    if poor:
        worst = next((each for each in poor if each.verdict == Verdict.NOT_DESCRIBED), poor[0])
        which = f"{len(poor)} of {len(curves)} curves are not described well. {_name(worst)}: " if several else ""
        return worst.verdict, which + worst.reason
    text = "Every curve is described." if several else curves[0].reason
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


def compare(given: Problem, values: Array, linear: Array, freedom: float, chi2: float | None) -> list[CurveFit]:
    """What values (1, k) with scales and backgrounds (1, l) make of each curve.

    Parameters
    ----------
    freedom : of all points.
    chi2 : reduced χ² of a single curve, where the priors have their part in it.
    """
    found = []
    expected = given.expected(values, linear, FINAL)
    for i, each in enumerate(given.measurements):
        own, scales = given.layout.instruments[i], given.layout.scales[i]
        mu = expected[i]
        away = each.difference(mu[0])
        share = freedom * len(each) / len(given)
        reduced = 2.0 * float(each.objective(mu)[0]) / share if each.counting else None
        if len(given.measurements) == 1:
            reduced = chi2
        rms = float(np.sqrt(np.mean(away**2)))
        verdict, reason = described(each, reduced, rms, share)
        model = each.whole(values[:, given.layout.profile], values[:, own], linear[:, scales], FINAL)
        tail = each.angle >= misfit_from(each) * (1.0 - 1e-9)
        found.append(
            CurveFit(
                source=each.curve.source,
                note=each.curve.note,
                reflection=each.experiment.reflection.title,
                verdict=verdict,
                reason=reason,
                remark=peak_remark(each, model),
                misfit_from=misfit_from(each),
                reduced_chi2=reduced,
                mean_abs_log10=float(np.abs(away[tail]).mean()) if tail.any() else math.nan,
                rms_dex=rms,
                shown=FittedCurve(each.curve.angle, each.curve.intensity, model, each.used),
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
