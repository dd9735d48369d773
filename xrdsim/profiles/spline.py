"""Free-form profiles: the strain as a cubic spline over depth, whose coefficients are the parameters.

    ε(z) = Σ c_i B_i(z/L),   0 ≤ z ≤ L,    E(z) = 1 − κ·|ε/ε_max|^p   or   E(z) = Σ d_j B_j(z/L)

with the clamped cubic B-splines B_i on equal intervals of 0 … 1 (C. de Boor, A Practical Guide to Splines, Springer
1978). They are not negative and add up to 1, so a strain lies between its least and its largest coefficient, the first
of which is that at the surface. At a ``smooth`` end two further coefficients are 0, and strain and slope fall to 0 at
L; at an ``abrupt`` one the strain jumps there. Damage follows the strain as of other profiles, ε_max the strain of
largest size, or has a spline of its own, with an abrupt end: below L E is 1.
"""

import math
import re
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim._jit import jit
from xrdsim.errors import ParameterError
from xrdsim.profiles import stage
from xrdsim.profiles.bounds import Parameter
from xrdsim.profiles.damage import DAMAGE, KAPPA, P, own_damage
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import MOST_STRAIN, ParameterSpace

Array = NDArray[np.float64]

End = Literal["smooth", "abrupt"]

DEPTH = 0
"""Column of L; the coefficients follow."""

FEWEST, MOST = 5, 100
"""Coefficients, those held at 0 included."""

_PROBES = 4  # points of an interval at which the largest strain is looked for
_LEAST = (
    1e-6  # of |ε/ε_max| below which the damage is that of this: its slope over the strain has a pole at 0 for p < 1
)


@jit
def basis_at(x, intervals):
    """The interval of a place x within 0 … intervals, the four splines that are not 0 there, and their slopes over x.

    By the triangle of Cox and de Boor, the knots beyond either end being at the end.
    """
    span = min(max(int(x), 0), intervals - 1)
    most = float(intervals)
    a1 = float(span)
    b1 = a1 + 1.0
    a0, am = max(a1 - 1.0, 0.0), max(a1 - 2.0, 0.0)
    b2, b3 = min(b1 + 1.0, most), min(b1 + 2.0, most)
    right, left = b1 - x, x - a1
    q0 = right * right / (b1 - a0)
    q1 = right * (x - a0) / (b1 - a0) + left * (b2 - x) / (b2 - a1)
    q2 = left * left / (b2 - a1)
    s0, s1, s2 = q0 / (b1 - am), q1 / (b2 - a0), q2 / (b3 - a1)
    values = (s0 * right, s0 * (x - am) + s1 * (b2 - x), s1 * (x - a0) + s2 * (b3 - x), s2 * left)
    return span, values, (-3.0 * s0, 3.0 * (s0 - s1), 3.0 * (s1 - s2), 3.0 * s2)


class Spline(NamedTuple):
    """The functions of ``xrdsim.profiles.stage``, which say what each returns.

    ``number`` coefficients are parameters, and ``zeros`` more, the deepest, are 0. ``own`` > 0 are the coefficients of
    a factor E of its own, the last parameters. Sublayers of fixed thickness go down to L whatever their strain.
    """

    number: int
    zeros: int
    own: int = 0
    floor: float = -1.0

    @jit
    def segments(self):
        return self.number + self.zeros - 3

    @jit
    def edge(self, i, p, end):
        return p[DEPTH] * i / (self.number + self.zeros - 3)

    @jit
    def depth_end(self, p):
        return p[DEPTH]

    @jit
    def end_gradient(self, end, p, gradient):
        gradient[:] = 0.0
        gradient[DEPTH] = 1.0

    @jit
    def strain(self, z, p):
        if z > p[DEPTH] * (1.0 + 1e-12):
            return -math.inf
        intervals = self.number + self.zeros - 3
        span, values, _ = basis_at(z / p[DEPTH] * intervals, intervals)
        total = 0.0
        for k in range(4):
            if span + k < self.number:
                total += values[k] * p[DEPTH + 1 + span + k]
        return total

    @jit
    def strain_gradient(self, z, p, gradient):
        intervals = self.number + self.zeros - 3
        x = z / p[DEPTH] * intervals
        span, values, slopes = basis_at(x, intervals)
        gradient[:] = 0.0
        total = 0.0
        slope = 0.0
        for k in range(4):
            i = span + k
            if i < self.number:
                gradient[DEPTH + 1 + i] = values[k]
                total += values[k] * p[DEPTH + 1 + i]
                slope += slopes[k] * p[DEPTH + 1 + i]
        gradient[DEPTH] = -slope * x / p[DEPTH]
        return total, slope * intervals / p[DEPTH]

    @jit
    def peak(self, p):
        """Where the size of the strain is largest: by probes, then by halving about the best of them."""
        count = _PROBES * (self.number + self.zeros - 3)
        best = 0
        top = -1.0
        for k in range(count + 1):
            value = abs(stage.strain(self, p[DEPTH] * (k / count), p))
            if value > top:
                top = value
                best = k
        low = p[DEPTH] * (max(best - 1, 0) / count)
        high = p[DEPTH] * (min(best + 1, count) / count)
        golden = 0.6180339887498949
        for _ in range(40):
            left = high - golden * (high - low)
            right = low + golden * (high - low)
            if abs(stage.strain(self, left, p)) > abs(stage.strain(self, right, p)):
                high = right
            else:
                low = left
        middle = 0.5 * (low + high)
        at = p[DEPTH] * (best / count)
        return middle if abs(stage.strain(self, middle, p)) > abs(stage.strain(self, at, p)) else at

    @jit
    def factor(self, eps, largest, p):
        if largest == 0.0:
            return 1.0
        return 1.0 - p[KAPPA] * max(abs(eps / largest), _LEAST) ** p[P]

    @jit
    def factor_gradient(self, eps, gradient, largest, largest_gradient, p, out):
        out[:] = 0.0
        if largest == 0.0:
            return
        ratio = eps / largest
        size = max(abs(ratio), _LEAST)
        power = size ** p[P]
        if abs(ratio) > _LEAST:
            steep = -p[KAPPA] * p[P] * power / ratio / largest
            for q in range(len(out)):
                out[q] = steep * (gradient[q] - ratio * largest_gradient[q])
        out[KAPPA] -= power
        out[P] -= p[KAPPA] * power * math.log(size)

    @jit
    def own_factor(self, z, p):
        intervals = self.own - 3
        span, values, _ = basis_at(z / p[DEPTH] * intervals, intervals)
        first = len(p) - self.own + span
        return values[0] * p[first] + values[1] * p[first + 1] + values[2] * p[first + 2] + values[3] * p[first + 3]

    @jit
    def own_factor_gradient(self, z, p, out):
        intervals = self.own - 3
        span, values, slopes = basis_at(z / p[DEPTH] * intervals, intervals)
        first = len(p) - self.own + span
        to = len(out) - self.own + span
        total = 0.0
        slope = 0.0
        for k in range(4):
            out[to + k] = values[k]
            total += values[k] * p[first + k]
            slope += slopes[k] * p[first + k]
        return total, slope * intervals / p[DEPTH]

    @jit
    def widen(self, p, out):
        out[:] = p


