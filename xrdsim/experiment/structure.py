"""Susceptibilities of a crystal from its structure.

    χ0  = −Γ Σ_j o_j (Z_j + f'_j − i f''_j),                                    Γ = r_e λ²/(π V)
    χ±h = −Γ Σ_j o_j (f0_j(s) + f'_j − i f''_j) T_j exp(∓2πi h·r_j),            s = sinθ/λ = 1/(2d)

over all atoms j of the cell, with occupancies o, the form factors f0 of International Tables C (1992), f' and f'' of
D. T. Cromer and D. Liberman (J. Chem. Phys. 53, 1891, 1970), both as gemmi has them, and the Debye–Waller factor
T = exp(−h·β·h), β_ab = 2π² a*_a a*_b U_ab, of the displacements U. Waves are exp(+ik·r), so Im χ0 > 0 absorbs.
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Cell, Crystal
from xrdsim.experiment.notation import HC, written

Array = NDArray[np.float64]

Operation = tuple[Array, Array]
"""Rotation (3, 3) and shift (3,) of a symmetry operation, in parts of the cell."""

Hkl = tuple[int, int, int]

ELECTRON_RADIUS = 2.8179403262e-5
"""r_e [Å]."""

COPPER = 1.5406
"""Wavelength [Å] of Cu Kα1, as susceptibilities for it are given."""

WEAKEST = 1e-3
"""Part of χ0 below which a reflection counts as forbidden."""

_CENTRED = 1e-9  # part of χh within which χ−h is the same
_SAME = 1e-3  # distance in parts of the cell within which two atoms are one
_LINE = 2e-4  # Å from Cu Kα1 within which a wavelength is this line
_THIRD = 2e-4  # a coordinate so near to a multiple of 1/6 is one: CIF files round them


@dataclass(frozen=True, eq=False)
class Site:
    """An atom of the asymmetric unit.

    Attributes
    ----------
    label : of the atom, for messages.
    element : its symbol.
    position : (3,) in parts of the cell.
    occupancy : 0 … 1.
    displacement : U [Å²], or U_ij (3, 3) along the reciprocal axes as in CIF files; None where it is not known.
    """

    label: str
    element: str
    position: Sequence[float]
    occupancy: float = 1.0
    displacement: float | Array | None = None


@dataclass(frozen=True)
class Given:
    """Susceptibilities of a reflection that somebody has determined, which are used in place of computed ones.

    Attributes
    ----------
    hkl : one of the equivalent reflections of a cubic crystal.
    chi0, chih : χ0 and χh = χ−h.
    source : where they come from.
    """

    hkl: Hkl
    chi0: complex
    chih: complex
    source: str


@dataclass(frozen=True, eq=False)
class Structure:
    """The atoms of a cell.

    Attributes
    ----------
    name : of the crystal.
    cell : a, b, c [Å], α, β, γ [°].
    elements : (n,) of all atoms.
    position : (n, 3) in parts of the cell.
    occupancy : (n,).
    spread : (n, 3, 3) β of the module's formula.
    still : elements whose displacements are not known; they count as at rest.
    source : sentence on where cell, sites and displacements come from.
    doubt : sentence on what the file leaves open and how it was taken; empty where nothing is open.
    given : susceptibilities at Cu Kα1 that go before those computed.
    """

    name: str
    cell: Cell
    elements: tuple[str, ...]
    position: Array
    occupancy: Array
    spread: Array
    still: tuple[str, ...]
    source: str
    doubt: str = ""
    given: tuple[Given, ...] = ()

    @property
    def cubic(self) -> bool:
        """Whether the cell is a cube."""
        a, b, c, *angles = self.cell
        return max(abs(b - a), abs(c - a)) < 1e-6 * a and max(abs(each - 90.0) for each in angles) < 1e-6

    def given_for(self, hkl: Hkl, wavelength: float) -> Given | None:
        """Susceptibilities that go before the computed ones: of this or an equivalent reflection, at Cu Kα1."""
        if abs(wavelength - COPPER) >= _LINE:
            return None
        return next((each for each in self.given if _form(each.hkl) == _form(hkl)), None)

    def spacing(self, hkl: Hkl) -> float:
        """Of lattice planes [Å]."""
        return float(gemmi.UnitCell(*self.cell).calculate_d(list(hkl)))


@dataclass(frozen=True)
class Susceptibilities:
    """χ0, χh and χ−h of a reflection."""

    chi0: complex
    chih: complex
    chimh: complex

    @property
    def coupling(self) -> complex:
        """√(χh χ−h), on which the reflectivity depends, whatever the origin of the cell; the root with Im > 0."""
        root = cmath.sqrt(self.chih * self.chimh)
        return root if root.imag > 0.0 else -root


def arrange(
    name: str, cell: Sequence[float], operations: Sequence[Operation], sites: Sequence[Site], source: str
) -> Structure:
    """The structure in which every operation of a space group has been applied to every site.

    Parameters
    ----------
    name : of the crystal, or the path of its file, for messages.
    cell : a, b, c [Å], α, β, γ [°].
    operations : rotations (3, 3) and shifts (3,) of all symmetry operations, those of centring included.
    sites : that are not equivalent.
    source : sentence on where they come from.

    Raises
    ------
    ParameterError
        An element that is none, an occupancy beyond 0 … 1, or atoms on top of each other.
    """
    star = np.array(gemmi.UnitCell(*cell).frac.mat.tolist())
    reciprocal = star @ star.T  # metric of the reciprocal cell
    lengths = np.sqrt(np.diag(reciprocal))
    rotations = np.array([rotation for rotation, _ in operations])
    shifts = np.array([shift for _, shift in operations])
    elements: list[str] = []
    positions, spreads, occupancies, still = [], [], [], set()
    for site in sites:
        if gemmi.Element(site.element).atomic_number < 1:
            raise ParameterError(f"{name}: {site.label} is no element; give its symbol as _atom_site_type_symbol")
        if not 0.0 < site.occupancy <= 1.0:
            raise ParameterError(f"{name}: the occupancy {site.occupancy:g} of {site.label} must be within 0 … 1")
        if site.displacement is None:
            still.add(site.element)
        u = 0.0 if site.displacement is None else site.displacement
        spread = 2.0 * math.pi**2 * (u * reciprocal if isinstance(u, float) else np.outer(lengths, lengths) * u)
        images = (rotations @ np.array([_exact(each) for each in site.position]) + shifts) % 1.0
        first = ~np.tril(_apart(images[:, None], images) < _SAME, -1).any(axis=1)
        elements += [site.element] * int(first.sum())
        positions.append(images[first])
        spreads.append((rotations @ spread @ rotations.transpose(0, 2, 1))[first])
        occupancies.append(np.full(int(first.sum()), site.occupancy))
    position, occupancy = np.concatenate(positions), np.concatenate(occupancies)
    _check_overlap(position, occupancy, elements, name)
    return Structure(
        Path(name).stem if name.lower().endswith(".cif") else name,
        cast(Cell, tuple(float(value) for value in cell)),
        tuple(elements),
        position,
        occupancy,
        np.concatenate(spreads),
        tuple(sorted(still)),
        source,
    )


def susceptibilities(structure: Structure, hkl: Hkl, wavelength: float) -> Susceptibilities:
    """χ0, χh and χ−h of a structure.

    Raises
    ------
    ParameterError
        The wavelength cannot reach the reflection, or the reflection is forbidden.
    """
    if not any(hkl):
        raise ParameterError(f"hkl {hkl} is no reflection; give Miller indices such as 004")
    d = structure.spacing(hkl)
    if not 0.0 < wavelength < 2.0 * d:
        raise ParameterError(
            f"{structure.name} {written(hkl)} has a spacing of {d:.5g} Å, which {wavelength:g} Å cannot reach: it "
            "needs a wavelength below twice the spacing"
        )
    h, s2 = np.array(hkl, dtype=np.float64), 1.0 / (4.0 * d * d)
    resonant, still = {}, {}
    for name in set(structure.elements):
        element = gemmi.Element(name)
        first, second = gemmi.cromer_liberman(z=element.atomic_number, energy=HC / wavelength)
        resonant[name] = element.it92.calculate_sf(s2) + first - 1j * second
        still[name] = element.atomic_number + first - 1j * second
    forward = np.array([still[name] for name in structure.elements])
    scattered = np.array([resonant[name] for name in structure.elements])
    moved = np.exp(-np.einsum("i,nij,j->n", h, structure.spread, h)) * structure.occupancy
    phase = np.exp(-2j * math.pi * (structure.position @ h))
    unit = ELECTRON_RADIUS * wavelength**2 / (math.pi * float(gemmi.UnitCell(*structure.cell).volume))
    found = Susceptibilities(
        complex(-unit * (structure.occupancy * forward).sum()),
        complex(-unit * (scattered * moved * phase).sum()),
        complex(-unit * (scattered * moved * phase.conj()).sum()),
    )
    if abs(found.coupling) < WEAKEST * abs(found.chi0):
        raise ParameterError(
            f"{structure.name} {written(hkl)} is forbidden: |χh| = {abs(found.coupling):.2g} is less than "
            f"{WEAKEST:g} of |χ0| = {abs(found.chi0):.3g}; choose another reflection"
        )
    return found


def best(structure: Structure, hkl: Hkl, wavelength: float) -> tuple[Susceptibilities, str]:
    """Susceptibilities of a reflection and where they come from: given ones, else computed; errors as the latter."""
    given = structure.given_for(hkl, wavelength)
    if given is None:
        return susceptibilities(structure, hkl, wavelength), source_of(structure)
    return Susceptibilities(given.chi0, given.chih, given.chih), given.source


def crystal_of(structure: Structure, hkl: Hkl, wavelength: float, lattice: float | Cell | None = None) -> Crystal:
    """The crystal as a reflection needs it, with its own lattice or a measured one, as of ``Crystal``.

    Raises
    ------
    ParameterError
        As ``susceptibilities`` and ``Crystal``; one length for a cell that is no cube.
    """
    if lattice is not None and not isinstance(lattice, (list, tuple)) and not structure.cubic:
        raise ParameterError(
            f"{structure.name} is not cubic: give its lattice as three lengths in Å and three angles in °, now "
            f"{', '.join(f'{value:g}' for value in structure.cell)}"
        )
    own = structure.cell[0] if structure.cubic else structure.cell
    found, source = best(structure, hkl, wavelength)
    centred = abs(found.chih - found.chimh) <= _CENTRED * abs(found.chih)
    return Crystal(structure.name, lattice or own, found.chi0, found.chih, source, None if centred else found.chimh)


def source_of(structure: Structure) -> str:
    """Where computed susceptibilities come from, in a sentence."""
    rest = f"; {', '.join(structure.still)} at rest" if structure.still else ""
    return (
        f"structure {structure.name} (f0 of International Tables C, f' and f'' of Cromer and Liberman{rest}), "
        f"{structure.source}"
    )


def _exact(value: float) -> float:
    near = round(6.0 * value) / 6.0
    return near if abs(value - near) < _THIRD else value


def _apart(one: Array, other: Array) -> Array:
    """Largest difference of a coordinate, in parts of the cell, of positions (…, 3)."""
    distance: Array = np.abs((one - other + 0.5) % 1.0 - 0.5).max(axis=-1)
    return distance


def _check_overlap(position: Array, occupancy: Array, elements: list[str], name: str) -> None:
    for i, at in enumerate(position):
        here = _apart(position, at) < _SAME
        if occupancy[here].sum() > 1.0 + 1e-6:
            raise ParameterError(
                f"{name}: {occupancy[here].sum():g} atoms share the position of {elements[i]} at "
                f"{', '.join(f'{value:.4g}' for value in at)}; an atom is listed twice, or the setting is another"
            )


def _form(hkl: Hkl) -> list[int]:
    """The same for all reflections that are equivalent in a cubic crystal."""
    return sorted(abs(index) for index in hkl)
