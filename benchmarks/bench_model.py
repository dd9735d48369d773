"""Time of one curve in each mode, on one core: ``pytest benchmarks --benchmark-only``."""

import numba
import numpy as np
import pytest

from xrdsim.benchmark.throughput import DAMAGE, DEMONSTRATION, VARIANTS
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.model import simulate

CURVES = 64


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_simulate(benchmark, variant):
    row = np.array([*DEMONSTRATION, *(DAMAGE if variant.damaged else ())])
    rows = np.repeat(row[None], CURVES, axis=0)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        benchmark(linearize if variant.derivatives else simulate, rows, **variant.options)
    finally:
        numba.set_num_threads(before)
    benchmark.extra_info["ms_per_curve"] = 1e3 * benchmark.stats["median"] / CURVES
