"""Which points of a measured curve are fitted, how many are summed, and the grid on which they are simulated.

Layers of any strain in the ranges diffract between the substrate peak and their reach; a point farther away knows
nothing of them. Points much denser than the instrument resolves are summed, which loses nothing: a box of width w adds
w²/12 to the variance of the instrument.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from xrdsim.curves.curve import Curve
from xrdsim.experiment.reflection import Reflection, strain_to_angle
from xrdsim.experiment.scan import Scan
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

BEYOND = 600.0
"""Angle [arcsec] that is kept beyond the reach of the largest strain, and beyond as much compression."""

RESOLVED = 8.0
"""Points that the narrowest instrument's FWHM is worth; denser ones are summed."""

_SPARSE = 4.0  # points of a grid for each measured one, up to which these lie on it
_FINEST = 1.0  # step [arcsec] of a grid between whose points the model is interpolated
_TAPS = 6  # points of the polynomial between the points of an equidistant grid


def within_reach(curve: Curve, space: ParameterSpace, reflection: Reflection) -> Curve:
    """The part of a curve that strain can reach, the same curve where this is all of it; its note says what went."""
    reach = strain_to_angle(space.most_strain, reflection) + BEYOND
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


def everywhere(simulator: Simulator, angle: Array, params: Array, zero: Array, fwhm: Array) -> Array:
    """Unscaled curve (n,) at all angles (n,) of one row of parameters (1, p), and of zero and FWHM (1,)."""
    grid, picked, between = equidistant(angle, np.ones(len(angle), bool))
    seen = Seen.unscaled(fwhm, zero)
    on_grid = replace(simulator, scan=grid).curves(np.ascontiguousarray(params), seen)[1][0]
    return np.asarray(on_grid[picked] if between is None else between @ on_grid)


def equidistant(angle: Array, used: NDArray[np.bool_]) -> tuple[Scan, NDArray[np.int64], csr_array | None]:
    """An equidistant scan that holds the used angles, their places on it, or the polynomials between its points."""
    step = float(np.median(np.diff(angle)))
    places = (angle - angle[0]) / step
    if np.abs(places - np.round(places)).max() < 1e-3 and places[-1] < _SPARSE * len(angle):
        points = int(np.round(places[-1])) + 1
        step = float((angle[-1] - angle[0]) / (points - 1))
        return Scan(float(angle[0]), step, points), np.round(places[used]).astype(np.int64), None
    step = min(max(step, _FINEST), 4.0)
    half = _TAPS // 2
    points = math.ceil((angle[-1] - angle[0]) / step) + 2 * half
    grid = Scan(float(angle[0]) - (half - 1) * step, step, points)
    at = (angle[used] - grid.start) / step
    first = np.clip(np.floor(at).astype(np.int64) - (half - 1), 0, points - _TAPS)
    t = (at - first)[:, None]
    columns = []
    for i in range(_TAPS):  # Lagrange's polynomials
        others = np.array([j for j in range(_TAPS) if j != i])
        columns.append(np.prod((t - others) / (i - others), axis=1))
    rows = np.repeat(np.arange(len(at)), _TAPS)
    where = (first[:, None] + np.arange(_TAPS)).ravel()
    matrix = csr_array((np.column_stack(columns).ravel(), (rows, where)), shape=(len(at), points))
    return grid, first, matrix
