"""Rocking curves of ion-implanted crystals: simulation, sensitivity and datasets."""

from xrdsim.model import depth_end, simulate, strain_profile

__all__ = ["depth_end", "simulate", "strain_profile"]
