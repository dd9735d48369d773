"""Kills, full disks, damage and two writers: real processes of the command line, compared byte by byte."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest
import xarray
from test_generation import files

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

GEN = ["gen", "-n", "1500", "--test-rows", "100", "--block-size", "256", "--rtol-dex", "1e-2", "-o"]
KILLED_BETWEEN_WRITING_AND_MARKING = """
import os, signal
from xrdsim.dataset import store
checksum, calls = store.block_checksum, []
def kill(*rows):
    calls.append(rows)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return checksum(*rows)
store.block_checksum = kill
from cli import app
app()
"""


def listening():
    """In the child: Ctrl-C is heard, also where these tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments, code=("-m", "cli"), **options):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, *code, *map(str, arguments)], **streams | {"preexec_fn": listening} | options
    )


def xrd(*arguments, **options):
    """Exit code, standard output and standard error of a whole run."""
    process = start(*arguments, **options)
    output, error = process.communicate(timeout=120)
    assert "Traceback" not in error
    return process.returncode, " ".join(output.split()), " ".join(error.split())


def marked(path):
    return len(list(path.glob("*block_checksum/c/*")))


def until(condition, process):
    """Wait for a condition, or for the process to end."""
    limit = time.monotonic() + 180.0
    while not condition() and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.001)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "whole.zarr"
    assert xrd(*GEN, path)[0] == 0
    return files(path)


@pytest.fixture
def path(whole, tmp_path):
    path = tmp_path / "d.zarr"
    for name, content in whole.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_three_kills_at_random_times(whole, tmp_path):
    path, chance = tmp_path / "d.zarr", random.Random(20)
    for _ in range(3):
        before = marked(path)
        process = start(*GEN, path, "--resume")
        until(lambda before=before: marked(path) > before, process)
        time.sleep(chance.uniform(0.0, 0.05))  # a block takes longer
        process.kill()
        process.communicate()
    assert marked(path) >= 3
    assert xrd(*GEN, path, "--resume")[0] == 0
    assert files(path) == whole
    assert [file.name for file in tmp_path.iterdir()] == ["d.zarr"]


def test_a_kill_in_the_middle_of_a_block(whole, tmp_path):
    path = tmp_path / "d.zarr"
    process = start(*GEN, path, code=("-c", KILLED_BETWEEN_WRITING_AND_MARKING))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert marked(path) == 2
    unmarked = {file.parent.name for file in path.glob("reflectivity/c/*/0")} - {
        file.name for file in path.glob("block_checksum/c/*")
    }
    assert unmarked  # more than one if another thread was as far
    for block in unmarked:
        (path / "reflectivity" / "c" / block / "0").write_bytes(b"half of a shard")
    assert xrd(*GEN, path, "--resume")[0] == 0
    assert files(path) == whole


def test_a_write_that_fails_half_way(whole, tmp_path):
    import resource

    def limit():  # Python ignores SIGXFSZ, so that writing beyond the limit is an error like that of a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))

    path = tmp_path / "d.zarr"
    code, _, error = xrd(*GEN, path, preexec_fn=limit)  # the test rows still fit
    assert code == 1
    assert "d.zarr cannot be written: File too large" in error
    assert "--resume" in error
    assert marked(path) == 1
    assert xrd(*GEN, path, "--resume")[0] == 0
    assert files(path) == whole


def test_damaged_shards_are_listed_and_made_anew(whole, path):
    truncated, flipped = path / "reflectivity" / "c" / "2" / "0", path / "parameters" / "c" / "4" / "0"
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    content = bytearray(flipped.read_bytes())
    content[1000] ^= 1
    flipped.write_bytes(content)
    code, output, _ = xrd("verify", path)
    assert code == 1
    assert "train block 2: cannot be read" in output
    assert "train block 4: has the checksum" in output
    code, _, error = xrd(*GEN, path, "--resume")
    assert code == 0
    assert error.count("it is made anew") == 2
    assert files(path) == whole


def test_two_processes_at_once(whole, tmp_path):
    path = tmp_path / "d.zarr"
    first = start(*GEN, path)
    try:
        until(lambda: marked(path), first)
        first.send_signal(signal.SIGSTOP)
        code, _, error = xrd(*GEN, path, "--resume")
        assert code == 1
        assert f"d.zarr is being written by process {first.pid} on {socket.gethostname()}" in error
    finally:
        first.kill()
        first.communicate()
    assert xrd(*GEN, path, "--resume")[0] == 0  # the lock went with its process
    assert files(path) == whole
    assert not os.path.exists(f"{path}.lock")
    with xarray.open_zarr(path) as opened:
        assert opened.sizes["sample"] == 1500


def test_resuming_with_a_changed_key_names_it(whole, path):
    (path / "block_checksum" / "c" / "1").unlink()
    code, _, error = xrd(*GEN, path, "--resume", "--seed", "5")
    assert code == 1
    assert "was begun with seed = 0, not 5" in error
    assert marked(path) == 6
