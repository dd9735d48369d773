"""Hostile input: a quick part of ``benchmarks/hostile.txt`` in this process, and what needs a process of its own."""

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from xrdsim import ParameterSpace, Reflection, Scan, limits
from xrdsim.curves.curve import read_curve
from xrdsim.errors import CurveError, OutputError, ParameterError, XrdError, shown
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444
from xrdsim.files import check_outputs
from xrdsim.fit.problem import Unknowns
from xrdsim.forward.model import simulate
from xrdsim.limits import afford, read_bytes, read_json

SOURCE = Path(__file__).resolve().parents[2] / "benchmarks" / "hostile.py"
SLOW = ("bench", "compare", "evaluate", "train", "--workers", "--scheduler", "sparse", "bomb", "/dev/", "fit several")
SAMPLE = [0.0113, 0.0016, 5400.0, 3300.0, 0.0042, 3600.0, -300.0]


def load():
    spec = importlib.util.spec_from_file_location("hostile", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_refusal_is_a_line_without_files(tmp_path, monkeypatch):
    hostile = load()
    inputs, work = tmp_path / "inputs", tmp_path / "work"
    inputs.mkdir()
    work.mkdir()
    hostile.build(inputs)
    monkeypatch.chdir(work)
    tried = 0
    for line, arguments, codes, environment, full, may_leave in hostile.cases(inputs):
        if codes != (1, 2) or environment or full or may_leave or any(word in line for word in SLOW):
            continue
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, SystemExit), f"{line}: {result.exception!r}"
        assert result.exit_code in codes, f"{line}: {result.output}"
        assert result.output.strip(), line
        assert not [c for c in result.output if ord(c) < 32 and c not in "\n\r\t"], line
        assert not [file for file in work.rglob("*") if file.is_file()], line
        tried += 1
    assert tried > 200


def test_sizes_are_estimated_first(monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 10**9)
    afford(4e8, "little")
    with pytest.raises(
        ParameterError, match=r"7 curves would take 0\.6 GB of memory, half of what this machine has is"
    ):
        afford(6e8, "7 curves")
    with pytest.raises(ParameterError, match="nan GB"):
        afford(float("nan"), "nothing")
    with pytest.raises(ParameterError, match="50 curves of 701000 angles"):
        simulate(np.tile(SAMPLE, (50, 1)), scan=Scan(-80.0, 0.004, 701_000))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fwhm", 1e9),
        ("fwhm", 1e-9),
        ("fwhm", -1.0),
        ("zero", 1e9),
        ("zero", np.nan),
        ("scale", 1e300),
        ("background", -1.0),
    ],
)
def test_measurements_without_meaning(name, value):
    with pytest.raises(ParameterError, match=f"{name} = "):
        simulate(SAMPLE, **{name: value})
    if name in ("fwhm", "zero"):
        with pytest.raises(ParameterError, match=f"limits of {name}"):
            Unknowns(**{name: (value, value)})


@pytest.mark.parametrize("prior", [(1e308, 1e-308), (0.01, 1e-20), (0.01, np.inf), (5.0, 0.01), (np.nan, 1.0)])
def test_priors_without_meaning(prior):
    with pytest.raises(ParameterError, match="the prior of Dmax1"):
        Unknowns(priors={"Dmax1": prior})


def test_records_refuse_what_would_never_end():
    space = ParameterSpace()
    for j, value in ((2, 1e9), (0, 1e6)):
        with pytest.raises(ParameterError, match=space.names[j]):
            ParameterSpace(space.low, (*space.high[:j], value, *space.high[j + 1 :]))
    for record, changes in (
        (GGG_444.crystal, {"lattice": float("inf")}),
        (GGG_444.crystal, {"chi0": complex(float("nan"), 1.0)}),
        (GGG_444, {"hkl": (4, 4)}),
    ):
        with pytest.raises(ParameterError):
            replace(record, **changes)
    film = YIG_ON_GGG_444.to_dict()
    for name, value in (("thickness", 1e12), ("lattice", 2.376), ("lattice", float("nan")), ("colour", "red")):
        with pytest.raises(ParameterError):
            Reflection.from_dict({**film, "film": {**film["film"], name: value}})
    for start, step, points in ((0.0, 1e12, 701), (0.0, 1.0, 10**9), (1e9, 1.0, 5)):
        with pytest.raises(ParameterError, match="a scan"):
            Scan(start, step, points)


