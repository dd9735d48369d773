"""What many blocks cost: opening a dataset, and resuming one that lacks a single block.

    python benchmarks/blocks.py [blocks] [blocks] …

The blocks are small, 16 rows each: what is measured is the cost of a block, not of its curves.
"""

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from xrdsim import generate, open_dataset
from xrdsim.dataset import store
from xrdsim.dataset.configuration import Part


def main(numbers: list[int]) -> None:
    """Measure, and print a table."""
    print("| blocks | made in [s] | opened in [s] | resumed in [s] | files | metadata [kB] |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for blocks in numbers:
            path = Path(folder) / f"{blocks}.zarr"
            choices = {"n": 16 * blocks, "block_size": 16, "test_rows": 16, "sampler": "sobol", "rtol_dex": 1e-2}
            times = [time.perf_counter()]
            generate(path, **choices)
            times.append(time.perf_counter())
            open_dataset(path)
            times.append(time.perf_counter())
            store.discard_block(path, Part.TRAIN, blocks // 2)
            times.append(time.perf_counter())
            generate(path, **choices, resume=True)
            times.append(time.perf_counter())
            made, opened, _, resumed = (after - before for before, after in pairwise(times))
            files = sum(1 for file in path.rglob("*") if file.is_file())
            size = (path / "zarr.json").stat().st_size / 1e3
            print(f"| {blocks} | {made:.1f} | {opened:.3f} | {resumed:.1f} | {files} | {size:.1f} |")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [64, 512, 4096])
