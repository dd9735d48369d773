"""Curves as an instrument of any shape shows them, with their derivatives.

The simulator convolves with a Gaussian core over nodes that resolve the substrate peak (``xrdsim.kernels.convolve``).
What is then smooth is multiplied by the transform of the tail (``xrdsim.observation.tails``), on an equidistant grid
fine enough for the core, that goes on beyond both ends of the scan: MARGIN as it is simulated, and REACH as the mean of
what is there, where it is too far away to matter.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from xrdsim.experiment.instrument import GAUSSIAN, Instrument
from xrdsim.experiment.reflection import stretch
from xrdsim.experiment.scan import Scan
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.observation.tails import WITH_CORE, core_of, multiplier

Array = NDArray[np.float64]

MARGIN = 300.0
"""Angle [arcsec] beyond the ends of a scan that is simulated for the tail of the instrument, for GGG 444."""

REACH = 2000.0
"""Angle [arcsec] of the continuation beyond that, for GGG 444: the tail of one end does not come back at the other."""

_FOR_CORE, _FOR_PART = 4.0, 2.5  # points of the grid for an FWHM of the core
ENDS = 8
"""Points whose mean continues a curve."""

_ROWS = 256  # curves transformed at once


@dataclass(frozen=True)
class Grid:
    """An extended scan: every ``stride``-th of its points from ``first`` on is one of the scan's, in ``length``."""

    scan: Scan
    first: int
    stride: int
    points: int
    length: int

    @property
    def inside(self) -> slice:
        """The points of the scan."""
        return slice(self.first, self.first + (self.points - 1) * self.stride + 1, self.stride)

    @property
    def turn(self) -> int:
        """Where the continuation of the end becomes that of the beginning."""
        return self.scan.points + (self.length - self.scan.points) // 2


@dataclass(frozen=True, eq=False)
class Observer:
    """A simulator behind an instrument.

    Attributes
    ----------
    simulator : of an experiment on a scan.
    instrument : through which it is seen.
    """

    simulator: Simulator
    instrument: Instrument = GAUSSIAN

    def within(self, rtol_dex: float) -> "Observer":
        """The same with another accuracy [dex]."""
        simulator = self.simulator.within(rtol_dex)
        return self if simulator is self.simulator else replace(self, simulator=simulator)

    def on(self, scan: Scan) -> "Observer":
        """The same on another scan."""
        return replace(self, simulator=replace(self.simulator, scan=scan))

    def curves(self, rows: Array, own: Array) -> Array:
        """Unscaled intensity (n, angle) of rows (n, p) with zero and the instrument's parameters (n, 1 + q).

        Behind these may stand ln n and ln R of the loops of the simulator's defects, in the order of ``Defects.names``,
        n in 1/cm³ and R in Å; without them its defects are as they are.
        """
        own, loops = self._apart(own)
        core = core_of(self.instrument, own[:, 1:])
        seen = Seen.unscaled(core, own[:, 0])
        if self.instrument.plain:
            return _curves(self.simulator, rows, seen, loops)
        grid = self.grid(float(core.min()))
        smooth = _curves(replace(self.simulator, scan=grid.scan), rows, seen, loops)
        out = np.empty((len(rows), grid.points))
        for some in parts(len(rows)):
            factor, _ = multiplier(self.instrument, own[some, 1:], grid.scan.step, grid.length)
            out[some] = _back(factor * _forward(smooth[some], grid), grid)
        return out

    def linearize(self, rows: Array, own: Array) -> tuple[Array, Array]:
        """The same, and its derivatives (n, p + 1 + q, angle) over parameters, zero and instrument.

        Where loops are given, those over their logarithms are behind them.
        """
        own, loops = self._apart(own)
        core = core_of(self.instrument, own[:, 1:])
        seen, size = Seen.unscaled(core, own[:, 0]), rows.shape[1]
        names = ("zero", "fwhm") if self.instrument.family in WITH_CORE else ("zero",)
        if self.instrument.plain:
            return _linearized(self.simulator, rows, seen, names, loops)
        grid = self.grid(float(core.min()))
        smooth, slope = _linearized(replace(self.simulator, scan=grid.scan), rows, seen, names, loops)
        intensity = np.empty((len(rows), grid.points))
        extra = loops.shape[1]
        out = np.empty((len(rows), size + own.shape[1] + extra, grid.points))
        with_core, first = len(names) == 2, slope.shape[1] - extra
        for some in parts(len(rows)):
            factor, change = multiplier(self.instrument, own[some, 1:], grid.scan.step, grid.length)
            curve = _forward(smooth[some], grid)
            intensity[some] = _back(factor * curve, grid)
            seen_slope = _back(factor[:, None] * _forward(slope[some], grid), grid)
            out[some, :first], out[some, out.shape[1] - extra :] = seen_slope[:, :first], seen_slope[:, first:]
            out[some, first : out.shape[1] - extra] = _back(change[:, with_core:] * curve[:, None], grid)
        return intensity, out

    def _apart(self, own: Array) -> tuple[Array, Array]:
        """Zero and the instrument's parameters, and what is given of loops."""
        return np.split(own, [1 + len(self.instrument.parameters)], axis=1)  # type: ignore[return-value]

    def grid(self, narrowest: float) -> Grid:
        """The extended scan for cores not narrower than one [arcsec]; NaN is that of a place that is none."""
        core = narrowest if narrowest > 0.0 else self.simulator.scan.step
        scan, far = self.simulator.scan, max(1.0, stretch(self.simulator.experiment.reflection))
        fine = _FOR_CORE if self.instrument.family in WITH_CORE else _FOR_PART
        stride = max(1, math.ceil(fine * scan.step / core - 1e-9))
        step, margin = scan.step / stride, MARGIN * far
        if self.instrument.doublet is not None:
            margin += self.instrument.doublet.shift
        below = margin + max(scan.start, 0.0)  # to beyond the peak
        above = margin + max(-scan.last, 0.0)
        first = math.ceil(below / step)
        count = first + (scan.points - 1) * stride + 1 + math.ceil(above / step)
        length = fft.next_fast_len(count + math.ceil(REACH * far / step), real=True)
        return Grid(Scan(scan.start - first * step, step, count), first, stride, scan.points, length)


