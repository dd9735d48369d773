"""How good a trained network is on curves that it has not seen."""
