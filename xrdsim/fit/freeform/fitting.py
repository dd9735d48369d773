"""From a fit of two Gaussians to one of a spline: starts, smoothness, number of coefficients, distinct solutions.

First profiles of all shapes are tried with a weak prior (``xrdsim.fit.freeform.search``). At the best of them the curve
says how smooth the spline is, and how many coefficients it has; then all that are near are refined anew, with their
mirror image and the valleys beside them, and in the end with intervals half as wide. Once more the curve is asked
whether the background is linear, which shape the instrument has and how far the model may be wrong, for two Gaussians
that do not describe a curve hide that; if it says something else, all is repeated. Solutions that describe the curve as
well are in the order of their evidence; those whose ln Z is smaller by more than five are no alternatives.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.fit.fitting import fit_curve, result_of, usual_budget
from xrdsim.fit.freeform.before import Before, Freeform, problem_of
from xrdsim.fit.freeform.resolution import resolution_of
from xrdsim.fit.freeform.search import EXPLORED, Settled, explore, is_mirrored, moved, settle
from xrdsim.fit.freeform.smoothness import CORRECTION, effective, evidence, family_of, smoothed, smoothest
from xrdsim.fit.judgement.evidence import best_backgrounds, best_instruments, likeliest_tolerances
from xrdsim.fit.judgement.verdict import FINAL, as_good
from xrdsim.fit.posterior import laplace
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.result import Fit, Verdict
from xrdsim.fit.search import Ending, Watch
from xrdsim.fit.unknowns import Array

Shape = Literal["two-gaussians", "spline", "auto"]

NUMBERS = (10, 15, 20, 25, 30)
"""Coefficients among which the evidence chooses."""

_START = 0.15  # of the effort of a fit of two Gaussians, which is enough for a start
_GAIN = 1.0  # of ln Z for more coefficients
_WEAK = 0.1  # λ while profiles of all shapes are tried
_FINE = 1e-3  # accuracy of the model [dex]
_TURNS, _PROGRESS = 4, 0.05  # of smoothness, number and search, and part of Φ that asks for another
_SHORT, _LONG = 15, 60  # evaluations
_REACH = 1.1  # times Φ of the best one, up to which a mirror image counts where the damage is free
_LESS = 5.0  # of ln Z below the best one, up to which a solution counts as an alternative
_LEAST = 0.3  # s that the last refinement has in any case

MIRRORED = (
    "The static Debye–Waller factor does not follow the strain (--free-damage): a profile and its mirror image can "
    "then describe a curve equally well, each with a factor of its own. Take neither for the truth without knowledge "
    "from elsewhere: how deep the ions went, another reflection, or a fit with damage that follows the strain."
)
"""What a reader must know of a factor that does not follow the strain."""

ALTERNATIVE = "But its mirror image describes it nearly as well, with a static Debye–Waller factor of its own."


def fit_freeform(
    given: Problem,
    choice: Freeform | None = None,
    *,
    budget: float | None = None,
    seed: int = 0,
    begun: float | None = None,
    effort: float = 1.0,
    only_if_needed: bool = False,
    **fitting: Any,
) -> Fit:
    """Fit two Gaussians, then splines.

    Parameters
    ----------
    given : the problem of two Gaussians, as of ``fit_curve``.
    choice : of the splines.
    budget, seed, begun, effort : as of ``fit_curve``. The budget is of both; two Gaussians that only give a start
        have a part of the effort.
    only_if_needed : keep the two Gaussians where they describe the curve, or where splines do so no better than their
        unknowns cost.
    fitting : further arguments of ``fit_curve``.
    """
    begun = time.perf_counter() if begun is None else begun
    budget = usual_budget(given, effort) if budget is None else budget
    effort *= 1.0 if only_if_needed else _START
    first = fit_curve(given, budget=budget, seed=seed, begun=begun, effort=effort, **fitting)
    if only_if_needed and first.verdict in (Verdict.SOLVED, Verdict.NOT_UNIQUE):
        return replace(first, notes=(*first.notes, "Two Gaussians describe the curve: no spline was tried."))
    chosen = choice or Freeform()
    found = freeform(
        given,
        first,
        chosen,
        until=begun + budget,
        seed=seed,
        progress=fitting.get("progress"),
        watch=fitting.get("watch"),
    )
    if only_if_needed and (less := _gain(given, first, found)) <= 0.0:
        kept = f"A spline was tried, but the evidence for it is smaller by {-less:.3g}: two Gaussians are kept."
        return replace(first, notes=(*first.notes, kept), seconds=time.perf_counter() - begun)
    return replace(found, seconds=time.perf_counter() - begun)


def fit_profile(
    given: Problem, *, profile: Shape = "two-gaussians", spline: Freeform | None = None, **fitting: Any
) -> Fit:
    """Fit two Gaussians, splines, or splines only where they are needed (``auto``).

    Parameters
    ----------
    given : the problem of two Gaussians.
    spline : what splines; None for the defaults.
    fitting : arguments of ``fit_curve``.

    Raises
    ------
    ParameterError
        As ``fit_curve``, or a setting without meaning.
    """
    if profile not in get_args(Shape):
        raise ParameterError(f"profile {profile!r} is unknown; choose {', '.join(get_args(Shape))}")
    if profile == "two-gaussians":
        return fit_curve(given, **fitting)
    if fitting.get("chains") or fitting.get("likelihood"):
        raise ParameterError("Markov chains and profile likelihoods are of two Gaussians; leave them out for splines")
    if spline is not None and spline.free_damage and not given.space.damage:
        raise ParameterError("a static Debye–Waller factor that is free needs damage; fit with damage, too")
    return fit_freeform(given, spline, only_if_needed=profile == "auto", **fitting)


def _gain(given: Problem, first: Fit, found: Fit) -> float:
    """By how much the evidence of a spline is larger than that of two Gaussians, after G. Schwarz."""
    seen = Before.of(given, first)
    two = seen.given.misfit(np.array([[*first.minima[0].values, *seen.own]]), _FINE)
    told = found.settings["spline"]
    factor = seen.given.inflation(told["objective"])
    more = told["effective_unknowns"] - int(given.layout.free.sum())
    return float((two[0] - told["objective"]) / factor - 0.5 * more * math.log(len(given)))


def freeform(
    given: Problem,
    first: Fit,
    choice: Freeform,
    *,
    until: float = math.inf,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
    watch: Watch | None = None,
) -> Fit:
    """Fit splines, from a fit of another profile on.

    Parameters
    ----------
    given, first : the problem of the other profile, and what its fit says.
    choice : of the splines.
    until : time of ``time.perf_counter`` at which refinements are cut off.
    seed : of everything random.
    progress, watch : as of ``fit_curve``.
    """
    rng, begun = np.random.default_rng(seed), time.perf_counter()
    before = Before.of(given, first)
    tied = replace(choice, free_damage=0)  # while shapes are looked for, the damage follows the strain
    start = smoothed(problem_of(before, tied, choice.coefficients or EXPLORED), _WEAK)
    explored = explore(start, before, rng, until, choice.begin)
    if watch:
        watch(start, explored.x[:1])
    factor = start.inflation(float(explored.objective[0]))
    near, x, place, evaluations, searched = start, explored.x, 0, explored.evaluations, False
    for turn in range(_TURNS):
        chosen = _numbered(before, choice, near, x, factor, until, place)
        problem, place = smoothed(chosen.problem, CORRECTION * chosen.weight), max(chosen.place - 1, 0)
        near, again = (problem, chosen.x) if searched else _measured_anew(problem, chosen.x, until)
        if near is problem or turn + 1 == _TURNS:
            settled = settle(problem, list(chosen.x[:, None]), before, rng, until, searched)
            searched, lower = True, settled.objective[0] < (1.0 - _PROGRESS) * chosen.objective
            problem, weight, settled = _halved(before, choice, chosen, problem, settled, until)
            x, objective = settled.x, settled.objective
            evaluations += settled.evaluations
            if progress:
                progress(time.perf_counter() - begun, 2.0 * float(objective[0]) / problem.freedom)
            if watch:
                watch(problem, x[:1])
            if turn + 1 == _TURNS or time.perf_counter() > until:
                break
            near, again = _measured_anew(problem, x, until)
            if near is problem and not lower:
                break
        x, before = again, before.as_in(near)
        factor = near.inflation(float(replace(near, penalty=None).misfit(near.values(x[:1]), _FINE)[0]))
    ended = Ending.BUDGET if time.perf_counter() > until else Ending.STANDSTILL
    x, objective, alike, less = _by_evidence(problem, x, objective, weight, factor, until)
    mirror = float(problem.objective(problem.values(settled.mirror), _FINE)[0])
    refined = refine(problem, x[:1], max_iter=_LONG, rtol_dex=FINAL, until=max(until, time.perf_counter() + _LEAST))
    x, objective = np.concatenate([refined.x, x[1:]]), np.append(refined.objective, objective[1:])
    sampled = laplace(problem, x[alike], seed=seed)
    evaluations += int(refined.iterations.sum())
    fit = result_of(problem, refined, (x, objective), sampled, evaluations, ended, alike)
    fit = replace(fit, resolution=resolution_of(problem, before, choice, refined.x))
    family = family_of(problem)
    told = {
        "coefficients": family.number + family.zeros,
        "end": choice.end,
        "smoothness": (CORRECTION if choice.coefficients else 1.0) * weight,
        "effective_unknowns": effective(problem, replace(problem, penalty=None), x[:1]),
        "objective": float(replace(problem, penalty=None).misfit(problem.values(x[:1]), _FINE)[0]),
        "mirror_reduced_chi2": 2.0 * mirror / problem.freedom if problem.counting else None,
        "less_evidence": less,
    }
    if choice.free_damage:
        told["free_damage"] = choice.free_damage
        fit = replace(fit, notes=(*fit.notes, MIRRORED))
        if fit.verdict is Verdict.SOLVED and is_mirrored(problem, x[alike]).any():
            fit = replace(fit, verdict=Verdict.NOT_UNIQUE, reason=f"{fit.reason} {ALTERNATIVE}")
    return replace(fit, settings=fit.settings | {"spline": told})


@dataclass(frozen=True, eq=False)
class Numbered:
    """Splines of the number of coefficients that was chosen.

    Attributes
    ----------
    number : of coefficients, those held at 0 included.
    problem : theirs, without the prior.
    weight : λ of largest evidence.
    x : (m, k) the best minimum, and where others are near, the best first.
    objective : Φ of the best one, with a tenth of λ.
    place : of the number among NUMBERS.
    cost : by which it was chosen.
    """

    number: int
    problem: Problem
    weight: float
    x: Array
    objective: float
    place: int
    cost: float


def _numbered(
    before: Before, choice: Freeform, near: Problem, x: Array, factor: float, until: float, first: int = 0
) -> Numbered:
    """One number of coefficients more than those of least Φ + k, k the unknowns that the curve determines.

    Of the criterion see H. Akaike, IEEE Trans. Autom. Control 19, 716, 1974. Numbers are tried upwards from a first one
    while it falls. Of the next one the prior has as much to say as the curve; splines of the best are stiffer between
    their knots than they say.

    Parameters
    ----------
    near, x : a problem and its minima (m, k), the best first.
    factor : inflation of the noise.
    first : place of the first number among NUMBERS.
    """
    numbers = NUMBERS if choice.coefficients is None else (choice.coefficients,)
    found: list[Numbered] = []
    for place in range(min(first, len(numbers) - 1), len(numbers)):
        problem = problem_of(before, choice, numbers[place])
        starts = [moved(near, x[:1], problem), *(moved(found[-1].problem, each.x, problem) for each in found[-1:])]
        best = smoothest(problem, np.concatenate(starts), factor, until)
        given = smoothed(problem, CORRECTION * best.weight)
        there = refine(given, best.x, max_iter=_SHORT, rtol_dex=_FINE, until=until)
        cost = float(problem.misfit(problem.values(there.x), _FINE)[0]) / factor + effective(given, problem, there.x)
        found.append(Numbered(numbers[place], problem, best.weight, there.x, float(there.objective[0]), place, cost))
        if len(found) > 1 and cost > found[-2].cost - _GAIN:
            break
    taken = found[-1]
    others = [moved(near, x[i : i + 1], taken.problem) for i in range(1, len(x))]
    return replace(taken, x=np.concatenate([taken.x, *others]))


def _halved(
    before: Before, choice: Freeform, chosen: Numbered, given: Problem, settled: Settled, until: float
) -> tuple[Problem, float, Settled]:
    """Problem, λ of largest evidence, and the same minima with intervals half as wide, unless their number is given.

    Few coefficients make a search quick; but between their knots a profile bends as they cannot, of which bands would
    know nothing. With more the λ of largest evidence need not be corrected: what it hides the further ones show. It is
    that of the same prior of ∫ε″² dz, which is |D²c|² over the cube of the interval.
    """
    if choice.coefficients:
        return given, chosen.weight, settled
    weight = 8.0 * chosen.weight
    fine = smoothed(problem_of(before, choice, 2 * chosen.number - 3), weight)
    rows = np.concatenate([moved(given, each, fine) for each in (settled.mirror, *settled.x[:, None])])
    found = refine(fine, rows, max_iter=_LONG, rtol_dex=_FINE, until=until)
    order = 1 + np.argsort(found.objective[1:], kind="stable")
    evaluations = settled.evaluations + int(found.iterations.sum())
    return fine, weight, Settled(found.x[order], found.objective[order], evaluations, found.x[:1])


def _measured_anew(given: Problem, x: Array, until: float) -> tuple[Problem, Array]:
    """The problem with backgrounds, instruments and tolerances for which there is most evidence, and coordinates."""
    chosen, rows = best_instruments(*best_backgrounds(given, x, until), until)
    refined = refine(chosen, rows[:1], max_iter=_SHORT, rtol_dex=_FINE, until=until)
    told = likeliest_tolerances(chosen, refined.x, refined.linear)
    if chosen is given and told.tolerances == given.tolerances:
        return given, x
    return told, np.concatenate([refined.x, rows[1:]])


def _by_evidence(
    given: Problem, x: Array, objective: Array, weight: float, factor: float, until: float
) -> tuple[Array, Array, NDArray[np.bool_], list[float | None]]:
    """Minima (m, k) and Φ (m,), those as good as the best first, by their evidence with the smoothness λ.

    Also which are as likely as the first, and how much less evidence, ln Z, there is for each that was compared. Where
    the damage does not follow the strain, mirror images of the first count as likely, too, if their Φ is not much
    larger: how much less their evidence is hangs on what factors E are expected.
    """
    close = np.array([as_good(given, float(value), float(objective.min())) for value in objective])
    found = np.full(len(x), -np.inf)
    smooth = smoothed(given, weight)
    for i in np.flatnonzero(close):
        there = refine(smooth, x[i : i + 1], max_iter=_SHORT, rtol_dex=_FINE, until=until)
        found[i] = evidence(smooth, there.x, weight, factor)
    order = np.lexsort((objective, -found))
    found = found[order]
    less = [float(found[0] - each) if math.isfinite(each) else None for each in found]
    alike = found > found[0] - _LESS
    if given.space.damage and given.space.profile.own_factor:
        near = np.isfinite(found) | (objective[order] <= _REACH * objective.min())
        alike |= is_mirrored(given, x[order]) & near
    return x[order], objective[order], alike, less
