"""The search for the shape of a profile: from another profile, its mirror image, shapes of many kinds, and mixtures.

Splines are refined from the profile that was found before, from its mirror image, from profiles near either, and from
shapes of other families, of several depths, whose smoothed curves are nearest to the measured one. While none of them
describes the curve, the best ones are the parents of others: changed by smooth waves, with a hump more or less, turned
upside down, joined at some depth to another one, or with parts in another order. All this is with a large tolerance,
which makes valleys wider; the best are then refined with the curve's own. It is repeated with smaller ones while the
curve is not described, unless nothing is better than a first profile that nearly describes it, or than another that is
good to the large one.

Beside each valley lie others, a fringe away: with a slab of the thickness d/ε more or less at a depth of strain ε, the
phase 2πεz/d (d the spacing of the planes) of all that lies below goes through a whole turn, so that both parts
interfere as before where the slab diffracts. The neighbours of the best minima are refined, and theirs in turn.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from xrdsim.experiment.reflection import stretch
from xrdsim.fit.freeform.before import Before
from xrdsim.fit.freeform.starts import (
    beside,
    changed,
    damage_for,
    mirrored,
    nearly_projected,
    perturbed,
    projected,
    shapes,
)
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import Refined, refine
from xrdsim.fit.search import acceptable
from xrdsim.fit.unknowns import Array
from xrdsim.forward.derived import strain_profile
from xrdsim.forward.sublayers import Sublayers
from xrdsim.profiles.spline import DEPTH

EXPLORED = 15
"""Coefficients while shapes are looked for."""

_BEYOND = 1.08  # of the depth that was found before, where a spline with a smooth end begins to look for its own
_NEAR = (0.04, 0.08, 0.12, 0.2)  # sizes of perturbations of a profile and of its mirror image
_SHAPES, _TRIED = 300, 8  # shapes of other families that are compared, and refined, for each depth
_DEPTHS_TRIED = (0.6, 0.8, 1.0, 1.25)  # of that which was found before
_TOLERANT = (0.1, 0.05, 0.02)  # τ while shapes are looked for, which widens the valleys: once more with each
_CHILDREN, _PARENTS, _BEST, _OTHERS = 16, 6, 4, 8
_TURNS, _AGAIN = 4, 2  # of the search near the best minima, at most, and of another one
_GAINED = 1.0  # of Φ, by which a minimum must be lower for another turn about it
_HOPEFUL = 2.0  # times Φ of the best, up to which a minimum is refined to the end
_CLOSE = 10.0  # of Φ above the best minimum, up to which neighbours of another one are looked for
_STALE = 3  # generations without progress after which the search ends
_WORK = 5000  # evaluations of the model after which no further generation begins
_PROGRESS = 0.01  # part of Φ
_COARSE, _FINE = 1e-2, 1e-3  # accuracies of the model [dex]
_SHORT, _LONG = 15, 80  # evaluations
_SOME = 8  # minima that are refined to the end
_SMOOTH = (40.0, 30.0, 20.0, 12.0)  # arcsec of GGG 444: filters of the comparison, one after the other
_NEARLY = 2.0  # times Φ of noise, up to which a first profile nearly describes the curve
_KEPT = 60  # shapes that are changed for the next comparison
_APART = 0.03  # of ∫|ε|, by which solutions differ
_DEPTHS = 300
_TURNED = (1.05, 1.0, 0.95, 0.9, 0.85, 0.8)  # of the depth that can be seen, at which the mirror image may lie
_VISIBLE = 0.02  # of the largest strain: what is below it is not turned upside down


@dataclass(frozen=True, eq=False)
class Explored:
    """Coordinates (m, k) of distinct minima, the best first, Φ (m,), and how often the model was evaluated."""

    x: Array
    objective: Array
    evaluations: int


@dataclass(frozen=True, eq=False)
class Settled(Explored):
    """The same, and coordinates (1, k) where a refinement of the mirror image ends."""

    mirror: Array


def moved(given: Problem, x: Array, other: Problem) -> Array:
    """Coordinates (1, k) of the same profile among splines of another number of coefficients."""
    end = float(given.params(x)[0, DEPTH])
    depth = np.linspace(0.0, end, _DEPTHS)
    return _at(other, depth, _strains(given, x, depth)[0], end, given, x)


def explore(
    given: Problem, before: Before, rng: np.random.Generator, until: float, begin: Sublayers | None = None
) -> Explored:
    """Minima from profiles of all shapes, with the prior of the problem; first from one that is given, if any."""
    bare, goal = replace(given, penalty=None), acceptable(given)
    first = projected(given, before.depth, before.strain, _BEYOND * before.end, before.damage, before.own)
    if begin is not None:
        bottom = np.cumsum(begin.thickness)
        middle, end = bottom - 0.5 * begin.thickness, float(bottom[-1])
        first = np.concatenate([first, projected(given, middle, begin.strain, end, before.damage, before.own)])
    direct = refine(given, first, max_iter=_LONG, rtol_dex=_FINE, until=until)
    evaluations = int(direct.iterations.sum())
    best = direct = _some(direct, _different(given, direct, _PARENTS))
    patient = direct.objective[0] > _NEARLY * goal  # else what was found before is half of the way
    for turn, tolerance in enumerate(_TOLERANT):
        easy, known = given.tolerating([max(each, tolerance) for each in given.tolerances]), float(best.objective[0])
        one = best.x[:1]
        starts = [
            best.x,
            *_near(given, one, before.depth, rng),
            *_screened(given, before, one, rng, _SHAPES if patient else _SHAPES // 2),
        ]
        found = _coarse(easy, np.concatenate(starts), until)
        evaluations += int(found.iterations.sum())
        lowest, stale = math.inf, 0
        while stale < (_STALE if patient else _STALE - 1) and evaluations < _WORK and time.perf_counter() < until:
            found = _some(found, _different(given, found, _PARENTS))
            stale = 0 if found.objective[0] < lowest * (1.0 - _PROGRESS) else stale + 1
            lowest = min(lowest, float(found.objective[0]))
            if lowest <= acceptable(easy):
                break
            children = _coarse(easy, _children(given, found.x, before.depth, rng), until)
            evaluations += int(children.iterations.sum())
            found = _together(found, children)
        some = _hopeful(found, list(range(min(_PARENTS, len(found.x)))), float(found.objective[0]))
        fine = refine(given, found.x[some], max_iter=_LONG, rtol_dex=_FINE, until=until)
        evaluations += int(fine.iterations.sum())
        best = _together(best, fine)
        best = _some(best, _different(given, best, _PARENTS))
        tried = lowest <= acceptable(easy) if turn else not patient
        settled = tried and best.objective[0] >= known * (1.0 - _PROGRESS)
        if settled or bare.objective(bare.values(best.x[:1]), _FINE)[0] <= goal or time.perf_counter() > until:
            break
    return Explored(best.x, best.objective, evaluations)


def settle(
    given: Problem, x: list[Array], before: Before, rng: np.random.Generator, until: float, again: bool = False
) -> Settled:
    """Distinct minima near others, and the neighbours of the best of them.

    ``x`` are coordinates (1, k) from which they are near, the best first. What lies near it and its mirror image is
    tried, too, unless it was before: then only the mirror image. In the end the mirror image of the best one is.
    """
    near = _near(given, x[0], before.depth, rng)[: 1 if again else None]  # the mirror image is the first
    coarse = _coarse(given, np.concatenate([*near, *x]), until)
    lowest = float(coarse.objective.min())
    first = np.unique([0, len(near), *_hopeful(coarse, _different(given, coarse, _SOME), lowest)])
    found = refine(given, coarse.x[first], max_iter=_LONG, rtol_dex=_FINE, until=until)
    mirror = found.x[:1], float(found.objective[0])
    evaluations = int(coarse.iterations.sum() + found.iterations.sum())
    found = _some(found, _different(given, found, _SOME))
    gone: list[tuple[Array, float]] = []  # minima whose neighbours were looked for, and their Φ
    free = given.space.damage and bool(given.space.profile.own_factor)
    for _ in range(_AGAIN if again else _TURNS):
        parent = _next_parent(given, found, gone)
        if parent is None or time.perf_counter() > until:
            break
        best = found.x[parent : parent + 1], float(found.objective[parent])
        gone.append(mirror if free and len(gone) == 1 else best)  # with a free damage one is as good as the other
        coarse = _coarse(given, _beside(given, gone[-1][0], before.depth, rng), until)
        some = _hopeful(coarse, _different(given, coarse, _BEST), float(found.objective[0]))
        fine = refine(given, coarse.x[some], max_iter=_LONG // 2, rtol_dex=_FINE, until=until)
        evaluations += int(coarse.iterations.sum() + fine.iterations.sum())
        found = _together(found, fine)
        found = _some(found, _different(given, found, _SOME))
    turned = _near(given, found.x[:1], before.depth, rng)[0]
    last = refine(given, turned, max_iter=_LONG, rtol_dex=_FINE, until=until)
    evaluations += int(last.iterations.sum())
    found = _together(found, last)
    found = _some(found, _different(given, found, _SOME))
    return Settled(found.x, found.objective, evaluations, last.x)


def _hopeful(coarse: Refined, some: list[int], best: float) -> list[int]:
    """Those of some minima, the first at least, that may come near the best one."""
    return [some[0], *(i for i in some[1:] if coarse.objective[i] < _HOPEFUL * best)]


def _next_parent(given: Problem, found: Refined, gone: list[tuple[Array, float]]) -> int | None:
    """The best minimum whose neighbours were not looked for, if it is nearly as good as the best of all."""
    factor, depth = given.inflation(float(found.objective[0])), np.linspace(0.0, given.space.high[DEPTH], _DEPTHS)
    for i in np.flatnonzero(found.objective < found.objective[0] + _CLOSE * factor):
        strain = _strains(given, found.x[i : i + 1], depth)
        if not any(
            value < found.objective[i] + _GAINED * factor
            and np.abs(strain - _strains(given, x, depth)).sum() <= _APART * np.abs(strain).sum()
            for x, value in gone
        ):
            return int(i)
    return None


def _coarse(given: Problem, starts: Array, until: float) -> Refined:
    return refine(given, starts, max_iter=_SHORT, rtol_dex=_COARSE, until=until)


def _together(one: Refined, other: Refined) -> Refined:
    return Refined(*(np.concatenate(pair) for pair in zip(vars(one).values(), vars(other).values(), strict=True)))


def _some(found: Refined, kept: list[int]) -> Refined:
    return Refined(*(values[kept] for values in vars(found).values()))


def _strains(given: Problem, x: Array, depth: Array) -> Array:
    return strain_profile(given.params(x), depth, space=given.space)


def _at(
    other: Problem, depth: Array, strain: Array, end: float, given: Problem, x: Array, turned: float | None = None
) -> Array:
    """Coordinates (1, k) of a profile with the damage and the instrument of other coordinates (1, k).

    A damage that does not follow the strain is turned upside down at a depth [Å], if one is given.
    """
    damage = damage_for(other, given, x, depth, turned)
    return projected(other, depth, strain, end, damage, given.values(x)[0, given.layout.profile.stop :])


def _near(given: Problem, x: Array, depth: Array, rng: np.random.Generator) -> list[Array]:
    """The mirror image of a minimum (1, k), and profiles near either."""
    strain, end = _strains(given, x, depth)[0], float(given.params(x)[0, DEPTH])
    bottom = _bottom(strain, depth)
    turned = mirrored(depth, strain, bottom)
    starts = [_at(given, depth, turned, end, given, x, bottom)]
    for size in _NEAR:
        for each, at in ((strain, None), (turned, bottom)):
            waved = perturbed(depth, each, end, size, rng)
            starts.append(_at(given, depth, waved, end * (1.0 + size * rng.uniform(-1.0, 1.0)), given, x, at))
    return starts


def _beside(given: Problem, x: Array, depth: Array, rng: np.random.Generator) -> Array:
    """Starts (n, k) in the valleys beside a minimum (1, k), fringes away, and others near it."""
    end, strain = float(given.params(x)[0, DEPTH]), _strains(given, x, depth)[0]
    starts = [_children(given, x, depth, rng)[:_OTHERS]]
    for each in beside(depth, strain, _CHILDREN, _period(given), rng):
        seen = np.flatnonzero(np.abs(each) > 0.0)
        starts.append(_at(given, depth, each, max(float(depth[seen[-1]]), 0.5 * end) if len(seen) else end, given, x))
    return np.concatenate(starts)


def _period(given: Problem) -> float:
    """Thickness [Å] in which the phase of the first reflection makes one turn at a strain of 1."""
    reflection = given.measurements[0].experiment.reflection
    return float(2.0 * np.pi / (reflection.h0 * np.cos(reflection.psi)))


def is_mirrored(given: Problem, x: Array) -> NDArray[np.bool_]:
    """Which of the minima (m, k) are nearer to the mirror image of the first one than to itself, (m,)."""
    depth = np.linspace(0.0, float(given.space.high[DEPTH]), _DEPTHS)
    strain = _strains(given, x, depth)
    bottom = _bottom(strain[0], depth)
    away = [np.abs(strain - mirrored(depth, strain[0], part * bottom)).sum(axis=1) for part in _TURNED]
    return np.asarray(np.min(away, axis=0) < np.abs(strain - strain[0]).sum(axis=1))


def _bottom(strain: Array, depth: Array) -> float:
    """Depth [Å] down to which a strain (d,) can be seen."""
    seen = np.flatnonzero(np.abs(strain) > _VISIBLE * max(float(np.abs(strain).max()), 1e-300))
    return float(depth[seen[-1] if len(seen) else -1])


def _screened(given: Problem, before: Before, x: Array, rng: np.random.Generator, count: int) -> list[Array]:
    """Starts of other families whose smoothed curves are nearest to the measured ones.

    The nearest are changed and compared again, with curves that are smoothed less and less.
    """
    depth, largest = before.depth, float(np.abs(before.strain).max())
    own = given.values(x)[0, given.layout.profile.stop :]
    starts = []
    for part in _DEPTHS_TRIED:
        end = part * before.end
        drawn = shapes(depth, largest, 0.95 * end, count, rng)
        for width in _SMOOTH:
            rows = nearly_projected(given, depth, drawn, end, before.damage, own)
            order = np.argsort(_away(given, rows, width), kind="stable")
            kept = drawn[order[:_KEPT]]
            pairs = rng.integers(0, _KEPT, (count - _KEPT, 2))
            drawn = np.array([*kept, *(changed(depth, kept[i], kept[j], end, _period(given), rng) for i, j in pairs)])
        starts.append(rows[order[:_TRIED]])
    return starts


def _away(given: Problem, starts: Array, width: float) -> Array:
    """Sum of squares (m,) of what curves of starts (m, k), smoothed by this width, differ from the measured ones."""
    away = np.zeros(len(starts))
    for each, mu in zip(given.measurements, given.expected(given.values(starts), None, _COARSE), strict=True):
        points = width * stretch(each.experiment.reflection) / float(np.median(np.diff(each.angle)))
        floor = 0.3 if each.counting else 0.0
        measured, modelled = (
            gaussian_filter1d(np.log10(np.maximum(one, floor)), points, axis=-1) for one in (each.data, mu)
        )
        away += ((measured - modelled) ** 2).sum(axis=1)
    return away


def _children(given: Problem, parents: Array, depth: Array, rng: np.random.Generator) -> Array:
    """Starts (n, k) from minima (m, k), the best first."""
    strains, count = _strains(given, parents, depth), len(parents)
    starts = []
    for _ in range(_CHILDREN):
        one, other = int(min(rng.integers(0, count, 2))), int(rng.integers(count))
        end = float(given.params(parents[one : one + 1])[0, DEPTH])
        partner = strains[other] if other != one else mirrored(depth, strains[one], _bottom(strains[one], depth))
        strain = changed(depth, strains[one], partner, end, _period(given), rng)
        starts.append(_at(given, depth, strain, end * rng.uniform(0.95, 1.05), given, parents[one : one + 1]))
    return np.concatenate(starts)


def _different(given: Problem, found: Refined, most: int) -> list[int]:
    """The best minima whose strains differ, the best first, at most so many."""
    depth = np.linspace(0.0, float(given.space.high[DEPTH]), _DEPTHS)
    strain = _strains(given, found.x, depth)
    kept: list[int] = []
    for i in map(int, np.argsort(found.objective, kind="stable")):
        size = np.abs(strain[i]).sum()
        if all(np.abs(strain[i] - strain[j]).sum() > _APART * size for j in kept):
            kept.append(i)
        if len(kept) == most:
            break
    return kept
