"""A step of training asks the device for nothing: what would make a card wait for the host, and the host for it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from xrdml.data.prior import WHOLE_CURVE
from xrdml.data.ranges import Narrowing, whole_ranges
from xrdml.data.source import Minibatch, make_batch, stream
from xrdml.networks.nets import Architecture, build
from xrdml.training.epoch import Steps, learn, optimizers_of
from xrdml.training.objective import Objective
from xrdsim.dataset.fresh import fresh_rows
from xrdsim.dataset.simulation import Simulation
from xrdsim.experiment.scan import WHOLE_SCAN
from xrdsim.profiles.space import ParameterSpace

SMALL = {"channels": (8, 16), "blocks": (1, 1), "queries": 2, "hidden": 32, "context": 16}
SIMULATION = Simulation(ParameterSpace().with_damage(), WHOLE_SCAN)
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal.default", "_unique", "item")


class Watched(TorchDispatchMode):
    """Notes the operations of which a host waits for the result."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        index = args[1] if name.startswith("aten.index.") else []
        if any(each in name for each in WAITING) or any(
            each is not None and each.dtype == torch.bool for each in index
        ):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["weighted", "flow", "multitask"])
def test_a_step_reads_no_number(kind, monkeypatch):
    monkeypatch.setattr("xrdml.training.epoch.READ", {"cpu": 100})
    rows = fresh_rows(SIMULATION, 8, np.random.default_rng(0), 0.5)
    held = Minibatch.of(rows.reflectivity, rows.params, rows.density, SIMULATION)
    net = build(Architecture(kind, WHOLE_SCAN.points, 9, **SMALL))
    loss = Objective(SIMULATION, whole_ranges(SIMULATION.space, WHOLE_CURVE), np.ones(9), torch.device("cpu"), False)
    watched = Watched()

    def drawn():
        for number in range(3):
            yield make_batch(held, SIMULATION, WHOLE_CURVE, stream(0, number), Narrowing())
            if number == 2:
                assert watched.found == []

    with watched:
        mean, rate = learn(net, net, optimizers_of(net), drawn(), loss, Steps(0, 10, 1e-3), lambda *_: None)
    assert np.isfinite(mean)
    assert rate > 0.0
    assert watched.found == ["aten._local_scalar_dense.default"]  # the mean loss at the end
