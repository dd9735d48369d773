"""What a refined curve is worth: the verdict of a fit, how well each parameter is determined, and the misfit."""

import math

import numpy as np

from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import Estimate, Verdict
from xrdsim.fit.search import acceptable
from xrdsim.fit.unknowns import Array, Unknown

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


def judge(
    given: Problem, chi2: float | None, rms: float, largest: float, estimates: list[Estimate]
) -> tuple[Verdict, str]:
    """Verdict and a sentence; ``largest`` is the largest strain of the profile.

    What is said of per_count and of the end of the scan is that of the first measurement.
    """
    first = given.measurements[0]
    free = [each for each in estimates if not each.fixed and not each.tied_to]
    known = [each.name for each in free if each.determined]
    if chi2 is not None:
        limit = max(1.15, 1.0 + 4.0 * math.sqrt(2.0 / given.freedom))
        if chi2 > limit:
            return Verdict.NOT_DESCRIBED, (
                f"The reduced χ² is {chi2:.3g}, noise alone gives at most {limit:.3g}: the model does not describe the "
                "curve, or a better minimum was not found."
            )
        least = 1.0 - 6.0 * math.sqrt(2.0 / given.freedom)
        if chi2 < min(least, 0.5):
            return Verdict.UNDETERMINED, (
                f"The reduced χ² is {chi2:.3g}, far below 1: the points scatter less than counts do. per_count = "
                f"{first.per_count:.3g} is too large, or the curve was smoothed; the intervals are too wide."
            )
        text = f"The reduced χ² is {chi2:.3g}: the model describes the curve within its noise."
    else:
        scatter = max(each.scatter for each in given.measurements if not each.counting)
        limit = max(_POOR, _NOISY * scatter)
        if rms > limit:
            return Verdict.NOT_DESCRIBED, (
                f"The curve and the model differ by {rms:.3g} dex (RMS), more than {limit:.3g}: the model does not "
                "describe the curve, or a better minimum was not found."
            )
        text = f"Curve and model differ by {rms:.3g} dex (RMS); neighbouring points scatter by {scatter:.2g} dex."
    reach, end = strain_to_angle(largest, first.experiment.reflection), first.simulator.scan.last
    if not any(_reaches(each, largest) for each in given.measurements):
        return Verdict.UNDETERMINED, (
            f"{text} But its largest strain, {100.0 * largest:.3g} %, diffracts at {reach:.0f}″, beyond the end of the "
            f"scan at {end:.0f}″: what lies there fits anyhow. Measure further."
        )
    if len(known) < 3:
        return Verdict.UNDETERMINED, f"{text} But it determines only {', '.join(known) or 'no parameter'}."
    return Verdict.SOLVED, text


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
