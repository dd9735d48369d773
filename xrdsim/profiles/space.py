"""The valid region of the parameters: ranges, ties, and the bounds of their profile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.limits import Json
from xrdsim.profiles.bounds import Bounds, Column, freest, from_unit, in_order, inequalities, to_unit, unit_slope
from xrdsim.profiles.profile import Profile, profile_named
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

MOST_STRAIN = 0.3
"""Upper limit of any range of strains."""

LARGEST = {"1": 100.0, "Å": 1e5}
"""Of any range, by its unit: thicker layers take no measurable time of their own, but a simulator endless time."""

_ROUNDING = 1e-6
"""Part of a range by which a value may miss a limit: float32 copies of valid rows stay valid."""


@dataclass(frozen=True)
class ParameterSpace:
    """The valid region: a box and the bounds of the profile.

    Parameters
    ----------
    low, high : tuples of floats in the order and units of the profile's table, for two Gaussians 7, or 9 with damage;
        ``None`` for its default ranges, without damage.
    strain_sum : largest allowed D01 + D02; ``None`` for the profile's default.
    ties : pairs (name, other) of parameters with the same range, of which the first takes the value of the second in
        all that is drawn. Vectors that break a tie still lie in the space.
    profile : whose parameters they are.

    Raises
    ------
    ParameterError
        A range is empty, leaves the physical domain (Dmax1 and D02 > DMIN, D01 ≥ DMIN, lengths > 0, Rp1 ≥ 0,
        Rp2 ≤ 0) or leaves no valid vector; or a tie of unknown, equal, already tied or differently ranged parameters.
    """

    low: tuple[float, ...] = None  # type: ignore[assignment]  # numbers once it is made
    high: tuple[float, ...] = None  # type: ignore[assignment]
    strain_sum: float = None  # type: ignore[assignment]
    ties: tuple[tuple[str, str], ...] = ()
    profile: Profile = TWO_GAUSSIANS

    def __post_init__(self) -> None:
        profile = self.profile
        if self.low is None:
            object.__setattr__(self, "low", tuple(each.low for each in profile.parameters))
        if self.high is None:
            object.__setattr__(self, "high", tuple(each.high for each in profile.parameters))
        if self.strain_sum is None:
            object.__setattr__(self, "strain_sum", profile.strain_sum)
        object.__setattr__(self, "ties", tuple((name, other) for name, other in self.ties))
        object.__setattr__(self, "low", tuple(float(value) for value in self.low))
        object.__setattr__(self, "high", tuple(float(value) for value in self.high))
        sizes = profile.size, len(profile.table)
        if len(self.low) != len(self.high) or len(self.low) not in sizes:
            raise ParameterError(
                f"ranges need {sizes[0]} limits each, or {sizes[1]} with damage; got {len(self.low)} lower and "
                f"{len(self.high)} upper"
            )
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ParameterError(
                    f"the range of {name} is {low:g} … {high:g}; the lower limit must not exceed the upper"
                )
        if not 0.0 < self.strain_sum <= 2.0 * MOST_STRAIN:
            raise ParameterError(f"strain_sum = {self.strain_sum:g} must be positive, at most {2.0 * MOST_STRAIN:g}")
        table = profile.table[: len(self.low)]
        for each, low, high in zip(table, self.low, self.high, strict=True):
            most = LARGEST[each.unit]
            if max(-low, high) > most:
                raise ParameterError(f"the range of {each.name}, {low:g} … {high:g}, must stay within {most:g}")
        for each, high in zip(table, self.high, strict=True):
            if each.kind == "strain" and high > MOST_STRAIN:
                raise ParameterError(f"the range of the strains must stay at most {MOST_STRAIN:g}")
        for each, low, high in zip(table, self.low, self.high, strict=True):
            if not each.allows(low, high):
                raise ParameterError(f"the range of {each.name} must stay {each.rule}")
        corner = freest(np.array(self.low), np.array(self.high), self.bounds)
        for bound in self.bounds:
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
            units = {self.profile.table[column].unit for column in (i, j)}
            if len(units) > 1 or (self.low[i], self.high[i]) != (self.low[j], self.high[j]):
                raise ParameterError(f"{tie} needs two parameters of the same unit and range")

    def to_dict(self) -> Json:
        """Plain values for JSON; the profile is named unless it is that of two Gaussians."""
        values = {name: getattr(self, name) for name in ("low", "high", "strain_sum", "ties")}
        return values if self.profile == TWO_GAUSSIANS else values | {"profile": self.profile.name}

    @classmethod
    def from_dict(cls, table: Json) -> Self:
        """Inverse of ``to_dict``."""
        return cls(**(dict(table) | {"profile": profile_of(table)}))

    @property
    def damage(self) -> bool:
        """Whether the columns of the damage belong to the space."""
        return self.profile.holds_damage(len(self.low))

    @property
    def bounds(self) -> Bounds:
        """Between the parameters."""
        return self.profile.bounds

    @property
    def thickest(self) -> float:
        """Bound of the thickness [Å] of its layers."""
        return self.profile.thickest(self.high)

    @property
    def most_strain(self) -> float:
        """Bound of the strain of its layers."""
        return self.profile.most_strain(self.high)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in the order of the columns."""
        return self.profile.all_names[: len(self.low)]

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
        names = self.profile.all_names
        order = [names[j] for j in in_order(len(names), self.bounds)]
        for members in groups.values():
            leader, *followers = sorted(members, key=order.index)
            if "D02" in members and leader == "Dmax1":
                raise ParameterError(
                    f"a tie of D02 and Dmax1 does not keep D01 + D02 <= {self.strain_sum:g}; tie D01, too, or fix one"
                )
            if "D02" in members and leader == "D01":  # D01 + D02 at most
                for name in members:
                    high[names.index(name)] = min(high[names.index(name)], 0.5 * self.strain_sum)
            ties += [(name, leader) for name in followers]
        return replace(self, high=tuple(high), ties=tuple(ties))

    def without_damage(self) -> "ParameterSpace":
        """The ranges of the strain's parameters alone."""
        damage = {parameter.name for parameter in self.profile.damage}
        ties = tuple(tie for tie in self.ties if not damage & set(tie))
        size = self.profile.size
        return replace(self, low=self.low[:size], high=self.high[:size], ties=ties)

    def with_damage(self) -> "ParameterSpace":
        """The same ranges with the default ones of the damage added."""
        if self.damage:
            return self
        return replace(
            self,
            low=self.low + tuple(parameter.low for parameter in self.profile.damage),
            high=self.high + tuple(parameter.high for parameter in self.profile.damage),
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
        size, names = self.profile.size, self.profile.all_names
        if rows.ndim != 2 or rows.shape[1] not in (size, len(names)):
            raise ParameterError(
                f"parameters have the shape {np.shape(params)}; needed is (n, {size}), (n, {len(names)}) with damage, "
                f"or one row, in the order {', '.join(names)}"
            )
        space = self.with_damage() if self.profile.holds_damage(rows.shape[1]) else self
        for j, name in enumerate(names[: rows.shape[1]]):
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
            bound = self.bounds[which]
            columns = sorted((bound.first, bound.second))
            values = ", ".join(f"{names[j]} = {rows[row, j]:g}" for j in columns)
            raise ParameterError(
                f"{values} (row {row}) break the constraint " + bound.text.replace("strain_sum", f"{self.strain_sum:g}")
            )
        return rows

    def excess(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far rows (n, p) break each of the bounds, as part of a default range; ≤ 0 is kept."""
        return np.stack([bound.excess(rows, self.strain_sum) for bound in self.bounds] or [-np.ones(len(rows))], axis=1)

    def contains(self, params: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of (n, 7 or 9) lies in the box and keeps the constraints."""
        rows = np.atleast_2d(np.asarray(params, dtype=np.float64))
        low, high = np.array(self.low), np.array(self.high)
        slack = _ROUNDING * (high - low)
        inside = np.all((rows >= low - slack) & (rows <= high + slack), axis=1)  # NaN is outside
        return np.asarray(inside & np.all(self.excess(rows) <= _ROUNDING, axis=1))

    def from_unit(self, columns: Sequence[Column]) -> list[Column]:
        """Parameters of unit-cube coordinates; see ``xrdsim.profiles.bounds``."""
        return from_unit(columns, self.low, self.high, self.strain_sum, self.bounds)

    def to_unit(self, columns: Sequence[Column]) -> tuple[list[Column], Column]:
        """Inverse of ``from_unit``, and log |∂params/∂unit|."""
        return to_unit(columns, self.low, self.high, self.strain_sum, self.bounds)

    def unit_slope(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives (m, p, p) of the parameters over coordinates (m, p) of the unit cube; tied ones follow."""
        out = unit_slope(unit, self.low, self.high, self.strain_sum, self.bounds)
        for name, other in self.ties:
            out[:, self.names.index(name)] = out[:, self.names.index(other)]
        return out

    def inequalities(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The bounds as A·p ≤ b: A (bounds, k) for p of k values, parameters first, and b (bounds,)."""
        return inequalities(k, self.strain_sum, self.bounds)


def profile_of(table: Json) -> Profile:
    """The profile that a table of ``ParameterSpace.to_dict`` names."""
    return profile_named(table.get("profile", TWO_GAUSSIANS.name))
