"""The problem of estimation: one profile and the measurements that were made of it.

The objective Φ is the sum of those of the measurements (``xrdsim.fit.measurement``) and of what the priors add,
½((value − mean)/std)² each and ½pᵀPp of the profile's parameters p; so are its gradient and the matrix of Fisher's
scoring. A measurement has a part in the
rows of the profile, of its own zero and instrument, and of its own scale and background, and in no others
(``xrdsim.fit.unknowns``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xrdsim.curves.curve import Curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import GAUSSIAN, ZERO, Instrument
from xrdsim.experiment.reflection import GGG_444
from xrdsim.fit.measurement import Measurement, Scoring
from xrdsim.fit.preparation import measurement_of
from xrdsim.fit.unknowns import (
    SHARED,
    Array,
    Background,
    Layout,
    Limits,
    Unknown,
    UnknownDefects,
    background_of,
    measurement_unknowns,
    profile_unknowns,
)
from xrdsim.observation.shapes import shapes_of
from xrdsim.profiles.space import ParameterSpace


@dataclass(frozen=True, eq=False)
class Problem:
    """One profile, and the curves that were measured of it.

    Attributes
    ----------
    space : of the profile; its ties are put in order.
    measurements : the curves, one at least.
    priors : (mean, standard deviation) of unknowns by name, normal; those of the defects are theirs unless given.
    defects : dislocation loops that are fitted, or None; all curves show the same.
    penalty : P of the module's formula, (p, p), such as that of a smooth profile; None for none.
    layout : where the unknowns lie, which follows from the others.

    Raises
    ------
    ParameterError
        No measurement, or one that is prepared for other profiles; limits or a prior without meaning.
    """

    space: ParameterSpace
    measurements: tuple[Measurement, ...]
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    defects: UnknownDefects | None = None
    penalty: Array | None = None
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        if not self.measurements:
            raise ParameterError("a problem needs at least one measurement")
        for each in self.measurements:
            prepared = each.simulator.space
            if prepared.profile != self.space.profile or prepared.thickest < self.space.thickest:
                raise ParameterError(
                    f"{each.curve.source or 'a curve'} is prepared for {prepared.profile.name} up to a thickness of "
                    f"{prepared.thickest:g} Å, not for {self.space.profile.name} up to {self.space.thickest:g} Å"
                )
        object.__setattr__(self, "space", self.space.ordered())
        shared: tuple[Unknown, ...] = ()
        if self.defects is not None:
            object.__setattr__(self, "priors", self.defects.priors | dict(self.priors))
            object.__setattr__(
                self, "measurements", tuple(each.among(self.defects.start) for each in self.measurements)
            )
            shared = self.defects.unknowns
        measured = [each.unknowns(number) for number, each in enumerate(self.measurements)]
        object.__setattr__(self, "layout", Layout.of(profile_unknowns(self.space), measured, self.priors, shared))

    def __len__(self) -> int:
        """Points of all measurements."""
        return sum(map(len, self.measurements))

    @property
    def counting(self) -> bool:
        """Whether the noise of all measurements is known, that of counts."""
        return all(each.counting for each in self.measurements)

    @property
    def freedom(self) -> int:
        """Points less free unknowns, of which each that a penalty holds comes with one more term of Φ."""
        held = 0 if self.penalty is None else int(np.linalg.matrix_rank(self.penalty))
        return len(self) - int(self.layout.solved.sum()) + held

    def inflation(self, objective: float) -> float:
        """How much more the data scatter than their noise says: the reduced χ² of Φ where that exceeds 1."""
        return max(2.0 * objective / self.freedom, 1.0)

    def coordinates(self, params: Array, *others: ArrayLike) -> Array:
        """Coordinates (m, k) of parameters (m, p), of zero and instrument of each measurement in turn, and of defects.

        ``others`` are numbers or (m,) each; those at the end that are left out take the values with which a refinement
        begins.
        """
        unit = self.space.to_unit(list(params.T))[0]
        for name, _ in self.space.ties:  # its coordinate has no meaning
            unit[self.space.names.index(name)] = np.zeros(len(params))
        shared = [] if self.defects is None else self.defects.values
        starts = np.concatenate([*(each.start for each in self.measurements), shared])
        given = [*others, *starts[len(others) :]]
        rows = np.column_stack([*unit, *(np.broadcast_to(each, len(params)) for each in given)])
        return np.asarray(np.clip(rows, self.layout.low, self.layout.high))

    def params(self, x: Array) -> Array:
        """Parameters (m, p) of coordinates (m, k)."""
        rows = np.column_stack(self.space.from_unit(list(x[:, self.layout.profile].T)))
        return np.ascontiguousarray(self.space.tied(np.clip(rows, self.space.low, self.space.high)))

    def values(self, x: Array) -> Array:
        """Values (m, k) of coordinates (m, k)."""
        return np.column_stack([self.params(x), x[:, self.layout.profile.stop :]])

    def curves(self, values: Array, rtol_dex: float = 1e-3) -> list[Array]:
        """Unscaled curves (m, n) of each measurement at values (m, k)."""
        params = values[:, self.layout.profile]
        each = zip(self.measurements, self.layout.own, strict=True)
        return [measurement.curves(params, values[:, own], rtol_dex) for measurement, own in each]

    def expected(
        self, values: Array, linear: Array | None = None, rtol_dex: float = 1e-3, steps: int = 6
    ) -> list[Array]:
        """μ (m, n) of each measurement at values (m, k), with scales and backgrounds (m, l).

        Without ``linear`` they are at their best, after so many steps.
        """
        found = []
        for i, curves in enumerate(self.curves(values, rtol_dex)):
            each = self.measurements[i]
            scaled = each.scaled(curves, steps=steps) if linear is None else linear[:, self.layout.scales[i]]
            found.append(each.expected(curves, scaled))
        return found

    def misfit(self, values: Array, rtol_dex: float = 1e-3) -> Array:
        """Φ (m,) without priors at values (m, k), with the best scales and backgrounds."""
        expected = self.expected(values, rtol_dex=rtol_dex)
        return np.asarray(sum(each.objective(mu) for each, mu in zip(self.measurements, expected, strict=True)))

    def objective(self, values: Array, rtol_dex: float = 1e-3) -> Array:
        """Φ (m,) at values (m, k), with the best scales and backgrounds."""
        out = self.misfit(values, rtol_dex)
        for name, (mean, std) in self.priors.items():
            out = out + 0.5 * ((values[:, self.layout.names.index(name)] - mean) / std) ** 2
        if self.penalty is not None:
            params = values[:, self.layout.profile]
            out = out + 0.5 * ((params @ self.penalty) * params).sum(axis=1)
        return out

    def evaluate(self, x: Array, linear: Array | None = None, rtol_dex: float = 1e-3) -> Scoring:
        """Φ, its gradient (m, k + l) and scoring matrix (m, k + l, k + l) at coordinates (m, k).

        Parameters
        ----------
        x : coordinates.
        linear : (m, l) scales and backgrounds from which the best ones are near; None if nothing is known of them.
        rtol_dex : accuracy of the model.
        """
        layout = self.layout
        values, change = self.values(x), self.space.unit_slope(x[:, layout.profile])
        m, k = x.shape
        size = k + len(layout.linear)
        total = Scoring(np.empty((m, size - k)), np.zeros(m), np.zeros((m, size)), np.zeros((m, size, size)))
        for i, each in enumerate(self.measurements):
            near = None if linear is None else linear[:, layout.scales[i]]
            part = each.scoring(values[:, layout.profile], values[:, layout.own[i]], change, near, rtol_dex)
            rows = layout.rows[i]
            total.linear[:, layout.scales[i]] = part.linear
            total.objective += part.objective
            total.gradient[:, rows] += part.gradient
            total.hessian[:, rows[:, None], rows] += part.hessian
        if self.priors:
            self._add_priors(total, values, change)
        if self.penalty is not None:
            params, own = values[:, layout.profile], layout.profile
            pushed = params @ self.penalty
            total.objective += 0.5 * (pushed * params).sum(axis=1)
            total.gradient[:, own] += np.einsum("mij,mi->mj", change, pushed)
            total.hessian[:, own, own] += np.swapaxes(change, 1, 2) @ self.penalty @ change
        return total

    def _add_priors(self, total: Scoring, values: Array, change: Array) -> None:
        m, k = values.shape
        p = self.layout.profile.stop
        jacobian = np.zeros((m, k, total.gradient.shape[1]))
        jacobian[:, :k, :k] = np.eye(k)
        jacobian[:, :p, :p] = change
        for name, (mean, std) in self.priors.items():
            j = self.layout.names.index(name)
            away, row = (values[:, j] - mean) / std, jacobian[:, j] / std
            total.objective += 0.5 * away**2
            total.gradient += away[:, None] * row
            total.hessian += row[:, :, None] * row[:, None, :]

    def behind(self, number: int, instrument: Instrument, x: Array) -> tuple["Problem", Array]:
        """The same with one measurement (from 0) through another instrument, and coordinates (m, k) of it.

        Values of parameters that both instruments have are kept, others are those with which a refinement begins.
        """
        measured = self.measurements[number].behind(instrument)
        some = [measured if i == number else each for i, each in enumerate(self.measurements)]
        made = replace(self, measurements=tuple(some), priors={})
        made = replace(made, priors={name: value for name, value in self.priors.items() if name in made.layout.names})
        old = self.layout.instruments[number]
        rows = np.tile(measured.start, (len(x), 1))
        before = self.measurements[number].names
        for j, name in enumerate(measured.names):
            if name in before:
                rows[:, j] = x[:, old.start + before.index(name)]
        whole = np.column_stack([x[:, : old.start], rows, x[:, old.stop :]])
        return made, np.asarray(np.clip(whole, made.layout.low, made.layout.high))

    def over(self, number: int, ground: Background) -> "Problem":
        """The same with one measurement (from 0) over another background; its coordinates are the same."""
        some = [each.over(ground) if i == number else each for i, each in enumerate(self.measurements)]
        return replace(self, measurements=tuple(some))

    def settled(self, x: Array) -> "Problem":
        """The same whose loops, if it has any, begin with those of coordinates (1, k)."""
        if self.defects is None:
            return self
        return self.among(self.defects.at(x[0, self.layout.shared].tolist()))

    def among(self, defects: UnknownDefects | None) -> "Problem":
        """The same with other dislocation loops, or without any."""
        some = self.measurements
        if defects is None:
            some = tuple(each.among(None) for each in some)
        names = set() if self.defects is None else set(self.defects.names)
        priors = {name: value for name, value in self.priors.items() if name not in names}
        return replace(self, measurements=some, priors=priors, defects=defects)

    @property
    def tolerances(self) -> tuple[float, ...]:
        """Of its measurements."""
        return tuple(each.tolerance for each in self.measurements)

    def tolerating(self, tolerances: Sequence[float]) -> "Problem":
        """The same with other tolerances of its measurements."""
        pairs = zip(self.measurements, tolerances, strict=True)
        return replace(self, measurements=tuple(each.tolerating(value) for each, value in pairs))

    def held(self, name: str, value: float) -> "Problem":
        """The same with one of the unknowns fixed, and those that are tied to it.

        Raises
        ------
        ParameterError
            The constraints leave nothing, or a prior is too far.
        """
        space, j = self.space, self.layout.names.index(name)
        owner = self.layout.unknowns[j].owner
        if owner == SHARED and self.defects is not None:
            values = self.defects.values
            values[j - self.layout.shared.start] = value
            return replace(self, defects=self.defects.at(values, name))
        if owner is not None:
            which = j - self.layout.instruments[owner].start
            some = [each.held(which, value) if i == owner else each for i, each in enumerate(self.measurements)]
            return replace(self, measurements=tuple(some))
        alike = {name, *(follower for follower, other in space.ties if other == name)}
        low, high = (
            tuple(value if each in alike else end for each, end in zip(space.names, ends, strict=True))
            for ends in (space.low, space.high)
        )
        return replace(self, space=replace(space, low=low, high=high))


@dataclass(frozen=True)
class Unknowns:
    """What is fitted of one curve, within which limits; equal limits fix a value.

    Parameters
    ----------
    space : of the profile, with kappa and p if the damage is fitted; its ties are put in order.
    fwhm, zero : limits [arcsec]; None for those that suit the reflection.
    instrument : through which it was measured, itself or as ``measurement_of`` takes it.
    limits : of further parameters of the instrument, by name.
    defects : dislocation loops that are fitted, themselves or as ``UnknownDefects.of`` takes them, or None.
    scale, background : None, or a value to fix; a background may be one of ``Background`` instead.
    priors : (mean, standard deviation) of any of them, normal.

    Raises
    ------
    ParameterError
        A value without meaning.
    """

    space: ParameterSpace = field(default_factory=ParameterSpace)
    fwhm: Limits | None = None
    zero: Limits | None = None
    scale: float | None = None
    background: float | str | None = None
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    instrument: str | Path | Instrument = GAUSSIAN
    limits: Mapping[str, Limits] = field(default_factory=dict)
    defects: UnknownDefects | str | Path | None = None

    def __post_init__(self) -> None:
        instrument, _ = shapes_of(self.instrument, GGG_444)
        limits = tuple(self.ends.get(each.name, each.limits) for each in instrument.parameters)
        fixed, _ = background_of(self.background)
        measured = measurement_unknowns(instrument, self.zero or ZERO.limits, limits, self.scale, fixed)
        loops = None if self.defects is None else UnknownDefects.of(self.defects)
        object.__setattr__(self, "defects", loops)
        shared = () if loops is None else loops.unknowns
        Layout.of(profile_unknowns(self.space), [measured], self.priors, shared)
        object.__setattr__(self, "space", self.space.ordered())

    @property
    def ends(self) -> dict[str, Limits]:
        """Limits of the instrument's parameters that were given."""
        return dict(self.limits) | ({} if self.fwhm is None else {"fwhm": self.fwhm})


def problem(curve: Curve, *, unknowns: Unknowns | None = None, **preparing: Any) -> Problem:
    """The usual problem of one curve, measured through a Gaussian instrument.

    Of several curves it is ``Problem(space, (measurement_of(one, space), measurement_of(other, space)))``.

    Parameters
    ----------
    curve : as measured; points at other than equal steps are interpolated in the model.
    unknowns : what is fitted; None for the profile without damage and the default limits.
    preparing : which points are fitted, their counts, and the experiment: ``per_count``, ``offset``, ``mask``,
        ``both_sides``, ``exclude`` and ``experiment`` of ``xrdsim.fit.preparation.measurement_of``.

    Raises
    ------
    CurveError
        Fewer than 50 points are left, or the intensities are no counts.
    ParameterError
        A setting without meaning.
    """
    chosen = unknowns or Unknowns()
    measured = measurement_of(
        curve,
        chosen.space,
        zero=chosen.zero,
        limits=chosen.ends,
        instrument=chosen.instrument,
        scale=chosen.scale,
        background=chosen.background,
        **preparing,
    )
    loops = None if chosen.defects is None else UnknownDefects.of(chosen.defects)
    return Problem(chosen.space, (measured,), chosen.priors, loops)
