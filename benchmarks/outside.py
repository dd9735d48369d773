"""How often the fit calls a curve solved that comes from outside its model.

    python benchmarks/outside.py run SET [curves]     one line a curve; goes on where it was interrupted
    python benchmarks/outside.py table SET            what was said, by kind; every false `solved` is named
    python benchmarks/outside.py show SET SEED        the curve as text, to be looked at

SET is tuning, acceptance or further, 45, 225 and 225 curves, as many of each kind. A seed makes a curve of integer
counts (1e5 to 1e6 at the substrate's reflectivity 1), which is fitted as GGG 444 with Cu Kα1, every second one with
damage, with all defaults of `xrd fit`:

material     a profile of two Gaussians in another crystal
reflection   the same in GGG, but 888, 008, or 880 at grazing incidence or exit
wavelength   GGG 444 with another line
mosaic       up to three broad peaks, as of a powder or a mosaic
family       GGG 444 with a profile that is not two Gaussians: a plateau, two humps, an exponential, a ramp
layers       one to four homogeneous layers
instrument   two Gaussians behind an instrument of another shape: one-sided, a box, two domains, the doublet of a tube
axis         two Gaussians over angles of the wrong unit (2θ as ω, half of it), the wrong sign or uneven steps
background   two Gaussians over a broad hump, a slope, or a second, weaker sample

`solved` is false for the first four kinds and for ``axis``, whatever the profile; for the others where the strain
profile is wrong by more than 10 % of its integral, the difference at which the fit speaks of another profile.
"""

import csv
import math
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
from synthetic import BACKGROUND, CORE, COUNTS, LORENTZ, any_scan, counted, log_uniform

from xrdml.inference.starts import NetworkStarts
from xrdsim import GGG_444, Curve, ParameterSpace, Scan, draw_prior, strain_profile
from xrdsim.experiment.library import structure_of
from xrdsim.experiment.notation import indices_of, wavelength_of
from xrdsim.experiment.properties import reflection_of
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.series import fit
from xrdsim.forward.derived import depth_end
from xrdsim.forward.sublayers import Sublayers, simulate_sublayers
from xrdsim.units import ARCSEC

FOLDER = Path(__file__).parent
SETS = {"tuning": range(600_000, 600_045), "acceptance": range(610_000, 610_225), "further": range(620_000, 620_225)}
KINDS = ("material", "reflection", "wavelength", "mosaic", "family", "layers", "instrument", "axis", "background")
ALWAYS_FALSE = ("material", "reflection", "wavelength", "mosaic", "axis")
WRONG = 0.1  # of the integral of the strain
DEPTHS = 400
SECOND_LINE = 1.544427  # Å, Cu Kα2 (Deslattes et al., 2003)
LAYER = 25.0  # Å: sublayers of a profile
FINE = 1.0  # arcsec: grid on which instruments are applied
BEYOND = 700.0  # arcsec: reach of their tails
SPACE = ParameterSpace()

MATERIALS = (("Si", "004"), ("Ge", "004"), ("GaAs", "004"), ("YIG", "444"), ("SrTiO3", "002"), ("MgO", "002"))
REFLECTIONS = ((8, 8, 8, None), (0, 0, 8, None), (8, 8, 0, "grazing-incidence"), (8, 8, 0, "grazing-exit"))
LINES = ("MoKa1", "CoKa1", "CrKa1", "1.2")
HEADER = ["seed", "kind", "what", "damage", "verdict", "chi2", "error", "seconds", "false"]


def kind_of(seed: int) -> str:
    return KINDS[seed % len(KINDS)]


