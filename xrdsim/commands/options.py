"""Options that several commands share, what turns their texts into values, and how a command ends."""

import functools
import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    from distributed import Client

    from xrdsim.experiment.reflection import Reflection
    from xrdsim.limits import Json
    from xrdsim.profiles.space import ParameterSpace

Convention = Literal["exact", "second-order", "linear"]
ScanFile = Annotated[
    Path | None, typer.Option("--scan", help="TOML file with a \\[scan]; default: 701 points from −80″ to 2732″.")
]
ConventionOption = Annotated[
    Convention | None,
    typer.Option(help="Default: exact; second-order for inclined surfaces; 'linear' as earlier simulators."),
]
RtolOption = Annotated[float, typer.Option(help="Accuracy of log10 R of the continuum.")]
DeviceOption = Annotated[Literal["cpu", "cuda"], typer.Option(help="'cuda': the reflectivity on a graphics card.")]
SamplerOption = Annotated[
    Literal["grid", "adaptive", "sobol", "edge", "jeffreys", "errors"] | None,
    typer.Option(help="How rows are distributed over the space; default: grid."),
]
JitterOption = Annotated[
    bool, typer.Option("--jitter/--no-jitter", help="Draw anywhere within the grid cells, not only on the grid.")
]
EdgeOption = Annotated[
    str | None, typer.Option(help="For --sampler edge: favour the extremes of these, NAME,NAME; default: Rp2,L2.")
]
SpaceOption = Annotated[
    Path | None,
    typer.Option(help="TOML file with \\[ranges], \\[ties], \\[constraints]; default: built in."),
]
AroundOption = Annotated[
    Path | None, typer.Option(help="Only near this sample: JSON of NAME: value, or a result.json of `xrd predict`.")
]
WidthOption = Annotated[
    str | None, typer.Option(help="For --around: full width as a share of each range; default: 20%.")
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes that share the cores; default: this one, whose threads use them all.")
]
SchedulerOption = Annotated[
    str | None, typer.Option(help="Work on a running Dask cluster, tcp://HOST:8786; it sees the dataset, too.")
]
LayersOption = Annotated[
    float | None, typer.Option(help="Sublayers of this thickness in Å; default: the continuous profile.")
]
DamageOption = Annotated[
    bool, typer.Option("--damage", help="With static Debye–Waller damage: its parameters kappa and p, too.")
]
FormatOption = Annotated[Literal["png", "svg", "pdf"], typer.Option("--format", help="Format of the figures.")]
VerifyOption = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Compare what is read with the checksums of its blocks.")
]


