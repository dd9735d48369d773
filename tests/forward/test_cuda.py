"""The kernels of the graphics card, run by the simulator of numba-cuda without one, against those of the processor.

The simulator must be chosen before Numba is imported: this file, run as a script, is the other process.
"""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import xrdsim
from xrdsim._jit import CACHE
from xrdsim.dataset import generation
from xrdsim.dataset.fresh import fresh_curves
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import round_curves
from xrdsim.errors import DeviceError, ParameterError, StoreError
from xrdsim.experiment.instrument import PSEUDO_VOIGT, VOIGT
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward import card, tensors
from xrdsim.forward import cuda as device
from xrdsim.forward.derivatives import pull_back
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.forward.prepare import prepare
from xrdsim.forward.simulator import NUISANCES, Simulator
from xrdsim.observation.observer import Observer
from xrdsim.observation.tensors import curves as observed
from xrdsim.profiles.spline import spline_space
from xrdsim.profiles.two_gaussians import L1, L2

ROWS = np.array(
    [
        [0.01305, 0.0017, 1200.0, 700.0, 0.004845, 900.0, -100.0],
        [0.006, 0.006, 900.0, 0.0, 0.002, 850.0, 0.0],
    ]
)
DAMAGED = np.column_stack([ROWS, [0.4, 0.2], [0.8, 2.1]])
COARSE = Scan(-80.0, 67.0, 30)
INCLINED = {
    "reflection": replace(GGG_444, hkl=(8, 8, 0), surface=(1, 1, 1), geometry="grazing-exit"),
    "scan": Scan(-20.0, 8.0, 60),
}

CURVES = {
    "exact": (ROWS, {"fwhm": 0.0}),
    "linear": (ROWS, {"fwhm": 0.0, "convention": "linear", "monochromator": 0.3}),
    "damage": (DAMAGED, {"fwhm": 0.0}),
    "linear layers": (ROWS, {"fwhm": 0.0, "convention": "linear", "layers": 40.0}),
    "thick damaged layers": (DAMAGED, {"fwhm": 0.0, "layers": 150.0}),
    "instrument": (ROWS, {"fwhm": 60.0, "zero": 5.0, "scale": 2.0, "background": 1e-4}),
    "with and without instrument": (ROWS, {"fwhm": [60.0, 0.0], "zero": [-4.0, 6.0], "scale": [1.0, 3.0]}),
    "film": (ROWS, {"fwhm": 60.0, "reflection": YIG_ON_GGG_444}),
    "inclined surface": (ROWS[:1], {"fwhm": 0.0, **INCLINED}),
}

EVERYTHING = tuple(NUISANCES)
FEW = Scan(-80.0, 200.0, 8)
SPLINE = spline_space(8, depth=(500.0, 1300.0))
OWN = spline_space(7, "abrupt", depth=(500.0, 1300.0), own=5).with_damage()
SPLINES = {
    "spline": (np.array([[1100.0, 0.004, 0.009, 0.012, 0.008, 0.003, 0.001]]), SPLINE),
    "spline, damage": (np.array([[1100.0, 0.004, 0.009, 0.012, 0.008, 0.003, 0.001, 0.4, 0.8]]), SPLINE.with_damage()),
    "spline, own damage": (
        np.array([[900.0, 0.004, 0.009, 0.012, 0.008, 0.005, 0.003, 0.002, 0.9, 0.7, 0.6, 0.8, 0.95]]),
        OWN,
    ),
}
CURVES |= {name: (row, {"fwhm": 60.0, "scan": FEW, "space": space}) for name, (row, space) in SPLINES.items()}
JACOBIANS = {
    "slopes": (ROWS, {"fwhm": 0.0, "nuisances": ("background", "scale"), "scale": [2.0, 3.0]}),
    "slopes, damage": (DAMAGED, {"fwhm": 0.0}),
    "slopes, linear": (DAMAGED[:1], {"fwhm": 0.0, "convention": "linear", "monochromator": 0.3}),
    "slopes, inclined surface": (ROWS[:1], {"fwhm": 0.0, **INCLINED}),
    **{f"slopes, {name}": (row, {"fwhm": 0.0, "scan": FEW, "space": space}) for name, (row, space) in SPLINES.items()},
    "slopes, film": (ROWS[:1], {"fwhm": 60.0, "reflection": YIG_ON_GGG_444, "scan": FEW}),
    "slopes, instrument": (ROWS, {"fwhm": [60.0, 80.0], "zero": [5.0, -3.0], "scale": 2.0, "nuisances": EVERYTHING}),
}


