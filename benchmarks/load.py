"""What other work on the machine does to the commands: each is timed idle and beside busy neighbours.

    python benchmarks/load.py [train|predict|evaluate|fit …] [--neighbours 2] [--repeats 3]

A neighbour is a process that counts, one for each processor by default. `train` is one epoch of 2000 stored curves, for
every model; its speed is that of the steps as the command itself states it. The others are whole processes: the
pretrained network on a simulated curve, refined; its evaluation on 60 curves; a fit of that curve. Printed are the
median of the speeds (curves/s) or times (s), and the busy speed in parts of the idle one. Exit code 1 if a training
falls below 0.4 of its idle speed.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

MODELS = ("weighted", "hierarchical", "flow", "multitask", "attention")
LEAST = 0.4  # of the idle speed
SAMPLE = ["Dmax1=0.0113", "D01=0.0016", "L1=5400", "Rp1=3300", "D02=0.0042", "L2=3600", "Rp2=-300"]


@contextmanager
def neighbours(count):
    """So many processes that keep a processor busy."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def xrd(*arguments):
    """Standard error of a whole run, and its seconds."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "xrdml", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stderr, time.perf_counter() - begun


def training_speed(folder, model):
    """Curves a second of the steps."""
    output = tempfile.mkdtemp(dir=folder)
    printed, _ = xrd("train", folder / "d.zarr", "--epochs", 1, "--model", model, "-o", output)
    return float(re.findall(r"([\d,]+) curves/s", printed)[-1].replace(",", ""))


def jobs(names, folder):
    """Name, a function that gives a speed, and its unit."""
    found = []
    if "train" in names:
        xrd("gen", "-n", 2000, "--test-rows", 200, "-o", folder / "d.zarr")
        found += [(f"train --model {model}", lambda model=model: training_speed(folder, model)) for model in MODELS]
    curve, result = folder / "curve.xy", folder / "result"
    parameters = [part for value in SAMPLE for part in ("--param", value)]
    more = ("--counts", 300000, "--background", 1e-4, "--text", curve, "-o", folder / "truth.npz")
    xrd("simulate", *parameters, *more)
    commands = {
        "predict": ("predict", curve, "--refine", "-o", result),
        "evaluate": ("evaluate", "--rows", 60, "--refined", 20, "-o", result),
        "fit": ("fit", curve, "--per-count", 1 / 300000, "-o", result),
    }
    found += [(name, lambda call=call: 1.0 / xrd(*call)[1]) for name, call in commands.items() if name in names]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["train", "predict", "evaluate", "fit"])
    parser.add_argument("--neighbours", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    failed = False
    print(f"{os.cpu_count()} processors, {chosen.neighbours} neighbours, medians of {chosen.repeats}")
    with tempfile.TemporaryDirectory() as folder:
        for name, speed in jobs(chosen.names, Path(folder)):
            speed()  # compiles what is not compiled yet
            idle = statistics.median(speed() for _ in range(chosen.repeats))
            with neighbours(chosen.neighbours):
                busy = statistics.median(speed() for _ in range(chosen.repeats))
            training = name.startswith("train")
            shown = [f"{value:7.0f} curves/s" if training else f"{1 / value:7.2f} s" for value in (idle, busy)]
            missed = training and busy < LEAST * idle
            failed |= missed
            print(f"{name:24s} idle {shown[0]}   busy {shown[1]}   {busy / idle:.2f}{'  MISSED' if missed else ''}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
