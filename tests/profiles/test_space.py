"""The parameter table, its ranges and the bijection with the unit cube."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import ALL_NAMES, NAMES, TABLE

SPACES = [
    ParameterSpace(),
    ParameterSpace().with_damage(),
    ParameterSpace(
        (0.005, 0.001, 2000.0, 1000.0, 0.001, 1500.0, -500.0), (0.02, 0.004, 6000.0, 4000.0, 0.01, 4000.0, 0.0)
    ),
]


def test_the_order_is_fixed():
    assert NAMES == ("Dmax1", "D01", "L1", "Rp1", "D02", "L2", "Rp2")
    assert (*NAMES, "kappa", "p") == ALL_NAMES
    assert all(row.doc and row.unit and row.low < row.high for row in TABLE)


@pytest.mark.parametrize("space", SPACES)
def test_every_point_of_the_unit_cube_is_valid_and_comes_back(space):
    u = np.random.default_rng(0).random((4000, len(space.low)))
    columns = space.from_unit(list(u.T))
    assert space.contains(np.array(columns).T).all()
    back, _ = space.to_unit(columns)
    np.testing.assert_allclose(np.array(back).T, u, atol=1e-7)


@pytest.mark.parametrize("space", SPACES)
def test_every_valid_vector_is_reached(space):
    rows = np.array(space.low) + np.random.default_rng(1).random((200_000, len(space.low))) * space.span
    rows = rows[space.contains(rows)]
    assert len(rows) > 100
    unit, _ = space.to_unit(list(rows.T))
    assert np.all((np.array(unit) >= -1e-6) & (np.array(unit) <= 1.0 + 1e-6))
    np.testing.assert_allclose(np.array(space.from_unit(unit)).T, rows, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.02, 0.98), min_size=9, max_size=9))
def test_log_determinant_is_that_of_the_map(u):
    space = ParameterSpace().with_damage()
    unit = np.array(u)
    jacobian = np.empty((9, 9))
    for j in range(9):
        step = np.zeros(9)
        step[j] = 1e-6
        up, down = (np.array(space.from_unit([np.float64(v) for v in unit + s])) for s in (step, -step))
        jacobian[:, j] = (up - down) / 2e-6
    _, log_det = space.to_unit(space.from_unit([np.float64(v) for v in unit]))
    scale = np.linalg.slogdet(jacobian / space.span[:, None])[1] + np.log(space.span).sum()
    assert log_det == pytest.approx(scale, abs=1e-4)


def test_the_map_works_on_tensors():
    torch = pytest.importorskip("torch")
    space = ParameterSpace()
    u = torch.rand(50, 7, dtype=torch.float64, requires_grad=True)
    columns = space.from_unit(u.unbind(1))
    rows = torch.stack(columns, 1)
    assert space.contains(rows.detach().numpy()).all()
    back, log_det = space.to_unit(columns)
    torch.testing.assert_close(torch.stack(back, 1), u)
    assert log_det.shape == (50,)
    rows.sum().backward()
    assert torch.isfinite(u.grad).all()


def test_rounding_to_float32_keeps_a_vector_valid():
    space = ParameterSpace()
    columns = space.from_unit(list(np.random.default_rng(2).integers(0, 2, (7, 500)).astype(float)))
    assert space.contains(np.array(columns).T.astype(np.float32)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"low": {0: 0.00005}}, "Dmax1 must stay above 0.0001"),
        ({"low": {1: 0.00005}}, "D01 must stay at least 0.0001"),
        ({"low": {4: 0.0001}}, "D02 must stay above 0.0001"),
        ({"high": {6: 10.0}}, "Rp2 must stay at most 0"),
        ({"low": {3: -1.0}}, "Rp1 must stay at least 0"),
        ({"low": {2: 8000.0}}, "L1 is 8000 … 7000"),
        ({"high": {0: np.nan}}, "Dmax1"),
        ({"low": {1: 0.0302}}, "D01 \\+ D02 <= strain_sum"),
        ({"high": {2: 600.0}, "low": {3: 700.0}}, "Rp1 <= L1"),
    ],
)
def test_ranges_without_meaning_are_refused(change, words):
    limits = {"low": list(ParameterSpace().low), "high": list(ParameterSpace().high)}
    for side, values in change.items():
        for column, value in values.items():
            limits[side][column] = value
    with pytest.raises(ParameterError, match=words):
        ParameterSpace(tuple(limits["low"]), tuple(limits["high"]))


def test_the_number_of_ranges_is_checked():
    with pytest.raises(ParameterError, match="7 limits"):
        ParameterSpace((0.001,), (0.031,))


def test_nan_is_outside():
    row = np.full((1, 7), np.nan)
    assert not ParameterSpace().contains(row)[0]
