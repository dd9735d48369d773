"""Train a network to invert rocking curves: the whole loop is on this page.

Muon (``xrdml.training.muon``) for hidden weights and AdamW (Loshchilov & Hutter, arXiv:1711.05101) for the others, with
a cosine schedule after a short warm-up, clipped gradients and early stopping on a validation set whose noise is drawn
once. The hierarchical model is trained in two phases: encoder and coarse head, then the fine head alone. After every
epoch the model and the state of the training are on disk.
"""

import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from xrdml.data.prior import WHOLE_CURVE, Measurement
from xrdml.data.ranges import Narrowing, whole_ranges
from xrdml.data.source import MEMORY, batches, make_batch, stream
from xrdml.evaluation.errors import test_errors
from xrdml.networks.checkpoint import CARD, STATE, definition, load_state, save_model, save_state
from xrdml.networks.losses import load_weights
from xrdml.networks.nets import Architecture, Model, build
from xrdml.networks.processors import fast_bfloat16, fast_training, tensor_cores
from xrdml.training.correction import choose_fine
from xrdml.training.epoch import Steps, learn, optimizers_of
from xrdml.training.finetuning import LR as FINETUNING_LR
from xrdml.training.finetuning import starting_weights
from xrdml.training.metrics import Metrics
from xrdml.training.objective import Objective, choose_loss
from xrdml.training.rows import choose_rows
from xrdsim.dataset.reading import Dataset
from xrdsim.errors import CheckpointError, DeviceError, ParameterError, TrainingError
from xrdsim.files import save_json
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace

LR = 2e-3
"""Largest learning rate of a training that begins with random weights."""

FISHER = "fisher"
"""Name that asks for a metric of each sample instead of weights."""

OPTIMIZER = "muon"
"""Of the hidden weights; trainings of earlier versions had AdamW for all."""

BATCH = {"cpu": 128, "cuda": 2048}
"""Curves in one step of the optimiser, where nothing else is said."""

METRICS = "metrics.json"

_VALIDATION = 2  # random stream beside those of the batches