def _curves(simulator: Simulator, rows: Array, seen: Seen, loops: Array) -> Array:
    """Intensity (n, angle) of rows with loops (n, d) of their own."""
    if not loops.shape[1]:
        return simulator.curves(rows, seen)[1]
    each = ((simulator.among(np.exp(one).tolist()), slice(i, i + 1)) for i, one in enumerate(loops))
    return np.concatenate([one.curves(rows[some], seen.of(some))[1] for one, some in each])


def _linearized(
    simulator: Simulator, rows: Array, seen: Seen, names: tuple[str, ...], loops: Array
) -> tuple[Array, Array]:
    """The same and derivatives, the last of them over the logarithms of the loops."""
    if not loops.shape[1]:
        return simulator.linearize(rows, seen, names)[1:]
    intensities, slopes = [], []
    for i, values in enumerate(np.exp(loops)):
        some = slice(i, i + 1)
        found = simulator.among(values.tolist()).linearize_defects(rows[some], seen.of(some), names)
        intensities.append(found[1])
        slopes.append(np.concatenate([found[2], found[3] * values[:, None]], axis=1))
    return np.concatenate(intensities), np.concatenate(slopes)


def parts(n: int) -> list[slice]:
    """The curves that are transformed at once."""
    return [slice(first, first + _ROWS) for first in range(0, n, _ROWS)]


def _forward(values: Array, grid: Grid) -> NDArray[np.complex128]:
    """Transform (…, f) of values (…, points of the grid), which go on as the mean of each end."""
    count = grid.scan.points
    whole = np.empty((*values.shape[:-1], grid.length))
    whole[..., :count] = values
    whole[..., count : grid.turn] = values[..., -ENDS:].mean(axis=-1, keepdims=True)
    whole[..., grid.turn :] = values[..., :ENDS].mean(axis=-1, keepdims=True)
    return np.asarray(fft.rfft(whole, axis=-1))


def _back(transform: NDArray[np.complex128], grid: Grid) -> Array:
    """Values (…, points of the scan) of a transform (…, f)."""
    return np.asarray(fft.irfft(transform, grid.length, axis=-1)[..., grid.inside])
