"""Which parameter vectors to simulate: the prior and the grids of a dataset.

The prior is the uniform density on the box of a ``ParameterSpace``, conditioned on its constraints and on the window:
the largest strain of the profile must diffract inside the scan, otherwise the curve does not show it.

The grids (``xrdsim.grid``) are drawn from without replacement: block b of a dataset examines its own interval of the
permuted grid and keeps the points inside the window.
"""

import math
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from xrdsim.crystal import DEFAULT_SCAN, GGG_444, Reflection, Scan
from xrdsim.errors import ParameterError
from xrdsim.grid import Grid, grid_points, permute, rounded
from xrdsim.model import largest_strain
from xrdsim.parameters import ParameterSpace
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]


class Sampler(StrEnum):
    """How the rows of a dataset are chosen."""

    GRID = "grid"
    ADAPTIVE = "adaptive"


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


def positions_per_block(
    grid: Grid, n: int, block_size: int, keys: NDArray[np.uint64], reflection: Reflection, scan: Scan
) -> int:
    """How many positions of the permuted grid each block of rows examines: twice what it needs on average, and some.

    The share of points inside the window is measured on the first 16 384 positions.

    Raises
    ------
    ParameterError
        The grid has too few points for n rows.
    """
    first = grid_points(grid, permute(np.arange(min(grid.size, 16384)), grid.size, keys))
    share = float(np.mean(in_window(first, reflection, scan)))
    blocks, rows = -(-n // block_size), min(n, block_size)
    if share == 0.0:
        raise ParameterError("no point of the grid has its largest strain inside the scan; lengthen the scan")
    interval = math.ceil((2 * rows + 20) / share)
    if blocks * interval > grid.size:
        raise ParameterError(
            f"the grid has {grid.size} points that keep the constraints, about {share * grid.size:.0f} of them inside "
            f"the window; drawing {n} rows needs about {blocks * (2 * rows + 20)}: take more values per parameter, or "
            "fewer rows"
        )
    return interval


def draw_grid(
    grid: Grid,
    n: int,
    *,
    block: int,
    interval: int,
    keys: NDArray[np.uint64],
    reflection: Reflection = GGG_444,
    scan: Scan = DEFAULT_SCAN,
    jitter: bool = False,
    rng: np.random.Generator,
) -> Array:
    """Draw n points inside the window, (n, 7 or 9), from the block's own positions of the permuted grid.

    Different blocks never draw the same point. The values are ones that float32 holds. With ``jitter`` each point is
    moved at random inside its cell, where that keeps the constraints and the window.

    Raises
    ------
    ParameterError
        Too few of the block's positions are inside the window.
    """
    kept = np.empty((0, len(grid.axes)))
    last = min((block + 1) * interval, grid.size)
    for first in range(block * interval, last, 2 * n + 16):
        positions = np.arange(first, min(first + 2 * n + 16, last))
        points = grid_points(grid, permute(positions, grid.size, keys))
        kept = np.concatenate([kept, points[in_window(points, reflection, scan)]])
        if len(kept) >= n:
            return _jittered(kept[:n], grid, reflection, scan, rng) if jitter else kept[:n]
    raise ParameterError(
        f"block {block} found only {len(kept)} of {n} points inside the window among its {interval} of the "
        f"{grid.size} points of the grid; take more values per parameter, or fewer rows"
    )


def _jittered(points: Array, grid: Grid, reflection: Reflection, scan: Scan, rng: np.random.Generator) -> Array:
    step = grid.space.span / np.maximum([len(axis) - 1 for axis in grid.axes], 1)
    low = np.maximum(points - 0.5 * step, grid.space.low)
    high = np.minimum(points + 0.5 * step, grid.space.high)
    moved, left = points.copy(), np.arange(len(points))
    for _ in range(16):  # a cell cut by a constraint needs some trials; without luck its centre stays
        trial = rounded(low[left] + rng.random((len(left), points.shape[1])) * (high - low)[left])
        good = grid.space.contains(trial) & in_window(trial, reflection, scan)
        moved[left[good]] = trial[good]
        left = left[~good]
        if len(left) == 0:
            break
    return moved
