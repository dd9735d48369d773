"""Dislocation loops in a crystal, which weaken its reflections and scatter diffusely around them.

A TOML file describes them beside a reflection::

    [defects]
    # burgers = 10.724                    # Å; left out: a√3/2 of a cubic crystal
    # poisson = 0.30

    [defects.layer]
    density = 1.5e15                      # loops per cm³ where the strain is largest
    radius = 71.6                         # Å

    [[defects.substrate]]                 # once for each class, or not at all
    density = 5.7e8
    radius = 6000.0

In the strained layer the density is proportional to the strain. What loops do is in ``xrdsim.forward.diffuse``. A fit
begins with these values; ``fixed = ["radius"]`` in a class keeps some of them, and a simulation does not look at it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from xrdsim.errors import ParameterError
from xrdsim.experiment.files import read_table, refuse_unknown
from xrdsim.limits import Json

PER_CUBIC_CM = 1e-24
"""1/cm³ in 1/Å³."""

MOST_DENSE, WIDEST = 1e24, 1e6
"""Limits of density [1/cm³] and radius [Å]."""


@dataclass(frozen=True, kw_only=True)
class Loops:
    """Dislocation loops of one size.

    Parameters
    ----------
    density : number per volume [1/cm³]; in a strained layer, where its strain is largest.
    radius : of a loop [Å].

    Raises
    ------
    ParameterError
        A value without meaning.
    """

    density: float
    radius: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.density <= MOST_DENSE:
            raise ParameterError(f"loops: density = {self.density:g} /cm³ must be within 0 … {MOST_DENSE:g}")
        if not 1.0 <= self.radius <= WIDEST:
            raise ParameterError(f"loops: radius = {self.radius:g} Å must be within 1 … {WIDEST:g}")

    @property
    def number(self) -> float:
        """Density [1/Å³]."""
        return self.density * PER_CUBIC_CM

    def exponent(self, strength: float) -> float:
        """L = ½ n R³ (Hb)^(3/2) of the static Debye–Waller factor E = exp(−L); ``strength`` is Hb."""
        return float(0.5 * self.number * self.radius**3 * strength**1.5)


@dataclass(frozen=True, kw_only=True)
class Defects:
    """Dislocation loops of a sample, which all of its reflections share.

    Parameters
    ----------
    layer : loops in the strained layer, whose density follows the strain, n(z) = density·ε(z)/ε_max; None for none.
    substrate : classes of loops in the substrate.
    burgers : length b of the Burgers vector [Å]; None for a√3/2 of a cubic crystal.
    poisson : Poisson's ratio ν of the crystal.
    attenuation : part of the paths of both beams on which the layers above absorb: 1 is what a beam that enters and
        leaves meets; 0.5 repeats programs that count the mean of the two.

    Raises
    ------
    ParameterError
        A value without meaning.
    """

    layer: Loops | None = None
    substrate: tuple[Loops, ...] = ()
    burgers: float | None = None
    poisson: float = 0.30
    attenuation: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "substrate", tuple(self.substrate))
        if not 0.0 <= self.poisson < 0.5:
            raise ParameterError(f"defects: poisson = {self.poisson:g} must be within 0 … 0.5")
        if self.burgers is not None and not 0.1 <= self.burgers <= 1000.0:
            raise ParameterError(f"defects: burgers = {self.burgers:g} Å must be within 0.1 … 1000")
        if not 0.0 <= self.attenuation <= 1.0:
            raise ParameterError(f"defects: attenuation = {self.attenuation:g} must be within 0 … 1")

    @property
    def loops(self) -> tuple[Loops, ...]:
        """All classes, that of the layer first if there is one."""
        return (() if self.layer is None else (self.layer,)) + self.substrate

    @property
    def names(self) -> tuple[str, ...]:
        """Of what derivatives are taken over: density and radius of each class, in the order of ``loops``."""
        of_layer = [] if self.layer is None else ["layer"]
        classes = of_layer + [f"substrate {i + 1}" for i in range(len(self.substrate))]
        return tuple(f"{what} of {each}" for each in classes for what in ("density", "radius"))

    @property
    def values(self) -> tuple[float, ...]:
        """Densities [1/cm³] and radii [Å] in the order of ``names``."""
        return tuple(value for each in self.loops for value in (each.density, each.radius))

    def with_values(self, values: "tuple[float, ...] | list[float]") -> "Defects":
        """The same classes with other densities and radii, in the order of ``names``.

        Raises
        ------
        ParameterError
            Not as many values as names, or a value without meaning.
        """
        if len(values) != len(self.names):
            raise ParameterError(f"{len(values)} values for {', '.join(self.names)}")
        loops = [Loops(density=float(n), radius=float(r)) for n, r in zip(values[::2], values[1::2], strict=True)]
        layer = None if self.layer is None else loops.pop(0)
        return Defects(
            layer=layer,
            substrate=tuple(loops),
            burgers=self.burgers,
            poisson=self.poisson,
            attenuation=self.attenuation,
        )

    def vector(self, lattice: object, name: str) -> float:
        """Length b of the Burgers vector [Å] in a crystal of this lattice.

        Raises
        ------
        ParameterError
            It is not given, and the crystal is not cubic.
        """
        if self.burgers is not None:
            return self.burgers
        if not isinstance(lattice, (int, float)):
            raise ParameterError(f"defects: {name} is not cubic; give the length of the Burgers vector, burgers = …")
        return 0.5 * math.sqrt(3.0) * float(lattice)

    def to_dict(self) -> Json:
        """Plain values for JSON and TOML."""
        values: Json = {"poisson": self.poisson, "attenuation": self.attenuation}
        if self.burgers is not None:
            values["burgers"] = self.burgers
        if self.layer is not None:
            values["layer"] = {"density": self.layer.density, "radius": self.layer.radius}
        values["substrate"] = [{"density": each.density, "radius": each.radius} for each in self.substrate]
        return values

    @classmethod
    def from_dict(cls, table: Json, where: str = "defects") -> Self:
        """Build from plain values; inverse of ``to_dict``.

        Raises
        ------
        ParameterError
            An entry is missing, unknown or of the wrong form.
        """
        refuse_unknown(("layer", "substrate", "burgers", "poisson", "attenuation"), table, f"{where}: [defects]")
        given: dict[str, Any] = dict(table)
        try:
            if given.get("layer") is not None:
                given["layer"] = _loops(given["layer"], where)
            given["substrate"] = tuple(_loops(each, where) for each in given.get("substrate", ()))
            return cls(**given)
        except (KeyError, TypeError) as error:
            raise ParameterError(f"{where}: [defects] is incomplete or malformed: {error}") from error

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read the table ``[defects]`` of a TOML file (form: module docstring).

        Raises
        ------
        ParameterError
            The file cannot be read, an entry is missing, unknown or of the wrong form.
        """
        return cls.from_dict(read_table(path, "defects"), str(path))


