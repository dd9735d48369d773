"""The optimiser of hidden weights: against the singular value decomposition, and against that of torch."""

import pytest
import torch

from xrdml.networks.nets import Architecture, Model, build, hidden_weights
from xrdml.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(40, 40), (24, 90), (90, 24)])
def test_singular_vectors_stay_and_singular_values_become_about_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(0.0, -1.5, shape[1])
    left, before, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ orthogonal(matrix) @ right.T
    after = inside.diagonal()
    kept = before > 0.01 * before.norm()  # smaller ones are not brought up in five steps
    assert kept.sum() > 10
    assert ((after > 0.5) & (after < 1.4))[kept].all()
    assert (inside - after.diag()).abs().max() < 0.05


def test_of_a_matrix_it_steps_as_that_of_torch():
    theirs = pytest.importorskip("torch", minversion="2.9").optim.Muon
    torch.manual_seed(0)
    begin = torch.randn(32, 48)
    weights = [torch.nn.Parameter(begin.clone()) for _ in range(2)]
    ours = Muon(weights[:1], lr=0.1, weight_decay=0.2)
    reference = theirs(weights[1:], lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        gradient = torch.randn(32, 48)
        for weight in weights:
            weight.grad = gradient.clone()
        ours.step()
        reference.step()
    moved = (weights[0] - begin).norm()
    assert moved > 1.0
    assert (weights[0] - weights[1]).norm() < 0.02 * moved


def test_a_convolution_is_the_matrix_of_its_outputs():
    torch.manual_seed(0)
    convolution = torch.nn.Parameter(torch.randn(8, 4, 1, 3))
    matrix = torch.nn.Parameter(convolution.detach().flatten(1))
    convolution.grad = torch.randn(8, 4, 1, 3).contiguous(memory_format=torch.channels_last)
    matrix.grad = convolution.grad.flatten(1)
    Muon([convolution], lr=0.1).step()
    Muon([matrix], lr=0.1).step()
    torch.testing.assert_close(convolution.flatten(1), matrix)


def test_a_weight_without_gradient_stays():
    weight = torch.nn.Parameter(torch.ones(3, 3))
    Muon([weight], lr=0.1).step()
    assert (weight == 1.0).all()


@pytest.mark.parametrize("kind", list(Model))
def test_hidden_weights_are_most_of_a_network_and_none_of_its_ends(kind):
    fine = (0, 3) if kind is Model.HIERARCHICAL else ()
    net = build(Architecture.of(kind, 701, 9, fine))
    names = {id(weight): name for name, weight in net.named_parameters()}
    hidden = hidden_weights(net)
    found = {names[id(weight)] for weight in hidden}
    assert len(found) == len(hidden)
    assert all(weight.ndim > 1 for weight in hidden)
    assert not any(part in name for name in found for part in ("place", "score", ".out.", "posterior"))
    assert "encoder.layers.0.weight" not in found
    assert sum(weight.numel() for weight in hidden) > 0.6 * sum(weight.numel() for weight in net.parameters())
