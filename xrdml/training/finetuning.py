"""Weights of a trained model to begin another training with."""

import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor

from xrdml.networks.checkpoint import WEIGHTS, architecture_of, load_model
from xrdsim.errors import CheckpointError
from xrdsim.limits import Json

LR = 3e-4
"""Largest learning rate of a training that begins with trained weights."""


def starting_weights(path: str | Path, meaning: Json, output: Path) -> tuple[dict[str, Tensor], Any]:
    """The weights of a trained model, and plain values that say which model it was.

    Parameters
    ----------
    path : folder of the model.
    meaning : definition of the model to be trained, ``xrdml.networks.checkpoint.definition``.
    output : its folder.

    Raises
    ------
    CheckpointError
        There is no model; it has another network, parameter table or window, or is the one to be written.
    """
    source = Path(path)
    if source.resolve() == output.resolve():
        raise CheckpointError(f"{source} cannot be tuned into itself; choose another output folder")
    trained = load_model(source)
    before = trained.card["definition"]
    ours, theirs = architecture_of(meaning), architecture_of(before)
    if ours.kind != theirs.kind:
        raise CheckpointError(
            f"{source} is a {theirs.kind} network, the one for {output} a {ours.kind} network; choose the same model"
        )
    compared = {"window": (meaning["window"], before["window"]), "network": (ours, theirs)}
    compared["parameter table"] = (meaning["parameters"], before["parameters"])
    for name, (wanted, found) in compared.items():
        if wanted != found:
            raise CheckpointError(
                f"{source} has another {name} than the model for {output}: {found}, not {wanted}; train with the same"
            )
    digest = hashlib.sha256((source / WEIGHTS).read_bytes()).hexdigest()
    return dict(trained.net.state_dict()), {"model": str(path), "sha256": digest}
