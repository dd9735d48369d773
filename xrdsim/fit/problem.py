"""A measured curve as a problem of estimation: what is unknown, what the model predicts, what the noise is.

The model of the intensity is μ = scale·C(p, zero, fwhm) + background, C the reflectivity seen through the instrument.
With known counts N the objective is half the Poisson deviance,

    Φ = Σ μ − N + N ln(N/μ),          ∂Φ/∂x = Σ w·(μ − N)·∂μ/∂x,   w = 1/μ,

and without, half the sum of squares of log10(I/μ)/s, for which w = 1/(s μ ln 10)² and N − μ is μ ln(I/μ); s is the
scatter of neighbouring points, and only sets the unit of Φ. In both, Σ w·∂μ∂μᵀ is the Hessian matrix of Fisher's
scoring (P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989), and scale and background, in which μ is
linear, follow from the other unknowns by a few steps of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from xrdsim.curves.curve import Curve
from xrdsim.errors import CurveError, ParameterError
from xrdsim.experiment.instrument import FWHM
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.points import equidistant, groups, scatter, within_reach
from xrdsim.forward.model import LIMITS, check_film
from xrdsim.forward.resample import PEAK_MASK
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

INSTRUMENT = ("zero", "fwhm")
LINEAR = ("scale", "background")

_FAR = 10.0  # widths of a prior, or of the range, that its mean may be away from the range
_FEWEST = 50  # points below which nothing can be said
_LEAST_SCATTER = 0.005  # dex


@dataclass(frozen=True)
class Unknowns:
    """What is fitted, within which limits; equal limits fix a value.

    Parameters
    ----------
    space : of the profile, with kappa and p if the damage is fitted; its ties are put in order.
    fwhm, zero : limits [arcsec].
    scale, background : None, or a value to fix.
    priors : (mean, standard deviation) of any of them, normal.
    """

    space: ParameterSpace = field(default_factory=ParameterSpace)
    fwhm: tuple[float, float] = (20.0, 120.0)
    zero: tuple[float, float] = (-20.0, 20.0)
    scale: float | None = None
    background: float | None = None
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (low, high) in (("fwhm", self.fwhm), ("zero", self.zero)):
            least, most = (FWHM.least, LIMITS[name][1]) if name == "fwhm" else LIMITS[name]
            if not least <= low <= high <= most:
                raise ParameterError(
                    f"the limits of {name}, {low:g} … {high:g}, must be in order and within {least:g} … {most:g} arcsec"
                )
        for name, value in (("scale", self.scale), ("background", self.background)):
            least, most = LIMITS[name]
            if value is not None and not least <= value <= most:
                raise ParameterError(f"{name} = {value:g} must be a number within {least:g} … {most:g}")
        known = (*self.space.names, *INSTRUMENT)
        for name, (mean, std) in self.priors.items():
            if name not in known:
                raise ParameterError(f"there is no prior of {name}; choose among {', '.join(known)}")
            j = known.index(name)
            low, high = (*zip(self.space.low, self.space.high, strict=True), self.zero, self.fwhm)[j]
            room = _FAR * max(std, high - low)
            if not (math.isfinite(mean) and 1e-9 * (abs(low) + abs(high)) < std < math.inf):
                raise ParameterError(
                    f"the prior of {name}, {mean:g} ± {std:g}, needs a finite mean and a positive width"
                )
            if not low - room <= mean <= high + room:
                raise ParameterError(
                    f"the prior of {name}, {mean:g} ± {std:g}, is far from its range {low:g} … {high:g}"
                )
        object.__setattr__(self, "space", self.space.ordered())

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the unknowns that are not linear."""
        return (*self.space.names, *INSTRUMENT)

    def instrument(self, x: Array) -> tuple[Array, Array]:
        """Zero and FWHM [arcsec], (m,) each, of coordinates (m, k)."""
        zero, fwhm = (x[:, self.names.index(name)] for name in INSTRUMENT)
        return zero, fwhm

    @property
    def low(self) -> Array:
        """Lower limits (k,) of ``coordinates``: 0 of the profile's, then zero and fwhm."""
        return np.array([0.0] * len(self.space.low) + [self.zero[0], self.fwhm[0]])

    @property
    def high(self) -> Array:
        """Upper limits (k,)."""
        return np.array([1.0] * len(self.space.low) + [self.zero[1], self.fwhm[1]])

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which of the columns are fitted, (k,)."""
        free = self.high > self.low
        free[: len(self.space.low)] = np.isin(np.arange(len(self.space.low)), self.space.free)
        return np.asarray(free)

    @property
    def number(self) -> int:
        """Of the free unknowns, the linear ones included."""
        return int(self.free.sum()) + (self.scale is None) + (self.background is None)

    def coordinates(self, params: Array, zero: ArrayLike, fwhm: ArrayLike) -> Array:
        """Coordinates (m, k) of parameters (m, 7 or 9) and instruments: the unit cube, then zero and fwhm."""
        unit = self.space.to_unit(list(params.T))[0]
        for name, _ in self.space.ties:  # its coordinate has no meaning
            unit[self.space.names.index(name)] = np.zeros(len(params))
        rows = np.column_stack([*unit, np.broadcast_to(zero, len(params)), np.broadcast_to(fwhm, len(params))])
        return np.asarray(np.clip(rows, self.low, self.high))

    def params(self, coordinates: Array) -> Array:
        """Parameters (m, 7 or 9) of coordinates (m, k)."""
        rows = np.column_stack(self.space.from_unit(list(coordinates[:, : len(self.space.low)].T)))
        return np.ascontiguousarray(self.space.tied(np.clip(rows, self.space.low, self.space.high)))


@dataclass(frozen=True, eq=False)
class Problem:
    """A measured curve, prepared for the fit.

    Attributes
    ----------
    curve : what was measured, less what strain cannot reach; its note says what was left out and summed.
    used : which of its points are fitted.
    data : (n,) counts, or intensities if ``counting`` is not set; of the points that are used, summed where dense.
    angle : (n,) their mean angles [arcsec].
    counting : whether ``data`` are counts with Poisson's noise.
    unknowns : what is fitted.
    picked : (n,) points of the grid that were measured; ``between`` interpolates (n, grid) where they are not on it.
    exposure : (n,) counts per intensity, relative to their mean, times the points summed; 1 without counting.
    per_count : intensity per count, of the file, its harmonic mean; 1 without counting.
    offset : counts taken off, see ``problem``.
    scatter : s of the module's formulas [dex]; 1 with counting.
    left_out : mask, both_sides and exclude of ``problem``.
    simulator : of the experiment on the grid.
    """

    curve: Curve
    used: NDArray[np.bool_]
    data: Array
    angle: Array
    counting: bool
    unknowns: Unknowns
    simulator: Simulator
    picked: NDArray[np.int64]
    exposure: Array
    between: csr_array | None = None
    per_count: float = 1.0
    offset: float = 0.0
    scatter: float = 1.0
    left_out: Json = field(default_factory=dict)

    @property
    def grid(self) -> Scan:
        """The equidistant scan on which curves are simulated."""
        return self.simulator.scan

    @property
    def experiment(self) -> Experiment:
        """What was measured, and how it is described."""
        return self.simulator.experiment

    def __len__(self) -> int:
        return len(self.data)

    @property
    def freedom(self) -> int:
        """Points less free unknowns."""
        return len(self) - self.unknowns.number

    def inflation(self, objective: float) -> float:
        """How much more the data scatter than their noise says: the reduced χ² of Φ where that exceeds 1."""
        return max(2.0 * objective / self.freedom, 1.0)

    def curves(self, x: Array, rtol_dex: float = 1e-3) -> Array:
        """Unscaled curves (m, n) at coordinates (m, k)."""
        return self.seen(self.unknowns.params(x), *self.unknowns.instrument(x), rtol_dex)

    def seen(self, params: Array, zero: Array, fwhm: Array, rtol_dex: float = 1e-3) -> Array:
        """Unscaled curves (m, n) of parameters (m, 7 or 9) and instruments."""
        params = self._checked(params)
        return self._pick(self.simulator.within(rtol_dex).curves(params, Seen.unscaled(fwhm, zero))[1])

    def linear(self, x: Array, rtol_dex: float = 1e-3) -> tuple[Array, Array]:
        """Unscaled curves (m, n) and derivatives (m, k, n) over parameters, zero and fwhm, at coordinates (m, k)."""
        return self.linear_at(self.unknowns.params(x), *self.unknowns.instrument(x), rtol_dex)

    def linear_at(self, params: Array, zero: Array, fwhm: Array, rtol_dex: float = 1e-3) -> tuple[Array, Array]:
        """The same at parameters (m, 7 or 9) and instruments."""
        params = self._checked(params)
        simulator = self.simulator.within(rtol_dex)
        _, intensity, slope = simulator.linearize(params, Seen.unscaled(fwhm, zero), INSTRUMENT)
        return self._pick(intensity), self._pick(slope)

    def _checked(self, params: Array) -> Array:
        """Parameters as the kernels take them; a film must hold their layers."""
        rows = np.ascontiguousarray(params)
        check_film(rows, self.unknowns.space.profile, self.experiment.reflection)
        return rows

    def _pick(self, on_grid: Array) -> Array:
        if self.between is None:
            return np.ascontiguousarray(on_grid[..., self.picked] * self.exposure)
        flat = on_grid.reshape(-1, on_grid.shape[-1])
        picked = (self.between @ flat.T).T.reshape(*on_grid.shape[:-1], -1)
        return np.ascontiguousarray(picked * self.exposure)

    def expected(self, curves: Array, linear: Array) -> Array:
        """μ (m, n) of unscaled curves (m, n) with scale and background (m, 2)."""
        return np.asarray(np.maximum(linear[:, :1] * curves + linear[:, 1:] * self.exposure, 1e-9 * self.data.max()))

    def weights(self, mu: Array) -> tuple[Array, Array]:
        """w and w·(data − μ) of the module's formulas, (m, n) each."""
        if self.counting:
            weight = 1.0 / mu
            return weight, self.data * weight - 1.0
        slope = 1.0 / (self.scatter * mu * math.log(10.0))
        return slope**2, slope / self.scatter * np.log10(self.data / mu)

    def residuals(self, mu: Array) -> Array:
        """Signed roots (m, n) whose half sum of squares is Φ; positive where the data exceed μ."""
        if self.counting:
            part = mu - self.data + self.data * np.log(np.maximum(self.data, 1e-300) / mu)
            return np.asarray(np.sign(self.data - mu) * np.sqrt(2.0 * np.maximum(part, 0.0)))
        return np.asarray(np.log10(self.data / mu) / self.scatter)

    def objective(self, mu: Array) -> Array:
        """Φ (m,) without priors."""
        if self.counting:
            return np.asarray((mu - self.data + self.data * np.log(np.maximum(self.data, 1e-300) / mu)).sum(axis=-1))
        return np.asarray(0.5 * ((np.log10(self.data / mu) / self.scatter) ** 2).sum(axis=-1))

    def best_objective(self, x: Array, rtol_dex: float = 1e-3) -> Array:
        """Φ (m,) without priors at coordinates (m, k), with the best scale and background."""
        curves = self.curves(x, rtol_dex)
        return self.objective(self.expected(curves, self.scaled(curves)))

    def scaled(self, curves: Array, start: Array | None = None, steps: int = 6) -> Array:
        """Scale and background (m, 2), not negative, with the smallest Φ for unscaled curves (m, n)."""
        unknowns = self.unknowns
        found = self._first(curves) if start is None else start.copy()
        free = [unknowns.scale is None, unknowns.background is None]
        for column, (value, below) in enumerate(((unknowns.scale, 0.0), (unknowns.background, self.offset))):
            if value is not None:
                found[:, column] = max(value / self.per_count - below, 0.0)
        least = 1e-9 * max(self.data.max(), 1e-300)
        for _ in range(steps if any(free) else 0):
            weight, residual = self.weights(self.expected(curves, found))
            g = np.stack([(residual * curves).sum(axis=1), residual @ self.exposure], axis=1)
            weighted = weight * curves
            a, b, c = (weighted * curves).sum(axis=1), weighted @ self.exposure, weight @ self.exposure**2
            if all(free):
                determinant = np.maximum(a * c - b * b, 1e-300)
                step = (
                    np.stack([(c * g[:, 0] - b * g[:, 1]), (a * g[:, 1] - b * g[:, 0])], axis=1) / determinant[:, None]
                )
                cut = np.clip(found + step, 0.2 * found, 5.0 * found + least) - found
                for column, size in enumerate((a, c)):  # what the cut of the other leaves to do
                    other = cut[:, 1 - column]
                    step[:, column] = np.where(
                        other == step[:, 1 - column], step[:, column], (g[:, column] - b * other) / size
                    )
            else:
                step = np.stack([g[:, 0] / a * free[0], g[:, 1] / c * free[1]], axis=1)
            found = np.clip(found + step, 0.2 * found, 5.0 * found + least)
        return found

    def _first(self, curves: Array) -> Array:
        """Scale and background (m, 2) to begin with: least squares weighted by the data, or simply a large scale."""
        high = np.maximum(curves.max(axis=1), 1e-300)
        plain = np.column_stack([max(self.data.max(), 1.0) / high, np.full(len(curves), max(self.data.min(), 0.5))])
        weight = 1.0 / np.maximum(self.data, 1.0) if self.counting else 1.0 / self.data**2
        ends = curves @ (weight * self.data), np.full(len(curves), self.exposure @ (weight * self.data))
        a, b, c = curves**2 @ weight, curves @ (weight * self.exposure), self.exposure**2 @ weight
        determinant = np.maximum(a * c - b * b, 1e-300)
        solved = np.stack([c * ends[0] - b * ends[1], a * ends[1] - b * ends[0]], axis=1) / determinant[:, None]
        return np.where((solved > 0.0).all(axis=1, keepdims=True), solved, plain)


