"""Equidistant scans for angles that were measured at any steps, on which curves are simulated."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from xrdsim.experiment.scan import Scan

Array = NDArray[np.float64]

_SPARSE = 4.0  # points of a grid for each measured one, up to which these lie on it
_FINEST = 1.0  # step [arcsec] of a grid between whose points the model is interpolated
_TAPS = 6  # points of the polynomial between the points of an equidistant grid


def equidistant(angle: Array, used: NDArray[np.bool_]) -> tuple[Scan, NDArray[np.int64], csr_array | None]:
    """An equidistant scan that holds the used angles, their places on it, or the polynomials between its points."""
    step = float(np.median(np.diff(angle)))
    places = (angle - angle[0]) / step
    if np.abs(places - np.round(places)).max() < 1e-3 and places[-1] < _SPARSE * len(angle):
        points = int(np.round(places[-1])) + 1
        step = float((angle[-1] - angle[0]) / (points - 1))
        return Scan(float(angle[0]), step, points), np.round(places[used]).astype(np.int64), None
    step = min(max(step, _FINEST), 4.0)
    half = _TAPS // 2
    points = math.ceil((angle[-1] - angle[0]) / step) + 2 * half
    grid = Scan(float(angle[0]) - (half - 1) * step, step, points)
    at = (angle[used] - grid.start) / step
    first = np.clip(np.floor(at).astype(np.int64) - (half - 1), 0, points - _TAPS)
    t = (at - first)[:, None]
    columns = []
    for i in range(_TAPS):  # Lagrange's polynomials
        others = np.array([j for j in range(_TAPS) if j != i])
        columns.append(np.prod((t - others) / (i - others), axis=1))
    rows = np.repeat(np.arange(len(at)), _TAPS)
    where = (first[:, None] + np.arange(_TAPS)).ravel()
    matrix = csr_array((np.column_stack(columns).ravel(), (rows, where)), shape=(len(at), points))
    return grid, first, matrix
