"""The profile of two Gaussians: its parameters and the bounds between them.

The strain profile is ε(z) = D1(z) + D2(z), an asymmetric Gaussian that rises from D01 at the surface to Dmax1 at the
depth Rp1 and falls to DMIN at L1, and a half-Gaussian-to-exponential that falls from D02 at the surface to DMIN at L2
(see ``xrdsim.kernels.strain``). Static Debye–Waller damage adds two parameters.
"""

from xrdsim.profiles.bounds import Bound, Parameter

DMIN = 1e-4
"""Strain at which a profile counts as ended."""

STRAIN_SUM = 0.03
"""Largest allowed surface strain D01 + D02."""

PROFILE = (
    Parameter("Dmax1", "1", 0.001, 0.031, "strain", "maximum strain of the asymmetric Gaussian"),
    Parameter("D01", "1", 0.0001, 0.0305, "strain", "its value at the surface"),
    Parameter("L1", "Å", 500.0, 7000.0, "depth", "its depth, where it falls to 1e-4"),
    Parameter("Rp1", "Å", 0.0, 6500.0, "depth", "depth of its maximum"),
    Parameter("D02", "1", 0.0005, 0.031, "strain", "surface strain of the decaying Gaussian"),
    Parameter("L2", "Å", 500.0, 7000.0, "depth", "its depth, where it falls to 1e-4"),
    Parameter("Rp2", "Å", -6500.0, 0.0, "shape", "position of its (virtual) maximum: sets the shape only"),
)
DAMAGE = (
    Parameter("kappa", "1", 0.0, 0.6, "damage", "static Debye–Waller damage at the largest strain"),
    Parameter("p", "1", 0.25, 4.0, "damage", "exponent of the damage, E = 1 − kappa·(ε/ε_max)^p"),
)
TABLE = PROFILE + DAMAGE
NAMES = tuple(parameter.name for parameter in PROFILE)
ALL_NAMES = tuple(parameter.name for parameter in TABLE)

SIZE = len(PROFILE)
"""Number of parameters of a profile without damage."""

DMAX1, D01, L1, RP1, D02, L2, RP2, KAPPA, P = range(9)
"""Columns of a parameter array."""

_STRAINS, _DEPTHS = PROFILE[DMAX1].high - PROFILE[DMAX1].low, PROFILE[L1].high - PROFILE[L1].low


def holds_damage(count: int) -> bool:
    """Whether so many columns are a profile with its damage."""
    return count == len(TABLE)


BOUNDS = (
    Bound("D01 <= Dmax1", second=DMAX1, side="low", first=D01, slope=1.0, of_sum=False, scale=_STRAINS),
    Bound("D01 + D02 <= strain_sum", second=D02, side="high", first=D01, slope=-1.0, of_sum=True, scale=_STRAINS),
    Bound("Rp1 <= L1", second=RP1, side="high", first=L1, slope=1.0, of_sum=False, scale=_DEPTHS),
    Bound("L2 <= L1", second=L2, side="high", first=L1, slope=1.0, of_sum=False, scale=_DEPTHS),
)
"""What valid vectors keep, beside their ranges."""
