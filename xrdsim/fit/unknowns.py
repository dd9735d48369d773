"""What is unknown in a fit, who owns it, and where it lies in the vectors and matrices of the fit.

A vector of *coordinates* holds the coordinates of the profile in the unit cube (``ParameterSpace.from_unit``), then of
each measurement its zero and the parameters of its instrument, then what all share beside the profile, the logarithms
of densities n [1/cm³] and radii R [Å] of dislocation loops:

    x = [unit cube | zero, instrument of the first | zero, instrument of the second | … | ln n, ln R, …]

In a vector of *values* the profile's parameters themselves stand in the place of the cube. The intensity is linear in
scale and background, which are solved for; the matrix of the scoring step has their rows behind the coordinates:

    [x | scale, background of the first | scale, background of the second | …]
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.defects import MOST_DENSE, USUAL, WIDEST, Defects, read_fitted
from xrdsim.experiment.instrument import ZERO, Instrument
from xrdsim.forward.model import LIMITS
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

Limits = tuple[float, float]

LINEAR = ("scale", "background")
"""In which the intensity is linear."""

END = "background_end"
"""The background at the last angle of a curve where it is linear; ``background`` is that at the first one then."""

INTENSITY = "intensity"
"""Unit of these, that of the file."""


class Background(StrEnum):
    """Shapes of a background: the same at all angles, linear in the angle, or as the curve says."""

    CONSTANT = "constant"
    LINEAR = "linear"
    AUTO = "auto"


def background_of(given: float | str | None) -> tuple[float | None, Background]:
    """The value at which a background is fixed, or None, and its shape; of nothing a constant one.

    Raises
    ------
    ParameterError
        A text that is no shape.
    """
    if given is None or isinstance(given, int | float):
        return given, Background.CONSTANT
    try:
        return None, Background(given)
    except ValueError:
        raise ParameterError(f"background {given!r} is unknown; choose {', '.join(Background)}, or a value") from None


SHARED = -1
"""Owner of what belongs to all measurements and not to the profile."""

_LOG_PRIOR = {"density": 2.3, "radius": 1.0}  # standard deviations of ln n and ln R about the values to begin with
_LOG_ROOM = {"density": 8.0, "radius": 3.0}  # by which they may be away from these
_FAR = 10.0  # widths of a prior, or of the range, that its mean may be away from the range


@dataclass(frozen=True)
class Unknown:
    """One unknown of a fit.

    Attributes
    ----------
    name, unit : those of the tables; what belongs to a second measurement has _2 behind its name.
    low, high : its limits; equal ones fix it.
    owner : the number of the measurement whose it is, from 0; None of the profile, SHARED of all measurements.
    prior : mean and standard deviation of a normal distribution, or None.
    kind : that of the profile's table.
    tied_to : the parameter whose value it takes.

    Raises
    ------
    ParameterError
        The prior has no width, or is far from the limits.
    """

    name: str
    unit: str
    low: float
    high: float
    owner: int | None = None
    prior: tuple[float, float] | None = None
    kind: str = ""
    tied_to: str = ""

    def __post_init__(self) -> None:
        if self.prior is None:
            return
        (mean, std), low, high = self.prior, self.low, self.high
        if not (math.isfinite(mean) and 1e-9 * (abs(low) + abs(high)) < std < math.inf):
            raise ParameterError(
                f"the prior of {self.name}, {mean:g} ± {std:g}, needs a finite mean and a positive width"
            )
        room = _FAR * max(std, high - low)
        if not low - room <= mean <= high + room:
            raise ParameterError(
                f"the prior of {self.name}, {mean:g} ± {std:g}, is far from its range {low:g} … {high:g}"
            )

    @property
    def fixed(self) -> bool:
        """Whether its limits leave one value."""
        return self.low == self.high

    @property
    def free(self) -> bool:
        """Whether it is fitted: neither fixed nor tied."""
        return not (self.fixed or self.tied_to)

    @property
    def linear(self) -> bool:
        """Whether the intensity is linear in it."""
        return self.unit == INTENSITY


@dataclass(frozen=True, kw_only=True)
class UnknownDefects:
    """Dislocation loops of a sample whose densities and radii are unknown.

    Their logarithms are the unknowns, with normal priors about those to begin with: a factor of 10 of a density and of
    2.7 of a radius is one standard deviation.

    Parameters
    ----------
    start : densities and radii to begin with, and what else describes the loops.
    fixed : which of ``start.names`` stay as they are.

    Raises
    ------
    ParameterError
        No loops, or a name that they do not have.
    """

    start: Defects
    fixed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.start.loops:
            raise ParameterError("defects: there are no loops to fit; give those of the layer or of the substrate")
        for name in self.fixed:
            if name not in self.start.names:
                raise ParameterError(f"defects: there is no {name}; choose among {', '.join(self.start.names)}")
        for name, value in zip(self.start.names, self.start.values, strict=True):
            if value <= 0.0:
                raise ParameterError(f"defects: the {name} must be positive to be fitted")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the unknowns, (d,): ln_density_layer, ln_radius_layer, …, ln_radius_substrate2."""
        plain = (name.removesuffix(" 1").replace(" of ", "_").replace(" ", "") for name in self.start.names)
        return tuple(f"ln_{name}" for name in plain)

    @property
    def values(self) -> list[float]:
        """Logarithms to begin with, (d,)."""
        return [math.log(value) for value in self.start.values]

    @property
    def unknowns(self) -> tuple[Unknown, ...]:
        """Those of the coordinates, (d,)."""
        made = []
        for name, each, value in zip(self.names, self.start.names, self.values, strict=True):
            room = 0.0 if each in self.fixed else _LOG_ROOM[each.split()[0]]
            least, most = (0.0, math.log(MOST_DENSE)) if each.startswith("density") else (0.0, math.log(WIDEST))
            made.append(Unknown(name, "1", max(value - room, least), min(value + room, most), owner=SHARED))
        return tuple(made)

    @property
    def priors(self) -> dict[str, tuple[float, float]]:
        """Means and standard deviations of those that are fitted."""
        all_of = zip(self.names, self.start.names, self.values, strict=True)
        return {name: (value, _LOG_PRIOR[each.split()[0]]) for name, each, value in all_of if each not in self.fixed}

    @classmethod
    def of(cls, named: "str | Path | UnknownDefects") -> "UnknownDefects":
        """Themselves, the usual ones of this name, or those of a file for ``xrdsim.experiment.defects.read_fitted``.

        Raises
        ------
        ParameterError
            Neither a name nor a file, or a file that cannot be read.
        """
        if isinstance(named, UnknownDefects):
            return named
        if str(named) in USUAL:
            return cls(start=USUAL[str(named)])
        if not Path(named).is_file():
            raise ParameterError(f"defects {str(named)!r} are neither a file nor one of {', '.join(USUAL)}")
        start, fixed = read_fitted(named)
        return cls(start=start, fixed=fixed)

    def at(self, values: Sequence[float], *hold: str) -> "UnknownDefects":
        """The same beginning with other logarithms (d,), and with some unknowns fixed."""
        held = [each for name, each in zip(self.names, self.start.names, strict=True) if name in hold]
        start = self.start.with_values([math.exp(value) for value in values])
        return UnknownDefects(start=start, fixed=tuple(dict.fromkeys((*self.fixed, *held))))


