"""Figure of simulated curves."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.forward.model import Curves
from xrdsim.plotting import PALETTE, angle_axes, profile_axes

Array = NDArray[np.float64]


def simulation_figure(curves: Curves, most: int = 8) -> Figure:
    """Intensities and strain profiles of the first samples."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    shown = curves.params[:most]
    for i, row in enumerate(shown):
        color = PALETTE[i % len(PALETTE)]
        left.semilogy(curves.angle, curves.intensity[i], lw=1.1, color=color, label=f"sample {i + 1}")
        depth, strain = _profile(row)
        right.plot(depth, strain, lw=1.4, color=color)
    angle_axes(left, "intensity")
    profile_axes(right)
    if len(shown) > 1:
        left.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def _profile(params: Array) -> tuple[Array, Array]:
    """Depths [Å] and strain [%] up to a little beyond the end of the layer."""
    depth = np.linspace(0.0, 1.03 * depth_end(params)[0], 600)
    return depth, 100.0 * strain_profile(params, depth)[0]
