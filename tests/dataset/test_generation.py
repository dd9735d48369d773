"""Datasets are the same bytes whatever happens while they are made."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray

from xrdsim.dataset import generation, samplers, store
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.generation import generate
from xrdsim.dataset.grid import make_grid
from xrdsim.dataset.reading import open_dataset
from xrdsim.errors import OutputError, ParameterError, StoreError, StoreExistsError
from xrdsim.experiment.scan import Scan
from xrdsim.forward.model import simulate
from xrdsim.forward.prior import in_window
from xrdsim.profiles.space import ParameterSpace

SENSITIVITY = [3.0, 0.6, 0.8, 0.9, 0.5, 0.6, 0.1]
QUICK = {
    "n": 300,
    "test_rows": 70,
    "block_size": 64,
    "rtol_dex": 1e-3,
    "sampler": "adaptive",
    "sensitivity": SENSITIVITY,
}
BARE = QUICK | {"jitter": False}


def files(path):
    """Every file of a dataset and its bytes."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("generate") / "dataset.zarr"
    generate(path, **QUICK)
    return path


def test_rows_are_what_the_configuration_says(path):
    dataset = open_dataset(path)
    rows, test = dataset.load(), dataset.load("test")
    assert rows.params.shape == (300, 7)
    assert rows.reflectivity.shape == (300, 777)
    assert test.params.shape == (70, 7)
    config = dataset.config
    grid = make_grid(config.space, config.counts)
    assert config.jitter
    assert not np.isin(rows.params[:, 0], grid.axes[0]).any()
    assert len(np.unique(rows.params, axis=0)) == 300
    assert not np.isin(test.params[:, 0], grid.axes[0]).any()
    for params in (rows.params, test.params):
        assert np.all(ParameterSpace().contains(params))
        assert np.all(in_window(params))
    assert config.sensitivity == tuple(SENSITIVITY)
    assert config.counts[0] > 3 * config.counts[1]


def test_stored_curves_are_the_simulation_of_the_stored_parameters(path):
    dataset = open_dataset(path)
    for part in Part:
        rows = dataset.load(part)
        curves = simulate(rows.params, scan=dataset.config.stored_scan, fwhm=20.0, rtol_dex=1e-3)
        exponent = np.floor(np.log2(curves.intensity))
        unit = 2.0 ** (exponent - 12)
        np.testing.assert_array_equal(rows.reflectivity % unit, 0.0)  # 12 bits of the mantissa
        assert (np.abs(rows.reflectivity - curves.intensity) <= 0.501 * unit).all()
        assert np.abs(np.log10(rows.reflectivity / curves.intensity)).max() < 5.4e-5
        np.testing.assert_array_equal(curves.angle, dataset.angle)


def test_xarray_opens_it_without_warnings(path):
    with xarray.open_zarr(path) as opened:
        assert float(opened.reflectivity.min()) > 0.0
        assert opened.attrs["configuration"]["sensitivity_origin"] == {"given": "by the caller"}


def test_any_number_of_threads_writes_the_same_bytes(path, tmp_path, monkeypatch):
    generate(tmp_path / "all.zarr", **QUICK)
    monkeypatch.setattr(generation.numba, "get_num_threads", lambda: 8)
    generate(tmp_path / "eight.zarr", **QUICK)
    monkeypatch.setattr(generation, "_bears_threads", lambda: False)
    monkeypatch.setattr(generation.numba, "get_num_threads", lambda: 1)
    generate(tmp_path / "one.zarr", **QUICK)
    for name in ("all", "eight", "one"):
        assert files(tmp_path / f"{name}.zarr") == files(path)


def test_without_jitter_rows_are_points_of_the_grid(tmp_path):
    dataset = generate(tmp_path / "d.zarr", **(BARE | {"n": 40, "test_rows": 5}))
    grid = make_grid(dataset.config.space, dataset.config.counts)
    rows = dataset.load().params
    assert not dataset.config.jitter
    assert all(np.isin(rows[:, j], axis).all() for j, axis in enumerate(grid.axes))
    assert len(np.unique(rows, axis=0)) == 40


def test_another_seed_gives_other_rows(path, tmp_path):
    small = QUICK | {"n": 20, "test_rows": 5}
    other = generate(tmp_path / "other.zarr", **small, seed=1)
    for part in Part:
        rows = np.concatenate([other.load(part).params, open_dataset(path).load(part).params])
        assert len(np.unique(rows, axis=0)) == len(rows)


SCRIPT = """
import sys, time
from xrdsim.dataset.generation import generate
generate(sys.argv[1], n=300, test_rows=70, block_size=64, rtol_dex=1e-3, sampler="adaptive", workers=2,
         sensitivity=[3.0, 0.6, 0.8, 0.9, 0.5, 0.6, 0.1], progress=lambda *_: time.sleep(0.15))
"""


