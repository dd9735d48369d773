"""Cells that are no cubes, crystals without a centre of symmetry, and the damage that several reflections share."""

import math
from dataclasses import replace

import gemmi
import naive
import numpy as np
import pytest

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Crystal, inclination
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444, Film, Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.sublayers import omega_of
from xrdsim.profiles.two_gaussians import KAPPA, P

CELLS = {
    "hexagonal": (3.081, 3.081, 10.061, 90.0, 90.0, 120.0),
    "rhombohedral": (5.36, 5.36, 5.36, 60.1, 60.1, 60.1),
    "triclinic": (5.1, 6.2, 7.3, 81.0, 95.0, 103.0),
}
POLAR = Crystal("polar", 5.6533, -2.9e-5 + 8.4e-7j, -1.2e-5 + 9e-6j, "made up for this test", chimh=-1.1e-5 - 8.5e-6j)
SCAN = Scan(-80.0, 4.0, 300)
DAMAGED = {KAPPA: 0.4, P: 1.7}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_spacings_and_angles(cell):
    """Against another program, and the angle from three spacings by the law of cosines."""
    crystal = replace(GGG_444.crystal, lattice=cell)
    for hkl in ((0, 0, 4), (1, 1, 0), (1, -2, 3)):
        assert crystal.spacing(hkl) == pytest.approx(gemmi.UnitCell(*cell).calculate_d(list(hkl)), rel=1e-12)
        one, other, both = (1 / crystal.spacing(each) for each in (hkl, (0, 0, 1), (*hkl[:2], hkl[2] + 1)))
        cosine = (both**2 - one**2 - other**2) / (2 * one * other)
        assert inclination(cell, hkl, (0, 0, 1)) == pytest.approx(math.acos(min(cosine, 1.0)), abs=1e-7)


def test_a_cube_is_a_cell(demonstration):
    six = replace(GGG_444, crystal=replace(GGG_444.crystal, lattice=(12.383,) * 3 + (90.0,) * 3))
    one, other = (xrdsim.simulate(demonstration, reflection=each).intensity for each in (GGG_444, six))
    np.testing.assert_allclose(other, one, rtol=1e-8)


def test_files_hold_cells(tmp_path):
    crystal = replace(POLAR, lattice=CELLS["hexagonal"])
    film = Film(replace(crystal, name="film", lattice=(3.08, 3.08, 10.1, 90.0, 90.0, 120.0)), 2e4)
    made = Reflection(crystal, (0, 0, 8), 1.54056, film=film)
    assert Reflection.from_dict(made.to_dict()) == made
    assert Reflection.from_dict(GGG_444.to_dict()) == GGG_444
    assert "chimh" not in GGG_444.to_dict()


@pytest.mark.parametrize(
    ("lattice", "message"),
    [
        ((3.0, 3.0, 10.0), "must be one length in Å, or three lengths and three angles"),
        ((3.0, 3.0, -1.0, 90.0, 90.0, 120.0), "lattice -1 Å must be positive"),
        ((3.0, 3.0, 10.0, 90.0, 90.0, 180.0), "make no cell"),
        ((3.0, 3.0, 10.0, 100.0, 130.0, 135.0), "make no cell"),
        (math.nan, "must be one length"),
    ],
)
def test_what_is_no_cell(lattice, message):
    with pytest.raises(ParameterError, match=message):
        replace(POLAR, lattice=lattice)


@pytest.mark.parametrize("with_film", [False, True])
@pytest.mark.parametrize("convention", ["exact", "second-order"])
def test_without_a_centre_of_symmetry(demonstration, convention, with_film):
    """Against field amplitudes, into which χh and χ−h enter each for itself."""
    lower = replace(POLAR, lattice=5.65, chih=-1.0e-5 + 1e-6j, chimh=-9e-6 + 8e-7j)
    film = Film(POLAR, 3e4) if with_film else None
    reflection = Reflection(lower if with_film else POLAR, (0, 0, 4), 1.54056, film=film)
    experiment = Experiment(reflection, convention, monochromator=0.0)
    found = xrdsim.simulate(demonstration, experiment=experiment, scan=SCAN, fwhm=0.0).reflectivity[0]
    layers = naive.midpoints(demonstration, 1000)
    given = {"reflection": reflection, "psi": 0.0, "second": convention == "second-order"}
    expected = naive.inclined(*layers, np.radians(omega_of(SCAN.angle, experiment)), **given)
    assert naive.rms_dex(found, expected) < 1e-4
    if not with_film:
        turned = replace(reflection, crystal=replace(POLAR, chih=POLAR.chimh, chimh=POLAR.chih))
        other = xrdsim.simulate(demonstration, reflection=turned, scan=SCAN, convention=convention, fwhm=0.0)
        ratio = (POLAR.polarity) ** 2
        assert other.reflectivity[0] * ratio == pytest.approx(
            xrdsim.simulate(
                demonstration, reflection=reflection, scan=SCAN, convention=convention, fwhm=0.0
            ).reflectivity[0],
            rel=1e-9,
        )


@pytest.mark.parametrize("power", [0.354, 2.828])
def test_damage_of_another_reflection(demonstration, power):
    row = np.append(demonstration[:7], list(DAMAGED.values()))
    experiment = Experiment(damage_power=power)
    found = xrdsim.simulate(row, experiment=experiment, scan=SCAN, fwhm=0.0).reflectivity[0]
    h, eps = naive.midpoints(row, 1000)
    factor = naive.damage(eps, row, naive.strain_max(row)) ** power
    assert naive.rms_dex(found, naive.reflectivity(h, eps, SCAN.angle, dw=factor)) < 1e-4
    lines = linearize(row, experiment=experiment, scan=SCAN)
    for j in (0, 3, KAPPA, P):
        step = 1e-5 * max(abs(row[j]), 1e-3)
        ends = [
            xrdsim.simulate(row + sign * step * np.eye(9)[j], experiment=experiment, scan=SCAN).intensity[0]
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert np.abs(lines.slope[0, :, j] - slope).max() < 2e-4 * np.abs(slope).max()


def test_the_power_travels(tmp_path):
    made = Experiment(damage_power=2.828)
    assert Experiment.from_dict(made.to_dict()) == made
    assert "damage_power" not in Experiment().to_dict()
    with pytest.raises(ParameterError, match="damage_power = -1 must lie within"):
        Experiment(damage_power=-1.0)


def test_film_of_the_same_cell(demonstration):
    """A film whose cell has six numbers is the film of one."""
    film = YIG_ON_GGG_444.film
    six = replace(film, crystal=replace(film.crystal, lattice=(12.376,) * 3 + (90.0,) * 3))
    one, other = (
        xrdsim.simulate(demonstration, reflection=replace(GGG_444, film=each)).intensity for each in (film, six)
    )
    np.testing.assert_allclose(other, one, rtol=1e-10)
