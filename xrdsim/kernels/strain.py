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
from xrdsim.parameters import D01, D02, DMAX1, DMIN, KAPPA, L1, L2, RP1, RP2, P


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
def strain_max(p):
    """Largest strain of the continuous profile: it lies in [0, Rp1], beyond which both parts fall."""
    count = 128
    best = 0
    top = strain(0.0, p)
    for k in range(1, count + 1):
        value = strain(p[RP1] * k / count, p)
        if value > top:
            top = value
            best = k
    if p[L1] <= p[RP1]:  # D1 drops to 0 at Rp1: its maximum is approached from above
        value = p[DMAX1] + strain(p[RP1], p)
        if value > top:
            top = value
            best = count
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
    return max(top, strain(0.5 * (low + high), p))


@jit
def damage(eps, top, p):
    """Static Debye–Waller factor E = 1 − κ(ε/ε_max)^p of a strain; ``top`` is ε_max."""
    return 1.0 - p[KAPPA] * (eps / top) ** p[P]
