"""Built-in crystals: names, densities, rules, another program, reference data, given susceptibilities."""

import json
import math
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import gemmi
import pytest
from cif_files import cif
from command_line import refused, xrd

from xrdsim.errors import ParameterError
from xrdsim.experiment import library
from xrdsim.experiment.library import names, structure_of
from xrdsim.experiment.notation import indices_of
from xrdsim.experiment.properties import properties, reflection_of
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444
from xrdsim.experiment.structure import best, crystal_of, susceptibilities

COPPER = 1.54056
PLANES = {
    name: planes.split()
    for group, planes in (
        ("Si Ge diamond", "111 220 004"),
        ("GaAs InP 3C-SiC", "111 002 004 224"),
        ("GaN ZnO", "0002 0004 10-14 11-20"),
        ("4H-SiC", "0004 0008"),
        ("6H-SiC", "0006 0,0,0,12"),
        ("GGG YIG YAG", "444 888 880"),
        ("SrTiO3", "001 002 003"),
        ("LaAlO3", "012 024"),
        ("MgO", "002 222 224"),
        ("Al2O3", "006 0,0,12 110"),
        ("YSZ UO2 CeO2", "111 002 004"),
        ("LiNbO3 LiTaO3", "006 0,0,12 110 104"),
    )
    for name in group.split()
}
THEIRS = {"diamond": "C", **{name: name for name in ("Si", "Ge", "GaAs", "InP", "GaN", "SrTiO3", "MgO", "Al2O3")}}
"""Crystals that xrayutilities has, too."""


def at_rest(name):
    """Without displacements and given susceptibilities."""
    made = structure_of(name, computed=True)
    return replace(made, spread=0.0 * made.spread)


def table(name):
    with open(library.__file__.replace("library.py", "crystals.toml"), "rb") as file:
        return tomllib.load(file)[name]


def test_the_names():
    wanted = (
        "GGG YIG YAG Si Ge GaAs InP GaN 3C-SiC 4H-SiC 6H-SiC SrTiO3 LaAlO3 MgO Al2O3 YSZ UO2 CeO2 LiNbO3 LiTaO3 ZnO"
    )
    assert set(names()) == {*wanted.split(), "diamond"} == set(PLANES)
    assert structure_of(" ggg ") is structure_of("GGG") is structure_of("Gd3Ga5O12")
    assert structure_of("zro2:y").name == "YSZ"
    assert structure_of("DIAMOND").name == structure_of("c").name == "diamond"
    with pytest.raises(
        ParameterError, match=r"'SrTi03' is no .*; did you mean SrTiO3\? Built in are Si, Ge, .*, LiTaO3"
    ):
        structure_of("SrTi03")
    with pytest.raises(ParameterError, match=r"'qqqqqq' is no built-in crystal and no CIF file\. Built in are"):
        structure_of("qqqqqq")
    with pytest.raises(ParameterError, match="is no built-in crystal"):
        structure_of("x" * 10000)


def test_files_beside_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = cif("F d -3 m:1", 5.4, ["Si 0 0 0 1 0.0058"])
    for name in ("own.cif", "without_suffix", "Si"):
        (tmp_path / name).write_text(text)
    assert structure_of("own.cif").cell[0] == structure_of("without_suffix").cell[0] == 5.4
    assert structure_of("Si").cell[0] == pytest.approx(5.431, abs=1e-3)
    with pytest.raises(ParameterError, match=r"nowhere\.cif cannot be read: No such file or directory; check the path"):
        structure_of("nowhere.cif")


@pytest.mark.parametrize("name", PLANES)
def test_density_and_sources(name):
    made = structure_of(name)
    mass = sum(share * gemmi.Element(each).weight for share, each in zip(made.occupancy, made.elements, strict=True))
    density = mass / float(gemmi.UnitCell(*made.cell).volume) / 0.602214076
    assert density == pytest.approx(table(name)["density"], rel=0.01)
    assert all(part in made.source for part in ("Cell: ", "Sites: ", "Displacements: "))
    assert set(made.still) in (set(), set(made.elements))  # all are known, or none
    assert ("left out" in made.source) == bool(made.still)


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.filterwarnings("ignore")
def test_another_program_agrees(name):
    """xrayutilities: its own crystals, or its form factors at the same atoms."""
    xu = pytest.importorskip("xrayutilities")
    made, energy = at_rest(name), xu.utilities.lam2en(COPPER)
    atoms = [getattr(xu.materials.elements, each) for each in made.elements]
    positions = [("1a", tuple(at)) for at in made.position]
    lattice = xu.materials.SGLattice(1, *made.cell, atoms=atoms, pos=positions, occ=list(made.occupancy))
    others = [xu.materials.Crystal(name, lattice)]
    if name in THEIRS:
        others.append(getattr(xu.materials, THEIRS[name]))
    for text in PLANES[name]:
        hkl = indices_of(text)
        found = abs(susceptibilities(made, hkl, COPPER).coupling)
        for other in others:
            both = (hkl, [-each for each in hkl])
            factors = [other.StructureFactor(other.Q(each), energy) for each in both]
            unit = 2.8179403262e-5 * COPPER**2 / (math.pi * other.lattice.UnitCellVolume())
            expected = unit * math.sqrt(abs(factors[0] * factors[1]))
            light = name in ("Si", "diamond", "3C-SiC", "4H-SiC", "6H-SiC", "MgO", "Al2O3")
            weak = found < 0.1 * abs(susceptibilities(made, hkl, COPPER).chi0)
            assert found == pytest.approx(expected, rel=0.05 if weak else 3e-3 if light else 1e-2), (text, other.name)


