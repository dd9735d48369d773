"""An instrument by the name of its shape, or by the file that holds it, and the second line of a tube."""

import math
from pathlib import Path

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import (
    GAUSSIAN,
    INSTRUMENTS,
    PEDESTAL,
    VOIGT,
    VOIGT_PEDESTAL,
    Doublet,
    Family,
    Instrument,
    behind,
    read_kernel,
    tabulated,
)
from xrdsim.experiment.notation import kalpha2_by
from xrdsim.experiment.reflection import Reflection
from xrdsim.observation.monochromator import rocking_curve
from xrdsim.units import ARCSEC

AUTO = "auto"
"""Names no shape: a core with both tails, of which the evidence leaves one, or none, where the curve shows no more."""

KALPHA2_RATIO = 0.5
"""Intensity of Kα2 by that of Kα1, as tubes radiate them: as 2 to 4 electrons of the shells that they come from."""


def shapes_of(named: str | Path | Instrument, reflection: Reflection) -> tuple[Instrument, tuple[Instrument, ...]]:
    """An instrument, and those that the evidence may choose instead.

    Parameters
    ----------
    named : an instrument; a shape; a file of a tabulated one; or ``auto`` for what the curve says.
    reflection : that of the sample, whose own rocking curve is that of the ``monochromator``.

    Raises
    ------
    ParameterError
        Neither a shape nor a file, or a file that cannot be read.
    """
    if named == AUTO:
        return VOIGT_PEDESTAL, (PEDESTAL, VOIGT, GAUSSIAN)
    if isinstance(named, Instrument):
        return named, ()
    text = str(named)
    if text == Family.MONOCHROMATOR:
        return behind(rocking_curve(reflection)), ()
    if text in tuple(INSTRUMENTS):
        return INSTRUMENTS[Family(text)], ()
    if not Path(text).is_file():
        shapes = ", ".join((AUTO, *INSTRUMENTS, Family.MONOCHROMATOR))
        raise ParameterError(f"instrument {text!r} is neither a shape nor a file; choose {shapes}, or a table's file")
    return tabulated(read_kernel(text)), ()


def doublet_of(reflection: Reflection, ratio: float = KALPHA2_RATIO) -> Doublet | None:
    """Kα2 of the tube, of this part of the intensity of Kα1; None for none of it.

    Raises
    ------
    ParameterError
        A ratio without meaning; the wavelength of the reflection is no Kα1.
    """
    if not 0.0 <= ratio <= 1.0:
        raise ParameterError(f"kalpha2 = {ratio:g} must lie within 0 … 1: the intensity of Kα2 by that of Kα1")
    if ratio == 0.0:
        return None
    longer, theta = kalpha2_by(reflection.wavelength), reflection.theta_bragg
    if longer is None or math.sin(theta) * longer >= 1.0:
        raise ParameterError(f"kalpha2: {reflection.wavelength:g} Å is no Kα1 with a Kα2 that diffracts; leave it out")
    return Doublet((math.asin(math.sin(theta) * longer) - theta) / ARCSEC, float(ratio))
