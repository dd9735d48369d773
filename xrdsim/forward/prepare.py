"""From an experiment and its angles to what the kernels need, prepared once for samples that are simulated alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.forward.diffuse.beams import weakened
from xrdsim.forward.optics import Amplitudes, amplitudes, coupling, optics, over_weaker
from xrdsim.kernels import batch
from xrdsim.kernels.convolve import Nodes
from xrdsim.kernels.reflectivity import Optics
from xrdsim.kernels.steps import Accuracy, Layer
from xrdsim.profiles.damage import KAPPA
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.stage import Family

Array = NDArray[np.float64]

THICKNESSES = (3000.0, 4000.0, 5000.0, 6000.0, 6800.0)
"""Layers [Å] that are simulated with fewer coarse angles than the thickest need."""

THICKEST_PHASE = 0.0062
"""Largest |σ|h of a step: 100 Å in GGG 444."""

SINGLE = 1e-3
"""Accuracy [dex] of the steps in single precision."""

_EVERYWHERE, _ANYTHING = Experiment(), ParameterSpace()


@dataclass(frozen=True)
class Forward:
    """What the kernels need to simulate one experiment with one accuracy, prepared once."""

    optics: Optics
    profile: Family
    layer: Layer
    accuracy: Accuracy


@dataclass(frozen=True, eq=False)
class Task:
    """Samples that are simulated alike.

    ``index`` (n,) says which rows of the results they are; sigma, zero [arcsec], scale and background (n,) how they are
    seen.
    """

    rows: Array
    model: Forward
    nodes: Nodes
    sigma: Array
    zero: Array
    scale: Array
    background: Array
    index: NDArray[np.int64]


def prepare(
    scan: Scan,
    experiment: Experiment = _EVERYWHERE,
    *,
    grid: Scan | None = None,
    cluster: Array | None = None,
    profile: Profile = _ANYTHING.profile,
    damaged: bool = False,
    thickness: float = _ANYTHING.thickest,
    precision: str = "double",
) -> Forward:
    """Prepare the kernels for the angles of ``grid``, the scan by default, and ``cluster``; accurate on the scan.

    Parameters
    ----------
    scan, experiment : what is simulated.
    grid, cluster : angles [arcsec] of the simulation.
    profile : of the samples.
    damaged : whether samples have static Debye–Waller damage.
    thickness : largest thickness of the layers [Å].
    precision : ``double`` or ``single``.

    Raises
    ------
    ParameterError
        Angles beyond a right angle, or an unknown precision.
    """
    if precision not in ("double", "single"):
        raise ParameterError(f"precision {precision!r} is unknown; choose double or single")
    reflection, convention, layers = experiment.reflection, experiment.convention, experiment.layers
    rtol_dex = max(experiment.rtol_dex, SINGLE) if precision == "single" else experiment.rtol_dex
    prepared = optics(
        grid or scan,
        np.empty(0) if cluster is None else cluster,
        reflection,
        convention,
        monochromator=experiment.monochromator,
        thickness=thickness,
        error=1e-11 if layers is not None else 0.001 * rtol_dex,
        single=precision == "single",
    )
    if experiment.defects is not None:
        e = weakened(experiment.defects, reflection)
        prepared = over_weaker(
            prepared,
            _amplitudes_at(grid or scan, b"" if cluster is None else cluster.tobytes(), reflection, convention),
            e,
        )
    lowest, highest, coupled = _ends(scan, reflection, convention)
    # measured against finer steps, worst of the prior and of narrow flanks (benchmarks/accuracy.py); a factor E(z)
    # that varies needs finer steps where |a| is large
    tight = (rtol_dex / 1e-4) ** 0.25
    phase, slope = (2.2, 0.135) if damaged else (2.5, 0.165)
    accuracy = Accuracy(
        layers=0.0 if layers is None else float(layers),
        phase=min(phase * tight, 3.0),
        slope=slope * tight,
        curvature=slope * tight,
        lowest=lowest,
        highest=highest,
        thickest=THICKEST_PHASE / coupled,
    )
    layer = Layer(coupling(reflection, convention), experiment.exact, damaged, experiment.damage_power)
    if damaged:
        layer = layer._replace(own=profile.own_factor)
    if experiment.defects is not None:
        layer = layer._replace(loops=profile.size)
    return Forward(prepared, profile.family, layer, accuracy)


@lru_cache(maxsize=64)
def _amplitudes_at(grid: Scan, cluster_bytes: bytes, reflection: Reflection, convention: Convention) -> Amplitudes:
    return amplitudes(np.concatenate([grid.angle, np.frombuffer(cluster_bytes)]), reflection, convention)


@lru_cache(maxsize=64)
def _ends(scan: Scan, reflection: Reflection, convention: Convention) -> tuple[float, float, float]:
    """Lowest and highest Re a at ε = 0, and largest |σ|, at the ends of a scan [1/Å]."""
    ends = amplitudes(np.array([scan.start, scan.last]), reflection, convention)
    return float(ends.f.real.min()), float(ends.f.real.max()), float(np.abs(ends.sigma).max())


def by_thickness(
    rows: Array, profile: Profile, thickest: float, layers: float | None = None
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Indices of the rows whose layer is not thicker than each of THICKNESSES, or than ``thickest``, and this bound.

    A thinner layer needs fewer coarse angles. The group of a row depends on nothing but the row.
    """
    ends = np.empty(len(rows))
    batch.ends(profile.family, rows, ends)
    bounds = np.array([bound for bound in THICKNESSES if bound < thickest] + [thickest])
    group = np.minimum(np.searchsorted(bounds, ends + (layers or 1.0)), len(bounds) - 1)
    for i in np.unique(group):
        yield np.flatnonzero(group == i), float(bounds[i])


def has_damage(rows: Array, profile: Profile) -> bool:
    """Whether any of the rows has damage."""
    if not profile.holds_damage(rows.shape[1]):
        return False
    if profile.own_factor:
        return bool(np.any(rows[:, -profile.own_factor :] < 1.0))
    return bool(np.any(rows[:, KAPPA] > 0.0))


def chunks(n: int) -> int:
    """Chunks of samples for the parallel loops: some more than threads, to balance their load."""
    threads = numba.get_num_threads()
    return max(1, min(n, 8 * threads if threads > 1 else 1))
