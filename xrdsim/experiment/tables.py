"""A reflection as the table of a file, and back (form: ``xrdsim.experiment.reflection``).

A crystal that gives no susceptibilities is looked up by its name, or read from the CIF file of this name. The lattice
constant along the normal of a film of bulk lattice a_f, whose lattice in the plane is a = a_s + R(a_f − a_s) on a
substrate of a_s, is by isotropic elasticity a_f − 2ν/(1 − ν)·(a − a_f), R its relaxation and ν Poisson's ratio.
"""

import logging
from pathlib import Path
from typing import TypeVar

from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Crystal, Indices
from xrdsim.experiment.files import refuse_unknown
from xrdsim.experiment.geometry import Geometry
from xrdsim.experiment.notation import lattice, wavelength_of
from xrdsim.experiment.reflection import Film, Reflection
from xrdsim.limits import Json

POISSON = 0.3
"""Poisson's ratio of a film for which none is given."""

COPPER = 1.54056
"""Wavelength [Å] that is taken where none is given."""

_OF_CRYSTAL = ("crystal", "lattice", "chi0", "chih", "source", "chimh")
_ORDER = ("crystal", "lattice", "hkl", "wavelength", "thickness", "chi0", "chih", "chimh", "source")
_OWN = ("hkl", "wavelength", "chih_linear", "film", "surface", "geometry", "miscut", "azimuth")
_OF_FILM = ("thickness", "relaxation", "poisson")

T = TypeVar("T", bound=Reflection)


def reflection_from(kind: type[T], table: Json, where: str) -> T:
    """A reflection of plain values, complex numbers as [real, imaginary].

    Raises
    ------
    ParameterError
        A key is missing, unknown or of the wrong form; names ``where``.
    """
    values = dict(table)
    folder = Path(where).parent
    try:
        refuse_unknown((*_OF_CRYSTAL, *_OWN), values, f"{where}: [reflection]")
        for name in ("hkl", "surface"):
            if name == "hkl" or values.get(name) is not None:
                values[name] = _indices(name, values[name])
        light = values["wavelength"] = _wavelength(values.get("wavelength", COPPER))
        if values.get("chih_linear") is not None:
            values["chih_linear"] = tuple(complex(*pair) for pair in values["chih_linear"])
        film = values.pop("film", None)
        crystal = crystal_from(_part(values, _OF_CRYSTAL), values["hkl"], light, folder)
        if film is not None:
            if "hkl" in film:
                raise ParameterError(
                    "a film diffracts in the hkl of its substrate; different ones are not described: leave hkl out of "
                    "[reflection.film]"
                )
            refuse_unknown((*_OF_CRYSTAL, *_OF_FILM), film, f"{where}: [reflection.film]")
            plain = values.get("geometry", Geometry.SYMMETRIC) == Geometry.SYMMETRIC
            values["film"] = _film(dict(film), crystal, values["hkl"], light, folder, plain)
        return kind(crystal, **values)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}" if where not in str(error) else str(error)) from None
    except (AttributeError, KeyError, OverflowError, TypeError) as error:
        raise ParameterError(f"{where}: [reflection] is incomplete or malformed: {error}") from error


def reflection_to(reflection: Reflection) -> Json:
    """Plain values of a reflection; inverse of ``reflection_from``."""
    values: Json = {**reflection.crystal.to_dict(), "hkl": list(reflection.hkl), "wavelength": reflection.wavelength}
    values = {name: values[name] for name in _ORDER if name in values}
    linear = reflection.chih_linear
    values["chih_linear"] = None if linear is None else [[value.real, value.imag] for value in linear]
    if reflection.surface is not None:
        values["surface"] = list(reflection.surface)
    for name, default in (("geometry", Geometry.SYMMETRIC), ("miscut", 0.0), ("azimuth", 0.0)):
        if getattr(reflection, name) != default:
            values[name] = getattr(reflection, name)
    if reflection.film is not None:
        film: Json = {**reflection.film.crystal.to_dict(), "thickness": reflection.film.thickness}
        values["film"] = {name: film[name] for name in _ORDER if name in film}
    return values


