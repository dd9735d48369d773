"""From a curve that was read to a measurement of a fit: which points are fitted, how many are summed, what noise is.

Layers of any strain in the ranges diffract between the substrate peak and their reach; a point farther away knows
nothing of them. Points much denser than the instrument resolves are summed, which loses nothing: a box of width w adds
w²/12 to the variance of the instrument.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.cleaning import flat_top
from xrdsim.curves.curve import Curve
from xrdsim.errors import CurveError, ParameterError
from xrdsim.experiment.instrument import (
    GAUSSIAN,
    Instrument,
    InstrumentParameter,
    dispersion,
    suited,
    zero_of,
)
from xrdsim.experiment.reflection import Reflection, strain_to_angle, stretch
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.judgement.noise import LEAST, noise_of
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.unknowns import Array, Background, Limits, background_of
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.grids import equidistant
from xrdsim.observation.resample import PEAK_MASK
from xrdsim.observation.shapes import AUTO, doublet_of, shapes_of
from xrdsim.profiles.space import ParameterSpace

BEYOND = 600.0
"""Angle [arcsec] that is kept beyond the reach of the largest strain, and beyond as much compression."""

RESOLVED = 8.0
"""Points that the narrowest instrument's FWHM is worth; denser ones are summed."""

TOLERANCE = 0.02
"""Largest part of the intensity that the model is taken to be wrong by: susceptibilities, steps, a beam that drifts."""

WHOLE: dict[str, Any] = {
    "mask": 0.0,
    "both_sides": True,
    "tolerance": TOLERANCE,
    "find_noise": True,
    "instrument": AUTO,
    "background": Background.AUTO,
}
"""Arguments of ``measurement_of`` for the whole curve, peak and compressed side: what fits of files begin with."""

_FEWEST = 50  # points below which nothing can be said
_LEAST_SCATTER = 0.005  # dex


def measurement_of(
    curve: Curve,
    space: ParameterSpace,
    *,
    instrument: str | Path | Instrument = GAUSSIAN,
    zero: Limits | None = None,
    limits: Mapping[str, Limits] | None = None,
    scale: float | None = None,
    background: float | str | None = None,
    per_count: float | None = None,
    offset: float | None = None,
    mask: float | None = None,
    both_sides: bool = False,
    exclude: tuple[tuple[float, float], ...] = (),
    tolerance: float = 0.0,
    find_noise: bool = False,
    kalpha2: float | None = None,
    experiment: Experiment | None = None,
) -> Measurement:
    """Prepare a measured curve.

    Parameters
    ----------
    curve : as measured; points at other than equal steps are interpolated in the model.
    space : of the profiles that are tried on it.
    instrument : itself, or as ``xrdsim.observation.shapes.shapes_of`` takes it; the limits of its table are made to
        suit the reflection.
    zero, scale : see ``Measurement``.
    background : the value at which it is fixed, in the unit of the file, or one of ``Background``; None for a constant.
    limits : others, of its parameters by name.
    per_count, offset : intensity = per_count·(counts + offset); None takes what the curve says. If nothing is known,
        log10 intensities are compared.
    mask : angles closer to the substrate peak than this [arcsec] are not used; None for 48″ of GGG 444, and more of a
        reflection that a spread of wavelengths makes wider.
    both_sides : use the compressed side of the substrate peak, too. Layers that expand leave nothing there but the
        tail of the peak, in which real instruments differ most from a Gaussian.
    exclude : (low, high) angles [arcsec] not used either.
    tolerance : what the model itself may be wrong by, in parts of the intensity; of counts alone.
    find_noise : find out what one count is where nobody says it, or estimate the noise from the scatter; points about
        the peak that were edited are not used then.
    kalpha2 : intensity of Kα2 by that of Kα1 where both are in the beam; None for what the instrument says.
    experiment : what was measured, and how it is described; None for GGG 444 with Cu Kα1.

    Raises
    ------
    CurveError
        Fewer than 50 points are left, or the intensities are no counts.
    ParameterError
        A setting without meaning.
    """
    if per_count is not None and not 1e-30 <= per_count <= 1e30:
        raise ParameterError(f"per_count = {per_count:g} must be a positive number: the intensity of one count")
    read, experiment = curve, (experiment or Experiment()).continuous()
    reflection = experiment.reflection
    mask = PEAK_MASK * dispersion(reflection) if mask is None else mask
    if not mask >= 0.0:
        raise ParameterError(f"mask = {mask:g} must be at least 0 arcsec")
    shape, others = shapes_of(instrument, reflection)
    doublet = shape.doublet if kalpha2 is None else doublet_of(reflection, kalpha2)
    shape, others = replace(shape, doublet=doublet), tuple(replace(each, doublet=doublet) for each in others)
    instrument, alternatives = suited(shape, reflection), tuple(suited(each, reflection) for each in others)
    given = dict(limits or {})
    known = {name for each in (instrument, *alternatives) for name in each.names}
    for name in given.keys() - known:
        raise ParameterError(f"a {instrument.name} instrument has no {name}; it has {', '.join(sorted(known))}")
    zero = zero or zero_of(float(np.median(np.diff(curve.angle))))
    ends = tuple(given.get(each.name, each.limits) for each in instrument.parameters)
    alternatives = tuple(
        replace(each, parameters=tuple(_within(one, given.get(one.name)) for one in each.parameters))
        for each in alternatives
    )
    fixed, ground = background_of(background)
    curve = within_reach(curve, space, reflection)
    seen = noise_of(read) if find_noise and per_count is None and read.per_count is None else None
    if seen is not None:
        curve, exclude, offset = seen.of(curve), (*exclude, *seen.edited), None
    flat = saturated(curve)
    found = {"edited": () if seen is None else seen.edited, "saturated": flat}
    exclude = (*exclude, *flat)
    counted = curve.per_count if per_count is None else per_count
    below = curve.offset if offset is None else offset
    if counted is not None:
        curve = replace(curve, per_count=counted, offset=below)
    used = (curve.angle >= mask) | (both_sides & (curve.angle <= -mask))
    for low, high in exclude:
        if not low <= high:
            raise ParameterError(f"the excluded angles {low:g} … {high:g} must be in order")
        used &= (curve.angle < low) | (curve.angle > high)
    first = groups(curve.angle[used], instrument.narrowest(ends))
    if len(first) < _FEWEST:
        raise CurveError(
            f"{curve.source}: {len(first)} of {len(used)} points are left to fit, {_FEWEST} are needed; measure "
            "further, or exclude less"
        )
    members = np.diff(np.append(first, used.sum()))
    summed = bool((members > 1).any())

    def together(values: Array) -> Array:
        return np.add.reduceat(values, first) if summed else values

    angle, intensity = together(curve.angle[used]) / members, curve.intensity[used]
    exposure, mean, noise = np.ones(len(first)), 1.0, 1.0
    if counted is not None:
        each = np.broadcast_to(counted, curve.angle.shape)[used]
        mean = float(1.0 / np.mean(1.0 / each))
        exposure = together(mean / each)
        data = intensity / each - below
        if data.min() < -0.5:
            raise CurveError(
                f"{curve.source}: an intensity of {intensity[data.argmin()]:g} is {data.min():.3g} counts; correct "
                f"per_count = {mean:g} and offset = {below:g}"
            )
        data = together(np.maximum(data, 0.0))
    else:
        intensity = together(intensity) / members
        positive = intensity[intensity > 0.0]
        if not len(positive):
            raise CurveError(f"{curve.source}: no intensity is positive; measure longer")
        data = np.maximum(intensity, 0.5 * positive.min())
        noise = max(scatter(np.log10(data)), _LEAST_SCATTER)
    if summed:
        note = f"{curve.note} Up to {members.max()} neighbouring points are summed for the fit."
        curve = replace(curve, note=note.strip())
        grid, picked, between = equidistant(angle, np.ones(len(angle), bool))
    else:
        grid, picked, between = equidistant(curve.angle, used)
    return Measurement(
        read=read,
        curve=curve,
        used=used,
        data=data,
        angle=angle,
        counting=counted is not None,
        simulator=Simulator(experiment, grid, space),
        picked=picked,
        exposure=exposure,
        between=between,
        per_count=mean,
        offset=below if counted is not None else 0.0,
        scatter=noise,
        left_out={
            "mask": mask,
            "both_sides": both_sides,
            "excluded": [list(pair) for pair in exclude],
            **{why: [list(pair) for pair in ranges] for why, ranges in found.items() if ranges},
        },
        instrument=instrument,
        alternatives=alternatives,
        tolerance=tolerance if counted is not None else 0.0,
        least_tolerance=min(LEAST, tolerance) if seen is not None and seen.estimated else 0.0,
        estimated=seen is not None and seen.estimated,
        zero=zero,
        limits=ends,
        scale=scale,
        background=fixed,
        ground=ground,
    )


