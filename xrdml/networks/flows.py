"""The posterior distribution of a curve's parameters: a conditional normalising flow.

A place u of the unit cube becomes z = Φ⁻¹(u), so that a parameter of which nothing is known is a normal variate. From
z, r = D(I + S)(z − m) takes what is Gaussian of the posterior: its place m, precisions D and correlations S (strictly
lower triangular) follow from the context, since precisions range over three decades and some correlations exceed 0.99.
What is left, bends and second maxima, is for couplings of rational-quadratic splines (C. Durkan et al., Neural Spline
Flows, arXiv:1906.04032), of the library zuko.

    log q(u) = log N(f(r); 0, 1) + log |∂f/∂r| + log det D + log |∂z/∂u|
"""

import math

import torch
import zuko
from torch import Tensor, nn

_EDGE = 1e-6  # distance from 0 and 1 that a place keeps
_PRECISION = 9.0  # largest |log| of a precision


class Posterior(nn.Module):
    """Distribution of places in the unit cube (size numbers), given a context."""

    def __init__(self, size: int, context: int, transforms: int, hidden: int, bins: int) -> None:
        super().__init__()
        self.size = size
        self.gaussian = nn.Linear(context, 2 * size + size * (size - 1) // 2)
        nn.init.zeros_(self.gaussian.weight)
        nn.init.zeros_(self.gaussian.bias)
        self.splines = zuko.flows.NSF(
            size, context, transforms=transforms, hidden_features=(hidden, hidden), bins=bins, passes=2, randperm=True
        )
        lower = torch.tril_indices(size, size, -1)
        self.register_buffer("lower", lower, persistent=False)

    def log_prob(self, unit: Tensor, context: Tensor) -> Tensor:
        """log q (n,) of places (n, size), one for each context (n, c)."""
        z, slope = _to_normal(unit)
        middle, log_precision, matrix = self._gaussian(context)
        r = torch.exp(log_precision) * (matrix @ (z - middle)[..., None])[..., 0]
        normal, log_det = self.splines.transform(context).call_and_ladj(r)  # its distribution would ask the host
        log_prob = -0.5 * (normal**2 + math.log(2.0 * math.pi)).sum(-1)
        out: Tensor = log_prob + log_det + log_precision.sum(-1) + slope.sum(-1)
        return out

    def sample(self, context: Tensor, draws: int) -> tuple[Tensor, Tensor]:
        """Places (n, draws, size) and their log q (n, draws), with torch's global random state."""
        n = len(context)
        repeated = context.repeat_interleave(draws, 0)
        r, log_prob = self.splines(repeated).rsample_and_log_prob(())
        middle, log_precision, matrix = self._gaussian(context)
        scaled = (r.view(n, draws, self.size) * torch.exp(-log_precision)[:, None]).transpose(1, 2)
        solved = torch.linalg.solve_triangular(matrix, scaled, upper=False, unitriangular=True)
        unit, slope = _from_normal(solved.transpose(1, 2) + middle[:, None])
        out = log_prob.view(n, draws) + log_precision.sum(-1)[:, None] + slope.sum(-1)
        return unit, out

    def _gaussian(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Middle and log precisions (n, size), and the unit lower triangular matrix (n, size, size)."""
        middle, raw, below = self.gaussian(context).split([self.size, self.size, self.size * (self.size - 1) // 2], -1)
        matrix = torch.eye(self.size, dtype=context.dtype, device=context.device).repeat(len(context), 1, 1)
        rows, columns = self.get_buffer("lower")
        matrix[:, rows, columns] = below
        return middle, _PRECISION * torch.tanh(raw / _PRECISION), matrix


def _to_normal(unit: Tensor) -> tuple[Tensor, Tensor]:
    """z = Φ⁻¹(u) and log |dz/du|."""
    z = math.sqrt(2.0) * torch.erfinv(2.0 * unit.clamp(_EDGE, 1.0 - _EDGE) - 1.0)
    return z, 0.5 * (z**2 + math.log(2.0 * math.pi))


def _from_normal(z: Tensor) -> tuple[Tensor, Tensor]:
    """u = Φ(z) and log |dz/du|."""
    return 0.5 * (1.0 + torch.erf(z / math.sqrt(2.0))), 0.5 * (z**2 + math.log(2.0 * math.pi))
