"""From the changes of the transfer matrix at the coarse angles to the derivatives of the reflectivity at the nodes.

With S = [y, w] and K of ``xrdsim.kernels.derivatives.jacobian``, K = [[d, q], [−r, −d]] in the basis of y and w,

    dw = i(q y − d w),   dy = i(d y − r w),   dR = (2/|v|²) Re[ū du − R v̄ dv]   of one polarisation.

Layout: at each coarse angle the elements of each polarisation, of w or of y and w, real and imaginary parts of u and v;
of each element a row: itself and its derivatives over the parameters.
"""

from xrdsim._jit import jit
from xrdsim.kernels.derivatives.contributions import PAIR, PI, PI_REST
from xrdsim.kernels.film import slope_of_film
from xrdsim.kernels.reflectivity import BLOCK, MATRIX, PHASES, interpolate, interpolate_one

HALF = 4  # rows of w of one polarisation
COLUMN = 2 * HALF
WHOLE = 2 * MATRIX


@jit
def store_column(matrix, total, first, pol, coarse):
    """w and dw of one polarisation at a block of coarse angles from ``first`` on."""
    at, row = pol * HALF, pol * PI
    for j in range(BLOCK):
        yu_re, yu_im, yv_re, yv_im = matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j]
        wu_re, wu_im = matrix[4 * BLOCK + j], matrix[5 * BLOCK + j]
        wv_re, wv_im = matrix[6 * BLOCK + j], matrix[7 * BLOCK + j]
        _put(coarse, first + j, 0, at, wu_re, wu_im, wv_re, wv_im)
        for n in range(len(total)):
            d_re, d_im = -total[n, row + BLOCK + j], total[n, row + j]  # i·d
            q_re, q_im = -total[n, row + 3 * BLOCK + j], total[n, row + 2 * BLOCK + j]
            u_re, u_im = difference(q_re, q_im, yu_re, yu_im, d_re, d_im, wu_re, wu_im)
            v_re, v_im = difference(q_re, q_im, yv_re, yv_im, d_re, d_im, wv_re, wv_im)
            _put(coarse, first + j, 1 + n, at, u_re, u_im, v_re, v_im)


@jit
def store_whole(matrix, below, total, first, pol, coarse, whole):
    """M and dM of one polarisation, for sharp nodes, and M (A, 1) and dM (A, 1) for others."""
    at, row, rest = pol * HALF, pol * PI, PAIR + pol * PI_REST
    for j in range(BLOCK):
        a_re, a_im = below[2 * pol * BLOCK + j], below[(2 * pol + 1) * BLOCK + j]
        yu_re, yu_im, yv_re, yv_im = matrix[j], matrix[BLOCK + j], matrix[2 * BLOCK + j], matrix[3 * BLOCK + j]
        wu_re, wu_im = matrix[4 * BLOCK + j], matrix[5 * BLOCK + j]
        wv_re, wv_im = matrix[6 * BLOCK + j], matrix[7 * BLOCK + j]
        _put(whole, first + j, 0, 2 * at, yu_re, yu_im, yv_re, yv_im)
        _put(whole, first + j, 0, 2 * at + HALF, wu_re, wu_im, wv_re, wv_im)
        _put_sum(coarse, first + j, 0, at, a_re, a_im, yu_re, yu_im, yv_re, yv_im, wu_re, wu_im, wv_re, wv_im)
        for n in range(len(total)):
            d_re, d_im = -total[n, row + BLOCK + j], total[n, row + j]  # i·d
            q_re, q_im = -total[n, row + 3 * BLOCK + j], total[n, row + 2 * BLOCK + j]
            r_re, r_im = -total[n, rest + BLOCK + j], total[n, rest + j]
            u_re, u_im = difference(d_re, d_im, yu_re, yu_im, r_re, r_im, wu_re, wu_im)
            v_re, v_im = difference(d_re, d_im, yv_re, yv_im, r_re, r_im, wv_re, wv_im)
            x_re, x_im = difference(q_re, q_im, yu_re, yu_im, d_re, d_im, wu_re, wu_im)
            z_re, z_im = difference(q_re, q_im, yv_re, yv_im, d_re, d_im, wv_re, wv_im)
            _put(whole, first + j, 1 + n, 2 * at, u_re, u_im, v_re, v_im)
            _put(whole, first + j, 1 + n, 2 * at + HALF, x_re, x_im, z_re, z_im)
            _put_sum(coarse, first + j, 1 + n, at, a_re, a_im, u_re, u_im, v_re, v_im, x_re, x_im, z_re, z_im)


