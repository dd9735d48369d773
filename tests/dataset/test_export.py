"""A dataset in one file is the dataset."""

import csv
import json
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_generation import QUICK

from xrdsim.dataset import store
from xrdsim.dataset.configuration import Configuration, Part
from xrdsim.dataset.export import export
from xrdsim.dataset.figures import dataset_figure, dataset_table, range_table
from xrdsim.dataset.generation import generate
from xrdsim.dataset.integrity import describe
from xrdsim.errors import OutputError, ParameterError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("export") / "d.zarr", **(QUICK | {"n": 150, "test_rows": 20}))


def compare(dataset, arrays):
    """Arrays by name against the dataset."""
    for part in Part:
        rows = dataset.load(part)
        np.testing.assert_array_equal(arrays[f"{part.prefix}parameters"], rows.params)
        np.testing.assert_array_equal(arrays[f"{part.prefix}reflectivity"], rows.reflectivity)
        assert arrays[f"{part.prefix}reflectivity"].dtype == np.float32
    np.testing.assert_array_equal(arrays["angle"], dataset.angle)


def test_npz(dataset, tmp_path):
    assert export(dataset, tmp_path / "d.npz") == tmp_path / "d.npz"
    with np.load(tmp_path / "d.npz") as file:
        compare(dataset, file)
        assert tuple(file["parameter"]) == dataset.names
        assert Configuration.from_dict(json.loads(str(file["configuration"]))) == dataset.config


@pytest.mark.parametrize("name", ["d.h5", "d.hdf5"])
def test_hdf5(dataset, tmp_path, name):
    h5py = pytest.importorskip("h5py")
    export(dataset, tmp_path / name)
    with h5py.File(tmp_path / name) as file:
        compare(dataset, {key: value[()] for key, value in file.items()})
        assert file["parameter"].asstr()[()].tolist() == list(dataset.names)
        assert file["angle"].attrs["units"] == "arcsec"
        assert file["test_reflectivity"].attrs["units"] == "1"
        assert Configuration.from_dict(json.loads(file.attrs["configuration"])) == dataset.config


def test_csv(dataset, tmp_path):
    export(dataset, tmp_path / "d.csv")
    with (tmp_path / "d.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    first = len(header) - len(dataset.angle)
    np.testing.assert_allclose([float(text) for text in header[first:]], dataset.angle, rtol=1e-8)
    assert tuple(header[:8]) == ("part", *dataset.names)
    for part in Part:
        table = np.array([line[1:] for line in lines if line[0] == part], dtype=np.float32)
        rows = dataset.load(part)
        np.testing.assert_array_equal(table[:, :7], rows.params)
        np.testing.assert_array_equal(table[:, first - 1 :], rows.reflectivity)


def test_the_format_may_be_given(dataset, tmp_path):
    export(dataset, tmp_path / "table.txt", "csv")
    assert (tmp_path / "table.txt").read_text().startswith("part,Dmax1,")
    with pytest.raises(ParameterError, match=r"suffix '\.txt' is unknown; choose the format npz, hdf5, csv"):
        export(dataset, tmp_path / "table.txt")
    with pytest.raises(ParameterError, match="format 'xml' is unknown"):
        export(dataset, tmp_path / "table.csv", "xml")


def test_without_h5py_the_extra_is_named(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(OutputError, match=r"pip install 'xrdsim\[hdf5\]'"):
        export(dataset, tmp_path / "d.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["d.npz", "d.h5", "d.csv"])
def test_an_export_that_fails_leaves_the_old_file(dataset, tmp_path, monkeypatch, name):
    if name == "d.h5":
        pytest.importorskip("h5py")
    (tmp_path / name).write_text("old")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xrdsim.dataset.export.sample_arrays", broken)
    with pytest.raises(OutputError, match="No space left on device"):
        export(dataset, tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_a_dataset_is_described(dataset, tmp_path):
    described = describe(dataset.path)
    json.dumps(described, allow_nan=False)
    assert described["complete"]
    assert (described["blocks"], described["missing"]) == (4, 0)
    assert described["bytes"] > 100_000
    limits = described["ranges"]["L1"]
    assert limits["low"] <= limits["least"] < limits["most"] <= limits["high"]
    text = " ".join(cell for row in dataset_table(described)[1] for cell in row)
    assert "150 to learn from, 20 to test on, 64 in a block" in text
    assert "complete" in text
    assert "blocks train 0-2, test 0" in text
    assert len(range_table(described)[1]) == 7


def test_an_incomplete_dataset_is_described(dataset, tmp_path):
    store.prepare(tmp_path / "d.zarr", dataset.config)
    described = describe(tmp_path / "d.zarr")
    assert not described["complete"]
    assert "0 of 4 blocks" in dataset_table(described)[1][0][1]
    assert range_table(described)[1][0][-1] == "—"


def test_the_figure_shows_twelve_curves_and_every_parameter(dataset):
    figure = dataset_figure(dataset)
    assert isinstance(figure, Figure)
    curves, *panels = figure.get_axes()
    assert len(curves.lines) == 12
    assert [panel.get_title().split()[0] for panel in panels if panel.get_visible()] == list(dataset.names)
