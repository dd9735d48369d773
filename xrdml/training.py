"""Train a network to invert rocking curves: the whole loop is on this page.

AdamW (Loshchilov & Hutter, arXiv:1711.05101) with a cosine schedule after a short warm-up, clipped gradients and early
stopping on a validation set whose noise is drawn once. The hierarchical model is trained in two phases: encoder
and coarse head, then the fine head alone. After every epoch the model and the state of the training are on disk.
"""

import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from xrdml.checkpoint import CARD, STATE, definition, load_state, save_model, save_state
from xrdml.data import (
    MEMORY,
    Batch,
    Measurement,
    Minibatch,
    Source,
    Split,
    batches,
    importance,
    make_batch,
    open_source,
    source_of,
    split,
    stream,
    whole_ranges,
)
from xrdml.evaluate import test_errors
from xrdml.known import Narrowing
from xrdml.losses import load_weights, weighted_loss
from xrdml.nets import Architecture, Model, build
from xrdml.process import fast_bfloat16, fast_training
from xrdsim.configuration import Configuration
from xrdsim.errors import CheckpointError, DeviceError, ParameterError, TrainingError
from xrdsim.files import save_json
from xrdsim.fresh import fresh_configuration, fresh_rows
from xrdsim.parameters import ParameterSpace
from xrdsim.store import Dataset, Floats, Rows, open_dataset

DEFAULT_FINE = ("Dmax1", "L1", "Rp1")
"""Parameters that the hierarchical model corrects where no weights say which are the most sensitive."""

WEIGHT_DECAY = 0.01
WARM_UP = 200  # steps, at most a tenth of a phase
CLIP = 5.0  # largest norm of the gradient

METRICS = "metrics.json"

SURPRISE = 0.1
"""Weight of the negative log-likelihood beside the loss on parameters."""

HELD = 2000
"""Fresh curves to validate on, and as many to test on."""

_VALIDATION, _FRESH, _HELD, _TEST = 2, 5, 6, 7  # random streams beside those of the batches


@dataclass(frozen=True)
class Progress:
    """Where a training is; ``validation`` is given after the last batch of an epoch."""

    phase: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    samples_per_second: float
    validation: float | None = None


@dataclass(frozen=True)
class Run:
    """A finished training: its folder and the content of ``metrics.json``."""

    path: Path
    metrics: dict[str, Any]


