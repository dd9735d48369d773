"""Figure and table of a sampler's rows."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xrdsim.dataset.samplers import Sample
from xrdsim.files import replacing
from xrdsim.plotting import MEASURED, MODEL, PALETTE
from xrdsim.profiles.space import TABLE


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
                axes.set_xlabel(_label(i), fontsize=8)
            if column == 0 and row > 0:
                axes.set_ylabel(_label(j), fontsize=8)
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
        writer.writerow([*(parameter.name for parameter in TABLE[: sample.params.shape[1]]), "density"])
        writer.writerows(np.column_stack([sample.params, sample.density]).tolist())
    return Path(path)


def _label(column: int) -> str:
    unit = TABLE[column].unit
    return TABLE[column].name + (f" [{unit}]" if unit != "1" else "")
