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

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.derivatives.contributions import (
    GENERATORS,
    PAIR,
    PI,
    PI_REST,
    RAW,
    SLOTS,
    SOURCE,
    SOURCES,
    THICKER,
    add_turns,
    fill_generators,
    fill_generators_of_coupling,
    mix_strains,
    pull_back,
    pull_back_all,
    pull_back_all_rest,
    pull_back_rest,
    share_of,
    thicken,
)
from xrdsim.kernels.derivatives.differentials import COLUMN, WHOLE, at_nodes, store_column, store_whole
from xrdsim.kernels.reflectivity import (
    BLOCK,
    PHASES,
    POLARISATION,
    WORK,
    advance,
    aligned,
    fill_functions,
)

TURNS = 2
"""Changes of the damage that are added up together."""


class Tangents(NamedTuple):
    """Workspace of one thread beside that of the curve."""

    work: NDArray[np.float64]  # cos φ, q and q'
    generators: NDArray[np.float64]
    sources: NDArray[np.float64]  # (g, β) × SLOTS × SOURCE, and g, β, e, α and h of one step
    total: NDArray[np.float64]  # (p + TURNS + 1, SOURCE) K of each parameter, of a damaged layer then of its end, if E
    # depends on it, and of the largest strain
    weights: NDArray[np.float64]  # (batches, p, 2·SLOTS)
    active: NDArray[np.int64]  # (batches, p) which parameters have weights, the first being …
    number: NDArray[np.int64]  # (batches,) … so many
    coarse: NDArray[np.float64]  # (coarse angles, COLUMN, 1 + p): w and dw
    element: NDArray[np.float64]  # (PHASES, COLUMN, 1 + p)
    whole: NDArray[np.float64]  # (coarse angles, WHOLE, 1 + p): M and dM
    whole_element: NDArray[np.float64]  # (PHASES, WHOLE, 1 + p)
    change: NDArray[np.float64]  # (1 + p,)


@jit
def tangents(most, parts, size, optics):
    """Make the arrays for up to so many steps in so many segments and for so many parameters."""
    row = 1 + size
    batches = most // SLOTS + parts
    angles = len(optics.table) * BLOCK + 1
    return Tangents(
        aligned(WORK * BLOCK, optics.table),
        aligned(GENERATORS * BLOCK, optics.table),
        aligned(SOURCES, optics.table),
        aligned((size + TURNS + 1) * SOURCE, optics.table).reshape(size + TURNS + 1, SOURCE),
        np.zeros((batches, size, 2 * SLOTS)),
        np.zeros((batches, size), np.int64),
        np.zeros(batches, np.int64),
        aligned(angles * COLUMN * row, optics.table).reshape(angles, COLUMN, row),
        aligned(PHASES * COLUMN * row, optics.table).reshape(PHASES, COLUMN, row),
        aligned(angles * WHOLE * row, optics.table).reshape(angles, WHOLE, row),
        aligned(PHASES * WHOLE * row, optics.table).reshape(PHASES, WHOLE, row),
        aligned(row, optics.table),
    )


@jit(inline=True)
def add(sources, weights, batch, q, rows, total):
    """total[q] += Σ w[n]·sources[n·SOURCE :], n = 0 … 3, of the weights w of this batch and parameter."""
    near = sources[:RAW]
    to = total[q]
    w0, w1, w2, w3 = weights[batch, q, 0], weights[batch, q, 1], weights[batch, q, 2], weights[batch, q, 3]
    for i in range(rows):
        to[i] += w0 * near[i] + w1 * near[SOURCE + i] + w2 * near[2 * SOURCE + i] + w3 * near[3 * SOURCE + i]


