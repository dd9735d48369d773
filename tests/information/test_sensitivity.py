"""Measured sensitivities: known ranking, files and refusals."""

import json

import numpy as np
import pytest

from xrdsim.errors import OutputError, ParameterError
from xrdsim.forward.prior import draw_prior
from xrdsim.information.differences import finite_difference
from xrdsim.information.sensitivity import measure_sensitivity, read_range_sensitivity
from xrdsim.profiles.two_gaussians import NAMES


@pytest.fixture(scope="module")
def measured():
    return measure_sensitivity(draw_prior(200, rng=np.random.default_rng(5)), rtol_dex=1e-3)


def test_known_weights(measured):
    """Means over the prior: Dmax1 dominates, Rp2 barely counts."""
    expected = [3.3, 0.7, 0.77, 0.97, 0.6, 0.57, 0.07]
    np.testing.assert_allclose(measured.weights, expected, rtol=0.35)
    assert measured.weights.mean() == pytest.approx(1.0)


def test_means_are_those_of_the_profiles(measured):
    np.testing.assert_allclose(measured.value_mean, np.nanmean(measured.value, axis=0))
    np.testing.assert_allclose(measured.range_std, np.nanstd(measured.range, axis=0))
    assert measured.value.shape == measured.range.shape == (200, 7)


def test_zeros_are_excluded(prior):
    rows = prior[:8].copy()
    rows[:4, 6] = 0.0
    result = measure_sensitivity(rows, rtol_dex=1e-3)
    expected = finite_difference(rows[4:], rtol_dex=1e-3)[:, 6].mean()
    assert result.value_mean[6] == pytest.approx(expected)


def test_files_come_back(measured, tmp_path):
    weights, twin = measured.save(tmp_path / "sensitivity.npy")
    loaded = np.load(weights)
    assert loaded.shape == (7,)
    np.testing.assert_array_equal(loaded, measured.weights)
    content = json.loads(twin.read_text())
    assert content["how"]["profiles"] == 200
    assert list(content["value_relative"]) == list(NAMES)
    values, how = read_range_sensitivity(twin)
    np.testing.assert_allclose(values, measured.range_mean)
    assert how["fwhm"] == 30.0


def test_progress_reaches_the_end(prior):
    calls = []
    measure_sensitivity(prior, rtol_dex=1e-2, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(prior), len(prior))


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", '{"range_relative": {"Dmax1": 1}}'])
def test_a_bad_table_is_explained(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ParameterError, match="xrd sensitivity"):
        read_range_sensitivity(path)


def test_negative_sensitivities_are_refused(measured, tmp_path):
    _, twin = measured.save(tmp_path / "s.npy")
    content = json.loads(twin.read_text())
    content["range_relative"]["L1"]["mean"] = -1.0
    twin.write_text(json.dumps(content))
    with pytest.raises(ParameterError, match="not finite and positive"):
        read_range_sensitivity(twin)


def test_an_unwritable_place_is_named(measured, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        measured.save(tmp_path / "file" / "sensitivity.npy")


def test_a_parameter_that_is_always_zero_is_named(prior):
    rows = prior[:3].copy()
    rows[:, 6] = 0.0
    with pytest.raises(ParameterError, match="Rp2"):
        measure_sensitivity(rows, rtol_dex=1e-2)
