"""Rocking curves of ion-implanted crystals: simulation, sensitivity and datasets."""

from xrdsim.model import Curves, depth_end, finite_difference, simulate, strain_profile
from xrdsim.sensitivity import Sensitivity, measure_sensitivity

__all__ = [
    "Curves",
    "Sensitivity",
    "depth_end",
    "finite_difference",
    "measure_sensitivity",
    "simulate",
    "strain_profile",
]
