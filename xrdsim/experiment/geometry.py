"""How a beam meets the surface and leaves it; the rocking axis is normal to the plane of diffraction.

In the frame whose z axis is the reciprocal lattice vector h, with the plane of diffraction as xz plane, the incident
wave vector is k(cosθ, 0, −sinθ), θ the glancing angle to the lattice planes, and n the outward normal of the surface.
The tangential part of a wave vector is kept on the way through the surface:

    γ0 = sinθ n_z − cosθ n_x,   h_n = |h| n_z,   h_t = h − n h_n,   k_t = k0 + n k γ0,   γh = √(1 − |k_t + h_t|²/k²)

Strain along the normal changes h_n alone, to h_n/(1 + ε). The last equation is γh² = (h_n/k − γ0)² + 2(|h|/k) sinθ −
|h|²/k², from which follows the angle at which γ0 + γh = s:

    A sinθ − B cosθ = s² + (|h|² − h_n²)/k²,   A = 2(s − h_n/k) n_z + 2|h|/k,   B = 2(s − h_n/k) n_x

Angles in rad unless they say otherwise.
"""

import math
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Vector = tuple[float, float, float]

_STEP = 1e-6  # rad of a central difference


class Geometry(StrEnum):
    """Whether the lattice planes are parallel to the surface, and if not, on which side the beam grazes it."""

    SYMMETRIC = "symmetric"
    INCIDENCE = "grazing-incidence"
    EXIT = "grazing-exit"


class Passage(NamedTuple):
    """Through the surface at angles θ (m,): cosines γ0, γh of the angles to the normal, and |cos| between the waves.

    ``seen`` tells where both waves are above the surface; elsewhere the cosines are those of a beam that just is.
    """

    incident: Array
    diffracted: Array
    polarisation: Array
    seen: NDArray[np.bool_]


def normal(psi: float, geometry: Geometry, miscut: float, azimuth: float) -> Vector:
    """Normal n of a surface, whose nominal one is inclined by ψ to h.

    Parameters
    ----------
    psi : inclination of the lattice planes to the nominal surface.
    geometry : on which side.
    miscut : angle of the surface to the nominal one.
    azimuth : of the direction in which its normal leans, from the plane of diffraction; 0 makes the incidence grazing.
    """
    lean = -psi if geometry is Geometry.EXIT else psi
    along, across = math.sin(miscut) * math.cos(azimuth), math.sin(miscut) * math.sin(azimuth)
    upright = math.cos(miscut)
    x = upright * math.sin(lean) + along * math.cos(lean)
    z = upright * math.cos(lean) - along * math.sin(lean)
    return x, across, z


def passage(theta: Array, n: Vector, k: float, h: float) -> Passage:
    """The beam through a surface of normal n at the glancing angles θ (m,); k and h in 1/Å."""
    x, y, z = n
    sine, cosine = np.sin(theta), np.cos(theta)
    incident = sine * z - cosine * x
    # k_t + h_t in units of k, then what is left for the normal component
    normal_part = h * z / k
    tangential = (
        cosine + x * incident - x * normal_part,
        y * incident - y * normal_part,
        -sine + z * incident + h / k - z * normal_part,
    )
    square = 1.0 - sum(each * each for each in tangential)
    seen = (incident > 0.0) & (square > 0.0)
    incident = np.where(seen, incident, _LEAST)
    diffracted = np.sqrt(np.where(seen, square, _LEAST * _LEAST))
    out = [each + component * diffracted for each, component in zip(tangential, n, strict=True)]
    return Passage(incident, diffracted, np.abs(cosine * out[0] - sine * out[2]), seen)


_LEAST = 0.02  # cosine that stands for a wave below the surface, whose reflectivity is 0


def turning(theta: float, n: Vector, k: float, h: float) -> float:
    """d(γ0 + γh)/dθ, by which the phase of a layer changes with the angle."""
    at = passage(np.array([theta - _STEP, theta + _STEP]), n, k, h)
    total = at.incident + at.diffracted
    return float(total[1] - total[0]) / (2.0 * _STEP)


def glancing(total: Array, n: Vector, k: float, h: float) -> Array:
    """Angle θ at which γ0 + γh is ``total``, (m,); NaN where there is none.

    The inverse of ``passage`` where both waves are above the surface and the sum rises with θ, as it does at the Bragg
    angle.
    """
    x, _, z = n
    length = h / k
    excess = 2.0 * (total - length * z)
    along, across = excess * z + 2.0 * length, excess * x
    with np.errstate(invalid="ignore"):
        steep = np.arcsin((total**2 + length**2 * (1.0 - z * z)) / np.hypot(along, across))
    return np.asarray(steep + np.arctan2(across, along))
