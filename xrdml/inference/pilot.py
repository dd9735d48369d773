"""Where in its ranges a network errs: a pilot sample for the sampler that makes more curves there."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdml.data.source import Minibatch, make_batch, stream
from xrdml.networks.checkpoint import TrainedModel, load_model
from xrdsim.dataset.fresh import fresh_rows
from xrdsim.dataset.simulation import FRESH, Simulation
from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace

PILOT = 512

_ROWS, _MEASURED = 30, 31  # random streams


def measure_errors(
    model: str | Path | TrainedModel, *, space: ParameterSpace | None = None, rows: int = PILOT, seed: int = 0
) -> tuple[ParameterSpace, NDArray[np.float64]]:
    """Errors of a network on fresh curves of the prior.

    Parameters
    ----------
    model : folder of a trained model, or a loaded one.
    space : ranges of the curves, within those of the model; ``None`` for these.
    rows : number of curves.
    seed : of the curves and their measurement.

    Returns
    -------
    space, errors : the ranges, and (rows, p + 1) parameters and the mean absolute error in parts of the ranges.

    Raises
    ------
    CheckpointError
        The model cannot be loaded.
    ParameterError
        The ranges are not within those of the model, or its curves are made of layers.
    """
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    chosen = space or trained.space
    own = trained.space
    inside = len(chosen.low) == len(own.low) and bool(
        np.all(np.array(chosen.low) >= own.low) and np.all(np.array(chosen.high) <= own.high)
    )
    if not inside:
        raise ParameterError(
            f"{trained.path} knows the parameters {', '.join(trained.space.names)} within its own ranges; give ranges "
            "within these, or none"
        )
    if trained.experiment.layers is not None:
        raise ParameterError(f"{trained.path} was trained on layers, of which no fresh curves are made")
    simulation = Simulation(chosen, trained.window, trained.experiment.within(FRESH.rtol_dex))
    drawn = fresh_rows(simulation, rows, stream(seed, _ROWS))
    batch = make_batch(
        Minibatch.of(drawn.reflectivity, drawn.params, drawn.density, simulation),
        simulation,
        trained.measurement,
        stream(seed, _MEASURED),
    )
    span = np.where(chosen.span > 0.0, chosen.span, np.inf)
    error = np.abs(trained.estimate(batch.input.numpy()) - drawn.params) / span
    return chosen, np.column_stack([drawn.params, error.mean(axis=1)])
