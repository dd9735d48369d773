"""The parameter table: the only place where the parameters of a strain profile are described.

The strain profile is ε(z) = D1(z) + D2(z), an asymmetric Gaussian that rises from D01 at the surface to Dmax1
at the depth Rp1 and falls to DMIN at L1, and a half-Gaussian-to-exponential that falls from D02 at the surface
to DMIN at L2 (see ``xrdsim.kernels.strain``). Valid are the vectors with

    D01 ≤ Dmax1,   D01 + D02 ≤ strain_sum,   Rp1 ≤ L1,   L2 ≤ L1

inside the box of the ranges. ``ParameterSpace`` holds the ranges; ``from_unit`` maps the unit cube onto the
valid region and ``to_unit`` back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError

DMIN = 1e-4
"""Strain at which a profile counts as ended."""

STRAIN_SUM = 0.03
"""Largest allowed surface strain D01 + D02."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table: name, unit, default range and meaning."""

    name: str
    unit: str
    low: float
    high: float
    doc: str


PROFILE = (
    Parameter("Dmax1", "1", 0.001, 0.031, "maximum strain of the asymmetric Gaussian"),
    Parameter("D01", "1", 0.0001, 0.0305, "its value at the surface"),
    Parameter("L1", "Å", 500.0, 7000.0, "its depth, where it falls to 1e-4"),
    Parameter("Rp1", "Å", 0.0, 6500.0, "depth of its maximum"),
    Parameter("D02", "1", 0.0005, 0.031, "surface strain of the decaying Gaussian"),
    Parameter("L2", "Å", 500.0, 7000.0, "its depth, where it falls to 1e-4"),
    Parameter("Rp2", "Å", -6500.0, 0.0, "position of its (virtual) maximum: sets the shape only"),
)
DAMAGE = (
    Parameter("kappa", "1", 0.0, 0.6, "static Debye–Waller damage at the largest strain"),
    Parameter("p", "1", 0.25, 4.0, "exponent of the damage, E = 1 − kappa·(ε/ε_max)^p"),
)
TABLE = PROFILE + DAMAGE
NAMES = tuple(parameter.name for parameter in PROFILE)
ALL_NAMES = tuple(parameter.name for parameter in TABLE)

DMAX1, D01, L1, RP1, D02, L2, RP2, KAPPA, P = range(9)
"""Columns of a parameter array."""

MOST_STRAIN = 0.3
"""Upper limit of any range of strains."""

LARGEST = {"1": 100.0, "Å": 1e5}
"""Of any range, by its unit: thicker layers take no measurable time of their own, but a simulator endless time."""

_ORDER = (D01, DMAX1, D02, L1, RP1, L2, RP2, KAPPA, P)
"""In which ``from_unit`` computes the parameters."""

