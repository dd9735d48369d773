"""Correctness and speed on a graphics card, in one run: a table for ``benchmarks/README.md``.

    python benchmarks/gpu.py                 some four minutes
    python benchmarks/gpu.py check curves    some of its parts: check curves slopes gen train

Curves and derivatives of fresh random vectors are compared with the processor's. Times are medians of repetitions, the
first of which (compilation) is named apart. "Kernels" is the reflectivity left on the card, "host" all that
``simulate`` returns. Operations are counted as in docs/kernel.md; the peak is that of multiply-adds on the same card.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

import xrdsim
from xrdsim.benchmark.flops import operations
from xrdsim.experiment.reflection import YIG_ON_GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.experiment.setup import Experiment
from xrdsim.forward import card, cuda
from xrdsim.forward.prior import draw_prior
from xrdsim.forward.simulator import Seen, Simulator

MANY, SOME, FEW = 65536, 8192, 64
LEARNED = 65536  # curves of a training


def main() -> None:
    card.require()
    print(f"{card.describe()}; {os.cpu_count()} cores; " + ", ".join(f"{name} {version(name)}" for name in STACK))
    chosen = sys.argv[1:] or list(PARTS)
    for name in chosen:
        begun = time.perf_counter()
        PARTS[name]()
        print(f"({name}: {time.perf_counter() - begun:.0f} s)", flush=True)


STACK = ("numba", "numba-cuda", "numpy", "torch")


def check() -> None:
    """Curves and derivatives against those of the processor."""
    rng = np.random.default_rng()
    rows = draw_prior(FEW, rng=rng)
    damaged = np.column_stack([rows, rng.uniform(0.0, 0.6, FEW), rng.uniform(0.25, 4.0, FEW)])
    thin = draw_prior(FEW, rng=rng)
    seen = {"zero": rng.uniform(-15.0, 15.0, FEW), "scale": rng.uniform(0.5, 2.0, FEW), "background": 1e-5}
    cases = {
        "no instrument": (rows, {"fwhm": 0.0}),
        "instrument": (rows, {"fwhm": rng.uniform(15.0, 100.0, FEW), **seen}),
        "damage": (damaged, {"fwhm": 30.0}),
        "linear, layers": (rows, {"convention": "linear", "layers": 20.0, "fwhm": 30.0}),
        "film": (thin, {"fwhm": 30.0, "reflection": YIG_ON_GGG_444}),
    }
    print("\n| curves | largest relative difference from the processor |\n|---|---|")
    for name, (params, options) in cases.items():
        here, there = (xrdsim.simulate(params, device=device, **options) for device in ("cpu", "cuda"))
        apart = max(
            np.abs(a / b - 1.0).max()
            for a, b in ((there.reflectivity, here.reflectivity), (there.intensity, here.intensity))
        )
        print(f"| {name} | {apart:.1e} |", flush=True)
    for name, params in (("derivatives", rows), ("derivatives, damage", damaged)):
        options = {"fwhm": rng.uniform(15.0, 100.0, FEW), **seen, "nuisances": ("zero", "fwhm", "scale", "background")}
        here, there = (xrdsim.linearize(params, device=device, **options).slope for device in ("cpu", "cuda"))
        norm, apart = (np.linalg.norm(each, axis=1) for each in (here, there - here))
        span = np.append(xrdsim.ParameterSpace().with_damage().span[: params.shape[1]], np.ones(4))
        largest = (norm * span).max(axis=1)[:, None]
        print(f"| {name}, of the norm of each | {(apart / norm)[norm > 0.0].max():.1e} |")
        print(f"| {name}, of the largest | {(apart * span / largest).max():.1e} |", flush=True)


def curves() -> None:
    """Curves a second."""
    peak = peak_of_card()
    rows = draw_prior(MANY, rng=np.random.default_rng(1))
    print(f"\npeak of multiply-adds: {peak / 1e12:.1f} TFLOP/s")
    print("\n| curves | n | first [s] | ms | curves/s | of peak |\n|---|---|---|---|---|---|")
    for fwhm in (0.0, 30.0):
        work = operations(rows[:FEW], fwhm=fwhm)
        row(f"kernels, fwhm {fwhm:g}", MANY, lambda f=fwhm: kernels(rows, f), 5, work, peak)
        row(f"host, fwhm {fwhm:g}", MANY, lambda f=fwhm: xrdsim.simulate(rows, fwhm=f, device="cuda"), 5, work, peak)
    for n in (2048, 1024, 1):
        row(
            "host, fwhm 30",
            n,
            lambda n=n: xrdsim.simulate(rows[:n], device="cuda"),
            20,
            operations(rows[:n][:FEW]),
            peak,
        )
    row("16 cores, fwhm 30", SOME, lambda: xrdsim.simulate(rows[:SOME]), 3)


def slopes() -> None:
    """Derivatives a second."""
    rows = draw_prior(SOME, rng=np.random.default_rng(1))
    damaged = np.column_stack([rows, np.full(SOME, 0.3), np.full(SOME, 0.5)])
    print("\n| curves with derivatives | n | first [s] | ms | curves/s | of peak |\n|---|---|---|---|---|---|")
    for name, params in (("7", rows), ("9, damage", damaged)):
        row(f"{name}, kernels", SOME, lambda params=params: slopes_on_card(params), 4)
    row("7, host", SOME, lambda: xrdsim.linearize(rows, device="cuda"), 4)
    row("9, damage, host", SOME, lambda: xrdsim.linearize(damaged, device="cuda"), 4)
    row("7, processor", 2048, lambda: xrdsim.linearize(rows[:2048]), 2)


def gen() -> None:
    """Datasets, the command and all."""
    print()
    for n, extra in ((200_000, []), (50_000, ["--sampler", "sobol", "--damage"])):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "xrdml", "--quiet", "gen", "-n", str(n), "--device", "cuda", *extra]
            begun = time.perf_counter()
            done = subprocess.run([*command, "-o", f"{folder}/d.zarr"], capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - begun
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        print(f"xrd gen -n {n} {' '.join(extra)}: {seconds:.1f} s, {size / 1e6:.0f} MB, exit {done.returncode}")
        if done.returncode or done.stderr:
            print(done.stderr[-1500:])


def train() -> None:
    """Networks that learn from curves simulated meanwhile."""
    print()
    for model in ("flow", "weighted"):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "xrdml", "train", "--simulate", str(LEARNED), "--model", model]
            command += ["--device", "cuda", "--epochs", "1", "-o", f"{folder}/run"]
            begun = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - begun
        print(f"xrd train --model {model} --simulate {LEARNED} --epochs 1: {seconds:.1f} s, exit {done.returncode}")
        print((done.stdout + done.stderr)[-600:], flush=True)


def kernels(rows: np.ndarray, fwhm: float) -> None:
    """The reflectivity at all nodes, left on the card."""
    simulator = Simulator(Experiment(), DEFAULT_SCAN, xrdsim.ParameterSpace(), "cuda")
    seen = Seen.unscaled(np.full(len(rows), fwhm), np.zeros(len(rows)))
    cuda.curves(list(simulator.tasks(rows, seen)))
    card.by_owner(wait)


def slopes_on_card(rows: np.ndarray) -> None:
    """Derivatives of the curves, left on the card."""
    simulator = Simulator(Experiment(), DEFAULT_SCAN, xrdsim.ParameterSpace().with_damage(), "cuda")
    seen = Seen.unscaled(np.full(len(rows), 30.0), np.zeros(len(rows)))
    cuda.linearize(list(simulator.tasks(rows, seen, derivatives=True)), np.zeros(0, np.int64))
    card.by_owner(wait)


def wait() -> None:
    from numba import cuda as driver

    driver.synchronize()


def row(
    name: str, n: int, function: Callable[[], object], repetitions: int, work: float = 0.0, peak: float = math.nan
) -> None:
    """Print a line of a table: first and median time."""
    seconds = []
    for _ in range(1 + repetitions):
        begun = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begun)
    median = float(np.median(seconds[1:]))
    share = f"{100.0 * work * n / median / peak:.0f} %" if work else "—"
    print(f"| {name} | {n} | {seconds[0]:.2f} | {1e3 * median:.2f} | {n / median:,.0f} | {share} |", flush=True)


def peak_of_card() -> float:
    """Multiply-adds in double precision a second, counted as two operations each."""
    return float(card.by_owner(_peak_of_card))


def _peak_of_card() -> float:
    from numba import cuda as driver
    from numba import float64

    chains, links, blocks, threads = 8, 4096, 132 * 16, 256

    @driver.jit
    def multiply_add(a, out):
        x = driver.local.array(8, float64)
        for i in range(8):
            x[i] = a[i]
        for _ in range(links):
            for i in range(8):
                x[i] = x[i] * a[8] + a[9]
        total = 0.0
        for i in range(8):
            total += x[i]
        out[driver.grid(1)] = total

    a, out = driver.to_device(np.linspace(0.1, 0.9, 10)), driver.device_array(blocks * threads, np.float64)
    seconds = []
    for _ in range(5):
        driver.synchronize()
        begun = time.perf_counter()
        multiply_add[blocks, threads](a, out)
        driver.synchronize()
        seconds.append(time.perf_counter() - begun)
    return 2.0 * chains * links * blocks * threads / min(seconds)


PARTS: dict[str, Callable[[], None]] = {"check": check, "curves": curves, "slopes": slopes, "gen": gen, "train": train}

if __name__ == "__main__":
    main()
