"""Errors of estimates against known cases."""

import numpy as np
import pytest

from xrdml.evaluate import curve_error, errors, profile_error
from xrdsim.parameters import D01, DMAX1, L1, NAMES, RP2, ParameterSpace

SPACE = ParameterSpace()


def test_the_truth_has_no_error(prior):
    found = errors(prior, prior, SPACE)
    assert found.mae == (0.0,) * 7
    assert found.curve == found.profile == 0.0


def test_mae_in_units_and_ranges(prior):
    other = prior.copy()
    other[:, RP2] = np.where(prior[:, RP2] < -3000.0, prior[:, RP2] + 650.0, prior[:, RP2] - 650.0)
    found = errors(other, prior, SPACE).to_dict()
    assert found["parameters"]["Rp2"]["mae"] == pytest.approx(650.0)
    assert found["parameters"]["Rp2"]["mae_percent"] == pytest.approx(10.0)
    assert found["parameters"]["Rp2"]["unit"] == "Å"
    assert found["parameters"]["Dmax1"]["mae"] == 0.0
    assert set(found["parameters"]) == set(NAMES)
    assert found["mean_mae_percent"] == pytest.approx(10.0 / 7.0)


def test_profile_error_is_relative_to_the_largest_strain(demonstration):
    other = demonstration.copy()
    other[DMAX1] *= 1.1
    other[D01] *= 1.1
    error = profile_error(other[None], demonstration[None], SPACE)
    assert 0.03 < error[0] < 0.1
    deeper = demonstration.copy()
    deeper[L1] += 500.0
    assert profile_error(deeper[None], demonstration[None], SPACE)[0] > 0.01


def test_curve_error_grows_with_the_deviation(demonstration):
    near, far = demonstration.copy(), demonstration.copy()
    near[DMAX1] *= 1.001
    far[DMAX1] *= 1.1
    error = curve_error(np.stack([near, far]), np.stack([demonstration] * 2), SPACE)
    assert 0.0 < error[0] < 0.1 < error[1] < 2.0
