"""Figures and tables of sensitivities and of Fisher information."""

import warnings

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xrdsim.information.fisher import Fisher
from xrdsim.information.reflections import Contributions
from xrdsim.information.sensitivity import Sensitivity
from xrdsim.plotting import MODEL, PALETTE

Array = NDArray[np.float64]


def sensitivity_figure(sensitivity: Sensitivity) -> Figure:
    """Bars of both kinds of sensitivity, each scaled to mean 1, with the spread over the profiles."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=False)
    kinds = (
        ("relative to the value (loss weights)", sensitivity.value_mean, sensitivity.value),
        ("relative to the range (grid steps)", sensitivity.range_mean, sensitivity.range),
    )
    for axes, (title, mean, values) in zip(panels, kinds, strict=True):
        unit = mean.mean()
        low, high = np.nanquantile(values, [0.25, 0.75], axis=0) / unit
        at = np.arange(len(mean))
        axes.bar(at, mean / unit, color=PALETTE[0], width=0.65)
        axes.vlines(at, low, high, color="black", lw=1.2)
        for x, value in zip(at, mean / unit, strict=True):
            axes.annotate(
                f"{value:.2f}",
                (x, value),
                ha="left",
                va="bottom",
                fontsize=8,
                xytext=(2, 1),
                textcoords="offset points",
            )
        axes.set_xticks(at, sensitivity.names)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    percent = 100.0 * sensitivity.how["relative"]
    panels[0].set_ylabel(f"change of the curve for {percent:g} %, mean = 1")
    panels[1].set_xlabel("line: middle half of the profiles", fontsize=8, loc="right")
    return figure


def fisher_figure(fisher: Fisher) -> Figure:
    """Cramér–Rao bounds of each parameter over the profiles, and the median size of their correlations."""
    count = len(fisher.span)
    names = fisher.names[:count]
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    share = 100.0 * np.minimum(fisher.relative, 1e3)
    boxes = left.boxplot(share, whis=(5.0, 95.0), showfliers=False, patch_artist=True, widths=0.6)
    for box in boxes["boxes"]:
        box.set(facecolor=PALETTE[0], alpha=0.35)
    left.axhline(100.0 / np.sqrt(12.0), color=MODEL, lw=1.0, label="the range alone (uniform)")
    left.set(yscale="log", ylabel="smallest standard deviation [% of range]")
    left.set_xticks(range(1, count + 1), names)
    left.set_title(f"{fisher.how['counts']:g} counts at R = 1, background {fisher.how['background']:g}", fontsize=10)
    left.legend(loc="upper left", fontsize=8)
    shown = right.imshow(_typical_correlation(fisher), vmin=0.0, vmax=1.0, cmap="Blues")
    right.set_xticks(range(count), names, rotation=45)
    right.set_yticks(range(count), names)
    right.set_title("median |correlation|", fontsize=10)
    figure.colorbar(shown, ax=right, shrink=0.85)
    return figure


def _typical_correlation(fisher: Fisher) -> Array:
    """Median size of the correlations (p, p) over the profiles that determine both parameters."""
    count = len(fisher.span)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a pair that no profile determines is NaN
        return np.asarray(np.nanmedian(np.abs(fisher.correlation[:, :count, :count]), axis=0))


def sensitivity_table(sensitivity: Sensitivity) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: per parameter the weight, and mean and spread of both kinds of sensitivity."""
    percent = f"{100.0 * sensitivity.how['relative']:g} %"
    header = ("parameter", "weight", f"|Δlog10 I|, {percent} of value", "spread", f"{percent} of range", "spread")
    rows: list[tuple[str, ...]] = []
    numbers = (sensitivity.value_mean, sensitivity.value_std, sensitivity.range_mean, sensitivity.range_std)
    for j, name in enumerate(sensitivity.names):
        weight = f"{sensitivity.weights[j]:.3f}" if j < len(sensitivity.weights) else "—"
        rows.append((name, weight, *(f"{values[j]:.5f}" for values in numbers)))
    return header, rows


def fisher_table(fisher: Fisher) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: the bound over the profiles, how often it says more than the range, the closest partner."""
    count = len(fisher.span)
    share = fisher.relative
    typical = _typical_correlation(fisher)
    typical = np.where(np.isfinite(typical) & ~np.eye(count, dtype=bool), typical, -1.0)
    rows: list[tuple[str, ...]] = []
    for i, name in enumerate(fisher.names[:count]):
        low, middle, high = (
            f"{100.0 * value:.2g}" for value in np.quantile(share[:, i], (0.1, 0.5, 0.9), method="nearest")
        )
        better = 100.0 * np.mean(share[:, i] < 1.0 / np.sqrt(12.0))
        partner = int(np.argmax(typical[i]))
        rows.append(
            (name, middle, f"{low} … {high}", f"{better:.0f} %", f"{fisher.names[partner]} {typical[i, partner]:.2f}")
        )
    return ("parameter", "bound, % of range", "10 … 90 % of profiles", "better than the range", "most correlated"), rows


def contributions_table(found: Contributions) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: per parameter the median bounds of each curve alone, and of one curve added after the other."""
    header = ["parameter, % of range", *(f"{name} alone" for name in found.reflections)]
    header += [f"+ {name}" for name in found.reflections[1:]] + (["gain"] if len(found.reflections) > 1 else [])
    alone, together = (100.0 * np.median(each, axis=1) / found.span for each in (found.alone, found.together))
    gain = np.median(found.alone[0] / found.together[-1], axis=0)
    rows = []
    for j, name in enumerate(found.names):
        row = [name, *(f"{value:.3g}" for value in (*alone[:, j], *together[1:, j]))]
        rows.append((*row, f"{gain[j]:.2f}") if len(found.reflections) > 1 else tuple(row))
    return tuple(header), rows


def contributions_figure(found: Contributions) -> Figure:
    """Median bounds of each parameter: points of each curve alone, bars of the curves added one after the other."""
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.subplots()
    count, at = len(found.reflections), np.arange(len(found.names))
    width = 0.8 / count
    for c, name in enumerate(found.reflections):
        place = at + (c - 0.5 * (count - 1)) * width
        median = 100.0 * np.median(found.together[c], axis=0) / found.span
        axes.bar(place, median, width, color=PALETTE[c % len(PALETTE)], label=name if c == 0 else f"with {name}")
        single = np.minimum(100.0 * np.median(found.alone[c], axis=0) / found.span, 1e3)
        axes.plot(place, single, "_", color="black", ms=9, label="this curve alone" if c == 0 else None)
    axes.axhline(100.0 / np.sqrt(12.0), color=MODEL, lw=1.0, label="the range alone (uniform)")
    axes.set(yscale="log", ylabel="smallest standard deviation, median [% of range]")
    axes.set_xticks(at, found.names)
    axes.set_title(f"{found.how['counts']:g} counts at R = 1 in each curve", fontsize=10)
    axes.legend(fontsize=8, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
