"""Which parameter vectors to simulate: the prior and the grids of a dataset.

The prior is the uniform density on the box of a ``ParameterSpace``, conditioned on its constraints and on the window:
the largest strain of the profile must diffract inside the scan, otherwise the curve does not show it.

The grids (``xrdsim.dataset.grid``) are drawn from without replacement: block b of a dataset examines its own interval
of the permuted grid and keeps the points inside the window. A grid of cells gives a random place in each cell drawn,
also in cells that a limit or a constraint cuts, where only places inside are kept: its rows have exactly the prior's
density.
"""

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from xrdsim.dataset.grid import Grid, grid_points, permute, rounded
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import DEFAULT_SCAN, GGG_444, Reflection, Scan
from xrdsim.forward.model import largest_strain
from xrdsim.profiles.space import D02, DMAX1, ParameterSpace
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]


class Sampler(StrEnum):
    """How the rows of a dataset are chosen."""

    GRID = "grid"
    ADAPTIVE = "adaptive"
    SOBOL = "sobol"
    EDGE = "edge"
    JEFFREYS = "jeffreys"
    ERRORS = "errors"


def stream(seed: int, *key: int) -> np.random.Generator:
    """One random stream of a dataset, named by numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def in_window(params: Array, reflection: Reflection = GGG_444, scan: Scan = DEFAULT_SCAN) -> NDArray[np.bool_]:
    """Whether the largest strain ε of each row diffracts inside the scan: ε·tanθ_B ≤ last angle."""
    limit = scan.last * ARCSEC / math.tan(reflection.theta_bragg)
    inside = np.asarray(params[:, DMAX1] + params[:, D02] <= limit)  # each part of the profile is at its largest
    undecided = ~inside & (params[:, DMAX1] <= limit)
    inside[undecided] = largest_strain(params[undecided]) <= limit
    return inside


def valid(rows: Array, space: ParameterSpace, reflection: Reflection, scan: Scan) -> NDArray[np.bool_]:
    """Whether each row lies in the space and its largest strain inside the scan."""
    good = space.contains(rows)
    good[good] = in_window(rows[good], reflection, scan)
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


def positions_per_block(
    grid: Grid, n: int, block_size: int, keys: NDArray[np.uint64], reflection: Reflection, scan: Scan
) -> int:
    """How many positions of the permuted grid each block of rows examines: twice what it needs on average, and some.

    The share of them that give a row is measured on the first 16 384 positions.

    Raises
    ------
    ParameterError
        The grid has too few points for n rows.
    """
    positions = np.arange(min(grid.size, 16384))
    first = _candidates(grid, positions, keys, np.random.default_rng(keys))
    share = float(np.mean(valid(first, grid.space, reflection, scan)))
    blocks, rows = -(-n // block_size), min(n, block_size)
    if share == 0.0:
        raise ParameterError("no point of the grid has its largest strain inside the scan; lengthen the scan")
    interval = math.ceil((2 * rows + 20) / share)
    if blocks * interval > grid.size:
        raise ParameterError(
            f"the grid has {grid.size} {'cells' if grid.cells else 'points'} that keep the constraints, about "
            f"{share * grid.size:.0f} of them inside the window; drawing {n} rows needs about "
            f"{blocks * (2 * rows + 20)}: take more values per parameter, or fewer rows"
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
    rng: np.random.Generator,
) -> Array:
    """Draw n points inside the window, (n, 7 or 9), from the block's own positions of the permuted grid.

    Different blocks never draw the same point. The values are ones that float32 holds. Of a grid of cells, a random
    place in each cell is tried.

    Raises
    ------
    ParameterError
        Too few of the block's positions are inside the window.
    """
    kept = np.empty((0, len(grid.axes)))
    last = min((block + 1) * interval, grid.size)
    for first in range(block * interval, last, 2 * n + 16):
        rows = _candidates(grid, np.arange(first, min(first + 2 * n + 16, last)), keys, rng)
        rows = rows[valid(rows, grid.space, reflection, scan)]
        kept = np.concatenate([kept, np.clip(rows, grid.space.low, grid.space.high)])
        if len(kept) >= n:
            return kept[:n]
    raise ParameterError(
        f"block {block} found only {len(kept)} of {n} points inside the window among its {interval} of the "
        f"{grid.size} points of the grid; take more values per parameter, or fewer rows"
    )


def _candidates(grid: Grid, positions: NDArray[np.int64], keys: NDArray[np.uint64], rng: np.random.Generator) -> Array:
    """The points at these positions of the permuted grid, or a random place in each one's cell."""
    points = grid_points(grid, permute(positions, grid.size, keys))
    return rounded(points + (rng.random(points.shape) - 0.5) * grid.step) if grid.cells else points
