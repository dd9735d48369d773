"""Susceptibilities from structures: rules of structure factors, another program, reference data, CIF files."""

import cmath
import json
import math

import numpy as np
import pytest
from cif_files import cif
from command_line import refused, xrd

from xrdsim.errors import ParameterError
from xrdsim.experiment.cif import read_cif
from xrdsim.experiment.notation import indices_of, wavelength_of
from xrdsim.experiment.properties import properties, reflection_of, to_toml
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.structure import crystal_of, susceptibilities

COPPER = 1.54056
SILICON = "Si 0 0 0 1 0.0058"
ZINC_BLENDE = ("F -4 3 m", 5.6533, ("Ga 0 0 0 1 0.008", "As 0.25 0.25 0.25 1 0.007"))
PEROVSKITE = ("P m -3 m", 3.905, ("Sr 0 0 0 1 0.008", "Ti 0.5 0.5 0.5 1 0.006", "O 0.5 0.5 0 1 0.009"))
ROCK_SALT = ("F m -3 m", 4.212, ("Mg 0 0 0 1 0.004", "O 0.5 0.5 0.5 1 0.004"))


@pytest.fixture
def structure(tmp_path):
    def made(*description, **options):
        path = tmp_path / "made.cif"
        path.write_text(cif(*description, **options))
        return read_cif(path)

    return made


@pytest.fixture
def silicon(structure):
    return structure("F d -3 m:1", 5.43102, [SILICON])


def still(sites):
    """The same at rest."""
    return [" ".join([*site.split()[:-1], "."]) for site in sites]


def test_atoms_and_rules(silicon):
    assert (len(silicon.elements), silicon.cubic, silicon.still) == (8, True, ())
    found = {hkl: susceptibilities(silicon, hkl, COPPER) for hkl in ((1, 1, 1), (2, 2, 0), (0, 0, 4))}
    for each in found.values():
        assert each.chi0.imag > 0.0 > each.chi0.real
        assert abs(each.chih) == pytest.approx(abs(each.chimh))
        assert each.coupling.imag > 0.0
    one = susceptibilities(silicon, (1, 1, 1), COPPER)
    assert cmath.phase(one.chih / one.chimh) == pytest.approx(0.5 * math.pi)  # 1 + i over 1 − i
    for forbidden in ((0, 0, 2), (2, 2, 2), (1, 0, 0)):
        with pytest.raises(ParameterError, match="is forbidden"):
            susceptibilities(silicon, forbidden, COPPER)
    with pytest.raises(ParameterError, match=r"444 has a spacing of 0.7839 Å, which 2 Å cannot reach"):
        susceptibilities(silicon, (4, 4, 4), 2.0)


def test_reference_data(shared_file, structure):
    arrays = shared_file("susceptibilities.npz")
    cases = {
        ("F d -3 m:1", 5.43102, (SILICON,)): ("Si111", "Si004", "Si224", "Si444"),
    }
    for (group, cell, sites), names in cases.items():
        made = structure(group, cell, still(sites))
        for name in names:
            hkl = indices_of(name[-3:])
            found = susceptibilities(made, hkl, COPPER)
            np.testing.assert_allclose([found.chi0, found.chih, found.chimh], arrays[name][1], rtol=1e-8)


@pytest.mark.parametrize(
    ("description", "hkl"),
    [(PEROVSKITE, (0, 0, 2)), (ROCK_SALT, (0, 0, 2)), (ROCK_SALT, (2, 2, 4)), (ZINC_BLENDE, (0, 0, 4))],
)
@pytest.mark.filterwarnings("ignore")
def test_another_program_agrees(structure, description, hkl):
    """xrayutilities, whose form factors are others."""
    xu = pytest.importorskip("xrayutilities")
    group, cell, sites = description
    found = susceptibilities(structure(group, cell, still(sites)), hkl, COPPER)
    places = {"F -4 3 m": (216, ["4a", "4c"]), "P m -3 m": (221, ["1a", "1b", "3c"]), "F m -3 m": (225, ["4a", "4b"])}
    number, positions = places[group]
    atoms = [site.split()[0] for site in sites]
    other = xu.materials.Crystal("made", xu.materials.SGLattice(number, cell, atoms=atoms, pos=positions))
    energy = xu.utilities.lam2en(COPPER)
    scale = abs(found.chi0) / abs(other.chi0(energy))
    assert scale == pytest.approx(1.0, rel=5e-3)
    unit = 2.8179403262e-5 * COPPER**2 / (math.pi * cell**3)
    assert abs(found.coupling) == pytest.approx(unit * abs(other.StructureFactor(other.Q(hkl), energy)), rel=6e-3)


