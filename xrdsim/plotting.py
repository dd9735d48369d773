"""Colours, axes and files that all figures share."""

import base64
import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xrdsim.files import check_figure, replacing

Array = NDArray[np.float64]

MEASURED, MODEL, SECOND, MASKED = "#4b5563", "#c2410c", "#1d4ed8", "#e5e7eb"
LEFT_OUT, BAND = "#9ca3af", "#dbeafe"
PALETTE = ("#1d4ed8", "#c2410c", "#047857", "#7c3aed", "#b45309", "#0e7490", "#be185d", "#4d7c0f")


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; the suffix names the format (.png, .svg, .pdf).

    Raises
    ------
    OutputError
        The file cannot be written, or the suffix is unknown.
    """
    target = Path(path)
    check_figure(target)
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=160)
    return target


def embedded(figure: Figure, dpi: int = 160) -> str:
    """A figure as the address of a picture that holds it, for a page that needs nothing else."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def profile_axes(axes: Axes) -> None:
    """Strain in % over depth."""
    axes.set_xlabel("depth [Å]")
    axes.set_ylabel("strain [%]")
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.spines[["top", "right"]].set_visible(False)


def angle_axes(axes: Axes, label: str) -> None:
    """Something over the angle from the substrate peak."""
    axes.set_xlabel("θ$_{substrate}$ − θ [arcsec]")
    axes.set_ylabel(label)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)


def shade(axes: Axes, angle: Array, masked: NDArray[np.bool_]) -> None:
    """Grey where points are left out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], masked.astype(int), [0]])))
    for first, stop in edges.reshape(-1, 2):
        axes.axvspan(angle[first], angle[stop - 1], color=MASKED, alpha=0.5, lw=0, zorder=0.5)
