"""A crystal: its lattice, and the susceptibilities with which it diffracts in one reflection at one wavelength."""

import cmath
import math
from dataclasses import dataclass

from xrdsim.errors import ParameterError
from xrdsim.limits import Json


@dataclass(frozen=True)
class Crystal:
    """A cubic crystal.

    Parameters
    ----------
    name : for messages and files.
    lattice : lattice constant [Å].
    chi0, chih : Fourier coefficients of the susceptibility; Im χ0 > 0, and χ(h) = χ(−h).
    source : where the susceptibilities come from; databases differ by 2–3 %.

    Raises
    ------
    ParameterError
        A value is not finite, or has the wrong sign.
    """

    name: str
    lattice: float
    chi0: complex
    chih: complex
    source: str

    def __post_init__(self) -> None:
        if not 0.0 < self.lattice < math.inf:
            raise ParameterError(f"{self.name}: lattice {self.lattice:g} Å must be positive")
        for name, value in (("chi0", self.chi0), ("chih", self.chih)):
            if not cmath.isfinite(value):
                raise ParameterError(f"{self.name}: {name} = {value:g} must be finite")
        if self.chi0.imag <= 0.0 or self.chi0.real >= 0.0:
            raise ParameterError(
                f"{self.name}: chi0 = {self.chi0:g} must have a negative real and a positive imaginary part"
            )
        if self.chih == 0.0:
            raise ParameterError(f"{self.name}: chih must not be 0")

    def to_dict(self) -> Json:
        """Plain values for JSON and TOML, complex numbers as [real, imaginary]."""
        chi0, chih = ([value.real, value.imag] for value in (self.chi0, self.chih))
        return {"crystal": self.name, "lattice": self.lattice, "chi0": chi0, "chih": chih, "source": self.source}
