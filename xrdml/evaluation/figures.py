"""Figures of an evaluation: errors beside their limit, estimates, calibration, ranks, and curves outside."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xrdml.evaluation.calibration import BINS, LEVELS, TARP_LEVELS, Calibration, rank_histogram
from xrdml.evaluation.evaluation import Evaluation
from xrdml.evaluation.unlike import SCORES, threshold
from xrdsim.plotting import MASKED, MEASURED, MODEL, PALETTE, SECOND
from xrdsim.profiles.two_gaussians import TABLE

Array = NDArray[np.float64]

_SIGMAS = 2.58  # half-width of the band that 99 % of the bins of a flat histogram keep


def figures(found: Evaluation) -> dict[str, Figure]:
    """All figures that an evaluation has, by the name of their file."""
    drawn = {"accuracy": accuracy_figure(found), "estimates": estimate_figure(found)}
    if found.calibration is not None:
        drawn |= {"calibration": calibration_figure(found.calibration), "ranks": rank_figure(found.calibration)}
    if found.detections:
        drawn["outside"] = outside_figure(found)
    return drawn


def accuracy_figure(found: Evaluation) -> Figure:
    """Bars: MAE of the estimates, of predicting the prior's median, and the limit, for each group of rows."""
    groups = [group for group in found.accuracy if group.rows]
    figure = Figure(figsize=(10.0, 2.6 * len(groups)), layout="constrained")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    at = np.arange(len(found.names))
    for axes, group in zip(panels, groups, strict=True):
        bars = ((group.median, "median of the prior", MASKED), (group.mae, "estimate", SECOND))
        limit = (group.limit, f"limit, {group.limited_rows} rows", MODEL)
        for i, (values, label, color) in enumerate((*bars, limit)):
            axes.bar(at + 0.27 * (i - 1), np.nan_to_num(values), 0.25, color=color, label=label)
        axes.set_xticks(at, found.names)
        axes.set_ylabel("MAE [% of range]")
        axes.set_title(f"{group.group}: {group.rows} rows", fontsize=10, loc="left")
        axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def estimate_figure(found: Evaluation) -> Figure:
    """Estimate against truth of every parameter, where it was unknown."""

    def draw(axes: Axes, j: int) -> None:
        rows = found.unknown[:, j]
        true, guess = found.truth[rows, j], found.estimate[rows, j]
        axes.plot(true, guess, ".", ms=2.5, mew=0, alpha=0.6, color=SECOND)
        ends = [true.min(), true.max()] if len(true) else [0.0, 1.0]
        axes.plot(ends, ends, lw=1.0, color=MODEL)
        unit = TABLE[j].unit
        axes.set_title(found.names[j] if unit == "1" else f"{found.names[j]} [{unit}]", fontsize=9)
        axes.tick_params(labelsize=7)

    figure = _grid(len(found.names), draw)
    figure.supxlabel("truth", fontsize=9)
    figure.supylabel("estimate", fontsize=9)
    return figure


def calibration_figure(found: Calibration) -> Figure:
    """Coverage of the central intervals, and the expected coverage of TARP, against what they should be."""
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for j, name in enumerate(found.names):
        if found.rows[j]:
            line = "-" if j < len(PALETTE) else "--"
            left.plot(LEVELS, found.coverage[:, j], f"o{line}", ms=4, lw=1.1, color=PALETTE[j % 8], label=name)
    right.plot(TARP_LEVELS, found.tarp, "o-", ms=4, color=SECOND)
    for axes, low in ((left, 0.4), (right, 0.0)):
        axes.plot([low, 1.0], [low, 1.0], lw=1.0, color=MEASURED, ls=":")
        axes.set(xlim=(low, 1.01), ylim=(0.0, 1.01))
        axes.spines[["top", "right"]].set_visible(False)
    left.set(xlabel="probability of the central interval", ylabel="share of the truths inside")
    left.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    right.set(xlabel="credibility", ylabel="expected coverage (TARP)")
    return figure


def rank_figure(found: Calibration) -> Figure:
    """Histograms of the ranks of the truth among the samples; shaded: 99 % of the bins of a right posterior."""

    def draw(axes: Axes, j: int) -> None:
        counted = rank_histogram(found.ranks[:, j], found.samples)
        mean = counted.sum() / BINS
        half = _SIGMAS * np.sqrt(mean * (1.0 - 1.0 / BINS))
        axes.axhspan(max(mean - half, 0.0), mean + half, color=MASKED, lw=0)
        axes.bar((np.arange(BINS) + 0.5) / BINS, counted, 1.0 / BINS, color=SECOND, alpha=0.7)
        axes.set_title(found.names[j], fontsize=9)
        axes.set_xticks([0.0, 0.5, 1.0])
        axes.tick_params(labelsize=7)

    figure = _grid(len(found.names), draw)
    figure.supxlabel("rank of the truth among the samples", fontsize=9)
    return figure


def outside_figure(found: Evaluation) -> Figure:
    """Distribution of every score, of curves inside and of each kind outside; line: the threshold."""
    figure = Figure(figsize=(12.0, 4.0), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(SCORES)), SCORES.items(), strict=True):
        inside = found.inside[name]
        shown = {"inside": inside} | {each.kind: each.scores[name] for each in found.detections}
        for i, (label, scores) in enumerate(shown.items()):
            color = MEASURED if i == 0 else PALETTE[(i - 1) % len(PALETTE)]
            axes.plot(np.sort(scores), (np.arange(len(scores)) + 1.0) / len(scores), lw=1.5, color=color, label=label)
        axes.axvline(threshold(inside), color="black", lw=0.8, ls=":")
        axes.set(xscale="log", xlabel=title, ylabel="share of the curves below")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=8, ncols=4, loc="outside lower center")
    return figure


def _grid(count: int, draw: Callable[[Axes, int], None]) -> Figure:
    """A panel for each parameter."""
    columns = 4 if count > 9 else 3
    lines = -(-count // columns)
    figure = Figure(figsize=(2.9 * columns, 2.4 * lines), layout="constrained")
    for j, axes in enumerate(figure.subplots(lines, columns, squeeze=False).flat):
        if j < count:
            draw(axes, j)
            axes.spines[["top", "right"]].set_visible(False)
        else:
            axes.set_visible(False)
    return figure
