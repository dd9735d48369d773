"""The curves on which a study tries its models: the same for all, drawn and measured once, none of them learned from.

iid         rows of the prior, measured as in training
edges       rows of the sampler ``edge`` that favours both ends of every parameter's range
twins       pairs of rows whose curves are at most TWIN_DEX apart, and a parameter at least TWIN_PART of its range
low-counts  the rows of iid with 1e3 … 1e4 counts at R = 1, fewer than in training
wide-fwhm   the rows of iid with an instrument of 60 … 80″, the widest of training

A twin of a row of the prior lies on the straight line through it along the eigenvector of the smallest eigenvalue of
its metric (``xrdml.training.metrics``), in parts of the ranges; the longest of some steps is taken whose end is valid
and whose curve, simulated, is within TWIN_DEX. Their curves are seen with 30″ and a background of 1e-4, and each of the
two is measured with its own noise.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdml.data.measurement import WHOLE_CURVE, measure
from xrdml.data.source import stream
from xrdml.evaluation.holdout import refuse_known
from xrdml.training.metrics import BACKGROUND, FWHM, measure_metrics
from xrdsim.dataset.fresh import stored_curves
from xrdsim.dataset.reading import open_dataset
from xrdsim.dataset.samplers import sample
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Floats
from xrdsim.errors import StoreError
from xrdsim.files import replacing
from xrdsim.forward.model import simulate
from xrdsim.forward.prior import draw_prior, valid
from xrdsim.limits import Json

Array = NDArray[np.float64]

TWIN_DEX = 0.02
"""Largest RMS difference of log10 intensity between the curves of twins."""

TWIN_PART = 0.2
"""Least difference of twins in one parameter, in parts of its range."""

SEED = 40_000_003
"""Of the test rows; data sets of a study have small seeds."""

NAMES = ("iid", "edges", "twins", "low-counts", "wide-fwhm")

_STEPS = (0.8, 0.6, 0.45, 0.35, 0.25, 0.2)  # distances to a twin, in parts of the ranges
_TOGETHER = 256  # rows whose twins are searched at once
_MOST = 200  # times as many rows as that at most
_RTOL = 1e-3  # accuracy of the compared curves in dex
_PRIOR, _TWINS, _NOISE = 60, 61, 62  # random streams


@dataclass(frozen=True, eq=False)
class Held:
    """A test set.

    Attributes
    ----------
    params : (n, 7 or 9).
    inputs : (n, 2, points) what a network sees of their measured curves.
    groups : (n,) rows that belong together, as twins do, have the same number; each group has as many.
    """

    params: Floats
    inputs: Floats
    groups: NDArray[np.int64]


def load_sets(folder: Path, simulation: Simulation, n: int) -> dict[str, Held]:
    """The test sets in a folder, each made where it is missing.

    Parameters
    ----------
    folder : of their files, ``NAME.npz``.
    simulation : of the dataset that models learn from.
    n : rows of each, even.

    Raises
    ------
    StoreError
        A file cannot be read.
    """
    found = {}
    for number, name in enumerate(NAMES):
        path = folder / f"{name}.npz"
        if not path.exists():
            made = make_set(name, simulation, n, stream(SEED, _NOISE, number))
            with replacing(path) as temporary:
                np.savez(temporary, params=made.params, inputs=made.inputs, groups=made.groups)
        try:
            with np.load(path) as file:
                found[name] = Held(file["params"], file["inputs"], file["groups"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StoreError(f"{path} cannot be read ({error}); remove it to have it made again") from error
    return found


def make_set(name: str, simulation: Simulation, n: int, rng: np.random.Generator) -> Held:
    """Draw and measure one test set of n rows; rng draws the measurement."""
    prior, groups = WHOLE_CURVE, np.arange(n)
    if name == "twins":
        pairs = twins(simulation, n // 2)
        params, groups = pairs.reshape(2 * len(pairs), -1), np.arange(n) // 2
    elif name == "edges":
        names = tuple(simulation.space.names[j] for j in simulation.space.free)
        window: Json = {"reflection": simulation.experiment.reflection, "scan": simulation.scan}
        params = sample("edge", n, seed=SEED, space=simulation.space, edge=names, **window).params.astype(np.float32)
    else:
        params = _prior(simulation, n, _PRIOR)
        changes: Json = {"low-counts": {"counts": (1e3, 1e4)}, "wide-fwhm": {"fwhm": (60.0, 80.0)}}
        prior = replace(prior, **changes.get(name, {}))
    curves = stored_curves(params, simulation)
    inputs = measure(curves, params, simulation, prior, rng).inputs(simulation.scan)
    return Held(params, inputs, groups)


def twins(simulation: Simulation, pairs: int) -> Floats:
    """Pairs of rows (pairs, 2, 7 or 9) with nearly the same curve.

    Raises
    ------
    StoreError
        Hardly any row of these ranges has a twin.
    """
    found: list[Floats] = []
    count = 0
    for attempt in range(_MOST * (pairs // _TOGETHER + 1)):
        rows = _prior(simulation, _TOGETHER, _TWINS, attempt)
        found.append(_twins_of(rows, simulation))
        count += len(found[-1])
        if count >= pairs:
            return np.concatenate(found)[:pairs]
    raise StoreError(f"only {count} rows of these ranges have twins, not {pairs}; take fewer test rows or wider ranges")


def twin_difference(pairs: Floats, simulation: Simulation) -> tuple[Array, Array]:
    """Of pairs (m, 2, p): RMS curve difference [dex], and the largest of the parameters in parts of its range, (m,)."""
    first, second = (_log_curves(pairs[:, i], simulation) for i in (0, 1))
    return _rms(first - second), _parts(pairs[:, 1], pairs[:, 0], simulation)


def check_sets(sets: dict[str, Held], datasets: dict[str, Path]) -> None:
    """Refuse test rows that are in a dataset.

    Raises
    ------
    ParameterError
        Names the set, the dataset and the row.
    """
    for source in datasets.values():
        learned = open_dataset(source).params()
        for name, held in sets.items():
            refuse_known(held.params, learned, f"the test set {name}", source)


def _twins_of(rows: Floats, simulation: Simulation) -> Floats:
    """Pairs (m, 2, p) of those rows (n, p) that have a twin."""
    values, vectors = np.linalg.eigh(measure_metrics(rows, simulation).astype(np.float64))
    weak = np.where(simulation.space.span > 0.0, vectors[:, :, 0], 0.0)
    own, twin = _log_curves(rows, simulation), rows.copy()
    waiting = np.sqrt(np.maximum(values[:, 0], 0.0)) * TWIN_PART < 10.0 * TWIN_DEX  # others are hopeless
    for step in _STEPS:
        for sign in (1.0, -1.0):
            there = (rows + sign * step * weak * simulation.space.span).astype(np.float32)
            trial = waiting & valid(
                there.astype(np.float64), simulation.space, simulation.experiment.reflection, simulation.scan
            )
            trial &= _parts(there, rows, simulation) >= TWIN_PART
            index = np.flatnonzero(trial)
            if len(index):
                index = index[_rms(_log_curves(there[index], simulation) - own[index]) <= TWIN_DEX]
                twin[index], waiting[index] = there[index], False
    got = np.any(twin != rows, axis=1)
    return np.stack([rows[got], twin[got]], axis=1)


def _log_curves(rows: Floats, simulation: Simulation) -> Array:
    experiment = simulation.experiment.within(_RTOL)
    seen = simulate(
        rows, fwhm=FWHM, background=BACKGROUND, experiment=experiment, scan=simulation.scan, space=simulation.space
    )
    return np.asarray(np.log10(seen.intensity))


def _rms(difference: Array) -> Array:
    return np.asarray(np.sqrt(np.mean(difference**2, axis=1)))


def _parts(rows: Floats, others: Floats, simulation: Simulation) -> Array:
    span = np.where(simulation.space.span > 0.0, simulation.space.span, np.inf)
    return np.asarray(np.max(np.abs(rows.astype(np.float64) - others) / span, axis=1))


def _prior(simulation: Simulation, n: int, *key: int) -> Floats:
    rng = stream(SEED, *key)
    rows = draw_prior(
        n, space=simulation.space, reflection=simulation.experiment.reflection, scan=simulation.scan, rng=rng
    )
    return rows.astype(np.float32)
