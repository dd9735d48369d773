"""What the hierarchical model corrects."""

import numpy as np
import pytest

from xrdml.training.correction import PROFILES, choose_fine, sensitivities
from xrdsim import ParameterSpace, measure_sensitivity
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError
from xrdsim.forward.prior import draw_prior

CONFIG = Simulation()


def test_the_most_sensitive_are_measured():
    rows = draw_prior(PROFILES, rng=np.random.default_rng(0))
    expected = measure_sensitivity(rows, rtol_dex=1e-3).value_mean
    np.testing.assert_allclose(sensitivities(CONFIG), expected, rtol=1e-6)
    columns, measured = choose_fine("hierarchical", None, None, CONFIG)
    assert set(columns) == set(np.argsort(-expected)[:3].tolist())
    assert measured is not None
    assert list(measured) == list(ParameterSpace().names)


def test_a_parameter_without_freedom_is_not_corrected():
    low, high = list(ParameterSpace().low), list(ParameterSpace().high)
    low[0] = high[0] = 0.012
    fixed = Simulation(ParameterSpace(low, high).with_damage())
    assert sensitivities(fixed)[0] == 0.0
    assert 0 not in choose_fine("hierarchical", None, None, fixed)[0]


def test_names_and_weights_come_first():
    assert choose_fine("hierarchical", ["L2", "D01"], np.arange(7.0), CONFIG) == ((5, 1), None)
    assert choose_fine("hierarchical", None, np.arange(7.0), CONFIG) == ((4, 5, 6), None)
    assert choose_fine("flow", None, None, CONFIG) == ((), None)


@pytest.mark.parametrize(
    ("model", "fine", "message"),
    [
        ("flow", ["L1"], "belongs to the hierarchical"),
        ("hierarchical", [], "fine = nothing"),
        ("hierarchical", ["L9"], "fine = L9"),
        ("hierarchical", ["L1", "L1"], "each once"),
    ],
)
def test_refuses(model, fine, message):
    with pytest.raises(ParameterError, match=message):
        choose_fine(model, fine, None, CONFIG)
