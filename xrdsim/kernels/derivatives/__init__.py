"""Derivatives of the reflectivity over the parameters of a profile."""
