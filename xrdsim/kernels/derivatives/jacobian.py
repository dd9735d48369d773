"""Derivatives of the reflectivity over the parameters, exact for the steps that are taken.

With S the transfer matrix of what lies below a step T, dM = Σ (above) dT S = M Σ S⁻¹(T⁻¹dT)S: one sweep from the
substrate up pulls what each step contributes back to the bottom and adds it up for all parameters at once. K = −i M⁻¹dM
has three complex elements: a multiple of the unit matrix in it does not change u/v. The sum over steps is a product of
matrices, (parameters × steps) · (steps × angles), and costs little more for nine parameters than for one.

As for the curve, all is done on the coarse angles; dM is interpolated like M, and dR is linear in it. Away from the
substrate peak the amplitude ratio A below the layer is as smooth as M. There S = [y, w] begins with w = (A, 1), of
which R = |u/v|² and its derivatives are functions; dw takes two elements of K and half of the interpolation. Blocks of
coarse angles from which a node interpolates whose A is ``sharp`` begin with (0, 1) and take all three.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.derivatives.contributions import (
    GENERATORS,
    PAIR,
    PI,
    PI_REST,
    SLOTS,
    SOURCE,
    THETA,
    THICKER,
    fill_generators,
    fill_generators_of_coupling,
    pull_back,
    pull_back_all,
    pull_back_all_rest,
    pull_back_rest,
    thicken,
)
from xrdsim.kernels.derivatives.differentials import COLUMN, WHOLE, at_nodes, store_column, store_whole
from xrdsim.kernels.reflectivity import (
    BLOCK,
    LANES,
    PHASES,
    POLARISATION,
    WORK,
    advance,
    aligned,
    fill_functions,
)


class Tangents(NamedTuple):
    """Workspace of one thread beside that of the curve."""

    work: NDArray[np.float64]  # cos φ, q and q'
    generators: NDArray[np.float64]
    sources: NDArray[np.float64]  # (g, β, e, α, h) × SLOTS × SOURCE
    total: NDArray[np.float64]  # (p, SOURCE) K of each parameter
    weights: NDArray[np.float64]  # (batches, 1 or 2, p, 2·SLOTS)
    active: NDArray[np.int64]  # (batches, 1 or 2, p) which parameters have weights, the first being …
    number: NDArray[np.int64]  # (batches, 1 or 2) … so many
    coarse: NDArray[np.float64]  # (coarse angles, sheets, COLUMN): w and dw side by side
    element: NDArray[np.float64]  # (PHASES, sheets, COLUMN)
    whole: NDArray[np.float64]  # (coarse angles, sheets, WHOLE): M and dM
    whole_element: NDArray[np.float64]  # (PHASES, sheets, WHOLE)
    change: NDArray[np.float64]  # (LANES,)


@jit
def tangents(most, parts, size, damaged, optics):
    """Make the arrays for up to so many steps in so many segments and for so many parameters."""
    sheets = -(-(1 + size) // LANES)
    batches = most // SLOTS + parts
    angles = len(optics.table) * BLOCK + 1
    kinds = 2 if damaged else 1
    return Tangents(
        aligned(WORK * BLOCK, optics.table),
        aligned(GENERATORS * BLOCK, optics.table),
        aligned(THICKER + THETA, optics.table),
        aligned(size * SOURCE, optics.table).reshape(size, SOURCE),
        np.zeros((batches, kinds, size, 2 * SLOTS)),
        np.zeros((batches, kinds, size), np.int64),
        np.zeros((batches, kinds), np.int64),
        aligned(angles * sheets * COLUMN, optics.table).reshape(angles, sheets, COLUMN),
        aligned(PHASES * sheets * COLUMN, optics.table).reshape(PHASES, sheets, COLUMN),
        aligned(angles * sheets * WHOLE, optics.table).reshape(angles, sheets, WHOLE),
        aligned(PHASES * sheets * WHOLE, optics.table).reshape(PHASES, sheets, WHOLE),
        aligned(LANES, optics.table),
    )


@jit
def add(sources, weights, batch, part, q, rows, total):
    """total[q] += Σ w[n]·sources[n·SOURCE :], n = 0 … 7, of the weights w of this batch, part and parameter."""
    near = sources[2 * part * THETA : 2 * (part + 1) * THETA]
    to = total[q]
    w0, w1 = weights[batch, part, q, 0], weights[batch, part, q, 1]
    w2, w3 = weights[batch, part, q, 2], weights[batch, part, q, 3]
    w4, w5 = weights[batch, part, q, 4], weights[batch, part, q, 5]
    w6, w7 = weights[batch, part, q, 6], weights[batch, part, q, 7]
    for i in range(rows):
        to[i] += (
            w0 * near[i]
            + w1 * near[SOURCE + i]
            + w2 * near[2 * SOURCE + i]
            + w3 * near[3 * SOURCE + i]
            + w4 * near[4 * SOURCE + i]
            + w5 * near[5 * SOURCE + i]
            + w6 * near[6 * SOURCE + i]
            + w7 * near[7 * SOURCE + i]
        )


@jit
def add_three(sources, weights, batch, part, q, r, s, rows, total):
    """The same for three parameters at once: each source is loaded once."""
    near = sources[2 * part * THETA : 2 * (part + 1) * THETA]
    one, two, three = total[q], total[r], total[s]
    a0, a1 = weights[batch, part, q, 0], weights[batch, part, q, 1]
    a2, a3 = weights[batch, part, q, 2], weights[batch, part, q, 3]
    a4, a5 = weights[batch, part, q, 4], weights[batch, part, q, 5]
    a6, a7 = weights[batch, part, q, 6], weights[batch, part, q, 7]
    b0, b1 = weights[batch, part, r, 0], weights[batch, part, r, 1]
    b2, b3 = weights[batch, part, r, 2], weights[batch, part, r, 3]
    b4, b5 = weights[batch, part, r, 4], weights[batch, part, r, 5]
    b6, b7 = weights[batch, part, r, 6], weights[batch, part, r, 7]
    c0, c1 = weights[batch, part, s, 0], weights[batch, part, s, 1]
    c2, c3 = weights[batch, part, s, 2], weights[batch, part, s, 3]
    c4, c5 = weights[batch, part, s, 4], weights[batch, part, s, 5]
    c6, c7 = weights[batch, part, s, 6], weights[batch, part, s, 7]
    for i in range(rows):
        x0 = near[i]
        x1 = near[SOURCE + i]
        x2 = near[2 * SOURCE + i]
        x3 = near[3 * SOURCE + i]
        x4 = near[4 * SOURCE + i]
        x5 = near[5 * SOURCE + i]
        x6 = near[6 * SOURCE + i]
        x7 = near[7 * SOURCE + i]
        one[i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3 + a4 * x4 + a5 * x5 + a6 * x6 + a7 * x7
        two[i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4 + b5 * x5 + b6 * x6 + b7 * x7
        three[i] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3 + c4 * x4 + c5 * x5 + c6 * x6 + c7 * x7


@jit
def pack(counts, steps, slopes, space):
    """Weights of the slots of each batch of steps, from the substrate up, and the parameters that have any."""
    size = len(slopes.end)
    space.weights[:] = 0.0
    k = counts.sum()
    batch = 0
    for s in range(len(counts) - 1, -1, -1):
        for i in range(counts[s]):
            k -= 1
            slot = i % SLOTS
            for q in range(size):
                space.weights[batch, 0, q, slot] = slopes.g[k, q] * steps.h[k]
                space.weights[batch, 0, q, SLOTS + slot] = slopes.beta[k, q]
                if len(slopes.e) > 0:
                    space.weights[batch, 1, q, slot] = slopes.e[k, q] * steps.h[k]
                    space.weights[batch, 1, q, SLOTS + slot] = slopes.alpha[k, q]
            if slot == SLOTS - 1 or i == counts[s] - 1:
                for part in range(space.weights.shape[1]):
                    number = 0
                    for q in range(size):
                        if space.weights[batch, part, q].any():
                            space.active[batch, part, number] = q
                            number += 1
                    space.number[batch, part] = number
                batch += 1


@jit
def collect(sources, weights, active, number, batch, rows, total):
    """Add the contributions in the slots to the totals of the parameters."""
    for part in range(weights.shape[1]):
        several = number[batch, part]
        for n in range(0, several - 2, 3):
            q, r, s = active[batch, part, n], active[batch, part, n + 1], active[batch, part, n + 2]
            add_three(sources, weights, batch, part, q, r, s, rows, total)
        for n in range(several - several % 3, several):
            add(sources, weights, batch, part, active[batch, part, n], rows, total)


@jit
def start(matrix, below, at, whole):
    """Columns y = (1, 0) and w = (A, 1), or (0, 1), of one polarisation."""
    for j in range(BLOCK):
        matrix[j] = 1.0
        for row in range(1, 6):
            matrix[row * BLOCK + j] = 0.0
        matrix[6 * BLOCK + j] = 1.0
        matrix[7 * BLOCK + j] = 0.0
        if not whole:
            matrix[4 * BLOCK + j] = below[at + j]
            matrix[5 * BLOCK + j] = below[at + BLOCK + j]


@jit
def transfer_tangents(optics, below, counts, steps, slopes, count, sigma_matrix, pi_matrix, space, width, whole):
    """Transfer matrices of a block of coarse angles, and K of each parameter in ``space.total``."""
    start(sigma_matrix, below, 0, whole)
    start(pi_matrix, below, 2 * BLOCK, whole)
    sources, total, weights, active, number = space.sources, space.total, space.weights, space.active, space.number
    total[:] = 0.0
    sigma = optics[POLARISATION : POLARISATION + 4 * BLOCK]
    pi = optics[POLARISATION + 4 * BLOCK : POLARISATION + 8 * BLOCK]
    damaged = len(slopes.e) > 0
    work, rows = space.work, space.generators
    wanted = SOURCE if whole else PAIR
    k = count
    batch = 0
    for s in range(len(counts) - 1, -1, -1):
        for i in range(counts[s]):
            k -= 1
            slot = i % SLOTS
            h, g, e, alpha, beta = steps.h[k], steps.g[k], steps.e[k], steps.alpha[k], steps.beta[k]
            fill_functions(optics, work, h, g, width)
            fill_generators(optics, work, rows, h, g, e, alpha, beta, width)
            at = slot * SOURCE
            last = k == count - 1
            if damaged or last:
                fill_generators_of_coupling(optics, work, rows, h, g, e, alpha, beta, width)
                pull_back_all(sigma, rows, sigma_matrix, h, e, sources, at, width)
                pull_back_all(pi, rows, pi_matrix, h, e, sources, at + PI, width)
                if whole:
                    pull_back_all_rest(sigma, rows, sigma_matrix, h, e, sources, at + PAIR, width)
                    pull_back_all_rest(pi, rows, pi_matrix, h, e, sources, at + PAIR + PI_REST, width)
            else:
                pull_back(sigma, rows, sigma_matrix, h, e, sources, at, width)
                pull_back(pi, rows, pi_matrix, h, e, sources, at + PI, width)
                if whole:
                    pull_back_rest(sigma, rows, sigma_matrix, h, e, sources, at + PAIR, width)
                    pull_back_rest(pi, rows, pi_matrix, h, e, sources, at + PAIR + PI_REST, width)
            if last:
                thicken(optics, g, e, sources, at, wanted, width)
                for q in range(len(total)):
                    for j in range(wanted):
                        total[q, j] += slopes.end[q] * sources[THICKER + at + j]
            advance(optics, sigma, work, sigma_matrix, h, g, e, alpha, beta, width)
            advance(optics, pi, work, pi_matrix, h, g, e, alpha, beta, width)
            if slot == SLOTS - 1 or i == counts[s] - 1:
                collect(sources, weights, active, number, batch, wanted, total)
                batch += 1


@jit
def reflect_tangents(optics, substrate, counts, steps, slopes, count, block, space, out, gradient, column=-1):
    """Reflectivity at the grid nodes and then the cluster nodes, and its derivatives (p, nodes).

    ``column`` >= 0 is the number of the parameter that is the substrate's factor E.
    """
    pack(counts, steps, slopes, space)
    for b in range(len(optics.table)):
        width = min(BLOCK, optics.coarse - b * BLOCK)
        whole = optics.whole[b]
        transfer_tangents(
            optics.table[b], optics.below[b], counts, steps, slopes, count, block[0], block[1], space, width, whole
        )
        for pol in range(2):
            if whole:
                store_whole(block[pol], optics.below[b], space.total, b * BLOCK, pol, space.coarse, space.whole)
            else:
                store_column(block[pol], space.total, b * BLOCK, pol, space.coarse)
    at_nodes(optics, substrate, slopes.end, space, out, gradient, column)
