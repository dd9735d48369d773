"""The learned inversion on the test sets and against the thresholds of ``inversion.py``.

    python benchmarks/bench_inversion.py estimates [RUN]    errors and coverage on 5000 curves, twice
    python benchmarks/bench_inversion.py solve [RUN]        2000 curves refined from the network, resumable
    python benchmarks/bench_inversion.py floor [RUN]        errors of the posterior median of 200 curves, resumable
    python benchmarks/bench_inversion.py speed [RUN]        latency on one core
    python benchmarks/bench_inversion.py measured FILE …    measured curves, `xrd predict --refine --damage`

RUN is the folder of a model; without it, the one that ships with the package. `solve` and `floor` write a line a curve
into inversion_solve.csv and inversion_floor.csv beside this file, and print what these hold.
"""

import csv
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import numba
import numpy as np
import torch
from bench_fit import prepare
from inversion import (
    COVERAGE,
    FLOOR_CURVES,
    LATENCY_MS,
    MAE_PERCENT,
    SOLVE_RATE,
    SOLVE_SECONDS,
    SOLVE_SEEDS,
    TEST_ROWS,
    TEST_SEED,
)
from synthetic import SOLVED

from xrdml.data.ranges import Ranges
from xrdml.data.source import Minibatch, make_batch, stream
from xrdml.inference.prediction import predict
from xrdml.inference.starts import allowed, candidates, seen, solve_curve
from xrdml.networks.checkpoint import load_model
from xrdsim.dataset.fresh import fresh_rows
from xrdsim.dataset.simulation import Simulation
from xrdsim.fit.posterior import posterior
from xrdsim.fit.refinement import refine

FOLDER = Path(__file__).parent
DRAWS = 199  # of which the central 180 of 200 gaps hold 90 %
STEPS = 600  # of the chains
CASES = ("end anywhere", "cover the profile")


def estimates(model):
    """Errors of the point estimate and coverage of the intervals; scans that cover the profile, and all."""
    trained = load_model(model)
    simulation = Simulation(trained.space, trained.window)
    span, names = trained.space.span, trained.space.names
    covered_all, lines = [], []
    for damage in (False, True):
        rows = fresh_rows(simulation, TEST_ROWS, stream(TEST_SEED, damage), 0.0 if damage else 1.0)
        for covered in (1.0, 0.0):
            prior = replace(trained.measurement, covered=covered)
            batch = make_batch(
                Minibatch.of(rows.reflectivity, rows.params, rows.density, simulation),
                simulation,
                prior,
                stream(TEST_SEED, 2, int(covered)),
            )
            inputs = batch.input.numpy()
            point = trained.estimate(inputs, batch.ranges)
            error = 100.0 * np.abs(point - rows.params) / span
            p = len(names)
            values = np.column_stack([rows.params, batch.ranges.values(batch.unit).numpy()[:, p:]])
            drawn = trained.draw(inputs, DRAWS, batch.ranges, seed=3).values
            rank = (drawn < values[:, None]).sum(axis=1)
            inside = (rank >= 10) & (rank < 190)
            contraction = 1.0 - drawn.var(axis=1) / np.maximum(values.var(axis=0), 1e-30)
            label = f"{'with' if damage else 'no'} damage, scans {CASES[covered == 1.0]}"
            guess = 100.0 * np.abs(np.median(rows.params, axis=0) - rows.params) / span
            shown = p if damage else 7
            lines.append((label, "MAE %", *(f"{value:.2f}" for value in error.mean(axis=0)[:shown])))
            middle = 100.0 * np.abs(np.median(drawn[:, :, :p], axis=1) - rows.params) / span
            lines.append(("", "of the samples' median", *(f"{value:.2f}" for value in middle.mean(axis=0)[:shown])))
            lines.append(("", "of the prior's median", *(f"{value:.2f}" for value in guess.mean(axis=0)[:shown])))
            known = [*range(shown), p, p + 1]
            lines.append(("", "covered %", *(f"{100.0 * value:.1f}" for value in inside.mean(axis=0)[known])))
            lines.append(("", "contraction", *(f"{value:.3f}" for value in contraction.mean(axis=0)[known])))
            covered_all.append((label, inside.mean(axis=0)[known]))
    print(f"{TEST_ROWS} curves each, {DRAWS} samples of the posterior a curve\n")
    print("| | | " + " | ".join((*names, "zero", "fwhm")) + " |")
    print("|" + "---|" * (4 + len(names)))
    for line in lines:
        if len(line) == 2 + 7 + 2 and line[1].startswith(("covered", "contraction")):
            line = (*line[:9], "", "", *line[9:])  # without damage: zero and fwhm stand at the end
        print("| " + " | ".join(line) + " |")
    print("\nwanted: " + ", ".join(f"{name} {value}" for name, value in MAE_PERCENT.items()) + " (no damage)")
    outside = sum(int(np.sum((held < COVERAGE[0]) | (held > COVERAGE[1]))) for _, held in covered_all)
    print(f"coverage outside {COVERAGE[0]:.0%} … {COVERAGE[1]:.0%}: {outside} of {sum(len(h) for _, h in covered_all)}")


