"""Fresh curves are those of a dataset."""

import numpy as np
import pytest

from xrdsim import simulate
from xrdsim.dataset.fresh import fresh_rows
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import KAPPA, P


def test_fresh_rows_are_simulated_curves_of_the_prior():
    config = Simulation()
    rows = fresh_rows(config, 20, np.random.default_rng(0))
    assert rows.params.shape == (20, 7)
    assert rows.reflectivity.dtype == np.float32
    curves = simulate(rows.params, scan=config.stored_scan, fwhm=config.base_fwhm).intensity
    assert np.abs(np.log10(rows.reflectivity / curves)).mean() < 1e-3
    same = fresh_rows(config, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(rows.reflectivity, same.reflectivity)


def test_some_rows_have_no_damage():
    config = Simulation(ParameterSpace().with_damage())
    rows = fresh_rows(config, 200, np.random.default_rng(0), undamaged=0.5)
    bare = rows.params[:, KAPPA] == 0.0
    assert 70 < bare.sum() < 130
    assert np.all(rows.params[bare, P] == 1.0)
    plain = simulate(rows.params[bare][:5, :7], scan=config.stored_scan, fwhm=config.base_fwhm).intensity
    assert np.abs(np.log10(rows.reflectivity[bare][:5] / plain)).mean() < 1e-3


def test_refuses_a_share_without_meaning():
    with pytest.raises(ParameterError, match=r"undamaged = 1\.5"):
        fresh_rows(Simulation(), 2, np.random.default_rng(0), undamaged=1.5)
