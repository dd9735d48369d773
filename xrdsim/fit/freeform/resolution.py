"""How fine a structure of the profile the curves determine, at each depth.

The mean strain over a window of depth is the better known, the wider the window is, for neighbouring places can make up
for each other. The resolution at a depth is the full width at half maximum of the narrowest Gaussian window about it
over which the mean strain, and that over any wider one, is known to PART of the largest strain, one standard deviation:
after the trade-off of G. Backus and F. Gilbert, Phil. Trans. R. Soc. A 266, 123, 1970. The covariance is that of
Fisher's matrix for a spline of so many coefficients that their number matters little, with nothing said of its
smoothness: only that strains are of the size of the largest one. All other unknowns but L are free, and the noise is
inflated where the model leaves more.
"""

import math
from dataclasses import replace

import numpy as np

from xrdsim.fit.freeform.before import Before, Freeform, problem_of
from xrdsim.fit.freeform.search import moved
from xrdsim.fit.posterior import quadratic
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import Resolution
from xrdsim.fit.unknowns import Array
from xrdsim.forward.derived import largest_strain
from xrdsim.profiles.spline import DEPTH, values_at

PART = 0.03
"""Of the largest strain, to which the mean over a window is known."""

_COEFFICIENTS = 60
_PLACES = 600  # of the layer, at which windows begin and end
_WIDTHS = 40
_DEPTHS = 121


def resolution_of(given: Problem, before: Before, choice: Freeform, x: Array) -> Resolution:
    """The resolution at a minimum (1, k) of a spline.

    Parameters
    ----------
    given, x : the problem of the spline, and coordinates of its minimum.
    before, choice : by which ``problem_of`` makes that of a spline of more coefficients.
    """
    end = float(given.params(x)[0, DEPTH])
    fine = problem_of(before, replace(choice, coefficients=_COEFFICIENTS, depth=end), _COEFFICIENTS)
    fine = fine.tolerating(given.tolerances)
    at = moved(given, x, fine)
    size = abs(float(largest_strain(given.params(x), given.space.profile)[0]))
    inflation = given.inflation(float(replace(given, penalty=None).objective(given.values(x))[0]))
    covariance = _covariance(fine, at, size, inflation)
    width = narrowest(values_at(fine.space.profile, _middles(_PLACES)), covariance, end, PART * size)
    return Resolution(np.linspace(0.0, end, _DEPTHS), width, PART)


def narrowest(basis: Array, covariance: Array, end: float, most: float) -> Array:
    """Widths [Å] at equal depths from 0 to ``end``, (_DEPTHS,); NaN where no window is wide enough.

    Parameters
    ----------
    basis : (places, n) the splines at the middles of equal parts of the layer.
    covariance : (n, n) of their coefficients.
    end : depth of the layer [Å].
    most : standard deviation of the mean over a window.
    """
    places, n = basis.shape
    root = np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) / n * np.eye(n))
    spread = basis @ root
    away = np.linspace(0.0, 1.0, _DEPTHS)[:, None] - _middles(places)
    width, known = np.full(_DEPTHS, np.nan), np.ones(_DEPTHS, bool)
    for part in np.geomspace(1.0, 1.0 / (n - 3), _WIDTHS).tolist():
        window = np.exp(-4.0 * math.log(2.0) * (away / part) ** 2)
        std = np.linalg.norm(window @ spread, axis=1) / window.sum(axis=1)
        known &= std <= most
        width[known] = end * part
    return width


def _middles(count: int) -> Array:
    return (np.arange(count) + 0.5) / count


def _covariance(fine: Problem, x: Array, size: float, inflation: float) -> Array:
    """Of the coefficients of the strain, (n, n), all other unknowns free within their ranges."""
    layout = fine.layout
    some = np.flatnonzero(layout.free)
    scale = (layout.most - layout.least)[some]
    strains = [i for i, j in enumerate(some.tolist()) if layout.unknowns[j].kind == "strain"]
    scale[strains] = size
    matrix = quadratic(fine, x)[1][0][np.ix_(some, some)] / inflation
    covariance = np.linalg.inv(matrix * np.outer(scale, scale) + np.eye(len(some))) * np.outer(scale, scale)
    return np.asarray(covariance[np.ix_(strains, strains)])
