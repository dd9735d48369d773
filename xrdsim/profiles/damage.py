"""Static Debye–Waller damage that follows the strain: E = 1 − κ(ε/ε_max)^p.

Its two parameters are the last columns of a row, whatever the family of the profile.
"""

import math

from xrdsim._jit import jit
from xrdsim.profiles.bounds import Parameter

DAMAGE = (
    Parameter("kappa", "1", 0.0, 0.6, "damage", "static Debye–Waller damage at the largest strain", 0.0, 1.0),
    Parameter("p", "1", 0.25, 4.0, "damage", "exponent of the damage, E = 1 − kappa·(ε/ε_max)^p", 0.0, above=True),
)
KAPPA, P = -2, -1
"""Columns of a row with damage."""

LEAST_FACTOR = 0.05
"""Of the coefficients of a factor of its own: a lattice that hardly diffracts any more says nothing of its strain."""


def own_damage(coefficients: int) -> tuple[Parameter, ...]:
    """The table of a factor E that is a function of depth with so many coefficients, d1 that at the surface."""
    names, text = (f"d{i + 1}" for i in range(coefficients)), "coefficient of the static Debye–Waller factor"
    return tuple(Parameter(name, "1", LEAST_FACTOR, 1.0, "factor", text, 0.0, 1.0) for name in names)


@jit(inline=True)
def factor(eps, largest, p):
    """E of the strain ``eps``."""
    return 1.0 - p[KAPPA] * (eps / largest) ** p[P]


@jit(inline=True)
def factor_gradient(eps, gradient, largest, largest_gradient, p, out):
    """Derivatives of E at a point whose strain has the derivatives ``gradient``."""
    kappa, exponent = p[KAPPA], p[P]
    log = math.log(eps / largest)
    power = math.exp(exponent * log)
    steep = -kappa * exponent * power
    over, under = steep / eps, steep / largest
    for q in range(len(out)):
        out[q] = over * gradient[q] - under * largest_gradient[q]
    out[KAPPA] -= power
    out[P] -= kappa * power * log
