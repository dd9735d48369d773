"""Profiles of RaDMaX: its splines by SciPy's, its slices, files that cannot be read, and profiles written for it."""

import json

import naive
import numpy as np
import pytest
from command_line import refused, xrd
from scipy.interpolate import BSpline

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.forward.derived import damage_profile
from xrdsim.forward.radmax import Radmax, radmax_of, read_profile, read_radmax
from xrdsim.forward.sublayers import simulate_sublayers
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import spline_space

SHORT = Scan(-80.0, 8.0, 250)
STRAIN = np.array([0.01, 0.05, 0.3, 0.6, 0.9, 1.1, 0.9, 0.4, 0.2])  # %, the deepest first
FACTOR = np.array([0.95, 0.6, 0.3, 0.2, 0.25, 0.5])
PROJECT = """[Crystal]
crystal_name = SiC-3C

[Data files]
input_dw = C:\\somewhere\\else\\input_DW_coeff.txt
input_strain = C:\\somewhere\\else\\input_strain_coeff.txt

[Strain and DW]
model = 0.0
strain_basis_func = 9.0
damaged_depth = 1545.0
number_slices = 60.0
"""


def by_scipy(coefficients, place):
    """Cardinal splines on integers; the place is 0 at the substrate and 1 at the surface."""
    intervals = len(coefficients) - 3
    return BSpline(np.arange(-3.0, intervals + 4.0), coefficients, 3)(place * intervals)


def written(folder, project=PROJECT, strain=STRAIN, factor=FACTOR):
    np.savetxt(folder / "input_strain_coeff.txt", strain, fmt="%10.8f")
    np.savetxt(folder / "input_DW_coeff.txt", factor, fmt="%10.8f")
    (folder / "test.ini").write_text(project)
    return folder / "test.ini"


@pytest.mark.parametrize("model", ["smooth", "abrupt"])
def test_splines_are_those_of_scipy(tmp_path, model):
    found = read_radmax(written(tmp_path, PROJECT.replace("model = 0.0", f"model = {int(model == 'abrupt')}")))
    assert found.end == model
    strain, factor = STRAIN, FACTOR
    if model == "smooth":
        strain, factor = np.append(np.zeros(3), strain), np.append(np.ones(3), factor)
    depth = np.linspace(0.0, 1545.0, 801)
    eps, e = found.at(depth)
    np.testing.assert_allclose(eps, 0.01 * by_scipy(strain, 1.0 - depth / 1545.0), atol=1e-15)
    np.testing.assert_allclose(e, by_scipy(factor, 1.0 - depth / 1545.0), atol=1e-14)
    slices = found.sublayers()
    assert len(slices.thickness) == 60
    np.testing.assert_allclose(slices.thickness, 25.75)
    upper = 1.0 - np.arange(60) / 60.0
    np.testing.assert_allclose(slices.strain, 0.01 * by_scipy(strain, upper), atol=1e-15)
    np.testing.assert_allclose(slices.factor, by_scipy(factor, upper), atol=1e-14)


def test_without_slices_they_make_no_difference(tmp_path):
    found = read_radmax(written(tmp_path, PROJECT.replace("number_slices = 60.0", "")))
    assert found.slices is None
    curve = simulate_sublayers(found.sublayers(), scan=SHORT, fwhm=0.0)[1]
    middle = 1545.0 * (np.arange(3000) + 0.5) / 3000.0
    strain, factor = found.at(middle)
    assert naive.rms_dex(curve, naive.reflectivity(np.full(3000, 0.515), strain, SHORT.angle, dw=factor)) < 1e-4


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert xrd("simulate", "--profile", "test.ini", "-o", "c.npz").exit_code == 0
    expected = simulate_sublayers(read_profile("test.ini").sublayers(), fwhm=30.0)
    np.testing.assert_array_equal(np.load("c.npz")["reflectivity"], expected[1])
    written(tmp_path, factor=1.1 * np.ones(6))
    result = xrd("simulate", "--profile", "test.ini", "-o", "c.npz")
    assert result.exit_code == 0
    assert "E of up to 1.1 is taken as 1" in result.output


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model = 0.0", "model = 2.0", "model = 2 is not of splines"),
        ("damaged_depth = 1545.0", "", r"no entry damaged_depth in \[Strain and DW\]"),
        ("damaged_depth = 1545.0", "damaged_depth = deep", "damaged_depth = 'deep' is not a number"),
        ("damaged_depth = 1545.0", "damaged_depth = -1", "damaged_depth = -1 Å must be positive"),
        ("number_slices = 60.0", "number_slices = 0", "number_slices = 0 must lie within"),
        ("number_slices = 60.0", "number_slices = 1.5", "must be a whole number"),
        ("[Crystal]", "<<<<<<< HEAD\n[Crystal]", "cannot be read as a project of RaDMaX"),
        ("input_strain =", "other =", r"no entry input_strain in \[Data files\]"),
        ("else\\input_strain_coeff.txt", "else\\none.txt", "none.txt cannot be read"),
    ],
)
def test_bad_projects_are_explained(tmp_path, old, new, words):
    path = written(tmp_path, PROJECT.replace(old, new))
    with pytest.raises(ParameterError, match=words) as raised:
        read_radmax(path)
    assert str(tmp_path) in str(raised.value)


