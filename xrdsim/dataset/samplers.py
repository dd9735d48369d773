"""The samplers of a dataset: where its rows lie, and how densely compared with the prior.

========  =================================================================================== =========
grid      cells of an equidistant grid, drawn without replacement, at a random place in each  density 1
adaptive  the same with numbers of values in proportion to the sensitivity                    density 1
sobol     scrambled Sobol points of the box, those that are valid                             density 1
edge      chosen parameters, t ∈ [0, 1] of their range, more often near both ends             ∝ Π g(t)
jeffreys  nearer to equal steps of the curve: a tempered Jeffreys prior, w = clip(√det F)^¼   ∝ w
errors    where a network errs most: w = its expected error by that on a pilot sample         ∝ w
========  =================================================================================== =========

The density of a row is that of the sampler relative to the prior, of mean 1 over the prior: a mean over the rows with
weights 1/density is a mean over the prior. The bare points of a grid (without jitter) count 1 too, as equal steps do.

edge: g = ½ + ½·(e^(−t/w) + e^(−(1−t)/w)) / (2w(1 − e^(−1/w))) with w = 0.05, by rejection; 0.5 … 5.5 a parameter.

jeffreys: F is the Fisher information of 1e5 counts over a background of 1e-4 about the profile's free parameters in
parts of their ranges, from the analytic derivatives of a coarse scan. √det F spans 13 decades and more of the prior,
so its fourth root is taken, between its 5 % and its 90 % quantile over a pilot sample of the prior. Then 40 % of the
prior's vectors are accepted, and n rows weighted back to the prior are worth 0.44·n of its own.

errors: w(p) = (Σ_i K_i e_i + e) / (Σ_i K_i + 1) / e over pilot vectors with errors e_i of mean e, between ¼ and 4;
K_i = exp(−d_i²/2h²) with d_i the distance in parts of the ranges and h = 0.3 (E. A. Nadaraya, Theory Probab. Appl. 9,
141, 1964). Vectors of the prior are accepted with the probability w/4.

Sobol (USSR Comput. Math. Math. Phys., 1967) points are scrambled by the seed; Jeffreys, Proc. R. Soc. A 186 (1946).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.dataset.configuration import Sampler, stream
from xrdsim.dataset.grid import (
    Grid,
    adaptive_counts,
    draw_grid,
    grid_counts,
    make_grid,
    positions_per_block,
    rounded,
    storable,
)
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.prior import draw_prior, draw_valid, valid
from xrdsim.information.fisher import log_root_information
from xrdsim.information.sensitivity import Sensitivity, measure_sensitivity
from xrdsim.limits import Json, afford
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

Array = NDArray[np.float64]

TEST = 1
"""Random stream of the test rows, beside those of the blocks."""

EDGE = ("Rp2", "L2")
"""Parameters whose extremes ``edge`` favours unless others are chosen: those that a curve tells least of."""

_PILOT, _ORDER, _SCRAMBLE, _SCALE = 2, 3, 4, 5  # further random streams
_PILOT_ROWS, _EDGE_PILOT, _FISHER_PILOT = 256, 32768, 2048
_EDGE_WIDTH = 0.05
_TEMPER, _LOWEST, _HIGHEST = 0.25, 0.05, 0.9
_CANDIDATES = 256
_WIDTH, _MOST = 0.3, 4.0  # of the kernel of errors in parts of the ranges; largest factor on the prior's density


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows: params (n, 7 or 9), values that float32 holds, and their density (n,) relative to the prior."""

    params: Array
    density: Array
    profile: Profile = TWO_GAUSSIANS


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sampler needs besides the number of a block.

    Attributes
    ----------
    sampler, seed, space : the choice, the seed of everything random, and ranges that float32 holds.
    experiment, scan : what is simulated.
    edge : names of the parameters whose extremes ``edge`` favours.
    sensitivity, sensitivity_origin : range-relative, for ``adaptive``, and where they come from.
    grid : of ``grid`` and ``adaptive``.
    interval : positions of the grid or of the Sobol sequence that belong to a block.
    pilot : mean over the prior of the density of ``edge``; limits of ln √det F and that mean for ``jeffreys``; the mean
        of w, then parameters and error of each pilot vector for ``errors``.
    """

    sampler: Sampler
    seed: int
    space: ParameterSpace
    experiment: Experiment
    scan: Scan
    edge: tuple[str, ...] = ()
    sensitivity: tuple[float, ...] | None = None
    sensitivity_origin: Json | None = None
    grid: Grid | None = None
    interval: int = 0
    pilot: tuple[float, ...] = ()

    @property
    def window(self) -> Json:
        """Reflection and scan."""
        return {"reflection": self.experiment.reflection, "scan": self.scan}

    def draw(self, block: int, n: int) -> Sample:
        """The first n rows of a block."""
        return _SAMPLERS[self.sampler](self, block, n)

    def draw_test(self, block: int, n: int) -> Sample:
        """The first n test rows of a block, drawn from the prior."""
        return Sample(
            rounded(draw_prior(n, space=self.space, rng=stream(self.seed, block, TEST), **self.window)), np.ones(n)
        )


def make_plan(
    sampler: str,
    *,
    n: int,
    seed: int = 0,
    values: int = 20,
    jitter: bool = True,
    space: ParameterSpace | None = None,
    edge: tuple[str, ...] = EDGE,
    sensitivity: ArrayLike | Sensitivity | None = None,
    sensitivity_origin: Mapping[str, Any] | None = None,
    pilot: tuple[float, ...] = (),
    errors: ArrayLike | None = None,
    block_size: int = 2048,
    reflection: Reflection = GGG_444,
    scan: Scan = DEFAULT_SCAN,
    experiment: Experiment | None = None,
) -> Plan:
    """Prepare a sampler: count its grid, or measure on a pilot sample what its density needs.

    Parameters
    ----------
    sampler, n, seed, values, jitter, space, edge, sensitivity, sensitivity_origin, block_size : as in ``generate``.
    reflection, scan, experiment : as in ``simulate``.
    pilot : of an earlier plan, not to be measured again.
    errors : for ``errors``, (m, p + 1) parameters and the error of a network there.

    Raises
    ------
    ParameterError
        A sampler or parameter that is unknown, a grid with ties or with too few points for n rows, or ranges in which
        nearly no vector is valid.
    """
    try:
        chosen = Sampler(sampler)
    except ValueError:
        raise ParameterError(f"sampler {sampler!r} is unknown; choose {', '.join(Sampler)}") from None
    if seed < 0:
        raise ParameterError(f"seed = {seed} must not be negative")
    ranges = space or ParameterSpace()
    plan = Plan(chosen, seed, storable(ranges), experiment or Experiment(reflection), scan, pilot=pilot)
    if chosen in (Sampler.GRID, Sampler.ADAPTIVE):
        counts = grid_counts(ranges, values)
        if chosen is Sampler.ADAPTIVE:
            numbers, origin = _sensitivity(sensitivity, sensitivity_origin, ranges, plan)
            counts = adaptive_counts(ranges, values, numbers)
            plan = replace(plan, sensitivity=numbers, sensitivity_origin=origin)
        grid = make_grid(ranges, counts, cells=jitter)
        return replace(plan, grid=grid, interval=positions_per_block(grid, n, block_size, _order(seed), **plan.window))
    if chosen is Sampler.SOBOL:
        return replace(plan, interval=_sobol_interval(plan, n, block_size))
    if chosen is Sampler.EDGE:
        plan = replace(plan, edge=tuple(edge))
        _edge_columns(plan)
        return plan if pilot else replace(plan, pilot=_measure_edge(plan))
    if chosen is Sampler.ERRORS:
        return plan if pilot else replace(plan, pilot=_measure_errors(plan, errors))
    return plan if pilot else replace(plan, pilot=_measure_information(plan))


def sample(sampler: str = Sampler.GRID, n: int = 20000, *, block_size: int = 2048, **choices: Any) -> Sample:
    """The training rows that ``generate`` would simulate, without their curves.

    Parameters
    ----------
    sampler, n, block_size, choices : as for ``make_plan``; the same ones give the same rows.

    Raises
    ------
    ParameterError
        As ``make_plan``, or n below 1.
    """
    if n < 1:
        raise ParameterError(f"n = {n} must be a whole number of at least 1")
    afford(160.0 * n, f"{n} rows")
    plan = make_plan(sampler, n=n, block_size=block_size, **choices)
    parts = [plan.draw(block, min(block_size, n - first)) for block, first in enumerate(range(0, n, block_size))]
    params, density = (np.concatenate([getattr(part, name) for part in parts]) for name in ("params", "density"))
    return Sample(params, density, plan.space.profile)


def sample_grid(plan: Plan, block: int, n: int) -> Sample:
    """Cells or points of the grid, without replacement: each block draws from its own part of the permuted grid."""
    assert plan.grid is not None
    keys, rng = _order(plan.seed), stream(plan.seed, block)
    rows = draw_grid(plan.grid, n, block=block, interval=plan.interval, keys=keys, rng=rng, **plan.window)
    return Sample(rows, np.ones(n))


def sample_sobol(plan: Plan, block: int, n: int) -> Sample:
    """The valid points of the block's interval of the sequence; the few that may lack come from the prior."""
    rows = _sobol_points(plan, block * plan.interval, plan.interval)
    rows = rows[valid(rows, plan.space, **plan.window)][:n]
    missing = n - len(rows)
    if missing:
        more = draw_prior(missing, space=plan.space, rng=stream(plan.seed, block), **plan.window)
        rows = np.concatenate([rows, rounded(more)])
    return Sample(rows, np.ones(n))


