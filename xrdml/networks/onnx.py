"""A trained network as an ONNX file, for programs without PyTorch (https://onnx.ai).

Inputs are ``window`` (n, 2, points) of ``xrdml.data.measurement`` and ``conditions`` (n, 2k) of ``xrdml.data.ranges``;
output is ``unit`` (n, p), coordinates of the unit cube, which ``ParameterSpace.from_unit`` maps onto the parameters.
The card goes into the file's metadata. A posterior stays behind: the file gives the point estimate.
"""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from xrdml.networks.checkpoint import TrainedModel
from xrdsim.errors import ParameterError, XrdError
from xrdsim.files import replacing

TOLERANCE = 1e-5
"""Largest difference of a coordinate between PyTorch and the ONNX runtime."""

_ROWS = 8  # that the two are compared on
_OPSET = 18


def export_onnx(trained: TrainedModel, path: str | Path) -> float:
    """Write a model as ONNX and compare what the ONNX runtime makes of it with PyTorch.

    Returns
    -------
    float
        The largest difference of a coordinate, at most TOLERANCE.

    Raises
    ------
    ParameterError
        The packages of the extra ``onnx`` are missing.
    XrdError
        The results differ; nothing is written.
    OutputError
        The file cannot be written.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ParameterError(f"{error.name} is missing; pip install 'xrdsim[onnx]'") from error
    rng = np.random.default_rng(0)
    k = trained.ranges.low.shape[1]
    window = rng.normal(size=(_ROWS, 2, trained.window.points)).astype(np.float32)
    conditions = np.tile(np.repeat(np.array([0.0, 1.0], np.float32), k), (_ROWS, 1))
    target = Path(path)
    with replacing(target) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own packages
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            torch.onnx.export(
                trained.net,
                (torch.from_numpy(window), torch.from_numpy(conditions)),
                temporary,
                input_names=["window", "conditions"],
                output_names=["unit"],
                dynamic_shapes=({0: "n"}, {0: "n"}),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
                external_data=False,
            )
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, {"card": json.dumps(trained.card)})
        onnx.save(model, temporary)
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        worst = 0.0
        for rows in (slice(0, 1), slice(0, _ROWS)):
            given = {"window": window[rows], "conditions": conditions[rows]}
            named = {each.name for each in session.get_inputs()}  # what a network does not look at is left out
            (found,) = session.run(None, {name: value for name, value in given.items() if name in named})
            with torch.inference_mode():
                expected = trained.net(torch.from_numpy(window[rows]), torch.from_numpy(conditions[rows])).numpy()
            worst = max(worst, float(np.abs(found - expected).max()))
        if not worst <= TOLERANCE:
            raise XrdError(f"{target}: the ONNX runtime differs by {worst:.2g} from PyTorch; nothing was written")
    return worst
