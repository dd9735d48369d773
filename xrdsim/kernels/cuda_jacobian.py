"""Derivatives of the reflectivity over the parameters on a graphics card; the equations are those of ``jacobian``.

A thread has one coarse angle and one polarisation: its transfer matrix S and the sums K over the steps, three complex
numbers a parameter. dM = iMK is interpolated to the nodes as M is or, where A is not sharp, dM (A, 1) as M (A, 1). All
arithmetic is real: as complex numbers, real factors would be multiplied with a zero, too.

K is kept in registers, which hold those of MOST parameters. Of more, as splines have, a launch takes some, beginning
with the parameter ``start``; the transfer matrices are computed again for each.
"""

from numba import cuda, float64

from xrdsim._jit import jit
from xrdsim.kernels.cuda import QUAD, advance, halvings, interpolate, nodes_of, of_grid, on_card, taps, unity
from xrdsim.kernels.film import on_film, slope_of_film
from xrdsim.kernels.reflectivity import (
    BLOCK,
    F_IM,
    F_RE,
    MATRIX,
    PHASES,
    POLARISATION,
    S2_IM,
    S2_RE,
    S_IM,
    S_RE,
)
from xrdsim.kernels.slopes import Slopes, fill_steps_and_slopes
from xrdsim.kernels.step import (
    act,
    adjoint_action,
    double,
    even_functions,
    generators,
    generators_of_coupling,
    matrix_of_step,
    times,
)
from xrdsim.kernels.steps import Steps

MOST = 9  # parameters of a launch
K = 6  # numbers of K: diagonal, upper and minus the lower element
SUMS = K * MOST
COLUMN = 4  # numbers of M (A, 1)
ROWS = 2 * (MATRIX + COLUMN)  # M of both polarisations, then M (A, 1)


@jit
def transfer_tangents(unit, start, optics, at, j, steps, slopes, end, damaged, count, total):
    """Transfer matrix of the polarisation whose optics begin at ``at``, angle j of a block; K into ``total``.

    ``steps`` (5, most), ``slopes`` (4, most, p) and ``end`` (p,) as ``fill`` leaves them. Of the numbers ``unit`` only
    how many there are is used, one for each parameter from ``start`` on: so the compiler knows it and can keep K in
    registers. Those beyond the last parameter get 0.
    """
    f_re, f_im = optics[F_RE + j], optics[F_IM + j]
    s_re, s_im = optics[at + S_RE + j], optics[at + S_IM + j]
    s2_re, s2_im = optics[at + S2_RE + j], optics[at + S2_IM + j]
    m = unity(f_re)
    for i in range(K * len(unit)):
        total[i] = 0.0
    for k in range(count - 1, -1, -1):
        h, g, e, alpha, beta = steps[0, k], steps[1, k], steps[2, k], steps[3, k], steps[4, k]
        number, hh = halvings(f_re - g, h)
        c_re, c_im, q_re, q_im, d_re, d_im = even_functions(f_re - g, f_im, hh)
        for _ in range(number):
            c_re, c_im, q_re, q_im, d_re, d_im = double(c_re, c_im, q_re, q_im, d_re, d_im)
        action = adjoint_action(m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7])
        w0_re, w0_im, mg_re, mg_im, ng_re, ng_im, u0_re, u0_im, mb_re, mb_im, nb_re, nb_im, y = generators(
            f_re, f_im, c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta
        )
        # Taylor step from sigma = 0, as in ``contributions.pull_back``
        he = h * e
        half, square, third = 0.5 * he, he * he, he * he / 3.0
        hs_re, hs_im = he * s2_re, he * s2_im
        u_re, u_im = times(hs_re, hs_im, u0_re, u0_im)
        w_re, w_im = times(hs_re, hs_im, w0_re, w0_im)
        y_re, y_im = hs_re * y, hs_im * y
        m_re, m_im = times(s_re, s_im, mg_re + square * y_re + third * u_im, mg_im + square * y_im - third * u_re)
        n_re, n_im = times(s_re, s_im, ng_re + square * y_re - third * u_im, ng_im + square * y_im + third * u_re)
        of_g = act(action, 1.0 + he * w_re, he * w_im, m_re, m_im, n_re, n_im)
        m_re, m_im = times(s_re, s_im, mb_re - half * u_im, mb_im + half * u_re)
        n_re, n_im = times(s_re, s_im, nb_re + half * u_im, nb_im - half * u_re)
        of_beta = act(action, u_re, u_im, m_re, m_im, n_re, n_im)
        for q in range(len(unit)):
            if start + q < len(end):
                add(of_g, h * slopes[0, k, start + q], of_beta, slopes[1, k, start + q], total, q)
        if damaged or k == count - 1:
            z_re, z_im, m_re, m_im, n_re, n_im = generators_of_coupling(
                f_re, f_im, q_re, q_im, w0_re, w0_im, u0_re, u0_im, h, g, e, alpha, beta
            )
            a_re, a_im, third = f_re - g, f_im, he / 3.0
            x_re, x_im = times(a_re * h, a_im * h, he * y_re + third * u_im, he * y_im - third * u_re)
            m_re, m_im = times(s_re, s_im, m_re + x_re, m_im + x_im)
            x_re, x_im = times(a_re * h, a_im * h, he * y_re - third * u_im, he * y_im + third * u_re)
            n_re, n_im = times(s_re, s_im, n_re + x_re, n_im + x_im)
            z_re, z_im = times(s2_re, s2_im, z_re, z_im)
            of_e = act(action, z_re, z_im, m_re, m_im, n_re, n_im)
            if damaged:
                of_alpha = by(f_re, f_im, of_beta)
                for q in range(len(unit)):
                    if start + q < len(end):
                        add(of_e, h * slopes[2, k, start + q], of_alpha, slopes[3, k, start + q], total, q)
            if k == count - 1:
                of_a = by(a_re, a_im, of_g)
                for q in range(len(unit)):
                    if start + q < len(end):
                        add(of_e, e * end[start + q], of_a, -end[start + q], total, q)
        step = matrix_of_step(
            f_re, f_im, s_re, s_im, s2_re, s2_im, c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta
        )
        m = advance(step, m)
    return m


