"""Networks: sizes, bounds by construction, phases, and that they can learn."""

import numpy as np
import pytest
import torch

from xrdml.known import Ranges
from xrdml.losses import weighted_loss
from xrdml.nets import Architecture, Model, build
from xrdsim.errors import ParameterError
from xrdsim.parameters import ParameterSpace

SMALL = {"channels": (8, 16), "blocks": (1, 1), "stem": 8, "kernel": 3, "queries": 2, "hidden": 32}


def ranges(space):
    return Ranges.of(space, (-8.0, 8.0), (25.0, 80.0))


def told(n, outputs=7):
    return torch.cat([torch.zeros(n, outputs + 2), torch.ones(n, outputs + 2)], dim=1)


def small(**change):
    torch.manual_seed(0)
    return build(Architecture(**SMALL | change))


def test_default_network_is_compact():
    size = sum(tensor.numel() for tensor in build(Architecture()).parameters())
    assert 0.3e6 < size < 1.4e6


@pytest.mark.parametrize("outputs", [7, 9])
@pytest.mark.parametrize("kind", list(Model))
def test_any_output_is_a_valid_vector(kind, outputs):
    net = small(kind=kind, outputs=outputs, fine=(0, 3) if kind is Model.HIERARCHICAL else ())
    space = ParameterSpace() if outputs == 7 else ParameterSpace().with_damage()
    with torch.no_grad():
        for tensor in net.parameters():
            tensor.mul_(5.0)
        params = ranges(space).values(net(10.0 * torch.randn(64, 2, 701), told(64, outputs)).double())
    assert params.shape == (64, outputs)
    assert space.contains(params.numpy()).all()


def test_masked_places_and_short_windows_are_accepted():
    net = small(points=300).eval()
    out = net(torch.zeros(3, 2, 300))
    assert torch.isfinite(out).all()
    np.testing.assert_allclose(out[0].detach(), out[2].detach(), atol=1e-6)


def test_the_correction_starts_at_zero_and_changes_its_columns_only():
    net = small(kind="hierarchical", fine=(0, 3)).eval()
    x = torch.randn(5, 2, 701)
    coarse = net.coarse(net.encoder(x)).sigmoid()
    torch.testing.assert_close(net(x), coarse)
    torch.nn.init.ones_(net.fine.out.bias)
    changed = (net(x) != coarse).any(dim=0)
    assert changed.tolist() == [True, False, False, True, False, False, False]


def test_hierarchical_needs_something_to_correct():
    with pytest.raises(ParameterError, match="fine"):
        small(kind="hierarchical")


def test_fits_a_few_samples():
    generator = np.random.default_rng(0)
    space = ParameterSpace()
    unit = torch.from_numpy(generator.random((8, 7)).astype(np.float32))
    params = ranges(space).values(unit)
    x = torch.from_numpy(generator.normal(size=(8, 2, 701)).astype(np.float32))
    net, span = small(), torch.tensor(space.span, dtype=torch.float32)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss = weighted_loss(ranges(space).values(net(x, told(8))), params, span, torch.ones(7))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
