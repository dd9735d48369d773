"""One measured curve prepared for the fit: what the model predicts of it, and what its noise is.

The model of the intensity is μ = scale·C(p, zero, instrument) + background, C the reflectivity of the profile p seen
through the instrument, the background constant, or linear in the angle and not negative at either end of the curve.
With known counts N whose mean the model knows to a part τ, so that their variance is μ + (τμ)², the objective is half
the deviance of the negative binomial distribution,

    Φ = Σ N ln(N/μ) − (N + k) ln((N + k)/(μ + k)),   k = 1/τ²,     ∂Φ/∂x = Σ w·(μ − N)·∂μ/∂x,   w = 1/(μ + τ²μ²),

for τ = 0 that of Poisson, Σ μ − N + N ln(N/μ). Without counts it is half the sum of squares of log10(I/μ)/s, for which
w = 1/(s μ ln 10)² and N − μ is μ ln(I/μ); s is the scatter of neighbouring points, and only sets the unit of Φ. In all,
Σ w·∂μ∂μᵀ is the Hessian matrix of Fisher's scoring (P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989),
and scale and background, in which μ is linear, follow from the other unknowns by a few steps of it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import gammaln

from xrdsim.curves.curve import Curve
from xrdsim.experiment.defects import Defects
from xrdsim.experiment.instrument import GAUSSIAN, ZERO, Instrument, InstrumentParameter
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.unknowns import Array, Background, Limits, Unknown, measurement_unknowns
from xrdsim.forward.model import check_film
from xrdsim.forward.simulator import Simulator
from xrdsim.limits import Json
from xrdsim.observation.grids import equidistant
from xrdsim.observation.observer import Observer

_RIDGE = 1e-12  # added to the scaled matrix of scale and background, which may be alike


@dataclass(eq=False)
class Scoring:
    """Φ and its quadratic form at m places, scale and background at their best.

    Attributes
    ----------
    linear : (m, l) scale and background of each measurement, in counts, or the unit of the intensity.
    objective : (m,) Φ.
    gradient, hessian : (m, k + l) and (m, k + l, k + l), of the coordinates and of ``linear``.
    """

    linear: Array
    objective: Array
    gradient: Array
    hessian: Array

    def take(self, rows: NDArray[np.int64], other: "Scoring", good: NDArray[np.bool_]) -> None:
        """Put the good places of another in the place of some rows."""
        for name in ("linear", "objective", "gradient", "hessian"):
            getattr(self, name)[rows] = getattr(other, name)[good]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurement:
    """A measured curve, prepared for the fit; ``measurement_of`` makes it.

    Attributes
    ----------
    read : the curve as it was read.
    curve : the same, less what strain cannot reach; its note says what was left out and summed.
    used : which of its points are fitted.
    data : (n,) counts, or intensities if ``counting`` is not set; of the points that are used, summed where dense.
    angle : (n,) their mean angles [arcsec].
    counting : whether ``data`` are counts with Poisson's noise.
    simulator : of the experiment, on the equidistant scan on which curves are simulated.
    picked : (n,) points of this scan that were measured; ``between`` interpolates (n, scan) where they are not on it.
    exposure : (n,) counts per intensity, relative to their mean, times the points summed; 1 without counting.
    per_count : intensity per count, of the file, its harmonic mean; 1 without counting.
    offset : counts taken off, see ``measurement_of``.
    scatter : s of the module's formulas [dex]; 1 with counting.
    tolerance : τ of the module's formulas, what the model itself may be wrong by; 0 without counting.
    left_out : mask, both_sides and exclude of ``measurement_of``; of the latter, what was ``edited`` or ``saturated``.
    instrument : through which it was measured.
    least_tolerance : what it is at least.
    estimated : whether what is taken for counts is estimated from the scatter.
    alternatives : instruments of which the evidence may choose another.
    zero : limits of the angle of the substrate peak [arcsec].
    limits : of the instrument's parameters, in the order and units of its table.
    scale, background : None, or the value at which it is fixed, in the unit of the file.
    ground : whether the background is constant, linear, or constant as long as the evidence does not choose.
    """

    read: Curve
    curve: Curve
    used: NDArray[np.bool_]
    data: Array
    angle: Array
    counting: bool
    simulator: Simulator
    picked: NDArray[np.int64]
    exposure: Array
    between: csr_array | None = None
    per_count: float = 1.0
    offset: float = 0.0
    scatter: float = 1.0
    tolerance: float = 0.0
    least_tolerance: float = 0.0
    estimated: bool = False
    left_out: Json = field(default_factory=dict)
    instrument: Instrument = GAUSSIAN
    alternatives: tuple[Instrument, ...] = ()
    zero: Limits = ZERO.limits
    limits: tuple[Limits, ...] = tuple(each.limits for each in GAUSSIAN.parameters)
    scale: float | None = None
    background: float | None = None
    ground: Background = Background.CONSTANT

    @property
    def experiment(self) -> Experiment:
        """What was measured, and how it is described."""
        return self.simulator.experiment

    @property
    def names(self) -> tuple[str, ...]:
        """Of its zero and of its instrument's parameters, (q,)."""
        return (ZERO.name, *self.instrument.names)

    @property
    def start(self) -> Array:
        """Values (q,) of zero and instrument with which a refinement begins that is given none."""
        return np.array([each.within(limits, each.start) for each, limits in self._table()])

    @property
    def screened(self) -> Array:
        """Values (q,) of the candidates that a search compares with the curve."""
        return np.array([each.within(limits, each.screened) for each, limits in self._table()])

    def _table(self) -> Iterator[tuple[InstrumentParameter, Limits]]:
        return zip((ZERO, *self.instrument.parameters), (self.zero, *self.limits), strict=True)

    def unknowns(self, number: int = 0) -> tuple[Unknown, ...]:
        """Its unknowns, as the measurement of this number."""
        return measurement_unknowns(
            self.instrument, self.zero, self.limits, self.scale, self.background, number, self.sloping
        )

    @property
    def sloping(self) -> bool:
        """Whether the background is linear in the angle."""
        return self.ground is Background.LINEAR

    @cached_property
    def shares(self) -> Array:
        """What the background is made of, (b, n): 1, or what falls from 1 to 0 along the curve and what rises so."""
        return self._shares(self.angle) * self.exposure

    def _shares(self, angle: Array) -> Array:
        if not self.sloping:
            return np.ones((1, len(angle)))
        first, last = float(self.curve.angle[0]), float(self.curve.angle[-1])
        share = (angle - first) / (last - first)
        return np.stack([1.0 - share, share])

    def held(self, which: int, value: float) -> "Measurement":
        """The same with its zero (0) or a parameter of its instrument (from 1) fixed."""
        if which == 0:
            return replace(self, zero=(value, value))
        limits = tuple((value, value) if j == which - 1 else ends for j, ends in enumerate(self.limits))
        return replace(self, limits=limits)

    def behind(self, instrument: Instrument) -> "Measurement":
        """The same through another instrument; limits of parameters that both have stay."""
        known = dict(zip(self.instrument.names, self.limits, strict=True))
        limits = tuple(known.get(each.name, each.limits) for each in instrument.parameters)
        return replace(self, instrument=instrument, limits=limits)

    def over(self, ground: Background) -> "Measurement":
        """The same over another background."""
        return replace(self, ground=ground)

    def among(self, defects: Defects | None) -> "Measurement":
        """The same of a sample with other dislocation loops, or without any."""
        experiment = replace(self.experiment, defects=defects)
        return replace(self, simulator=replace(self.simulator, experiment=experiment))

    def tolerating(self, tolerance: float) -> "Measurement":
        """The same with another tolerance."""
        return replace(self, tolerance=tolerance) if self.counting else self

    def likeliest_tolerance(self, mu: Array, most: float) -> float:
        """τ within 0 … ``most`` of which the data (n,) are likeliest; 0 where it gains less than one e-fold."""
        least = self.least_tolerance
        if not self.counting or most <= least:
            return least

        def loss(tolerance: float) -> float:
            if tolerance < 1e-4:
                return float(np.sum(mu - self.data * np.log(mu) + gammaln(self.data + 1.0)))
            k = 1.0 / tolerance**2
            parts = gammaln(self.data + k) - gammaln(k) - gammaln(self.data + 1.0)
            parts = parts - k * np.log1p(mu / k) + self.data * (np.log(mu / k) - np.log1p(mu / k))
            return -float(np.sum(parts))

        tried = np.linspace(least, most, 21)
        found = np.array([loss(each) for each in tried])
        at = int(found.argmin())
        return float(tried[at]) if found[0] - found[at] > 1.0 else least

    def __len__(self) -> int:
        return len(self.data)

    def curves(self, params: Array, own: Array, rtol_dex: float = 1e-3) -> Array:
        """Unscaled curves (m, n) of parameters (m, p) with values (m, q) of zero, instrument and what all share."""
        return self._pick(self.observer.within(rtol_dex).curves(self._checked(params), own))

    def linearize(self, params: Array, own: Array, rtol_dex: float = 1e-3) -> tuple[Array, Array]:
        """The same, and their derivatives (m, p + q, n) over parameters, zero, instrument and what all share."""
        intensity, slope = self.observer.within(rtol_dex).linearize(self._checked(params), own)
        return self._pick(intensity), self._pick(slope)

    @property
    def observer(self) -> Observer:
        """The simulator behind the instrument."""
        return Observer(self.simulator, self.instrument)

    def _checked(self, params: Array) -> Array:
        """Parameters as the kernels take them; a film must hold their layers."""
        rows = np.ascontiguousarray(params)
        check_film(rows, self.simulator.space.profile, self.experiment.reflection)
        return rows

    def _pick(self, on_grid: Array) -> Array:
        if self.between is None:
            return np.ascontiguousarray(on_grid[..., self.picked] * self.exposure)
        flat = on_grid.reshape(-1, on_grid.shape[-1])
        picked = (self.between @ flat.T).T.reshape(*on_grid.shape[:-1], -1)
        return np.ascontiguousarray(picked * self.exposure)

    def expected(self, curves: Array, linear: Array) -> Array:
        """μ (m, n) of unscaled curves (m, n) with scale and background (m, l)."""
        return np.asarray(np.maximum(linear[:, :1] * curves + linear[:, 1:] @ self.shares, 1e-9 * self.data.max()))

    def whole(self, params: Array, own: Array, linear: Array, rtol_dex: float) -> Array:
        """Model at all angles of ``curve`` in the unit of the file, of one row of each: (1, p), (1, q) and (1, l)."""
        intensity = everywhere(self.observer.within(rtol_dex), self.curve.angle, params, own)
        ground = linear[0, 1:] @ self._shares(self.curve.angle)
        return np.asarray((linear[0, 0] * intensity + ground + self.offset) * self.per_count)

    def in_unit_of_file(self, linear: Array) -> Array:
        """Scale and background (m, l) in the unit of the file."""
        added = np.full(linear.shape[1], self.offset)
        added[0] = 0.0
        return np.asarray((linear + added) * self.per_count)

    def weights(self, mu: Array) -> tuple[Array, Array]:
        """w and w·(data − μ) of the module's formulas, (m, n) each."""
        if self.counting:
            weight = 1.0 / (mu * (1.0 + self.tolerance**2 * mu))
            return weight, (self.data - mu) * weight
        slope = 1.0 / (self.scatter * mu * math.log(10.0))
        return slope**2, slope / self.scatter * np.log10(self.data / mu)

    def residuals(self, mu: Array) -> Array:
        """Signed roots (m, n) whose half sum of squares is Φ; positive where the data exceed μ."""
        if self.counting:
            return np.asarray(np.sign(self.data - mu) * np.sqrt(2.0 * np.maximum(self._deviance(mu), 0.0)))
        return np.asarray(np.log10(self.data / mu) / self.scatter)

    def difference(self, mu: Array) -> Array:
        """log10 measured/model (…, n) of intensities, of which none is 0, nor below half the noise of a dark count."""
        data, below = self.data.clip(0.5 if self.counting else 0.0), self.offset * self.exposure
        measured, model = data + below, mu + below
        if self.offset < 0.0:  # dark counts were taken off, so that noise may leave nothing, or less
            least = 0.5 * np.sqrt(np.maximum(-below, 1.0))
            measured, model = np.maximum(measured, least), np.maximum(model, least)
        return np.asarray(np.log10(measured / model))

    def objective(self, mu: Array) -> Array:
        """Φ (m,)."""
        if self.counting:
            return np.asarray(self._deviance(mu).sum(axis=-1))
        return np.asarray(0.5 * ((np.log10(self.data / mu) / self.scatter) ** 2).sum(axis=-1))

    def _deviance(self, mu: Array) -> Array:
        """Half the deviance of each point, (…, n), of counts."""
        data, square = self.data, self.tolerance**2
        log = data * np.log(np.maximum(data, 1e-300) / mu)
        if square == 0.0:
            return np.asarray(mu - data + log)
        return np.asarray(log - (data + 1.0 / square) * np.log1p(square * (data - mu) / (1.0 + square * mu)))

    def scoring(self, params: Array, own: Array, change: Array, linear: Array | None, rtol_dex: float) -> Scoring:
        """Φ with its gradient and scoring matrix over the unit cube, zero, instrument, scale and background.

        Parameters
        ----------
        params, own : as for ``curves``.
        change : (m, p, p) derivatives of the parameters over the unit cube.
        linear : (m, l) scale and background from which the best ones are near; None if nothing is known of them.
        rtol_dex : accuracy of the model.
        """
        curves, slope = self.linearize(params, own, rtol_dex)
        if linear is not None:
            linear = np.maximum(linear, 1e-12)
        linear = self.scaled(curves, linear, 6 if linear is None else 3)
        mu = self.expected(curves, linear)
        weight, residual = self.weights(mu)
        size, k = params.shape[1], slope.shape[1]
        columns = np.empty((len(params), k + linear.shape[1], mu.shape[1]))
        scaled = linear[:, :1, None] * slope
        np.matmul(np.swapaxes(change, 1, 2), scaled[:, :size], out=columns[:, :size])
        columns[:, size:k] = scaled[:, size:]
        columns[:, k] = curves
        columns[:, k + 1 :] = self.shares
        weighted = columns * weight[:, None, :]
        hessian = weighted @ np.swapaxes(columns, 1, 2)
        gradient = -(columns @ residual[:, :, None])[:, :, 0]
        for column in k + np.flatnonzero(~self.fitted):
            gradient[:, column] = 0.0
            hessian[:, column, :] = hessian[:, :, column] = 0.0
            hessian[:, column, column] = 1.0
        return Scoring(linear, self.objective(mu), gradient, hessian)

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Which of scale and background are free, (l,)."""
        return np.array([self.scale is None, *[self.background is None] * len(self.shares)])

    def scaled(self, curves: Array, start: Array | None = None, steps: int = 6) -> Array:
        """Scale and background (m, l), not negative, with the smallest Φ for unscaled curves (m, n)."""
        found = self._first(curves) if start is None else start.copy()
        free, ground = self.fitted, self.shares
        for some, value, below in ((slice(0, 1), self.scale, 0.0), (slice(1, None), self.background, self.offset)):
            if value is not None:
                found[:, some] = max(value / self.per_count - below, 0.0)
        least = 1e-9 * max(self.data.max(), 1e-300)
        pairs, each = ground[:, None] * ground, list(enumerate(~np.eye(len(free), dtype=bool)))
        for _ in range(steps if free.any() else 0):
            weight, residual = self.weights(self.expected(curves, found))
            g = np.column_stack([(residual * curves).sum(axis=1), residual @ ground.T])
            weighted, h = weight * curves, np.empty((len(g), len(free), len(free)))
            h[:, 0, 0] = (weighted * curves).sum(axis=1)
            h[:, 0, 1:] = h[:, 1:, 0] = weighted @ ground.T
            h[:, 1:, 1:] = np.einsum("mn,bcn->mbc", weight, pairs)
            held = np.broadcast_to(~free, g.shape)
            step = solved_beside(h, g, held, np.zeros_like(g))
            cut = np.clip(found + step, 0.2 * found, 5.0 * found + least) - found
            clipped = cut != step
            if clipped.any():  # what the cut of the others leaves to do for each
                step = np.column_stack(
                    [solved_beside(h, g, held | (clipped & others), cut)[:, at] for at, others in each]
                )
            found = np.clip(found + step, 0.2 * found, 5.0 * found + least)
        return found

    def _first(self, curves: Array) -> Array:
        """Scale and background (m, l) to begin with: least squares weighted by the data, or simply a large scale."""
        high = np.maximum(curves.max(axis=1), 1e-300)
        plain = np.column_stack([max(self.data.max(), 1.0) / high, np.full(len(curves), max(self.data.min(), 0.5))])
        weight = 1.0 / np.maximum(self.data, 1.0) if self.counting else 1.0 / self.data**2
        ends = curves @ (weight * self.data), np.full(len(curves), self.exposure @ (weight * self.data))
        a, b, c = curves**2 @ weight, curves @ (weight * self.exposure), self.exposure**2 @ weight
        determinant = np.maximum(a * c - b * b, 1e-300)
        solved = np.stack([c * ends[0] - b * ends[1], a * ends[1] - b * ends[0]], axis=1) / determinant[:, None]
        found = np.where((solved > 0.0).all(axis=1, keepdims=True), solved, plain)
        return found[:, [0, *[1] * len(self.shares)]]


def solved_beside(h: Array, g: Array, held: NDArray[np.bool_], at: Array) -> Array:
    """Steps (m, l) that solve h·step = g, where those that are held are what they are ``at``."""
    length = np.sqrt(np.maximum(np.einsum("mll->ml", h), 1e-300))
    unit = h / (length[:, :, None] * length[:, None, :])
    alone = np.where(held[:, :, None] | held[:, None, :], 0.0, unit)
    np.einsum("mll->ml", alone)[...] = np.where(held, 1.0, 1.0 + _RIDGE)
    rest = g / length - (unit @ np.where(held, at * length, 0.0)[:, :, None])[:, :, 0]
    found = np.linalg.solve(alone, np.where(held, 0.0, rest)[:, :, None])[:, :, 0] / length
    return np.asarray(np.where(held, at, found))


def everywhere(observer: Observer, angle: Array, params: Array, own: Array) -> Array:
    """Unscaled curve (n,) at all angles (n,) of parameters (1, p) with zero and instrument (1, q)."""
    grid, picked, between = equidistant(angle, np.ones(len(angle), bool))
    on_grid = observer.on(grid).curves(np.ascontiguousarray(params), own)[0]
    return np.asarray(on_grid[picked] if between is None else between @ on_grid)
