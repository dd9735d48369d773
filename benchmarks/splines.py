"""How near fits of splines come to profiles of four families, and whether their bands hold them.

    python benchmarks/splines.py run SET [curves]     one line a curve; goes on where it was interrupted
    python benchmarks/splines.py table SET            errors, coverage, solutions and times by family and counts
    python benchmarks/splines.py jacobian             time of all derivatives against that of the curve, one core

SET is tuning or acceptance, 16 and 200 curves. A seed makes a curve of integer counts of GGG 444, fitted with
`--profile spline` and all other defaults, on one core, with damage where the sample has it, every second one:

gaussians      two Gaussians of the prior
humps          two Gaussian humps apart
plateau        a plateau with soft edges, from the surface or buried
exponential    a decay from the surface

at 1e5 or 1e6 counts at R = 1. Seconds are those of the processor, which other work on the machine hardly changes. The
error is ∫|Δε|/∫ε; a band covers the part of the depths of the layer at which it holds the true strain; the truth is
among the solutions where one of those reported as good is wrong by less than WRONG.
"""

import csv
import sys
import time
from pathlib import Path

import numba
import numpy as np

from xrdml.inference.starts import NetworkStarts
from xrdsim import Curve, Scan, draw_prior, linearize, simulate, spline_space, strain_profile
from xrdsim.fit.series import fit
from xrdsim.fit.settings import fitted_space
from xrdsim.forward.derived import depth_end
from xrdsim.forward.sublayers import Sublayers, simulate_sublayers

FOLDER = Path(__file__).parent
SETS = {"tuning": range(700_000, 700_016), "acceptance": range(710_000, 710_200)}
FAMILIES = ("gaussians", "humps", "plateau", "exponential")
COUNTS = (1e5, 1e6)
WRONG = 0.1
SCAN = Scan(-240.0, 4.0, 661)  # to 2400″
LAYER = 12.5  # Å
FWHM, BACKGROUND = (28.0, 45.0), (2e-5, 2e-4)
LARGEST, END = (0.003, 0.02), (2500.0, 5500.0)
TURNS = 15
BUDGET = 1000.0  # s on the clock, which no fit needs: the machine may be busy
LEAST = 1e-4  # strain at which the true layer ends
FIELDS = ("seed", "family", "counts", "damage", "error", "coverage", "among", "solutions", "chi2", "verdict", "seconds")


def profile_of(seed: int) -> tuple[str, np.ndarray]:
    """Family and strain of a seed, at the middles of sublayers."""
    family = FAMILIES[seed % len(FAMILIES)]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(21,)))
    if family == "gaussians":
        params = draw_prior(1, rng=rng)
        depth = np.arange(0.5 * LAYER, float(depth_end(params)[0]), LAYER)
        return family, strain_profile(params, depth)[0]
    end, largest = rng.uniform(*END), rng.uniform(*LARGEST)
    z = np.arange(0.5 * LAYER, 1.5 * end, LAYER)
    t = z / end
    if family == "humps":
        first, second = rng.uniform(0.1, 0.35), rng.uniform(0.6, 0.8)
        widths, share = rng.uniform(0.08, 0.2, 2), rng.uniform(0.3, 1.0)
        shape = np.exp(-(((t - first) / widths[0]) ** 2)) + share * np.exp(-(((t - second) / widths[1]) ** 2))
    elif family == "plateau":
        begin, soft = rng.choice([-1.0, rng.uniform(0.1, 0.4)]), rng.uniform(0.02, 0.06, 2)
        shape = 1.0 / (1.0 + np.exp(-(t - begin) / soft[0])) / (1.0 + np.exp((t - 0.8) / soft[1]))
    else:
        shape = np.exp(-t / rng.uniform(0.15, 0.35))
    strain = largest * shape / shape.max()
    return family, strain[: np.flatnonzero(strain > LEAST)[-1] + 1]