@fast_training()
def train(
    dataset: str | Path | Dataset | None = "dataset.zarr",
    *,
    simulate: int | None = None,
    space: ParameterSpace | None = None,
    undamaged: float = 0.0,
    narrowing: Narrowing | None = None,
    model: str = "weighted",
    weights: str | Path | ArrayLike | None = None,
    output: str | Path | None = None,
    epochs: int = 16,
    batch_size: int = 128,
    lr: float = 2e-3,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    measurement: Measurement | None = None,
    fine: Sequence[str] | None = None,
    patience: int = 6,
    undo_sampler: bool = False,
    memory: float = MEMORY,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a network on a dataset and evaluate it on the dataset's test rows.

    Writes ``model.safetensors`` (the best epoch), ``model.json`` (its card), ``metrics.json`` and ``state.pt`` after
    every epoch. A run on the same machine is reproducible from its seed, interrupted or not, with any ``memory``.

    Parameters
    ----------
    dataset : path of a dataset or an open one.
    simulate : learn from so many fresh curves of the prior in every epoch, and from no dataset.
    space : their ranges; ``None`` for the default ones, without damage.
    undamaged : share of them without damage, in a space with it.
    narrowing : distribution of the ranges that a flow is told; ``None`` for the default one.
    model : ``weighted``; ``hierarchical`` with a second phase of half as many epochs; or ``flow``.
    weights : of the loss, one a parameter: an array or a ``.npy`` file; ``None`` for ones.
    output : folder to make; ``None`` for ``runs/<model>``, numbered where that exists.
    epochs, batch_size, lr : of the optimisation; lr is the largest learning rate.
    seed : of everything random.
    device : ``cpu`` or ``cuda``, where mixed precision is used.
    resume : continue a training in ``output`` (``None``: the last one of this model) with the same settings.
    measurement : prior of the measurement model; ``None`` for the default one.
    fine : names of the parameters that the hierarchical model corrects; ``None`` for the three of the largest weights.
    patience : epochs without a better validation loss after which a phase ends.
    undo_sampler : weight every row by 1/density, as if the rows came from the prior. The validation loss always is that
        of the prior.
    memory : bytes that the curves may take to be held in memory; more are read anew in every epoch.
    progress : called after every batch.

    Returns
    -------
    Run

    Raises
    ------
    ParameterError
        A setting without meaning; weights that do not fit.
    DeviceError
        The device is not available.
    CheckpointError
        ``output`` holds a model and ``resume`` is not set, or it cannot be resumed with these settings.
    StoreError, OutputError
        The dataset cannot be read, or the output cannot be written.
    TrainingError
        The loss is not finite; the model of the last good epoch is kept.
    KeyboardInterrupt
        With the way to resume as its message.
    """
    where = _device(device)
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("lr", lr), ("patience", patience)):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"{name} = {value} must be positive")
    if seed < 0:
        raise ParameterError(f"seed = {seed} must not be negative")
    material = _material(dataset, simulate, space, undamaged, seed, memory)
    config, prior = material.config, measurement or Measurement()
    space = config.space
    loss_weights = load_weights(weights, space.names)
    corrected = _fine(model, fine, None if weights is None else loss_weights, space.names)
    architecture = Architecture.of(model, config.scan.points, len(space.low), corrected)
    if narrowing is not None and model != Model.FLOW:
        raise ParameterError("narrowing belongs to the model flow; leave it out")
    narrowing = (narrowing or Narrowing()) if model == Model.FLOW else None
    settings: dict[str, Any] = {"weights": loss_weights.tolist(), "epochs": epochs, "batch_size": batch_size, "lr": lr}
    settings |= {"patience": patience, "undo_sampler": undo_sampler, "seed": seed, "dataset": config.to_dict()}
    settings |= {"simulate": simulate, "undamaged": undamaged, "narrowing": narrowing and asdict(narrowing)}
    settings["definition"] = definition(architecture, config, prior)
    folder = _folder(output, model, resume)
    state: dict[str, Any] = {"phase": 0, "epoch": 0, "stale": 0, "best_loss": math.inf, "history": []}
    state = load_state(folder, settings) if resume else state
    save_json(folder / METRICS, {"history": state["history"]})  # an unwritable folder is found now

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(architecture).to(where)
    held_rows = material.validation()
    held = make_batch(held_rows, config, prior, stream(seed, _VALIDATION), narrowing)
    whole = whole_ranges(space, prior)
    span, factors = (torch.tensor(x, dtype=torch.float32, device=where) for x in (space.span, loss_weights))
    size = min(batch_size, material.rows)
    count = material.rows // size
    phases = [("coarse", epochs), ("fine", -(-epochs // 2))] if model == Model.HIERARCHICAL else [("all", epochs)]
    mixed = where.type == "cuda" or fast_bfloat16()

    def loss_of(batch: Batch, weight: Floats) -> Tensor:
        inputs, told, true, unit, row_weight = (
            torch.from_numpy(x).to(where)
            for x in (batch.input, batch.ranges.told(whole), batch.params, batch.unit, weight)
        )
        with torch.autocast(where.type, torch.bfloat16, enabled=mixed and torch.is_grad_enabled()):
            point, surprise = net.learn(inputs, told, unit)
        loss = weighted_loss(batch.ranges.values(point.float()), true, span, factors, row_weight)
        return loss if surprise is None else loss + SURPRISE * (row_weight * surprise).mean()

    try:
        while state["phase"] < len(phases):
            phase, planned = phases[state["phase"]]
            trained = _choose(net, phase)
            optimizer = torch.optim.AdamW(trained.parameters(), weight_decay=WEIGHT_DECAY, fused=True)
            if state["epoch"] > 0:
                net.load_state_dict(state["net"])
                optimizer.load_state_dict(state["optimizer"])
            elif state["phase"] > 0:
                net.load_state_dict(state["best"])
            while state["epoch"] < planned and state["stale"] < patience:
                epoch = state["epoch"]
                net.eval()
                trained.train()
                began, total = time.perf_counter(), 0.0
                source, index, weight = material.epoch(len(state["history"]), undo_sampler)
                drawn = batches(source, index, weight, prior, size, seed, len(state["history"]), narrowing)
                for number, batch in enumerate(drawn, start=1):
                    for group in optimizer.param_groups:
                        group["lr"] = lr * _schedule(epoch * count + number, planned * count)
                    loss = loss_of(batch, batch.weight)
                    total += float(loss.detach())
                    if not math.isfinite(total):
                        raise TrainingError(
                            f"the loss is not finite in phase {phase}, epoch {epoch + 1}, batch {number}; the best "
                            f"model of the epochs before is kept in {folder}: train again with lr below {lr:g}"
                        )
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(trained.parameters(), CLIP)
                    optimizer.step()
                    if progress:
                        rate = number * size / (time.perf_counter() - began)
                        progress(Progress(phase, epoch + 1, planned, number, count, total / number, rate))
                net.eval()
                with torch.no_grad():
                    validation = float(loss_of(held, held.weight))
                state["history"].append(
                    {"phase": phase, "epoch": epoch + 1, "loss": total / count, "validation": validation}
                )
                state |= {"epoch": epoch + 1, "stale": state["stale"] + 1}
                if validation < state["best_loss"] or "best" not in state:
                    state |= {"stale": 0, "best_loss": validation, "best": _copy(net)}
                state |= {"net": _copy(net), "optimizer": optimizer.state_dict()}
                _save(folder, state, settings, {"history": state["history"]})
                if progress:
                    rate = count * size / (time.perf_counter() - began)
                    progress(Progress(phase, epoch + 1, planned, count, count, total / count, rate, validation))
            state |= {"phase": state["phase"] + 1, "epoch": 0, "stale": 0}
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the finished epochs are kept in {folder}: continue with the same command and --resume "
            f"-o {folder} (resume=True)"
        ) from None

    net.load_state_dict(state["best"])
    metrics = {"history": state["history"], "test": test_errors(net.eval(), *material.test(), prior)}
    _save(folder, state, settings, metrics)
    return Run(folder, metrics)


@dataclass(frozen=True, eq=False)
class _Stored:
    """Rows of a dataset, the same in every epoch."""

    data: Dataset
    source: Source
    parts: Split

    @property
    def config(self) -> Configuration:
        return self.data.config

    @property
    def rows(self) -> int:
        return len(self.parts.train)

    def epoch(self, epoch: int, undo_sampler: bool) -> tuple[Source, NDArray[np.int64], Floats]:
        train = self.parts.train
        weight = importance(self.source.density, train) if undo_sampler else np.ones(len(self.data), np.float32)
        return self.source, train, weight

    def validation(self) -> Minibatch:
        held = self.parts.validation
        weight = importance(self.source.density, held)[held]
        return Minibatch(self.source.reflectivity(held), self.source.params[held], weight)

    def test(self) -> tuple[Configuration, Rows, Floats]:
        return self.config, self.data.load("test"), self.source.params


@dataclass(frozen=True, eq=False)
class _Fresh:
    """Rows of the prior, others in every epoch."""

    config: Configuration
    rows: int
    undamaged: float
    seed: int

    def epoch(self, epoch: int, undo_sampler: bool) -> tuple[Source, NDArray[np.int64], Floats]:
        rows = self._draw(self.rows, _FRESH, epoch)
        return source_of(rows, self.config), np.arange(self.rows), rows.density

    def validation(self) -> Minibatch:
        rows = self._draw(HELD, _HELD)
        return Minibatch(rows.reflectivity, rows.params, rows.density)

    def test(self) -> tuple[Configuration, Rows, Floats]:
        rows = self._draw(HELD, _TEST)
        return self.config, rows, rows.params

    def _draw(self, n: int, *key: int) -> Rows:
        return fresh_rows(self.config, n, stream(self.seed, *key), self.undamaged)


def _material(
    dataset: str | Path | Dataset | None,
    simulate: int | None,
    space: ParameterSpace | None,
    undamaged: float,
    seed: int,
    memory: float,
) -> _Stored | _Fresh:
    """What is learned from."""
    if simulate is not None:
        if simulate < 2:
            raise ParameterError(f"simulate = {simulate} must be at least 2 curves an epoch")
        return _Fresh(fresh_configuration(space=space), simulate, undamaged, seed)
    if space is not None or undamaged:
        raise ParameterError(
            "space and undamaged are for curves that are simulated; a dataset has its own: leave them out"
        )
    if dataset is None:
        raise ParameterError("give a dataset, or simulate = the number of curves an epoch")
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    return _Stored(data, open_source(data, memory), split(len(data), seed))


def _schedule(step: int, steps: int) -> float:
    """Part of the largest learning rate: linear warm-up, then half a cosine down to a hundredth."""
    warm = min(WARM_UP, max(steps // 10, 1))
    return min(step / warm, 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / steps)))


def _choose(net: nn.Module, phase: str) -> nn.Module:
    """Freeze what a phase does not train; what it does."""
    net.requires_grad_(phase != "fine")
    if phase == "all":
        return net
    fine = net.get_submodule("fine").requires_grad_(phase == "fine")
    return fine if phase == "fine" else net


def _save(folder: Path, state: dict[str, Any], settings: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Write the model, its card, the metrics and, last, the state from which all could be written again."""
    training = {name: value for name, value in settings.items() if name not in ("definition", "dataset")}
    versions = {name: version(name) for name in ("xrdsim", "torch", "numpy")} | {"python": platform.python_version()}
    card = {"definition": settings["definition"], "training": training, "dataset": settings["dataset"]}
    save_model(folder, state["best"], card | {"versions": versions} | metrics)
    save_json(folder / METRICS, metrics)
    save_state(folder, state | {"settings": json.dumps(settings)})


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in net.state_dict().items()}


