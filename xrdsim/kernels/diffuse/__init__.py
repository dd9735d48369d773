"""Kernels of diffuse scattering; the formulas are in ``xrdsim.forward.diffuse``."""
