"""From stored curves to measured ones and onto the grid of a network; parallel over samples.

Measured curves are ragged: flat arrays of angles and intensities, sample i in ``offsets[i] : offsets[i + 1]``.
"""

import math

import numpy as np
from numba import prange

from xrdsim._jit import jit
from xrdsim.kernels.convolve import REACH


@jit(parallel=True)
def observe(curves, start, step, sigma, angles, offsets, zero, scale, background, out):
    """Convolve curves (n, points) on an equidistant grid with Gaussians (n,) and take them at any angles.

    Around the grid point next to the angle, at the distance δ, the Gaussian factorises into a table of the sample and
    powers of one number: exp(−(δ − m·step)²/2s²) = exp(−δ²/2s²)·exp(−(m·step)²/2s²)·rᵐ,  r = exp(δ·step/s²).
    Dividing by the sum of the weights keeps the norm where the grid ends.
    """
    points = curves.shape[1]
    for i in prange(len(curves)):
        taps = math.ceil(REACH * sigma[i] / step)
        table = np.empty(taps + 1)
        for m in range(taps + 1):
            t = m * step / sigma[i]
            table[m] = math.exp(-0.5 * t * t)
        for k in range(offsets[i], offsets[i + 1]):
            x = (angles[k] - zero[i] - start) / step
            centre = round(x)
            if not 0 <= centre < points:
                out[k] = math.nan
                continue
            r = math.exp((x - centre) * (step / sigma[i]) ** 2)
            total = table[0] * curves[i, centre]
            norm = table[0]
            power = 1.0
            for m in range(1, min(taps, points - 1 - centre) + 1):
                power *= r
                total += table[m] * power * curves[i, centre + m]
                norm += table[m] * power
            power = 1.0
            for m in range(1, min(taps, centre) + 1):
                power /= r
                total += table[m] * power * curves[i, centre - m]
                norm += table[m] * power
            out[k] = scale[i] * total / norm + background[i]


@jit
def _integral(k, x, angles, intensity, sums):
    """Integral from the first angle to x, which lies in the interval [k, k + 1], of the piecewise linear intensity."""
    t = x - angles[k]
    slope = (intensity[k + 1] - intensity[k]) / (angles[k + 1] - angles[k])
    return sums[k] + t * (intensity[k] + 0.5 * slope * t)


@jit(parallel=True)
def to_window(angles, intensity, offsets, start, step, mask, gap, sums, out, valid):
    """log10 intensity (n, points) on an equidistant grid and its validity; ``sums`` is a workspace like ``angles``."""
    points = out.shape[1]
    slack = 1e-6 * step  # rounding of angles
    for i in prange(len(out)):
        first, last = offsets[i], offsets[i + 1] - 1
        spacings = np.empty(max(last - first, 1))
        floor = math.inf
        for k in range(first, last + 1):
            if 0.0 < intensity[k] < floor:
                floor = intensity[k]
        floor *= 0.5
        if last > first:
            sums[first] = 0.0
        for k in range(first, last):
            spacings[k - first] = angles[k + 1] - angles[k]
            sums[k + 1] = sums[k] + 0.5 * (intensity[k] + intensity[k + 1]) * spacings[k - first]
        widest = gap * np.median(spacings)
        k = first
        low = first
        high = first
        for j in range(points):
            out[i, j] = 0.0
            valid[i, j] = False
            x = start + j * step
            if abs(x) < mask[i] or last <= first or not (floor < math.inf):
                continue
            if x < angles[first] - slack or x > angles[last] + slack:
                continue
            while k < last - 1 and angles[k + 1] < x:
                k += 1
            spacing = angles[k + 1] - angles[k]
            t = (x - angles[k]) / spacing
            if spacing > widest and abs(x - angles[k]) > slack and abs(x - angles[k + 1]) > slack:
                continue
            half = 0.5 * max(step - spacing, 0.0)
            a = max(x - half, angles[first])
            b = min(x + half, angles[last])
            if b - a > slack:
                while low < last - 1 and angles[low + 1] < a:
                    low += 1
                while high < last - 1 and angles[high + 1] < b:
                    high += 1
                area = _integral(high, b, angles, intensity, sums) - _integral(low, a, angles, intensity, sums)
                value = math.log10(max(area / (b - a), floor))
            else:
                upper = math.log10(max(intensity[k + 1], floor))
                value = (1.0 - t) * math.log10(max(intensity[k], floor)) + t * upper
            out[i, j] = value
            valid[i, j] = True
