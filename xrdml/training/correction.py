"""Which parameters a hierarchical model corrects: those that are named, or those to which curves are most sensitive."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrdml.networks.nets import Model
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError
from xrdsim.forward.prior import draw_prior
from xrdsim.information.differences import finite_difference
from xrdsim.profiles.two_gaussians import SIZE

NUMBER = 3
"""Parameters to correct where none are named."""

PROFILES = 64
"""Of the prior, on which sensitivities are measured; always the same ones."""


def choose_fine(
    model: str, fine: Sequence[str] | None, weights: NDArray[np.float64] | None, simulation: Simulation
) -> tuple[tuple[int, ...], dict[str, float] | None]:
    """Columns that the model corrects, and the sensitivities by which they were chosen if these were measured.

    Parameters
    ----------
    model : kind of the network; only the hierarchical one corrects anything.
    fine : names; ``None`` for those of the largest weights.
    weights : of the loss; ``None`` to measure them.
    simulation : of the curves.

    Raises
    ------
    ParameterError
        ``fine`` with another model; a name that is unknown or given twice.
    """
    if model != Model.HIERARCHICAL:
        if fine is not None:
            raise ParameterError("fine belongs to the hierarchical model; leave it out")
        return (), None
    names = simulation.space.names
    if fine is not None:
        chosen = tuple(fine)
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(names):
            raise ParameterError(f"fine = {', '.join(chosen) or 'nothing'}; name some of {', '.join(names)}, each once")
        return tuple(names.index(name) for name in chosen), None
    if weights is not None:
        return _largest(weights), None
    measured = sensitivities(simulation)
    return _largest(measured), {name: float(f"{value:.4g}") for name, value in zip(names, measured, strict=False)}


def sensitivities(simulation: Simulation) -> NDArray[np.float64]:
    """Mean change (7,) of a curve's log10 when a profile parameter changes by 1 % of its value.

    What ``xrdsim.measure_sensitivity`` means over PROFILES vectors of the prior; 0 for a parameter without freedom.
    """
    rows = draw_prior(
        PROFILES,
        space=simulation.space,
        reflection=simulation.experiment.reflection,
        scan=simulation.scan,
        rng=np.random.default_rng(0),
    )
    change = finite_difference(
        rows,
        experiment=simulation.experiment,
        scan=simulation.scan,
        space=simulation.space,
    )[:, :SIZE]
    counted = np.isfinite(change)
    return np.asarray(np.where(counted, change, 0.0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1))


def _largest(values: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(sorted(int(column) for column in np.argsort(-values, kind="stable")[:NUMBER]))
