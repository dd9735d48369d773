"""How smooth a spline is, and how many coefficients it has: what a curve says of both.

The prior of the coefficients c, in units of 1e-3, is exp(−½λ|D²c|²) with their second differences D²c, those of a
smooth end included. With it the evidence of λ and of the number n of coefficients is, by Laplace's approximation about
the minimum of Φ = Φ_data + ½λ|D²c|² (D. J. C. MacKay, Neural Comput. 4, 415, 1992),

    ln Z = −Φ + ½ r ln(λ/2π) + ½ ln det' DDᵀ + ½ k ln 2π − ½ ln det H − Σ_held ln ∂Φ/∂c

with r second differences, k unknowns that no limit holds and their scoring matrix H; Φ in units of the inflation of the
noise where the model does not describe the curve. A layer is rougher at some depths than at others, for which the λ of
largest evidence is ten times too large among splines of few coefficients, and a tenth of it is taken. Among those of
intervals half as wide it hides nothing, and their bands hold what bends between the knots of the few.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine, without_linear
from xrdsim.fit.unknowns import Array
from xrdsim.profiles.spline import Spline, roughness

UNIT = 1e-3
"""Of the coefficients in the prior."""

CORRECTION = 0.1
"""Part of the λ of largest evidence that is taken among splines of few coefficients."""

WEAKEST, STRONGEST = 1e-3, 1e5
"""Between which λ is looked for."""

_FIRST = 0.1
_PATIENCE = 2  # steps without more evidence, which has more than one maximum
_FACTOR = 10.0 ** (1.0 / 2.0)  # from one λ to the next
_STEPS, _BEGIN = 12, 40  # evaluations of the model for each, and for the first
_RTOL = 1e-3
_RIDGE = 1e-10


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The smoothness of largest evidence.

    Attributes
    ----------
    weight : λ.
    evidence : ln Z.
    x : (1, k) coordinates of the minimum.
    objective : Φ there, without the prior.
    """

    weight: float
    evidence: float
    x: Array
    objective: float


def smoothed(given: Problem, weight: float) -> Problem:
    """The problem of a spline with the prior of this λ."""
    penalty = np.zeros((len(given.space.low),) * 2)
    rough = roughness(given.space.profile)
    penalty[: len(rough), : len(rough)] = weight / UNIT**2 * rough
    return replace(given, penalty=penalty)


def smoothest(given: Problem, x: Array, factor: float = 1.0, until: float = math.inf) -> Smoothed:
    """The λ of largest evidence, by steps from a small one on, for a larger one hides valleys.

    Parameters
    ----------
    given : the problem of a spline.
    x : coordinates (m, k) near its minimum, of which the lowest are taken.
    factor : inflation of the noise.
    until : time of ``time.perf_counter`` at which refinements are cut off.
    """
    best = _at(given, x, _FIRST, factor, until, _BEGIN)
    for step in (_FACTOR, 1.0 / _FACTOR):
        first, here, worse = best, best, 0
        while worse < _PATIENCE and WEAKEST <= here.weight * step <= STRONGEST:
            here = _at(given, here.x, here.weight * step, factor, until)
            worse = 0 if here.evidence > best.evidence else worse + 1
            best = here if worse == 0 else best
        if best is not first:
            break
    return best


def _at(given: Problem, x: Array, weight: float, factor: float, until: float, steps: int = _STEPS) -> Smoothed:
    """The minimum and its evidence with this λ."""
    problem = smoothed(given, weight)
    found = refine(problem, x, max_iter=steps, rtol_dex=_RTOL, until=until)
    at = found.x[found.best(1)]
    data = float(given.objective(given.values(at), _RTOL)[0])
    return Smoothed(weight, evidence(problem, at, weight, factor), at, data)


def evidence(given: Problem, x: Array, weight: float, factor: float) -> float:
    """ln Z of the module's formula at a minimum (1, k)."""
    layout, family = given.layout, given.space.profile.family
    state = given.evaluate(x, None, _RTOL)
    k = len(layout)
    unit = np.where([each.kind == "strain" for each in layout.unknowns], UNIT, 1.0)
    unit[layout.profile] /= np.where(given.space.span > 0.0, given.space.span, 1.0)  # in coordinates
    gradient = state.gradient[0, :k] * unit / factor
    hessian = without_linear(state.hessian[0], k) * np.outer(unit, unit) / factor
    room = 1e-6 * (layout.high - layout.low)
    held = layout.free & (
        ((x[0] <= layout.low + room) & (gradient > 0.0)) | ((x[0] >= layout.high - room) & (gradient < 0.0))
    )
    free = layout.free & ~held
    h = hessian[np.ix_(free, free)]
    h = h + _RIDGE * np.diag(np.maximum(np.diag(h), 1e-300))
    curved = np.sqrt(np.maximum(np.diag(hessian)[held], 1e-300) / (0.5 * math.pi))  # of half a normal distribution
    pushed = np.maximum(np.abs(gradient[held]), curved)
    second = np.diff(np.eye(family.number + family.zeros), n=2, axis=0)[:, : family.number]
    rank = len(second)
    return (
        -float(state.objective[0]) / factor
        + 0.5 * rank * math.log(weight / factor / (2.0 * math.pi))
        + 0.5 * float(np.linalg.slogdet(second @ second.T)[1])
        + 0.5 * int(free.sum()) * math.log(2.0 * math.pi)
        - 0.5 * float(np.linalg.slogdet(h)[1])
        - float(np.log(pushed).sum())
    )


def effective(given: Problem, bare: Problem, x: Array) -> float:
    """How many unknowns the curves determine, tr H_data H⁻¹, at a minimum (1, k); ``bare`` is without the prior."""
    k, free = len(given.layout), given.layout.free
    whole, data = (without_linear(each.evaluate(x, None, _RTOL).hessian[0], k) for each in (given, bare))
    some = np.ix_(free, free)
    length = np.sqrt(np.maximum(np.diag(whole)[free], 1e-300))
    scaled = [each[some] / np.outer(length, length) for each in (data, whole)]
    return float(np.trace(scaled[0] @ np.linalg.pinv(scaled[1], rcond=1e-12, hermitian=True)))


def family_of(given: Problem) -> Spline:
    """The spline of a problem."""
    return given.space.profile.family  # type: ignore[no-any-return]