def _within(parameter: InstrumentParameter, limits: Limits | None) -> InstrumentParameter:
    """A parameter with other default limits."""
    return parameter if limits is None else replace(parameter, low=limits[0], high=limits[1])


def saturated(curve: Curve) -> tuple[Limits, ...]:
    """Angles of the flat top of a substrate peak, as of a saturated detector."""
    flat = flat_top(np.asarray(curve.intensity), curve.peak_index)
    return () if flat is None else ((float(curve.angle[flat[0]]), float(curve.angle[flat[1]])),)


def within_reach(curve: Curve, space: ParameterSpace, reflection: Reflection) -> Curve:
    """The part of a curve that strain can reach, the same curve where this is all of it; its note says what went."""
    reach = strain_to_angle(space.most_strain, reflection) + BEYOND * max(1.0, stretch(reflection))
    kept = np.abs(curve.angle) <= reach
    if kept.all():
        return curve
    left_out = f"{np.sum(~kept)} points farther than {reach:.0f}″ from the peak are left out: no strain reaches them."
    per_count = curve.per_count[kept] if isinstance(curve.per_count, np.ndarray) else curve.per_count
    peak = int(kept[: curve.peak_index].sum())
    return replace(
        curve,
        angle=curve.angle[kept],
        intensity=curve.intensity[kept],
        peak_index=peak,
        note=f"{curve.note} {left_out}".strip(),
        per_count=per_count,
    )


def groups(angle: Array, fwhm: float) -> NDArray[np.int64]:
    """Where groups of neighbouring points (n,) begin that are summed; each point alone if none are too dense."""
    steps = np.diff(angle)
    together = int(fwhm / RESOLVED / max(float(np.median(steps)), 1e-12)) if len(steps) else 1
    if together < 2:
        return np.arange(len(angle))
    runs = np.split(np.arange(len(angle)), 1 + np.flatnonzero(steps > 1.5 * np.median(steps)))
    return np.concatenate([run[::together] for run in runs])


def scatter(values: Array) -> float:
    """Noise of neighbouring points, from their second differences."""
    second = values[2:] - 2.0 * values[1:-1] + values[:-2]
    return float(1.4826 * np.median(np.abs(second)) / math.sqrt(6.0))
