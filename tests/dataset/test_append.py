"""A dataset that grew is the dataset that was made at once."""

import pytest
from test_generation import QUICK, files

from xrdsim.dataset import generation, store
from xrdsim.dataset.generation import append, generate
from xrdsim.dataset.integrity import verify
from xrdsim.errors import ParameterError, StoreError

SMALL = QUICK | {"test_rows": 20}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("append") / "whole.zarr"
    generate(path, **SMALL)
    return files(path)


@pytest.mark.parametrize("parts", [(128, 172), (20, 30, 250), (300, 0)])
def test_parts_are_the_whole(whole, tmp_path, parts):
    path = tmp_path / "d.zarr"
    generate(path, **(SMALL | {"n": parts[0]}))
    for n in parts[1:]:
        grown = append(path, n)
    assert len(grown) == 300
    assert files(path) == whole
    assert verify(path).intact


@pytest.mark.parametrize("sampler", ["grid", "sobol", "edge", "jeffreys"])
def test_every_sampler_goes_on(tmp_path, sampler):
    choices = SMALL | {"sampler": sampler, "sensitivity": None, "values": 9}
    generate(tmp_path / "whole.zarr", **(choices | {"n": 150}))
    generate(tmp_path / "d.zarr", **(choices | {"n": 70}))
    append(tmp_path / "d.zarr", 80)
    assert files(tmp_path / "d.zarr") == files(tmp_path / "whole.zarr")


@pytest.mark.parametrize("step", ["unfinish", "discard_block", "write_attribute", "prepare", "write_block"])
def test_what_a_kill_leaves_is_completed(whole, tmp_path, monkeypatch, step):
    path = tmp_path / "d.zarr"
    generate(path, **(SMALL | {"n": 100}))
    work, calls = getattr(store, step), []

    def stop(*arguments):
        calls.append(arguments)
        if step != "write_block" or len(calls) == 2:
            raise KeyboardInterrupt
        return work(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store, step, stop)
        with pytest.raises(KeyboardInterrupt):
            append(path, 200)
    n = store.read_configuration(path).n
    assert len(append(path, 0)) == n
    assert verify(path).intact
    append(path, 300 - n)
    assert files(path) == whole


def test_only_missing_blocks_are_made(tmp_path, monkeypatch):
    path = tmp_path / "d.zarr"
    generate(path, **(SMALL | {"n": 128}))
    made, make = [], generation._make_block
    monkeypatch.setattr(generation, "_make_block", lambda *a: made.append(a[5]) or make(*a))
    append(path, 100)
    assert sorted(made) == [2, 3]


def test_refusals_leave_the_dataset(tmp_path):
    path = tmp_path / "d.zarr"
    generate(path, **(SMALL | {"n": 70, "values": 9}))
    before = files(path)
    with pytest.raises(ParameterError, match="more values per parameter, or fewer rows"):
        append(path, 10**8)
    with pytest.raises(ParameterError, match="n = -1 further rows"):
        append(path, -1)
    with pytest.raises(StoreError, match="n = 70, not 60"):
        generate(path, **(SMALL | {"n": 60, "values": 9}), resume=True, extend=True)
    with pytest.raises(StoreError, match="n = 70, not 90"):
        generate(path, **(SMALL | {"n": 90, "values": 9}), resume=True)
    with pytest.raises(StoreError, match="does not exist"):
        append(tmp_path / "nothing.zarr", 5)
    assert files(path) == before
