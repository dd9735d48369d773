"""Memory of simulating many curves in blocks.

    python benchmarks/memory.py [curves]

Simulates curves of the prior in blocks of 10 000 with a 30″ instrument and prints the largest resident memory.
"""

import resource
import sys
import time

import numpy as np

from xrdsim.forward.model import simulate
from xrdsim.forward.prior import draw_prior

BLOCK = 10_000


def main(count):
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    total = 0.0
    for first in range(0, count, BLOCK):
        total += simulate(draw_prior(min(BLOCK, count - first), rng=rng)).intensity.mean()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(f"{count:,} curves in {seconds:.0f} s, {count / seconds:,.0f} curves/s; largest memory {peak:.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
