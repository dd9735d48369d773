"""Error of the continuum against much finer steps: vectors of the prior and narrow flanks, without and with damage.

    python benchmarks/accuracy.py [vectors]

Prints, for each asked accuracy, the median, the 99 % quantile and the largest RMS error of log10 R over the scan.
"""

import sys

import numpy as np

from xrdsim.forward.model import simulate
from xrdsim.forward.prior import draw_prior
from xrdsim.profiles.two_gaussians import L1, L2, RP1

ASKED = (1e-3, 1e-4, 1e-5)
FINEST = 1e-7


def narrow(rows, rng):
    """The same vectors with one flank of 1 … 150 Å (right, odd rows) or 1 … 50 Å (left, even rows)."""
    out = rows.copy()
    width = rng.uniform(1.0, 150.0, len(rows))
    out[1::2, L1] = np.minimum(out[1::2, L1], 6500.0)
    out[1::2, RP1] = np.maximum(out[1::2, L1] - width[1::2], 0.0)
    out[::2, RP1] = rng.uniform(1.0, 50.0, len(rows[::2]))
    out[:, L2] = np.minimum(out[:, L2], out[:, L1])
    return out


def damaged(rows, rng):
    """The same vectors with damage from its whole range."""
    kappa, p = rng.uniform(0.0, 0.6, len(rows)), np.exp(rng.uniform(np.log(0.25), np.log(4.0), len(rows)))
    return np.column_stack([rows, kappa, p])


def vectors(count):
    """What both errors are measured on, by name."""
    rng = np.random.default_rng(2026)
    prior = draw_prior(count, rng=rng)
    flanks = narrow(draw_prior(count, rng=rng), rng)
    return {
        "prior": prior,
        "narrow flanks": flanks,
        "prior, damage": damaged(prior, rng),
        "narrow flanks, damage": damaged(flanks, rng),
    }


def main(count):
    print(f"{count} vectors each; RMS error of log10 R over 701 angles, against rtol_dex = {FINEST:g}")
    print(f"{'':24s} {'asked':>8s} {'median':>8s} {'99 %':>8s} {'largest':>8s}  above what was asked")
    for name, rows in vectors(count).items():
        best = np.log10(simulate(rows, fwhm=0, rtol_dex=FINEST).reflectivity)
        for asked in ASKED:
            curves = np.log10(simulate(rows, fwhm=0, rtol_dex=asked).reflectivity)
            error = np.sqrt(np.mean((curves - best) ** 2, axis=1))
            above = int((error > asked).sum())
            median, most = np.quantile(error, [0.5, 0.99])
            print(f"{name:24s} {asked:8.0e} {median:8.1e} {most:8.1e} {error.max():8.1e}  {above}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
