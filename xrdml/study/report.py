"""What a study found: every method beside the baseline, as a table (.csv), a text (.md) and a figure (.png)."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xrdml.evaluation.errors import profile_error
from xrdml.study.costs import COSTS
from xrdml.study.methods import BASELINE, METHODS
from xrdml.study.statistics import HELPS, HURTS, ONE_SEED, UNSEEN, Difference, compare
from xrdml.study.study import FAILURE, PREDICTIONS, RUN, Study
from xrdsim.dataset.reading import open_dataset
from xrdsim.errors import ParameterError, StoreError
from xrdsim.files import replacing
from xrdsim.limits import Json
from xrdsim.plotting import MASKED, PALETTE, save_figure
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

OUTPUT = Path("benchmarks/comparison")

MAE, WEIGHTED, CURVE, PROFILE = "MAE [% of range]", "sensitivity-weighted MAE [%]", "curve [dex]", "profile"

METRICS = (MAE, WEIGHTED, CURVE, PROFILE)
"""Measures of error beside those of single parameters; the first is the one of the verdicts in the figure."""

_COLUMNS = (
    "method",
    "test_set",
    "metric",
    "seeds",
    "rows",
    "value",
    "baseline",
    "difference",
    "low",
    "high",
    "verdict",
)
_COLORS = {HELPS: PALETTE[2], HURTS: PALETTE[1], UNSEEN: "#6b7280", ONE_SEED: MASKED}
_TITLES = {
    "iid": "rows of the prior, measured as in training",
    "edges": "rows near the ends of the ranges",
    "twins": "pairs of other parameters with nearly the same curve",
    "low-counts": "the rows of iid with 1e3 … 1e4 counts at R = 1, fewer than in training",
    "wide-fwhm": "the rows of iid with an instrument of 60 … 80″",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """All differences, and what is missing from them.

    Attributes
    ----------
    differences : of every method, the baseline among them, test set and metric.
    runs : content of the ``run.json`` of every finished run.
    costs : content of ``costs.json``.
    failures : of runs whose loss was not finite, in words.
    exclusions : methods that are not compared or over the budget, in words.
    floor : MAE [% of range] that no estimate can undercut on twins by more than the noise tells.
    """

    differences: tuple[Difference, ...]
    runs: tuple[Json, ...]
    costs: Json
    failures: tuple[str, ...]
    exclusions: tuple[str, ...]
    floor: float


def collect(study: Study, seeds: int) -> Comparison:
    """Compare all finished runs of a study with the baseline.

    Raises
    ------
    ParameterError
        No run of the baseline is finished.
    StoreError
        A file of a run cannot be read.
    """
    finished = {name: study.finished(name, seeds) for name in METHODS}
    if not finished[BASELINE]:
        raise ParameterError(f"{study.folder} has no finished run of {BASELINE} to compare with; run it first")
    space = open_dataset(study.dataset("prior")).config.space
    weights = np.load(study.weights)
    errors = {
        (name, seed): run_errors(study, study.run_folder(name, seed) / PREDICTIONS, space, weights)
        for name, done in finished.items()
        for seed in done
    }
    found = []
    for name, done in finished.items():
        common = [seed for seed in done if seed in finished[BASELINE]]
        for key in errors[BASELINE, common[0]] if common else ():
            ours, theirs = (np.stack([errors[method, seed][key] for seed in common]) for method in (name, BASELINE))
            groups = study.sets[key[0]].groups[: ours.shape[1]]
            found.append(compare(name, key[0], key[1], ours, theirs, groups))
    runs = tuple(_read(study.run_folder(name, seed) / RUN) for name, done in finished.items() for seed in done)
    failed = [
        _read(study.run_folder(name, seed) / FAILURE)
        for name in METHODS
        for seed in range(seeds)
        if (study.run_folder(name, seed) / FAILURE).exists()
    ]
    failures = tuple(f"{each['method']}, seed {each['seed']}: {each['error']}" for each in failed)
    pairs = study.sets["twins"].params.astype(np.float64)
    span = np.where(space.span > 0.0, space.span, np.inf)
    floor = 100.0 * float(np.mean(np.abs(pairs[1::2] - pairs[::2]) / span)) / 2.0
    costs = _read(study.folder / COSTS)
    exclusions = _exclusions(finished, runs, seeds, study.settings.budget)
    return Comparison(tuple(found), runs, costs, failures, exclusions, floor)


def run_errors(study: Study, path: Path, space: ParameterSpace, weights: Array) -> dict[tuple[str, str], Array]:
    """Errors (rows,) of a run by test set and metric; parameters in % of their ranges."""
    out: dict[tuple[str, str], Array] = {}
    span = np.where(space.span > 0.0, space.span, np.inf)
    try:
        with np.load(path) as file:
            for name, held in study.sets.items():
                truth, estimated = held.params.astype(np.float64), file[name]
                percent = 100.0 * np.abs(estimated - truth) / span
                out[name, MAE] = percent.mean(axis=1)
                out[name, WEIGHTED] = percent[:, : len(weights)] @ weights / weights.sum()
                out[name, CURVE] = file[f"{name}/curve"]
                out[name, PROFILE] = profile_error(estimated, truth, space)
                out |= {(name, parameter): percent[:, j] for j, parameter in enumerate(space.names)}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove it to have it written again") from error
    return out


def write(found: Comparison, study: Study, folder: str | Path = OUTPUT, kind: str = "png") -> list[Path]:
    """Write the table of all differences, the text and the figure (png, svg or pdf).

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    target = Path(folder)
    with replacing(target / "comparison.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(_COLUMNS)
        for each in found.differences:
            numbers = (each.value, each.baseline, each.difference, each.low, each.high)
            verdict = BASELINE if each.method == BASELINE else each.verdict
            shown = (f"{value:.6g}" for value in numbers)
            lines.writerow([each.method, each.test_set, each.metric, each.seeds, each.rows, *shown, verdict])
    with replacing(target / "comparison.md") as temporary:
        temporary.write_text(markdown(found, study), encoding="utf-8")
    return [
        target / "comparison.csv",
        target / "comparison.md",
        save_figure(figure(found), target / f"comparison.{kind}"),
    ]


def markdown(found: Comparison, study: Study) -> str:
    """Everything in words and tables."""
    s = study.settings
    lines = [
        "# Methods of training compared",
        "",
        f"{s.rows} rows, {s.budget:g} s a run by the measured costs, {s.tests} rows a test set ({s.curves} of them for "
        f"the curve error). Differences from `{BASELINE}` with their 95 % intervals over test rows and seeds, paired; "
        "below 0 is better. **helps** / **hurts**: the interval excludes 0. Of 20 comparisons without any difference, "
        "one does that, too.",
        "",
        "Not counted by the budget: making a dataset, validation, saving; for `errors`, the run that it follows.",
    ]
    for name in study.sets:
        rows = [each for each in found.differences if each.test_set == name]
        lines += ["", f"## {name}: {_TITLES[name]}", ""]
        if name == "twins":
            floor = (
                f"On equal curves no estimate has less MAE than half the difference of the twins, {found.floor:.2f} %."
            )
            lines += [floor, ""]
        lines += _table(("method", "seeds", *METRICS), _set_rows(rows))
    cores = found.costs["machine"]["cores"]
    lines += ["", "## Speed", "", f"Training on {cores} cores, drawing and measuring of batches included.", ""]
    header = ("`train` arguments", "rows/s", "ms a row", "ms a row of a second phase", "ms a row, once, for metrics")
    lines += _table(header, [_cost_row(*each) for each in found.costs["seconds_a_row"].items()])
    lines += ["", "## Runs", ""]
    lines += _table(("method", "seed", "epochs", "seconds planned", "seconds"), [_run_row(run) for run in found.runs])
    for title, entries in (("Failures", found.failures), ("Exclusions and remarks", found.exclusions)):
        lines += ["", f"## {title}", "", *([f"- {entry}" for entry in entries] or ["None."])]
    return "\n".join(lines) + "\n"


def verdict_rows(found: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows for a terminal: each method's verdict by the mean MAE on every test set."""
    sets = list(dict.fromkeys(each.test_set for each in found.differences))
    by = {(each.method, each.test_set): each for each in found.differences if each.metric == MAE}
    methods = list(dict.fromkeys(each.method for each in found.differences))
    return ("method", *sets), [(method, *(_short(by[method, name]) for name in sets)) for method in methods]


def figure(found: Comparison) -> Figure:
    """Differences from the baseline in % of its error with their intervals: mean MAE above, curve error below."""
    sets = list(dict.fromkeys(each.test_set for each in found.differences))
    compared = {each.method for each in found.differences}
    methods = [method for method in METHODS if method in compared and method != BASELINE]
    drawn = Figure(figsize=(2.6 * len(sets) + 2.0, 2.0 * (0.24 * len(methods) + 1.3)), layout="constrained")
    panels = drawn.subplots(2, len(sets), sharey=True, squeeze=False)
    for line, metric in zip(panels, (MAE, CURVE), strict=True):
        for axes, name in zip(line, sets, strict=True):
            for each in found.differences:
                if (each.test_set, each.metric) == (name, metric) and each.method != BASELINE:
                    at, unit = methods.index(each.method), 100.0 / (each.baseline or 1.0)
                    color = _COLORS[each.verdict]
                    axes.plot([unit * each.low, unit * each.high], [at, at], color=color, lw=2.0)
                    axes.plot(unit * each.difference, at, "o", ms=4, color=color)
            axes.axvline(0.0, color="black", lw=0.8)
            axes.set_title(f"{name}: {metric.partition(' [')[0]}", fontsize=9, loc="left")
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
        line[0].set_yticks(range(len(methods)), methods)
        line[0].set_ylim(len(methods) - 0.4, -0.6)
    drawn.supxlabel(f"difference from {BASELINE} [%]; green helps, orange hurts, grey: no difference seen", fontsize=9)
    return drawn


def _set_rows(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    """A row of a table for each method: its error and verdict by each metric."""
    out = []
    for method in dict.fromkeys(each.method for each in differences):
        by = {each.metric: each for each in differences if each.method == method}
        out.append((method, str(by[MAE].seeds), *(_cell(by[metric]) for metric in METRICS)))
    return out


def _cell(each: Difference) -> str:
    if each.method == BASELINE:
        return f"{each.value:.3g}"
    verdict = f"**{each.verdict}**" if each.verdict in (HELPS, HURTS) else each.verdict
    return f"{each.value:.3g} ({each.difference:+.2g}, {each.low:+.2g} … {each.high:+.2g}) {verdict}"


def _short(each: Difference) -> str:
    return f"{each.value:.2f} %" if each.method == BASELINE else f"{each.difference:+.2f} {each.verdict}"


def _run_row(run: Json) -> tuple[str, ...]:
    first, seconds = run["epochs_before"], run["seconds"]
    epochs = f"{first} + {run['epochs']}" if first else str(run["epochs"])
    took = f"{seconds:.0f}" if seconds else "—"
    return run["method"], str(run["seed"]), epochs, f"{run['planned_seconds']:.0f}", took


def _cost_row(options: str, cost: dict[str, float]) -> tuple[str, ...]:
    said = ", ".join(f"{name} {value}" for name, value in json.loads(options).items()) or "the default ones"
    parts = (f"{1e3 * cost[name]:.2f}" if cost[name] else "" for name in ("row", "fine", "metric"))
    return said, f"{1.0 / cost['row']:.0f}", *parts


def _exclusions(finished: dict[str, list[int]], runs: Sequence[Json], seeds: int, budget: float) -> tuple[str, ...]:
    out = []
    for name, done in finished.items():
        if len(done) < seeds:
            missing = ", ".join(str(seed) for seed in range(seeds) if seed not in done)
            out.append(f"{name}: " + (f"no finished run of seed {missing}" if done else "no finished run"))
    over = dict.fromkeys(run["method"] for run in runs if run["planned_seconds"] > budget)
    return (*out, *(f"{name}: its fewest epochs take more than the budget" for name in over))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _read(path: Path) -> Json:
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
        return {"method" if name == "way" else name: value for name, value in found.items()}  # as it once was named
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove its folder to have the run made again") from error