def sample_edge(plan: Plan, block: int, n: int) -> Sample:
    """The chosen parameters from a mixture of the uniform density and one that falls from both ends."""
    columns, rng = _edge_columns(plan), stream(plan.seed, block)
    low, span, width = np.array(plan.space.low), plan.space.span, _EDGE_WIDTH

    def propose(count: int) -> Array:
        unit = rng.random((count, len(low)))
        for j in columns:
            near, far, end = rng.random((3, count))
            depth = -width * np.log1p(near * math.expm1(-1.0 / width))
            end_part = np.where(end < 0.5, depth, 1.0 - depth)
            unit[:, j] = np.where(far < 0.5, end_part, unit[:, j])
        return np.asarray(low + unit * span)

    rows = rounded(draw_valid(n, propose, plan.space, **plan.window))
    return Sample(rows, _edge_density(plan, rows) / plan.pilot[0])


def sample_jeffreys(plan: Plan, block: int, n: int) -> Sample:
    """Vectors of the prior, each accepted with a probability in proportion to the tempered, clipped √det F."""
    rng, kept, density = stream(plan.seed, block), [], []
    low, high, mean = plan.pilot
    count = 0
    while count < n:  # candidates in parts of one size: more rows begin with the same
        rows = rounded(draw_prior(_CANDIDATES, space=plan.space, rng=rng, **plan.window))
        weight = _tempered(log_root_information(rows, plan.space, plan.scan, plan.experiment), low, high)
        accepted = rng.random(len(rows)) < weight * math.exp(-_TEMPER * (high - low))
        kept.append(rows[accepted])
        density.append(weight[accepted] / mean)
        count += int(accepted.sum())
    return Sample(np.concatenate(kept)[:n], np.concatenate(density)[:n])


