"""Crystals by name: cell, sites and displacements of ``crystals.toml``, which says where each of them comes from."""

import difflib
import functools
import math
import os
from dataclasses import replace
from pathlib import Path

import gemmi

from xrdsim.errors import ParameterError
from xrdsim.experiment.cif import operations_of, read_cif
from xrdsim.experiment.notation import indices_of
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444
from xrdsim.experiment.structure import Given, Site, Structure, arrange
from xrdsim.limits import Json, read_toml

_AT_444 = {"GGG": GGG_444.crystal, "YIG": YIG_ON_GGG_444.strained}


def names() -> list[str]:
    """Of all built-in crystals, without their aliases."""
    return list(_tables())


def structure_of(text: str, *, computed: bool = False) -> Structure:
    """The structure of a built-in crystal, or that in a CIF file.

    Parameters
    ----------
    text : name of a crystal, whatever its case, or path of a CIF file; a name goes before a file of the same name.
    computed : leaves out susceptibilities that are given with a crystal, so that they are computed.

    Raises
    ------
    ParameterError
        Neither a name nor a file; the file cannot be used.
    """
    name = _known().get(text.strip().lower())
    if name is not None:
        found = _built_in(name)
        return replace(found, given=()) if computed else found
    if text.lower().endswith(".cif") or os.path.isfile(text):  # which takes any text
        return read_cif(text)
    close = difflib.get_close_matches(text.strip().lower(), _known(), n=3)
    near = ", ".join(dict.fromkeys(_known()[each] for each in close))
    raise ParameterError(
        f"{text!r} is no built-in crystal and no CIF file{f'; did you mean {near}?' if near else '.'} Built in are "
        f"{', '.join(names())}"
    )


@functools.cache
def _tables() -> dict[str, Json]:
    return dict(read_toml(Path(__file__).with_name("crystals.toml")))


@functools.cache
def _known() -> dict[str, str]:
    """Names by what may be written for them, in small letters."""
    return {each.lower(): name for name, table in _tables().items() for each in (name, *table.get("aliases", ()))}


@functools.cache
def _built_in(name: str) -> Structure:
    table = _tables()[name]
    group = gemmi.find_spacegroup_by_name(table["group"])
    source = " ".join(f"{part.title()}: {table['source'][part]}." for part in ("cell", "sites", "displacements"))
    sites = [_site(*row) for row in table["sites"]]
    found = arrange(name, _cell(table["cell"]), operations_of(group), sites, f"built in. {source}")
    return replace(found, given=_given(name, table))


def _cell(numbers: list[float]) -> list[float]:
    if len(numbers) == 1:
        return [*numbers * 3, 90.0, 90.0, 90.0]
    if len(numbers) == 2:
        return [numbers[0], numbers[0], numbers[1], 90.0, 90.0, 120.0]
    return numbers


def _site(label: str, element: str, x: float, y: float, z: float, occupancy: float, b: float | None = None) -> Site:
    return Site(label, element, (x, y, z), occupancy, None if b is None else b / (8.0 * math.pi**2))


def _given(name: str, table: Json) -> tuple[Given, ...]:
    """Susceptibilities given with a crystal: that of 444 from its record, which those of other reflections complete."""
    if name not in _AT_444:
        return ()
    record = _AT_444[name]
    coupling = {"444": record.chih, **{hkl: complex(*pair) for hkl, pair in table["given"].items()}}
    return tuple(Given(indices_of(hkl), record.chi0, chih, record.source) for hkl, chih in coupling.items())
