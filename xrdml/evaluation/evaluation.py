"""How good a trained model is on curves that it has not seen: errors, calibration, solved curves, unlike curves."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.data.measurement import Measured, measure
from xrdml.data.ranges import INSTRUMENT, Ranges
from xrdml.data.source import stream
from xrdml.evaluation.calibration import Calibration, calibrate
from xrdml.evaluation.errors import Accuracy, accuracy, area_error, curve_error
from xrdml.evaluation.holdout import fresh, stored
from xrdml.evaluation.single_curves import BEST_OF, Solved, solve
from xrdml.evaluation.unlike import SCORES, Detection, detection, unlike_curves
from xrdml.inference.starts import SOLVED
from xrdml.networks.checkpoint import TrainedModel, load_model
from xrdsim.dataset.store import Rows
from xrdsim.errors import ParameterError
from xrdsim.forward.prior import draw_prior
from xrdsim.limits import Json

Array = NDArray[np.float64]
Advance = Callable[[int], None]

DRAWS = 200
"""Posterior samples of a curve."""

_MEASURE, _PRIOR, _TARP = 22, 23, 24  # random streams beside those of a training
_OF_PRIOR = 20000  # rows that the median and the variance of the prior are taken of
_TOGETHER = 64  # rows between two calls of progress
_REPEATS = {1: 20, 256: 3}  # timed passes, by curves at once


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found.

    Attributes
    ----------
    model : folder of the model.
    how : rows, seed and data, JSON-able.
    names : of the parameters.
    span : (p,) widths of their ranges.
    truth, estimate : (n, p).
    unknown : (n, p) whether a value was unknown, not fixed.
    accuracy : of all rows, and of groups of them.
    curve, profile : (n,) curve error [dex] and area error of the estimate.
    solved : of the first rows, see ``xrdml.evaluation.single_curves``.
    solved_curve : curve errors [dex] of their estimate, best sample and refinement, (m,) each.
    calibration : of a model that states a posterior.
    detections : of curves outside of what the model was trained for.
    milliseconds : per curve on one thread, by what was done.
    """

    model: str
    how: Json
    names: tuple[str, ...]
    span: Array
    truth: Array
    estimate: Array
    unknown: NDArray[np.bool_]
    accuracy: tuple[Accuracy, ...]
    curve: Array
    profile: Array
    solved: tuple[Solved, ...]
    solved_curve: dict[str, Array]
    calibration: Calibration | None
    detections: tuple[Detection, ...]
    milliseconds: dict[str, float]

    @property
    def solve_rate(self) -> float | None:
        """Share of the refined curves that are described within their noise; None if none was refined."""
        return float(np.mean([each.refined_chi2 <= SOLVED for each in self.solved])) if self.solved else None

    @property
    def inside(self) -> dict[str, Array]:
        """Scores of the refined curves, beside which those of curves outside are judged."""
        return scores_of(self.solved)

    @property
    def solvable(self) -> float | None:
        """Share of the same curves that the truth describes within their noise."""
        return float(np.mean([each.truth <= SOLVED for each in self.solved])) if self.solved else None

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        return {
            "model": self.model,
            "how": self.how,
            "accuracy": [each.to_dict(self.names) for each in self.accuracy],
            "curve_error_dex": _summary(self.curve),
            "profile_area_error": _summary(self.profile),
            "refined": {
                "rows": len(self.solved),
                "curve_error_dex": {name: _summary(each) for name, each in self.solved_curve.items()},
                "solve_rate": self.solve_rate,
                "truth_within_noise": self.solvable,
                "largest_reduced_chi2_of_solved": SOLVED,
            },
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "outside": [each.to_dict() for each in self.detections],
            "ms_per_curve": self.milliseconds,
        }


