"""The forward model: from a profile to a reflectivity, to a measured curve, and its derivatives."""
