"""From stored curves to counts at the angles of any scan, on processors and cards alike, without a way to the host.

Stored curves C are seen by a Gaussian of FWHM b. Through a wider core with a tail (``xrdsim.experiment.instrument``)
they are, ν in 1/arcsec,

    Ĉ(ν) · Ĝ(√(F² − b²)) · L̂(w_L) · [1 − f + f·Ĝ(w_t)],    Ĝ(w) = exp(−(πwν)²/(4 ln 2)),   L̂(w) = exp(−πw|ν|),

since a Gaussian of a Gaussian is one, and Lorentzians and pedestals are factors. The transform continues a curve by
the mean of each end. It repeats the tail of a Lorentzian with its period P; what is repeated, to first order in w_L/P

    w_L · [π/(2P²) / sin²(πx/P) − 1/(2πx²)],

is taken off. A grid SUBDIVISION times as fine comes back, between whose points cubic polynomials are exact to 1e-4.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from xrdml.data.drawing import Settings, draw_settings, most_points
from xrdml.data.prior import Measurement
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.observation.resample import narrowest_fwhm

SUBDIVISION = 4
"""Points of the fine grid for each of the stored one."""

REACH = 1900.0
"""Angle [arcsec] of the continuation of a curve: the tail of one end does not come back at the other."""

_GAUSS = math.pi**2 / (4.0 * math.log(2.0))
_ENDS = 8  # points whose mean continues a curve


@dataclass(frozen=True, eq=False)
class Counted:
    """Counts (n, most) of n scans, 0 beyond the points of each, and what they were measured with."""

    counts: Tensor
    settings: Settings


def count(
    curves: Tensor, reach: Tensor, simulation: Simulation, prior: Measurement, generator: torch.Generator
) -> Counted:
    """Measure each curve once.

    Parameters
    ----------
    curves : (n, simulation.stored_scan.points) noise-free, as stored in a dataset.
    reach : (n,) where the largest strain diffracts [arcsec], float64.
    simulation : what was simulated, and how.
    prior : of the measurement.
    generator : of everything random, of the device of the curves.

    Raises
    ------
    ParameterError
        Instruments narrower than that of the stored curves.
    """
    narrowest = narrowest_fwhm(simulation.stored_scan, simulation.base_fwhm)
    if prior.fwhm[0] < narrowest:
        raise ParameterError(
            f"fwhm = {prior.fwhm[0]:g} arcsec cannot be made of curves stored with {simulation.base_fwhm:g} arcsec in "
            f"steps of {simulation.stored_scan.step:g}; it must be at least {narrowest:.2f}"
        )
    settings = draw_settings(reach, simulation.scan, prior, generator)
    most = most_points(simulation.scan, prior)
    intensity = expected(curves, simulation.stored_scan, simulation.base_fwhm, simulation.scan.last, settings, most)
    used = torch.arange(most, device=curves.device) < settings.points[:, None]
    mean = intensity.clamp(min=0.0) * settings.per_intensity[:, None] * used
    return Counted(torch.poisson(mean, generator=generator), settings)


def expected(curves: Tensor, stored: Scan, base_fwhm: float, last: float, settings: Settings, most: int) -> Tensor:
    """Intensities (n, most) at the angles start + k·step; beyond the points of a scan they have no meaning.

    Parameters
    ----------
    curves : (n, stored.points) reflectivity convolved with the base instrument.
    stored, base_fwhm : their scan, and FWHM of the base instrument [arcsec].
    last : angle [arcsec] to which the slope of the background refers.
    settings : of the measurement.
    most : points.
    """
    s = settings
    angle = s.start[:, None] + s.step[:, None] * torch.arange(most, device=curves.device)
    fine = through(curves, stored, base_fwhm, s)
    place = (angle - (s.zero[:, None] + stored.start)) * (SUBDIVISION / stored.step)
    seen = _between(fine, place.clamp(1.0, SUBDIVISION * (stored.points - 1) - 2.0))
    background = s.background[:, None] * (1.0 + s.slope[:, None] / last * angle)
    diffuse = s.hump[:, None] / (1.0 + ((angle - s.centre[:, None]) / s.hump_width[:, None]) ** 2)
    return s.scale[:, None] * seen + background + diffuse


def through(curves: Tensor, stored: Scan, base_fwhm: float, settings: Settings) -> Tensor:
    """Curves (n, SUBDIVISION·points) behind the instruments, from the first angle of the stored scan on."""
    n, count = curves.shape
    length = next_fast_len(count + math.ceil(REACH / stored.step), real=True)
    half = (length - count) // 2
    values = curves.double()
    above = values[:, -_ENDS:].mean(dim=1, keepdim=True).expand(n, half)
    below = values[:, :_ENDS].mean(dim=1, keepdim=True).expand(n, length - count - half)
    transform = torch.fft.rfft(torch.cat([values, above, below], dim=1))
    nu, repeated = _frequencies(length, stored.step, curves.device)
    square = _GAUSS * nu**2
    core = torch.exp(-square * (settings.fwhm**2 - base_fwhm**2)[:, None])
    lorentz = torch.exp(-math.pi * settings.lorentz[:, None] * nu) - settings.lorentz[:, None] * repeated
    share = settings.tail_share[:, None]
    foot = 1.0 - share + share * torch.exp(-square * (settings.tail_fwhm**2)[:, None])
    whole = torch.fft.irfft(transform * (core * lorentz * foot), n=SUBDIVISION * length)
    fine: Tensor = SUBDIVISION * whole[:, : SUBDIVISION * count]
    return fine


@lru_cache(maxsize=8)
def _frequencies(length: int, step: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """ν (f,), and the transform (f,) of what a period repeats of a Lorentzian, for w_L = 1″."""
    period = step * length
    x = torch.arange(length, dtype=torch.float64) * step
    x = torch.minimum(x, period - x)
    x[0] = 1.0
    others = 0.5 * math.pi / period**2 / torch.sin(math.pi * x / period) ** 2 - 0.5 / (math.pi * x**2)
    others[0] = math.pi / (6.0 * period**2)
    nu = torch.fft.rfftfreq(length, step, dtype=torch.float64)
    return nu.to(device), (torch.fft.rfft(others).real * step).to(device)


def _between(values: Tensor, place: Tensor) -> Tensor:
    """Values (n, m) of the cubic polynomials through four neighbours of (n, points) at places in units of its step."""
    at = torch.floor(place)
    t, first = place - at, at.long() - 1
    before, here, after, further = (values.gather(1, first + shift) for shift in range(4))
    return (
        here * (1.0 - t**2) * (2.0 - t) * 0.5
        + after * t * (1.0 + t) * (2.0 - t) * 0.5
        - before * t * (1.0 - t) * (2.0 - t) / 6.0
        - further * t * (1.0 - t**2) / 6.0
    )
