"""A refinement that begins from a result is of the same problem: its settings are taken over."""

import json
from pathlib import Path

import numpy as np
import pytest
from noisy import PROFILES, noisy
from typer.testing import CliRunner

from cli import app
from xrdsim.curves.curve import write_curve
from xrdsim.errors import ParameterError
from xrdsim.fit.settings import settings_of
from xrdsim.profiles.two_gaussians import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")
TIE = "[ranges]\nDmax1 = [0.004, 0.02]\nRp1 = [500, 6500]\n[ties]\nL2 = 'Rp1'\n[constraints]\nstrain_sum = 0.025\n"


def xrd(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def result(tmp_path, monkeypatch):
    """The result.json of a refinement with many settings."""
    monkeypatch.chdir(tmp_path)
    row = PROFILES[0].copy()
    row[5] = row[3]
    curve = noisy(row)
    write_curve("curve.xy", curve.angle, curve.intensity)
    Path("space.toml").write_text(TIE)
    Path("start.json").write_text(json.dumps(dict(zip(NAMES, row.tolist(), strict=True))))
    arguments = (
        "--per-count",
        curve.per_count,
        "--mask",
        60,
        "--both-sides",
        "--exclude",
        "200:230",
        "--fwhm",
        "25:70",
    )
    more = ("--zero", "-8:8", "--prior", "L1=5200:300", "--space", "space.toml", "--convention", "linear", "-o", "one")
    xrd("refine", "curve.xy", "--start", "start.json", *arguments, *more)
    return Path("one/result.json")


def test_settings_are_taken_over(result):
    output = xrd("refine", "curve.xy", "--start", result, "-o", "two")
    assert "settings taken over from" in output
    one, two = (json.loads(path.read_text()) for path in (result, Path("two/result.json")))
    assert one["settings"] == two["settings"]
    assert one["settings"]["ties"] == {"L2": "Rp1"}
    assert one["settings"]["per_count"] > 0.0
    assert two["misfit"]["reduced_chi2"] == pytest.approx(one["misfit"]["reduced_chi2"], rel=1e-6)
    ends = [[two["parameters"][name][end] for end in ("value", "low", "high", "std")] for name in ("L2", "Rp1")]
    assert ends[0] == ends[1]


def test_options_override_them(result):
    xrd("refine", "curve.xy", "--start", result, "--mask", 90, "--fwhm", 38, "--convention", "exact", "-o", "two")
    settings = json.loads(Path("two/result.json").read_text())["settings"]
    assert (settings["mask"], settings["fwhm"], settings["convention"]) == (90.0, [38.0, 38.0], "exact")
    assert settings["excluded"] == [[200.0, 230.0]]
    assert settings["priors"] == {"L1": [5200.0, 300.0]}


def test_what_a_file_says(result, tmp_path):
    found = settings_of(result)
    assert found["space"].ties == (("L2", "Rp1"),)
    assert found["space"].strain_sum == 0.025
    assert found["reflection"].hkl == (4, 4, 4)
    assert settings_of("start.json") == {}
    estimate = json.loads(result.read_text())
    estimate["verdict"], estimate["settings"]["both_sides"] = "estimate", True
    Path("estimate.json").write_text(json.dumps(estimate))
    assert settings_of("estimate.json") == {k: v for k, v in found.items() if k not in ("both_sides", "mask")}
    for settings in ({"fwhm": [1.0]}, {"ranges": {"L1": 3}}, {"priors": [1]}, {"zero": "x"}, {"reflection": {}}, 3):
        Path("bad.json").write_text(json.dumps({"settings": settings}))
        with pytest.raises(ParameterError, match=r"bad\.json"):
            settings_of("bad.json")
    Path("bad.json").write_text("[" * 100_000)
    with pytest.raises(ParameterError, match="nested too deeply"):
        settings_of("bad.json")


def test_intervals_are_finite(result):
    for each in json.loads(result.read_text())["derived"].values():
        assert np.isfinite([each["value"], each["low"], each["high"]]).all()
        assert each["low"] <= each["value"] <= each["high"]
