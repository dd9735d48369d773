"""Files that are dropped stay in the temporary folder, and within limits."""

import asyncio

import pytest

from xrdml.app import uploads
from xrdml.app.uploads import Uploads
from xrdsim.errors import ParameterError


async def chunks(*parts):
    for part in parts:
        yield part


def take(store, name, *parts):
    return asyncio.run(store.take(name, chunks(*parts)))


def test_a_file_is_taken_once(tmp_path):
    store = Uploads(tmp_path / "in")
    found = store.pop(take(store, "a.xy", b"1 2\n", b"3 4\n"))
    assert found.name == "a.xy"
    assert found.path.read_bytes() == b"1 2\n3 4\n"
    for key in ("nothing", "../../etc/passwd", None, 3):
        with pytest.raises(ParameterError):
            store.pop(key)


@pytest.mark.parametrize(
    "name", ["../../../escaped.xy", "/etc/escaped.xy", "..\\escaped.xy", "a/../../escaped.xy", "%2e%2e/escaped.xy"]
)
def test_no_name_leaves_the_folder(tmp_path, name):
    store = Uploads(tmp_path / "in")
    found = store.pop(take(store, name, b"1"))
    assert (tmp_path / "in") in found.path.resolve().parents
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_large_files_and_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST_FILE", 10)
    monkeypatch.setattr(uploads, "LARGEST_SUM", 15)
    monkeypatch.setattr(uploads, "MOST_FILES", 3)
    store = Uploads(tmp_path / "in")
    with pytest.raises(ParameterError, match="larger"):
        take(store, "large.xy", b"x" * 6, b"x" * 6)
    assert list((tmp_path / "in").iterdir()) == []
    take(store, "a.xy", b"x" * 9)
    with pytest.raises(ParameterError, match="together"):
        take(store, "b.xy", b"x" * 9)
    take(store, "c.xy", b"x")
    take(store, "d.xy", b"x")
    with pytest.raises(ParameterError, match="more than 3"):
        take(store, "e.xy", b"x")
