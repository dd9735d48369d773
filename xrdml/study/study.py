"""A study that compares methods of training: same data, same time of computation, same test curves, several seeds.

The folder of a study holds everything: ``study.json`` (its settings), ``data/`` and ``tests/`` (curves),
``sensitivity.npy``, ``costs.json``, and for each run ``runs/METHOD-SEED`` with the model, ``run.json`` and, last,
``predictions.npz``: a run that has it is finished. What is missing is made, so that a study can be made in sittings.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdml.data.source import split
from xrdml.evaluation.errors import curve_error
from xrdml.inference.pilot import measure_errors
from xrdml.networks.checkpoint import CARD, STATE, load_model
from xrdml.study.costs import BATCH, WEIGHTS, load_costs, measure_cost, resolve
from xrdml.study.methods import BASELINE, PRIOR, Cost, Method, choose, plan, planned_seconds
from xrdml.study.test_curves import Held, check_sets, load_sets
from xrdml.training.train import METRICS, Progress, train
from xrdsim.dataset.generation import generate
from xrdsim.dataset.reading import open_dataset
from xrdsim.errors import ParameterError, StoreError, TrainingError
from xrdsim.files import replacing, save_json
from xrdsim.information.sensitivity import measure_sensitivity
from xrdsim.limits import Json

SETTINGS, RUN, PREDICTIONS, FAILURE = "study.json", "run.json", "predictions.npz", "failure.json"

FOLDER = Path("runs/comparison")

DATA_SEED = 0
"""Of all data sets to learn from."""


@dataclass(frozen=True)
class Settings:
    """What all runs of a study have in common.

    Parameters
    ----------
    rows : to learn from, those held out for validation included.
    budget : time of a run [s], by the measured costs.
    tests : rows of each test set, even.
    curves : rows of each whose curve error is computed, even.
    profiles : of the prior, on which the sensitivity weights are measured.

    Raises
    ------
    ParameterError
        A number without meaning.
    """

    rows: int = 20000
    budget: float = 150.0
    tests: int = 1000
    curves: int = 200
    profiles: int = 500

    def __post_init__(self) -> None:
        for name, least in (("rows", 2 * BATCH), ("tests", 2), ("curves", 2), ("profiles", 1)):
            value = getattr(self, name)
            if value < least or (value % 2 and name in ("tests", "curves")):
                raise ParameterError(f"{name} = {value} must be at least {least}" + ", and even" * (least == 2))
        if not self.budget > 0.0:
            raise ParameterError(f"budget = {self.budget:g} must be a positive number of seconds")


@dataclass(frozen=True)
class Study:
    """A study on disk: its folder, its settings and the test sets; see ``prepare``."""

    folder: Path
    settings: Settings
    sets: dict[str, Held]
    costs: dict[str, Cost]

    @property
    def weights(self) -> Path:
        """File of the sensitivity weights."""
        return self.folder / WEIGHTS

    def run_folder(self, name: str, seed: int) -> Path:
        """Where a run lies."""
        return self.folder / "runs" / f"{name}-{seed}"

    def dataset(self, sampler: str) -> Path:
        """What a method learns from."""
        return self.folder / "data" / f"{sampler}.zarr"

    def finished(self, name: str, seeds: int) -> list[int]:
        """Seeds of the finished runs of a method."""
        return [seed for seed in range(seeds) if (self.run_folder(name, seed) / PREDICTIONS).exists()]

    @property
    def learned(self) -> int:
        """Rows of an epoch."""
        return len(split(self.settings.rows, 0).train) // BATCH * BATCH


class _Pause(Exception):  # noqa: N818 (no error)
    """The sitting is over; the last epoch is on disk."""


def run_study(
    folder: str | Path = FOLDER,
    *,
    only: Sequence[str] | None = None,
    seeds: int = 3,
    minutes: float | None = None,
    settings: Settings | None = None,
    report: Callable[[str], None] = lambda line: None,
    measure: Callable[..., Cost] = measure_cost,
) -> tuple[Study, bool]:
    """Make what a study lacks; whether all that was asked for is finished.

    Parameters
    ----------
    folder : of the study.
    only : names of the methods to run; ``None`` for all.
    seeds : runs of each method, with the seeds 0, 1, …
    minutes : after which to stop, at the end of an epoch; 0 trains nothing.
    settings : of a new study; they must be those of one that was begun.
    report : called with lines of text.
    measure : of the costs.

    Raises
    ------
    ParameterError
        An unknown method, a number without meaning, or a method without the run of the baseline that it needs.
    StoreError
        The folder holds a study with other settings, or a file of it cannot be used.
    KeyboardInterrupt
        Says how to go on.
    """
    methods = choose(only)
    if seeds < 1 or (minutes is not None and not minutes >= 0.0):
        raise ParameterError(f"seeds = {seeds} must be at least 1, and minutes = {minutes} not negative")
    end = time.monotonic() + 60.0 * minutes if minutes is not None else float("inf")
    try:
        study = open_study(Path(folder), settings or Settings(), report)
        todo = [(name, seed) for seed in range(seeds) for name in methods if not _ended(study.run_folder(name, seed))]
        if not todo or time.monotonic() >= end:
            return study, not todo
        _check_pilot(study, methods)
        study = replace(study, costs=load_costs(study.folder, methods, report, measure))
        budget = study.settings.budget
        seconds = [planned_seconds(methods[name], study.costs, study.learned, budget) for name, _ in todo]
        report(f"{len(todo)} of {seeds * len(methods)} runs to do, about {_span(sum(seconds))}")
        planned, spent = 0.0, 0.0
        for number, (name, seed) in enumerate(todo):
            began = time.monotonic()
            try:
                line = _run(study, name, methods[name], seed, end)
            except _Pause:
                report(f"the sitting is over in {name}, seed {seed}; the same command goes on")
                return study, False
            planned, spent = planned + seconds[number], spent + time.monotonic() - began
            left = sum(seconds[number + 1 :]) * spent / planned
            report(f"{number + 1}/{len(todo)} {name}, seed {seed}: {line}; about {_span(left)} left")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; finished runs and epochs are kept in {folder}: continue with the same command"
        ) from None
    return study, True


def open_study(folder: Path, settings: Settings, report: Callable[[str], None] = lambda line: None) -> Study:
    """Open or begin a study: settings, rows of the prior, test sets and sensitivity weights.

    Raises
    ------
    StoreError
        It was begun with other settings, or a file of it cannot be used.
    """
    path, asked = folder / SETTINGS, asdict(settings)
    try:
        begun = json.loads(path.read_text(encoding="utf-8")) if path.exists() else asked
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); choose another folder") from error
    for name, value in asked.items():
        if begun.get(name) != value:
            raise StoreError(
                f"{folder} was begun with {name} = {begun.get(name)}, not {value}; repeat that or choose another folder"
            )
    save_json(path, asked)
    study = Study(folder, settings, {}, {})
    _make_data(study, PRIOR, report)
    simulation = open_dataset(study.dataset(PRIOR)).config.simulation
    sets = load_sets(folder / "tests", simulation, settings.tests)
    check_sets(sets, {PRIOR: study.dataset(PRIOR)})
    if not study.weights.exists():
        report(f"measuring sensitivities on {settings.profiles} profiles")
        measure_sensitivity(_profiles(study), space=simulation.space).save(study.weights)
    return replace(study, sets=sets)


def _make_data(study: Study, sampler: str, report: Callable[[str], None] = lambda line: None) -> None:
    """Make a dataset that is missing or incomplete, and make sure that it holds no test rows."""
    path, errors = study.dataset(sampler), None
    if not (path / "zarr.json").exists():
        report(f"{study.settings.rows} rows of {sampler}")
        errors = measure_errors(study.run_folder(BASELINE, 0))[1] if sampler == "errors" else None
    chosen = "grid" if sampler == PRIOR else sampler  # places in the cells of a grid have the prior's density
    generate(
        path, n=study.settings.rows, sampler=chosen, seed=DATA_SEED, test_rows=16, errors=errors, resume=path.exists()
    )
    check_sets(study.sets, {sampler: path})


def _profiles(study: Study) -> NDArray[np.float64]:
    """Vectors to measure sensitivities on: the first ones to learn from."""
    rows = open_dataset(study.dataset(PRIOR)).load(rows=slice(0, study.settings.profiles)).params
    return np.asarray(rows, np.float64)


def _check_pilot(study: Study, methods: dict[str, Method]) -> None:
    for name, method in methods.items():
        pilot = study.run_folder(BASELINE, 0)
        needed = method.sampler == "errors" and not study.dataset("errors").exists() and BASELINE not in methods
        if needed and not (pilot / PREDICTIONS).exists():
            raise ParameterError(f"the method {name!r} needs the errors of {BASELINE}, seed 0; run it too, or first")


def _run(study: Study, name: str, method: Method, seed: int, end: float) -> str:
    """Make a run, or go on with it; what to say of it. One whose loss is not finite is noted as failed."""
    folder = study.run_folder(name, seed)
    _make_data(study, method.sampler)
    first, last = plan(method, study.costs, study.learned, study.settings.budget)

    def watch(now: Progress) -> None:
        if now.validation is not None and time.monotonic() > end:
            raise _Pause

    def stage(options: Json, target: Path, epochs: int) -> None:
        if not _trained(target):
            common: Json = {"epochs": epochs, "patience": epochs, "batch_size": BATCH, "seed": seed}
            arguments = resolve(options, study.weights) | common
            resume = (target / STATE).exists()
            train(study.dataset(method.sampler), output=target, resume=resume, progress=watch, **arguments)

    resumed, began = folder.exists(), time.monotonic()
    try:
        if method.before is not None:
            stage(method.before, folder / "before", first)
        stage(method.options | ({"finetune": folder / "before"} if first else {}), folder, last)
    except TrainingError as error:
        save_json(folder / FAILURE, {"method": name, "seed": seed, "error": str(error)})
        return f"failed: {error}"
    took = None if resumed else time.monotonic() - began
    planned = planned_seconds(method, study.costs, study.learned, study.settings.budget)
    values = {"method": name, "seed": seed, **method.to_dict(), "epochs_before": first, "epochs": last}
    save_json(folder / RUN, values | {"planned_seconds": planned, "seconds": took})
    mean = predict_sets(study, folder)
    for state in (folder / STATE, folder / "before" / STATE):
        state.unlink(missing_ok=True)  # no longer needed
    return f"{first + last} epochs, {'resumed' if took is None else _span(took)}, mean MAE of iid {mean:.2f} %"


def predict_sets(study: Study, folder: Path) -> float:
    """Write the estimates of a run for all test sets, and curve errors; mean MAE of the first set in % of ranges."""
    model = load_model(folder)
    arrays = {}
    for name, held in study.sets.items():
        few = slice(0, study.settings.curves)
        estimated = model.estimate(held.inputs)
        arrays[name] = estimated
        truth = held.params.astype(np.float64)
        arrays[f"{name}/curve"] = curve_error(estimated[few], truth[few], model.space, model.experiment, model.window)
    with replacing(folder / PREDICTIONS) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
    name, held = next(iter(study.sets.items()))
    span = np.where(model.space.span > 0.0, model.space.span, np.inf)
    return float(100.0 * np.mean(np.abs(arrays[name] - held.params) / span))


def _trained(folder: Path) -> bool:
    """Whether a training has reached its end, where it writes its test errors."""
    if not (folder / CARD).exists():
        return False
    return "test" in json.loads((folder / METRICS).read_text(encoding="utf-8"))


def _ended(folder: Path) -> bool:
    return (folder / PREDICTIONS).exists() or (folder / FAILURE).exists()


def _span(seconds: float) -> str:
    """A time in words."""
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.0f} min"
