"""Figures of fits: the curve with its model, residuals and strain profile; a series of curves."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import chdtri

from xrdsim.experiment.instrument import Instrument
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.measurement import everywhere
from xrdsim.fit.report.tables import SHOWN, label, scale
from xrdsim.fit.result import CurveFit, Fit, FittedCurve, Minimum, Verdict
from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.plotting import MEASURED, MODEL, PALETTE, SECOND, angle_axes, profile_axes, save_figure
from xrdsim.profiles.space import MOST_STRAIN, ParameterSpace, profile_of

Array = NDArray[np.float64]

UNUSED = "#c3c8d0"

_ROUGH = 1e-3  # accuracy of the curves of other minima [dex]
_OTHERS = tuple(PALETTE[i] for i in (2, 3, 5, 6, 7))
_DIFFERENT = 0.02  # RMS [dex], or part of the largest strain, from which on another minimum is drawn
_OUTSIDE = 0.35  # opacity of a model where it was not fitted


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
    """Measured points and model of each curve, their logarithmic difference, and the strain profile with its bands."""
    count = len(fit.curves)
    drawn = Figure(figsize=(11, 5.6 if count == 1 else 1.4 + 3.6 * count), layout="constrained")
    panels = [[f"{what} {i}", "profile"] for i in range(count) for what in ("curve", "residual")]
    mosaic = drawn.subplot_mosaic(cast(Any, panels), width_ratios=[1.75, 1], height_ratios=[3, 1] * count)
    others = [(i, each) for i, each in enumerate(fit.minima[:SHOWN]) if i and each.acceptable]
    for i, each in enumerate(fit.curves):
        curve, residual = mosaic[f"curve {i}"], mosaic[f"residual {i}"]
        residual.sharex(curve)
        _draw_curve(curve, fit, each, others if i == 0 else [])
        curve.tick_params(labelbottom=False)
        _draw_residual(residual, each.shown)
        if count > 1:
            curve.set_title(_title(each), fontsize=10, loc="left", parse_math=False)
    _draw_profile(mosaic["profile"], fit, others)
    title = f"{name(fit)}: {fit.verdict}, {misfit(fit)}"
    if count > 1:
        title = f"{sum(each.fitted for each in fit.curves)} curves together: {fit.verdict}, {misfit(fit)}"
    drawn.suptitle(title, fontsize=12, x=0.012, ha="left", parse_math=False)
    return drawn


def _title(curve: CurveFit) -> str:
    """The file, its reflection, and what the fit makes of it."""
    file = " ".join(Path(curve.source).name.split()) or "curve"
    verdict = str(curve.verdict) if curve.fitted else "not fitted, foretold"
    return f"{file}, {curve.reflection}: {verdict}, {misfit(curve)}"


def draw_series(fits: Sequence[Fit]) -> Figure:
    """All measured curves with their models, one below the other, and all strain profiles with 68 % bands."""
    count = len(fits)
    drawn = Figure(figsize=(12, min(5.0 + 0.35 * count, 16.0)), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=[1.6, 1])
    colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, count))
    decades = _decades(fits)
    for i, (fit, color) in enumerate(zip(fits, colors, strict=True)):
        shift = 10.0 ** (-decades * i) / np.nanmax(fit.measured)
        shown = np.where(fit.measured > 0.0, shift * fit.measured, np.nan)
        left.semilogy(fit.angle, shown, ".", ms=3.5, color=color, alpha=0.5, mew=0)
        _draw_model(left, fit.curve, shift, color)
        end = shift * np.median(fit.model[-max(len(fit.model) // 40, 1) :])
        left.annotate(
            _label(fit, i),
            (fit.angle[-1], end),
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
    _legend(right)
    return drawn


def misfit(fit: Fit | CurveFit) -> str:
    """The misfit in words."""
    chi2 = "" if fit.reduced_chi2 is None else f"reduced χ² {fit.reduced_chi2:.3g}, "
    return f"{chi2}mean |log₁₀| {fit.mean_abs_log10:.3g}"


def name(fit: Fit) -> str:
    """Of the file, on one line."""
    return " ".join(Path(fit.source).name.split()) or "curve"


@contextmanager
def quietly() -> Iterator[None]:
    """Letters of a file name that the font does not have are no reason for a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _draw_curve(axes: Axes, fit: Fit, curve: CurveFit, others: list[tuple[int, Minimum]]) -> None:
    angle, measured, model, used = curve.shown
    positive = measured > 0.0
    used_as = "measured" if curve.fitted else "measured, compared"
    for chosen, color, what in ((~used, UNUSED, "not used"), (used, MEASURED, used_as)):
        if (chosen & positive).any():
            at = chosen & positive
            axes.semilogy(angle[at], measured[at], ".", ms=3.5, mew=0, color=color, label=what)
    for i, each in others:
        seen = _seen(fit, each)
        if np.sqrt(np.mean(np.log10(seen[used] / model[used]) ** 2)) > _DIFFERENT:
            axes.semilogy(angle, seen, "-", lw=0.8, color=_color(i), label=_another(i))
    _draw_model(axes, curve.shown, 1.0, MODEL)
    zero = used & ~positive
    if zero.any():
        ticks = axes.get_xaxis_transform()
        axes.plot(
            angle[zero], np.full(zero.sum(), 0.012), "|", ms=5, color=MEASURED, transform=ticks, label="no counts"
        )
    axes.legend(frameon=False, loc="upper right", fontsize=10, markerscale=2.5)
    angle_axes(axes, "intensity")
    axes.set_xlabel("")


