"""Differences between methods of training and how sure they are: a paired bootstrap over test rows and seeds.

Every method saw the same rows with the same noise, and the runs of one seed the same split of the data; so differences
are taken row by row and seed by seed, d[s, i]. Seeds and rows are drawn with replacement, independently of each other
(A. B. Owen, Ann. Appl. Stat. 1, 386, 2007), rows that belong together at once. A handful of seeds is too few for that:
the deviations of the means of the seeds from the mean of all are first made larger by √(S/(S − 1)) · t/z, with the
97.5 % quantiles t of Student's distribution of S − 1 degrees of freedom and z of the normal one.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

DRAWS = 2000

LEVEL = 0.95

HELPS, UNSEEN, HURTS, ONE_SEED = "helps", "no difference seen", "hurts", "one seed only"

_SEED = 50  # of the bootstrap


@dataclass(frozen=True)
class Difference:
    """A method beside the baseline, by one measure of error on one test set.

    Attributes
    ----------
    method, test_set, metric : names.
    seeds, rows : how many were compared.
    value, baseline : mean errors over the same seeds and rows.
    low, high : limits of the interval of their difference, value − baseline.
    """

    method: str
    test_set: str
    metric: str
    seeds: int
    rows: int
    value: float
    baseline: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Below 0 where the method is better."""
        return self.value - self.baseline

    @property
    def verdict(self) -> str:
        """In words: whether the interval excludes 0. One seed is no ground for a verdict."""
        if self.seeds < 2:
            return ONE_SEED
        return HELPS if self.high < 0.0 else HURTS if self.low > 0.0 else UNSEEN


def compare(
    method: str, test_set: str, metric: str, errors: Array, baseline: Array, groups: NDArray[np.int64]
) -> Difference:
    """Compare errors (seeds, rows) of a method with those of the baseline for the same seeds and rows."""
    low, high = interval(errors - baseline, groups)
    count, rows = errors.shape
    return Difference(method, test_set, metric, count, rows, float(errors.mean()), float(baseline.mean()), low, high)


def interval(difference: Array, groups: NDArray[np.int64], draws: int = DRAWS) -> tuple[float, float]:
    """Interval of LEVEL of the mean of paired differences (seeds, rows), by the bootstrap of the module's text.

    Parameters
    ----------
    difference : of one row and seed each.
    groups : (rows,) numbers 0 … of the groups of rows, of one size, that are drawn together.
    draws : of the bootstrap.
    """
    count, together = len(difference), int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, row, together) for row in difference])
    grouped = sums * together / difference.shape[1]
    if count > 1:
        own = grouped.mean(axis=1, keepdims=True)
        grouped = grouped + (widening(count) - 1.0) * (own - own.mean())
    seeds, rows = _resamples(count, together, draws)
    means = ((seeds @ grouped) * rows).sum(axis=1)
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(means, [tail, 100.0 - tail]).tolist()
    return low, high


def widening(seeds: int) -> float:
    """Factor on the deviations of the means of so few seeds."""
    tail = 0.5 * (1.0 + LEVEL)
    return math.sqrt(seeds / (seeds - 1)) * float(stats.t.ppf(tail, seeds - 1) / stats.norm.ppf(tail))


@lru_cache(maxsize=16)
def _resamples(seeds: int, groups: int, draws: int) -> tuple[Array, Array]:
    """How often each seed and each group of rows is drawn, as parts of 1: (draws, seeds) and (draws, groups)."""
    rng = np.random.default_rng(_SEED)
    counts = (rng.multinomial(n, np.full(n, 1.0 / n), draws) / n for n in (seeds, groups))
    return next(counts), next(counts)
