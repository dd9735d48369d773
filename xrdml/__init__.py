"""Learn to invert rocking curves: from measured curves to strain profiles.

Names are imported when they are first used, since PyTorch takes long to load.
"""

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

# Waiting threads of OpenMP must sleep: spinning, they keep those of Numba and of other processes from the cores, and on
# busy ones training ran slower. It is read when PyTorch and Numba load their OpenMP libraries.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from xrdml.data.measurement import Measurement
    from xrdml.inference.prediction import Prediction, predict
    from xrdml.networks.checkpoint import TrainedModel, load_model
    from xrdml.training.train import Progress, Run, train

__all__ = ["Measurement", "Prediction", "Progress", "Run", "TrainedModel", "load_model", "predict", "train"]

_HOMES = {
    "Measurement": "data.measurement",
    "Prediction": "inference.prediction",
    "Progress": "training.train",
    "Run": "training.train",
    "TrainedModel": "networks.checkpoint",
    "load_model": "networks.checkpoint",
    "predict": "inference.prediction",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("xrdsim")
    if name not in _HOMES:
        raise AttributeError(f"module 'xrdml' has no attribute {name!r}")
    return getattr(import_module(f"xrdml.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
