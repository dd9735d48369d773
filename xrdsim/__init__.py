"""Rocking curves of ion-implanted crystals: simulation, sensitivity and datasets.

Names are imported when they are first used: compiled kernels and file formats take time to load.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xrdsim.curves.curve import Curve, read_curve
    from xrdsim.dataset.generation import append, generate
    from xrdsim.dataset.reading import Dataset, open_dataset
    from xrdsim.dataset.samplers import Sample, sample
    from xrdsim.errors import XrdError
    from xrdsim.experiment.reflection import GGG_444, Reflection, Scan
    from xrdsim.forward.derivatives import Linearization, finite_difference, jacobian, linearize
    from xrdsim.forward.model import Curves, depth_end, simulate, strain_profile
    from xrdsim.forward.prior import draw_prior
    from xrdsim.information.fisher import Fisher, fisher
    from xrdsim.information.sensitivity import Sensitivity, measure_sensitivity
    from xrdsim.profiles.space import ParameterSpace

_HOMES = {
    "Curve": "curves.curve",
    "Curves": "forward.model",
    "Dataset": "dataset.reading",
    "Fisher": "information.fisher",
    "GGG_444": "experiment.reflection",
    "Linearization": "forward.derivatives",
    "ParameterSpace": "profiles.space",
    "Reflection": "experiment.reflection",
    "Sample": "dataset.samplers",
    "Scan": "experiment.reflection",
    "Sensitivity": "information.sensitivity",
    "XrdError": "errors",
    "append": "dataset.generation",
    "depth_end": "forward.model",
    "draw_prior": "forward.prior",
    "finite_difference": "forward.derivatives",
    "fisher": "information.fisher",
    "generate": "dataset.generation",
    "jacobian": "forward.derivatives",
    "linearize": "forward.derivatives",
    "measure_sensitivity": "information.sensitivity",
    "open_dataset": "dataset.reading",
    "read_curve": "curves.curve",
    "sample": "dataset.samplers",
    "simulate": "forward.model",
    "strain_profile": "forward.model",
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
