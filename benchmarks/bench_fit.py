"""How many noisy curves the fit solves, how fast, and whether its intervals and its words are honest.

    python benchmarks/bench_fit.py run SET [curves]      one line a curve; goes on where it was interrupted
    python benchmarks/bench_fit.py table SET[+SET]       what came out
    python benchmarks/bench_fit.py network RUN [curves]  refinements from a network's starts instead
    python benchmarks/bench_fit.py speed                 refinements from given starts

SET is tuning, acceptance or further: 50 curves for development, 500 for the figures, 500 more for the intervals. The
curves are those of ``synthetic.py``: whole, counted, behind one of three instruments, every second one with damage.
Each is fitted as `xrd fit` does with its defaults, on one core; seconds are those of the processor. A curve is solved
if its reduced χ² is at most 1.15; "from the truth" is a refinement begun at the true parameters with the true
instrument, whose χ² no fit can undercut by much. A solved curve is lost if the verdict says that the model does not
describe it, or stands at a limit. The baseline is SciPy's least squares with numerical derivatives from the centre of
the ranges, for the first 100 curves.
"""

import csv
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np
import torch
from scipy.optimize import least_squares

sys.path.insert(0, str(Path(__file__).parent))
from synthetic import ACCEPTANCE, FURTHER, SOLVED, TUNING, synthetic

from xrdml.inference.starts import NetworkStarts, solve_curve
from xrdml.networks.checkpoint import load_model
from xrdsim import ParameterSpace, depth_end, strain_profile
from xrdsim.fit.posterior import quadratic
from xrdsim.fit.preparation import WHOLE
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import refine, refine_all
from xrdsim.fit.series import fit

BASELINE = 100  # curves
BASELINE_CALLS = 200
LOST = ("at its limits", "described only roughly", "not described", "not this material or reflection")
FOLDER = Path(__file__).parent
SETS = {"tuning": TUNING, "acceptance": ACCEPTANCE, "further": FURTHER}
NAMES = (*ParameterSpace().with_damage().names, "zero", "fwhm")
HEADER = ["seed", "damaged", "points", "family", "found", "chi2", "truth_chi2", "seconds", "ended", "verdict"]
HEADER += ["minima", "baseline_chi2"]
HEADER += ["baseline_seconds", "profile_covered"]
HEADER += [f"{name}_{what}" for name in NAMES for what in ("true", "value", "low", "high", "bound")]


def prepare(seed, covered=False, known=False):
    """The curve of a seed and its problem, as a user would set it up who knows whether there is damage.

    The instrument is left to the evidence, or ``known`` by its family, of a model that is exact.
    """
    made = synthetic(seed, covered=covered)
    space = ParameterSpace() if len(made.params) == 7 else ParameterSpace().with_damage()
    whole = {name: WHOLE[name] for name in ("instrument", "background")}
    chosen = {"instrument": made.family} if known else whole
    others = {name: value for name, value in WHOLE.items() if name not in whole}
    others |= {"tolerance": 0.0} if known else {}
    return made, problem(made.curve, unknowns=Unknowns(space=space, **chosen), **others)


def baseline(given):
    """Reduced χ² and seconds of plain least squares from the centre."""
    (measured,), low, high = given.measurements, given.layout.low, given.layout.high
    centre = 0.5 * (low + high)
    centre[given.layout.profile.stop :] = measured.start

    def residuals(z):
        (mu,) = given.expected(given.values(z[None]))
        return measured.residuals(mu)[0]

    begun = time.process_time()
    result = least_squares(
        residuals, centre, bounds=(low, high), x_scale=high - low, diff_step=1e-4, max_nfev=BASELINE_CALLS
    )
    return 2.0 * result.cost / given.freedom, time.process_time() - begun


@lru_cache(maxsize=1)
def starts():
    """Those of the network, on one core."""
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    return NetworkStarts()


