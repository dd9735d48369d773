"""Where a network errs, and a dataset with more curves there."""

import numpy as np
import pytest

from xrdml.inference.pilot import measure_errors
from xrdml.networks.checkpoint import load_model
from xrdsim import generate
from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace


@pytest.fixture(scope="module")
def trained():
    return load_model()


def test_errors_of_a_network_lead_a_dataset(trained, tmp_path):
    space, errors = measure_errors(trained, rows=64)
    assert errors.shape == (64, 10)
    assert space.contains(errors[:, :9]).all()
    assert np.all(errors[:, 9] >= 0.0)
    assert 0.01 < errors[:, 9].mean() < 0.3
    np.testing.assert_array_equal(errors, measure_errors(trained, rows=64)[1])
    made = {"n": 30, "test_rows": 2, "sampler": "errors", "space": space, "rtol_dex": 1e-2, "block_size": 16}
    data = generate(tmp_path / "worst.zarr", errors=errors, **made)
    density = data.density[:]
    assert 0.2 < density.min() < density.max() < 5.0
    again = generate(tmp_path / "worst.zarr", resume=True, **made)  # what was measured is in the dataset
    np.testing.assert_array_equal(again.parameters[:], data.parameters[:])


def test_ranges_of_the_curves_are_those_of_the_model_or_within(trained):
    narrow = ParameterSpace(low=(0.005, 0.001, 3000, 1000, 0.001, 1000, -500)).with_damage()
    space, errors = measure_errors(trained, space=narrow, rows=8)
    assert space == narrow
    assert narrow.contains(errors[:, :9]).all()
    with pytest.raises(ParameterError, match="give ranges within these"):
        measure_errors(trained, space=ParameterSpace(), rows=8)
