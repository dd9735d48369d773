"""Global search: many refinements, each from a start that those before it suggest.

Curves of profiles drawn from the prior are compared with the measured one, smoothed so that a fringe more or less does
not matter, and the likeliest are refined. The best distinct minima become the parents of further starts: one or a few
coordinates are changed, differences of two parents are added, or coordinates of two parents are mixed, and each child
is refined in turn (a memetic algorithm: P. Moscato, Caltech Concurrent Computation Program report 826, 1989; the
differences are those of R. Storn and K. Price, J. Global Optim. 11, 341, 1997). Neighbouring minima differ by a fringe
in few coordinates, so such steps lead from one to the next. Once a curve is described, half of the children look for
other valleys in the directions that the curve determines least.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from xrdsim.experiment.reflection import Reflection, stretch
from xrdsim.experiment.scan import Scan
from xrdsim.fit.mirror import mirrored
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine, without_linear
from xrdsim.fit.unknowns import Array
from xrdsim.forward.prior import draw_prior
from xrdsim.profiles.damage import DAMAGE
from xrdsim.profiles.space import ParameterSpace

Watch = Callable[[Problem, Array], None]
"""Is called with a problem and coordinates (1, k) of it, the best ones so far."""

CANDIDATES = 1500
"""Profiles that are compared with a curve before the first refinement."""

GOOD = 1e-3
"""Accuracy of the model when minima are compared [dex]."""

WORK = 8000
"""Evaluations of the model and its derivatives that a search makes at most, times its effort."""

_LOOPS = 0.4, 0.1  # parts of the work, and of the time, without dislocation loops, and of the work with them
_PLAIN = 0.35  # part of the work that may go into minima without damage
_FIRST, _CHILDREN, _PARENTS = 32, 24, 10
_ITERATIONS = 12  # of a refinement during the search
_CLOSE = 0.1  # change of Φ below which one of them has arrived
_VALLEYS = 120
_NEARLY = ((120, 6), (8, 20))  # how many valleys are refined so far, by how many evaluations at most
_MEANT = 12.0  # Φ above the lowest one up to which a valley may hold the truth, before it is refined to its end
_APART = 15.0  # rise of Φ from one valley to the next, by the scoring matrix of the better
_COARSE = 1e-2  # accuracy of the model during the search [dex]
_MIRRORED = 3  # minima that are mirrored when loops are added
_FEWER = 3.4  # by which ln n of few loops is less: a factor of 30
_SMOOTH = 40.0  # standard deviation [arcsec] of the filter of the comparison, for GGG 444
_SAME = 0.01  # coordinates of one minimum differ by less
_LIFTED = 4  # minima without damage from which the search with damage begins, beside new starts
_STALE = 5  # generations without progress after which new parents are drawn
_STANDSTILL = 30  # … and after which the search ends
_SURE = 2  # generations at the noise without a better minimum after which it looks for other valleys
_SPREAD = 8  # generations that do, at most
_IDLE = 1  # … of them without a new valley, after which no more are looked for
_SOFT = 3  # directions, those of least curvature, along which they are looked for
_AWAY = (2.0, 12.0)  # how far, in standard deviations of a direction
_FAR = 0.4  # … and at most, in parts of the limits


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    x : (m, k) coordinates of distinct minima, the best first.
    objective : (m,) Φ at the accuracy of the search.
    evaluations : of the model and its derivatives.
    seconds : that it took.
    reason : why it ended.
    """

    x: Array
    objective: Array
    evaluations: int
    seconds: float
    reason: "Ending"


class Ending(StrEnum):
    """Why a search ended: at the noise; without progress; after its work; cut off by the time.

    Or there was none, but a refinement alone, or not even this.
    """

    NOISE = "noise"
    STANDSTILL = "standstill"
    EFFORT = "effort"
    BUDGET = "budget"
    REFINED = "refined"
    ESTIMATE = "estimate"


