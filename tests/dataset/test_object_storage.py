"""Datasets in an object storage: a real S3 server on loopback, compared byte by byte with the files of a folder."""

import importlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import refused
from distributed import Client
from test_faults import start, until, xrd
from test_generation import files

from xrdsim import generate, open_dataset
from xrdsim import storage as places
from xrdsim.dataset import store
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.export import export
from xrdsim.dataset.generation import append
from xrdsim.dataset.integrity import describe, verify
from xrdsim.errors import OutputError, StoreError

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("upath")
pytest.importorskip("moto.server")

SMALL = {"n": 300, "test_rows": 60, "block_size": 64, "rtol_dex": 1e-2, "sampler": "grid"}
GEN = ["gen", "-n", "300", "--test-rows", "60", "--block-size", "64", "--rtol-dex", "1e-2", "-o"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server():
    """File system of a server, whose address and credentials are in the environment."""
    port = free_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], **quiet)
    try:
        until(lambda: answers(port), process)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            system = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
            system.mkdir("bucket")
            yield system
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("storage") / "whole.zarr"
    generate(path, **SMALL)
    return path


@pytest.fixture(scope="module")
def whole(folder):
    return files(folder)


@pytest.fixture
def url(server, whole):
    """A complete dataset in the storage."""
    server.pipe({f"bucket/d.zarr/{name}": content for name, content in whole.items()})
    yield "s3://bucket/d.zarr"
    server.rm("bucket/d.zarr", recursive=True)


def objects(server, name):
    root = f"bucket/{name}/"
    return {key.removeprefix(root): content for key, content in server.cat(server.find(root)).items()}


def marked(server, name):
    return server.find(f"bucket/{name}/block_checksum/c") + server.find(f"bucket/{name}/test_block_checksum/c")


def begun(server, name):
    time.sleep(0.02)  # leave the server time for others
    return server.find(f"bucket/{name}/block_checksum/c")


def test_the_objects_are_the_files(server, folder, whole, tmp_path):
    url = "s3://bucket/made.zarr"
    made = generate(url, **SMALL)
    assert objects(server, "made.zarr") == whole
    rows, expected = made.load(), open_dataset(folder).load()
    np.testing.assert_array_equal(rows.reflectivity, expected.reflectivity)
    assert verify(url).intact
    assert describe(url)["bytes"] == sum(map(len, whole.values()))
    here, there = export(open_dataset(folder), tmp_path / "a.csv"), export(made, tmp_path / "b.csv")
    assert here.read_bytes() == there.read_bytes()
    generate(url, **SMALL | {"n": 200}, overwrite=True)
    assert len(marked(server, "made.zarr")) == 5
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        append(url, 100, client=client)
    assert objects(server, "made.zarr") == whole


def test_a_kill_in_the_middle(server, whole):
    url = "s3://bucket/killed.zarr"
    process = start(*GEN, url, env=os.environ | {"NUMBA_NUM_THREADS": "1"})  # a block after the other
    until(lambda: begun(server, "killed.zarr"), process)
    process.kill()
    process.communicate()
    assert 0 < len(marked(server, "killed.zarr")) < 6
    assert xrd(*GEN, url, "--resume")[0] == 0
    assert objects(server, "killed.zarr") == whole


@pytest.mark.slow
def test_two_processes_at_once(server, whole):
    url = "s3://bucket/twice.zarr"
    first = start(*GEN, url)
    try:
        until(lambda: begun(server, "twice.zarr"), first)
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreError, match="was begun with seed = 0, not 5"):
            generate(url, **SMALL, seed=5, resume=True)
        generate(url, **SMALL, resume=True)
        assert objects(server, "twice.zarr") == whole
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=60)
        assert first.returncode == 0
    finally:
        first.kill()
        first.communicate()
    assert objects(server, "twice.zarr") == whole


def test_damaged_objects_are_listed_and_made_anew(server, url, whole):
    server.pipe("bucket/d.zarr/reflectivity/c/1/0", whole["reflectivity/c/1/0"][:-1000])
    server.pipe("bucket/d.zarr/block_checksum/c/3", bytes(4))
    server.rm(["bucket/d.zarr/density/c/2", "bucket/d.zarr/test_block_checksum/c/0", "bucket/d.zarr/angle/zarr.json"])
    lines = "\n".join(verify(url).lines())
    assert "train block 1: cannot be read" in lines
    assert "train block 2: the file of density is missing" in lines
    assert "train block 3: has the checksum" in lines
    assert "angle: its zarr.json is missing" in lines
    assert "4 damaged, 1 of 6 blocks missing" in lines
    generate(url, **SMALL, resume=True)
    assert objects(server, "d.zarr") == whole


def test_what_others_write_is_seen_at_once(server, url, whole):
    config = store.read_configuration(url)
    name = "bucket/d.zarr/block_checksum/c/2"
    for _ in range(2):
        assert store.is_complete(url)
        server.rm(name)
        assert store.missing_blocks(url, config, Part.TRAIN).tolist() == [2]
        assert store.markers(url, config, Part.TRAIN)[2] == 0
        server.pipe(name, whole["block_checksum/c/2"])


def test_a_missing_bucket(server):
    error = refused("gen", "-n", "10", "-o", "s3://nowhere/d.zarr")
    assert error.startswith("error: s3://nowhere/d.zarr cannot be written: The specified bucket does not exist; check")
    assert "s3://nowhere/d.zarr does not exist" in refused("info", "s3://nowhere/d.zarr")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "read: Could not connect to the endpoint"),
        ("AWS_ENDPOINT_URL", "nonsense", "reached: Invalid endpoint"),
        ("AWS_ACCESS_KEY_ID", "", "credentials"),
    ],
)
def test_an_environment_that_does_not_work(server, monkeypatch, name, value, reason):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "_cache", {})
    with pytest.raises(StoreError, match=reason) as caught:
        open_dataset("s3://bucket/d.zarr")
    assert "check the bucket, AWS_ENDPOINT_URL" in str(caught.value)
    with pytest.raises((StoreError, OutputError), match="check the bucket, AWS_ENDPOINT_URL"):
        generate("s3://bucket/d.zarr", **SMALL)


@pytest.mark.parametrize("url", ["gs://bucket/d.zarr", "s3://", "s3:///d.zarr", "s3://bucket/*.zarr"])
def test_a_url_that_names_no_place(url):
    with pytest.raises(StoreError, match="give a folder or s3://BUCKET/NAME"):
        open_dataset(url)


def test_a_place_reaches_other_processes(server):
    found = places.location("s3://bucket/d.zarr").resolve()
    assert pickle.loads(pickle.dumps(found)) == found
    assert str(found) == "s3://bucket/d.zarr"


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(StoreError, match=r"pip install 'xrdsim\[s3\]'"):
        places.location("s3://bucket/d.zarr")
