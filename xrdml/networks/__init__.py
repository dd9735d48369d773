"""Networks from a curve to parameters, their posterior distributions and their files."""
