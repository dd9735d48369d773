"""Noisy measured curves of known rows, each with its angles, counts and instrument: what a model is tried on.

The measurement is drawn as in training (``xrdml.data``), but all of it is kept, so that a curve can also be refined.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.checkpoint import TrainedModel
from xrdml.data import COVER, Measurement, network_input
from xrdml.known import Ranges
from xrdsim.configuration import Configuration
from xrdsim.curves import Curve
from xrdsim.model import largest_strain
from xrdsim.observe import observe, to_window
from xrdsim.store import Rows
from xrdsim.units import ARCSEC

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
        return self.params[:, 7] > 0.0 if self.params.shape[1] == 9 else np.zeros(len(self), bool)

    def curve(self, row: int) -> Curve:
        """One of them, as a file would give it."""
        part = slice(self.offsets[row], self.offsets[row + 1])
        angle, unit = self.angle[part], float(self.per_count[row])
        return Curve(angle, self.counts[part] * unit, int(np.argmin(np.abs(angle))), f"row {row}", per_count=unit)

    def inputs(self, trained: TrainedModel) -> NDArray[np.float32]:
        """What a network sees, (n, 2, points)."""
        mask = trained.measurement.peak_mask
        return network_input(to_window(self.angle, self.counts, self.offsets, trained.window, peak_mask=mask))

    def ranges(self, trained: TrainedModel) -> Ranges:
        """What a network is told, (n, k): its own ranges, and of crystals without damage that they have none."""
        whole = trained.ranges
        return whole.narrowed(self.values, None, np.random.default_rng(0))


def measure(rows: Rows, config: Configuration, prior: Measurement, rng: np.random.Generator) -> Measured:
    """Measure each row once, with its own instrument, scan and noise.

    Parameters
    ----------
    rows : with curves on ``config.stored_scan``.
    config : of the rows.
    prior : of the measurement.
    rng : source of everything random.
    """
    n, m = len(rows.params), prior
    params = rows.params.astype(np.float64)
    step, start = rng.uniform(*m.step, n), rng.uniform(*m.start, n)
    strained = largest_strain(params) * math.tan(config.reflection.theta_bragg) / ARCSEC
    told_to_cover = rng.random(n) < m.covered
    least = np.where(told_to_cover, np.clip(strained + COVER, *m.end), m.end[0])
    end = np.minimum(rng.uniform(least, m.end[1]), config.scan.last)
    points = np.floor((end - start) / step).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(points)])
    number = np.arange(offsets[-1]) - np.repeat(offsets[:-1], points)
    angle = np.repeat(start, points) + np.repeat(step, points) * number
    scale, background, counts = (_log_uniform(rng, limits, n) for limits in (m.scale, m.background, m.counts))
    fwhm, zero = rng.uniform(*m.fwhm, n), rng.uniform(*m.zero, n)
    expected = observe(
        rows.reflectivity,
        config.stored_scan,
        config.base_fwhm,
        angles=angle,
        offsets=offsets,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
    )
    per_count = scale / counts
    counted = rng.poisson(np.maximum(expected, 0.0) / np.repeat(per_count, points)).astype(np.float64)
    covers = angle[offsets[1:] - 1] >= strained
    return Measured(params, angle, counted, offsets, zero, fwhm, scale, background, per_count, covers)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], n: int) -> Array:
    return np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), n))
