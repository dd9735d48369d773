"""What a training makes small: a loss on parameters, beside it one on curves, and what a network adds itself.

    (1 − α)·L_parameters + α·L_curve + (−log of the posterior, or the error of a decoded curve: ``Estimator.learn``)

L_parameters is the weighted loss or the norm of a metric for each sample, L_curve the difference between the simulated
estimate and the noise-free curve, on a share of every batch, because simulations cost more than the network.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.data.ranges import Ranges
from xrdml.data.source import Batch
from xrdml.networks.losses import metric_loss, weighted_loss
from xrdml.networks.nets import Estimator, Multitask
from xrdml.training.metrics import Metrics
from xrdml.training.reconstruction import clean_window, curve_loss
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError

RAMP = 0.3
"""Part of the first phase over which α grows from 0: the estimates of a new network are too far from any curve."""

LOSSES = ("parameters", "curve")


@dataclass(frozen=True)
class CurveLoss:
    """How much curves count.

    Parameters
    ----------
    alpha : weight of the loss on curves; that on parameters has 1 − alpha.
    share : part of every batch that is simulated.

    Raises
    ------
    ParameterError
        alpha outside 0 … 1, share outside 0 … 1 or 0.
    """

    alpha: float = 0.5
    share: float = 0.125

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise ParameterError(f"alpha = {self.alpha:g} must lie within 0 … 1")
        if not 0.0 < self.share <= 1.0:
            raise ParameterError(f"curve_share = {self.share:g} must be above 0 and at most 1")


def choose_loss(loss: str, alpha: float | None, share: float | None, layers: float | None = None) -> CurveLoss | None:
    """The loss on curves that was asked for, if any; ``layers`` is that of the configuration.

    Raises
    ------
    ParameterError
        An unknown loss; a choice that belongs to another one; curves of fixed sublayers, which have no derivatives.
    """
    if loss not in LOSSES:
        raise ParameterError(f"loss {loss!r} is unknown; choose {' or '.join(LOSSES)}")
    if loss != "curve":
        if alpha is not None or share is not None:
            raise ParameterError("alpha and curve_share belong to the loss curve; choose it or leave them out")
        return None
    chosen = {name: value for name, value in (("alpha", alpha), ("share", share)) if value is not None}
    if layers is not None:
        raise ParameterError(
            f"the loss curve needs derivatives, which curves of sublayers of {layers:g} Å have not; "
            "make the dataset without layers"
        )
    return CurveLoss(**chosen)


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of a network on a batch.

    Attributes
    ----------
    simulation : of the curves.
    whole : the ranges that the network knows.
    weights : (p,) of the parameters.
    device : of the network.
    mixed : whether it is trained in mixed precision.
    metrics : of the rows, where these say how parameters count.
    curve : the loss on curves, or None.
    ramped : whether alpha grows from 0.
    """

    simulation: Simulation
    whole: Ranges
    weights: NDArray[np.float64]
    device: torch.device
    mixed: bool
    metrics: Metrics | None = None
    curve: CurveLoss | None = None
    ramped: bool = True

    def __call__(self, net: Estimator, batch: Batch, done: float = 1.0) -> Tensor:
        """The loss when a part ``done`` of the first phase is over; not finite where the network is not."""
        decoded = isinstance(net, Multitask)
        clean = clean_window(batch.reflectivity, batch.input[:, 1], self.simulation) if decoded else None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed and torch.is_grad_enabled()):
            point, further = net.learn(batch.input, batch.ranges.conditions(self.whole), batch.unit, clean)
        point, importance = point.float(), batch.weight
        loss = self._on_parameters(point, batch)
        if self.curve is not None and math.isfinite(float(loss.detach())):
            alpha = self.curve.alpha * (min(done / RAMP, 1.0) if self.ramped else 1.0)
            loss = (1.0 - alpha) * loss + alpha * self._on_curves(self.curve.share, point, batch, importance)
        return loss if further is None else loss + (importance * further).mean()

    def _on_parameters(self, point: Tensor, batch: Batch) -> Tensor:
        span, weights = self._constants
        predicted = batch.ranges.values(point)
        if self.metrics is None:
            return weighted_loss(predicted, batch.params, span, weights, batch.weight)
        metrics = torch.from_numpy(self.metrics.of(batch.params.cpu().numpy())).to(self.device)
        return metric_loss(predicted, batch.params, span, metrics, batch.weight)

    def _on_curves(self, share: float, point: Tensor, batch: Batch, importance: Tensor) -> Tensor:
        """Of rows spread evenly over the batch."""
        n = len(point)
        rows = torch.from_numpy(np.arange(0, n, n / max(round(share * n), 1)).astype(np.int64)).to(self.device)
        some = batch.ranges.rows(rows).values(point[rows].double())
        loss = curve_loss(some.cpu(), batch.reflectivity[rows].cpu().numpy(), self.simulation).to(self.device)
        return (importance[rows] * loss.float()).mean()

    @cached_property
    def _constants(self) -> tuple[Tensor, Tensor]:
        """Widths of the ranges and weights of the parameters, (p,) each, on the device."""
        span, weights = (
            torch.from_numpy(each).float().to(self.device) for each in (self.simulation.space.span, self.weights)
        )
        return span, weights