def search(
    problem: Problem,
    *,
    effort: float = 1.0,
    until: float = math.inf,
    seed: int = 0,
    starts: Array | None = None,
    progress: Callable[[float, float], None] | None = None,
    watch: Watch | None = None,
) -> Found:
    """Search the limits of a problem for its lowest minima, without dislocation loops before those with them.

    What it does depends on its own work alone and not on the time this takes, unless ``until`` cuts it off.

    Parameters
    ----------
    problem : profile and measurements.
    effort : times WORK evaluations of the model, after which no further generation begins.
    until : time of ``time.perf_counter`` after which nothing more begins.
    seed : of everything random.
    starts : (m, k) coordinates refined first; the screening follows only if none of them leads to the noise.
    progress : called with the seconds spent and the best Φ per degree of freedom, times 2.
    watch : called as often, with the best minimum, and the problem that it is one of: it may lack damage or loops.
    """
    if problem.defects is None:
        return _search(problem, effort, until, seed, starts, progress, watch)
    begun = time.perf_counter()
    bare, first = problem.among(None), None if starts is None else starts[:, : problem.layout.shared.start]
    cut = min(until, begun + _LOOPS[0] * (until - begun))
    before = _search(bare, _LOOPS[0] * effort, cut, seed, first, progress, watch)
    loops = with_loops(problem, before.x, until)
    found = _search(problem, _LOOPS[1] * effort, until, seed, loops, progress, watch)
    spent = before.evaluations + found.evaluations
    return replace(found, evaluations=spent, seconds=time.perf_counter() - begun)


def _search(
    problem: Problem,
    effort: float,
    until: float,
    seed: int,
    starts: Array | None,
    progress: Callable[[float, float], None] | None,
    watch: Watch | None,
) -> Found:
    begun, rng = time.perf_counter(), np.random.default_rng(seed)
    goal, work = acceptable(problem), effort * WORK
    plain = problem.space.damage and starts is None
    now = _without_damage(problem) if plain else problem
    x, objective, evaluations = _refined(now, screen(now, rng) if starts is None else starts, until)
    if starts is not None and objective.min() > goal and time.perf_counter() < until:
        others, theirs, cost = _refined(now, screen(now, rng), until)
        x, objective, evaluations = np.concatenate([x, others]), np.concatenate([objective, theirs]), evaluations + cost
    visited = [] if plain else [(x, objective)]
    aside: list[tuple[Array, Array]] = []
    best, stale, standstill, sure, reason = np.inf, 0, 0, 0, Ending.BUDGET
    enough = _SURE if starts is None or objective.min() > goal else 0  # starts that lead to the noise know the valley
    turn = time.perf_counter()
    while True:
        last_turn, turn = turn, time.perf_counter()
        x, objective = distinct(problem, x, objective, _PARENTS)
        if progress:
            progress(time.perf_counter() - begun, 2.0 * objective[0] / problem.freedom)
        if watch:
            watch(now, x[:1])
        better = objective[0] < best * (1.0 - 1e-3)
        sure = 0 if better or plain or objective[0] > goal else sure + 1
        if sure >= enough and not plain and objective[0] <= goal:
            evaluations += _spread(problem, visited, rng, until)
            reason = Ending.NOISE if time.perf_counter() < until else Ending.BUDGET
            break
        best = min(best, float(objective[0]))
        stale, standstill = (0, 0) if better else (stale + 1, standstill + 1)
        if 2.0 * turn - last_turn > until:  # a generation as long as the last one would end too late
            break
        if evaluations >= work:
            reason = Ending.EFFORT
            break
        if plain and (stale >= 3 or objective[0] < 2.0 * goal or evaluations > _PLAIN * work):
            plain, stale, standstill, best = False, 0, 0, np.inf
            now = problem
            lifted = _lifted(x[:_LIFTED], problem, rng)
            x, objective, more = _refined(now, np.concatenate([lifted, screen(now, rng)]), until)
            visited.append((x, objective))
            evaluations += more
            continue
        if standstill >= _STANDSTILL:
            reason = Ending.STANDSTILL
            break
        if stale >= _STALE and objective[0] > goal:  # begin anew elsewhere, and let the two meet afterwards
            aside.append((x, objective))
            x, objective, more = _refined(now, screen(now, rng), until)
            visited.append((x, objective))
            evaluations, stale, best = evaluations + more, 0, float(objective.min())
            continue
        if aside and stale == _STALE // 2:
            x = np.concatenate([x, *(each[0] for each in aside)])
            objective = np.concatenate([objective, *(each[1] for each in aside)])
            aside = []
            x, objective = distinct(problem, x, objective, _PARENTS)
        children, their, more = _refined(now, _children(x, now, rng), until)
        if not plain:
            visited.append((children, their))
        x, objective = np.concatenate([x, children]), np.concatenate([objective, their])
        evaluations += more
    if plain:
        x, objective, more = _refined(problem, _lifted(x, problem, rng), until)
        visited.append((x, objective))
    x, objective = (np.concatenate(each) for each in zip(*visited, strict=True))
    x, objective = valleys(problem, x, objective)
    return Found(x, objective, evaluations, time.perf_counter() - begun, reason)