@jit
def by(a_re, a_im, source):
    """A source times a complex number."""
    return (
        *times(a_re, a_im, source[0], source[1]),
        *times(a_re, a_im, source[2], source[3]),
        *times(a_re, a_im, source[4], source[5]),
    )


@jit
def add(one, weight, other, other_weight, total, q):
    """Add two sources to K of parameter q."""
    if weight != 0.0 or other_weight != 0.0:
        for i in range(K):
            total[K * q + i] += weight * one[i] + other_weight * other[i]


@on_card
def fill(params, profile, layer, counts, steps, slopes, end, work):
    """Coefficients h, g, e, α, β (n, 5, most) of the steps and derivatives of g, β, e, α (n, 4, most, p).

    ``end`` (n, p) derivatives of the depth at which the layer ends; ``work`` (n, 6, p). A thread a sample.
    """
    i = cuda.grid(1)
    if i < len(params):
        rows = steps[i]
        tangent = slopes[i]
        fill_steps_and_slopes(
            params[i],
            profile,
            layer,
            counts[i],
            Steps(rows[0], rows[1], rows[2], rows[3], rows[4]),
            Slopes(
                tangent[0],
                tangent[2],
                tangent[3],
                tangent[1],
                end[i],
                work[i],
                tangent[0][:0],
                tangent[0][:0],
                tangent[0][:0],
                tangent[:0],
            ),
        )


