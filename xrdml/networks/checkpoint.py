"""A trained model on disk: weights as safetensors, a card as JSON, and the state of the training.

``model.safetensors`` and ``model.json`` are the model; ``state.pt`` is what a resumed training needs. Nothing in them
is executed on loading. The card's definition (network, parameter table, window, experiment, measurement model), its
dataset, its training and the tensors have their digests in the header of the weights, so that files that were edited or
do not belong together are refused. Each file is replaced atomically, and none of these parts of the card changes during
a training: a kill between two files is harmless.
"""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from xrdml.data.measurement import Measurement
from xrdml.data.ranges import Ranges, whole_ranges
from xrdml.networks.nets import Architecture, Flow, build
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import CheckpointError, XrdError
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.files import replacing, save_json
from xrdsim.limits import Json, read_json
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TABLE

FORMAT, FORMAT_VERSION = "xrdml-model", 3
WEIGHTS, CARD, STATE = "model.safetensors", "model.json", "state.pt"

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""Folder of the model that ships with the package, see its card."""

State = Json

_SIGNED = ("definition", "dataset", "training")  # parts of a card with digests in the weights; at first the first alone

_TOGETHER = 64  # curves whose posteriors are drawn at once

_EARLIER = {"optimizer": "adamw"}  # of trainings that do not say it


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network and what its inputs and outputs mean.

    Attributes
    ----------
    net : the network, in evaluation mode; gives unit-cube coordinates.
    space : ranges and constraints of its parameters.
    window : grid of its input.
    measurement : the measurement model that it was trained with.
    experiment : of which its curves were simulated.
    card : everything that is known about it.
    path : folder it was loaded from.
    """

    net: nn.Module
    space: ParameterSpace
    window: Scan
    measurement: Measurement
    experiment: Experiment
    card: Json
    path: Path

    @property
    def ranges(self) -> Ranges:
        """The ranges it was trained in, of parameters, zero and FWHM."""
        return whole_ranges(self.space, self.measurement)

    def estimate(self, inputs: NDArray[np.float32], ranges: Ranges | None = None) -> NDArray[np.float64]:
        """Parameters (n, 7 or 9) of network input (n, 2, window.points), within the ranges given to a flow."""
        return self.space.tied(estimate(self.net, inputs, ranges or self.ranges, self.ranges))

    @property
    def draws(self) -> bool:
        """Whether the network states a posterior distribution."""
        return isinstance(self.net, Flow)

    def draw(self, inputs: NDArray[np.float32], draws: int, ranges: Ranges | None = None, seed: int = 0) -> "Draws":
        """Samples of the posterior of network input (n, 2, window.points), within the ranges given to it.

        Raises
        ------
        CheckpointError
            The network states no posterior.
        """
        if not isinstance(self.net, Flow):
            kind = self.card["definition"]["architecture"]["kind"]
            raise CheckpointError(
                f"{self.path} is a {kind} network, which gives no samples; train one with --model flow"
            )
        known, n = (ranges or self.ranges), len(inputs)
        conditions = known.conditions(self.ranges).expand(n, -1)
        parts = zip(*(torch.split(x, _TOGETHER) for x in (torch.from_numpy(inputs), conditions)), strict=True)
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            drawn = [self.net.posterior.sample(self.net.context(x, conditions), draws) for x, conditions in parts]
        unit, log_prob = (torch.cat(each).double() for each in zip(*drawn, strict=True))
        each = torch.arange(len(known.low)).repeat_interleave(draws if len(known.low) > 1 else 1)
        spread = known.rows(each)
        values = spread.values(unit.flatten(0, 1)).numpy().reshape(n, draws, -1)
        return Draws(self.space.tied(values), log_prob.numpy())


@dataclass(frozen=True, eq=False)
class Draws:
    """Samples of the posterior of some curves.

    Attributes
    ----------
    values : (n, draws, k) parameters, zero and FWHM in their units.
    log_prob : (n, draws) log of the density of their coordinates.
    """

    values: NDArray[np.float64]
    log_prob: NDArray[np.float64]


def estimate(net: nn.Module, inputs: NDArray[np.float32], ranges: Ranges, whole: Ranges) -> NDArray[np.float64]:
    """Parameters (n, 7 or 9) of network input (n, 2, points), in the network's present mode and on its device.

    Parameters
    ----------
    net : the network.
    inputs : what it sees.
    ranges, whole : what it is conditioned on, and its own ranges.
    """
    device = next(net.parameters()).device
    conditions = ranges.conditions(whole).expand(len(inputs), -1)
    parts = zip(torch.split(torch.from_numpy(inputs), 512), torch.split(conditions, 512), strict=True)
    with torch.inference_mode():
        unit = torch.cat([net(part.to(device), known.to(device)).double().cpu() for part, known in parts])
        return np.asarray(ranges.values(unit).numpy())


