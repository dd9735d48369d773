"""From a noise-free curve to a measured one, and to what a network sees of it.

A measured curve has another instrument than the stored one, an unknown scale, background and angular zero, counting
noise, a scan that begins and ends somewhere in steps of its own, and a substrate peak that is not used. ``Measurement``
is the prior of these, ``measure`` draws them.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.curve import Curve
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.experiment.scan import Scan
from xrdsim.forward.derived import largest_strain
from xrdsim.limits import Json
from xrdsim.observation.resample import PEAK_MASK, Windowed, observe, to_window
from xrdsim.profiles.two_gaussians import KAPPA, TWO_GAUSSIANS

Array = NDArray[np.float64]

DEX = 0.5
"""Typical standard deviation of log10 intensity along a curve: the unit of the network input."""

COVER = 60.0
"""Angle [arcsec] by which a scan that covers a profile goes on beyond its largest strain."""


@dataclass(frozen=True)
class Measurement:
    """Prior of a measurement; each range is (low, high).

    Parameters
    ----------
    fwhm : of the instrument [arcsec], uniform.
    scale, background : intensity = scale · R + background; log-uniform.
    zero : angle of the substrate peak [arcsec], uniform.
    counts : counts at R = 1, log-uniform; the noise is Poisson's.
    start, end : first and last angle of the scan [arcsec], uniform; scans end within the window.
    step : of the scan [arcsec], uniform.
    covered : share of the scans that are measured on to where the largest strain diffracts and COVER further; the
        others end anywhere.
    peak_mask : half-width [arcsec] of the region around the substrate peak that is not used.

    Raises
    ------
    ParameterError
        A range that is empty or has no meaning.
    """

    fwhm: tuple[float, float] = (25.0, 80.0)
    scale: tuple[float, float] = (0.3, 2.0)
    background: tuple[float, float] = (5e-5, 5e-4)
    zero: tuple[float, float] = (-8.0, 8.0)
    counts: tuple[float, float] = (1e5, 1e6)
    start: tuple[float, float] = (-150.0, -50.0)
    end: tuple[float, float] = (900.0, 2732.4)
    step: tuple[float, float] = (2.0, 10.0)
    covered: float = 0.5
    peak_mask: float = PEAK_MASK

    def __post_init__(self) -> None:
        positive = ("fwhm", "scale", "background", "counts", "step")
        for field in fields(self):
            if field.name in ("covered", "peak_mask"):
                continue
            low, high = (float(value) for value in getattr(self, field.name))
            object.__setattr__(self, field.name, (low, high))
            if not (np.isfinite([low, high]).all() and low <= high and (low > 0.0 or field.name not in positive)):
                rule = "positive and " if field.name in positive else ""
                raise ParameterError(
                    f"the measurement's {field.name} is {low:g} … {high:g}; it must be {rule}low ≤ high"
                )
        if not 0.0 <= self.covered <= 1.0:
            raise ParameterError(f"the measurement's covered = {self.covered:g} must lie within 0 … 1")
        if not (self.peak_mask >= 0.0 and self.start[1] < self.end[0]):
            raise ParameterError(
                f"peak_mask = {self.peak_mask:g} must be at least 0, and scans must start ({self.start[1]:g} at most) "
                f"before they end ({self.end[0]:g} at least)"
            )

    @property
    def contrast(self) -> tuple[float, float]:
        """Lowest and highest background in units of the scale, which no unit of the intensity changes."""
        return self.background[0] / self.scale[1], self.background[1] / self.scale[0]

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Json) -> Self:
        """Inverse of ``to_dict``."""
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"the measurement {values} is malformed: {error}") from error


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured curves and what they were made of.

    Attributes
    ----------
    params : (n, 7 or 9).
    angle, counts : flat, angles [arcsec] and numbers of counts.
    offsets : (n + 1,) where each curve begins in them.
    zero, fwhm, scale, background, per_count : (n,) [arcsec, arcsec, intensity at R = 1, intensity, intensity].
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

    def inputs(self, window: Scan, peak_mask: float) -> NDArray[np.float32]:
        """What a network sees of them on a window, (n, 2, points)."""
        return network_input(to_window(self.angle, self.counts, self.offsets, window, peak_mask=peak_mask))


def measure(
    curves: NDArray[np.float32],
    params: NDArray[np.floating],
    simulation: Simulation,
    measurement: Measurement,
    rng: np.random.Generator,
) -> Measured:
    """Measure each curve once, with its own instrument, scan and noise.

    Parameters
    ----------
    curves : (n, simulation.stored_scan.points) noise-free, as stored in a dataset.
    params : (n, 7 or 9) what they were simulated from.
    simulation : what was simulated, and how.
    measurement : the prior.
    rng : source of everything random.
    """
    n, m = len(curves), measurement
    truth = np.asarray(params, np.float64)
    step, start = rng.uniform(*m.step, n), rng.uniform(*m.start, n)
    reach = strain_to_angle(largest_strain(truth), simulation.experiment.reflection)
    covered = rng.random(n) < m.covered
    least = np.where(covered, np.clip(reach + COVER, *m.end), m.end[0])
    end = np.minimum(rng.uniform(least, m.end[1]), simulation.scan.last)
    points = np.floor((end - start) / step).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(points)])
    number = np.arange(offsets[-1]) - np.repeat(offsets[:-1], points)
    angle = np.repeat(start, points) + np.repeat(step, points) * number
    scale, background = _log_uniform(rng, m.scale, n), _log_uniform(rng, m.background, n)
    fwhm, zero = rng.uniform(*m.fwhm, n), rng.uniform(*m.zero, n)
    expected = observe(
        curves,
        simulation.stored_scan,
        simulation.base_fwhm,
        angles=angle,
        offsets=offsets,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
    )
    per_intensity = _log_uniform(rng, m.counts, n) / scale
    counts = rng.poisson(np.maximum(expected, 0.0) * np.repeat(per_intensity, points)).astype(np.float64)
    covers = angle[offsets[1:] - 1] >= reach
    return Measured(truth, angle, counts, offsets, zero, fwhm, scale, background, 1.0 / per_intensity, covers)


def network_input(seen: Windowed) -> NDArray[np.float32]:
    """Network input (n, 2, points): log10 intensity less its mean, in units of DEX, 0 where invalid; and validity.

    Taking the mean off makes it independent of the scale; units of the intensity do not matter.
    """
    valid = seen.valid.astype(np.float32)
    number = np.maximum(valid.sum(axis=1, keepdims=True), 1.0)
    log_intensity = seen.log_intensity.astype(np.float32)
    mean = log_intensity.sum(axis=1, keepdims=True) / number
    return np.stack([(log_intensity - mean) * valid / np.float32(DEX), valid], axis=1)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], n: int) -> NDArray[np.float64]:
    return np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), n))
