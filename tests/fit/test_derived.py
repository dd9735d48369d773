"""Quantities that follow from a profile, against integration of the plain formula."""

import math

import numpy as np
import pytest
from naive import strain
from scipy.integrate import quad

from xrdsim import ParameterSpace, depth_end
from xrdsim.forward.derived import UNITS, derived


def test_they_are_those_of_the_plain_formula(prior):
    found = derived(prior, ParameterSpace())
    assert found.shape == (len(prior), len(UNITS))
    for row, (largest, where, area, end) in zip(prior, found, strict=True):
        assert end == pytest.approx(float(depth_end(row)[0]))
        depth = np.linspace(0.0, end * (1.0 - 1e-9), 20001)
        values = np.array([strain(z, row) for z in depth])
        assert largest == pytest.approx(values.max(), rel=1e-3)
        assert strain(min(where, end * (1.0 - 1e-9)), row) == pytest.approx(values.max(), rel=2e-3)
        kinks = [z for z in (row[3],) if 0.0 < z < end]
        exact = quad(lambda z, row=row: strain(z, row), 0.0, end * (1.0 - 1e-12), points=kinks, limit=400)[0]
        assert area == pytest.approx(exact, rel=2e-3)
        assert math.isfinite(area)