def test_a_killed_run_is_completed_to_the_same_bytes(path, tmp_path):
    target = tmp_path / "killed.zarr"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(target)])
    try:
        deadline = time.monotonic() + 60.0
        while not list(target.glob("block_checksum/c/*")):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (target / "reflectivity" / "c" / "4.0123.partial").write_bytes(b"half a shard")
    with pytest.raises(StoreError, match=r"only partly written, [1-6] of 7 blocks"):
        open_dataset(target)
    seen = []
    generate(target, **QUICK, resume=True, progress=lambda done, total: seen.append((done, total)))
    assert files(target) == files(path)
    assert seen[0][0] > 64  # what was done is not done again
    assert seen[-1] == (370, 370)


def test_an_interrupt_leaves_a_dataset_that_can_be_completed(path, tmp_path):
    target = tmp_path / "d.zarr"

    def interrupt(done, total):
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(target, **QUICK, progress=interrupt)
    before = files(target)
    time.sleep(0.2)
    assert files(target) == before  # nothing writes any more
    generate(target, **QUICK, resume=True)
    assert files(target) == files(path)


def test_progress_counts_rows(tmp_path):
    seen = []
    generate(tmp_path / "d.zarr", **QUICK, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == 7  # blocks
    assert seen == sorted(seen)
    assert (70, 370) in seen  # the test rows come first
    assert seen[-1] == (370, 370)


# --- existing paths


def test_an_existing_dataset_is_refused_resumed_or_replaced(tmp_path, monkeypatch):
    target, small = tmp_path / "d.zarr", QUICK | {"n": 20, "test_rows": 5}
    target.mkdir()  # an empty folder is free to use
    generate(target, **small, overwrite=True)
    before = files(target)
    with pytest.raises(StoreExistsError, match=r"--resume .*--overwrite"):
        generate(target, **small)
    with monkeypatch.context() as patch:  # resuming a complete dataset simulates nothing
        patch.setattr(generation, "stored_curves", None)
        assert len(generate(target, **small, resume=True)) == 20
    assert files(target) == before
    generate(target, **(small | {"n": 21}), overwrite=True)
    assert len(open_dataset(target)) == 21
    with pytest.raises(ParameterError, match="exclude each other"):
        generate(target, **small, resume=True, overwrite=True)


def test_overwrite_never_removes_anything_else(tmp_path):
    target = tmp_path / "results"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("also precious")
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        for name in ("results", "file"):
            with pytest.raises(StoreExistsError, match="not a dataset written by `xrd gen`"):
                generate(tmp_path / name, **QUICK, **flags)
    assert (target / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "file").exists()


def test_a_refused_call_leaves_the_old_dataset(tmp_path):
    target, small = tmp_path / "d.zarr", QUICK | {"n": 20, "test_rows": 5}
    generate(target, **small)
    before = files(target)
    for change in ({"n": 0}, {"n": 10**9, "values": 4}, {"convention": "quadratic"}, {"rtol_dex": 1.0}):
        with pytest.raises(ParameterError):
            generate(target, **(small | change), overwrite=True)
    assert files(target) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 30}, "n = 20, not 30"),
        ({"seed": 9}, "seed = 0, not 9"),
        ({"jitter": False}, "jitter = True, not False"),
        ({"sampler": "grid"}, "sampler = adaptive, not grid"),
        ({"sensitivity": [1.0] * 7}, r"sensitivity = \[3.0, .* not \[1.0, "),
        ({"scan": Scan(points=500)}, "scan = "),
    ],
)
def test_resuming_another_configuration_names_the_difference(tmp_path_factory, change, message):
    target, small = tmp_path_factory.getbasetemp() / "begun.zarr", QUICK | {"n": 20, "test_rows": 5}
    if not target.exists():
        generate(target, **small)
    with pytest.raises(StoreError, match=f"was begun with {message}"):
        generate(target, **(small | change), resume=True)


def test_a_dataset_of_an_earlier_version_is_continued_by_its_own_rules(tmp_path):
    small = BARE | {"n": 40, "test_rows": 5, "block_size": 16}
    new = generate(tmp_path / "new.zarr", **small)
    older = replace(new.config, density=False)
    store.prepare(tmp_path / "older.zarr", older)
    del small["jitter"]
    continued = generate(tmp_path / "older.zarr", **small, resume=True)
    assert continued.config == older
    assert continued.density is None
    for part in Part:
        np.testing.assert_array_equal(continued.load(part).params, new.load(part).params)
        np.testing.assert_array_equal(continued.load(part).density, new.load(part).density)
    store.prepare(tmp_path / "jitter.zarr", replace(older, jitter=True))
    with pytest.raises(StoreError, match="whose rule of jitter this one does not have"):
        generate(tmp_path / "jitter.zarr", **small, resume=True)


# --- choices


