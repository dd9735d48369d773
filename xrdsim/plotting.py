"""Figures and tables of results. Functions take records and return a figure or rows; ``save_figure`` writes."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from xrdsim.benchmark.throughput import StepCost
from xrdsim.dataset.reading import Dataset
from xrdsim.files import check_figure, replacing, save_json
from xrdsim.forward.model import Curves, depth_end, strain_profile
from xrdsim.information.fisher import Fisher
from xrdsim.information.sensitivity import Sensitivity
from xrdsim.profiles.space import ALL_NAMES, TABLE

Array = NDArray[np.float64]

MEASURED, MODEL, SECOND, MASKED = "#6b7280", "#c2410c", "#1d4ed8", "#e5e7eb"
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


def save_fit(fit: "Fit", folder: Path, title: str) -> list[Path]:
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


def format_value(name: str, value: float) -> str:
    """A parameter's value with its unit: strains in %, lengths in Å."""
    unit = TABLE[ALL_NAMES.index(name)].unit
    if unit == "Å":
        return f"{value:.1f} Å"
    return f"{100.0 * value:.4f} %" if name.startswith("D") else f"{value:.4g}"


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


def step_figure(costs: Sequence[StepCost]) -> Figure:
    """Error against time per curve: midpoint layers and the steps of the continuum; bars reach to the worst sample."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    layers = [cost for cost in costs if cost.layers is not None]
    continuum = [cost for cost in costs if cost.layers is None]
    for chosen, label, color in ((layers, "midpoint layers", MODEL), (continuum, "continuum, accuracy asked", SECOND)):
        time = np.array([cost.ms_per_curve for cost in chosen])
        error = np.array([cost.error for cost in chosen])
        axes.loglog(time, error, "o-", ms=4, lw=1.4, color=color, label=label)
        axes.vlines(time, error, [cost.worst_error for cost in chosen], color=color, lw=1.0)
        for cost in chosen:
            text = f"{cost.layers:g} Å" if cost.layers is not None else f"$10^{{{np.log10(cost.rtol_dex):.0f}}}$"
            at = (cost.ms_per_curve, cost.error)
            axes.annotate(text, at, ha="right", va="top", fontsize=8, xytext=(-4, -2), textcoords="offset points")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.12)
    axes.set_xlabel("time per curve on one core [ms]")
    axes.set_ylabel("RMS error of log$_{10}$ R [dex]: median, worst")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def training_figure(history: Sequence[dict[str, Any]]) -> Figure:
    """Training and validation loss against the epoch; a dotted line where a phase begins."""
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    epochs = np.arange(1, len(history) + 1)
    for key, label, color in (("loss", "training", MEASURED), ("validation", "validation", MODEL)):
        axes.semilogy(epochs, [row[key] for row in history], lw=1.6, color=color, label=label, marker="o", ms=2.5)
    for i in range(1, len(history)):
        if history[i]["phase"] != history[i - 1]["phase"]:
            axes.axvline(i + 0.5, color="black", lw=0.8, ls=":")
            axes.annotate(f" {history[i]['phase']}", (i + 0.5, 0.98), xycoords=("data", "axes fraction"), va="top")
    axes.set_xlabel("epoch")
    axes.set_ylabel("weighted loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


class Fit(Protocol):
    """What ``fit_figure`` draws: any record with these fields, such as ``xrdml.inference.prediction.Prediction``."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def values(self) -> Array: ...
    @property
    def angle(self) -> Array: ...
    @property
    def measured(self) -> Array: ...
    @property
    def model(self) -> Array: ...
    @property
    def used(self) -> NDArray[np.bool_]: ...
    @property
    def depth(self) -> Array: ...
    @property
    def strain(self) -> Array: ...
    def to_dict(self) -> dict[str, Any]: ...


def fit_figure(fit: Fit, title: str) -> Figure:
    """Measured and simulated curve, their logarithmic difference, and the strain profile."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    mosaic = figure.subplot_mosaic(
        [["curve", "profile"], ["residual", "profile"]], width_ratios=[1.75, 1], height_ratios=[3, 1]
    )
    curve, residual, profile = (mosaic[name] for name in ("curve", "residual", "profile"))
    residual.sharex(curve)
    for axes in (curve, residual):
        _shade(axes, fit.angle, ~fit.used)
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


def profile_figure(fit: Fit) -> Figure:
    """The strain profile alone."""
    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    _draw_profile(figure.subplots(), fit)
    return figure


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
        told = 100.0 * np.mean(share[:, i] < 1.0 / np.sqrt(12.0))
        partner = int(np.argmax(typical[i]))
        rows.append(
            (name, middle, f"{low} … {high}", f"{told:.0f} %", f"{fisher.names[partner]} {typical[i, partner]:.2f}")
        )
    return ("parameter", "bound, % of range", "10 … 90 % of profiles", "better than the range", "most correlated"), rows


def dataset_table(described: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of what ``xrdsim.dataset.integrity.describe`` found, without the ranges."""
    how, blocks = described["configuration"], described["blocks"]
    state = "complete" if described["complete"] else f"{blocks - described['missing']} of {blocks} blocks"
    scan, crystal = described["stored_scan"], how["reflection"]
    profile = "continuous profile" if how["layers"] is None else f"layers of {how['layers']:g} Å"
    rows: list[tuple[str, ...]] = [
        ("dataset", f"{described['path']}, {described['bytes'] / 1e6:.1f} MB, {state}"),
        ("rows", f"{how['n']} to learn from, {how['test_rows']} to test on, {how['block_size']} in a block"),
        ("sampler", f"{how['sampler']}, seed {how['seed']}, {'jitter' if how['jitter'] else 'no jitter'}"),
        ("reflection", f"{crystal['crystal']} {' '.join(map(str, crystal['hkl']))}, {crystal['wavelength']:g} Å"),
        ("angles", f"{scan['points']} from {scan['start']:.1f}″ in steps of {scan['step']:.3f}″"),
        ("simulation", f"{how['convention']}, {profile}, {how['rtol_dex']:g} dex, on {how['device']}"),
        ("instrument", f"{how['base_fwhm']:g}″; monochromator {how['monochromator']:g}"),
        ("version", how["version"]),
    ]
    for entry in described["made_on"]:
        made = ", ".join(f"{part} {numbers}" for part, numbers in entry["blocks"].items() if numbers)
        rows.append(("made on", f"{entry['processor']}, numba {entry['versions']['numba']}: blocks {made}"))
    return ("", ""), rows