def _spread(problem: Problem, visited: list[tuple[Array, Array]], rng: np.random.Generator, until: float) -> int:
    """Look for further valleys as good as those visited, which it adds; all are parents alike. Evaluations it took."""
    evaluations, known, idle = 0, 0, 0
    for _ in range(_SPREAD):
        x, objective = (np.concatenate(each) for each in zip(*visited, strict=True))
        number = len(valleys(problem, x, objective)[0])
        known, idle = max(known, number), 0 if number > known else idle + 1
        if idle == _IDLE or time.perf_counter() > until:
            break
        x, objective = distinct(problem, x, objective, _VALLEYS)
        x = x[objective <= objective[0] + _MEANT]
        starts = [make(rng.permutation(x), problem, rng, _CHILDREN // 2) for make in (_children, _along)]
        children, their, more = _refined(problem, np.concatenate(starts), until)
        visited.append((children, their))
        evaluations += more + len(starts[1])
    return evaluations


def acceptable(problem: Problem) -> float:
    """Φ that noise alone explains, half of χ² at 1.5 standard deviations above its mean; 0 for unknown noise."""
    freedom = problem.freedom
    return 0.5 * (freedom + 1.5 * np.sqrt(2.0 * freedom)) if problem.counting else 0.0


def screen(problem: Problem, rng: np.random.Generator) -> Array:
    """Starts (m, k): half the likeliest candidates, half drawn from the next and from all.

    The candidates are drawn for the reflection and the scan of the first measurement, and compared with all of them.
    """
    first = problem.measurements[0]
    scan = max(Scan(), first.simulator.scan, key=lambda each: each.last)  # its end bounds the strain of the candidates
    pool = _candidates(problem.space, first.experiment.reflection, scan)
    x = problem.coordinates(pool, *np.concatenate([each.screened for each in problem.measurements]))
    away = np.zeros(len(x))
    for each, mu in zip(problem.measurements, problem.expected(problem.values(x), None, _COARSE, steps=8), strict=True):
        floor = 0.3 if each.counting else 0.0
        width = _SMOOTH * stretch(each.experiment.reflection) / float(np.median(np.diff(each.angle)))
        measured, modelled = (
            gaussian_filter1d(np.log10(np.maximum(one, floor)), width, axis=-1) for one in (each.data, mu)
        )
        away += ((measured - modelled) ** 2).sum(axis=1)
    order = np.argsort(away)
    near, far = order[_FIRST // 2 : len(order) // 5], order[len(order) // 5 :]
    chosen = [order[: _FIRST // 2], rng.permutation(near)[: _FIRST // 4], rng.permutation(far)[: _FIRST // 4]]
    return np.asarray(x[np.concatenate(chosen)])


def distinct(problem: Problem, x: Array, objective: Array, most: int) -> tuple[Array, Array]:
    """The best minima that differ in coordinates of the strain, the best first."""
    size = problem.space.profile.size
    kept: list[int] = []
    for i in np.argsort(objective, kind="stable"):
        if len(kept) == most:
            break
        if all(np.abs(x[i, :size] - x[j, :size]).max() > _SAME for j in kept):
            kept.append(int(i))
    return x[kept], objective[kept]


def valleys(problem: Problem, x: Array, objective: Array) -> tuple[Array, Array]:
    """The best points of different valleys, the best first: at most 120, and only as good ones as may be meant.

    Two points are of one valley if the scoring matrix at the better one makes little of their distance.
    """
    best = float(objective.min())
    factor = problem.inflation(best)
    free = problem.layout.free
    kept: list[int] = []
    matrices: list[Array] = []
    for i in np.argsort(objective, kind="stable"):
        if len(kept) == _VALLEYS or objective[i] > best + _MEANT * factor:
            break
        away = [x[i] - x[j] for j in kept]
        if any(0.5 * each @ matrix @ each < _APART * factor for each, matrix in zip(away, matrices, strict=True)):
            continue
        reduced = without_linear(problem.evaluate(x[i : i + 1], None, _COARSE).hessian[0], len(free))
        matrices.append(np.where(np.outer(free, free), reduced, 0.0))
        kept.append(int(i))
    return x[kept], objective[kept]


def nearly(given: Problem, x: Array, until: float) -> tuple[Array, Array]:
    """Minima (m, k) refined so far that they can be compared, the best first, and Φ (m,)."""
    x, objective = x.copy(), np.full(len(x), np.inf)
    for count, steps in _NEARLY:
        found = refine(given, x[:count], max_iter=steps, rtol_dex=GOOD, until=until)
        x[:count], objective[:count] = found.x, found.objective
        order = np.argsort(objective, kind="stable")
        x, objective = x[order], objective[order]
    return x, objective


def _children(parents: Array, problem: Problem, rng: np.random.Generator, number: int = _CHILDREN) -> Array:
    """Further starts (number, k) from distinct minima, the best first."""
    low, high, free = problem.layout.low, problem.layout.high, problem.layout.free
    span, count, k = high - low, len(parents), parents.shape[1]
    chosen = np.minimum(rng.integers(0, count, number), rng.integers(0, count, number))
    children = parents[chosen].copy()
    for child in children:
        one, other = parents[rng.integers(0, count, 2)]
        kind = rng.integers(3)
        if kind == 0:
            some = rng.random(k) < 2.5 / k
            some[rng.choice(np.flatnonzero(free))] = True
            child += some * span * 10.0 ** rng.uniform(-2.0, -0.4) * rng.standard_normal(k)
        elif kind == 1:
            child += rng.uniform(0.3, 1.2) * (one - other) + 0.01 * span * rng.standard_normal(k)
        else:
            child[:] = np.where(rng.random(k) < 0.5, one, child) + 0.02 * span * rng.standard_normal(k)
    outside = (children < low) | (children > high)
    children = np.where(outside, low + span * rng.random(children.shape), children)
    return np.asarray(np.where(free, children, parents[chosen]))


def _along(parents: Array, problem: Problem, rng: np.random.Generator, number: int) -> Array:
    """Starts (number, k) some standard deviations away from minima, in directions of least curvature.

    What a curve determines least it determines along bent valleys, which such a direction leaves and a refinement finds
    again farther on.
    """
    layout = problem.layout
    some = np.flatnonzero(layout.free)
    span = (layout.high - layout.low)[some]
    children = parents[rng.integers(0, len(parents), number)]
    hessian = problem.evaluate(children, None, _COARSE).hessian
    for child, matrix in zip(children, hessian, strict=True):
        reduced = without_linear(matrix, len(layout))[np.ix_(some, some)] * np.outer(span, span)
        curvature, directions = np.linalg.eigh(reduced)
        soft = rng.integers(min(_SOFT, len(some)))
        std = 1.0 / math.sqrt(max(curvature[soft], _FAR**-2))
        child[some] += rng.choice([-1.0, 1.0]) * min(rng.uniform(*_AWAY) * std, _FAR) * directions[:, soft] * span
    return np.asarray(np.clip(children, layout.low, layout.high))


def _refined(problem: Problem, starts: Array, until: float) -> tuple[Array, Array, int]:
    found = refine(problem, starts, max_iter=_ITERATIONS, rtol_dex=_COARSE, close=_CLOSE, until=until)
    return found.x, found.objective, int(found.iterations.sum())


def _without_damage(problem: Problem) -> Problem:
    damage = {each.name for each in DAMAGE}
    priors = {name: value for name, value in problem.priors.items() if name not in damage}
    return replace(problem, space=problem.space.without_damage(), priors=priors)


def _lifted(x: Array, problem: Problem, rng: np.random.Generator) -> Array:
    """Starts with damage from minima (m, k) without: three a minimum."""
    size = problem.space.profile.size
    unit = np.repeat(x[:, :size], 3, axis=0)
    damage = rng.random((len(unit), 2)) * [1.0, 0.4] + [0.0, 0.02]
    return np.column_stack([unit, damage, np.repeat(x[:, size:], 3, axis=0)])


def with_loops(problem: Problem, x: Array, until: float) -> Array:
    """Starts (n, k) of a problem with dislocation loops, from its minima (m, k − d) without, the best first.

    Diffuse scattering adds to all of them about alike: to the best one are added few loops and many, to the next what
    these became. Without loops a mirrored profile may be the better one, so that the best are mirrored, too.
    """
    assert problem.defects is not None
    many = np.array(problem.defects.values)
    few = many - _FEWER * np.array([name.startswith("density") for name in problem.defects.start.names])
    few = np.clip(few, *(each[problem.layout.shared] for each in (problem.layout.low, problem.layout.high)))
    first = np.column_stack([np.repeat(x[:1], 2, axis=0), np.stack([many, few])])
    begun = refine(problem, first, max_iter=_ITERATIONS, rtol_dex=_COARSE, until=until)
    best = begun.x[begun.best(1)]
    others = x[1:_PARENTS]
    rest = np.column_stack([others, np.tile(best[:, problem.layout.shared], (len(others), 1))])
    found = np.concatenate([best, rest])
    return np.concatenate([found, *(mirrored(problem, found[i : i + 1]) for i in range(min(_MIRRORED, len(found))))])


@lru_cache(maxsize=4)
def _candidates(space: ParameterSpace, reflection: Reflection, window: Scan) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return draw_prior(CANDIDATES, space=space, reflection=reflection, scan=window, rng=rng)
