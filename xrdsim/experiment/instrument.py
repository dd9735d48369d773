"""Instrument functions: what a diffractometer adds to a reflectivity, as the table of its parameters.

All have unit area and act as I(x) = ∫ K(t) R(x − t) dt, t > 0 towards larger angles. G is a Gaussian and L a Lorentzian
of unit area, w are full widths at half maximum [arcsec].

==================  ====================================================================================
gaussian            G(w)
voigt               G(w) ∗ L(w_L): the tail of a spread of wavelengths
pedestal            (1 − f)·G(w) + f·G(w) ∗ G(w_t): a weak wide foot, as of a mosaic or of air scattering
voigt-pedestal      both tails: G(w) ∗ L(w_L) ∗ [(1 − f)·δ + f·G(w_t)]
pseudo-voigt        (1 − η)·G(w) + η·L(w)
split-pseudo-voigt  the same with w and η of each side, of one height at 0
monochromator       G(w) ∗ M, M(t) = R_M(−t)/∫R_M the rocking curve of the monochromator's crystal, mirrored
tabulated           a measured or computed K, linear between its points
==================  ====================================================================================

A beam with Kα2 beside Kα1 shows a second curve, r times as strong, at larger ω by δ: I(x) = C(x) + r·C(x + δ), since x
counts against ω; sin(θ_B + δ) = sinθ_B·λ2/λ1, nearly δ = tanθ_B·Δλ/λ.
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.limits import Json

Array = NDArray[np.float64]


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


class Family(StrEnum):
    """Shapes of instrument functions; the formulas are those of the module."""

    GAUSSIAN = "gaussian"
    VOIGT = "voigt"
    PEDESTAL = "pedestal"
    VOIGT_PEDESTAL = "voigt-pedestal"
    PSEUDO_VOIGT = "pseudo-voigt"
    SPLIT_PSEUDO_VOIGT = "split-pseudo-voigt"
    MONOCHROMATOR = "monochromator"
    TABULATED = "tabulated"


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function of the angle by its values, of unit area.

    Attributes
    ----------
    angle, weight : (n,) [arcsec], ascending, and values [1/arcsec] between which it is linear.
    source : where it comes from, for a sentence.
    """

    angle: Array
    weight: Array
    source: str = ""

    def __post_init__(self) -> None:
        x, y = (np.array(each, dtype=np.float64) for each in (self.angle, self.weight))
        if x.ndim != 1 or x.shape != y.shape or len(x) < 3 or not np.isfinite([x, y]).all():
            raise ParameterError(f"{self.source or 'a kernel'} needs two columns of at least 3 finite numbers")
        if np.any(np.diff(x) <= 0.0):
            raise ParameterError(f"the angles of {self.source or 'a kernel'} must rise from line to line")
        area = float(np.trapezoid(y, x))
        if not (y.min() >= 0.0 and area > 0.0):
            raise ParameterError(f"the weights of {self.source or 'a kernel'} must not be negative, nor all 0")
        for name, values in (("angle", x), ("weight", y / area)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @property
    def fwhm(self) -> float:
        """Full width at half of its maximum [arcsec]."""
        high = np.flatnonzero(self.weight >= 0.5 * self.weight.max())
        return float(max(self.angle[high[-1]] - self.angle[high[0]], np.diff(self.angle).min()))


@dataclass(frozen=True)
class Doublet:
    """A second line of the tube, beside that of the reflection.

    Attributes
    ----------
    shift : δ of the module [arcsec].
    ratio : r, its intensity by that of the first.
    """

    shift: float
    ratio: float


@dataclass(frozen=True)
class Instrument:
    """An instrument function.

    Attributes
    ----------
    name : of its shape, for a sentence.
    parameters : its table; the first one is its width, an FWHM, where it has one.
    family : its shape.
    kernel : of the tabulated, or of the monochromator's crystal; None of the others.
    doublet : Kα2 in the beam, or None.
    """

    name: str
    parameters: tuple[InstrumentParameter, ...]
    family: Family = Family.GAUSSIAN
    kernel: Kernel | None = field(default=None, compare=False)
    doublet: Doublet | None = None

    @property
    def plain(self) -> bool:
        """Whether it is a Gaussian and nothing else."""
        return self.family is Family.GAUSSIAN and self.doublet is None

    @property
    def names(self) -> tuple[str, ...]:
        """Of its parameters."""
        return tuple(each.name for each in self.parameters)

    def to_dict(self) -> Json:
        """Its shape, the points of a kernel, and a doublet; not its limits."""
        table: Json = {"family": str(self.family)}
        if self.doublet is not None:
            table["kalpha2"] = {"shift": self.doublet.shift, "ratio": self.doublet.ratio}
        if self.kernel is None:
            return table
        points = {"angle": self.kernel.angle.tolist(), "weight": self.kernel.weight.tolist()}
        return {**table, **points, "source": self.kernel.source}

    @classmethod
    def from_dict(cls, table: Json) -> "Instrument":
        """Inverse of ``to_dict``.

        Raises
        ------
        ParameterError
            An unknown shape, or a kernel without meaning.
        """
        try:
            family = Family(table["family"])
        except (KeyError, ValueError):
            raise ParameterError(f"instrument {table.get('family')!r} is unknown; choose {', '.join(Family)}") from None
        doublet = None if table.get("kalpha2") is None else Doublet(**table["kalpha2"])
        if family not in (Family.TABULATED, Family.MONOCHROMATOR):
            return replace(INSTRUMENTS[family], doublet=doublet)
        kernel = Kernel(np.array(table["angle"]), np.array(table["weight"]), table.get("source", ""))
        return replace(tabulated(kernel) if family is Family.TABULATED else behind(kernel), doublet=doublet)

    def narrowest(self, limits: tuple[tuple[float, float], ...]) -> float:
        """Least FWHM [arcsec] within limits of its parameters."""
        if self.family is Family.TABULATED and self.kernel is not None:
            return self.kernel.fwhm
        widths = [low for each, (low, _) in zip(self.parameters, limits, strict=True) if each.name.startswith("fwhm")]
        return min(widths)


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

LORENTZ = InstrumentParameter(
    "lorentz",
    "Lorentzian FWHM",
    "arcsec",
    0.0,
    60.0,
    least=0.0,
    most=3600.0,
    doc="full width at half maximum of the Lorentzian",
    start=5.0,
    screened=5.0,
)

SHARE = InstrumentParameter(
    "tail_share",
    "share of the tail",
    "",
    0.0,
    0.6,
    least=0.0,
    most=0.95,
    doc="part of the area of the instrument function that is its tail",
    start=0.05,
    screened=0.05,
)

TAIL = InstrumentParameter(
    "tail_fwhm",
    "FWHM of the tail",
    "arcsec",
    60.0,
    400.0,
    least=1.0,
    most=36000.0,
    doc="full width at half maximum of the Gaussian that makes the tail from the core",
    start=110.0,
    screened=110.0,
)

GAUSSIAN = Instrument("Gaussian", (FWHM,))
"""A convolution with a normal distribution, (R ∗ G)(θ − zero), of the standard deviation FWHM/√(8 ln 2)."""

VOIGT = Instrument("Voigt", (FWHM, LORENTZ), Family.VOIGT)
PEDESTAL = Instrument("core and pedestal", (FWHM, SHARE, TAIL), Family.PEDESTAL)
VOIGT_PEDESTAL = Instrument("Voigt and pedestal", (FWHM, LORENTZ, SHARE, TAIL), Family.VOIGT_PEDESTAL)

ETA = replace(
    SHARE,
    name="eta",
    label="η",
    low=0.0,
    high=1.0,
    most=1.0,
    doc="Lorentzian part of the area",
    start=0.2,
    screened=0.2,
)
PSEUDO_VOIGT = Instrument("pseudo-Voigt", (FWHM, ETA), Family.PSEUDO_VOIGT)
SPLIT_PSEUDO_VOIGT = Instrument(
    "split pseudo-Voigt",
    tuple(
        replace(each, name=f"{each.name}_{side}", label=f"{each.label} {where}", doc=f"{each.doc}, {where}")
        for side, where in (("low", "below 0"), ("high", "above 0"))
        for each in (FWHM, ETA)
    ),
    Family.SPLIT_PSEUDO_VOIGT,
)

INSTRUMENTS = {
    each.family: each for each in (GAUSSIAN, VOIGT, PEDESTAL, VOIGT_PEDESTAL, PSEUDO_VOIGT, SPLIT_PSEUDO_VOIGT)
}
"""By shape, those that need nothing beside their parameters."""


def tabulated(kernel: Kernel) -> Instrument:
    """A function that was measured or computed."""
    return Instrument(f"tabulated ({kernel.source})" if kernel.source else "tabulated", (), Family.TABULATED, kernel)


def behind(kernel: Kernel) -> Instrument:
    """A Gaussian core behind a monochromator of this rocking curve."""
    return Instrument(f"monochromator ({kernel.source}) and core", (FWHM,), Family.MONOCHROMATOR, kernel)


def read_kernel(path: str | Path) -> Kernel:
    """A tabulated function: two columns of angle [arcsec] and weight, such as the scan of a wafer without a layer.

    The mean of its angles stays where it is: an offset is one of the zero of angle.

    Raises
    ------
    ParameterError
        The file cannot be read, or is no such table.
    """
    try:
        columns = np.loadtxt(path, comments="#", delimiter=None, ndmin=2, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ParameterError(f"{path} cannot be read as two columns of angle and weight: {error}") from error
    if columns.shape[1] != 2:
        raise ParameterError(f"{path} has {columns.shape[1]} columns; give two, angle in arcsec and weight")
    return Kernel(columns[:, 0], columns[:, 1], str(path))


NARROWEST = 5.0
"""FWHM [arcsec], the lower limit for reflections of whose diffractometer nothing is known."""


def dispersion(reflection: Reflection) -> float:
    """How much wider than GGG 444 a reflection is seen, at least 1: a spread of wavelengths grows with tanθ_B."""
    return max(1.0, math.tan(reflection.theta_bragg) / math.tan(GGG_444.theta_bragg))


def suited(instrument: Instrument, reflection: Reflection) -> Instrument:
    """The same with limits and starts of its widths that suit a reflection; the same for GGG 444."""
    if (reflection.h0, reflection.wavelength) == (GGG_444.h0, GGG_444.wavelength):
        return instrument
    wider = dispersion(reflection)
    return replace(instrument, parameters=tuple(_suited(each, wider) for each in instrument.parameters))


def _suited(parameter: InstrumentParameter, wider: float) -> InstrumentParameter:
    if parameter.unit != "arcsec":
        return parameter
    low = NARROWEST if parameter.low == FWHM.low else parameter.low
    high = round(wider * parameter.high)
    start, screened = (None if each is None else wider * each for each in (parameter.start, parameter.screened))
    return replace(parameter, low=low, high=high, start=start, screened=screened)


def gaussian_of(reflection: Reflection) -> Instrument:
    """The Gaussian with limits and a start that suit a reflection; GAUSSIAN for GGG 444."""
    return suited(GAUSSIAN, reflection)


def zero_of(step: float) -> tuple[float, float]:
    """Limits of the zero [arcsec] of a scan of this step: the highest point is the peak, to a step or to 20″."""
    reach = max(ZERO.high, step)
    return -reach, reach
