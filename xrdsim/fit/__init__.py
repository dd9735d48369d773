"""From a measured curve to the profile: the measurement model, refinement, global search, uncertainties, report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
