"""What a small change of the parameters does to a curve: analytic derivatives and finite differences.

The analytic ones are exact for the steps that the accuracy asks for (``xrdsim.kernels.jacobian``). The finite
differences are the users' sensitivity measure, and an independent check.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward import cuda as cards
from xrdsim.forward.model import (
    THICKER,
    Curves,
    Forward,
    by_thickness,
    check_device,
    check_film,
    chunks,
    per_sample,
    prepare,
    simulate,
)
from xrdsim.forward.nodes import grid_and_cluster
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.kernels import batch
from xrdsim.kernels.convolve import Nodes
from xrdsim.profiles.space import ALL_NAMES, L1, ParameterSpace
from xrdsim.units import FWHM_TO_SIGMA

Array = NDArray[np.float64]

NUISANCES = {"zero": 1, "fwhm": 2, "scale": 3, "background": 4}
"""What else a measured curve depends on, and its number in the kernels."""

_ROWS = 256  # profiles changed at once: bounds the memory of their curves


class Physics(TypedDict):
    """Keywords of ``xrdsim.simulate`` that say what is simulated, and how accurately."""

    convention: NotRequired[str]
    rtol_dex: NotRequired[float]
    monochromator: NotRequired[float | None]
    reflection: NotRequired[Reflection]
    scan: NotRequired[Scan]
    device: NotRequired[str]
    space: NotRequired[ParameterSpace | None]


@dataclass(frozen=True)
class Linearization:
    """Curves and their derivatives.

    Attributes
    ----------
    curves : as simulated; the reflectivity differs from that of ``simulate`` within the asked accuracy.
    names : (k,) of what the intensity is differentiated over: the parameters, then the nuisances.
    slope : (n, angle, k) derivatives of the intensity.
    """

    curves: Curves
    names: tuple[str, ...]
    slope: Array

    @property
    def log_slope(self) -> Array:
        """Derivatives (n, angle, k) of log10 of the intensity."""
        return self.slope / (math.log(10.0) * self.curves.intensity[:, :, None])


def jacobian(
    params: ArrayLike,
    *,
    nuisances: tuple[str, ...] = (),
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    **physics: Unpack[Physics],
) -> Array:
    """Derivatives (n, angle, k) of log10 of the intensity over the parameters, and over the nuisances asked for.

    Parameters and errors are those of ``linearize``.
    """
    return linearize(
        params, nuisances=nuisances, fwhm=fwhm, scale=scale, background=background, zero=zero, **physics
    ).log_slope


def linearize(
    params: ArrayLike,
    *,
    nuisances: tuple[str, ...] = (),
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    **physics: Unpack[Physics],
) -> Linearization:
    """Simulate curves of the continuous profile together with their exact derivatives.

    At the limits of the parameters (Rp1 = 0, L1 = Rp1, Rp2 = 0) the derivatives are one-sided. Fixed sublayers have
    none: their curve jumps where their number changes.

    Parameters
    ----------
    params : (n, 7), (n, 9) with the damage, or one row.
    nuisances : any of ``zero``, ``fwhm``, ``scale``, ``background``, in the order wanted.
    fwhm, scale, background, zero : as for ``simulate``. Scalars or (n,).
    physics : ``convention``, ``rtol_dex``, ``monochromator``, ``reflection``, ``scan``, ``device``, ``space`` of
        ``simulate``.

    Raises
    ------
    ParameterError
        As ``simulate``; a nuisance that is unknown; ``zero`` or ``fwhm`` without instrument.
    DeviceError
        The device is not available.
    """
    device = physics.get("device", "cpu")
    check_device(device, ("cpu", "cuda"))
    linearise = cards.linearise if device == "cuda" else batch.linearise
    task = _prepare(params, nuisances, fwhm, scale, background, zero, physics)
    n, size = task.rows.shape
    points = task.scan.points
    reflectivity = np.empty((n, points))
    seen = np.empty((n, points))
    slope = np.empty((n, size + len(nuisances), points))
    for part, grid, model in _groups(task):
        results = tuple(np.empty((len(part), *out.shape[1:])) for out in (reflectivity, seen, slope))
        linearise(*_arguments(task, part, grid, model), *results)
        reflectivity[part], seen[part], slope[part] = results
    if "fwhm" in nuisances:
        slope[:, size + nuisances.index("fwhm")] *= FWHM_TO_SIGMA
    intensity = task.scale[:, None] * seen + task.background[:, None]
    curves = Curves(task.rows, task.scan.angle, reflectivity, intensity)
    return Linearization(curves, (*ALL_NAMES[:size], *nuisances), np.swapaxes(slope, 1, 2))


def pull_back(
    params: ArrayLike,
    cotangent: ArrayLike,
    *,
    nuisances: tuple[str, ...] = (),
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    **physics: Unpack[Physics],
) -> Array:
    """Derivatives (n, k) of Σ cotangent·intensity over the parameters and the nuisances; cotangent (n, angle).

    The array of all derivatives, (n, angle, k), is not formed. Parameters and errors are those of ``linearize``.
    """
    check_device(physics.get("device", "cpu"))
    task = _prepare(params, nuisances, fwhm, scale, background, zero, physics)
    n, size = task.rows.shape
    weight = np.ascontiguousarray(cotangent, dtype=np.float64)
    if weight.shape != (n, task.scan.points):
        raise ParameterError(f"the cotangent has the shape {weight.shape}; curves have {(n, task.scan.points)}")
    out = np.empty((n, size + len(nuisances)))
    for part, grid, model in _groups(task):
        result = np.empty((len(part), out.shape[1]))
        batch.pull_back(*_arguments(task, part, grid, model), weight[part], result)
        out[part] = result
    if "fwhm" in nuisances:
        out[:, size + nuisances.index("fwhm")] *= FWHM_TO_SIGMA
    return out


@dataclass(frozen=True)
class _Task:
    """Checked arguments."""

    rows: Array
    fwhm: Array
    scale: Array
    background: Array
    zero: Array
    codes: NDArray[np.int64]
    scan: Scan
    physics: Physics
    thickness: float


def _prepare(
    params: ArrayLike,
    nuisances: tuple[str, ...],
    fwhm: ArrayLike,
    scale: ArrayLike,
    background: ArrayLike,
    zero: ArrayLike,
    physics: Physics,
) -> _Task:
    unknown = [name for name in nuisances if name not in NUISANCES]
    if unknown:
        raise ParameterError(f"nuisance {unknown[0]!r} is unknown; choose among {', '.join(NUISANCES)}")
    space = physics.get("space") or ParameterSpace()
    rows = space.check(params)
    check_film(rows, physics.get("reflection", GGG_444), physics.get("device", "cpu"))
    n = len(rows)
    task = _Task(
        rows,
        per_sample(fwhm, n, "fwhm"),
        per_sample(scale, n, "scale"),
        per_sample(background, n, "background"),
        per_sample(zero, n, "zero"),
        np.array([NUISANCES[name] for name in nuisances], dtype=np.int64),
        physics.get("scan", DEFAULT_SCAN),
        physics,
        THICKER * space.high[L1],
    )
    sharp = task.fwhm == 0.0
    if sharp.any() and ({"zero", "fwhm"} & set(nuisances) or task.zero[sharp].any()):
        raise ParameterError("fwhm = 0 is no instrument; a zero, and a derivative over zero or fwhm, need a width")
    return task


def _groups(task: _Task) -> Iterator[tuple[NDArray[np.int64], Nodes, Forward]]:
    """Samples simulated alike: their indices, at which nodes, and the model."""
    physics = task.physics
    reflection = physics.get("reflection", GGG_444)
    blurred = task.fwhm > 0.0
    for some in (np.flatnonzero(blurred), np.flatnonzero(~blurred)):
        if not len(some):
            continue
        grid = instrument_nodes(
            task.scan,
            reflection,
            narrowest=task.fwhm[some].min(),
            widest=task.fwhm[some].max(),
            zero=float(np.abs(task.zero[some]).max()),
            thickness=task.thickness,
        )
        equidistant, cluster = grid_and_cluster(grid)
        for part, thickness in by_thickness(task.rows[some], task.thickness):
            model = prepare(
                task.scan,
                grid=equidistant,
                cluster=cluster,
                convention=physics.get("convention", "exact"),
                rtol_dex=physics.get("rtol_dex", 1e-4),
                monochromator=physics.get("monochromator"),
                reflection=reflection,
                damaged=task.rows.shape[1] == 9,
                thickness=thickness,
            )
            yield some[part], grid, model


def _arguments(task: _Task, part: NDArray[np.int64], grid: Nodes, model: Forward) -> tuple[Any, ...]:
    """What both kernels take first."""
    rows = task.rows[part]
    number = chunks(len(rows))
    most = batch.most_steps(rows, model.material, model.accuracy, number)
    sigma = task.fwhm[part] * FWHM_TO_SIGMA
    engine = (model.material, model.accuracy, model.optics, most, grid)
    return (rows, *engine, sigma, task.zero[part], task.scale[part], task.codes, number)


def finite_difference(
    params: ArrayLike,
    *,
    relative: float = 0.01,
    relative_to: str = "value",
    floor: float = 1e-10,
    convention: str = "exact",
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    fwhm: float = 30.0,
    monochromator: float | None = None,
    reflection: Reflection = GGG_444,
    scan: Scan = DEFAULT_SCAN,
    device: str = "cpu",
    space: ParameterSpace | None = None,
) -> Array:
    """Change of each curve when one parameter changes: mean |Δ log10(I + floor)| over the scan.

    A parameter grows by ``relative`` of its value (Rp2 ≤ 0 away from 0) or of its range; where that would leave the
    range or break a constraint it shrinks by as much.

    Parameters
    ----------
    params : (n, 7 or 9) or one row.
    relative : size of the change, 0 < relative ≤ 0.5.
    relative_to : ``value`` or ``range``.
    floor : added to the intensity, so that vanishing ones do not count.
    fwhm : of the instrument function [arcsec]; 0 for the reflectivity itself.

    Returns
    -------
    (n, 7 or 9), NaN where a value is 0 and the change relative to it, or where no direction is allowed.

    Raises
    ------
    ParameterError, DeviceError
        As ``simulate``.
    """
    if not 0.0 < relative <= 0.5:
        raise ParameterError(f"relative = {relative:g} must lie within 0 … 0.5")
    if relative_to not in ("value", "range"):
        raise ParameterError(f"relative_to = {relative_to!r} is unknown; choose value or range")
    if not (np.isfinite(floor) and floor >= 0.0):
        raise ParameterError(f"floor = {floor:g} must be a finite number of at least 0")
    chosen = space or ParameterSpace()
    rows = chosen.check(params)
    if rows.shape[1] == 9:
        chosen = chosen.with_damage()
    changed = _changed(rows, chosen, relative, relative_to)
    out = np.full(changed.shape[:2], np.nan)
    for first in range(0, len(rows), _ROWS):
        part = slice(first, first + _ROWS)
        possible = np.isfinite(changed[part, :, 0])
        curves = simulate(
            np.concatenate([rows[part], changed[part][possible]]),
            convention=convention,
            layers=layers,
            rtol_dex=rtol_dex,
            fwhm=fwhm,
            monochromator=monochromator,
            reflection=reflection,
            scan=scan,
            device=device,
            space=chosen,
        )
        level = np.log10(curves.intensity + floor)
        before, after = level[: len(possible)], level[len(possible) :]
        out[part][possible] = np.abs(after - before[np.nonzero(possible)[0]]).mean(axis=1)
    return out


def _changed(rows: Array, space: ParameterSpace, relative: float, relative_to: str) -> Array:
    """Each row (n, p) with each parameter changed, (n, p, p); NaN where that is not possible."""
    n, p = rows.shape
    change = relative * (rows if relative_to == "value" else np.broadcast_to(space.span, rows.shape))
    diagonal = np.arange(p)
    out = np.full((n, p, p), np.nan)
    for sign in (-1.0, 1.0):  # growing last: it wins where both are allowed
        candidate = np.repeat(rows[:, None, :], p, axis=1)
        candidate[:, diagonal, diagonal] += sign * change
        allowed = space.contains(candidate.reshape(-1, p)).reshape(n, p) & (change != 0.0)
        out[allowed] = candidate[allowed]
    return out
