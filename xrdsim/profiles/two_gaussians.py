"""The profile of two Gaussians: its parameters, the bounds between them, and what it gives to the kernels.

    ε(z)  = D1(z) + D2(z)
    D1(z) = Dmax1·exp(−ln(Dmax1/D01)·(1 − z/Rp1)²)                for z < Rp1
            Dmax1·exp(−ln(Dmax1/DMIN)·((z − Rp1)/(L1 − Rp1))²)     for z ≥ Rp1 (0 if L1 = Rp1)
    D2(z) = D02·exp(−Λ[u t² + (1 − u) t]),  t = z/L2, u = L2/(L2 − 2 Rp2), Λ = ln(D02/DMIN)

An asymmetric Gaussian rises from D01 at the surface to Dmax1 at the depth Rp1 and falls to DMIN at L1; a
half-Gaussian-to-exponential falls from D02 at the surface to DMIN at L2. The layer ends where ε falls to DMIN, at or
beyond L1. Depths in Å from the surface down.
"""

import math
from typing import NamedTuple

from xrdsim._jit import jit
from xrdsim.profiles import damage, stage
from xrdsim.profiles.bounds import Bound, Parameter
from xrdsim.profiles.profile import Profile

DMIN = 1e-4
"""Strain at which a profile counts as ended."""

STRAIN_SUM = 0.03
"""Largest allowed surface strain D01 + D02."""

PROFILE = (
    Parameter("Dmax1", "1", 0.001, 0.031, "strain", "maximum strain of the asymmetric Gaussian", DMIN, above=True),
    Parameter("D01", "1", 0.0001, 0.0305, "strain", "its value at the surface", DMIN),
    Parameter("L1", "Å", 500.0, 7000.0, "depth", "its depth, where it falls to 1e-4", 0.0, above=True),
    Parameter("Rp1", "Å", 0.0, 6500.0, "depth", "depth of its maximum", 0.0),
    Parameter("D02", "1", 0.0005, 0.031, "strain", "surface strain of the decaying Gaussian", DMIN, above=True),
    Parameter("L2", "Å", 500.0, 7000.0, "depth", "its depth, where it falls to 1e-4", 0.0, above=True),
    Parameter("Rp2", "Å", -6500.0, 0.0, "shape", "position of its (virtual) maximum: sets the shape only", most=0.0),
)

DMAX1, D01, L1, RP1, D02, L2, RP2 = range(7)
"""Columns of a parameter array."""

_STRAINS, _DEPTHS = PROFILE[DMAX1].high - PROFILE[DMAX1].low, PROFILE[L1].high - PROFILE[L1].low

BOUNDS = (
    Bound("D01 <= Dmax1", second=DMAX1, side="low", first=D01, slope=1.0, of_sum=False, scale=_STRAINS),
    Bound("D01 + D02 <= strain_sum", second=D02, side="high", first=D01, slope=-1.0, of_sum=True, scale=_STRAINS),
    Bound("Rp1 <= L1", second=RP1, side="high", first=L1, slope=1.0, of_sum=False, scale=_DEPTHS),
    Bound("L2 <= L1", second=L2, side="high", first=L1, slope=1.0, of_sum=False, scale=_DEPTHS),
)
"""What valid vectors keep, beside their ranges."""

NARROWEST = 1e-5
"""Least width [Å] of either flank of the asymmetric Gaussian where derivatives are taken."""


class TwoGaussians(NamedTuple):
    """The functions of ``xrdsim.profiles.stage``, which say what each returns."""

    floor: float = DMIN

    @jit
    def segments(self):
        return 4

    @jit
    def edge(self, i, p, end):
        if i == 0:
            return 0.0
        if i == 1:
            return min(p[RP1], p[L2], p[L1])
        if i == 2:
            return min(max(p[RP1], p[L2]), p[L1])
        if i == 3:
            return p[L1]
        return end

    @jit
    def strain(self, z, p):
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
    def depth_end(self, p):
        low = p[L1]
        if stage.strain(self, low, p) <= DMIN:
            return low
        high = 1.2 * low
        while stage.strain(self, high, p) > DMIN:
            low = high
            high *= 1.2
        while high - low > 1e-13 * high:
            middle = 0.5 * (low + high)
            if middle <= low or middle >= high:
                break
            if stage.strain(self, middle, p) > DMIN:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    @jit
    def strain_gradient(self, z, p, gradient):
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
    def end_gradient(self, end, p, gradient):
        """By the implicit function theorem."""
        _, slope = stage.strain_gradient(self, end, p, gradient)
        if end <= p[L1] or slope >= 0.0:
            gradient[:] = 0.0
            gradient[L1] = 1.0
            return
        for i in range(len(gradient)):
            gradient[i] /= -slope

    @jit
    def peak(self, p):
        """It lies in [0, Rp1], beyond which both parts fall."""
        count = 128
        best = 0
        top = stage.strain(self, 0.0, p)
        for k in range(1, count + 1):
            value = stage.strain(self, p[RP1] * k / count, p)
            if value > top:
                top = value
                best = k
        low = p[RP1] * max(best - 1, 0) / count
        high = p[RP1] * min(best + 1, count) / count
        golden = 0.6180339887498949
        for _ in range(40):
            left = high - golden * (high - low)
            right = low + golden * (high - low)
            if stage.strain(self, left, p) > stage.strain(self, right, p):
                high = right
            else:
                low = left
        middle = 0.5 * (low + high)
        return middle if stage.strain(self, middle, p) > stage.strain(self, 0.0, p) else 0.0

    @jit
    def factor(self, eps, largest, p):
        return damage.factor(eps, largest, p)

    @jit
    def factor_gradient(self, eps, gradient, largest, largest_gradient, p, out):
        damage.factor_gradient(eps, gradient, largest, largest_gradient, p, out)

    @jit
    def widen(self, p, out):
        """No flank narrower than NARROWEST."""
        out[:] = p
        out[RP1] = max(out[RP1], NARROWEST)
        out[L1] = max(out[L1], out[RP1] + NARROWEST)


TWO_GAUSSIANS = Profile(
    name="two Gaussians",
    parameters=PROFILE,
    bounds=BOUNDS,
    family=TwoGaussians(),
    strain_sum=STRAIN_SUM,
    deepest="L1",
    summands=("Dmax1", "D02"),
    straight=(("Rp2", "L2"),),  # u, in which the exponent of D2 is linear
)
"""The default profile."""

NAMES, TABLE, ALL_NAMES, SIZE = (
    TWO_GAUSSIANS.names,
    TWO_GAUSSIANS.table,
    TWO_GAUSSIANS.all_names,
    TWO_GAUSSIANS.size,
)
KAPPA, P = SIZE, SIZE + 1
"""Columns of the damage."""
