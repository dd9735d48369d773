"""Noisy curves of known profiles, for the benchmarks of the fit: a seed makes a curve.

Profiles are drawn from the prior, every second one with damage; the measurement from ``xrdml.Measurement``: scale,
background, zero, FWHM, counts, begin, end and step of the scan. Seeds from TUNING are for development, those from
ACCEPTANCE and FURTHER are used for the final figures only.
"""

from dataclasses import dataclass

import numpy as np

from xrdml.data.drawing import COVER
from xrdml.data.measurement import Measurement
from xrdsim import GGG_444, ParameterSpace, Scan, draw_prior, simulate
from xrdsim.curves.curve import Curve
from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.forward.derived import largest_strain

TUNING = range(900_000, 900_050)
ACCEPTANCE = range(500)
FURTHER = range(500, 1000)
SOLVED = 1.15
"""Largest reduced χ² of a solved curve."""


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A curve and what it was made of."""

    curve: Curve
    params: np.ndarray
    zero: float
    fwhm: float
    scale: float
    background: float
    counts: float

    @property
    def per_count(self) -> float:
        """Intensity of one count."""
        return self.scale / self.counts


def synthetic(seed: int, damaged: bool | None = None, covered: bool = False) -> Synthetic:
    """The curve of a seed; with damage if the seed is odd, or as said. The scan covers the profile or ends anywhere."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(77,)))
    m = Measurement()
    space = ParameterSpace()
    if seed % 2 if damaged is None else damaged:
        space = space.with_damage()
    params = draw_prior(1, space=space, rng=rng)
    step, start = rng.uniform(*m.step), rng.uniform(*m.start)
    reach = strain_to_angle(float(largest_strain(params)[0]), GGG_444)
    least = float(np.clip(reach + COVER, *m.end)) if covered else m.end[0]
    last = min(rng.uniform(least, m.end[1]), 2732.4)
    scan = Scan(start, step, int((last - start) / step) + 1)
    zero, fwhm = rng.uniform(*m.zero), rng.uniform(*m.fwhm)
    wide = (m.scale, m.background, m.counts)
    scale, background, counts = (float(np.exp(rng.uniform(*np.log(each)))) for each in wide)
    seen = simulate(
        params, scan=scan, zero=zero, fwhm=fwhm, scale=scale, background=background, rtol_dex=1e-5, space=space
    ).intensity[0]
    intensity = rng.poisson(seen * counts / scale) * (scale / counts)
    peak = int(np.argmin(np.abs(scan.angle)))
    curve = Curve(scan.angle, intensity, peak, f"seed {seed}")
    return Synthetic(curve, params[0], zero, fwhm, scale, background, counts)
