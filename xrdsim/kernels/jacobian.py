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
from xrdsim.kernels.reflectivity import (
    BLOCK,
    C_IM,
    C_RE,
    D_IM,
    D_RE,
    F_IM,
    F_RE,
    MATRIX,
    POLARISATION,
    Q_IM,
    Q_RE,
    S2_IM,
    S2_RE,
    S_IM,
    S_RE,
    WORK,
    advance,
    aligned,
    interpolate,
)
from xrdsim.kernels.slopes import Slopes
from xrdsim.kernels.step import (
    REACH,
    adjoint_action,
    double,
    double_second,
    even_functions,
    generators,
    second_derivative,
    times,
)
from xrdsim.kernels.steps import SEGMENTS, Steps

SLOTS = 4
"""Steps whose contributions are added up together."""

GENERATORS = 18
K = 6  # rows of K of one polarisation: diagonal, upper and minus the lower element
SOURCE = 2 * K * BLOCK
B_RE, B_IM = BLOCK * WORK, BLOCK * (WORK + 1)


class Tangents(NamedTuple):
    """Workspace of one thread beside that of the curve."""

    work: NDArray[np.float64]  # cos φ, q, q' and q''
    generators: NDArray[np.float64]
    sources: NDArray[np.float64]  # (g, β, e, α, h) × SLOTS × SOURCE
    thickness: NDArray[np.float64]  # (SOURCE,) for a change of h of a whole segment
    total: NDArray[np.float64]  # (p, SOURCE) K of each parameter
    coarse: NDArray[np.float64]  # M and dM of each parameter, at each coarse angle
    element: NDArray[np.float64]  # the same at one node
    factor: NDArray[np.float64]  # (2·MATRIX,)
    weights: NDArray[np.float64]  # (8,)


@jit
def tangents(size, optics):
    """Make the arrays for so many parameters."""
    width = (1 + size) * 2 * MATRIX
    return Tangents(
        aligned((WORK + 2) * BLOCK),
        aligned(GENERATORS * BLOCK),
        aligned(5 * SLOTS * SOURCE),
        aligned(SOURCE),
        aligned(size * SOURCE).reshape(size, SOURCE),
        aligned(len(optics.table) * BLOCK * width),
        aligned(width),
        aligned(2 * MATRIX),
        np.zeros(2 * SLOTS),
    )


@jit
def fill_functions(optics, work, h, g):
    """Rows C, Q, D, B: cos φ, q = sin φ/φ and its first two derivatives over φ², φ = (f − g)h."""
    largest = max(abs(optics[F_RE] - g), abs(optics[F_RE + BLOCK - 1] - g)) * h
    largest *= largest
    hh = h * h
    doublings = 0
    while largest > REACH:
        largest *= 0.25
        hh *= 0.25
        doublings += 1
    for j in range(BLOCK):
        c_re, c_im, q_re, q_im, d_re, d_im = even_functions(optics[F_RE + j] - g, optics[F_IM + j], hh)
        b_re, b_im = second_derivative(optics[F_RE + j] - g, optics[F_IM + j], hh)
        work[C_RE + j] = c_re
        work[C_IM + j] = c_im
        work[Q_RE + j] = q_re
        work[Q_IM + j] = q_im
        work[D_RE + j] = d_re
        work[D_IM + j] = d_im
        work[B_RE + j] = b_re
        work[B_IM + j] = b_im
    for _ in range(doublings):
        for j in range(BLOCK):
            c_re, c_im, q_re, q_im = work[C_RE + j], work[C_IM + j], work[Q_RE + j], work[Q_IM + j]
            d_re, d_im = work[D_RE + j], work[D_IM + j]
            b_re, b_im = double_second(c_re, c_im, q_re, q_im, d_re, d_im, work[B_RE + j], work[B_IM + j])
            c_re, c_im, q_re, q_im, d_re, d_im = double(c_re, c_im, q_re, q_im, d_re, d_im)
            work[C_RE + j] = c_re
            work[C_IM + j] = c_im
            work[Q_RE + j] = q_re
            work[Q_IM + j] = q_im
            work[D_RE + j] = d_re
            work[D_IM + j] = d_im
            work[B_RE + j] = b_re
            work[B_IM + j] = b_im


