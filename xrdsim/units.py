"""Units at the public edges: lengths in Å, angles in arcsec; kernels and formulas use radians."""

import math

ARCSEC = math.pi / 648000.0
"""One second of arc in radians."""

FWHM_TO_SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
"""Standard deviation of a Gaussian of unit full width at half maximum."""
