"""Several curves of one sample: they share the profile and its damage, and each has an instrument and scale of its own.

The static Debye–Waller factor of a reflection of order H is E_H = E_ref^((H/H_ref)^q), ref the first curve, whose
kappa and p are reported; q = 3/2 for dislocation loops and clusters (L ∝ H^(3/2), M. A. Krivoglaz, X-Ray and Neutron
Diffraction in Nonideal Crystals, 1996), 2 for Gaussian displacements, 0 for an amorphous fraction. H is the length of
the reciprocal lattice vector.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xrdsim.curves.curve import Curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.preparation import measurement_of
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.result import CurveFit, Estimate, Fit
from xrdsim.fit.unknowns import Array
from xrdsim.fit.verdict import FINAL, compare
from xrdsim.profiles.space import ParameterSpace

DAMAGE_EXPONENT = 1.5
"""q of dislocation loops and clusters."""

MOST_EXPONENT = 4.0

_SAME = 1e-5  # part by which lattices of one sample may differ


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


def joint_problem(
    entries: Sequence[Entry],
    space: ParameterSpace,
    *,
    damage_exponent: float = DAMAGE_EXPONENT,
    priors: Mapping[str, tuple[float, float]] | None = None,
) -> Problem:
    """The problem of the curves that are fitted.

    Parameters
    ----------
    entries : the curves of the sample; the damage of the profile is that of the first one.
    space : ranges of the profile.
    damage_exponent : q of the module's formula.
    priors : (mean, standard deviation) of unknowns by name, normal.

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
    return Problem(space, tuple(measured), dict(priors or {}))


def foretold(fit: Fit, given: Problem, entries: Sequence[Entry], damage_exponent: float = DAMAGE_EXPONENT) -> Fit:
    """The same with the curves that were not fitted, compared with what its profile makes of them.

    Scale, background, zero and instrument of such a curve are refined; the profile and its damage are not.

    Raises
    ------
    CurveError
        A curve has too few points.
    """
    first = next(each for each in entries if each.fitted)
    values = np.array([each.value for each in fit.parameters])
    found = []
    for entry in entries:
        if entry.fitted:
            continue
        held = replace(given.space, low=tuple(values), high=tuple(values), ties=())
        measured = entry.measurement(given.space, _power(entry, first, damage_exponent))
        alone = Problem(held, (measured,))
        end = refine(alone, alone.coordinates(values[None]), rtol_dex=FINAL)
        found.append(_compared(alone, end.x, end.linear))
    return replace(fit, curves=(*fit.curves, *found))


def _compared(alone: Problem, x: Array, linear: Array) -> CurveFit:
    values, measured = alone.values(x), alone.measurements[0]
    curve = compare(alone, values, linear, alone.freedom, None)[0]
    if measured.counting:
        objective = float(alone.misfit(values, FINAL)[0])
        curve = replace(curve, reduced_chi2=2.0 * objective / alone.freedom)
    numbers = dict(zip(alone.layout.names, values[0].tolist(), strict=True))
    scales = measured.in_unit_of_file(linear)[0].tolist()
    numbers |= {each.name: value for each, value in zip(alone.layout.linear, scales, strict=True)}
    own = [
        Estimate(each.name, each.unit, numbers[each.name], math.nan, math.nan, math.nan, True)
        for each in (*alone.layout.linear, *alone.layout.unknowns[alone.layout.profile.stop :])
    ]
    return replace(curve, fitted=False, measurement=tuple(own))


def _power(entry: Entry, first: Entry, exponent: float) -> float:
    """(H/H_ref)^q."""
    return float((entry.experiment.reflection.h0 / first.experiment.reflection.h0) ** exponent)


def _check_one_sample(entries: Sequence[Entry]) -> None:
    """All curves are of one substrate, under the same film or none."""
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
        if (first.film and first.film.thickness) != (other.film and other.film.thickness):
            raise ParameterError(f"the films of {first.name} and {other.name} have different thicknesses")


def _lattice(cell: Sequence[float]) -> str:
    return f"{cell[0]:g} Å" if cell[0] == cell[2] else f"{cell[0]:g} and {cell[2]:g} Å"
