"""What a refined curve is worth: the verdict of a fit, how well each parameter is determined, and the misfit."""

import math

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.curve import Curve
from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.fit.problem import Array, Problem
from xrdsim.fit.result import Estimate, Verdict
from xrdsim.fit.search import acceptable

_BROAD = 0.5  # of its range: a wider interval does not determine a parameter
_EDGE = 0.02  # of its range: an interval that ends so near a limit is open there
_POOR = 0.1  # RMS misfit [dex] above which a curve of unknown noise is not described
_NOISY = 3.0  # … or above so many times the scatter of neighbouring points


def estimate_of(
    name: str,
    unit: str,
    numbers: tuple[float, ...],
    limits: tuple[float, float],
    *,
    free: bool = True,
    tied_to: str = "",
    kind: str = "",
) -> Estimate:
    """A parameter with what its interval (value, std, low, high) says of it within its limits."""
    (value, std, low, high), (least, most) = numbers, limits
    if not free and (not tied_to or least == most):
        return Estimate(name, unit, value, 0.0, value, value, True, fixed=True, kind=kind)
    span = most - least
    return Estimate(
        name,
        unit,
        value,
        std,
        low,
        high,
        bool(high - low <= _BROAD * span),
        open_low=bool(low - least <= _EDGE * span),
        open_high=bool(most - high <= _EDGE * span),
        at_limit=bool(min(value - least, most - value) <= 1e-6 * span),
        tied_to=tied_to,
        kind=kind,
    )


def judge(
    given: Problem, chi2: float | None, rms: float, largest: float, estimates: list[Estimate]
) -> tuple[Verdict, str]:
    """Verdict and a sentence; ``largest`` is the largest strain of the profile."""
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
                f"{given.per_count:.3g} is too large, or the curve was smoothed; the intervals are too wide."
            )
        text = f"The reduced χ² is {chi2:.3g}: the model describes the curve within its noise."
    else:
        limit = max(_POOR, _NOISY * given.scatter)
        if rms > limit:
            return Verdict.NOT_DESCRIBED, (
                f"The curve and the model differ by {rms:.3g} dex (RMS), more than {limit:.3g}: the model does not "
                "describe the curve, or a better minimum was not found."
            )
        text = f"Curve and model differ by {rms:.3g} dex (RMS); neighbouring points scatter by {given.scatter:.2g} dex."
    reach = strain_to_angle(largest, given.experiment.reflection)
    if reach > given.grid.last:
        return Verdict.UNDETERMINED, (
            f"{text} But its largest strain, {100.0 * largest:.3g} %, diffracts at {reach:.0f}″, beyond the end of the "
            f"scan at {given.grid.last:.0f}″: what lies there fits anyhow. Measure further."
        )
    if len(known) < 3:
        return Verdict.UNDETERMINED, f"{text} But it determines only {', '.join(known) or 'no parameter'}."
    return Verdict.SOLVED, text


def peak_remark(curve: Curve, model: Array, used: NDArray[np.bool_]) -> str:
    """What the model makes of a substrate peak that is not fitted, where that is far from the measured one."""
    ratio = float(model[curve.peak_index] / max(curve.intensity[curve.peak_index], 1e-300))
    if used[curve.peak_index] or 0.5 < ratio < 2.0:
        return ""
    return (
        f" The model's substrate peak, which is left out of the fit, is {ratio:.2g} times the measured one: without "
        "it, scale and damage can stand in for each other."
    )


def as_good(given: Problem, value: float, best: float) -> bool:
    """Whether a minimum is statistically as good as the best one."""
    factor = given.inflation(best)
    return value <= max(acceptable(given) if given.counting else 0.0, best + 10.0 * factor)


def rms_dex(given: Problem, row: Array, rtol_dex: float = 1e-4) -> float:
    """RMS of log10 measured/model of one row (k,) of coordinates."""
    curves = given.curves(row[None], rtol_dex)
    mu = given.expected(curves, given.scaled(curves))[0]
    return float(np.sqrt(np.mean(difference(given, mu) ** 2)))


def difference(given: Problem, mu: Array) -> Array:
    """log10 measured/model (n,) of intensities, of which none is 0."""
    data, below = given.data.clip(0.5 if given.counting else 0.0), given.offset * given.exposure
    return np.asarray(np.log10((data + below) / (mu + below)))
