"""What a diffractometer makes of a stored curve, and how any measured curve becomes a fixed grid.

Stored curves are convolved with a narrow Gaussian instrument of FWHM b on an equidistant grid that is fine enough
for them. An instrument of FWHM F > b is then one more Gaussian G of FWHM √(F² − b²) on that grid:

    I(angle) = scale · Σ_j curve_j·step·G(angle − zero − x_j) + background

exact to rounding as soon as G is wider than about three steps, since both factors are band-limited.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.kernels import observe as kernels
from xrdsim.units import FWHM_TO_SIGMA

Array = NDArray[np.float64]

PEAK_MASK = 48.0
"""Half-width [arcsec] of the region around the substrate peak that is not used."""

GAP = 2.5
"""Steps of a scan from which on the distance of two points is a gap."""

_NARROWEST = 1.5  # FWHM of the additional Gaussian in steps of the grid: below it, errors exceed 3e-4


@dataclass(frozen=True)
class Windowed:
    """Curves on an equidistant grid.

    Attributes
    ----------
    log_intensity : (n, points) log10 intensity, 0 where invalid.
    valid : (n, points) whether the angle was measured and is not masked.
    """

    log_intensity: Array
    valid: NDArray[np.bool_]


def narrowest_fwhm(base_scan: Scan, base_fwhm: float) -> float:
    """Narrowest instrument FWHM [arcsec] that ``observe`` can make of curves stored on this grid."""
    return float(np.hypot(base_fwhm, _NARROWEST * base_scan.step))


def observe(
    curves: NDArray[np.floating],
    base_scan: Scan,
    base_fwhm: float,
    *,
    angles: ArrayLike,
    offsets: ArrayLike,
    fwhm: ArrayLike,
    zero: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
) -> Array:
    """Expected intensity of stored curves at measured angles, one scan a curve.

    Parameters
    ----------
    curves : (n, base_scan.points) reflectivity convolved with the base instrument.
    base_scan : its angles; it should reach 2.5 FWHM beyond the measured ones. Where it does not, the curve ends in the
        weights, which are normalised.
    base_fwhm : FWHM of the base instrument [arcsec].
    angles : measured angles of all curves [arcsec], flat.
    offsets : (n + 1,) where the angles of each curve begin; curve i has ``angles[offsets[i] : offsets[i + 1]]``.
    fwhm, zero : FWHM of the instrument and angle of the substrate peak [arcsec]; scalars or (n,).
    scale, background : scalars or (n,).

    Returns
    -------
    intensity : flat, like ``angles``; NaN at angles outside the base scan.

    Raises
    ------
    ParameterError
        Shapes that do not belong together; a FWHM that is not wider than the base instrument.
    """
    stored = np.ascontiguousarray(curves)
    n = len(stored)
    if stored.ndim != 2 or stored.shape[1] != base_scan.points:
        raise ParameterError(f"curves of shape {stored.shape} do not belong to a scan of {base_scan.points} points")
    at, where = _ragged(angles, offsets, n)
    widths = _column(fwhm, n, "fwhm")
    narrowest = narrowest_fwhm(base_scan, base_fwhm)
    if n and widths.min() < narrowest:
        raise ParameterError(
            f"fwhm = {widths.min():g} arcsec cannot be made of curves stored with {base_fwhm:g} arcsec in steps of "
            f"{base_scan.step:g}; it must be at least {narrowest:.2f}: simulate narrower instruments directly"
        )
    out = np.empty(len(at))
    kernels.observe(
        stored,
        base_scan.start,
        base_scan.step,
        np.sqrt(widths**2 - base_fwhm**2) * FWHM_TO_SIGMA,
        at,
        where,
        _column(zero, n, "zero"),
        _column(scale, n, "scale"),
        _column(background, n, "background"),
        out,
    )
    return out


def to_window(
    angles: ArrayLike,
    intensity: ArrayLike,
    offsets: ArrayLike,
    window: Scan,
    *,
    peak_mask: ArrayLike = PEAK_MASK,
    gap: float = GAP,
) -> Windowed:
    """Bring measured curves onto an equidistant grid as log10 intensity; nothing is padded or extrapolated.

    A scan in coarser steps than the grid is interpolated, linear in log10 intensity. Of a scan in finer steps the mean
    of the linear interpolant is taken over the width (grid step − measured step), so that all counts are used; in
    equal steps it is the measured point. Intensities below half the smallest positive one of a curve, zero counts
    in particular, count as that half.

    Parameters
    ----------
    angles, intensity : measured angles [arcsec], ascending within each curve, and intensities ≥ 0; flat.
    offsets : (n + 1,) where each curve begins.
    window : the grid.
    peak_mask : angles closer to 0 than this [arcsec] are invalid; scalar or (n,).
    gap : angles between two points further apart than this many (median) steps of the curve are invalid.

    Returns
    -------
    Windowed

    Raises
    ------
    ParameterError
        Shapes that do not belong together.
    """
    where = np.asarray(offsets)
    n = len(where) - 1
    at, where = _ragged(angles, where, n)
    values = np.ascontiguousarray(intensity, dtype=np.float64)
    if values.shape != at.shape:
        raise ParameterError(f"{values.size} intensities do not belong to {at.size} angles")
    out = np.empty((n, window.points))
    valid = np.empty((n, window.points), dtype=np.bool_)
    masks = _column(peak_mask, n, "peak_mask")
    kernels.to_window(at, values, where, window.start, window.step, masks, gap, np.empty_like(at), out, valid)
    return Windowed(out, valid)


def _ragged(angles: ArrayLike, offsets: ArrayLike, n: int) -> tuple[Array, NDArray[np.int64]]:
    at = np.ascontiguousarray(angles, dtype=np.float64)
    where = np.ascontiguousarray(offsets, dtype=np.int64)
    if at.ndim != 1 or where.shape != (n + 1,) or where[0] != 0 or where[-1] != len(at) or np.any(np.diff(where) < 0):
        raise ParameterError(
            f"offsets must rise from 0 to the number of angles, {at.size}, with one entry more than the {n} curves"
        )
    return at, where


def _column(value: ArrayLike, n: int, name: str) -> Array:
    try:
        column = np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)))
    except ValueError:
        raise ParameterError(f"{name} has the shape {np.shape(value)}; give one number or one a curve ({n})") from None
    if not np.isfinite(column).all():
        raise ParameterError(f"{name} = {column[~np.isfinite(column)][0]:g} must be a finite number")
    return column
