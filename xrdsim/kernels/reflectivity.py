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
is computed on a coarse grid of angles and interpolated by a Kaiser–Bessel windowed sinc (``xrdsim.optics``); the only
sharp feature of a curve, the amplitude ratio A of the substrate, enters in closed form: R = |u/v|² with (u, v) =
M (A, 1). The only divisions are the last.

Layout: a block has BLOCK angles; its quantities are rows at constant offsets, so that the compiler sees that they do
not overlap.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit

BLOCK = 32

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

# nodes interpolated together
GROUP = 8

# cos √x, sin √x/√x and its derivative as polynomials: remainders below 1e-13 for |x| ≤ REACH
REACH = 1.2
C1, C2, C3, C4, C5, C6, C7 = ((-1.0) ** n / math.factorial(2 * n) for n in range(1, 8))
Q1, Q2, Q3, Q4, Q5, Q6, Q7 = ((-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, 8))
D0, D1, D2, D3, D4, D5, D6 = ((-1.0) ** (n + 1) * (n + 1) / math.factorial(2 * n + 3) for n in range(7))


class Optics(NamedTuple):
    """Coefficients of the recursion on the coarse angles, and how to get from them to the nodes of a curve.

    Node i = ratio·q + phase of the equidistant grid takes the coarse angles q … q + taps − 1 with weight[phase], node i
    of the cluster those from cluster_first[i] on with cluster_weight[i].
    """

    table: NDArray[np.float64]  # (blocks, OPTICS·BLOCK)
    monochromator: float
    weight: NDArray[np.float64]  # (ratio, taps)
    substrate: NDArray[np.float64]  # (nodes, 4): A of σ and π, real and imaginary, at the grid and the cluster
    grid: int  # number of grid nodes
    cluster_first: NDArray[np.int64]  # (cluster,)
    cluster_weight: NDArray[np.float64]  # (cluster, taps)


@jit
def aligned(n):
    """Zeros at an address that is a multiple of 64 bytes, so that no vector lies across two lines of the cache."""
    whole = np.zeros(n + 8)
    first = (64 - whole.ctypes.data % 64) % 64 // 8
    return whole[first : first + n]


@jit
def even_functions(optics, work, h, g):
    """Rows C, Q, D: cos φ, q = sin φ/φ and dq/d(φ²) for φ = (f − g)h.

    A polynomial with real coefficients at a complex point is the recurrence b_k = c_k + 2 Re x·b_{k+1} − |x|² b_{k+2}:
    two multiply-adds a coefficient. Doubling the angle: cos 2φ = 2 cos²φ − 1, q(4x) = q cos φ, q'(4x) = (q' cos φ −
    q²/2)/4.
    """
    largest = max(abs(optics[F_RE] - g), abs(optics[F_RE + BLOCK - 1] - g)) * h
    largest *= largest
    doublings = 0
    scale = 1.0
    while largest * scale > REACH:
        scale *= 0.25
        doublings += 1
    hh = h * h * scale
    for j in range(BLOCK):
        a_re = optics[F_RE + j] - g
        a_im = optics[F_IM + j]
        x_re = (a_re * a_re - a_im * a_im) * hh
        x_im = 2.0 * a_re * a_im * hh
        r = 2.0 * x_re
        m = -(x_re * x_re + x_im * x_im)
        b2 = C6 + r * C7
        b1 = C5 + r * b2 + m * C7
        b2 = C4 + r * b1 + m * b2
        b1 = C3 + r * b2 + m * b1
        b2 = C2 + r * b1 + m * b2
        b1 = C1 + r * b2 + m * b1
        work[C_RE + j] = 1.0 + x_re * b1 + m * b2
        work[C_IM + j] = x_im * b1
        b2 = Q6 + r * Q7
        b1 = Q5 + r * b2 + m * Q7
        b2 = Q4 + r * b1 + m * b2
        b1 = Q3 + r * b2 + m * b1
        b2 = Q2 + r * b1 + m * b2
        b1 = Q1 + r * b2 + m * b1
        work[Q_RE + j] = 1.0 + x_re * b1 + m * b2
        work[Q_IM + j] = x_im * b1
        b2 = D5 + r * D6
        b1 = D4 + r * b2 + m * D6
        b2 = D3 + r * b1 + m * b2
        b1 = D2 + r * b2 + m * b1
        b2 = D1 + r * b1 + m * b2
        work[D_RE + j] = D0 + x_re * b2 + m * b1
        work[D_IM + j] = x_im * b2
    for _ in range(doublings):
        for j in range(BLOCK):
            c_re = work[C_RE + j]
            c_im = work[C_IM + j]
            q_re = work[Q_RE + j]
            q_im = work[Q_IM + j]
            d_re = work[D_RE + j]
            d_im = work[D_IM + j]
            work[C_RE + j] = 2.0 * (c_re * c_re - c_im * c_im) - 1.0
            work[C_IM + j] = 4.0 * c_re * c_im
            work[Q_RE + j] = q_re * c_re - q_im * c_im
            work[Q_IM + j] = q_re * c_im + q_im * c_re
            work[D_RE + j] = 0.25 * (d_re * c_re - d_im * c_im - 0.5 * (q_re * q_re - q_im * q_im))
            work[D_IM + j] = 0.25 * (d_re * c_im + d_im * c_re - q_re * q_im)


