"""From an experiment to the numbers with which the kernels of diffuse scattering compute."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.defects import Defects
from xrdsim.experiment.reflection import Reflection
from xrdsim.kernels.diffuse.curves import scatter_substrate
from xrdsim.kernels.diffuse.layer import Crowd
from xrdsim.kernels.diffuse.strength import Beams
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]

_WEAKEST = 60.0  # L of the substrate


def strength(defects: Defects, reflection: Reflection) -> float:
    """Hb: the Burgers vector in units of the spacing of the planes."""
    crystal = reflection.crystal
    return reflection.h0 / (2.0 * math.pi) * defects.vector(crystal.lattice, crystal.name)


def exponents(defects: Defects, reflection: Reflection) -> tuple[float, float]:
    """L of the layer where its strain is largest, and of the substrate; E = exp(−L)."""
    hb = strength(defects, reflection)
    layer = 0.0 if defects.layer is None else defects.layer.exponent(hb)
    return layer, sum(each.exponent(hb) for each in defects.substrate)


def weakened(defects: Defects, reflection: Reflection) -> float:
    """E of the substrate; a substrate whose L is larger than _WEAKEST diffracts nothing anyway."""
    return math.exp(-min(exponents(defects, reflection)[1], _WEAKEST))


def exponent_slopes(defects: Defects, reflection: Reflection) -> Array:
    """Derivatives of the L of each class over its density [1/cm³] and radius [Å], in the order of ``names``."""
    hb = strength(defects, reflection)
    values = []
    for each in defects.loops:
        per_density = 0.5e-24 * each.radius**3 * hb**1.5
        values += [per_density, 3.0 * each.exponent(hb) / each.radius]
    return np.array(values)


def wave(reflection: Reflection) -> float:
    """K sin2θ_B [1/Å], by which an angle is a distance t."""
    return reflection.k * math.sin(2.0 * reflection.theta_bragg)


def beams(defects: Defects, reflection: Reflection) -> tuple[Beams, Beams]:
    """Of σ and π polarisation."""
    theta, k, h = reflection.theta_bragg, reflection.k, reflection.h0 / (2.0 * math.pi)
    incident, diffracted = reflection.beams
    b = incident / diffracted
    crystal, nu = reflection.crystal, defects.poisson
    real, imaginary, absorbed = abs(crystal.coupling.real), abs(crystal.coupling.imag), crystal.chi0.imag
    hb, vector = strength(defects, reflection), defects.vector(crystal.lattice, crystal.name)
    first = 4.0 / 15.0 * (math.pi * vector) ** 2
    second = (3.0 * nu * nu + 6.0 * nu - 1.0) / (4.0 * (1.0 - nu) ** 2)
    cos2, sin2 = math.cos(theta) ** 2, math.sin(theta) ** 2
    upright = 1.0 if reflection.plain else reflection.normal[2]
    found = []
    for c in (1.0, max(abs(math.cos(2.0 * theta)), 1e-6)):
        found.append(
            Beams(
                absorption=k * absorbed,
                mean=0.25 * (1.0 + b) / incident,
                extinction=math.sqrt(b) / (k * c * real),
                g=absorbed * (math.sqrt(b) + 1.0 / math.sqrt(b)) / (2.0 * c * real),
                kappa=imaginary / real,
                scale=c * c * 0.25 * math.pi * (k * h * real) ** 2 * first,
                b2=1.0 + 0.5 * second * cos2,
                b3=second * (0.5 * cos2 - sin2),
                b4=second * (0.5 * cos2 - upright * upright),
                range=2.0 * math.pi / math.sqrt(hb),
                strength=0.5 * hb**1.5,
                cosine=incident,
                paths=defects.attenuation * (1.0 + b) / incident,
            )
        )
    return found[0], found[1]


def crowd(defects: Defects, reflection: Reflection) -> Crowd:
    """Loops of the layer; a radius of 0 for none."""
    layer, shift = defects.layer, wave(reflection) * reflection.angle_per_strain
    return Crowd(0.0, 0.0, shift) if layer is None else Crowd(layer.number, layer.radius, shift)


@dataclass(frozen=True, eq=False)
class Below:
    """Diffuse reflectivity (2, nodes) of the bare substrate, σ and π, and its derivatives (2, 2·classes, nodes)."""

    values: Array
    changes: Array


def below(angle: Array, defects: Defects, reflection: Reflection) -> Below:
    """Of the substrate at the angles [arcsec]; derivatives over densities [Å³] and radii [1/Å]."""
    return _below(angle.tobytes(), defects, reflection)


@lru_cache(maxsize=32)
def _below(angle_bytes: bytes, defects: Defects, reflection: Reflection) -> Below:
    t = np.frombuffer(angle_bytes) * (ARCSEC * wave(reflection))
    number = np.array([each.number for each in defects.substrate])
    radius = np.array([each.radius for each in defects.substrate])
    values, changes = np.zeros((2, len(t))), np.zeros((2, 2 * len(number), len(t)))
    e = weakened(defects, reflection)
    for each, out, slope in zip(beams(defects, reflection), values, changes, strict=True):
        scatter_substrate(t, number, radius, e, each, out, slope)
    return Below(values, changes)
