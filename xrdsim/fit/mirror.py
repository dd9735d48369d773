"""The mirrored partner of a profile, the ambiguity of kinematical diffraction: a fit must be seen to end elsewhere.

A layer that is turned upside down, ε(z) → ε(d − z), diffracts the same intensity but for absorption, damage and what
interferes with the substrate. A fit that began on the wrong side may stay there.
"""

import numpy as np
from scipy.optimize import least_squares

from xrdsim.fit.problem import Problem
from xrdsim.fit.unknowns import Array
from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.forward.prior import draw_prior

_DEPTHS = 80
_CANDIDATES = 400  # of which the one nearest to the mirrored profile is improved
_EVALUATIONS = 30


def mirrored(given: Problem, x: Array) -> Array:
    """Coordinates (1, k) of the profile nearest to the mirrored one of x (1, k); those of the measurement as they are.

    Parameters
    ----------
    given : the problem, whose ranges hold.
    x : coordinates of a solution.
    """
    space, params = given.space, given.params(x)
    end = float(depth_end(params, space=space)[0])
    depth = np.linspace(0.0, 1.1 * end, _DEPTHS)
    wanted = np.interp(end - depth, depth, strain_profile(params, depth, space=space)[0], left=0.0)
    wanted[depth > end] = 0.0
    size, profile = given.layout.profile.stop, given.layout.profile
    pool = draw_prior(_CANDIDATES, space=space, rng=np.random.default_rng(0))
    starts = given.coordinates(pool)
    away = ((strain_profile(given.params(starts), depth, space=space) - wanted) ** 2).sum(axis=1)
    nearest = starts[int(away.argmin()) : int(away.argmin()) + 1].copy()
    unit = float(max(wanted.max(), 1e-12))
    free = np.flatnonzero(given.layout.free[profile])

    def difference(some: Array) -> Array:
        row = nearest.copy()
        row[0, free] = some
        return np.asarray((strain_profile(given.params(row), depth, space=space)[0] - wanted) / unit)

    steps = np.full(len(free), 1e-4)
    found = least_squares(difference, nearest[0, free], bounds=(0.0, 1.0), max_nfev=_EVALUATIONS, diff_step=steps)
    out = x.copy()
    out[0, :size] = nearest[0, :size]
    out[0, free] = np.clip(found.x, 0.0, 1.0)
    damage = [j for j, name in enumerate(space.names) if name in ("kappa", "p")]
    out[0, damage] = x[0, damage]
    return out