@jit
def advance(optics, sigma, work, matrix, h, g, e, alpha, beta):
    """Multiply one polarisation's transfer matrix by a step with ā = f − g, σ̄ = σ₀e and c = σ₀(αf + β)."""
    he = h * e
    for j in range(BLOCK):
        f_re = optics[F_RE + j]
        f_im = optics[F_IM + j]
        k_re = alpha * f_re + beta
        k_im = alpha * f_im
        t_re = he * he + k_re * k_re - k_im * k_im
        t_im = 2.0 * k_re * k_im
        x_re = sigma[S2_IM + j] * t_im - sigma[S2_RE + j] * t_re  # φ² − ā²h²
        x_im = -sigma[S2_RE + j] * t_im - sigma[S2_IM + j] * t_re
        y_re = work[D_RE + j] * x_re - work[D_IM + j] * x_im
        y_im = work[D_RE + j] * x_im + work[D_IM + j] * x_re
        q_re = work[Q_RE + j] + y_re
        q_im = work[Q_IM + j] + y_im
        o_re = q_re - 0.5 * y_re
        o_im = q_im - 0.5 * y_im
        c_re = work[C_RE + j] - 0.5 * (o_re * x_re - o_im * x_im)
        c_im = work[C_IM + j] - 0.5 * (o_re * x_im + o_im * x_re)
        # diagonal: cos φ ∓ i·h·ā·q; off-diagonal: σ₀·(−6 q'·(αf + β) ± q·i·h·e)
        a_re = (f_re - g) * h
        a_im = f_im * h
        d_re = q_re * a_re - q_im * a_im
        d_im = q_re * a_im + q_im * a_re
        uu_re = c_re + d_im
        uu_im = c_im - d_re
        vv_re = c_re - d_im
        vv_im = c_im + d_re
        m_re = q_re * sigma[S_RE + j] - q_im * sigma[S_IM + j]
        m_im = q_re * sigma[S_IM + j] + q_im * sigma[S_RE + j]
        n_re = work[D_RE + j] * sigma[S_RE + j] - work[D_IM + j] * sigma[S_IM + j]
        n_im = work[D_RE + j] * sigma[S_IM + j] + work[D_IM + j] * sigma[S_RE + j]
        l_re = -6.0 * (n_re * k_re - n_im * k_im)
        l_im = -6.0 * (n_re * k_im + n_im * k_re)
        uv_re = l_re - m_im * he
        uv_im = l_im + m_re * he
        vu_re = l_re + m_im * he
        vu_im = l_im - m_re * he
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
def transfer(optics, steps, count, work, sigma_matrix, pi_matrix):
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
        even_functions(optics, work, h, g)
        advance(optics, sigma, work, sigma_matrix, h, g, steps.e[k], steps.alpha[k], steps.beta[k])
        advance(optics, pi, work, pi_matrix, h, g, steps.e[k], steps.alpha[k], steps.beta[k])


