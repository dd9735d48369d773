"""What is measured and how: crystal, reflection and scan, as explicit frozen records.

Nothing of this is hard-wired in the kernels: another cubic reflection or another scan works by passing another
record, built in Python or read from a TOML file::

    [reflection]
    crystal = "GGG"
    lattice = 12.383                      # Å
    hkl = [4, 4, 4]
    wavelength = 1.54056                  # Å
    chi0 = [-3.68946e-5, 3.595136e-6]     # real and imaginary part
    chih = [-12.66065e-6, 3.26115e-6]
    source = "who computed the susceptibilities, from what"

    [reflection.film]                     # optional: a film of another crystal on it, strained at its surface
    crystal = "YIG"
    lattice = 12.376
    thickness = 31500.0                   # Å in all
    chi0 = [-3.030806e-5, 2.00993e-6]
    chih = [-8.89309e-6, 8.11552e-7]
    source = "…"

    [scan]
    start = -80.36471944                  # arcsec from the substrate peak
    step = 4.018235972
    points = 701
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Crystal
from xrdsim.experiment.files import read_table, refuse_unknown
from xrdsim.limits import Json
from xrdsim.units import ARCSEC

THICKEST_FILM = 1e7
"""Å."""

MISFIT = 0.1
"""Largest difference of the lattices of film and substrate, in parts of the latter."""

Strain = TypeVar("Strain", float, NDArray[np.float64])


@dataclass(frozen=True)
class Film:
    """A film grown on the substrate, of which only the part at its surface is strained.

    Parameters
    ----------
    crystal : of which it is; the lattice along the surface normal where it is not strained by implantation.
    thickness : of the whole film, the strained part included [Å].

    Raises
    ------
    ParameterError
        A thickness without meaning.
    """

    crystal: Crystal
    thickness: float

    def __post_init__(self) -> None:
        if not 0.0 < self.thickness <= THICKEST_FILM:
            raise ParameterError(
                f"film: thickness {self.thickness:g} Å must be positive, at most {THICKEST_FILM:g} Å, beyond which it "
                "is a substrate"
            )


@dataclass(frozen=True)
class Reflection:
    """A symmetric Bragg reflection of a cubic crystal.

    Parameters
    ----------
    crystal : of the substrate, with the susceptibilities of this reflection at this wavelength.
    hkl : Miller indices.
    wavelength : X-ray wavelength [Å].
    chih_linear : χh of the σ and the π polarisation in the ``linear`` convention, whose signs and polarisation
        factor differ; ``None`` derives them from that of the crystal.
    film : on this crystal; ``exact`` convention only.

    Raises
    ------
    ParameterError
        The reflection cannot be reached at this wavelength, or a value has the wrong sign.
    """

    crystal: Crystal
    hkl: tuple[int, int, int]
    wavelength: float
    chih_linear: tuple[complex, complex] | None = None
    film: Film | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.wavelength < math.inf:
            raise ParameterError(f"wavelength {self.wavelength:g} Å must be positive")
        if len(self.hkl) != 3 or not any(self.hkl):
            raise ParameterError(f"hkl {self.hkl} is no reflection")
        lattice = self.crystal.lattice
        if self.h0 >= 2.0 * self.k:
            raise ParameterError(
                f"{self.name} has a spacing of {2 * math.pi / self.h0:.4g} Å, which {self.wavelength:g} Å cannot "
                "reach: it needs a wavelength below twice the spacing"
            )
        if self.film is not None and abs(self.film.crystal.lattice / lattice - 1.0) > MISFIT:
            raise ParameterError(
                f"film: the lattice {self.film.crystal.lattice:g} Å differs from the {lattice:g} Å of the substrate by "
                f"more than {100 * MISFIT:g} %, where no film grows on it"
            )

    @property
    def name(self) -> str:
        """Crystal and indices, in words."""
        return f"{self.crystal.name} {''.join(map(str, self.hkl))}"

    @property
    def k(self) -> float:
        """Wave number 2π/λ [1/Å]."""
        return 2.0 * math.pi / self.wavelength

    @property
    def h0(self) -> float:
        """Length of the reciprocal lattice vector [1/Å]."""
        return 2.0 * math.pi * math.sqrt(sum(index * index for index in self.hkl)) / self.crystal.lattice

    @property
    def strained(self) -> Crystal:
        """The crystal of the strained layer."""
        return self.crystal if self.film is None else self.film.crystal

    @property
    def h0_strained(self) -> float:
        """Length of the reciprocal lattice vector [1/Å] of the strained layer at ε = 0."""
        return self.h0 * self.crystal.lattice / self.strained.lattice

    @property
    def theta_bragg(self) -> float:
        """Kinematic Bragg angle [rad]."""
        return math.asin(self.h0 / (2.0 * self.k))

    @property
    def theta_substrate(self) -> float:
        """Centre of the substrate reflection [rad]: 2k sinθ + k Re χ0/sinθ = h0, refraction included."""
        return math.asin((self.h0 + math.sqrt(self.h0**2 - 8.0 * self.k**2 * self.crystal.chi0.real)) / (4.0 * self.k))

    @property
    def susceptibilities_linear(self) -> tuple[complex, complex]:
        """χh of σ and π in the ``linear`` convention: opposite sign of Re, polarisation factor in Im of π."""
        if self.chih_linear is not None:
            return self.chih_linear
        sigma = complex(-self.crystal.chih.real, self.crystal.chih.imag)
        return sigma, complex(sigma.real, sigma.imag * abs(math.cos(2.0 * self.theta_bragg)))

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read the table ``[reflection]`` of a TOML file (form: module docstring).

        Raises
        ------
        ParameterError
            The file cannot be read, a key is missing, unknown or of the wrong form.
        """
        return cls.from_dict(read_table(path, "reflection"), str(path))

    @classmethod
    def from_dict(cls, table: Json, where: str = "reflection") -> Self:
        """Build from plain values, complex numbers as [real, imaginary]; inverse of ``to_dict``."""
        values = dict(table)
        try:
            refuse_unknown((*_OF_CRYSTAL, "hkl", "wavelength", "chih_linear", "film"), values, f"{where}: [reflection]")
            indices = values["hkl"]
            if (
                not isinstance(indices, (list, tuple))
                or len(indices) != 3
                or any(type(each) is not int for each in indices)
            ):
                raise ParameterError(f"{where}: hkl = {indices!r} must be three whole numbers, [h, k, l]")
            values["hkl"] = tuple(indices)
            if values.get("chih_linear") is not None:
                values["chih_linear"] = tuple(complex(*pair) for pair in values["chih_linear"])
            if values.get("film") is not None:
                film = dict(values["film"])
                refuse_unknown((*_OF_CRYSTAL, "thickness"), film, f"{where}: [reflection.film]")
                values["film"] = Film(_crystal_of(film), **film)
            return cls(_crystal_of(values), **values)
        except ParameterError as error:
            raise ParameterError(f"{where}: {error}" if where not in str(error) else str(error)) from None
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ParameterError(f"{where}: [reflection] is incomplete or malformed: {error}") from error

    def to_dict(self) -> Json:
        """Plain values for JSON and TOML, complex numbers as [real, imaginary]."""
        values: Json = {**self.crystal.to_dict(), "hkl": list(self.hkl), "wavelength": self.wavelength}
        values = {name: values[name] for name in ("crystal", "lattice", "hkl", "wavelength", "chi0", "chih", "source")}
        linear = self.chih_linear
        values["chih_linear"] = None if linear is None else [[value.real, value.imag] for value in linear]
        if self.film is not None:
            film: Json = {**self.film.crystal.to_dict(), "thickness": self.film.thickness}
            values["film"] = {
                name: film[name] for name in ("crystal", "lattice", "thickness", "chi0", "chih", "source")
            }
        return values


