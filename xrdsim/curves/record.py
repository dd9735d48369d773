"""The record of a measured rocking curve.

It has one axis, the angle from the substrate peak, positive toward lower glancing angle, the side of the expanded
lattice.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.curves.jumps import Jumps
from xrdsim.curves.stated import Stated
from xrdsim.errors import ParameterError

LARGEST = 1e30
"""Intensity, and intensity of one count; the smallest is its inverse."""


class LeftOut(StrEnum):
    """Why a point of a file is not fitted."""

    MASK = "mask"
    SIDE = "compressed side"
    EXCLUDED = "excluded"
    SATURATED = "saturated"
    EDITED = "edited"
    REACH = "beyond the reach of strain"
    OUTLIER = "single point that stands out"
    NEGATIVE = "negative"


Aside = tuple[float, float, LeftOut]
"""Angle [arcsec] and intensity of a point that is not in the arrays of a curve, and why."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One measured rocking curve; its arrays are read-only.

    Parameters
    ----------
    angle : (n,) angle from the substrate peak [arcsec], ascending, positive toward lower glancing angle.
    intensity : (n,) intensity in the unit of the file.
    peak_index : index of the substrate peak in both arrays.
    source : path of the file.
    note : one sentence: what the reader took the file for.
    per_count, offset : intensity = per_count · (counts + offset). ``per_count`` is a number, (n,) where an attenuator
        or the counting time changed within the scan, or None where it is unknown.
    stated : what the file says of its measurement.
    jumps : angle [arcsec] and factor of steps that an attenuator leaves.
    aside : points of the file that were not taken, and why.

    Raises
    ------
    ParameterError
        ``per_count`` or ``offset`` has no meaning.
    """

    angle: NDArray[np.float64]
    intensity: NDArray[np.float64]
    peak_index: int
    source: str = ""
    note: str = ""
    per_count: float | NDArray[np.float64] | None = None
    offset: float = 0.0
    stated: Stated = field(default_factory=Stated)
    jumps: Jumps = ()
    aside: tuple[Aside, ...] = ()

    def __post_init__(self) -> None:
        for name in ("angle", "intensity"):
            column = np.array(getattr(self, name), dtype=np.float64)
            column.setflags(write=False)
            object.__setattr__(self, name, column)
        check_counting(self.per_count, self.offset)
        if self.per_count is not None:
            unit = np.array(self.per_count, dtype=np.float64)
            if unit.ndim and unit.shape != self.intensity.shape:
                raise ParameterError(f"{unit.size} values of per_count do not belong to {self.intensity.size} points")
            unit.setflags(write=False)
            alike = unit.size > 0 and np.all(unit == unit.flat[0])
            object.__setattr__(self, "per_count", float(unit.flat[0]) if alike else unit)

    @property
    def counts(self) -> NDArray[np.float64] | None:
        """(n,) counts of the detector; None where ``per_count`` is unknown."""
        return None if self.per_count is None else self.intensity / self.per_count - self.offset

    @property
    def step(self) -> float:
        """Median distance of neighbouring points [arcsec]."""
        return float(np.median(np.diff(self.angle)))


def check_counting(per_count: ArrayLike | None, offset: float) -> None:
    """Refuse what no count can be."""
    if per_count is not None and not np.all(
        (np.asarray(per_count) >= 1.0 / LARGEST) & (np.asarray(per_count) <= LARGEST)
    ):
        raise ParameterError(f"per_count is {per_count}; the intensity of one count must be positive and finite")
    if not abs(offset) <= LARGEST:
        raise ParameterError(f"the offset is {offset} counts; it must be finite")