@jit
def fill_generators(optics, work, rows, h, g, e, alpha, beta):
    """What the step contributes to either polarisation, before it is pulled back."""
    for j in range(BLOCK):
        values = generators(
            optics[F_RE + j],
            optics[F_IM + j],
            work[C_RE + j],
            work[C_IM + j],
            work[Q_RE + j],
            work[Q_IM + j],
            work[D_RE + j],
            work[D_IM + j],
            work[B_RE + j],
            work[B_IM + j],
            h,
            g,
            e,
            alpha,
            beta,
        )
        rows[j] = values[0]
        rows[BLOCK + j] = values[1]
        rows[2 * BLOCK + j] = values[2]
        rows[3 * BLOCK + j] = values[3]
        rows[4 * BLOCK + j] = values[4]
        rows[5 * BLOCK + j] = values[5]
        rows[6 * BLOCK + j] = values[6]
        rows[7 * BLOCK + j] = values[7]
        rows[8 * BLOCK + j] = values[8]
        rows[9 * BLOCK + j] = values[9]
        rows[10 * BLOCK + j] = values[10]
        rows[11 * BLOCK + j] = values[11]
        rows[12 * BLOCK + j] = values[12]
        rows[13 * BLOCK + j] = values[13]
        rows[14 * BLOCK + j] = values[14]
        rows[15 * BLOCK + j] = values[15]
        rows[16 * BLOCK + j] = values[16]
        rows[17 * BLOCK + j] = values[17]


