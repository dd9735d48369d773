"""Networks: sizes, bounds by construction, phases, and that they can learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xrdml.data.ranges import Ranges
from xrdml.networks.losses import weighted_loss
from xrdml.networks.nets import Architecture, Model, build
from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace

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


@pytest.mark.parametrize("outputs", [7, 9])
def test_attention_has_a_head_for_depths_and_one_for_strains_and_damage(outputs):
    net = small(kind="attention", outputs=outputs).eval()
    for head, value in ((net.depths, 10.0), (net.strains, -10.0)):
        torch.nn.init.zeros_(head.out.weight)
        torch.nn.init.constant_(head.out.bias, value)
    high = net(torch.randn(3, 2, 701))[0] > 0.5
    names = ParameterSpace().with_damage().names[:outputs]
    assert [name for name, chosen in zip(names, high, strict=True) if chosen] == ["L1", "Rp1", "L2", "Rp2"]
    assert net.strains.out.out_features == outputs - 4


def test_attention_heads_see_the_whole_sequence():
    net = small(kind="attention").eval()
    features = torch.randn(2, 44, 16)
    changed = features.clone()
    changed[:, 0] = torch.randn(2, 16)
    assert (net.attention(features) != net.attention(changed)).any(dim=2).all()


def test_the_decoder_learns_the_curve_from_the_same_features():
    net = small(kind="multitask").eval()
    x, clean = torch.randn(4, 2, 701), torch.randn(4, 701)
    estimated, further = net.learn(x, told(4), torch.zeros(4, 9), clean)
    torch.testing.assert_close(estimated, net(x))
    decoded = net.decode(net.encoder(x))
    assert decoded.shape == (4, 701)
    none = net.learn(x, told(4), torch.zeros(4, 9), decoded.detach())[1]
    assert float(further.detach().min()) > 0.1 > float(none.detach().max()) == 0.0
    further.sum().backward()
    assert net.encoder.place.grad.any()
    assert net.decoder[0].weight.grad.any()
    assert net.learn(x, told(4), torch.zeros(4, 9), None)[1] is None


def test_cards_hold_what_their_kind_has():
    assert not {"layers", "heads"} & set(Architecture.of("flow", 701, 9).to_dict())
    assert "point" not in Architecture.of("weighted", 701, 9).to_dict()
    values = Architecture.of("attention", 701, 9).to_dict()
    assert (values["layers"], values["heads"], values["channels"]) == (2, 4, [64, 128, 192])
    assert Architecture(**values | {"channels": (64, 128, 192), "blocks": (1, 1, 1), "fine": ()}) == Architecture.of(
        "attention", 701, 9
    )


def test_the_flow_of_earlier_models_is_unchanged():
    """Names and sizes of the tensors that trained models hold."""
    net = build(replace(Architecture.of("flow", 701, 9), point=0))
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert len(shapes) == 134
    assert shapes["encoder.place"] == (22, 256)
    assert shapes["trunk.out.weight"] == (128, 256)
    assert shapes["point.weight"] == (9, 128)
    assert shapes["posterior.gaussian.weight"] == (77, 128)
    assert sum(tensor.numel() for tensor in net.parameters()) == 2069647


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