def profile_unknowns(space: ParameterSpace) -> tuple[Unknown, ...]:
    """The unknowns of a profile, in the order of its columns."""
    ties = dict(space.ties)
    table = space.profile.table[: len(space.low)]
    return tuple(
        Unknown(each.name, each.unit, low, high, kind=each.kind, tied_to=ties.get(each.name, ""))
        for each, low, high in zip(table, space.low, space.high, strict=True)
    )


def measurement_unknowns(
    instrument: Instrument,
    zero: Limits,
    limits: tuple[Limits, ...],
    scale: float | None,
    background: float | None,
    number: int = 0,
    sloping: bool = False,
) -> tuple[Unknown, ...]:
    """The unknowns of a measurement: zero and the instrument's parameters, then scale and background.

    Parameters
    ----------
    instrument : whose parameters have the ``limits``, one pair each.
    zero : limits [arcsec].
    scale, background : None, or the value at which it is fixed.
    number : of the measurement, from 0.
    sloping : whether the background is linear in the angle.

    Raises
    ------
    ParameterError
        Limits that are not in order, or a value without meaning.
    """
    suffix = f"_{number + 1}" if number else ""
    unknowns = []
    for parameter, ends in zip((ZERO, *instrument.parameters), (zero, *limits), strict=True):
        parameter.check(ends)
        unknowns.append(Unknown(parameter.name + suffix, parameter.unit, *ends, owner=number))
    for name, value in zip(LINEAR, (scale, background), strict=True):
        least, most = LIMITS[name]
        if value is not None and not least <= value <= most:
            raise ParameterError(f"{name} = {value:g} must be a number within {least:g} … {most:g}")
        low, high = (0.0, math.inf) if value is None else (value, value)
        unknowns.append(Unknown(name + suffix, INTENSITY, low, high, owner=number))
    if sloping:
        unknowns.append(Unknown(END + suffix, INTENSITY, 0.0, math.inf, owner=number))
    return tuple(unknowns)


