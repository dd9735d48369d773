"""Where fits of splines begin: at another profile, its mirror image, near either, and at shapes of other families."""

import numpy as np
from scipy.optimize import lsq_linear

from xrdsim.fit.freeform.smoothness import family_of
from xrdsim.fit.problem import Problem
from xrdsim.fit.unknowns import Array
from xrdsim.forward.derived import damage_profile
from xrdsim.profiles.spline import DEPTH, roughness, spline, values_at

_POINTS = 240  # of a profile that is projected
_RIDGE = 1e-4  # of the smoothness of a projection
_ORDERS = 2  # of fringes, more or less
_STRONG = 0.1  # of the largest strain, from which on a slab may be put in
_WAVES = 3  # of a perturbation over the depth


def projected(given: Problem, depth: Array, strain: Array, end: float, damage: Array, own: Array) -> Array:
    """Coordinates (1, k) of the spline nearest to a profile.

    Parameters
    ----------
    given : the problem of a spline.
    depth, strain : (d,) [Å] and strain, 0 beyond.
    end : depth [Å] at which it ends; it is moved into the range of L.
    damage : what ``damage_for`` says of it: kappa and p, where the problem has them, or E (d,) at the depths.
    own : values of zero and instrument of each measurement in turn.
    """
    space, number = given.space, family_of(given).number
    end = float(np.clip(end, space.low[DEPTH], space.high[DEPTH]))
    matrix, wanted = _least_squares(given, depth, np.atleast_2d(strain), end)
    low, high = np.array(space.low[1 : 1 + number]), np.array(space.high[1 : 1 + number])
    found = [lsq_linear(matrix, each, (low, np.maximum(high, low + 1e-15))).x for each in wanted]
    return _coordinates(given, end, np.array(found), _of_damage(given, depth, end, damage), own)


def nearly_projected(given: Problem, depth: Array, strains: Array, end: float, damage: Array, own: Array) -> Array:
    """The same (m, k) of many strains (m, d), whose coefficients are cut to their ranges only afterwards."""
    space, number = given.space, family_of(given).number
    end = float(np.clip(end, space.low[DEPTH], space.high[DEPTH]))
    matrix, wanted = _least_squares(given, depth, strains, end)
    found = np.linalg.lstsq(matrix, wanted.T)[0].T
    cut = np.clip(found, space.low[1 : 1 + number], space.high[1 : 1 + number])
    return _coordinates(given, end, cut, _of_damage(given, depth, end, damage), own)


def damage_for(other: Problem, given: Problem, x: Array, depth: Array, turned: float | None = None) -> Array:
    """The damage at coordinates (1, k) as ``projected`` takes it for another problem.

    It is kappa and p where that ties the damage to the strain, else E (d,) at the depths [Å], which is turned upside
    down at the depth ``turned``.
    """
    if not (other.space.damage and other.space.profile.own_factor):
        return given.params(x)[0, -2:]
    factor = damage_profile(given.params(x), depth, space=given.space)[0]
    return factor if turned is None else 1.0 - mirrored(depth, 1.0 - factor, turned)


def _of_damage(given: Problem, depth: Array, end: float, damage: Array) -> Array:
    """Parameters of the damage within their ranges, none without it."""
    space, own = given.space, given.space.profile.own_factor
    if not space.damage:
        return np.empty(0)
    low, high = (np.array(ends[space.profile.size :]) for ends in (space.low, space.high))
    if not own:
        return np.clip(damage, low, high)
    t = (np.arange(_POINTS) + 0.5) / _POINTS
    wanted = np.interp(t * end, depth, damage, right=1.0)
    return np.asarray(lsq_linear(values_at(spline(own, "abrupt"), t), wanted, (low, high)).x)


def _least_squares(given: Problem, depth: Array, strains: Array, end: float) -> tuple[Array, Array]:
    """Matrix and right sides (m, rows) of the coefficients of strains (m, d) over 0 … end."""
    profile, number = given.space.profile, family_of(given).number
    t = (np.arange(_POINTS) + 0.5) / _POINTS
    wanted = [np.interp(t * end, depth, each, right=0.0) for each in strains]
    rough = np.linalg.cholesky(roughness(profile)[1:, 1:] + 1e-9 * np.eye(number)).T
    matrix = np.vstack([values_at(profile, t), np.sqrt(_RIDGE) * rough])
    return matrix, np.column_stack([wanted, np.zeros((len(strains), number))])


def _coordinates(given: Problem, end: float, coefficients: Array, damage: Array, own: Array) -> Array:
    m = len(coefficients)
    rows = np.column_stack([np.full(m, end), coefficients, np.tile(damage, (m, 1))])
    return given.coordinates(rows, *own)


def mirrored(depth: Array, strain: Array, end: float) -> Array:
    """The strain (d,) of the layer turned upside down, at the same depths."""
    return np.asarray(np.interp(end - depth, depth, strain, left=0.0) * (depth <= end))


def exchanged(depth: Array, strain: Array, end: float, share: float) -> Array:
    """The strain (d,) with what is above this share of the end below what is beneath it.

    The strains remain, and with them the rough form of the curve; what they interfere with changes.
    """
    moved = np.where(depth <= (1.0 - share) * end, depth + share * end, depth - (1.0 - share) * end)
    return np.asarray(np.interp(moved, depth, strain) * (depth <= end))


def turned_within(depth: Array, strain: Array, first: float, last: float) -> Array:
    """The strain (d,) with the part between two depths [Å] upside down in its place."""
    inside = (depth >= first) & (depth <= last)
    return np.asarray(np.where(inside, np.interp(first + last - depth, depth, strain), strain))


