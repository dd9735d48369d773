"""How wavelengths, Miller indices and lattices are written."""

import math
import re
from typing import cast

from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Cell, Indices

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

KALPHA2 = {
    "CuKa1": 1.544427,
    "MoKa1": 0.713607,
    "CoKa1": 1.792835,
    "CrKa1": 2.293651,
    "AgKa1": 0.563813,
}
"""Kα2 of the same tube [Å], of the same source."""

SAME_LINE = 2e-4
"""Part by which wavelengths of one line differ in the literature."""


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


def light(wavelength: float) -> str:
    """A wavelength [Å] in words, with the line that it belongs to."""
    near = [name for name, value in LINES.items() if abs(wavelength / value - 1.0) <= SAME_LINE]
    line = f" ({near[0][:2]} Kα{near[0][-1]})".replace("α1", "α₁") if near else ""
    return f"{wavelength:g} Å{line}"


def kalpha2_by(wavelength: float) -> float | None:
    """Wavelength of Kα2 by that of Kα1 of the tube that radiates this one [Å]; None where it is no Kα1."""
    near = [name for name, value in LINES.items() if abs(wavelength / value - 1.0) <= SAME_LINE]
    return KALPHA2[near[0]] / LINES[near[0]] if near else None


def indices_of(text: str) -> Indices:
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


def written(hkl: Indices) -> str:
    """Miller indices as one word: 004, or 10,0,0 where one has two digits."""
    return ("," if max(map(abs, hkl)) > 9 else "").join(map(str, hkl))


def lattice_of(text: str) -> float | Cell:
    """A lattice constant [Å]; ``a,c`` of a hexagonal cell; or three lengths and three angles [°].

    Raises
    ------
    ParameterError
        Another form.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2, 6):
        raise ParameterError(f"lattice {text!r} must be a length in Å, a,c of a hexagonal cell, or a,b,c,α,β,γ")
    return lattice(numbers)


def lattice(numbers: list[float]) -> float | Cell:
    """The same of one, two or six numbers."""
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 2:
        return numbers[0], numbers[0], numbers[1], 90.0, 90.0, 120.0
    return cast(Cell, tuple(numbers))
