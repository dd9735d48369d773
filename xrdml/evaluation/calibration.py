"""Whether a posterior is right, from its samples and the true values that the data were made of.

Simulation-based calibration: among samples of a right posterior, the true value has any rank equally often (S. Talts et
al., arXiv:1804.06788). Central intervals then hold it as often as they say. Both look at one parameter at a time. TARP
looks at all: around a random reference, the ball that reaches to the truth holds any share of the samples equally often
(P. Lemos et al., Sampling-based accuracy testing of posterior estimators, arXiv:2302.03026). A posterior that is the
prior passes all three; only its contraction tells that it has learned nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVELS = (0.5, 0.68, 0.9, 0.95)
"""Probabilities of the central intervals that are reported."""

TARP_LEVELS = np.linspace(0.0, 1.0, 21)
"""Credibilities at which the expected coverage is reported."""

BINS = 20
"""Of the histogram of ranks."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """How right a posterior is; NaN where no row says anything about a parameter.

    Attributes
    ----------
    names : (k,) parameters and instrument.
    rows : (k,) rows in which each was unknown.
    samples : of the posterior of a row.
    ranks : (n, k) samples below the truth, 0 … samples; −1 in rows where the value was fixed.
    deviation : (k,) largest difference between the distribution of the ranks and the uniform one.
    coverage : (levels, k) share of the rows whose central interval holds the truth, for each of LEVELS.
    tarp : (len(TARP_LEVELS),) expected coverage.
    contraction : (k,) 1 − mean posterior variance / prior variance.
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    samples: int
    ranks: NDArray[np.int64]
    deviation: Array
    coverage: Array
    tarp: Array
    contraction: Array

    @property
    def tarp_deviation(self) -> float:
        """Largest difference between expected coverage and credibility."""
        return float(np.abs(self.tarp - TARP_LEVELS).max())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, by parameter."""
        parameters = {
            name: {
                "rows": int(self.rows[j]),
                "coverage": {f"{level:g}": finite(self.coverage[i, j]) for i, level in enumerate(LEVELS)},
                "rank_deviation": finite(self.deviation[j]),
                "contraction": finite(self.contraction[j]),
                "rank_histogram": rank_histogram(self.ranks[:, j], self.samples).tolist(),
            }
            for j, name in enumerate(self.names)
        }
        tarp = {"credibility": TARP_LEVELS.tolist(), "expected_coverage": self.tarp.tolist()}
        return {
            "samples": self.samples,
            "parameters": parameters,
            "tarp": tarp | {"deviation": self.tarp_deviation},
        }


def calibrate(
    draws: Array,
    truth: Array,
    unknown: Mask,
    prior_variance: Array,
    low: Array,
    high: Array,
    names: tuple[str, ...],
    rng: np.random.Generator,
) -> Calibration:
    """All of ``Calibration``.

    Parameters
    ----------
    draws : (n, samples, k) of the posterior of each row.
    truth : (n, k).
    unknown : (n, k) whether a value was unknown, not fixed.
    prior_variance : (k,) of unknown values.
    low, high : (k,) limits, in parts of which TARP takes distances.
    names : (k,).
    rng : for the references of TARP.
    """
    below = ranks(draws, truth)
    return Calibration(
        names,
        unknown.sum(axis=0),
        draws.shape[1],
        np.where(unknown, below, -1),
        rank_deviation(below, draws.shape[1], unknown),
        coverage(draws, truth, LEVELS, unknown),
        expected_coverage(draws, truth, low, high, TARP_LEVELS, rng),
        contraction(draws, prior_variance, unknown),
    )


def ranks(draws: Array, truth: Array) -> NDArray[np.int64]:
    """Number (n, k) of samples (n, samples, k) below the truth (n, k)."""
    return np.asarray((draws < truth[:, None]).sum(axis=1), np.int64)


def rank_histogram(rank: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """Numbers (BINS,) of ranks (n,) in equal parts of 0 … samples; negative ranks are left out."""
    place = (rank[rank >= 0] + 0.5) / (samples + 1)
    return np.bincount((place * BINS).astype(np.int64), minlength=BINS)


def rank_deviation(rank: NDArray[np.int64], samples: int, unknown: Mask) -> Array:
    """Largest difference (k,) between the distribution of ranks (n, k) and the uniform one (Kolmogorov–Smirnov)."""
    edges = np.arange(samples + 1)
    out = np.full(rank.shape[1], np.nan)
    for j in np.flatnonzero(unknown.any(axis=0)):
        counted = np.bincount(rank[unknown[:, j], j], minlength=samples + 1)
        out[j] = np.abs(counted.cumsum() / counted.sum() - (edges + 1.0) / (samples + 1.0)).max()
    return out


def coverage(draws: Array, truth: Array, levels: tuple[float, ...], unknown: Mask) -> Array:
    """Share (levels, k) of rows whose central interval of each probability holds the truth.

    Parameters
    ----------
    draws : (n, samples, k).
    truth, unknown : (n, k).
    levels : probabilities.
    """
    tails = [0.5 * (1.0 - level) for level in levels]
    low = np.quantile(draws, tails, axis=1)
    high = np.quantile(draws, [1.0 - tail for tail in tails], axis=1)
    held = (truth >= low) & (truth <= high)
    return np.asarray([mean_where(each, unknown) for each in held])


def contraction(draws: Array, prior_variance: Array, unknown: Mask) -> Array:
    """1 − mean variance of the posterior (n, samples, k) / variance of the prior (k,); 0: nothing learned, 1: all."""
    return np.asarray(1.0 - mean_where(draws.var(axis=1, ddof=1), unknown) / np.maximum(prior_variance, 1e-300))


def expected_coverage(
    draws: Array, truth: Array, low: Array, high: Array, levels: Array, rng: np.random.Generator
) -> Array:
    """Expected coverage (levels,) of TARP, algorithm 2 of Lemos et al., with references uniform in the limits.

    Values that were fixed are the same in all samples, and change no comparison.

    Parameters
    ----------
    draws : (n, samples, k).
    truth : (n, k).
    low, high : (k,).
    levels : credibilities, ascending.
    rng : for the references, one a row.
    """
    span = np.where(high > low, high - low, 1.0)
    reference = rng.random(truth.shape)
    to_draws = ((((draws - low) / span) - reference[:, None]) ** 2).sum(axis=2)
    to_truth = ((((truth - low) / span) - reference) ** 2).sum(axis=1)
    share = (to_draws < to_truth[:, None]).mean(axis=1)
    return np.asarray((share[:, None] < levels).mean(axis=0))


def mean_where(values: NDArray[Any], chosen: Mask) -> Array:
    """Mean (k,) of the chosen values (n, k); NaN of none."""
    number = chosen.sum(axis=0)
    total = np.where(chosen, values, 0.0).sum(axis=0)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def finite(value: float) -> float | None:
    """A number for JSON, which knows neither NaN nor infinity."""
    return float(value) if np.isfinite(value) else None
