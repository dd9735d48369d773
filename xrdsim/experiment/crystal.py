"""A crystal: its lattice, and the susceptibilities with which it diffracts in one reflection at one wavelength.

The spacing d of the planes hkl follows from the metric G of the cell, G_ij = a_i·a_j, as 1/d² = h·G⁻¹·h, and so does
the angle between two sets of planes.
"""

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.limits import Json

Indices = tuple[int, int, int]

Cell = tuple[float, float, float, float, float, float]
"""Lengths a, b, c [Å] and angles α, β, γ [°]."""


@dataclass(frozen=True)
class Crystal:
    """A crystal in one of its reflections.

    Parameters
    ----------
    name : for messages and files.
    lattice : constant of a cubic lattice [Å], or the six numbers of another cell: lengths [Å] and angles [°].
    chi0, chih : Fourier coefficients of the susceptibility; Im χ0 > 0.
    source : where the susceptibilities come from; databases differ by 2–3 %.
    chimh : χ(−h); ``None`` where it is χ(h), as about a centre of symmetry.

    Raises
    ------
    ParameterError
        A value is not finite, or has the wrong sign.
    """

    name: str
    lattice: float | Cell
    chi0: complex
    chih: complex
    source: str
    chimh: complex | None = None

    def __post_init__(self) -> None:
        if isinstance(self.lattice, (list, tuple)):
            object.__setattr__(self, "lattice", tuple(map(float, self.lattice)))
        check_cell(self.cell, self.name)
        for name, value in (("chi0", self.chi0), ("chih", self.chih), ("chimh", self.chimh)):
            if value is not None and not cmath.isfinite(value):
                raise ParameterError(f"{self.name}: {name} = {value:g} must be finite")
        if self.chi0.imag <= 0.0 or self.chi0.real >= 0.0:
            raise ParameterError(
                f"{self.name}: chi0 = {self.chi0:g} must have a negative real and a positive imaginary part"
            )
        if self.chih == 0.0 or self.chimh == 0.0:
            raise ParameterError(f"{self.name}: chih and chimh must not be 0")

    @property
    def cell(self) -> Cell:
        """Lengths [Å] and angles [°]."""
        if isinstance(self.lattice, tuple):
            return self.lattice
        return self.lattice, self.lattice, self.lattice, 90.0, 90.0, 90.0

    @property
    def coupling(self) -> complex:
        """√(χh χ−h), the root with Im > 0; χh itself about a centre of symmetry."""
        if self.chimh is None:
            return self.chih
        root = cmath.sqrt(self.chih * self.chimh)
        return root if root.imag > 0.0 else -root

    @property
    def polarity(self) -> float:
        """|χh/χ−h|, by which a reflectivity is larger than it would be about a centre of symmetry."""
        return 1.0 if self.chimh is None else abs(self.chih / self.chimh)

    def spacing(self, hkl: Indices) -> float:
        """Of the planes hkl [Å]."""
        if not isinstance(self.lattice, tuple):
            return self.lattice / math.sqrt(sum(index * index for index in hkl))
        return spacing(self.lattice, hkl)

    def to_dict(self) -> Json:
        """Plain values for JSON and TOML, complex numbers as [real, imaginary]."""
        chi0, chih = ([value.real, value.imag] for value in (self.chi0, self.chih))
        lattice = list(self.lattice) if isinstance(self.lattice, tuple) else self.lattice
        values: Json = {"crystal": self.name, "lattice": lattice, "chi0": chi0, "chih": chih, "source": self.source}
        return values if self.chimh is None else {**values, "chimh": [self.chimh.real, self.chimh.imag]}


def check_cell(cell: tuple[float, ...], name: str) -> None:
    """Refuse what is no cell.

    Raises
    ------
    ParameterError
        Not six numbers, a length or an angle that is not positive, or angles that do not close.
    """
    if len(cell) != 6 or not all(math.isfinite(value) for value in cell):
        raise ParameterError(f"{name}: lattice {cell} must be one length in Å, or three lengths and three angles in °")
    if min(cell[:3]) <= 0.0:
        raise ParameterError(f"{name}: lattice {min(cell[:3]):g} Å must be positive")
    if not (min(cell[3:]) > 0.0 and max(cell[3:]) < 180.0 and np.linalg.det(metric(cell)) > 0.0):
        raise ParameterError(f"{name}: the angles {', '.join(f'{each:g}' for each in cell[3:])}° make no cell")


def metric(cell: tuple[float, ...]) -> NDArray[np.float64]:
    """G (3, 3) [Å²] of the module's formula."""
    lengths = np.array(cell[:3])
    alpha, beta, gamma = (math.cos(math.radians(angle)) if angle != 90.0 else 0.0 for angle in cell[3:])
    cosines = np.array([[1.0, gamma, beta], [gamma, 1.0, alpha], [beta, alpha, 1.0]])
    return np.asarray(np.outer(lengths, lengths) * cosines)


def spacing(cell: tuple[float, ...], hkl: Indices) -> float:
    """Of the planes hkl of a cell [Å]."""
    h = np.array(hkl, dtype=np.float64)
    return 1.0 / math.sqrt(float(h @ np.linalg.solve(metric(cell), h)))


def inclination(cell: tuple[float, ...], hkl: Indices, surface: Indices) -> float:
    """Angle [rad] between two sets of planes of a cell."""
    basis = np.linalg.cholesky(np.linalg.inv(metric(cell)))  # rows: reciprocal vectors in some frame, without 2π
    a, b = np.array(hkl, dtype=np.float64) @ basis, np.array(surface, dtype=np.float64) @ basis
    return math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b))
