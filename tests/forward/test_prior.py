"""Samplers against plain enumeration."""

import itertools
import math

import numpy as np
import pytest

from xrdsim.dataset.grid import (
    adaptive_counts,
    draw_grid,
    grid_counts,
    grid_points,
    make_grid,
    permute,
    positions_per_block,
    rounded,
    storable,
)
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward.prior import draw_prior, in_window
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import D01, D02, DMAX1, L1, L2, RP1, STRAIN_SUM

SPACE = ParameterSpace()
KEYS = np.random.SeedSequence(5).generate_state(8, np.uint64)


def rng(seed=3):
    return np.random.default_rng(seed)


def enumerated(space, counts):
    """Every valid point of a grid, listed: what ``Grid`` counts and numbers."""
    axes = [np.linspace(low, high, m) for low, high, m in zip(space.low, space.high, counts, strict=True)]
    rows = np.array(list(itertools.product(*axes)))
    return rows[space.contains(rows)]


def distinct(rows):
    return len(np.unique(rows, axis=0)) == len(rows)


def on_axes(grid, rows):
    return all(np.isin(rows[:, j], axis).all() for j, axis in enumerate(grid.axes))


# --- counting and numbering


@pytest.mark.parametrize(
    ("space", "counts"),
    [
        (SPACE, [3, 3, 3, 3, 3, 3, 3]),
        (SPACE, [5, 4, 3, 5, 4, 3, 2]),
        (SPACE, [2, 6, 2, 7, 5, 4, 1]),
        (SPACE.with_damage(), [3, 2, 3, 2, 3, 2, 2, 2, 3]),
        (
            ParameterSpace((0.005, 0.001, 4000, 3000, 0.002, 2000, -500), (0.02, 0.02, 6000, 6500, 0.02, 7000, 0)),
            [4] * 7,
        ),
    ],
)
def test_grid_numbers_exactly_the_valid_points(space, counts):
    expected = enumerated(space, counts)
    grid = make_grid(space, counts)
    points = grid_points(grid, np.arange(grid.size))
    assert grid.size == len(expected) > 0
    assert distinct(points)
    assert np.all(space.contains(points))
    order = np.lexsort(points.T[::-1])
    np.testing.assert_allclose(points[order], expected[np.lexsort(rounded(expected).T[::-1])], rtol=1e-6)


def test_points_exactly_on_a_constraint_count_in_spite_of_rounding():
    low = (0.001, 0.001, 1000.0, 1000.0, 0.001, 1000.0, 0.0)
    high = (0.021, 0.021, 2000.0, 2000.0, 0.021, 2000.0, 0.0)
    grid = make_grid(ParameterSpace(low, high), [11, 11, 11, 11, 11, 11, 1])
    strains = sum(d01 <= dmax1 and d01 + d02 <= 14 for d01, dmax1, d02 in itertools.product(range(11), repeat=3))
    lengths = sum(rp1 <= l1 and l2 <= l1 for l1, rp1, l2 in itertools.product(range(11), repeat=3))
    assert grid.size == strains * lengths


def test_a_grid_of_trillions_is_counted_and_numbered():
    counts = [220, 30, 50, 55, 30, 60, 31]
    grid = make_grid(SPACE, counts)
    a, b, c = (grid.axes[j] for j in (D01, DMAX1, D02))
    tolerance = 3e-8
    strains = (a[:, None, None] <= b[:, None] + tolerance) & (a[:, None, None] + c <= STRAIN_SUM + tolerance)
    a, b, c = (grid.axes[j] for j in (L1, RP1, L2))
    lengths = (b[:, None] <= a[:, None, None] + 6e-3) & (c <= a[:, None, None] + 6e-3)
    assert grid.size == int(strains.sum()) * int(lengths.sum()) * counts[-1] > 10**11
    ranks = np.concatenate([[0, grid.size - 1], rng().integers(0, grid.size, 5000)])
    points = grid_points(grid, ranks)
    assert np.all(SPACE.contains(points))
    assert on_axes(grid, points)
    assert distinct(points)


