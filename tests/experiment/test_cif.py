"""CIF files: symmetry given in several ways, and what is wrong with a file."""

import math

import gemmi
import pytest
from cif_files import cif

from xrdsim.errors import ParameterError
from xrdsim.experiment.cif import read_cif
from xrdsim.experiment.properties import properties, reflection_of
from xrdsim.experiment.structure import source_of, susceptibilities

COPPER = 1.54056
SILICON = "Si 0 0 0 1 0.0058"
SYMBOL = "_space_group_name_H-M_alt"
HALL = "_space_group_name_Hall"
NUMBER = "_space_group_IT_number"
OLD, NEW = "_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"


def listed(name, tag=OLD):
    """All operations of a space group, as a loop."""
    operations = gemmi.find_spacegroup_by_name(name).operations()
    return f"loop_\n{tag}\n" + "\n".join(f"'{each.triplet()}'" for each in operations)


@pytest.fixture
def read(tmp_path):
    def made(text):
        path = tmp_path / "made.cif"
        path.write_text(text)
        return read_cif(path)

    return made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "cannot be read as CIF"),
        ("data_x\n_cell_length_a 5\n", "has no atoms"),
        (cif("F d -3 m:1", 5.43, ["Si 0 0 0 1.5 0.01"]), "the occupancy 1.5 of Si0"),
        (cif("F d -3 m:1", 5.43, [SILICON, SILICON]), "2 atoms share the position of Si"),
        (cif("", 5.43, [SILICON]), "has no symmetry"),
        (cif("F d -3 m:1", 5.43, ["Qq 0 0 0 1 0.01"]), "Qq0 is no element"),
    ],
)
def test_bad_files_are_explained(tmp_path, text, words):
    path = tmp_path / "bad.cif"
    path.write_text(text)
    with pytest.raises(ParameterError, match=words) as raised:
        read_cif(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("group", "extra", "words"),
    [
        ("F m -3 m", listed("F d -3 m:1"), "its symmetry operations are those of F d -3 m:1, but it names F m -3 m"),
        ("F d -3 m:1", f"{NUMBER} 225", "names two space groups, F d -3 m:1 and F m -3 m"),
        ("F d -3 m:1", f"{HALL} '-F 4 2 3'", "names two space groups, F m -3 m and F d -3 m:1"),
        (
            "",
            listed("F d -3 m:1") + "\n" + listed("F d -3 m:2", NEW),
            "lists two different sets of symmetry operations",
        ),
        ("F d -3 m:1", f"loop_\n{OLD}\n'x,y,z'\n'x,y,what'", "a symmetry operation cannot be read"),
    ],
)
def test_contradictions_are_refused(read, group, extra, words):
    with pytest.raises(ParameterError, match=words):
        read(cif(group, 5.43, [SILICON], extra=extra))


@pytest.mark.parametrize(
    ("group", "extra", "setting"),
    [
        ("F d -3 m", listed("F d -3 m:1"), "F d -3 m:1"),
        ("F d -3 m", "", "F d -3 m:1"),
        ("", f"{HALL} 'F 4d 2 3 -1d'", "F d -3 m:1"),
        ("", f"{NUMBER} 227", "F d -3 m:1"),
        ("unknown", f"{NUMBER} 227", "F d -3 m:1"),
        ("", listed("F d -3 m:1") + "\n" + listed("F d -3 m:1", NEW), "F d -3 m:1"),
    ],
)
def test_the_setting_is_said(read, group, extra, setting):
    made = read(cif(group, 5.43, [SILICON], extra=extra))
    assert len(made.elements) == 8
    assert source_of(made).endswith(f"file made.cif in the setting {setting}")


@pytest.mark.parametrize(
    ("group", "site", "extra", "atoms"),
    [
        ("F d -3 m", SILICON, "", ("8", "16")),
        ("F d -3 m", "Si 0.125 0.125 0.125 1 0.0058", "", ("16", "8")),
        ("", SILICON, f"{NUMBER} 227", ("8", "16")),
        ("F d -3 m", SILICON, listed("F d -3 m:1"), None),
        ("F d -3 m:1", SILICON, "", None),
        ("", SILICON, f"{HALL} 'F 4d 2 3 -1d'", None),
        ("F m -3 m", SILICON, "", None),
        ("F d -3 m", "Si 0.013 0.11 0.27 1 0.0058", "", None),  # as many atoms of either origin
    ],
)
def test_an_origin_that_is_left_open_is_said(read, group, site, extra, atoms):
    made = read(cif(group, 5.43, [site], extra=extra))
    if atoms is None:
        assert made.doubt == ""
        return
    assert f"F d -3 m:1, with {atoms[0]} atoms" in made.doubt
    assert f"F d -3 m:2, there would be {atoms[1]}" in made.doubt
    note = properties(made, reflection_of(made, (0, 0, 4), COPPER))["note"]
    assert made.doubt in note


def test_operations_go_before_a_symbol_without_setting(read):
    """Of a group with two origins, the one of the operations is taken."""
    made = read(cif("F d -3 m", 5.43, ["Si 0.125 0.125 0.125 1 0.0058"], extra=listed("F d -3 m:2")))
    assert len(made.elements) == 8
    assert "setting F d -3 m:2" in made.source
    other = read(cif("F d -3 m:1", 5.43, [SILICON]))
    found = [susceptibilities(each, (1, 1, 1), COPPER).coupling for each in (made, other)]
    assert found[0] == pytest.approx(found[1], rel=1e-10)


def test_files_with_b_alone_and_without_values(read):
    b = 8.0 * math.pi**2 * 0.0058
    made = read(cif("F d -3 m:1", 5.43, [f"Si 0 0 0 1 {b}"], columns="B_iso_or_equiv"))
    same = read(cif("F d -3 m:1", 5.43, [SILICON]))
    assert (made.still, same.still) == ((), ())
    assert made.spread == pytest.approx(same.spread)
    assert read(cif("F d -3 m:1", 5.43, ["Si 0 0 0 1 ."], columns="B_iso_or_equiv")).still == ("Si",)
