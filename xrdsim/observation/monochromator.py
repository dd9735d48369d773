"""The rocking curve of a perfect crystal, as that of a monochromator that reflects in the planes of the sample.

Crystals of one kind in the position (n, −n) disperse nothing: the beam is as wide as the monochromator's own curve, and
nothing of it is free (J. W. M. DuMond, Phys. Rev. 52, 872, 1937).
"""

import numpy as np

from xrdsim.experiment.instrument import Kernel
from xrdsim.experiment.reflection import Reflection, stretch
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.optics import darwin_half_width
from xrdsim.forward.sublayers import Sublayers, simulate_sublayers

FAR = 1000.0
"""Angle [arcsec] to which it reaches, for GGG 444."""

_NEAR, _FINE = 12.0, 0.05  # half-widths of the fine part, and its step in them
_TAIL = 200  # points of each tail


def rocking_curve(reflection: Reflection) -> Kernel:
    """Reflectivity of a perfect crystal of the substrate without a film, as a kernel of unit area."""
    bare = Experiment(Reflection(reflection.crystal, reflection.hkl, reflection.wavelength))
    half = darwin_half_width(bare.reflection)
    near = _scanned(bare, Scan(-_NEAR * half, _FINE * half, 2 * round(_NEAR / _FINE) + 1))
    far = max(FAR * max(1.0, stretch(reflection)), 2.0 * _NEAR * half)
    step = (far - _NEAR * half) / _TAIL
    tails = [_scanned(bare, Scan(start, step, _TAIL)) for start in (-far, _NEAR * half + step)]
    angle, weight = np.concatenate([tails[0], near, tails[1]], axis=1)
    return Kernel(angle, weight, bare.reflection.name)


def _scanned(experiment: Experiment, scan: Scan) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    angle, bare, _ = simulate_sublayers(Sublayers([100.0], [0.0]), experiment=experiment, scan=scan, fwhm=0.0)
    return np.array([angle, bare])
