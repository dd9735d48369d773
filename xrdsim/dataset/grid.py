"""Equidistant grids of parameters, too large to list: counted, numbered and shuffled.

A grid has equal numbers of values of every parameter, or numbers in proportion to the measured sensitivity. Its 10⁹ to
10¹² points are never listed: those that keep the constraints are counted exactly and numbered, and a keyed permutation
of the numbers draws them without replacement.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward.prior import valid
from xrdsim.profiles.bounds import Bounds, freest
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_HOPELESS = 2**63 * 10_000  # points of a box of which certainly 2^63 keep the constraints
_MOST = 10_000  # values per parameter


def storable(space: ParameterSpace) -> ParameterSpace:
    """The same ranges with limits that float32 holds, moved inward: a stored row at a limit stays inside.

    A fixed parameter takes the next float32 value above.
    """
    low, high = np.array(space.low), np.array(space.high)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    low32, high32 = low.astype(np.float32), high.astype(np.float32)
    low32 = np.where(low32 < low, np.nextafter(low32, up), low32)
    high32 = np.where(high32 > high, np.nextafter(high32, down), high32)
    high32 = np.maximum(low32, high32)
    return replace(space, low=tuple(low32.tolist()), high=tuple(high32.tolist()))


def rounded(params: Array) -> Array:
    """The nearest values that float32 holds, as float64."""
    return params.astype(np.float32).astype(np.float64)


def grid_counts(space: ParameterSpace, values: int) -> Counts:
    """Numbers of values per parameter of an equal grid; a fixed parameter has one.

    Raises
    ------
    ParameterError
        Fewer than two values a parameter, or more than 10 000.
    """
    if not 2 <= values <= _MOST:
        raise ParameterError(f"values = {values} per parameter must lie within 2 … {_MOST}")
    return np.where(space.span > 0.0, values, 1).astype(np.int64)


def adaptive_counts(space: ParameterSpace, values: int, sensitivity: ArrayLike) -> Counts:
    """Numbers of values proportional to the sensitivity (7,), at least 3; ``values`` is their mean before that limit.

    kappa and p, of which no sensitivity is asked, get ``values``; a fixed parameter has one.

    Raises
    ------
    ParameterError
        Fewer than three or too many values, or a sensitivity of the wrong length, negative, not finite or all 0.
    """
    weights = np.asarray(sensitivity, dtype=np.float64)
    names = space.profile.names
    if weights.shape != (len(names),) or not np.all(np.isfinite(weights) & (weights >= 0.0)) or not weights.any():
        raise ParameterError(
            f"sensitivity {weights.tolist()} must be one finite number ≥ 0 for each of {', '.join(names)}, not all 0"
        )
    if values < 3:
        raise ParameterError(f"values = {values} per parameter is too few: an adaptive grid has at least 3")
    profile = np.maximum(3, np.rint(values * weights / weights.mean()))
    counts = np.concatenate([profile, np.full(len(space.low) - len(profile), values)])
    if counts.max() > _MOST:
        raise ParameterError(f"values = {values} gives {counts.max():.0f} values of one parameter; at most {_MOST}")
    return np.where(space.span > 0.0, counts, 1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Group:
    """Axes of which one, the pivot, bounds the others, independently of each other.

    At each value of the pivot the others may take ``count`` values, (others, values), from ``first`` on; ``cumulative``
    counts the points up to and including that value.
    """

    pivot: int
    others: tuple[int, ...]
    first: Counts
    count: Counts

    @property
    def cumulative(self) -> Counts:
        return np.cumsum(np.prod(self.count, axis=0))


@dataclass(frozen=True, eq=False)
class Grid:
    """The points of an equidistant grid that keep the constraints, counted but never listed.

    A point is the centre of its cell, of one step in every direction; a grid of cells also has the points that break
    the constraints while part of their cell keeps them.

    The bounds tie groups of axes, independently of each other, such as (D01, Dmax1, D02) and (L1, Rp1, L2); the other
    axes are free. A point's rank is a mixed-radix number of its rank in each group and its indices on the free axes.

    Attributes
    ----------
    space : ranges, with limits that float32 holds.
    axes : the values of each parameter, rounded to float32, as float64.
    groups : the tied groups.
    size : number of points.
    cells : whether a place in the cell is meant, rather than the point.
    """

    space: ParameterSpace
    axes: tuple[Array, ...]
    groups: tuple[_Group, ...]
    size: int
    cells: bool = False

    @property
    def step(self) -> Array:
        """Distance between the values of each parameter."""
        return np.asarray(self.space.span / np.maximum([len(axis) - 1 for axis in self.axes], 1))


def make_grid(space: ParameterSpace, counts: ArrayLike, *, cells: bool = False) -> Grid:
    """Count the points of the grid with these numbers of values (7 or 9) over the ranges, or its cells.

    Raises
    ------
    ParameterError
        Two values of a parameter are the same float32, no point keeps the constraints, 2⁶³ and more do, or a parameter
        is tied to another.
    """
    for name, other in space.ties:
        raise ParameterError(f"a grid cannot tie {name} to {other}; choose another sampler, or leave the tie out")
    space = storable(space)
    numbers = [int(count) for count in np.asarray(counts)]
    axes = tuple(
        rounded(np.linspace(low, high, count)) for low, high, count in zip(space.low, space.high, numbers, strict=True)
    )
    for name, axis in zip(space.names, axes, strict=True):
        if len(np.unique(axis)) < len(axis):
            raise ParameterError(
                f"the range of {name}, {axis[0]:g} … {axis[-1]:g}, does not hold {len(axis)} different float32 values; "
                "widen it, fix it or take fewer values"
            )
    if math.prod(numbers) > _HOPELESS:
        raise ParameterError(
            f"the grid with {numbers} values has {math.prod(numbers):.3g} points before the constraints, of which "
            "2^63 or more keep them; take fewer values"
        )
    # every other parameter at the value that leaves most freedom
    easy = freest(np.array(space.low), np.array(space.high), space.bounds)
    tested = axes
    if cells:  # a cell belongs to the grid if its most favourable corner does
        half = np.where(easy > space.low, 0.5, -0.5) * space.span / np.maximum(np.array(numbers) - 1, 1)
        limits = zip(axes, half, space.low, space.high, strict=True)
        tested = tuple(np.clip(axis + shift, low, high) for axis, shift, low, high in limits)

    def allowed(pivot: int, other: int) -> NDArray[np.bool_]:
        """(values of pivot, values of other) whether the pair keeps the constraints."""
        rows = np.tile(easy, (len(tested[other]), 1))
        rows[:, other] = tested[other]
        table = np.empty((len(tested[pivot]), len(rows)), bool)
        for i, value in enumerate(tested[pivot]):
            rows[:, pivot] = value
            table[i] = space.contains(rows)
        return table

    def group(pivot: int) -> _Group:
        others = tuple(bound.second for bound in space.bounds if bound.first == pivot)
        pairs = [allowed(pivot, other) for other in others]
        first = np.array([pair.argmax(axis=1) for pair in pairs])
        return _Group(pivot, others, first, np.array([pair.sum(axis=1) for pair in pairs]))

    groups = tuple(group(pivot) for pivot in dict.fromkeys(bound.first for bound in space.bounds))
    size = math.prod(
        [int(tied.cumulative[-1]) for tied in groups] + [numbers[j] for j in _free(len(axes), space.bounds)]
    )
    if size == 0:
        raise ParameterError(f"no point of the grid with {numbers} values keeps the constraints; take more values")
    if size >= 2**63:
        raise ParameterError(f"the grid with {numbers} values has {size:.3g} points, 2^63 or more; take fewer values")
    return Grid(space, axes, groups, size, cells)


def grid_points(grid: Grid, ranks: ArrayLike) -> Array:
    """The points (n, 7 or 9) of these ranks (n,), 0 ≤ rank < ``grid.size``."""
    rest = np.asarray(ranks).astype(np.int64)
    points = np.empty((len(rest), len(grid.axes)))
    for j in _free(len(grid.axes), grid.space.bounds):
        rest, index = np.divmod(rest, len(grid.axes[j]))
        points[:, j] = grid.axes[j][index]
    for tied in grid.groups:
        cumulative = tied.cumulative
        rest, rank = np.divmod(rest, cumulative[-1])
        i = np.searchsorted(cumulative, rank, side="right")
        rank -= np.where(i > 0, cumulative[i - 1], 0)
        points[:, tied.pivot] = grid.axes[tied.pivot][i]
        for other, first, count in reversed(list(zip(tied.others, tied.first, tied.count, strict=True))):
            rank, index = np.divmod(rank, count[i])
            points[:, other] = grid.axes[other][first[i] + index]
    return points


def _free(count: int, bounds: Bounds) -> list[int]:
    """The columns that no bound ties."""
    return [j for j in range(count) if all(j not in (bound.first, bound.second) for bound in bounds)]


def permute(positions: ArrayLike, size: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A random-looking permutation of 0 … size − 1, evaluated at any positions (n,) without storing it.

    A balanced Feistel network, one round a key (8,), permutes 0 … 4^w − 1 ≥ size − 1; results beyond the size are
    permuted again until they fall inside (cycle walking; Black and Rogaway, CT-RSA 2002).
    """
    width = max(1, ((size - 1).bit_length() + 1) // 2)
    half, mask = np.uint64(width), np.uint64((1 << width) - 1)

    def network(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = x >> half, x & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        return np.asarray(left << half | right)

    out = network(np.asarray(positions).astype(np.uint64))
    outside = out >= np.uint64(size)
    while outside.any():
        out[outside] = network(out[outside])
        outside = out >= np.uint64(size)
    return out


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each bit of the result depends on every bit of x (finaliser of SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


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
