"""The profile and its limit cases, against the slow reference."""

import naive
import numpy as np
import pytest
from flanks import narrow_flanks
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdsim.forward.derived import depth_end, largest_strain, strain_profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import DMIN


def unit_vectors():
    """Any point of the constrained region."""
    space = ParameterSpace()
    coordinate = st.floats(0.0, 1.0).map(lambda u: u if u > 1e-9 else 0.0)
    return st.lists(coordinate, min_size=7, max_size=7).map(
        lambda u: np.array(space.from_unit([np.float64(value) for value in u]))
    )


@settings(deadline=None, max_examples=100)
@given(unit_vectors())
def test_profile_is_the_formula_up_to_its_end(p):
    end = depth_end(p)[0]
    depth = np.linspace(0.0, 1.05 * end, 301)
    expected = np.where(depth <= end, naive.strain(depth, p), 0.0)
    np.testing.assert_allclose(strain_profile(p, depth)[0], expected, rtol=1e-11, atol=1e-16)


@settings(deadline=None, max_examples=100)
@given(unit_vectors())
def test_end_is_where_the_strain_falls_to_dmin(p):
    end = depth_end(p)[0]
    assert end >= p[2]
    assert end == pytest.approx(naive.depth_end(p), rel=1e-9)


def test_largest_strain(prior):
    rows = np.concatenate([prior, narrow_flanks()])
    expected = [naive.strain_max(p) for p in rows]
    np.testing.assert_allclose(largest_strain(rows), expected, rtol=1e-7)


def test_two_humps_have_the_higher_one_as_largest_strain():
    p = np.array([[0.010, 0.0001, 6000.0, 5000.0, 0.0105, 500.0, -6500.0]])
    assert largest_strain(p)[0] == pytest.approx(naive.strain_max(p[0]), rel=1e-9)
    p[0, 4] = 0.009
    assert largest_strain(p)[0] == pytest.approx(naive.strain_max(p[0]), rel=1e-9)


def test_values_at_the_named_depths(demonstration):
    dmax1, d01, l1, rp1, d02, l2, rp2 = demonstration
    at = np.array([0.0, rp1, l1])
    s3 = l2 * (l2 - 2 * rp2) / np.log(d02 / DMIN)
    d2 = d02 * np.exp(rp2**2 / s3) * np.exp(-((at - rp2) ** 2) / s3)
    np.testing.assert_allclose(strain_profile(demonstration, at)[0] - d2, [d01, dmax1, DMIN], rtol=1e-9)


def test_limits_are_finite():
    assert np.isfinite(strain_profile(narrow_flanks(), np.linspace(0.0, 8000.0, 500))).all()


def test_reference_profiles(reference):
    strain = strain_profile(reference["params"], reference["depth"])
    inside = reference["depth"] <= reference["depth_end"][:, None]
    np.testing.assert_allclose(strain[inside], reference["strain"][inside], rtol=1e-10)
    np.testing.assert_allclose(depth_end(reference["params"]), reference["depth_end"], rtol=1e-9)
