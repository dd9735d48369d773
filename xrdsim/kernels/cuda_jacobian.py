"""Derivatives of the reflectivity over the parameters on a graphics card; the equations are those of ``jacobian``.

A thread has one coarse angle and one polarisation: its transfer matrix S in registers, and the sums K over the steps,
three complex numbers a parameter, in its local memory. dM = iMK is interpolated to the nodes as M is. What joins the
scalar functions of a step is written in complex numbers.
"""

from numba import complex128, cuda

from xrdsim._jit import jit
from xrdsim.kernels.cuda import UNITY, advance, halvings, on_card, taps
from xrdsim.kernels.reflectivity import BLOCK, F_IM, F_RE, POLARISATION, S2_IM, S2_RE, S_IM, S_RE
from xrdsim.kernels.slopes import Slopes, fill_steps_and_slopes
from xrdsim.kernels.step import (
    act,
    adjoint_action,
    double,
    even_functions,
    generators,
    generators_of_coupling,
    matrix_of_step,
)
from xrdsim.kernels.steps import Steps

MOST = 9  # parameters
SUMS = 3 * MOST  # of K: diagonal, upper and minus the lower element
ROWS = 4  # of M of one polarisation: columns (u, v) that start from (1, 0) and (0, 1)
BOTH = 2 * ROWS


@jit
def pulled_back(action, zeta, mu, nu):
    """Diagonal, upper and minus the lower element of S⁻¹(ζZ + μU + νL)S."""
    d_re, d_im, q_re, q_im, r_re, r_im = act(action, zeta.real, zeta.imag, mu.real, mu.imag, nu.real, nu.imag)
    return complex(d_re, d_im), complex(q_re, q_im), complex(r_re, r_im)


@jit
def transfer_tangents(optics, at, j, steps, slopes, end, damaged, count, total):
    """Transfer matrix of the polarisation whose optics begin at ``at``, angle j of a block; K into ``total`` (SUMS,).

    ``steps`` (5, most), ``slopes`` (4, most, p) and ``end`` (p,) as ``fill`` leaves them.
    """
    f = complex(optics[F_RE + j], optics[F_IM + j])
    s = complex(optics[at + S_RE + j], optics[at + S_IM + j])
    s2 = complex(optics[at + S2_RE + j], optics[at + S2_IM + j])
    m = UNITY
    for i in range(SUMS):
        total[i] = 0.0
    for k in range(count - 1, -1, -1):
        h, g, e, alpha, beta = steps[0, k], steps[1, k], steps[2, k], steps[3, k], steps[4, k]
        number, hh = halvings(f.real - g, h)
        c_re, c_im, q_re, q_im, d_re, d_im = even_functions(f.real - g, f.imag, hh)
        for _ in range(number):
            c_re, c_im, q_re, q_im, d_re, d_im = double(c_re, c_im, q_re, q_im, d_re, d_im)
        action = adjoint_action(m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7])
        parts = generators(
            f.real, f.imag, c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta
        )  # fmt: skip
        he = h * e
        third = 1j * he * he / 3.0
        w, u = he * s2 * complex(parts[0], parts[1]), he * s2 * complex(parts[6], parts[7])
        y = he * s2 * parts[12]
        of_g = pulled_back(
            action,
            1.0 + he * w,
            s * (complex(parts[2], parts[3]) + he * he * y - third * u),
            s * (complex(parts[4], parts[5]) + he * he * y + third * u),
        )
        of_beta = pulled_back(
            action,
            u,
            s * (complex(parts[8], parts[9]) + 0.5j * he * u),
            s * (complex(parts[10], parts[11]) - 0.5j * he * u),
        )
        for q in range(len(end)):
            add(of_g, h * slopes[0, k, q], of_beta, slopes[1, k, q], total, q)
        if damaged or k == count - 1:
            z_re, z_im, m_re, m_im, n_re, n_im = generators_of_coupling(
                f.real, f.imag, c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta
            )
            phase = (f - g) * h
            of_e = pulled_back(
                action,
                s2 * complex(z_re, z_im),
                s * (complex(m_re, m_im) + phase * (he * y - 1j * he * u / 3.0)),
                s * (complex(n_re, n_im) + phase * (he * y + 1j * he * u / 3.0)),
            )
            for q in range(len(end)):
                if damaged:
                    add(of_e, h * slopes[2, k, q], of_beta, f * slopes[3, k, q], total, q)
                if k == count - 1:
                    add(of_e, e * end[q], of_g, (g - f) * end[q], total, q)
        step = matrix_of_step(
            f.real, f.imag, s.real, s.imag, s2.real, s2.imag,
            c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta,
        )  # fmt: skip
        m = advance(step, m)
    return m


