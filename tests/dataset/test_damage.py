"""Every command that reads a dataset notices what is damaged in it, says where and what to do, and writes nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from xrdsim import generate
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.reading import open_dataset
from xrdsim.dataset.store import REPAIR, stored_names
from xrdsim.errors import StoreError
from xrdsim.experiment.scan import Scan

SCAN = Scan(-80.0, 8.0, 352)
READERS = {
    "export npz": ("export-data", "{}", "-o", "out/data.npz"),
    "export csv": ("export-data", "{}", "-o", "out/data.csv"),
    "info": ("info", "{}"),
}
BLOCKS = [(part, block) for part, count in ((Part.TRAIN, 3), (Part.TEST, 1)) for block in range(count)]


def xrd(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "d.zarr"
    generate(path, n=44, test_rows=16, block_size=16, scan=SCAN, sampler="sobol", rtol_dex=1e-2)
    return path


@pytest.fixture
def path(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole, tmp_path / "d.zarr")
    return Path("d.zarr")


def files():
    """What lies beside the dataset."""
    return sorted(str(file) for file in Path().rglob("*") if file.is_file() and file.parts[0] != "d.zarr")


def shard(path, part, name, block):
    file = path / (part.prefix + name) / "c" / str(block)
    return file if name == "density" else file / "0"


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "flipped": flip,
    "deleted": lambda file: file.unlink(),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "emptied": lambda file: file.write_bytes(b""),
}


def refused(arguments, *words):
    code, text = xrd(*arguments)
    assert code == 1, text
    for word in words:
        assert word in text, text
    assert "Traceback" not in text
    assert files() == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["parameters", "reflectivity", "density"])
@pytest.mark.parametrize(("part", "block"), BLOCKS)
def test_every_shard_of_every_block(path, damage, name, part, block):
    DAMAGES[damage](shard(path, part, name, block))
    for command in READERS.values() if (part, block) == BLOCKS[1] else [READERS["export npz"]]:
        if part is Part.TRAIN or command[0] == "export-data":
            refused([word.format(path) for word in command], f"{part} block {block} ", REPAIR)
    with pytest.raises(StoreError, match=f"{part} block {block} "):
        open_dataset(path).load(part)
    code, text = xrd("verify", path)
    assert code == 1
    assert f"{part} block {block}" in text


@pytest.mark.parametrize("part", Part)
def test_a_checksum_that_is_damaged_itself(path, part):
    flip(path / f"{part.prefix}block_checksum" / "c" / "0")
    refused(["export-data", path, "-o", "out/data.npz"], f"{part} block 0 has the checksum", REPAIR)


def test_training_and_sensitivities_notice_it(path):
    flip(shard(path, Part.TRAIN, "parameters", 2))
    flip(shard(path, Part.TEST, "reflectivity", 0))
    for memory in ("4e9", "0"):
        refused(["train", path, "--epochs", "1", "--memory", memory, "-o", "run"], "train block 2 ", REPAIR)
    refused(["sensitivity", path, "--samples", "16", "-o", "s.npy"], "test block 0 ", REPAIR)
    refused(["sensitivity", path, "--samples", "16", "--fisher", "-o", "s.npy"], "test block 0 ", REPAIR)


def test_damaged_test_rows_end_a_training_before_it_begins(path):
    DAMAGES["deleted"](shard(path, Part.TEST, "parameters", 0))
    refused(["train", path, "--epochs", "1", "-o", "run"], "test block 0 ", REPAIR)


def test_an_evaluation_notices_it(path, whole):
    from xrdml.evaluation import holdout
    from xrdml.networks.checkpoint import load_model

    flip(shard(path, Part.TRAIN, "reflectivity", 1))
    data, trained = open_dataset(path), load_model()
    check, holdout.check_kind = holdout.check_kind, lambda *_: None  # the pretrained network has another scan
    try:
        with pytest.raises(StoreError, match="train block 1 "):
            holdout.stored(trained, whole, 8, train=path)
        with pytest.raises(StoreError, match="train block 1 "):
            holdout.stored(trained, path, 8)
    finally:
        holdout.check_kind = check
    assert len(data) == 44


def test_what_may_not_be_checked_is_read_as_it_is(path):
    flip(path / "block_checksum" / "c" / "0")
    code, text = xrd("export-data", path, "-o", "out/data.npz", "--no-verify")
    assert code == 0, text
    assert len(open_dataset(path, verify=False).load().params) == 44
    assert xrd("info", path, "--no-verify")[0] == 0
    assert xrd("info", path)[0] == 1


def test_append_and_resume_repair_it(path, whole):
    original = {file.relative_to(whole): file.read_bytes() for file in whole.rglob("*") if file.is_file()}
    flip(shard(path, Part.TRAIN, "parameters", 0))
    DAMAGES["deleted"](shard(path, Part.TEST, "reflectivity", 0))
    flip(path / "block_checksum" / "c" / "1")
    (path / "angle" / "zarr.json").write_text("{")
    assert xrd("append", path, "-n", "0")[0] == 0
    assert xrd("verify", path)[0] == 0
    assert {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()} == original


@pytest.mark.parametrize("array", [".", "parameters", "reflectivity", "test_density", "angle", "block_checksum"])
def test_a_description_cut_anywhere(path, array):
    file = path / array / "zarr.json"
    content = file.read_bytes()
    for cut in {0, 1, len(content) - 2, *np.linspace(2, len(content) - 3, 12).astype(int).tolist()}:
        file.write_bytes(content[:cut])
        for command in READERS.values():
            refused([word.format(path) for word in command], "d.zarr")
        code, text = xrd("verify", path)
        assert code == 1
        assert array in text or "zarr.json" in text


@pytest.mark.parametrize("array", ["parameters", "test_reflectivity", "angle"])
def test_a_description_that_says_something_else(path, array):
    file = path / array / "zarr.json"
    content = json.loads(file.read_text())
    content["shape"][0] += 16
    file.write_text(json.dumps(content))
    for command in READERS.values():
        refused([word.format(path) for word in command], f"{array} is not described as it was written", REPAIR)


def test_angles_that_are_damaged(path):
    flip(next((path / "angle" / "c").glob("*")))
    refused(["info", path], "angle is not described as it was written", REPAIR)


@pytest.mark.parametrize("note", [-1, "x", [1], [{}], [{"processor": "p", "versions": {}, "blocks": {"train": "1-x"}}]])
def test_notes_of_machines_without_meaning(path, note):
    file = path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["made_on"] = note
    file.write_text(json.dumps(content))
    assert xrd("info", path)[0] == 0
    code, text = xrd("verify", path)
    assert code == 1
    assert "its note of the machines is damaged" in text
    assert xrd("append", path, "-n", "0")[0] == 0
    assert xrd("verify", path)[0] == 0


@pytest.mark.parametrize(
    ("name", "value"), [("n", "x"), ("n", -3), ("n", 5), ("block_size", 0), ("space", 3), ("scan", {})]
)
def test_configurations_without_meaning(path, name, value):
    file = path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["configuration"][name] = value
    file.write_text(json.dumps(content))
    for command in READERS.values():
        refused([word.format(path) for word in command], "d.zarr")


def test_rows_are_those_of_the_arrays(whole):
    data = open_dataset(whole)
    assert [len(rows.params) for rows in data.blocks()] == [16, 16, 12]
    for rows in (
        slice(None),
        slice(3, 5),
        slice(10, 40),
        slice(15, 17),
        slice(0, 44, 7),
        slice(40, 10),
        slice(100, 200),
    ):
        read = data.load(rows=rows)
        for name, values in zip(stored_names(data.config), (read.params, read.reflectivity, read.density), strict=True):
            np.testing.assert_array_equal(values, getattr(data, name)[:][rows])
    np.testing.assert_array_equal(data.params(), data.parameters[:])
    np.testing.assert_array_equal(open_dataset(whole, verify=False).params("test"), data.test_parameters[:])


def test_a_dataset_inside_a_dataset_is_refused(path):
    code, text = xrd("gen", "-n", "4", "-o", path / "x.zarr")
    assert code == 1
    assert "lies inside the dataset" in text
    assert not (path / "x.zarr").exists()


def test_a_card_whose_dataset_was_edited_is_refused(path):
    assert xrd("train", path, "--epochs", "1", "-o", "run")[0] == 0
    card = json.loads(Path("run/model.json").read_text())
    for part, name in (("dataset", "seed"), ("training", "lr")):
        edited = json.loads(json.dumps(card))
        edited[part][name] = 7
        Path("run/model.json").write_text(json.dumps(edited))
        code, text = xrd("export-model", "run")
        assert code == 1
        assert "model.json was edited" in text
