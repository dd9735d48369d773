"""Profile likelihood: how the smallest Φ grows when one parameter is held at other values than the best one.

The values at which 2ΔΦ stays below the quantile of χ² with one degree of freedom are its interval. It needs no
quadratic form, and follows bent valleys and limits (S. A. Murphy and A. W. van der Vaart, J. Am. Stat. Assoc. 95,
449, 2000).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from xrdsim.errors import ParameterError
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.unknowns import Array

_POINTS = 12  # values on either side of the best one
_STARTS = 4  # minima that are followed
_ITERATIONS = 25
_BEYOND = 2.0  # times the half-width of the interval that is given


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The profile likelihood of a parameter.

    Attributes
    ----------
    name : of the parameter.
    values : (n,) it was held at, ascending.
    rise : (n,) 2ΔΦ, by the reduced χ² where that exceeds 1; infinite where the constraints leave nothing.
    low, high : ends of the interval; a limit of the range, or the last value tried, where ``rise`` stays below.
    better : 2ΔΦ by which the lowest value is below the best minimum that was given.
    """

    name: str
    values: Array
    rise: Array
    low: float
    high: float
    better: float


def profile_likelihood(
    problem: Problem, minima: Array, name: str, interval: tuple[float, float], *, level: float = 0.9
) -> Likelihood:
    """Hold a parameter at values in and about an interval, and refine the others each time.

    Parameters
    ----------
    problem : profile and measurements.
    minima : (m, k) coordinates, the best first.
    name : of a free unknown.
    interval : low, high about which the values lie, such as that of Laplace's approximation.
    level : probability of the interval that is returned.
    """
    j, size = problem.layout.names.index(name), problem.layout.profile.stop
    rows, unknown = problem.values(minima), problem.layout.unknowns[j]
    best, least, most = float(rows[0, j]), unknown.low, unknown.high
    ends = [float(np.clip(best + _BEYOND * (end - best), least, most)) for end in interval]
    lowest = float(refine(problem, minima[:1], max_iter=2).objective[0])
    found = {best: lowest}
    for end in ends:
        now = rows[:_STARTS]
        for value in np.linspace(best, end, _POINTS + 1)[1:] if end != best else ():
            try:
                held = problem.held(name, float(value))
            except ParameterError:  # the constraints leave nothing
                found[float(value)] = np.inf
                continue
            refined = refine(held, held.coordinates(now[:, :size], *now[:, size:].T), max_iter=_ITERATIONS)
            found[float(value)] = float(refined.objective.min())
            now = held.values(refined.x)[refined.best(_STARTS)]
    values = np.array(sorted(found))
    objective = np.array([found[value] for value in values])
    inflation = problem.inflation(float(objective.min()))
    rise = 2.0 * (objective - objective.min()) / inflation
    low, high = _crossings(values, rise, float(chdtri(1, 1.0 - level)))
    return Likelihood(name, values, rise, low, high, 2.0 * (lowest - float(objective.min())) / inflation)


def _crossings(values: Array, rise: Array, limit: float) -> tuple[float, float]:
    """Where the rise crosses the limit on either side of its minimum, between values by its root."""
    root, goal = np.sqrt(np.minimum(rise, 1e6)), np.sqrt(limit)
    ends = []
    for order in (slice(None, None, -1), slice(None)):
        x, y = values[order], root[order]
        x, y = x[np.argmin(y) :], y[np.argmin(y) :]
        above = np.flatnonzero(y > goal)
        if not len(above):
            ends.append(float(x[-1]))
            continue
        i = above[0]
        ends.append(float(x[i - 1] + (x[i] - x[i - 1]) * (goal - y[i - 1]) / (y[i] - y[i - 1])))
    return ends[0], ends[1]
