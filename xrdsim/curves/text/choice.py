"""Which columns of a table of numbers are the angle and the intensity."""

import numpy as np

from xrdsim.curves.columns import Floats, refuse
from xrdsim.curves.text.headers import angle_and_intensity, is_index

_ALIKE = 0.02  # relative scatter of columns that follow from each other


def chosen(
    table: Floats, names: tuple[str, ...], columns: tuple[int, ...] | None, source: str, line: int
) -> tuple[int | None, int]:
    """The columns of angle (None where there is none) and intensity, from 0.

    Parameters
    ----------
    table : (n, width) numbers, NaN where a field is none.
    names : (width,) of the columns, or empty.
    columns : what the caller chose, from 1: angle and intensity, or the intensity alone.
    """
    width = table.shape[1]
    if columns is not None:
        for column in columns:
            if not 1 <= column <= width:
                what = f"there is no column {column}; give --columns as ANGLE,INTENSITY among 1 … {width}"
                refuse(source, what, line)
        return (columns[0] - 1 if len(columns) == 2 else None), columns[-1] - 1
    if width == 1:
        return None, 0
    numbered = is_index(names[0]) if names else width > 2 and counts_up(table[:, 0]) and _ordered(table[:, 1])
    free = list(range(int(numbered), width))
    if len(free) == 1:
        return None, free[0]
    angle, intensity = angle_and_intensity(names)
    if angle is None or angle not in free:
        angle = next((i for i in free if i != intensity and _ordered(table[:, i])), None)
        angle = next(i for i in free if i != intensity) if angle is None else angle
    if intensity is None or intensity == angle:
        intensity = _intensity(table, [i for i in free if i != angle], angle, width, source, line)
    return angle, intensity


def counts_up(column: Floats) -> bool:
    """Whether a column numbers the points from 0 or 1."""
    return column.size > 1 and column[0] in (0.0, 1.0) and bool(np.all(np.diff(column) == 1.0))


def _ordered(column: Floats) -> bool:
    steps = np.diff(column)
    return bool(np.all(steps > 0.0) or np.all(steps < 0.0))


def _intensity(table: Floats, free: list[int], angle: int, width: int, source: str, line: int) -> int:
    """The one column that varies as an intensity does; errors and rates follow from it."""
    after = [i for i in free if i > angle] or free
    with np.errstate(invalid="ignore"):
        varies = np.isfinite(table).all(axis=0) & (np.ptp(table, axis=0) > 0.0)  # all at once: a row may hold millions
    varying = [i for i in after if varies[i] and not _ordered(table[:, i])]
    if not varying or width == 3:
        return (varying or after)[0]
    first = table[:, varying[0]]
    others = [i for i in varying[1:] if not _follows(table[:, i], first)]
    if others:
        listed = ", ".join(str(i + 1) for i in (varying[0], *others))
        what = f"columns {listed} may all be the intensity; choose with --columns {angle + 1},{varying[0] + 1}"
        refuse(source, f"{what} or another pair ANGLE,INTENSITY", line)
    return varying[0]


def _follows(column: Floats, first: Floats) -> bool:
    """Whether a column is proportional to the first one or to its root, or inversely to it, as relative errors are."""
    good = (first > 0.0) & (column != 0.0)
    if not good.any():
        return False
    x, y = column[good], first[good]
    return any(np.std(ratio) <= _ALIKE * abs(np.mean(ratio)) for ratio in (x / y, x**2 / y, x**2 * y))
