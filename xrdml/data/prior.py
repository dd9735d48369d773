"""The prior of a measurement: instruments, backgrounds, scans, counts, and how often the substrate peak is left out.

The fields that cards of earlier networks do not have stand for what these were trained with: Gaussian instruments,
constant backgrounds, and a peak that is always masked. ``WHOLE_CURVE`` is what networks learn from since.
"""

from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import Family
from xrdsim.limits import Json
from xrdsim.observation.resample import PEAK_MASK

FAMILIES = (Family.GAUSSIAN, Family.VOIGT, Family.PEDESTAL, Family.VOIGT_PEDESTAL)
"""Shapes of instruments that are drawn, in the order of ``Measurement.families``."""

_SHARES = ("covered", "sloped", "humped", "masked")
_POSITIVE = ("fwhm", "scale", "background", "counts", "step", "tail_fwhm", "hump", "hump_width")
_NOT_NEGATIVE = ("lorentz", "tail_share", "peak_mask")

Range = tuple[float, float]


@dataclass(frozen=True)
class Measurement:
    """Prior of a measurement; each range is (low, high).

    Parameters
    ----------
    fwhm : of the Gaussian core of the instrument [arcsec], uniform.
    scale, background : intensity = scale · R + background; log-uniform.
    zero : angle of the substrate peak [arcsec], uniform.
    counts : counts at R = 1, log-uniform; the noise is Poisson's.
    start, end : first and last angle of the scan [arcsec], uniform; scans end within the window, and what they have
        before it is not looked at.
    step : of the scan [arcsec], uniform.
    covered : share of the scans that are measured on to where the largest strain diffracts and
        ``xrdml.data.drawing.COVER`` further; the others end anywhere.
    peak_mask : half-width [arcsec] of the region around the substrate peak that is not used, uniform; one number is
        that of all.
    masked : share of the curves whose peak is not used.
    families : weights of the ``FAMILIES`` of instruments.
    lorentz : FWHM of the Lorentzian [arcsec], uniform.
    tail_share, tail_fwhm : of the pedestal: part of the area, uniform, and FWHM [arcsec], log-uniform.
    sloped : share of the curves whose background has a slope.
    slope : change of the background from 0 to the end of the window, in parts of it, uniform.
    humped : share of the curves with diffuse scattering H/(1 + ((angle − c)/w)²), c uniform between 0 and the angle of
        the largest strain.
    hump, hump_width : H in the unit of the background and w [arcsec], log-uniform.

    Raises
    ------
    ParameterError
        A range that is empty or has no meaning.
    """

    fwhm: Range = (25.0, 80.0)
    scale: Range = (0.3, 2.0)
    background: Range = (5e-5, 5e-4)
    zero: Range = (-8.0, 8.0)
    counts: Range = (1e5, 1e6)
    start: Range = (-150.0, -50.0)
    end: Range = (900.0, 2732.4)
    step: Range = (2.0, 10.0)
    covered: float = 0.5
    peak_mask: Range | float = PEAK_MASK
    masked: float = 1.0
    families: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    lorentz: Range = (0.0, 15.0)
    tail_share: Range = (0.0, 0.15)
    tail_fwhm: Range = (60.0, 250.0)
    sloped: float = 0.0
    slope: Range = (-0.7, 0.7)
    humped: float = 0.0
    hump: Range = (1e-5, 5e-4)
    hump_width: Range = (200.0, 1000.0)

    def __post_init__(self) -> None:
        if isinstance(self.peak_mask, float | int):
            object.__setattr__(self, "peak_mask", (self.peak_mask, self.peak_mask))
        for field in fields(self):
            name = field.name
            if name == "families" or name in _SHARES:
                continue
            low, high = (float(value) for value in getattr(self, name))
            object.__setattr__(self, name, (low, high))
            rule = {"": -np.inf, "positive and ": 5e-324, "at least 0 and ": 0.0}
            kind = "positive and " if name in _POSITIVE else "at least 0 and " if name in _NOT_NEGATIVE else ""
            if not (np.isfinite([low, high]).all() and rule[kind] <= low <= high):
                raise ParameterError(f"the measurement's {name} is {low:g} … {high:g}; it must be {kind}low ≤ high")
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(f"the measurement's {name} = {getattr(self, name):g} must lie within 0 … 1")
        object.__setattr__(self, "families", tuple(float(each) for each in self.families))
        if len(self.families) != len(FAMILIES) or not (min(self.families) >= 0.0 and 0.0 < sum(self.families) < np.inf):
            raise ParameterError(
                f"the measurement's families are {self.families}; they must be the weights of {', '.join(FAMILIES)}"
            )
        if not self.start[1] < self.end[0]:
            raise ParameterError(
                f"scans must start ({self.start[1]:g} at most) before they end ({self.end[0]:g} at least)"
            )
        if not max(abs(end) for end in self.slope) < 1.0 or not self.tail_share[1] < 1.0:
            raise ParameterError("the measurement's slope and tail_share must be below 1")

    @property
    def contrast(self) -> Range:
        """Lowest and highest background in units of the scale, which no unit of the intensity changes."""
        return self.background[0] / self.scale[1], self.background[1] / self.scale[0]

    @property
    def always_masked(self) -> float:
        """Half-width [arcsec] about the peak that no curve shows; 0 where some curves are whole."""
        return self.mask[0] if self.masked == 1.0 else 0.0

    @property
    def mask(self) -> Range:
        """``peak_mask`` as a range."""
        assert isinstance(self.peak_mask, tuple)
        return self.peak_mask

    @property
    def gaussian(self) -> bool:
        """Whether all instruments are Gaussians."""
        return not any(self.families[1:])

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Json) -> Self:
        """Inverse of ``to_dict``; what an earlier card lacks is what its network was trained with.

        Raises
        ------
        ParameterError
            An unknown field, or a value without meaning.
        """
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"the measurement {values} is malformed: {error}") from error


WHOLE_CURVE = Measurement(
    background=(1e-6, 5e-4),
    counts=(1e4, 1e7),
    start=(-600.0, -50.0),
    peak_mask=(20.0, 60.0),
    masked=0.25,
    families=(0.25, 0.25, 0.25, 0.25),
    sloped=0.25,
    humped=0.25,
)
"""Whole curves, peak and compressed side, as the diffractometers of a laboratory give them."""
