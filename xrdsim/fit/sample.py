"""Several curves of one sample: they share the profile and its damage, and each has an instrument and scale of its own.

The static Debye–Waller factor of a reflection of order H is E_H = E_ref^((H/H_ref)^q), ref the first curve, whose
kappa and p are reported; q = 3/2 for dislocation loops and clusters (L ∝ H^(3/2), M. A. Krivoglaz, X-Ray and Neutron
Diffraction in Nonideal Crystals, 1996), 2 for Gaussian displacements, 0 for an amorphous fraction. H is the length of
the reciprocal lattice vector.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xrdsim.curves.curve import Curve
from xrdsim.errors import ParameterError, XrdError, unreadable
from xrdsim.experiment.defects import USUAL
from xrdsim.experiment.files import refuse_unknown
from xrdsim.experiment.notation import written
from xrdsim.experiment.setup import DAMAGE_EXPONENT, Experiment, damage_power
from xrdsim.fit.judgement.estimate import Estimate
from xrdsim.fit.judgement.evidence import best_backgrounds, best_instruments
from xrdsim.fit.judgement.stated import Claim
from xrdsim.fit.judgement.verdict import FINAL, compare
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.preparation import WHOLE, measurement_of
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.result import CurveFit, Fit
from xrdsim.fit.settings import assumed, fitted_space
from xrdsim.fit.unknowns import Array, UnknownDefects
from xrdsim.limits import Json, read_toml
from xrdsim.profiles.space import ParameterSpace

MOST_EXPONENT = 4.0

_SAME = 1e-5  # part by which lattices of one sample may differ


Keywords = dict[str, Any]
"""Arguments of a function by name."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Entry:
    """One curve of a sample.

    Attributes
    ----------
    curve : as read.
    experiment : what was measured, and how it is described.
    preparing : further arguments of ``xrdsim.fit.preparation.measurement_of``.
    fitted : whether it is; a curve that is not is compared with what the others say of it.
    """

    curve: Curve
    experiment: Experiment = field(default_factory=Experiment)
    preparing: Mapping[str, Any] = field(default_factory=dict)
    fitted: bool = True

    def measurement(self, space: ParameterSpace, power: float) -> Measurement:
        """Prepared for the fit, its damage to this power of the profile's."""
        return measurement_of(
            self.curve, space, experiment=replace(self.experiment, damage_power=power), **self.preparing
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """Curves of one sample.

    Attributes
    ----------
    entries : its curves; the damage of the profile is that of the first one that is fitted.
    damage : whether it is damaged.
    damage_exponent : q of the module's formula; two numbers are limits between which it is fitted.
    defects : dislocation loops that are fitted, or None; all curves show the same.
    """

    entries: tuple[Entry, ...]
    damage: bool = False
    damage_exponent: float | tuple[float, float] = DAMAGE_EXPONENT
    defects: UnknownDefects | None = None

    def __post_init__(self) -> None:
        ends = self.exponents
        if not 0.0 <= ends[0] <= ends[1] <= MOST_EXPONENT:
            raise ParameterError(
                f"damage_exponent = {self.damage_exponent} must be a number, or two in order, within 0 … "
                f"{MOST_EXPONENT:g}"
            )
        if not any(each.fitted for each in self.entries):
            raise ParameterError("none of the curves is fitted; leave one at least to the fit")
        _check_one_sample(self.entries)

    @property
    def exponents(self) -> tuple[float, float]:
        """Limits of q."""
        given = self.damage_exponent
        return given if isinstance(given, tuple) else (given, given)


def read_sample_toml(path: str | Path) -> Sample:
    """A sample whose curves a TOML file lists::

        damage = true                      # static Debye–Waller damage; default: none
        damage_exponent = 1.5              # or two limits, between which it is fitted
        defects = "layer"                  # or "layer+substrate", or a file of loops; default: none

        [reflection]                       # what the curves have in common, as in a file for --reflection
        crystal = "GGG"
        surface = [1, 1, 1]

        [[curves]]
        file = "444.xy"
        hkl = [4, 4, 4]                    # and any other entry of [reflection]

        [[curves]]
        file = "880.xy"
        hkl = [8, 8, 0]
        geometry = "grazing-incidence"
        fwhm = [40, 200]                   # limits, as of zero, lorentz, tail_share, tail_fwhm and eta
        instrument = "voigt"               # and scale, background, mask, both_sides, tolerance: as the options
        kalpha2 = 0.5                      # as much Kα2 by Kα1 is in the beam; default: none
        per_count = 1.0                    # and offset, number, step, axis, unit, peak: how the file is read
        fit = false                        # is only compared with what the others say

    Parameters
    ----------
    path : of the file; files of curves and CIF files that it names lie beside it.

    Raises
    ------
    ParameterError
        The file cannot be read, or an entry is missing, unknown or of the wrong form.
    CurveError
        A curve cannot be read.
    """
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "TOML", error) from error
    refuse_unknown(("damage", "damage_exponent", "defects", "reflection", "curves"), content, str(path))
    tables = content.get("curves")
    if not (isinstance(tables, list) and tables and all(isinstance(each, dict) for each in tables)):
        raise ParameterError(f"{path} lists no curves; each needs [[curves]] with file = … and hkl = …")
    common = content.get("reflection", {})
    if not isinstance(common, dict):
        raise ParameterError(f"{path}: [reflection] must be a table")
    exponent = content.get("damage_exponent", DAMAGE_EXPONENT)
    entries = tuple(_entry(dict(each), common, Path(path), i + 1) for i, each in enumerate(tables))
    try:
        return Sample(
            entries=entries,
            damage=bool(content.get("damage", False)),
            damage_exponent=tuple(map(float, exponent)) if isinstance(exponent, list) else float(exponent),  # type: ignore[arg-type]
            defects=_defects(content.get("defects"), Path(path)),
        )
    except (TypeError, ValueError) as error:
        raise ParameterError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


