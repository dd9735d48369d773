"""Ranges from files, and the commands that take them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from xrdsim.dataset import samplers
from xrdsim.dataset.reading import open_dataset
from xrdsim.dataset.samplers import sample
from xrdsim.errors import ParameterError
from xrdsim.profiles.files import around, parse_width, read_sample, read_space
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.tables import read_table
from xrdsim.profiles.two_gaussians import L1, L2, NAMES

SAMPLE = dict(zip(NAMES, (0.0113, 0.0016, 5400.0, 3300.0, 0.0042, 3600.0, -300.0), strict=True))
FILE = """
[ranges]
Dmax1 = [0.005, 0.02]
Rp2 = -500
[ties]
L2 = "L1"
[constraints]
strain_sum = 0.025
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("space.toml").write_text(FILE)
    Path("params.json").write_text(json.dumps(SAMPLE))
    return tmp_path


def xrd(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_file_changes_ranges_fixes_and_ties(here):
    space, default = read_space("space.toml"), ParameterSpace()
    assert (space.low[0], space.high[0]) == (0.005, 0.02)
    assert space.low[6] == space.high[6] == -500.0
    assert space.strain_sum == 0.025
    assert space.ties == (("L2", "L1"),)
    assert (space.low[1:6], space.high[1:6]) == (default.low[1:6], default.high[1:6])
    rows = sample("sobol", 50, space=space).params
    assert np.array_equal(rows[:, L1], rows[:, L2])
    assert np.all(rows[:, 6] == -500.0)
    Path("damage.toml").write_text("[ranges]\np = 1")
    assert read_space("damage.toml").names[-2:] == ("kappa", "p")
    Path("rp1.toml").write_text('[ties]\nRp1 = "L1"')
    assert read_space("rp1.toml").low[3] == 500.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[ranges", "cannot be read as TOML"),
        ("", "has the entries none; it may have the tables [ranges], [ties], [constraints]"),
        ("Dmax1 = 3", "has the entries Dmax1"),
        ("[ranges]\nDmx1 = 3", "unknown parameter 'Dmx1'; did you mean Dmax1?"),
        ("[ranges]\nL1 = [1, 2, 3]", "L1 = [1, 2, 3] must be [low, high]"),
        ("[ranges]\nL1 = true", "L1 = True must be a finite number"),
        ("[ranges]\nL1 = [7000, 500]", "the range of L1 is 7000 … 500"),
        ("[ranges]\nL2 = 3000\n[ties]\nL2 = 'L1'", "L2 = 3000 has a range of its own and a tie"),
        ("[ties]\nL2 = 'L9'", "unknown parameter 'L9'"),
        ("[ties]\nL2 = 'D01'", "the same unit and range"),
        ("[constraints]\nsum = 1", "the constraint sum is unknown"),
    ],
)
def test_a_senseless_file_is_refused_with_its_name(here, content, message):
    Path("bad.toml").write_text(content)
    with pytest.raises(ParameterError) as error:
        read_space("bad.toml")
    assert message in str(error.value)
    assert "bad.toml" in str(error.value)


def test_the_region_around_a_sample(here):
    default = ParameterSpace()
    space = around("params.json", 0.2)
    assert (space.low[L1], space.high[L1]) == pytest.approx((4750.0, 6050.0))
    assert space.high[6] == 0.0  # clipped
    assert space.low[6] == pytest.approx(-950.0)
    whole = around("params.json", 2.0)
    assert (whole.low, whole.high) == (default.low, default.high)
    table = {name: {"value": value, "unit": "1"} for name, value in SAMPLE.items()}
    Path("result.json").write_text(json.dumps({"parameters": table, "misfit": 0.1}))
    assert around("result.json", 0.2) == space
    tied = around("params.json", 0.2, read_space("space.toml"))
    assert (tied.low[L2], tied.high[L2]) == (tied.low[L1], tied.high[L1])
    assert tied.low[6] == tied.high[6] == -500.0
    assert (parse_width("20%"), parse_width("0.5")) == (0.2, 0.5)


def test_a_spline_is_no_sample_of_two_gaussians(here):
    Path("result.json").write_text(json.dumps({"parameters": {"L": {"value": 5000.0}, "c1": {"value": 0.003}}}))
    with pytest.raises(ParameterError, match=r"result\.json has the coefficients of a spline.*--begin profile\.csv"):
        around("result.json", 0.2)
    with pytest.raises(ParameterError, match="has the coefficients of a spline"):
        read_sample("result.json")


@pytest.mark.parametrize(
    ("change", "width", "message"),
    [
        ({"L1": 9000.0}, 0.2, "L1 = 9000 is outside of its range 500 … 7000; give other ranges with --space"),
        ({"L1": "deep"}, 0.2, "L1 = 'deep' must be a finite number"),
        ({}, 0.0, "width = 0"),
    ],
)
def test_a_senseless_region_is_refused(here, change, width, message):
    Path("params.json").write_text(json.dumps(SAMPLE | change))
    with pytest.raises(ParameterError, match=message):
        around("params.json", width)


def test_what_is_no_sample_is_refused(here):
    with pytest.raises(ParameterError, match=r"nowhere\.json cannot be read"):
        around("nowhere.json", 0.2)
    Path("list.json").write_text("[1, 2]")
    with pytest.raises(ParameterError, match="must be a JSON object"):
        around("list.json", 0.2)
    Path("few.json").write_text('{"L1": 3000}')
    with pytest.raises(ParameterError, match=r"few\.json has no value of Dmax1"):
        around("few.json", 0.2)
    with pytest.raises(ParameterError, match="width = 'wide'"):
        parse_width("wide")


def test_sample_draws_and_writes(here):
    result = xrd("sample", "--sampler", "edge", "--edge", "L1", "-n", 300, "--plot", "edge.png", "-o", "rows.csv")
    assert result.exit_code == 0, result.output
    assert "300 rows of the sampler edge; weighted by 1/density: worth" in result.output
    assert Path("edge.png").read_bytes().startswith(b"\x89PNG")
    drawn = sample("edge", 300, edge=("L1",))
    np.testing.assert_array_equal(read_table("rows.csv"), drawn.params)
    with open("rows.csv", newline="") as file:
        assert [float(row["density"]) for row in csv.DictReader(file)] == drawn.density.tolist()


def test_gen_takes_spaces_and_a_region(here, monkeypatch):
    small = ("-n", 20, "--test-rows", 5, "--rtol-dex", 1e-3)
    region = ("--space", "space.toml", "--around", "params.json", "--width", "30%")
    result = xrd("gen", "--sampler", "sobol", *small, *region, "-o", "d.zarr")
    assert result.exit_code == 0, result.output
    dataset = open_dataset("d.zarr")
    assert dataset.config.space == around("params.json", 0.3, read_space("space.toml"))
    for part in ("train", "test"):
        rows = dataset.load(part).params
        assert np.array_equal(rows[:, L1], rows[:, L2])
    assert xrd("gen", "--sampler", "sobol", *small, *region, "-o", "d.zarr", "--resume").exit_code == 0
    refused = xrd("gen", *small, *region, "-o", "e.zarr")
    assert refused.exit_code == 1
    assert "a grid cannot tie L2 to L1" in " ".join(refused.stderr.split())
    monkeypatch.setattr(samplers, "_PILOT_ROWS", 8)
    Path("fixed.toml").write_text("[ranges]\nRp2 = -500")
    result = xrd("gen", "--adaptive", *small, "--space", "fixed.toml", "-o", "f.zarr")
    assert result.exit_code == 0, result.output
    assert open_dataset("f.zarr").config.counts[6] == 1
