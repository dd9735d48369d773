"""What each step contributes to the derivatives of the transfer matrix, pulled back to the substrate.

For a step T on what has the transfer matrix S, S⁻¹(T⁻¹dT)S for a change of its ḡ, β, e, α or h: three complex elements,
since a multiple of the unit matrix does not change u/v. The formulas are in ``xrdsim.kernels.step``; here are the loops
over a block of angles.

Layout: as in ``xrdsim.kernels.reflectivity``; a source is K rows of either polarisation.
"""

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
    act,
    adjoint_action,
    generators,
    generators_of_coupling,
    times,
)

SLOTS = 4
"""Steps whose contributions are added up together."""

GENERATORS = 13
K = 6  # rows of K of one polarisation: diagonal, upper and minus the lower element
SOURCE = 2 * K * BLOCK
THETA = SLOTS * SOURCE


@jit
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


@jit
def pull_back(sigma, rows, matrix, h, e, sources, width):
    """S⁻¹(·)S of a step's contributions to one polarisation for g and, THETA further, β."""
    he = h * e
    half = 0.5 * he
    square = he * he
    third = square / 3.0
    for j in range(width):
        action = adjoint_action(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            matrix[4 * BLOCK + j], matrix[5 * BLOCK + j], matrix[6 * BLOCK + j], matrix[7 * BLOCK + j],
        )  # fmt: skip
        s_re, s_im = sigma[S_RE + j], sigma[S_IM + j]
        s2_re, s2_im = he * sigma[S2_RE + j], he * sigma[S2_IM + j]
        zb_re, zb_im = times(s2_re, s2_im, rows[6 * BLOCK + j], rows[7 * BLOCK + j])
        z_re, z_im = times(s2_re, s2_im, rows[j], rows[BLOCK + j])
        y_re, y_im = s2_re * rows[12 * BLOCK + j], s2_im * rows[12 * BLOCK + j]
        # Taylor step of W and q² from σ = 0
        m_re = rows[2 * BLOCK + j] + square * y_re + third * zb_im
        m_im = rows[3 * BLOCK + j] + square * y_im - third * zb_re
        n_re = rows[4 * BLOCK + j] + square * y_re - third * zb_im
        n_im = rows[5 * BLOCK + j] + square * y_im + third * zb_re
        m_re, m_im = times(s_re, s_im, m_re, m_im)
        n_re, n_im = times(s_re, s_im, n_re, n_im)
        d_re, d_im, q_re, q_im, r_re, r_im = act(action, 1.0 + he * z_re, he * z_im, m_re, m_im, n_re, n_im)
        sources[j] = d_re
        sources[BLOCK + j] = d_im
        sources[2 * BLOCK + j] = q_re
        sources[3 * BLOCK + j] = q_im
        sources[4 * BLOCK + j] = r_re
        sources[5 * BLOCK + j] = r_im
        m_re, m_im = rows[8 * BLOCK + j] - half * zb_im, rows[9 * BLOCK + j] + half * zb_re  # of cos φ
        n_re, n_im = rows[10 * BLOCK + j] + half * zb_im, rows[11 * BLOCK + j] - half * zb_re
        m_re, m_im = times(s_re, s_im, m_re, m_im)
        n_re, n_im = times(s_re, s_im, n_re, n_im)
        d_re, d_im, q_re, q_im, r_re, r_im = act(action, zb_re, zb_im, m_re, m_im, n_re, n_im)
        sources[THETA + j] = d_re
        sources[THETA + BLOCK + j] = d_im
        sources[THETA + 2 * BLOCK + j] = q_re
        sources[THETA + 3 * BLOCK + j] = q_im
        sources[THETA + 4 * BLOCK + j] = r_re
        sources[THETA + 5 * BLOCK + j] = r_im


