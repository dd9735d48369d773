"""Diffuse reflectivity of samples at the nodes of a curve, ready to be added before the instrument sees it.

The layer scatters smoothly over the angle: it is computed at coarse angles, STRAIN apart in units of the angle that a
strain moves a reflection, and interpolated by polynomials through TAPS of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.defects import PER_CUBIC_CM, Defects
from xrdsim.experiment.reflection import strain_to_angle
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.diffuse.beams import Below, beams, below, crowd, exponents, wave, weakened
from xrdsim.kernels.diffuse import curves as kernel
from xrdsim.kernels.diffuse.cells import Cells
from xrdsim.kernels.diffuse.strength import Beams
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.stage import Family
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]

CELLS = 32
"""Of a layer."""

STRAIN = 1.8e-4
"""Distance of coarse angles, in strain: 18″ of GGG 444."""

TAPS = 6
"""Coarse angles of a polynomial between them."""


class Coarse(NamedTuple):
    """Coarse distances t [1/Å], and for each node the first of its coarse angles and their weights."""

    t: Array
    first: NDArray[np.int64]
    weight: Array


@dataclass(frozen=True, eq=False)
class Scattering:
    """Diffuse scattering of one experiment at some angles.

    Attributes
    ----------
    experiment : with defects.
    angle : (nodes,) [arcsec].
    profile : of the samples.
    thickest : bound of the thickness of their layers [Å].
    cells, strain : of the layer, and between coarse angles; 0 computes at every node.
    """

    experiment: Experiment
    angle: Array
    profile: Profile
    thickest: float
    cells: int = CELLS
    strain: float = STRAIN

    def add(self, rows: Array, chunks: int, out: Array) -> None:
        """Add the diffuse reflectivity of rows (n, p) to curves (n, nodes)."""
        layers = self.experiment.layers
        count = self.cells if layers is None else math.ceil(self.thickest / layers) + 1
        coarse = self._coarse(self.strain if layers is None else 0.0)
        polarisations = self._polarisations()
        below_it = self._below().values
        kernel.add_curves(
            *self._samples(rows), layers or 0.0, count, coarse.t, *polarisations, *coarse[1:], below_it, chunks, out
        )

    def linearize(self, rows: Array, chunks: int) -> tuple[Array, Array]:
        """Diffuse reflectivity (n, nodes) and its derivatives (n, k, nodes) of the continuous profile.

        They are over the parameters of the strain, then over ``Defects.names``: densities [1/cm³] and radii [1/Å].
        """
        samples, family = self._samples(rows)
        coarse, under = self._coarse(self.strain), self._below()
        names = len(self._defects.names)
        out = np.empty((len(rows), len(self.angle)))
        slope = np.empty((len(rows), samples.shape[1] + names, len(self.angle)))
        kernel.linearize(
            samples,
            family,
            self.cells,
            coarse.t,
            *self._polarisations(),
            *coarse[1:],
            under.values,
            under.changes,
            chunks,
            out,
            slope,
        )
        slope[:, samples.shape[1] :: 2] *= PER_CUBIC_CM
        return out, slope

    def add_sublayers(self, thickness: Array, strain: Array, out: Array) -> None:
        """Add the diffuse reflectivity of sublayers, the surface first, to one curve (nodes,)."""
        largest = max(float(strain.max(initial=0.0)), 1e-300)
        cells = Cells(thickness, strain, np.zeros(len(strain)), np.maximum(strain, 0.0) / largest)
        t = self.angle * (ARCSEC * wave(self.experiment.reflection))
        kernel.add_sublayers(cells, t, *self._polarisations(), self._below().values, out)

    @property
    def _defects(self) -> Defects:
        return self.experiment.defects or Defects()

    def _samples(self, rows: Array) -> tuple[Array, Family]:
        return np.ascontiguousarray(rows[:, : self.profile.size]), self.profile.family

    def _polarisations(self) -> tuple[object, Beams, Beams, float]:
        reflection = self.experiment.reflection
        share = 1.0 / (1.0 + self.experiment.monochromator)
        return crowd(self._defects, reflection), *beams(self._defects, reflection), share

    def _below(self) -> Below:
        return below(self.angle, self._defects, self.experiment.reflection)

    def _coarse(self, strain: float) -> Coarse:
        reflection = self.experiment.reflection
        spacing = strain_to_angle(strain, reflection)
        return _coarse(self.angle.tobytes(), spacing, ARCSEC * wave(reflection))


@lru_cache(maxsize=32)
def _coarse(angle_bytes: bytes, spacing: float, wave_of_angle: float) -> Coarse:
    """Coarse angles so far apart [arcsec] for nodes at these; the nodes themselves where they are not denser."""
    angle = np.frombuffer(angle_bytes)
    low, high = float(angle.min()), float(angle.max())
    if spacing <= 0.0 or (high - low) / spacing + TAPS >= len(angle):
        return Coarse(angle * wave_of_angle, np.arange(len(angle)), np.ones((len(angle), 1)))
    start = (math.floor(low / spacing) - TAPS // 2) * spacing  # a grid that does not move with the nodes
    place = (angle - start) / spacing
    first = np.floor(place).astype(np.int64) - (TAPS // 2 - 1)
    points = int(first.max()) + TAPS
    t = (start + spacing * np.arange(points, dtype=np.float64)) * wave_of_angle
    return Coarse(t, first, _lagrange(place - first, range(TAPS)))


def _lagrange(place: Array, knots: Sequence[int]) -> Array:
    """Weights (nodes, knots) of the polynomials through values at the knots, at the places."""
    columns = []
    for knot in knots:
        others = np.array([other for other in knots if other != knot], dtype=np.float64)
        columns.append(np.prod((place[:, None] - others) / (knot - others), axis=1))
    return np.ascontiguousarray(np.stack(columns, axis=1))


def static_columns(rows: Array, profile: Profile, experiment: Experiment) -> Array:
    """Rows with two columns behind those of the strain: L of the layer's loops, and E of the substrate."""
    defects = experiment.defects or Defects()
    layer, weaker = exponents(defects, experiment.reflection)[0], weakened(defects, experiment.reflection)
    size = profile.size
    extra = np.broadcast_to([layer, weaker], (len(rows), 2))
    return np.ascontiguousarray(np.concatenate([rows[:, :size], extra, rows[:, size:]], axis=1))
