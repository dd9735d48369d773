"""Gaussian instrument function: quadrature of the simulated nodes, and of a curve that is already smooth.

    I(angle) = scale · Σ_j weight_j R(x_j) G(angle − zero − x_j) + background,   G a Gaussian of unit area

The nodes are an equidistant grid and a dense cluster at the substrate peak, whose weights share the integral by a
smooth partition of unity (``xrdsim.forward.nodes``). Over the cluster the Gaussian is factorised,

    G(a_i − x_j) ∝ exp(−a_i²/2s²) · r_jⁱ · exp(a_0 x_j/s² − x_j²/2s²),   a_i = a_0 + i·step,  r_j = exp(step·x_j/s²),

so that it needs few exponentials for any width and zero of a sample. Where the factors would overflow, for instruments
narrower than some 5″, every Gaussian is computed.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import jit

ZERO, WIDTH, SCALE, BACKGROUND = 1, 2, 3, 4
"""What a measured curve depends on beside the profile; the first two are orders of a derivative of the Gaussian."""

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


class Blur(NamedTuple):
    """Workspace of one thread."""

    kernel: NDArray[np.float64]
    weighted: NDArray[np.float64]  # (nodes,)
    cluster: NDArray[np.float64]  # (4, cluster)


@jit
def blur(nodes):
    """Make the arrays."""
    extra = len(nodes.angle) - nodes.grid
    return Blur(np.empty(2 * nodes.first + 5), np.empty(len(nodes.angle) + 4), np.empty((4, extra)))


@jit
def moment(order, x, sigma):
    """What turns a Gaussian at x = (angle − zero − node)/sigma into its derivative over zero (1) or sigma (2)."""
    if order == ZERO:
        return x / sigma
    if order == WIDTH:
        return (x * x - 1.0) / sigma
    return 1.0


@jit
def convolve(curves, nodes, sigma, zero, order, space, out):
    """Curves (m, nodes) at the scan's angles, (m, points), seen by the instrument: or the derivative of that.

    ``order`` 0 for the Gaussian itself, 1 and 2 for its derivatives over the zero of angle and over sigma.
    """
    spacing = nodes.step / nodes.stride
    taps = min(nodes.first, math.ceil((REACH * sigma + abs(zero)) / spacing))
    unit = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
    count = 2 * taps + 1
    padded = -(-count // 4) * 4
    for t in range(count):
        x = (zero + (t - taps) * spacing) / sigma
        space.kernel[t] = unit * math.exp(-0.5 * x * x) * moment(order, -x, sigma)
    space.kernel[count:padded] = 0.0
    first = nodes.first - taps
    weighted = space.weighted
    weighted[nodes.grid :] = 0.0
    for r in range(len(curves)):
        row = out[r]
        curve = curves[r]
        for j in range(nodes.grid):
            weighted[j] = nodes.weight[j] * curve[j]
        row[:] = 0.0
        for t in range(0, padded, 4):
            add_taps(weighted[first + t :], space.kernel[t : t + 4], nodes.stride, row)
    if len(nodes.angle) > nodes.grid:
        _add_cluster(curves, nodes, sigma, zero, order, unit, space.cluster, out)


@jit
def add_taps(values, kernel, stride, out):
    """Add four taps of the convolution; a stride of 1 is vectorised."""
    k0, k1, k2, k3 = kernel[0], kernel[1], kernel[2], kernel[3]
    if stride == 1:
        v0, v1, v2, v3 = values, values[1:], values[2:], values[3:]
        for i in range(len(out)):
            out[i] += k0 * v0[i] + k1 * v1[i] + k2 * v2[i] + k3 * v3[i]
    else:
        for i in range(len(out)):
            v = values[i * stride : i * stride + 4]
            out[i] += k0 * v[0] + k1 * v[1] + k2 * v[2] + k3 * v[3]


@jit
def _add_cluster(curves, nodes, sigma, zero, order, unit, work, out):
    """Add the part of the nodes at the peak."""
    gauss, ratio, place, factor = work
    extra = len(gauss)
    reach = nodes.angle[nodes.grid + extra - 1]
    far = reach + REACH * sigma
    low = max(0, math.ceil((zero - far - nodes.start) / nodes.step))
    high = min(nodes.points, math.floor((zero + far - nodes.start) / nodes.step) + 1)
    first = (nodes.start + low * nodes.step - zero) / sigma
    step = nodes.step / sigma
    factorised = far * reach < LARGEST_EXPONENT * sigma * sigma
    for j in range(extra):
        x = nodes.angle[nodes.grid + j] / sigma
        place[j] = x
        if factorised:
            gauss[j] = unit * nodes.weight[nodes.grid + j] * math.exp(first * x - 0.5 * x * x)
            ratio[j] = math.exp(step * x)
        else:
            ratio[j] = unit * nodes.weight[nodes.grid + j]
    for i in range(low, high):
        a = first + (i - low) * step
        scale = 1.0
        if factorised:
            scale = math.exp(-0.5 * a * a)
            for j in range(extra):
                factor[j] = gauss[j] * moment(order, a - place[j], sigma)
                gauss[j] *= ratio[j]
        else:
            for j in range(extra):
                x = a - place[j]
                factor[j] = ratio[j] * math.exp(-0.5 * x * x) * moment(order, x, sigma)
        for r in range(len(curves)):
            curve = curves[r, nodes.grid :]
            total = 0.0
            for j in range(extra):
                total += factor[j] * curve[j]
            out[r, i] += scale * total
