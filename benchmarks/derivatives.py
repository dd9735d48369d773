"""Error of the derivatives by the size of the steps: against those of much finer steps.

    python benchmarks/derivatives.py [vectors]

Prints the relative error of ∂log10 R/∂p, the norm over the scan of each parameter's column, for the vectors of
``accuracy.py``: median, 99 % quantile and worst over vectors and parameters.
"""

import sys

import numpy as np
from accuracy import vectors

from xrdsim.forward.derivatives import jacobian

ASKED = (1e-3, 1e-4, 1e-5)
FINEST = 1e-7


def main(count):
    print(f"{'':24s} {'asked':>8s} {'median':>8s} {'99 %':>8s} {'largest':>8s}")
    for name, rows in vectors(count).items():
        best = jacobian(rows, fwhm=0, rtol_dex=FINEST)
        for asked in ASKED:
            error = np.linalg.norm(jacobian(rows, fwhm=0, rtol_dex=asked) - best, axis=1)
            error /= np.linalg.norm(best, axis=1)
            median, most = np.quantile(error, [0.5, 0.99])
            print(f"{name:24s} {asked:8.0e} {median:8.1e} {most:8.1e} {error.max():8.1e}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