@jit(inline=True)
def add_three(sources, weights, batch, q, r, s, rows, total):
    """The same for three parameters at once: each source is loaded once."""
    near = sources[:RAW]
    one, two, three = total[q], total[r], total[s]
    a0, a1, a2, a3 = weights[batch, q, 0], weights[batch, q, 1], weights[batch, q, 2], weights[batch, q, 3]
    b0, b1, b2, b3 = weights[batch, r, 0], weights[batch, r, 1], weights[batch, r, 2], weights[batch, r, 3]
    c0, c1, c2, c3 = weights[batch, s, 0], weights[batch, s, 1], weights[batch, s, 2], weights[batch, s, 3]
    for i in range(rows):
        x0, x1, x2, x3 = near[i], near[SOURCE + i], near[2 * SOURCE + i], near[3 * SOURCE + i]
        one[i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        two[i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        three[i] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3


@jit
def pack(counts, steps, slopes, space):
    """Weights of the slots of each batch of steps, from the substrate up, and the parameters that have any."""
    size = len(slopes.end)
    mixed = len(slopes.mix) > 0
    weights = space.weights
    weights[:] = 0.0
    k = counts.sum()
    batch = 0
    for s in range(len(counts) - 1, -1, -1):
        for i in range(counts[s]):
            k -= 1
            slot = i % SLOTS
            for q in range(size):
                weights[batch, q, slot] = slopes.upper[k, q] if mixed else slopes.g[k, q] * steps.h[k]
                weights[batch, q, SLOTS + slot] = slopes.lower[k, q] if mixed else slopes.beta[k, q]
            if slot == SLOTS - 1 or i == counts[s] - 1:
                number = 0
                for q in range(size):
                    if weights[batch, q].any():
                        space.active[batch, number] = q
                        number += 1
                space.number[batch] = number
                batch += 1


@jit(inline=True)
def collect(sources, weights, active, number, batch, rows, total):
    """Add the contributions in the slots to the totals of the parameters."""
    several = number[batch]
    for n in range(0, several - 2, 3):
        q, r, s = active[batch, n], active[batch, n + 1], active[batch, n + 2]
        add_three(sources, weights, batch, q, r, s, rows, total)
    for n in range(several - several % 3, several):
        add(sources, weights, batch, active[batch, n], rows, total)


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
def transfer_tangents(
    optics, below, counts, steps, slopes, strains, ends, share, count, sigma_matrix, pi_matrix, space, width, whole
):
    """Transfer matrices of a block of coarse angles, and K of each parameter in ``space.total``."""
    start(sigma_matrix, below, 0, whole)
    start(pi_matrix, below, 2 * BLOCK, whole)
    sources, total, weights, active, number = space.sources, space.total, space.weights, space.active, space.number
    total[:] = 0.0
    sigma = optics[POLARISATION : POLARISATION + 4 * BLOCK]
    pi = optics[POLARISATION + 4 * BLOCK : POLARISATION + 8 * BLOCK]
    mix, turns = slopes.mix, slopes.turns
    damaged = len(mix) > 0
    work, rows = space.work, space.generators
    wanted = SOURCE if whole else PAIR
    own = len(slopes.end) - strains + ends
    apart = 1 if math.isnan(share) else 0
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
                pull_back_all(sigma, rows, sigma_matrix, h, e, sources, 0, width)
                pull_back_all(pi, rows, pi_matrix, h, e, sources, PI, width)
                if whole:
                    pull_back_all_rest(sigma, rows, sigma_matrix, h, e, sources, PAIR, width)
                    pull_back_all_rest(pi, rows, pi_matrix, h, e, sources, PAIR + PI_REST, width)
            if damaged:
                mix_strains(mix, k, sources, at, wanted)
                for n in range(0, own + apart, TURNS):
                    add_turns(turns, k, n, sources, wanted, strains + n, total)
            else:
                pull_back(sigma, rows, sigma_matrix, h, e, sources, at, width)
                pull_back(pi, rows, pi_matrix, h, e, sources, at + PI, width)
                if whole:
                    pull_back_rest(sigma, rows, sigma_matrix, h, e, sources, at + PAIR, width)
                    pull_back_rest(pi, rows, pi_matrix, h, e, sources, at + PAIR + PI_REST, width)
            if last:
                twist, twisted = (2.0 * beta / h, 2.0 * alpha / h) if damaged else (0.0, 0.0)
                thicken(optics, g, e, twist, twisted, sources, wanted, width)
                for q in range(len(slopes.end)):
                    for j in range(wanted):
                        total[q, j] += slopes.end[q] * sources[RAW + THICKER + j]
            advance(optics, sigma, work, sigma_matrix, h, g, e, alpha, beta, width)
            advance(optics, pi, work, pi_matrix, h, g, e, alpha, beta, width)
            if slot == SLOTS - 1 or i == counts[s] - 1:
                collect(sources, weights, active, number, batch, wanted, total)
                batch += 1
    if damaged:
        if apart == 0:
            for j in range(wanted):
                total[strains + own, j] = share * total[strains, j]
        largest = total[strains + own]
        for q in range(strains):
            for j in range(wanted):
                total[q, j] += slopes.work[2, q] * largest[j]
        if ends:
            for q in range(strains):
                for j in range(wanted):
                    total[q, j] += slopes.end[q] * total[strains + own - 1, j]


@jit
def reflect_tangents(
    optics, substrate, counts, steps, slopes, count, block, space, out, gradient, strains, column=-1, ends=False
):
    """Reflectivity at the grid nodes and then the cluster nodes, and its derivatives (p, nodes).

    The first ``strains`` parameters are those of the strain. ``column`` >= 0 is the number of the parameter that is the
    substrate's factor E; ``ends`` says that the factor of the layer depends on where it ends.
    """
    pack(counts, steps, slopes, space)
    own = len(gradient) - strains + ends
    share = share_of(slopes.turns, count, own) if len(slopes.mix) > 0 else 0.0
    for b in range(len(optics.table)):
        width = min(BLOCK, optics.coarse - b * BLOCK)
        whole = optics.whole[b]
        transfer_tangents(
            optics.table[b],
            optics.below[b],
            counts,
            steps,
            slopes,
            strains,
            ends,
            share,
            count,
            block[0],
            block[1],
            space,
            width,
            whole,
        )
        total = space.total[: len(gradient)]
        for pol in range(2):
            if whole:
                store_whole(block[pol], optics.below[b], total, b * BLOCK, pol, space.coarse, space.whole)
            else:
                store_column(block[pol], total, b * BLOCK, pol, space.coarse)
    at_nodes(optics, substrate, slopes.end, space, out, gradient, column)
