"""Diffuse scattering of the strained layer: a sum over its cells from the surface down.

    R = Σ_j exp(−Q_j) μ_DS,j h φ(2μ_j h)/γ0,   φ(y) = (1 − e^−y)/y,   Q_j = Σ_{i<j} (μ0 + μ_DS,i) paths h

The derivatives follow by one sweep back: what absorbs above weakens all that is below.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.diffuse.strength import absorbed, decay, decay_slope, scattered


class Crowd(NamedTuple):
    """Loops of the layer: density [1/Å³] where the strain is largest, radius [Å]; shift [1/Å] of t of a unit strain."""

    density: float
    radius: float
    shift: float


class Trace(NamedTuple):
    """Workspace of one thread, (cells,) each, and sums over cells as they are needed for three results."""

    fixed: NDArray[np.float64]  # (2, 5, cells): of σ and π, what does not change with the angle
    weight: NDArray[np.float64]  # (12, cells)
    over: NDArray[np.float64]  # (3, 3, cells): of R, Q_σ, Q_π over the strain, its change and its fraction
    rest: NDArray[np.float64]  # (3, 3): of these over h, density and radius


@jit
def make_trace(count):
    """Make the arrays."""
    return Trace(np.zeros((2, 5, count)), np.zeros((12, count)), np.zeros((3, 3, count)), np.zeros((3, 3)))


@jit
def prepare(cells, count, crowd, beams, fixed):
    """t of the middle of a cell at angle 0, its width in t, E, k_m², and μ_DS over J, of each cell."""
    shift, width, e_, k2, unit = fixed
    r2 = crowd.radius * crowd.radius
    exponent = beams.strength * crowd.density * r2 * crowd.radius
    for j in range(count):
        e = math.exp(-exponent * cells.fraction[j])
        km = beams.range / (crowd.radius * e)
        shift[j] = crowd.shift * cells.strain[j]
        width[j] = abs(crowd.shift * cells.change[j])
        e_[j] = e
        k2[j] = km * km
        unit[j] = crowd.density * cells.fraction[j] * r2 * r2 * e * e * beams.scale


@jit
def scatter_layer(t, cells, count, crowd, sigma, pi, share, fixed, out):
    """R, Q_σ and Q_π of the whole layer, (3, angles), at distances t [1/Å] from the unstrained crystal."""
    out[0, :] = 0.0
    for pol in range(2):
        beams = sigma if pol == 0 else pi
        prepare(cells, count, crowd, beams, fixed)
        shift, width, e, k2, unit = fixed
        weight = (share if pol == 0 else 1.0 - share) / beams.cosine
        for i in range(len(t)):
            total = 0.0
            q = 0.0
            reach = 1.0
            for j in range(count):
                h = cells.h[j]
                a, _, _ = absorbed(t[i] - shift[j], e[j], beams)
                strength, _, _, _, _ = scattered(t[i] - shift[j], width[j], a, k2[j], beams)
                m = unit[j] * strength
                total += reach * m * h * decay(2.0 * a * h)
                lost = (beams.absorption + m) * beams.paths * h
                q += lost
                reach *= 1.0 - lost * decay(lost)
            out[0, i] += weight * total
            out[1 + pol, i] = q


@jit
def _sweep(t, cells, count, crowd, beams, part, pol, trace):
    """R and Q of one polarisation at one distance, and their derivatives, those of R times ``part`` added."""
    m_, m_t, m_w, m_e, m_r, a_, a_t, a_e, p_, b_, e_, unit_ = trace.weight
    shift, width, es, k2s, units = trace.fixed[pol]
    radius = crowd.radius
    r2 = radius * radius
    power = beams.strength * r2 * radius
    exponent = power * crowd.density
    q = 0.0
    passed = 1.0
    for j in range(count):
        e, k2, c, h = es[j], k2s[j], units[j], cells.h[j]
        x = t - shift[j]
        a, over_t, over_e = absorbed(x, e, beams)
        s, s_t, s_w, s_a, s_k = scattered(x, width[j], a, k2, beams)
        m = c * s
        y = 2.0 * a * h
        reach = passed * h / beams.cosine
        m_[j], a_[j], e_[j], unit_[j] = m, a, e, r2 * r2 * e * e * beams.scale * s
        m_t[j] = c * (s_t + s_a * over_t)
        m_w[j] = c * s_w
        m_e[j] = c * (s_a * over_e - 2.0 * s_k * k2 / e) + 2.0 * m / e
        m_r[j] = -2.0 * c * s_k * k2 / radius + 4.0 * m / radius
        a_t[j], a_e[j] = over_t, over_e
        p_[j] = reach * decay(y)
        b_[j] = reach * m * decay_slope(y) * 2.0 * h
        lost = (beams.absorption + m) * beams.paths * h
        q += lost
        passed *= 1.0 - lost * decay(lost)
    tail = 0.0
    over, rest = trace.over, trace.rest
    for j in range(count - 1, -1, -1):
        f, h, paths = cells.fraction[j], cells.h[j], beams.paths * cells.h[j]
        de, dn = -exponent * e_[j], -power * e_[j] * f
        dr = 3.0 * de * f / radius
        sign = crowd.shift if crowd.shift * cells.change[j] >= 0.0 else -crowd.shift
        for which in range(2):
            of_m = p_[j] - paths * tail if which == 0 else paths
            of_a = b_[j] if which == 0 else 0.0
            of_e = of_m * m_e[j] + of_a * a_e[j]
            of_h = -(beams.absorption + m_[j]) * beams.paths * (tail if which == 0 else -1.0)
            if which == 0:
                of_h += (p_[j] * m_[j] + b_[j] * a_[j]) / h
            at = 0 if which == 0 else 1 + pol
            weight = part if which == 0 else 1.0
            over[at, 0, j] += weight * -crowd.shift * (of_m * m_t[j] + of_a * a_t[j])
            over[at, 1, j] += weight * sign * of_m * m_w[j]
            over[at, 2, j] += weight * (of_m * crowd.density * unit_[j] + of_e * de)
            rest[at, 0] += weight * of_h
            rest[at, 1] += weight * (of_m * f * unit_[j] + of_e * dn)
            rest[at, 2] += weight * (of_m * m_r[j] + of_e * dr)
        tail += p_[j] * m_[j]
    return tail, q


@jit
def scatter_layer_and_slopes(t, cells, moves, crowd, sigma, pi, share, trace, out, slope):
    """The same with derivatives (3, p + 2, angles) over the parameters of the strain, density and radius."""
    count, size = moves.strain.shape
    over, rest = trace.over, trace.rest
    prepare(cells, count, crowd, sigma, trace.fixed[0])
    prepare(cells, count, crowd, pi, trace.fixed[1])
    for i in range(len(t)):
        over[:] = 0.0
        rest[:] = 0.0
        first, out[1, i] = _sweep(t[i], cells, count, crowd, sigma, share, 0, trace)
        second, out[2, i] = _sweep(t[i], cells, count, crowd, pi, 1.0 - share, 1, trace)
        out[0, i] = share * first + (1.0 - share) * second
        for at in range(3):
            total = moves.work[0]
            for q in range(size):
                total[q] = rest[at, 0] * moves.h[q]
            for j in range(count):
                of_strain, of_change, of_fraction = over[at, 0, j], over[at, 1, j], over[at, 2, j]
                for q in range(size):
                    total[q] += (
                        of_strain * moves.strain[j, q]
                        + of_change * moves.change[j, q]
                        + of_fraction * moves.fraction[j, q]
                    )
            for q in range(size):
                slope[at, q, i] = total[q]
            slope[at, size, i] = rest[at, 1]
            slope[at, size + 1, i] = rest[at, 2]
