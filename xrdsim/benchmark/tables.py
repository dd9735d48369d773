"""Timings as tables, as notes and as JSON, with the machine that they are of."""

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

import numba
from llvmlite import binding

from xrdsim import _jit
from xrdsim.benchmark.throughput import DEMONSTRATION, DERIVATIVES_OF, REPEATS, StepCost, Timing
from xrdsim.forward import card
from xrdsim.forward.model import simulate
from xrdsim.limits import Json


def describe_machine() -> Json:
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
        "cuda": card.describe(),
    }


def timings_to_dict(timings: list[Timing], costs: list[StepCost] | None = None) -> Json:
    """Machine, timings and what follows from them, and the costs of steps where measured, for JSON."""
    derived = ("curves_per_second", "gflops", "share_of_peak")
    rows = [{**asdict(row), **{name: getattr(row, name) for name in derived}} for row in timings]
    found = {
        "machine": describe_machine(),
        "repeats": REPEATS,
        "timings": rows,
        "derivatives_against_curve": derivative_ratios(timings),
        "speed_up_of_all_cores": speed_ups(timings),
    }
    return found if costs is None else {**found, "steps": [asdict(cost) for cost in costs]}


def derivative_ratios(timings: list[Timing]) -> dict[str, float]:
    """Time of curves with derivatives against that of the curves alone, on one core."""
    alone = {row.name: row.ms_per_curve for row in timings if row.threads == 1}
    return {name: alone[name] / alone[curve] for name, curve in DERIVATIVES_OF.items()}


def speed_ups(timings: list[Timing]) -> dict[str, float]:
    """Speed of all cores against one, where there are several: of each variant, and of the multiply-adds."""
    alone = {row.name: row for row in timings if row.threads == 1}
    found = {}
    for row in timings:
        if row.threads > 1:
            one = alone[row.name]
            found[row.name] = one.ms_per_curve / row.ms_per_curve
            if row.peak is not None and one.peak is not None:
                found["multiply-adds"] = row.peak / one.peak
    return found


def throughput_table(timings: list[Timing]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the timings."""
    header = ("simulator", "cores", "ms/curve", "curves/s", "error", "worst [dex]", "GFLOP/s", "of peak", "slow/fast")
    rows: list[tuple[str, ...]] = []
    for row in timings:
        rate = row.curves_per_second
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"
        gflops = "—" if row.gflops is None else f"{row.gflops:.1f}"
        share = "—" if row.share_of_peak is None else f"{100.0 * row.share_of_peak:.0f} %"
        error, worst = f"{row.error:.0e}", f"{row.worst_error:.0e}"
        spread = f"{row.spread:.2f}"
        rows.append((row.name, str(row.threads), f"{row.ms_per_curve:.3f}", speed, error, worst, gflops, share, spread))
    return header, rows


def throughput_notes(timings: list[Timing]) -> list[str]:
    """What follows from the timings: peaks, the price of derivatives, the gain of several cores."""
    peaks = {row.threads: row.peak for row in timings if row.peak is not None}
    lines = ["peak: " + ", ".join(f"{peak:.0f} GFLOP/s on {n} core{'s' * (n > 1)}" for n, peak in peaks.items())]
    lines += [f"{name}: {ratio:.2f} times the curve alone" for name, ratio in derivative_ratios(timings).items()]
    gains = speed_ups(timings)
    if gains:
        cores = max(peaks)
        lines.append(f"{cores} cores against 1: " + ", ".join(f"{name} {gain:.2f}" for name, gain in gains.items()))
    return lines


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
