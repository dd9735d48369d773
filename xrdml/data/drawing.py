"""Draws of a measurement's prior, of many curves at once, on the device where the curves are."""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from xrdml.data.prior import Measurement
from xrdsim.experiment.scan import Scan

COVER = 60.0
"""Angle [arcsec] by which a scan that covers a profile goes on beyond its largest strain."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What n curves are measured with; tensors (n,) of float64, of one device.

    Attributes
    ----------
    fwhm, lorentz, tail_share, tail_fwhm : of the instrument [arcsec, arcsec, part of the area, arcsec].
    zero, scale, background : as in ``Measurement``.
    slope : of the background, in parts of it at the end of the window.
    hump, centre, hump_width : of the diffuse scattering [intensity, arcsec, arcsec].
    per_intensity : counts of an intensity of 1.
    start, step : of the scan [arcsec].
    points : of the scan, whole numbers (int64).
    mask : half-width [arcsec] about the peak that is not used; 0 for the whole curve.
    covers : whether the scan goes on to where the largest strain diffracts (bool).
    """

    fwhm: Tensor
    lorentz: Tensor
    tail_share: Tensor
    tail_fwhm: Tensor
    zero: Tensor
    scale: Tensor
    background: Tensor
    slope: Tensor
    hump: Tensor
    centre: Tensor
    hump_width: Tensor
    per_intensity: Tensor
    start: Tensor
    step: Tensor
    points: Tensor
    mask: Tensor
    covers: Tensor

    def rows(self, which: Tensor) -> "Settings":
        """Those of some curves."""
        return Settings(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


def most_points(window: Scan, prior: Measurement) -> int:
    """Points of the longest scan that can be drawn."""
    first = max(prior.start[0], window.start - prior.step[0])
    return int((min(prior.end[1], window.last) - first) / prior.step[0]) + 2


def draw_settings(reach: Tensor, window: Scan, prior: Measurement, generator: torch.Generator) -> Settings:
    """Draw the measurements of n curves.

    Parameters
    ----------
    reach : (n,) where the largest strain diffracts [arcsec], float64.
    window : of the network. Of a scan that starts before it the last point outside is the first.
    prior : of the measurement.
    generator : of the device of ``reach``.
    """
    m, n = prior, len(reach)

    def unit() -> Tensor:
        return torch.rand(n, dtype=torch.float64, device=reach.device, generator=generator)

    def uniform(limits: tuple[float, float]) -> Tensor:
        return limits[0] + (limits[1] - limits[0]) * unit()

    def log_uniform(limits: tuple[float, float]) -> Tensor:
        return torch.exp(uniform((math.log(limits[0]), math.log(limits[1]))))

    def sometimes(share: float, values: Tensor) -> Tensor:
        return values * (unit() < share)

    step = uniform(m.step)
    start = uniform(m.start)
    start = start + step * torch.floor((window.start - start).clamp(min=0.0) / step)
    covered = (unit() < m.covered) * (reach + COVER).clamp(*m.end) + 0.0
    least = covered.clamp(min=m.end[0])
    end = (least + unit() * (m.end[1] - least)).clamp(max=window.last)
    points = torch.floor((end - start) / step).long() + 1
    shares = np.cumsum(m.families) / sum(m.families)
    family = unit()
    lorentzian = ((family >= shares[0]) & (family < shares[1])) | (family >= shares[2])
    pedestal = family >= shares[1]
    scale = log_uniform(m.scale)
    return Settings(
        fwhm=uniform(m.fwhm),
        lorentz=uniform(m.lorentz) * lorentzian,
        tail_share=uniform(m.tail_share) * pedestal,
        tail_fwhm=log_uniform(m.tail_fwhm),
        zero=uniform(m.zero),
        scale=scale,
        background=log_uniform(m.background),
        slope=sometimes(m.sloped, uniform(m.slope)),
        hump=sometimes(m.humped, log_uniform(m.hump)),
        centre=unit() * reach,
        hump_width=log_uniform(m.hump_width),
        per_intensity=log_uniform(m.counts) / scale,
        start=start,
        step=step,
        points=points,
        mask=sometimes(m.masked, uniform(m.mask)),
        covers=start + step * (points - 1) >= reach,
    )
