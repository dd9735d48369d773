"""What each step contributes to the derivatives of the transfer matrix, pulled back to the substrate.

For a step T on what has the transfer matrix S = [y, w], S⁻¹(T⁻¹dT)S for a change of its ḡ, β, e, α or h: three complex
elements, since a multiple of the unit matrix does not change u/v. Two of them say what becomes of w, the third is only
needed for y. The formulas are in ``xrdsim.kernels.step``; here are the loops over a block of angles.

Layout: as in ``xrdsim.kernels.reflectivity``; a source has the rows for w, diagonal and upper element, of either
polarisation, PAIR in all, and then the rest, minus the lower element of either. ``at`` is where those of a step for g
begin, those for β follow THETA further. Where those for e are wanted, all are behind RAW: for g, β, e, α and h.
"""

import math

from xrdsim._jit import jit
from xrdsim.kernels.reflectivity import (
    BLOCK,
    C_IM,
    C_RE,
    D_IM,
    D_RE,
    F_IM,
    F_RE,
    Q_IM,
    Q_RE,
    S2_IM,
    S2_RE,
    S_IM,
    S_RE,
)
from xrdsim.kernels.step import (
    combine,
    forms,
    generators,
    generators_of_coupling,
    other_form,
    times,
)

SLOTS = 2
"""Steps whose contributions are added up together."""

# rows of the generators: 13 for g and β, then those for e
Z_RE, Z_IM, M_RE, M_IM, N_RE, N_IM, Y_RE, Y_IM, U_RE, U_IM, FOR_RE, FOR_IM = (BLOCK * row for row in range(13, 25))
GENERATORS = 25
PI, PI_REST = 4 * BLOCK, 2 * BLOCK
PAIR = 2 * PI
SOURCE = PAIR + 2 * PI_REST
THETA = SLOTS * SOURCE
RAW = 2 * THETA
TWIST, COUPLED, TWISTED, THICKER = (SOURCE * kind for kind in range(1, 5))
SOURCES = RAW + THICKER + SOURCE

_UNLIKE = 1e-12
"""Of changes that are taken as proportional, by rounding."""


@jit(inline=True)
def fill_generators(optics, work, rows, h, g, e, alpha, beta, width):
    """What the step contributes to either polarisation, before it is pulled back."""
    for j in range(width):
        values = generators(
            optics[F_RE + j], optics[F_IM + j],
            work[C_RE + j], work[C_IM + j], work[Q_RE + j], work[Q_IM + j],
            work[D_RE + j], work[D_IM + j], h, g, e, alpha, beta,
        )  # fmt: skip
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


@jit(inline=True)
def fill_generators_of_coupling(optics, work, rows, h, g, e, alpha, beta, width):
    """The same for e, with what its Taylor step in σ takes, y times those of β; and f."""
    third = 1.0 / 3.0
    for j in range(width):
        f_re, f_im = optics[F_RE + j], optics[F_IM + j]
        z_re, z_im, m_re, m_im, n_re, n_im = generators_of_coupling(
            f_re, f_im, work[Q_RE + j], work[Q_IM + j],
            rows[j], rows[BLOCK + j], rows[6 * BLOCK + j], rows[7 * BLOCK + j], h, g, e, alpha, beta,
        )  # fmt: skip
        y_re, y_im = (f_re - g) * h, f_im * h
        u_re, u_im = times(y_re, y_im, third * rows[6 * BLOCK + j], third * rows[7 * BLOCK + j])
        rows[Z_RE + j] = z_re
        rows[Z_IM + j] = z_im
        rows[M_RE + j] = m_re
        rows[M_IM + j] = m_im
        rows[N_RE + j] = n_re
        rows[N_IM + j] = n_im
        rows[Y_RE + j] = y_re * rows[12 * BLOCK + j]
        rows[Y_IM + j] = y_im * rows[12 * BLOCK + j]
        rows[U_RE + j] = u_re
        rows[U_IM + j] = u_im
        rows[FOR_RE + j] = f_re
        rows[FOR_IM + j] = f_im


