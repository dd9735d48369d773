"""From a measured curve to parameters: one pass through the network, then the curve that they make.

The network gives the parameters. Scale and background follow by linear least squares of relative deviations, FWHM and
zero by a search over a shrinking grid for the smallest mean |log10 measured/model|.
"""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from xrdml.inference.starts import allowed, seen, solve_curve
from xrdml.networks.checkpoint import TrainedModel, load_model
from xrdsim import depth_end, simulate, strain_profile
from xrdsim.curves.curve import DEFAULT_STEP, Curve, read_curve
from xrdsim.dataset.configuration import BASE_FWHM, MARGIN
from xrdsim.errors import CheckpointError
from xrdsim.experiment.scan import Scan
from xrdsim.fit.points import within_reach
from xrdsim.fit.posterior import LEVEL, laplace
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.settings import assumed, assumed_of
from xrdsim.forward.resample import narrowest_fwhm, observe
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.tables import format_value
from xrdsim.profiles.two_gaussians import TABLE

Array = NDArray[np.float64]

MISFIT_FROM = 30 * DEFAULT_STEP
"""Angle [arcsec] from which on the misfit is taken."""

DRAWS_OF_INTERVALS = 500

WIDEST_FWHM = 120.0
"""Instrument [arcsec] up to which a curve is refined."""

POOR = 0.1
"""Mean |log10 measured/model| of a refined curve above which it is called unknown."""

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
    low, high : (p,) ends of intervals of 90 % probability, the network's, or after a refinement those of the curve;
        None from a network that states no posterior.
    refined : whether values and intervals are those of a refinement.
    assumed : what was taken for granted, in a sentence.
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
    low: Array | None = None
    high: Array | None = None
    refined: bool = False
    assumed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        parameters = {
            name: {"value": value, "unit": unit}
            for name, value, unit in zip(self.names, self.values.tolist(), self.units, strict=True)
        }
        if self.low is not None and self.high is not None:
            for each, low, high in zip(parameters.values(), self.low.tolist(), self.high.tolist(), strict=True):
                each |= {"low": low, "high": high}
        arrays = ("angle", "measured", "model", "used", "depth", "strain")
        return {
            "source": self.source,
            "model_path": self.model_path,
            "parameters": parameters,
            "measurement": {name: getattr(self, name) for name in ("fwhm", "zero", "scale", "background")},
            "misfit": self.misfit,
            "refined": self.refined,
            "assumed": self.assumed,
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
    curve: str | PathLike[str] | Curve,
    model: str | Path | TrainedModel | None = None,
    *,
    refine: bool = False,
    damage: bool = False,
    **reading: Any,
) -> Prediction:
    """Estimate the parameters of a measured curve and simulate what they make.

    Parameters
    ----------
    curve : a file for ``xrdsim.curves.curve.read_curve``, or a curve that was read.
    model : folder of a trained model, or a loaded one; ``None`` for the one that ships with the package.
    refine : refine what the network takes for likely on the curve; the best one is returned.
    damage : estimate the static Debye–Waller damage, too; otherwise a network that knows it takes it for absent.
    reading : arguments of ``read_curve``.

    Returns
    -------
    Prediction

    Raises
    ------
    CurveError
        The curve cannot be read, or has too few points in the window of the model.
    CheckpointError
        The model cannot be loaded, or has no damage.
    """
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    if not isinstance(curve, Curve):
        curve = read_curve(curve, **reading)
    if damage and not trained.space.damage:
        raise CheckpointError(f"{trained.path} has no damage; train a model with it, or try `xrd fit --damage`")
    space = trained.space if damage else trained.space.without_damage()
    curve = within_reach(curve, space, trained.experiment.reflection)
    inputs, ranges = (
        seen(curve, trained),
        allowed(Unknowns(space, zero=trained.measurement.zero, fwhm=trained.measurement.fwhm), trained),
    )
    found = _describe(curve, trained, space, trained.estimate(inputs, ranges)[:, : len(space.low)])
    if refine:
        better = _refined(curve, trained, space)
        note = f"Refined on the curve: the misfit of the network's estimate was {found.misfit:.4f}."
        return replace(better, notes=(*better.notes, *_outside(better, trained), note))
    if found.misfit > POOR:
        note = (
            f"The estimate differs from the curve by {found.misfit:.2g} dex on average: it may be far from the truth, "
            "and so may its intervals. Go on with --refine or `xrd fit`; if that does not help, the model does not "
            "know such curves."
        )
        found = replace(found, notes=(*found.notes, note))
    if not trained.draws:
        return found
    values = trained.draw(inputs, DRAWS_OF_INTERVALS, ranges).values[0, :, : len(found.values)]
    low, high = np.quantile(values, (0.05, 0.95), axis=0)
    return replace(found, low=low, high=high)