def definition(architecture: Architecture, simulation: Simulation, measurement: Measurement) -> Json:
    """What fixes the meaning of a model's numbers; part of its card."""
    table = TABLE[: len(simulation.space.low)]
    values: Json = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "architecture": asdict(architecture),
        "parameters": {
            "names": list(simulation.space.names),
            "units": [parameter.unit for parameter in table],
            "low": list(simulation.space.low),
            "high": list(simulation.space.high),
            "strain_sum": simulation.space.strain_sum,
        },
        "window": simulation.scan.to_dict(),
        **simulation.experiment.to_dict(),
        "measurement": measurement.to_dict(),
    }
    if simulation.space.ties:  # cards of earlier versions have no such entry
        values["parameters"] |= {"ties": [list(tie) for tie in simulation.space.ties]}
    plain: Json = json.loads(json.dumps(values))
    return plain


def save_model(folder: Path, tensors: dict[str, Tensor], card: Json) -> None:
    """Write weights and card; ``card["definition"]`` is their common definition.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"tensors": _digest_tensors(plain)} | {name: _digest(card[name]) for name in _SIGNED if name in card}
    with replacing(folder / WEIGHTS) as path:
        path.write_bytes(to_safetensors(plain, metadata=metadata))
    save_json(folder / CARD, card)


def load_model(path: str | Path | None = None) -> TrainedModel:
    """Load a trained model from the folder that ``train`` wrote; ``None`` for the one that ships with the package.

    Raises
    ------
    CheckpointError
        The folder is not a model; a file is missing, truncated or edited; the model is of a newer version or of another
        parameter table.
    """
    folder = PRETRAINED if path is None else Path(path)
    card = read_card(folder)
    meaning = card["definition"]
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} is missing, truncated or not safetensors ({error}); train again or copy it anew"
        ) from error
    if metadata.get("tensors") != _digest_tensors(tensors):
        raise CheckpointError(f"{folder / WEIGHTS} was changed after training; train again or copy it anew")
    if "definition" not in metadata or any(
        metadata[name] != _digest(card[name]) for name in _SIGNED if name in metadata
    ):
        raise CheckpointError(
            f"{folder / CARD} was edited, or belongs to other weights than {WEIGHTS} beside it; copy both anew"
        )
    try:
        table = meaning["parameters"]
        ties = tuple(tuple(tie) for tie in table.get("ties", ()))
        space = ParameterSpace(table["low"], table["high"], table["strain_sum"], ties)
        if tuple(table["names"]) != space.names:
            raise CheckpointError(
                f"{folder} has the parameters {', '.join(table['names'])}, this program {', '.join(space.names)}; "
                "train again with this version"
            )
        net = build(architecture_of(meaning))
        net.load_state_dict(tensors, strict=True)
        return TrainedModel(
            net.eval(),
            space,
            Scan(**meaning["window"]),
            Measurement.from_dict(meaning["measurement"]),
            Experiment.from_dict(meaning),
            card,
            folder,
        )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: card and weights do not make a model ({error}); train again") from error


def architecture_of(meaning: Json) -> Architecture:
    """The network's sizes from a card's definition."""
    values: Json = dict(meaning["architecture"])
    for name, value in values.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return Architecture(**values)


def read_card(folder: Path) -> Json:
    """The card of a model of this version.

    Raises
    ------
    CheckpointError
        There is none, it is malformed, or of a newer version.
    """
    path = folder / CARD
    try:
        card = read_json(path)
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} holds no trained model ({CARD} is missing); make one with `xrd train`"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); train again or copy it anew") from error
    meaning = card.get("definition") if isinstance(card, dict) else None
    if not isinstance(meaning, dict) or meaning.get("format") != FORMAT or not isinstance(meaning.get("version"), int):
        raise CheckpointError(f"{path} is not the card of a model; give a folder that `xrd train` wrote")
    if meaning["version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {meaning['version']}, this program reads up to {FORMAT_VERSION}; update xrdsim"
        )
    return dict(card)


def save_state(folder: Path, state: State) -> None:
    """Write what a resumed training needs.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with replacing(folder / STATE) as path:
        path.write_bytes(buffer.getbuffer())


def load_state(folder: Path, settings: Json) -> State:
    """State of an interrupted training that has the same settings.

    Raises
    ------
    CheckpointError
        There is none, it cannot be read, or a setting differs.
    """
    path = folder / STATE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        before = _EARLIER | json.loads(state["settings"])
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no training to resume ({STATE} is missing); leave out resume") from None
    except XrdError:
        raise
    except Exception as error:  # whatever the unpickler makes of a damaged file
        raise CheckpointError(f"{path} is truncated or damaged ({error}); train again without resume") from error
    for name, value in settings.items():
        if before.get(name) != value:
            raise CheckpointError(
                f"{folder} was trained with {name} = {before.get(name)}, not {value}; resume with the same settings "
                "and dataset, or train into another folder"
            )
    loaded: State = state
    return loaded


def _digest(values: Json) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _digest_tensors(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
