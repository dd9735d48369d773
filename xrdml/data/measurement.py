"""Measured curves as files would give them, and what a network sees of curves that were measured somewhere.

What is drawn in a training stays where it is computed (``xrdml.data.observing``, ``xrdml.data.windows``); here it
becomes arrays, of as many points as each scan has.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.data.observing import count
from xrdml.data.prior import WHOLE_CURVE, Measurement
from xrdml.data.windows import DEX, standardised
from xrdsim.curves.curve import Curve
from xrdsim.dataset.simulation import Simulation
from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.experiment.scan import Scan
from xrdsim.forward.derived import largest_strain
from xrdsim.observation.resample import Windowed, to_window
from xrdsim.profiles.two_gaussians import KAPPA, TWO_GAUSSIANS

__all__ = ["DEX", "WHOLE_CURVE", "Measured", "Measurement", "measure", "network_input", "reach_of", "seeded"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured curves and what they were made of.

    Attributes
    ----------
    params : (n, 7 or 9).
    angle, counts : flat, angles [arcsec] and numbers of counts.
    offsets : (n + 1,) where each curve begins in them.
    zero, fwhm, scale, background, per_count : (n,) [arcsec, arcsec, intensity at R = 1, intensity, intensity].
    tails : (n, 3) of the instrument: FWHM of the Lorentzian [arcsec], share and FWHM [arcsec] of the pedestal.
    mask : (n,) half-width [arcsec] about the substrate peak that is not used.
    covers : (n,) whether the scan goes on to the angle at which the largest strain diffracts.
    """

    params: Array
    angle: Array
    counts: Array
    offsets: NDArray[np.int64]
    zero: Array
    fwhm: Array
    scale: Array
    background: Array
    per_count: Array
    tails: Array
    mask: Array
    covers: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.params)

    @property
    def values(self) -> Array:
        """(n, k) parameters, zero and FWHM."""
        return np.column_stack([self.params, self.zero, self.fwhm])

    @property
    def damaged(self) -> NDArray[np.bool_]:
        """(n,) whether there is damage, kappa > 0."""
        if not TWO_GAUSSIANS.holds_damage(self.params.shape[1]):
            return np.zeros(len(self), bool)
        return np.asarray(self.params[:, KAPPA] > 0.0)

    def curve(self, row: int) -> Curve:
        """One of them, as a file would give it."""
        part = slice(self.offsets[row], self.offsets[row + 1])
        angle, unit = self.angle[part], float(self.per_count[row])
        return Curve(angle, self.counts[part] * unit, int(np.argmin(np.abs(angle))), f"row {row}", per_count=unit)

    def inputs(self, window: Scan) -> NDArray[np.float32]:
        """What a network sees of them on a window, (n, 2, points)."""
        return network_input(to_window(self.angle, self.counts, self.offsets, window, peak_mask=self.mask))


def measure(
    curves: NDArray[np.float32],
    params: NDArray[np.floating],
    simulation: Simulation,
    prior: Measurement,
    rng: np.random.Generator,
) -> Measured:
    """Measure each curve once, with its own instrument, scan and noise.

    Parameters
    ----------
    curves : (n, simulation.stored_scan.points) noise-free, as stored in a dataset.
    params : (n, 7 or 9) what they were simulated from.
    simulation : what was simulated, and how.
    prior : of the measurement.
    rng : source of everything random.
    """
    truth = np.asarray(params, np.float64)
    reach = torch.from_numpy(reach_of(truth, simulation))
    made = count(torch.from_numpy(np.asarray(curves)), reach, simulation, prior, seeded(rng))
    s, counts = made.settings, made.counts
    used = torch.arange(counts.shape[1]) < s.points[:, None]
    angle = s.start[:, None] + s.step[:, None] * torch.arange(counts.shape[1])
    return Measured(
        params=truth,
        angle=angle[used].numpy(),
        counts=counts[used].numpy(),
        offsets=np.concatenate([[0], np.cumsum(s.points.numpy())]),
        zero=s.zero.numpy(),
        fwhm=s.fwhm.numpy(),
        scale=s.scale.numpy(),
        background=s.background.numpy(),
        per_count=1.0 / s.per_intensity.numpy(),
        tails=torch.stack([s.lorentz, s.tail_share, s.tail_fwhm], dim=1).numpy(),
        mask=s.mask.numpy(),
        covers=s.covers.numpy(),
    )


def reach_of(params: NDArray[np.floating], simulation: Simulation) -> Array:
    """Where the largest strain of each row diffracts (n,) [arcsec]."""
    return np.asarray(strain_to_angle(largest_strain(params), simulation.experiment.reflection), np.float64)


def seeded(rng: np.random.Generator, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator of torch that a generator of NumPy determines."""
    return torch.Generator(device).manual_seed(int(rng.integers(2**62)))


def network_input(seen: Windowed) -> NDArray[np.float32]:
    """Network input (n, 2, points): log10 intensity less its mean, in units of DEX, 0 where invalid; and validity.

    Taking the mean off makes it independent of the scale; units of the intensity do not matter.
    """
    level, valid = (torch.from_numpy(each.astype(np.float32)) for each in (seen.log_intensity, seen.valid))
    return np.asarray(standardised(level, valid).numpy())