def thin():
    """Ranges of thin layers: few coarse angles suffice."""
    high = np.array(xrdsim.ParameterSpace().high)
    high[[L1, L2]] = 1300.0, 1000.0
    return xrdsim.ParameterSpace(high=tuple(high[:7].tolist()))


def curves(name, where):
    rows, options = CURVES[name]
    space = thin().with_damage() if rows.shape[1] == 9 else thin()
    return xrdsim.simulate(rows, device=where, **{"scan": COARSE, "space": space} | options)


def rough(where, precision):
    """Curves in single precision, with the same steps in double precision."""
    options = {"scan": COARSE, "space": thin().with_damage(), "rtol_dex": 1e-3, "fwhm": [60.0, 0.0]}
    return xrdsim.simulate(DAMAGED, device=where, precision=precision, **options)


def slopes(name, where):
    rows, options = JACOBIANS[name]
    space = thin().with_damage() if rows.shape[1] == 9 else thin()
    return xrdsim.linearize(rows, device=where, **{"scan": COARSE, "space": space} | options)


def kept(where):
    """Curves and derivatives as tensors, which stay where they are computed."""
    rows, options = CURVES["with and without instrument"]
    found = xrdsim.simulate(rows, space=thin(), device=where, scan=COARSE, output="torch", **options)
    rows, options = JACOBIANS["slopes, instrument"]
    told = xrdsim.linearize(rows, space=thin(), device=where, scan=COARSE, output="torch", **options)
    logarithmic = xrdsim.jacobian(rows, space=thin(), device=where, scan=COARSE, output="torch", **options)
    learned = Simulation(thin(), COARSE, margin=50.0, base_fwhm=60.0, mantissa_bits=12, device=where)
    values = {name: getattr(found, name) for name in ("params", "angle", "reflectivity", "intensity")}
    values |= {"linearized": told.curves.intensity, "slope": told.slope, "log slope": logarithmic}
    values["learned"] = fresh_curves(rows.astype(np.float32), learned, output="torch")
    assert all(isinstance(value, torch.Tensor) for value in values.values())
    assert values["learned"].dtype == torch.float32
    return {f"kept {name}": value.numpy() for name, value in values.items()}


def behind(where):
    """Curves and derivatives behind instruments with tails."""
    values = {}
    for name, instrument, own in (
        ("voigt", VOIGT, [[3.0, 70.0, 12.0], [-2.0, 90.0, 5.0]]),
        ("pseudo-voigt", PSEUDO_VOIGT, [[3.0, 300.0, 0.3], [0.0, 300.0, 0.6]]),
    ):
        simulator = Simulator(Experiment(), COARSE, thin(), where)
        observer, parameters = Observer(simulator, instrument), np.array(own)
        intensity, slope = observer.linearize(ROWS, parameters)
        values |= {name: observer.curves(ROWS, parameters), f"{name} linearized": intensity, f"{name} slope": slope}
        values[f"{name} kept"] = observed(observer, ROWS, parameters).numpy()
    return values


