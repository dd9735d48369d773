"""Susceptibilities of a crystal from its structure.

    χ0  = −Γ Σ_j o_j (Z_j + f'_j − i f''_j),                                    Γ = r_e λ²/(π V)
    χ±h = −Γ Σ_j o_j (f0_j(s) + f'_j − i f''_j) T_j exp(∓2πi h·r_j),            s = sinθ/λ = 1/(2d)

over all atoms j of the cell, with occupancies o, the form factors f0 of International Tables C (1992), f' and f'' of
D. T. Cromer and D. Liberman (J. Chem. Phys. 53, 1891, 1970), both as gemmi has them, and the Debye–Waller factor
T = exp(−h·β·h), β_ab = 2π² a*_a a*_b U_ab, of the displacements U. Waves are exp(+ik·r), so Im χ0 > 0 absorbs.
"""

import cmath
import math
import re
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Crystal
from xrdsim.limits import LARGEST_TABLE, read_bytes

Array = NDArray[np.float64]

ELECTRON_RADIUS = 2.8179403262e-5
"""r_e [Å]."""

HC = 12398.419843320026
"""h·c [eV Å]."""

LINES = {
    "CuKa1": 1.540593,
    "MoKa1": 0.709317,
    "CoKa1": 1.788996,
    "CrKa1": 2.289726,
    "AgKa1": 0.559422,
}
"""Wavelengths [Å] of R. D. Deslattes et al., Rev. Mod. Phys. 75, 35 (2003)."""

WEAKEST = 1e-3
"""Part of χ0 below which a reflection counts as forbidden."""

