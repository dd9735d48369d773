"""The angles at which a curve is simulated."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.files import read_table
from xrdsim.limits import Json

MOST_POINTS, RIGHT_ANGLE = 2_000_000, 324000.0
"""Of a scan: number of points, and angle [arcsec] from the substrate peak."""


@dataclass(frozen=True)
class Scan:
    """Equidistant angles, θ_substrate − θ, rising toward the expanded lattice.

    Parameters
    ----------
    start, step : first angle and spacing [arcsec], step > 0.
    points : number of angles.
    """

    start: float = -20 * 4.018235972
    step: float = 4.018235972
    points: int = 701

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.step) and self.step > 0.0 and self.points >= 1):
            raise ParameterError(f"a scan needs a finite start, a positive step and at least one point; got {self}")
        if self.points > MOST_POINTS:
            raise ParameterError(f"a scan of {self.points:g} points is too long; it may have {MOST_POINTS:g}")
        if not (abs(self.start) <= RIGHT_ANGLE and abs(self.last) <= RIGHT_ANGLE):
            raise ParameterError(
                f"a scan from {self.start:g}″ to {self.last:g}″ leaves ±{RIGHT_ANGLE:g}″, a right angle"
            )

    @property
    def angle(self) -> NDArray[np.float64]:
        """The angles [arcsec], (points,)."""
        return self.start + self.step * np.arange(self.points, dtype=np.float64)

    @property
    def last(self) -> float:
        """The last angle [arcsec]."""
        return self.start + self.step * (self.points - 1)

    def extended(self, margin: float) -> "Scan":
        """The same grid continued by at least ``margin`` [arcsec] at both ends."""
        extra = math.ceil(margin / self.step)
        return Scan(self.start - extra * self.step, self.step, self.points + 2 * extra)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read the table ``[scan]`` of a TOML file.

        Raises
        ------
        ParameterError
            The file cannot be read, a key is missing, unknown or of the wrong form.
        """
        table = read_table(path, "scan")
        try:
            points = table.pop("points")
            if type(points) is not int:
                raise ParameterError(f"points = {points!r} must be a whole number")
            return cls(float(table.pop("start")), float(table.pop("step")), points, **table)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ParameterError(f"{path}: [scan] needs start, step and points as numbers: {error}") from error

    def to_dict(self) -> Json:
        """Plain values for JSON and TOML."""
        return asdict(self)


DEFAULT_SCAN = Scan()
"""701 points of 4.018″ from −80.4″ to 2732.4″: strains up to 0.0277."""

WHOLE_SCAN = Scan(DEFAULT_SCAN.start - 80 * DEFAULT_SCAN.step, DEFAULT_SCAN.step, DEFAULT_SCAN.points + 80)
"""The same from −401.8″ on: with the compressed side of the substrate peak."""