@dataclass(frozen=True, kw_only=True)
class ReflectionOptions:
    """Which reflection of which crystal: a file, or a crystal by name with Miller indices."""

    panel: ClassVar[str] = "Crystal and reflection"
    reflection: Annotated[
        Path | None, typer.Option("--reflection", help="TOML file with a \\[reflection]; default: GGG 444, Cu Kα1.")
    ] = None
    crystal: Annotated[
        str | None, typer.Option(help="Built-in crystal (`xrd crystal --help` lists them) or CIF file; default: GGG.")
    ] = None
    hkl: Annotated[str | None, typer.Option(help="Miller indices: 004, or 10,0,0.")] = None
    wavelength: Annotated[
        str | None, typer.Option(help="CuKa1, MoKa1, …, a number of Å, or an energy: 8.048keV; default: 1.54056.")
    ] = None
    lattice: Annotated[
        str | None, typer.Option(help="Lattice constant in Å that you measured; a,c or a,b,c,α,β,γ of other cells.")
    ] = None
    surface: Annotated[
        str | None, typer.Option(help="Miller indices of the surface; needed where the planes are inclined to it.")
    ] = None
    geometry: Annotated[
        str | None, typer.Option(help="symmetric, grazing-incidence or grazing-exit: on which side the beam grazes.")
    ] = None
    miscut: Annotated[
        float | None, typer.Option(help="Angle in ° between the true surface and --surface, or the planes; default: 0.")
    ] = None
    azimuth: Annotated[
        float | None, typer.Option(help="Where the miscut leans, in °; 0: towards grazing incidence; default: 0.")
    ] = None

    def tables(self, count: int = 1) -> "list[Json] | None":
        """The tables of so many reflections; None where nothing is said of them.

        ``--hkl`` and ``--geometry`` hold one value, or one for each of several curves.
        """
        import numpy as np

        from xrdsim.errors import ParameterError
        from xrdsim.experiment.files import read_table
        from xrdsim.experiment.notation import indices_of, lattice_of, wavelength_of

        names = [each.name for each in fields(self) if each.name not in ("reflection", "despite_file")]
        named = {name: getattr(self, name) for name in names}
        given = {name: value for name, value in named.items() if value is not None}
        if self.reflection is not None:
            if given:
                raise ParameterError(
                    f"--reflection describes the whole reflection; leave --{', --'.join(given)} out, or the file"
                )
            return [read_table(self.reflection, "reflection")] * count
        if not given:
            return None
        if self.hkl is None:
            raise ParameterError("give Miller indices with --hkl, such as --hkl 004")
        table = {name: value for name, value in given.items() if name not in ("hkl", "geometry")}
        table = {"crystal": "GGG"} | table
        if self.wavelength is not None:
            table["wavelength"] = wavelength_of(self.wavelength)
        if self.lattice is not None:
            table["lattice"] = lattice_of(self.lattice)
        if self.surface is not None:
            table["surface"] = list(indices_of(self.surface))
        planes = [list(indices_of(each)) for each in separate(self.hkl, count, "hkl")]
        beams = [None] * count if self.geometry is None else separate(self.geometry, count, "geometry")
        alike = self.geometry is not None and count > 1 and "," not in self.geometry
        tables = []
        for plane, beam in zip(planes, beams, strict=True):
            parallel = not np.cross(plane, table.get("surface", plane)).any()
            chosen = {} if beam is None or (alike and parallel) else {"geometry": beam}
            tables.append({**table, "hkl": plane, **chosen})
        return tables

    def one(self) -> "Reflection | None":
        """The reflection, or None for the default."""
        found = self.several(1)
        return None if found is None else found[0]

    def several(self, count: int) -> "list[Reflection] | None":
        """The reflections of so many curves, or None for the default; what is to be said of them is said."""
        from xrdsim.commands.terminal import warn
        from xrdsim.errors import ParameterError
        from xrdsim.experiment.reflection import Reflection

        tables = self.tables(count)
        if tables is None:
            return None
        where = "options" if self.reflection is None else str(self.reflection)
        try:
            found = [Reflection.from_dict(table, where) for table in tables]
        except ParameterError as error:
            raise ParameterError(str(error).removeprefix("options: ")) from None
        for message in dict.fromkeys(each.warning for each in found if each.warning):
            warn(message)
        return found


@dataclass(frozen=True, kw_only=True)
class MeasuredReflection(ReflectionOptions):
    """The reflection of a curve whose file may state another one."""

    despite_file: Annotated[
        bool, typer.Option("--despite-file", help="Fit although the file states another crystal, wavelength or angle.")
    ] = False


def listed(text: str, option: str) -> list[str]:
    """The values of an option that may hold several; ``10,0,0`` are the indices of one reflection."""
    parts = [part.strip() for part in text.split(";" if ";" in text else ",")]
    if option == "hkl" and ";" not in text and not all(re.fullmatch("(-?[0-9]){3,}", part) for part in parts):
        return [text]
    return parts


def separate(text: str, count: int, option: str) -> list[str]:
    """One value for each of several curves, from ``444,888`` or ``10,0,0;8,8,0``; a single one is for all of them."""
    from xrdsim.errors import ParameterError

    parts = listed(text, option)
    if len(parts) == 1:
        return parts * count
    if len(parts) != count:
        curves, remedy = "one curve", "give one, or fit several curves of one sample with --joint"
        if count > 1:
            curves, remedy = f"{count} curves", "give one for each, or one for all"
        raise ParameterError(f"--{option} {text!r} has {len(parts)} values for {curves}; {remedy}")
    return parts


Panels = Mapping[str, Sequence[str]]
Command = Callable[..., None]


