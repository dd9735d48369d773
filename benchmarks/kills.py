"""Kill `xrd gen` again and again, complete the dataset and compare its bytes with one made in peace.

    python benchmarks/kills.py [kills] [rows]

Each run is `xrd gen --resume`. Every fifth gets SIGKILL at a random time after its start, the others at one after they
began to read and write the dataset.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from xrdsim.dataset.integrity import verify

LONGEST = 3.0
"""Seconds until which a process is killed."""


def command(path, rows):
    return [sys.executable, "-m", "cli", "gen", "-n", str(rows), "--block-size", "512", "-o", str(path), "--resume"]


def files(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def state(path):
    """What a kill left, and the number of marked blocks."""
    marked = {file.parent.parent.name.removesuffix("block_checksum") + file.name for file in path.glob("*checksum/c/*")}
    begun = {
        file.relative_to(path).parts[0].removesuffix(name) + file.relative_to(path).parts[2]
        for name in ("parameters", "reflectivity")
        for file in path.glob(f"*{name}/c/*/*")
    }
    if not (path / "zarr.json").exists():
        return "before the first byte", 0
    if begun - marked or list(path.rglob("*.partial")):
        return "a block written in part", len(marked)
    return "no block written in part", len(marked)


def main(kills, rows):
    chance, left = random.Random(1), Counter()
    with tempfile.TemporaryDirectory() as folder:
        path, peace = Path(folder) / "killed.zarr", Path(folder) / "peace.zarr"
        lock = Path(folder) / "killed.zarr.lock"
        start = time.perf_counter()
        subprocess.run(command(peace, rows), check=True, capture_output=True)
        undisturbed = time.perf_counter() - start
        for number in range(kills):
            process = subprocess.Popen(command(path, rows), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while number % 5 and not lock.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, LONGEST))
            ended = process.poll() is not None
            process.kill()
            process.wait()
            lock.unlink(missing_ok=True)  # it locks nothing any more
            kind, marked = state(path)
            left["ended before the kill" if ended else kind] += 1
        start = time.perf_counter()
        subprocess.run(command(path, rows), check=True, capture_output=True)
        last = time.perf_counter() - start
        found = verify(path)
        same = files(path) == files(peace)
    print(f"{kills} kills of {rows} rows: {', '.join(f'{number} × {kind}' for kind, number in left.most_common())};")
    print(f"{marked} of {found.blocks} blocks before the last run, which took {last:.0f} s (all: {undisturbed:.0f} s);")
    print(f"intact: {found.intact}; the same bytes as without kills: {same}")


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["20", "40000"][len(sys.argv) - 1 :])))
