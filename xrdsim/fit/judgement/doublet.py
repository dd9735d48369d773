"""Whether a curve that is not described shows Kα2 beside Kα1.

Without it the search explains the second curve by strain, and may end far from the truth: what it found, and its
mirrored profile, are refined with Kα2 in the beam, and the misfit that noise does not explain is compared.
"""

from dataclasses import replace

from xrdsim.errors import ParameterError
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.mirror import mirrored
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.unknowns import Array
from xrdsim.observation.shapes import KALPHA2_RATIO, doublet_of

_STARTS, _ITERATIONS, _ACCURACY = 6, 25, 1e-2  # minima that are refined, evaluations of each, accuracy [dex]
_LEFT = 0.5  # part of the excess of Φ over noise that is left at most where Kα2 is seen


def seen_doublet(given: Problem, x: Array, until: float) -> str:
    """What is to be said of minima (m, k), the best first, that Kα2 in the beam would improve much; or nothing.

    Nothing begins after ``until``, a time of ``time.perf_counter``.
    """
    try:
        lit = replace(given, measurements=tuple(_lit(each) for each in given.measurements))
    except ParameterError:  # no tube
        return ""
    if all(each.instrument.doublet is not None for each in given.measurements):
        return ""
    best, noise = float(given.evaluate(x[:1], None, _ACCURACY).objective[0]), 0.5 * given.freedom
    starts = [x[:_STARTS], mirrored(given, x[:1])]
    found = [refine(lit, some, max_iter=_ITERATIONS, rtol_dex=_ACCURACY, until=until) for some in starts]
    least = min(float(each.objective.min()) for each in found)
    if least - noise > _LEFT * (best - noise):
        return ""
    return (
        f" With Kα₂ beside Kα₁, {KALPHA2_RATIO:g} times as strong, χ² would fall by a factor of {best / least:.2g} or "
        "more: if no monochromator takes it out of the beam, fit with --kalpha2."
    )


def _lit(measured: Measurement) -> Measurement:
    """The same with Kα2 in the beam."""
    doublet = doublet_of(measured.experiment.reflection)
    return replace(measured, instrument=replace(measured.instrument, doublet=doublet))