def _draw_model(axes: Axes, curve: FittedCurve, factor: float, color: Any) -> None:
    """The model, pale where it was not fitted."""
    axes.semilogy(curve.angle, factor * curve.model, "-", lw=1.1, color=color, alpha=_OUTSIDE)
    fitted = np.where(curve.used, factor * curve.model, np.nan)
    axes.semilogy(curve.angle, fitted, "-", lw=1.3, color=color, label="model")


def _draw_residual(axes: Axes, curve: FittedCurve) -> None:
    used = curve.used
    least = 0.5 * np.min(curve.measured[curve.measured > 0.0])
    difference = np.log10(np.maximum(curve.measured[used], least) / curve.model[used])
    axes.plot(curve.angle[used], difference, ".", ms=3, mew=0, color=MEASURED)
    axes.axhline(0.0, color=MODEL, lw=1.0)
    size = np.abs(difference)
    limit = max(0.05, 1.1 * float(min(size.max(), 3.0 * np.quantile(size, 0.98))))
    axes.set_ylim(-limit, limit)
    angle_axes(axes, "log$_{10}$\nmeasured/model")


def _draw_profile(axes: Axes, fit: Fit, others: list[tuple[int, Minimum]]) -> None:
    lowest, low, high, highest = 100.0 * fit.band
    axes.fill_between(fit.depth, lowest, highest, color=SECOND, alpha=0.14, lw=0, label="95 %")
    axes.fill_between(fit.depth, low, high, color=SECOND, alpha=0.3, lw=0, label="68 %")
    space, most = _space(fit), fit.strain.max()
    for i, each in others:
        depth = np.linspace(0.0, max(fit.depth[-1], 1.02 * depth_end(each.values, space=space)[0]), 2 * len(fit.depth))
        strain = strain_profile(each.values, depth, space=space)[0]
        if np.abs(strain - np.interp(depth, fit.depth, fit.strain, right=0.0)).max() > _DIFFERENT * most:
            axes.plot(depth, 100.0 * strain, "--", lw=1.0, color=_color(i), label=_another(i))
    shown = "estimate" if fit.verdict == Verdict.ESTIMATE else "best minimum"
    axes.plot(
        fit.depth,
        100.0 * fit.strain,
        color=SECOND,
        lw=1.8,
        label=shown,
    )
    profile_axes(axes)
    _legend(axes, 1 if len(axes.lines) < 3 else 2)


def _another(i: int) -> str:
    return f"no. {i + 1} of the minima, as good"


def _legend(axes: Axes, columns: int = 1) -> None:
    """A legend above everything drawn."""
    lines = -(-len(axes.get_legend_handles_labels()[1]) // columns)
    height = 0.26 * lines / cast(Figure, axes.figure).get_figheight()
    axes.set_ylim(top=axes.get_ylim()[1] / max(0.97 - height, 0.4))
    drawn = axes.legend(frameon=False, loc="upper right", fontsize=10, ncols=columns)
    for text in drawn.texts:
        text.set_parse_math(False)


def _seen(fit: Fit, minimum: Minimum) -> Array:
    """Model of another minimum at all angles, scale and background chosen to come near the best model."""
    experiment = Experiment.from_dict(fit.settings).within(_ROUGH)
    instrument = Instrument.from_dict(fit.settings["instrument"])
    observer = Observer(Simulator(experiment, DEFAULT_SCAN, _space(fit)), instrument)
    own = np.array([list(minimum.instrument.values())[: 1 + len(instrument.parameters)]])  # of the first measurement
    curve = everywhere(observer, fit.angle, np.array([minimum.values]), own)
    columns = np.column_stack([curve, np.ones_like(curve), fit.angle])
    columns = columns if fit.settings["background"] == "linear" else columns[:, :2]
    used = fit.used
    near = np.linalg.lstsq(columns[used] / fit.model[used, None], np.ones(used.sum()))[0]
    return np.asarray(np.maximum(columns @ near, 1e-3 * fit.model.min()))


def _space(fit: Fit) -> ParameterSpace:
    """The ranges of the fit, their sum of strains unbounded."""
    low, high = zip(*fit.settings["ranges"].values(), strict=True)
    return ParameterSpace(low, high, strain_sum=2.0 * MOST_STRAIN, profile=profile_of(fit.settings))


def _decades(fits: Sequence[Fit]) -> int:
    """Decades between neighbouring curves: half of what a typical one covers beyond the peak."""
    covered = [np.ptp(np.log10(fit.model[fit.used])) for fit in fits]
    return max(1, round(0.5 * float(np.median(covered))))


def _label(fit: Fit, i: int) -> str:
    return Path(name(fit)).stem if fit.source else f"curve {i + 1}"


def _color(i: int) -> str:
    return _OTHERS[(i - 1) % len(_OTHERS)]


def _save(drawn: Figure, path: str | Path) -> Path:
    with quietly():
        return save_figure(drawn, path)
