"""The reflectivity on a graphics card. Steps and coarse angles are of the precision of the optics, the rest is double.

The scalar functions are those of the processor: numba-cuda compiles the same lines for the card. Two things differ.
There a vector of angles, here a thread has one coarse angle and keeps its transfer matrices in registers; and each
thread halves the argument of cos φ as often as its own angle needs, not as often as that of a whole block.

Threads that work on neighbouring angles read and write neighbouring numbers: a quantity is a row over the angles.
"""

import math
from pathlib import Path

from numba import cuda, float64

from xrdsim._jit import CACHE, config, foreign, jit, share
from xrdsim.kernels.convolve import REACH as SIGMAS
from xrdsim.kernels.convolve import moment
from xrdsim.kernels.film import on_film
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
    intensity,
)
from xrdsim.kernels.slopes import at_least
from xrdsim.kernels.step import REACH, double, even_functions, matrix_of_step
from xrdsim.kernels.steps import Steps, count_steps, fill_steps

PAIR = 2 * MATRIX  # the matrices of both polarisations
QUAD = PHASES * MATRIX  # matrices of one polarisation at nodes that are interpolated to together

THREADS = 128
"""Threads of a block."""


def on_card(function):
    """Compile a kernel of the card; it is kept on disk, where those of the processor are (``xrdsim._jit``)."""
    kernel = cuda.jit(function)
    if CACHE is None or config.ENABLE_CUDASIM:
        return kernel
    from numba.cuda.core import config as card
    from numba.cuda.core.caching import IndexDataCacheFile
    from numba.cuda.dispatcher import CUDACache

    class Cache(CUDACache):  # type: ignore[misc]
        def __init__(self, function):
            super().__init__(function)
            share(self, function, IndexDataCacheFile)
            self._launch_config_marker_path = str(Path(self._cache_path) / f"{self._impl.filename_base}.lcs")

        def save_overload(self, sig, data):
            if not foreign(sig):
                super().save_overload(sig, data)

    before, card.CACHE_DIR = card.CACHE_DIR, CACHE
    try:
        kernel._cache = Cache(function)
    finally:
        card.CACHE_DIR = before
    return kernel


@jit
def unity(like):
    """A transfer matrix of no steps, of a precision."""
    one, zero = type(like)(1.0), type(like)(0.0)
    return one, zero, zero, zero, zero, zero, one, zero


@jit
def halvings(a_re, h):
    """How often φ = a·h must be halved for the polynomials in φ² to hold, and h² then."""
    real = type(h)
    number = 0
    hh = h * h
    while a_re * a_re * hh > real(REACH):
        hh *= real(0.25)
        number += 1
    return number, hh


@jit(inline=True)
def column(step, u_re, u_im, v_re, v_im):
    """A column (u, v) of a transfer matrix times the elements uu, uv, vu, vv of a step."""
    uu_re, uu_im, uv_re, uv_im, vu_re, vu_im, vv_re, vv_im = step
    return (
        uu_re * u_re - uu_im * u_im + uv_re * v_re - uv_im * v_im,
        uu_re * u_im + uu_im * u_re + uv_re * v_im + uv_im * v_re,
        vv_re * v_re - vv_im * v_im + vu_re * u_re - vu_im * u_im,
        vv_re * v_im + vv_im * v_re + vu_re * u_im + vu_im * u_re,
    )


@jit(inline=True)
def advance(step, m):
    """A transfer matrix of one polarisation times a step."""
    return column(step, m[0], m[1], m[2], m[3]) + column(step, m[4], m[5], m[6], m[7])


