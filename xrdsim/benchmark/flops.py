"""Floating-point operations of a curve and of its derivatives, counted from its steps, angles and doublings.

Counted are real additions, subtractions, multiplications and divisions, as the kernels' source has them, a
multiply-add as two, of quantities that differ from angle to angle; not those on the coefficients of a step, which the
compiler moves out of the loops, nor the strain profile and the factors of the instrument function. The constants are
operations per angle (``docs/kernel.md``); ``tests/test_bench.py`` runs the kernels on numbers that count.
"""

import math

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.experiment.setup import experiment_of
from xrdsim.forward.nodes import grid_and_cluster
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.forward.prepare import Forward, by_thickness, prepare
from xrdsim.kernels import batch
from xrdsim.kernels.convolve import REACH as WIDTHS
from xrdsim.kernels.convolve import Nodes
from xrdsim.kernels.derivatives.contributions import PAIR, SLOTS, SOURCE, share_of
from xrdsim.kernels.derivatives.differentials import COLUMN, WHOLE
from xrdsim.kernels.derivatives.jacobian import TURNS, pack, tangents
from xrdsim.kernels.reflectivity import BLOCK, F_RE, GROUP, MATRIX, PHASES, Optics
from xrdsim.kernels.slopes import LEAST, at_least, fill_steps_and_slopes, strains_of
from xrdsim.kernels.step import REACH
from xrdsim.kernels.steps import Steps, count_steps, fill_steps
from xrdsim.profiles.space import ParameterSpace
from xrdsim.units import FWHM_TO_SIGMA

Array = NDArray[np.float64]

SHIFT = 1  # a = f − g
EVEN_FUNCTIONS = 88
DOUBLE = 28
MATRIX_OF_STEP = 76
PRODUCT = 56  # matrix of a step times the transfer matrix
GENERATORS = 101
PULL_BACK = 189
PULL_BACK_REST = 119  # of a block that begins with (0, 1)
COUPLING = 59  # generators for e
PULL_BACK_ALL = 275  # with e and α
PULL_BACK_ALL_REST = 177
THICKEN = 19  # for the thickness, an element
MIX, TURN = 14, 6  # of a row: for two strains, and for each change of the damage
STORE = 28  # of a parameter
STORE_WHOLE = 72
STORE_BELOW = 16  # w of a block that begins with (0, 1)
INTENSITY = 49  # of a node
SLOPE, SLOPE_ONCE = 15, 33  # of a node, for R and each parameter, and of a node
SLOPE_SHARP, SLOPE_SHARP_ONCE = 32, 90


def operations(
    params: Array,
    *,
    fwhm: float = 0.0,
    derivatives: bool = False,
    convention: str = "exact",
    layers: float | None = None,
    rtol_dex: float = 1e-4,
) -> float:
    """Operations per curve of ``simulate``, or of ``linearize`` without nuisances, for these keywords: their mean.

    Parameters
    ----------
    params : (n, 7 or 9), checked.
    fwhm : of the instrument function [arcsec]; 0 for none, as it must be for derivatives.
    """
    space = ParameterSpace()
    grid = instrument_nodes(DEFAULT_SCAN, GGG_444, narrowest=fwhm, widest=fwhm, zero=0.0, thickness=space.thickest)
    equidistant, cluster = grid_and_cluster(grid)
    one = derivative_operations if derivatives else curve_operations
    total = 0
    for part, thickness in by_thickness(params, space.profile, space.thickest, layers):
        model = prepare(
            DEFAULT_SCAN,
            experiment_of(GGG_444, convention, None, layers, rtol_dex),
            grid=equidistant,
            cluster=cluster,
            damaged=space.profile.holds_damage(params.shape[1]),
            thickness=thickness,
        )
        total += sum(one(row, model) for row in params[part])
    seen = convolution_operations(grid, fwhm * FWHM_TO_SIGMA) if fwhm > 0.0 else 0
    return seen + total / len(params)


