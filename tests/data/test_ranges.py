"""Ranges that a network is told: drawn so that the truth is uniform in them, and kept by everything that it says."""

import numpy as np
import pytest
import torch

from xrdml.data.ranges import Narrowing, Ranges
from xrdsim import draw_prior
from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace

SPACE = ParameterSpace().with_damage()
WHOLE = Ranges.of(SPACE, (-8.0, 8.0), (25.0, 80.0))


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    params = draw_prior(n, space=SPACE, rng=rng)
    return torch.from_numpy(np.column_stack([params, rng.uniform(-8.0, 8.0, n), rng.uniform(25.0, 80.0, n)]))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_ranges_hold_the_truth_and_coordinates_lead_back_to_it():
    values, rng = drawn(500), seeded(1)
    ranges = WHOLE.narrowed(values, Narrowing(share=1.0, each=0.7, fixed=0.3), rng)
    assert torch.all(ranges.low <= values + 1e-12)
    assert torch.all(values <= ranges.high + 1e-12)
    assert torch.all(ranges.low >= WHOLE.low)
    assert torch.all(ranges.high <= WHOLE.high)
    assert 0.1 < (ranges.low == ranges.high).double().mean() < 0.3
    unit = ranges.coordinates(values, rng)
    assert torch.all((unit >= 0.0) & (unit <= 1.0))
    span = WHOLE.high - WHOLE.low
    torch.testing.assert_close(ranges.values(unit.double()) / span, values / span, atol=1e-5, rtol=0.0)


def test_any_place_keeps_ranges_and_constraints():
    values, rng = drawn(500), seeded(2)
    ranges = WHOLE.narrowed(values, Narrowing(share=1.0), rng)
    found = ranges.values(torch.rand(500, 11, dtype=torch.float64))
    span = WHOLE.high - WHOLE.low
    assert torch.all((found >= ranges.low - 1e-9 * span) & (found <= ranges.high + 1e-9 * span))
    assert SPACE.contains(found[:, :9].numpy()).all()


def test_the_truth_is_uniform_in_ranges_that_reach_no_limit():
    values, rng = drawn(20000), seeded(3)
    ranges = WHOLE.narrowed(values, Narrowing(share=1.0, each=1.0, fixed=0.0, least=0.1), rng)
    column = 10  # the FWHM, on which nothing else depends
    inner = (ranges.low[:, column] > WHOLE.low[0, column]) & (ranges.high[:, column] < WHOLE.high[0, column])
    place = (values - ranges.low)[inner, column] / (ranges.high - ranges.low)[inner, column]
    assert len(place) > 5000
    counts = np.histogram(place.numpy(), 10, (0.0, 1.0))[0]
    assert np.abs(counts - len(place) / 10).max() < 5.0 * np.sqrt(len(place) / 10)


def test_a_crystal_without_damage_is_known_to_have_none():
    values = drawn(3)
    values[1, 7:9] = torch.tensor([0.0, 1.0])
    ranges = WHOLE.narrowed(values, None, None)
    assert ranges.low[1, 7] == ranges.high[1, 7] == 0.0
    assert ranges.low[1, 8] == ranges.high[1, 8] == 1.0
    assert ranges.high[0, 7] == 0.6
    told = ranges.conditions(WHOLE)
    assert told.shape == (3, 22)
    assert not told[0, :11].any()
    assert torch.all(told[0, 11:] == 1.0)
    assert told[1, 18] == 0.0


@pytest.mark.parametrize("change", [{"share": 1.5}, {"least": 0.0}, {"each": float("nan")}])
def test_refuses_narrowing_without_meaning(change):
    with pytest.raises(ParameterError, match=next(iter(change))):
        Narrowing(**change)