@jit
def transfer(optics, j, steps, count):
    """Transfer matrices of σ and π polarisation at angle j of a block, from the substrate to the surface."""
    f_re, f_im = optics[F_RE + j], optics[F_IM + j]
    sigma = optics[POLARISATION + j :]
    pi = optics[POLARISATION + 4 * BLOCK + j :]
    m_sigma = m_pi = unity(f_re)
    for k in range(count - 1, -1, -1):
        h, g, e, alpha, beta = steps[0, k], steps[1, k], steps[2, k], steps[3, k], steps[4, k]
        number, hh = halvings(f_re - g, h)
        c_re, c_im, q_re, q_im, d_re, d_im = even_functions(f_re - g, f_im, hh)
        for _ in range(number):
            c_re, c_im, q_re, q_im, d_re, d_im = double(c_re, c_im, q_re, q_im, d_re, d_im)
        step = matrix_of_step(
            f_re, f_im, sigma[S_RE], sigma[S_IM], sigma[S2_RE], sigma[S2_IM],
            c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta,
        )  # fmt: skip
        m_sigma = advance(step, m_sigma)
        step = matrix_of_step(
            f_re, f_im, pi[S_RE], pi[S_IM], pi[S2_RE], pi[S2_IM],
            c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta,
        )  # fmt: skip
        m_pi = advance(step, m_pi)
    return m_sigma, m_pi