@jit(inline=True)
def difference(a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im):
    """ab − cd."""
    return a_re * b_re - a_im * b_im - c_re * d_re + c_im * d_im, a_re * b_im + a_im * b_re - c_re * d_im - c_im * d_re


@jit(inline=True)
def _put(values, angle, n, at, u_re, u_im, v_re, v_im):
    """A column as number n of its rows."""
    values[angle, at, n] = u_re
    values[angle, at + 1, n] = u_im
    values[angle, at + 2, n] = v_re
    values[angle, at + 3, n] = v_im


@jit(inline=True)
def _put_sum(values, angle, n, at, a_re, a_im, yu_re, yu_im, yv_re, yv_im, wu_re, wu_im, wv_re, wv_im):
    """The column Ay + w."""
    _put(
        values, angle, n, at,
        a_re * yu_re - a_im * yu_im + wu_re, a_re * yu_im + a_im * yu_re + wu_im,
        a_re * yv_re - a_im * yv_im + wv_re, a_re * yv_im + a_im * yv_re + wv_im,
    )  # fmt: skip


@jit
def at_nodes(optics, substrate, end, space, out, gradient, column):
    """Reflectivity at the grid nodes and then the cluster nodes, and its derivatives (p, nodes)."""
    columns, matrices, change = space.element, space.whole_element, space.change
    coarse, element = space.coarse.reshape(-1), columns.reshape(-1)
    whole, whole_element = space.whole.reshape(-1), matrices.reshape(-1)
    more = optics.film_thickness > 0.0 or (column >= 0 and len(optics.weaker) > 0)
    far = COLUMN * space.coarse.shape[2]
    near = WHOLE * space.whole.shape[2]
    sigma_share = 1.0 / (1.0 + optics.monochromator)
    ratio, grid, sharp, factor = optics.ratio, optics.grid, optics.sharp, optics.factor
    for phase in range(0, ratio, PHASES):
        first = optics.first[phase // PHASES]
        weight = optics.weight[phase : phase + PHASES]
        together = min(PHASES, ratio - phase)
        for q in range(-(-grid // ratio)):
            node = q * ratio + phase
            number = min(together, grid - node)
            some = False
            for n in range(number):
                some = some or sharp[node + n]
            if some:
                interpolate(whole, first + q, weight, near, whole_element)
                for n in range(number):
                    i = node + n
                    out[i] = slopes_of_matrix(matrices, n, substrate, sigma_share, factor[i], change, i, gradient)
                    if more:
                        _add_below(optics, substrate, i, n, end, matrices, sigma_share, gradient, column)
            elif number > 0:
                interpolate(coarse, first + q, weight, far, element)
                for n in range(number):
                    i = node + n
                    out[i] = slopes_of_column(columns, n, sigma_share, factor[i], change, i, gradient)
    for i in range(len(optics.cluster_first)):
        node = grid + i
        if sharp[node]:
            values = whole[optics.cluster_first[i] * near :]
            interpolate_one(values, optics.cluster_weight[i], near, whole_element[:near])
            out[node] = slopes_of_matrix(matrices, 0, substrate, sigma_share, factor[node], change, node, gradient)
            if more:
                _add_below(optics, substrate, node, 0, end, matrices, sigma_share, gradient, column)
        else:
            values = coarse[optics.cluster_first[i] * far :]
            interpolate_one(values, optics.cluster_weight[i], far, element[:far])
            out[node] = slopes_of_column(columns, 0, sigma_share, factor[node], change, node, gradient)


@jit
def slopes_of_column(element, n, sigma_share, factor, change, node, gradient):
    """R at a node, and its derivatives, into gradient[:, node], from w and dw there, element[n]."""
    u_re, u_im, v_re, v_im = element[n, 0, 0], element[n, 1, 0], element[n, 2, 0], element[n, 3, 0]
    x_re, x_im, y_re, y_im = element[n, 4, 0], element[n, 5, 0], element[n, 6, 0], element[n, 7, 0]
    share = factor * sigma_share
    r, u_re, u_im, v_re, v_im = over_column(u_re, u_im, v_re, v_im, share)
    q, x_re, x_im, y_re, y_im = over_column(x_re, x_im, y_re, y_im, factor - share)
    for k in range(len(change)):
        change[k] = (
            u_re * element[n, 0, k]
            + u_im * element[n, 1, k]
            + v_re * element[n, 2, k]
            + v_im * element[n, 3, k]
            + x_re * element[n, 4, k]
            + x_im * element[n, 5, k]
            + y_re * element[n, 6, k]
            + y_im * element[n, 7, k]
        )
    for k in range(len(gradient)):
        gradient[k, node] = change[1 + k]
    return r + q


@jit(inline=True)
def over_column(u_re, u_im, v_re, v_im, factor):
    """R = factor·|u/v|², and its derivatives over the parts of u and v."""
    unit = 1.0 / (v_re * v_re + v_im * v_im)
    r = factor * (u_re * u_re + u_im * u_im) * unit
    x, y = 2.0 * factor * unit, -2.0 * r * unit
    return r, x * u_re, x * u_im, y * v_re, y * v_im


@jit
def _add_below(optics, substrate, node, n, end, m, sigma_share, gradient, column):
    """What a thinner rest of a film, and a weaker substrate, add."""
    factor = optics.factor[node]
    if optics.film_thickness > 0.0:
        thinner = 0.0
        for pol in range(2):
            a = complex(substrate[node, 2 * pol], substrate[node, 2 * pol + 1])
            slope = slope_of_film(optics, node, pol, a)
            thinner -= (1.0 - sigma_share if pol else sigma_share) * over_ratio(m, n, pol, a, slope)
        for q in range(len(gradient)):
            gradient[q, node] += factor * thinner * end[q]
    if column >= 0 and len(optics.weaker) > 0:
        weaker = 0.0
        for pol in range(2):
            a = complex(substrate[node, 2 * pol], substrate[node, 2 * pol + 1])
            slope = complex(optics.weaker[node, 2 * pol], optics.weaker[node, 2 * pol + 1])
            weaker += (1.0 - sigma_share if pol else sigma_share) * over_ratio(m, n, pol, a, slope)
        gradient[column, node] = factor * weaker


@jit
def over_ratio(m, n, pol, a, slope):
    """Change of |u/v|² of one polarisation for the change ``slope`` of A."""
    at = pol * MATRIX
    yu, yv = complex(m[n, at, 0], m[n, at + 1, 0]), complex(m[n, at + 2, 0], m[n, at + 3, 0])
    wu, wv = complex(m[n, at + 4, 0], m[n, at + 5, 0]), complex(m[n, at + 6, 0], m[n, at + 7, 0])
    u, v = yu * a + wu, yv * a + wv
    unit = 1.0 / (v.real * v.real + v.imag * v.imag)
    r = (u.real * u.real + u.imag * u.imag) * unit
    du, dv = yu * slope, yv * slope
    return 2.0 * unit * (u.real * du.real + u.imag * du.imag - r * (v.real * dv.real + v.imag * dv.imag))


@jit
def slopes_of_matrix(m, n, substrate, sigma_share, factor, change, node, gradient):
    """R at a node, and its derivatives, into gradient[:, node], from M and dM there, m[n], for a fixed A."""
    total = 0.0
    for k in range(len(change)):
        change[k] = 0.0
    for pol in range(2):
        at = pol * MATRIX
        share = factor * (1.0 - sigma_share if pol else sigma_share)
        a_re, a_im = substrate[node, 2 * pol], substrate[node, 2 * pol + 1]
        r, x_re, x_im, y_re, y_im = over_column(
            m[n, at, 0] * a_re - m[n, at + 1, 0] * a_im + m[n, at + 4, 0],
            m[n, at, 0] * a_im + m[n, at + 1, 0] * a_re + m[n, at + 5, 0],
            m[n, at + 2, 0] * a_re - m[n, at + 3, 0] * a_im + m[n, at + 6, 0],
            m[n, at + 2, 0] * a_im + m[n, at + 3, 0] * a_re + m[n, at + 7, 0],
            share,
        )
        total += r
        # dR = Re[x·du + y·dv], du = dM11 A + dM12, dv = dM21 A + dM22
        xa_re, xa_im = x_re * a_re + x_im * a_im, x_im * a_re - x_re * a_im
        ya_re, ya_im = y_re * a_re + y_im * a_im, y_im * a_re - y_re * a_im
        for k in range(len(change)):
            change[k] += (
                xa_re * m[n, at, k]
                + xa_im * m[n, at + 1, k]
                + ya_re * m[n, at + 2, k]
                + ya_im * m[n, at + 3, k]
                + x_re * m[n, at + 4, k]
                + x_im * m[n, at + 5, k]
                + y_re * m[n, at + 6, k]
                + y_im * m[n, at + 7, k]
            )
    for k in range(len(gradient)):
        gradient[k, node] = change[1 + k]
    return total