def made(seed: int) -> tuple[Curve, str, np.ndarray, float, bool]:
    """Curve, family, strain, counts and damage of a seed."""
    family, strain = profile_of(seed)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(22,)))
    number = seed // len(FAMILIES)
    counts, damaged = COUNTS[number % 2], bool(number // 2 % 2)
    kappa, p = (rng.uniform(0.05, 0.4), rng.uniform(0.5, 3.0)) if damaged else (0.0, 1.0)
    layers = Sublayers(np.full(len(strain), LAYER), strain, 1.0 - kappa * (strain / strain.max()) ** p)
    background = np.exp(rng.uniform(*np.log(BACKGROUND)))
    intensity = simulate_sublayers(layers, scan=SCAN, fwhm=rng.uniform(*FWHM))[2] + background
    counted = rng.poisson(counts * intensity)
    curve = Curve(SCAN.angle, counted / counts, int(np.abs(SCAN.angle).argmin()), str(seed), per_count=1.0 / counts)
    return curve, family, strain, counts, damaged


def measured(seed: int, starts: NetworkStarts) -> dict[str, object]:
    """What the fit of a seed is worth."""
    curve, family, strain, counts, damaged = made(seed)
    begun = time.process_time()
    found = fit(curve, damage=damaged, profile="spline", starts=starts, budget=BUDGET)
    seconds = time.process_time() - begun
    depth = (np.arange(max(len(strain), int(found.depth[-1] / LAYER))) + 0.5) * LAYER
    truth = np.append(strain, np.zeros(len(depth) - len(strain)))
    space = fitted_space(found.settings)
    rows = np.array([each.values for each in found.minima if each.acceptable])
    errors = np.abs(strain_profile(rows, depth, space=space) - truth).sum(axis=1) / truth.sum()
    low, high = (np.interp(depth, found.depth, found.band[i], right=0.0) for i in (0, 3))
    inside = ((low <= truth) & (truth <= high))[: len(strain)]
    values = (seed, family, counts, damaged, errors[0], inside.mean(), errors.min() < WRONG, len(rows))
    return dict(zip(FIELDS, (*values, found.reduced_chi2, str(found.verdict), seconds), strict=True))


def path_of(name: str) -> Path:
    return FOLDER / f"splines_{name}.csv"


def run(name: str, most: int) -> None:
    """Fit the curves of a set that are not in its file."""
    numba.set_num_threads(1)
    path, starts = path_of(name), NetworkStarts()
    done = {int(row["seed"]) for row in csv.DictReader(path.open())} if path.exists() else set()
    todo = [seed for seed in SETS[name] if seed not in done][:most]
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not done:
            writer.writeheader()
        for seed in todo:
            row = measured(seed, starts)
            writer.writerow(row)
            file.flush()
            sys.stdout.write(", ".join(f"{key} {value}" for key, value in row.items()) + "\n")


def table(name: str) -> None:
    """Print medians and shares."""
    rows = list(csv.DictReader(path_of(name).open()))
    sys.stdout.write(
        "| family | counts | n | error, median | worst | coverage | truth among | s, median | s, worst |\n"
    )
    sys.stdout.write("|---|---|---|---|---|---|---|---|---|\n")
    for family in (*FAMILIES, "all"):
        for counts in COUNTS:
            some = [row for row in rows if family in ("all", row["family"]) and float(row["counts"]) == counts]
            if not some:
                continue
            error, cover, took = (
                np.array([float(row[key]) for row in some]) for key in ("error", "coverage", "seconds")
            )
            among, worst = np.mean([row["among"] == "True" for row in some]), error.max()
            sys.stdout.write(
                f"| {family} | {counts:.0e} | {len(some)} | {100 * np.median(error):.1f} % | {100 * worst:.0f} % | "
                f"{100 * cover.mean():.0f} % | {100 * among:.0f} % | {np.median(took):.1f} | {took.max():.1f} |\n"
            )


def jacobian() -> None:
    """Print processor times of curves and of their derivatives over all unknowns of the profile, which take turns."""
    numba.set_num_threads(1)
    sys.stdout.write("| coefficients | damage | curve, ms | derivatives, ms | ratio |\n|---|---|---|---|---|\n")
    for number, damaged in ((15, False), (15, True), (30, True), (40, True)):
        space = spline_space(number)
        space = space.with_damage() if damaged else space
        t = np.linspace(0.0, 1.0, number - 2)
        humps = 0.009 * np.exp(-(((t - 0.25) / 0.12) ** 2)) + 0.006 * np.exp(-(((t - 0.7) / 0.1) ** 2))
        row = np.array([[4300.0, *humps, *((0.3, 1.5) if damaged else ())]])
        took = []
        for _ in range(TURNS + 1):
            begun = time.thread_time()
            simulate(row, space=space, fwhm=30.0)
            between = time.thread_time()
            linearize(row, space=space, fwhm=30.0)
            took.append((between - begun, time.thread_time() - between))
        curve, slopes = 1e3 * np.median(took[1:], axis=0)  # the first one compiles
        sys.stdout.write(f"| {number} | {damaged} | {curve:.2f} | {slopes:.2f} | {slopes / curve:.1f} |\n")


if __name__ == "__main__":
    if sys.argv[1] == "jacobian":
        jacobian()
    elif sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else len(SETS[sys.argv[2]]))
    else:
        table(sys.argv[2])