@on_card
def advance_all(unit, start, layer, counts, steps, slopes, end, optics, coarse):
    """Transfer matrices and their derivatives (n, 1 + m, ROWS, coarse angles), M and then dM of m parameters.

    A thread a sample, a polarisation and a coarse angle. ``unit`` and ``start`` as for ``transfer_tangents``.
    """
    i = cuda.grid(1)
    angles = coarse.shape[3]
    sample, place = i // (2 * angles), i % (2 * angles)
    if sample >= len(coarse):
        return
    pol, angle = place // angles, place % angles
    total = cuda.local.array(SUMS, float64)
    near = coarse[sample]
    number = 0
    for s in range(counts.shape[1]):
        number += counts[sample, s]
    m = transfer_tangents(
        unit,
        start,
        optics.table[angle // BLOCK],
        POLARISATION + 4 * BLOCK * pol,
        angle % BLOCK,
        steps[sample],
        slopes[sample],
        end[sample],
        layer.damaged,
        number,
        total,
    )
    u1_re, u1_im, v1_re, v1_im, u2_re, u2_im, v2_re, v2_im = m
    below = optics.below[angle // BLOCK]
    at = 2 * BLOCK * pol + angle % BLOCK
    ratio_re, ratio_im = below[at], below[at + BLOCK]
    row, column = MATRIX * pol, 2 * MATRIX + COLUMN * pol
    put(near[0], row, angle, u1_re, u1_im, v1_re, v1_im)
    put(near[0], row + 4, angle, u2_re, u2_im, v2_re, v2_im)
    put_below(near[0], row, column, angle, ratio_re, ratio_im)
    for q in range(len(unit)):
        # i times the diagonal and the upper element of K, and the lower one, of which K has minus
        d_re, d_im = -total[K * q + 1], total[K * q]
        upper_re, upper_im = -total[K * q + 3], total[K * q + 2]
        lower_re, lower_im = total[K * q + 5], -total[K * q + 4]
        a_re, a_im = both(u1_re, u1_im, d_re, d_im, u2_re, u2_im, lower_re, lower_im)
        b_re, b_im = both(v1_re, v1_im, d_re, d_im, v2_re, v2_im, lower_re, lower_im)
        put(near[1 + q], row, angle, a_re, a_im, b_re, b_im)
        a_re, a_im = both(u1_re, u1_im, upper_re, upper_im, u2_re, u2_im, -d_re, -d_im)
        b_re, b_im = both(v1_re, v1_im, upper_re, upper_im, v2_re, v2_im, -d_re, -d_im)
        put(near[1 + q], row + 4, angle, a_re, a_im, b_re, b_im)
        put_below(near[1 + q], row, column, angle, ratio_re, ratio_im)


@jit
def both(a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im):
    """ab + cd."""
    x_re, x_im = times(a_re, a_im, b_re, b_im)
    y_re, y_im = times(c_re, c_im, d_re, d_im)
    return x_re + y_re, x_im + y_im


@jit
def put(rows, row, angle, a_re, a_im, b_re, b_im):
    """A column of a matrix to its rows."""
    rows[row, angle] = a_re
    rows[row + 1, angle] = a_im
    rows[row + 2, angle] = b_re
    rows[row + 3, angle] = b_im


@jit
def put_below(rows, row, column, angle, a_re, a_im):
    """What a matrix does to (A, 1) to the rows from ``column`` on."""
    for j in range(row, row + 4, 2):
        x_re, x_im = times(a_re, a_im, rows[j, angle], rows[j + 1, angle])
        rows[column + j - row, angle] = x_re + rows[j + 4, angle]
        rows[column + j - row + 1, angle] = x_im + rows[j + 5, angle]


@on_card
def linearize(start, optics, coarse, out, gradient):
    """Reflectivity (n, nodes) and its derivatives (n, p, nodes) from what ``advance_all`` leaves, those it is of.

    A thread a sample and the nodes of ``cuda.nodes_of``. With (u, v) = M (A, 1), dR = Re[x du + y dv]. Where none of
    the nodes is sharp, (u, v) is taken as if it were the second column of a matrix, and A as 0.
    """
    i = cuda.grid(1)
    threads = of_grid(optics)[0] + out.shape[1] - optics.grid
    sample = i // threads
    if sample >= len(out):
        return
    node, number, first, in_cluster, row = nodes_of(optics, i % threads)
    if number < 1:
        return
    weight = optics.cluster_weight if in_cluster else optics.weight
    element = cuda.local.array(QUAD, float64)
    slope = cuda.local.array(QUAD, float64)
    near = coarse[sample]
    share = 1.0 / (1.0 + optics.monochromator)
    sharp = False
    for k in range(number):
        sharp = sharp or optics.sharp[node + k]
    for pol in range(2):
        at = MATRIX * pol if sharp else 2 * MATRIX + COLUMN * (pol - 1)
        interpolate(near[0], at, first, weight, row, number, element)
        for k in range(PHASES):
            if k < number:
                a_re = a_im = 0.0
                if sharp:
                    a_re, a_im = optics.substrate[node + k, 2 * pol], optics.substrate[node + k, 2 * pol + 1]
                r = over_matrix(element, MATRIX * k, a_re, a_im, share * optics.factor[node + k], slope)
                if pol == 0:
                    out[sample, node + k] = r
                else:
                    out[sample, node + k] += r
        for q in range(min(len(near) - 1, gradient.shape[1] - start)):
            interpolate(near[1 + q], at, first, weight, row, number, element)
            for k in range(PHASES):
                if k < number:
                    change = 0.0
                    for j in range(MATRIX):
                        change += slope[MATRIX * k + j] * element[MATRIX * k + j]
                    if pol == 0:
                        gradient[sample, start + q, node + k] = change
                    else:
                        gradient[sample, start + q, node + k] += change
        share = 1.0 - share


@on_card
def linearize_on_film(start, counts, steps, end, optics, coarse, out, gradient):
    """The same on a film: A is that on its rest below the layer, of which a deeper layer leaves less.

    ``counts``, ``steps`` and ``end`` as ``fill`` leaves them. A thread a sample and a node.
    """
    i = cuda.grid(1)
    sample, node = i // out.shape[1], i % out.shape[1]
    if sample >= len(out):
        return
    first, in_cluster, row = taps(optics, node)
    weight = optics.cluster_weight if in_cluster else optics.weight
    element = cuda.local.array(QUAD, float64)
    slope = cuda.local.array(QUAD, float64)
    near = coarse[sample]
    number = 0
    for s in range(counts.shape[1]):
        number += counts[sample, s]
    rest = optics.film_thickness
    for k in range(number):
        rest -= steps[sample, 0, k]
    share = 1.0 / (1.0 + optics.monochromator)
    total = 0.0
    for pol in range(2):
        a = on_film(optics, node, pol, rest)
        turn = slope_of_film(optics, node, pol, a)
        interpolate(near[0], MATRIX * pol, first, weight, row, 1, element)
        total += over_matrix(element, 0, a.real, a.imag, share * optics.factor[node], slope)
        u_re, u_im = times(element[0], element[1], turn.real, turn.imag)
        v_re, v_im = times(element[2], element[3], turn.real, turn.imag)
        thicker = slope[4] * u_re + slope[5] * u_im + slope[6] * v_re + slope[7] * v_im
        for q in range(min(len(near) - 1, gradient.shape[1] - start)):
            interpolate(near[1 + q], MATRIX * pol, first, weight, row, 1, element)
            change = -thicker * end[sample, start + q]
            for j in range(MATRIX):
                change += slope[j] * element[j]
            if pol == 0:
                gradient[sample, start + q, node] = change
            else:
                gradient[sample, start + q, node] += change
        share = 1.0 - share
    out[sample, node] = total


@jit
def over_matrix(m, i, a_re, a_im, factor, slope):
    """R = factor·|u/v|² of the matrix at m[i], and its derivatives over its eight numbers, at slope[i]."""
    u_re = m[i] * a_re - m[i + 1] * a_im + m[i + 4]
    u_im = m[i] * a_im + m[i + 1] * a_re + m[i + 5]
    v_re = m[i + 2] * a_re - m[i + 3] * a_im + m[i + 6]
    v_im = m[i + 2] * a_im + m[i + 3] * a_re + m[i + 7]
    unit = factor / (v_re * v_re + v_im * v_im)
    r = (u_re * u_re + u_im * u_im) * unit
    x_re, x_im = 2.0 * unit * u_re, 2.0 * unit * u_im
    y_re, y_im = -2.0 * unit * r / factor * v_re, -2.0 * unit * r / factor * v_im
    slope[i] = x_re * a_re + x_im * a_im
    slope[i + 1] = x_im * a_re - x_re * a_im
    slope[i + 2] = y_re * a_re + y_im * a_im
    slope[i + 3] = y_im * a_re - y_re * a_im
    slope[i + 4] = x_re
    slope[i + 5] = x_im
    slope[i + 6] = y_re
    slope[i + 7] = y_im
    return r
