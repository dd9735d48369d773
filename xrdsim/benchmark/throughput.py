"""Speed of the simulator on this machine: curves, errors, share of the processor's peak; beside it xrayutilities."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from xrdsim.benchmark import flops
from xrdsim.benchmark.xrayutilities import xrayutilities_curve, xrayutilities_model
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.derived import strain_profile
from xrdsim.forward.model import simulate
from xrdsim.forward.prior import draw_prior
from xrdsim.kernels.peak import CHAINS, LINKS, multiply_add
from xrdsim.kernels.reflectivity import BLOCK
from xrdsim.limits import Json
from xrdsim.profiles.two_gaussians import DMIN

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

DEMONSTRATION = (0.01305, 0.0017, 5800.0, 3500.0, 0.004845, 4000.0, -500.0)
"""58 sublayers of 100 Å."""

DAMAGE = (0.3, 0.5)
"""kappa and p of the damaged rows."""

REPEATS = 7
ROWS = 64
LEAST = 16
"""Curves of a repeat."""

FINEST = 1e-7
"""``rtol_dex`` of the curves that errors refer to."""

LAYERS = (200.0, 100.0, 50.0, 20.0, 10.0, 5.0)
ASKED = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class Variant:
    """One way to simulate: keywords of ``simulate``, or of ``linearize`` for ``derivatives``, without or with damage.

    ``demonstration``: it is timed on that one sample, as xrayutilities is.
    """

    name: str
    options: Json
    derivatives: bool = False
    damaged: bool = False
    demonstration: bool = False


VARIANTS = (
    Variant("linear, layers 100 Å", {"convention": "linear", "layers": 100.0, "fwhm": 0.0}, demonstration=True),
    Variant("exact, layers 20 Å", {"layers": 20.0, "fwhm": 0.0}),
    Variant("exact, continuum", {"fwhm": 0.0}),
    Variant("exact, continuum, 30″ instrument", {"fwhm": 30.0}),
    Variant("exact, continuum, damage", {"fwhm": 0.0}, damaged=True),
    Variant("exact, continuum, 7 derivatives", {"fwhm": 0.0}, derivatives=True),
    Variant("exact, continuum, damage, 9 derivatives", {"fwhm": 0.0}, derivatives=True, damaged=True),
)

DERIVATIVES_OF = {
    "exact, continuum, 7 derivatives": "exact, continuum",
    "exact, continuum, damage, 9 derivatives": "exact, continuum, damage",
}


@dataclass(frozen=True)
class Timing:
    """Median time of one variant, and what it buys.

    Attributes
    ----------
    name : what was timed.
    threads : cores used.
    ms_per_curve : median over REPEATS, rounds of all variants taking turns.
    spread : slowest over fastest repeat.
    error, worst_error : RMS of Δlog10 R over the scan [dex] against the converged continuum of the same convention,
        median and largest of ROWS samples of the prior (xrayutilities: of the one sample).
    operations : floating-point operations per curve (``xrdsim.benchmark.flops``); None for xrayutilities.
    peak : multiply-adds, counted twice, that as many cores did in the same rounds [GFLOP/s]; None for xrayutilities.
    """

    name: str
    threads: int
    ms_per_curve: float
    spread: float
    error: float
    worst_error: float
    operations: float | None = None
    peak: float | None = None

    @property
    def curves_per_second(self) -> float:
        """Throughput."""
        return 1000.0 / self.ms_per_curve

    @property
    def gflops(self) -> float | None:
        """Rate of operations [GFLOP/s]."""
        return None if self.operations is None else 1e-6 * self.operations / self.ms_per_curve

    @property
    def share_of_peak(self) -> float | None:
        """That rate against the measured peak."""
        return None if self.gflops is None or self.peak is None else self.gflops / self.peak


@dataclass(frozen=True)
class StepCost:
    """Time and error of one choice of steps.

    Attributes
    ----------
    layers : thickness of equal sublayers [Å], or None for the continuum.
    rtol_dex : accuracy asked of the continuum.
    ms_per_curve : median on one core.
    error, worst_error : as in ``Timing``.
    """

    layers: float | None
    rtol_dex: float
    ms_per_curve: float
    error: float
    worst_error: float


class _Job(NamedTuple):
    """What is timed: ``run`` simulates so many curves."""

    name: str
    threads: int
    curves: int
    run: Callable[[], object]


def measure_throughput(
    *, xrayutilities: bool = False, seconds: float = 0.15, progress: Progress | None = None
) -> list[Timing]:
    """Time all variants side by side, in turns, so that a change of the machine's speed hits all alike.

    Parameters
    ----------
    xrayutilities : also time xrayutilities' models on the sublayers of 100 Å (single core).
    seconds : duration of one repeat.
    progress : called with (done, total) repeats.

    Raises
    ------
    XrdError
        It is asked for and not installed.
    """
    _check_seconds(seconds)
    cores = sorted({1, numba.get_num_threads()})
    jobs = [_peak(threads, seconds) for threads in cores]
    for variant in VARIANTS:
        rows = np.array([DEMONSTRATION]) if variant.demonstration else _rows(ROWS, variant.damaged)
        jobs += [_job(variant.name, rows, threads, seconds, _simulator(variant)) for threads in cores]
    others = _xrayutilities() if xrayutilities else []
    times = _take_turns(jobs + others, progress)

    peak = {
        job.threads: 1e-6 * job.threads * _PEAK_OPERATIONS / statistics.median(taken)
        for job, taken in zip(jobs[: len(cores)], times, strict=False)
    }
    operations, errors = {}, {}
    for variant in VARIANTS:
        rows = np.array([DEMONSTRATION]) if variant.demonstration else _rows(ROWS, variant.damaged)
        operations[variant.name] = flops.operations(rows, derivatives=variant.derivatives, **variant.options)
        errors[variant.name] = _error(_rows(ROWS, variant.damaged), _simulator(variant), variant.options)
    for job in others:
        errors[job.name] = _error(np.array([DEMONSTRATION]), lambda _, run=job.run: run(), {"fwhm": 0.0})  # type: ignore[misc]
    return [
        Timing(
            job.name,
            job.threads,
            statistics.median(taken),
            max(taken) / min(taken),
            *errors[job.name],
            operations.get(job.name),
            peak[job.threads] if job.name in operations else None,
        )
        for job, taken in zip(jobs + others, times, strict=True)
        if job.name in errors
    ]


def measure_steps(*, rows: int = 16, seconds: float = 0.05, progress: Progress | None = None) -> list[StepCost]:
    """Time and error of midpoint layers and of the continuum's steps, exact convention, no instrument, one core.

    Parameters
    ----------
    rows : samples drawn from the prior.
    seconds : duration of one repeat.
    progress : called with (done, total) repeats.
    """
    _check_seconds(seconds)
    params = _rows(rows)
    choices: list[tuple[float | None, float]] = [(layers, 1e-4) for layers in LAYERS]
    choices += [(None, asked) for asked in ASKED]
    variants = [
        Variant(f"{layers} {asked}", {"layers": layers, "rtol_dex": asked, "fwhm": 0.0}) for layers, asked in choices
    ]
    times = _take_turns([_job(v.name, params, 1, seconds, _simulator(v)) for v in variants], progress)
    return [
        StepCost(*choice, statistics.median(taken), *_error(params, _simulator(variant), variant.options))
        for choice, variant, taken in zip(choices, variants, times, strict=True)
    ]


def _rows(count: int, damaged: bool = False) -> Array:
    rows = draw_prior(count, rng=np.random.default_rng(0))
    return np.column_stack([rows, np.tile(DAMAGE, (count, 1))]) if damaged else rows


def _simulator(variant: Variant) -> Callable[[Array], Array]:
    """Intensities of rows."""
    if variant.derivatives:
        return lambda rows: linearize(rows, **variant.options).curves.intensity
    return lambda rows: simulate(rows, **variant.options).intensity


def _error(rows: Array, curves: Callable[[Array], Any], options: Json) -> tuple[float, float]:
    """Median and largest RMS error [dex]."""
    fine = simulate(rows, **{**options, "layers": None, "rtol_dex": FINEST}).intensity
    difference = np.log10(curves(rows)) - np.log10(fine)
    rms = np.sqrt(np.mean(difference**2, axis=-1))
    return float(np.median(rms)), float(rms.max())


def _job(name: str, pool: Array, threads: int, seconds: float, curves: Callable[[Array], object]) -> _Job:
    """The rows of the pool, over and over, as many as take this time."""

    def run(count: int) -> object:
        return curves(np.resize(pool, (count, pool.shape[1])))

    with _on(threads):
        run(LEAST)  # compiles or loads
        start = time.perf_counter()
        run(LEAST)
        count = max(LEAST, int(LEAST * seconds / (time.perf_counter() - start)))
    return _Job(name, threads, count, lambda: run(count))


_PEAK_UNIT = 1000
_PEAK_OPERATIONS = 2 * CHAINS * BLOCK * LINKS * _PEAK_UNIT


def _peak(threads: int, seconds: float) -> _Job:
    """Multiply-adds on every core."""
    starts, out = np.ones(threads), np.empty(threads)
    with _on(threads):
        multiply_add(starts, 1, out)
        start = time.perf_counter()
        multiply_add(starts, _PEAK_UNIT, out)
        count = max(1, int(seconds / (time.perf_counter() - start)))
    return _Job("multiply-adds", threads, count, lambda: multiply_add(starts, count * _PEAK_UNIT, out))


@contextmanager
def _on(threads: int) -> Iterator[None]:
    """So many threads, for a while."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _take_turns(jobs: list[_Job], progress: Progress | None) -> list[list[float]]:
    """Times per curve [ms] of each job in REPEATS rounds."""
    times: list[list[float]] = [[] for _ in jobs]
    for repeat in range(REPEATS):
        for i, job in enumerate(jobs):
            with _on(job.threads):
                start = time.perf_counter()
                job.run()
                times[i].append(1e3 * (time.perf_counter() - start) / job.curves)
            if progress:
                progress(repeat * len(jobs) + i + 1, REPEATS * len(jobs))
    return times


def _xrayutilities() -> list[_Job]:
    middle = (np.arange(200) + 0.5) * 100.0
    strain = strain_profile(DEMONSTRATION, middle)[0]
    strain = strain[: int(np.argmax(strain <= DMIN))]
    jobs: list[_Job] = []
    for name in ("SimpleDynamicalCoplanarModel", "DynamicalModel"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = xrayutilities_model(name, np.full(len(strain), 100.0), strain)

        def run(model: object = model) -> object:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return xrayutilities_curve(model, DEFAULT_SCAN.angle)

        jobs.append(_Job(f"xrayutilities {name}, layers 100 Å", 1, 1, run))
    return jobs


def _check_seconds(seconds: float) -> None:
    if not 0.0 < seconds <= 3600.0:
        raise ParameterError(f"seconds = {seconds:g} of a repeat must be positive, at most 3600")
