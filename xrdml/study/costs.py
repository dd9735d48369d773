"""What a row of training costs in each method: measured once, on a small dataset, before the runs of a study."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, astuple
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from xrdml.study.methods import SENSITIVITY, Cost, Method, kind, two_phases
from xrdml.training.train import Progress, train
from xrdsim.dataset.generation import generate
from xrdsim.errors import StoreError
from xrdsim.files import save_json
from xrdsim.limits import Json

COSTS, WEIGHTS = "costs.json", "sensitivity.npy"

BATCH = 128
"""Rows a step, of costs and runs."""

ROUNDS = 3
"""Measurements of each cost, taken in turn: a machine is not equally fast all the time. Their median counts."""

_ROWS = 2304  # 16 steps an epoch
_SKIPPED = 4  # first steps, which are slower


def load_costs(
    folder: Path, methods: dict[str, Method], report: Callable[[str], None], measure: Callable[..., Cost]
) -> dict[str, Cost]:
    """Costs by ``study_ways.kind``; those that the file lacks are measured and written.

    Parameters
    ----------
    folder : of the study.
    methods : that will be run.
    report : called with a line of text.
    measure : ``measure_cost`` or what stands for it.

    Raises
    ------
    StoreError
        The file cannot be read.
    """
    path = folder / COSTS
    try:
        written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        costs = {name: Cost(**values) for name, values in written.get("seconds_a_row", {}).items()}
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove it to have the costs measured again") from error
    needed: dict[str, Json] = {}
    for method in methods.values():
        for options in (method.options, method.before):
            if options is not None and kind(options) not in costs:
                needed.setdefault(kind(options), options)
    if not needed:
        return costs
    found: dict[str, list[Cost]] = {name: [] for name in needed}
    for number in range(ROUNDS):
        for name, options in needed.items():
            report(f"measuring what a row costs, {number + 1} of {ROUNDS}: {name}")
            found[name].append(measure(options, folder))
    costs |= {name: Cost(*np.median([astuple(cost) for cost in each], axis=0).tolist()) for name, each in found.items()}
    machine = {"cores": os.cpu_count(), "torch_threads": torch.get_num_threads()}
    save_json(path, {"seconds_a_row": {key: asdict(cost) for key, cost in costs.items()}, "machine": machine})
    return costs


def measure_cost(options: Json, folder: Path) -> Cost:
    """Train for two epochs on a small dataset; medians over steps, which include the drawing of batches.

    Validation, saving and reading the dataset are not counted.
    """
    times: dict[str, list[float]] = {}
    rows: list[int] = []

    def note(now: Progress) -> None:
        if now.validation is None:
            times.setdefault(now.phase, []).append(time.perf_counter())
            if now.phase == "metrics":
                rows.append(now.batch)

    data = folder / "data" / "costs.zarr"
    generate(data, n=_ROWS, sampler="grid", seed=1, test_rows=2, rtol_dex=1e-3, resume=data.exists())
    with TemporaryDirectory() as place:
        arguments = resolve(options, folder / WEIGHTS)
        train(data, output=Path(place) / "run", epochs=2, batch_size=BATCH, progress=note, **arguments)
    main = _median(times["coarse" if two_phases(options) else "all"]) / BATCH
    fine = _median(times["fine"]) / BATCH if two_phases(options) else 0.0
    measured = times.get("metrics", [])
    metric = (measured[-1] - measured[0]) / (rows[-1] - rows[0]) if len(measured) > 1 else 0.0
    return Cost(*(float(f"{value:.4g}") for value in (main, fine, metric)))


def resolve(options: Json, weights: Path) -> Json:
    """Arguments of ``train``: the measured weights where they are asked for."""
    return {name: weights if (name, value) == ("weights", SENSITIVITY) else value for name, value in options.items()}


def _median(times: list[float]) -> float:
    return float(np.median(np.diff(times[_SKIPPED:])))
