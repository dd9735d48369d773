"""From a measured curve to the profile: the measurement model, refinement, global search, uncertainties, report."""
