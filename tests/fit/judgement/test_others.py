"""What is said of profiles that describe a curve as well as the best one."""

import numpy as np
import pytest
from noisy import PROFILES, noisy

from xrdsim.fit.judgement.verdict import unique
from xrdsim.fit.problem import problem

BEST = np.array([0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, -50.0])
AT_THE_SURFACE = np.array([0.0081, 0.0009, 5200.0, 100.0, 0.0026, 3000.0, -50.0])


@pytest.fixture(scope="module")
def given():
    return problem(noisy(PROFILES[0]))


def test_a_different_profile_is_said_with_where_its_strain_lies(given):
    said = unique(given, np.array([BEST, AT_THE_SURFACE]), np.array([10.0, 12.0]))
    assert "1 other profile describes it as well, which differs by 7" in said
    assert "with its largest strain at" in said
    assert "Å, not at 34" in said


def test_a_profile_that_is_nearly_the_same_is_not(given):
    near = BEST * [1.0, 1.02, 1.0, 1.001, 1.0, 1.0, 1.0]
    assert unique(given, np.array([BEST, near]), np.array([10.0, 10.0])) == ""
    assert unique(given, np.array([BEST, AT_THE_SURFACE]), np.array([10.0, 200.0])) == ""
