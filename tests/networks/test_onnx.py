"""ONNX files give what the network gives, for any number of curves."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from xrdml.data.measurement import Measurement
from xrdml.networks.checkpoint import TrainedModel
from xrdml.networks.nets import Architecture, build
from xrdml.networks.onnx import TOLERANCE, export_onnx
from xrdsim.errors import OutputError, ParameterError
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.experiment.setup import Experiment
from xrdsim.profiles.space import ParameterSpace


def trained(kind):
    torch.manual_seed(0)
    net = build(Architecture(kind=kind, outputs=9, channels=(8, 16), blocks=(1, 1), queries=2, hidden=32)).eval()
    space = ParameterSpace().with_damage()
    return TrainedModel(net, space, DEFAULT_SCAN, Measurement(), Experiment(), {"definition": {"of": kind}}, Path(kind))


@pytest.mark.parametrize("kind", ["weighted", "flow"])
def test_the_onnx_runtime_agrees(kind, tmp_path):
    model, path = trained(kind), tmp_path / "model.onnx"
    assert export_onnx(model, path) <= TOLERANCE
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["card"]) == {"definition": {"of": kind}}
    seen = np.random.default_rng(1).normal(size=(5, 2, 701)).astype(np.float32)
    given = {"window": seen, "conditions": np.tile(model.ranges.conditions(model.ranges).numpy(), (5, 1))}
    wanted = {each.name for each in session.get_inputs()}
    (unit,) = session.run(None, {name: value for name, value in given.items() if name in wanted})
    params = np.stack(model.space.from_unit(list(unit.T.astype(np.float64))), axis=1)
    np.testing.assert_allclose(params / model.space.high[0], model.estimate(seen) / model.space.high[0], rtol=1e-3)


def test_an_unwritable_file_and_missing_packages_are_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export_onnx(trained("weighted"), tmp_path / "file" / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ParameterError, match=r"pip install 'xrdsim\[onnx\]'"):
        export_onnx(trained("weighted"), tmp_path / "model.onnx")
