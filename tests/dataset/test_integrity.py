"""Damage on disk is found and repaired, whatever the file; one writer at a time; who made what is known."""

import errno
import json
import logging
import os
import shutil

import numpy as np
import pytest
import xarray
from test_generation import QUICK, files

from xrdsim.dataset import generation, integrity, lock, store
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.generation import generate
from xrdsim.dataset.integrity import repair, verify
from xrdsim.dataset.lock import only_writer
from xrdsim.errors import OutputError, StoreError

SMALL = QUICK | {"n": 150, "test_rows": 40}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("integrity") / "dataset.zarr"
    generate(path, **SMALL)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "dataset.zarr")


def flipped(content):
    at = len(content) // 3
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


DAMAGE = {
    "flipped": flipped,
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "removed": None,
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize(
    "name",
    [
        "reflectivity/c/1/0",
        "parameters/c/2/0",
        "density/c/1",
        "test_reflectivity/c/0/0",
        "block_checksum/c/1",
        "reflectivity/zarr.json",
        "block_checksum/zarr.json",
        "angle/c/0",
        "parameter/zarr.json",
    ],
)
def test_damage_is_found_and_repaired(whole, path, name, kind, monkeypatch, caplog):
    file = path / name
    if DAMAGE[kind] is None:
        file.unlink()
    else:
        file.write_bytes(DAMAGE[kind](file.read_bytes()))
    found = verify(path)
    assert not found.intact
    assert len(found.faults) + len(found.missing) == 1
    before = files(path)
    assert "1 damaged, 0 of 4" in found.lines()[-1] or "0 damaged, 1 of 4" in found.lines()[-1]
    assert files(path) == before  # only looked at
    made, make = [], generation._make_block
    monkeypatch.setattr(generation, "_make_block", lambda *a: made.append(a[3:5]) or make(*a))
    with caplog.at_level(logging.WARNING):
        generate(path, **SMALL, resume=True)
    assert files(path) == files(whole)
    assert verify(path).intact
    assert len(made) == ("/c/" in name and "angle" not in name)  # no block is made without need
    assert bool(found.faults) == ("is made anew" in caplog.text)


def test_damaged_consolidated_metadata_are_written_again(whole, path):
    file = path / "zarr.json"
    file.write_text(file.read_text().replace("CRC-32 of parameters", "CRC-32 of parametres", 1))
    assert "consolidated metadata" in verify(path).lines()[0]
    generate(path, **SMALL, resume=True)
    assert files(path) == files(whole)


def test_verify_tells_missing_blocks_from_damaged_ones(path):
    store.discard_block(path, Part.TRAIN, 0)
    store.discard_block(path, Part.TRAIN, 1)
    (path / "test_parameters" / "c" / "0" / "0").unlink()
    found = verify(path)
    assert found.missing == ((Part.TRAIN, 0), (Part.TRAIN, 1))
    assert found.lines() == [
        "damaged: test block 0: the file of test_parameters is missing",
        "missing: train block 0-1",
        f"{path}: 1 damaged, 2 of 4 blocks missing; the command that made it and --resume makes them",
    ]
    (path / "reflectivity" / "zarr.json").unlink()  # then its blocks cannot be told
    assert [fault.where for fault in verify(path).faults] == ["reflectivity", "test"]


def test_an_intact_dataset_is_not_touched(whole):
    before, seen = files(whole), []
    found = verify(whole, progress=lambda done, total: seen.append((done, total)))
    assert found.intact
    assert found.lines() == [f"{whole}: 4 blocks, all as they were written"]
    assert seen[-1] == (4, 4)
    assert repair(whole) == ()
    assert files(whole) == before
    with pytest.raises(StoreError, match="does not exist"):
        verify(whole.parent / "nothing.zarr")


# --- one writer


def test_a_second_writer_is_refused(whole, path, tmp_path):
    with only_writer(path):
        holder = (tmp_path / "dataset.zarr.lock").read_text()
        assert holder.startswith(f"process {os.getpid()} on ")
        for how in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=rf"dataset\.zarr is being written by {holder}"):
                generate(path, **SMALL, **how)
        with xarray.open_zarr(path) as opened:
            assert opened.sizes["sample"] == 150
    assert [file.name for file in tmp_path.iterdir()] == ["dataset.zarr"]
    assert files(path) == files(whole)


