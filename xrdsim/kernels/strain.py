"""Strain profile ε(z) and its discretisations, one sample at a time.

    ε(z)  = D1(z) + D2(z)
    D1(z) = Dmax1·exp(−ln(Dmax1/D01)·(1 − z/Rp1)²)                for z < Rp1
            Dmax1·exp(−ln(Dmax1/DMIN)·((z − Rp1)/(L1 − Rp1))²)     for z ≥ Rp1 (0 if L1 = Rp1)
    D2(z) = D02·exp(−Λ[u t² + (1 − u) t]),  t = z/L2, u = L2/(L2 − 2 Rp2), Λ = ln(D02/DMIN)

The layer ends where ε falls to DMIN, at or beyond L1. Depths in Å from the surface down. ``p`` is one row of the
parameter table.
"""

import math

from xrdsim._jit import jit
from xrdsim.profiles.two_gaussians import D01, D02, DMAX1, DMIN, KAPPA, L1, L2, RP1, RP2, P


@jit
def strain(z, p):
    """Total strain at the depth z."""
    if z < p[RP1]:
        t = 1.0 - z / p[RP1]
        first = p[DMAX1] * math.exp(-math.log(p[DMAX1] / p[D01]) * t * t)
    elif p[L1] > p[RP1]:
        t = (z - p[RP1]) / (p[L1] - p[RP1])
        first = p[DMAX1] * math.exp(-math.log(p[DMAX1] / DMIN) * t * t)
    else:
        first = 0.0
    u = p[L2] / (p[L2] - 2.0 * p[RP2])
    t = z / p[L2]
    return first + p[D02] * math.exp(-math.log(p[D02] / DMIN) * (u * t + 1.0 - u) * t)


@jit
def depth_end(p):
    """Depth at which the total strain falls to DMIN (Å), at or beyond L1."""
    low = p[L1]
    if strain(low, p) <= DMIN:
        return low
    high = 1.2 * low
    while strain(high, p) > DMIN:
        low = high
        high *= 1.2
    while high - low > 1e-13 * high:
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            break
        if strain(middle, p) > DMIN:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@jit
def strain_gradient(z, p, gradient):
    """Total strain at the depth z and its derivative over z [1/Å]; ``gradient`` (7,) receives those over p."""
    ratio = z / p[RP1] if z < p[RP1] else 0.0
    width = p[L1] - p[RP1]
    gradient[:] = 0.0
    first = 0.0
    slope = 0.0
    if z < p[RP1]:
        t = 1.0 - ratio
        log = math.log(p[DMAX1] / p[D01])
        first = p[DMAX1] * math.exp(-log * t * t)
        gradient[D01] = first * t * t / p[D01]
        steep = -2.0 * first * log * t
        gradient[RP1] = steep * ratio / p[RP1]
        slope = -steep / p[RP1]
        gradient[DMAX1] = first * (1.0 - t * t) / p[DMAX1]
    elif width > 0.0:
        t = (z - p[RP1]) / width
        log = math.log(p[DMAX1] / DMIN)
        first = p[DMAX1] * math.exp(-log * t * t)
        slope = -2.0 * first * log * t / width
        gradient[RP1] = slope * (t - 1.0)
        gradient[L1] = -slope * t
        gradient[DMAX1] = first * (1.0 - t * t) / p[DMAX1]
    reach = p[L2] - 2.0 * p[RP2]
    u = p[L2] / reach
    t = z / p[L2]
    log = math.log(p[D02] / DMIN)
    shape = (u * t + 1.0 - u) * t
    second = p[D02] * math.exp(-log * shape)
    steep = -log * second * (2.0 * u * t + 1.0 - u) / p[L2]
    bend = -2.0 * log * second * (t * t - t) / (reach * reach)
    gradient[D02] = second * (1.0 - shape) / p[D02]
    gradient[L2] = -steep * t - bend * p[RP2]
    gradient[RP2] = bend * p[L2]
    return first + second, slope + steep


@jit
def end_gradient(end, p, gradient):
    """Derivatives (7,) of the depth at which the layer ends, ``end``, by the implicit function theorem."""
    _, slope = strain_gradient(end, p, gradient)
    if end <= p[L1] or slope >= 0.0:
        gradient[:] = 0.0
        gradient[L1] = 1.0
        return
    for i in range(len(gradient)):
        gradient[i] /= -slope


@jit
def strain_max(p):
    """Largest strain of the continuous profile."""
    return max(strain(strain_peak(p), p), strain(0.0, p))


@jit
def strain_peak(p):
    """Depth of the largest strain: it lies in [0, Rp1], beyond which both parts fall."""
    count = 128
    best = 0
    top = strain(0.0, p)
    for k in range(1, count + 1):
        value = strain(p[RP1] * k / count, p)
        if value > top:
            top = value
            best = k
    low = p[RP1] * max(best - 1, 0) / count
    high = p[RP1] * min(best + 1, count) / count
    golden = 0.6180339887498949
    for _ in range(40):
        left = high - golden * (high - low)
        right = low + golden * (high - low)
        if strain(left, p) > strain(right, p):
            high = right
        else:
            low = left
    middle = 0.5 * (low + high)
    return middle if strain(middle, p) > strain(0.0, p) else 0.0


@jit
def damage(eps, top, p):
    """Static Debye–Waller factor E = 1 − κ(ε/ε_max)^p of a strain; ``top`` is ε_max."""
    return 1.0 - p[KAPPA] * (eps / top) ** p[P]
