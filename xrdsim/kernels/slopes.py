"""Derivatives of the steps of a continuum over the parameters, for a fixed number of steps in each segment.

A step's coefficients follow from the strains at its two Gauss points z. The edges between steps stay: the profile goes
on across them, so that moving them has no effect but on the error of the steps. The end of the layer moves, where the
strain falls to 0 at once, and with it the thickness and the points of the last step, z = a + (½ ∓ √3/6)h, by

    dε/dp = ∂ε/∂p + ε'(z) (½ ∓ √3/6) dh/dp.

Where a flank has no width its derivative is one-sided: it is taken NARROWEST wide.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.steps import GAUSS, SEGMENTS, segment_edge
from xrdsim.kernels.strain import damage, depth_end, end_gradient, strain, strain_gradient, strain_peak
from xrdsim.profiles.two_gaussians import KAPPA, L1, RP1, P

NARROWEST = 1e-5
"""Least width [Å] of either flank of the asymmetric Gaussian."""

LEAST = 3
"""Least number of steps of a segment: a narrow flank matters little to the curve, but not to its derivatives."""


class Slopes(NamedTuple):
    """Workspace of one thread: derivatives (steps, p) of each step's g, e, α and β."""

    g: NDArray[np.float64]
    e: NDArray[np.float64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    end: NDArray[np.float64]  # (p,) of the depth at which the layer ends, and of h of the last step
    work: NDArray[np.float64]  # (5, p)


@jit
def widen(p, out):
    """Copy parameters, no flank narrower than NARROWEST."""
    out[:] = p
    out[RP1] = max(out[RP1], NARROWEST)
    out[L1] = max(out[L1], out[RP1] + NARROWEST)


@jit
def at_least(least, counts):
    """Raise the numbers of steps of all segments that are not empty."""
    for s in range(SEGMENTS):
        if counts[s] > 0:
            counts[s] = max(counts[s], least)


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
    damaged = material.damaged
    upper, lower, top_gradient, de_upper, de_lower = slopes.work
    end = depth_end(p)
    slopes.end[:] = 0.0
    end_gradient(end, p, slopes.end[:7])
    top = 1.0
    e_upper = e_lower = 1.0
    if damaged:
        peak = strain_peak(p)
        top = strain(peak, p)
        top_gradient[:] = 0.0
        strain_gradient(peak, p, top_gradient[:7])
    last = counts.sum() - 1
    k = 0
    for s in range(SEGMENTS):
        a = segment_edge(s, p, end)
        h = (segment_edge(s + 1, p, end) - a) / max(counts[s], 1)
        factor = GAUSS * h * h
        for i in range(counts[s]):
            upper[:] = 0.0
            lower[:] = 0.0
            eps_upper, rise = strain_gradient(a + (i + 0.5 - GAUSS) * h, p, upper[:7])
            eps_lower, fall = strain_gradient(a + (i + 0.5 + GAUSS) * h, p, lower[:7])
            if k == last:
                for q in range(size):
                    upper[q] += rise * (0.5 - GAUSS) * slopes.end[q]
                    lower[q] += fall * (0.5 + GAUSS) * slopes.end[q]
            g_upper, r = _shift(eps_upper, material)
            g_lower, t = _shift(eps_lower, material)
            if damaged:
                e_upper = damage(eps_upper, top, p)
                e_lower = damage(eps_lower, top, p)
                _damage_gradient(eps_upper, upper, top, top_gradient, p, de_upper)
                _damage_gradient(eps_lower, lower, top, top_gradient, p, de_lower)
            steps.h[k] = h
            steps.g[k] = 0.5 * (g_upper + g_lower)
            steps.e[k] = 0.5 * (e_upper + e_lower)
            steps.alpha[k] = factor * (e_lower - e_upper)
            steps.beta[k] = factor * (g_lower * e_upper - g_upper * e_lower)
            for q in range(size):
                slopes.g[k, q] = 0.5 * (r * upper[q] + t * lower[q])
                slopes.beta[k, q] = factor * (t * lower[q] * e_upper - r * upper[q] * e_lower)
                if damaged:
                    slopes.e[k, q] = 0.5 * (de_upper[q] + de_lower[q])
                    slopes.alpha[k, q] = factor * (de_lower[q] - de_upper[q])
                    slopes.beta[k, q] += factor * (g_lower * de_upper[q] - g_upper * de_lower[q])
                if k == last:
                    slopes.beta[k, q] += 2.0 * steps.beta[k] * slopes.end[q] / h
                    if damaged:
                        slopes.alpha[k, q] += 2.0 * steps.alpha[k] * slopes.end[q] / h
            k += 1
    return k
