"""Levenberg–Marquardt for many starts at once, in coordinates whose limits are the constraints.

The profile's seven (nine) parameters are a bijection of the unit cube, ``ParameterSpace.from_unit``, which contains the
four inequality constraints; zeros and instruments have limits of their own. A step solves (H + λ diag H)·δ = −g of
Fisher's scoring (``xrdsim.fit.problem``) for all unknowns that are not held by a limit, with scales and backgrounds
undamped and not negative; those that would cross a limit go to it, and the others are solved for anew. Then scales and
backgrounds are solved for. λ follows Nielsen's rule (H. B. Nielsen, Damping parameter in Marquardt's method,
IMM-REP-1999-05).
"""

import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, least_squares, minimize

from xrdsim.fit.problem import Problem
from xrdsim.fit.unknowns import Array, Layout

CONVERGED = 1e-4
"""Change of Φ below which a start has arrived, when λ is small, too."""

_FLAT = 1e-200  # curvature of an unknown that changes nothing, such as the width of a tail without a share
_NOTHING = 1e-6  # standard deviations of a scale or background below which it is 0
_NEWTON = 1.0  # damping up to which a small step means a minimum
_LAST = 1e8  # damping at which a start is given up


@dataclass(frozen=True, eq=False)
class Refined:
    """Where refinements ended.

    Attributes
    ----------
    x : (m, k) coordinates.
    linear : (m, l) scale and background of each measurement, in counts or the unit of the intensity.
    objective : (m,) Φ, priors included.
    converged : (m,) whether Φ changes no more.
    iterations : (m,) evaluations of the model and its derivatives.
    """

    x: Array
    linear: Array
    objective: Array
    converged: NDArray[np.bool_]
    iterations: NDArray[np.int64]

    def best(self, count: int) -> NDArray[np.int64]:
        """Indices of the lowest Φ."""
        return np.argsort(self.objective, kind="stable")[:count]


def refine(
    problem: Problem,
    start: Array,
    *,
    max_iter: int = 50,
    rtol_dex: float = 1e-3,
    damping: float = 1e-2,
    close: float = CONVERGED,
    until: float = math.inf,
) -> Refined:
    """Refine all starts (m, k) by Levenberg–Marquardt.

    Parameters
    ----------
    problem : profile and measurements.
    start : coordinates.
    max_iter : evaluations at most.
    rtol_dex : accuracy of the model.
    damping : first λ.
    close : change of Φ below which a start has arrived.
    until : time of ``time.perf_counter`` after which no further evaluation begins.
    """
    low, high = problem.layout.low, problem.layout.high
    x = np.clip(start, low, high)
    m, k = x.shape
    state = problem.evaluate(x, None, rtol_dex)
    damp, growth = np.full(m, float(damping)), np.full(m, 2.0)
    converged = np.zeros(m, bool)
    iterations = np.ones(m, np.int64)
    active = np.arange(m)
    for _ in range(max_iter - 1):
        if not len(active) or time.perf_counter() > until:
            break
        form = state.gradient[active], state.hessian[active]
        step, predicted = next_step(form, damp[active], x[active], state.linear[active], problem.layout)
        trial = np.clip(x[active] + step[:, :k], low, high)
        new = problem.evaluate(trial, state.linear[active] + step[:, k:], rtol_dex)
        iterations[active] += 1
        gain = state.objective[active] - new.objective
        good = gain > 0.0
        promised = np.maximum(predicted, 1e-300)
        ratio = np.clip(gain, 0.0, promised) / promised
        small = (np.abs(predicted) < close) | (good & (gain < close))
        arrived = small & (damp[active] <= _NEWTON)
        taken = active[good]
        x[taken] = trial[good]
        state.take(taken, new, good)
        damp[active] = np.where(
            good,
            damp[active] * np.maximum(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3),
            damp[active] * growth[active],
        )
        growth[active] = np.where(good, 2.0, 2.0 * growth[active])
        converged[active] = arrived
        active = active[~arrived & (damp[active] < _LAST)]
    return Refined(x, state.linear, state.objective, converged, iterations)


