"""The noise of counted curves."""

from dataclasses import replace

import numpy as np

from xrdsim.errors import ParameterError
from xrdsim.forward.model import Curves


def add_noise(curves: Curves, counts: float, scale: float, rng: np.random.Generator) -> Curves:
    """The same curves as counted: Poisson noise of ``counts`` at R = 1 for intensities simulated with ``scale``.

    Raises
    ------
    ParameterError
        ``counts`` or ``scale`` is not positive, or ``counts`` exceeds 1e15.
    """
    if not 0.0 < counts <= 1e15:
        raise ParameterError(f"counts = {counts:g} must lie within 0 … 1e15")
    if not (np.isfinite(scale) and scale > 0.0):
        raise ParameterError(f"scale = {scale:g} must be positive to count")
    unit = scale / counts
    counted = rng.poisson(curves.intensity / unit).astype(np.float64)
    return replace(curves, intensity=unit * counted)
