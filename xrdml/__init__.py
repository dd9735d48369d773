"""Learn to invert rocking curves: from measured curves to strain profiles.

Names are imported when they are first used, since PyTorch takes long to load.
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Waiting threads of OpenMP must sleep: spinning, they keep those of Numba and of other processes from the cores, and on
# busy ones training ran slower. It is read when PyTorch and Numba load their OpenMP libraries.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from xrdml.checkpoint import TrainedModel, load_model
    from xrdml.data import Measurement
    from xrdml.predict import Prediction, predict
    from xrdml.train import Progress, Run, train

__all__ = ["Measurement", "Prediction", "Progress", "Run", "TrainedModel", "load_model", "predict", "train"]

_HOMES = {
    "Measurement": "data",
    "Prediction": "predict",
    "Progress": "train",
    "Run": "train",
    "TrainedModel": "checkpoint",
    "load_model": "checkpoint",
    "predict": "predict",
    "train": "train",
}


class _Package(ModuleType):
    """A package in which ``train`` and ``predict`` are the functions, even after ``import xrdml.train``."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, getattr(value, name) if _HOMES.get(name) == name else value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'xrdml' has no attribute {name!r}")
        return getattr(import_module(f"xrdml.{_HOMES[name]}"), name)


sys.modules[__name__].__class__ = _Package
