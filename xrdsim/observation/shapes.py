"""An instrument by the name of its shape, or by the file that holds it."""

from pathlib import Path

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import (
    GAUSSIAN,
    INSTRUMENTS,
    PEDESTAL,
    VOIGT,
    VOIGT_PEDESTAL,
    Family,
    Instrument,
    behind,
    read_kernel,
    tabulated,
)
from xrdsim.experiment.reflection import Reflection
from xrdsim.observation.monochromator import rocking_curve

AUTO = "auto"
"""Names no shape: a core with both tails, of which the evidence leaves one, or none, where the curve shows no more."""


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