_READING = ("per_count", "offset", "number", "step", "axis", "unit", "peak", "columns", "drop_negative")
_LIMITS = ("fwhm", "zero", "lorentz", "tail_share", "tail_fwhm", "eta")
_VALUES = ("scale", "background", "mask", "both_sides", "tolerance", "instrument", "kalpha2")
_OF_EXPERIMENT = ("convention", "monochromator")


def _entry(table: Json, common: Json, path: Path, number: int) -> Entry:
    """The curve of one table of a file."""
    where = f"{path}: curve {number}"
    name = table.pop("file", None)
    if not isinstance(name, str):
        raise ParameterError(f"{where} has no file")
    fitted, despite = table.pop("fit", True), bool(table.pop("despite_file", False))
    reading, limits, values, described = (
        {key: table.pop(key) for key in keys if key in table} for keys in (_READING, _LIMITS, _VALUES, _OF_EXPERIMENT)
    )
    exclude = table.pop("exclude", [])
    claim = Claim(table=_together(common, table), where=str(path), described=described, despite=despite)
    try:
        ends = {key: (float(low), float(high)) for key, (low, high) in limits.items()}
        preparing = WHOLE | {**values, "exclude": tuple((float(low), float(high)) for low, high in exclude)}
        if "zero" in ends:
            preparing["zero"] = ends.pop("zero")
        preparing["limits"] = ends
        curve, experiment = claim.read(path.parent / name, **reading)
        return Entry(curve=curve, experiment=experiment, preparing=preparing, fitted=bool(fitted))
    except (TypeError, ValueError) as error:
        if isinstance(error, XrdError):
            raise
        raise ParameterError(f"{where} ({name}) is malformed: {error}") from error


def _defects(named: object, path: Path) -> UnknownDefects | None:
    """Loops of a name, or of a file beside another."""
    if named is None:
        return None
    if not isinstance(named, str):
        raise ParameterError(f"{path}: defects = {named!r} must be a name or a file")
    return UnknownDefects.of(named if named in USUAL else path.parent / named)


def _together(common: Json, own: Json) -> Json:
    """A reflection of what all curves have in common and what one has of its own."""
    table = {**common, **own}
    parallel = "surface" in table and not np.cross(table.get("hkl", (0, 0, 0)), table["surface"]).any()
    if parallel and "geometry" not in own:
        table.pop("geometry", None)
    return table