@jit
def reflect(optics, steps, count, work, block, coarse, element, out):
    """Reflectivity of a layer at the grid nodes and then the cluster nodes.

    Workspaces: ``work`` (WORK·BLOCK,), ``block`` (2, MATRIX·BLOCK), ``coarse`` (coarse angles +
    GROUP) · 2·MATRIX, ``element`` GROUP · 2·MATRIX.
    """
    for b in range(len(optics.table)):
        transfer(optics.table[b], steps, count, work, block[0], block[1])
        for p in range(2):
            for row in range(MATRIX):
                for j in range(BLOCK):
                    coarse[(b * BLOCK + j) * 2 * MATRIX + p * MATRIX + row] = block[p, row * BLOCK + j]
    ratio = len(optics.weight)
    share = 1.0 / (1.0 + optics.monochromator)
    for phase in range(ratio):
        quotients = (optics.grid - phase + ratio - 1) // ratio
        for q in range(0, quotients, GROUP):
            interpolate(coarse, q, optics.weight[phase], element)
            for j in range(min(GROUP, quotients - q)):
                i = (q + j) * ratio + phase
                out[i] = intensity(element, j * 2 * MATRIX, optics.substrate, i, share)
    one = element[: 2 * MATRIX]
    for i in range(len(optics.cluster_first)):
        interpolate(coarse, optics.cluster_first[i], optics.cluster_weight[i], one)
        out[optics.grid + i] = intensity(one, 0, optics.substrate, optics.grid + i, share)


@jit
def interpolate(coarse, first, weight, element):
    """Both transfer matrices at one node, or at several spaced like the coarse angles, from these from ``first`` on.

    The number of taps is a multiple of 4; the length of ``element`` sets the number of nodes.
    """
    size = len(element)
    for i in range(size):
        element[i] = 0.0
    for t in range(0, len(weight), 4):
        w0 = weight[t]
        w1 = weight[t + 1]
        w2 = weight[t + 2]
        w3 = weight[t + 3]
        near = coarse[(first + t) * 2 * MATRIX : (first + t + 3) * 2 * MATRIX + size]
        for i in range(size):
            element[i] += (
                w0 * near[i] + w1 * near[2 * MATRIX + i] + w2 * near[4 * MATRIX + i] + w3 * near[6 * MATRIX + i]
            )


@jit
def intensity(element, at, substrate, node, sigma_share):
    """R = |u/v|² with (u, v) = M (A, 1), averaged over the polarisations; ``sigma_share`` is the weight of σ.

    The matrices begin at element[at]; no slices, whose reference counts would cost more than the arithmetic.
    """
    s = ratio_squared(element, at, substrate[node, 0], substrate[node, 1])
    p = ratio_squared(element, at + MATRIX, substrate[node, 2], substrate[node, 3])
    return sigma_share * s + (1.0 - sigma_share) * p


@jit
def ratio_squared(m, i, a_re, a_im):
    """|u/v|² of (u, v) = M (A, 1)."""
    u_re = m[i] * a_re - m[i + 1] * a_im + m[i + 4]
    u_im = m[i] * a_im + m[i + 1] * a_re + m[i + 5]
    v_re = m[i + 2] * a_re - m[i + 3] * a_im + m[i + 6]
    v_im = m[i + 2] * a_im + m[i + 3] * a_re + m[i + 7]
    return (u_re * u_re + u_im * u_im) / (v_re * v_re + v_im * v_im)
