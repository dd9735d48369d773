"""Records of the experiment and their files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection, strain_to_angle
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan

TOML = """
[reflection]
crystal = "GGG"
lattice = 12.383
hkl = [4, 4, 4]
wavelength = 1.54056
chi0 = [-3.68946e-5, 3.595136e-6]
chih = [-12.66065e-6, 3.26115e-6]
source = "a test"

[scan]
start = -100.0
step = 5
points = 400
"""


def test_ggg_444():
    assert np.degrees(GGG_444.theta_bragg) == pytest.approx(25.529, abs=1e-3)
    refraction = (GGG_444.theta_substrate - GGG_444.theta_bragg) / np.pi * 648000
    assert refraction == pytest.approx(9.7835, abs=1e-3)
    assert strain_to_angle(0.01, GGG_444) == pytest.approx(985.0, abs=0.5)


def test_the_default_scan():
    angle = DEFAULT_SCAN.angle
    assert len(angle) == 701
    np.testing.assert_allclose(angle, (np.arange(701) - 20) * 4.018235972, atol=1e-9)
    assert DEFAULT_SCAN.last == pytest.approx(angle[-1])
    wider = DEFAULT_SCAN.extended(150.0)
    assert wider.points == 777
    np.testing.assert_allclose(wider.angle[38:-38], angle, atol=1e-9)


def test_linear_susceptibilities_are_derived_where_not_given():
    derived = Reflection(**{**GGG_444.__dict__, "chih_linear": None}).susceptibilities_linear
    np.testing.assert_allclose(derived, GGG_444.susceptibilities_linear, rtol=1e-4)


def test_records_come_back_from_files(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text(TOML)
    reflection = Reflection.from_toml(path)
    assert replace(reflection.crystal, source=GGG_444.crystal.source) == GGG_444.crystal
    assert Scan.from_toml(path) == Scan(-100.0, 5.0, 400)
    for record in (reflection, GGG_444):
        assert Reflection.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lattice = 12.383", "", "lattice"),
        ("lattice = 12.383", "lattice = -1.0", "lattice -1"),
        ("lattice = 12.383", "lattise = 12.383", "lattise"),
        ("hkl = [4, 4, 4]", "hkl = [0, 0, 0]", "no reflection"),
        ("hkl = [4, 4, 4]", "hkl = [9, 9, 10]", "cannot reach"),
        ("3.595136e-6", "-3.595136e-6", "positive imaginary"),
        ("[reflection]", "[reflexion]", r"no table \[reflection\]"),
        ("[reflection]", "[reflection", "cannot be read as TOML"),
    ],
)
def test_a_bad_reflection_file_is_explained(tmp_path, old, new, words):
    path = tmp_path / "bad.toml"
    path.write_text(TOML.replace(old, new))
    with pytest.raises(ParameterError, match=words):
        Reflection.from_toml(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("step = 5", "", "step"), ("step = 5", "step = 0", "positive step"), ("step = 5", "step = 'a'", "numbers")],
)
def test_a_bad_scan_file_is_explained(tmp_path, old, new, words):
    path = tmp_path / "bad.toml"
    path.write_text(TOML.replace(old, new))
    with pytest.raises(ParameterError, match=words):
        Scan.from_toml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"nowhere\.toml"):
        Scan.from_toml(tmp_path / "nowhere.toml")