def curve_operations(p: Array, model: Forward) -> int:
    """Operations of the reflectivity of one sample (7 or 9,) at all nodes."""
    parts = model.profile.segments()
    counts = np.empty(parts, np.int64)
    steps = _steps(count_steps(p, model.profile, model.layer, model.accuracy, counts))
    count = fill_steps(p, model.profile, model.layer, model.accuracy, counts, steps)
    optics = model.optics
    widths = np.minimum(BLOCK, optics.coarse - BLOCK * np.arange(len(optics.table)))
    step = SHIFT + EVEN_FUNCTIONS + 2 * (MATRIX_OF_STEP + PRODUCT)
    transfer = optics.coarse * count * step + DOUBLE * (widths @ _doublings(steps, count, optics, widths))
    ratio, taps = len(optics.weight), optics.weight.shape[1]
    group = GROUP if optics.ratio < optics.grid else 1
    groups = -(-optics.grid // (optics.ratio * group))
    extra = len(optics.cluster_first)
    values = ratio * groups * group + extra
    return int(transfer + values * taps * 2 * 2 * MATRIX + (optics.grid + extra) * INTENSITY)


def derivative_operations(p: Array, model: Forward) -> int:
    """Operations of the reflectivity of one sample (7 or 9,) and its derivatives over the parameters, at all nodes."""
    optics, size, damaged = model.optics, len(p), model.layer.damaged
    parts = model.profile.segments()
    row = np.empty(size)
    model.profile.widen(p, row)
    counts = np.empty(parts, np.int64)
    bound = count_steps(row, model.profile, model.layer, model.accuracy, counts) + parts * LEAST
    at_least(LEAST, counts)
    steps = _steps(bound)
    slopes = batch.make_slopes(bound, size, model.layer)
    count = fill_steps_and_slopes(row, model.profile, model.layer, counts, steps, slopes)
    space = tangents(bound, parts, size, optics)
    pack(counts, steps, slopes, space)
    active = int(space.number[: _batches(counts)].sum())

    strains = strains_of(model.layer, size)
    apart = damaged and math.isnan(share_of(slopes.turns, count, size - strains))
    turns = -(-(size - strains + apart) // TURNS) * TURNS
    widths = np.minimum(BLOCK, optics.coarse - BLOCK * np.arange(len(optics.table)))
    total = int(DOUBLE * (widths @ _doublings(steps, count, optics, widths)))
    for width, whole in zip(widths.tolist(), optics.whole.tolist(), strict=True):
        rest = int(whole)
        elements = 4 + 2 * rest  # of both polarisations
        rows = SOURCE if whole else PAIR
        step = SHIFT + EVEN_FUNCTIONS + GENERATORS + 2 * (MATRIX_OF_STEP + PRODUCT)
        every = COUPLING + 2 * (PULL_BACK_ALL + rest * PULL_BACK_ALL_REST)
        if damaged:
            total += width * count * (step + every) + rows * (count * (MIX + turns * TURN) + 2 * strains + 1 - apart)
        else:
            total += width * (count * (step + 2 * (PULL_BACK + rest * PULL_BACK_REST)) + every)
        total += width * elements * THICKEN + rows * (4 * SLOTS * active + 2 * size)
        total += BLOCK * 2 * (STORE_BELOW + size * STORE_WHOLE if whole else size * STORE)
    return total + _node_operations(optics, 1 + size)


def _node_operations(optics: Optics, columns: int) -> int:
    """Operations of the interpolation of derivatives and of those of the reflectivity."""
    tap = 2 * columns * optics.weight.shape[1]
    column, sharp = SLOPE_ONCE + columns * SLOPE, SLOPE_SHARP_ONCE + columns * SLOPE_SHARP
    total = 0
    for phase in range(0, optics.ratio, PHASES):
        for first in range(phase, optics.grid, optics.ratio):
            together = min(PHASES, optics.ratio - phase, optics.grid - first)
            some = optics.sharp[first : first + together].any()
            total += PHASES * tap * (WHOLE if some else COLUMN) + together * (sharp if some else column)
    for some in optics.sharp[optics.grid :]:
        total += tap * WHOLE + sharp if some else tap * COLUMN + column
    return int(total)


def convolution_operations(nodes: Nodes, sigma: float) -> int:
    """Operations of the convolution of one curve with a Gaussian of standard deviation ``sigma`` [arcsec]."""
    taps = min(nodes.first, math.ceil(WIDTHS * sigma * nodes.stride / nodes.step))
    padded = -(-(2 * taps + 1) // 4) * 4
    extra = len(nodes.angle) - nodes.grid
    near = 0
    if extra:
        far = float(nodes.angle[-1]) + WIDTHS * sigma
        low = max(0, math.ceil((-far - nodes.start) / nodes.step))
        near = min(nodes.points, math.floor((far - nodes.start) / nodes.step) + 1) - low
    return nodes.grid + 2 * padded * nodes.points + near * (2 * extra + 2) + 2 * nodes.points


def _steps(most: int) -> Steps:
    return Steps(*(np.empty(most) for _ in Steps._fields))


def _batches(counts: NDArray[np.int64]) -> int:
    return int(sum(-(-int(count) // SLOTS) for count in counts))


def _doublings(steps: Steps, count: int, optics: Optics, widths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Doublings of the angle of each block of so many coarse angles, over all steps."""
    first = optics.table[:, F_RE, None]
    last = np.take_along_axis(optics.table, F_RE + widths[:, None] - 1, axis=1)
    h, g = steps.h[:count], steps.g[:count]
    largest = (np.maximum(np.abs(first - g), np.abs(last - g)) * h) ** 2
    needed = np.maximum(0, np.ceil(np.log(largest / REACH) / math.log(4.0)))
    return np.asarray(needed.sum(axis=1), dtype=np.int64)