def crystal_from(values: Json, hkl: Indices, wavelength: float, folder: Path = Path()) -> Crystal:
    """A crystal of its entries: with susceptibilities as they are given, else of the structure that it names.

    Parameters
    ----------
    values : entries of the table; a lattice constant goes before that of a structure.
    hkl, wavelength : of the reflection; Å.
    folder : in which CIF files lie that are named without one.

    Raises
    ------
    ParameterError
        The crystal is neither built in nor a file, or has no such reflection.
    KeyError
        An entry is missing.
    """
    own = values.get("lattice")
    given = lattice([float(each) for each in own]) if isinstance(own, (list, tuple)) else own
    if "chi0" in values or "chih" in values:
        chimh = values.get("chimh")
        source = values.get("source", "explicit susceptibilities")
        return Crystal(
            values["crystal"],
            values["lattice"] if given is None else given,
            complex(*values["chi0"]),
            complex(*values["chih"]),
            source,
            None if chimh is None else complex(*chimh),
        )
    from xrdsim.experiment.library import structure_of
    from xrdsim.experiment.structure import crystal_of

    name = str(values["crystal"])
    beside = folder / name
    found = structure_of(str(beside) if name.lower().endswith(".cif") and beside.exists() else name)
    if found.doubt:
        logging.getLogger(__name__).warning(found.doubt)
    return crystal_of(found, hkl, wavelength, given)


def _film(table: Json, substrate: Crystal, hkl: Indices, wavelength: float, folder: Path, plain: bool) -> Film:
    """On a substrate; its lattice along the normal as given, or as relaxation leaves it."""
    thickness = table.pop("thickness")
    relaxation, poisson = table.pop("relaxation", None), table.pop("poisson", None)
    strained = "lattice" not in table and "chi0" not in table
    if not strained and (relaxation is not None or poisson is not None):
        raise ParameterError("film: its lattice along the normal is given; leave relaxation and poisson out")
    bulk = crystal_from(table, hkl, wavelength, folder)
    if not strained:
        return Film(bulk, thickness)
    relaxed, ratio = (default if value is None else value for value, default in ((relaxation, 0.0), (poisson, POISSON)))
    if not (0.0 <= relaxed <= 1.0 and 0.0 <= ratio < 0.5):
        raise ParameterError(f"film: relaxation = {relaxed:g} must be within 0 … 1, poisson = {ratio:g} within 0 … 0.5")
    if relaxed > 0.0 and not plain:
        raise ParameterError(
            "film: a relaxed film diffracts from inclined planes in another direction than its substrate; leave "
            "relaxation out, or measure a symmetric reflection"
        )
    if isinstance(bulk.lattice, tuple) or isinstance(substrate.lattice, tuple):
        raise ParameterError("film: give the lattice of a film that is not cubic, as it is strained on its substrate")
    in_plane = substrate.lattice + relaxed * (bulk.lattice - substrate.lattice)
    normal = bulk.lattice - 2.0 * ratio / (1.0 - ratio) * (in_plane - bulk.lattice)
    source = f"{bulk.source}; lattice of a film {relaxed:.0%} relaxed, Poisson's ratio {ratio:g}"
    return Film(Crystal(bulk.name, normal, bulk.chi0, bulk.chih, source, bulk.chimh), thickness)


def _wavelength(given: float | str) -> float:
    """Of a number of Å, a line or an energy."""
    if not isinstance(given, str):
        return given
    if given.strip().replace(".", "", 1).isdigit():
        raise ParameterError(f"wavelength = {given!r} is a text; write the number of Å without quotes")
    return wavelength_of(given)


def _indices(name: str, given: object) -> Indices:
    if isinstance(given, (list, tuple)) and len(given) == 3 and all(type(each) is int for each in given):
        return given[0], given[1], given[2]
    raise ParameterError(f"{name} = {given!r} must be three whole numbers, [h, k, l]")


def _part(values: Json, names: tuple[str, ...]) -> Json:
    """Those entries, taken out of a table."""
    return {name: values.pop(name) for name in names if name in values}
