"""What a file states, against the reflection that is fitted."""

import numpy as np
import pytest

from xrdsim.curves.curve import Curve
from xrdsim.curves.stated import Stated
from xrdsim.errors import CurveError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.fit.judgement.stated import Claim, contradictions, expected_angles

ANGLE = np.arange(-80.0, 1600.0, 4.0)
SILICON = {"crystal": "Si", "hkl": [0, 0, 4]}
INCLINED = {"crystal": "Si", "hkl": [2, 2, 4], "surface": [0, 0, 1], "geometry": "grazing-incidence"}


def curve(**stated):
    return Curve(ANGLE, np.ones_like(ANGLE), 20, "scan.xrdml", "A scan.", stated=Stated(**stated))


def test_a_file_that_says_nothing_is_believed():
    for table in (None, SILICON, INCLINED):
        claim = Claim(table=table)
        same, experiment = claim.heard(curve())
        assert same.note == "A scan."
        assert experiment.reflection == claim.reflection
    assert Claim().reflection == GGG_444


@pytest.mark.parametrize(
    ("table", "stated", "words"),
    [
        (None, {"material": "Si", "hkl": (0, 0, 4)}, "says Si 004, and GGG 444 is taken.*--crystal Si --hkl 004"),
        (None, {"hkl": (8, 8, 8)}, "says 888, and GGG 444 is taken for granted"),
        (None, {"two_theta": 69.1}, "2θ = 69.1°, that of GGG 444 with 1.54056 Å at 51.0.°.*--crystal and --hkl"),
        (None, {"omega": 51.1}, "ω = 51.1°.*this is 2θ, say --axis 2theta"),
        (SILICON, {"hkl": (1, 1, 3)}, "says 113, not 004"),
        (SILICON, {"omega": 25.5}, "ω = 25.5°, that of Si 004 with 1.54056 Å at 34.56°"),
        (INCLINED, {"omega": 80.0}, "ω = 80°, that of Si 224, grazing-incidence with 1.54056 Å at 8.7.*°"),
    ],
)
def test_contradictions_are_refused_unless_they_are_known(table, stated, words):
    claim = Claim(table=table)
    with pytest.raises(CurveError, match=f"scan.xrdml: .*{words}.*--despite-file"):
        claim.heard(curve(**stated))
    noted, experiment = Claim(table=table, despite=True).heard(curve(**stated))
    assert experiment.reflection == claim.reflection
    assert "The file says otherwise" in noted.note


@pytest.mark.parametrize(
    ("table", "stated"),
    [
        (None, {"material": "Gd3Ga5O12", "hkl": (-4, 4, 4), "wavelength": 1.540598}),
        (None, {"material": "GGG wafer", "two_theta": 50.2, "omega": 24.1}),
        (SILICON, {"material": "sample 17", "hkl": (4, 0, 0), "omega": 34.2, "two_theta": 69.3}),
        (INCLINED, {"omega": 8.9, "two_theta": 88.0}),
        (INCLINED, {"omega": 44.0}),  # a goniometer that was set to the Bragg angle
    ],
)
def test_what_agrees(table, stated):
    noted, experiment = Claim(table=table).heard(curve(**stated))
    assert noted.note == "A scan."
    assert experiment.reflection == Claim(table=table).reflection


def test_the_wavelength_of_the_file_is_taken_and_said():
    molybdenum = 0.7093
    noted, experiment = Claim(table=SILICON).heard(curve(wavelength=molybdenum))
    assert experiment.reflection.wavelength == molybdenum
    assert experiment.reflection.crystal.chi0 != Claim(table=SILICON).reflection.crystal.chi0
    assert "The wavelength is that of the file, 0.7093 Å." in noted.note
    noted, experiment = Claim(table={**SILICON, "wavelength": 1.54056}).heard(curve(wavelength=molybdenum))
    assert experiment.reflection.wavelength == molybdenum
    assert "0.7093 Å, and not 1.54056 Å, as was said." in noted.note
    with pytest.raises(CurveError, match=r"measured with 0.7093 Å, and the susceptibilities are given for 1.54056 Å"):
        Claim(table=GGG_444.to_dict()).heard(curve(wavelength=molybdenum))
    _, experiment = Claim(table=GGG_444.to_dict(), despite=True).heard(curve(wavelength=molybdenum))
    assert experiment.reflection == GGG_444


def test_expected_angles_are_those_of_the_geometry():
    theta, double = expected_angles(Claim(table=INCLINED).reflection)
    assert double == pytest.approx(88.03, abs=0.01)
    assert theta == pytest.approx(0.5 * double - 35.264, abs=0.01)
    assert not contradictions(Stated(), GGG_444, said=False)