def command(interrupted: str = "", panels: Panels | None = None) -> Callable[[Command], Command]:
    """A function as a command: errors end in one line on stderr and exit code 1, Ctrl-C in 130 and what to do next.

    What is no ``XrdError`` is a fault of the program and shows where it happened.

    Parameters
    ----------
    interrupted : what to do after Ctrl-C.
    panels : names of options that the help shows together, under a title. A parameter that is a dataclass is such a
        group, too: it stands for its fields, under its ``panel``.
    """

    def wrap(function: Command) -> Command:
        parameters, groups = _flattened(function, panels or {})

        function.__doc__ = _unwrapped(function.__doc__ or "")

        @functools.wraps(function)
        def run(**given: Any) -> None:
            from xrdsim.commands import terminal
            from xrdsim.errors import XrdError

            for name, group in groups.items():
                given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
            try:
                function(**given)
            except XrdError as error:
                if terminal.VERBOSE:
                    terminal.warn(traceback.format_exc())
                terminal.complain(str(error))
                raise typer.Exit(1) from None
            except MemoryError as error:
                terminal.complain(f"the memory of this machine does not suffice: {error}; ask for less at once")
                raise typer.Exit(1) from None
            except KeyboardInterrupt as interrupt:
                terminal.warn(str(interrupt) or "interrupted" + (f": {interrupted}" if interrupted else ""))
                raise typer.Exit(130) from None

        del run.__wrapped__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return wrap


def _flattened(function: Command, panels: Panels) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    """The parameters of a function with its groups replaced by their fields, and the groups by name."""
    hints = get_type_hints(function, include_extras=True)
    panel_of = {name: panel for panel, names in panels.items() for name in names}
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints[name]
        if is_dataclass(hint):
            group: Any = hint
            groups[name], of_fields = group, get_type_hints(hint, include_extras=True)
            parameters += [_option(f.name, of_fields[f.name], f.default, group.panel) for f in fields(group)]
        else:
            parameters.append(_option(name, hint, parameter.default, panel_of.get(name)))
    return parameters, groups


def _unwrapped(text: str) -> str:
    """A docstring whose paragraphs are a line each, which the help wraps to the width of the terminal."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", each) for each in paragraphs)


def _option(name: str, annotation: object, default: object, panel: str | None) -> inspect.Parameter:
    kind, option = get_args(annotation)
    placed = option if panel is None else type(option)(**{**vars(option), "rich_help_panel": panel})
    annotation = Annotated[kind, placed]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def experiment_of(reflection: ReflectionOptions, scan: Path | None) -> dict[str, Any]:
    """Keyword arguments for the records that options replace."""
    from xrdsim.experiment.scan import Scan

    found: dict[str, Any] = {}
    if (chosen := reflection.one()) is not None:
        found["reflection"] = chosen
    if scan is not None:
        found["scan"] = Scan.from_toml(scan)
    return found


def cluster_of(scheduler: str | None) -> "AbstractContextManager[Client | None]":
    """A client of the running cluster that was asked for, or None."""
    from xrdsim.dataset.cluster import connect

    return nullcontext() if scheduler is None else connect(scheduler)


def space_of(path: Path | None, known: Path | None = None, width: str | None = None) -> "ParameterSpace | None":
    """The ranges that files describe, or None."""
    from xrdsim.profiles.files import around, parse_width, read_space

    belongs(width is not None, "--width", known is not None, "--around")
    space = None if path is None else read_space(path)
    return space if known is None else around(known, parse_width(width or "20%"), space)


def names_of(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",")]


def belongs(given: bool, option: str, chosen: bool, other: str) -> None:
    """Refuse an option without the one that it belongs to."""
    from xrdsim.errors import ParameterError

    if given and not chosen:
        raise ParameterError(f"{option} belongs to {other}; give both, or leave it out")


def outputs(*files: Path | None, figures: tuple[Path | None, ...] = (), folder: Path | None = None) -> None:
    """Find out before the work whether its results can be written."""
    from xrdsim.files import check_figure, check_outputs

    check_outputs(*files, folder=folder)
    for figure in figures:
        check_figure(figure)
