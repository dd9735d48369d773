"""Figures and tables of datasets, and of the rows that a sampler draws."""

import csv
from pathlib import Path
from typing import cast

import numpy as np
from matplotlib.figure import Figure, SubFigure

from xrdsim.dataset.reading import Dataset
from xrdsim.dataset.samplers import Sample
from xrdsim.files import replacing
from xrdsim.limits import Json
from xrdsim.plotting import MEASURED, MODEL, PALETTE, angle_axes
from xrdsim.profiles.bounds import Parameter
from xrdsim.profiles.tables import format_value


def coverage_figure(sample: Sample, title: str = "", bins: int = 40) -> Figure:
    """Marginals of the parameters that vary, and how their pairs cover the ranges.

    Histograms: the rows, and outlined the rows weighted back to the prior.
    """
    rows = sample.params
    columns = np.flatnonzero(np.ptp(rows, axis=0) > 0.0).tolist()
    count = max(len(columns), 1)
    faint = min(1.0, 40.0 / np.sqrt(len(rows)))
    figure = Figure(figsize=(1.5 * count + 1.0, 1.4 * count + 0.8), layout="constrained")
    panels = figure.subplots(count, count, squeeze=False)
    for row, j in enumerate(columns):
        for column, i in enumerate(columns):
            axes = panels[row, column]
            axes.tick_params(labelsize=6)
            axes.locator_params(nbins=3)
            if column > row:
                axes.set_axis_off()
            elif column == row:
                axes.hist(rows[:, j], bins=bins, density=True, color=PALETTE[0], alpha=0.5)
                if np.ptp(sample.density) > 0.0:
                    axes.hist(
                        rows[:, j], bins=bins, density=True, weights=1.0 / sample.density, histtype="step", color=MODEL
                    )
                axes.set_yticks([])
            else:
                axes.plot(rows[:, i], rows[:, j], ".", ms=1.5, mew=0.0, color=MEASURED, alpha=faint)
            if row == count - 1:
                axes.set_xlabel(_label(sample.profile.table[i]), fontsize=8)
            if column == 0 and row > 0:
                axes.set_ylabel(_label(sample.profile.table[j]), fontsize=8)
    weighted = "; outlined: weighted back to the prior" if np.ptp(sample.density) > 0.0 else ""
    figure.suptitle(title + weighted, fontsize=10)
    return figure


def write_rows(path: str | Path, sample: Sample) -> Path:
    """Write the rows as CSV with the parameter names and ``density`` as header.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*sample.profile.all_names[: sample.params.shape[1]], "density"])
        writer.writerows(np.column_stack([sample.params, sample.density]).tolist())
    return Path(path)


def dataset_table(described: Json) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
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


def range_table(described: Json) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
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
        space = dataset.config.space
        low, high = space.low[j], space.high[j]
        edges = np.linspace(low, high if high > low else low + 1.0, 31)
        panel.hist(learned[:, j], edges, density=True, color=PALETTE[0], alpha=0.45)
        panel.hist(tested[:, j], edges, density=True, color=MODEL, histtype="step", lw=1.0)
        panel.set_title(_label(space.profile.table[j]), fontsize=8)
        panel.set_yticks([])
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right", "left"]].set_visible(False)
    right.suptitle("rows to learn from (filled), to test on (line)", fontsize=9)
    return figure


def _label(parameter: Parameter) -> str:
    return parameter.name + (f" [{parameter.unit}]" if parameter.unit != "1" else "")