def test_a_grid_beyond_the_integers_is_refused():
    with pytest.raises(ParameterError, match=r"2\^63 or more; take fewer values"):
        make_grid(SPACE, grid_counts(SPACE, 900))


def test_narrow_and_fixed_ranges_hold_stored_rows():
    low = (0.0081, 0.0009, 5000.1, 3000.1, 0.002, 2000.1, -50.0)
    high = (0.0081, 0.0011, 5000.9, 3010.1, 0.003, 2000.3, -50.0)
    space = storable(ParameterSpace(low, high))
    assert np.all(np.array(space.low) >= low)
    counts = grid_counts(space, 4)
    assert counts.tolist() == [1, 4, 4, 4, 4, 4, 1]
    grid = make_grid(ParameterSpace(low, high), counts)
    points = grid_points(grid, np.arange(grid.size))
    assert len(points) == 4**5
    assert np.array_equal(points, rounded(points))
    assert np.all(space.contains(points))
    with pytest.raises(ParameterError, match=r"range of L2.*float32"):
        make_grid(ParameterSpace(low, high), [1, 4, 4, 4, 4, 5000, 1])


# --- numbers of values


def test_adaptive_numbers_follow_the_sensitivity():
    sensitivity = np.array([3.5, 0.6, 0.8, 0.85, 0.55, 0.65, 0.05])
    counts = adaptive_counts(SPACE.with_damage(), 20, sensitivity)
    assert counts.tolist()[-3:] == [3, 20, 20]  # Rp2 at the least, kappa and p at the mean
    np.testing.assert_allclose(counts[:6], 20 * 7 * sensitivity[:6] / sensitivity.sum(), atol=0.5)
    assert adaptive_counts(SPACE, 20, 7.0 * sensitivity).tolist() == counts.tolist()[:7]
    assert grid_counts(SPACE, 20).tolist() == [20] * 7


@pytest.mark.parametrize(
    ("sensitivity", "values", "message"),
    [
        ([1.0] * 6, 20, "one finite number"),
        ([1.0] * 6 + [-1.0], 20, "one finite number"),
        ([1.0] * 6 + [math.nan], 20, "one finite number"),
        ([0.0] * 7, 20, "not all 0"),
        ([1.0] * 7, 2, "at least 3"),
        ([1.0] * 7, 20000, "at most 10000"),
    ],
)
def test_adaptive_numbers_need_sensible_input(sensitivity, values, message):
    with pytest.raises(ParameterError, match=message):
        adaptive_counts(SPACE, values, sensitivity)


def test_grid_numbers_need_sensible_input():
    with pytest.raises(ParameterError, match="values = 1"):
        grid_counts(SPACE, 1)


# --- drawing


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 1000, 4097])
def test_the_permutation_is_a_bijection(size):
    assert sorted(permute(np.arange(size), size, KEYS)) == list(range(size))


def test_the_permutation_looks_random_and_depends_on_its_keys():
    size = 20000
    order = permute(np.arange(size), size, KEYS).astype(int)
    other = permute(np.arange(size), size, np.random.SeedSequence(6).generate_state(8, np.uint64)).astype(int)
    assert np.array_equal(order, permute(np.arange(size), size, KEYS))
    for rows in (order, other):
        table = np.histogram2d(np.arange(size), rows, bins=10)[0]
        assert ((table - size / 100) ** 2 / (size / 100)).sum() < 200  # 81 degrees of freedom
        assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.03
    assert (order == other).sum() < 10


def test_the_permutation_of_a_huge_range_stays_inside():
    size = 2**62 + 12345
    ranks = permute(np.arange(size - 5000, size), size, KEYS)
    assert len(set(ranks.tolist())) == 5000
    assert max(ranks.tolist()) < size


