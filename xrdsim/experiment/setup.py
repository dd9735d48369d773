"""An experiment: the reflection that is measured, and how its diffraction is described.

One record carries what a simulation needs beside the profile, the angles and the instrument, from a command or a file
through the simulator, a fit, a dataset and a trained network.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from xrdsim.errors import ParameterError
from xrdsim.experiment.defects import Defects
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.limits import Json

THICKEST_LAYER = 1e4
"""Largest thickness of a sublayer [Å]."""

LEAST_POWER, MOST_POWER = 0.01, 100.0
"""Limits of the power of E."""

DAMAGE_EXPONENT = 1.5
"""q of dislocation loops and clusters: L ∝ H^(3/2) (M. A. Krivoglaz, X-Ray and Neutron Diffraction in Nonideal
Crystals, 1996); 2 for Gaussian displacements, 0 for an amorphous fraction."""

FINEST, COARSEST = 1e-8, 1e-2
"""Limits of the accuracy that may be asked for [dex]."""


class Convention(StrEnum):
    """How waves in the crystal are described.

    ``exact``: dynamical theory, their normal components to first order in χ0. ``second-order``: with the roots
    √(γ² + χ0) and the factors of entrance and exit, as inclined surfaces need. ``linear``: the approximations of
    earlier simulators, for comparison.
    """

    EXACT = "exact"
    SECOND_ORDER = "second-order"
    LINEAR = "linear"


@dataclass(frozen=True)
class Experiment:
    """What is measured, and how it is described.

    Parameters
    ----------
    reflection : of which crystal, with which film on it.
    convention : a member of ``Convention`` or its text; None takes ``exact``, and ``second-order`` where the planes are
        inclined to the surface.
    monochromator : weight of π against σ polarisation; ``None`` takes the convention's default, |cos 2θ_B| of a perfect
        monochromator, in ``linear`` its square root; ``inf`` for π alone.
    layers : thickness of equal sublayers [Å]; ``None`` integrates the continuous profile.
    rtol_dex : accuracy of log10 R of the continuum, RMS over the scan.
    damage_power : power of the profile's static Debye–Waller factor E that is the factor of this reflection: E of an
        order H is E_ref^((H/H_ref)^q), and a profile that several reflections share has the damage of one of them.
    defects : dislocation loops, with their static Debye–Waller factors and diffuse scattering; None for a crystal
        without.

    Raises
    ------
    ParameterError
        A value without meaning, naming it.
    """

    reflection: Reflection = GGG_444
    convention: Convention = None  # type: ignore[assignment]  # a member once it is made
    monochromator: float = None  # type: ignore[assignment]  # a number once it is made
    layers: float | None = None
    rtol_dex: float = 1e-4
    damage_power: float = 1.0
    defects: Defects | None = None

    def __post_init__(self) -> None:
        usual = Convention.EXACT if self.reflection.plain else Convention.SECOND_ORDER
        try:
            object.__setattr__(self, "convention", usual if self.convention is None else Convention(self.convention))
        except ValueError:
            raise ParameterError(f"convention {self.convention!r} is unknown; choose {', '.join(Convention)}") from None
        if self.layers is not None and not 1.0 <= self.layers <= THICKEST_LAYER:
            raise ParameterError(
                f"layers = {self.layers} must be a thickness of at least 1 Å and at most {THICKEST_LAYER:g} Å, or None "
                "for the continuum"
            )
        if not (self.exact or self.reflection.plain):
            raise ParameterError("an inclined or miscut surface needs the convention exact or second-order")
        if not FINEST <= self.rtol_dex <= COARSEST:
            raise ParameterError(f"rtol_dex = {self.rtol_dex:g} must lie within {FINEST:g} … {COARSEST:g}")
        if not LEAST_POWER <= self.damage_power <= MOST_POWER:
            raise ParameterError(
                f"damage_power = {self.damage_power:g} must lie within {LEAST_POWER:g} … {MOST_POWER:g}"
            )
        if self.defects is not None:
            if self.reflection.film is not None:
                raise ParameterError("defects are of a crystal without a film; leave one of the two out")
            self.defects.vector(self.reflection.crystal.lattice, self.reflection.crystal.name)
        if self.monochromator is None:
            factor = abs(math.cos(2.0 * self.reflection.theta_bragg))
            object.__setattr__(self, "monochromator", factor if self.exact else math.sqrt(factor))
        object.__setattr__(self, "monochromator", float(self.monochromator))
        object.__setattr__(self, "rtol_dex", float(self.rtol_dex))
        if self.layers is not None:
            object.__setattr__(self, "layers", float(self.layers))
        if not (0.0 <= self.monochromator <= 1.0 or self.monochromator == math.inf):
            raise ParameterError(f"monochromator = {self.monochromator:g} must lie within 0 … 1, or be inf for π alone")

    @property
    def exact(self) -> bool:
        """Whether strain enters exactly, as it does but in the convention ``linear``."""
        return self.convention is not Convention.LINEAR

    def within(self, rtol_dex: float) -> "Experiment":
        """The same with another accuracy [dex]."""
        return self if rtol_dex == self.rtol_dex else replace(self, rtol_dex=rtol_dex)

    def continuous(self) -> "Experiment":
        """The same of the continuous profile, of which alone there are derivatives."""
        return self if self.layers is None else replace(self, layers=None)

    def to_dict(self) -> Json:
        """Plain values for JSON: what describes a curve, without the accuracy."""
        values: Json = {
            "convention": str(self.convention),
            "layers": self.layers,
            "monochromator": self.monochromator,
            "reflection": self.reflection.to_dict(),
        }
        if self.damage_power != 1.0:
            values["damage_power"] = self.damage_power
        if self.defects is not None:
            values["defects"] = self.defects.to_dict()
        return values

    @classmethod
    def from_dict(cls, table: Json) -> Self:
        """Inverse of ``to_dict``; other entries of the table are left alone."""
        return cls(
            reflection=Reflection.from_dict(table["reflection"]),
            convention=table["convention"],
            monochromator=table["monochromator"],
            layers=table.get("layers"),
            damage_power=table.get("damage_power", 1.0),
            defects=None if table.get("defects") is None else Defects.from_dict(table["defects"]),
        )


def damage_power(reflection: Reflection, first: Reflection, exponent: float = DAMAGE_EXPONENT) -> float:
    """(H/H_first)^q: the power of the static Debye–Waller factor of a first reflection that is the one of another."""
    return float((reflection.h0 / first.h0) ** exponent)


def experiment_of(
    reflection: Reflection, convention: str | None, monochromator: float | None, layers: float | None, rtol_dex: float
) -> Experiment:
    """The record of the keywords that public functions take instead of it.

    Raises
    ------
    ParameterError
        As ``Experiment``; an unknown convention.
    """
    return Experiment(reflection, convention, monochromator, layers, rtol_dex)  # type: ignore[arg-type]  # made there