def test_reference_data(shared_file):
    """Structures written down independently, with the same form factors; with displacements within what B may vary."""
    for key, rows in shared_file("susceptibilities.npz").items():
        name, hkl = key[:-3], indices_of(key[-3:])
        cases = [(at_rest(name), rows[1], 3e-3)]
        if not structure_of(name).still:
            cases.append((structure_of(name), rows[0], 6e-3))
        for made, row, close in cases:
            found = abs(susceptibilities(made, hkl, COPPER).coupling)
            assert found == pytest.approx(math.sqrt(abs(row[1] * row[2])), rel=close), key


@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("Si", "002"),
        ("Si", "222"),
        ("GGG", "111"),
        ("YAG", "110"),
        ("MgO", "110"),
        ("GaN", "0001"),
        ("4H-SiC", "0001"),
        ("6H-SiC", "0003"),
        ("Al2O3", "003"),
        ("LiNbO3", "001"),
    ],
)
def test_forbidden_reflections(name, forbidden):
    with pytest.raises(ParameterError, match=r"is forbidden: .*; choose another reflection"):
        susceptibilities(structure_of(name), indices_of(forbidden), COPPER)


def test_beyond_the_sphere():
    with pytest.raises(ParameterError, match=r"which 1\.54056 Å cannot reach"):
        susceptibilities(structure_of("diamond"), (4, 4, 4), COPPER)
    assert susceptibilities(structure_of("diamond"), (4, 4, 4), 0.709).coupling.imag > 0.0


@pytest.mark.parametrize(
    ("name", "metal", "other", "hkl"),
    [
        ("GaN", "Ga", "N", "0002"),
        ("ZnO", "Zn", "O", "0002"),
        ("4H-SiC", "Si", "C", "0004"),
        ("6H-SiC", "Si", "C", "0006"),
        ("GaAs", "Ga", "As", "111"),
        ("InP", "In", "P", "111"),
        ("3C-SiC", "Si", "C", "111"),
    ],
)
def test_polar_faces(name, metal, other, hkl):
    """The bond along +h leads from every metal atom to one of the other kind."""
    made, h = structure_of(name), indices_of(hkl)
    cell = gemmi.UnitCell(*made.cell)
    for start, element in zip(made.position, made.elements, strict=True):
        if element != metal:
            continue
        bonds = []
        for end, kind in zip(made.position, made.elements, strict=True):
            if kind == other:
                apart = (end - start + 0.5) % 1.0 - 0.5
                length = cell.orthogonalize(gemmi.Fractional(*apart)).length()
                along = (apart @ h) * made.spacing(h)
                if length < 2.8 and abs(abs(along) - length) < 1e-3:
                    bonds.append(along)
        assert len(bonds) == 1
        assert bonds[0] > 0.0
    found = susceptibilities(made, h, COPPER)
    back = susceptibilities(made, (-h[0], -h[1], -h[2]), COPPER)
    assert (back.chih, back.chimh) == pytest.approx((found.chimh, found.chih))
    assert abs(abs(found.chih / found.chimh) - 1.0) > 5e-3


@pytest.mark.parametrize(
    ("name", "hkl", "coupling"),
    [
        ("GGG", "444", GGG_444.crystal.chih),
        ("GGG", "888", -11.165e-6 + 3.418e-6j),
        ("GGG", "0,-8,8", -13.559e-6 + 3.462e-6j),
        ("YIG", "-444", YIG_ON_GGG_444.strained.chih),
        ("YIG", "888", -8.192e-6 + 1.691e-6j),
        ("YIG", "880", -9.735e-6 + 1.777e-6j),
    ],
)
def test_given_susceptibilities_go_first(name, hkl, coupling):
    made, plane = structure_of(name), indices_of(hkl)
    record = GGG_444.crystal if name == "GGG" else YIG_ON_GGG_444.strained
    for wavelength in (COPPER, 1.540593):
        found, source = best(made, plane, wavelength)
        assert (found.chi0, found.chih, found.chimh) == (record.chi0, coupling, coupling)
        assert source == record.source
        shown = properties(made, reflection_of(made, plane, wavelength))
        assert (shown["source"], "note" in shown) == (record.source, False)
    assert crystal_of(made, plane, COPPER).chih == pytest.approx(coupling)
    for other in (best(structure_of(name, computed=True), plane, COPPER), best(made, plane, 0.7093)):
        assert other[0].coupling != pytest.approx(coupling, rel=1e-3)
        assert other[1].startswith(f"structure {name} (f0 of")
    computed = best(structure_of(name, computed=True), plane, COPPER)[0].coupling
    assert abs(abs(computed / coupling) - 1.0) < 0.12  # it has no displacements


