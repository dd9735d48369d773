"""Figure and table of a training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from xrdsim.limits import Json
from xrdsim.plotting import MEASURED, MODEL
from xrdsim.profiles.tables import format_value


def training_figure(history: Sequence[Json]) -> Figure:
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


def accuracy_table(test: Json) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
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