def prediction_table(found: Prediction) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: the parameters, with the network's intervals where it states them."""
    values = [(name, format_value(name, value)) for name, value in zip(found.names, found.values, strict=True)]
    if found.low is None or found.high is None:
        return ("parameter", "value"), list(values)
    ends = zip(values, found.low, found.high, strict=True)
    rows = [(name, text, f"{format_value(name, low)} … {format_value(name, high)}") for (name, text), low, high in ends]
    whose = "90 % interval" if found.refined else "90 % interval of the network"
    return ("parameter", "value", whose), list(rows)


def _refined(curve: Curve, trained: TrainedModel, space: ParameterSpace) -> Prediction:
    """The best that refinement of the network's candidates finds, with intervals that the curve gives it."""
    given = problem(
        curve,
        unknowns=Unknowns(space, fwhm=(narrowest_fwhm(trained.window, BASE_FWHM), WIDEST_FWHM)),
        mask=trained.measurement.peak_mask,
        experiment=trained.experiment,
    )
    found = refine(given, solve_curve(curve, given, trained).x)
    zero, fwhm = found.x[0, -2:].tolist()
    scale, background = ((found.linear[0] + [0.0, given.offset]) * given.per_count).tolist()
    params = given.unknowns.params(found.x)
    described = _describe(curve, trained, space, params, _Fit(fwhm, zero, scale, background, 0.0))
    sampled, size = laplace(given, found.x), params.shape[1]
    low, high = sampled.intervals(np.append(params[0], found.x[0, size:]), LEVEL)
    return replace(described, used=given.used, low=low[:size], high=high[:size], refined=True, assumed=assumed(given))


def _describe(
    curve: Curve, trained: TrainedModel, space: ParameterSpace, params: Array, fit: _Fit | None = None
) -> Prediction:
    """The curve and the strain profile that parameters (1, 7 or 9) make, seen as the curve was measured.

    ``fit`` is how it was measured; None to find that.
    """
    prior, window = trained.measurement, trained.window
    reach = max(-curve.angle[0], -window.start), max(curve.angle[-1], window.last)
    first, last = (int(np.ceil((value + MARGIN) / window.step)) for value in reach)
    scan = Scan(-first * window.step, window.step, first + last + 1)
    base = simulate(params, scan=scan, fwhm=BASE_FWHM, space=space, experiment=trained.experiment).intensity
    positive = curve.intensity[curve.intensity > 0.0]
    floored = np.maximum(curve.intensity, 0.5 * positive.min())
    used = np.abs(curve.angle) >= prior.peak_mask
    if fit is None:
        low = max(prior.fwhm[0], narrowest_fwhm(scan, BASE_FWHM))
        fit = _search(base, scan, curve.angle[used], floored[used], (low, max(low, prior.fwhm[1])), prior.zero)
    expected = _expected(base, scan, curve.angle, np.array([fit.fwhm]), np.array([fit.zero]))[0]
    intensity = fit.scale * expected + fit.background
    tail = curve.angle >= MISFIT_FROM * (1.0 - 1e-9)
    depth = np.linspace(0.0, float(depth_end(params, space=space)[0]), _DEPTHS)
    return Prediction(
        curve.source,
        str(trained.path),
        space.names,
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
        strain_profile(params, depth, space=space)[0],
        _notes(curve, trained),
        assumed=assumed_of(trained.experiment.reflection, trained.measurement.fwhm, space.damage),
    )


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


def _outside(found: Prediction, trained: TrainedModel) -> tuple[str, ...]:
    """What of a refined curve lies outside of what the model was trained for."""
    prior, notes = trained.measurement, []
    for name, value, (low, high) in (
        ("FWHM", found.fwhm, prior.fwhm),
        ("zero", found.zero, prior.zero),
        ("background by scale", found.background / max(found.scale, 1e-300), prior.contrast),
    ):
        if not low <= value <= high:
            notes.append(
                f"The {name}, {value:.3g}, is outside of {low:.3g} … {high:.3g}, which the model was trained for."
            )
    if found.misfit > POOR:
        notes.append(
            f"The refined curve still differs by {found.misfit:.2g} dex: the curve is not one that the model knows, or "
            "the minimum was missed; `xrd fit` searches further."
        )
    return tuple(notes)
