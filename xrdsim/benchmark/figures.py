"""Figure of what an accuracy costs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from xrdsim.benchmark.throughput import StepCost
from xrdsim.plotting import MODEL, SECOND


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