CONSTRAINTS = (
    "D01 <= Dmax1",
    "D01 + D02 <= strain_sum",
    "Rp1 <= L1",
    "L2 <= L1",
)

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
        if len(self.low) != len(self.high) or len(self.low) not in (7, 9):
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
        corner = [self.low[D01] <= self.high[DMAX1], self.low[D01] + self.low[D02] <= self.strain_sum]
        corner += [self.low[RP1] <= self.high[L1], self.low[L2] <= self.high[L1]]
        for ok, constraint in zip(corner, CONSTRAINTS, strict=True):
            if not ok:
                raise ParameterError(f"no vector in these ranges keeps {constraint}; widen them")
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
        return len(self.low) == 9

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
        for members in groups.values():
            leader, *followers = sorted(members, key=lambda name: _ORDER.index(ALL_NAMES.index(name)))
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
        if rows.ndim != 2 or rows.shape[1] not in (7, 9):
            raise ParameterError(
                f"parameters have the shape {np.shape(params)}; needed is (n, 7), (n, 9) with damage, or one row, "
                f"in the order {', '.join(ALL_NAMES)}"
            )
        space = self.with_damage() if rows.shape[1] == 9 else self
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
        broken = constraint_excess(rows, self.strain_sum) > _ROUNDING
        if broken.any():
            row, which = (int(index) for index in np.argwhere(broken)[0])
            names = [name for name in NAMES if name in CONSTRAINTS[which].split()]
            values = ", ".join(f"{name} = {rows[row, NAMES.index(name)]:g}" for name in names)
            raise ParameterError(
                f"{values} (row {row}) break the constraint "
                + CONSTRAINTS[which].replace("strain_sum", f"{self.strain_sum:g}")
            )
        return rows

    def contains(self, params: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of (n, 7 or 9) lies in the box and keeps the constraints."""
        rows = np.atleast_2d(np.asarray(params, dtype=np.float64))
        low, high = np.array(self.low), np.array(self.high)
        slack = _ROUNDING * (high - low)
        inside = np.all((rows >= low - slack) & (rows <= high + slack), axis=1)  # NaN is outside
        return np.asarray(inside & np.all(constraint_excess(rows, self.strain_sum) <= _ROUNDING, axis=1))

    def from_unit(self, columns: Sequence[Any]) -> list[Any]:
        """Parameters of unit-cube coordinates; see the function of this name."""
        return from_unit(columns, self.low, self.high, self.strain_sum)

    def to_unit(self, columns: Sequence[Any]) -> tuple[list[Any], Any]:
        """Inverse of ``from_unit``, and log |∂params/∂unit|; see the function of this name."""
        return to_unit(columns, self.low, self.high, self.strain_sum)

    @property
    def d01_high(self) -> float:
        return min(self.high[D01], self.high[DMAX1], self.strain_sum - self.low[D02])

    @property
    def l1_low(self) -> float:
        return max(self.low[L1], self.low[RP1], self.low[L2])


def from_unit(
    columns: Sequence[Any], low: Sequence[Any], high: Sequence[Any], strain_sum: float = STRAIN_SUM
) -> list[Any]:
    """Map columns of unit-cube coordinates to parameters that keep every constraint.

    The map is triangular in the order D01, Dmax1, D02, L1, Rp1, L2, Rp2 (kappa, p) and a bijection. It is
    written with the arithmetic that NumPy arrays and torch tensors share, so either may be passed.

    Parameters
    ----------
    columns : one array or tensor of any shape per parameter, in the order of the table.
    low, high : limits of each parameter: numbers, or one a sample, shaped as the columns.
    strain_sum : largest D01 + D02.
    """
    u, zero = list(columns), columns[0] * 0.0
    out: list[Any] = [None] * len(u)

    def between(j: int, least: Any, most: Any) -> None:
        out[j] = least + u[j] * (most - least)

    between(D01, low[D01], _d01_high(zero, low, high, strain_sum))
    between(DMAX1, out[D01].clip(min=low[DMAX1]), high[DMAX1])
    between(D02, low[D02], (strain_sum - out[D01]).clip(max=high[D02]))
    between(L1, _l1_low(zero, low), high[L1])
    between(RP1, low[RP1], out[L1].clip(max=high[RP1]))
    between(L2, low[L2], out[L1].clip(max=high[L2]))
    for j in range(RP2, len(u)):
        between(j, low[j], high[j])
    return out


def to_unit(
    columns: Sequence[Any], low: Sequence[Any], high: Sequence[Any], strain_sum: float = STRAIN_SUM
) -> tuple[list[Any], Any]:
    """Inverse of ``from_unit``; also log |∂params/∂unit|, summed over the parameters.

    Conditional ranges of zero width give coordinate 0.
    """
    p, zero = list(columns), columns[0] * 0.0
    least: list[Any] = [zero + value for value in low]
    most: list[Any] = [zero + value for value in high]
    most[D01] = _d01_high(zero, low, high, strain_sum)
    least[DMAX1] = p[D01].clip(min=low[DMAX1])
    most[D02] = (strain_sum - p[D01]).clip(max=high[D02])
    least[L1] = _l1_low(zero, low)
    most[RP1] = p[L1].clip(max=high[RP1])
    most[L2] = p[L1].clip(max=high[L2])
    unit, log_det = [], zero
    for value, below, above in zip(p, least, most, strict=True):
        width = (above - below).clip(min=1e-300)
        unit.append((value - below) / width)
        log_det = log_det + _log(width)
    return unit, log_det


def _d01_high(zero: Any, low: Sequence[Any], high: Sequence[Any], strain_sum: float) -> Any:
    return (zero + high[D01]).clip(max=high[DMAX1]).clip(max=strain_sum - low[D02])


def _l1_low(zero: Any, low: Sequence[Any]) -> Any:
    return (zero + low[L1]).clip(min=low[RP1]).clip(min=low[L2])


def _log(x: Any) -> Any:
    return x.log() if hasattr(x, "log") else np.log(x)


def constraint_excess(rows: NDArray[np.float64], strain_sum: float = STRAIN_SUM) -> NDArray[np.float64]:
    """How far each row (n, ≥ 7) breaks each of the four CONSTRAINTS, as part of a default range; ≤ 0 is kept."""
    strain = PROFILE[DMAX1].high - PROFILE[DMAX1].low
    depth = PROFILE[L1].high - PROFILE[L1].low
    return np.stack(
        [
            (rows[:, D01] - rows[:, DMAX1]) / strain,
            (rows[:, D01] + rows[:, D02] - strain_sum) / strain,
            (rows[:, RP1] - rows[:, L1]) / depth,
            (rows[:, L2] - rows[:, L1]) / depth,
        ],
        axis=1,
    )