@dataclass(frozen=True)
class Progress:
    """Where a training is; ``validation`` is given after the last batch of an epoch.

    While metrics are measured the phase is ``metrics``, and there is no loss: NaN.
    """

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
    metrics: Json


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
    loss: str = "parameters",
    alpha: float | None = None,
    curve_share: float | None = None,
    finetune: str | Path | None = None,
    output: str | Path | None = None,
    epochs: int = 16,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    full_precision: bool = False,
    resume: bool = False,
    measurement: Measurement | None = None,
    fine: Sequence[str] | None = None,
    patience: int = 6,
    undo_sampler: bool = False,
    memory: float = MEMORY,
    verify: bool = True,
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
    narrowing : distribution of the ranges that a flow is conditioned on; ``None`` for the default one.
    model : ``weighted``; ``hierarchical`` with a second phase of half as many epochs; ``flow``; ``multitask``, which
        also learns to give the noise-free curve; or ``attention``.
    weights : of the loss, one a parameter: an array or a ``.npy`` file; ``None`` for ones. ``fisher`` for the metric
        JᵀJ of each sample instead, with J = ∂log10 I/∂p as ``xrdml.training.metrics`` states.
    loss : ``parameters``; or ``curve``, also the difference between the simulated estimate and the noise-free curve.
    alpha : weight of the curves, that of the parameters being 1 − alpha; ``None`` for 0.5. It grows from 0 at first,
        but not when a model is tuned.
    curve_share : part of every batch whose curves are simulated; ``None`` for 0.125.
    finetune : folder of a trained model of the same network, parameter table and window, whose weights to begin with.
    output : folder to make; ``None`` for ``runs/<model>``, numbered where that exists.
    epochs, batch_size, lr : of the optimisation; ``None`` for batches of 128, on a card of 2048. lr is the largest
        learning rate, ``None`` for 2e-3, or 3e-4 where a model is tuned.
    seed : of everything random.
    device : ``cpu`` or ``cuda``.
    full_precision : the network computes in float32; else its convolutions and heads do in bfloat16 where that is
        faster, whose rounding a posterior takes for noise.
    resume : continue a training in ``output`` (``None``: the last one of this model) with the same settings.
    measurement : prior of the measurement model; ``None`` for that of whole curves.
    fine : names of the parameters that the hierarchical model corrects; ``None`` for the three of the largest
        weights, or to which curves are most sensitive where there are none.
    patience : epochs without a better validation loss after which a phase ends.
    undo_sampler : weight every row by 1/density, as if the rows came from the prior. The validation loss always is that
        of the prior.
    memory : bytes that the curves may take to be held in memory; more are read anew in every epoch.
    verify : whether the blocks of a dataset that is given by its path are compared with their checksums.
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
        ``output`` holds a model and ``resume`` is not set, or it cannot be resumed with these settings; the model to
        tune is missing or another one.
    StoreError, OutputError
        The dataset cannot be read, or the output cannot be written.
    TrainingError
        The loss is not finite; the model of the last good epoch is kept.
    KeyboardInterrupt
        With the way to resume as its message.
    """
    where = _device(device)
    lr = (LR if finetune is None else FINETUNING_LR) if lr is None else lr
    batch_size = BATCH[where.type] if batch_size is None else batch_size
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("lr", lr), ("patience", patience)):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"{name} = {value} must be positive")
    if seed < 0:
        raise ParameterError(f"seed = {seed} must not be negative")
    if model not in list(Model):
        raise ParameterError(f"model {model!r} is unknown; choose {', '.join(Model)}")
    if narrowing is not None and model != Model.FLOW:
        raise ParameterError("narrowing belongs to the model flow; leave it out")
    narrowing = (narrowing or Narrowing()) if model == Model.FLOW else None
    learned = choose_rows(dataset, simulate, space, undamaged, seed, memory, verify, where)
    simulation, prior = learned.simulation, measurement or WHOLE_CURVE
    space = simulation.space
    curve = choose_loss(loss, alpha, curve_share, simulation.experiment.layers)
    fisher = isinstance(weights, str) and weights == FISHER
    factors = load_weights(None if fisher else weights, space.names)
    corrected, measured = choose_fine(model, fine, None if fisher or weights is None else factors, simulation)
    architecture = Architecture.of(model, simulation.scan.points, len(space.low), corrected)
    meaning = definition(architecture, simulation, prior) | {"architecture": architecture.to_dict()}
    folder = _folder(output, model, resume)
    start, tuned = (None, None) if finetune is None else starting_weights(finetune, meaning, folder)
    settings: Json = {"optimizer": OPTIMIZER}
    settings |= {"weights": FISHER if fisher else factors.tolist(), "epochs": epochs, "lr": lr}
    settings |= {"batch_size": batch_size, "patience": patience, "undo_sampler": undo_sampler, "seed": seed}
    settings |= {"simulate": simulate, "undamaged": undamaged, "narrowing": narrowing and asdict(narrowing)}
    settings |= {"curve": curve and asdict(curve), "finetune": tuned, "dataset": learned.to_dict()}
    settings |= {"full_precision": full_precision}
    settings |= {"definition": meaning, "sensitivity": measured}
    state: Json = {"phase": 0, "epoch": 0, "stale": 0, "best_loss": math.inf, "history": []}
    state = load_state(folder, settings) if resume else state
    held_rows, tested = learned.validation(), learned.test()  # damaged blocks are found before anything is written
    save_json(folder / METRICS, {"history": state["history"]})  # an unwritable folder is found now

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(architecture).to(where)
    if start is not None:
        net.load_state_dict(start)
    held = make_batch(held_rows, simulation, prior, stream(seed, _VALIDATION), narrowing)
    metrics = Metrics(simulation, held_rows.params.cpu().numpy()) if fisher else None
    mixed = not full_precision and (where.type == "cuda" or fast_bfloat16())
    objective = Objective(
        simulation, whole_ranges(space, prior, where), factors, where, mixed, metrics, curve, start is None
    )
    size = min(batch_size, learned.rows)
    count = learned.rows // size
    phases = [("coarse", epochs), ("fine", -(-epochs // 2))] if model == Model.HIERARCHICAL else [("all", epochs)]

    try:
        tensor_cores(where)
        while state["phase"] < len(phases):
            phase, planned = phases[state["phase"]]
            trained = _choose(net, phase)
            optimizers = optimizers_of(trained)
            if state["epoch"] > 0:
                net.load_state_dict(state["net"])
                for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
                    optimizer.load_state_dict(kept)
            elif state["phase"] > 0:
                net.load_state_dict(state["best"])
            while state["epoch"] < planned and state["stale"] < patience:
                epoch = state["epoch"]
                net.eval()
                trained.train()
                source, index, weight = learned.epoch(len(state["history"]), undo_sampler)
                if metrics is not None:
                    metrics.cover(source.params, _report(progress))
                drawn = batches(source, index, weight, prior, size, seed, len(state["history"]), narrowing)
                steps = Steps(epoch * count, planned * count, lr, phase == "fine")
                tell = partial(_tell, progress, Progress(phase, epoch + 1, planned, 0, count, math.nan, size))
                try:
                    mean, rate = learn(net, trained, optimizers, drawn, objective, steps, tell)
                except FloatingPointError as error:
                    raise TrainingError(
                        f"the loss is not finite in phase {phase}, epoch {epoch + 1}, {error}; the best model of the "
                        f"epochs before is kept in {folder}: train again with lr below {lr:g}"
                    ) from None
                net.eval()
                with torch.no_grad():
                    validation = float(objective(net, held))
                state["history"].append({"phase": phase, "epoch": epoch + 1, "loss": mean, "validation": validation})
                state |= {"epoch": epoch + 1, "stale": state["stale"] + 1}
                if validation < state["best_loss"] or "best" not in state:
                    state |= {"stale": 0, "best_loss": validation, "best": _copy(net)}
                state |= {"net": _copy(net), "optimizers": [optimizer.state_dict() for optimizer in optimizers]}
                _save(folder, state, settings, {"history": state["history"]})
                tell(count, mean, rate, validation)
            state |= {"phase": state["phase"] + 1, "epoch": 0, "stale": 0}
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the finished epochs are kept in {folder}: continue with the same command and --resume "
            f"-o {folder} (resume=True)"
        ) from None

    net.load_state_dict(state["best"])
    result = {"history": state["history"], "test": test_errors(net.eval(), *tested, prior, learned.seed)}
    _save(folder, state, settings, result)
    return Run(folder, result)


def _tell(
    progress: Callable[[Progress], None] | None,
    begun: Progress,
    batch: int,
    loss: float,
    rate: float,
    validation: float | None = None,
) -> None:
    """Say how far an epoch is, of whose batches ``rate`` are done in a second; ``begun`` has their size as its rate."""
    if progress:
        rate *= begun.samples_per_second
        progress(replace(begun, batch=batch, loss=loss, samples_per_second=rate, validation=validation))


def _report(progress: Callable[[Progress], None] | None) -> Callable[[int, int], None]:
    """Progress of measuring metrics, as that of a training."""
    began = time.perf_counter()

    def report(done: int, total: int) -> None:
        rate = done / (time.perf_counter() - began)
        if progress:
            progress(Progress("metrics", 1, 1, done, total, math.nan, rate))

    return report


def _choose(net: nn.Module, phase: str) -> nn.Module:
    """Freeze what a phase does not train; what it does."""
    net.requires_grad_(phase != "fine")
    if phase == "all":
        return net
    fine = net.get_submodule("fine").requires_grad_(phase == "fine")
    return fine if phase == "fine" else net


def _save(folder: Path, state: Json, settings: Json, metrics: Json) -> None:
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
