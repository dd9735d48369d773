"""Calibration of posteriors that are known: right, shifted, too narrow, and the prior."""

import json

import numpy as np
import pytest

from xrdml.evaluation.calibration import BINS, LEVELS, calibrate, coverage, expected_coverage, rank_histogram, ranks

NAMES = ("a", "b", "c")
LOW, HIGH = np.zeros(3), np.ones(3)
ROWS, SAMPLES = 1500, 120


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def found(draws, truth, rng, unknown=None):
    known = np.ones(truth.shape, bool) if unknown is None else unknown
    return calibrate(draws, truth, known, np.full(3, 1.0 / 12.0), LOW, HIGH, NAMES, rng)


def posterior(rng, width=0.1, shift=0.0, stated=None):
    """Samples about a place from which the truth is as far as the samples are, unless they are shifted or scaled."""
    middle = rng.random((ROWS, 3))
    truth = middle + width * rng.standard_normal((ROWS, 3))
    spread = width if stated is None else stated
    return middle[:, None] + shift + spread * rng.standard_normal((ROWS, SAMPLES, 3)), truth


def test_a_right_posterior_is_calibrated_and_contracts(rng):
    result = found(*posterior(rng), rng)
    np.testing.assert_allclose(result.coverage, np.repeat(np.array(LEVELS)[:, None], 3, axis=1), atol=0.04)
    assert result.tarp_deviation < 0.05
    assert result.deviation.max() < 0.05
    np.testing.assert_allclose(result.contraction, 1.0 - 0.1**2 * 12.0, atol=0.01)


def test_the_prior_is_calibrated_and_does_not_contract(rng):
    result = found(rng.random((ROWS, SAMPLES, 3)), rng.random((ROWS, 3)), rng)
    np.testing.assert_allclose(result.coverage, np.repeat(np.array(LEVELS)[:, None], 3, axis=1), atol=0.04)
    assert result.tarp_deviation < 0.05
    np.testing.assert_allclose(result.contraction, 0.0, atol=0.02)


def test_a_shifted_posterior_is_told(rng):
    result = found(*posterior(rng, shift=0.15), rng)
    assert (result.coverage[LEVELS.index(0.9)] < 0.7).all()
    assert result.tarp_deviation > 0.1
    assert (result.deviation > 0.3).all()


def test_a_posterior_that_is_too_narrow_is_told(rng):
    result = found(*posterior(rng, stated=0.04), rng)
    assert (result.coverage[LEVELS.index(0.9)] < 0.7).all()
    assert result.tarp_deviation > 0.1
    histogram = rank_histogram(result.ranks[:, 0], SAMPLES)
    assert min(histogram[0], histogram[-1]) > 3 * histogram[BINS // 2]


def test_told_values_are_left_out(rng):
    draws, truth = posterior(rng)
    told = np.zeros(truth.shape, bool)
    told[: ROWS // 2, 1] = told[:, 2] = True
    draws[: ROWS // 2, :, 1] = truth[: ROWS // 2, 1, None]
    draws[:, :, 2] = truth[:, 2, None]
    result = found(draws, truth, rng, ~told)
    assert result.rows.tolist() == [ROWS, ROWS - ROWS // 2, 0]
    np.testing.assert_allclose(result.coverage[:, 1], LEVELS, atol=0.05)
    assert np.isnan(result.coverage[:, 2]).all()
    assert np.isnan([result.deviation[2], result.contraction[2]]).all()
    assert result.tarp_deviation < 0.05
    assert (result.ranks[told] == -1).all()
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["parameters"]["c"]["coverage"]["0.9"] is None
    assert sum(plain["parameters"]["b"]["rank_histogram"]) == ROWS - ROWS // 2


def test_ranks_and_coverage_of_few_numbers():
    draws = np.array([[[1.0], [2.0], [3.0], [4.0]]])
    assert ranks(draws, np.array([[2.5]])).item() == 2
    assert ranks(draws, np.array([[0.0]])).item() == 0
    assert ranks(draws, np.array([[9.0]])).item() == 4
    assert rank_histogram(np.array([0, 4, -1]), 4).sum() == 2
    held = coverage(draws, np.array([[3.5]]), (0.5, 0.95), np.ones((1, 1), bool))
    assert held.ravel().tolist() == [0.0, 1.0]


def test_expected_coverage_of_certainty(rng):
    truth = rng.random((200, 3))
    covered = expected_coverage(np.repeat(truth[:, None], 10, axis=1), truth, LOW, HIGH, np.array([0.0, 0.5, 1.0]), rng)
    assert covered.tolist() == [0.0, 1.0, 1.0]
