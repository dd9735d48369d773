"""Parameters with ranges, and bounds between pairs of them: the one table from which all that keeps them follows.

A bound limits one parameter, computed later, by another, computed earlier and itself unbounded by others:

    low     second ≥ offset + slope·first
    high    second ≤ offset + slope·first

with slope ±1. ``from_unit`` maps the unit cube onto the region within ranges and bounds, parameter by parameter: each
is a place u between its least and its largest value, given those before it. The map is a bijection, ``to_unit`` its
inverse and ``unit_slope`` its Jacobian. As inequalities the bounds are A·p ≤ b.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Column = Any
"""A NumPy array or a torch tensor: values of one parameter."""

Kind = Literal["strain", "depth", "shape", "damage", "factor"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table of a profile: name, unit, default range, kind and meaning.

    Any range must stay within ``least`` and ``most``, or ``above`` the former.
    """

    name: str
    unit: str
    low: float
    high: float
    kind: Kind
    doc: str
    least: float = -math.inf
    most: float = math.inf
    above: bool = False

    @property
    def rule(self) -> str:
        """Where any range must stay, in words of a message."""
        if self.above:
            return f"above {self.least:g}"
        if self.most == math.inf:
            return f"at least {self.least:g}"
        return f"at most {self.most:g}" if self.least == -math.inf else f"within {self.least:g} … {self.most:g}"

    def allows(self, low: float, high: float) -> bool:
        """Whether a range stays there."""
        return (low > self.least if self.above else low >= self.least) and high <= self.most


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound of one parameter by another.

    Attributes
    ----------
    text : the bound in words of a message; ``strain_sum`` stands for the number.
    second, side, first, slope : columns and signs as in the module's formulas.
    of_sum : whether the offset is the largest sum of strains; else it is 0.
    scale : the size by which it counts how far the bound is broken.
    """

    text: str
    second: int
    side: Literal["low", "high"]
    first: int
    slope: float
    of_sum: bool
    scale: float

    def limit(self, first: Column, strain_sum: float) -> Column:
        """What bounds the second parameter."""
        return (strain_sum if self.of_sum else 0.0) + self.slope * first

    def coefficients(self) -> tuple[float, float]:
        """Of the first and of the second parameter in A."""
        return (-self.slope, 1.0) if self.side == "high" else (self.slope, -1.0)

    def excess(self, rows: Array, strain_sum: float) -> Array:
        """How far rows (n, p) break it, as part of its scale; ≤ 0 is kept."""
        of_first, of_second = self.coefficients()
        offset = (strain_sum if self.of_sum else 0.0) * (1.0 if self.side == "high" else -1.0)
        return np.asarray((of_first * rows[:, self.first] + of_second * rows[:, self.second] - offset) / self.scale)


Bounds = tuple[Bound, ...]
Limits = Sequence[Column]  # numbers, or one a sample


def limits(
    j: int, values: Sequence[Column], low: Limits, high: Limits, strain_sum: float, bounds: Bounds, zero: Column
) -> tuple[Column, Column]:
    """Least and largest value of a parameter, given those that bound it; the others are not looked at.

    ``zero`` is 0 in the shape and kind of the values.
    """
    bounded, bounding = _roles(bounds).get(j, _NONE)
    least, most = zero + low[j], zero + high[j]
    for bound in bounded:
        limit = bound.limit(values[bound.first], strain_sum)
        if bound.side == "low":
            least = limit.clip(min=low[j])
        else:
            most = limit.clip(max=high[j])
    for bound in bounding:  # the second one needs a range: offset + slope·first within its limits
        end = high[bound.second] if bound.side == "low" else low[bound.second]
        own = bound.slope * (end - (strain_sum if bound.of_sum else 0.0))
        if (bound.side == "low") == (bound.slope > 0.0):
            most = most.clip(max=own)
        else:
            least = least.clip(min=own)
    return least, most


_NONE: tuple[list[Bound], list[Bound]] = ([], [])


@lru_cache
def _roles(bounds: Bounds) -> dict[int, tuple[list[Bound], list[Bound]]]:
    """The bounds in which a column is the second, and those in which it is the first."""
    columns = {column for bound in bounds for column in (bound.first, bound.second)}
    return {
        j: ([each for each in bounds if each.second == j], [each for each in bounds if each.first == j])
        for j in columns
    }


@lru_cache
def in_order(count: int, bounds: Bounds) -> tuple[int, ...]:
    """The columns, those that bound others first."""
    firsts = {bound.first for bound in bounds}
    return (*sorted(firsts), *(j for j in range(count) if j not in firsts))


def from_unit(columns: Sequence[Column], low: Limits, high: Limits, strain_sum: float, bounds: Bounds) -> list[Column]:
    """Map columns of unit-cube coordinates to parameters that keep every bound.

    It is written with the arithmetic that NumPy arrays and torch tensors share, so either may be passed.

    Parameters
    ----------
    columns : one array or tensor of any shape per parameter.
    low, high : limits of each parameter: numbers, or one a sample, shaped as the columns.
    strain_sum, bounds : what else the parameters keep.
    """
    out: list[Column] = [None] * len(columns)
    zero = columns[0] * 0.0
    for j in in_order(len(columns), bounds):
        least, most = limits(j, out, low, high, strain_sum, bounds, zero)
        out[j] = least + columns[j] * (most - least)
    return out


def to_unit(
    columns: Sequence[Column], low: Limits, high: Limits, strain_sum: float, bounds: Bounds
) -> tuple[list[Column], Column]:
    """Inverse of ``from_unit``; also log |∂params/∂unit|, summed over the parameters.

    Conditional ranges of zero width give coordinate 0.
    """
    zero = log_det = columns[0] * 0.0
    unit = []
    for j, value in enumerate(columns):
        least, most = limits(j, columns, low, high, strain_sum, bounds, zero)
        width = (most - least).clip(min=1e-300)
        unit.append((value - least) / width)
        log_det = log_det + _log(width)
    return unit, log_det


def unit_slope(unit: Array, low: Limits, high: Limits, strain_sum: float, bounds: Bounds) -> Array:
    """Derivatives (m, p, p) of the parameters over the coordinates (m, p) of the unit cube."""
    m, p = unit.shape
    rows, zero = from_unit(list(unit.T), low, high, strain_sum, bounds), np.zeros(m)
    out = np.zeros((m, p, p))
    for j in range(p):
        least, most = limits(j, rows, low, high, strain_sum, bounds, zero)
        out[:, j, j] = most - least
    for bound in bounds:
        i, j = bound.first, bound.second
        limit = bound.limit(rows[i], strain_sum)
        active = limit > low[j] if bound.side == "low" else limit < high[j]
        share = 1.0 - unit[:, j] if bound.side == "low" else unit[:, j]
        out[:, j, i] = bound.slope * share * active * out[:, i, i]
    return out


def inequalities(k: int, strain_sum: float, bounds: Bounds) -> tuple[Array, Array]:
    """The bounds as A·p ≤ b: A (bounds, k) for p of k values, parameters first, and b (bounds,)."""
    matrix, right = np.zeros((len(bounds), k)), np.zeros(len(bounds))
    for row, bound in enumerate(bounds):
        matrix[row, [bound.first, bound.second]] = bound.coefficients()
        right[row] = (strain_sum if bound.of_sum else 0.0) * (1.0 if bound.side == "high" else -1.0)
    return matrix, right


def freest(low: Array, high: Array, bounds: Bounds) -> Array:
    """The corner (p,) of the ranges that keeps the bounds if any vector does."""
    corner = np.array(low, dtype=np.float64)
    for bound in bounds:
        for column, coefficient in zip((bound.first, bound.second), bound.coefficients(), strict=True):
            if coefficient < 0.0:
                corner[column] = high[column]
    return corner


def _log(x: Column) -> Column:
    return x.log() if hasattr(x, "log") else np.log(x)
