"""Which parameter vectors to simulate: the prior and the grids of a dataset.

The prior is the uniform density on the box of a ``ParameterSpace``, conditioned on its constraints and on the window:
the largest strain of the profile must diffract inside the scan, otherwise the curve does not show it.

The grids (``xrdsim.dataset.grid``) are drawn from without replacement: block b of a dataset examines its own interval
of the permuted grid and keeps the points inside the window. A grid of cells gives a random place in each cell drawn,
also in cells that a limit or a constraint cuts, where only places inside are kept: its rows have exactly the prior's
density.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward.derived import largest_strain
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]


def in_window(
    params: Array, reflection: Reflection = GGG_444, scan: Scan = DEFAULT_SCAN, profile: Profile = TWO_GAUSSIANS
) -> NDArray[np.bool_]:
    """Whether the largest strain ε of each row diffracts inside the scan."""
    limit = scan.last * ARCSEC / reflection.angle_per_strain
    strains = params[:, profile.strains]
    inside = np.asarray(strains.sum(axis=1) <= limit)
    undecided = ~inside & (strains.max(axis=1) <= limit)
    inside[undecided] = largest_strain(params[undecided], profile) <= limit
    return inside


def valid(rows: Array, space: ParameterSpace, reflection: Reflection, scan: Scan) -> NDArray[np.bool_]:
    """Whether each row lies in the space and its largest strain inside the scan."""
    good = space.contains(rows)
    good[good] = in_window(rows[good], reflection, scan, space.profile)
    return good


def draw_valid(
    n: int, propose: Callable[[int], Array], space: ParameterSpace, reflection: Reflection, scan: Scan
) -> Array:
    """The first n valid vectors, (n, 7 or 9), among those that ``propose`` draws from the box, so many at a time.

    Raises
    ------
    ParameterError
        Fewer than one in 100 000 vectors of the box is valid.
    """
    kept = np.empty((0, len(space.low)))
    tried = 0
    while len(kept) < n:
        rows = space.tied(propose(max(4096, 8 * n)))
        tried += len(rows)
        kept = np.concatenate([kept, rows[valid(rows, space, reflection, scan)]])
        if tried > 1e6 and len(kept) < 1e-5 * tried:
            raise ParameterError(
                f"only {len(kept)} of {tried} vectors drawn from these ranges keep the constraints and the window; "
                "widen the ranges or the scan"
            )
    return kept[:n]


def draw_prior(
    n: int,
    *,
    space: ParameterSpace | None = None,
    reflection: Reflection = GGG_444,
    scan: Scan = DEFAULT_SCAN,
    rng: np.random.Generator,
) -> Array:
    """Draw n vectors, (n, 7 or 9), from the prior by rejection.

    Raises
    ------
    ParameterError
        Fewer than one in 100 000 vectors of the box is valid.
    """
    space = space or ParameterSpace()
    low, span = np.array(space.low), space.span
    return draw_valid(n, lambda count: low + rng.random((count, len(low))) * span, space, reflection, scan)
