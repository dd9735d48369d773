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
            alike: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:  # of the others nothing changes
                    alike.setdefault(weight.flatten(1).shape, []).append(weight)
            for shape, weights in alike.items():
                self._step(weights, shape, group["lr"], group["weight_decay"])

    def _step(self, weights: list[Tensor], shape: torch.Size, lr: float, weight_decay: float) -> None:
        """Change weights that are matrices of one shape, together."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        momenta = [self.state[weight]["momentum"] for weight in weights]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        torch._foreach_lerp_(momenta, gradients, 1.0 - _MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, _MOMENTUM)
        changes = orthogonal(torch.stack([each.flatten(1) for each in ahead]))
        torch._foreach_mul_(weights, 1.0 - lr * weight_decay)
        steps = [change.reshape(weight.shape) for change, weight in zip(changes, weights, strict=True)]
        torch._foreach_add_(weights, steps, alpha=-lr * 0.2 * max(shape) ** 0.5)


def orthogonal(matrices: Tensor) -> Tensor:
    """About U Vᵀ of matrices U S Vᵀ (…, m, n), by Newton–Schulz iteration: S becomes 0.7 … 1.2 where above 0.003 of
    their norm."""
    quick = matrices.is_cuda or fast_bfloat16()
    x = matrices.to(torch.bfloat16 if quick else matrices.dtype)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x  # the smaller side is squared
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    out: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return out