@jit
def pull_back_more(optics, sigma, work, rows, matrix, h, g, e, alpha, beta, sources, thickness, width):
    """The same for h, from e·(that for e) − ā·(that for g), and where the layer is damaged for e and α = f·(β)."""
    square = (h * e) ** 2
    third = 1.0 / 3.0
    for j in range(width):
        f_re, f_im = optics[F_RE + j], optics[F_IM + j]
        z_re, z_im, m_re, m_im, n_re, n_im = generators_of_coupling(
            f_re, f_im,
            work[C_RE + j], work[C_IM + j], work[Q_RE + j], work[Q_IM + j], work[D_RE + j], work[D_IM + j],
            h, g, e, alpha, beta,
        )  # fmt: skip
        y_re, y_im = (f_re - g) * h, f_im * h
        s2_re, s2_im = square * sigma[S2_RE + j], square * sigma[S2_IM + j]
        v_re, v_im = s2_re * rows[12 * BLOCK + j], s2_im * rows[12 * BLOCK + j]
        u_re, u_im = times(s2_re, s2_im, third * rows[6 * BLOCK + j], third * rows[7 * BLOCK + j])
        x_re, x_im = times(y_re, y_im, v_re + u_im, v_im - u_re)
        m_re += x_re
        m_im += x_im
        x_re, x_im = times(y_re, y_im, v_re - u_im, v_im + u_re)
        n_re += x_re
        n_im += x_im
        z_re, z_im = times(sigma[S2_RE + j], sigma[S2_IM + j], z_re, z_im)
        m_re, m_im = times(sigma[S_RE + j], sigma[S_IM + j], m_re, m_im)
        n_re, n_im = times(sigma[S_RE + j], sigma[S_IM + j], n_re, n_im)
        action = adjoint_action(
            matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j],
            matrix[4 * BLOCK + j], matrix[5 * BLOCK + j], matrix[6 * BLOCK + j], matrix[7 * BLOCK + j],
        )  # fmt: skip
        d_re, d_im, q_re, q_im, r_re, r_im = act(action, z_re, z_im, m_re, m_im, n_re, n_im)
        a_re = f_re - g
        x_re, x_im = times(a_re, f_im, sources[j], sources[BLOCK + j])
        thickness[j] = e * d_re - x_re
        thickness[BLOCK + j] = e * d_im - x_im
        x_re, x_im = times(a_re, f_im, sources[2 * BLOCK + j], sources[3 * BLOCK + j])
        thickness[2 * BLOCK + j] = e * q_re - x_re
        thickness[3 * BLOCK + j] = e * q_im - x_im
        x_re, x_im = times(a_re, f_im, sources[4 * BLOCK + j], sources[5 * BLOCK + j])
        thickness[4 * BLOCK + j] = e * r_re - x_re
        thickness[5 * BLOCK + j] = e * r_im - x_im
        if len(sources) > 2 * THETA:
            sources[2 * THETA + j] = d_re
            sources[2 * THETA + BLOCK + j] = d_im
            sources[2 * THETA + 2 * BLOCK + j] = q_re
            sources[2 * THETA + 3 * BLOCK + j] = q_im
            sources[2 * THETA + 4 * BLOCK + j] = r_re
            sources[2 * THETA + 5 * BLOCK + j] = r_im
            x_re, x_im = times(f_re, f_im, sources[THETA + j], sources[THETA + BLOCK + j])
            sources[3 * THETA + j] = x_re
            sources[3 * THETA + BLOCK + j] = x_im
            x_re, x_im = times(f_re, f_im, sources[THETA + 2 * BLOCK + j], sources[THETA + 3 * BLOCK + j])
            sources[3 * THETA + 2 * BLOCK + j] = x_re
            sources[3 * THETA + 3 * BLOCK + j] = x_im
            x_re, x_im = times(f_re, f_im, sources[THETA + 4 * BLOCK + j], sources[THETA + 5 * BLOCK + j])
            sources[3 * THETA + 4 * BLOCK + j] = x_re
            sources[3 * THETA + 5 * BLOCK + j] = x_im