@lru_cache(maxsize=1)
def _model(path):
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    return load_model(path)


@lru_cache(maxsize=1)
def _ready(path):
    """The model, after two curves of no test set, with damage and without: loading kernels is no part of solving."""
    trained = _model(path)
    for seed in (900000, 900001):
        solve_curve(prepare(seed)[1], trained)
    return trained


def solve_one(model, seed):
    """The line of a curve."""
    trained = _ready(model)
    made, given = prepare(seed)
    x = given.coordinates(made.params[None], made.zero, made.fwhm)
    truth = refine(given, x, rtol_dex=1e-4)
    begun = time.perf_counter()
    found = solve_curve(given, trained)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    candidates(given, trained)
    drawn = time.perf_counter() - begun
    chi2 = 2.0 * float(found.objective[0]) / given.freedom
    return {
        "seed": seed,
        "damaged": int(len(made.params) == 9),
        "points": len(given),
        "chi2": round(chi2, 5),
        "truth_chi2": round(2.0 * float(truth.objective[0]) / given.freedom, 5),
        "draw_seconds": round(drawn, 4),
        "seconds": round(seconds, 4),
    }


def floor_curve(seed):
    """A curve of the floor, its problem, and whether it is measured on to the end of the profile: two of four are."""
    covers = bool(seed // 2 % 2)
    return *prepare(seed, covers), covers


def floor_one(model, seed):
    """Errors of the median of Markov chains that begin at what the network leads to."""
    trained = _model(model)
    made, given, covers = floor_curve(seed)
    starts = candidates(given, trained)
    ends = refine(given, starts[:24], max_iter=25)
    kept = ends.objective <= ends.objective.min() + 12.0
    sampled = posterior(given, ends.x[kept], seed=seed, steps=STEPS, rtol_dex=1e-2)
    size = len(made.params)
    half = len(sampled.samples) // 2
    medians = [
        np.median(part[:, :size], axis=0) for part in (sampled.samples, sampled.samples[:half], sampled.samples[half:])
    ]
    span = given.space.span
    low, high = np.quantile(sampled.samples[:, :size], (0.05, 0.95), axis=0)
    line = {"seed": seed, "damaged": int(size == 9), "covers": int(covers), "effective": round(sampled.effective, 1)}
    for j, name in enumerate(given.space.names):
        line[f"{name}_error"] = round(100.0 * abs(medians[0][j] - made.params[j]) / span[j], 4)
        line[f"{name}_moved"] = round(100.0 * abs(medians[1][j] - medians[2][j]) / span[j], 4)
        line[f"{name}_covered"] = int(low[j] <= made.params[j] <= high[j])
    return line


def floor_network(model, seed):
    """Errors of the network's estimate of the same curve, by name."""
    trained = _model(model)
    made, given, _ = floor_curve(seed)
    (first,) = given.measurements
    point = trained.estimate(
        seen(made.curve, trained), allowed(Ranges.of(given.space, first.zero, *first.limits), trained)
    )[0]
    error = 100.0 * np.abs(point[: len(made.params)] - made.params) / given.space.span
    return dict(zip(given.space.names, error, strict=True))


def resumed(file, function, seeds):
    """The lines of all seeds; those that the file lacks are made."""
    done = list(csv.DictReader(file.open(encoding="utf-8"))) if file.exists() else []
    known = {int(row["seed"]) for row in done}
    todo = [seed for seed in seeds if seed not in known]
    names = [f"{name}_{what}" for name in (*MAE_PERCENT, "kappa", "p") for what in ("error", "moved", "covered")]
    header = ["seed", "damaged", "covers", "effective", *names]
    if function.func is solve_one:
        header = ["seed", "damaged", "points", "chi2", "truth_chi2", "draw_seconds", "seconds"]
    with (
        ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool,
        file.open("a", newline="", encoding="utf-8") as output,
    ):
        writer = csv.DictWriter(output, header, lineterminator="\n")
        if not done:
            writer.writeheader()
        for line in pool.map(function, todo):
            writer.writerow(line)
            output.flush()
    wanted = set(seeds)
    return [row for row in csv.DictReader(file.open(encoding="utf-8")) if int(row["seed"]) in wanted]


def solve_all(model, count):
    rows = resumed(FOLDER / "inversion_solve.csv", partial(solve_one, model), list(SOLVE_SEEDS)[:count])
    numbers = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    solved, solvable = numbers["chi2"] <= SOLVED, numbers["truth_chi2"] <= SOLVED
    print(f"{len(rows)} curves, one core each; wanted {SOLVE_RATE:.1%} within {SOLVE_SECONDS} s\n")
    print("| | curves | solved | solvable | of these solved | within 0.2 s | median s | 95 % s | of it network |")
    print("|---|---|---|---|---|---|---|---|---|")
    for label, some in (
        ("no damage", numbers["damaged"] == 0),
        ("with damage", numbers["damaged"] == 1),
        ("all", numbers["damaged"] >= 0),
    ):
        seconds = numbers["seconds"][some]
        quick = (solved & (numbers["seconds"] <= SOLVE_SECONDS))[some & solvable].mean()
        print(
            f"| {label} | {some.sum()} | {solved[some].mean():.2%} | {solvable[some].mean():.2%} | "
            f"{solved[some & solvable].mean():.2%} | {quick:.2%} | {np.median(seconds):.3f} | "
            f"{np.quantile(seconds, 0.95):.3f} | {np.median(numbers['draw_seconds'][some]):.3f} |"
        )
    failed = [row for row in rows if float(row["chi2"]) > SOLVED]
    print(f"\nNot solved, {len(failed)}: seed (χ², from the truth) ", end="")
    print("; ".join(f"{row['seed']} ({float(row['chi2']):.2f}, {float(row['truth_chi2']):.2f})" for row in failed))


def floor(model, count):
    rows = resumed(
        FOLDER / "inversion_floor.csv", partial(floor_one, model), list(SOLVE_SEEDS)[: count or FLOOR_CURVES]
    )
    for row in rows:
        network = floor_network(model, int(row["seed"]))
        row.update({f"{name}_network": error for name, error in network.items()})
    print(
        "Posterior median and, on the same curves, the network: mean error, % of range; how far the median moves from"
    )
    print("one half of the chains to the other, % of range; truths inside the central 90 % of the chains, %\n")
    print("| | | " + " | ".join((*MAE_PERCENT, "kappa", "p")) + " |\n" + "|---" * 11 + "|")
    for damaged in ("0", "1"):
        for covers in ("1", "0"):
            some = [row for row in rows if (row["damaged"], row["covers"]) == (damaged, covers)]
            effective = np.nanmedian([float(row["effective"]) for row in some])
            label = f"{'with' if damaged == '1' else 'no'} damage, scans {CASES[covers == '1']}: "
            label += f"{len(some)} curves, {effective:.0f} effective samples (median)"
            for what, said in (("error", "median"), ("network", "network"), ("moved", "moved"), ("covered", "covered")):
                scale = 100.0 if what == "covered" else 1.0
                values = [
                    f"{scale * np.mean([float(row[f'{name}_{what}']) for row in some]):.2f}"
                    for name in (*MAE_PERCENT, *(("kappa", "p") if damaged == "1" else ()))
                ]
                print(f"| {label} | {said} | " + " | ".join(values + [""] * (9 - len(values))) + " |")
                label = ""


def speed(model):
    """Milliseconds of an estimate and of samples, one curve at a time."""
    trained = _model(model)
    seen = np.random.default_rng(0).normal(size=(256, 2, trained.window.points)).astype(np.float32)
    cases = {
        f"estimate, one curve (wanted ≤ {LATENCY_MS:g})": lambda: trained.estimate(seen[:1]),
        "estimate, a curve of 256": lambda: trained.estimate(seen),
        "96 samples, one curve": lambda: trained.draw(seen[:1], 96),
        "500 samples, one curve": lambda: trained.draw(seen[:1], 500),
    }
    for label, run in cases.items():
        run()
        times = []
        for _ in range(30):
            begun = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - begun) / (256 if "256" in label else 1))
        print(f"{label}: {statistics.median(times):.2f} ms (median of 30)")


def measured(files):
    """How well and how fast measured curves are described, by the packaged network once it is loaded."""
    trained = _model(None)
    for file in files:
        found = predict(file, trained, refine=True, damage=True)  # compiles what is not in the cache
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            predict(file, trained, refine=True, damage=True)
            times.append(time.perf_counter() - begun)
        print(f"{file}: mean |log10| {found.mean_abs_log10:.4f}, {statistics.median(times):.2f} s (median of five)")


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or [""]
    model = rest[0] if rest and not rest[0].isdigit() else None
    count = next((int(value) for value in rest if value.isdigit()), None)
    if what == "estimates":
        estimates(model)
    elif what == "solve":
        solve_all(model, count)
    elif what == "floor":
        floor(model, count)
    elif what == "speed":
        speed(model)
    elif what == "measured" and rest:
        measured(rest)
    else:
        raise SystemExit(__doc__)