def test_a_lock_that_a_kill_left_locks_nothing(path, tmp_path):
    (tmp_path / "dataset.zarr.lock").write_text("process 1 on another")
    with only_writer(path):
        pass
    assert not (tmp_path / "dataset.zarr.lock").exists()


def test_a_link_is_the_same_dataset(path, tmp_path):
    (tmp_path / "link.zarr").symlink_to(path)
    with only_writer(path), pytest.raises(StoreError, match="is being written"), only_writer(tmp_path / "link.zarr"):
        pass


@pytest.mark.parametrize("missing", ["module", "support"])
def test_without_locks_of_the_system_the_file_is_the_lock(tmp_path, monkeypatch, missing):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    if missing == "module":
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    path, file = tmp_path / "d.zarr", tmp_path / "d.zarr.lock"
    refusal = r"d\.zarr is being written by process \d+ on .*or remove"
    with only_writer(path), pytest.raises(StoreError, match=refusal), only_writer(path):
        pass
    assert not file.exists()
    file.write_text("process 1 on another")
    with pytest.raises(StoreError, match="by process 1 on another"), only_writer(path):
        pass
    file.unlink()
    with only_writer(path):
        assert file.exists()


def test_what_another_process_made_meanwhile_is_compared(whole, path, monkeypatch):
    shutil.rmtree(path)

    class Slow:
        """A lock that is had only after another process has made and left a dataset."""

        def __init__(self, target):
            shutil.copytree(whole, target)

        def __enter__(self):
            return None

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(generation, "only_writer", Slow)
    with pytest.raises(StoreError, match="was begun with seed = 0, not 1"):
        generate(path, **SMALL, seed=1, resume=True)


def test_an_unwritable_place_for_the_lock_is_told(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lock.os, "open", full)
    with pytest.raises(OutputError, match="No space left on device"):
        generate(path, **SMALL, resume=True)


# --- who made what


def made_on(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]["made_on"]


def test_the_machine_is_noted(whole):
    (entry,) = made_on(whole)
    assert entry["blocks"] == {"train": "0-2", "test": "0"}
    assert entry["processor"]
    assert {"python", "numpy", "numba", "xrdsim"} <= set(entry["versions"])


def test_another_machine_is_noted_and_changes_no_array(whole, path, monkeypatch, caplog):
    store.discard_block(path, Part.TRAIN, 1)
    with monkeypatch.context() as patch:
        patch.setattr(generation, "processor", lambda: "abacus")
        with caplog.at_level(logging.WARNING):
            generate(path, **SMALL, resume=True)
    assert "another machine" in caplog.text
    first, second = made_on(path)
    assert first["blocks"] == {"train": "0,2", "test": "0"}
    assert (second["processor"], second["blocks"]) == ("abacus", {"train": "1", "test": ""})
    new, old = files(path), files(whole)
    assert {name for name in new if new[name] != old[name]} == {"zarr.json"}
    with xarray.open_zarr(path) as opened:
        assert np.isfinite(opened.reflectivity.values).all()
    store.discard_block(path, Part.TRAIN, 1)
    generate(path, **SMALL, resume=True)
    assert files(path) == old  # the first machine has made all of it again


def test_ranges_of_blocks():
    for numbers in (set(), {0}, {3, 4}, {0, 1, 2, 5, 7, 8}):
        assert integrity._numbers(integrity._ranges(numbers)) == numbers
    assert integrity._ranges({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8"
