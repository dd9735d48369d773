"""Loss and weights."""

import numpy as np
import pytest
import torch

from xrdml.networks.losses import RIDGE, load_weights, metric_loss, weighted_loss
from xrdsim.errors import ParameterError
from xrdsim.profiles.two_gaussians import ALL_NAMES, NAMES


def test_loss_is_the_weighted_sum_of_deviations_in_ranges():
    span, weights = torch.tensor([2.0, 100.0]), torch.tensor([3.0, 0.5])
    loss = weighted_loss(torch.tensor([[1.0, 60.0]]), torch.tensor([[0.0, 10.0]]), span, weights, beta=1e-6)
    assert float(loss) == pytest.approx(3.0 * 0.5 + 0.5 * 0.5, rel=1e-4)


def test_importance_weights_the_samples_and_ones_change_nothing():
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.rand((2, 9, 2), generator=generator)
    span, weights = torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0])
    each = torch.stack([weighted_loss(predicted[i : i + 1], true[i : i + 1], span, weights) for i in range(9)])
    importance = torch.arange(9.0) / 4.0
    loss = weighted_loss(predicted, true, span, weights, importance)
    assert float(loss) == pytest.approx(float((importance * each).mean()), rel=1e-6)
    assert torch.equal(
        weighted_loss(predicted, true, span, weights, torch.ones(9)), weighted_loss(predicted, true, span, weights)
    )


def test_a_range_of_no_width_does_not_count():
    loss = weighted_loss(torch.tensor([[1.0]]), torch.tensor([[0.0]]), torch.tensor([0.0]), torch.tensor([1.0]))
    assert float(loss) == 0.0


def test_a_metric_measures_deviations_together():
    span = torch.tensor([2.0, 100.0])
    metric = torch.tensor([[[4.0, -2.0], [-2.0, 1.0]]])  # tells 2Δ₁ − Δ₂ only
    true = torch.zeros(1, 2)
    plain = {"span": span, "weights": torch.ones(2), "beta": 1e-6}
    for deviation, norm in (([0.1, 0.1], 0.1), ([0.1, 0.2], 0.0), ([0.1, -0.1], 0.3)):
        predicted = (torch.tensor([deviation]) * span).requires_grad_()
        loss = metric_loss(predicted, true, span, metric, beta=1e-6)
        ridge = RIDGE * float(weighted_loss(predicted, true, **plain).detach())
        assert float(loss.detach()) == pytest.approx(norm + ridge, abs=1e-4)
        (gradient,) = torch.autograd.grad(loss, predicted)
        assert gradient.all()
    twice = metric_loss(predicted, true, span, metric, 2.0 * torch.ones(1), beta=1e-6)
    assert float(twice.detach()) == pytest.approx(2.0 * float(loss.detach()), rel=1e-6)


def test_the_metric_loss_is_smooth_at_the_truth_and_forgets_ranges_without_width():
    predicted = torch.tensor([[0.3, 5.0]], requires_grad=True)
    loss = metric_loss(predicted, torch.tensor([[0.3, 1.0]]), torch.tensor([2.0, 0.0]), torch.ones(1, 2, 2))
    assert float(loss.detach()) == 0.0
    loss.backward()
    assert torch.isfinite(predicted.grad).all()


def test_weights_from_file_array_or_default(tmp_path):
    path = tmp_path / "sensitivity.npy"
    np.save(path, np.arange(7.0))
    np.testing.assert_array_equal(load_weights(path, NAMES), np.arange(7.0))
    np.testing.assert_array_equal(load_weights(list(range(7)), NAMES), np.arange(7.0))
    np.testing.assert_array_equal(load_weights(None, NAMES), np.ones(7))
    np.testing.assert_array_equal(load_weights(path, ALL_NAMES), [*range(7), 1.0, 1.0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(6), r"shape \(6,\)"),
        (np.ones((7, 1)), r"shape \(7, 1\)"),
        (np.array([1, 1, -1, 1, 1, 1, 1.0]), "weight of L1 is -1"),
        (np.array([1, np.nan, 1, 1, 1, 1, 1.0]), "weight of D01 is nan"),
        (np.array([1, 1, 1, 1, 1, 1, np.inf]), "weight of Rp2 is inf"),
        (np.zeros(7), "all weights are 0"),
    ],
)
def test_refuses_bad_weights(tmp_path, weights, message):
    with pytest.raises(ParameterError, match=message):
        load_weights(weights, NAMES)
    path = tmp_path / "weights.npy"
    np.save(path, weights)
    with pytest.raises(ParameterError, match=message) as caught:
        load_weights(path, NAMES)
    assert str(path) in str(caught.value)


def test_refuses_files_that_are_not_weights(tmp_path):
    with pytest.raises(ParameterError, match="cannot be read"):
        load_weights(tmp_path / "missing.npy", NAMES)
    path = tmp_path / "text.npy"
    path.write_text("1 2 3")
    with pytest.raises(ParameterError, match=r"cannot be read.*xrd sensitivity"):
        load_weights(path, NAMES)
    path.write_bytes(b"")
    with pytest.raises(ParameterError, match="cannot be read"):
        load_weights(path, NAMES)
    np.save(path, np.array(["a"] * 7, dtype=object), allow_pickle=True)
    with pytest.raises(ParameterError, match="cannot be read"):
        load_weights(path, NAMES)
