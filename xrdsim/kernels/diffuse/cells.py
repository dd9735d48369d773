"""The strained layer in cells of equal thickness, from the surface down, for what varies slowly with depth.

A cell has means of Simpson's rule, ⟨ε⟩ = (ε_a + 4ε_m + ε_b)/6 and ⟨ε²⟩, and the change ε_b − ε_a across it. Its loops,
whose density follows ε, scatter around the mean of their places, ⟨ε²⟩/⟨ε⟩. The edges move with the end of the layer,
z_k = z_end k/N, so that everything is a smooth function of the parameters.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.profiles.stage import depth_end, end_gradient, peak, strain, strain_gradient


class Cells(NamedTuple):
    """Thickness [Å], strain ⟨ε²⟩/⟨ε⟩, change of strain, and fraction ⟨ε⟩/ε_max, (cells,) each."""

    h: NDArray[np.float64]
    strain: NDArray[np.float64]
    change: NDArray[np.float64]
    fraction: NDArray[np.float64]


class Moves(NamedTuple):
    """Derivatives over the parameters of the strain: (cells, p) of a cell's values, (p,) of its thickness."""

    strain: NDArray[np.float64]
    change: NDArray[np.float64]
    fraction: NDArray[np.float64]
    h: NDArray[np.float64]
    work: NDArray[np.float64]  # (5, p)


@jit
def make_cells(count):
    """Make the arrays."""
    return Cells(np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count))


@jit
def make_moves(count, size):
    """Make the arrays for so many parameters of the strain."""
    of_cells = np.zeros((3, count, size))
    return Moves(of_cells[0], of_cells[1], of_cells[2], np.zeros(size), np.zeros((5, size)))


@jit
def fill_cells(p, profile, cells):
    """Fill the cells of one sample."""
    count = len(cells.h)
    top = strain(profile, peak(profile, p), p)
    h = depth_end(profile, p) / count
    above = strain(profile, 0.0, p)
    for k in range(count):
        below = strain(profile, (k + 1) * h, p)
        middle = strain(profile, (k + 0.5) * h, p)
        mean = (above + 4.0 * middle + below) / 6.0
        cells.h[k] = h
        cells.strain[k] = (above * above + 4.0 * middle * middle + below * below) / (6.0 * mean)
        cells.change[k] = below - above
        cells.fraction[k] = mean / top
        above = below


@jit
def fill_layers(p, profile, thickness, cells):
    """Fill sublayers of this thickness [Å], of the strain of their middles; returns their number."""
    top = strain(profile, peak(profile, p), p)
    count = 0
    while count < len(cells.h):
        mean = strain(profile, (count + 0.5) * thickness, p)
        if mean <= profile.floor:
            break
        cells.h[count] = thickness
        cells.strain[count] = mean
        cells.change[count] = 0.0
        cells.fraction[count] = mean / top
        count += 1
    return count


@jit
def _at(k, count, end, p, profile, ends, gradient):
    """Strain at the depth end·k/count; its derivatives, those of the depth included, into ``gradient``."""
    gradient[:] = 0.0
    value, slope = strain_gradient(profile, end * k / count, p, gradient)
    for q in range(len(gradient)):
        gradient[q] += slope * ends[q] * k / count
    return value


@jit
def fill_cells_and_moves(p, profile, cells, moves):
    """Fill the cells of one sample and their derivatives."""
    count = len(cells.h)
    upper, middle, lower, ends, tops = moves.work
    where = peak(profile, p)
    tops[:] = 0.0
    top, _ = strain_gradient(profile, where, p, tops)
    end = depth_end(profile, p)
    ends[:] = 0.0
    end_gradient(profile, end, p, ends)
    for q in range(len(ends)):
        moves.h[q] = ends[q] / count
    above = _at(0.0, count, end, p, profile, ends, upper)
    for k in range(count):
        centre = _at(k + 0.5, count, end, p, profile, ends, middle)
        below = _at(k + 1.0, count, end, p, profile, ends, lower)
        mean = (above + 4.0 * centre + below) / 6.0
        cells.h[k] = end / count
        cells.strain[k] = (above * above + 4.0 * centre * centre + below * below) / (6.0 * mean)
        cells.change[k] = below - above
        cells.fraction[k] = mean / top
        for q in range(len(ends)):
            of_mean = (upper[q] + 4.0 * middle[q] + lower[q]) / 6.0
            of_square = (above * upper[q] + 4.0 * centre * middle[q] + below * lower[q]) / 3.0
            moves.strain[k, q] = (of_square - cells.strain[k] * of_mean) / mean
            moves.fraction[k, q] = (of_mean - cells.fraction[k] * tops[q]) / top
            moves.change[k, q] = lower[q] - upper[q]
            upper[q] = lower[q]
        above = below