def test_the_origin_does_not_matter(structure, silicon):
    moved = structure("F d -3 m:2", 5.43102, ["Si 0.125 0.125 0.125 1 0.0058"])
    for hkl in ((1, 1, 1), (2, 2, 4), (0, 0, 4)):
        pair = [susceptibilities(each, hkl, COPPER).coupling for each in (silicon, moved)]
        assert pair[0] == pytest.approx(pair[1], rel=1e-10)


def test_displacements(structure, silicon):
    hkl, s2 = (4, 4, 4), 48.0 / (4.0 * 5.43102**2)
    rest = structure("F d -3 m:1", 5.43102, still([SILICON]))
    assert rest.still == ("Si",)
    fallen = abs(susceptibilities(silicon, hkl, COPPER).coupling / susceptibilities(rest, hkl, COPPER).coupling)
    assert fallen == pytest.approx(math.exp(-8.0 * math.pi**2 * 0.0058 * s2), rel=1e-9)
    by_b = structure("F d -3 m:1", 5.43102, [f"Si 0 0 0 1 {8.0 * math.pi**2 * 0.0058}"], columns="B_iso_or_equiv")
    assert susceptibilities(by_b, hkl, COPPER).chih == pytest.approx(susceptibilities(silicon, hkl, COPPER).chih)


def test_anisotropic_displacements_turn_with_the_atoms(structure):
    table = "loop_\n_atom_site_aniso_label\n" + "\n".join(
        f"_atom_site_aniso_U_{axes}" for axes in ("11", "22", "33", "12", "13", "23")
    )
    aniso = f"{table}\nO0 0.01 0.01 0.03 0 0 0"
    made = structure("P m -3 m", 4.0, ["O 0.5 0.5 0 1 ."], extra=aniso)
    assert len(made.elements) == 3
    for hkl in ((2, 0, 0), (0, 2, 0), (0, 0, 2)):
        found = susceptibilities(made, hkl, COPPER).coupling
        assert found == pytest.approx(susceptibilities(made, (0, 0, 2), COPPER).coupling, rel=1e-9)
    s2 = 4.0 / (4.0 * 4.0**2)
    rest = susceptibilities(structure("P m -3 m", 4.0, ["O 0.5 0.5 0 1 ."]), (0, 0, 2), COPPER).coupling
    expected = (2.0 * math.exp(-8 * math.pi**2 * 0.01 * s2) + math.exp(-8 * math.pi**2 * 0.03 * s2)) / 3.0
    assert abs(susceptibilities(made, (0, 0, 2), COPPER).coupling / rest) == pytest.approx(expected, rel=1e-9)


def test_rounded_thirds_and_a_polar_crystal(structure):
    cell = [3.25, 3.25, 5.207, 90, 90, 120]
    zinc_oxide = structure("P 63 m c", cell, ["Zn 0.3333 0.6667 0 1 0.006", "O 0.3333 0.6667 0.382 1 0.006"])
    assert len(zinc_oxide.elements) == 4
    found = susceptibilities(zinc_oxide, (0, 0, 2), COPPER)
    assert abs(abs(found.chih / found.chimh) - 1.0) > 1e-3
    made = crystal_of(zinc_oxide, (0, 0, 2), COPPER)
    assert made.polarity == pytest.approx(abs(found.chih / found.chimh))
    assert made.coupling == pytest.approx(found.coupling)
    with pytest.raises(ParameterError, match="is not cubic: give its lattice as three lengths"):
        crystal_of(zinc_oxide, (0, 0, 2), COPPER, 3.25)
    assert properties(zinc_oxide, reflection_of(zinc_oxide, (0, 0, 2), COPPER))["lattice"] == cell


