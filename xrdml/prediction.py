"""From a measured curve to parameters: one pass through the network, then the curve that they make.

The network gives the parameters. Scale and background follow by linear least squares of relative deviations, FWHM and
zero by a search over a shrinking grid for the smallest mean |log10 measured/model|.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from xrdml.checkpoint import TrainedModel, load_model
from xrdml.data import network_input
from xrdsim import depth_end, simulate, strain_profile
from xrdsim.configuration import BASE_FWHM, MARGIN
from xrdsim.crystal import Scan
from xrdsim.curves import DEFAULT_STEP, Curve, read_curve
from xrdsim.errors import CurveError
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refine import refine as levenberg_marquardt
from xrdsim.fit.series import adapted
from xrdsim.observe import narrowest_fwhm, observe, to_window
from xrdsim.parameters import TABLE

Array = NDArray[np.float64]

MISFIT_FROM = 30 * DEFAULT_STEP
"""Angle [arcsec] from which on the misfit is taken."""

_FEWEST = 50  # points on the window below which nothing can be said
_ROUNDS, _GRID = 4, 7  # of the search for FWHM and zero; a round has a third of the range of the one before
_DEPTHS = 500


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says about a measured curve, and how well the curve is described.

    Attributes
    ----------
    source, model_path : the curve's file and the model's folder.
    names, units : of the parameters.
    values : (p,) the parameters.
    fwhm, zero : of the measurement [arcsec].
    scale, background : in the unit of the measured intensity: intensity = scale · R + background.
    misfit : mean |log10 measured/model| from 120.5″ (30 points of the default scan) to the end of the curve.
    angle, measured, model : (n,) measured angles [arcsec], measured and model intensities.
    used : (n,) whether a point was used, off the substrate peak.
    depth, strain : strain profile [Å, 1].
    notes : what a reader should know, in sentences.
    """

    source: str
    model_path: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Array
    fwhm: float
    zero: float
    scale: float
    background: float
    misfit: float
    angle: Array
    measured: Array
    model: Array
    used: NDArray[np.bool_]
    depth: Array
    strain: Array
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        table = zip(self.names, self.values.tolist(), self.units, strict=True)
        arrays = ("angle", "measured", "model", "used", "depth", "strain")
        return {
            "source": self.source,
            "model_path": self.model_path,
            "parameters": {name: {"value": value, "unit": unit} for name, value, unit in table},
            "measurement": {name: getattr(self, name) for name in ("fwhm", "zero", "scale", "background")},
            "misfit": self.misfit,
            "notes": list(self.notes),
        } | {name: getattr(self, name).tolist() for name in arrays}


@dataclass(frozen=True, eq=False)
class _Fit:
    fwhm: float
    zero: float
    scale: float
    background: float
    deviation: float


def predict(
    curve: str | PathLike[str] | Curve, model: str | Path | TrainedModel, *, refine: bool = False, **reading: Any
) -> Prediction:
    """Estimate the parameters of a measured curve and simulate what they make.

    Parameters
    ----------
    curve : a file for ``xrdsim.curves.read_curve``, or a curve that was read.
    model : folder of a trained model, or a loaded one.
    refine : refine the estimate, and others scattered about it, on the curve; the best one is returned.
    reading : arguments of ``read_curve``.

    Returns
    -------
    Prediction

    Raises
    ------
    CurveError
        The curve cannot be read, or has too few points in the window of the model.
    CheckpointError
        The model cannot be loaded.
    """
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    if not isinstance(curve, Curve):
        curve = read_curve(curve, **reading)
    estimate = _estimate(curve, trained)
    seen = _describe(curve, trained, estimate)
    if not refine:
        return seen
    refined = _describe(curve, trained, _refined(curve, trained, _scattered(estimate, trained)))
    note = f"Refined on the curve: the misfit of the network's estimate was {seen.misfit:.4f}."
    return replace(refined, notes=(*refined.notes, note))


def _estimate(curve: Curve, trained: TrainedModel) -> Array:
    """Parameters (1, 7 or 9)."""
    prior, window = trained.measurement, trained.window
    seen = to_window(curve.angle, curve.intensity, [0, len(curve.angle)], window, peak_mask=prior.peak_mask)
    if seen.valid.sum() < _FEWEST:
        raise CurveError(
            f"{curve.source}: the curve covers {seen.valid.sum()} of the {window.points} points between "
            f"{window.start:.0f} and {window.last:.0f} arcsec, {_FEWEST} are needed; measure further or correct step, "
            "axis and peak"
        )
    return trained.estimate(network_input(seen))


def _refined(curve: Curve, trained: TrainedModel, rows: Array) -> Array:
    """The best (1, 7 or 9) of refinements of the rows (m, 7 or 9) on the curve."""
    prior = trained.measurement
    given = problem(
        curve,
        unknowns=Unknowns(trained.space, fwhm=prior.fwhm, zero=prior.zero),
        mask=prior.peak_mask,
        **{name: value for name, value in trained.physics.items() if name != "layers"},
    )
    x = given.unknowns.coordinates(adapted(rows, given.unknowns), np.mean(prior.zero), np.mean(prior.fwhm))
    found = levenberg_marquardt(given, x)
    return given.unknowns.params(found.x[found.best(1)])


def _scattered(estimate: Array, trained: TrainedModel, count: int = 16, spread: float = 0.03) -> Array:
    """The estimate and others (count, 7 or 9) about it, their standard deviation in parts of the ranges."""
    scatter = np.random.default_rng(0).standard_normal((count, estimate.shape[1]))
    scatter[0] = 0.0
    return np.asarray(estimate + spread * trained.space.span * scatter)