def test_the_record_of_444_is_the_same():
    made = reflection_of(structure_of("GGG"), (4, 4, 4), GGG_444.wavelength)
    assert made.crystal.chi0 == GGG_444.crystal.chi0
    assert made.crystal.chih == pytest.approx(GGG_444.crystal.chih, rel=1e-14)
    assert (made.crystal.lattice, made.crystal.source) == (GGG_444.crystal.lattice, GGG_444.crystal.source)


def test_the_documentation_lists_what_there_is():
    text = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| ")}
    for name in names():
        values = table(name)
        assert ", ".join(f"{value:.9g}" for value in values["cell"]) in rows[name].split("|")[2]
        known = dict.fromkeys(f"{site[1]} {site[6]:.4g}" for site in values["sites"] if len(site) > 6)
        assert rows[name].split("|")[3].strip() == (", ".join(known) or "–")


def test_it_is_fast(tmp_path):
    path = tmp_path / "ggg.cif"
    sites = ["Gd 0.125 0 0.25 1 0.004", "Ga 0 0 0 1 0.004", "Ga 0.375 0 0.25 1 0.004", "O -0.029 0.053 0.15 1 0.005"]
    path.write_text(cif("I a -3 d", 12.383, sites))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        made = structure_of(str(path))
        susceptibilities(made, (4, 4, 4), COPPER)
        times.append(time.perf_counter() - start)
    assert len(made.elements) == 160
    assert min(times) < 0.1


def test_the_library_is_read_when_it_is_used():
    code = (
        "import sys, xrdsim; xrdsim.GGG_444; print('gemmi' in sys.modules, 'xrdsim.experiment.library' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = json.loads(xrd("crystal", "si", "004", "--json").stdout)
    assert {"lattice", "d", "theta_deg", "chi0", "chih", "chimh", "source"} <= set(found)
    assert found["theta_deg"] == pytest.approx(math.degrees(math.asin(2.0 * COPPER / 5.431020511)))
    assert "M. Deutsch and M. Hart" in found["source"]
    shown = " ".join(xrd("crystal", "Si", "004").stdout.split())
    assert "Deutsch" in shown
    assert "lattice [Å] 5.431021" in shown
    molybdenum = json.loads(xrd("crystal", "Si", "004", "--wavelength", "MoKa1", "--json").stdout)
    assert molybdenum["theta_deg"] < 0.5 * found["theta_deg"]

    given, computed = (
        json.loads(xrd("crystal", "GGG", "444", "--json", *rest).stdout) for rest in ([], ["--computed"])
    )
    assert given["chih"] == [-12.66065e-6, 3.26115e-6]
    assert abs(complex(*computed["chih"])) == pytest.approx(12.99e-6, rel=1e-3)

    face, back = (json.loads(xrd("crystal", "GaN", "0002", "--face", each, "--json").stdout) for each in "AB")
    assert (face["chih"], face["chimh"]) == (pytest.approx(back["chimh"]), pytest.approx(back["chih"]))
    assert (face["hkl"], back["hkl"]) == ([0, 0, 2], [0, 0, -2])
    inclined = xrd(
        "crystal", "GaAs", "224", "--surface", "111", "--geometry", "grazing-exit", "--face", "B", "--toml", "b.toml"
    )
    assert inclined.exit_code == 0, inclined.output
    assert "surface = [-1, -1, -1]" in (tmp_path / "b.toml").read_text()
    level, tilted = (
        json.loads(
            xrd("crystal", "GGG", "880", "--surface", "111", "--geometry", "grazing-exit", "--json", *rest).stdout
        )
        for rest in ([], ["--miscut", "0.5", "--azimuth", "180"])
    )
    assert tilted["incidence_deg"] - level["incidence_deg"] == pytest.approx(0.5, abs=1e-6)
    assert (tilted["miscut_deg"], tilted["azimuth_deg"]) == (0.5, 180.0)
    assert "miscut_deg" not in level
    assert "--azimuth belongs to --miscut" in refused("crystal", "GGG", "444", "--azimuth", "90")
    shown = xrd("crystal", "GGG", "444", "--miscut", "0.5").stdout
    for name in ("d [Å]", "miscut [°]", "incidence [°]", "darwin_width [″]", "chih (real, imaginary)"):
        assert name in shown
    assert "did you mean LiNbO3?" in refused("crystal", "LiNb03", "006")
    assert "displacements of In, P are not known" in " ".join(xrd("crystal", "InP", "004").stderr.split())