def test_symmetry_as_operations_alone_and_occupancies(structure):
    operations = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "\n".join(("'x,y,z'", "'x+1/2,y+1/2,z+1/2'"))
    made = structure("", 3.0, ["Fe 0 0 0 0.6 0.005", "Cr 0 0 0 0.4 0.005"], extra=operations)
    assert len(made.elements) == 4
    assert made.occupancy.sum() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("CuKa1", 1.540593), ("moka1", 0.709317), ("1.54056", 1.54056), ("8.048keV", 1.540559), ("8.048 keV", 1.540559)],
)
def test_wavelengths(text, expected):
    assert wavelength_of(text) == pytest.approx(expected, abs=2e-6)


def test_what_is_no_wavelength_or_reflection():
    for text in ("copper", "-1", "0", "inf", "keV"):
        with pytest.raises(ParameterError, match=r"must be a number of Å, an energy like 8\.048keV, or CuKa1"):
            wavelength_of(text)
    assert [indices_of(text) for text in ("004", "10,0,0", "-110", "1,-1,0", "0,0,0,6")] == [
        (0, 0, 4),
        (10, 0, 0),
        (-1, 1, 0),
        (1, -1, 0),
        (0, 0, 6),
    ]
    assert [indices_of(text) for text in ("11-20", "10-14", "1,1,-2,0", "-1,1,0,2")] == [
        (1, 1, 0),
        (1, 0, 4),
        (1, 1, 0),
        (-1, 1, 2),
    ]
    for text in ("04", "0.5,0,0", "abc", "", "1,2,3,4", "1,1,-1,0"):
        with pytest.raises(ParameterError, match="must be three whole numbers"):
            indices_of(text)


def test_a_reflection_from_a_structure(silicon, tmp_path, demonstration):
    made = reflection_of(silicon, (2, 2, 4), COPPER, surface=(0, 0, 1), geometry="grazing-exit")
    path = tmp_path / "si224.toml"
    path.write_text(to_toml(made))
    assert Reflection.from_toml(path) == made
    assert made.crystal.lattice == 5.43102
    assert reflection_of(silicon, (0, 0, 4), COPPER, lattice=5.4).crystal.lattice == 5.4


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Si.cif").write_text(cif("F d -3 m:1", 5.43102, [SILICON]))
    done = xrd("crystal", "Si.cif", "004", "--json", "--toml", "si.toml")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[0])
    assert {"lattice", "d", "theta_deg", "chi0", "chih", "chimh", "source"} <= set(found)
    assert found["theta_deg"] == pytest.approx(math.degrees(math.asin(2.0 * COPPER / 5.43102)))
    assert found["d"] == pytest.approx(5.43102 / 4)
    assert Reflection.from_toml("si.toml").hkl == (0, 0, 4)
    shown = xrd("crystal", "Si.cif", "224", "--surface", "001", "--geometry", "grazing-incidence").output
    assert "extinction_length" in shown
    assert "must be three whole numbers" in refused("crystal", "Si.cif", "04")
    assert "is inclined to the surface 001" in refused("crystal", "Si.cif", "224", "--surface", "001")
    assert "nowhere.cif cannot be read" in refused("crystal", "nowhere.cif", "004")
    (tmp_path / "rest.cif").write_text(cif("F d -3 m:1", 5.43102, still([SILICON])))
    rest = xrd("crystal", "rest.cif", "444", "--json")
    assert "displacements of Si are not known: with a usual B of 0.5 Å² |χh| would be 18.4 % smaller" in " ".join(
        rest.stderr.split()
    )
    assert "18.4 %" in json.loads(rest.stdout)["note"]
