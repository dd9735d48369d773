"""Whether what a model leaves of a curve is noise: its structure, and where in the curve the rest is.

Residuals of a right model are independent, of variance 1. Two sums tell when they are not: that over neighbours,
√n·ρ₁ with ρ₁ = Σ rᵢrᵢ₊₁/Σ rᵢ² (the statistic of J. Durbin and G. S. Watson, Biometrika 37, 409, 1950, in other units),
and the sums sⱼ = Σ kᵢ₋ⱼ rᵢ over windows k with Σ k² = 1, of several widths at all places: the largest of them, a smooth
deviation that stands out of white noise, and the mean of sⱼ², a smooth deviation all along the curve, whose sum is
about χ² of as many degrees of freedom as windows fit in (E. B. Wilson and M. M. Hilferty, PNAS 17, 684, 1931, make it
normal).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import gammaln, xlogy

from xrdsim.experiment.instrument import dispersion
from xrdsim.experiment.reflection import strain_to_angle, stretch
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.unknowns import Array

CORRELATED = 3.5
"""Deviations of √n·ρ₁ beyond which residuals are no noise."""

SMOOTH = 5.0
"""Deviations of the largest smooth sum beyond which they are not: white noise of 1000 points reaches 4.5 in 0.3 %."""

ALONG = 3.5
"""Deviations of the mean of the squared sums."""

_WIDTHS = (1.5, 3.0, 6.0, 12.0, 24.0)  # standard deviations of the windows, in points
_FEWEST, _MANY = 1e-4, 1e3  # expected counts, between which the deviance of a point is that of no normal variate
_PEAK, _FOOT = 50.0, 150.0  # ends of the substrate peak and of its foot [arcsec] of GGG 444
_NAMED = 0.25  # of the excess, for a part to be named


@dataclass(frozen=True)
class Structure:
    """What is in residuals beside noise.

    Attributes
    ----------
    correlation, smooth, along : the statistics of the module, in standard deviations.
    where : angle [arcsec] of the largest smooth deviation.
    """

    correlation: float
    smooth: float
    along: float
    where: float

    @property
    def noise(self) -> bool:
        """Whether it may be noise."""
        return self.correlation <= CORRELATED and self.smooth <= SMOOTH and self.along <= ALONG


def structure_of(residual: Array, angle: Array) -> Structure:
    """Of residuals (n,) of unit variance at angles (n,)."""
    square = float((residual**2).sum())
    correlation = float((residual[1:] * residual[:-1]).sum()) / max(square, 1e-300) * np.sqrt(len(residual))
    largest, where, along = 0.0, float(angle[0]), 0.0
    for width in _WIDTHS:
        if 8.0 * width > len(residual):
            break
        share = np.zeros(len(residual))
        share[len(residual) // 2] = 1.0
        unit = np.sqrt((gaussian_filter1d(share, width, mode="constant") ** 2).sum())
        sums = np.abs(gaussian_filter1d(residual, width, mode="constant")) / unit
        windows = len(residual) / (np.sqrt(2.0 * np.pi) * width)
        share_of = 2.0 / (9.0 * windows)
        along = max(along, float((np.cbrt((sums**2).mean()) - (1.0 - share_of)) / np.sqrt(share_of)))
        at = int(sums.argmax())
        if sums[at] > largest:
            largest, where = float(sums[at]), float(angle[at])
    return Structure(float(correlation), largest, along, where)


def chi2_of_noise(expected: Array, freedom: float) -> tuple[float, float]:
    """Mean and standard deviation of the reduced χ², a deviance, of counts whose expectation is (n,).

    Few counts make the deviance of a point more or less than 1 in the mean, by up to 0.15 and down to 0, which no fit
    can change: it is summed over Poisson's distribution.
    """
    log, mean, square = _deviances()
    at = np.log(np.clip(expected, _FEWEST, _MANY))
    first, second = np.interp(at, log, mean), np.interp(at, log, square)
    lost = len(expected) - freedom  # what the unknowns take up
    return float((first.sum() - lost) / freedom), float(np.sqrt((second - first**2).sum()) / freedom)


@lru_cache(maxsize=1)
def _deviances() -> tuple[Array, Array, Array]:
    """Mean and mean square (m,) of the deviance of Poisson counts at ln of their expectation (m,)."""
    log = np.linspace(np.log(_FEWEST), np.log(_MANY), 200)
    mu, k = np.exp(log)[:, None], np.arange(int(_MANY + 10.0 * np.sqrt(_MANY)))
    share = np.exp(xlogy(k, mu) - mu - gammaln(k + 1.0))
    deviance = 2.0 * (mu - k + xlogy(k, k / mu))
    return log, (share * deviance).sum(axis=1), (share * deviance**2).sum(axis=1)


def parts_of(measured: Measurement, largest_strain: float) -> dict[str, tuple[float, float]]:
    """Parts of a curve by name: their first and last angle [arcsec]."""
    reflection = measured.experiment.reflection
    wide = dispersion(reflection)
    reach = max(strain_to_angle(largest_strain, reflection), _FOOT * wide) + _FOOT * max(1.0, stretch(reflection))
    return {
        "the compressed side": (-np.inf, -_FOOT * wide),
        "the foot of the peak": (-_FOOT * wide, -_PEAK * wide),
        "the substrate peak": (-_PEAK * wide, _PEAK * wide),
        "the foot of the peak on the side of the layer": (_PEAK * wide, _FOOT * wide),
        "the fringes": (_FOOT * wide, reach),
        "the far tail": (reach, np.inf),
    }


def rest_of(measured: Measurement, residual: Array, largest_strain: float) -> str:
    """Where what is left lies, for a sentence: the parts with most of the excess over noise, and how large it is."""
    excess, shares = 0.0, []
    for name, (low, high) in parts_of(measured, largest_strain).items():
        inside = (measured.angle >= low) & (measured.angle < high)
        if inside.any():
            over = float(np.maximum((residual[inside] ** 2).sum() - inside.sum(), 0.0))
            excess += over
            shares.append((over, name, float(np.sqrt((residual[inside] ** 2).mean()))))
    if excess <= 0.0:
        return ""
    named = [f"{name} ({rms:.2g} σ)" for over, name, rms in sorted(shares, reverse=True) if over >= _NAMED * excess]
    return " and ".join(named)