def _describe(curve: Curve, trained: TrainedModel, params: Array) -> Prediction:
    """The curve and the strain profile that parameters (1, 7 or 9) make, seen as the curve was measured."""
    prior, window = trained.measurement, trained.window
    reach = max(-curve.angle[0], -window.start), max(curve.angle[-1], window.last)
    first, last = (int(np.ceil((value + MARGIN) / window.step)) for value in reach)
    scan = Scan(-first * window.step, window.step, first + last + 1)
    base = simulate(params, scan=scan, fwhm=BASE_FWHM, space=trained.space, **trained.physics).intensity
    positive = curve.intensity[curve.intensity > 0.0]
    floored = np.maximum(curve.intensity, 0.5 * positive.min())
    used = np.abs(curve.angle) >= prior.peak_mask
    low = max(prior.fwhm[0], narrowest_fwhm(scan, BASE_FWHM))
    fit = _search(base, scan, curve.angle[used], floored[used], (low, max(low, prior.fwhm[1])), prior.zero)
    expected = _expected(base, scan, curve.angle, np.array([fit.fwhm]), np.array([fit.zero]))[0]
    intensity = fit.scale * expected + fit.background
    tail = curve.angle >= MISFIT_FROM * (1.0 - 1e-9)
    depth = np.linspace(0.0, float(depth_end(params, space=trained.space)[0]), _DEPTHS)
    return Prediction(
        curve.source,
        str(trained.path),
        trained.space.names,
        tuple(parameter.unit for parameter in TABLE[: params.shape[1]]),
        params[0],
        fit.fwhm,
        fit.zero,
        fit.scale,
        fit.background,
        float(np.abs(np.log10(floored[tail] / intensity[tail])).mean()),
        curve.angle,
        curve.intensity,
        intensity,
        used,
        depth,
        strain_profile(params, depth, space=trained.space)[0],
        _notes(curve, trained),
    )


def network_starts(model: str | Path) -> Callable[[Curve], Array]:
    """Starts for a fit: a function from a curve to the network's estimate and 15 others about it, (16, 7 or 9).

    Raises
    ------
    CheckpointError
        The model cannot be loaded.
    """
    trained = load_model(model)
    return lambda curve: _scattered(_estimate(curve, trained), trained)


def _expected(base: Array, scan: Scan, angle: Array, fwhm: Array, zero: Array) -> Array:
    """Intensity (candidates, angles) of unit scale and no background for candidates of FWHM and zero."""
    n = len(fwhm)
    flat = observe(
        np.repeat(base, n, axis=0),
        scan,
        BASE_FWHM,
        angles=np.tile(angle, n),
        offsets=np.arange(n + 1) * len(angle),
        fwhm=fwhm,
        zero=zero,
    )
    return flat.reshape(n, len(angle))


def _search(
    base: Array, scan: Scan, angle: Array, measured: Array, fwhm: tuple[float, float], zero: tuple[float, float]
) -> _Fit:
    """FWHM and zero with the smallest mean |log10 measured/model| on a grid that shrinks around the best."""
    best = _Fit(fwhm[0], 0.0, 1.0, 0.0, np.inf)
    ranges = [fwhm, zero]
    limits = list(ranges)
    for _ in range(_ROUNDS):
        grid = np.stack(np.meshgrid(*(np.linspace(*each, _GRID) for each in ranges)), axis=-1).reshape(-1, 2)
        for (width, shift), curve in zip(grid, _expected(base, scan, angle, grid[:, 0], grid[:, 1]), strict=True):
            scale, background = _scale_and_background(curve, measured)
            deviation = float(np.abs(np.log10(measured / (scale * curve + background))).mean())
            if deviation < best.deviation:
                best = _Fit(float(width), float(shift), scale, background, deviation)
        ranges = [
            (max(low, at - (b - a) / 6.0), min(high, at + (b - a) / 6.0))
            for at, (a, b), (low, high) in zip((best.fwhm, best.zero), ranges, limits, strict=True)
        ]
    return best


def _scale_and_background(curve: Array, measured: Array) -> tuple[float, float]:
    """Non-negative scale and background with the smallest sum of squared relative deviations.

    Deviations are first relative to the measured intensity, then to the model, which does not favour low counts.
    """
    columns = np.stack([curve, np.ones_like(curve)], axis=1)
    reference = measured
    for _ in range(2):
        unit = np.array([measured.max() / curve.max(), measured.min()])  # of the unknowns: for the solver's scaling
        solution, _rest = nnls(columns * unit / reference[:, None], measured / reference)
        scale, background = solution * unit
        reference = scale * curve + background
    return float(scale), float(background)


def _notes(curve: Curve, trained: TrainedModel) -> tuple[str, ...]:
    prior, end = trained.measurement, float(curve.angle[-1])
    notes = [curve.note] if curve.note else []
    if end < prior.end[0]:
        notes.append(
            f"The scan ends at {end:.0f} arcsec, before the {prior.end[0]:.0f} that the model was trained for."
        )
    if not 0.9 * prior.step[0] <= curve.step <= 1.1 * prior.step[1]:
        notes.append(
            f"The step is {curve.step:.3g} arcsec; the model was trained for {prior.step[0]:g} … {prior.step[1]:g}."
        )
    return tuple(notes)