def one(which, seed, number):
    """The line of a curve."""
    begin = starts()
    made, given = prepare(seed)
    damaged = len(made.params) == 9
    begun = time.process_time()
    found = fit(made.curve, damage=damaged, starts=begin, budget=300.0, seed=seed)
    seconds = time.process_time() - begun
    truth = np.concatenate([made.params, [made.zero], made.instrument])
    _, known = prepare(seed, known=True)
    x = known.coordinates(made.params[None], made.zero, *made.instrument)
    from_truth = refine(known, x, rtol_dex=1e-4)
    span = np.append(known.space.span, np.ones(1 + len(made.instrument)))
    information = quadratic(known, x)[1][0] * np.outer(span, span)
    bound = span * np.sqrt(np.diag(np.linalg.inv(information + 1e-9 * np.eye(len(span)))))
    true = strain_profile(made.params[None], found.depth, space=known.space)[0]
    within = (true >= found.band[0]) & (true <= found.band[3])
    deep = found.depth <= depth_end(made.params[None], space=known.space)[0]
    line = {
        "seed": seed,
        "damaged": int(damaged),
        "points": len(given),
        "family": str(made.family.family),
        "found": found.settings["instrument"]["family"],
        "chi2": found.reduced_chi2,
        "truth_chi2": 2.0 * float(from_truth.objective[0]) / known.freedom,
        "seconds": seconds,
        "ended": found.ended,
        "verdict": found.verdict,
        "minima": sum(minimum.acceptable for minimum in found.minima),
        "profile_covered": float(np.mean(within[deep])),
    }
    if which != "further" and number < BASELINE:
        line["baseline_chi2"], line["baseline_seconds"] = baseline(given)
    estimates = {each.name: each for each in (*found.parameters, *found.measurement)}
    for name, value, least in zip(known.layout.names, truth, bound, strict=True):
        line |= {f"{name}_true": value, f"{name}_bound": least}
        if name in estimates and name in NAMES:
            each = estimates[name]
            line |= {f"{name}_value": each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return {name: value for name, value in line.items() if name in HEADER}


def run(which, curves):
    """Fit the curves that the file lacks."""
    file = FOLDER / f"fit_{which}.csv"
    done = {int(row["seed"]) for row in read(file)} if file.exists() else set()
    todo = [(seed, number) for number, seed in enumerate(list(SETS[which])[:curves]) if seed not in done]
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(len(os.sched_getaffinity(0)), spawn) as pool,
        file.open("a", newline="", encoding="utf-8") as output,
    ):
        writer = csv.DictWriter(output, HEADER, lineterminator="\n")
        if output.tell() == 0:
            writer.writeheader()
        futures = [pool.submit(one, which, *task) for task in todo]
        for count, future in enumerate(as_completed(futures), start=1):
            line = {
                key: f"{value:.6g}" if isinstance(value, float) else value for key, value in future.result().items()
            }
            writer.writerow(line)
            output.flush()
            if count % 10 == 0:
                print(f"{count} of {len(todo)}", flush=True)


