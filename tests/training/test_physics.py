"""The simulator as a torch function: its gradient against finite differences and against the Jacobian."""

import numpy as np
import pytest
import torch

import xrdsim
from xrdml.training.physics import log_intensity
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.forward.derivatives import linearize, pull_back

SCAN = Scan(-40.0, 25.0, 40)


def test_the_forward_pass_is_the_simulator(prior):
    got = log_intensity(torch.tensor(prior[:3], dtype=torch.float32), background=1e-5, scan=SCAN)
    assert got.dtype == torch.float32
    rows = torch.tensor(prior[:3], dtype=torch.float32).double().numpy()
    expected = xrdsim.simulate(rows, background=1e-5, scan=SCAN).intensity
    np.testing.assert_allclose(got.numpy(), np.log10(expected), rtol=1e-6)


def test_gradcheck(prior):
    """Parameters in units of their ranges; steps so fine that a change of their number does not show."""
    span = torch.tensor(xrdsim.ParameterSpace().span)
    unit = torch.tensor(prior[:2] / xrdsim.ParameterSpace().span, requires_grad=True)
    fwhm = torch.tensor([30.0, 42.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([1.0, 0.7], dtype=torch.float64, requires_grad=True)
    background = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    zero = torch.tensor([0.5, -3.0], dtype=torch.float64, requires_grad=True)

    def function(unit, fwhm, scale, background, zero):
        return log_intensity(
            unit * span,
            fwhm=fwhm,
            scale=scale,
            background=1e-4 * background,
            zero=zero,
            scan=Scan(100.0, 60.0, 6),
            rtol_dex=1e-8,
        )

    assert torch.autograd.gradcheck(function, (unit, fwhm, scale, background, zero), eps=1e-6, atol=2e-5, rtol=1e-4)


def test_gradcheck_with_damage(prior):
    rows = np.column_stack([prior[:1], [0.3], [0.8]])
    span = torch.tensor(xrdsim.ParameterSpace().with_damage().span)
    unit = torch.tensor(rows / span.numpy(), requires_grad=True)

    def function(unit):
        return log_intensity(unit * span, scan=Scan(100.0, 60.0, 6), rtol_dex=1e-8)

    assert torch.autograd.gradcheck(function, (unit,), eps=1e-6, atol=2e-5, rtol=1e-4)


def test_the_adjoint_is_the_transposed_jacobian(prior):
    rng = np.random.default_rng(2)
    cotangent = rng.standard_normal((5, SCAN.points))
    names = ("background", "fwhm")
    experiment = {"fwhm": [25.0, 30.0, 60.0, 30.0, 41.0], "scale": 1.3, "zero": 2.0, "scan": SCAN}
    linear = linearize(prior[:5], nuisances=names, **experiment)
    got = pull_back(prior[:5], cotangent, nuisances=names, **experiment)
    np.testing.assert_allclose(got, np.einsum("ni,nik->nk", cotangent, linear.slope), rtol=1e-10)
    with pytest.raises(ParameterError, match="the cotangent has the shape"):
        pull_back(prior[:5], cotangent[:, 1:], **experiment)


def test_descent_along_the_gradient_approaches_the_curve(demonstration):
    """A few Adam steps on the curve loss, from a start 2 % off, halve the misfit."""
    span = torch.tensor(xrdsim.ParameterSpace().span)
    true = torch.tensor(np.array([demonstration]), dtype=torch.float64)
    target = log_intensity(true, scan=SCAN)
    unit = (true / span * (1.0 + 0.02 * torch.tensor([1, -1, 1, -1, 1, -1, 1]))).requires_grad_()
    optimiser = torch.optim.Adam([unit], lr=2e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = ((log_intensity(unit * span, scan=SCAN) - target) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses) < 0.25 * losses[0]