def _loops(table: Json, where: str) -> Loops:
    refuse_unknown(("density", "radius", "fixed"), table, f"{where}: loops")
    return Loops(density=float(table["density"]), radius=float(table["radius"]))


_LAYER = Loops(density=1e15, radius=70.0)
USUAL = {
    "layer": Defects(layer=_LAYER),
    "layer+substrate": Defects(layer=_LAYER, substrate=(Loops(density=5e8, radius=5000.0),)),
}
"""Loops of implanted crystals with which a fit begins that is given no others: small ones in the layer, and large ones
in the substrate."""


def read_fitted(path: str | Path) -> tuple[Defects, tuple[str, ...]]:
    """Defects of a TOML file with which a fit begins, and which of their ``names`` stay as they are.

    Raises
    ------
    ParameterError
        As ``Defects.from_toml``; ``fixed`` is no list of "density" and "radius".
    """
    table = read_table(path, "defects")
    defects = Defects.from_dict(table, str(path))
    classes = ([] if defects.layer is None else [table["layer"]]) + list(table.get("substrate", ()))
    fixed: list[str] = []
    for i, each in enumerate(classes):
        kept = each.get("fixed", [])
        if not isinstance(kept, list) or not {str(what) for what in kept} <= {"density", "radius"}:
            raise ParameterError(f'{path}: fixed = {kept!r} must be a list of "density" and "radius"')
        fixed += [name for name in defects.names[2 * i : 2 * i + 2] if name.split()[0] in kept]
    return defects, tuple(fixed)