def refine_all(problems: Sequence[Problem], starts: Sequence[Array], **choices: Any) -> list[Refined]:
    """Refine many problems, each from its own starts (m, k), on all cores; ``choices`` are those of ``refine``.

    Each core has a process of its own, since half of a refinement of one start is Python's work. Starting them takes
    a few seconds: it is for hundreds of curves. A script that calls it needs ``if __name__ == "__main__":``.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit Numba's threads, and hang
    with ProcessPoolExecutor(numba.get_num_threads(), context, numba.set_num_threads, (1,)) as pool:
        return list(pool.map(partial(refine, **choices), problems, starts, chunksize=8))


def next_step(form: tuple[Array, Array], damp: Array, x: Array, linear: Array, layout: Layout) -> tuple[Array, Array]:
    """Steps (m, k + l) of the unknowns not held by limits, and the decrease of Φ that the quadratic model promises.

    Parameters
    ----------
    form : gradients (m, k + l) and scoring matrices (m, k + l, k + l) of Φ.
    damp : (m,) λ.
    x, linear : coordinates (m, k), and scales and backgrounds (m, l), which are not negative.
    layout : with the limits.
    """
    (gradient, hessian), (m, k), others = form, x.shape, linear.shape[1]
    size = k + others
    curved = np.einsum("mkk->mk", hessian)
    scale = np.sqrt(np.where(curved > _FLAT, curved, 1.0))
    at = np.concatenate([x, linear], axis=1)
    low, high = np.append(layout.low, np.zeros(others)), np.append(layout.high, np.full(others, np.inf))
    of_x = np.broadcast_to(1e-9 * (layout.high - layout.low), x.shape)
    room = np.concatenate([of_x, _NOTHING / scale[:, k:]], axis=1)
    held = (at <= low + room) & (gradient > 0.0) | (at >= high - room) & (gradient < 0.0)
    held[:, :k] |= ~layout.free
    ridge = np.broadcast_to(np.where(np.arange(size) < k, damp[:, None], 1e-10), scale.shape)
    h = hessian / (scale[:, :, None] * scale[:, None, :])
    g = gradient / scale
    step = np.zeros((m, size))  # of those that are held: to the limit they would cross
    for _ in range(size + 1):
        a = np.where(held[:, :, None] | held[:, None, :], 0.0, h)
        diagonal = np.where(held, 1.0, np.einsum("mkk->mk", h) + ridge)
        np.einsum("mkk->mk", a)[...] = diagonal
        pushed = g + (h @ np.where(held, step * scale, 0.0)[:, :, None])[:, :, 0]
        solved = np.linalg.solve(a, -np.where(held, 0.0, pushed)[:, :, None])[:, :, 0] / scale
        step = np.where(held, step, solved)
        target = at + step
        out = ~held & ((target < low) | (target > high))
        step = np.clip(target, low, high) - at
        if not out.any():
            break
        held |= out
    step = np.where(np.isfinite(step), step, 0.0)  # of a place where the matrix says nothing
    predicted = -(gradient * step).sum(axis=1) - 0.5 * np.einsum("mi,mij,mj->m", step, hessian, step)
    return step, predicted


def without_linear(hessian: Array, k: int) -> Array:
    """Scoring matrix (k, k) of the coordinates alone, from that (k + l, k + l) with scales and backgrounds."""
    length = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    h = hessian / np.outer(length, length)
    reduced = h[:k, :k] - h[:k, k:] @ np.linalg.pinv(h[k:, k:]) @ h[k:, :k]
    return np.asarray(reduced * np.outer(length[:k], length[:k]))


def slsqp(
    problem: Problem, start: Array, *, max_iter: int = 100, rtol_dex: float = 1e-3, until: float = math.inf
) -> Refined:
    """Smallest mean squared difference of log10 intensities by SciPy's SLSQP, within ranges and bounds.

    It works on the values themselves, in parts of their ranges, with the analytic gradient; scales and backgrounds
    are solved for inside. Φ of the result is that of the problem. It ends by itself, whatever ``until`` says.
    """
    layout, space = problem.layout, problem.space
    low, free, profile = layout.least, layout.free, layout.profile
    compared = [
        replace(each, data=each.data.clip(0.5), counting=False) if each.counting else each
        for each in problem.measurements
    ]
    span = np.where(free, layout.most - low, 1.0)
    ends, counts = [], []
    together = space.together(len(low))
    constraints, room = space.inequalities(len(low))
    constraints = constraints @ together
    scale = 2.0 / len(problem)
    for full in problem.values(np.clip(start, layout.low, layout.high)):
        calls = 0

        def value(z: Array, full: Array = full) -> tuple[float, Array]:
            nonlocal calls
            calls += 1
            row = full.copy()
            row[free] = low[free] + z * span[free]
            params = space.tied(np.clip(row[None, profile], space.low, space.high))
            objective, gradient = 0.0, np.zeros(len(row))
            for each, own in zip(compared, layout.own, strict=True):
                curves, slope = each.linearize(params, row[None, own], rtol_dex)
                linear = each.scaled(curves)
                mu = each.expected(curves, linear)
                change = -(linear[:, :1, None] * slope * each.weights(mu)[1][:, None, :]).sum(axis=2)[0]
                gradient[profile] += change[profile]
                gradient[own] += change[profile.stop :]
                objective += float(each.objective(mu)[0])
            return scale * objective, scale * (gradient @ together * span)[free]

        inside = LinearConstraint(
            (constraints * span)[:, free], -np.inf, room - constraints @ np.where(free, low, full)
        )
        result = minimize(
            value,
            np.clip((full - low) / span, 0.0, 1.0)[free],
            jac=True,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * int(free.sum()),
            constraints=[inside],
            options={"maxiter": max_iter, "ftol": 1e-9},
        )
        row = full.copy()
        row[free] = low[free] + np.clip(result.x, 0.0, 1.0) * span[free]
        ends.append(problem.coordinates(row[None, profile], *row[profile.stop :])[0])
        counts.append((bool(result.success), calls))
    return _at(problem, np.array(ends), counts, rtol_dex)


def trf(
    problem: Problem, start: Array, *, max_iter: int = 100, rtol_dex: float = 1e-3, until: float = math.inf
) -> Refined:
    """The smallest Φ by SciPy's ``least_squares`` (trust region, reflective limits) in the same coordinates."""
    low, high, free = problem.layout.low, problem.layout.high, problem.layout.free
    ends, counts = [], []
    for one in np.clip(start, low, high):
        last: list[Array] = []  # the place, its residuals and their derivatives

        def both(z: Array, one: Array = one, last: list[Array] = last) -> list[Array]:
            if not last or not np.array_equal(last[0], z):
                x = one.copy()
                x[free] = z
                last[:] = [z.copy(), *_residuals(problem, x, rtol_dex)]
            return last

        def residuals(z: Array, both: Callable[..., list[Array]] = both) -> Array:
            return both(z)[1]

        def slope(z: Array, both: Callable[..., list[Array]] = both) -> Array:
            return both(z)[2][:, free]

        edge = 1e-10 * (high - low)
        result = least_squares(
            residuals,
            np.clip(one, low + edge, high - edge)[free],
            jac=slope,
            bounds=(low[free], high[free]),
            x_scale=(high - low)[free],
            max_nfev=max_iter,
        )
        x = one.copy()
        x[free] = result.x
        ends.append(x)
        counts.append((bool(result.success), int(result.nfev)))
    return _at(problem, np.array(ends), counts, rtol_dex)