def curve_of(seed: int) -> tuple[str, Curve, np.ndarray | None, np.ndarray]:
    """What a curve is, the curve, and its strain (n,) at depths (n,); None where no strain of GGG 444 is right."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(79,)))
    kind = kind_of(seed)
    scan = any_scan(rng)
    counts, background = log_uniform(rng, COUNTS), log_uniform(rng, BACKGROUND)
    reflection, what = GGG_444, kind
    profile = two_gaussians(rng)
    if kind == "material":
        name, hkl = MATERIALS[int(rng.integers(len(MATERIALS)))]
        reflection, what = of(name, hkl), f"{name} {hkl}"
    elif kind == "reflection":
        h, k, ell, geometry = REFLECTIONS[int(rng.integers(len(REFLECTIONS)))]
        surface, shape = ((1, 1, 1), geometry) if geometry else (None, "symmetric")
        reflection = of("GGG", f"{h}{k}{ell}", surface=surface, geometry=shape)
        what = f"GGG {h}{k}{ell} {shape}"
    elif kind == "wavelength":
        line = LINES[int(rng.integers(len(LINES)))]
        reflection, what = of("GGG", "444", line), f"GGG 444 {line}"
    elif kind == "family":
        what, profile = other_family(rng)
    elif kind == "layers":
        what, profile = homogeneous(rng)
    core = rng.uniform(*CORE)
    if kind == "mosaic":
        what, expected = mosaic(rng, scan)
    else:
        fine = fine_grid(scan)
        bare = simulate_sublayers(profile, experiment=Experiment(reflection), scan=fine, fwhm=core)[2]
        if kind == "instrument":
            what, bare = other_instrument(rng, fine, bare)
        else:
            bare = smeared(bare, fine, lorentz(rng.uniform(*LORENTZ)))
        expected = np.interp(scan.angle, fine.angle, bare) + background
    if kind == "background":
        what, expected = other_background(rng, scan, expected)
    if kind == "axis":
        what, scan, expected = other_axis(rng, scan, expected)
    curve = counted(scan, counts * expected, rng, f"seed {seed}, {what}")
    if what == "axis: uneven":
        curve = uneven(curve, rng)
    depth = np.linspace(0.0, 1.2 * float(profile.thickness.sum()), DEPTHS)
    if kind in ALWAYS_FALSE:
        return what, curve, None, depth
    edges = np.cumsum(profile.thickness)
    strain = np.append(profile.strain, 0.0)[np.searchsorted(edges, depth, side="right")]
    return what, curve, strain, depth


def of(name, hkl, line="CuKa1", **geometry) -> Reflection:
    return reflection_of(structure_of(name), indices_of(hkl), wavelength_of(line), **geometry)


def two_gaussians(rng) -> Sublayers:
    params = draw_prior(1, space=SPACE, rng=rng)
    return sampled(lambda z: strain_profile(params, z, space=SPACE)[0], float(depth_end(params, space=SPACE)[0]), rng)


def sampled(strain, end, rng) -> Sublayers:
    """Sublayers of a strain over the depth, every second time with damage that follows it."""
    n = max(int(end / LAYER), 4)
    z = (np.arange(n) + 0.5) * end / n
    eps = np.maximum(strain(z), 0.0)
    kappa = rng.uniform(0.1, 0.6) if rng.random() < 0.5 else 0.0
    return Sublayers(np.full(n, end / n), eps, 1.0 - kappa * (eps / eps.max()) ** rng.uniform(1.0, 3.0))


def other_family(rng):
    """A plateau, two humps, an exponential or a ramp, of 0.3 … 1.8 %."""
    high, end = rng.uniform(0.003, 0.018), rng.uniform(2000.0, 7000.0)
    name = ("plateau", "two humps", "exponential", "ramp")[int(rng.integers(4))]
    width = rng.uniform(60.0, 300.0)

    def step(z, at):
        return 0.5 * (1.0 - np.tanh((z - at) / width))

    first, second, weak = rng.uniform(0.1, 0.3) * end, rng.uniform(0.55, 0.75) * end, rng.uniform(0.4, 1.0)
    shapes = {
        "plateau": lambda z: step(z, 0.9 * end) - step(z, first),
        "two humps": lambda z: (
            np.exp(-0.5 * ((z - first) / (0.1 * end)) ** 2) + weak * np.exp(-0.5 * ((z - second) / (0.08 * end)) ** 2)
        ),
        "exponential": lambda z: np.exp(-z / (0.25 * end)),
        "ramp": lambda z: (z / end) * step(z, 0.9 * end),
    }
    return f"family: {name}", sampled(lambda z: high * shapes[name](z), 1.1 * end, rng)


def homogeneous(rng):
    """One to four layers, each of one strain."""
    n = int(rng.integers(1, 5))
    thickness, strain = rng.uniform(300.0, 3000.0, n), rng.uniform(0.002, 0.018, n)
    return f"layers: {n}", Sublayers(thickness, strain)


def mosaic(rng, scan):
    """Reflectivity-like peaks without a substrate's dynamical one."""
    n = int(rng.integers(1, 4))
    expected = np.zeros(scan.points)
    for i in range(n):
        at = 0.0 if i == 0 else rng.uniform(150.0, 0.7 * scan.last)
        width = rng.uniform(90.0, 400.0)
        height = 0.5 if i == 0 else rng.uniform(0.01, 0.3)
        x = (scan.angle - at) / width
        eta = rng.uniform(0.0, 1.0)
        expected += height * (eta / (1.0 + 4.0 * x**2) + (1.0 - eta) * np.exp(-4.0 * np.log(2.0) * x**2))
    return f"mosaic: {n} peaks", expected + log_uniform(rng, BACKGROUND)


