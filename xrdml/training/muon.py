"""Muon: descent with a momentum whose matrix has been made orthogonal (K. Jordan and others, 2024, with the scale of
J. Liu and others, arXiv:2502.16982).

A gradient is nearly of low rank; made orthogonal, all its directions count alike, and a network learns from fewer
curves than with AdamW. It is for weights that map features to features.

That of torch takes matrices only, not convolutions, and works in bfloat16, which on processors without instructions
for it is several times slower than the float32 that is used here.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from xrdml.networks.processors import fast_bfloat16

_MOMENTUM = 0.95
_STEPS = 5
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # steep at 0, so that few steps bring small singular values to about 1


class Muon(torch.optim.Optimizer):
    """The optimiser; learning rate and decay mean what they do for AdamW, whose steps have the same mean square.

    Parameters
    ----------
    weights : of at least two dimensions; those after the first count as one.
    lr : learning rate.
    weight_decay : decoupled, as in AdamW.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float = 1e-3, weight_decay: float = 0.01) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """Change every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1.0 - _MOMENTUM)
                change = orthogonal(weight.grad.lerp(momentum, _MOMENTUM).flatten(1))
                scale = 0.2 * max(change.shape) ** 0.5
                weight.mul_(1.0 - group["lr"] * group["weight_decay"])
                weight.add_(change.reshape(weight.shape), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """About U Vᵀ of a matrix U S Vᵀ, by Newton–Schulz iteration: S becomes 0.7 … 1.2 where above 0.003 of its norm."""
    quick = matrix.is_cuda or fast_bfloat16()
    x = matrix.to(torch.bfloat16 if quick else matrix.dtype)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x  # the smaller side is squared
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_STEPS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)
