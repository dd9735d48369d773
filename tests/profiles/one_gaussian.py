"""A profile that the package does not have: one Gaussian of three parameters, for tests of what must not know which.

ε(z) = D·exp(−ln(D/FLOOR)·((z − R)/(L − R))²),  0 ≤ z ≤ L
"""

import math
from typing import NamedTuple

import numpy as np

from xrdsim._jit import jit
from xrdsim.profiles import damage, stage
from xrdsim.profiles.bounds import Bound, Parameter
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace

FLOOR = 1e-4
D, R, L = range(3)


def plain(z, p):
    """The strain, by the formula."""
    return np.where(z <= p[L], p[D] * np.exp(-np.log(p[D] / FLOOR) * ((z - p[R]) / (p[L] - p[R])) ** 2), 0.0)


class OneGaussian(NamedTuple):
    floor: float = FLOOR

    @jit
    def segments(self):
        return 2

    @jit
    def edge(self, i, p, end):
        return 0.0 if i == 0 else (p[R] if i == 1 else end)

    @jit
    def depth_end(self, p):
        return p[L]

    @jit
    def end_gradient(self, end, p, gradient):
        gradient[:] = 0.0
        gradient[L] = 1.0

    @jit
    def strain(self, z, p):
        t = (z - p[R]) / (p[L] - p[R])
        return p[D] * math.exp(-math.log(p[D] / FLOOR) * t * t)

    @jit
    def strain_gradient(self, z, p, gradient):
        width = p[L] - p[R]
        t = (z - p[R]) / width
        eps = stage.strain(self, z, p)
        slope = -2.0 * eps * math.log(p[D] / FLOOR) * t / width
        gradient[D] = eps * (1.0 - t * t) / p[D]
        gradient[R] = slope * (t - 1.0)
        gradient[L] = -slope * t
        return eps, slope

    @jit
    def peak(self, p):
        return p[R]

    @jit
    def factor(self, eps, largest, p):
        return damage.factor(eps, largest, p)

    @jit
    def factor_gradient(self, eps, gradient, largest, largest_gradient, p, out):
        damage.factor_gradient(eps, gradient, largest, largest_gradient, p, out)

    @jit
    def widen(self, p, out):
        out[:] = p


ONE_GAUSSIAN = Profile(
    name="one Gaussian",
    parameters=(
        Parameter("D", "1", 0.002, 0.02, "strain", "largest strain", FLOOR, above=True),
        Parameter("R", "Å", 0.0, 3000.0, "depth", "its depth", 0.0),
        Parameter("L", "Å", 1500.0, 6000.0, "depth", "depth of the layer", 0.0, above=True),
    ),
    bounds=(Bound("R <= L", second=R, side="high", first=L, slope=1.0, of_sum=False, scale=3000.0),),
    family=OneGaussian(),
    strain_sum=0.03,
    deepest="L",
    summands=("D",),
)
SPACE = ParameterSpace(profile=ONE_GAUSSIAN)
