"""Noisy curves of known profiles, for the benchmarks of the fit: a seed makes a curve.

Profiles are drawn from the prior, every second one with damage. The instrument is a core of 28–60″, one in three bare,
one with a Lorentzian behind it and one with a wide pedestal. Curves are counted whole, peak and compressed side
included: scans begin 60–400″ below the peak, end anywhere or beyond the profile, in steps of 2–10″, with 1e5 to 1e6
counts at R = 1. Seeds from TUNING are for development, those from ACCEPTANCE and FURTHER are used for the final figures
only.
"""

from dataclasses import dataclass

import numpy as np

from xrdsim import GGG_444, ParameterSpace, Scan, draw_prior
from xrdsim.curves.curve import Curve
from xrdsim.experiment.instrument import GAUSSIAN, PEDESTAL, VOIGT, Instrument
from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.derived import largest_strain
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer

TUNING = range(900_000, 900_050)
ACCEPTANCE = range(500)
FURTHER = range(500, 1000)
SOLVED = 1.15
"""Largest reduced χ² of a solved curve."""

SCAN_BEGIN, SCAN_END, STEP = (-400.0, -60.0), (900.0, 2732.4), (2.0, 10.0)
CORE, LORENTZ, SHARE, TAIL = (28.0, 60.0), (1.0, 12.0), (0.02, 0.15), (80.0, 200.0)
ZERO, COUNTS, BACKGROUND = (-8.0, 8.0), (1e5, 1e6), (1e-5, 5e-4)
COVER = 60.0  # angle by which a scan that covers a profile goes on beyond its largest strain
ACCURACY = 1e-5  # of the simulation [dex]


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A curve of integer counts, and what it was made of; ``instrument`` holds the parameters of the instrument."""

    curve: Curve
    params: np.ndarray
    zero: float
    family: Instrument
    instrument: tuple[float, ...]
    background: float
    counts: float

    @property
    def fwhm(self) -> float:
        """Of the core."""
        return self.instrument[0]


def synthetic(seed: int, damaged: bool | None = None, covered: bool = False) -> Synthetic:
    """The curve of a seed; with damage if the seed is odd, or as said. The scan covers the profile or ends anywhere."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(78,)))
    space = ParameterSpace()
    if seed % 2 if damaged is None else damaged:
        space = space.with_damage()
    params = draw_prior(1, space=space, rng=rng)
    reach = strain_to_angle(float(largest_strain(params)[0]), GGG_444)
    scan = any_scan(rng, reach if covered else 0.0)
    zero, own = rng.uniform(*ZERO), [rng.uniform(*CORE)]
    family = (GAUSSIAN, VOIGT, PEDESTAL)[int(rng.integers(3))]
    own += [rng.uniform(*limits) for limits in {GAUSSIAN: (), VOIGT: (LORENTZ,), PEDESTAL: (SHARE, TAIL)}[family]]
    background, counts = log_uniform(rng, BACKGROUND), log_uniform(rng, COUNTS)
    observer = Observer(Simulator(Experiment(rtol_dex=ACCURACY), scan, space), family)
    seen = observer.curves(params, np.array([[zero, *own]]))[0] + background
    curve = counted(scan, counts * seen, rng, f"seed {seed}")
    return Synthetic(curve, params[0], zero, family, tuple(own), background, counts)


def any_scan(rng: np.random.Generator, reach: float = 0.0) -> Scan:
    """A scan across the peak that ends anywhere, but COVER beyond ``reach`` [arcsec]."""
    step, begin = rng.uniform(*STEP), rng.uniform(*SCAN_BEGIN)
    last = rng.uniform(float(np.clip(reach + COVER, *SCAN_END)), SCAN_END[1])
    return Scan(begin, step, int((last - begin) / step) + 1)


def counted(scan: Scan, expected: np.ndarray, rng: np.random.Generator, source: str) -> Curve:
    """A curve of integer counts, as a file of them gives it: that they are counts is left to be found."""
    counts = rng.poisson(expected).astype(np.float64)
    return Curve(scan.angle, counts, int(np.argmin(np.abs(scan.angle))), source)


def log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))
