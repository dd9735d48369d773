"""Which sampler teaches a network most: the same network, steps, noise and test set for every one.

    python benchmarks/samplers.py [csv]

Each run is a network of 0.4 million parameters, trained for EPOCHS on ROWS curves of one sampler (a tenth for
validation) and tested on TEST_ROWS curves of the prior, whose rows and noise are the same in all runs. The seed of a
run is that of its dataset, of the initial weights, the batches and the noise. A finished run is a line of the CSV file
and is not done again; the table is printed from the file.
"""

import csv
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from xrdml import Measurement, load_model
from xrdml.evaluation.errors import test_errors
from xrdml.networks.nets import Architecture
from xrdml.training import train as training
from xrdsim import generate
from xrdsim.profiles.two_gaussians import NAMES

VARIANTS = [(name, False) for name in ("grid", "adaptive", "sobol", "edge", "jeffreys")]
VARIANTS += [("edge", True), ("jeffreys", True)]
SEEDS = (1, 2, 3)
ROWS, TEST_ROWS, TEST_SEED = 20_000, 2000, 0
EPOCHS = 6
CHANNELS = (32, 64, 96)

ERRORS = (*NAMES, "mean", "curve_error_dex", "profile_error")
COLUMNS = ("sampler", "undo_sampler", "seed", *ERRORS, "seconds")


def key(row):
    return row["sampler"], row["undo_sampler"] == "True", int(row["seed"])


def read(path):
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {key(row): row for row in csv.DictReader(file)}


def measure(data, test, undo, seed, folder):
    start = time.perf_counter()
    run = training.train(data, output=folder, epochs=EPOCHS, patience=EPOCHS, seed=seed, undo_sampler=undo)
    seconds = time.perf_counter() - start
    found = test_errors(
        load_model(run.path).net,
        test.config.simulation,
        test.load("test"),
        data.parameters[:],
        Measurement(),
        test.config.seed,
    )["model"]
    errors = {name: found["parameters"][name]["mae_percent"] for name in NAMES}
    errors |= {"mean": found["mean_mae_percent"]}
    errors |= {name: found[name] for name in ("curve_error_dex", "profile_error")}
    return {name: f"{value:.4f}" for name, value in errors.items()} | {"seconds": f"{seconds:.0f}"}


def study(path):
    training.Architecture = partial(Architecture, channels=CHANNELS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        test = generate(folder / "test.zarr", n=1, test_rows=TEST_ROWS, sampler="sobol", seed=TEST_SEED)
        for seed in SEEDS:
            for sampler, undo in VARIANTS:
                if (sampler, undo, seed) in read(path):
                    continue
                data = generate(
                    folder / f"{sampler}-{seed}.zarr", n=ROWS, test_rows=8, sampler=sampler, seed=seed, resume=True
                )
                row = measure(data, test, undo, seed, folder / f"{sampler}-{undo}-{seed}")
                new = not path.exists()
                with path.open("a", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                    if new:
                        writer.writeheader()
                    writer.writerow({"sampler": sampler, "undo_sampler": undo, "seed": seed} | row)


def table(rows):
    print("| sampler | " + " | ".join(ERRORS) + " |\n|" + "---|" * (len(ERRORS) + 1))
    for sampler, undo in VARIANTS:
        found = [rows[sampler, undo, seed] for seed in SEEDS if (sampler, undo, seed) in rows]
        cells = []
        for name in ERRORS:
            values = np.array([float(row[name]) for row in found])
            digits = 3 if name in ("curve_error_dex", "profile_error") else 1
            cells.append(f"{values.mean():.{digits}f} ± {np.ptp(values) / 2:.{digits}f}" if found else "—")
        print(f"| {sampler}{', undone' if undo else ''} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".csv")
    study(target)
    table(read(target))