@pytest.mark.parametrize("cells", [False, True])
def test_blocks_draw_valid_points_and_never_the_same(cells):
    grid = make_grid(SPACE, grid_counts(SPACE, 6), cells=cells)
    interval = positions_per_block(grid, 640, 64, KEYS, GGG_444, DEFAULT_SCAN)
    blocks = [draw_grid(grid, 64, block=b, interval=interval, keys=KEYS, rng=rng(b)) for b in range(10)]
    rows = np.concatenate(blocks)
    assert rows.shape == (640, 7)
    assert distinct(rows)
    assert np.array_equal(rows, rounded(rows))
    assert np.all(SPACE.contains(rows))
    assert np.all(in_window(rows))
    assert on_axes(grid, rows) is not cells
    again = draw_grid(grid, 64, block=4, interval=interval, keys=KEYS, rng=rng(4))
    assert np.array_equal(again, blocks[4])


def nearest(grid, rows):
    """Index on every axis of the cell that each row lies in."""
    return np.stack([np.abs(rows[:, j, None] - axis).argmin(axis=1) for j, axis in enumerate(grid.axes)], axis=1)


def test_cells_are_those_that_touch_the_region_and_each_is_drawn_once():
    counts = [4, 4, 4, 4, 4, 4, 2]
    grid = make_grid(SPACE, counts, cells=True)
    centres = {tuple(row) for row in nearest(grid, grid_points(grid, np.arange(grid.size)))}
    assert len(centres) == grid.size > make_grid(SPACE, counts).size
    inside = draw_prior(20000, rng=rng())
    assert {tuple(row) for row in nearest(grid, inside)} <= centres
    drawn = draw_grid(grid, 40, block=0, interval=grid.size, keys=KEYS, rng=rng())
    assert distinct(nearest(grid, drawn))


def test_cells_are_drawn_with_the_density_of_the_prior():
    grid = make_grid(SPACE, [9, 5, 6, 7, 5, 6, 3], cells=True)
    prior, blocks = draw_prior(40000, rng=rng()), range(4)
    rows = np.concatenate(
        [draw_grid(grid, 700, block=b, interval=grid.size // 4, keys=KEYS, rng=rng(b)) for b in blocks]
    )
    for power in (1, 2):
        ours, theirs = (((part - SPACE.low) / SPACE.span) ** power for part in (rows, prior))
        deviation = np.hypot(ours.std(axis=0) / len(ours) ** 0.5, theirs.std(axis=0) / len(theirs) ** 0.5)
        assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4.0 * deviation)


def test_the_drawn_points_are_spread_over_the_whole_grid():
    grid = make_grid(SPACE, grid_counts(SPACE, 5))
    drawn = draw_grid(grid, 2000, block=0, interval=6000, keys=KEYS, rng=rng())
    every = grid_points(grid, np.arange(grid.size))
    every = every[in_window(every)]
    for j in range(7):
        assert abs(drawn[:, j].mean() - every[:, j].mean()) < 4 * every[:, j].std() / 2000**0.5


def test_too_few_points_are_refused_with_their_number():
    grid = make_grid(SPACE, grid_counts(SPACE, 3))
    with pytest.raises(
        ParameterError, match=f"grid has {grid.size} points .* more values per parameter, or fewer rows"
    ):
        positions_per_block(grid, 5000, 256, KEYS, GGG_444, DEFAULT_SCAN)
    with pytest.raises(ParameterError, match=r"block 0 found only \d+ of 100 points"):
        draw_grid(grid, 100, block=0, interval=100, keys=KEYS, rng=rng())
    with pytest.raises(ParameterError, match="no point of the grid has its largest strain inside the scan"):
        positions_per_block(grid, 10, 256, KEYS, GGG_444, Scan(-80.0, 4.0, 21))


def test_prior_rows_are_valid_and_in_the_window():
    rows = draw_prior(500, rng=rng())
    assert rows.shape == (500, 7)
    assert np.all(SPACE.contains(rows))
    assert np.all(in_window(rows))
    assert np.array_equal(rows, draw_prior(500, rng=rng()))
    assert draw_prior(20, space=SPACE.with_damage(), rng=rng()).shape == (20, 9)
    assert in_window(np.empty((0, 7))).shape == (0,)
