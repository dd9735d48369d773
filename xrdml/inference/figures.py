"""What a network makes of a curve, as figures: the curve with its difference, and the profile."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xrdml.inference.prediction import Prediction
from xrdsim.files import save_json
from xrdsim.plotting import MEASURED, MODEL, SECOND, angle_axes, profile_axes, save_figure, shade
from xrdsim.profiles.tables import format_value


def save_fit(fit: Prediction, folder: Path, title: str) -> list[Path]:
    """Write what a fit found: result.json, curve.png and profile.png in a folder.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    return [
        save_json(folder / "result.json", fit.to_dict()),
        save_figure(fit_figure(fit, title), folder / "curve.png"),
        save_figure(profile_figure(fit), folder / "profile.png"),
    ]


def fit_figure(fit: Prediction, title: str) -> Figure:
    """Measured and simulated curve, their logarithmic difference, and the strain profile."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    mosaic = figure.subplot_mosaic(
        [["curve", "profile"], ["residual", "profile"]], width_ratios=[1.75, 1], height_ratios=[3, 1]
    )
    curve, residual, profile = (mosaic[name] for name in ("curve", "residual", "profile"))
    residual.sharex(curve)
    for axes in (curve, residual):
        shade(axes, fit.angle, ~fit.used)
    positive = np.where(fit.measured > 0.0, fit.measured, np.nan)
    curve.semilogy(fit.angle, positive, ".", ms=3, color=MEASURED, label="measured")
    curve.semilogy(fit.angle, fit.model, "-", lw=1.3, color=MODEL, label="simulated")
    curve.tick_params(labelbottom=False)
    curve.legend(frameon=False, loc="upper right")
    angle_axes(curve, "intensity")
    curve.set_xlabel("")
    curve.set_title(title, fontsize=11, loc="left")
    difference = np.where(fit.used, np.log10(positive) - np.log10(fit.model), np.nan)
    residual.plot(fit.angle, difference, ".", ms=2.5, color=MEASURED)
    residual.axhline(0.0, color=MODEL, lw=1.0)
    limit = max(0.1, 1.1 * float(np.nanquantile(np.abs(difference), 0.995)))
    residual.set_ylim(-limit, limit)
    angle_axes(residual, "Δ log$_{10}$")
    _draw_profile(profile, fit)
    lines = [f"{name} = {format_value(name, value)}" for name, value in zip(fit.names, fit.values, strict=True)]
    profile.set_ylim(top=1.75 * 100.0 * fit.strain.max())
    profile.text(
        0.98, 0.98, "\n".join(lines), transform=profile.transAxes, ha="right", va="top", fontsize=8.5, linespacing=1.5
    )
    profile.set_title("strain profile", fontsize=11, loc="left")
    return figure


def profile_figure(fit: Prediction) -> Figure:
    """The strain profile alone."""
    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    _draw_profile(figure.subplots(), fit)
    return figure


def _draw_profile(axes: Axes, fit: Prediction) -> None:
    axes.fill_between(fit.depth, 100.0 * fit.strain, color=SECOND, alpha=0.12, lw=0)
    axes.plot(fit.depth, 100.0 * fit.strain, color=SECOND, lw=1.8)
    profile_axes(axes)
