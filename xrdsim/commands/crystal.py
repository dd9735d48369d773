"""The command that shows how a crystal of known structure diffracts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xrdsim.commands.options import command, outputs


@command()
def crystal(
    structure: Annotated[Path, typer.Argument(help="CIF file.", metavar="FILE.cif")],
    hkl: Annotated[str, typer.Argument(help="Miller indices: 004, or 10,0,0.")],
    wavelength: Annotated[
        str, typer.Option(help="CuKa1, MoKa1, …, a number of Å, or an energy: 8.048keV.")
    ] = "1.54056",
    lattice: Annotated[
        float | None, typer.Option(help="Lattice constant in Å instead of the file's: the one that you measured.")
    ] = None,
    surface: Annotated[str | None, typer.Option(help="Miller indices of the surface, where it is inclined.")] = None,
    geometry: Annotated[
        Literal["symmetric", "grazing-incidence", "grazing-exit"], typer.Option(help="On which side the beam grazes.")
    ] = "symmetric",
    toml: Annotated[Path | None, typer.Option(help="Also write a \\[reflection] for --reflection.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show spacing, Bragg angle, susceptibilities and what follows from them.

    Examples:

        xrd crystal Si.cif 004

        xrd crystal GaAs.cif 224 --wavelength CuKa1 --surface 001 --geometry grazing-incidence --toml gaas_224.toml

        xrd crystal LiNbO3.cif 0,0,6 --wavelength 8.048keV --json
    """
    import json

    from xrdsim.commands.terminal import say, show_table
    from xrdsim.errors import ParameterError
    from xrdsim.experiment.properties import properties, reflection_of, to_toml
    from xrdsim.experiment.structure import indices_of, read_cif, wavelength_of
    from xrdsim.files import replacing
    from xrdsim.units import ARCSEC

    outputs(toml)
    given, plane, light = read_cif(structure), indices_of(hkl), wavelength_of(wavelength)
    found = properties(given, plane, light, lattice)
    cut = None if surface is None else indices_of(surface)
    if toml is not None and not given.cubic:
        raise ParameterError(f"{structure} is not cubic; --toml writes reflections of cubic crystals so far")
    if given.cubic:
        made = reflection_of(given, plane, light, lattice=lattice, surface=cut, geometry=geometry)
        found["strain_per_arcsec"] = ARCSEC / made.angle_per_strain
    if json_:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        show_table(("", ""), [(name, _shown(value)) for name, value in found.items()])
    if toml is not None:
        with replacing(toml) as temporary:
            temporary.write_text(to_toml(made), encoding="utf-8")
        say(f"→ {toml}")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return str(value)