def evaluate(
    model: str | Path | TrainedModel | None = None,
    *,
    test: str | Path | None = None,
    train: str | Path | None = None,
    rows: int = 1000,
    refined: int = 100,
    draws: int = DRAWS,
    verify: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Try a model on curves that it has not seen.

    Parameters
    ----------
    model : folder of a trained model, or a loaded one; None for the one that ships with the package.
    test : dataset whose test rows are measured; None simulates fresh rows of the prior.
    train : dataset that the model was trained on, to make sure that it holds none of the test rows.
    rows : at most.
    refined : rows that are also refined, and whose limit is computed; half as many of each kind of outsider.
    draws : posterior samples of a curve.
    verify : whether blocks of the datasets are compared with their checksums.
    seed : of everything random.
    progress : called with (done, total) curves.

    Raises
    ------
    CheckpointError
        The model cannot be loaded, or the dataset is of another kind.
    ParameterError
        A number without meaning, or test rows that the model has learned from.
    StoreError
        A dataset cannot be used.
    """
    for name, value, least in (
        ("rows", rows, 2),
        ("refined", refined, 0),
        ("draws", draws, BEST_OF),
        ("seed", seed, 0),
    ):
        if value < least:
            raise ParameterError(f"{name} = {value} must be at least {least}")
    if train is not None and test is None:
        raise ParameterError(f"the training rows of {train} can be compared with those of a dataset only; give --test")
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    if test is None:
        held, simulation = fresh(trained, rows, seed)
    else:
        held, simulation = stored(trained, test, rows, train=train, verify=verify)
    n, few = len(held.params), min(refined, len(held.params))
    measured = measure(held.reflectivity, held.params, simulation, trained.measurement, stream(seed, _MEASURE))
    foreign = unlike_curves(trained, simulation, _head(held, few // 2), seed) if few > 1 else {}
    sampled = n * trained.draws
    advance = _counter(sampled + few + len(foreign) * (few // 2), progress)

    ranges, inputs = ranges_of(measured, trained), inputs_of(measured, trained)
    unknown = (ranges.high > ranges.low).numpy()
    estimate = trained.estimate(inputs, ranges)
    samples = sample(trained, inputs, ranges, draws, seed, advance) if trained.draws else None
    prior = _prior(trained, seed)
    span, p = np.where(trained.space.span > 0.0, trained.space.span, np.inf), ranges.parameters
    median = np.median(prior[:, :p], axis=0)
    spread = np.abs(prior[:, :p] - median).mean(axis=0)
    solved = _solve(measured, few, trained, estimate, samples, spread, advance)
    setting = trained.space, trained.experiment, trained.window
    places = {"best draw": "drawn", "refined": "refined"} if trained.draws else {"refined": "refined"}
    ends = {name: _stack([getattr(each, key) for each in solved], p) for name, key in places.items()}
    errors = curve_error(estimate, measured.params, *setting)
    return Evaluation(
        str(trained.path),
        {"data": "fresh" if test is None else str(test), "rows": n, "refined": few, "draws": draws, "seed": seed},
        trained.space.names,
        trained.space.span,
        measured.params,
        estimate,
        unknown[:, :p],
        _accuracies(measured, estimate, median, 100.0 / span, unknown[:, :p], solved),
        errors,
        area_error(estimate, measured.params, trained.space),
        solved,
        {"estimate": errors[:few]}
        | {name: curve_error(x, measured.params[:few], *setting) for name, x in ends.items() if few},
        None if samples is None else _calibration(trained, measured, samples, unknown, prior, seed),
        _detections(trained, foreign, solved, draws, spread, seed, advance),
        milliseconds(trained, inputs),
    )


def ranges_of(measured: Measured, trained: TrainedModel) -> Ranges:
    """What a network is conditioned on, (n, k): its own ranges, and of crystals without damage that they have none."""
    return trained.ranges.narrowed(torch.from_numpy(measured.values), None, None)


def inputs_of(measured: Measured, trained: TrainedModel) -> NDArray[np.float32]:
    """What a network sees of measured curves, (n, 2, points)."""
    return measured.inputs(trained.window)


def sample(
    trained: TrainedModel, inputs: NDArray[np.float32], ranges: Ranges, draws: int, seed: int, advance: Advance
) -> Array:
    """Posterior samples (n, draws, k) of curves that are seen (n, 2, points) within ranges (n, k)."""
    parts = []
    for first in range(0, len(inputs), _TOGETHER):
        here = slice(first, first + _TOGETHER)
        conditions = ranges.rows(here)
        parts.append(trained.draw(inputs[here], draws, conditions, seed + first).values)
        advance(len(parts[-1]))
    return np.concatenate(parts)


def milliseconds(trained: TrainedModel, inputs: NDArray[np.float32]) -> dict[str, float]:
    """Time per curve [ms] on one thread: estimates of 1 and 256 curves at once, and samples where there are any."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = {}
        for size, repeats in _REPEATS.items():
            batch = np.resize(inputs, (size, *inputs.shape[1:]))
            found[f"estimate, batch {size}"] = _timed(partial(trained.estimate, batch), repeats) / size
        if trained.draws:
            found[f"{BEST_OF} samples, batch 1"] = _timed(partial(trained.draw, inputs[:1], BEST_OF), 5)
        return found
    finally:
        torch.set_num_threads(threads)


def _timed(run: Callable[[], object], repeats: int) -> float:
    """Median time [ms], after one pass that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:]))


def _solve(
    measured: Measured,
    count: int,
    trained: TrainedModel,
    estimate: Array,
    samples: Array | None,
    spread: Array,
    advance: Advance,
) -> tuple[Solved, ...]:
    middle = np.broadcast_to([np.mean(trained.measurement.zero), np.mean(trained.measurement.fwhm)], (len(measured), 2))
    begin = np.column_stack([estimate, middle])[:, None] if samples is None else samples[:, :BEST_OF]
    found = []
    for row in range(count):
        found.append(solve(measured, row, trained, begin[row], spread))
        advance(1)
    return tuple(found)


def _accuracies(
    measured: Measured,
    estimate: Array,
    median: Array,
    percent: Array,
    unknown: NDArray[np.bool_],
    solved: tuple[Solved, ...],
) -> tuple[Accuracy, ...]:
    damaged, covers = measured.damaged, measured.covers
    groups = {"all": np.ones(len(measured), bool)}
    if damaged.any() and not damaged.all():
        groups |= {"without damage": ~damaged, "with damage": damaged}
    groups |= {"scan covers the largest strain": covers, "scan ends before it": ~covers}
    limit = percent * _stack([each.limit for each in solved], len(percent))
    error, of_median = (percent * np.abs(guess - measured.params) for guess in (estimate, median))
    limited = np.arange(len(solved))
    return tuple(accuracy(name, chosen, error, of_median, unknown, limited, limit) for name, chosen in groups.items())


def _calibration(
    trained: TrainedModel, measured: Measured, samples: Array, unknown: NDArray[np.bool_], prior: Array, seed: int
) -> Calibration:
    whole, names = trained.ranges, (*trained.space.names, *INSTRUMENT)
    rng = stream(seed, _TARP)
    return calibrate(
        samples, measured.values, unknown, prior.var(axis=0), whole.low[0].numpy(), whole.high[0].numpy(), names, rng
    )


def _detections(
    trained: TrainedModel,
    foreign: dict[str, Measured],
    solved: tuple[Solved, ...],
    draws: int,
    spread: Array,
    seed: int,
    advance: Advance,
) -> tuple[Detection, ...]:
    inside, found = scores_of(solved), []
    for kind, measured in foreign.items():
        ranges, inputs = ranges_of(measured, trained), inputs_of(measured, trained)
        estimate = trained.estimate(inputs, ranges)
        samples = sample(trained, inputs, ranges, BEST_OF, seed, lambda _: None) if trained.draws else None
        ends = _solve(measured, len(measured), trained, estimate, samples, spread, advance)
        found.append(detection(kind, inside, scores_of(ends)))
    return tuple(found)


def scores_of(solved: tuple[Solved, ...]) -> dict[str, Array]:
    """What tells curves outside: (n,) for each of ``xrdml.evaluation.unlike.SCORES``."""
    return {name: np.array([getattr(each, name) for each in solved]) for name in SCORES}


def _prior(trained: TrainedModel, seed: int) -> Array:
    """Draws (_OF_PRIOR, k) of the parameters, zero and FWHM."""
    rng, m = stream(seed, _PRIOR), trained.measurement
    reflection = trained.experiment.reflection
    params = draw_prior(_OF_PRIOR, space=trained.space, reflection=reflection, scan=trained.window, rng=rng)
    return np.column_stack([params, rng.uniform(*m.zero, _OF_PRIOR), rng.uniform(*m.fwhm, _OF_PRIOR)])


def _head(rows: Rows, count: int) -> Rows:
    return Rows(rows.params[:count], rows.reflectivity[:count], rows.density[:count])


def _stack(rows: list[Array], width: int) -> Array:
    return np.array(rows).reshape(len(rows), width)


def _counter(total: int, progress: Callable[[int, int], None] | None) -> Advance:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return advance


def _summary(values: Array) -> dict[str, float]:
    """Mean and quantiles; empty of nothing."""
    if not len(values):
        return {}
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]).tolist()
    return {"mean": float(values.mean()), "median": middle, "10 %": low, "90 %": high}
