"""What a curve itself says of its instrument, and of how far the model can be trusted.

Shapes of instruments are compared by what they cost, Φ + ½·k·ln n with k free unknowns of n points (G. Schwarz, Ann.
Stat. 6, 461, 1978). The tolerance of a measurement, by which the model may be wrong, is where its data are likeliest.

Whether a background is linear in the angle is asked first, where the instrument has all tails that it may have, and
only if the quadratic forms of both after their next step promise a gain of ½·ln n (C. R. Rao's score test, Proc. Camb.
Phil. Soc. 44, 50, 1948). Residuals without a slow trend promise nothing, and cost two evaluations.
"""

import math

import numpy as np

from xrdsim.fit.measurement import Scoring
from xrdsim.fit.preparation import TOLERANCE
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import next_step, refine
from xrdsim.fit.unknowns import Array, Background

_EVALUATIONS = 25  # of the refinement of each shape
_DAMPED = 1e-6  # of the step that is promised
_RTOL = 1e-3  # accuracy of the model [dex]


def best_instruments(given: Problem, x: Array, until: float) -> tuple[Problem, Array]:
    """The problem with the shapes of instruments for which there is most evidence, and coordinates (m, k) of it.

    Parameters
    ----------
    given : the problem; measurements without alternatives keep their instrument.
    x : coordinates (m, k) of minima, the best first: shapes are compared there.
    until : time of ``time.perf_counter`` at which refinements are cut off.
    """
    for i, measured in enumerate(given.measurements):
        if not measured.alternatives:
            continue
        best, cheapest = (given, x), math.inf
        for instrument in (measured.instrument, *measured.alternatives):
            tried, starts = (given, x) if instrument is measured.instrument else given.behind(i, instrument, x)
            found = refine(tried, starts[:1], max_iter=_EVALUATIONS, rtol_dex=_RTOL, until=until)
            unknown = int(tried.layout.solved.sum())
            cost = float(found.objective[0]) * _scale(given, found.objective[0]) + 0.5 * unknown * math.log(len(given))
            if cost < cheapest:
                own = tried.layout.instruments[i]
                starts = starts.copy()
                starts[:, own] = found.x[0, own]
                starts[0] = found.x[0]
                best, cheapest = (tried, starts), cost
        given, x = best
    return given, x


def best_backgrounds(given: Problem, x: Array, until: float) -> tuple[Problem, Array]:
    """The problem with a linear background where a curve shows it, and coordinates (m, k) of it.

    Parameters
    ----------
    given : the problem; only backgrounds that are left to the evidence may change.
    x : coordinates (m, k) of minima, the best first.
    until : time of ``time.perf_counter`` at which refinements are cut off.
    """
    for i, measured in enumerate(given.measurements):
        if measured.ground is not Background.AUTO or measured.background is not None:
            continue
        tried = given.over(i, Background.LINEAR)
        plain, state = given.evaluate(x[:1], None, _RTOL), tried.evaluate(x[:1], None, _RTOL)
        scale = _scale(given, plain.objective[0])
        needed = 0.5 * math.log(len(given)) / scale
        expected = [_expected(each, at, x[:1]) for each, at in ((given, plain), (tried, state))]
        if expected[0] - expected[1] < needed:
            continue
        ends = [refine(each, x[:1], max_iter=_EVALUATIONS, rtol_dex=_RTOL, until=until) for each in (given, tried)]
        if float(ends[0].objective[0] - ends[1].objective[0]) > needed:
            given, x = tried, np.concatenate([ends[1].x, x[1:]])
    return given, x


def _expected(given: Problem, state: Scoring, x: Array) -> float:
    """Φ after the next step from coordinates (1, k), by its quadratic form there."""
    _, gain = next_step((state.gradient, state.hessian), np.array([_DAMPED]), x, state.linear, given.layout)
    return float(state.objective[0] - gain[0])


def _scale(given: Problem, objective: float) -> float:
    """Φ of unknown noise is in units of the scatter, which is no more than a lower limit of the noise."""
    return 1.0 if given.counting else 1.0 / given.inflation(objective)


def likeliest_tolerances(given: Problem, x: Array, linear: Array, most: float = TOLERANCE) -> Problem:
    """The problem with tolerances of its measurements for which the data are likeliest at coordinates (1, k).

    Parameters
    ----------
    given : the problem.
    x, linear : coordinates, and scales and backgrounds (1, l).
    most : of a tolerance.
    """
    expected = given.expected(given.values(x), linear, _RTOL)
    limits = (min(most, each.tolerance) for each in given.measurements)
    pairs = zip(given.measurements, expected, limits, strict=True)
    return given.tolerating([each.likeliest_tolerance(mu[0], limit) for each, mu, limit in pairs])
