"""Losses on parameters, and the weights that say which parameter counts how much.

Σ_j w_j · ℓ(Δ_j)                Δ_j = Δp_j / range_j, ℓ the smooth L1 function, quadratic below β
√(Δᵀ G Δ + β²) − β + r·Σ_j ℓ(Δ_j)      with a metric G for each sample
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from xrdsim.errors import ParameterError
from xrdsim.profiles.two_gaussians import SIZE, TWO_GAUSSIANS

BETA = 0.002
"""Deviation, as part of a range, below which the loss is quadratic; the errors that remain are larger, so that a median
is learned and not a mean, which distant minima pull away."""

RIDGE = 0.1
"""Weight r of the plain loss beside the norm of a metric: parameters that a curve does not tell are learned, too."""


def weighted_loss(
    predicted: Tensor,
    true: Tensor,
    span: Tensor,
    weights: Tensor,
    importance: Tensor | None = None,
    beta: float = BETA,
) -> Tensor:
    """Mean over samples of Σ_j w_j·ℓ(Δp_j / range_j).

    Parameters
    ----------
    predicted, true : (n, p) parameters in their units.
    span : (p,) width of their ranges; one of width 0 does not count.
    weights : (p,).
    importance : (n,) factor of each sample; ``None`` for ones.
    """
    scaled = _scaled(predicted, true, span)
    each = functional.smooth_l1_loss(scaled, torch.zeros_like(scaled), beta=beta, reduction="none")
    return _mean(each @ weights, importance)


def metric_loss(
    predicted: Tensor,
    true: Tensor,
    span: Tensor,
    metric: Tensor,
    importance: Tensor | None = None,
    beta: float = BETA,
) -> Tensor:
    """Mean over samples of √(Δᵀ G Δ + β²) − β, and RIDGE times the loss with all weights 1.

    Parameters
    ----------
    predicted, true : (n, p) parameters in their units.
    span : (p,) width of their ranges; one of width 0 does not count.
    metric : (n, p, p), of deviations in parts of ranges: ``xrdml.training.metrics.Metrics``.
    importance : (n,) factor of each sample; ``None`` for ones.
    """
    scaled = _scaled(predicted, true, span)
    square = torch.einsum("nj,njk,nk->n", scaled, metric, scaled).clamp_min(0.0)
    norm = (square + beta**2).sqrt() - beta
    ridge = weighted_loss(predicted, true, span, torch.ones_like(span), importance, beta)
    return _mean(norm, importance) + RIDGE * ridge


def _scaled(predicted: Tensor, true: Tensor, span: Tensor) -> Tensor:
    """Deviations (n, p) in parts of the ranges, 0 for a range of no width."""
    return (predicted - true) / torch.where(span > 0.0, span, torch.inf)


def _mean(loss: Tensor, importance: Tensor | None) -> Tensor:
    """Mean of the losses (n,) of samples, each with its factor."""
    return loss.mean() if importance is None else (importance * loss).mean()


def load_weights(source: str | Path | ArrayLike | None, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Weights of the loss, one a parameter: ones, an array, or a ``.npy`` file as `xrd sensitivity` writes it.

    Seven weights for nine parameters leave the damage at weight 1, the mean of measured sensitivities.

    Raises
    ------
    ParameterError
        The file cannot be read; the number of weights is wrong; one is negative or not finite; all are 0.
    """
    if source is None:
        return np.ones(len(names))
    where = f"{source}: " if isinstance(source, str | Path) else ""
    try:
        loaded = np.load(source, allow_pickle=False) if isinstance(source, str | Path) else source
        weights = np.asarray(loaded, dtype=np.float64)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise ParameterError(
            f"{where}the weights cannot be read ({error}); give a .npy file as `xrd sensitivity` writes it"
        ) from error
    if weights.shape == (SIZE,) and TWO_GAUSSIANS.holds_damage(len(names)):
        weights = np.append(weights, [1.0, 1.0])
    if weights.shape != (len(names),):
        raise ParameterError(
            f"{where}weights of shape {weights.shape}; needed is one each for {', '.join(names)}: ({len(names)},)"
        )
    for name, weight in zip(names, weights, strict=True):
        if not (np.isfinite(weight) and weight >= 0.0):
            raise ParameterError(f"{where}the weight of {name} is {weight:g}; weights must be finite and not negative")
    if not weights.any():
        raise ParameterError(f"{where}all weights are 0; at least one must be positive")
    return weights
