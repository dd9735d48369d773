"""Binned curves keep their counts."""

import numpy as np
import pytest

from xrdsim.curves import Curve, binned
from xrdsim.errors import ParameterError

X = np.arange(-200, 800) * 0.5
N = np.random.default_rng(2).poisson(1000.0 * np.exp(-((X / 20.0) ** 2)) + 5.0).astype(float)
PEAK = int(np.abs(X).argmin())


def test_counts_are_summed():
    for unit in (1.0, 0.25, np.where(X > 100.0, 4.0, 0.5)):
        curve = Curve(X, unit * N, PEAK, per_count=unit)
        made = binned(curve, 4.0)
        assert made.counts.sum() == pytest.approx(N.sum())
        np.testing.assert_allclose(made.counts, np.rint(made.counts), atol=1e-6)
        assert made.angle.size == np.ceil(X.size / 9)
        assert (np.diff(made.angle) > 0.0).all()
        assert abs(made.angle[made.peak_index]) <= 4.0
        assert "Up to 9 neighbouring points are summed." in made.note


def test_a_bin_is_the_weighted_mean():
    unit = np.where(X > 100.0, 4.0, 0.5)
    made = binned(Curve(X, np.full(X.size, 7.0), PEAK, per_count=unit), 3.0)
    np.testing.assert_allclose(made.intensity, 7.0)
    assert binned(Curve(X, 2.0 * N, PEAK), 3.0).per_count is None
    np.testing.assert_allclose(binned(Curve(X, 2.0 * N, PEAK), 0.5).intensity[0], N[0] + N[1])


def test_bins_are_no_wider_than_the_step():
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.uniform(0.1, 3.0, 500))
    made = binned(Curve(x, np.ones(500), 3, per_count=1.0), 2.0)
    members = np.rint(1.0 / np.broadcast_to(made.per_count, made.angle.shape)).astype(int)
    ends = np.cumsum(members)
    assert ends[-1] == 500
    for begin, end in zip(ends - members, ends, strict=True):
        assert x[end - 1] - x[begin] <= 2.0 + 1e-6
        assert end == 500 or x[end] - x[begin] > 2.0


def test_sparse_curves_stay_as_they_are():
    curve = Curve(X, N, PEAK, per_count=1.0)
    assert binned(curve, 0.4) is curve


def test_offsets():
    equal = binned(Curve(X, N + 3.0, PEAK, per_count=1.0, offset=3.0), 0.5)  # two in each bin
    np.testing.assert_allclose(equal.counts, N[::2] + N[1::2])
    uneven = binned(Curve(X[:999], N[:999] + 3.0, PEAK, per_count=1.0, offset=3.0), 0.5)
    assert uneven.per_count is None


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan])
def test_steps_without_meaning(step):
    with pytest.raises(ParameterError, match="it must be positive"):
        binned(Curve(X, N, PEAK), step)
