"""What follows from a profile beside its parameters: how large its strain is, where, how much in all, and how deep.

The largest strain ε_max, the depth at which it is, ∫ε dz over the layer, by which its surface has moved outward, and
the depth at which the layer ends.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.kernels import batch
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

Array = NDArray[np.float64]

UNITS = {"largest_strain": "1", "depth_of_largest_strain": "Å", "integrated_strain": "Å", "depth_of_layer": "Å"}
"""Names of the quantities, in the order of the columns, and their units."""

_POINTS = 1024  # of a profile
_TOGETHER = 256  # profiles


def derived(params: Array, space: ParameterSpace) -> Array:
    """The quantities (n, 4) of parameters (n, 7 or 9)."""
    parts = []
    for first in range(0, len(params), _TOGETHER):
        rows = params[first : first + _TOGETHER]
        ends = depth_end(rows, space=space)
        depth = np.linspace(0.0, float(ends.max()), _POINTS)
        strain = strain_profile(rows, depth, space=space)
        where, largest = _peaks(rows, space.profile)
        parts.append(np.column_stack([largest, where, np.trapezoid(strain, depth, axis=1), ends]))
    return np.concatenate(parts)


def strain_profile(params: ArrayLike, depth: ArrayLike, *, space: ParameterSpace | None = None) -> Array:
    """Strain (n, depths) of parameters (n, 7 or 9) at depths [Å], 0 beyond the end of the layer."""
    space = space or ParameterSpace()
    rows = space.check(params)
    at = np.ascontiguousarray(np.atleast_1d(depth), dtype=np.float64)
    out = np.empty((len(rows), len(at)))
    batch.profiles(space.profile.family, rows, at, out)
    return out


def damage_profile(params: ArrayLike, depth: ArrayLike, *, space: ParameterSpace) -> Array:
    """Static Debye–Waller factor E (n, depths) of parameters (n, 9) with damage at depths [Å], 1 beyond the layer."""
    rows = space.check(params)
    at = np.ascontiguousarray(np.atleast_1d(depth), dtype=np.float64)
    out = np.empty((len(rows), len(at)))
    batch.factors(space.profile.family, rows, at, space.profile.own_factor > 0, out)
    return out


def depth_end(params: ArrayLike, *, space: ParameterSpace | None = None) -> Array:
    """Depth (n,) [Å] at which the strain of parameters (n, 7 or 9) falls to 1e-4."""
    space = space or ParameterSpace()
    rows = space.check(params)
    out = np.empty(len(rows))
    batch.ends(space.profile.family, rows, out)
    return out


def largest_strain(params: ArrayLike, profile: Profile = TWO_GAUSSIANS) -> Array:
    """Largest strain (n,) of parameters (n, 7 or 9), which are not checked."""
    return _peaks(params, profile)[1]


def _peaks(params: ArrayLike, profile: Profile) -> tuple[Array, Array]:
    """Depth [Å] of the largest strain, and this strain, (n,) each."""
    rows = np.atleast_2d(np.ascontiguousarray(params, dtype=np.float64))
    depth, largest = np.empty(len(rows)), np.empty(len(rows))
    batch.peaks(profile.family, rows, depth, largest)
    return depth, largest