@jit(inline=True)
def of_shift(sigma, rows, j, he):
    """ζ, μ/σ₀ and ν/σ₀ of one polarisation for g, divided by h, and then for β: with the Taylor step from σ = 0."""
    half = 0.5 * he
    square = he * he
    third = square / 3.0
    s2_re, s2_im = he * sigma[S2_RE + j], he * sigma[S2_IM + j]
    z_re, z_im = times(s2_re, s2_im, rows[j], rows[BLOCK + j])
    b_re, b_im = times(s2_re, s2_im, rows[6 * BLOCK + j], rows[7 * BLOCK + j])
    y_re, y_im = s2_re * rows[12 * BLOCK + j], s2_im * rows[12 * BLOCK + j]
    return (
        1.0 + he * z_re,
        he * z_im,
        rows[2 * BLOCK + j] + square * y_re + third * b_im,
        rows[3 * BLOCK + j] + square * y_im - third * b_re,
        rows[4 * BLOCK + j] + square * y_re - third * b_im,
        rows[5 * BLOCK + j] + square * y_im + third * b_re,
        b_re,
        b_im,
        rows[8 * BLOCK + j] - half * b_im,
        rows[9 * BLOCK + j] + half * b_re,
        rows[10 * BLOCK + j] + half * b_im,
        rows[11 * BLOCK + j] - half * b_re,
    )


@jit(inline=True)
def of_coupling(sigma, rows, j, he):
    """The same for e."""
    square = he * he
    s_re, s_im = sigma[S2_RE + j], sigma[S2_IM + j]
    z_re, z_im = times(s_re, s_im, rows[Z_RE + j], rows[Z_IM + j])
    y_re, y_im = times(square * s_re, square * s_im, rows[Y_RE + j], rows[Y_IM + j])
    o_re, o_im = times(square * s_re, square * s_im, rows[U_RE + j], rows[U_IM + j])
    return (
        z_re,
        z_im,
        rows[M_RE + j] + y_re + o_im,
        rows[M_IM + j] + y_im - o_re,
        rows[N_RE + j] + y_re - o_im,
        rows[N_IM + j] + y_im + o_re,
    )


@jit(inline=True)
def pull_back(sigma, rows, matrix, h, e, sources, at, width):
    """The rows for w of what a step contributes to one polarisation for g and β."""
    he = h * e
    near = sources[at : at + 2 * THETA]
    for j in range(width):
        dz_re, dz_im, dm_re, dm_im, dn_re, dn_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im = forms(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            matrix[4 * BLOCK + j], matrix[5 * BLOCK + j], matrix[6 * BLOCK + j], matrix[7 * BLOCK + j],
            sigma[S_RE + j], sigma[S_IM + j],
        )  # fmt: skip
        z_re, z_im, m_re, m_im, n_re, n_im, zb_re, zb_im, mb_re, mb_im, nb_re, nb_im = of_shift(sigma, rows, j, he)
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, dz_re, dz_im, dm_re, dm_im, dn_re, dn_im)
        near[j] = a_re
        near[BLOCK + j] = a_im
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im)
        near[2 * BLOCK + j] = a_re
        near[3 * BLOCK + j] = a_im
        a_re, a_im = combine(zb_re, zb_im, mb_re, mb_im, nb_re, nb_im, dz_re, dz_im, dm_re, dm_im, dn_re, dn_im)
        near[THETA + j] = a_re
        near[THETA + BLOCK + j] = a_im
        a_re, a_im = combine(zb_re, zb_im, mb_re, mb_im, nb_re, nb_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im)
        near[THETA + 2 * BLOCK + j] = a_re
        near[THETA + 3 * BLOCK + j] = a_im


