"""Diffuse reflectivity of samples: of the substrate at all nodes, of the layer at coarse angles and then between them.

    R_diffuse = R_layer + Σ_polarisations share · S exp(−Q),   S = Σ_classes μ_DS/(2μγ0)

S does not depend on the sample.
"""

import math

import numpy as np
from numba import prange

from xrdsim._jit import jit
from xrdsim.kernels.diffuse.cells import fill_cells, fill_cells_and_moves, fill_layers, make_cells, make_moves
from xrdsim.kernels.diffuse.layer import make_trace, scatter_layer, scatter_layer_and_slopes
from xrdsim.kernels.diffuse.strength import absorbed, scattered
from xrdsim.profiles.stage import depth_end, end_gradient, widen


@jit
def scatter_substrate(t, number, radius, e, beams, out, slope):
    """S (nodes,) of classes of loops and its derivatives (2·classes, nodes) over their densities and radii.

    ``number`` [1/Å³] and ``radius`` [Å] of each class, t [1/Å] the distance; E = exp(−Σ L) is ``e``, of all classes.
    """
    slope[:] = 0.0
    for i in range(len(t)):
        a, _, a_e = absorbed(t[i], e, beams)
        total = 0.0
        over_e = 0.0
        for c in range(len(number)):
            r2 = radius[c] * radius[c]
            km = beams.range / (radius[c] * e)
            k2 = km * km
            s, _, _, s_a, s_k = scattered(t[i], 0.0, a, k2, beams)
            unit = r2 * r2 * e * e * beams.scale / (2.0 * a * beams.cosine)
            m = number[c] * unit * s
            total += m
            over_e += number[c] * unit * (s_a * a_e - 2.0 * s_k * k2 / e) + m * (2.0 / e - a_e / a)
            slope[2 * c, i] = unit * s
            slope[2 * c + 1, i] = 4.0 * m / radius[c] - 2.0 * number[c] * unit * s_k * k2 / radius[c]
        out[i] = total
        for c in range(len(number)):
            power = beams.strength * radius[c] ** 3
            slope[2 * c, i] -= over_e * e * power
            slope[2 * c + 1, i] -= over_e * e * 3.0 * power * number[c] / radius[c]


@jit
def between(values, first, weight, node):
    """A row of coarse values at one node."""
    total = 0.0
    start = first[node]
    for k in range(weight.shape[1]):
        total += weight[node, k] * values[start + k]
    return total


@jit
def _without(p, profile, sigma, pi, coarse):
    """R and Q of a layer without loops."""
    end = depth_end(profile, p)
    coarse[0] = 0.0
    coarse[1] = sigma.absorption * sigma.paths * end
    coarse[2] = pi.absorption * pi.paths * end


@jit(parallel=True)
def add_curves(params, profile, layers, cells_of, t, crowd, sigma, pi, share, first, weight, substrate, chunks, out):
    """Add the diffuse reflectivity of parameters (n, p) to curves (n, nodes).

    ``layers`` > 0 asks for sublayers of this thickness [Å]; ``cells_of`` is the number of cells, or the largest of
    sublayers; t (angles,) are the coarse distances; ``first`` and ``weight`` (nodes, taps) lead to the nodes;
    ``substrate`` (2, nodes) is S.
    """
    n = len(params)
    for chunk in prange(chunks):
        cells, fixed = make_cells(cells_of), np.empty((5, cells_of))
        coarse = np.empty((3, len(t)))
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            if crowd.radius > 0.0:
                count = cells_of
                if layers > 0.0:
                    count = fill_layers(params[i], profile, layers, cells)
                else:
                    fill_cells(params[i], profile, cells)
                scatter_layer(t, cells, count, crowd, sigma, pi, share, fixed, coarse)
            else:
                _without(params[i], profile, sigma, pi, coarse)
            for j in range(len(first)):
                out[i, j] += (
                    between(coarse[0], first, weight, j)
                    + share * substrate[0, j] * math.exp(-between(coarse[1], first, weight, j))
                    + (1.0 - share) * substrate[1, j] * math.exp(-between(coarse[2], first, weight, j))
                )


@jit(parallel=True)
def add_sublayers(cells, t, crowd, sigma, pi, share, substrate, out):
    """Add the diffuse reflectivity of a list of sublayers to a curve (nodes,) at the distances t (nodes,)."""
    parts = max(1, len(t) // 16)
    for part in prange(parts):
        low, high = part * len(t) // parts, (part + 1) * len(t) // parts
        coarse = np.empty((3, high - low))
        scatter_layer(t[low:high], cells, len(cells.h), crowd, sigma, pi, share, np.empty((5, len(cells.h))), coarse)
        for i in range(high - low):
            j = low + i
            out[j] += (
                coarse[0, i]
                + share * substrate[0, j] * math.exp(-coarse[1, i])
                + (1.0 - share) * substrate[1, j] * math.exp(-coarse[2, i])
            )


@jit(parallel=True)
def linearize(
    params, profile, cells_of, t, crowd, sigma, pi, share, first, weight, substrate, changes, chunks, out, slope
):
    """Diffuse reflectivity (n, nodes) of the continuous profile and its derivatives (n, p + loops, nodes).

    They are over the parameters of the strain, then density [Å³] and radius [1/Å] of the layer's loops if it has any,
    then those of the substrate's classes; ``changes`` (2, 2·classes, nodes) are those of S.
    """
    n, size = params.shape
    extra = 2 if crowd.radius > 0.0 else 0
    for chunk in prange(chunks):
        cells, moves, trace = make_cells(cells_of), make_moves(cells_of, size), make_trace(cells_of)
        coarse = np.empty((3, len(t)))
        steep = np.zeros((3, size + extra, len(t)))
        p = np.empty(size)
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            widen(profile, params[i], p)
            if extra > 0:
                fill_cells_and_moves(p, profile, cells, moves)
                scatter_layer_and_slopes(t, cells, moves, crowd, sigma, pi, share, trace, coarse, steep)
            else:
                _without(p, profile, sigma, pi, coarse)
                moves.h[:] = 0.0
                end_gradient(profile, depth_end(profile, p), p, moves.h)
                for q in range(size):
                    steep[1, q] = sigma.absorption * sigma.paths * moves.h[q]
                    steep[2, q] = pi.absorption * pi.paths * moves.h[q]
            for j in range(len(first)):
                reach = share * math.exp(-between(coarse[1], first, weight, j))
                other = (1.0 - share) * math.exp(-between(coarse[2], first, weight, j))
                one, two = reach * substrate[0, j], other * substrate[1, j]
                out[i, j] = between(coarse[0], first, weight, j) + one + two
                start = first[j]
                for q in range(size + extra):
                    total = 0.0
                    for k in range(weight.shape[1]):
                        at = start + k
                        total += weight[j, k] * (steep[0, q, at] - one * steep[1, q, at] - two * steep[2, q, at])
                    slope[i, q, j] = total
                for c in range(changes.shape[1]):
                    slope[i, size + extra + c, j] = reach * changes[0, c, j] + other * changes[1, c, j]
