"""What curves of planes that are inclined to the surface cost, and their derivatives, against symmetric ones.

    python benchmarks/inclined.py [rounds] [curves]

All scans have 701 angles. Two things set the cost of a curve: how many fringes of the thickest layer it holds, that is
the range of γ0 + γh, and how far strain moves a layer, which is the normal component of h. Over the same strains GGG
880 has 4/3 as many fringes as GGG 444, however its planes lie; therefore it is compared with planes along the surface
that have its normal component, too. One core; the variants take turns, and the ratios are medians over the rounds.
"""

import sys
import time
from dataclasses import replace
from statistics import median

import numba
import numpy as np

from xrdsim import draw_prior
from xrdsim.experiment.geometry import glancing, passage
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.kernels.steps import count_steps
from xrdsim.profiles.space import ParameterSpace
from xrdsim.units import ARCSEC

CRYSTAL = replace(GGG_444.crystal, chih=-13.55918e-6 + 3.46209e-6j)
INCIDENCE, EXIT = (
    Reflection(CRYSTAL, (8, 8, 0), GGG_444.wavelength, surface=(1, 1, 1), geometry=geometry)
    for geometry in ("grazing-incidence", "grazing-exit")
)
NORMAL = INCIDENCE.h0 * INCIDENCE.normal[2]
ALONG = Reflection(replace(CRYSTAL, lattice=CRYSTAL.lattice * GGG_444.h0 / NORMAL), (4, 4, 4), GGG_444.wavelength)


def cosines(reflection, angle):
    """γ0 + γh at an angle [arcsec] from the Bragg angle."""
    theta = np.array([reflection.theta_bragg - angle * ARCSEC])
    at = passage(theta, reflection.normal, reflection.k, reflection.h0)
    return float(at.incident[0] + at.diffracted[0])


def between(reflection, *ends):
    """Scan between two values of γ0 + γh."""
    theta = glancing(np.array(ends), reflection.normal, reflection.k, reflection.h0)
    first, last = (reflection.theta_bragg - theta) / ARCSEC
    return Scan(float(first), float(last - first) / (DEFAULT_SCAN.points - 1), DEFAULT_SCAN.points)


def same_strains(reflection):
    """Between the angles of the layers whose strains lie at the ends of the default scan."""
    whole = cosines(reflection, 0.0) / cosines(GGG_444, 0.0)
    return between(reflection, *(whole * cosines(GGG_444, end) for end in (DEFAULT_SCAN.start, DEFAULT_SCAN.last)))


def same_fringes(reflection):
    """As many as on the default scan of GGG 444."""
    more = cosines(reflection, 0.0) - cosines(GGG_444, 0.0)
    return between(reflection, *(more + cosines(GGG_444, end) for end in (DEFAULT_SCAN.start, DEFAULT_SCAN.last)))


VARIANTS = {
    "GGG 444, default scan": (GGG_444, DEFAULT_SCAN),
    "planes along the surface, same strains": (ALONG, same_strains(ALONG)),
    "880 incidence, same strains": (INCIDENCE, same_strains(INCIDENCE)),
    "880 exit, same strains": (EXIT, same_strains(EXIT)),
    "880 incidence, same fringes": (INCIDENCE, same_fringes(INCIDENCE)),
    "880 exit, same fringes": (EXIT, same_fringes(EXIT)),
    "880 incidence, default scan": (INCIDENCE, DEFAULT_SCAN),
    "880 exit, default scan": (EXIT, DEFAULT_SCAN),
}


def size(simulator, rows, seen):
    """Nodes of a curve, coarse angles and steps on average."""
    coarse, steps = [], []
    for task in simulator.tasks(rows, seen):
        model = task.model
        counts = np.empty(model.profile.segments(), np.int64)
        coarse += [model.optics.coarse] * len(task.index)
        steps += [count_steps(row, model.profile, model.layer, model.accuracy, counts) for row in task.rows]
    return len(task.nodes.angle), np.mean(coarse), np.mean(steps)


def measure(name, rounds, rows, fwhm):
    """Print a table of curves or derivatives."""
    seen = Seen.unscaled(np.full(len(rows), fwhm), np.zeros(len(rows)))
    simulators = [Simulator(Experiment(of), scan, ParameterSpace()) for of, scan in VARIANTS.values()]
    more = () if name == "curves" else ((),)
    times = np.empty((rounds + 1, len(simulators)))
    for turn in times:
        for i, simulator in enumerate(simulators):
            start = time.perf_counter()
            getattr(simulator, name)(rows, seen, *more)
            turn[i] = time.perf_counter() - start
    times = times[1:]  # the first prepares and loads
    print(f"\n{name}, fwhm {fwhm:g}, GGG 444 {1e3 * median(times[:, 0]) / len(rows):.3f} ms")
    print("| variant | nodes | coarse angles | steps | over GGG 444 | over planes along the surface |")
    print("|---|---|---|---|---|---|")
    for i, variant in enumerate(VARIANTS):
        nodes, coarse, steps = size(simulators[i], rows, seen)
        first, second = (median(times[:, i] / times[:, j]) for j in (0, 1))
        print(f"| {variant} | {nodes} | {coarse:.0f} | {steps:.0f} | {first:.2f} | {second:.2f} |")


def main(rounds, curves):
    numba.set_num_threads(1)
    rows = draw_prior(curves, rng=np.random.default_rng(5))
    for name, number in (("curves", curves), ("linearize", max(1, curves // 4))):
        for fwhm in (0.0, 30.0):
            measure(name, rounds, rows[:number], fwhm)


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["25", "128"][len(sys.argv) - 1 :])))