@jit(inline=True)
def pull_back_rest(sigma, rows, matrix, h, e, sources, at, width):
    """The rows that are only needed for y."""
    he = h * e
    near = sources[at : at + 2 * THETA]
    for j in range(width):
        rz_re, rz_im, rm_re, rm_im, rn_re, rn_im = other_form(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            sigma[S_RE + j], sigma[S_IM + j],
        )  # fmt: skip
        z_re, z_im, m_re, m_im, n_re, n_im, zb_re, zb_im, mb_re, mb_im, nb_re, nb_im = of_shift(sigma, rows, j, he)
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, rz_re, rz_im, rm_re, rm_im, rn_re, rn_im)
        near[j] = a_re
        near[BLOCK + j] = a_im
        a_re, a_im = combine(zb_re, zb_im, mb_re, mb_im, nb_re, nb_im, rz_re, rz_im, rm_re, rm_im, rn_re, rn_im)
        near[THETA + j] = a_re
        near[THETA + BLOCK + j] = a_im


@jit(inline=True)
def pull_back_all(sigma, rows, matrix, h, e, sources, at, width):
    """The rows for w for g and β and also e and α."""
    he = h * e
    near = sources[RAW + at : RAW + at + THICKER]
    for j in range(width):
        dz_re, dz_im, dm_re, dm_im, dn_re, dn_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im = forms(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            matrix[4 * BLOCK + j], matrix[5 * BLOCK + j], matrix[6 * BLOCK + j], matrix[7 * BLOCK + j],
            sigma[S_RE + j], sigma[S_IM + j],
        )  # fmt: skip
        z_re, z_im, m_re, m_im, n_re, n_im, zb_re, zb_im, mb_re, mb_im, nb_re, nb_im = of_shift(sigma, rows, j, he)
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, dz_re, dz_im, dm_re, dm_im, dn_re, dn_im)
        near[j] = a_re
        near[BLOCK + j] = a_im
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im)
        near[2 * BLOCK + j] = a_re
        near[3 * BLOCK + j] = a_im
        f_re, f_im = rows[FOR_RE + j], rows[FOR_IM + j]
        a_re, a_im = combine(zb_re, zb_im, mb_re, mb_im, nb_re, nb_im, dz_re, dz_im, dm_re, dm_im, dn_re, dn_im)
        near[TWIST + j] = a_re
        near[TWIST + BLOCK + j] = a_im
        near[TWISTED + j] = f_re * a_re - f_im * a_im
        near[TWISTED + BLOCK + j] = f_re * a_im + f_im * a_re
        a_re, a_im = combine(zb_re, zb_im, mb_re, mb_im, nb_re, nb_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im)
        near[TWIST + 2 * BLOCK + j] = a_re
        near[TWIST + 3 * BLOCK + j] = a_im
        near[TWISTED + 2 * BLOCK + j] = f_re * a_re - f_im * a_im
        near[TWISTED + 3 * BLOCK + j] = f_re * a_im + f_im * a_re
        z_re, z_im, m_re, m_im, n_re, n_im = of_coupling(sigma, rows, j, he)
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, dz_re, dz_im, dm_re, dm_im, dn_re, dn_im)
        near[COUPLED + j] = a_re
        near[COUPLED + BLOCK + j] = a_im
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, qz_re, qz_im, qm_re, qm_im, qn_re, qn_im)
        near[COUPLED + 2 * BLOCK + j] = a_re
        near[COUPLED + 3 * BLOCK + j] = a_im


