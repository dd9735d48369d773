"""The layout of a dataset on disk and what is refused."""

import json

import numpy as np
import pytest
import xarray
import zarr

from xrdsim.dataset import store
from xrdsim.dataset.configuration import Configuration, Part
from xrdsim.dataset.reading import open_dataset
from xrdsim.dataset.store import Rows
from xrdsim.errors import StoreError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import NAMES


def configuration(space=None, **changes):
    space = space or ParameterSpace()
    values = {
        "sampler": "grid",
        "n": 150,
        "seed": 3,
        "values": 9,
        "jitter": False,
        "space": space,
        "reflection": GGG_444,
        "scan": DEFAULT_SCAN,
        "convention": "exact",
        "layers": None,
        "rtol_dex": 1e-4,
        "monochromator": 0.6285,
        "test_rows": 40,
        "block_size": 64,
        "sensitivity": None,
        "sensitivity_origin": None,
        "counts": (9,) * len(space.low),
        "interval": 500,
        "density": True,
    }
    return Configuration(**(values | changes))


def contents(config, part):
    """Made-up rows: the store does not care what they mean."""
    rng = np.random.default_rng(len(part))
    n = config.size(part)
    params = rng.random((n, len(config.space.low)), dtype=np.float32)
    curves = rng.random((n, config.stored_scan.points), dtype=np.float32)
    return Rows(params, curves, rng.random(n, dtype=np.float32) if config.density else np.ones(n, np.float32))


def part_of(rows, chosen):
    return Rows(rows.params[chosen], rows.reflectivity[chosen], rows.density[chosen])


def fill(path, config, *, leave_out=()):
    store.prepare(path, config)
    for part in Part:
        for block in range(config.blocks(part)):
            if (part, block) not in leave_out:
                rows = part_of(contents(config, part), config.rows(part, block))
                store.write_block(path, config, part, block, rows)
    if not leave_out:
        store.finish(path)
    return config


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "dataset.zarr"
    fill(path, configuration())
    return path


def test_a_dataset_gives_back_what_was_written(path):
    dataset = open_dataset(path)
    config = configuration()
    assert dataset.config == config
    assert len(dataset) == 150
    assert dataset.names == NAMES
    np.testing.assert_array_equal(dataset.angle, DEFAULT_SCAN.extended(150.0).angle)
    assert len(dataset.angle) == 777
    assert dataset.angle[0] <= DEFAULT_SCAN.start - 150.0
    assert dataset.angle[-1] >= DEFAULT_SCAN.last + 150.0
    for part in Part:
        written = contents(config, part)
        rows = dataset.load(part)
        assert rows.params.dtype == rows.reflectivity.dtype == rows.density.dtype == np.float32
        np.testing.assert_array_equal(rows.params, written.params)
        np.testing.assert_array_equal(rows.reflectivity, written.reflectivity)
        np.testing.assert_array_equal(rows.density, written.density)
        blocks = list(dataset.blocks(part))
        assert [len(block.params) for block in blocks] == ([64, 64, 22] if part is Part.TRAIN else [40])
        np.testing.assert_array_equal(np.concatenate([block.reflectivity for block in blocks]), written.reflectivity)
    np.testing.assert_array_equal(dataset.load(rows=slice(60, 70)).params, contents(config, Part.TRAIN).params[60:70])


def test_xarray_opens_it_without_warnings(path):  # a warning is an error in this test suite
    with xarray.open_zarr(path) as opened:
        assert dict(opened.sizes) == {
            "sample": 150,
            "parameter": 7,
            "angle": 777,
            "test_sample": 40,
            "block": 3,
            "test_block": 1,
        }
        assert opened.reflectivity.dims == ("sample", "angle")
        assert opened.test_parameters.dims == ("test_sample", "parameter")
        assert opened.parameter.values.tolist() == list(NAMES)
        assert opened.angle.attrs["units"] == "arcsec"
        assert all("long_name" in opened[name].attrs for name in opened.variables)
        np.testing.assert_array_equal(
            opened.parameters.sel(parameter="Rp1").values, contents(configuration(), Part.TRAIN).params[:, 3]
        )
        assert opened.attrs["configuration"]["base_fwhm"] == 20.0
        assert opened.attrs["stored_scan"]["points"] == 777
        assert opened.attrs["schema_version"] == store.SCHEMA_VERSION
        assert opened.attrs["version"]


def test_a_dataset_without_densities_counts_every_row_once(tmp_path):
    fill(tmp_path / "d.zarr", configuration(density=False, n=10, test_rows=3))
    assert not list(tmp_path.rglob("*density*"))
    dataset = open_dataset(tmp_path / "d.zarr")
    assert dataset.density is None
    assert dataset.load(rows=slice(2, 6)).density.tolist() == [1.0] * 4
    assert dataset.load("test").density.tolist() == [1.0] * 3