def test_bad_coefficients_are_explained(tmp_path):
    path = written(tmp_path)
    (tmp_path / "input_DW_coeff.txt").write_text("0.5\n0.4 0.3\n")
    with pytest.raises(ParameterError, match=r"input_DW_coeff.txt, line 2: '0.4 0.3' is not one coefficient"):
        read_radmax(path)
    (tmp_path / "input_DW_coeff.txt").write_text("0.5\ninf\n")
    with pytest.raises(ParameterError, match="must be finite"):
        read_radmax(path)
    written(tmp_path, PROJECT.replace("model = 0.0", "model = 1"), strain=STRAIN[:3])
    with pytest.raises(ParameterError, match="3 strain coefficients are too few for an abrupt end"):
        read_radmax(path)


ROWS = {
    "smooth": (spline_space(12), [4300.0, *np.linspace(1e-3, 8e-3, 10)]),
    "own damage": (
        spline_space(15, "abrupt", own=6).with_damage(),
        [4300.0, *np.linspace(8e-3, 1e-3, 15), 0.9, 0.5, 0.4, 0.6, 0.95, 0.8],
    ),
    "damage": (spline_space(20).with_damage(), [4300.0, *np.linspace(1e-3, 8e-3, 18), 0.3, 1.5]),
    "two Gaussians": (ParameterSpace(), [0.0081, 0.0009, 5200, 3500, 0.0026, 3000, -50]),
}


@pytest.mark.parametrize("name", ROWS)
def test_profiles_written_for_it(tmp_path, name):
    """A spline is the same function there; what is none, or E that follows the strain, is near."""
    space, row = ROWS[name]
    made, away, away_factor = radmax_of(row, space)
    made.write(tmp_path)
    again = read_radmax(tmp_path / "radmax.ini")
    assert again.end == "abrupt"
    assert len(again.factor) == len(again.strain)
    depth = np.linspace(0.0, 0.995 * again.depth, 901)
    strain, factor = again.at(depth)
    assert away < (1e-4 if name == "two Gaussians" else 1e-12)
    assert np.abs(strain - xrdsim.strain_profile(row, depth, space=space)[0]).max() < 1.5 * away + 1e-9
    if space.damage:
        assert np.abs(factor - damage_profile(row, depth, space=space)[0]).max() < 2.0 * away_factor + 1e-8
        assert away_factor < 0.02
    else:
        np.testing.assert_allclose(factor, 1.0, atol=1e-8)
    fine = Radmax(again.strain, again.factor, again.depth, "abrupt").sublayers()
    curve = simulate_sublayers(fine, scan=SHORT, fwhm=30.0)[2]
    assert naive.rms_dex(curve, xrdsim.simulate(row, space=space, scan=SHORT, fwhm=30.0).intensity[0]) < 0.01


def test_the_command_that_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space, row = ROWS["own damage"]
    names = dict(zip(space.names, zip(space.low, space.high, strict=True), strict=True))
    settings = {"ranges": names, **space.to_dict(), "ties": {}}
    parameters = {name: {"value": value} for name, value in zip(space.names, row, strict=True)}
    (tmp_path / "result.json").write_text(json.dumps({"settings": settings, "parameters": parameters}))
    result = xrd("export-profile", "result.json", "-o", "radmax")
    assert result.exit_code == 0, result.output
    assert "15 coefficients each, model 1 (abrupt), damaged_depth 4300.0 Å" in " ".join(result.output.split())
    deepest_first = np.loadtxt("radmax/input_strain_coeff.txt")
    assert deepest_first[2] < deepest_first[-3]
    assert read_radmax("radmax/radmax.ini").slices == 215
    (tmp_path / "none.json").write_text("{}")
    assert "none.json is no result.json of `xrd fit`" in refused("export-profile", "none.json")
