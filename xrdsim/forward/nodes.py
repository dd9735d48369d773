"""Where a curve must be simulated so that its convolution with the instrument is right.

The substrate peak, a few arcsec wide with steep edges, falls between the points of a scan. The integral over angle is
therefore shared between an equidistant grid, which continues the scan past both ends, and a cluster of nodes at the
peak, by a smooth partition of unity w(x): ∫R G = ∫(1 − w) R G (grid) + ∫ w R G (cluster). Both integrands are smooth on
their nodes, so the trapezoidal rule converges exponentially in both. The cluster's nodes are x = c·sinh t,
dense over the plateau of total reflection and sparse outside.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.forward.optics import darwin_half_width, frequency, highest_frequency
from xrdsim.kernels.convolve import REACH, Nodes
from xrdsim.units import FWHM_TO_SIGMA

CLUSTER = 96
"""Nodes at the substrate peak for an instrument wider than 10″."""

ROUNDED = 10.0
"""Unit [arcsec] to which widths and shifts of instruments are rounded."""

PART_OF_FRINGE = 0.12
"""Largest grid spacing in periods of the transfer matrix, which are two fringes: 5″ for 8400 Å of GGG 444."""

PART_OF_FASTEST = 0.2
"""The same in periods as they are where they are shortest, far from the peak on an inclined surface."""


def nodes(
    scan: Scan, reflection: Reflection, *, narrowest: float, widest: float, zero: float, thickness: float
) -> Nodes:
    """Nodes and weights for instruments from ``narrowest`` to ``widest`` FWHM and shifts up to ±``zero`` [arcsec].

    ``thickness`` [Å] of a layer sets the period of its fringes. ``narrowest`` = 0 gives the scan without cluster.
    The widths and the shift are rounded to the safe side, so that a fit finds what it needs in the cache.
    """
    narrow = narrowest if narrowest < ROUNDED else ROUNDED * (narrowest // ROUNDED)
    wide, shift = (ROUNDED * math.ceil(value / ROUNDED) for value in (widest, zero))
    return _nodes(scan, reflection, narrow, wide, shift, thickness)


@lru_cache(maxsize=64)
def _nodes(scan: Scan, reflection: Reflection, narrowest: float, widest: float, zero: float, thickness: float) -> Nodes:
    if narrowest <= 0.0:
        return Nodes(scan.points, scan.start, scan.step, 1, 0, scan.points, scan.angle, np.ones(scan.points))
    if reflection.film is not None:
        thickness = max(thickness, reflection.film.thickness)
    spacing_limit = min(
        PART_OF_FRINGE / frequency(thickness, reflection),
        PART_OF_FASTEST / highest_frequency(thickness, reflection, scan),
        narrowest / 3.0,
    )
    stride = max(1, math.ceil(scan.step / spacing_limit - 1e-9))
    spacing = scan.step / stride
    margin = REACH * widest * FWHM_TO_SIGMA + zero
    width = darwin_half_width(reflection)
    reach = max(8.0 * width, 7.0 * spacing)
    clustered = scan.start - margin <= reach and scan.last + margin >= -reach
    if clustered:  # the grid holds the whole cluster
        margin = max(margin, scan.start + reach, reach - scan.last)
    first = math.ceil(margin / spacing)
    grid = (scan.points - 1) * stride + 1 + 2 * first
    x = scan.start + spacing * (np.arange(grid, dtype=np.float64) - first)
    if not clustered:  # the scan does not see the peak
        return Nodes(scan.points, scan.start, scan.step, stride, first, grid, x, np.full(grid, spacing))
    count = math.ceil(CLUSTER * max(1.0, 10.0 / narrowest))
    scale = 1.44 * width
    limit = math.asinh(reach / scale)
    t = (np.arange(count) + 0.5) / count * 2.0 * limit - limit
    cluster = scale * np.sinh(t)
    weight = np.concatenate(
        [
            spacing * (1.0 - _bump(x / reach)),
            scale * np.cosh(t) * (2.0 * limit / count) * _bump(cluster / reach),
        ]
    )
    return Nodes(scan.points, scan.start, scan.step, stride, first, grid, np.concatenate([x, cluster]), weight)


def grid_and_cluster(at: Nodes) -> tuple[Scan, NDArray[np.float64]]:
    """The equidistant part of the nodes and the others [arcsec]."""
    return Scan(float(at.angle[0]), at.step / at.stride, at.grid), at.angle[at.grid :]


def _bump(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth function, 1 at t = 0 and 0 for |t| ≥ 1, with all derivatives 0 at both."""
    t = np.clip(np.abs(t), 1e-9, 1.0 - 1e-9)
    rise, fall = np.exp(-1.0 / (1.0 - t)), np.exp(-1.0 / t)
    return np.asarray(rise / (rise + fall))