def sample_errors(plan: Plan, block: int, n: int) -> Sample:
    """Vectors of the prior, each accepted with a probability in proportion to the error expected there."""
    rng, kept, density = stream(plan.seed, block), [], []
    count = 0
    while count < n:
        rows = rounded(draw_prior(_CANDIDATES, space=plan.space, rng=rng, **plan.window))
        weight = _expected_error(plan, rows)
        accepted = rng.random(len(rows)) < weight / _MOST
        kept.append(rows[accepted])
        density.append(weight[accepted] / plan.pilot[0])
        count += int(accepted.sum())
    return Sample(np.concatenate(kept)[:n], np.concatenate(density)[:n])


_SAMPLERS: dict[Sampler, Callable[[Plan, int, int], Sample]] = {
    Sampler.GRID: sample_grid,
    Sampler.ADAPTIVE: sample_grid,
    Sampler.SOBOL: sample_sobol,
    Sampler.EDGE: sample_edge,
    Sampler.JEFFREYS: sample_jeffreys,
    Sampler.ERRORS: sample_errors,
}


def _tempered(log_root: Array, low: float, high: float) -> Array:
    """The acceptance of ``jeffreys``, 1 at its lowest."""
    return np.asarray(np.exp(_TEMPER * (np.clip(log_root, low, high) - low)))


def _measure_information(plan: Plan) -> tuple[float, ...]:
    pilot = draw_prior(_FISHER_PILOT, space=plan.space, rng=stream(plan.seed, 0, _SCALE), **plan.window)
    log_root = log_root_information(rounded(pilot), plan.space, plan.scan, plan.experiment)
    low, high = np.quantile(np.maximum(log_root, -700.0), (_LOWEST, _HIGHEST)).tolist()
    return low, high, float(_tempered(log_root, low, high).mean())


