"""Measured rocking curves and the files that hold them."""
