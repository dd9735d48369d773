"""Datasets made by processes and by a real Dask cluster on loopback are the bytes of those made by threads."""

import os
import signal
import sys
import time

import pytest
from distributed import Client
from test_faults import GEN, marked, start, until, xrd
from test_generation import files

from xrdsim import generate
from xrdsim.dataset import cluster
from xrdsim.dataset.generation import append
from xrdsim.errors import ClusterError, ParameterError

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

SMALL = {"n": 1500, "test_rows": 100, "block_size": 256, "rtol_dex": 1e-2, "sampler": "grid"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("cluster") / "whole.zarr"
    generate(path, **SMALL)
    return files(path)


@pytest.fixture
def scheduler(tmp_path):
    """Address of a running scheduler without workers, and a function that starts one."""
    file, processes = tmp_path / "scheduler.json", []

    def run(what, *arguments):
        code = ("-m", f"distributed.cli.dask_{what}", "--no-dashboard", "--scheduler-file", file)
        processes.append(start(*arguments, code=tuple(map(str, code))))
        return processes[-1]

    until(file.is_file, run("scheduler", "--host", "127.0.0.1", "--port", "0"))
    with Client(scheduler_file=str(file), set_as_default=False) as client:
        address = client.scheduler.address
    yield address, lambda: run("worker", "--nthreads", "1", "--no-nanny")
    for process in processes:
        process.kill()
        process.communicate()


def test_a_worker_of_a_cluster_is_killed(whole, scheduler, tmp_path):
    address, start_worker = scheduler
    path = tmp_path / "d.zarr"
    workers = [start_worker(), start_worker()]
    with cluster.connect(address) as client:
        client.wait_for_workers(2, timeout=60)
    process = start(*GEN, path, "--scheduler", address)
    until(lambda: marked(path) >= 2, process)
    workers[0].kill()
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "1500 training and 100 test curves" in output
    assert files(path) == whole


def test_a_client_of_the_caller_and_two_processes(whole, tmp_path):
    with cluster.processes(2) as client:
        seen = []
        generate(tmp_path / "d.zarr", **SMALL | {"n": 700}, client=client, progress=lambda *now: seen.append(now))
        assert seen[-1] == (800, 800)
        append(tmp_path / "d.zarr", 800, client=client)
        with pytest.raises(ParameterError, match="exclude each other"):
            generate(tmp_path / "e.zarr", **SMALL, client=client, workers=2)
    assert files(tmp_path / "d.zarr") == whole


def test_an_interrupt_of_processes_leaves_a_store_to_resume(whole, tmp_path):
    path = tmp_path / "d.zarr"
    process = start(*GEN, path, "--workers", "2", start_new_session=True)
    until(lambda: marked(path) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in error
    assert xrd(*GEN, path, "--resume")[0] == 0
    assert files(path) == whole


def test_no_scheduler_and_no_workers(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with (
        pytest.raises(ClusterError, match="no Dask scheduler answers at tcp"),
        cluster.connect("tcp://127.0.0.1:9"),
    ):
        pass
    address, _ = scheduler
    with cluster.connect(address) as client, pytest.raises(ClusterError, match="has no workers; start some"):
        generate(tmp_path / "d.zarr", **SMALL, client=client)


@pytest.mark.slow
def test_a_scheduler_that_dies(scheduler, tmp_path):
    address, start_worker = scheduler
    start_worker()
    path = tmp_path / "d.zarr"
    with cluster.connect(address) as client:
        client.wait_for_workers(1, timeout=60)
        pid = client.run_on_scheduler(os.getpid)
    process = start(*GEN, path, "--scheduler", address)
    until(lambda: marked(path) >= 2, process)
    os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the Dask scheduler is gone" in " ".join(error.split())
    assert time.monotonic() - begun < 60
