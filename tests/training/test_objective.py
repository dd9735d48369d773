"""The loss of a batch: its parts, how they are mixed, and which choices have no meaning."""

import numpy as np
import pytest
import torch

from xrdml.data.measurement import DEX, Measurement
from xrdml.data.ranges import whole_ranges
from xrdml.data.source import Minibatch, make_batch, stream
from xrdml.networks.nets import Architecture, build
from xrdml.training import objective
from xrdml.training.metrics import Metrics
from xrdml.training.objective import CurveLoss, Objective, choose_loss
from xrdml.training.reconstruction import BACKGROUND, clean_window, curve_loss
from xrdsim.dataset.fresh import fresh_rows
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError

CONFIG = Simulation()
PRIOR = Measurement()
SMALL = {"channels": (8, 16), "blocks": (1, 1), "queries": 2, "hidden": 32, "context": 16}


@pytest.fixture(scope="module")
def rows():
    return fresh_rows(CONFIG, 16, np.random.default_rng(0))


@pytest.fixture(scope="module")
def batch(rows):
    weight = np.linspace(0.5, 1.5, 16, dtype=np.float32)
    return make_batch(Minibatch.of(rows.reflectivity, rows.params, weight, CONFIG), CONFIG, PRIOR, stream(0, 1))


def made(**choices):
    return Objective(CONFIG, whole_ranges(CONFIG.space, PRIOR), np.ones(7), torch.device("cpu"), mixed=False, **choices)


def network(kind="weighted", **change):
    torch.manual_seed(0)
    return build(Architecture(kind, **SMALL | change)).eval()


def test_the_curve_loss_is_small_at_the_truth_and_descends_to_it(rows):
    true = torch.from_numpy(rows.params[:4].astype(np.float64))
    assert float(curve_loss(true, rows.reflectivity[:4], CONFIG).max()) < 1e-3
    estimate = (true * 0.99).requires_grad_()
    loss = curve_loss(estimate, rows.reflectivity[:4], CONFIG).mean()
    (gradient,) = torch.autograd.grad(loss, estimate)
    span = torch.from_numpy(CONFIG.space.span)
    direction = gradient * span**2
    step = 1e-4 / float((direction / span).abs().max())
    after = curve_loss(estimate.detach() - step * direction, rows.reflectivity[:4], CONFIG).mean()
    assert float(after) < float(loss.detach())


def test_the_decoder_is_shown_what_the_network_would_see_without_noise(rows, batch):
    valid = batch.input[:, 1]
    clean = clean_window(torch.from_numpy(rows.reflectivity), valid, CONFIG).numpy()
    valid = valid.numpy()
    assert clean.shape == valid.shape
    np.testing.assert_allclose((clean * valid).sum(axis=1), 0.0, atol=0.1)
    stored = np.log10(rows.reflectivity + BACKGROUND)
    expected = [np.interp(CONFIG.scan.angle, CONFIG.stored_scan.angle, curve) for curve in stored]
    difference = clean - np.array(expected) / DEX
    np.testing.assert_allclose(difference, difference[:, :1].repeat(valid.shape[1], 1), atol=1e-3)


@pytest.mark.parametrize("kind", ["weighted", "flow", "multitask", "attention"])
def test_alpha_mixes_both_losses(batch, kind):
    net = network(kind)
    with torch.no_grad():
        plain = float(made()(net, batch))
        curve, half = (float(made(curve=CurveLoss(alpha, 0.25))(net, batch)) for alpha in (1.0, 0.5))
        grown = float(made(curve=CurveLoss(0.5, 0.25))(net, batch, 0.5 * objective.RAMP))
        tuned = float(made(curve=CurveLoss(0.5, 0.25), ramped=False)(net, batch, 0.0))
        assert float(made(curve=CurveLoss(0.5, 0.25))(net, batch, 0.0)) == pytest.approx(plain, rel=1e-6)
    assert half == pytest.approx(0.5 * (plain + curve), rel=1e-5)
    assert grown == pytest.approx(0.75 * plain + 0.25 * curve, rel=1e-5)
    assert tuned == pytest.approx(half, rel=1e-6)


def test_the_losses_have_comparable_sizes(batch):
    """Of a network that knows nothing; docs/training.md has those of one that knows more."""
    with torch.no_grad():
        plain = float(made()(network(), batch))
        curve = float(made(curve=CurveLoss(1.0, 1.0))(network(), batch))
        metric = float(made(metrics=Metrics(CONFIG, batch.params.numpy()))(network(), batch))
    assert 0.3 < curve / plain < 3.0
    assert 0.3 < metric / plain < 3.0


def test_simulated_rows_carry_their_weights_and_gradients(batch):
    net = network().train()
    one = made(curve=CurveLoss(1.0, 1e-6))  # a single row
    loss = one(net, batch)
    loss.backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in net.parameters())
    twice = one(net, batch._replace(weight=2.0 * batch.weight)).detach()
    assert float(twice) == pytest.approx(2.0 * float(loss.detach()), rel=1e-4)


def test_a_network_that_is_not_finite_is_not_simulated(batch):
    net = network()
    torch.nn.init.constant_(net.head.out.bias, float("nan"))
    assert not np.isfinite(float(made(curve=CurveLoss())(net, batch).detach()))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (("mse", None, None), r"loss 'mse' is unknown; choose parameters or curve"),
        (("curve", 1.5, None), r"alpha = 1\.5 must lie"),
        (("curve", -0.1, None), r"alpha = -0\.1 must lie"),
        (("curve", float("nan"), None), "alpha = nan must lie"),
        (("curve", None, 0.0), "curve_share = 0 must be above 0"),
        (("curve", None, 2.0), "curve_share = 2 must be"),
        (("parameters", 0.5, None), "belong to the loss curve"),
        (("parameters", None, 0.5), "belong to the loss curve"),
        (("curve", None, None, 20.0), "sublayers of 20 Å"),
    ],
)
def test_refuses_losses_without_meaning(choice, message):
    with pytest.raises(ParameterError, match=message):
        choose_loss(*choice)


def test_defaults():
    assert choose_loss("parameters", None, None) is None
    assert choose_loss("curve", None, None) == CurveLoss(0.5, 0.125)
    assert choose_loss("curve", 0.2, 1.0) == CurveLoss(0.2, 1.0)
