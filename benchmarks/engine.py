"""How fast `xrd gen` is beside its kernel: a dataset and bare simulations of the same curves take turns.

    python benchmarks/engine.py [rows] [rounds]

The kernel simulates blocks of the same sampler on all cores, one block a core as the engine does, and keeps nothing.
"""

import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba

from xrdsim import ParameterSpace, generate, simulate
from xrdsim.dataset.configuration import Configuration
from xrdsim.dataset.samplers import sample
from xrdsim.dataset.store import read_configuration
from xrdsim.files import size_of


def engine(path: Path, rows: int) -> tuple[float, Configuration]:
    """Curves per second of a whole run, the pilot measurement included, and the configuration."""
    start = time.perf_counter()
    generate(path, n=rows, sampler="adaptive", test_rows=1, overwrite=True)
    return (rows + 1) / (time.perf_counter() - start), read_configuration(path)


def kernel(rows: int, config: Configuration) -> float:
    """Curves per second of the simulation alone."""
    drawn = sample("adaptive", rows, sensitivity=config.sensitivity).params
    blocks = [drawn[first : first + config.block_size] for first in range(0, rows, config.block_size)]

    def make(block: object) -> None:
        numba.set_num_threads(1)
        simulate(block, scan=config.stored_scan, fwhm=config.base_fwhm, space=ParameterSpace())

    start = time.perf_counter()
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(make, blocks))
    return rows / (time.perf_counter() - start)


def main(rows: int, rounds: int) -> None:
    """Compare, and print medians."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.zarr"
        config = engine(path, 4096)[1]  # loads the kernels
        kernel(4096, config)
        pairs = [(engine(path, rows)[0], kernel(rows, config)) for _ in range(rounds)]
        size = size_of(path) / (rows + 1)
    ratios = sorted(ours / alone for ours, alone in pairs)
    ours, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{rows} curves of {config.stored_scan.points} angles, {rounds} rounds, {numba.get_num_threads()} cores:")
    print(f"xrd gen {ours:,.0f} curves/s, kernel {alone:,.0f} curves/s, {size:,.0f} bytes a curve on disk")
    print(f"share of the kernel's throughput: {statistics.median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})")


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["32768", "5"][len(sys.argv) - 1 :])))