@jit(inline=True)
def pull_back_all_rest(sigma, rows, matrix, h, e, sources, at, width):
    """The rows of all four that are only needed for y."""
    he = h * e
    near = sources[RAW + at : RAW + at + THICKER]
    for j in range(width):
        rz_re, rz_im, rm_re, rm_im, rn_re, rn_im = other_form(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            sigma[S_RE + j], sigma[S_IM + j],
        )  # fmt: skip
        z_re, z_im, m_re, m_im, n_re, n_im, zb_re, zb_im, mb_re, mb_im, nb_re, nb_im = of_shift(sigma, rows, j, he)
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, rz_re, rz_im, rm_re, rm_im, rn_re, rn_im)
        near[j] = a_re
        near[BLOCK + j] = a_im
        a_re, a_im = combine(zb_re, zb_im, mb_re, mb_im, nb_re, nb_im, rz_re, rz_im, rm_re, rm_im, rn_re, rn_im)
        near[TWIST + j] = a_re
        near[TWIST + BLOCK + j] = a_im
        f_re, f_im = rows[FOR_RE + j], rows[FOR_IM + j]
        near[TWISTED + j] = f_re * a_re - f_im * a_im
        near[TWISTED + BLOCK + j] = f_re * a_im + f_im * a_re
        z_re, z_im, m_re, m_im, n_re, n_im = of_coupling(sigma, rows, j, he)
        a_re, a_im = combine(z_re, z_im, m_re, m_im, n_re, n_im, rz_re, rz_im, rm_re, rm_im, rn_re, rn_im)
        near[COUPLED + j] = a_re
        near[COUPLED + BLOCK + j] = a_im


@jit(inline=True)
def thicken(optics, g, e, twist, twisted, sources, rows, width):
    """Sources for h: e·(those for e) − ā·(those for g), and those for β and α by how these change with h."""
    for row in range(RAW, RAW + rows, 2 * BLOCK):
        near = sources[row : row + THICKER + 2 * BLOCK]
        for j in range(width):
            x_re, x_im = times(optics[F_RE + j] - g, optics[F_IM + j], near[j], near[BLOCK + j])
            near[THICKER + j] = e * near[COUPLED + j] - x_re + twist * near[TWIST + j] + twisted * near[TWISTED + j]
            near[THICKER + BLOCK + j] = (
                e * near[COUPLED + BLOCK + j]
                - x_im
                + twist * near[TWIST + BLOCK + j]
                + twisted * near[TWISTED + BLOCK + j]
            )


@jit(inline=True)
def mix_strains(mix, k, sources, at, rows):
    """Sources for the strains at the two Gauss points of step k, in place of those for g and β."""
    a0, a1, a2, a3 = mix[k, 0], mix[k, 1], mix[k, 2], mix[k, 3]
    b0, b1, b2, b3 = mix[k, 4], mix[k, 5], mix[k, 6], mix[k, 7]
    near, to = sources[RAW : RAW + THICKER], sources[at : at + RAW]
    for i in range(rows):
        x0, x1, x2, x3 = near[i], near[TWIST + i], near[COUPLED + i], near[TWISTED + i]
        to[i] = a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        to[THETA + i] = b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3


@jit(inline=True)
def add_turns(turns, k, n, sources, rows, q, total):
    """Add what step k contributes for two of the parameters of the damage and the largest strain, from n on."""
    a0, a1, a2 = turns[k, n, 0], turns[k, n, 1], turns[k, n, 2]
    b0, b1, b2 = turns[k, n + 1, 0], turns[k, n + 1, 1], turns[k, n + 1, 2]
    near = sources[RAW : RAW + THICKER]
    one, two = total[q], total[q + 1]
    for i in range(rows):
        x0, x1, x2 = near[TWIST + i], near[COUPLED + i], near[TWISTED + i]
        one[i] += a0 * x0 + a1 * x1 + a2 * x2
        two[i] += b0 * x0 + b1 * x1 + b2 * x2


@jit
def share_of(turns, count, own):
    """Changes over the largest strain in units of those over the first parameter of the damage; NaN if unlike.

    They are alike where E depends on the strain by one power of ε/ε_max.
    """
    at = 0
    for k in range(count):
        if abs(turns[k, 0, 1]) > abs(turns[at, 0, 1]):
            at = k
    if turns[at, 0, 1] == 0.0:
        return math.nan
    share = turns[at, own, 1] / turns[at, 0, 1]
    for j in range(3):
        largest = 0.0
        unlike = 0.0
        for k in range(count):
            largest = max(largest, abs(turns[k, own, j]))
            unlike = max(unlike, abs(turns[k, own, j] - share * turns[k, 0, j]))
        if not unlike <= _UNLIKE * largest:
            return math.nan
    return share