@jit
def add(one, weight, other, other_weight, total, q):
    """Add two sources to K of parameter q, which lies in memory: it is read and written once."""
    if weight != 0.0 or other_weight != 0.0:
        total[3 * q] += weight * one[0] + other_weight * other[0]
        total[3 * q + 1] += weight * one[1] + other_weight * other[1]
        total[3 * q + 2] += weight * one[2] + other_weight * other[2]


@on_card
def fill(params, profile, layer, counts, steps, slopes, end, work):
    """Coefficients h, g, e, α, β (n, 5, most) of the steps and derivatives of g, β, e, α (n, 4, most, p).

    ``end`` (n, p) derivatives of the depth at which the layer ends; ``work`` (n, 5, p). A thread a sample.
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
            Slopes(tangent[0], tangent[2], tangent[3], tangent[1], end[i], work[i]),
        )


@on_card
def linearize(layer, counts, steps, slopes, end, optics, coarse, out, gradient):
    """Reflectivity (n, nodes) and its derivatives (n, p, nodes): a block a sample, threads as in ``cuda.reflect``.

    ``coarse`` (n, 1 + p, BOTH, coarse angles), complex, is workspace for M and dM.
    """
    sample = cuda.blockIdx.x
    total = cuda.local.array(SUMS, complex128)
    factor = cuda.local.array(BOTH, complex128)
    near = coarse[sample]
    size, angles = gradient.shape[1], near.shape[2]
    number = 0
    for s in range(counts.shape[1]):
        number += counts[sample, s]
    for i in range(cuda.threadIdx.x, 2 * angles, cuda.blockDim.x):
        pol, angle = i // angles, i % angles
        table = optics.table[angle // BLOCK]
        at = POLARISATION + 4 * BLOCK * pol
        m = transfer_tangents(
            table, at, angle % BLOCK, steps[sample], slopes[sample], end[sample], layer.damaged, number, total
        )
        u1, v1, u2, v2 = complex(m[0], m[1]), complex(m[2], m[3]), complex(m[4], m[5]), complex(m[6], m[7])
        row = ROWS * pol
        near[0, row, angle] = u1
        near[0, row + 1, angle] = v1
        near[0, row + 2, angle] = u2
        near[0, row + 3, angle] = v2
        for q in range(size):
            d, upper, lower = 1j * total[3 * q], 1j * total[3 * q + 1], -1j * total[3 * q + 2]
            near[1 + q, row, angle] = u1 * d + u2 * lower
            near[1 + q, row + 1, angle] = v1 * d + v2 * lower
            near[1 + q, row + 2, angle] = u1 * upper - u2 * d
            near[1 + q, row + 3, angle] = v1 * upper - v2 * d
    cuda.syncthreads()
    for node in range(cuda.threadIdx.x, out.shape[1], cuda.blockDim.x):
        first, in_cluster, which = taps(optics, node)
        weight = optics.cluster_weight[which] if in_cluster else optics.weight[which]
        share = 1.0 / (1.0 + optics.monochromator)
        seen = 0.0
        for pol in range(2):
            row = ROWS * pol
            a = complex(optics.substrate[node, 2 * pol], optics.substrate[node, 2 * pol + 1])
            u = v = 0.0j
            for t in range(len(weight)):
                u += weight[t] * (near[0, row, first + t] * a + near[0, row + 2, first + t])
                v += weight[t] * (near[0, row + 1, first + t] * a + near[0, row + 3, first + t])
            unit = share / (v.real * v.real + v.imag * v.imag)
            r = (u.real * u.real + u.imag * u.imag) * unit
            seen += r
            # dR = Re[x̄ du + ȳ dv], du = dM11 A + dM12, dv = dM21 A + dM22
            x = 2.0 * unit * u.conjugate()
            y = -2.0 * unit * r / share * v.conjugate()
            factor[row], factor[row + 1], factor[row + 2], factor[row + 3] = x * a, y * a, x, y
            share = 1.0 - share
        out[sample, node] = optics.factor[node] * seen
        for q in range(size):
            change = 0.0
            for t in range(len(weight)):
                value = 0.0
                for row in range(BOTH):
                    value += (factor[row] * near[1 + q, row, first + t]).real
                change += weight[t] * value
            gradient[sample, q, node] = optics.factor[node] * change
