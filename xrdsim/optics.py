"""From the records of an experiment to what the recursion needs at each angle.

    exact    a = ½ h0/(1+ε) − ½ (k χ0/sinθ + 2k sinθ),       σ = ½ k C χh/sinθ,  C = 1 or |cos 2θ|
    linear   a = ½ [κ (angle − ε tanθ_B) + i k Im χ0/sinθ_B], σ = ½ k C χh/sinθ_B, κ = k sin 2θ_B/sinθ_B

with θ = θ_substrate − angle (``exact``), and, below the layer, the substrate's amplitude ratio A, the root with
|A| < 1 of σA² − 2aA + σ = 0 at ε = 0.
"""

import math
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim.crystal import Reflection
from xrdsim.errors import ParameterError
from xrdsim.kernels.reflectivity import BLOCK, OPTICS
from xrdsim.units import ARCSEC


class Convention(StrEnum):
    """``exact``: dynamical theory in full. ``linear``: the approximations of earlier simulators, for comparison."""

    EXACT = "exact"
    LINEAR = "linear"


class Optics(NamedTuple):
    """Coefficients of the recursion."""

    table: NDArray[np.float64]  # (blocks, OPTICS·BLOCK), rows as in kernels.reflectivity
    coupling: float  # of the strain, g = coupling·ε/(1 + ε) or coupling·ε [1/Å]
    wave: float  # largest |a| at ε = 0 over the angles [1/Å]


def monochromator_factor(reflection: Reflection, convention: Convention) -> float:
    """Default weight m of π against σ: |cos 2θ_B| of a perfect monochromator, in ``linear`` its square root."""
    factor = abs(math.cos(2.0 * reflection.theta_bragg))
    return factor if convention is Convention.EXACT else math.sqrt(factor)


def darwin_half_width(reflection: Reflection) -> float:
    """Half-width [arcsec] of the total reflection of the substrate, σ polarisation."""
    return abs(reflection.chih) / math.sin(2.0 * reflection.theta_bragg) / ARCSEC


def optics(angle: NDArray[np.float64], reflection: Reflection, convention: Convention) -> Optics:
    """Coefficients at the angles [arcsec].

    Raises
    ------
    ParameterError
        An angle lies outside 0 < θ < 90°.
    """
    k = reflection.k
    theta_b = reflection.theta_bragg
    if convention is Convention.EXACT:
        theta = reflection.theta_substrate - angle * ARCSEC
        if theta.min() <= 0.0 or theta.max() >= 0.5 * math.pi:
            raise ParameterError(
                f"angles {angle.min():g} … {angle.max():g} arcsec from the substrate peak at "
                f"{math.degrees(reflection.theta_substrate):.3f}° leave 0 … 90°; shorten the scan"
            )
        sine = np.sin(theta)
        f = 0.5 * (reflection.h0 - k * reflection.chi0 / sine - 2.0 * k * sine)
        sigmas = [0.5 * k * reflection.chih / sine * factor for factor in (1.0, np.abs(np.cos(2.0 * theta)))]
        coupling = 0.5 * reflection.h0
    else:
        sine_b = math.sin(theta_b)
        kappa = k * math.sin(2.0 * theta_b) / sine_b
        f = np.asarray(0.5 * (kappa * angle * ARCSEC - 1j * k * reflection.chi0.imag / sine_b), dtype=np.complex128)
        factors = (1.0, abs(math.cos(2.0 * theta_b)))
        chis = reflection.susceptibilities_linear
        sigmas = [np.full(angle.shape, 0.5 * k * c * chi / sine_b) for c, chi in zip(factors, chis, strict=True)]
        coupling = 0.5 * kappa * math.tan(theta_b)
    rows = [f]
    for sigma in sigmas:
        root = np.sqrt(f * f - sigma * sigma)
        plus, minus = (f + root) / sigma, (f - root) / sigma
        rows += [sigma, sigma * sigma, np.where(np.abs(plus) < np.abs(minus), plus, minus)]
    return Optics(_blocks(np.array(rows)), coupling, float(np.abs(f).max()))


def _blocks(rows: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Real and imaginary rows in blocks of BLOCK angles, the last padded with its last angle."""
    blocks = -(-rows.shape[1] // BLOCK)
    padded = np.pad(rows, ((0, 0), (0, blocks * BLOCK - rows.shape[1])), mode="edge")
    parts = np.stack([padded.real, padded.imag], axis=1).reshape(OPTICS, blocks, BLOCK)
    return np.ascontiguousarray(parts.transpose(1, 0, 2).reshape(blocks, OPTICS * BLOCK))