def test_the_equal_grid_and_damage(tmp_path):
    small = QUICK | {"n": 40, "test_rows": 5}
    dataset = generate(tmp_path / "d.zarr", **small | {"sampler": "grid"}, damage=True, values=5)
    rows = dataset.load()
    assert dataset.names[7:] == ("kappa", "p")
    assert dataset.config.counts == (5,) * 9
    assert dataset.config.sensitivity is None
    assert len(np.unique(rows.params[:, 8])) > 20
    assert np.all(dataset.config.space.contains(rows.params))
    curves = simulate(rows.params, scan=dataset.config.stored_scan, fwhm=20.0, rtol_dex=1e-3).intensity
    np.testing.assert_array_equal(store.round_curves(curves, 12), rows.reflectivity)


def test_other_ranges_and_another_scan(tmp_path):
    space = ParameterSpace((0.0081, 0.0005, 5000, 3000, 0.002, 2000, -50), (0.0081, 0.003, 5010, 3600, 0.003, 4000, 0))
    scan = Scan(-50.0, 5.0, 300)
    small = QUICK | {"n": 40, "test_rows": 5}
    dataset = generate(tmp_path / "d.zarr", **small, space=space, scan=scan, convention="linear", layers=100.0)
    rows = dataset.load()
    assert np.ptp(rows.params[:, 0]) == 0.0
    assert rows.params[0, 0] == pytest.approx(0.0081, rel=1e-6)
    assert np.all((rows.params[:, 2] >= 5000.0) & (rows.params[:, 2] <= 5010.0))
    assert dataset.config.space == space
    assert dataset.angle[-1] >= scan.last + 150.0


def test_sensitivity_is_measured_or_taken_from_a_record(tmp_path, monkeypatch):
    small = QUICK | {"n": 20, "test_rows": 5, "sensitivity": None}
    record = SimpleNamespace(range_mean=np.array([*SENSITIVITY, 0.2, 0.2]), how={"profiles": 12})
    taken = generate(tmp_path / "taken.zarr", **(small | {"sensitivity": record}), damage=True)
    assert taken.config.sensitivity == tuple(SENSITIVITY)
    assert taken.config.sensitivity_origin == {"profiles": 12}
    monkeypatch.setattr(samplers, "_PILOT_ROWS", 16)
    measured = generate(tmp_path / "measured.zarr", **small)
    assert measured.config.sensitivity_origin["profiles"] == 16
    assert measured.config.counts[0] == max(measured.config.counts)
    monkeypatch.setattr(samplers, "measure_sensitivity", None)  # resuming takes the stored one
    assert generate(tmp_path / "measured.zarr", **small, resume=True).config == measured.config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n = 0 must be"),
        ({"test_rows": 0}, "test_rows = 0"),
        ({"workers": 0}, "workers = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"block_size": 300}, "block_size = 300"),
        ({"sampler": "sobolev"}, "sampler 'sobolev' is unknown; choose grid, adaptive, sobol"),
        ({"convention": "quadratic"}, "convention 'quadratic'"),
        ({"layers": -5.0}, "layers = -5"),
        ({"monochromator": 2.0}, "monochromator = 2"),
        ({"sensitivity": [1.0, 2.0]}, "sensitivity"),
        ({"n": 10**8, "values": 4}, "more values per parameter, or fewer rows"),
    ],
)
def test_bad_choices_are_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ParameterError, match=message):
        generate(tmp_path / "d.zarr", **(QUICK | change))
    assert not list(tmp_path.iterdir())


# --- disks and threads


def test_a_path_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"d\.zarr cannot be written: .*Not a directory"):
        generate(tmp_path / "file" / "d.zarr", **QUICK)


def test_missing_parents_are_made(tmp_path):
    assert len(generate(tmp_path / "a" / "b" / "d.zarr", **(QUICK | {"n": 5, "test_rows": 2}))) == 5


def test_a_failing_write_says_how_to_go_on(path, tmp_path, monkeypatch):
    write, calls = store.write_block, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_block", full)
        with pytest.raises(OutputError, match=r"d\.zarr cannot be written: No space left on device; .*--resume"):
            generate(tmp_path / "d.zarr", **QUICK)
    generate(tmp_path / "d.zarr", **QUICK, resume=True)
    assert files(tmp_path / "d.zarr") == files(path)


def test_a_full_disk(path, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if (
        not sys.platform.startswith("linux")
        or os.geteuid() != 0
        or subprocess.run(mounted, capture_output=True).returncode
    ):
        pytest.skip("needs a small disk, which only root can mount")
    try:
        with pytest.raises(OutputError, match=r"cannot be written: No space left on device; .*--resume"):
            generate(disk / "d.zarr", **QUICK)
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        generate(disk / "d.zarr", **QUICK, resume=True)
        assert files(disk / "d.zarr") == files(path)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_layer_workqueue_does_not_bear_threads(monkeypatch):
    monkeypatch.setattr(generation.numba, "threading_layer", lambda: "workqueue")
    assert not generation._bears_threads()
    monkeypatch.setattr(generation.numba, "threading_layer", lambda: "omp")
    assert generation._bears_threads()