def perturbed(depth: Array, strain: Array, end: float, size: float, rng: np.random.Generator) -> Array:
    """The strain (d,) changed by smooth waves over depth, of the strain itself and of the depth, to this part."""
    t = np.clip(depth / end, 0.0, 1.0)
    waves = np.sin(np.pi * np.outer(np.arange(1, _WAVES + 1), t))
    factor = 1.0 + size * rng.standard_normal(_WAVES) @ waves + size * rng.standard_normal() * (1.0 - t)
    moved = depth + 0.5 * size * end * rng.standard_normal(_WAVES) @ waves / _WAVES
    return np.asarray(np.interp(moved, depth, strain, right=0.0) * factor)


def parted(depth: Array, strain: Array, first: float, by: float) -> Array:
    """The strain (d,) whose part below a depth [Å] lies deeper by so much [Å], or less deep."""
    below = np.interp(np.maximum(depth - by, first), depth, strain)
    return np.asarray(np.where(depth > first + max(by, 0.0), below, np.interp(np.minimum(depth, first), depth, strain)))


def with_fringes(depth: Array, strain: Array, first: float, orders: int, period: float) -> Array:
    """The strain (d,) with a slab more at a depth [Å], or less, in which the phase goes through whole turns.

    What lies above the slab and what lies below it interfere as before at the angle where it diffracts: such profiles
    have valleys of their own. ``period`` is the thickness [Å] of one turn at a strain of 1.
    """
    here = float(np.interp(first, depth, np.abs(strain)))
    thickness = orders * period / max(here, 1e-300)
    return parted(depth, strain, first, float(np.clip(thickness, -depth[-1], depth[-1])))


def beside(depth: Array, strain: Array, count: int, period: float, rng: np.random.Generator) -> Array:
    """Strains (count, d) with up to two fringes more or less: first where the strain is largest, then anywhere."""
    size = np.abs(strain)
    strong = np.flatnonzero(size > _STRONG * size.max())
    cuts = [int(size.argmax())] * (2 * _ORDERS) + rng.choice(strong, max(count - 2 * _ORDERS, 0)).tolist()
    orders = [sign * order for order in range(1, _ORDERS + 1) for sign in (-1, 1)]
    orders += rng.choice(orders, max(count - 2 * _ORDERS, 0)).tolist()
    rows = [with_fringes(depth, strain, float(depth[i]), n, period) for i, n in zip(cuts, orders, strict=True)]
    return np.array(rows[:count])


def changed(depth: Array, strain: Array, partner: Array, end: float, period: float, rng: np.random.Generator) -> Array:
    """A strain (d,) changed by waves, by a hump more or less, in its order, by some fringes, or joined to a partner."""
    kind = rng.integers(8)
    if kind <= 1:
        return perturbed(depth, strain, end, 10.0 ** rng.uniform(-1.7, -0.5), rng)
    if kind == 2:
        at, width = rng.uniform(0.0, end), end * rng.uniform(0.04, 0.2)
        hump = rng.uniform(-0.6, 0.6) * strain.max() * np.exp(-(((depth - at) / width) ** 2))
        return np.asarray(strain + hump)
    if kind == 3:
        share = 1.0 / (1.0 + np.exp(np.clip((depth - rng.uniform(0.0, end)) / (0.05 * end), -50.0, 50.0)))
        return np.asarray(share * strain + (1.0 - share) * partner)
    if kind == 4:
        return exchanged(depth, strain, end, rng.uniform(0.2, 0.8))
    if kind == 5:
        first, last = np.sort(rng.uniform(0.0, end, 2))
        return turned_within(depth, strain, first, last)
    if kind == 6 and rng.random() < 0.5:
        return np.asarray(beside(depth, strain, 2 * _ORDERS + 1, period, rng)[-1])
    if kind == 6:
        return parted(depth, strain, rng.uniform(0.0, end), 0.3 * end * rng.uniform(-1.0, 1.0))
    return perturbed(depth, turned_within(depth, strain, 0.0, end), end, 0.1, rng)


def shapes(depth: Array, largest: float, end: float, count: int, rng: np.random.Generator) -> Array:
    """Strains (count, d) of many kinds: one to three humps, plateaus, ramps and exponentials, and sums of them.

    Their largest strains are near one, and their depths near another [Å].
    """
    out = np.empty((count, len(depth)))
    for row in out:
        reach = end * rng.uniform(0.6, 1.15)
        t = depth / reach
        kind = rng.integers(5)
        if kind <= 1:  # humps
            row[:] = 0.0
            for _ in range(rng.integers(1, 4)):
                centre, width = rng.uniform(0.0, 0.95), rng.uniform(0.06, 0.4)
                side = np.where(t < centre, width * rng.uniform(0.5, 2.0), width)
                row += rng.uniform(0.2, 1.0) * np.exp(-(((t - centre) / side) ** 2))
        elif kind == 2:  # a plateau with soft edges
            first, last = np.sort(rng.uniform(-0.1, 1.0, 2))
            soft = rng.uniform(0.02, 0.15, 2)
            row[:] = 1.0 / (1.0 + np.exp(-(t - first) / soft[0])) / (1.0 + np.exp((t - last) / soft[1]))
            row += rng.uniform(0.0, 0.5) * np.maximum(1.0 - t, 0.0) * rng.integers(0, 2)
        elif kind == 3:  # a decay
            row[:] = np.exp(-t / rng.uniform(0.15, 1.0)) + rng.uniform(0.0, 0.3)
        else:  # a ramp up or down
            row[:] = np.clip(rng.uniform(0.0, 1.0) + rng.uniform(-1.5, 1.5) * t, 0.0, None)
        row *= np.clip((1.1 - t) / rng.uniform(0.1, 0.4), 0.0, 1.0)
        row *= largest * rng.uniform(0.85, 1.15) / max(row.max(), 1e-300)
    return out
