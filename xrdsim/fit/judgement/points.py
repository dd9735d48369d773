"""What became of each measured point: how far it is from the model, in units of its noise, and why it was left out."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.record import Aside, LeftOut
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.result import FittedCurve
from xrdsim.fit.unknowns import Array

_LEAST = 1e-9  # counts of a model, in parts of the most


def points_of(measured: Measurement, model: Array) -> FittedCurve:
    """The points of a curve beside the model (n,) in the unit of the file.

    Each is compared alone, also where the fit sums neighbours. Of points that are fitted and not summed, the squares
    of the residuals add up to 2Φ.
    """
    curve = measured.curve
    sigma = residual = np.full(len(model), np.nan)
    if measured.counting and curve.per_count is not None:
        one = np.broadcast_to(curve.per_count, model.shape)
        counts = np.maximum(curve.intensity / one - measured.offset, 0.0)
        mu = np.maximum((model - measured.offset * measured.per_count) / one, _LEAST * counts.max())
        sigma = one * np.sqrt(mu + (measured.tolerance * mu) ** 2)
        residual = replace(measured, data=counts).residuals(mu)
    return FittedCurve(curve.angle, curve.intensity, model, measured.used, sigma, residual, _reasons(measured))


def aside_of(measured: Measurement) -> tuple[Aside, ...]:
    """Points of the file beside those of the curve that is compared with the model, and why."""
    read, low, high = measured.read, measured.curve.angle[0], measured.curve.angle[-1]
    beyond = (read.angle < low) | (read.angle > high)
    pairs = zip(read.angle[beyond].tolist(), read.intensity[beyond].tolist(), strict=True)
    return (*read.aside, *((angle, intensity, LeftOut.REACH) for angle, intensity in pairs))


def _reasons(measured: Measurement) -> NDArray[np.str_]:
    """Why each point (n,) is not fitted; of several reasons the first one of the list that holds."""
    angle, settings = measured.curve.angle, measured.left_out

    def within(name: str) -> NDArray[np.bool_]:
        inside = [(angle >= low) & (angle <= high) for low, high in settings.get(name, ())]
        return np.any(inside, axis=0) if inside else np.zeros(len(angle), bool)

    holds = {
        "": measured.used,
        LeftOut.SATURATED: within("saturated"),
        LeftOut.EDITED: within("edited"),
        LeftOut.EXCLUDED: within("excluded"),
        LeftOut.MASK: np.abs(angle) < settings.get("mask", 0.0),
        LeftOut.SIDE: angle < 0.0,
    }
    return np.select(list(holds.values()), [str(each) for each in holds], "")
