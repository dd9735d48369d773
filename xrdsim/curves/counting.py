"""What one count is where a file does not say it, and which negative intensities are noise."""

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.columns import Floats

_QUARTER = 0.3186  # first quartile of the absolute value of a normal deviate
_LEAST, _MOST = 0.6, 2.5  # scatter of counts in terms of their roots, between which they are taken for counts
_SEEN = 5.0  # mean counts from which the scatter says something
_SMALL = 6.0  # deviations of the noise within which intensities may be negative
_SHARE = 0.75  # largest part of negative points: a long tail of noise about 0 or a little below
_COMMON = 0.05  # part of whole numbers that are negative, from which a whole dark count was taken off
_ENOUGH = 10  # points to look at


def whole_counts(y: Floats) -> tuple[float | None, str]:
    """Intensity of one count of whole numbers (n,) in the order of their angles, and a remark.

    Whole numbers that scatter as counts do were counted; those that are all multiples of a number are counts times it.
    """
    if (y < 0.0).any() or np.any(y != np.rint(y)) or not (y > 0.0).any() or y.max() > 1e15:
        return None, ""
    unit = float(np.gcd.reduce(y.astype(np.int64)))
    counts = y / unit
    second = counts[2:] - 2.0 * counts[1:-1] + counts[:-2]
    variance = counts[2:] + 4.0 * counts[1:-1] + counts[:-2]
    seen = variance > 6.0 * _SEEN
    if np.sum(seen) < _ENOUGH:
        return unit, ""
    ratio = float(np.quantile(np.abs(second[seen]) / np.sqrt(variance[seen]), 0.25)) / _QUARTER
    if _LEAST <= ratio <= _MOST:
        return (
            unit,
            "whole numbers taken as counts" if unit == 1.0 else f"multiples of {unit:g} taken as counts times it",
        )
    return None, f"whole numbers that scatter {ratio:.2g} × as much as counts, so they are taken for none"


def corrupt(y: Floats) -> NDArray[np.int64]:
    """Negative points that are no noise, of intensities (n,) in the order of their angles.

    Where a dark count was taken off, few and small ones are to be expected: they are taken as they are. The noise is
    that of the weaker half of the points. Counts are never negative, so single negative whole numbers are no noise.
    """
    negative = np.flatnonzero(y < 0.0)
    counted = bool(np.all(y == np.rint(y))) and negative.size < _COMMON * y.size
    if y.size < _ENOUGH or negative.size > _SHARE * y.size or counted:
        return negative
    padded = np.pad(y, 1, mode="edge")
    beside = np.minimum(padded[:-2], padded[2:])
    beside[[0, -1]] = y[[1, -2]]
    second = np.abs(y[2:] - 2.0 * y[1:-1] + y[:-2])
    level = (y[2:] + y[1:-1] + y[:-2]) / 3.0
    noise = 1.4826 / np.sqrt(6.0) * float(np.median(second[level <= np.median(level)]))
    within = (-y <= _SMALL * noise) & (beside - y <= _SMALL * noise)
    return np.asarray(negative[~within[negative]])
