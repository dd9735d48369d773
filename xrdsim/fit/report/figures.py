"""Figures of fits: the curve with its model, residuals and strain profile; a series of curves."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from scipy.special import chdtri

from xrdsim.fit.report.panels import draw_curve, draw_damage, draw_model, draw_residual, draw_strain, legend
from xrdsim.fit.report.tables import SHOWN, foretold_as, label, scale
from xrdsim.fit.result import CurveFit, Fit, Minimum, Verdict
from xrdsim.plotting import MEASURED, MODEL, SECOND, angle_axes, profile_axes, save_figure

_LONG = 48  # letters of the name of a file
_LAST_ROW = 0.75  # height of a row of profiles alone, in that of curves


def figure(fit: Fit, path: str | Path) -> Path:
    """Write ``draw(fit)``; the suffix names the format (.png, .svg, .pdf).

    Raises
    ------
    OutputError
        The file cannot be written, or the suffix is unknown.
    """
    return _save(draw(fit), path)


def series_figure(fits: Sequence[Fit], path: str | Path) -> Path:
    """Write ``draw_series(fits)``; the suffix names the format (.png, .svg, .pdf).

    Raises
    ------
    OutputError
        The file cannot be written, or the suffix is unknown.
    """
    return _save(draw_series(fits), path)


def likelihood_figure(fit: Fit, path: str | Path) -> Path:
    """Draw the profile likelihoods of a fit into a PNG or SVG file.

    Raises
    ------
    OutputError
        The file cannot be written, or its suffix is unknown.
    """
    count = len(fit.likelihoods)
    columns = min(count, 3)
    drawn = Figure(figsize=(4.2 * columns, 3.2 * -(-count // columns)), layout="constrained")
    limit = float(chdtri(1, 1.0 - fit.uncertainty["level"]))
    for i, each in enumerate(fit.likelihoods):
        axes, at = drawn.add_subplot(-(-count // columns), columns, i + 1), fit[each.name]
        shown = np.isfinite(each.rise)
        axes.plot(scale(at) * each.values[shown], each.rise[shown], "o-", ms=3, color=MODEL)
        axes.axhline(limit, color=MEASURED, lw=0.8)
        axes.axvspan(scale(at) * at.low, scale(at) * at.high, color=SECOND, alpha=0.2, lw=0)
        axes.set_ylim(0.0, 4.0 * limit)
        axes.set_xlabel(label(at))
        axes.set_ylabel("2ΔΦ")
    drawn.suptitle("profile likelihood; shaded: the interval of the table", fontsize=10, x=0.012, ha="left")
    return _save(drawn, path)


def draw(fit: Fit) -> Figure:
    """Measured points and model of each curve, what is left of them, and the profiles of strain and damage.

    Curves lie in two columns, with the profile behind the last one.
    """
    count = len(fit.curves)
    rows = count // 2 + 1
    heights = [1.0] * (rows - 1) + [1.0 if count % 2 else _LAST_ROW]
    drawn = Figure(figsize=(11.0, 5.6) if count == 1 else (12.0, 0.5 + 4.3 * sum(heights)), layout="constrained")
    others = [(i, each) for i, each in enumerate(fit.minima[:SHOWN]) if i and each.acceptable]
    grid = drawn.add_gridspec(rows, 2, width_ratios=[1.75, 1] if count == 1 else [1, 1], height_ratios=heights)
    for i, each in enumerate(fit.curves):
        cell = grid[i // 2, i % 2].subgridspec(2, 1, height_ratios=[3, 1.1])
        curve = drawn.add_subplot(cell[0])
        residual = drawn.add_subplot(cell[1], sharex=curve)
        draw_curve(curve, fit, each, others if i == 0 else [])
        curve.tick_params(labelbottom=False)
        draw_residual(residual, each)
        if count > 1:
            curve.set_title(_title(each), fontsize=10, loc="left", parse_math=False)
    _draw_profiles(drawn, grid[-1, 1] if count % 2 else grid[-1, :], fit, others)
    title = f"{name(fit)}, {fit.curves[0].reflection}: {fit.verdict}, {misfit(fit)}"
    if count > 1:
        fitted = sum(each.fitted for each in fit.curves)
        title = f"{fitted} curves together" if fitted > 1 else f"{name(fit)}, {count - 1} compared with it"
        title = f"{title}: {fit.verdict}, {misfit(fit)}"
    drawn.suptitle(title, fontsize=11, x=0.012, ha="left", parse_math=False)
    return drawn


def _draw_profiles(drawn: Figure, where: SubplotSpec, fit: Fit, others: list[tuple[int, Minimum]]) -> None:
    """Strain and, with damage, E: below each other in a cell, beside each other in a row."""
    wide = len(fit.curves) % 2 == 0
    if fit.damage is None:
        draw_strain(drawn.add_subplot(where), fit, others)
        return
    cells = where.subgridspec(1, 2) if wide else where.subgridspec(2, 1, height_ratios=[3, 1.1])
    strain = drawn.add_subplot(cells[0])
    damage = drawn.add_subplot(cells[1], sharex=strain)
    draw_strain(strain, fit, others)
    draw_damage(damage, fit)
    if not wide:
        strain.set_xlabel("")
        strain.tick_params(labelbottom=False)


def _title(curve: CurveFit) -> str:
    """The reflection and its file, and what the fit makes of it."""
    verdict = str(curve.verdict) if curve.fitted else f"not fitted: {foretold_as(curve)}"
    how_well = misfit(curve) if curve.reduced_chi2 is None else f"reduced χ² {curve.reduced_chi2:.3g}"
    return f"{curve.reflection}, {shortened(curve.source)}\n{verdict}, {how_well}"


def draw_series(fits: Sequence[Fit]) -> Figure:
    """All measured curves with their models, one below the other, and all strain profiles with 68 % bands."""
    count = len(fits)
    drawn = Figure(figsize=(12, min(5.0 + 0.35 * count, 16.0)), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=[1.6, 1])
    colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, count))
    decades, furthest = _decades(fits), max(float(fit.angle[-1]) for fit in fits)
    for i, (fit, color) in enumerate(zip(fits, colors, strict=True)):
        shift = 10.0 ** (-decades * i) / np.nanmax(fit.measured)
        shown = np.where(fit.measured > 0.0, shift * fit.measured, np.nan)
        left.semilogy(fit.angle, shown, ".", ms=3.5, color=color, alpha=0.5, mew=0)
        draw_model(left, fit.curve, shift, color)
        end = shift * np.median(fit.model[-max(len(fit.model) // 40, 1) :])
        left.annotate(
            _label(fit, i),
            (furthest, end),  # beside all curves, also where another one is longer
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=color,
            annotation_clip=False,
            parse_math=False,
        )
        right.fill_between(fit.depth, 100.0 * fit.band[1], 100.0 * fit.band[2], color=color, alpha=0.25, lw=0)
        style = "--" if fit.verdict == Verdict.NOT_DESCRIBED else "-"
        right.plot(fit.depth, 100.0 * fit.strain, style, lw=1.6, color=color, label=f" {_label(fit, i)}")
    step = "" if count < 2 else f"; × 10$^{{-{decades}}}$ from one to the next"
    left.set_title(f"measured (points) and model (lines){step}", fontsize=10, loc="left")
    angle_axes(left, "intensity relative to the highest")
    dashed = "; dashed: not described" if any(fit.verdict == Verdict.NOT_DESCRIBED for fit in fits) else ""
    right.set_title(f"strain, 68 % bands{dashed}", fontsize=10, loc="left")
    profile_axes(right)
    legend(right)
    return drawn


def misfit(fit: Fit | CurveFit) -> str:
    """The misfit in words."""
    chi2 = "" if fit.reduced_chi2 is None else f"reduced χ² {fit.reduced_chi2:.3g}, "
    return f"{chi2}mean |log₁₀| {fit.mean_abs_log10:.3g}"


def name(fit: Fit) -> str:
    """Of the file, on one line."""
    return " ".join(Path(fit.source).name.split()) or "curve"


def shortened(source: str) -> str:
    """Name of a file on a part of a line."""
    whole = " ".join(Path(source).name.split()) or "curve"
    return whole if len(whole) <= _LONG else f"{whole[: _LONG // 2]}…{whole[-_LONG // 2 + 1 :]}"


@contextmanager
def quietly() -> Iterator[None]:
    """Letters of a file name that the font does not have are no reason for a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _decades(fits: Sequence[Fit]) -> int:
    """Decades between neighbouring curves: half of what a typical one covers beyond the peak."""
    covered = [np.ptp(np.log10(fit.model[fit.used])) for fit in fits]
    return max(1, round(0.5 * float(np.median(covered))))


def _label(fit: Fit, i: int) -> str:
    return Path(name(fit)).stem if fit.source else f"curve {i + 1}"


def _save(drawn: Figure, path: str | Path) -> Path:
    with quietly():
        return save_figure(drawn, path)