def _residuals(problem: Problem, x: Array, rtol_dex: float) -> tuple[Array, Array]:
    """Residuals (n,) of all measurements at coordinates (k,), and their derivatives (n, k).

    Scales and backgrounds follow the others.
    """
    profile, values = problem.layout.profile, problem.values(x[None])
    change = problem.space.unit_slope(x[None, profile])[0]
    residuals, slopes = [], []
    for each, own in zip(problem.measurements, problem.layout.own, strict=True):
        curves, slope = each.linearize(values[:, profile], values[:, own], rtol_dex)
        linear = each.scaled(curves)
        mu = each.expected(curves, linear)
        weight = np.sqrt(each.weights(mu)[0][0])
        local = np.eye(len(slope[0]))
        local[profile, profile] = change
        columns = linear[0, 0] * (local.T @ slope[0]) * weight
        solved = np.concatenate([curves, each.shares])[each.fitted] * weight
        if len(solved):
            columns = columns - (columns @ solved.T) @ np.linalg.pinv(solved @ solved.T) @ solved
        whole = np.zeros((len(x), len(each)))
        whole[profile], whole[own] = -columns[profile], -columns[profile.stop :]
        residuals.append(each.residuals(mu)[0])
        slopes.append(whole)
    return np.concatenate(residuals), np.concatenate(slopes, axis=1).T


def _at(problem: Problem, x: Array, counts: list[tuple[bool, int]], rtol_dex: float) -> Refined:
    state = problem.evaluate(x, None, rtol_dex)
    done, calls = zip(*counts, strict=True)
    return Refined(x, state.linear, state.objective, np.array(done), np.array(calls))


METHODS = {"lm": refine, "slsqp": slsqp, "trf": trf}
"""Ways to refine, by name; all have the arguments of ``refine``."""