def range_table(described: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: the range of each parameter, and the extremes of the rows to learn from."""
    rows: list[tuple[str, ...]] = []
    for name, limits in described["ranges"].items():
        numbers = (limits.get(key) for key in ("low", "high", "least", "most"))
        rows.append((name, *("—" if value is None else format_value(name, value) for value in numbers)))
    return ("parameter", "low", "high", "least", "most"), rows


def dataset_figure(dataset: Dataset, shown: int = 12) -> Figure:
    """Curves of rows evenly spread over the dataset, and how often each value of a parameter occurs."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = cast(tuple[SubFigure, SubFigure], figure.subfigures(1, 2, width_ratios=[1.25, 1]))
    axes = left.subplots()
    chosen = np.unique(np.linspace(0, len(dataset) - 1, shown).astype(int))
    for i, row in enumerate(chosen):
        curve = dataset.load(rows=slice(int(row), int(row) + 1)).reflectivity[0]
        axes.semilogy(dataset.angle, curve, lw=0.8, color=PALETTE[i % len(PALETTE)])
    angle_axes(axes, "reflectivity")
    axes.set_title(f"{len(chosen)} of {len(dataset)} curves", fontsize=10, loc="left")
    panels = right.subplots(3, 3)
    learned, tested = dataset.params(), dataset.params("test")
    for j, panel in enumerate(panels.flat):
        if j >= len(dataset.names):
            panel.set_visible(False)
            continue
        name = dataset.names[j]
        unit, low, high = TABLE[j].unit, dataset.config.space.low[j], dataset.config.space.high[j]
        edges = np.linspace(low, high if high > low else low + 1.0, 31)
        panel.hist(learned[:, j], edges, density=True, color=PALETTE[0], alpha=0.45)
        panel.hist(tested[:, j], edges, density=True, color=MODEL, histtype="step", lw=1.0)
        panel.set_title(name if unit == "1" else f"{name} [{unit}]", fontsize=8)
        panel.set_yticks([])
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right", "left"]].set_visible(False)
    right.suptitle("rows to learn from (filled), to test on (line)", fontsize=9)
    return figure


def accuracy_table(test: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: mean absolute errors on the test rows beside those of predicting the mean."""
    header = (f"on {test['rows']} test rows", "MAE", "MAE, % of range", "predicting the mean")
    model, mean = test["model"], test["mean_of_training_parameters"]
    rows: list[tuple[str, ...]] = []
    for name, row in model["parameters"].items():
        of_mean = f"{mean['parameters'][name]['mae_percent']:.2f}"
        rows.append((name, format_value(name, row["mae"]), f"{row['mae_percent']:.2f}", of_mean))
    for label, key in (("curve error [dex]", "curve_error_dex"), ("profile error", "profile_error")):
        rows.append((label, "", f"{model[key]:.4f}", f"{mean[key]:.4f}"))
    return header, rows


def _draw_profile(axes: Axes, fit: Fit) -> None:
    axes.fill_between(fit.depth, 100.0 * fit.strain, color=SECOND, alpha=0.12, lw=0)
    axes.plot(fit.depth, 100.0 * fit.strain, color=SECOND, lw=1.8)
    profile_axes(axes)


def _profile(params: Array) -> tuple[Array, Array]:
    """Depths [Å] and strain [%] up to a little beyond the end of the layer."""
    depth = np.linspace(0.0, 1.03 * depth_end(params)[0], 600)
    return depth, 100.0 * strain_profile(params, depth)[0]


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


def _shade(axes: Axes, angle: Array, masked: NDArray[np.bool_]) -> None:
    """Grey where points are left out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], masked.astype(int), [0]])))
    for first, stop in edges.reshape(-1, 2):
        axes.axvspan(angle[first], angle[stop - 1], color=MASKED, lw=0)
