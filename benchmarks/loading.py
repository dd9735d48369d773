"""How fast a dataset is read, and how fast its rows reach a network in random order.

    python benchmarks/loading.py [rows] [repeats]

Makes a dataset of real curves in a temporary folder. `blocks` reads it in order, a block at a time, each compared with
its checksum; `unchecked` does without; `buffer` and
`memory` are minibatches of 256 as tensors, without the measurement model, from disk and from memory. MB are of
uncompressed curves. The files were just written: what is read is in the system's cache.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from xrdml.data.source import open_source, shuffled
from xrdsim import generate, open_dataset
from xrdsim.files import size_of

SIZE = 256


def read_blocks(data):
    return sum(len(rows.reflectivity) for rows in data.blocks())


def read_shuffled(source, epoch):
    rows = np.arange(len(source.params))
    drawn = shuffled(source, rows, np.ones(len(rows), np.float32), SIZE, seed=0, epoch=epoch)
    return sum(len(torch.from_numpy(batch.reflectivity)) for batch in drawn)


def main(n, repeats):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.zarr"
        data = generate(path, n=n, test_rows=SIZE, sampler="adaptive", sensitivity=np.ones(7), rtol_dex=1e-2)
        per_curve = 4 * len(data.angle)
        on_disk = size_of(path) / (n + SIZE)
        unchecked = open_dataset(path, verify=False)
        buffer, memory = open_source(data, 0.0), open_source(data, 1e12)
        readers = {
            "blocks": lambda _: read_blocks(data),
            "unchecked": lambda _: read_blocks(unchecked),
            "buffer": lambda epoch: read_shuffled(buffer, epoch),
            "memory": lambda epoch: read_shuffled(memory, epoch),
        }
        rates = {name: [] for name in readers}
        for repeat in range(repeats + 1):
            for name, read in readers.items():
                start = time.perf_counter()
                count = read(repeat)
                if repeat > 0:
                    rates[name].append(count / (time.perf_counter() - start))
    print(f"{n} curves of {len(data.angle)} angles, {on_disk:.0f} of {per_curve} bytes each on disk; {repeats} repeats")
    print("|  | curves/s | MB/s | slowest/fastest |\n|---|---|---|---|")
    for name, found in rates.items():
        rate = statistics.median(found)
        print(f"| {name} | {rate:,.0f} | {rate * per_curve / 1e6:,.0f} | {max(found) / min(found):.2f} |")


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["40960", "7"][len(sys.argv) - 1 :])))
