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
from numpy.typing import ArrayLike
from torch import Tensor, nn

from xrdml import checkpoint
from xrdml.checkpoint import State, estimate
from xrdml.data import Measurement, batches, draw_batch, split, stream
from xrdml.evaluate import errors
from xrdml.losses import load_weights, weighted_loss
from xrdml.memory import keep_freed_memory
from xrdml.nets import Architecture, Model, build, to_parameters
from xrdsim.errors import CheckpointError, DeviceError, ParameterError, XrdError
from xrdsim.store import Dataset, open_dataset

DEFAULT_FINE = ("Dmax1", "L1", "Rp1")
"""Parameters that the hierarchical model corrects where no weights say which are the most sensitive."""

WEIGHT_DECAY = 0.01
WARM_UP = 200  # steps, at most a tenth of a phase
CLIP = 1.0  # largest norm of the gradient

_VALIDATION, _TEST = 2, 3  # random streams beside those of the batches


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
    """A finished training: its folder, the content of ``metrics.json`` and one record per epoch."""

    path: Path
    metrics: dict[str, Any]
    history: tuple[dict[str, Any], ...]


def train(
    dataset: str | Path | Dataset = "dataset.zarr",
    *,
    model: str = "weighted",
    weights: str | Path | ArrayLike | None = None,
    output: str | Path | None = None,
    epochs: int = 12,
    batch_size: int = 256,
    lr: float = 2e-3,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    measurement: Measurement | None = None,
    fine: Sequence[str] | None = None,
    patience: int = 6,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a network on a dataset and evaluate it on the dataset's test rows.

    Writes ``model.safetensors`` (the best epoch), ``model.json`` (its card), ``metrics.json`` and ``state.pt`` after every
    epoch. A run on the same machine is reproducible from its seed, interrupted or not.

    Parameters
    ----------
    dataset : path of a dataset or an open one.
    model : ``weighted``, or ``hierarchical`` with a second phase of half as many epochs.
    weights : of the loss, one a parameter: an array or a ``.npy`` file; ``None`` for ones.
    output : folder to make; ``None`` for ``runs/<model>``, numbered where that exists.
    epochs, batch_size, lr : of the optimisation; lr is the largest learning rate.
    seed : of everything random.
    device : ``cpu`` or ``cuda``, where mixed precision is used.
    resume : continue an interrupted training in ``output`` (``None``: the last one of this model) with the same settings.
    measurement : prior of the measurement model; ``None`` for the default one.
    fine : names of the parameters that the hierarchical model corrects; ``None`` for the three of the largest weights.
    patience : epochs without a better validation loss after which a phase ends.
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
    XrdError
        The loss is not finite; the model of the last good epoch is kept.
    KeyboardInterrupt
        With the way to resume as its message.
    """
    where = _device(device)
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    config, space, measured_by = data.config, data.config.space, measurement or Measurement()
    loss_weights = load_weights(weights, space.names)
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("lr", lr), ("patience", patience)):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"{name} = {value} must be positive")
    architecture = Architecture(
        _kind(model), config.scan.points, len(space.low), _fine(model, fine, weights is not None, loss_weights, space.names)
    )
    meaning = checkpoint.definition(architecture, config, measured_by)
    settings = {"weights": loss_weights.tolist(), "epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    settings |= {"patience": patience, "dataset": config.to_dict(), "definition": meaning}
    settings = json.loads(json.dumps(settings))
    folder = _folder(output, model, resume)
    state: State = checkpoint.load_state(folder, settings) if resume else {"phase": 0, "epoch": 0, "history": []}

    keep_freed_memory()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(architecture).to(where)
    rows = data.load("train")
    parts = split(len(rows.params), seed)
    held = draw_batch(rows.reflectivity[parts.validation], config, measured_by, stream(seed, _VALIDATION))
    truth = torch.from_numpy(rows.params[parts.validation])
    span, factors = (torch.tensor(x, dtype=torch.float32, device=where) for x in (space.span, loss_weights))
    size = min(batch_size, len(parts.train))
    count = len(parts.train) // size
    phases = [("all", epochs)] if architecture.kind == Model.WEIGHTED else [("coarse", epochs), ("fine", -(-epochs // 2))]

    def validate() -> float:
        net.eval()
        with torch.inference_mode():
            estimated = torch.from_numpy(estimate(net, held, space)).float()
            return float(weighted_loss(estimated, truth, span.cpu(), factors.cpu()))

    try:
        for phase in range(state["phase"], len(phases)):
            name, planned = phases[phase]
            trained = _choose(net, name)
            optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], weight_decay=WEIGHT_DECAY)
            if state["epoch"] > 0:
                net.load_state_dict(state["net"])
                optimizer.load_state_dict(state["optimizer"])
            else:
                if phase > 0:
                    net.load_state_dict(state["best"])
                state |= {"phase": phase, "best_loss": validate() if phase > 0 else math.inf, "stale": 0}
            while state["epoch"] < planned and state["stale"] < patience:
                epoch, began, total = state["epoch"], time.perf_counter(), 0.0
                net.eval()
                trained.train()
                drawn = batches(rows, parts.train, config, measured_by, size, seed, sum(e for _, e in phases[:phase]) + epoch)
                for batch, (inputs, params) in enumerate(drawn):
                    for group in optimizer.param_groups:
                        group["lr"] = lr * _schedule(epoch * count + batch, planned * count)
                    with torch.autocast(where.type, torch.bfloat16, enabled=where.type == "cuda"):
                        unit = net(torch.from_numpy(inputs).to(where))
                    true = torch.from_numpy(params).to(where)
                    loss = weighted_loss(to_parameters(unit.float(), space), true, span, factors)
                    value = float(loss.detach())
                    if not math.isfinite(value):
                        raise XrdError(
                            f"the loss is {value} in phase {name}, epoch {epoch + 1}, batch {batch + 1}; the model of the epochs "
                            f"before, if any, is kept in {folder}: train again with a smaller lr than {lr:g}"
                        )
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(trained.parameters(), CLIP)
                    optimizer.step()
                    total += value
                    if progress and batch + 1 < count:
                        rate = (batch + 1) * size / (time.perf_counter() - began)
                        progress(Progress(name, epoch + 1, planned, batch + 1, count, total / (batch + 1), rate))
                rate = count * size / (time.perf_counter() - began)
                validation = validate()
                better = validation < state["best_loss"] or "best" not in state
                state["history"].append({"phase": name, "epoch": epoch + 1, "loss": total / count, "validation": validation})
                state |= {"epoch": epoch + 1, "stale": 0 if better else state["stale"] + 1}
                if better:
                    state |= {"best_loss": validation, "best": _copy(net)}
                state |= {"net": _copy(net), "optimizer": optimizer.state_dict()}
                _save(folder, state, settings, config.to_dict(), {"history": state["history"]})
                if progress:
                    progress(Progress(name, epoch + 1, planned, count, count, total / count, rate, validation))
            state["epoch"] = 0
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"training interrupted; its finished epochs are kept in {folder}: continue with --resume -o {folder} "
            "(resume=True) and the same settings"
        ) from None

    net.load_state_dict(state["best"])
    net.eval()
    metrics = {"history": state["history"], "test": _test(net, data, rows.params, measured_by)}
    _save(folder, state | {"phase": len(phases)}, settings, config.to_dict(), metrics)
    return Run(folder, metrics, tuple(state["history"]))
