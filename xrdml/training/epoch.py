"""One pass over the rows of an epoch: what the optimisers do, and when the loss is looked at.

On a card a step is a list of orders that is written faster than it is carried out, as long as nobody asks for a number.
So the loss is added up there and read once in READ steps, and whether it is finite is seen then.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xrdml.data.source import Batch
from xrdml.networks.nets import Estimator, hidden_weights
from xrdml.training.muon import Muon

READ = {"cpu": 1, "cuda": 100}
"""Steps between two looks at the loss."""

WEIGHT_DECAY = 0.01
WARM_UP = 200  # steps, at most a tenth of a phase
CLIP = 5.0  # largest norm of the gradient

Optimizers = tuple[torch.optim.Optimizer, torch.optim.Optimizer]


@dataclass(frozen=True)
class Steps:
    """Where the steps of an epoch lie in those of a phase.

    Attributes
    ----------
    done, planned : steps before the epoch, and of the phase.
    lr : the largest learning rate.
    last : whether this is not the first phase.
    """

    done: int
    planned: int
    lr: float
    last: bool = False


def optimizers_of(net: nn.Module) -> Optimizers:
    """For the hidden weights, and for the others."""
    hidden = hidden_weights(net)
    known = set(map(id, hidden))
    others = [weight for weight in net.parameters() if id(weight) not in known]
    return (
        Muon(hidden, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(others, weight_decay=WEIGHT_DECAY, fused=True),
    )


def schedule(step: int, steps: int) -> float:
    """Part of the largest learning rate: linear warm-up, then half a cosine down to a hundredth."""
    warm = min(WARM_UP, max(steps // 10, 1))
    return min(step / warm, 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / steps)))


def learn(
    net: Estimator,
    trained: nn.Module,
    optimizers: Optimizers,
    drawn: Iterable[Batch],
    loss: Callable[[Estimator, Batch, float], Tensor],
    steps: Steps,
    report: Callable[[int, float, float], None],
) -> tuple[float, float]:
    """Descend along every batch; the mean loss, and batches a second.

    Parameters
    ----------
    net : the network.
    trained : the part of it that learns.
    optimizers : of this part.
    drawn : the batches.
    loss : of the network, a batch, and the part of the first phase that is over.
    steps : of the phase.
    report : called with the number of batches, the mean loss and batches a second, whenever the loss is read.

    Raises
    ------
    FloatingPointError
        The loss is not finite; it names the batch.
    """
    began, number, total = time.perf_counter(), 0, torch.zeros(())
    mean, rate = 0.0, 0.0
    weights = list(trained.parameters())
    read = 0
    for number, batch in enumerate(drawn, start=1):
        step = steps.done + number
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = steps.lr * schedule(step, steps.planned)
        cost = loss(net, batch, 1.0 if steps.last else step / steps.planned)
        total = total.to(cost.device) + cost.detach()
        if number % READ[total.device.type] == 0:
            mean, rate, read = _read(total, number), number / (time.perf_counter() - began), number
            report(number, mean, rate)
        trained.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, CLIP)
        for optimizer in optimizers:
            optimizer.step()
    if read < number:
        mean, rate = _read(total, number), number / (time.perf_counter() - began)
        report(number, mean, rate)
    return mean, rate


def _read(total: Tensor, number: int) -> float:
    mean = float(total) / number
    if not math.isfinite(mean):
        raise FloatingPointError(f"batch {number}")
    return mean
