"""Coarse angles, at which the transfer matrix of a layer is computed, and the weights that lead from them to the nodes.

The elements of the transfer matrix of a layer of thickness D have no component faster than ν = D·|da/dx|/2π, x the
coordinate in which the coarse angles are equidistant. A Kaiser–Bessel window that is w of their spacings H wide then
interpolates them with an error of about

    exp(−β),   β = ½π w (1 − 2νH)

(J. F. Kaiser, in Systems Analysis by Digital Computer, Wiley 1966). There are two coordinates.

- The angle. H is a multiple of the spacing of the nodes, so that few weights serve all of them.
- γ0 + γh, where the surface is inclined to the planes. But for χ0, a is linear in it and ν everywhere the same; over
  the angle it grows toward grazing exit, and the fastest place would set H for all. Each node has weights of its own.
  PHASES nodes in a row, at most d apart, take the same T coarse angles, so that w = T − d/H, and the largest H with the
  wanted β solves 2νT H² − (T + 2νd − 2β/π) H + d = 0.

The cheapest choice of T, and of the coordinate, is taken.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.geometry import glancing, passage
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.kernels.reflectivity import LANES, PHASES
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]

TAPS = range(16, 68, 4)
"""Numbers of coarse angles for a node among which to choose."""

RECURSION = 800.0
"""Time of the recursion at one coarse angle over that of one tap at one node (measured)."""

MOST_NODES = 20_000
"""Of a grid, beyond which weights of their own would take much memory."""

_SAME = 1e-7  # of angles [rad] and cosines that come back from one another


class Sampling(NamedTuple):
    """Coarse angles [arcsec], of which so many are needed, and the weights of the nodes as in ``Optics``."""

    work: float
    angle: Array
    needed: int
    ratio: int
    first: NDArray[np.int64]
    weight: Array
    cluster_first: NDArray[np.int64]
    cluster_weight: Array


def equal_angles(grid: Scan, cluster: Array, beta: float, nu: float) -> Sampling:
    """Coarse angles a multiple of the spacing of the grid apart, ν in 1/arcsec."""
    choices = []
    for taps in TAPS:
        room = 1.0 - 2.0 * beta / (math.pi * taps)
        if room > 0.0:
            ratio = max(1, math.floor(room / (2.0 * nu * grid.step)))
            values = grid.points * math.ceil(ratio / PHASES) * PHASES / ratio
            choices.append((_work(math.ceil(grid.points / ratio) + taps - 1, taps * values), taps, ratio))
    work, taps, ratio = min(choices, key=lambda choice: choice[0])
    spacing = ratio * grid.step
    beta = 0.5 * math.pi * taps * (1.0 - 2.0 * nu * spacing)
    quotients = -(-grid.points // ratio)
    start = grid.start - (taps // 2 - 1) * spacing
    place = (cluster - start) / spacing
    first = np.floor(place).astype(np.int64) - (taps // 2 - 1)
    return Sampling(
        work,
        start + spacing * np.arange(quotients + taps, dtype=np.float64),
        quotients + taps - 1,
        ratio,
        np.zeros(-(-ratio // PHASES), np.int64),
        np.pad(_window(np.arange(ratio) / ratio + taps // 2 - 1, taps, beta, taps), ((0, -ratio % PHASES), (0, 0))),
        first,
        _window(place - first, taps, beta, taps),
    )


def equal_phases(
    grid: Scan, cluster: Array, beta: float, thickness: float, reflection: Reflection, zero: float
) -> Sampling | None:
    """Coarse angles equidistant in γ0 + γh, for layers of this thickness [Å], angles counted from ``zero`` [rad] down.

    None where the angles do not follow the cosines one to one, which is the case close to the horizon, and for too many
    nodes.
    """
    if grid.points > MOST_NODES:
        return None
    nu = thickness * reflection.k / (4.0 * math.pi)
    theta = zero - np.concatenate([grid.angle, cluster]) * ARCSEC
    x = -_cosines(theta, reflection)
    if not np.allclose(_angles(x, reflection), theta, rtol=0.0, atol=_SAME):
        return None
    at_grid, at_cluster = x[: grid.points], x[grid.points :]
    rows = np.pad(at_grid, (0, -grid.points % PHASES), mode="edge").reshape(-1, PHASES)
    apart, low, high = float((rows[:, -1] - rows[:, 0]).max()), float(x.min()), float(x.max())
    choices = []
    for taps in TAPS:
        b = taps + 2.0 * nu * apart - 2.0 * beta / math.pi
        root = b * b - 8.0 * nu * taps * apart
        if b > 0.0 and root >= 0.0:
            spacing = (b + math.sqrt(root)) / (4.0 * nu * taps)
            wide = taps - apart / spacing
            needed = math.floor((high - low) / spacing + wide) + 2
            choices.append((_work(needed, taps * rows.size), taps, spacing, wide, needed))
    if not choices:
        return None
    work, taps, spacing, wide, needed = min(choices)
    start = low - 0.5 * wide * spacing
    place, cluster_place = (rows - start) / spacing, (at_cluster - start) / spacing
    first, cluster_first = (
        np.maximum(0, np.ceil(each - 0.5 * wide)).astype(np.int64) for each in (place[:, 0], cluster_place)
    )
    number = int(max(first.max(), cluster_first.max(initial=0))) + taps
    coarse = start + spacing * np.arange(number, dtype=np.float64)
    theta = _angles(coarse, reflection)
    if not np.allclose(-_cosines(theta, reflection), coarse, rtol=0.0, atol=_SAME):
        return None
    return Sampling(
        work,
        (zero - theta) / ARCSEC,
        min(needed, number),
        grid.points,
        first,
        _window((place - first[:, None]).ravel(), taps, beta, wide),
        cluster_first,
        _window(cluster_place - cluster_first, taps, beta, wide),
    )


def _work(angles: int, taps: float) -> float:
    """Relative time for a curve with so many coarse angles and taps in all."""
    return RECURSION * math.ceil(angles / LANES) * LANES + taps


def _cosines(theta: Array, reflection: Reflection) -> Array:
    """γ0 + γh at the angles θ; NaN below the horizon."""
    at = passage(theta, reflection.normal, reflection.k, reflection.h0)
    return np.where(at.seen, at.incident + at.diffracted, np.nan)


def _angles(x: Array, reflection: Reflection) -> Array:
    """The angles θ at which γ0 + γh is −x."""
    return glancing(-x, reflection.normal, reflection.k, reflection.h0)


def _window(place: Array, taps: int, beta: float, wide: float) -> Array:
    """Weights (n, taps) of the values at 0 … taps − 1 for the value at ``place``, by a window so wide."""
    distance = place[:, None] - np.arange(taps)
    inside = 1.0 - (2.0 * distance / wide) ** 2
    window = np.i0(beta * np.sqrt(np.maximum(0.0, inside))) / np.i0(beta)
    sinc = np.where(distance == np.rint(distance), distance == 0.0, np.sinc(distance))  # exact on the coarse angles
    return np.asarray(np.where(inside >= 0.0, sinc * window, 0.0))