@jit
def pull_back(optics, sigma, rows, matrix, g, e, damaged, sources, at):
    """S⁻¹(·)S of a step's contributions to one polarisation, into sources[at:] and SLOTS·SOURCE further each."""
    theta = SLOTS * SOURCE
    for j in range(BLOCK):
        zd_re, zd_im, zq_re, zq_im, zr_re, zr_im, ud_re, ud_im, uq_re, uq_im, ur_re, ur_im, \
            ld_re, ld_im, lq_re, lq_im, lr_re, lr_im = adjoint_action(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            matrix[4 * BLOCK + j], matrix[5 * BLOCK + j], matrix[6 * BLOCK + j], matrix[7 * BLOCK + j],
        )  # fmt: skip
        s_re = sigma[S_RE + j]
        s_im = sigma[S_IM + j]
        s2_re = sigma[S2_RE + j]
        s2_im = sigma[S2_IM + j]
        # g
        z_re, z_im = times(s2_re, s2_im, rows[j], rows[BLOCK + j])
        m_re, m_im = times(s_re, s_im, rows[2 * BLOCK + j], rows[3 * BLOCK + j])
        n_re, n_im = times(s_re, s_im, rows[4 * BLOCK + j], rows[5 * BLOCK + j])
        z_re += 1.0
        gd_re = z_re * zd_re - z_im * zd_im + m_re * ud_re - m_im * ud_im + n_re * ld_re - n_im * ld_im
        gd_im = z_re * zd_im + z_im * zd_re + m_re * ud_im + m_im * ud_re + n_re * ld_im + n_im * ld_re
        gq_re = z_re * zq_re - z_im * zq_im + m_re * uq_re - m_im * uq_im + n_re * lq_re - n_im * lq_im
        gq_im = z_re * zq_im + z_im * zq_re + m_re * uq_im + m_im * uq_re + n_re * lq_im + n_im * lq_re
        gr_re = z_re * zr_re - z_im * zr_im + m_re * ur_re - m_im * ur_im + n_re * lr_re - n_im * lr_im
        gr_im = z_re * zr_im + z_im * zr_re + m_re * ur_im + m_im * ur_re + n_re * lr_im + n_im * lr_re
        sources[at + j] = gd_re
        sources[at + BLOCK + j] = gd_im
        sources[at + 2 * BLOCK + j] = gq_re
        sources[at + 3 * BLOCK + j] = gq_im
        sources[at + 4 * BLOCK + j] = gr_re
        sources[at + 5 * BLOCK + j] = gr_im
        # β
        z_re, z_im = times(s2_re, s2_im, rows[6 * BLOCK + j], rows[7 * BLOCK + j])
        m_re, m_im = times(s_re, s_im, rows[8 * BLOCK + j], rows[9 * BLOCK + j])
        n_re, n_im = times(s_re, s_im, rows[10 * BLOCK + j], rows[11 * BLOCK + j])
        bd_re = z_re * zd_re - z_im * zd_im + m_re * ud_re - m_im * ud_im + n_re * ld_re - n_im * ld_im
        bd_im = z_re * zd_im + z_im * zd_re + m_re * ud_im + m_im * ud_re + n_re * ld_im + n_im * ld_re
        bq_re = z_re * zq_re - z_im * zq_im + m_re * uq_re - m_im * uq_im + n_re * lq_re - n_im * lq_im
        bq_im = z_re * zq_im + z_im * zq_re + m_re * uq_im + m_im * uq_re + n_re * lq_im + n_im * lq_re
        br_re = z_re * zr_re - z_im * zr_im + m_re * ur_re - m_im * ur_im + n_re * lr_re - n_im * lr_im
        br_im = z_re * zr_im + z_im * zr_re + m_re * ur_im + m_im * ur_re + n_re * lr_im + n_im * lr_re
        sources[theta + at + j] = bd_re
        sources[theta + at + BLOCK + j] = bd_im
        sources[theta + at + 2 * BLOCK + j] = bq_re
        sources[theta + at + 3 * BLOCK + j] = bq_im
        sources[theta + at + 4 * BLOCK + j] = br_re
        sources[theta + at + 5 * BLOCK + j] = br_im
        # e, and h from e·(e) − ā·(g)
        z_re, z_im = times(s2_re, s2_im, rows[12 * BLOCK + j], rows[13 * BLOCK + j])
        m_re, m_im = times(s_re, s_im, rows[14 * BLOCK + j], rows[15 * BLOCK + j])
        n_re, n_im = times(s_re, s_im, rows[16 * BLOCK + j], rows[17 * BLOCK + j])
        ed_re = z_re * zd_re - z_im * zd_im + m_re * ud_re - m_im * ud_im + n_re * ld_re - n_im * ld_im
        ed_im = z_re * zd_im + z_im * zd_re + m_re * ud_im + m_im * ud_re + n_re * ld_im + n_im * ld_re
        eq_re = z_re * zq_re - z_im * zq_im + m_re * uq_re - m_im * uq_im + n_re * lq_re - n_im * lq_im
        eq_im = z_re * zq_im + z_im * zq_re + m_re * uq_im + m_im * uq_re + n_re * lq_im + n_im * lq_re
        er_re = z_re * zr_re - z_im * zr_im + m_re * ur_re - m_im * ur_im + n_re * lr_re - n_im * lr_im
        er_im = z_re * zr_im + z_im * zr_re + m_re * ur_im + m_im * ur_re + n_re * lr_im + n_im * lr_re
        a_re = optics[F_RE + j] - g
        a_im = optics[F_IM + j]
        sources[4 * theta + at + j] = e * ed_re - (a_re * gd_re - a_im * gd_im)
        sources[4 * theta + at + BLOCK + j] = e * ed_im - (a_re * gd_im + a_im * gd_re)
        sources[4 * theta + at + 2 * BLOCK + j] = e * eq_re - (a_re * gq_re - a_im * gq_im)
        sources[4 * theta + at + 3 * BLOCK + j] = e * eq_im - (a_re * gq_im + a_im * gq_re)
        sources[4 * theta + at + 4 * BLOCK + j] = e * er_re - (a_re * gr_re - a_im * gr_im)
        sources[4 * theta + at + 5 * BLOCK + j] = e * er_im - (a_re * gr_im + a_im * gr_re)
        if damaged:
            sources[2 * theta + at + j] = ed_re
            sources[2 * theta + at + BLOCK + j] = ed_im
            sources[2 * theta + at + 2 * BLOCK + j] = eq_re
            sources[2 * theta + at + 3 * BLOCK + j] = eq_im
            sources[2 * theta + at + 4 * BLOCK + j] = er_re
            sources[2 * theta + at + 5 * BLOCK + j] = er_im
            f_re = optics[F_RE + j]
            sources[3 * theta + at + j] = f_re * bd_re - a_im * bd_im
            sources[3 * theta + at + BLOCK + j] = f_re * bd_im + a_im * bd_re
            sources[3 * theta + at + 2 * BLOCK + j] = f_re * bq_re - a_im * bq_im
            sources[3 * theta + at + 3 * BLOCK + j] = f_re * bq_im + a_im * bq_re
            sources[3 * theta + at + 4 * BLOCK + j] = f_re * br_re - a_im * br_im
            sources[3 * theta + at + 5 * BLOCK + j] = f_re * br_im + a_im * br_re