def spline(coefficients: int, end: End = "smooth", own: int = 0) -> Profile:
    """The profile of so many coefficients, those that a smooth end holds at 0 included.

    ``own`` is the number of coefficients of a static Debye–Waller factor E that does not follow the strain, or 0.

    Raises
    ------
    ParameterError
        A number out of 5 … 100, or an unknown end.
    """
    if end not in ("smooth", "abrupt"):
        raise ParameterError(f"the end of a spline is smooth or abrupt, not {end!r}")
    if not FEWEST <= coefficients <= MOST:
        raise ParameterError(f"a spline has {FEWEST} … {MOST} coefficients, not {coefficients}")
    if own and not FEWEST <= own <= MOST:
        raise ParameterError(f"a static Debye–Waller factor has {FEWEST} … {MOST} coefficients, not {own}")
    return _spline(int(coefficients), end, int(own))


@lru_cache(maxsize=256)
def _spline(coefficients: int, end: End, own: int) -> Profile:
    zeros = 2 if end == "smooth" else 0
    count = coefficients - zeros
    names = [f"c{i}" for i in range(1, count + 1)]
    return Profile(
        name=f"spline of {coefficients} coefficients, {end} end" + (f", {own} of the damage" if own else ""),
        parameters=(
            Parameter("L", "Å", 500.0, 8000.0, "depth", "depth at which the layer ends", 0.0, above=True),
            *(
                Parameter(name, "1", 0.0, 0.031, "strain", "coefficient of the strain", -MOST_STRAIN, MOST_STRAIN)
                for name in names
            ),
        ),
        bounds=(),
        family=Spline(count, zeros, own),
        strain_sum=2.0 * MOST_STRAIN,
        deepest="L",
        summands=tuple(names),
        thicker=1.0,
        convex=True,
        damage=own_damage(own) if own else DAMAGE,
    )


def spline_named(name: str) -> Profile | None:
    """The spline that a file names, or nothing."""
    found = re.fullmatch(r"spline of (\d+) coefficients, (smooth|abrupt) end(?:, (\d+) of the damage)?", name)
    return None if found is None else spline(int(found[1]), found[2], int(found[3] or 0))  # type: ignore[arg-type]


def spline_space(
    coefficients: int,
    end: End = "smooth",
    *,
    depth: tuple[float, float] = (500.0, 8000.0),
    strain: tuple[float, float] = (0.0, 0.031),
    own: int = 0,
) -> ParameterSpace:
    """Ranges of a spline: of L [Å], equal ends of which fix it, and of all coefficients, whose lower end may be < 0.

    ``own`` is that of ``spline``; the ranges of the damage come with ``with_damage``.
    """
    profile = spline(coefficients, end, own)
    count = profile.size - 1
    return ParameterSpace((depth[0], *count * (strain[0],)), (depth[1], *count * (strain[1],)), profile=profile)


def values_at(profile: Profile, t: ArrayLike) -> Array:
    """The splines (n, coefficients) at places t = z/L, (n,), in 0 … 1; without those that are held at 0."""
    family: Spline = profile.family
    intervals = family.number + family.zeros - 3
    out = np.zeros((np.size(t), family.number + family.zeros))
    for row, place in zip(out, np.clip(np.atleast_1d(t), 0.0, 1.0), strict=True):
        span, four, _ = basis_at(float(place) * intervals, intervals)
        row[span : span + 4] = four
    return out[:, : family.number]


def roughness(profile: Profile) -> Array:
    """Matrix (p, p) of Σ (second differences of the coefficients)², those held at 0 included, over the parameters."""
    family: Spline = profile.family
    second = np.diff(np.eye(family.number + family.zeros), n=2, axis=0)[:, : family.number]
    out = np.zeros((profile.size, profile.size))
    out[DEPTH + 1 :, DEPTH + 1 :] = second.T @ second
    return out
