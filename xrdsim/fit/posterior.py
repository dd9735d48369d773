"""How certain a refined curve makes the parameters, given their ranges and constraints.

Near its minimum Φ is a quadratic form with Fisher's scoring matrix F (Laplace's approximation), scaled by the reduced
χ² where that exceeds 1. The prior is uniform on the polytope of ranges and linear constraints, so the posterior is a
normal distribution cut by it, also where the minimum lies on a limit. It is sampled by hit-and-run along the principal
axes of F, in which the uncut distribution is independent (R. L. Smith, Oper. Res. 32, 1296, 1984), where limits hold
the minimum along those within them and the ways inward. Where a curve answers in proportion to u = s/(s − 2p), not to
p, as to the shape of the second Gaussian, the distribution of p is made in u, with the weight dp/du of its uniform
prior, and given to the samples in the order of their own p. Several minima each have their share, exp(−Φ) times the
volume of their distribution. ``posterior`` samples Φ itself by an ensemble of Markov chains (emcee).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, null_space
from scipy.optimize import nnls
from scipy.special import ndtr, ndtri

from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import without_linear
from xrdsim.fit.unknowns import Array

LEVEL = 0.9
"""Probability of the reported intervals."""

_SAMPLES, _SWEEPS = 1600, 30
_FEWEST, _FIRST_SWEEPS = 40, 15  # the same for each of many minima, to tell its volume
_ACCURACY = 1e-4  # of the model [dex]
_REACH = 7.0  # standard deviations of the uncut distribution beyond which a limit cuts nothing
_FALL = 4.0  # by seven of these, exp(−28), an exponential distribution has ended
_CLOSE = 1e-5  # of a range, up to which a minimum lies at a limit
_TAIL = 30.0  # standard deviations beyond which a tail is exponential, to 1/900
_RIDGE = 1e-12  # of F scaled to a unit diagonal: directions that the curve does not see


@dataclass(frozen=True, eq=False)
class Posterior:
    """Samples of what the parameters may be.

    Attributes
    ----------
    names : (k,) the parameters, then zero and instrument of each measurement.
    samples : (n, k).
    weights : (n,), their sum is 1.
    effective : effective sample size of the weights, or of the chains.
    method : ``laplace`` or ``chains``.
    """

    names: tuple[str, ...]
    samples: Array
    weights: Array
    effective: float
    method: str

    def quantiles(self, levels: tuple[float, ...], values: Array | None = None) -> Array:
        """Weighted quantiles (levels, k) of the samples, or of values (n, …) that belong to them."""
        data = self.samples if values is None else values
        order = np.argsort(data, axis=0)
        sorted_data = np.take_along_axis(data, order, axis=0)
        cumulative = np.cumsum(self.weights[order], axis=0)
        places = [np.argmax(cumulative >= level * cumulative[-1:] - 1e-12, axis=0) for level in levels]
        return np.stack([np.take_along_axis(sorted_data, place[None], axis=0)[0] for place in places])

    def intervals(self, best: Array, level: float) -> tuple[Array, Array]:
        """Ends (k,) each of intervals of this probability, placed so that the best values (k,) are near their middle.

        A best value at a limit is at an end of its interval; elsewhere it is so only where no sample lies beyond it.
        """
        ends = []
        for j, value in enumerate(best):
            column = self.samples[:, j : j + 1]
            below = self.weights @ (np.sign(value - column[:, 0]) + 1.0) / 2.0  # half of those that are equal
            first = float(np.clip(below - 0.5 * level, 0.0, 1.0 - level))
            low, high = self.quantiles((first, first + level), column)[:, 0]
            ends.append((min(low, value), max(high, value)))
        return np.array([low for low, _ in ends]), np.array([high for _, high in ends])

    @property
    def std(self) -> Array:
        """Standard deviations (k,)."""
        mean = self.weights @ self.samples
        return np.asarray(np.sqrt(self.weights @ (self.samples - mean) ** 2))

    @property
    def correlation(self) -> Array:
        """Correlations (k, k); NaN for what is fixed."""
        centred = self.samples - self.weights @ self.samples
        covariance = (self.weights[:, None] * centred).T @ centred
        std = np.sqrt(np.diag(covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(covariance / np.outer(std, std))


def laplace(problem: Problem, minima: Array, *, seed: int = 0) -> Posterior:
    """Posterior about refined minima at coordinates (m, k), the best first."""
    rng = np.random.default_rng(seed)
    layout, some = problem.layout, np.flatnonzero(problem.layout.free)
    span = np.where(layout.free, layout.most - layout.least, 1.0)
    at = problem.values(minima)
    gradients, matrices, values = quadratic(problem, minima)
    inflation = problem.inflation(float(values[0]))  # the noise is that about the best minimum
    f = (matrices * np.outer(span, span) / inflation)[:, some[:, None], some]
    g = (gradients * span / inflation)[:, some]
    matrix, bound = _limits(problem)
    along = matrix @ problem.space.together(len(layout)) * span
    room, slack = bound - at @ matrix.T, 1e-12 * np.abs(bound) + 1e-15

    def draw(owner: NDArray[np.int64], sweeps: int, slope: Array, within: Array) -> Array:
        """Samples (n, k), each about the minimum that owns it."""
        rows = at[owner]
        for i in np.unique(owner):
            mine = np.flatnonzero(owner == i)
            limits = along[:, some], within[i], slack
            away = _hit_and_run(f[i], slope[i], limits, len(mine), sweeps, rng)
            rows[np.ix_(mine, some)] += away * span[some]
        return rows

    owner = np.zeros(_SAMPLES, np.int64)
    if len(minima) > 1:
        each = max(_FEWEST, _SAMPLES // len(minima))
        first = draw(np.repeat(np.arange(len(minima)), each), _FIRST_SWEEPS, g, room).reshape(len(minima), each, -1)
        evidence = np.array([_log_volume((rows / span)[:, some]) for rows in first]) - values / inflation
        share = np.exp(evidence - evidence.max())
        owner = np.searchsorted(np.cumsum(share / share.sum()), (np.arange(_SAMPLES) + 0.5) / _SAMPLES)
        owner = np.minimum(owner, len(minima) - 1)
    samples = draw(owner, _SWEEPS, g, room)
    for one in _curved(problem, at):
        tilted, bent = g.copy(), room.copy()
        tilted[:, np.searchsorted(some, one.column)] += one.tilt * span[one.column]
        bent[:, one.column] = one.straight(layout.most[one.column]) - at[:, one.column]
        bent[:, len(layout) + one.column] = at[:, one.column] - one.straight(layout.least[one.column])
        own, weights = one.back(draw(owner, _SWEEPS, tilted, bent)[:, one.column], owner)
        samples[:, one.column] = _by_rank(samples[:, one.column], own, weights, owner)
    samples = problem.space.tied(np.clip(samples, layout.least, layout.most))
    return Posterior(layout.names, samples, np.full(_SAMPLES, 1.0 / _SAMPLES), float(_SAMPLES), "laplace")


def _by_rank(order: Array, values: Array, weights: Array, owner: NDArray[np.int64]) -> Array:
    """The distribution of weighted values (n,) about each minimum, in the order of others (n,) about it."""
    found = np.empty(len(order))
    for each in np.unique(owner):
        mine = np.flatnonzero(owner == each)
        rising = mine[np.argsort(values[mine])]
        share = np.cumsum(weights[rising]) - 0.5 * weights[rising]
        level = (np.arange(len(mine)) + 0.5) / len(mine) * weights[mine].sum()
        found[mine[np.argsort(order[mine])]] = np.interp(level, share, values[rising])
    return found


@dataclass(frozen=True, eq=False)
class _Curved:
    """A parameter p whose u = s/(s − 2p), with the size s (m,) of each of m minima, changes a curve in proportion.

    ``straight`` tells what p would be if it went on with u as it does at the minimum, where it is ``at`` (m,).
    """

    column: int
    size: Array
    at: Array

    @property
    def u(self) -> Array:
        """At the minima, (m,)."""
        return self.size / (self.size - 2.0 * self.at)

    @property
    def slope(self) -> Array:
        """dp/du (m,) at the minima."""
        return 0.5 * self.size / self.u**2

    @property
    def tilt(self) -> Array:
        """Slope of −ln(dp/du) over p (m,) at the minima; samples that have it need weights for what bends alone."""
        return 4.0 * self.u / self.size

    def straight(self, value: float) -> Array:
        """Of one value of p, (m,)."""
        return np.asarray(self.at + self.slope * (self.size / (self.size - 2.0 * value) - self.u))

    def back(self, straight: Array, owner: NDArray[np.int64]) -> tuple[Array, Array]:
        """Values of p (n,) about the minima that own them, and the weights dp/du without its tilt."""
        ratio = np.maximum(1.0 + (straight - self.at[owner]) / (self.slope * self.u)[owner], 1e-6)  # u by that at them
        return 0.5 * self.size[owner] * (1.0 - 1.0 / (ratio * self.u[owner])), np.exp(2.0 * (ratio - 1.0)) / ratio**2


def _curved(problem: Problem, at: Array) -> list[_Curved]:
    """Those among the free parameters that have no ties and no prior of their own, at minima (m, k)."""
    names, tied = problem.layout.names, {name for tie in problem.space.ties for name in tie}
    found = []
    for name, of in problem.space.profile.straight:
        column = names.index(name)
        if problem.layout.free[column] and name not in tied and name not in problem.priors:
            found.append(_Curved(column, at[:, names.index(of)], at[:, column]))
    return found


def _log_volume(samples: Array) -> float:
    """Of the distribution of samples (n, k), up to a constant."""
    spread = np.atleast_2d(np.cov(samples.T)) + 1e-14 * np.eye(samples.shape[1])
    return 0.5 * float(np.linalg.slogdet(spread)[1])


def posterior(problem: Problem, minima: Array, *, seed: int = 0, steps: int = 400, rtol_dex: float = 1e-2) -> Posterior:
    """Sample the posterior itself, beginning with Laplace's approximation about minima at coordinates (m, k)."""
    import emcee

    layout, free = problem.layout, problem.layout.free
    first = laplace(problem, minima, seed=seed)
    rng = np.random.default_rng(seed)
    walkers = 4 * int(free.sum())
    start = first.samples[rng.choice(len(first.samples), walkers, p=first.weights)][:, free]
    start = start + 1e-6 * (layout.most - layout.least)[free] * rng.standard_normal(start.shape)
    fixed = first.samples[0]
    inflation = problem.inflation(float(quadratic(problem, minima[:1])[2][0]))
    matrix, bound = _limits(problem)

    def log_probability(rows: Array) -> Array:
        full = np.tile(fixed, (len(rows), 1))
        full[:, free] = rows
        problem.space.tied(full)
        within = (full >= layout.least) & (full <= layout.most)
        inside = within.all(axis=1) & (full @ matrix.T <= bound).all(axis=1)
        out = np.full(len(rows), -np.inf)
        if inside.any():
            out[inside] = -problem.objective(full[inside], rtol_dex) / inflation
        return out

    moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
    chains = emcee.EnsembleSampler(walkers, start.shape[1], log_probability, vectorize=True, moves=moves)
    chains.random_state = np.random.RandomState(seed).get_state()
    chains.run_mcmc(start, steps)
    kept = chains.get_chain(discard=steps // 3)
    flat = kept.reshape(-1, kept.shape[-1])
    samples = np.tile(fixed, (len(flat), 1))
    samples[:, free] = flat
    problem.space.tied(samples)
    return Posterior(layout.names, samples, np.full(len(flat), 1.0 / len(flat)), effective_samples(kept), "chains")


def effective_samples(chains: Array) -> float:
    """Effective sample size of chains (steps, walkers, k); walkers that never moved count for nothing."""
    import emcee

    moving = np.ptp(chains, axis=0).any(axis=1)
    if not moving.any():
        return 0.0
    with np.errstate(invalid="ignore"):
        time = float(np.nanmean(emcee.autocorr.integrated_time(chains[:, moving], quiet=True, tol=0)))
    return len(chains) * int(moving.sum()) / max(time, 1.0)


def quadratic(problem: Problem, x: Array) -> tuple[Array, Array, Array]:
    """Gradients (m, k) and scoring matrices (m, k, k) of Φ over the values at coordinates (m, k), and Φ.

    Scales and backgrounds are eliminated; tied parameters follow. The gradient is that of the coordinates held by a
    limit; along the others it is 0 at a minimum.
    """
    layout, space = problem.layout, problem.space
    profile, k = layout.profile, x.shape[1]
    state = problem.evaluate(x, None, _ACCURACY)
    room = 1e-6 * (layout.high - layout.low)
    pushed = state.gradient[:, :k]
    held = ((x <= layout.low + room) & (pushed > 0.0)) | ((x >= layout.high - room) & (pushed < 0.0))
    width = np.append(space.span, np.ones(k - profile.stop))
    width[width == 0.0] = 1.0
    change = np.tile(np.eye(k), (len(x), 1, 1))
    change[:, profile, profile] = space.unit_slope(x[:, profile]) / width[profile, None]
    back = np.linalg.pinv(change) / width @ space.together(k)
    reduced = np.stack([without_linear(each, k) for each in state.hessian])
    slope = np.einsum("mij,mi->mj", back, np.where(held, pushed, 0.0))
    return slope, np.swapaxes(back, 1, 2) @ reduced @ back, state.objective


def _limits(problem: Problem) -> tuple[Array, Array]:
    """Matrix A and bound b of A·v ≤ b for values v: ranges and constraints."""
    layout, k = problem.layout, len(problem.layout)
    constraints, ends = problem.space.inequalities(k)
    return np.concatenate([np.eye(k), -np.eye(k), constraints]), np.concatenate([layout.most, -layout.least, ends])


def _hit_and_run(
    f: Array,
    g: Array,
    limits: tuple[Array, Array, Array],
    count: int,
    sweeps: int,
    rng: np.random.Generator,
) -> Array:
    """So many samples δ (n, d) of exp(−g·δ − δᵀfδ/2), f (d, d) and g (d,).

    They stay within the limits A·δ ≤ room: A (c, d), room (c,) and what rounding adds to it, (c,).
    """
    matrix, room, slack = limits
    room = np.maximum(room, 0.0) + slack
    axes, precision, slope = _axes(f, g, matrix, room)
    along = matrix @ axes
    near = _within_reach(along, np.diag(precision), slope, room)
    along, rest = along[near], np.repeat(room[near, None], count, axis=1)
    state = np.zeros((len(f), count))  # along the axes
    for _ in range(sweeps if near.any() else 1):  # without limits one sweep is the normal distribution itself
        for j in rng.permutation(len(f)):
            column = along[:, j, None]
            up, down = (np.flatnonzero(sign * column[:, 0] > 1e-300) for sign in (1.0, -1.0))
            upper = (rest[up] / column[up]).min(axis=0, initial=np.inf)
            lower = (rest[down] / column[down]).max(axis=0, initial=-np.inf)
            mean = -(slope[j] + precision[j] @ state) / precision[j, j]
            std = np.full(count, 1.0 / np.sqrt(precision[j, j]))
            move = _cut_normal(mean, std, np.minimum(lower, 0.0), np.maximum(upper, 0.0), rng)
            state[j] += move
            rest -= column * move
    return np.asarray((axes @ state).T)


def _axes(f: Array, g: Array, limits: Array, room: Array) -> tuple[Array, Array, Array]:
    """Axes (d, d) along which samples move, and f and g over them: the principal ones, if no limit holds the minimum.

    A limit that does keeps samples within a thin layer beside it, in which no other axis leads far. So the first axes
    are the principal ones within the limits (c, d) that hold, and from each of these one leads inward, conjugate to the
    former.
    """
    norm = np.linalg.norm(limits, axis=1)
    held = np.flatnonzero((room <= _CLOSE * norm) & (norm > 0.0)) if g.any() else np.empty(0, np.int64)
    near = limits[held] / norm[held, None]
    push = nnls(near.T, -g)[0] if len(held) else np.empty(0)
    wall = near[push > 1e-9 * push.max(initial=0.0)]
    free = null_space(wall) if len(wall) else np.eye(len(g))
    values, vectors = np.linalg.eigh(free.T @ f @ free)
    least = _RIDGE * max(float(np.diag(f).max()), 1.0)
    values = np.maximum(values, least)
    axes = free @ vectors
    inward = -np.linalg.pinv(wall) if len(wall) else np.empty((len(g), 0))
    inward -= axes @ ((axes.T @ f @ inward) / values[:, None])
    axes = np.concatenate([axes, inward], axis=1)
    across = inward.T @ f @ inward
    np.fill_diagonal(across, np.maximum(np.diag(across), least))  # which rounding may have made negative
    return axes, block_diag(np.diag(values), across), axes.T @ g


def _within_reach(along: Array, precision: Array, slope: Array, room: Array) -> NDArray[np.bool_]:
    """Which limits (c,) may cut the distribution of precisions and slopes (d,) over axes (c, d).

    Where a centre lies outside of a limit that is not that of an axis, what is left may lie anywhere.
    """
    inward = slope * slope > precision  # more than a standard deviation outside: exponential from the limit on
    centre = np.where(inward, 0.0, -slope / precision)
    reach = np.where(inward, _FALL / np.maximum(np.abs(slope), 1e-300), 1.0 / np.sqrt(precision))
    far = room - along @ centre
    near = far < _REACH * np.linalg.norm(along * reach, axis=1)
    return np.asarray(near | bool((far < 0.0).any()))


def _cut_normal(mean: Array, std: Array, low: Array, high: Array, rng: np.random.Generator) -> Array:
    """Draws (n,) of normal distributions cut to low … high, by inversion of the tail that is not lost to rounding.

    Of the far tail, which is exponential from its limit on, the distance to that limit is drawn.
    """
    a, b = (low - mean) / std, (high - mean) / std
    flip = a > 0.0  # the upper tail by symmetry
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    u = rng.random(len(mean))
    pa, pb = ndtr(a), ndtr(b)
    z = np.clip(ndtri(np.clip(pa + u * (pb - pa), 1e-300, 1.0 - 1e-16)), a, b)
    drawn = mean + std * np.where(flip, -z, z)
    far = b < -_TAIL
    rate = -b[far]
    away = std[far] * -np.log1p(u[far] * np.expm1(-rate * (b - a)[far])) / rate
    drawn[far] = np.where(flip[far], low[far] + away, high[far] - away)
    return np.asarray(np.clip(drawn, low, high))
