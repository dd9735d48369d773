"""Single measured curves: what they could tell at most, how well the truth describes them, and what refinement finds.

The limit is the Bayesian Cramér–Rao bound (H. L. Van Trees, Detection, Estimation, and Modulation Theory, 1968) at the
truth: the inverse of the scoring matrix of the very counts (``xrdsim.fit.problem.Problem.evaluate``), to which the
coordinates of the unit cube, zero and FWHM add what their uniform prior says, 1 / variance. A normal error of that
width has the mean size σ·√(2/π); it counts no further than to the mean error of the prior's own median. It is local: it
does not know that another, distant profile may give the same curve.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.data.measurement import Measured
from xrdml.inference import starts
from xrdml.networks.checkpoint import TrainedModel
from xrdsim.experiment.instrument import GAUSSIAN, VOIGT_PEDESTAL
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.unknowns import adapted

Array = NDArray[np.float64]

BEST_OF = 100
"""Posterior samples of which the best is looked for."""

_RTOL, _FINE = 1e-3, 1e-4  # accuracy [dex] of the comparison of samples and of the last refinement
_LAST = 20  # evaluations of it
_FARTHEST = 1e4  # factor of a background that vanishes
_VARIANCE = 1.0 / 12.0  # of a uniform variable of width 1


@dataclass(frozen=True, eq=False)
class Solved:
    """What was found of one curve.

    Attributes
    ----------
    limit : (p,) mean size of the error that cannot be gone below; NaN of what was fixed.
    truth : reduced χ² of the true parameters and instrument, scale and background solved for.
    drawn, drawn_chi2 : (p,) best of the posterior samples by χ², and its reduced χ²; of a model without samples its
        estimate, at the middle of the ranges of zero and FWHM.
    refined, refined_chi2 : (p,) where refinement ended, and its reduced χ².
    contrast : by what factor its background, in units of the scale, departs from the middle of what the model knows.
    """

    limit: Array
    truth: float
    drawn: Array
    drawn_chi2: float
    refined: Array
    refined_chi2: float
    contrast: float


def solve(measured: Measured, row: int, trained: TrainedModel, candidates: Array, spread: Array) -> Solved:
    """Everything about one curve.

    Parameters
    ----------
    measured, row : which curve.
    trained : the model, whose ranges and experiment are used.
    candidates : (m, k) parameters, zero and FWHM to begin with: samples of the posterior, or an estimate.
    spread : (p,) mean error of the prior's median.
    """
    size = measured.params.shape[1]
    given = posed(measured, row, trained)
    used = given.layout.profile.stop
    own = (measured.zero[row], measured.fwhm[row], *([] if trained.measurement.gaussian else measured.tails[row]))
    truth = given.coordinates(measured.params[row : row + 1, :used], *own)
    x = given.coordinates(adapted(candidates[:, :used], given.space), candidates[:, -2], candidates[:, -1])
    objective = given.misfit(given.values(x), _RTOL)
    order = np.argsort(objective, kind="stable")
    end = refine(given, starts.solve(given, x[order]).x, max_iter=_LAST, rtol_dex=_FINE)

    def whole(coordinates: Array) -> Array:
        return np.append(given.params(coordinates)[0], measured.params[row, used:])

    unit = 2.0 / given.freedom
    return Solved(
        np.append(np.minimum(bound(given, truth), spread[:used]), np.full(size - used, np.nan)),
        float(unit * given.misfit(given.values(truth), _FINE)[0]),
        whole(x[order[:1]]),
        float(unit * objective[order[0]]),
        whole(end.x),
        float(unit * end.objective[0]),
        _contrast(end.linear[0] + [0.0, given.measurements[0].offset], trained.measurement.contrast),
    )


def _contrast(linear: Array, known: tuple[float, float]) -> float:
    """Of scale and background (2,), as ``Solved`` says."""
    scale, background = np.log(np.maximum(linear, 1e-300)).tolist()
    away = background - scale - 0.5 * math.log(known[0] * known[1])
    return math.exp(min(abs(away), math.log(_FARTHEST)))


def posed(measured: Measured, row: int, trained: TrainedModel) -> Problem:
    """One curve with the model's ranges, on both sides of the peak as a network sees it; damage only where there is.

    Of instruments with tails it is one with both; a background that is not constant is not described.
    """
    prior, space = trained.measurement, trained.space
    if space.damage and not measured.damaged[row]:
        space = space.without_damage()
    tails = {name: getattr(prior, name) for name in ("lorentz", "tail_share", "tail_fwhm")}
    instrument = GAUSSIAN if prior.gaussian else VOIGT_PEDESTAL
    unknowns = Unknowns(
        space, fwhm=prior.fwhm, zero=prior.zero, instrument=instrument, limits={} if prior.gaussian else tails
    )
    return problem(
        measured.curve(row),
        unknowns=unknowns,
        mask=float(measured.mask[row]),
        both_sides=True,
        experiment=trained.experiment,
    )


def bound(given: Problem, x: Array) -> Array:
    """Mean size (p,) of the error of the parameters at coordinates (1, k), as the module says."""
    layout, p = given.layout, given.layout.profile.stop
    information = given.evaluate(x, None, _FINE).hessian[0]
    known = np.where(layout.free, 1.0 / (_VARIANCE * np.maximum(layout.high - layout.low, 1e-300) ** 2), 0.0)
    chosen = layout.solved
    h = (information + np.diag(np.append(known, [0.0, 0.0])))[np.ix_(chosen, chosen)]
    length = np.sqrt(np.maximum(np.diag(h), 1e-300))
    covariance = np.zeros((len(x[0]) + 2,) * 2)
    covariance[np.ix_(chosen, chosen)] = np.linalg.pinv(h / np.outer(length, length)) / np.outer(length, length)
    slope = given.space.unit_slope(x[:, :p])[0]
    variance = np.einsum("ij,jk,ik->i", slope, covariance[:p, :p], slope)
    return np.asarray(np.sqrt(2.0 / math.pi * np.maximum(variance, 0.0)))