def fine_grid(scan: Scan) -> Scan:
    return Scan(scan.start - BEYOND, FINE, int((scan.last - scan.start + 2.0 * BEYOND) / FINE) + 1)


def smeared(curve, fine, kernel):
    """A curve convolved with a kernel on the fine grid, ends continued as they are."""
    half = len(kernel) // 2
    whole = np.pad(curve, half, mode="edge")
    return np.convolve(whole, kernel / kernel.sum(), mode="valid")


def offsets():
    return np.arange(-BEYOND, BEYOND + 0.5 * FINE, FINE)


def lorentz(width):
    return 1.0 / (1.0 + (2.0 * offsets() / width) ** 2)


def other_instrument(rng, fine, curve):
    """Behind one more function, of a shape that no offered instrument has."""
    x = offsets()
    name = ("one-sided", "box", "two domains", "doublet")[int(rng.integers(4))]
    if name == "one-sided":
        tail = np.where(x >= 0.0, np.exp(-np.abs(x) / rng.uniform(30.0, 120.0)), 0.0)
        kernel = (x == 0.0) + rng.uniform(0.1, 0.5) * tail[:: rng.choice([-1, 1])] / tail.sum()
    elif name == "box":
        kernel = (np.abs(x) <= rng.uniform(30.0, 80.0)).astype(float)
    else:
        split = math.tan(GGG_444.theta_bragg) * (SECOND_LINE / GGG_444.wavelength - 1.0) / ARCSEC
        away, share = (split, 0.5) if name == "doublet" else (rng.uniform(60.0, 250.0), rng.uniform(0.2, 0.8))
        kernel = (x == 0.0) + share * (np.abs(x - np.round(away)) < 0.5 * FINE)
    return f"instrument: {name}", smeared(curve, fine, kernel.astype(float))


def other_background(rng, scan, expected):
    """Over a hump, a slope, or the curve of a second sample."""
    name = ("hump", "slope", "second sample")[int(rng.integers(3))]
    x = scan.angle / scan.last
    if name == "hump":
        hump = np.exp(-0.5 * ((x - rng.uniform(0.2, 0.8)) / rng.uniform(0.05, 0.2)) ** 2)
        return "background: hump", expected + rng.uniform(3.0, 30.0) * np.median(expected) * hump
    if name == "slope":
        return "background: slope", expected + rng.uniform(3.0, 10.0) * expected[-20:].mean() * np.clip(
            1.0 - x, 0.0, 2.0
        )
    fine = fine_grid(scan)
    other = simulate_sublayers(two_gaussians(rng), scan=fine, fwhm=40.0)[2]
    return "background: second sample", expected + rng.uniform(0.3, 1.0) * np.interp(scan.angle, fine.angle, other)


