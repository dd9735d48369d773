"""The valid region of the parameters: ranges, ties, and the bounds of their profile."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.profiles.bounds import Column, freest, from_unit, in_order, inequalities, to_unit, unit_slope
from xrdsim.profiles.two_gaussians import (
    ALL_NAMES,
    BOUNDS,
    D01,
    D02,
    DAMAGE,
    DMAX1,
    DMIN,
    KAPPA,
    L1,
    L2,
    PROFILE,
    RP1,
    RP2,
    SIZE,
    STRAIN_SUM,
    TABLE,
    P,
    holds_damage,
)

MOST_STRAIN = 0.3
"""Upper limit of any range of strains."""

LARGEST = {"1": 100.0, "Å": 1e5}
"""Of any range, by its unit: thicker layers take no measurable time of their own, but a simulator endless time."""

_ROUNDING = 1e-6
"""Part of a range by which a value may miss a limit: float32 copies of valid rows stay valid."""


def _lows() -> tuple[float, ...]:
    return tuple(parameter.low for parameter in PROFILE)


def _highs() -> tuple[float, ...]:
    return tuple(parameter.high for parameter in PROFILE)


@dataclass(frozen=True)
class ParameterSpace:
    """The valid region: a box and the four linear constraints.

    Parameters
    ----------
    low, high : tuples of 7 floats, or of 9 with damage, in the order and units of the table.
    strain_sum : largest allowed D01 + D02.
    ties : pairs (name, other) of parameters with the same range, of which the first takes the value of the second in
        all that is drawn. Vectors that break a tie still lie in the space.

    Raises
    ------
    ParameterError
        A range is empty, leaves the physical domain (Dmax1 and D02 > DMIN, D01 ≥ DMIN, lengths > 0, Rp1 ≥ 0,
        Rp2 ≤ 0) or leaves no valid vector; or a tie of unknown, equal, already tied or differently ranged parameters.
    """

    low: tuple[float, ...] = field(default_factory=_lows)
    high: tuple[float, ...] = field(default_factory=_highs)
    strain_sum: float = STRAIN_SUM
    ties: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ties", tuple((name, other) for name, other in self.ties))
        object.__setattr__(self, "low", tuple(float(value) for value in self.low))
        object.__setattr__(self, "high", tuple(float(value) for value in self.high))
        if len(self.low) != len(self.high) or len(self.low) not in (SIZE, len(TABLE)):
            raise ParameterError(
                f"ranges need 7 limits each, or 9 with damage; got {len(self.low)} lower and {len(self.high)} upper"
            )
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ParameterError(
                    f"the range of {name} is {low:g} … {high:g}; the lower limit must not exceed the upper"
                )
        if not 0.0 < self.strain_sum <= 2.0 * MOST_STRAIN:
            raise ParameterError(f"strain_sum = {self.strain_sum:g} must be positive, at most {2.0 * MOST_STRAIN:g}")
        domain = {
            "the strains": (
                max(self.high[DMAX1], self.high[D01], self.high[D02]) <= MOST_STRAIN,
                f"at most {MOST_STRAIN:g}",
            ),
            "Dmax1": (self.low[DMAX1] > DMIN, f"above {DMIN:g}"),
            "D01": (self.low[D01] >= DMIN, f"at least {DMIN:g}"),
            "L1": (self.low[L1] > 0.0, "above 0"),
            "Rp1": (self.low[RP1] >= 0.0, "at least 0"),
            "D02": (self.low[D02] > DMIN, f"above {DMIN:g}"),
            "L2": (self.low[L2] > 0.0, "above 0"),
            "Rp2": (self.high[RP2] <= 0.0, "at most 0"),
        }
        if self.damage:
            domain["kappa"] = (self.low[KAPPA] >= 0.0 and self.high[KAPPA] <= 1.0, "within 0 … 1")
            domain["p"] = (self.low[P] > 0.0, "above 0")
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            most = LARGEST[TABLE[ALL_NAMES.index(name)].unit]
            if max(-low, high) > most:
                raise ParameterError(f"the range of {name}, {low:g} … {high:g}, must stay within {most:g}")
        for name, (ok, rule) in domain.items():
            if not ok:
                raise ParameterError(f"the range of {name} must stay {rule}")
        corner = freest(np.array(self.low), np.array(self.high), BOUNDS)
        for bound in BOUNDS:
            if bound.excess(corner[None], self.strain_sum)[0] > 0.0:
                raise ParameterError(f"no vector in these ranges keeps {bound.text}; widen them")
        self._check_ties()

    def _check_ties(self) -> None:
        followers = [name for name, _ in self.ties]
        for name, other in self.ties:
            tie = f'the tie {name} = "{other}"'
            if name not in self.names or other not in self.names or name == other:
                raise ParameterError(f"{tie} must name two of the parameters {', '.join(self.names)}")
            if other in followers or followers.count(name) > 1:
                raise ParameterError(f"{tie} follows a parameter that is tied itself, or ties {name} twice")
            i, j = self.names.index(name), self.names.index(other)
            if TABLE[i].unit != TABLE[j].unit or (self.low[i], self.high[i]) != (self.low[j], self.high[j]):
                raise ParameterError(f"{tie} needs two parameters of the same unit and range")

    @property
    def damage(self) -> bool:
        """Whether columns 8 and 9 (kappa, p) belong to the space."""
        return holds_damage(len(self.low))

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in the order of the columns."""
        return ALL_NAMES[: len(self.low)]

    @property
    def span(self) -> NDArray[np.float64]:
        """Width of each range."""
        return np.subtract(self.high, self.low, dtype=np.float64)

    @property
    def free(self) -> list[int]:
        """Columns that are neither fixed nor tied."""
        followers = [name for name, _ in self.ties]
        return [j for j, name in enumerate(self.names) if self.span[j] > 0.0 and name not in followers]

    def tied(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rows (…, 7, 9 or more), in place, with the tied parameters set."""
        for name, other in self.ties:
            rows[..., self.names.index(name)] = rows[..., self.names.index(other)]
        return rows

    def together(self, k: int) -> NDArray[np.float64]:
        """What k values, parameters first, change by when each of them moves, (k, k): tied ones follow, and only so."""
        matrix = np.eye(k)
        for name, other in self.ties:
            i, j = self.names.index(name), self.names.index(other)
            matrix[i, i], matrix[i, j] = 0.0, 1.0
        return matrix

    def ordered(self) -> "ParameterSpace":
        """The same ties, led by the parameter that ``from_unit`` computes first, so that tied vectors keep constraints.

        Raises
        ------
        ParameterError
            D02 is tied to Dmax1 alone: no order does.
        """
        groups: dict[str, set[str]] = {}
        for name, other in self.ties:
            groups.setdefault(other, {other}).add(name)
        ties, high = [], list(self.high)
        order = [ALL_NAMES[j] for j in in_order(len(TABLE), BOUNDS)]
        for members in groups.values():
            leader, *followers = sorted(members, key=order.index)
            if "D02" in members and leader == "Dmax1":
                raise ParameterError(
                    f"a tie of D02 and Dmax1 does not keep D01 + D02 <= {self.strain_sum:g}; tie D01, too, or fix one"
                )
            if "D02" in members and leader == "D01":  # D01 + D02 at most
                for name in members:
                    high[ALL_NAMES.index(name)] = min(high[ALL_NAMES.index(name)], 0.5 * self.strain_sum)
            ties += [(name, leader) for name in followers]
        return replace(self, high=tuple(high), ties=tuple(ties))

    def without_damage(self) -> "ParameterSpace":
        """The profile's seven ranges alone."""
        damage = {parameter.name for parameter in DAMAGE}
        ties = tuple(tie for tie in self.ties if not damage & set(tie))
        return replace(self, low=self.low[: len(PROFILE)], high=self.high[: len(PROFILE)], ties=ties)

    def with_damage(self) -> "ParameterSpace":
        """The same ranges with the default ones of kappa and p added."""
        if self.damage:
            return self
        return ParameterSpace(
            self.low + tuple(parameter.low for parameter in DAMAGE),
            self.high + tuple(parameter.high for parameter in DAMAGE),
            self.strain_sum,
            self.ties,
        )

    def check(self, params: ArrayLike) -> NDArray[np.float64]:
        """Parameters as a C-contiguous float64 array (n, 7 or 9) that lies in the space.

        Raises
        ------
        ParameterError
            Wrong shape, or a value that is not finite, out of range or breaks a constraint: names the row, the
            parameter, the value and the limit.
        """
        try:
            rows = np.atleast_2d(np.array(params, dtype=np.float64, order="C"))
        except (TypeError, ValueError) as error:
            raise ParameterError(f"parameters must be numbers: {error}") from error
        if rows.ndim != 2 or rows.shape[1] not in (SIZE, len(TABLE)):
            raise ParameterError(
                f"parameters have the shape {np.shape(params)}; needed is (n, 7), (n, 9) with damage, or one row, "
                f"in the order {', '.join(ALL_NAMES)}"
            )
        space = self.with_damage() if holds_damage(rows.shape[1]) else self
        for j, name in enumerate(ALL_NAMES[: rows.shape[1]]):
            low, high, column = space.low[j], space.high[j], rows[:, j]
            slack = _ROUNDING * (high - low)
            bad = ~(np.isfinite(column) & (column >= low - slack) & (column <= high + slack))
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                raise ParameterError(
                    f"{name} = {column[row]:g} (row {row}) is not a finite number in its range {low:g} … {high:g}; "
                    "other ranges can be given as a ParameterSpace"
                )
        broken = self.excess(rows) > _ROUNDING
        if broken.any():
            row, which = (int(index) for index in np.argwhere(broken)[0])
            bound = BOUNDS[which]
            columns = sorted((bound.first, bound.second))
            values = ", ".join(f"{ALL_NAMES[j]} = {rows[row, j]:g}" for j in columns)
            raise ParameterError(
                f"{values} (row {row}) break the constraint " + bound.text.replace("strain_sum", f"{self.strain_sum:g}")
            )
        return rows

    def excess(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far rows (n, p) break each of the bounds, as part of a default range; ≤ 0 is kept."""
        return np.stack([bound.excess(rows, self.strain_sum) for bound in BOUNDS], axis=1)

    def contains(self, params: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of (n, 7 or 9) lies in the box and keeps the constraints."""
        rows = np.atleast_2d(np.asarray(params, dtype=np.float64))
        low, high = np.array(self.low), np.array(self.high)
        slack = _ROUNDING * (high - low)
        inside = np.all((rows >= low - slack) & (rows <= high + slack), axis=1)  # NaN is outside
        return np.asarray(inside & np.all(self.excess(rows) <= _ROUNDING, axis=1))

    def from_unit(self, columns: Sequence[Column]) -> list[Column]:
        """Parameters of unit-cube coordinates; see ``xrdsim.profiles.bounds``."""
        return from_unit(columns, self.low, self.high, self.strain_sum, BOUNDS)

    def to_unit(self, columns: Sequence[Column]) -> tuple[list[Column], Column]:
        """Inverse of ``from_unit``, and log |∂params/∂unit|."""
        return to_unit(columns, self.low, self.high, self.strain_sum, BOUNDS)

    def unit_slope(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives (m, p, p) of the parameters over coordinates (m, p) of the unit cube; tied ones follow."""
        out = unit_slope(unit, self.low, self.high, self.strain_sum, BOUNDS)
        for name, other in self.ties:
            out[:, self.names.index(name)] = out[:, self.names.index(other)]
        return out

    def inequalities(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The bounds as A·p ≤ b: A (bounds, k) for p of k values, parameters first, and b (bounds,)."""
        return inequalities(k, self.strain_sum, BOUNDS)
