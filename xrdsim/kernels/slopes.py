"""Derivatives of the steps of a continuum over the parameters, for a fixed number of steps in each segment.

A step's coefficients follow from the strains at its two Gauss points z. The edges between steps stay: the profile goes
on across them, so that moving them has no effect but on the error of the steps. The end of the layer moves, where the
strain falls to 0 at once, and with it the thickness and the points of the last step, z = a + (½ ∓ √3/6)h, by

    dε/dp = ∂ε/∂p + ε'(z) (½ ∓ √3/6) dh/dp.

The coefficients of a damaged step change with the two strains, with the largest strain and with the parameters of the
damage themselves. Where these changes are asked for (``mix``), the derivatives are left in this form: then what a step
contributes is summed for two strains instead of four coefficients, and but once for the largest strain. A factor E of
its own is a function of z/D, D the depth at which the layer ends, and its changes with D are summed once, too.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.steps import GAUSS, varies
from xrdsim.profiles.stage import (
    depth_end,
    edge,
    end_gradient,
    factor,
    factor_gradient,
    own_factor_gradient,
    peak,
    strain,
    strain_gradient,
)

LEAST = 3
"""Least number of steps of a segment: a narrow flank matters little to the curve, but not to its derivatives."""


class Slopes(NamedTuple):
    """Workspace of one thread: derivatives (steps, p) of each step's g, e, α and β, or those they are made of."""

    g: NDArray[np.float64]
    e: NDArray[np.float64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    end: NDArray[np.float64]  # (p,) of the depth at which the layer ends, and of h of the last step
    work: NDArray[np.float64]  # (6, p), the third row being that of the largest strain
    upper: NDArray[np.float64]  # (steps, p) of the strain at the upper Gauss point
    lower: NDArray[np.float64]
    mix: NDArray[np.float64]  # (steps, 8) of h·g, β, h·e and α over the upper strain, then over the lower
    turns: NDArray[np.float64]  # (steps, any, 3) of β, h·e, α over each parameter of the damage, D, the largest strain


@jit
def at_least(least, counts):
    """Raise the numbers of steps of all segments that are not empty."""
    for s in range(len(counts)):
        if counts[s] > 0:
            counts[s] = max(counts[s], least)


@jit
def _shift(eps, layer):
    """g(ε) and its derivative."""
    if layer.exact:
        unit = 1.0 / (1.0 + eps)
        return layer.coupling * eps * unit, layer.coupling * unit * unit
    return layer.coupling * eps, layer.coupling


@jit
def _to_power(e, gradient, power):
    """E to a power; its derivatives take the place of those of E."""
    steep = power * max(e, 1e-12) ** (power - 1.0)
    for q in range(len(gradient)):
        gradient[q] *= steep
    return e**power


@jit
def _with_loops(e, gradient, eps, of_eps, top, of_top, p, column):
    """E times exp(−L ε/ε_max); its derivatives take the place of those of E."""
    part = eps / top
    weaker = math.exp(-p[column] * part)
    for q in range(len(gradient)):
        gradient[q] = weaker * (gradient[q] - e * p[column] * (of_eps[q] - part * of_top[q]) / top)
    gradient[column] -= weaker * e * part
    return weaker * e


@jit
def strains_of(layer, size):
    """Number of parameters of the strain among so many."""
    if layer.loops >= 0:
        return layer.loops
    if layer.own > 0:
        return size - layer.own
    return size - 2 if layer.damaged else size


@jit(inline=True)
def _factor(profile, layer, z, moved, eps, of_eps, top, of_top, end, of_end, p, gradient):
    """E at a Gauss point z, and its derivatives over what ``of_eps``, ``of_top`` and ``of_end`` are derivatives over.

    ``moved`` is by how much z moves with the end of the layer.
    """
    e = 1.0
    gradient[:] = 0.0
    if layer.damaged:
        if layer.own > 0:
            e, steep = own_factor_gradient(profile, z, p, gradient)
            for q in range(len(gradient) - layer.own):
                gradient[q] += steep * (moved - z / end) * of_end[q]
        else:
            e = factor(profile, eps, top, p)
            factor_gradient(profile, eps, of_eps, top, of_top, p, gradient)
        if layer.power != 1.0:
            e = _to_power(e, gradient, layer.power)
    if layer.loops >= 0:
        e = _with_loops(e, gradient, eps, of_eps, top, of_top, p, layer.loops)
    return e


@jit
def fill_steps_and_slopes(p, profile, layer, counts, steps, slopes):
    """Fill the steps of one sample from the surface down and their derivatives; returns the number of steps."""
    size = len(slopes.end)
    damaged = varies(layer)
    mix, turns = slopes.mix, slopes.turns
    apart = len(mix) > 0
    strains = strains_of(layer, size)
    upper, lower, top_gradient, de_upper, de_lower, of_end = slopes.work
    end = depth_end(profile, p)
    slopes.end[:] = 0.0
    end_gradient(profile, end, p, slopes.end[:strains])
    top = 1.0
    e_upper = e_lower = 1.0
    if damaged:
        at = peak(profile, p)
        top = strain(profile, at, p)
        top_gradient[:] = 0.0
        strain_gradient(profile, at, p, top_gradient[:strains])
    of_upper, of_lower, of_top = upper, lower, top_gradient
    for q in range(size):  # a copy of slices would want memory, which kernels of a card have not
        of_end[q] = slopes.end[q]
    if apart:  # over the strain itself, over the largest and over the end of the layer, as numbers 0, 1 and 2
        of_upper, of_lower, of_top = slopes.work[0], slopes.work[0], slopes.work[1]
        of_upper[:] = 0.0
        of_upper[0] = 1.0
        of_top[:] = 0.0
        of_top[1] = 1.0
        of_end[:] = 0.0
        of_end[2] = 1.0
    own = size - strains
    kinds = own + 1 + (layer.own > 0)
    last = counts.sum() - 1
    k = 0
    for s in range(len(counts)):
        a = edge(profile, s, p, end)
        h = (edge(profile, s + 1, p, end) - a) / max(counts[s], 1)
        weight = GAUSS * h * h
        for i in range(counts[s]):
            if apart:
                upper, lower = slopes.upper[k], slopes.lower[k]
            upper[:] = 0.0
            lower[:] = 0.0
            z_upper, z_lower = a + (i + 0.5 - GAUSS) * h, a + (i + 0.5 + GAUSS) * h
            eps_upper, rise = strain_gradient(profile, z_upper, p, upper[:strains])
            eps_lower, fall = strain_gradient(profile, z_lower, p, lower[:strains])
            if k == last:
                for q in range(size):
                    upper[q] += rise * (0.5 - GAUSS) * slopes.end[q]
                    lower[q] += fall * (0.5 + GAUSS) * slopes.end[q]
            g_upper, r = _shift(eps_upper, layer)
            g_lower, t = _shift(eps_lower, layer)
            if damaged:
                up, down = (0.5 - GAUSS, 0.5 + GAUSS) if k == last else (0.0, 0.0)
                e_upper = _factor(
                    profile, layer, z_upper, up, eps_upper, of_upper, top, of_top, end, of_end, p, de_upper
                )
                e_lower = _factor(
                    profile, layer, z_lower, down, eps_lower, of_lower, top, of_top, end, of_end, p, de_lower
                )
            steps.h[k] = h
            steps.g[k] = 0.5 * (g_upper + g_lower)
            steps.e[k] = 0.5 * (e_upper + e_lower)
            steps.alpha[k] = weight * (e_lower - e_upper)
            steps.beta[k] = weight * (g_lower * e_upper - g_upper * e_lower)
            if apart:
                mix[k, 0], mix[k, 4] = 0.5 * h * r, 0.5 * h * t
                mix[k, 1] = weight * (g_lower * de_upper[0] - r * e_lower)
                mix[k, 5] = weight * (t * e_upper - g_upper * de_lower[0])
                mix[k, 2], mix[k, 6] = 0.5 * h * de_upper[0], 0.5 * h * de_lower[0]
                mix[k, 3], mix[k, 7] = -weight * de_upper[0], weight * de_lower[0]
                for n in range(kinds):
                    q = strains + n
                    if n >= own:
                        q = 1 if n == kinds - 1 else 2
                    turns[k, n, 0] = weight * (g_lower * de_upper[q] - g_upper * de_lower[q])
                    turns[k, n, 1] = 0.5 * h * (de_upper[q] + de_lower[q])
                    turns[k, n, 2] = weight * (de_lower[q] - de_upper[q])
                k += 1
                continue
            for q in range(size):
                slopes.g[k, q] = 0.5 * (r * upper[q] + t * lower[q])
                slopes.beta[k, q] = weight * (t * lower[q] * e_upper - r * upper[q] * e_lower)
                if damaged:
                    slopes.e[k, q] = 0.5 * (de_upper[q] + de_lower[q])
                    slopes.alpha[k, q] = weight * (de_lower[q] - de_upper[q])
                    slopes.beta[k, q] += weight * (g_lower * de_upper[q] - g_upper * de_lower[q])
                if k == last:
                    slopes.beta[k, q] += 2.0 * steps.beta[k] * slopes.end[q] / h
                    if damaged:
                        slopes.alpha[k, q] += 2.0 * steps.alpha[k] * slopes.end[q] / h
            k += 1
    return k