def test_a_configuration_of_an_earlier_version_is_read(tmp_path):
    fill(tmp_path / "d.zarr", configuration(density=False, n=5, test_rows=2))
    description = tmp_path / "d.zarr" / "zarr.json"
    content = json.loads(description.read_text())
    for name in ("edge", "pilot", "density"):
        del content["attributes"]["configuration"][name]
    del content["attributes"]["configuration"]["space"]["ties"]
    description.write_text(json.dumps(content))
    assert open_dataset(tmp_path / "d.zarr").config == configuration(density=False, n=5, test_rows=2)


def test_a_block_is_one_shard(path):
    array = zarr.open_array(path / "reflectivity", mode="r")
    assert array.shards == (64, 777)
    assert sorted(file.name for file in (path / "reflectivity" / "c").iterdir()) == ["0", "1", "2"]
    assert configuration(block_size=2048).blocks(Part.TRAIN) == 1


def test_damage_columns_and_every_setting_survive(tmp_path):
    space = ParameterSpace().with_damage()
    config = configuration(
        space,
        layers=20.0,
        convention="linear",
        sensitivity=(1.0,) * 7,
        sensitivity_origin={"profiles": 256, "fwhm": 30.0},
        n=10,
        test_rows=1,
    )
    fill(tmp_path / "d.zarr", config)
    dataset = open_dataset(str(tmp_path / "d.zarr"))
    assert dataset.config == config
    assert dataset.names[-2:] == ("kappa", "p")
    assert dataset.parameters.shape == (10, 9)
    with xarray.open_zarr(tmp_path / "d.zarr") as opened:
        assert opened.parameter.values.tolist()[-2:] == ["kappa", "p"]
        assert opened.parameter.attrs["parameter_units"][-1] == "1"


def test_a_partly_written_dataset_is_refused(tmp_path):
    path = tmp_path / "d.zarr"
    config = fill(path, configuration(), leave_out=[(Part.TRAIN, 1), (Part.TEST, 0)])
    with pytest.raises(StoreError, match=r"only partly written, 2 of 4 blocks.*xrd gen --resume"):
        open_dataset(path)
    assert store.missing_blocks(path, config, Part.TRAIN).tolist() == [1]
    assert not store.is_complete(path)
    for part, block in ((Part.TRAIN, 1), (Part.TEST, 0)):
        store.write_block(path, config, part, block, part_of(contents(config, part), config.rows(part, block)))
    with pytest.raises(StoreError, match="4 of 4 blocks"):  # the metadata is still missing
        open_dataset(path)
    store.finish(path)
    assert len(open_dataset(path)) == 150


def test_a_kill_while_it_is_laid_out_is_made_good(tmp_path):
    path, config = tmp_path / "d.zarr", configuration()
    store.prepare(path, config)
    for file in (
        path / "reflectivity" / "zarr.json",
        path / "block_checksum" / "zarr.json",
        path / "angle" / "c" / "0",
    ):
        file.unlink()
    (path / "parameters" / "zarr.0123.partial").write_text("{")
    with pytest.raises(StoreError, match="0 of 4 blocks"):
        open_dataset(path)
    fill(path, config)
    assert not list(path.rglob("*.partial"))
    np.testing.assert_array_equal(open_dataset(path).angle, config.stored_scan.angle)


def test_what_is_not_a_dataset_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"absent\.zarr does not exist; make it with `xrd gen"):
        open_dataset(tmp_path / "absent.zarr")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("not a dataset")
    zarr.create_group(tmp_path / "other.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text('{"attributes": ')
    for name in ("folder", "file", "other.zarr", "broken.zarr"):
        with pytest.raises(StoreError, match=f"{name} is not a dataset written by `xrd gen`"):
            open_dataset(tmp_path / name)
        with pytest.raises(StoreError, match="is not removed"):
            store.remove(tmp_path / name)
        assert (tmp_path / name).exists()


def test_another_schema_version_is_refused(tmp_path):
    fill(tmp_path / "d.zarr", configuration(n=5, test_rows=2))
    description = tmp_path / "d.zarr" / "zarr.json"
    content = json.loads(description.read_text())
    content["attributes"]["schema_version"] = 99
    content["attributes"]["version"] = "7.0.0"
    description.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"schema version 99, this program reads 1: open it with xrdsim 7.0.0"):
        open_dataset(tmp_path / "d.zarr")
    content["attributes"]["schema_version"] = store.SCHEMA_VERSION
    del content["attributes"]["configuration"]["seed"]
    description.write_text(json.dumps(content))
    with pytest.raises(StoreError, match="configuration is damaged"):
        open_dataset(tmp_path / "d.zarr")
    store.remove(tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()