def _device(name: str) -> torch.device:
    if name == "cpu" or (name == "cuda" and torch.cuda.is_available()):
        return torch.device(name)
    known = "cpu or cuda" if torch.cuda.is_available() else "cpu: this installation of torch finds no CUDA device"
    raise DeviceError(f"device {name!r} is not available; choose {known}")


def _fine(
    model: str, fine: Sequence[str] | None, weights: NDArray[np.float64] | None, names: tuple[str, ...]
) -> tuple[int, ...]:
    """Columns that the hierarchical model corrects; refuses an unknown model or name."""
    if model not in list(Model):
        raise ParameterError(f"model {model!r} is unknown; choose {', '.join(Model)}")
    if model != Model.HIERARCHICAL:
        if fine is not None:
            raise ParameterError("fine belongs to the hierarchical model; leave it out")
        return ()
    if fine is None and weights is not None:
        return tuple(sorted(int(column) for column in np.argsort(-weights, kind="stable")[:3]))
    chosen = DEFAULT_FINE if fine is None else tuple(fine)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(names):
        raise ParameterError(f"fine = {', '.join(chosen) or 'nothing'}; name some of {', '.join(names)}, each once")
    return tuple(names.index(name) for name in chosen)


def _folder(output: str | Path | None, model: str, resume: bool) -> Path:
    """Where to write: what was asked for, or the next free (resumed: the last) of runs/model, runs/model-2, …"""
    if output is None:
        folder, number = Path("runs") / model, 1
        while (folder / STATE).exists():
            number += 1
            latest, folder = folder, Path("runs") / f"{model}-{number}"
        return latest if resume and number > 1 else folder
    folder = Path(output)
    if not resume and ((folder / CARD).exists() or (folder / STATE).exists()):
        raise CheckpointError(
            f"{folder} holds a trained model; continue it with --resume (resume=True) or choose another folder"
        )
    return folder
