"""What a file states of its measurement, against the reflection that is fitted to it.

A fit of the wrong material or reflection may well describe a curve. Where the file names its crystal, its wavelength or
the angles of its goniometer, these are compared first.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import Any

from xrdsim.curves.curve import Curve, read_curve
from xrdsim.curves.stated import Stated, hkl_text
from xrdsim.errors import CurveError, ParameterError
from xrdsim.experiment.library import structure_of
from xrdsim.experiment.notation import SAME_LINE, written
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.setup import Experiment
from xrdsim.limits import Json

FAR = 2.0
"""Degrees by which the substrate peak may miss its Bragg angle: the zero of a goniometer, a miscut, an offset."""

DESPITE = "--despite-file fits it nevertheless"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The reflection that a curve is said to be of, and how far its file may say otherwise.

    Attributes
    ----------
    table : of the reflection, as in a file; None where nothing was said: GGG 444, Cu Kα1.
    where : of the table, for a message, and the folder of files that it names.
    described : further arguments of ``Experiment``.
    despite : what the file states is noted and not heeded.
    """

    table: Json | None = None
    where: str = ""
    described: Mapping[str, Any] = field(default_factory=dict)
    despite: bool = False

    @cached_property
    def reflection(self) -> Reflection:
        """As it is claimed."""
        return GGG_444 if self.table is None else Reflection.from_dict(self.table, self.where)

    def read(self, path: str | PathLike[str], **reading: Any) -> tuple[Curve, Experiment]:
        """Read a curve by the arguments of ``read_curve``; else as ``heard``."""
        return self.heard(read_curve(path, expected=expected_angles(self.reflection), **reading))

    def heard(self, curve: Curve) -> tuple[Curve, Experiment]:
        """A curve and its experiment, with the wavelength of its file; the note says what its file says otherwise.

        Raises
        ------
        CurveError
            The file contradicts the claim.
        """
        reflection = self.reflection
        notes: list[str] = []
        if not self.despite:
            reflection, notes = self._at_wavelength_of(curve)
        found = contradictions(curve.stated, reflection, said=self.table is not None)
        if found and not self.despite:
            raise CurveError(f"{curve.source or 'the curve'}: {'; '.join(found)}; {DESPITE}")
        notes += [f"The file says otherwise: {each}." for each in found]
        noted = replace(curve, note=" ".join(each for each in (curve.note, *notes) if each)) if notes else curve
        return noted, Experiment(reflection, **self.described)

    def _at_wavelength_of(self, curve: Curve) -> tuple[Reflection, list[str]]:
        """The reflection with the wavelength of the file."""
        claimed, light = self.reflection, other_wavelength(curve.stated, self.reflection)
        if light is None:
            return claimed, []
        table = {"crystal": "GGG", "hkl": [4, 4, 4]} if self.table is None else self.table
        if "chi0" in table:
            raise CurveError(
                f"{curve.source or 'the curve'} was measured with {light:g} Å, and the susceptibilities are given for "
                f"{claimed.wavelength:g} Å; leave chi0 and chih out, or give those of {light:g} Å; {DESPITE}"
            )
        note = f"The wavelength is that of the file, {light:g} Å"
        if "wavelength" in table:
            note += f", and not {claimed.wavelength:g} Å, as was said"
        return Reflection.from_dict({**table, "wavelength": light}, self.where), [f"{note}."]


def other_wavelength(stated: Stated, reflection: Reflection) -> float | None:
    """The wavelength [Å] that a file states, where it is not that of a reflection."""
    light = stated.wavelength
    return light if light is not None and abs(light / reflection.wavelength - 1.0) > SAME_LINE else None


def contradictions(stated: Stated, reflection: Reflection, *, said: bool) -> list[str]:
    """What in a file cannot be of a reflection, each a part of a sentence.

    Parameters
    ----------
    stated : by the file.
    reflection : that is to be fitted.
    said : whether somebody chose it; the name of the material in the file may then be the sample's, and is not heeded.
    """
    found = []
    names = " ".join(each for each in (stated.material, hkl_text(stated.hkl)) if each)
    other = stated.hkl is not None and not _parallel(stated.hkl, reflection.hkl)
    if not said and (other or (stated.material and not _same_crystal(stated.material, reflection.crystal.name))):
        found.append(f"the file says {names}, and {reflection.title} is taken for granted; {_remedy(stated)}")
        return found
    if said and other:
        found.append(f"the file says {names}, not {written(reflection.hkl)}")
    expected = expected_angles(reflection)
    theta = math.degrees(reflection.theta_bragg)
    if stated.two_theta is not None and abs(stated.two_theta - 2.0 * theta) > 2.0 * FAR:
        found.append(_away("2θ", stated.two_theta, 2.0 * theta, reflection))
    elif stated.omega is not None and abs(stated.omega - expected[0]) > FAR and _unlike(stated.omega, theta):
        swapped = abs(stated.omega - 2.0 * theta) <= 2.0 * FAR
        hint = ": this is 2θ, say --axis 2theta" if swapped else ""
        found.append(_away("ω", stated.omega, expected[0], reflection) + hint)
    if found and not said:
        found.append("say which reflection it is with --crystal and --hkl")
    return found


def expected_angles(reflection: Reflection) -> tuple[float, float]:
    """Angles ω and 2θ [degrees] of the substrate peak."""
    return math.degrees(math.asin(reflection.beams[0])), 2.0 * math.degrees(reflection.theta_bragg)


def _unlike(omega: float, theta: float) -> bool:
    """Whether ω is not the Bragg angle either, to which goniometers are often set."""
    return abs(omega - theta) > FAR


def _away(name: str, value: float, expected: float, reflection: Reflection) -> str:
    return (
        f"its substrate peak lies at {name} = {value:.4g}°, that of {reflection.title} with "
        f"{reflection.wavelength:g} Å at {expected:.4g}°"
    )


def _parallel(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Whether indices are the same up to the symmetry of a cube."""
    return sorted(map(abs, one)) == sorted(map(abs, other))


def _same_crystal(material: str, name: str) -> bool:
    plain = [re.sub(r"[^a-z0-9]", "", each.lower()) for each in (material, name)]
    if plain[1] in plain[0] or plain[0] in plain[1]:
        return True
    try:
        return structure_of(material).name == name
    except ParameterError:
        return False


def _remedy(stated: Stated) -> str:
    crystal = "--crystal NAME"
    try:
        if stated.material:
            crystal = f"--crystal {structure_of(stated.material).name}"
    except ParameterError:
        pass
    hkl = hkl_text(stated.hkl).replace(" ", ",") or "HKL"
    return f"fit it with {crystal} --hkl {hkl}"