@jit
def add(sources, at, weights, total):
    """total += Σ weights[n]·sources[at + n·SOURCE :], n = 0 … 7."""
    w0, w1, w2, w3, w4, w5, w6, w7 = weights
    for i in range(SOURCE):
        near = at + i
        total[i] += (
            w0 * sources[near]
            + w1 * sources[near + SOURCE]
            + w2 * sources[near + 2 * SOURCE]
            + w3 * sources[near + 3 * SOURCE]
            + w4 * sources[near + 4 * SOURCE]
            + w5 * sources[near + 5 * SOURCE]
            + w6 * sources[near + 6 * SOURCE]
            + w7 * sources[near + 7 * SOURCE]
        )


@jit
def collect(steps, slopes, first, count, space):
    """Add the contributions in the slots, of the steps first, first − 1, …, to the totals of all parameters."""
    weights = space.weights
    for q in range(len(space.total)):
        for part in range(2 if len(slopes.e) > 0 else 1):
            weights[:] = 0.0
            for n in range(count):
                k = first - n
                if part == 0:
                    weights[n] = slopes.g[k, q] * steps.h[k]
                    weights[SLOTS + n] = slopes.beta[k, q]
                else:
                    weights[n] = slopes.e[k, q] * steps.h[k]
                    weights[SLOTS + n] = slopes.alpha[k, q]
            if weights.any():
                add(space.sources, 2 * part * SLOTS * SOURCE, weights, space.total[q])
    for n in range(count):
        at = (4 * SLOTS + n) * SOURCE
        for i in range(SOURCE):
            space.thickness[i] += space.sources[at + i]


@jit
def transfer_tangents(optics, counts, steps, slopes, count, sigma_matrix, pi_matrix, space):
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
    k = count - 1
    for s in range(SEGMENTS - 1, -1, -1):
        space.thickness[:] = 0.0
        slot = 0
        for i in range(counts[s]):
            h, g, e, alpha, beta = steps.h[k], steps.g[k], steps.e[k], steps.alpha[k], steps.beta[k]
            fill_functions(optics, space.work, h, g)
            fill_generators(optics, space.work, space.generators, h, g, e, alpha, beta)
            at = slot * SOURCE
            pull_back(optics, sigma, space.generators, sigma_matrix, g, e, damaged, space.sources, at)
            pull_back(optics, pi, space.generators, pi_matrix, g, e, damaged, space.sources, at + K * BLOCK)
            advance(optics, sigma, space.work, sigma_matrix, h, g, e, alpha, beta)
            advance(optics, pi, space.work, pi_matrix, h, g, e, alpha, beta)
            slot += 1
            if slot == SLOTS or i == counts[s] - 1:
                collect(steps, slopes, k + slot - 1, slot, space)
                slot = 0
            k -= 1
        for q in range(len(space.total)):
            weight = slopes.h[s, q]
            if weight != 0.0:
                for i in range(SOURCE):
                    space.total[q, i] += weight * space.thickness[i]