@dataclass(frozen=True)
class Layout:
    """Where the unknowns lie; the formulas are those of the module.

    Attributes
    ----------
    unknowns : (k,) those of the coordinates.
    linear : (l,) scale and background of each measurement.
    profile : where the profile lies in coordinates and values.
    instruments : the same of zero and instrument of each measurement.
    shared : the same of what all measurements share.
    scales : where scale and background of each measurement lie among those of all, (m, l).
    """

    unknowns: tuple[Unknown, ...]
    linear: tuple[Unknown, ...]
    profile: slice
    instruments: tuple[slice, ...]
    shared: slice
    scales: tuple[slice, ...]

    @classmethod
    def of(
        cls,
        profile: tuple[Unknown, ...],
        measurements: Sequence[tuple[Unknown, ...]],
        priors: Mapping[str, tuple[float, float]],
        shared: tuple[Unknown, ...] = (),
    ) -> "Layout":
        """Of the unknowns of a profile, of each measurement and of all, and (mean, standard deviation) of any of them.

        Raises
        ------
        ParameterError
            A prior of what is not fitted, or without meaning.
        """
        coordinates = [[each for each in measured if not each.linear] for measured in measurements]
        linear = [[each for each in measured if each.linear] for measured in measurements]
        unknowns = [*profile, *(each for some in coordinates for each in some), *shared]
        names = [each.name for each in unknowns]
        for name, prior in priors.items():
            if name not in names:
                raise ParameterError(f"there is no prior of {name}; choose among {', '.join(names)}")
            unknowns[names.index(name)] = replace(unknowns[names.index(name)], prior=prior)
        ends = np.cumsum([len(profile), *map(len, coordinates)]).tolist()
        of_scales = np.cumsum([0, *map(len, linear)]).tolist()
        return cls(
            unknowns=tuple(unknowns),
            linear=tuple(each for some in linear for each in some),
            profile=slice(0, len(profile)),
            instruments=tuple(slice(first, last) for first, last in pairwise(ends)),
            shared=slice(ends[-1], ends[-1] + len(shared)),
            scales=tuple(slice(first, last) for first, last in pairwise(of_scales)),
        )

    def __len__(self) -> int:
        return len(self.unknowns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the coordinates, (k,)."""
        return tuple(each.name for each in self.unknowns)

    @cached_property
    def least(self) -> Array:
        """Lower limits of the values (k,)."""
        return np.array([each.low for each in self.unknowns])

    @cached_property
    def most(self) -> Array:
        """Upper limits of the values (k,)."""
        return np.array([each.high for each in self.unknowns])

    @cached_property
    def low(self) -> Array:
        """Lower limits of the coordinates (k,): 0 of the profile's."""
        return np.array([0.0 if each.owner is None else each.low for each in self.unknowns])

    @cached_property
    def high(self) -> Array:
        """Upper limits of the coordinates (k,)."""
        return np.array([1.0 if each.owner is None else each.high for each in self.unknowns])

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Which of the coordinates are fitted, (k,)."""
        return np.array([each.free for each in self.unknowns])

    @cached_property
    def solved(self) -> NDArray[np.bool_]:
        """Which rows of the scoring matrix are of unknowns that are fitted, (k + l,)."""
        return np.append(self.free, [each.free for each in self.linear])

    @cached_property
    def own(self) -> tuple[NDArray[np.int64], ...]:
        """Where in coordinates and values that lies which a measurement needs beside the profile."""
        rows = np.arange(len(self))
        return tuple(np.concatenate([rows[own], rows[self.shared]]) for own in self.instruments)

    @cached_property
    def rows(self) -> tuple[NDArray[np.int64], ...]:
        """Rows of the scoring matrix that each measurement has a part in: profile, own, scale, background."""
        rows = np.arange(len(self.unknowns) + len(self.linear))
        return tuple(
            np.concatenate([rows[self.profile], own, rows[len(self) :][linear]])
            for own, linear in zip(self.own, self.scales, strict=True)
        )


def adapted(rows: Array, space: ParameterSpace) -> Array:
    """Starts with or without damage, as the space needs them, inside its ranges and constraints."""
    size = len(space.low)
    full = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    if full.shape[1] < size:
        full = np.column_stack([full, np.tile([0.2, 1.0], (len(full), 1))])
    inside = np.clip(full[:, :size], space.low, space.high)
    unit = np.clip(np.nan_to_num(np.column_stack(space.to_unit(list(inside.T))[0])), 0.0, 1.0)
    return np.column_stack(space.from_unit(list(unit.T)))