def test_files_are_read_up_to_a_limit(tmp_path):
    large = tmp_path / "large.xy"
    with large.open("wb") as file:
        file.truncate(10**9)
    begun = time.perf_counter()
    with pytest.raises(CurveError, match="larger than 64 MB"):
        read_curve(large)
    with pytest.raises(OSError, match="larger than") as caught:
        read_bytes("/dev/zero", 1000)
    assert caught.value.errno == errno.EFBIG
    assert time.perf_counter() - begun < 5.0
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "deep.json")


def test_an_archive_that_unpacks_to_gigabytes(tmp_path):
    bomb = tmp_path / "bomb.brml"
    bomb.write_bytes(load().archive({"Experiment0/RawData0.xml": (b"0" * 1_000_000 for _ in range(200))}))
    with pytest.raises(CurveError, match="unpacks to more than 64 MB"):
        read_curve(bomb)


def test_outputs_are_tried_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    check_outputs("new/a.npz", "b.png", None, folder="other")
    assert not Path("new").exists()
    for files in ([""], ["."], ["file/a.npz"], ["a.npz", "./a.npz"]):
        with pytest.raises(XrdError):
            check_outputs(*files)
    for folder in ("file", "file/x"):
        with pytest.raises(OutputError, match="is a file, not a folder"):
            check_outputs(folder=folder)


def test_what_cannot_be_printed_is_escaped():
    assert shown("a\x1b[31m\x00b\nc\u0394\udcff") == "a\\x1b[31m\\x00b\ncΔ\\udcff"
    result = CliRunner().invoke(app, ["simulate", "--param", "x\x1b[2J=1"])
    assert "\x1b" not in result.output
    assert "\\x1b[2J" in result.output


def run(*arguments, **options):
    process = subprocess.run([sys.executable, "-m", "xrdml", *arguments], capture_output=True, check=False, **options)
    assert b"Traceback" not in process.stderr
    return process


def test_terminals_without_letters_and_odd_file_names(tmp_path):
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments in (["--help"], ["gen", "--help"], ["info"]):
        assert run(*arguments, env=os.environ | plain).returncode == 0
    odd = tmp_path / os.fsdecode(b"odd\xff.xy")
    odd.write_text("1 2\n")
    process = run("predict", odd, env=os.environ | plain)
    assert process.returncode == 1
    assert b"odd\\udcff.xy" in process.stderr
    assert run("info", env=os.environ | {"NUMBA_NUM_THREADS": "0"}).returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_full_disk_behind_the_output():
    with open("/dev/full", "wb") as full:
        process = subprocess.run(
            [sys.executable, "-m", "xrdml", "--version"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert process.returncode == 1
    assert process.stderr.decode().count("\n") == 1
    assert "standard output cannot be written: No space left on device" in process.stderr.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    command = ["gen", "-n", "200000", "--workers", "2", "--sampler", "sobol", "-o", "d.zarr"]
    parent = subprocess.Popen(
        [sys.executable, "-m", "xrdml", *command], cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL
    )

    def children():
        found = subprocess.run(["ps", "-o", "pid=", "-g", str(parent.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split() if int(pid) != parent.pid]

    limit = time.monotonic() + 120.0
    while not list(tmp_path.glob("d.zarr/*block_checksum/c/*")):
        assert time.monotonic() < limit
        assert parent.poll() is None
        time.sleep(0.1)
    assert len(children()) >= 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    limit = time.monotonic() + 20.0
    while children():
        assert time.monotonic() < limit
        time.sleep(0.2)
