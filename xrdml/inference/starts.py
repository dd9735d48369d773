"""Where a fit should begin: what a network makes of a curve, the likeliest first.

A network that states a posterior gives samples of it, within the ranges that the fit allows. Their curves are simulated
and compared with the measured one, which leaves few of many. One that gives an estimate is scattered about it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.data.measurement import network_input
from xrdml.data.ranges import Ranges
from xrdml.networks.checkpoint import TrainedModel, load_model
from xrdsim.curves.curve import Curve
from xrdsim.errors import CheckpointError, CurveError
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import Refined, refine
from xrdsim.fit.search import acceptable
from xrdsim.fit.unknowns import adapted
from xrdsim.limits import Json
from xrdsim.observation.resample import Windowed, to_window
from xrdsim.profiles.two_gaussians import KAPPA, SIZE, TWO_GAUSSIANS, P

Array = NDArray[np.float64]

DRAWS = 64
"""Samples of the posterior that are compared with a curve."""

_FEWEST = 50  # points on the window below which nothing can be said
_SPREAD = 0.03  # of the estimates scattered about one, in parts of the ranges
_RTOL = 1e-2  # accuracy of the first comparison, and of what follows it but the last [dex]
_ROUNDS = ((4, 4), (2, 6))  # how many of the best are refined, by how many evaluations
_LAST = 12

SOLVED = 1.15
"""Largest reduced χ² of a solved curve."""

ATTEMPTS = 10
"""Groups of starts that are refined in turn."""

_SETS, _GROUPS = 4, 3  # sets of samples, and groups of starts of each, as long as a curve is not solved
_GAIN = 1.0  # decrease of Φ below which a group of starts has found nothing better


def seen(curve: Curve, trained: TrainedModel, left_out: Json | None = None) -> NDArray[np.float32]:
    """What a network sees of a curve, (1, 2, points).

    Parameters
    ----------
    curve : as measured.
    trained : the network; one that never saw a substrate peak is not shown any.
    left_out : ``mask`` and ``excluded`` of a measurement of a fit, of which a network is told that nothing is there.

    Raises
    ------
    CurveError
        The curve has too few points in the window of the model.
    """
    window, left_out = trained.window, left_out or {}
    masked = trained.measurement.always_masked
    measured = to_window(
        curve.angle, curve.intensity, [0, len(curve.angle)], window, peak_mask=max(masked, left_out.get("mask", 0.0))
    )
    for low, high in left_out.get("excluded", ()):
        away = (window.angle < low) | (window.angle > high)
        measured = Windowed(np.where(away, measured.log_intensity, 0.0), measured.valid & away)
    if measured.valid.sum() < _FEWEST:
        raise CurveError(
            f"{curve.source}: the curve covers {measured.valid.sum()} of the {window.points} points between "
            f"{window.start:.0f} and {window.last:.0f} arcsec, {_FEWEST} are needed; measure further or correct step, "
            "axis and peak"
        )
    return network_input(measured)


def allowed(wanted: Ranges, trained: TrainedModel) -> Ranges:
    """Ranges as far as the network knows them; where both have nothing in common, its nearest limit."""
    whole = trained.ranges
    size, own = wanted.parameters, whole.parameters
    low, high = wanted.low, wanted.high
    if TWO_GAUSSIANS.holds_damage(own) and size == SIZE:  # no damage
        none = low.new_tensor([[0.0, 1.0]]).expand(len(low), -1)
        low, high = (torch.cat([each[:, :KAPPA], none, each[:, KAPPA:]], dim=1) for each in (low, high))
    if own == SIZE and TWO_GAUSSIANS.holds_damage(size):
        low, high = (torch.cat([each[:, :KAPPA], each[:, P + 1 :]], dim=1) for each in (low, high))
    sum_ = min(wanted.strain_sum, whole.strain_sum)
    return Ranges(low.clamp(whole.low, whole.high), high.clamp(whole.low, whole.high), sum_)


def candidates(given: Problem, trained: TrainedModel, draws: int = DRAWS, seed: int = 0) -> Array:
    """Coordinates (draws, k) of the unknowns that a network takes for likely, the best described first.

    It knows one curve, the first measurement; of further ones zero and instrument begin where a refinement does.
    """
    first = given.measurements[0]
    width = dict(zip(first.instrument.names, first.limits, strict=True)).get("fwhm", trained.measurement.fwhm)
    ranges, inputs = (
        allowed(Ranges.of(given.space, first.zero, width), trained),
        seen(first.read, trained, first.left_out),
    )
    if trained.draws:
        values = trained.draw(inputs, draws, ranges, seed).values[0]
    else:
        estimate = trained.estimate(inputs)
        scatter = np.random.default_rng(seed).standard_normal((draws, estimate.shape[1]))
        scatter[0] = 0.0
        rows = estimate + _SPREAD * trained.space.span * scatter
        middle = 0.5 * (ranges.low + ranges.high)[0, ranges.parameters :].numpy()
        values = np.column_stack([rows, np.tile(middle, (draws, 1))])
    rows, instrument = values[:, : ranges.parameters], values[:, ranges.parameters :]
    own = instrument.T if "fwhm" in first.instrument.names else instrument.T[:1]
    x = given.coordinates(adapted(rows, given.space), *own)
    return np.asarray(x[np.argsort(given.misfit(given.values(x), _RTOL), kind="stable")])


def solve(given: Problem, x: Array, attempts: int = ATTEMPTS) -> Refined:
    """Refine the best of many starts (m, k), fewer in every round; then the next of them, until the curve is described.

    The end is at the noise, but perhaps not yet at its minimum: whoever reports the parameters refines it further.

    Parameters
    ----------
    given : the problem.
    x : starts, the likeliest first.
    attempts : at most. The first that describes the curve within its noise is the last, or the first that finds nothing
        better than one that solves it. Where the noise is unknown, all are made and the best one counts.

    Returns
    -------
    Refined
        Of one row.
    """
    solved, best = _solved(given), None
    goal = min(acceptable(given), solved)
    for first in range(0, min(attempts * _ROUNDS[0][0], len(x)), _ROUNDS[0][0]):
        some = x[first:]
        for count, evaluations in _ROUNDS:
            found = refine(given, some[:count], max_iter=evaluations, rtol_dex=_RTOL)
            order = found.best(count)
            some = found.x[order]
            if found.objective[order[0]] <= goal:
                break
        end = refine(given, some[:1], max_iter=_LAST)
        again = best is not None and bool(end.objective[0] > best.objective[0] - _GAIN)
        if best is None or end.objective[0] < best.objective[0]:
            best = end
        if best.objective[0] <= goal or (again and best.objective[0] <= solved):
            break
    assert best is not None
    return best


def solve_curve(given: Problem, trained: TrainedModel) -> Refined:
    """Refine what a network takes for likely; as long as that does not solve the curve, further samples.

    What refinement makes of new samples is better than what it makes of the less likely ones of the first.

    Parameters
    ----------
    given : the problem.
    trained : the network.

    Returns
    -------
    Refined
        Of one row.
    """
    best = None
    for seed in range(_SETS):
        end = solve(given, candidates(given, trained, seed=seed), _GROUPS)
        if best is None or end.objective[0] < best.objective[0]:
            best = end
        if best.objective[0] <= _solved(given):
            break
    assert best is not None
    return best


def _solved(given: Problem) -> float:
    """Φ of a solved curve; 0 where the noise is unknown."""
    return 0.5 * SOLVED * given.freedom if given.counting else 0.0


def mismatch(given: Problem, trained: TrainedModel) -> str:
    """Why a network cannot know the first curve of a problem, or nothing."""
    wanted, known = given.measurements[0].experiment, trained.experiment
    if given.space.profile != trained.space.profile:
        return f"{trained.path} was trained for the profile {trained.space.profile.name!r}"
    if not wanted.reflection.alike(known.reflection):
        return (
            f"{trained.path} was trained for another reflection, {known.reflection.title}, not "
            f"{wanted.reflection.title}"
        )
    if wanted.convention != known.convention:
        return f"{trained.path} was trained for another convention"
    if abs(wanted.monochromator - known.monochromator) > 1e-6:
        return (
            f"{trained.path} was trained for the monochromator factor {known.monochromator:.4g}, not "
            f"{wanted.monochromator:.4g}"
        )
    return ""


@dataclass(frozen=True)
class NetworkStarts:
    """Starts of a fit: called with a problem, gives coordinates (count, k).

    Where no model is named, curves that the one of the package cannot know get none.

    Attributes
    ----------
    model : folder of the model, or None for the one that ships with the package.
    count : number of starts.
    """

    model: str | Path | None = None
    count: int = 24

    def __call__(self, given: Problem) -> Array | None:
        trained = _loaded(self.model)
        reason = mismatch(given, trained)
        if reason and self.model is not None:
            raise CheckpointError(f"{reason}; train one for it, or leave the model out")
        return None if reason else candidates(given, trained, max(self.count, DRAWS))[: self.count]


@lru_cache(maxsize=2)
def _loaded(model: str | Path | None) -> TrainedModel:
    return load_model(model)
