"""From counts of equidistant scans to what a network sees: ``xrdsim.observation.resample.to_window`` for many at once.

The piecewise linear interpolant of a scan has the integral, up to the place u = k + t in units of the step,

    S(u) = Σ_{j<k} (I_j + I_{j+1})/2 + t·I_k + t²·(I_{k+1} − I_k)/2.

Its mean over the width (step of the window − measured step) is taken of
fine scans; coarse ones are interpolated, linear in log10 of the intensity.
"""

import torch
from torch import Tensor

from xrdml.data.drawing import Settings
from xrdsim.experiment.scan import Scan

DEX = 0.5
"""Typical standard deviation of log10 intensity along a curve: the unit of the network input."""

_SLACK = 1e-6  # of the step of the window: rounding of angles


def window_input(counts: Tensor, settings: Settings, window: Scan) -> Tensor:
    """Network input (n, 2, points), float32, of counts (n, most): see ``network_input``."""
    level, valid = log_window(counts, settings, window)
    return standardised(level.float(), valid.float())


def standardised(level: Tensor, valid: Tensor) -> Tensor:
    """(n, 2, points) log10 intensity less its mean, in units of DEX, 0 where invalid; and validity.

    Parameters
    ----------
    level : (n, points) log10 intensity, 0 where invalid.
    valid : (n, points) 1 or 0.
    """
    mean = level.sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.stack([(level - mean) * valid / DEX, valid], dim=1)


def log_window(counts: Tensor, settings: Settings, window: Scan) -> tuple[Tensor, Tensor]:
    """log10 intensity (n, points) on the window, 0 where invalid, and whether an angle was measured and is not masked.

    Parameters
    ----------
    counts : (n, most) at start + k·step, 0 beyond the points of each scan.
    settings : of the measurement.
    window : the grid.
    """
    s, slack = settings, _SLACK * window.step
    grid = window.start + window.step * torch.arange(window.points, dtype=torch.float64, device=counts.device)
    step, final = s.step[:, None], (s.points[:, None] - 1).double()
    floor = 0.5 * torch.where(counts > 0.0, counts, torch.inf).amin(dim=1, keepdim=True)
    place = (grid - s.start[:, None]) / step
    valid = (place >= -slack / step) & (place <= final + slack / step)
    valid = valid & (grid.abs() >= s.mask[:, None]) & torch.isfinite(floor) & (final > 0.0)

    place = torch.minimum(place.clamp(min=0.0), final)
    sums = torch.cumsum(counts, dim=1) - 0.5 * (counts[:, :1] + counts)
    half = 0.5 * (window.step - step).clamp(min=0.0) / step
    above, below = torch.minimum(place + half, final), (place - half).clamp(min=0.0)
    width = above - below
    mean = (_integral(above, final, counts, sums) - _integral(below, final, counts, sums)) / width.clamp(min=1e-30)

    first = torch.minimum(torch.floor(place), (final - 1.0).clamp(min=0.0))
    t, at = place - first, first.long()
    logs = torch.log10(torch.maximum(counts, floor))
    between = (1.0 - t) * logs.gather(1, at) + t * logs.gather(1, at + 1)
    level = torch.where(width * step > slack, torch.log10(torch.maximum(mean, floor)), between)
    return torch.where(valid, level, 0.0), valid


def _integral(place: Tensor, final: Tensor, counts: Tensor, sums: Tensor) -> Tensor:
    """S of the module's formula at places (n, m) of scans that end at ``final`` (n, 1)."""
    first = torch.minimum(torch.floor(place), (final - 1.0).clamp(min=0.0))
    t, at = place - first, first.long()
    here = counts.gather(1, at)
    return sums.gather(1, at) + t * (here + 0.5 * t * (counts.gather(1, at + 1) - here))
