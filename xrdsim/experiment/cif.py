"""Structures from CIF files (S. R. Hall, F. H. Allen, I. D. Brown, Acta Cryst. A47, 655, 1991).

A file may give its symmetry as a list of operations, a Hall symbol, a Hermann–Mauguin symbol or a number, in this order
of preference: a list leaves nothing open, a symbol without its setting may mean two origins. What is given twice has to
agree.
"""

import math
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np

from xrdsim.errors import ParameterError, unreadable
from xrdsim.experiment.structure import Array, Operation, Site, Structure, arrange
from xrdsim.limits import LARGEST_TABLE, read_bytes

_LISTS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz", "_space_group_symop.operation_xyz")
_HALL = ("_symmetry_space_group_name_Hall", "_space_group_name_Hall")
_SYMBOL = ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt", "_space_group_name_H-M_full")
_NUMBER = ("_symmetry_Int_Tables_number", "_space_group_IT_number")

Whole = frozenset[str]
"""Operations of a space group as triplets, by which two of them are compared."""


def read_cif(path: str | Path) -> Structure:
    """The structure in a CIF file.

    Raises
    ------
    ParameterError
        The file cannot be read, has no cell, symmetry or atoms, symmetries that contradict each other, or atoms that
        cannot be.
    """
    try:
        text = read_bytes(path, LARGEST_TABLE).decode("utf-8-sig")
        block = gemmi.cif.read_string(text)[0]
        small = gemmi.make_small_structure_from_block(block)
    except (OSError, UnicodeDecodeError, ValueError, RuntimeError, IndexError) as error:
        raise unreadable(path, "CIF", error) from error
    if not small.sites:
        raise ParameterError(f"{path} has no atoms (_atom_site_…)")
    if not small.cell.is_crystal():
        raise ParameterError(f"{path} has no cell (_cell_length_a …)")
    operations, setting = _symmetry(block, small.cell, path)
    isotropic = _isotropic(block)
    sites = []
    for site in small.sites:
        label = site.label or site.type_symbol
        u: float | Array | None = float(site.u_iso or isotropic.get(label, 0.0)) or None
        if site.aniso.nonzero():
            u = np.array(site.aniso.as_mat33().tolist())
        sites.append(Site(label, site.element.name, site.fract.tolist(), float(site.occ), u))
    source = f"file {Path(path).name} in the setting {setting}"
    made = arrange(str(path), small.cell.parameters, operations, sites, source)
    other = _other_origin(setting) if _without_setting(block) else None
    if other is None:
        return made
    try:
        atoms = arrange(str(path), small.cell.parameters, operations_of(other), sites, source).occupancy.sum()
    except ParameterError:  # of that origin atoms would lie on top of each other
        return made
    if abs(atoms - made.occupancy.sum()) < 1e-6:
        return made
    doubt = (
        f"{Path(path).name} does not say which of two origins it has: {setting}, with {made.occupancy.sum():g} atoms "
        f"in the cell, is taken; were it {other.xhm()}, there would be {atoms:g}. Write the one that is meant into "
        "the file."
    )
    return replace(made, doubt=doubt)


def operations_of(group: gemmi.SpaceGroup) -> list[Operation]:
    """Rotations (3, 3) and shifts (3,) of all operations of a space group."""
    return [_numbers(each) for each in group.operations()]


def _numbers(operation: gemmi.Op) -> Operation:
    return np.array(operation.rot) / gemmi.Op.DEN, np.array(operation.tran) / gemmi.Op.DEN


def _symmetry(block: gemmi.cif.Block, cell: gemmi.UnitCell, path: str | Path) -> tuple[list[Operation], str]:
    """Operations, and the name of their setting."""
    try:
        listed = [
            [gemmi.Op(gemmi.cif.as_string(each)) for each in column]
            for tag in _LISTS
            if (column := block.find_values(tag))
        ]
    except (RuntimeError, ValueError) as error:
        raise ParameterError(f"{path}: a symmetry operation cannot be read: {error}") from error
    named = _named(block, cell, path)
    if not listed:
        if not named:
            raise ParameterError(f"{path} has no symmetry: neither operations nor a space group that is known")
        return operations_of(named[0]), named[0].xhm()
    if len({_whole(each) for each in listed}) > 1:
        raise ParameterError(f"{path} lists two different sets of symmetry operations; remove the one that is wrong")
    found = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(listed[0]))
    if found is not None and named and found.number != named[0].number:
        raise ParameterError(
            f"{path}: its symmetry operations are those of {found.xhm()}, but it names {named[0].xhm()}; remove what "
            "is wrong"
        )
    return [_numbers(each) for each in listed[0]], found.xhm() if found is not None else "of its operations"


def _named(block: gemmi.cif.Block, cell: gemmi.UnitCell, path: str | Path) -> list[gemmi.SpaceGroup]:
    """Space groups by Hall symbol, Hermann–Mauguin symbol and number, as far as they are given and known."""
    found = []
    for tag in (*_HALL, *_SYMBOL, *_NUMBER):
        text = gemmi.cif.as_string(block.find_value(tag) or "?").strip()
        if not text or text in "?.":
            continue
        try:
            if tag in _HALL:
                group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(text))
            elif tag in _SYMBOL:
                group = gemmi.find_spacegroup_by_name(text, cell.alpha, cell.gamma)
            else:
                group = gemmi.find_spacegroup_by_number(int(text))
        except (RuntimeError, ValueError):
            group = None
        if group is not None:
            found.append(group)
    for group in found[1:]:
        if group.number != found[0].number:
            raise ParameterError(
                f"{path} names two space groups, {found[0].xhm()} and {group.xhm()}; remove the one that is wrong"
            )
    return found


def _without_setting(block: gemmi.cif.Block) -> bool:
    """Whether the symmetry is given by a symbol or a number alone."""
    if any(block.find_values(tag) for tag in (*_LISTS, *_HALL)):
        return False
    return not any(":" in gemmi.cif.as_string(block.find_value(tag) or "") for tag in _SYMBOL)


def _other_origin(setting: str) -> gemmi.SpaceGroup | None:
    """Of a group with two origins, whose first is ``setting``, the second."""
    return gemmi.find_spacegroup_by_name(f"{setting.removesuffix(':1')}:2") if setting.endswith(":1") else None


def _whole(operations: list[gemmi.Op]) -> Whole:
    return frozenset(each.wrap().triplet() for each in operations)


def _isotropic(block: gemmi.cif.Block) -> dict[str, float]:
    """U [Å²] by label, of files that give B = 8π²U."""
    table = block.find(["_atom_site_label", "_atom_site_B_iso_or_equiv"])
    values = {gemmi.cif.as_string(row[0]): gemmi.cif.as_number(row[1]) / (8.0 * math.pi**2) for row in table}
    return {label: value for label, value in values.items() if math.isfinite(value)}
