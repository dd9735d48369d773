"""Derivatives of the steps of a continuum over the parameters, for a fixed number of steps in each segment.

A step's coefficients follow from the strains of its two Gauss points, which lie at z = a + (i + ½ ∓ √3/6)h of a segment
from a to b of n steps, h = (b − a)/n. The edges a and b move with Rp1, L1 and L2 and with the end of the layer, so

    dε/dp = ∂ε/∂p + ε'(z) dz/dp,   dz/dp = da/dp + (i + ½ ∓ √3/6) dh/dp.

Where a flank has no width its derivative is one-sided: it is taken NARROWEST wide.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.steps import GAUSS, SEGMENTS, segment_edge
from xrdsim.kernels.strain import damage, depth_end, end_gradient, strain, strain_gradient, strain_peak
from xrdsim.parameters import KAPPA, L1, L2, RP1, P

NARROWEST = 1e-5
"""Least width [Å] of either flank of the asymmetric Gaussian."""


class Slopes(NamedTuple):
    """Workspace of one thread: derivatives (steps, p) of each step's g, e, α, β and (SEGMENTS, p) of h."""

    g: NDArray[np.float64]
    e: NDArray[np.float64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    h: NDArray[np.float64]
    end: NDArray[np.float64]  # (p,) of the depth at which the layer ends
    work: NDArray[np.float64]  # (5, p)


@jit
def widen(p, out):
    """Copy parameters, no flank narrower than NARROWEST."""
    out[:] = p
    out[RP1] = max(out[RP1], NARROWEST)
    out[L1] = max(out[L1], out[RP1] + NARROWEST)


@jit
def _edge_gradient(i, p, end, out):
    """Derivatives of the depth of an edge; those of the layer's end are known."""
    if i == SEGMENTS:
        out[:] = end
        return
    out[:] = 0.0
    if i == 3:
        out[L1] = 1.0
    elif i == 1:
        out[RP1 if p[RP1] <= p[L2] else L2] = 1.0
    elif i == 2:
        out[RP1 if p[RP1] > p[L2] else L2] = 1.0


@jit
def _shift(eps, material):
    """g(ε) and its derivative."""
    if material.exact:
        unit = 1.0 / (1.0 + eps)
        return material.coupling * eps * unit, material.coupling * unit * unit
    return material.coupling * eps, material.coupling


@jit
def _damage_gradient(eps, gradient, top, top_gradient, p, out):
    """Derivatives of E = 1 − κ(ε/ε_max)^p at a point whose strain has the derivatives ``gradient``."""
    size = len(out)
    power = (eps / top) ** p[P]
    for q in range(size):
        out[q] = -p[KAPPA] * p[P] * power * (gradient[q] / eps - top_gradient[q] / top)
    out[KAPPA] -= power
    out[P] -= p[KAPPA] * power * math.log(eps / top)


@jit
def fill_steps_and_slopes(p, material, counts, steps, slopes):
    """Fill the steps of one sample from the surface down and their derivatives; returns the number of steps."""
    size = len(slopes.end)
    upper, lower, edge, h_gradient, top_gradient = slopes.work
    end = depth_end(p)
    slopes.end[:] = 0.0
    end_gradient(end, p, slopes.end[:7])
    top = 1.0
    top_gradient[:] = 0.0
    e_upper = e_lower = 1.0
    damaged = material.damaged
    if damaged:
        peak = strain_peak(p)
        top = strain(peak, p)
        strain_gradient(peak, p, top_gradient[:7])
        e_gradient = np.zeros((2, size))
    else:
        e_gradient = np.zeros((2, 0))
    k = 0
    for s in range(SEGMENTS):
        n = max(counts[s], 1)
        a = segment_edge(s, p, end)
        h = (segment_edge(s + 1, p, end) - a) / n
        _edge_gradient(s + 1, p, slopes.end, h_gradient)
        _edge_gradient(s, p, slopes.end, edge)
        for q in range(size):
            h_gradient[q] = (h_gradient[q] - edge[q]) / n
            slopes.h[s, q] = h_gradient[q]
        factor = GAUSS * h * h
        for i in range(counts[s]):
            near = i + 0.5 - GAUSS
            far = i + 0.5 + GAUSS
            upper[:] = 0.0
            lower[:] = 0.0
            eps_upper, rise = strain_gradient(a + near * h, p, upper[:7])
            eps_lower, fall = strain_gradient(a + far * h, p, lower[:7])
            for q in range(size):
                upper[q] += rise * (edge[q] + near * h_gradient[q])
                lower[q] += fall * (edge[q] + far * h_gradient[q])
            g_upper, r = _shift(eps_upper, material)
            g_lower, t = _shift(eps_lower, material)
            if damaged:
                e_upper = damage(eps_upper, top, p)
                e_lower = damage(eps_lower, top, p)
                _damage_gradient(eps_upper, upper, top, top_gradient, p, e_gradient[0])
                _damage_gradient(eps_lower, lower, top, top_gradient, p, e_gradient[1])
            steps.h[k] = h
            steps.g[k] = 0.5 * (g_upper + g_lower)
            steps.e[k] = 0.5 * (e_upper + e_lower)
            steps.alpha[k] = factor * (e_lower - e_upper)
            steps.beta[k] = factor * (g_lower * e_upper - g_upper * e_lower)
            for q in range(size):
                du = r * upper[q]
                dl = t * lower[q]
                slopes.g[k, q] = 0.5 * (du + dl)
                slopes.beta[k, q] = factor * (dl * e_upper - du * e_lower)
                if h > 0.0:
                    slopes.beta[k, q] += 2.0 * steps.beta[k] * h_gradient[q] / h
                if damaged:
                    slopes.e[k, q] = 0.5 * (e_gradient[0, q] + e_gradient[1, q])
                    slopes.alpha[k, q] = factor * (e_gradient[1, q] - e_gradient[0, q])
                    slopes.alpha[k, q] += 2.0 * steps.alpha[k] * h_gradient[q] / h
                    slopes.beta[k, q] += factor * (g_lower * e_gradient[0, q] - g_upper * e_gradient[1, q])
            k += 1
    return k
