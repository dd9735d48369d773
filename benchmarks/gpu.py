"""Correctness and speed on a graphics card, in one run: a table for ``benchmarks/README.md``.

    python benchmarks/gpu.py                 some five minutes
    python benchmarks/gpu.py check curves    some of its parts: check curves slopes variants first gen train

Curves and derivatives of fresh random vectors are compared with the processor's. Times are medians of repetitions, the
first of which (compilation) is named apart. "Kernels" is the reflectivity left on the card, "torch" all that
``simulate(…, output="torch")`` returns there, "host" all that ``simulate`` returns. Operations are counted as in
docs/kernel.md; the peak is that of multiply-adds on the same card. A part that fails says why, and the next one begins.
The packages of the project must be importable and the repository on PYTHONPATH; it need not be installed.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def described() -> None:
    """Let the project's version be found where it is not installed, here and in the processes started from here."""
    try:
        version("xrdsim")
    except PackageNotFoundError:
        number = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        folder = Path(tempfile.mkdtemp())
        (folder / f"xrdsim-{number}.dist-info").mkdir()
        (folder / f"xrdsim-{number}.dist-info" / "METADATA").write_text(f"Name: xrdsim\nVersion: {number}\n")
        sys.path.append(str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])


described()

import xrdsim  # noqa: E402
from xrdsim.benchmark.flops import operations  # noqa: E402
from xrdsim.dataset.fresh import fresh_curves  # noqa: E402
from xrdsim.dataset.simulation import Simulation  # noqa: E402
from xrdsim.experiment.reflection import YIG_ON_GGG_444  # noqa: E402
from xrdsim.experiment.scan import DEFAULT_SCAN  # noqa: E402
from xrdsim.experiment.setup import Experiment  # noqa: E402
from xrdsim.forward import card, cuda  # noqa: E402
from xrdsim.forward.prior import draw_prior  # noqa: E402
from xrdsim.forward.simulator import Seen, Simulator  # noqa: E402
from xrdsim.profiles.spline import spline_space  # noqa: E402

MANY, SOME, FEW = 65536, 8192, 64
SPLINE = spline_space(24).with_damage()
WRITTEN = 1_000_000  # rows of a dataset
LEARNED = 65536  # curves of a training


def main() -> int:
    card.require()
    versions = ", ".join(f"{name} {version(name)}" for name in STACK)
    print(f"{card.describe()}; {os.cpu_count()} cores; {versions}", flush=True)
    failed = []
    for name in sys.argv[1:] or list(PARTS):
        begun = time.perf_counter()
        try:
            PARTS[name]()
        except Exception:
            failed.append(name)
            traceback.print_exc(file=sys.stdout)
        print(f"({name}: {time.perf_counter() - begun:.0f} s)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


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
        "splines": (splines(FEW, rng), {"fwhm": 30.0, "space": SPLINE}),
    }
    wrong = []

    def said(name: str, apart: float, most: float) -> None:
        print(f"| {name} | {apart:.1e} |", flush=True)
        if not apart <= most:
            wrong.append(name)

    print("\n| curves | largest relative difference from the processor |\n|---|---|")
    for name, (params, options) in cases.items():
        here, there = (xrdsim.simulate(params, device=device, **options) for device in ("cpu", "cuda"))
        apart = max(
            np.abs(a / b - 1.0).max()
            for a, b in ((there.reflectivity, here.reflectivity), (there.intensity, here.intensity))
        )
        said(name, apart, 1e-8)
    plain = xrdsim.ParameterSpace()
    for name, params, space, more in (
        ("derivatives", rows, plain, {}),
        ("derivatives, damage", damaged, plain.with_damage(), {}),
        ("derivatives, film", thin, plain, {"reflection": YIG_ON_GGG_444}),
        ("derivatives, splines", splines(FEW, rng), SPLINE, {}),
    ):
        options = {"fwhm": rng.uniform(15.0, 100.0, FEW), **seen, "nuisances": ("zero", "fwhm", "scale", "background")}
        options |= {"space": space, **more}
        here, there = (xrdsim.linearize(params, device=device, **options).slope for device in ("cpu", "cuda"))
        norm, apart = (np.linalg.norm(each, axis=1) for each in (here, there - here))
        span = np.append(space.span, np.ones(4))
        largest = (norm * span).max(axis=1)[:, None]
        said(f"{name}, of the norm of each", (apart / norm)[norm > 0.0].max(), 1e-5)
        said(f"{name}, of the largest", (apart * span / largest).max(), 1e-8)
    exact, *rough = (
        xrdsim.simulate(rows, fwhm=0.0, rtol_dex=1e-3, device=device, precision=precision).reflectivity
        for device, precision in (("cpu", "double"), ("cpu", "single"), ("cuda", "single"))
    )
    for name, found in zip(("processor", "card"), rough, strict=True):
        apart = np.log10(found / exact)[exact > 1e-7]
        said(f"rounding of single precision, {name}, dex RMS", np.sqrt(np.mean(apart**2)), 1e-5)
    options = {"fwhm": 30.0, "device": "cuda"}
    host, kept = (xrdsim.simulate(rows, output=output, **options) for output in ("numpy", "torch"))
    xrdsim.simulate(rows[::-1], output="torch", **options)  # leaves the first ones alone
    said("torch and host", np.abs(kept.intensity.cpu().numpy() / host.intensity - 1.0).max(), 1e-12)
    host, kept = (xrdsim.linearize(rows, output=output, **options).slope for output in ("numpy", "torch"))
    said("derivatives, torch and host", np.abs(kept.cpu().numpy() - host).max() / np.abs(host).max(), 1e-12)
    if wrong:
        raise AssertionError(f"too far apart: {', '.join(wrong)}")


