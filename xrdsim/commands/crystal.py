"""The command that shows how a crystal of known structure diffracts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xrdsim.commands.options import belongs, command, outputs


@command()
def crystal(
    structure: Annotated[str, typer.Argument(help="Built-in crystal, or CIF file.", metavar="NAME|FILE.cif")],
    hkl: Annotated[str, typer.Argument(help="Miller indices: 004, or 10,0,0; of a leading minus, write -- before it.")],
    wavelength: Annotated[
        str, typer.Option(help="CuKa1, MoKa1, …, a number of Å, or an energy: 8.048keV.")
    ] = "1.54056",
    lattice: Annotated[
        str | None,
        typer.Option(help="The lattice that you measured: a in Å; a,c or a,b,c,α,β,γ where it is not cubic."),
    ] = None,
    surface: Annotated[str | None, typer.Option(help="Miller indices of the surface, where it is inclined.")] = None,
    geometry: Annotated[
        Literal["symmetric", "grazing-incidence", "grazing-exit"], typer.Option(help="On which side the beam grazes.")
    ] = "symmetric",
    miscut: Annotated[
        float, typer.Option(help="Angle in ° between the true surface and --surface, or the planes.")
    ] = 0.0,
    azimuth: Annotated[float, typer.Option(help="Where the miscut leans, in °; 0: towards grazing incidence.")] = 0.0,
    face: Annotated[
        Literal["A", "B"],
        typer.Option(
            help="A: the face hkl as given. B: the opposite one, −h −k −l, which exchanges χh and χ−h; it differs "
            "where there is no centre of symmetry. Face A of 0001 of GaN, ZnO and SiC and of 111 of GaAs, InP and "
            "3C-SiC is that of the metal or silicon."
        ),
    ] = "A",
    computed: Annotated[
        bool, typer.Option("--computed", help="Compute also what is given with a crystal: GGG and YIG at Cu Kα1.")
    ] = False,
    toml: Annotated[Path | None, typer.Option(help="Also write a \\[reflection] for --reflection.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show spacing, Bragg angle, susceptibilities and what follows from them.

    Built in are GGG, YIG, YAG, Si, Ge, diamond, GaAs, InP, GaN, ZnO, 3C-SiC, 4H-SiC, 6H-SiC, SrTiO3, LaAlO3, MgO,
    Al2O3, YSZ, UO2, CeO2, LiNbO3 and LiTaO3.

    Examples:

        xrd crystal Si 004

        xrd crystal GaN 0,0,0,2 --face B

        xrd crystal GaAs.cif 224 --wavelength CuKa1 --surface 001 --geometry grazing-incidence --toml gaas_224.toml

        xrd crystal GGG 444 --miscut 0.3 --azimuth 180

        xrd crystal LiNbO3 0,0,6 --wavelength 8.048keV --json
    """
    import json

    from xrdsim.commands.terminal import say, show_table, warn
    from xrdsim.experiment.library import structure_of
    from xrdsim.experiment.notation import indices_of, lattice_of, wavelength_of
    from xrdsim.experiment.properties import properties, reflection_of, to_toml
    from xrdsim.files import replacing

    outputs(toml)
    belongs(azimuth != 0.0, "--azimuth", miscut != 0.0, "--miscut")
    given, light = structure_of(structure, computed=computed), wavelength_of(wavelength)
    plane = _facing(indices_of(hkl), face)
    cut = None if surface is None else _facing(indices_of(surface), face)
    own = None if lattice is None else lattice_of(lattice)
    made = reflection_of(
        given, plane, light, lattice=own, surface=cut, geometry=geometry, miscut=miscut, azimuth=azimuth
    )
    found = properties(given, made)
    if made.warning:
        warn(made.warning)
    if "note" in found:
        warn(found["note"])
    if json_:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        show_table(("", ""), [(_named(name, value), _shown(value)) for name, value in found.items() if name != "note"])
    if toml is not None:
        with replacing(toml) as temporary:
            temporary.write_text(to_toml(made), encoding="utf-8")
        say(f"→ {toml}")


def _facing(plane: tuple[int, int, int], face: str) -> tuple[int, int, int]:
    return plane if face == "A" else (-plane[0], -plane[1], -plane[2])


_UNITS = {"lattice": "Å", "d": "Å", "wavelength": "Å", "extinction_length": "Å", "darwin_width": "″"}
_COMPLEX = ("chi0", "chih", "chimh", "coupling")


def _named(name: str, value: object) -> str:
    """A name with its unit, or with the parts of a complex number."""
    if name in _COMPLEX:
        return f"{name} (real, imaginary)"
    if name == "lattice" and isinstance(value, list):
        return "lattice [Å, °]"
    if name.endswith("_deg"):
        return f"{name.removesuffix('_deg')} [°]"
    return f"{name} [{_UNITS[name]}]" if name in _UNITS else name


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return str(value)
