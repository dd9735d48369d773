"""What a structure says of a reflection: numbers to print, and the reflection itself."""

import json
import math

from xrdsim.experiment.geometry import Geometry
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.structure import Structure, best, crystal_of
from xrdsim.limits import Json
from xrdsim.units import ARCSEC

TYPICAL = 0.5
"""B [Å²] of an atom at room temperature, to say what its absence does."""


def properties(
    structure: Structure, hkl: tuple[int, int, int], wavelength: float, lattice: float | None = None
) -> Json:
    """Numbers of a reflection, JSON-able, complex ones as [real, imaginary].

    ``lattice`` [Å] is that of a cubic cell, or its six numbers; ``d`` and ``wavelength`` [Å], ``theta_deg`` the Bragg
    angle; ``chi0``, ``chih`` and ``chimh``; ``coupling`` √(χh χ−h), in which alone a reflectivity shows them;
    ``extinction_length`` λ sinθ_B/|√(χh χ−h)| [Å]; ``darwin_width`` 2 |√(χh χ−h)|/sin 2θ_B [arcsec], symmetric, σ;
    ``source``; and ``note`` where displacements are missing.

    Parameters
    ----------
    structure : of the crystal.
    hkl, wavelength : the reflection; Å.
    lattice : constant of a cubic cell [Å] that was measured; None for that of the structure.

    Raises
    ------
    ParameterError
        As ``xrdsim.experiment.structure.susceptibilities``.
    """
    found, source = best(structure, hkl, wavelength)
    d = structure.spacing(hkl)
    if lattice is not None and structure.cubic:
        d *= lattice / structure.cell[0]
    sine = wavelength / (2.0 * d)
    coupling = abs(found.coupling)
    values: Json = {
        "crystal": structure.name,
        "hkl": list(hkl),
        "lattice": (lattice or structure.cell[0]) if structure.cubic else list(structure.cell),
        "d": d,
        "wavelength": wavelength,
        "theta_deg": math.degrees(math.asin(sine)),
        **{name: _pair(getattr(found, name)) for name in ("chi0", "chih", "chimh", "coupling")},
        "extinction_length": wavelength * sine / coupling,
        "darwin_width": 2.0 * coupling / math.sin(2.0 * math.asin(sine)) / ARCSEC,
        "source": source,
    }
    if structure.still and structure.given_for(hkl, wavelength) is None:
        loss = 100.0 * (1.0 - math.exp(-TYPICAL / (4.0 * d * d)))
        values["note"] = (
            f"The displacements of {', '.join(structure.still)} are not known: with a usual B of {TYPICAL:g} Å² |χh| "
            f"would be {loss:.1f} % smaller."
        )
    return values


def reflection_of(
    structure: Structure,
    hkl: tuple[int, int, int],
    wavelength: float,
    *,
    lattice: float | None = None,
    surface: tuple[int, int, int] | None = None,
    geometry: str = Geometry.SYMMETRIC,
) -> Reflection:
    """The reflection of a cubic crystal of this structure.

    Raises
    ------
    ParameterError
        As ``crystal_of`` and ``Reflection``.
    """
    crystal = crystal_of(structure, hkl, wavelength, lattice)
    return Reflection(crystal, hkl, wavelength, surface=surface, geometry=Geometry(geometry))


def to_toml(reflection: Reflection) -> str:
    """A TOML file with the table ``[reflection]``."""
    values = {name: value for name, value in reflection.to_dict().items() if value is not None and name != "film"}
    return "[reflection]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _pair(value: complex) -> list[float]:
    return [value.real, value.imag]