_OF_CRYSTAL = ("crystal", "lattice", "chi0", "chih", "source")


def _crystal_of(values: Json) -> Crystal:
    """Of its entries, which are taken out of a table."""
    name, lattice, chi0, chih, source = (values.pop(entry) for entry in _OF_CRYSTAL)
    return Crystal(name, lattice, complex(*chi0), complex(*chih), source)


def strain_to_angle(strain: Strain, reflection: Reflection) -> Strain:
    """Angle [arcsec] at which a layer of this strain (a number or an array) diffracts, to first order: ε·tanθ_B."""
    return strain * math.tan(reflection.theta_bragg) / ARCSEC


GGG_444 = Reflection(
    Crystal(
        name="GGG",
        lattice=12.383,
        chi0=-3.68946e-5 + 3.595136e-6j,
        chih=-12.66065e-6 + 3.26115e-6j,
        source="X-ray susceptibilities of Gd3Ga5O12 at Cu Kα1, as used for implanted garnet films",
    ),
    hkl=(4, 4, 4),
    wavelength=1.54056,
    chih_linear=(12.66065e-6 + 3.26115e-6j, 12.66065e-6 + 2.04984e-6j),
)
"""Gadolinium gallium garnet, 444, Cu Kα1."""

YIG_ON_GGG_444 = replace(
    GGG_444,
    film=Film(
        Crystal(
            name="YIG",
            lattice=12.376,
            chi0=-3.030806e-5 + 2.00993e-6j,
            chih=-8.89309e-6 + 8.11552e-7j,
            source="X-ray susceptibilities of Y3Fe5O12 at Cu Kα1, as used for implanted garnet films",
        ),
        thickness=31500.0,
    ),
)
"""Yttrium iron garnet, 3.15 µm thick, on gadolinium gallium garnet."""
