"""What there is to say of a reflection: numbers to print, and a file for other commands."""

import json
import math

from xrdsim.experiment.crystal import Cell, Indices
from xrdsim.experiment.geometry import Geometry
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.structure import Structure, crystal_of
from xrdsim.limits import Json
from xrdsim.units import ARCSEC

TYPICAL = 0.5
"""B [Å²] of an atom at room temperature, to say what its absence does."""


def properties(structure: Structure, reflection: Reflection) -> Json:
    """Numbers of a reflection of a structure, JSON-able, complex ones as [real, imaginary].

    ``lattice`` [Å] is that of a cubic cell, or its six numbers; ``d`` and ``wavelength`` [Å], ``theta_deg`` the Bragg
    angle; ``chi0``, ``chih`` and ``chimh``; ``coupling`` √(χh χ−h), in which alone a reflectivity shows them;
    ``extinction_length`` λ sinθ_B/|√(χh χ−h)| [Å]; ``darwin_width`` 2 |√(χh χ−h)|/sin 2θ_B [arcsec], symmetric, σ;
    ``strain_per_arcsec``, with ``surface``, ``geometry``, ``inclination_deg``, ``incidence_deg`` and ``exit_deg`` of an
    inclined surface, ``miscut_deg`` and ``azimuth_deg`` of a miscut one; ``source``; and ``note`` where
    displacements are missing or the origin of the cell is open.
    """
    crystal, hkl, wavelength = reflection.crystal, reflection.hkl, reflection.wavelength
    d, theta, coupling = crystal.spacing(hkl), reflection.theta_bragg, abs(crystal.coupling)
    values: Json = {
        "crystal": structure.name,
        "hkl": list(hkl),
        "lattice": list(crystal.lattice) if isinstance(crystal.lattice, tuple) else crystal.lattice,
        "d": d,
        "wavelength": wavelength,
        "theta_deg": math.degrees(theta),
        **{name: _pair(getattr(crystal, name)) for name in ("chi0", "chih")},
        "chimh": _pair(crystal.chih if crystal.chimh is None else crystal.chimh),
        "coupling": _pair(crystal.coupling),
        "extinction_length": wavelength * math.sin(theta) / coupling,
        "darwin_width": 2.0 * coupling / math.sin(2.0 * theta) / ARCSEC,
        "strain_per_arcsec": ARCSEC / reflection.angle_per_strain,
    }
    if not reflection.plain:
        at = reflection.beams
        values |= {
            "surface": list(reflection.surface or hkl),
            "geometry": str(reflection.geometry),
            "inclination_deg": math.degrees(reflection.psi),
            **({"miscut_deg": reflection.miscut, "azimuth_deg": reflection.azimuth} if reflection.miscut else {}),
            "incidence_deg": math.degrees(math.asin(at[0])),
            "exit_deg": math.degrees(math.asin(at[1])),
        }
    values["source"] = crystal.source
    notes = [structure.doubt] if structure.doubt else []
    if structure.still and structure.given_for(hkl, wavelength) is None:
        loss = 100.0 * (1.0 - math.exp(-TYPICAL / (4.0 * d * d)))
        notes.append(
            f"The displacements of {', '.join(structure.still)} are not known: with a usual B of {TYPICAL:g} Å² |χh| "
            f"would be {loss:.1f} % smaller."
        )
    return values | ({"note": " ".join(notes)} if notes else {})


def reflection_of(
    structure: Structure,
    hkl: Indices,
    wavelength: float,
    *,
    lattice: float | Cell | None = None,
    surface: Indices | None = None,
    geometry: str = Geometry.SYMMETRIC,
    miscut: float = 0.0,
    azimuth: float = 0.0,
) -> Reflection:
    """A reflection of a crystal of this structure, with its own lattice or a measured one.

    The other parameters are those of ``Reflection``.

    Raises
    ------
    ParameterError
        As ``xrdsim.experiment.structure.crystal_of`` and ``Reflection``.
    """
    crystal = crystal_of(structure, hkl, wavelength, lattice)
    return Reflection(
        crystal, hkl, wavelength, surface=surface, geometry=Geometry(geometry), miscut=miscut, azimuth=azimuth
    )


def to_toml(reflection: Reflection) -> str:
    """A TOML file with the table ``[reflection]``."""
    values = {name: value for name, value in reflection.to_dict().items() if value is not None and name != "film"}
    return "[reflection]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _pair(value: complex) -> list[float]:
    return [value.real, value.imag]