def curves() -> None:
    """Curves a second."""
    peak = peak_of_card()
    rows = draw_prior(MANY, rng=np.random.default_rng(1))
    print(f"\npeak of multiply-adds: {peak / 1e12:.1f} TFLOP/s")
    print("\n| curves | n | first [s] | ms | curves/s | of peak |\n|---|---|---|---|---|---|")
    for fwhm in (0.0, 30.0):
        work = operations(rows[:FEW], fwhm=fwhm)
        row(f"kernels, fwhm {fwhm:g}", MANY, lambda f=fwhm: kernels(rows, f), 5, work, peak)
        row(f"torch, fwhm {fwhm:g}", MANY, lambda f=fwhm: kept(rows, f), 5, work, peak)
        row(f"host, fwhm {fwhm:g}", MANY, lambda f=fwhm: xrdsim.simulate(rows, fwhm=f, device="cuda"), 5, work, peak)
    row("fresh curves of a training, torch", MANY, lambda: learned(rows), 5)
    row("single precision, torch, fwhm 0", MANY, lambda: kept(rows, 0.0, "single"), 5)
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
    row("7, torch", SOME, lambda: xrdsim.linearize(rows, device="cuda", output="torch"), 4)
    row("7, host", SOME, lambda: xrdsim.linearize(rows, device="cuda"), 4)
    row("9, damage, host", SOME, lambda: xrdsim.linearize(damaged, device="cuda"), 4)
    free = splines(SOME // 4, np.random.default_rng(1))
    row(f"{SPLINE.size}, splines, host", len(free), lambda: xrdsim.linearize(free, space=SPLINE, device="cuda"), 4)
    row("7, processor", 2048, lambda: xrdsim.linearize(rows[:2048]), 2)


def variants() -> None:
    """What each kernel takes, and how its settings change that."""
    from numba import cuda as driver

    from xrdsim.kernels import cuda as plain
    from xrdsim.kernels import cuda_jacobian as slopes

    rows = draw_prior(MANY, rng=np.random.default_rng(1))

    def curves_again() -> None:
        kernels(rows, 0.0)

    def slopes_again() -> None:
        slopes_on_card(rows[:SOME])

    print("\n| kernel, fwhm 30 | launches | ms |\n|---|---|---|")
    for name, function in (("curves", lambda: kept(rows, 30.0)), ("slopes", slopes_again)):
        for kernel, (number, seconds) in by_kernel(function).items():
            print(f"| {name}: {kernel} | {number} | {1e3 * seconds:.1f} |", flush=True)
    print("\n| variant | n | first [s] | ms | curves/s | of peak |\n|---|---|---|---|---|---|")
    row("curves", MANY, curves_again, 5)
    row("slopes", SOME, slopes_again, 3)
    for threads in (32, 64, 256):
        with changed(plain, THREADS=threads):
            row(f"curves, blocks of {threads} threads", MANY, curves_again, 5)
            row(f"slopes, blocks of {threads} threads", SOME, slopes_again, 3)
    for module, name, function, n, options in (
        (plain, "reflect", curves_again, MANY, {"max_registers": 128}),
        (plain, "reflect", curves_again, MANY, {"max_registers": 96}),
        (slopes, "advance_all", slopes_again, SOME, {"max_registers": 168}),
        (slopes, "advance_all", slopes_again, SOME, {"max_registers": 128}),
        (slopes, "linearize", slopes_again, SOME, {"max_registers": 128}),
        (slopes, "fill", slopes_again, SOME, {"max_registers": 128}),
    ):
        with changed(module, **{name: driver.jit(**options)(getattr(module, name).py_func)}):
            row(f"{'curves' if module is plain else 'slopes'}, {name}, {options}", n, function, 3)


def by_kernel(function: Callable[[], object]) -> dict[str, list[float]]:
    """Number of launches and seconds of each kernel, one after the other."""
    function()
    spent: dict[str, list[float]] = {}
    launch = cuda._launch

    def timed(kernel: object, *arguments: object) -> None:
        wait()
        begun = time.perf_counter()
        launch(kernel, *arguments)
        wait()
        each = spent.setdefault(kernel.py_func.__name__, [0, 0.0])
        each[0] += 1
        each[1] += time.perf_counter() - begun

    with changed(cuda, _launch=timed):
        function()
    return spent


@contextmanager
def changed(module: object, **values: object) -> Iterator[None]:
    """Other values of attributes of a module."""
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


FIRST = """
import time
begun = time.perf_counter()
import xrdsim
imported = time.perf_counter()
rows = [0.01305, 0.0017, 5800.0, 3500.0, 0.004845, 4000.0, -500.0]
xrdsim.{name}(rows, device="cuda")
first = time.perf_counter()
xrdsim.{name}(rows, device="cuda")
second = time.perf_counter()
print(f"import {{imported - begun:.2f}} s, first {{first - imported:.2f}} s, second {{second - first:.3f}} s")
"""


def first() -> None:
    """The first call of a fresh process, whose kernels an earlier one has compiled."""
    print()
    for name in ("simulate", "linearize"):
        for when in ("perhaps compiling", "kernels in the cache"):
            print(f"{name}, {when}: {finished([sys.executable, '-c', FIRST.format(name=name)])}", flush=True)


def gen() -> None:
    """Datasets, the command and all, and what their parts take."""
    print()
    for n, extra in ((WRITTEN, []), (50_000, ["--sampler", "sobol", "--damage"])):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "xrdml", "--quiet", "gen", "-n", str(n), "--device", "cuda", *extra]
            begun = time.perf_counter()
            finished([*command, "-o", f"{folder}/d.zarr"])
            seconds = time.perf_counter() - begun
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        print(f"xrd gen -n {n} {' '.join(extra)}: {seconds:.1f} s, {size / 1e6:.0f} MB", flush=True)
    print(finished([sys.executable, str(ROOT / "benchmarks" / "gpu_gen.py"), str(WRITTEN // 2)]), flush=True)


def train() -> None:
    """Networks that learn from curves simulated meanwhile."""
    print()
    for model in ("flow", "weighted"):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "xrdml", "train", "--simulate", str(LEARNED), "--model", model]
            command += ["--device", "cuda", "--epochs", "1", "-o", f"{folder}/run"]
            begun = time.perf_counter()
            said = finished(command)
            seconds = time.perf_counter() - begun
        print(f"xrd train --model {model} --simulate {LEARNED} --epochs 1: {seconds:.1f} s\n{said[-600:]}", flush=True)


def finished(command: list[str]) -> str:
    """What a command prints; its end where it fails, or takes longer than two minutes, in the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)[:200]}: exit {done.returncode}\n{done.stdout[-500:]}{done.stderr[-1500:]}"
        )
    return (done.stdout + done.stderr).strip()


def splines(n: int, rng: np.random.Generator) -> np.ndarray:
    """Profiles of 24 coefficients, largest in the middle of the layer, with damage."""
    shape = np.sin(np.linspace(0.1, 0.9 * np.pi, SPLINE.profile.size - 1)) ** 2
    strain = 0.012 * shape * rng.uniform(0.7, 1.3, (n, len(shape)))
    return np.column_stack([rng.uniform(3000.0, 7000.0, n), strain, rng.uniform(0.0, 0.5, n), rng.uniform(0.5, 2.0, n)])


def kernels(rows: np.ndarray, fwhm: float) -> None:
    """The reflectivity at all nodes, left on the card."""
    simulator = Simulator(Experiment(), DEFAULT_SCAN, xrdsim.ParameterSpace(), "cuda")
    seen = Seen.unscaled(np.full(len(rows), fwhm), np.zeros(len(rows)))
    cuda.curves(list(simulator.tasks(rows, seen)))
    card.by_owner(wait)


def kept(rows: np.ndarray, fwhm: float, precision: str = "double") -> None:
    """Curves as tensors on the card."""
    xrdsim.simulate(rows, fwhm=fwhm, device="cuda", precision=precision, output="torch")


def learned(rows: np.ndarray) -> None:
    """Curves as a training takes them, on the card."""
    fresh_curves(rows.astype(np.float32), Simulation(device="cuda"), output="torch")


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


PARTS: dict[str, Callable[[], None]] = {
    "check": check,
    "curves": curves,
    "slopes": slopes,
    "variants": variants,
    "first": first,
    "gen": gen,
    "train": train,
}

if __name__ == "__main__":
    sys.exit(main())
