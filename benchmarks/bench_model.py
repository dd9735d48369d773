"""Time of one curve in each mode, on one core: ``pytest benchmarks --benchmark-only``."""

import numba
import numpy as np
import pytest

from xrdsim.bench import DEMONSTRATION, VARIANTS
from xrdsim.model import simulate

CURVES = 64


@pytest.mark.parametrize("name", VARIANTS)
def test_simulate(benchmark, name):
    rows = np.repeat(np.array([DEMONSTRATION]), CURVES, axis=0)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        benchmark(simulate, rows, **VARIANTS[name])
    finally:
        numba.set_num_threads(before)
    benchmark.extra_info["ms_per_curve"] = 1e3 * benchmark.stats["median"] / CURVES
