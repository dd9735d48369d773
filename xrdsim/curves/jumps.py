"""Steps that an attenuator or another scale leaves in a curve, and single points that stand out.

Between the points i and i + 1 the logarithm L of the intensity changes by what its slope on both sides makes of it,
and by ln of the factor that came or went:

    J = L[i+1] − L[i] − ½(L[i] − L[i−1] + L[i+2] − L[i+1])

which is 0 on the flank of a Gaussian, whose L is a parabola. It is a jump if it exceeds by far all changes around it,
so that the curve is quiet before and after: in the minimum of a fringe the curve comes back, and flanks are no single
step.
"""

import numpy as np

from xrdsim.curves.columns import Floats

FACTOR = 3.0
"""Least factor of a jump."""

SIGMA = 10.0
"""Deviations by which a hot pixel exceeds its neighbours."""

Jumps = tuple[tuple[float, float], ...]
_AROUND = 4  # points on either side
_QUIET = 3.0  # a jump in terms of the largest change around it
_AGAINST = 1.5  # the same, where it goes against all of them
_SURE = 6.0  # deviations by which the levels of both sides differ
_HOT = 3.0  # least ratio of a hot pixel to the highest of its neighbours
_CHI2 = 0.4549  # median of χ² of one degree of freedom
_NOISE = 6.0  # a jump in terms of the scatter of ln counts on its lower side
_DARK = 4.0  # counts of neighbours that are taken for at least as many
_WINDOW = 10  # points on either side whose scatter is taken
_FEW = 0.01  # largest part of hot pixels


def gain(y: Floats) -> float:
    """Variance per intensity of the weaker half of the points: the intensity of one count, if they are counted."""
    second = y[2:] - 2.0 * y[1:-1] + y[:-2]
    mean = (y[2:] + 4.0 * y[1:-1] + y[:-2]) / 6.0
    if not (mean > 0.0).any():
        return 1.0
    low = (mean > 0.0) & (mean <= np.median(mean[mean > 0.0]))
    scatter = float(np.median(second[low] ** 2) / (6.0 * _CHI2 * np.median(mean[low])))
    return max(scatter, 1e-12 * float(y.max()), 1e-300)


def find_jumps(y: Floats, unit: Floats | float | None) -> list[tuple[int, float]]:
    """Points i before a jump and the factor from i to i + 1, of intensities (n,) in the order of their angles.

    Parameters
    ----------
    y : intensities.
    unit : (n,) intensity of one count, or None: it is estimated from the scatter.
    """
    if y.size < 4 * _AROUND or not (y > 0.0).any():
        return []
    one = np.broadcast_to(gain(y) if unit is None else unit, y.shape)
    level = np.log(np.maximum(y, 0.5 * one))
    change = np.diff(level)
    windows = np.lib.stride_tricks.sliding_window_view(change, 2 * _AROUND - 1)  # about i = _AROUND − 1, …
    at = np.arange(_AROUND - 1, change.size - _AROUND + 1)
    around = np.delete(windows, _AROUND - 1, axis=1)
    others = np.abs(around).max(axis=1)
    against = (np.sign(around) == -np.sign(windows[:, [_AROUND - 1]])).all(axis=1)  # a flank that goes on behind it
    jump = change[at] - 0.5 * (change[at - 1] + change[at + 1])
    counts = np.maximum(y, 0.0) / one
    sums = np.convolve(counts, np.ones(_AROUND), mode="valid")
    left, right = sums[at - _AROUND + 1], sums[at + 1]
    sure = np.abs(right - left) >= _SURE * np.sqrt(left + right + 1.0)
    low = np.maximum(np.minimum(left, right) / _AROUND, 0.25)
    least = np.maximum(np.log(FACTOR), np.maximum(np.where(against, _AGAINST, _QUIET) * others, _NOISE / np.sqrt(low)))
    found = (np.abs(jump) >= least) & sure
    return [(int(at[k]), float(np.exp(jump[k]))) for k in np.flatnonzero(found)]


def undone(y: Floats, jumps: list[tuple[int, float]]) -> Floats:
    """Intensities (n,) without the jumps, on the scale of the first point."""
    scale = np.ones(y.size)
    for i, factor in jumps:
        scale[i + 1 :] *= factor
    return np.asarray(y / scale)


def find_hot(y: Floats, unit: Floats | float | None) -> list[int]:
    """Single points that exceed their neighbours by 10 deviations, where those agree with each other."""
    if y.size < 8:
        return []
    one = np.broadcast_to(gain(y) if unit is None else unit, y.shape)
    padded = np.pad(y, 3, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7)
    near = np.maximum(windows[:, 2], windows[:, 4])
    far = windows[:, [0, 1, 5, 6]].max(axis=1)
    sigma = np.maximum(np.sqrt(np.maximum(near, _DARK * one) * one), _scatter(y))
    calm = near <= np.maximum(1.5 * far, far + 5.0 * sigma)
    found = (y > _HOT * near) & (y - near > SIGMA * sigma) & calm
    hot = np.flatnonzero(found)
    return hot.tolist() if hot.size <= max(3, _FEW * y.size) else []


def _scatter(y: Floats) -> Floats:
    """Robust scatter (n,) of the points around each one, from second differences, whatever makes it."""
    second = np.abs(
        np.pad(y[2:] - 2.0 * y[1:-1] + y[:-2], 1 + _WINDOW, mode="reflect" if y.size > 2 * _WINDOW else "edge")
    )
    around = np.lib.stride_tricks.sliding_window_view(second, 2 * _WINDOW + 1)
    return np.asarray(1.4826 / np.sqrt(6.0) * np.median(around, axis=1))
