"""Differentiable physics: the simulator as a function of torch tensors, with its exact derivatives.

log10 I(params, fwhm, scale, background, zero). The forward pass is ``xrdsim.simulate``, the backward pass its adjoint,
``xrdsim.forward.derivatives.pull_back``; both run on the processor's cores in double precision, whatever the tensors
are.
"""

import math
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from xrdsim.forward.derivatives import Physics, pull_back
from xrdsim.forward.model import simulate
from xrdsim.forward.simulator import NUISANCES


def log_intensity(
    params: Tensor,
    *,
    fwhm: Tensor | float = 30.0,
    scale: Tensor | float = 1.0,
    background: Tensor | float = 0.0,
    zero: Tensor | float = 0.0,
    **physics: Unpack[Physics],
) -> Tensor:
    """log10 of the measured intensity, (n, angle), differentiable in all tensors.

    Parameters
    ----------
    params : (n, 7) or (n, 9) in their units, within the ranges and constraints.
    fwhm, scale, background, zero : (n,) or numbers, as for ``xrdsim.simulate``.
    physics : as for ``xrdsim.linearize``.

    Raises
    ------
    ParameterError, DeviceError
        As ``xrdsim.simulate``.
    """
    n = len(params)
    measured = {"zero": zero, "fwhm": fwhm, "scale": scale, "background": background}
    columns = [
        torch.broadcast_to(torch.as_tensor(value, dtype=params.dtype, device=params.device), (n,))
        for value in measured.values()
    ]
    out = _LogIntensity.apply(physics, params, *columns)  # type: ignore[no-untyped-call]
    assert isinstance(out, Tensor)
    return out


class _LogIntensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, physics: Physics, params: Tensor, *measured: Tensor) -> Tensor:
        rows, *columns = (value.detach().cpu().double().numpy() for value in (params, *measured))
        keywords: Any = dict(zip(NUISANCES, columns, strict=True))
        intensity = simulate(rows, **keywords, **physics).intensity
        ctx.physics, ctx.rows, ctx.keywords, ctx.intensity = physics, rows, keywords, intensity
        return torch.from_numpy(np.log10(intensity)).to(params)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        wanted = ctx.needs_input_grad[2:]
        names = tuple(name for name, needed in zip(NUISANCES, wanted, strict=True) if needed)
        cotangent = gradient.detach().cpu().double().numpy() / (math.log(10.0) * ctx.intensity)
        pulled = torch.from_numpy(pull_back(ctx.rows, cotangent, nuisances=names, **ctx.keywords, **ctx.physics)).to(
            gradient
        )
        size = ctx.rows.shape[1]
        rest = dict(zip(names, pulled[:, size:].T, strict=True))
        return (None, pulled[:, :size], *(rest.get(name) for name in NUISANCES))