_SAME = 1e-3  # distance in parts of the cell within which two atoms are one
_THIRD = 2e-4  # a coordinate so near to a multiple of 1/6 is one: CIF files round them


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
    """

    name: str
    cell: tuple[float, ...]
    elements: tuple[str, ...]
    position: Array
    occupancy: Array
    spread: Array
    still: tuple[str, ...]

    @property
    def cubic(self) -> bool:
        """Whether the cell is a cube."""
        a, b, c, *angles = self.cell
        return max(abs(b - a), abs(c - a)) < 1e-6 * a and max(abs(each - 90.0) for each in angles) < 1e-6

    def spacing(self, hkl: tuple[int, int, int]) -> float:
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


def read_cif(path: str | Path) -> Structure:
    """The structure in a CIF file.

    Raises
    ------
    ParameterError
        The file cannot be read, has no cell, symmetry or atoms, or atoms that cannot be.
    """
    try:
        text = read_bytes(path, LARGEST_TABLE).decode("utf-8-sig")
        block = gemmi.cif.read_string(text)[0]
        small = gemmi.make_small_structure_from_block(block)
    except (OSError, UnicodeDecodeError, ValueError, RuntimeError, IndexError) as error:
        raise ParameterError(f"{path} cannot be read as CIF: {error}") from error
    if not small.sites:
        raise ParameterError(f"{path} has no atoms (_atom_site_…)")
    if not small.cell.is_crystal():
        raise ParameterError(f"{path} has no cell (_cell_length_a …)")
    operations = _operations(small, path)
    cell = tuple(float(value) for value in small.cell.parameters)
    isotropic = _isotropic(block)
    star = np.array(small.cell.frac.mat.tolist())
    reciprocal = star @ star.T  # metric of the reciprocal cell
    lengths = np.sqrt(np.diag(reciprocal))
    elements: list[str] = []
    positions: list[Array] = []
    occupancies: list[float] = []
    spreads: list[Array] = []
    still: set[str] = set()
    for site in small.sites:
        label, element = site.label or site.type_symbol, site.element.name
        if site.element.atomic_number < 1:
            raise ParameterError(f"{path}: {label} is no element; give its symbol as _atom_site_type_symbol")
        if not 0.0 < site.occ <= 1.0:
            raise ParameterError(f"{path}: the occupancy {site.occ:g} of {label} must be within 0 … 1")
        u = site.u_iso or isotropic.get(label, 0.0)
        if site.aniso.nonzero():
            spread = 2.0 * math.pi**2 * np.outer(lengths, lengths) * np.array(site.aniso.as_mat33().tolist())
        else:
            spread = 2.0 * math.pi**2 * u * reciprocal
            if u == 0.0:
                still.add(element)
        start = np.array([_exact(each) for each in site.fract.tolist()])
        images: list[Array] = []
        for rotation, shift in operations:
            at = (rotation @ start + shift) % 1.0
            apart = (np.abs((at - image + 0.5) % 1.0 - 0.5).max() for image in images)
            if min(apart, default=1.0) < _SAME:
                continue
            images.append(at)
            elements.append(element)
            positions.append(at)
            occupancies.append(float(site.occ))
            spreads.append(rotation @ spread @ rotation.T)
    _check_overlap(np.array(positions), np.array(occupancies), elements, path)
    name = Path(path).stem
    return Structure(
        name,
        cell,
        tuple(elements),
        np.array(positions),
        np.array(occupancies),
        np.array(spreads),
        tuple(sorted(still)),
    )


def susceptibilities(structure: Structure, hkl: tuple[int, int, int], wavelength: float) -> Susceptibilities:
    """χ0, χh and χ−h of a structure.

    Raises
    ------
    ParameterError
        The wavelength cannot reach the reflection, or the reflection is forbidden.
    """
    if not any(hkl):
        raise ParameterError(f"hkl {hkl} is no reflection")
    d = structure.spacing(hkl)
    if not 0.0 < wavelength < 2.0 * d:
        raise ParameterError(
            f"{structure.name} {_indices(hkl)} has a spacing of {d:.5g} Å, which {wavelength:g} Å cannot reach: it "
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
            f"{structure.name} {_indices(hkl)} is forbidden: |χh| = {abs(found.coupling):.2g} is less than "
            f"{WEAKEST:g} of |χ0| = {abs(found.chi0):.3g}"
        )
    return found


def crystal_of(
    structure: Structure, hkl: tuple[int, int, int], wavelength: float, lattice: float | None = None
) -> Crystal:
    """The crystal as a reflection needs it, with its own lattice constant or a measured one [Å].

    Raises
    ------
    ParameterError
        As ``susceptibilities``; a cell that is no cube.
    """
    if not structure.cubic:
        raise ParameterError(f"{structure.name} is not cubic; reflections are those of cubic crystals so far")
    found = susceptibilities(structure, hkl, wavelength)
    return Crystal(structure.name, lattice or structure.cell[0], found.chi0, found.coupling, source_of(structure))


def source_of(structure: Structure) -> str:
    """Where susceptibilities come from, in a sentence."""
    rest = f"; {', '.join(structure.still)} at rest" if structure.still else ""
    return f"structure {structure.name}: f0 of International Tables C, f' and f'' of Cromer and Liberman{rest}"


def wavelength_of(text: str) -> float:
    """A wavelength [Å] from a line such as CuKa1, an energy such as 8.048keV, or a number of Å.

    Raises
    ------
    ParameterError
        Another form.
    """
    lines = {name.lower(): value for name, value in LINES.items()}
    given = text.strip().lower()
    if given in lines:
        return lines[given]
    energy = given.endswith("kev")
    try:
        value = float(given.removesuffix("kev"))
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise ParameterError(
            f"wavelength {text!r} must be a number of Å, an energy like 8.048keV, or {', '.join(LINES)}"
        )
    return HC / (1000.0 * value) if energy else value


def indices_of(text: str) -> tuple[int, int, int]:
    """Miller indices from ``004``, ``-110`` or ``10,0,0``; of four, the third is left out.

    Raises
    ------
    ParameterError
        Another form.
    """
    parts = text.replace(" ", "").split(",") if "," in text else re.findall(r"-?[0-9]", text)
    try:
        found = [int(part) for part in parts]
    except ValueError:
        found = []
    if len(found) == 4 and found[2] == -found[0] - found[1]:
        del found[2]
    if len(found) != 3 or "".join(parts) != text.replace(" ", "").replace(",", ""):
        raise ParameterError(f"{text!r} must be three whole numbers, such as 004 or 10,0,0")
    return found[0], found[1], found[2]


def _operations(small: gemmi.SmallStructure, path: str | Path) -> list[tuple[Array, Array]]:
    """Rotations (3, 3) and shifts (3,) of the symmetry."""
    if small.symops:
        found = [gemmi.Op(each) for each in small.symops]
    elif small.spacegroup is not None:
        found = list(small.spacegroup.operations())
    else:
        raise ParameterError(f"{path} has no symmetry: neither operations nor a space group that is known")
    return [(np.array(each.rot) / gemmi.Op.DEN, np.array(each.tran) / gemmi.Op.DEN) for each in found]


def _isotropic(block: gemmi.cif.Block) -> dict[str, float]:
    """U [Å²] by label, of files that give B = 8π²U."""
    table = block.find(["_atom_site_label", "_atom_site_B_iso_or_equiv"])
    return {gemmi.cif.as_string(row[0]): gemmi.cif.as_number(row[1]) / (8.0 * math.pi**2) for row in table}


def _exact(value: float) -> float:
    near = round(6.0 * value) / 6.0
    return near if abs(value - near) < _THIRD else value


def _check_overlap(position: Array, occupancy: Array, elements: list[str], path: str | Path) -> None:
    for i, at in enumerate(position):
        here = np.abs((position - at + 0.5) % 1.0 - 0.5).max(axis=1) < _SAME
        if occupancy[here].sum() > 1.0 + 1e-6:
            raise ParameterError(
                f"{path}: {occupancy[here].sum():g} atoms share the position of {elements[i]} at "
                f"{', '.join(f'{value:.4g}' for value in at)}; an atom is listed twice, or the setting is another"
            )


def _indices(hkl: tuple[int, int, int]) -> str:
    return "".join(map(str, hkl))
