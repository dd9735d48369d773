"""Which parameter vectors to simulate: the prior and the grids of a dataset.

The prior is the uniform density on the box of a ``ParameterSpace``, conditioned on its constraints and on the window: the
largest strain of the profile must diffract inside the scan, otherwise the curve does not show it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from xrdsim.crystal import DEFAULT_SCAN, GGG_444, Reflection, Scan
from xrdsim.errors import ParameterError
from xrdsim.model import largest_strain
from xrdsim.parameters import ParameterSpace
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]


def in_window(params: Array, reflection: Reflection = GGG_444, scan: Scan = DEFAULT_SCAN) -> NDArray[np.bool_]:
    """Whether the largest strain ε of each row diffracts inside the scan: ε·tanθ_B ≤ last angle."""
    if len(params) == 0:
        return np.zeros(0, bool)
    limit = scan.last * ARCSEC / math.tan(reflection.theta_bragg)
    return np.asarray(largest_strain(params) <= limit)


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
    kept = np.empty((0, len(low)))
    tried = 0
    while len(kept) < n:
        rows = low + rng.random((max(4096, 8 * n), len(low))) * span
        tried += len(rows)
        rows = rows[space.contains(rows)]
        kept = np.concatenate([kept, rows[in_window(rows, reflection, scan)]])
        if tried > 1e6 and len(kept) < 1e-5 * tried:
            raise ParameterError(
                f"only {len(kept)} of {tried} vectors drawn from these ranges keep the constraints and the window; "
                "widen the ranges or the scan"
            )
    return kept[:n]
