"""What a file states about the measurement, beside angles and intensities."""

from dataclasses import dataclass
from typing import Literal

Hkl = tuple[int, int, int]
ScanKind = Literal["rocking", "coupled"]


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a file says of crystal, beam and goniometer; None and empty where it says nothing.

    Attributes
    ----------
    material : of the crystal, as the file spells it.
    hkl : the reflection.
    wavelength : Kα1, or the only one that is given [Å].
    kalpha2 : whether the beam holds Kα2 beside Kα1.
    omega, two_theta : angles of the goniometer at the substrate peak [degrees].
    axis : what was scanned, in the words of the file.
    kind : "rocking" if only the crystal turned, "coupled" if the detector followed.
    """

    material: str | None = None
    hkl: Hkl | None = None
    wavelength: float | None = None
    kalpha2: bool | None = None
    omega: float | None = None
    two_theta: float | None = None
    axis: str = ""
    kind: ScanKind | None = None

    def __str__(self) -> str:
        """What names the experiment, for a sentence; empty if nothing does."""
        crystal = " ".join(each for each in (self.material, hkl_text(self.hkl)) if each)
        wave = "" if self.wavelength is None else f"λ {self.wavelength:.6g} Å"
        doublet = {True: "with Kα2", False: "without Kα2", None: ""}[self.kalpha2]
        omega = "" if self.omega is None else f"ω {self.omega:.5g}°"
        two_theta = "" if self.two_theta is None else f"2θ {self.two_theta:.5g}°"
        return ", ".join(each for each in (crystal, wave, doublet, omega, two_theta) if each)


def hkl_text(hkl: Hkl | None) -> str:
    """Indices as one writes them: 004, or -1 0 14 where digits alone would be read otherwise."""
    if hkl is None:
        return ""
    return ("" if all(0 <= index <= 9 for index in hkl) else " ").join(map(str, hkl))


def hkl_of(*indices: object) -> Hkl | None:
    """Three indices, None if they are no reflection."""
    try:
        h, k, l = (int(str(index)) for index in indices)  # noqa: E741 - the field's name
    except ValueError:
        return None
    return (h, k, l) if any((h, k, l)) and max(map(abs, (h, k, l))) <= 99 else None


def wavelength_of(*values: float | None) -> float | None:
    """The first of the wavelengths [Å] that X-rays have."""
    return next((float(each) for each in values if each is not None and 0.05 <= each <= 25.0), None)
