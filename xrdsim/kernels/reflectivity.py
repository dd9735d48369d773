"""Two-beam dynamical theory: from sublayers to reflectivity at a block of angles.

The amplitudes w = (u, v) obey dw/dz = −iNw toward the surface, N = [[a, −σ], [σ, −a]], with a = f(angle) − g(ε) and
σ = σ₀(angle)·E. One step of thickness h, with the means ā, σ̄ of its two Gauss points and the fourth-order Magnus
correction c = (√3/6) h² (a_upper σ_lower − a_lower σ_upper), is

    w ← [cos φ·I + (sin φ/φ)·(−ih N(ā, σ̄) + c·X)] w,   φ² = (ā² − σ̄²) h² − c²,   X = [[0, 1], [1, 0]]

(S. Blanes et al., Phys. Rep. 470, 151 (2009)); with equal strains at both points c = 0 and the step is the exact
solution of a homogeneous sublayer. cos φ and sin φ/φ are entire functions of φ², so no branch and no complex root,
sine or exponential is needed. All arithmetic is real; angles are the vectorised inner loop; one block of angles, its
optics and its state stay in the first-level cache. The only divisions are the last.

Layout: ``optics`` (blocks, OPTICS·BLOCK) and ``work`` (WORK·BLOCK) are flat rows of BLOCK angles at constant offsets,
so that the compiler sees that rows do not overlap.
"""

import math

from xrdsim._jit import jit

BLOCK = 64

# rows of optics: f = a(ε = 0), then for each polarisation σ₀, σ₀² and the substrate's amplitude ratio
F_RE, F_IM = 0, BLOCK
POLARISATION = 2 * BLOCK
S_RE, S_IM, S2_RE, S2_IM, A_RE, A_IM = (BLOCK * row for row in range(6))
OPTICS = 2 + 2 * 6

# rows of work: state u, v; cos φ and sin φ/φ; φ²; the sum over polarisations
U_RE, U_IM, V_RE, V_IM, C_RE, C_IM, Q_RE, Q_IM, TOTAL = (BLOCK * row for row in range(9))
WORK = 9

# cos √x and sin √x/√x as polynomials of degree 7: remainders below 1e-13 for |x| ≤ REACH
REACH = 1.2
C1, C2, C3, C4, C5, C6, C7 = ((-1.0) ** n / math.factorial(2 * n) for n in range(1, 8))
Q1, Q2, Q3, Q4, Q5, Q6, Q7 = ((-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, 8))


@jit
def cos_sinc(work, doublings):
    """Rows C, Q hold x = φ²/4^doublings (real, imaginary in C); replace by cos φ and sin φ/φ.

    A polynomial with real coefficients at a complex point is the recurrence b_k = c_k + 2 Re x·b_{k+1} − |x|² b_{k+2}:
    two multiply-adds a coefficient. Each doubling of the angle: cos 2y = 2cos²y − 1, sin 2y/2y = cos y·sin y/y.
    """
    for j in range(BLOCK):
        x_re = work[C_RE + j]
        x_im = work[C_IM + j]
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
    for _ in range(doublings):
        for j in range(BLOCK):
            c_re = work[C_RE + j]
            c_im = work[C_IM + j]
            q_re = work[Q_RE + j]
            q_im = work[Q_IM + j]
            work[C_RE + j] = 2.0 * (c_re * c_re - c_im * c_im) - 1.0
            work[C_IM + j] = 4.0 * c_re * c_im
            work[Q_RE + j] = q_re * c_re - q_im * c_im
            work[Q_IM + j] = q_re * c_im + q_im * c_re


