"""Noisy curves of known profiles on short scans, for the tests of the fit."""

import numpy as np

from xrdsim.curves.curve import Curve
from xrdsim.experiment.scan import Scan
from xrdsim.forward.model import simulate
from xrdsim.profiles.space import ParameterSpace

SHORT = Scan(-80.0, 8.0, 161)
ZERO, FWHM = 3.0, 38.0
PROFILES = np.array(
    [
        [0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, -50.0],
        [0.0065, 0.0020, 4200.0, 2500.0, 0.0030, 2600.0, -300.0],
        [0.0095, 0.0040, 3600.0, 1800.0, 0.0015, 2000.0, -800.0],
    ]
)


def noisy(params, seed=0, *, scan=SHORT, zero=ZERO, fwhm=FWHM, counts=3e5, scale=1.0, background=2e-4, **physics):
    """A curve with Poisson's noise, so many counts at reflectivity 1."""
    space = ParameterSpace() if len(params) == 7 else ParameterSpace().with_damage()
    seen = simulate(
        params, scan=scan, zero=zero, fwhm=fwhm, background=background, rtol_dex=1e-5, space=space, **physics
    ).intensity[0]
    measured = np.random.default_rng(seed).poisson(seen * counts)
    peak = int(np.argmin(np.abs(scan.angle)))
    return Curve(scan.angle, scale * measured / counts, peak, f"seed {seed}", per_count=scale / counts)
