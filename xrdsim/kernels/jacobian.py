"""Derivatives of the reflectivity over the parameters, exact for the steps that are taken.

With S the transfer matrix of what lies below a step T, dM = Σ (above) dT S = M Σ S⁻¹(T⁻¹dT)S: one sweep from the
substrate up pulls what each step contributes back to the bottom and adds it up for all parameters at once. K = −i M⁻¹dM
has three complex elements: a multiple of the unit matrix in it does not change u/v. The sum over steps is a product of
matrices, (parameters × steps) · (steps × angles), and costs little more for nine parameters than for one.

As for the curve, all is done on the coarse angles; dM is interpolated like M, and dR is linear in it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.contributions import (
    GENERATORS,
    SLOTS,
    SOURCE,
    THETA,
    K,
    fill_generators,
    pull_back,
    pull_back_more,
)
from xrdsim.kernels.film import slope_of_film
from xrdsim.kernels.reflectivity import (
    BLOCK,
    LANES,
    MATRIX,
    PHASES,
    POLARISATION,
    WORK,
    advance,
    aligned,
    fill_functions,
    interpolate,
    interpolate_one,
)

SHEET = 2 * MATRIX * LANES


class Tangents(NamedTuple):
    """Workspace of one thread beside that of the curve."""

    work: NDArray[np.float64]  # cos φ, q and q'
    generators: NDArray[np.float64]
    sources: NDArray[np.float64]  # (g, β, e, α) × SLOTS × SOURCE
    thickness: NDArray[np.float64]  # (SOURCE,) for a change of h
    total: NDArray[np.float64]  # (p, SOURCE) K of each parameter
    weights: NDArray[np.float64]  # (batches, 1 or 2, p, 2·SLOTS)
    active: NDArray[np.int64]  # (batches, 1 or 2, p) which parameters have weights, the first being …
    number: NDArray[np.int64]  # (batches, 1 or 2) … so many
    sheets: int
    coarse: NDArray[np.float64]  # (coarse angles, sheets, 2·MATRIX, LANES): M and dM side by side
    element: NDArray[np.float64]  # (PHASES, sheets, 2·MATRIX, LANES)
    change: NDArray[np.float64]  # (LANES,)


@jit
def tangents(most, parts, size, damaged, optics):
    """Make the arrays for up to so many steps in so many segments and for so many parameters."""
    sheets = -(-(1 + size) // LANES)
    width = sheets * 2 * MATRIX * LANES
    batches = most // SLOTS + parts
    kinds = 2 if damaged else 1
    return Tangents(
        aligned(WORK * BLOCK, optics.table),
        aligned(GENERATORS * BLOCK, optics.table),
        aligned(2 * kinds * THETA, optics.table),
        aligned(SOURCE, optics.table),
        aligned(size * SOURCE, optics.table).reshape(size, SOURCE),
        np.zeros((batches, kinds, size, 2 * SLOTS)),
        np.zeros((batches, kinds, size), np.int64),
        np.zeros((batches, kinds), np.int64),
        sheets,
        aligned((len(optics.table) * BLOCK + 1) * width, optics.table),
        aligned(PHASES * width, optics.table),
        aligned(LANES, optics.table),
    )


@jit
def add(sources, weights, q, total):
    """total[q] += Σ weights[q, n]·sources[n·SOURCE :], n = 0 … 7."""
    w0, w1, w2, w3 = weights[q, 0], weights[q, 1], weights[q, 2], weights[q, 3]
    w4, w5, w6, w7 = weights[q, 4], weights[q, 5], weights[q, 6], weights[q, 7]
    for i in range(SOURCE):
        total[q, i] += (
            w0 * sources[i]
            + w1 * sources[SOURCE + i]
            + w2 * sources[2 * SOURCE + i]
            + w3 * sources[3 * SOURCE + i]
            + w4 * sources[4 * SOURCE + i]
            + w5 * sources[5 * SOURCE + i]
            + w6 * sources[6 * SOURCE + i]
            + w7 * sources[7 * SOURCE + i]
        )


@jit
def add_three(sources, weights, q, r, s, total):
    """The same for three parameters at once: each source is loaded once."""
    a0, a1, a2, a3 = weights[q, 0], weights[q, 1], weights[q, 2], weights[q, 3]
    a4, a5, a6, a7 = weights[q, 4], weights[q, 5], weights[q, 6], weights[q, 7]
    b0, b1, b2, b3 = weights[r, 0], weights[r, 1], weights[r, 2], weights[r, 3]
    b4, b5, b6, b7 = weights[r, 4], weights[r, 5], weights[r, 6], weights[r, 7]
    c0, c1, c2, c3 = weights[s, 0], weights[s, 1], weights[s, 2], weights[s, 3]
    c4, c5, c6, c7 = weights[s, 4], weights[s, 5], weights[s, 6], weights[s, 7]
    for i in range(SOURCE):
        x0 = sources[i]
        x1 = sources[SOURCE + i]
        x2 = sources[2 * SOURCE + i]
        x3 = sources[3 * SOURCE + i]
        x4 = sources[4 * SOURCE + i]
        x5 = sources[5 * SOURCE + i]
        x6 = sources[6 * SOURCE + i]
        x7 = sources[7 * SOURCE + i]
        total[q, i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3 + a4 * x4 + a5 * x5 + a6 * x6 + a7 * x7
        total[r, i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4 + b5 * x5 + b6 * x6 + b7 * x7
        total[s, i] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3 + c4 * x4 + c5 * x5 + c6 * x6 + c7 * x7


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
def collect(batch, space):
    """Add the contributions in the slots to the totals of the parameters."""
    total = space.total
    for part in range(space.weights.shape[1]):
        sources = space.sources[2 * part * THETA : 2 * (part + 1) * THETA]
        w = space.weights[batch, part]
        active = space.active[batch, part]
        number = space.number[batch, part]
        for n in range(0, number - 2, 3):
            add_three(sources, w, active[n], active[n + 1], active[n + 2], total)
        for n in range(number - number % 3, number):
            add(sources, w, active[n], total)


@jit
def transfer_tangents(optics, counts, steps, slopes, count, sigma_matrix, pi_matrix, space, width):
    """Transfer matrices of a block of coarse angles, and K of each parameter in ``space.total``."""
    for matrix in (sigma_matrix, pi_matrix):
        matrix[:] = 0.0
        for j in range(BLOCK):
            matrix[j] = 1.0
            matrix[6 * BLOCK + j] = 1.0
    space.total[:] = 0.0
    sigma = optics[POLARISATION : POLARISATION + 4 * BLOCK]
    pi = optics[POLARISATION + 4 * BLOCK : POLARISATION + 8 * BLOCK]
    damaged = len(slopes.e) > 0
    work, rows = space.work, space.generators
    k = count
    batch = 0
    for s in range(len(counts) - 1, -1, -1):
        for i in range(counts[s]):
            k -= 1
            slot = i % SLOTS
            h, g, e, alpha, beta = steps.h[k], steps.g[k], steps.e[k], steps.alpha[k], steps.beta[k]
            fill_functions(optics, work, h, g, width)
            fill_generators(optics, work, rows, h, g, e, alpha, beta, width)
            from_sigma = space.sources[slot * SOURCE :]
            from_pi = space.sources[slot * SOURCE + K * BLOCK :]
            pull_back(sigma, rows, sigma_matrix, h, e, from_sigma, width)
            pull_back(pi, rows, pi_matrix, h, e, from_pi, width)
            last = k == count - 1
            if damaged or last:
                above = space.thickness[: K * BLOCK]
                below = space.thickness[K * BLOCK :]
                pull_back_more(optics, sigma, work, rows, sigma_matrix, h, g, e, alpha, beta, from_sigma, above, width)
                pull_back_more(optics, pi, work, rows, pi_matrix, h, g, e, alpha, beta, from_pi, below, width)
            if last:
                for q in range(len(space.total)):
                    total = space.total[q]
                    for j in range(SOURCE):
                        total[j] += slopes.end[q] * space.thickness[j]
            advance(optics, sigma, work, sigma_matrix, h, g, e, alpha, beta, width)
            advance(optics, pi, work, pi_matrix, h, g, e, alpha, beta, width)
            if slot == SLOTS - 1 or i == counts[s] - 1:
                collect(batch, space)
                batch += 1


@jit
def store(matrix, total, rows):
    """dM = iMK of one polarisation and parameter, as rows of a block of angles."""
    for j in range(BLOCK):
        u1_re, u1_im, v1_re, v1_im = matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j]
        u2_re, u2_im = matrix[4 * BLOCK + j], matrix[5 * BLOCK + j]
        v2_re, v2_im = matrix[6 * BLOCK + j], matrix[7 * BLOCK + j]
        d_re, d_im = -total[BLOCK + j], total[j]
        q_re, q_im = -total[3 * BLOCK + j], total[2 * BLOCK + j]
        r_re, r_im = total[5 * BLOCK + j], -total[4 * BLOCK + j]
        rows[j] = u1_re * d_re - u1_im * d_im + u2_re * r_re - u2_im * r_im
        rows[BLOCK + j] = u1_re * d_im + u1_im * d_re + u2_re * r_im + u2_im * r_re
        rows[2 * BLOCK + j] = v1_re * d_re - v1_im * d_im + v2_re * r_re - v2_im * r_im
        rows[3 * BLOCK + j] = v1_re * d_im + v1_im * d_re + v2_re * r_im + v2_im * r_re
        rows[4 * BLOCK + j] = u1_re * q_re - u1_im * q_im - u2_re * d_re + u2_im * d_im
        rows[5 * BLOCK + j] = u1_re * q_im + u1_im * q_re - u2_re * d_im - u2_im * d_re
        rows[6 * BLOCK + j] = v1_re * q_re - v1_im * q_im - v2_re * d_re + v2_im * d_im
        rows[7 * BLOCK + j] = v1_re * q_im + v1_im * q_re - v2_re * d_im - v2_im * d_re


@jit
def spread(rows, sheet, lane, coarse):
    """Rows of a block of angles into one lane of the coarse values, one row after the other at each angle."""
    width = len(coarse) // BLOCK
    for j in range(BLOCK):
        near = coarse[j * width + sheet * SHEET + lane : (j + 1) * width]
        for row in range(MATRIX):
            near[row * LANES] = rows[row * BLOCK + j]


@jit
def reflect_tangents(optics, substrate, counts, steps, slopes, count, block, space, out, gradient, column=-1):
    """Reflectivity at the grid nodes and then the cluster nodes, and its derivatives (p, nodes).

    ``column`` >= 0 is the number of the parameter that is the substrate's factor E.
    """
    values = space.sheets * SHEET
    pack(counts, steps, slopes, space)
    for b in range(len(optics.table)):
        width = min(BLOCK, optics.coarse - b * BLOCK)
        transfer_tangents(optics.table[b], counts, steps, slopes, count, block[0], block[1], space, width)
        for pol in range(2):
            at = pol * MATRIX * LANES
            near = space.coarse[b * BLOCK * values + at : (b + 1) * BLOCK * values + at]
            spread(block[pol], 0, 0, near)
            for q in range(len(space.total)):
                store(block[pol], space.total[q, pol * K * BLOCK : (pol + 1) * K * BLOCK], space.sources)
                spread(space.sources, (1 + q) // LANES, (1 + q) % LANES, near)
    ratio = optics.ratio
    for phase in range(0, ratio, PHASES):
        first = optics.first[phase // PHASES]
        for q in range(-(-optics.grid // ratio)):
            interpolate(space.coarse, first + q, optics.weight[phase : phase + PHASES], values, space.element)
            for n in range(min(PHASES, ratio - phase)):
                i = q * ratio + phase + n
                if i < optics.grid:
                    near = space.element[n * values : (n + 1) * values]
                    out[i] = linearize(optics, substrate, i, near, slopes.end, space, column, gradient)
    for i in range(len(optics.cluster_first)):
        near = space.coarse[optics.cluster_first[i] * values :]
        interpolate_one(near, optics.cluster_weight[i], values, space.element[:values])
        node = optics.grid + i
        out[node] = linearize(optics, substrate, node, space.element, slopes.end, space, column, gradient)


@jit
def linearize(optics, substrate, node, m, end, space, column, gradient):
    """R at a node, and its derivatives, into gradient[:, node], from M and dM there."""
    share = 1.0 / (1.0 + optics.monochromator)
    total = 0.0
    thinner = 0.0  # dR for a thinner rest of the film
    weaker = 0.0  # dR for the factor E of the substrate
    factor = optics.factor[node]
    change = space.change
    for sheet in range(space.sheets):
        for q in range(LANES):
            change[q] = 0.0
        for pol in range(2):
            one = m[pol * MATRIX * LANES :]
            a_re = substrate[node, 2 * pol]
            a_im = substrate[node, 2 * pol + 1]
            u_re = one[0] * a_re - one[LANES] * a_im + one[4 * LANES]
            u_im = one[0] * a_im + one[LANES] * a_re + one[5 * LANES]
            v_re = one[2 * LANES] * a_re - one[3 * LANES] * a_im + one[6 * LANES]
            v_im = one[2 * LANES] * a_im + one[3 * LANES] * a_re + one[7 * LANES]
            unit = 1.0 / (v_re * v_re + v_im * v_im)
            r = (u_re * u_re + u_im * u_im) * unit
            if sheet == 0:
                total += share * r
                if optics.film_thickness > 0.0:
                    slope = slope_of_film(optics, node, pol, complex(a_re, a_im))
                    du = complex(one[0], one[LANES]) * slope
                    dv = complex(one[2 * LANES], one[3 * LANES]) * slope
                    scale = 2.0 * share * unit
                    thinner -= scale * (u_re * du.real + u_im * du.imag - r * (v_re * dv.real + v_im * dv.imag))
                if len(optics.weaker) > 0:
                    slope = complex(optics.weaker[node, 2 * pol], optics.weaker[node, 2 * pol + 1])
                    du = complex(one[0], one[LANES]) * slope
                    dv = complex(one[2 * LANES], one[3 * LANES]) * slope
                    scale = 2.0 * share * unit
                    weaker += scale * (u_re * du.real + u_im * du.imag - r * (v_re * dv.real + v_im * dv.imag))
            # dR = Re[x·du + y·dv], du = dM11 A + dM12, dv = dM21 A + dM22
            unit *= 2.0 * share
            x_re, x_im = unit * u_re, unit * u_im
            y_re, y_im = -unit * r * v_re, -unit * r * v_im
            xa_re, xa_im = x_re * a_re + x_im * a_im, x_im * a_re - x_re * a_im
            ya_re, ya_im = y_re * a_re + y_im * a_im, y_im * a_re - y_re * a_im
            near = m[sheet * SHEET + pol * MATRIX * LANES : sheet * SHEET + (pol + 1) * MATRIX * LANES]
            for q in range(LANES):
                change[q] += (
                    xa_re * near[q]
                    + xa_im * near[LANES + q]
                    + ya_re * near[2 * LANES + q]
                    + ya_im * near[3 * LANES + q]
                    + x_re * near[4 * LANES + q]
                    + x_im * near[5 * LANES + q]
                    + y_re * near[6 * LANES + q]
                    + y_im * near[7 * LANES + q]
                )
            share = 1.0 - share
        for q in range(max(1 - sheet, 0), min(LANES, len(gradient) + 1 - sheet * LANES)):
            gradient[sheet * LANES + q - 1, node] = factor * (change[q] + thinner * end[sheet * LANES + q - 1])
    if column >= 0 and len(optics.weaker) > 0:
        gradient[column, node] = factor * weaker
    return factor * total
