"""Errors of estimates against known cases."""

import numpy as np
import pytest

from xrdml.evaluation.errors import accuracy, area_error, curve_error, errors, profile_error
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import D01, D02, DMAX1, L1, NAMES, RP2

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


def test_area_error_is_a_part_of_the_area(demonstration):
    other = demonstration.copy()
    other[[DMAX1, D01, D02]] *= 1.1
    assert area_error(demonstration[None], demonstration[None], SPACE)[0] == 0.0
    assert area_error(other[None], demonstration[None], SPACE)[0] == pytest.approx(0.1, rel=0.1)


def test_errors_of_a_group_leave_out_what_was_told():
    error = np.array([[1.0, 2.0], [3.0, 4.0], [50.0, 60.0]])
    unknown = np.array([[True, False], [True, False], [True, True]])
    chosen = np.array([True, True, False])
    found = accuracy("some", chosen, error, 2.0 * error, unknown, np.array([1]), np.array([[0.5, np.nan]]))
    assert (found.rows, found.limited_rows) == (2, 1)
    assert found.mae[0] == 2.0
    assert found.skill[0] == 0.5
    assert (found.limited_mae[0], found.limit[0]) == (3.0, 0.5)
    assert np.isnan([found.mae[1], found.skill[1], found.limited_mae[1], found.limit[1]]).all()
    assert found.to_dict(("a", "b"))["parameters"]["b"]["skill"] is None
