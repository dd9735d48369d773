"""From a strain profile to the steps of the recursion: fixed layers, or a continuum with controlled error.

A step of thickness h needs the means of g(ε) and of the damage factor E over its two Gauss points and the coefficients
of the Magnus correction c = (√3/6) h² (a_upper σ_lower − a_lower σ_upper) = σ₀(αf + β), with a = f − g and σ = σ₀E.
Fixed layers take the strain of their middle, for which c = 0; thick ones are several equal steps.

Continuum: the depth is cut where the profile has a kink or changes its scale, and each segment into equal steps that
keep three dimensionless numbers below the limits in ``Accuracy``: the phase |a|h, the change
of phase by the slope √|a'|·h and by the curvature ∛|a''|·h.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.profiles.stage import depth_end, edge, factor, own_factor, peak, segments, strain

GAUSS = math.sqrt(3.0) / 6.0
PROBES = 24


class Accuracy(NamedTuple):
    """Limits on a step. ``layers`` > 0 asks for fixed layers of this thickness [Å] instead."""

    layers: float
    phase: float
    slope: float
    curvature: float
    lowest: float  # a at ε = 0, real part, at either end of the scan [1/Å]
    highest: float
    thickest: float  # step [Å] up to which the correction for σ is accurate


class Layer(NamedTuple):
    """The strained layer: how strain enters a, and whether there is damage.

    g(ε) = coupling·ε/(1 + ε) (``exact``) or coupling·ε; ``damaged``: the last two parameters are those of the damage,
    whose factor E is that of the profile to the power ``power``; ``loops`` >= 0: the parameter of this number is L of
    loops where the strain is largest, whose factor is exp(−L ε/ε_max); ``own`` > 0: E is a function of depth, and so
    many parameters, the last ones, are its coefficients.
    """

    coupling: float
    exact: bool
    damaged: bool
    power: float
    loops: int = -1
    own: int = 0


class Steps(NamedTuple):
    """Workspace of one thread: coefficients of up to as many steps as the largest sample needs."""

    h: NDArray[np.float64]
    g: NDArray[np.float64]
    e: NDArray[np.float64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]


@jit
def shift(eps, layer):
    """g(ε): how far a layer's reflection moves, in units of a [1/Å]."""
    if layer.exact:
        return layer.coupling * eps / (1.0 + eps)
    return layer.coupling * eps


@jit
def damaged_to(e, layer):
    """The static Debye–Waller factor of this reflection, E to its power."""
    return e if layer.power == 1.0 else e**layer.power


@jit
def varies(layer):
    """Whether the static Debye–Waller factor changes with depth."""
    return layer.damaged or layer.loops >= 0


@jit
def segment_count(a, b, p, profile, layer, accuracy):
    """Number of equal steps that the segment from a to b needs."""
    width = b - a
    if width <= 0.0:
        return 0
    d = width / PROBES
    slope = 0.0
    curvature = 0.0
    wave = 0.0
    g1 = 0.0
    g2 = 0.0
    for i in range(PROBES):
        g = shift(strain(profile, a + (i + 0.5) * d, p), layer)
        wave = max(wave, accuracy.highest - g, g - accuracy.lowest)
        if i > 0:
            slope = max(slope, abs(g - g1))
        if i > 1:
            curvature = max(curvature, abs(g - 2.0 * g1 + g2))
        g2 = g1
        g1 = g
    need = max(1.0 / accuracy.thickest, wave / accuracy.phase, math.sqrt(slope / d) / accuracy.slope)
    need = max(need, (curvature / (d * d)) ** (1.0 / 3.0) / accuracy.curvature)
    return max(1, math.ceil(width * need))


@jit
def count_steps(p, profile, layer, accuracy, counts):
    """Number of steps of one sample; counts[s] of each segment (fixed layers: all in counts[0])."""
    counts[:] = 0
    if accuracy.layers > 0.0:
        layers = 0
        while strain(profile, (layers + 0.5) * accuracy.layers, p) > profile.floor:
            layers += 1
        counts[0] = layers * math.ceil(accuracy.layers / accuracy.thickest)
        return counts[0]
    end = depth_end(profile, p)
    total = 0
    for s in range(segments(profile)):
        counts[s] = segment_count(edge(profile, s, p, end), edge(profile, s + 1, p, end), p, profile, layer, accuracy)
        total += counts[s]
    return total


@jit
def factor_at(profile, layer, z, eps, top, p):
    """The static Debye–Waller factor of a damaged layer at the depth z, where the strain is ``eps``."""
    if layer.own > 0:
        return damaged_to(own_factor(profile, z, p), layer)
    return damaged_to(factor(profile, eps, top, p), layer)


@jit
def _fill(k, h, above, below, upper, lower, p, top, profile, layer, steps):
    g_upper = shift(upper, layer)
    g_lower = shift(lower, layer)
    e_upper = 1.0
    e_lower = 1.0
    if layer.damaged:
        e_upper = factor_at(profile, layer, above, upper, top, p)
        e_lower = factor_at(profile, layer, below, lower, top, p)
    if layer.loops >= 0:
        e_upper *= math.exp(-p[layer.loops] * upper / top)
        e_lower *= math.exp(-p[layer.loops] * lower / top)
    weight = GAUSS * h * h
    steps.h[k] = h
    steps.g[k] = 0.5 * (g_upper + g_lower)
    steps.e[k] = 0.5 * (e_upper + e_lower)
    steps.alpha[k] = weight * (e_lower - e_upper)
    steps.beta[k] = weight * (g_lower * e_upper - g_upper * e_lower)


@jit
def fill_steps(p, profile, layer, accuracy, counts, steps):
    """Fill the steps of one sample from the surface down; returns their number."""
    top = strain(profile, peak(profile, p), p) if varies(layer) else 1.0
    if accuracy.layers > 0.0:
        parts = math.ceil(accuracy.layers / accuracy.thickest)
        for k in range(counts[0]):
            z = (k // parts + 0.5) * accuracy.layers
            eps = strain(profile, z, p)
            _fill(k, accuracy.layers / parts, z, z, eps, eps, p, top, profile, layer, steps)
        return counts[0]
    end = depth_end(profile, p)
    k = 0
    for s in range(segments(profile)):
        a = edge(profile, s, p, end)
        h = (edge(profile, s + 1, p, end) - a) / max(counts[s], 1)
        for i in range(counts[s]):
            middle = a + (i + 0.5) * h
            above, below = middle - GAUSS * h, middle + GAUSS * h
            upper, lower = strain(profile, above, p), strain(profile, below, p)
            _fill(k, h, above, below, upper, lower, p, top, profile, layer, steps)
            k += 1
    return k
