"""On which side of the substrate peak the layer diffracts: the side of the fringes, where a file does not say it.

At equal distances from the peak the sides are compared,

    s = mean of log10((I₊ + u)/(I₋ + u)),

u the intensity of one count. The tail of the peak is alike on both sides; an expanded layer raises one of them.
"""

import numpy as np

from xrdsim.curves.columns import Floats

_TAIL = 2.0  # half widths of the peak that are not compared
_FEWEST = 8  # points to compare
_CLEAR = 0.15  # dex by which the sides differ
_SURE = 5.0  # the same in standard deviations of their mean
_LONGER = 3.0  # times as long, where the other side is too short to be used


def layer_side(x: Floats, y: Floats, top: int, unit: float, enough: int) -> int:
    """1 or −1 for the side of higher or lower angles, 0 where the sides are too much alike.

    Parameters
    ----------
    x, y : (n,) ascending angles and intensities.
    top : the substrate peak.
    unit : intensity of one count, about.
    enough : points that the side of the layer must have.
    """
    before, after = top, x.size - 1 - top
    if min(before, after) < enough:
        if max(before, after) >= max(enough, _LONGER * min(before, after)):
            compared = _compared(x, y, top, unit)
            longer = 1 if after > before else -1
            return longer if compared in (0, longer) else 0
        return 0
    return _compared(x, y, top, unit)


def _compared(x: Floats, y: Floats, top: int, unit: float) -> int:
    high = 0.5 * y[top]
    left = top - int(np.argmax(y[top::-1] < high)) if (y[:top] < high).any() else 0
    right = top + int(np.argmax(y[top:] < high)) if (y[top:] < high).any() else x.size - 1
    begin = _TAIL * 0.5 * (x[right] - x[left])
    end = min(x[-1] - x[top], x[top] - x[0])
    distances = np.unique(np.abs(x - x[top]))
    distances = distances[(distances >= begin) & (distances <= end)]
    if distances.size < _FEWEST:
        return 0
    sides = [np.log10(np.maximum(np.interp(x[top] + way * distances, x, y), 0.0) + unit) for way in (1.0, -1.0)]
    difference = sides[0] - sides[1]
    mean, std = float(difference.mean()), float(difference.std(ddof=1)) / np.sqrt(difference.size)
    if abs(mean) < _CLEAR or abs(mean) < _SURE * std:
        return 0
    return 1 if mean > 0.0 else -1