def _measure_errors(plan: Plan, errors: ArrayLike | None) -> tuple[float, ...]:
    """The pilot of ``errors``: the mean of w, then what was given."""
    size = len(plan.space.low) + 1
    if errors is None:
        raise ParameterError("the sampler errors needs a network's errors: xrd gen --around-errors RUN")
    table = np.asarray(errors, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != size or len(table) < 2 or not np.isfinite(table).all():
        raise ParameterError(
            f"errors of shape {table.shape} must be finite numbers, {size} a row: the parameters "
            f"{', '.join(plan.space.names)} and the error"
        )
    if table[:, -1].min() < 0.0 or table[:, -1].mean() == 0.0:
        raise ParameterError("errors must be at least 0, and some of them positive")
    measured = replace(plan, pilot=(1.0, *table.ravel().tolist()))
    rows = draw_prior(_FISHER_PILOT, space=plan.space, rng=stream(plan.seed, 0, _SCALE), **plan.window)
    return (float(_expected_error(measured, rows).mean()), *measured.pilot[1:])


def _expected_error(plan: Plan, rows: Array) -> Array:
    """w (n,) of the module's formula."""
    table = np.reshape(plan.pilot[1:], (-1, len(plan.space.low) + 1))
    span = np.where(plan.space.span > 0.0, plan.space.span, np.inf)
    away = ((rows[:, None] - table[None, :, :-1]) / span) ** 2
    kernel = np.exp(-away.sum(axis=2) / (2.0 * _WIDTH**2))
    mean = table[:, -1].mean()
    expected = (kernel @ table[:, -1] + mean) / (kernel.sum(axis=1) + 1.0)
    return np.asarray(np.clip(expected / mean, 1.0 / _MOST, _MOST))


def _edge_columns(plan: Plan) -> list[int]:
    free = [plan.space.names[j] for j in plan.space.free]
    for name in plan.edge:
        if name not in free:
            raise ParameterError(f"edge = {name} is no free parameter; choose among {', '.join(free)}")
    if not plan.edge or len(set(plan.edge)) < len(plan.edge):
        raise ParameterError(f"edge = {','.join(plan.edge)!r} must name one or more different parameters")
    return [plan.space.names.index(name) for name in plan.edge]


def _edge_density(plan: Plan, rows: Array) -> Array:
    columns, width = _edge_columns(plan), _EDGE_WIDTH
    t = (rows[:, columns] - np.array(plan.space.low)[columns]) / plan.space.span[columns]
    ends = (np.exp(-t / width) + np.exp(-(1.0 - t) / width)) / (-2.0 * width * math.expm1(-1.0 / width))
    return np.asarray(np.prod(0.5 + 0.5 * ends, axis=1))


def _measure_edge(plan: Plan) -> tuple[float]:
    pilot = draw_prior(_EDGE_PILOT, space=plan.space, rng=stream(plan.seed, 0, _SCALE), **plan.window)
    return (float(_edge_density(plan, pilot).mean()),)


def _sobol_points(plan: Plan, first: int, count: int) -> Array:
    """Points of the box, (count, 7 or 9), without the sequence's very first one."""
    from scipy.stats import qmc  # half a second, which other commands need not spend

    free = plan.space.free
    engine = qmc.Sobol(max(len(free), 1), scramble=True, seed=stream(plan.seed, 0, _SCRAMBLE))
    engine.fast_forward(first + 1)
    rows = np.tile(np.array(plan.space.low), (count, 1))
    rows[:, free] += engine.random(count)[:, : len(free)] * plan.space.span[free]
    return plan.space.tied(rounded(rows))


def _sobol_interval(plan: Plan, n: int, block_size: int) -> int:
    """Points of the sequence that give the rows of a block on average, measured on its first 16 384 points."""
    share = float(np.mean(valid(_sobol_points(plan, 0, 16384), plan.space, **plan.window)))
    blocks, rows = -(-n // block_size), min(n, block_size)
    if share == 0.0:
        raise ParameterError("none of 16384 points of these ranges is valid; widen the ranges or the scan")
    interval = math.ceil(rows / share)
    if blocks * interval >= 2**30:
        raise ParameterError(
            f"n = {n} rows need {blocks * interval} points of the Sobol sequence, which has 2^30; take fewer rows or "
            "another sampler"
        )
    return interval


def _sensitivity(
    given: ArrayLike | Sensitivity | None, origin: Mapping[str, Any] | None, space: ParameterSpace, plan: Plan
) -> tuple[tuple[float, ...], Json]:
    """Range-relative sensitivities of the seven profile parameters and their origin."""
    if given is None:
        undamaged = replace(space.without_damage(), ties=())
        pilot = draw_prior(_PILOT_ROWS, space=undamaged, rng=stream(plan.seed, 0, _PILOT), **plan.window)
        default = ParameterSpace(profile=space.profile)  # lets the fixed parameters change, too
        low, high = np.minimum(undamaged.low, default.low), np.maximum(undamaged.high, default.high)
        free = undamaged.span > 0.0
        wide = replace(
            undamaged,
            low=tuple(np.where(free, undamaged.low, low).tolist()),
            high=tuple(np.where(free, undamaged.high, high).tolist()),
        )
        given = measure_sensitivity(pilot, space=wide, experiment=plan.experiment, scan=plan.scan)
    if hasattr(given, "range_mean"):
        record = cast(Sensitivity, given)  # or whatever has its means
        origin, given = record.how, record.range_mean[: space.profile.size]
    return tuple(np.asarray(given, dtype=np.float64).ravel().tolist()), dict(origin or {"given": "by the caller"})


def _order(seed: int) -> NDArray[np.uint64]:
    """Keys of the permutation of the grid's points."""
    return np.asarray(np.random.SeedSequence(seed, spawn_key=(0, _ORDER)).generate_state(8, np.uint64), np.uint64)