def read(path):
    """Lines of a file."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(which):
    """Print what came out, failures included."""
    files = [FOLDER / f"fit_{name}.csv" for name in which.split("+")]
    rows = sorted((row for file in files for row in read(file)), key=lambda row: int(row["seed"]))

    def column(name, of=rows):
        return np.array([float(row[name]) if row.get(name) else np.nan for row in of])

    print(f"{len(rows)} curves of the set {which}, one core each, as `xrd fit` does\n")
    print("| | curves | solved | of those solvable from the truth | seconds: median, 95 %, most |")
    print("|---|---|---|---|---|")
    kinds = {"all": ("0", "1"), "no damage": ("0",), "damage": ("1",)}
    for name, flags in kinds.items():
        chosen = [row for row in rows if row["damaged"] in flags]
        chi2, truth, seconds = column("chi2", chosen), column("truth_chi2", chosen), column("seconds", chosen)
        solved, possible = chi2 <= SOLVED, truth <= SOLVED
        times = ", ".join(f"{value:.1f}" for value in (np.median(seconds), np.quantile(seconds, 0.95), seconds.max()))
        shares = f"{100 * solved.mean():.1f} % | {100 * solved[possible].mean():.1f} %"
        print(f"| {name} | {len(chosen)} | {shares} | {times} |")
    fine = [row for row in rows if float(row["chi2"]) <= SOLVED]
    said = {verdict: sum(row["verdict"] == verdict for row in fine) for verdict in sorted({r["verdict"] for r in fine})}
    lost = sum(number for verdict, number in said.items() if verdict in LOST)
    print("\nOf the solved: " + ", ".join(f"{verdict} {number}" for verdict, number in said.items()), end="; ")
    print(f"{lost} lost ({100.0 * lost / max(len(fine), 1):.1f} %)")
    print(f"Instrument of the right family: {100.0 * np.mean([row['family'] == row['found'] for row in fine]):.0f} %")
    base = column("baseline_chi2")
    known = np.isfinite(base)
    if known.any():
        share, seconds = np.mean(base[known] <= SOLVED), np.median(column("baseline_seconds")[known])
        ours = np.mean(column("chi2")[known] <= SOLVED)
        print(
            f"\nSciPy least squares from the centre, {known.sum()} of these curves: {100 * share:.0f} % solved in",
            end=" ",
        )
        print(f"{seconds:.1f} s (median); the fit: {100 * ours:.0f} %.")
    solved = [row for row in rows if float(row["chi2"]) <= SOLVED]
    print(f"\nOf the {len(solved)} solved curves:\n")
    print("| | 90 % interval covers the truth | median error by 0.6745 × bound, where bound < 5 % of range (curves) |")
    print("|---|---|---|")
    space = ParameterSpace().with_damage()
    spans = dict(zip(NAMES, [*space.span, 40.0, 100.0], strict=True))
    for name in NAMES:
        some = [row for row in solved if row.get(f"{name}_true") and row.get(f"{name}_low")]
        each = (column(f"{name}_{what}", some) for what in ("true", "value", "low", "high", "bound"))
        true, value, low, high, bound = each
        slack = 1e-5 * np.abs(true)  # digits of the file
        covered = np.mean((true >= low - slack) & (true <= high + slack))
        sharp = bound < 0.05 * spans[name]
        ratio = np.median(np.abs(value - true)[sharp] / (0.6745 * bound[sharp])) if sharp.any() else np.nan
        print(f"| {name} | {100 * covered:.1f} % | {ratio:.2f} ({sharp.sum()}) |")
    inside = 100 * np.mean(column("profile_covered", solved))
    print(f"| strain profile, mean over depth, of its band of 95 % | {inside:.1f} % | |")
    failed = [row for row in rows if float(row["chi2"]) > SOLVED]
    print(
        f"\nNot solved, {len(failed)}: seed (χ², from the truth) "
        + "; ".join(f"{row['seed']} ({float(row['chi2']):.2f}, {float(row['truth_chi2']):.2f})" for row in failed)
    )


def network(folder, curves):
    """Refine what a network takes for likely, without a search: share solved and time."""
    trained = load_model(folder)
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    lines = []
    for seed in list(ACCEPTANCE)[: curves or 100]:
        made, given = prepare(seed)
        begun = time.process_time()
        found = solve_curve(given, trained)
        seconds = time.process_time() - begun
        lines.append((len(made.params) == 9, 2.0 * float(found.objective.min()) / given.freedom, seconds))
    damaged, chi2, seconds = map(np.array, zip(*lines, strict=True))
    print(f"{len(lines)} curves of the set acceptance, one core, starts of {folder}, seconds of the first left out")
    for name, some in (("no damage", ~damaged), ("damage", damaged)):
        solved = 100 * np.mean(chi2[some] <= SOLVED)
        print(f"{name}: {solved:.0f} % of {some.sum()} solved, {np.median(seconds[1:][some[1:]]):.2f} s (median)")


def speed():
    """Time of refinements from starts near the truth."""
    rng = np.random.default_rng(1)
    prepared = [prepare(seed) for seed in range(910_000, 910_250)]
    problems = [given for _, given in prepared]
    starts = []
    for made, given in prepared:
        x = given.coordinates(made.params[None], 0.0, 45.0)
        x[:, : len(made.params)] += 0.01 * rng.standard_normal((1, len(made.params)))
        starts.append(np.clip(x, given.layout.low, given.layout.high))
    for damaged in (0, 1):
        some = [(p, s) for (made, p), s in zip(prepared, starts, strict=True) if (len(made.params) == 9) == damaged]
        numba.set_num_threads(1)
        refine(*some[0])
        times, steps = [], []
        for given, start in some[:60]:
            begun = time.process_time()
            found = refine(given, start, max_iter=11)
            times.append((time.process_time() - begun) * 1e3)
            steps.append(int(found.iterations[0]) - 1)
        took = f"{np.median(times):.0f} ms, {np.median(steps):.0f} iterations"
        print(f"{13 if damaged else 11} unknowns, one curve on one core: {took} (medians)")
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    begun = time.process_time()
    found = refine_all(problems * 4, starts * 4, max_iter=30)
    rate = len(found) / (time.process_time() - begun)
    chi2 = [2.0 * float(each.objective[0]) / given.freedom for each, given in zip(found, problems * 4, strict=True)]
    solved = 100 * np.mean(np.array(chi2) <= SOLVED)
    print(f"{len(found)} curves in one call, half with damage: {rate:.0f} fits/s, {solved:.0f} % solved")


if __name__ == "__main__":
    command, which, curves = (*sys.argv[1:], *(None,) * 3)[:3]
    if command == "run" and which in SETS:
        run(which, None if curves is None else int(curves))
    elif command == "table" and which and set(which.split("+")) <= set(SETS):
        table(which)
    elif command == "network" and which:
        network(which, None if curves is None else int(curves))
    elif command == "speed":
        speed()
    else:
        sys.exit(__doc__)