def joint_problem(
    entries: Sequence[Entry],
    space: ParameterSpace,
    *,
    damage_exponent: float = DAMAGE_EXPONENT,
    priors: Mapping[str, tuple[float, float]] | None = None,
    defects: UnknownDefects | None = None,
) -> Problem:
    """The problem of the curves that are fitted.

    Parameters
    ----------
    entries : the curves of the sample; the damage of the profile is that of the first one.
    space : ranges of the profile.
    damage_exponent : q of the module's formula.
    priors : (mean, standard deviation) of unknowns by name, normal.
    defects : dislocation loops that are fitted, or None.

    Raises
    ------
    ParameterError
        No curve is fitted, the curves are of different crystals, or a setting has no meaning.
    CurveError
        A curve has too few points.
    """
    fitted = [each for each in entries if each.fitted]
    if not fitted:
        raise ParameterError("none of the curves is fitted; leave one at least to the fit")
    if not 0.0 <= damage_exponent <= MOST_EXPONENT:
        raise ParameterError(f"damage_exponent = {damage_exponent:g} must lie within 0 … {MOST_EXPONENT:g}")
    _check_one_sample(entries)
    measured = [each.measurement(space, _power(each, fitted[0], damage_exponent)) for each in fitted]
    return Problem(space, tuple(measured), dict(priors or {}), defects)


def foretold(fit: Fit, given: Problem, entries: Sequence[Entry], damage_exponent: float = DAMAGE_EXPONENT) -> Fit:
    """The same with the curves that were not fitted, compared with what its profile makes of them.

    Scale, background, zero and instrument of such a curve are refined; the profile, whatever its shape is, its damage
    and the loops of the problem are not.

    Raises
    ------
    CurveError
        A curve has too few points.
    """
    first, space = next(each for each in entries if each.fitted), fitted_space(fit.settings)
    values = np.array([each.value for each in fit.parameters])
    found = []
    for entry in entries:
        if entry.fitted:
            continue
        held = replace(space, low=tuple(values), high=tuple(values), ties=())
        measured = entry.measurement(space, _power(entry, first, damage_exponent))
        if given.defects is not None:
            measured = measured.among(given.defects.start.with_values([each.value for each in fit.defects]))
        alone = Problem(held, (measured,))
        alone, start = best_backgrounds(alone, alone.coordinates(values[None]), math.inf)
        alone, start = best_instruments(alone, start, math.inf)
        end = refine(alone, start[:1], rtol_dex=FINAL)
        found.append(_compared(alone, end.x, end.linear))
    curves = (*fit.curves, *found)
    return replace(fit, curves=curves, assumed=assumed(curves))


def _compared(alone: Problem, x: Array, linear: Array) -> CurveFit:
    values, measured = alone.values(x), alone.measurements[0]
    chi2 = 2.0 * float(alone.misfit(values, FINAL)[0]) / alone.freedom if measured.counting else None
    curve = compare(alone, values, linear, alone.freedom, chi2)[0]
    numbers = dict(zip(alone.layout.names, values[0].tolist(), strict=True))
    scales = measured.in_unit_of_file(linear)[0].tolist()
    numbers |= {each.name: value for each, value in zip(alone.layout.linear, scales, strict=True)}
    own = [
        Estimate(each.name, each.unit, numbers[each.name], math.nan, math.nan, math.nan, True)
        for each in (*alone.layout.linear, *alone.layout.unknowns[alone.layout.profile.stop :])
    ]
    return replace(curve, fitted=False, measurement=tuple(own))


def _power(entry: Entry, first: Entry, exponent: float) -> float:
    return damage_power(entry.experiment.reflection, first.experiment.reflection, exponent)


def _check_one_sample(entries: Sequence[Entry]) -> None:
    """All curves are of one substrate with one surface, under the same film or none."""
    first = entries[0].experiment.reflection
    for entry in entries[1:]:
        other = entry.experiment.reflection
        for what, one, two in (("substrate", first.crystal, other.crystal), ("film", first.strained, other.strained)):
            away = np.abs(np.array(one.cell) - np.array(two.cell)) > _SAME * np.array(one.cell)
            if one.name != two.name or away.any():
                raise ParameterError(
                    f"curves that are fitted together are of one sample: {first.name} and {other.name} have another "
                    f"{what} ({one.name} of {_lattice(one.cell)} and {two.name} of {_lattice(two.cell)}); fit them "
                    "one by one"
                )
        surfaces = [each.surface or each.hkl for each in (first, other)]
        if np.cross(surfaces[0], surfaces[1]).any():
            named = " and ".join(map(written, surfaces))
            raise ParameterError(
                f"{first.name} and {other.name} would have different surfaces, {named}; say which surface the sample "
                "has, and the geometry of planes inclined to it"
            )
        if (first.film and first.film.thickness) != (other.film and other.film.thickness):
            raise ParameterError(f"the films of {first.name} and {other.name} have different thicknesses")


def _lattice(cell: Sequence[float]) -> str:
    return f"{cell[0]:g} Å" if cell[0] == cell[2] else f"{cell[0]:g} and {cell[2]:g} Å"
