"""What a curve tells of its sample's parameters: a metric for each sample, in which deviations are measured.

    G = S JᵀJ S / m,   J = ∂log10 I/∂p at the truth over m angles,   S the ranges of the parameters

For deviations Δ in parts of ranges, √(Δᵀ G Δ) is to first order the RMS change of log10 I along the window: G is the
Fisher information of a curve whose logarithm is equally uncertain everywhere.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Floats
from xrdsim.forward.derivatives import jacobian

FWHM = 30.0
"""Instrument [arcsec] that the curves are seen with."""

BACKGROUND = 1e-4
"""Background in units of reflectivity: a usual one, above which a measured curve tells something."""

_RTOL = 1e-3  # accuracy of the curves in dex
_TOGETHER = 512  # rows between two calls of progress


def measure_metrics(
    params: NDArray[np.floating], simulation: Simulation, progress: Callable[[int, int], None] | None = None
) -> Floats:
    """Metrics (n, p, p) of parameters (n, p), in dex² per squared part of a range; some 3 ms each on two cores.

    Fixed sublayers have no derivatives; those of the continuous profile stand for them.

    Parameters
    ----------
    params : within ``simulation.space``.
    simulation : ranges, window and experiment.
    progress : called with (done, total) rows.

    Raises
    ------
    ParameterError
        Parameters outside the space.
    """
    n, size = params.shape
    out = np.empty((n, size, size), np.float32)
    for first in range(0, n, _TOGETHER):
        part = slice(first, first + _TOGETHER)
        slope = simulation.space.span * jacobian(
            params[part],
            fwhm=FWHM,
            background=BACKGROUND,
            experiment=simulation.experiment.continuous().within(_RTOL),
            scan=simulation.scan,
            space=simulation.space,
        )
        out[part] = np.swapaxes(slope, 1, 2) @ slope / slope.shape[1]
        if progress:
            progress(min(first + _TOGETHER, n), n)
    return out


class Metrics:
    """Metrics of the rows of a training, found again by their parameters, of which a metric is a function.

    They are scaled by one number for all, so that independent deviations of equal size have a norm as large as the
    sum of their absolute values: by (p / mean √(trace G))² over the rows to validate on.
    """

    def __init__(self, simulation: Simulation, held: Floats) -> None:
        self._simulation = simulation
        self._source: Floats | None = None
        self._held = measure_metrics(held, simulation)
        size = np.sqrt(np.trace(self._held, axis1=1, axis2=2)).mean()
        self._factor = np.float32((held.shape[1] / size) ** 2 if size > 0.0 else 1.0)
        self._held_index = _index(held)
        self._metrics, self._at = self._held, self._held_index

    def cover(self, source: Floats, progress: Callable[[int, int], None] | None = None) -> None:
        """Measure the rows (n, p) of an epoch beside those to validate on; the array of the last call is known."""
        if source is self._source:
            return
        self._metrics = np.concatenate([measure_metrics(source, self._simulation, progress), self._held])
        self._at = {row: len(source) + number for row, number in self._held_index.items()} | _index(source)
        self._source = source

    def of(self, params: Floats) -> Floats:
        """Scaled metrics (n, p, p) of rows that are covered."""
        return np.asarray(self._factor * self._metrics[[self._at[row] for row in _keys(params)]], np.float32)


def _keys(params: Floats) -> list[bytes]:
    """What identifies each row."""
    return [row.tobytes() for row in np.ascontiguousarray(params, np.float32)]


def _index(params: Floats) -> dict[bytes, int]:
    return {row: number for number, row in enumerate(_keys(params))}
