"""Fits of profiles of no given shape: splines whose smoothness and number of coefficients the curve chooses."""
