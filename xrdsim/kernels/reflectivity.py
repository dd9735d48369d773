"""Two-beam dynamical theory: from the steps of a layer to its transfer matrix, to reflectivity at any angle.

The amplitudes w = (u, v) obey dw/dz = −iNw toward the surface, N = [[a, −σ], [σ, −a]], with a = f(angle) − g(ε) and
σ = σ₀(angle)·E. One step of thickness h, with the means ā, σ̄ of its two Gauss points and their difference in
c = (√3/6) h² (a_upper σ_lower − a_lower σ_upper), is

    w ← [cos φ·I − ih·j₀(φ)·N(ā, σ̄) + c·(3 j₁(φ)/φ)·X] w,   φ² = (ā² − σ̄²) h² − c²,   X = [[0, 1], [1, 0]]

with the spherical Bessel functions j₀ = sin φ/φ and j₁. Without the last term it is the exact solution of a homogeneous
sublayer. With j₀ in the last term it is the fourth-order Magnus method (S. Blanes et al., Phys. Rep. 470, 151 (2009)),
right for small φ only. The factor 3 j₁/φ makes the step exact to first order in the slopes of a and σ for any φ: it is
∫ 6 (h²/4 − s²) exp(2iās) ds / h³ over the step, what a slope adds to the wave scattered once. Steps are then limited by
the profile, hardly by the phase.

cos φ, j₀ and 3 j₁/φ = −6 dj₀/d(φ²) are entire functions of φ², so no branch and no complex root, sine or exponential
is needed: they are computed once, for σ = 0, and corrected for φ² − ā²h², which is some 1e-5, by a Taylor step for
either polarisation. All arithmetic is real; angles are the vectorised inner loop; one block of angles, its optics and
its state stay in the first-level cache.

The transfer matrix of the whole layer is an entire function of angle, of a bandwidth set by the layer's thickness. It
is computed on coarse angles and interpolated by a Kaiser–Bessel windowed sinc (``xrdsim.kernels.sampling``); the only
sharp feature of a curve, the amplitude ratio A of the substrate, enters in closed form: R = |u/v|² with (u, v) =
M (A, 1). The only divisions are the last.

Layout: a block has BLOCK angles; its quantities are rows at constant offsets, so that the compiler sees that they do
not overlap.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.step import REACH, double, even_functions, matrix_of_step

BLOCK = 32
LANES = 8  # of a vector

# rows of the optics of a block: f = a(ε = 0), then for each polarisation σ₀ and σ₀²
F_RE, F_IM = 0, BLOCK
POLARISATION = 2 * BLOCK
S_RE, S_IM, S2_RE, S2_IM = (BLOCK * row for row in range(4))
OPTICS = 2 + 2 * 4

# rows of work: cos φ, sin φ/φ and its derivative at σ = 0
C_RE, C_IM, Q_RE, Q_IM, D_RE, D_IM = (BLOCK * row for row in range(6))
WORK = 6

# rows of the transfer matrix of one polarisation: columns (u, v) that start from (1, 0) and (0, 1)
MATRIX = 8

# nodes interpolated together: spaced like the coarse angles, and between two of them
GROUP = 8
PHASES = 4


class Optics(NamedTuple):
    """Coefficients of the recursion on the coarse angles, and how to get from them to the nodes of a curve.

    Node i = ratio·q + phase of the grid takes the coarse angles from first[phase // PHASES] + q on with weight[phase],
    node i of the cluster those from cluster_first[i] on with cluster_weight[i]. Where the nodes do not lie among the
    coarse angles periodically, ratio is the number of grid nodes and each has weights of its own.
    """

    table: NDArray[np.float64]  # (blocks, OPTICS·BLOCK)
    coarse: int  # number of coarse angles, a multiple of LANES
    monochromator: float
    ratio: int
    first: NDArray[np.int64]  # (rows of weight / PHASES,)
    weight: NDArray[np.float64]  # (ratio, taps), rows continued by zeros to a multiple of PHASES
    substrate: NDArray[np.float64]  # (nodes, 4): A of σ and π, real and imaginary, at the grid and the cluster
    film_thickness: float  # [Å] of a film on the substrate in all; 0 for none
    film: NDArray[np.complex128]  # (nodes, 3): f and σ₀ of σ and π there, no rows without film
    grid: int  # number of grid nodes
    cluster_first: NDArray[np.int64]  # (cluster,)
    cluster_weight: NDArray[np.float64]  # (cluster, taps)
    factor: NDArray[np.float64]  # (nodes,) R over |u/v|²
    weaker: NDArray[np.float64]  # (nodes, 4): dA/dE of the substrate's factor E, which has a column; else no rows
    below: NDArray[np.float64]  # (blocks, 4·BLOCK): A at the coarse angles, of σ and π, real and imaginary
    sharp: NDArray[np.bool_]  # (nodes,) where A cannot be interpolated with the transfer matrix
    whole: NDArray[np.bool_]  # (blocks,) from which a sharp node takes coarse angles


@jit
def aligned(n, like):
    """Zeros of the type of ``like`` at a multiple of 64 bytes, so that no vector lies across two lines of the cache."""
    whole = np.zeros(n + 16, like.dtype)
    first = (64 - whole.ctypes.data % 64) % 64 // whole.itemsize
    return whole[first : first + n]


@jit(inline=True)
def fill_functions(optics, work, h, g, width):
    """Rows C, Q, D: cos φ, q = sin φ/φ and dq/d(φ²) for φ = (f − g)h."""
    quarter = type(h)(0.25)
    largest = max(abs(optics[F_RE] - g), abs(optics[F_RE + width - 1] - g)) * h
    largest *= largest
    hh = h * h
    doublings = 0
    while largest > REACH:
        largest *= quarter
        hh *= quarter
        doublings += 1
    for j in range(width):
        c_re, c_im, q_re, q_im, d_re, d_im = even_functions(optics[F_RE + j] - g, optics[F_IM + j], hh)
        work[C_RE + j] = c_re
        work[C_IM + j] = c_im
        work[Q_RE + j] = q_re
        work[Q_IM + j] = q_im
        work[D_RE + j] = d_re
        work[D_IM + j] = d_im
    for _ in range(doublings):
        for j in range(width):
            c_re, c_im, q_re, q_im, d_re, d_im = double(
                work[C_RE + j], work[C_IM + j], work[Q_RE + j], work[Q_IM + j], work[D_RE + j], work[D_IM + j]
            )
            work[C_RE + j] = c_re
            work[C_IM + j] = c_im
            work[Q_RE + j] = q_re
            work[Q_IM + j] = q_im
            work[D_RE + j] = d_re
            work[D_IM + j] = d_im


@jit(inline=True)
def advance(optics, sigma, work, matrix, h, g, e, alpha, beta, width):
    """Multiply one polarisation's transfer matrix by a step."""
    for j in range(width):
        uu_re, uu_im, uv_re, uv_im, vu_re, vu_im, vv_re, vv_im = matrix_of_step(
            optics[F_RE + j],
            optics[F_IM + j],
            sigma[S_RE + j],
            sigma[S_IM + j],
            sigma[S2_RE + j],
            sigma[S2_IM + j],
            work[C_RE + j],
            work[C_IM + j],
            work[Q_RE + j],
            work[Q_IM + j],
            work[D_RE + j],
            work[D_IM + j],
            h,
            g,
            e,
            alpha,
            beta,
        )
        u_re = matrix[j]
        u_im = matrix[BLOCK + j]
        v_re = matrix[2 * BLOCK + j]
        v_im = matrix[3 * BLOCK + j]
        matrix[j] = uu_re * u_re - uu_im * u_im + uv_re * v_re - uv_im * v_im
        matrix[BLOCK + j] = uu_re * u_im + uu_im * u_re + uv_re * v_im + uv_im * v_re
        matrix[2 * BLOCK + j] = vv_re * v_re - vv_im * v_im + vu_re * u_re - vu_im * u_im
        matrix[3 * BLOCK + j] = vv_re * v_im + vv_im * v_re + vu_re * u_im + vu_im * u_re
        u_re = matrix[4 * BLOCK + j]
        u_im = matrix[5 * BLOCK + j]
        v_re = matrix[6 * BLOCK + j]
        v_im = matrix[7 * BLOCK + j]
        matrix[4 * BLOCK + j] = uu_re * u_re - uu_im * u_im + uv_re * v_re - uv_im * v_im
        matrix[5 * BLOCK + j] = uu_re * u_im + uu_im * u_re + uv_re * v_im + uv_im * v_re
        matrix[6 * BLOCK + j] = vv_re * v_re - vv_im * v_im + vu_re * u_re - vu_im * u_im
        matrix[7 * BLOCK + j] = vv_re * v_im + vv_im * v_re + vu_re * u_im + vu_im * u_re


@jit
def transfer(optics, steps, count, work, sigma_matrix, pi_matrix, width):
    """Transfer matrices of both polarisations of one block of coarse angles, from the substrate to the surface."""
    for matrix in (sigma_matrix, pi_matrix):
        matrix[:] = 0.0
        for j in range(BLOCK):
            matrix[j] = 1.0
            matrix[6 * BLOCK + j] = 1.0
    sigma = optics[POLARISATION : POLARISATION + 4 * BLOCK]
    pi = optics[POLARISATION + 4 * BLOCK : POLARISATION + 8 * BLOCK]
    for k in range(count - 1, -1, -1):
        h = steps.h[k]
        g = steps.g[k]
        fill_functions(optics, work, h, g, width)
        advance(optics, sigma, work, sigma_matrix, h, g, steps.e[k], steps.alpha[k], steps.beta[k], width)
        advance(optics, pi, work, pi_matrix, h, g, steps.e[k], steps.alpha[k], steps.beta[k], width)


@jit
def reflect(optics, steps, count, substrate, work, block, coarse, element, out):
    """Reflectivity of a layer at the grid nodes and then the cluster nodes.

    ``substrate`` (nodes, 4) is the amplitude ratio below the layer. Workspaces: ``work`` (WORK·BLOCK,), ``block``
    (2, MATRIX·BLOCK), ``coarse`` (coarse angles + GROUP) · 2·MATRIX, ``element`` PHASES · GROUP · 2·MATRIX.
    """
    for b in range(len(optics.table)):
        transfer(optics.table[b], steps, count, work, block[0], block[1], min(BLOCK, optics.coarse - b * BLOCK))
        for p in range(2):
            for row in range(MATRIX):
                for j in range(BLOCK):
                    coarse[(b * BLOCK + j) * 2 * MATRIX + p * MATRIX + row] = block[p, row * BLOCK + j]
    ratio = optics.ratio
    share = coarse.dtype.type(1.0 / (1.0 + optics.monochromator))
    group = GROUP if ratio < optics.grid else 1
    for phase in range(0, ratio, PHASES):
        first = optics.first[phase // PHASES]
        weight = optics.weight[phase : phase + PHASES]
        for q in range(0, -(-optics.grid // ratio), group):
            if group > 1:
                interpolate(coarse, first + q, weight, 2 * MATRIX, element)
            else:
                interpolate_phases(coarse, first, weight, element)
            for n in range(min(PHASES, ratio - phase)):
                for j in range(group):
                    i = (q + j) * ratio + phase + n
                    if i < optics.grid:
                        out[i] = optics.factor[i] * intensity(
                            element, (n * group + j) * 2 * MATRIX, substrate, i, share
                        )
    for i in range(len(optics.cluster_first)):
        near = coarse[optics.cluster_first[i] * 2 * MATRIX :]
        interpolate_one(near, optics.cluster_weight[i], 2 * MATRIX, element[: 2 * MATRIX])
        node = optics.grid + i
        out[node] = optics.factor[node] * intensity(element, 0, substrate, node, share)


@jit
def interpolate(coarse, first, weight, width, element):
    """Values at PHASES nodes, or at PHASES times several spaced like the coarse angles, one after the other.

    ``width`` values at each coarse angle, from angle ``first`` on; ``weight`` (PHASES, taps), the number of taps a
    multiple of 4. All phases take the same coarse values, which are loaded once.
    """
    size = len(element) // PHASES
    one = element[:size]
    two = element[size : 2 * size]
    three = element[2 * size : 3 * size]
    four = element[3 * size : 4 * size]
    for i in range(size):
        one[i] = 0.0
        two[i] = 0.0
        three[i] = 0.0
        four[i] = 0.0
    for t in range(0, weight.shape[1], 4):
        a0, a1, a2, a3 = weight[0, t], weight[0, t + 1], weight[0, t + 2], weight[0, t + 3]
        b0, b1, b2, b3 = weight[1, t], weight[1, t + 1], weight[1, t + 2], weight[1, t + 3]
        c0, c1, c2, c3 = weight[2, t], weight[2, t + 1], weight[2, t + 2], weight[2, t + 3]
        d0, d1, d2, d3 = weight[3, t], weight[3, t + 1], weight[3, t + 2], weight[3, t + 3]
        at = (first + t) * width
        near0 = coarse[at : at + size]
        near1 = coarse[at + width : at + width + size]
        near2 = coarse[at + 2 * width : at + 2 * width + size]
        near3 = coarse[at + 3 * width : at + 3 * width + size]
        for i in range(size):
            x0, x1, x2, x3 = near0[i], near1[i], near2[i], near3[i]
            one[i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            two[i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
            three[i] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
            four[i] += d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


@jit
def interpolate_phases(coarse, first, weight, element):
    """The matrices at PHASES nodes from the coarse angles from ``first`` on: with the sizes known, twice as fast."""
    for i in range(PHASES * 2 * MATRIX):
        element[i] = 0.0
    for t in range(0, weight.shape[1], 4):
        a0, a1, a2, a3 = weight[0, t], weight[0, t + 1], weight[0, t + 2], weight[0, t + 3]
        b0, b1, b2, b3 = weight[1, t], weight[1, t + 1], weight[1, t + 2], weight[1, t + 3]
        c0, c1, c2, c3 = weight[2, t], weight[2, t + 1], weight[2, t + 2], weight[2, t + 3]
        d0, d1, d2, d3 = weight[3, t], weight[3, t + 1], weight[3, t + 2], weight[3, t + 3]
        near = coarse[(first + t) * 2 * MATRIX : (first + t + 4) * 2 * MATRIX]
        for i in range(2 * MATRIX):
            x0, x1, x2, x3 = near[i], near[2 * MATRIX + i], near[4 * MATRIX + i], near[6 * MATRIX + i]
            element[i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            element[2 * MATRIX + i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
            element[4 * MATRIX + i] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
            element[6 * MATRIX + i] += d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


@jit
def interpolate_one(coarse, weight, width, element):
    """``width`` values at one node from those at its coarse angles."""
    size = len(element)
    for i in range(size):
        element[i] = 0.0
    for t in range(0, len(weight), 4):
        w0, w1, w2, w3 = weight[t], weight[t + 1], weight[t + 2], weight[t + 3]
        near0 = coarse[t * width : t * width + size]
        near1 = coarse[(t + 1) * width : (t + 1) * width + size]
        near2 = coarse[(t + 2) * width : (t + 2) * width + size]
        near3 = coarse[(t + 3) * width : (t + 3) * width + size]
        for i in range(size):
            element[i] += w0 * near0[i] + w1 * near1[i] + w2 * near2[i] + w3 * near3[i]


@jit
def intensity(element, at, substrate, node, sigma_share):
    """R = |u/v|² with (u, v) = M (A, 1), averaged over the polarisations; ``sigma_share`` is the weight of σ.

    The matrices begin at element[at]; no slices, whose reference counts would cost more than the arithmetic.
    """
    s = ratio_squared(element, at, substrate[node, 0], substrate[node, 1])
    p = ratio_squared(element, at + MATRIX, substrate[node, 2], substrate[node, 3])
    return sigma_share * s + (type(s)(1.0) - sigma_share) * p


@jit
def ratio_squared(m, i, a_re, a_im):
    """|u/v|² of (u, v) = M (A, 1)."""
    u_re = m[i] * a_re - m[i + 1] * a_im + m[i + 4]
    u_im = m[i] * a_im + m[i + 1] * a_re + m[i + 5]
    v_re = m[i + 2] * a_re - m[i + 3] * a_im + m[i + 6]
    v_im = m[i + 2] * a_im + m[i + 3] * a_re + m[i + 7]
    return (u_re * u_re + u_im * u_im) / (v_re * v_re + v_im * v_im)