@jit
def store(b, matrix, pol, space):
    """M and dM = iMK of all parameters of one block and polarisation into ``space.coarse``."""
    size = len(space.total)
    width = (1 + size) * 2 * MATRIX
    for j in range(BLOCK):
        at = (b * BLOCK + j) * width + pol * MATRIX
        for row in range(MATRIX):
            space.coarse[at + row] = matrix[row * BLOCK + j]
        u1 = complex(matrix[j], matrix[BLOCK + j])
        v1 = complex(matrix[2 * BLOCK + j], matrix[3 * BLOCK + j])
        u2 = complex(matrix[4 * BLOCK + j], matrix[5 * BLOCK + j])
        v2 = complex(matrix[6 * BLOCK + j], matrix[7 * BLOCK + j])
        unit = 1j / (u1 * v2 - u2 * v1)
        for q in range(size):
            at += 2 * MATRIX
            k = pol * K * BLOCK + j
            diagonal = unit * complex(space.total[q, k], space.total[q, k + BLOCK])
            upper = unit * complex(space.total[q, k + 2 * BLOCK], space.total[q, k + 3 * BLOCK])
            lower = -unit * complex(space.total[q, k + 4 * BLOCK], space.total[q, k + 5 * BLOCK])
            _put(space.coarse, at, u1 * diagonal + u2 * lower)
            _put(space.coarse, at + 2, v1 * diagonal + v2 * lower)
            _put(space.coarse, at + 4, u1 * upper - u2 * diagonal)
            _put(space.coarse, at + 6, v1 * upper - v2 * diagonal)


@jit
def _put(array, at, value):
    array[at] = value.real
    array[at + 1] = value.imag


@jit
def reflect_tangents(optics, counts, steps, slopes, count, block, space, out, gradient):
    """Reflectivity at the grid nodes and then the cluster nodes, and its derivatives (nodes, p)."""
    for b in range(len(optics.table)):
        transfer_tangents(optics.table[b], counts, steps, slopes, count, block[0], block[1], space)
        store(b, block[0], 0, space)
        store(b, block[1], 1, space)
    ratio = len(optics.weight)
    for i in range(optics.grid):
        interpolate(space.coarse, i // ratio, optics.weight[i % ratio], len(space.element), space.element)
        out[i] = linearise(optics, i, space, gradient)
    for i in range(len(optics.cluster_first)):
        interpolate(
            space.coarse, optics.cluster_first[i], optics.cluster_weight[i], len(space.element), space.element
        )
        out[optics.grid + i] = linearise(optics, optics.grid + i, space, gradient)


@jit
def linearise(optics, node, space, gradient):
    """R at a node, and its derivatives into gradient[node], from M and dM there."""
    share = 1.0 / (1.0 + optics.monochromator)
    m = space.element
    total = 0.0
    for pol in range(2):
        at = pol * MATRIX
        a = complex(optics.substrate[node, 2 * pol], optics.substrate[node, 2 * pol + 1])
        u = complex(m[at], m[at + 1]) * a + complex(m[at + 4], m[at + 5])
        v = complex(m[at + 2], m[at + 3]) * a + complex(m[at + 6], m[at + 7])
        unit = 1.0 / (v.real * v.real + v.imag * v.imag)
        r = (u.real * u.real + u.imag * u.imag) * unit
        total += share * r
        du = 2.0 * share * unit * u.conjugate()
        dv = -2.0 * share * unit * r * v.conjugate()
        _put(space.factor, at, (du * a).conjugate())
        _put(space.factor, at + 2, (dv * a).conjugate())
        _put(space.factor, at + 4, du.conjugate())
        _put(space.factor, at + 6, dv.conjugate())
        share = 1.0 - share
    for q in range(gradient.shape[1]):
        at = (1 + q) * 2 * MATRIX
        change = 0.0
        for i in range(2 * MATRIX):
            change += space.factor[i] * m[at + i]
        gradient[node, q] = change
    return total
