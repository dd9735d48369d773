"""A measured curve through a network: estimates, samples and starts of a fit."""
