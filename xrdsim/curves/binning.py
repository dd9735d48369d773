"""Points of a curve summed where they lie denser than a step, with their statistics."""

from dataclasses import replace

import numpy as np

from xrdsim.curves.record import Curve
from xrdsim.errors import ParameterError


def binned(curve: Curve, step: float) -> Curve:
    """Sum neighbouring points into bins that are at most a step wide.

    A bin of points with intensities I = u·(N + offset), u their per_count, holds ΣN counts; its intensity is
    Σ(I/u)/Σ(1/u), the exposure-weighted mean, and its per_count is 1/Σ(1/u), so that counts stay counts. Without
    counts the mean of I is taken. The angle of a bin is the mean of its points, so weighted.

    Parameters
    ----------
    curve : as it was read.
    step : largest width of a bin, from its first to its last point [arcsec].

    Returns
    -------
    Curve
        The same curve if no two neighbours lie within a step; the substrate peak is the bin that holds it, and the
        offset is that of the points, summed.

    Raises
    ------
    ParameterError
        The step is not positive.
    """
    if not step > 0.0:
        raise ParameterError(f"the step is {step:g} arcsec; it must be positive")
    first = _first_of_bins(curve.angle, step)
    size = curve.angle.size
    if first.size == size:
        return curve
    members = np.diff(np.append(first, size))
    exposure = np.ones(size) if curve.per_count is None else 1.0 / np.broadcast_to(curve.per_count, size)
    total = np.add.reduceat(exposure, first)
    intensity = np.add.reduceat(curve.intensity * exposure, first) / total
    angle = np.add.reduceat(curve.angle * exposure, first) / total
    peak = int(np.searchsorted(first, curve.peak_index, side="right")) - 1
    alike = curve.offset == 0.0 or np.ptp(members) == 0
    known = curve.per_count is not None and alike
    return replace(
        curve,
        angle=angle,
        intensity=intensity,
        peak_index=peak,
        note=f"{curve.note} Up to {members.max()} neighbouring points are summed.".strip(),
        per_count=1.0 / total if known else None,
        offset=curve.offset * float(members[0]) if known else 0.0,
    )


def _first_of_bins(angle: np.ndarray, step: float) -> np.ndarray:
    """Where bins begin (k,): each takes points as long as they lie within the step of its first one."""
    starts = []
    at, size = 0, angle.size
    reach = np.searchsorted(angle, angle + step * (1.0 + 1e-9), side="right")
    while at < size:
        starts.append(at)
        at = max(int(reach[at]), at + 1)
    return np.array(starts, dtype=np.int64)
