"""Constraints of the profile while one parameter is dragged: the others give way as far as they must."""

import numpy as np

from xrdsim.fit.unknowns import Array
from xrdsim.profiles.space import ParameterSpace

_TURNS = 4
_HALVINGS = 30
_INSIDE = 1e-9  # part of a range by which a value that gives way stays inside


def moved(space: ParameterSpace, row: Array, column: int, value: float) -> Array:
    """The row (p,) with one value changed, those of the others that it bounds moved along.

    Where the others cannot give way, the value goes as far as it may.

    Parameters
    ----------
    space : ranges and bounds.
    row : that keeps them.
    column, value : what is changed; it is cut to its range.
    """
    wanted = float(np.clip(value, space.low[column], space.high[column]))
    found = _pushed(space, row, column, wanted)
    if space.contains(found[None])[0]:
        return found
    near, far = float(row[column]), wanted
    best = row.copy()
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        found = _pushed(space, row, column, middle)
        if space.contains(found[None])[0]:
            near, best = middle, found
        else:
            far = middle
    return best


def _pushed(space: ParameterSpace, row: Array, column: int, value: float) -> Array:
    found = row.copy()
    found[column] = value
    for _ in range(_TURNS):
        broken = space.excess(found[None])[0] > 0.0
        if not broken.any():
            break
        for bound, is_broken in zip(space.bounds, broken, strict=True):
            if not is_broken:
                continue
            offset = space.strain_sum if bound.of_sum else 0.0
            other = bound.first if bound.second == column else bound.second
            if other == bound.second:
                needed = bound.limit(found[bound.first], space.strain_sum)
            else:
                needed = (found[bound.second] - offset) / bound.slope
            room = _INSIDE * (space.high[other] - space.low[other])
            inward = -1.0 if found[other] > needed else 1.0
            found[other] = np.clip(needed + inward * room, space.low[other], space.high[other])
    return found
