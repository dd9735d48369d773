"""Rocking curves of ion-implanted crystals: simulation, sensitivity and datasets.

Names are imported when they are first used: compiled kernels and file formats take time to load.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xrdsim.crystal import GGG_444, Reflection, Scan
    from xrdsim.curves import Curve, read_curve
    from xrdsim.dataset import Dataset, open_dataset
    from xrdsim.derivatives import Linearization, finite_difference, jacobian, linearize
    from xrdsim.errors import XrdError
    from xrdsim.generation import append, generate
    from xrdsim.information import Fisher, fisher
    from xrdsim.model import Curves, depth_end, simulate, strain_profile
    from xrdsim.parameters import ParameterSpace
    from xrdsim.samplers import Sample, sample
    from xrdsim.sampling import draw_prior
    from xrdsim.sensitivity import Sensitivity, measure_sensitivity

_HOMES = {
    "Curve": "curves",
    "Curves": "model",
    "Dataset": "dataset",
    "Fisher": "information",
    "GGG_444": "crystal",
    "Linearization": "derivatives",
    "ParameterSpace": "parameters",
    "Reflection": "crystal",
    "Sample": "samplers",
    "Scan": "crystal",
    "Sensitivity": "sensitivity",
    "XrdError": "errors",
    "append": "generation",
    "depth_end": "model",
    "draw_prior": "sampling",
    "finite_difference": "derivatives",
    "fisher": "information",
    "generate": "generation",
    "jacobian": "derivatives",
    "linearize": "derivatives",
    "measure_sensitivity": "sensitivity",
    "open_dataset": "dataset",
    "read_curve": "curves",
    "sample": "samplers",
    "simulate": "model",
    "strain_profile": "model",
}

__all__ = [
    "GGG_444",
    "Curve",
    "Curves",
    "Dataset",
    "Fisher",
    "Linearization",
    "ParameterSpace",
    "Reflection",
    "Sample",
    "Scan",
    "Sensitivity",
    "XrdError",
    "append",
    "depth_end",
    "draw_prior",
    "finite_difference",
    "fisher",
    "generate",
    "jacobian",
    "linearize",
    "measure_sensitivity",
    "open_dataset",
    "read_curve",
    "sample",
    "simulate",
    "strain_profile",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("xrdsim")
    if name not in _HOMES:
        raise AttributeError(f"module 'xrdsim' has no attribute {name!r}")
    return getattr(import_module(f"xrdsim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
