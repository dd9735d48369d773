"""Throughput of the simulator on this machine, one core and all cores, beside xrayutilities where it is installed."""

import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

from xrdsim import _jit, device
from xrdsim.crystal import DEFAULT_SCAN
from xrdsim.model import simulate, strain_profile
from xrdsim.parameters import DMIN
from xrdsim.peers import xrayutilities_curve, xrayutilities_model
from xrdsim.sampling import draw_prior

Array = NDArray[np.float64]

DEMONSTRATION = (0.01305, 0.0017, 5800.0, 3500.0, 0.004845, 4000.0, -500.0)
"""58 sublayers of 100 Å."""

REPEATS = 7

VARIANTS: dict[str, dict[str, Any]] = {
    "linear, layers 100 Å": {"convention": "linear", "layers": 100.0, "fwhm": 0.0},
    "exact, layers 20 Å": {"convention": "exact", "layers": 20.0, "fwhm": 0.0},
    "exact, continuum": {"convention": "exact", "fwhm": 0.0},
    "exact, continuum, 30″ instrument": {"convention": "exact", "fwhm": 30.0},
}


@dataclass(frozen=True)
class Timing:
    """Median time of one variant.

    Attributes
    ----------
    name : what was timed.
    threads : cores used.
    ms_per_curve : median over REPEATS, rounds of all variants taking turns.
    spread : slowest over fastest repeat.
    """

    name: str
    threads: int
    ms_per_curve: float
    spread: float

    @property
    def curves_per_second(self) -> float:
        """Throughput."""
        return 1000.0 / self.ms_per_curve


def measure_throughput(
    *, peers: bool = False, seconds: float = 0.15, progress: Callable[[int, int], None] | None = None
) -> list[Timing]:
    """Time all variants side by side, in turns, so that a change of the machine's speed hits all alike.

    Parameters
    ----------
    peers : also time xrayutilities' models on the sublayers of 100 Å (single core).
    seconds : duration of one repeat.
    progress : called with (done, total) repeats.

    Raises
    ------
    XrdError
        Peers are asked for and not installed.
    """
    cores = numba.get_num_threads()
    rows = draw_prior(64, rng=np.random.default_rng(0))
    jobs: list[tuple[str, int, int, Callable[[], object]]] = []
    for name, options in VARIANTS.items():
        pool = np.array([DEMONSTRATION]) if "layers 100" in name else rows
        for threads in sorted({1, cores}):
            job = _job(pool, threads, options)
            start = time.perf_counter()
            job(len(pool))  # compiles or loads
            job(len(pool))
            start = time.perf_counter()
            job(64)
            count = max(16, int(64 * seconds / (time.perf_counter() - start)))
            jobs.append((name, threads, count, lambda job=job, count=count: job(count)))  # type: ignore[misc]
    if peers:
        jobs += _peers()
    times: list[list[float]] = [[] for _ in jobs]
    for repeat in range(REPEATS):
        for i, (_, threads, count, run) in enumerate(jobs):
            numba.set_num_threads(threads)
            start = time.perf_counter()
            run()
            times[i].append(1e3 * (time.perf_counter() - start) / count)
            if progress:
                progress(repeat * len(jobs) + i + 1, REPEATS * len(jobs))
    numba.set_num_threads(cores)
    return [
        Timing(name, threads, statistics.median(taken), max(taken) / min(taken))
        for (name, threads, _, _), taken in zip(jobs, times, strict=True)
    ]


def _job(pool: Array, threads: int, options: dict[str, Any]) -> Callable[[int], object]:
    def run(count: int) -> object:
        numba.set_num_threads(threads)
        return simulate(np.resize(pool, (count, pool.shape[1])), **options)

    return run


def _peers() -> list[tuple[str, int, int, Callable[[], object]]]:
    middle = (np.arange(200) + 0.5) * 100.0
    strain = strain_profile(DEMONSTRATION, middle)[0]
    strain = strain[: int(np.argmax(strain <= DMIN))]
    jobs: list[tuple[str, int, int, Callable[[], object]]] = []
    for name in ("SimpleDynamicalCoplanarModel", "DynamicalModel"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = xrayutilities_model(name, np.full(len(strain), 100.0), strain)

        def run(model: Any = model) -> object:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return xrayutilities_curve(model, DEFAULT_SCAN.angle)

        jobs.append((f"xrayutilities {name}, layers 100 Å", 1, 1, run))
    return jobs


def describe_machine() -> dict[str, Any]:
    """Versions, processor, threads, threading layer, vector width and CUDA of this installation."""
    simulate(DEMONSTRATION)  # starts the threading layer
    names = ("xrdsim", "numpy", "scipy", "numba", "torch", "zarr", "dask")
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in names}},
        "processor": binding.get_host_cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "threading_layer": numba.threading_layer(),  # type: ignore[attr-defined]
        "vector_bits": _jit.vector_bits(),
        "kernel_cache": _jit.CACHE or "none: every process compiles anew",
        "cuda": device.describe(),
    }


def timings_to_dict(timings: list[Timing]) -> dict[str, Any]:
    """Machine and timings for JSON."""
    rows = [{**asdict(row), "curves_per_second": row.curves_per_second} for row in timings]
    return {"machine": describe_machine(), "repeats": REPEATS, "timings": rows}


def throughput_table(timings: list[Timing]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the timings."""
    rows: list[tuple[str, ...]] = []
    for row in timings:
        rate = row.curves_per_second
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"
        rows.append((row.name, str(row.threads), f"{row.ms_per_curve:.3f}", speed, f"{row.spread:.2f}"))
    return ("simulator", "cores", "ms/curve", "curves/s", "slowest/fastest"), rows


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