def other_axis(rng, scan, expected):
    """Angles that are not those of the diffraction."""
    name = ("twice", "half", "mirrored", "uneven")[int(rng.integers(4))]
    if name in ("twice", "half"):
        factor = 2.0 if name == "twice" else 0.5
        scan = Scan(factor * scan.start, factor * scan.step, scan.points)
    elif name == "mirrored":
        scan, expected = Scan(-scan.last, scan.step, scan.points), expected[::-1]
    return f"axis: {name}", scan, expected


def uneven(curve: Curve, rng) -> Curve:
    """The angles of a drive that is a tenth too fast or too slow at first, and catches up."""
    x = curve.angle
    bent = x * (1.0 + rng.choice([-1.0, 1.0]) * 0.1 * (1.0 - np.clip(x, 0.0, None) / x[-1]))
    return Curve(bent, curve.intensity, curve.peak_index, curve.source)


@lru_cache(maxsize=1)
def starts():
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    return NetworkStarts()


def one(seed):
    """The line of a curve."""
    begin, damage = starts(), bool(seed // len(KINDS) % 2)
    what, curve, strain, depth = curve_of(seed)
    begun = time.process_time()
    line = {"seed": seed, "kind": kind_of(seed), "what": what, "damage": int(damage)}
    try:
        found = fit(curve, damage=damage, starts=begin, budget=120.0, seed=seed)
    except Exception as refused:  # a refusal is an answer, too
        return line | {"verdict": f"refused: {refused}", "seconds": time.process_time() - begun, "false": 0}
    error = np.nan
    if strain is not None:
        mine = np.interp(depth, found.depth, found.strain, right=0.0)
        error = float(np.abs(mine - strain).sum() / strain.sum())
    false = str(found.verdict) == "solved" and not error <= WRONG
    line |= {"verdict": str(found.verdict), "chi2": found.reduced_chi2, "error": error}
    return line | {"seconds": time.process_time() - begun, "false": int(false)}


def run(which, curves):
    """Fit the curves that the file lacks."""
    file = FOLDER / f"outside_{which}.csv"
    done = {int(row["seed"]) for row in read(file)} if file.exists() else set()
    todo = [seed for seed in list(SETS[which])[:curves] if seed not in done]
    with (
        ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("spawn")) as pool,
        file.open("a", newline="", encoding="utf-8") as output,
    ):
        writer = csv.DictWriter(output, HEADER, lineterminator="\n")
        if output.tell() == 0:
            writer.writeheader()
        for future in as_completed([pool.submit(one, seed) for seed in todo]):
            line = future.result()
            writer.writerow({name: f"{v:.4g}" if isinstance(v, float) else v for name, v in line.items()})
            output.flush()
            print(line["seed"], line["what"], line["verdict"], f"{line.get('chi2') or np.nan:.3g}", flush=True)


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(which):
    """Print what was said, by kind, and the false ones."""
    rows = read(FOLDER / f"outside_{which}.csv")
    said = sorted({row["verdict"].split(":")[0] for row in rows})
    print("| kind | " + " | ".join(said) + " | falsely solved |")
    print("|" + "---|" * (len(said) + 2))
    for kind in KINDS:
        some = [row for row in rows if row["kind"] == kind]
        numbers = (sum(row["verdict"].split(":")[0] == verdict for row in some) for verdict in said)
        print(f"| {kind} | " + " | ".join(map(str, numbers)) + f" | {sum(int(row['false']) for row in some)} |")
    false = [row for row in rows if int(row["false"])]
    print(f"\n{len(false)} of {len(rows)} falsely solved ({100.0 * len(false) / len(rows):.1f} %)")
    for row in false:
        print(f"  {row['seed']} {row['what']}: χ² {row['chi2']}, profile wrong by {row['error']}")


if __name__ == "__main__":
    command, which, rest = (*sys.argv[1:], None, None, None)[:3]
    if command == "run" and which in SETS:
        run(which, None if rest is None else int(rest))
    elif command == "table" and which in SETS:
        table(which)
    elif command == "show" and rest:
        what, curve, _, _ = curve_of(int(rest))
        np.savetxt(sys.stdout, np.column_stack([curve.angle, curve.intensity]), fmt="%.4f %d", header=what)
    else:
        sys.exit(__doc__)
