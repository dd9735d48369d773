"""What is measured and how: crystal, reflection and scan, as explicit frozen records.

Nothing of this is hard-wired in the kernels: another crystal, reflection or scan works by passing another
record, built in Python or read from a TOML file::

    [reflection]
    crystal = "GGG"
    lattice = 12.383                      # Å
    hkl = [4, 4, 4]
    wavelength = 1.54056                  # Å
    chi0 = [-3.68946e-5, 3.595136e-6]     # real and imaginary part
    chih = [-12.66065e-6, 3.26115e-6]
    source = "who computed the susceptibilities, from what"
    # lattice, chi0, chih and source may be left out where the crystal is a built-in one or a CIF file
    # surface = [1, 1, 1]                 # these four where the planes are inclined to the surface, as those of 880
    # geometry = "grazing-incidence"      # or "grazing-exit"
    # miscut = 0.1                        # degrees between the true surface and this one
    # azimuth = 0.0                       # degrees; 0: towards grazing incidence

    [reflection.film]                     # optional: a film of another crystal on it, strained at its surface
    crystal = "YIG"
    lattice = 12.376
    thickness = 31500.0                   # Å in all
    chi0 = [-3.030806e-5, 2.00993e-6]
    chih = [-8.89309e-6, 8.11552e-7]
    source = "…"
    # relaxation = 0.0                    # in place of lattice, of a built-in crystal or a CIF file: 0 pseudomorphic,
    # poisson = 0.3                       # 1 relaxed, with this Poisson ratio

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
from xrdsim.experiment.crystal import Crystal, inclination, spacing
from xrdsim.experiment.files import read_table
from xrdsim.experiment.geometry import Geometry, Vector, normal, passage, turning
from xrdsim.experiment.notation import written
from xrdsim.limits import Json
from xrdsim.units import ARCSEC

THICKEST_FILM = 1e7
"""Å."""

MOST_MISCUT = 10.0
"""°."""

GRAZING = 3.0
"""Critical angles, below which the beam may not come in: refraction is no longer described there."""

GRAZING_EXIT = 1.25
"""The same of the beam that leaves, whose error at 0.27° is 5e-4 dex."""

FLAT = 1.0
"""Angle [°] to the surface below which one is warned."""

MISFIT = 0.1
"""Largest difference of the lattices of film and substrate, in parts of the latter."""

_ALIKE, _ALIKE_CHI = 1e-4, 5e-3  # parts by which lengths and susceptibilities of the same reflection may differ

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
    """A Bragg reflection of a crystal, measured in reflection.

    Parameters
    ----------
    crystal : of the substrate, with the susceptibilities of this reflection at this wavelength.
    hkl : Miller indices.
    wavelength : X-ray wavelength [Å].
    chih_linear : χh of the σ and the π polarisation in the ``linear`` convention, whose signs and polarisation
        factor differ; ``None`` derives them from that of the crystal.
    film : on this crystal; not in the convention ``linear``.
    surface : Miller indices of the surface; ``None`` for planes that are parallel to it.
    geometry : ``symmetric``, or on which side the beam grazes a surface that is inclined to the planes.
    miscut, azimuth : angle [°] of the true surface to this one, and the direction in which its normal leans, from the
        plane of diffraction; 0 makes the incidence grazing.

    Raises
    ------
    ParameterError
        The reflection cannot be reached at this wavelength or from this surface, or a value has the wrong sign.
    """

    crystal: Crystal
    hkl: tuple[int, int, int]
    wavelength: float
    chih_linear: tuple[complex, complex] | None = None
    film: Film | None = None
    surface: tuple[int, int, int] | None = None
    geometry: Geometry = Geometry.SYMMETRIC
    miscut: float = 0.0
    azimuth: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.wavelength < math.inf:
            raise ParameterError(f"wavelength {self.wavelength:g} Å must be positive")
        if len(self.hkl) != 3 or not any(self.hkl):
            raise ParameterError(f"hkl {self.hkl} is no reflection")
        if self.h0 >= 2.0 * self.k:
            raise ParameterError(
                f"{self.name} has a spacing of {2 * math.pi / self.h0:.4g} Å, which {self.wavelength:g} Å cannot "
                "reach: it needs a wavelength below twice the spacing"
            )
        self._check_surface()
        if self.film is not None and abs(self.film_spacing - 1.0) > MISFIT:
            raise ParameterError(
                f"film: its lattice differs from that of the substrate by {100 * abs(self.film_spacing - 1.0):.3g} %; "
                f"beyond {100 * MISFIT:g} % no film grows on it"
            )

    def _check_surface(self) -> None:
        try:
            object.__setattr__(self, "geometry", Geometry(self.geometry))
        except ValueError:
            choices = ", ".join(Geometry)
            raise ParameterError(f"geometry {self.geometry!r} is unknown; choose {choices}") from None
        if self.surface is not None and (len(self.surface) != 3 or not any(self.surface)):
            raise ParameterError(f"surface {self.surface} is no plane")
        if not (abs(self.miscut) <= MOST_MISCUT and abs(self.azimuth) <= 360.0):
            raise ParameterError(
                f"miscut = {self.miscut:g}° and azimuth = {self.azimuth:g}° must be at most {MOST_MISCUT:g}° and 360°"
            )
        inclined, surface = math.degrees(self.psi) > 1e-6, written(self.surface or self.hkl)
        if math.degrees(self.psi) > 90.0 - 1e-6:
            raise ParameterError(
                f"the planes of {self.name} are perpendicular to the surface {surface}: the diffracted beam leaves "
                "through the crystal (Laue case), not through the surface; choose another surface or reflection"
            )
        if inclined and self.geometry is Geometry.SYMMETRIC:
            raise ParameterError(
                f"{self.name} is inclined to the surface {surface} by {math.degrees(self.psi):.2f}°; "
                "say grazing-incidence or grazing-exit, or leave the surface out"
            )
        if not inclined and self.geometry is not Geometry.SYMMETRIC:
            raise ParameterError(f"geometry {self.geometry} needs a surface that is not parallel to {self.name}")
        if self.plain:
            return
        incident, diffracted = self.beams
        if math.isnan(incident):
            raise ParameterError(
                f"{self.name} enters or leaves below the surface {surface}; choose another geometry, surface or "
                "wavelength"
            )
        critical = math.sqrt(abs(self.crystal.chi0.real))
        for name, cosine, factor in (("enters", incident, GRAZING), ("leaves", diffracted, GRAZING_EXIT)):
            if cosine < factor * critical:
                raise ParameterError(
                    f"{self.name} {name} at {math.degrees(math.asin(cosine)):.2f}°, less than {factor:g} times the "
                    f"critical angle of {math.degrees(critical):.2f}°, where this theory does not hold; choose another "
                    "geometry, surface or wavelength"
                )

    @property
    def name(self) -> str:
        """Crystal and indices, in words."""
        return f"{self.crystal.name} {written(self.hkl)}"

    @property
    def title(self) -> str:
        """The same, with the geometry of inclined planes and the film above."""
        beam = "" if self.geometry is Geometry.SYMMETRIC else f", {self.geometry}"
        return self.name + beam + ("" if self.film is None else f", under a film of {self.film.crystal.name}")

    @property
    def psi(self) -> float:
        """Inclination of the lattice planes to the nominal surface [rad]."""
        return 0.0 if self.surface is None else inclination(self.crystal.cell, self.hkl, self.surface)

    @property
    def normal(self) -> Vector:
        """Of the surface, in the frame of ``xrdsim.experiment.geometry``."""
        return normal(self.psi, self.geometry, math.radians(self.miscut), math.radians(self.azimuth))

    @property
    def plain(self) -> bool:
        """Whether the planes are parallel to the true surface."""
        return self.geometry is Geometry.SYMMETRIC and self.miscut == 0.0

    @property
    def beams(self) -> tuple[float, float]:
        """Sines of the angles to the surface at which the beam enters and leaves; NaN below the horizon."""
        if self.plain:
            return math.sin(self.theta_bragg), math.sin(self.theta_bragg)
        at = passage(np.array([self.theta_bragg]), self.normal, self.k, self.h0)
        return (float(at.incident[0]), float(at.diffracted[0])) if at.seen[0] else (math.nan, math.nan)

    @property
    def warning(self) -> str:
        """That a beam grazes the surface so that the theory is not exact, or nothing."""
        least = math.degrees(math.asin(min(self.beams)))
        if least >= FLAT:
            return ""
        return (
            f"{self.name}: the beam makes {least:.2f}° with the surface; below {FLAT:g}° curves are wrong by up to "
            "0.04 dex"
        )

    def alike(self, other: "Reflection") -> bool:
        """Whether the other one has the same curves, to the accuracy with which wavelengths and χ are known."""

        def same(one: complex, two: complex, part: float) -> bool:
            return abs(one - two) <= part * abs(one)

        films = self.film, other.film
        if (films[0] is None) != (films[1] is None):
            return False
        covered = films[0] is None or films[1] is None or same(films[0].thickness, films[1].thickness, _ALIKE)
        return (
            covered
            and same(self.wavelength, other.wavelength, _ALIKE)
            and all(same(*each, _ALIKE) for each in ((self.h0, other.h0), (self.h0_strained, other.h0_strained)))
            and all(same(*each, _ALIKE) for each in zip(self.normal, other.normal, strict=True))
            and all(
                same(getattr(mine, name), getattr(its, name), _ALIKE_CHI)
                for mine, its in ((self.crystal, other.crystal), (self.strained, other.strained))
                for name in ("chi0", "coupling")
            )
        )

    @property
    def turning(self) -> float:
        """d(γ0 + γh)/dθ at the Bragg angle; 2 cosθ_B where the planes are parallel to the surface."""
        if self.plain:
            return 2.0 * math.cos(self.theta_bragg)
        return turning(self.theta_bragg, self.normal, self.k, self.h0)

    @property
    def angle_per_strain(self) -> float:
        """Angle [rad] by which a unit of strain moves a layer's reflection, to first order: tanθ_B if symmetric."""
        if self.plain:
            return math.tan(self.theta_bragg)
        return self.h0 * self.normal[2] / (self.k * self.turning)

    @property
    def k(self) -> float:
        """Wave number 2π/λ [1/Å]."""
        return 2.0 * math.pi / self.wavelength

    @property
    def h0(self) -> float:
        """Length of the reciprocal lattice vector [1/Å]."""
        lattice = self.crystal.lattice
        if isinstance(lattice, tuple):
            return 2.0 * math.pi / spacing(lattice, self.hkl)
        return 2.0 * math.pi * math.sqrt(sum(index * index for index in self.hkl)) / lattice

    @property
    def strained(self) -> Crystal:
        """The crystal of the strained layer."""
        return self.crystal if self.film is None else self.film.crystal

    @property
    def film_spacing(self) -> float:
        """Spacing of the planes of the surface in the film, in parts of that in the substrate; 1 without a film."""
        plane, own, below = self.surface or self.hkl, self.strained.lattice, self.crystal.lattice
        if isinstance(own, tuple) or isinstance(below, tuple):
            return self.strained.spacing(plane) / self.crystal.spacing(plane)
        return own / below

    @property
    def h0_strained(self) -> float:
        """Length of the reciprocal lattice vector [1/Å] of the strained layer at ε = 0, if symmetric."""
        return self.h0 / self.film_spacing

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
        sigma = complex(-self.crystal.coupling.real, self.crystal.coupling.imag)
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
        from xrdsim.experiment.tables import reflection_from

        return reflection_from(cls, table, where)

    def to_dict(self) -> Json:
        """Plain values for JSON and TOML, complex numbers as [real, imaginary]."""
        from xrdsim.experiment.tables import reflection_to

        return reflection_to(self)


def strain_to_angle(strain: Strain, reflection: Reflection) -> Strain:
    """Angle [arcsec] at which a layer of this strain (a number or an array) diffracts, to first order."""
    return strain * reflection.angle_per_strain / ARCSEC


def stretch(reflection: Reflection) -> float:
    """Angle per strain in parts of that of GGG 444, for whose curves the fit's angles are chosen."""
    return reflection.angle_per_strain / GGG_444.angle_per_strain


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
