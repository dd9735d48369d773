"""Instrument functions: what a diffractometer adds to a reflectivity, as the table of its parameters."""

import math
from dataclasses import dataclass, replace

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection


@dataclass(frozen=True, slots=True)
class InstrumentParameter:
    """One row of the table of an instrument.

    Parameters
    ----------
    name, label, unit : of the parameter, in programs and in tables.
    low, high : default limits of a fit.
    least, most : between which any limits must lie.
    doc : what it is.
    start : value with which a refinement begins that is given none; None for the middle of the limits.
    screened : value of the candidates that a search compares with a curve; None for the same.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    least: float
    most: float
    doc: str
    start: float | None = None
    screened: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The default ones."""
        return self.low, self.high

    def within(self, limits: tuple[float, float], value: float | None) -> float:
        """A value, or the middle, within limits."""
        low, high = limits
        return 0.5 * (low + high) if value is None else min(max(value, low), high)

    def check(self, limits: tuple[float, float]) -> None:
        """Refuse limits without meaning.

        Raises
        ------
        ParameterError
            They are not in order, or not within ``least`` and ``most``.
        """
        low, high = limits
        if not self.least <= low <= high <= self.most:
            raise ParameterError(
                f"the limits of {self.name}, {low:g} … {high:g}, must be in order and within {self.least:g} … "
                f"{self.most:g} {self.unit}"
            )


@dataclass(frozen=True)
class Instrument:
    """An instrument function.

    Attributes
    ----------
    name : of its shape, for a sentence.
    parameters : its table; the first one is its width, an FWHM.
    """

    name: str
    parameters: tuple[InstrumentParameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of its parameters."""
        return tuple(each.name for each in self.parameters)


START, SCREENED = 40.0, 45.0
"""FWHM [arcsec] of GGG 444 with which a refinement begins, and of the candidates of a search."""

ZERO = InstrumentParameter(
    "zero",
    "zero",
    "arcsec",
    -20.0,
    20.0,
    least=-36000.0,
    most=36000.0,
    doc="angle at which the substrate peak appears, of every measurement whatever its instrument",
)

FWHM = InstrumentParameter(
    "fwhm",
    "FWHM",
    "arcsec",
    20.0,
    120.0,
    least=0.1,
    most=3600.0,
    doc="full width at half maximum of the Gaussian",
    start=START,
    screened=SCREENED,
)

GAUSSIAN = Instrument("Gaussian", (FWHM,))
"""A convolution with a normal distribution, (R ∗ G)(θ − zero), of the standard deviation FWHM/√(8 ln 2)."""

NARROWEST = 5.0
"""FWHM [arcsec], the lower limit for reflections of whose diffractometer nothing is known."""


def dispersion(reflection: Reflection) -> float:
    """How much wider than GGG 444 a reflection is seen, at least 1: a spread of wavelengths grows with tanθ_B."""
    return max(1.0, math.tan(reflection.theta_bragg) / math.tan(GGG_444.theta_bragg))


def gaussian_of(reflection: Reflection) -> Instrument:
    """The Gaussian with limits and a start that suit a reflection; GAUSSIAN for GGG 444."""
    if (reflection.h0, reflection.wavelength) == (GGG_444.h0, GGG_444.wavelength):
        return GAUSSIAN
    wider = dispersion(reflection)
    width = replace(FWHM, low=NARROWEST, high=round(wider * FWHM.high), start=wider * START, screened=wider * SCREENED)
    return replace(GAUSSIAN, parameters=(width,))


def zero_of(step: float) -> tuple[float, float]:
    """Limits of the zero [arcsec] of a scan of this step: the highest point is the peak, to a step or to 20″."""
    reach = max(ZERO.high, step)
    return -reach, reach
