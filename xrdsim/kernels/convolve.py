"""Gaussian instrument function: quadrature of the simulated nodes, and of a curve that is already smooth.

    I(angle) = scale · Σ_j weight_j R(x_j) G(angle − zero − x_j) + background,   G a Gaussian of unit area

The nodes are an equidistant grid and a dense cluster at the substrate peak, whose weights share the integral by a
smooth partition of unity (``xrdsim.instrument``). Over the cluster the Gaussian is factorised,

    G(a_i − x_j) ∝ exp(−a_i²/2s²) · r_jⁱ · exp(a_0 x_j/s² − x_j²/2s²),   a_i = a_0 + i·step,  r_j = exp(step·x_j/s²),

so that it needs few exponentials for any width and zero of a sample. Where the factors would overflow, for instruments
narrower than some 5″, every Gaussian is computed.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit

REACH = 6.0
"""Standard deviations at which the Gaussian is cut: its tail there is 1e-8 of the peak."""

LARGEST_EXPONENT = 500.0
"""Of the factors of a Gaussian; double precision ends at 709."""


class Nodes(NamedTuple):
    """Where a curve is simulated for convolution; angles in arcsec."""

    points: int  # angles of the scan
    start: float  # its first angle
    step: float  # its spacing
    stride: int  # grid nodes per scan step
    first: int  # grid node of the first scan angle
    grid: int  # number of grid nodes; the cluster follows
    angle: NDArray[np.float64]  # all nodes
    weight: NDArray[np.float64]  # quadrature weights [arcsec]


@jit
def convolve(curve, nodes, sigma, zero, scale, background, kernel, cluster, out):
    """Measured intensity at the scan's angles from the reflectivity at the nodes.

    ``kernel`` and ``cluster`` are workspaces of at least 2·first + 1 and of twice the cluster's size.
    """
    spacing = nodes.step / nodes.stride
    taps = min(nodes.first, math.ceil((REACH * sigma + abs(zero)) / spacing))
    unit = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
    for t in range(2 * taps + 1):
        x = (zero + (t - taps) * spacing) / sigma
        kernel[t] = unit * math.exp(-0.5 * x * x)
    for i in range(nodes.points):
        centre = nodes.first + i * nodes.stride - taps
        total = 0.0
        for t in range(2 * taps + 1):
            total += nodes.weight[centre + t] * curve[centre + t] * kernel[t]
        out[i] = total
    extra = len(nodes.angle) - nodes.grid
    if extra > 0:
        reach = nodes.angle[nodes.grid + extra - 1]
        far = reach + REACH * sigma
        low = max(0, math.ceil((zero - far - nodes.start) / nodes.step))
        high = min(nodes.points, math.floor((zero + far - nodes.start) / nodes.step) + 1)
        first = (nodes.start + low * nodes.step - zero) / sigma
        step = nodes.step / sigma
        factorised = far * reach < LARGEST_EXPONENT * sigma * sigma
        for j in range(extra):
            x = nodes.angle[nodes.grid + j] / sigma
            cluster[j] = unit * nodes.weight[nodes.grid + j] * curve[nodes.grid + j]
            if factorised:
                cluster[j] *= math.exp(first * x - 0.5 * x * x)
                cluster[extra + j] = math.exp(step * x)
        for i in range(low, high):
            a = first + (i - low) * step
            total = 0.0
            if factorised:
                for j in range(extra):
                    total += cluster[j]
                    cluster[j] *= cluster[extra + j]
                total *= math.exp(-0.5 * a * a)
            else:
                for j in range(extra):
                    x = a - nodes.angle[nodes.grid + j] / sigma
                    total += cluster[j] * math.exp(-0.5 * x * x)
            out[i] += total
    for i in range(nodes.points):
        out[i] = scale * out[i] + background