def problem(
    curve: Curve,
    *,
    unknowns: Unknowns | None = None,
    per_count: float | None = None,
    offset: float | None = None,
    mask: float = PEAK_MASK,
    both_sides: bool = False,
    exclude: tuple[tuple[float, float], ...] = (),
    experiment: Experiment | None = None,
) -> Problem:
    """Prepare a measured curve.

    Parameters
    ----------
    curve : as measured; points at other than equal steps are interpolated in the model.
    unknowns : what is fitted; None for the profile without damage and the default limits.
    per_count, offset : intensity = per_count·(counts + offset); None takes what the curve says. If nothing is known,
        log10 intensities are compared.
    mask : angles closer to the substrate peak than this [arcsec] are not used.
    both_sides : use the compressed side of the substrate peak, too. Layers that expand leave nothing there but the
        tail of the peak, in which real instruments differ most from a Gaussian.
    exclude : (low, high) angles [arcsec] not used either.
    experiment : what was measured, and how it is described; None for GGG 444 with Cu Kα1.

    Raises
    ------
    CurveError
        Fewer than 50 points are left, or the intensities are no counts.
    ParameterError
        A setting without meaning.
    """
    if per_count is not None and not 1e-30 <= per_count <= 1e30:
        raise ParameterError(f"per_count = {per_count:g} must be a positive number: the intensity of one count")
    if not mask >= 0.0:
        raise ParameterError(f"mask = {mask:g} must be at least 0 arcsec")
    chosen, experiment = unknowns or Unknowns(), (experiment or Experiment()).continuous()
    curve = within_reach(curve, chosen.space, experiment.reflection)
    counted = curve.per_count if per_count is None else per_count
    below = curve.offset if offset is None else offset
    used = (curve.angle >= mask) | (both_sides & (curve.angle <= -mask))
    for low, high in exclude:
        if not low <= high:
            raise ParameterError(f"the excluded angles {low:g} … {high:g} must be in order")
        used &= (curve.angle < low) | (curve.angle > high)
    first = groups(curve.angle[used], chosen.fwhm[0])
    if len(first) < _FEWEST:
        raise CurveError(
            f"{curve.source}: {len(first)} of {len(used)} points are left to fit, {_FEWEST} are needed; measure "
            "further, or exclude less"
        )
    members = np.diff(np.append(first, used.sum()))
    summed = bool((members > 1).any())

    def together(values: Array) -> Array:
        return np.add.reduceat(values, first) if summed else values

    angle, intensity = together(curve.angle[used]) / members, curve.intensity[used]
    exposure, mean, noise = np.ones(len(first)), 1.0, 1.0
    if counted is not None:
        each = np.broadcast_to(counted, curve.angle.shape)[used]
        mean = float(1.0 / np.mean(1.0 / each))
        exposure = together(mean / each)
        data = intensity / each - below
        if data.min() < -0.5:
            raise CurveError(
                f"{curve.source}: an intensity of {intensity[data.argmin()]:g} is {data.min():.3g} counts; correct "
                f"per_count = {mean:g} and offset = {below:g}"
            )
        data = together(np.maximum(data, 0.0))
    else:
        intensity = together(intensity) / members
        positive = intensity[intensity > 0.0]
        if not len(positive):
            raise CurveError(f"{curve.source}: no intensity is positive; measure longer")
        data = np.maximum(intensity, 0.5 * positive.min())
        noise = max(scatter(np.log10(data)), _LEAST_SCATTER)
    if summed:
        note = f"{curve.note} Up to {members.max()} neighbouring points are summed for the fit."
        curve = replace(curve, note=note.strip())
        grid, picked, between = equidistant(angle, np.ones(len(angle), bool))
    else:
        grid, picked, between = equidistant(curve.angle, used)
    return Problem(
        curve=curve,
        used=used,
        data=data,
        angle=angle,
        counting=counted is not None,
        unknowns=chosen,
        simulator=Simulator(experiment, grid, chosen.space),
        picked=picked,
        exposure=exposure,
        between=between,
        per_count=mean,
        offset=below if counted is not None else 0.0,
        scatter=noise,
        left_out={"mask": mask, "both_sides": both_sides, "excluded": [list(pair) for pair in exclude]},
    )
