"""Rows that a model is tried on: fresh ones of its prior, or the test rows of a dataset, none of which it has seen."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdml.data.source import stream
from xrdml.networks.checkpoint import TrainedModel
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.fresh import fresh_rows
from xrdsim.dataset.reading import open_dataset
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Floats, Rows
from xrdsim.errors import CheckpointError, ParameterError, StoreError
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace

UNDAMAGED = 0.5
"""Share of fresh rows without damage, where a model knows damage."""

_FRESH = 20  # random stream beside those of a training
_RTOL = 1e-4  # accuracy of fresh curves [dex]


def fresh(trained: TrainedModel, n: int, seed: int) -> tuple[Rows, Simulation]:
    """Rows of the model's prior, simulated with its experiment; of a model with damage, some have none.

    Raises
    ------
    ParameterError
        Fewer than 2 rows, or a model of layers, which only a dataset can have.
    """
    if n < 2:
        raise ParameterError(f"rows = {n} must be at least 2")
    if trained.experiment.layers is not None:
        raise ParameterError(f"{trained.path} was trained on layers, of which no fresh rows are made; give --test")
    simulation = Simulation(trained.space, trained.window, trained.experiment.within(_RTOL))
    return fresh_rows(simulation, n, stream(seed, _FRESH), UNDAMAGED if trained.space.damage else 0.0), simulation


def stored(
    trained: TrainedModel,
    path: str | Path,
    n: int,
    *,
    train: str | Path | None = None,
    part: str = Part.TEST,
    verify: bool = True,
) -> tuple[Rows, Simulation]:
    """The first n test rows of a dataset of the model's kind.

    Parameters
    ----------
    trained : the model.
    path : of the dataset.
    n : rows at most.
    train : dataset that the model was trained on, none of whose rows may be among them.
    part : of the dataset; only its test rows are given.
    verify : whether blocks are compared with their checksums.

    Raises
    ------
    CheckpointError
        Parameters, scan, convention or reflection are not those of the model.
    ParameterError
        The training rows were asked for, or test rows are among the training rows.
    StoreError
        A path is not a complete dataset, or it has no test rows.
    """
    if Part(part) is not Part.TEST:
        raise ParameterError(
            f"the part {part!r} of {path} is there to learn from; evaluate its part {Part.TEST.value!r}"
        )
    data = open_dataset(path, verify=verify)
    check_kind(trained, data.config.simulation, path)
    if min(n, data.config.test_rows) < 2:
        raise StoreError(f"{path} has {data.config.test_rows} test rows; make it with `xrd gen --test-rows`")
    rows = data.load(Part.TEST, slice(0, n))
    for other in (path, train):
        if other is not None:
            refuse_known(rows.params, open_dataset(other, verify=verify).params(), path, other)
    return rows, data.config.simulation


def check_kind(trained: TrainedModel, simulation: Simulation, path: str | Path) -> None:
    """Refuse rows of another parameter table, scan or experiment than the card of the model states.

    Raises
    ------
    CheckpointError
        Names what differs, and both values.
    """
    mine = kind(trained.space) | {"scan": trained.window.to_dict()} | trained.experiment.to_dict()
    theirs = kind(simulation.space) | {"scan": simulation.scan.to_dict()} | simulation.experiment.to_dict()
    for name, value in mine.items():
        if theirs[name] != value:
            raise CheckpointError(
                f"{path} has the {name} {_short(theirs[name])}, the model {trained.path} {_short(value)}; give test "
                "rows of the model's kind, or leave --test out for fresh ones"
            )


def kind(space: ParameterSpace) -> Json:
    """What identifies a parameter table."""
    limits = {
        f"range of {name}": [low, high] for name, low, high in zip(space.names, space.low, space.high, strict=True)
    }
    return {"parameters": list(space.names), **limits, "largest D01 + D02": space.strain_sum}


def refuse_known(rows: Floats, learned: Floats, path: str | Path, train: str | Path) -> None:
    """Refuse rows (n, p) of which one is bit for bit among those (m, p) that were learned from.

    Raises
    ------
    ParameterError
        Names their number and the first.
    """
    if rows.shape[1] != learned.shape[1]:
        return
    known = np.isin(_identity(rows), _identity(learned))
    if known.any():
        raise ParameterError(
            f"{known.sum()} of the {len(rows)} test rows of {path}, the first of them row {int(np.argmax(known))}, are "
            f"training rows of {train}; make test rows with another seed"
        )


def _identity(rows: Floats) -> NDArray[np.void]:
    """The bytes (n,) of each row."""
    plain = np.ascontiguousarray(rows, np.float32) + np.float32(0.0)  # −0 is 0
    return plain.view(np.dtype((np.void, plain.shape[1] * plain.itemsize))).ravel()


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {value[name]}" for name in ("crystal", "hkl", "start", "step", "points") if name in value
        )
    return " … ".join(f"{end:g}" for end in value) if isinstance(value, list) and len(value) == 2 else str(value)