def adjoint(where):
    rows, options = JACOBIANS["slopes, instrument"]
    cotangent = np.random.default_rng(6).normal(size=(len(rows), COARSE.points))
    return pull_back(rows, cotangent, scan=COARSE, space=thin(), device=where, **options)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """What the simulated card computes."""
    pytest.importorskip("numba_cuda")
    path = tmp_path_factory.mktemp("cuda") / "simulated.npz"
    # without compilation: the arrays of the simulator are its own, which compiled functions do not take
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, __file__, str(path)], env=environment, check=True, timeout=300)
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_those_of_the_processor(simulated, name):
    expected = curves(name, "cpu")
    np.testing.assert_allclose(simulated[name], expected.reflectivity, rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(simulated[name + " seen"], expected.intensity, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("name", JACOBIANS)
def test_derivatives_are_those_of_the_processor(simulated, name):
    expected = slopes(name, "cpu")
    np.testing.assert_allclose(simulated[name + ", R"], expected.curves.reflectivity, rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(simulated[name + ", I"], expected.curves.intensity, rtol=1e-8, atol=1e-14)
    norm = np.linalg.norm(expected.slope, axis=1)
    apart = np.linalg.norm(simulated[name] - expected.slope, axis=1)
    assert np.all(apart <= 1e-8 * norm + 1e-20)  # D01 has no effect where Rp1 = 0


def test_single_precision_is_that_of_the_processor(simulated):
    """Their errors are alike: where R > 1e-7 at most 3e-4 dex RMS, of rounding alone 1e-5."""
    there = simulated["single"], simulated["single seen"]
    exact, here = (rough("cpu", precision) for precision in ("double", "single"))
    for found, curve, single in zip(
        there, (exact.reflectivity, exact.intensity), (here.reflectivity, here.intensity), strict=True
    ):
        large = curve > 1e-7
        apart, usual = (np.abs(np.log10(each / curve))[large] for each in (found, single))
        assert 0.0 < np.sqrt(np.mean(apart**2)) < 1e-5
        assert apart.max() < 3.0 * usual.max()


def test_blocks_do_not_matter(simulated):
    np.testing.assert_array_equal(simulated["one by one"], simulated["exact"])


def test_the_adjoint_is_that_of_the_processor(simulated):
    expected = adjoint("cpu")
    np.testing.assert_allclose(simulated["adjoint"], expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def test_tensors_are_those_of_the_processor(simulated):
    for name, values in kept("cpu").items():
        precision = 5e-4 if name == "kept learned" else 1e-8  # of 12 bits of a mantissa one may differ
        np.testing.assert_allclose(simulated[name], values, rtol=precision, atol=1e-8 * np.abs(values).max())


def test_tensors_hold_what_arrays_do(demonstration):
    arrays, found = (xrdsim.simulate(demonstration, output=output) for output in ("numpy", "torch"))
    np.testing.assert_array_equal(found.intensity.numpy(), arrays.intensity)
    arrays, found = (xrdsim.linearize(demonstration, output=output) for output in ("numpy", "torch"))
    np.testing.assert_array_equal(found.slope.numpy(), arrays.slope)
    np.testing.assert_array_equal(found.log_slope.numpy(), arrays.log_slope)


def test_instruments_with_tails(simulated):
    for name, values in behind("cpu").items():
        np.testing.assert_allclose(simulated[name], values, rtol=1e-8, atol=1e-9 * np.abs(values).max())


@pytest.mark.parametrize("bits", [1, 12, 22, 23])
def test_tensors_are_rounded_as_arrays_are(bits):
    curves = np.random.default_rng(1).lognormal(-8.0, 4.0, (40, 50)).astype(np.float32)
    found = tensors.rounded(torch.from_numpy(curves.copy()), bits)
    np.testing.assert_array_equal(found.numpy(), round_curves(curves, bits))


def test_outputs_are_named(demonstration):
    with pytest.raises(ParameterError, match="output 'cupy' is unknown; choose numpy or torch"):
        xrdsim.simulate(demonstration, output="cupy")


def test_tensors_on_the_card_need_torch_there(monkeypatch, demonstration):
    monkeypatch.setattr(card, "missing", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for function in (xrdsim.simulate, xrdsim.jacobian):
        with pytest.raises(DeviceError, match="needs a PyTorch that sees the card"):
            function(demonstration, device="cuda", output="torch")


def compiler(monkeypatch, capability):
    """What compiles a kernel for a signature to the assembly of cards of a capability."""
    pytest.importorskip("numba_cuda")
    from numba import cuda
    from numba.cuda import dispatcher

    if not card.has_compiler():
        pytest.skip("the compiler of the CUDA toolkit is not installed")
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=capability))

    def compiled(kernel, signature, **options):
        code, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability, **options)
        return code

    return compiled


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_the_kernels_compile(monkeypatch, capability):
    compiled = compiler(monkeypatch, capability)
    from numba import typeof, types

    from xrdsim.kernels import cuda_jacobian as slopes_of
    from xrdsim.kernels.cuda import count, fill, observe, place, reflect, transfer

    model = prepare(COARSE)
    profile, layer, accuracy, optics = map(typeof, (model.profile, model.layer, model.accuracy, model.optics))
    nodes = typeof(instrument_nodes(COARSE, GGG_444, narrowest=30.0, widest=30.0, zero=0.0, thickness=1000.0))
    real = [types.Array(types.float64, rank, "C") for rank in range(5)]
    counts, unit = types.Array(types.int64, 2, "C"), types.UniTuple(types.float64, 7)
    for kernel, signature in (
        (observe, (real[3], nodes, *[real[1]] * 4, types.int64, real[2], real[3], types.int64)),
        (place, (real[2], types.Array(types.int64, 1, "C"), types.Array(types.float32, 2, "C"))),
        (count, (real[2], profile, layer, accuracy, types.int64, counts)),
        (fill, (real[2], profile, layer, accuracy, counts, real[3])),
        (reflect, (counts, real[3], optics, real[3], real[2])),
        (slopes_of.fill, (real[2], profile, layer, counts, real[3], real[4], real[2], real[3])),
        (slopes_of.advance_all, (unit, types.int64, layer, counts, real[3], real[4], real[2], optics, real[4])),
        (slopes_of.linearize, (types.int64, optics, real[4], real[2], real[3])),
        (
            slopes_of.linearize_on_film,
            (types.int64, counts, real[3], real[2], optics, real[4], real[2], real[3]),
        ),
    ):
        assert f"sm_{capability[0]}{capability[1]}" in compiled(kernel, signature)
    small = [types.Array(types.float32, rank, "C") for rank in range(4)]
    optics = typeof(prepare(COARSE, precision="single").optics)
    for kernel, signature in (
        (fill, (real[2], profile, layer, accuracy, counts, small[3])),
        (reflect, (counts, small[3], optics, small[3], real[2])),
    ):
        assert f"sm_{capability[0]}{capability[1]}" in compiled(kernel, signature)
    signature = (small[1], types.int64, small[2], types.int64)
    code = compiled(transfer, signature, device=True)
    assert "fma.rn.f32" in code
    assert "mul.f64" not in code
    assert "fma.rn.f64" not in code


def test_the_kernels_compile_for_splines(monkeypatch):
    compiled = compiler(monkeypatch, (9, 0))
    from numba import typeof, types

    from xrdsim.kernels import cuda_jacobian as slopes_of
    from xrdsim.kernels.cuda import count, fill

    model = prepare(COARSE, profile=OWN.profile, damaged=True)
    profile, layer, accuracy = map(typeof, (model.profile, model.layer, model.accuracy))
    real = [types.Array(types.float64, rank, "C") for rank in range(5)]
    counts = types.Array(types.int64, 2, "C")
    for kernel, signature in (
        (count, (real[2], profile, layer, accuracy, types.int64, counts)),
        (fill, (real[2], profile, layer, accuracy, counts, real[3])),
        (slopes_of.fill, (real[2], profile, layer, counts, real[3], real[4], real[2], real[3])),
    ):
        assert "sm_90" in compiled(kernel, signature)


def test_the_extra_is_named(monkeypatch, demonstration):
    monkeypatch.setattr(card, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"pip install 'xrdsim\[cuda\]'"):
        xrdsim.simulate(demonstration, device="cuda")
    assert card.describe().startswith("none")


def test_without_a_card(demonstration):
    pytest.importorskip("numba_cuda")
    if card.missing() is None:
        pytest.skip("there is a CUDA GPU")
    with pytest.raises(DeviceError, match="no CUDA GPU was found"):
        xrdsim.simulate(demonstration, device="cuda")


def test_a_dataset_belongs_to_its_device(tmp_path, monkeypatch):
    asked = []

    def flat(tasks, reflectivity, intensity):
        asked.extend(len(task.rows) for task in tasks)
        intensity[:] = 1.0

    monkeypatch.setattr(card, "missing", lambda: None)
    monkeypatch.setattr(device, "curves", flat)
    settings = {"n": 5, "test_rows": 3, "sampler": "grid", "scan": COARSE}
    dataset = xrdsim.generate(tmp_path / "d.zarr", device="cuda", **settings)
    assert sum(asked) == 3 + 5  # all rows of both blocks, those of like thickness at once
    assert dataset.config.device == "cuda"
    with pytest.raises(StoreError, match="begun with device = cuda, not cpu"):
        xrdsim.generate(tmp_path / "d.zarr", resume=True, **settings)


def test_blocks_are_simulated_together_and_written_apart(tmp_path, monkeypatch):
    asked = []

    def telling(tasks, reflectivity, intensity):
        asked.append(sum(len(task.rows) for task in tasks))
        for task in tasks:
            intensity[task.index] = task.rows[:, :1]

    monkeypatch.setattr(card, "missing", lambda: None)
    monkeypatch.setattr(device, "curves", telling)
    monkeypatch.setattr(generation, "_ON_CARD", 8)
    settings = {"n": 11, "test_rows": 3, "block_size": 4, "sampler": "sobol", "scan": COARSE}
    dataset = xrdsim.generate(tmp_path / "d.zarr", device="cuda", **settings)
    assert sorted(asked) == [3, 3, 8]  # the test rows; two blocks of four, and the last one
    rows = dataset.load()
    np.testing.assert_allclose(rows.reflectivity[:, 0], rows.params[:, 0], rtol=2.0**-12)


def test_one_thread_talks_to_the_card(monkeypatch):
    names = []
    monkeypatch.setattr(device, "_curves", lambda tasks, wanted: names.append(threading.current_thread().name))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(device.curves, [[]] * 12))
    assert len(names) == 12
    assert len(set(names)) == 1
    assert threading.current_thread().name not in names


def test_kernels_of_another_card_are_not_loaded(monkeypatch):
    """Numba's index of cached kernels names the compute capability."""
    pytest.importorskip("numba_cuda")
    from numba.cuda import codegen

    from xrdsim.kernels.cuda import count

    keys = set()
    for capability in ((8, 0), (9, 0)):
        context = SimpleNamespace(device=SimpleNamespace(compute_capability=capability))
        monkeypatch.setattr(codegen.devices, "get_context", lambda context=context: context)
        monkeypatch.setattr(codegen.runtime.runtime, "get_version", lambda: (12, 9))
        library = codegen.JITCUDACodegen("cached")
        keys.add(count._cache._index_key((), library))
    assert len(keys) == 2


def test_copies_of_the_package_share_compiled_kernels():
    """Their folder and the stamp of their index follow from the sources alone, not from path and time of the files."""
    pytest.importorskip("numba_cuda")
    from xrdsim.kernels.cuda import count

    cache, folder = count._cache, Path(CACHE) / "xrdsim.kernels.cuda"
    assert [Path(cache._cache_path), Path(cache._launch_config_marker_path).parent] == [folder, folder]
    assert Path(cache._cache_file._index_path).parent == folder
    assert cache._cache_file._source_stamp == Path(CACHE).name


def test_one_thread_starts_the_driver(monkeypatch):
    """The driver is asked for its device by the owner alone, however many threads want curves."""
    pytest.importorskip("numba_cuda")
    from numba import cuda

    names = []

    def asked():
        names.append(threading.current_thread().name)
        return SimpleNamespace(id=0, name=b"a card")

    monkeypatch.setattr(card, "missing", lambda: None)
    monkeypatch.setattr(cuda, "get_current_device", asked)
    card.number.cache_clear()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: (card.describe(), card.number()), range(8)))
    finally:
        card.number.cache_clear()
    assert len(set(names)) == 1
    assert threading.current_thread().name not in names


def test_the_compiler_is_named(monkeypatch, demonstration):
    pytest.importorskip("numba_cuda")
    from numba import cuda

    monkeypatch.setattr(cuda, "cuda_error", lambda: None)
    monkeypatch.setattr(card, "has_compiler", lambda: False)
    with pytest.raises(DeviceError, match=r"pip install 'numba-cuda\[cu13\]'"):
        xrdsim.simulate(demonstration, device="cuda")


def main(path):
    results = {}
    for name in CURVES:
        found = curves(name, "cuda")
        results[name] = found.reflectivity
        results[name + " seen"] = found.intensity
    for name in JACOBIANS:
        if name == "slopes, instrument":
            device.SAMPLES = 1  # from here on a part has one sample
        told = slopes(name, "cuda")
        results[name] = told.slope
        results[name + ", R"] = told.curves.reflectivity
        results[name + ", I"] = told.curves.intensity
    results["adjoint"] = adjoint("cuda")
    single = rough("cuda", "single")
    results |= {"single": single.reflectivity, "single seen": single.intensity}
    results |= kept("cuda")
    results |= behind("cuda")
    results["one by one"] = curves("exact", "cuda").reflectivity
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1])
