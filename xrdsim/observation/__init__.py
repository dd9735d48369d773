"""Curves as diffractometers show them: instruments of any shape, the noise of counts, the grid of a network."""