@jit
def step(optics, s, work, h, g, e, alpha, beta):
    """Advance u, v of the polarisation at offset s by one sublayer with ā = f − g, σ̄ = σ₀e, c = σ₀(αf + β)."""
    largest = 0.0
    for j in (0, BLOCK - 1):
        largest = max(largest, abs(optics[F_RE + j] - g))
    largest *= largest * h * h
    doublings = 0
    scale = 1.0
    while largest * scale > REACH:
        scale *= 0.25
        doublings += 1
    hh = h * h * scale
    ee = e * e * h * h * scale
    for j in range(BLOCK):
        a_re = optics[F_RE + j] - g
        a_im = optics[F_IM + j]
        k_re = alpha * optics[F_RE + j] + beta
        k_im = alpha * a_im
        t_re = ee + (k_re * k_re - k_im * k_im) * scale
        t_im = 2.0 * k_re * k_im * scale
        s2_re = optics[s + S2_RE + j]
        s2_im = optics[s + S2_IM + j]
        work[C_RE + j] = (a_re * a_re - a_im * a_im) * hh - s2_re * t_re + s2_im * t_im
        work[C_IM + j] = 2.0 * a_re * a_im * hh - s2_re * t_im - s2_im * t_re
    cos_sinc(work, doublings)
    for j in range(BLOCK):
        q_re = work[Q_RE + j]
        q_im = work[Q_IM + j]
        a_re = (optics[F_RE + j] - g) * h
        a_im = optics[F_IM + j] * h
        # diagonal: cos φ ∓ i·h·a·sinc; off-diagonal: σ₀·sinc·(αf + β ± i·h·e)
        d_re = q_re * a_re - q_im * a_im
        d_im = q_re * a_im + q_im * a_re
        s_re = optics[s + S_RE + j]
        s_im = optics[s + S_IM + j]
        m_re = q_re * s_re - q_im * s_im
        m_im = q_re * s_im + q_im * s_re
        k_re = alpha * optics[F_RE + j] + beta
        k_im = alpha * optics[F_IM + j]
        up_re = m_re * k_re - m_im * (k_im + h * e)
        up_im = m_re * (k_im + h * e) + m_im * k_re
        down_re = m_re * k_re - m_im * (k_im - h * e)
        down_im = m_re * (k_im - h * e) + m_im * k_re
        uu_re = work[C_RE + j] + d_im
        uu_im = work[C_IM + j] - d_re
        vv_re = work[C_RE + j] - d_im
        vv_im = work[C_IM + j] + d_re
        u_re = work[U_RE + j]
        u_im = work[U_IM + j]
        v_re = work[V_RE + j]
        v_im = work[V_IM + j]
        work[U_RE + j] = uu_re * u_re - uu_im * u_im + up_re * v_re - up_im * v_im
        work[U_IM + j] = uu_re * u_im + uu_im * u_re + up_re * v_im + up_im * v_re
        work[V_RE + j] = vv_re * v_re - vv_im * v_im + down_re * u_re - down_im * u_im
        work[V_IM + j] = vv_re * v_im + vv_im * v_re + down_re * u_im + down_im * u_re


@jit
def block_reflectivity(optics, monochromator, steps, count, work, out):
    """R = (R_σ + m R_π)/(1 + m) of the first len(out) angles of a block."""
    for j in range(BLOCK):
        work[TOTAL + j] = 0.0
    weight = 1.0 / (1.0 + monochromator)
    for polarisation in range(2):
        s = POLARISATION + polarisation * 6 * BLOCK
        for j in range(BLOCK):
            work[U_RE + j] = optics[s + A_RE + j]
            work[U_IM + j] = optics[s + A_IM + j]
            work[V_RE + j] = 1.0
            work[V_IM + j] = 0.0
        for k in range(count - 1, -1, -1):
            step(optics, s, work, steps.h[k], steps.g[k], steps.e[k], steps.alpha[k], steps.beta[k])
        for j in range(BLOCK):
            u2 = work[U_RE + j] * work[U_RE + j] + work[U_IM + j] * work[U_IM + j]
            v2 = work[V_RE + j] * work[V_RE + j] + work[V_IM + j] * work[V_IM + j]
            work[TOTAL + j] += weight * u2 / v2
        weight *= monochromator
    for j in range(len(out)):
        out[j] = work[TOTAL + j]