@jit
def taps(optics, node):
    """First coarse angle of a node, and whether its weights are those of the cluster, and which."""
    if node < optics.grid:
        phase = node % optics.ratio
        return optics.first[phase // PHASES] + node // optics.ratio, False, phase
    return optics.cluster_first[node - optics.grid], True, node - optics.grid


@jit
def of_grid(optics):
    """How many threads interpolate to the nodes of the grid, and how many of them in a row use the same weights."""
    columns = -(-optics.grid // optics.ratio)
    return -(-optics.ratio // PHASES) * columns, columns


@jit
def nodes_of(optics, item):
    """What one thread interpolates to: the nodes first, first + 1, … that take the same coarse angles, up to PHASES.

    Returns this node, their number, the coarse angle where they begin, whether their weights are those of the cluster,
    whose nodes come one by one after the grid, and which is the first.
    """
    gridded, columns = of_grid(optics)
    if item >= gridded:
        which = item - gridded
        return optics.grid + which, 1, optics.cluster_first[which], True, which
    group, q = item // columns, item % columns
    phase = PHASES * group
    node = optics.ratio * q + phase
    number = min(min(PHASES, optics.ratio - phase), optics.grid - node)
    return node, number, optics.first[group] + q, False, phase


@jit
def interpolate(rows, at, first, weight, row, number, out):
    """The MATRIX values from row ``at`` of (rows, coarse angles) on at up to PHASES nodes, into out (QUAD,).

    The nodes take coarse angles from ``first`` on with the rows ``row``, row + 1, … of ``weight``. A value is loaded
    once for all of them.
    """
    last = row + number - 1
    one, two, three = min(row + 1, last), min(row + 2, last), min(row + 3, last)
    for k in range(QUAD):
        out[k] = 0.0
    for t in range(weight.shape[1]):
        a, b, c, d = weight[row, t], weight[one, t], weight[two, t], weight[three, t]
        for k in range(MATRIX):
            value = rows[at + k, first + t]
            out[k] += a * value
            out[MATRIX + k] += b * value
            out[2 * MATRIX + k] += c * value
            out[3 * MATRIX + k] += d * value


@on_card
def count(params, profile, layer, accuracy, least, counts):
    """Numbers of steps (n, segments), at least so many in a segment: a thread a sample."""
    i = cuda.grid(1)
    if i < len(params):
        count_steps(params[i], profile, layer, accuracy, counts[i])
        at_least(least, counts[i])


@on_card
def fill(params, profile, layer, accuracy, counts, steps):
    """Coefficients h, g, e, α, β (n, 5, most) of the steps: a thread a sample."""
    i = cuda.grid(1)
    if i < len(params):
        rows = steps[i]
        fill_steps(params[i], profile, layer, accuracy, counts[i], Steps(rows[0], rows[1], rows[2], rows[3], rows[4]))


@on_card
def reflect(counts, steps, optics, coarse, out):
    """Reflectivity (n, nodes): a block a sample, threads first over coarse angles, then over nodes.

    ``coarse`` (n, PAIR, coarse angles) is workspace. A block writes and reads its own part of it, which stays in the
    caches: with a launch of its own for the transfer matrices they travel through the memory of the card, and curves
    take half as long again.
    """
    sample = cuda.blockIdx.x
    element = cuda.local.array(PAIR, float64)
    below = cuda.local.array((1, 4), float64)
    rows = coarse[sample]
    number = 0
    for s in range(counts.shape[1]):
        number += counts[sample, s]
    for i in range(cuda.threadIdx.x, rows.shape[1], cuda.blockDim.x):
        sigma, pi = transfer(optics.table[i // BLOCK], i % BLOCK, steps[sample], number)
        for row in range(MATRIX):
            rows[row, i] = sigma[row]
            rows[MATRIX + row, i] = pi[row]
    cuda.syncthreads()
    rest = optics.film_thickness
    for k in range(number):
        rest -= steps[sample, 0, k]
    share = 1.0 / (1.0 + optics.monochromator)
    for node in range(cuda.threadIdx.x, out.shape[1], cuda.blockDim.x):
        first, in_cluster, which = taps(optics, node)
        weight = optics.cluster_weight[which] if in_cluster else optics.weight[which]
        for row in range(PAIR):
            element[row] = 0.0
        for t in range(len(weight)):
            for row in range(PAIR):
                element[row] += weight[t] * rows[row, first + t]
        if optics.film_thickness > 0.0:
            for p in range(2):
                above = on_film(optics, node, p, rest)
                below[0, 2 * p] = above.real
                below[0, 2 * p + 1] = above.imag
            out[sample, node] = optics.factor[node] * intensity(element, 0, below, 0, share)
        else:
            out[sample, node] = optics.factor[node] * intensity(element, 0, optics.substrate, node, share)


@on_card
def place(values, index, out):
    """Copy rows (m, points) to the rows ``index`` of ``out`` (n, points), of either precision: a block a row."""
    row = cuda.blockIdx.x
    to = out[index[row]]
    for j in range(cuda.threadIdx.x, values.shape[1], cuda.blockDim.x):
        to[j] = values[row, j]


@on_card
def observe(curves, nodes, sigma, zero, scale, background, order, weights, out, place):
    """Curves (n, m, nodes) as the instrument sees them, into ``out`` (n, any, points) from [:, place] on.

    A block a curve. The integral over the nodes is that of ``xrdsim.kernels.convolve``, with sigma, zero, scale and
    background (n,) and ``order`` as there; without instrument, sigma = 0, the values at the angles of the scan.
    ``weights`` (n·m, taps) is workspace.
    """
    sample, which = cuda.blockIdx.x // curves.shape[1], cuda.blockIdx.x % curves.shape[1]
    curve = curves[sample, which]
    row = out[sample, place + which]
    width = sigma[sample]
    if width <= 0.0:
        for j in range(cuda.threadIdx.x, nodes.points, cuda.blockDim.x):
            row[j] = scale[sample] * curve[nodes.first + j * nodes.stride] + background[sample]
        return
    spacing = nodes.step / nodes.stride
    taps = min(nodes.first, int(math.ceil((SIGMAS * width + abs(zero[sample])) / spacing)))  # noqa: RUF046 (a float there)
    kernel = weights[cuda.blockIdx.x]
    unit = 1.0 / (width * math.sqrt(2.0 * math.pi))
    for t in range(cuda.threadIdx.x, 2 * taps + 1, cuda.blockDim.x):
        x = (zero[sample] + (t - taps) * spacing) / width
        kernel[t] = unit * math.exp(-0.5 * x * x) * moment(order, -x, width)
    cuda.syncthreads()
    extra = len(nodes.angle) - nodes.grid
    far = SIGMAS * width + (nodes.angle[len(nodes.angle) - 1] if extra > 0 else 0.0)
    for j in range(cuda.threadIdx.x, nodes.points, cuda.blockDim.x):
        first = nodes.first - taps + j * nodes.stride
        total = 0.0
        for t in range(2 * taps + 1):
            total += kernel[t] * nodes.weight[first + t] * curve[first + t]
        angle = nodes.start + j * nodes.step - zero[sample]
        if extra > 0 and abs(angle) <= far:
            for i in range(nodes.grid, len(nodes.angle)):
                x = (angle - nodes.angle[i]) / width
                total += unit * nodes.weight[i] * math.exp(-0.5 * x * x) * moment(order, x, width) * curve[i]
        row[j] = scale[sample] * total + background[sample]
