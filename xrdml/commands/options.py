"""Options of the commands that invert a measured curve, in groups, and the choices that follow from them."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from xrdml.commands.parsing import background_of, columns_of, limits_of, prior_of, shape_of
from xrdsim.commands.options import (
    AroundOption,
    ConventionOption,
    DamageOption,
    FormatOption,
    MeasuredReflection,
    SpaceOption,
    WidthOption,
    space_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xrdsim.fit.judgement.stated import Claim
    from xrdsim.fit.sample import Sample
    from xrdsim.fit.series import Choices
    from xrdsim.limits import Json

_FIXED = "one value fixes it"


@dataclass(frozen=True, kw_only=True)
class File:
    """How the file is read."""

    panel: ClassVar[str] = "File"
    per_count: Annotated[
        float | None,
        typer.Option(
            help="Intensity of one count; default: what the file says, else found in the intensities or their scatter."
        ),
    ] = None
    offset: Annotated[
        float | None, typer.Option(help="Counts that were added: intensity = per count·(N + offset); default: 0.")
    ] = None
    number: Annotated[int | None, typer.Option(help="Which scan of a file with several, from 1.")] = None
    columns: Annotated[
        str | None,
        typer.Option(help="Columns of text, from 1: 1,3 or the intensity alone.", metavar="ANGLE,INTENSITY"),
    ] = None
    step: Annotated[
        float | None, typer.Option(help="Angle between points of a one-column file in arcsec; default: of its header.")
    ] = None
    axis: Annotated[
        Literal["relative", "omega", "2theta", "relative-reversed"] | None,
        typer.Option(
            help="What the angle column is; default: found. Strained layers are at lower ω and 2θ, and at positive "
            "relative angles; relative-reversed has them at negative ones, as ω - ω_B.",
        ),
    ] = None
    unit: Annotated[
        Literal["arcsec", "deg", "arcmin", "mdeg", "rad", "mrad", "urad"] | None,
        typer.Option(help="Unit of the angle column; default: found."),
    ] = None
    peak: Annotated[
        str | None,
        typer.Option(
            help="Row of the substrate peak, from 0, or its angle on the axis of the file with a unit, also outside "
            "the scan; default: found.",
            metavar="12|25.47deg",
        ),
    ] = None
    drop_negative: Annotated[
        bool, typer.Option("--drop-negative", help="Leave out negative intensities, which raises a weak tail.")
    ] = False

    def reading(self) -> dict[str, Any]:
        """Arguments of ``read_curve``, without those that were not given."""
        given = {name: getattr(self, name) for name in ("step", "axis", "unit", "peak", "per_count", "offset")}
        found = {name: value for name, value in given.items() if value is not None}
        if self.columns is not None:
            found["columns"] = columns_of(self.columns)
        return found | {"number": self.number, "drop_negative": self.drop_negative}


@dataclass(frozen=True, kw_only=True)
class Points:
    """Which points are fitted."""

    panel: ClassVar[str] = "Points"
    mask: Annotated[
        float | None,
        typer.Option(help="Leave out angles closer to the substrate peak, in arcsec; default: the whole curve."),
    ] = None
    both_sides: Annotated[
        bool | None,
        typer.Option("--both-sides/--expanded-side", help="Both sides of the substrate peak, or the layer's alone."),
    ] = None
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out these angles in arcsec (repeatable).", metavar="LOW:HIGH")
    ] = None

    def chosen(self) -> dict[str, Any]:
        """Arguments of ``measurement_of``, None where nothing was given."""
        excluded = tuple(limits_of("exclude", text) for text in self.exclude) if self.exclude else None
        return {"mask": self.mask, "both_sides": self.both_sides, "exclude": excluded}


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """What the curve was measured with, and how it is described."""

    panel: ClassVar[str] = "Instrument"
    instrument: Annotated[
        str | None,
        typer.Option(
            help="gaussian, voigt, pedestal, pseudo-voigt, split-pseudo-voigt, monochromator (of the sample's own "
            "reflection), or a file of angle and weight; default: auto, as the curve says."
        ),
    ] = None
    fwhm: Annotated[
        str | None,
        typer.Option(help=f"Its width in arcsec, LOW:HIGH; {_FIXED}; default: 20:120 of GGG 444, else by reflection."),
    ] = None
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Limits of its further parameters, as lorentz=0:10 (repeatable).", metavar="NAME=LOW:HIGH"),
    ] = None
    tolerance: Annotated[
        float | None,
        typer.Option(help="What the model itself may be wrong by, in parts of the intensity; default: up to 0.02."),
    ] = None
    zero: Annotated[
        str | None,
        typer.Option(help=f"Angle of the substrate peak in arcsec, LOW:HIGH; {_FIXED}; default: -20:20."),
    ] = None
    scale: Annotated[float | None, typer.Option(help="Fix the scale: intensity at reflectivity 1.")] = None
    background: Annotated[
        str | None,
        typer.Option(
            help="constant, linear in the angle, or a value to fix, in the unit of the intensity; default: constant, "
            "or linear where the curve shows that.",
            metavar="constant|linear|VALUE",
        ),
    ] = None
    kalpha2: Annotated[
        bool, typer.Option("--kalpha2", help="Kα2 is in the beam, half as strong as Kα1; default: Kα1 alone.")
    ] = False
    convention: ConventionOption = None

    def limits(self) -> dict[str, Any]:
        """Limits and values of the measurement's unknowns, None where nothing was given."""
        from xrdsim.observation.shapes import KALPHA2_RATIO

        return {
            "fwhm": None if self.fwhm is None else limits_of("fwhm", self.fwhm),
            "zero": None if self.zero is None else limits_of("zero", self.zero),
            "scale": self.scale,
            "background": None if self.background is None else background_of(self.background),
            "instrument": self.instrument,
            "limits": dict(shape_of(text) for text in self.shape) if self.shape else None,
            "tolerance": self.tolerance,
            "kalpha2": KALPHA2_RATIO if self.kalpha2 else None,
        }


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """What of the profile is unknown, within which limits."""

    panel: ClassVar[str] = "Unknowns"
    damage: DamageOption = False
    defects: Annotated[
        str | None,
        typer.Option(
            help="Also dislocation loops, their densities and radii: layer, layer+substrate, or a TOML file with "
            "\\[defects] to begin with; default: none.",
            metavar="layer|layer+substrate|FILE",
        ),
    ] = None
    space: SpaceOption = None
    prior: Annotated[
        list[str] | None,
        typer.Option(help="Gaussian prior of a parameter, of zero or of fwhm (repeatable).", metavar="NAME=MEAN:STD"),
    ] = None

    def priors(self) -> dict[str, tuple[float, float]] | None:
        """By name, None where there are none."""
        return dict(prior_of(text) for text in self.prior) if self.prior else None


@dataclass(frozen=True, kw_only=True)
class UnknownAround(Unknown):
    """The same, with the neighbourhood of a sample."""

    around: AroundOption = None
    width: WidthOption = None


@dataclass(frozen=True, kw_only=True)
class Together:
    """Several curves of one sample."""

    panel: ClassVar[str] = "Several curves of one sample"
    joint: Annotated[
        bool, typer.Option("--joint", help="The curves are of one sample; --hkl 444,888 and --geometry one for each.")
    ] = False
    damage_exponent: Annotated[
        str | None,
        typer.Option(help="q of the damage, E = E_ref^((H/H_ref)^q) of order H; LOW:HIGH to fit it; default: 1.5."),
    ] = None
    predict_only: Annotated[
        list[Path] | None,
        typer.Option(help="Do not fit this curve, but compare it with what the others say (repeatable)."),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether curves are fitted together."""
        return self.joint or bool(self.predict_only)


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a start is searched for, and how long."""

    panel: ClassVar[str] = "Search"
    model: Annotated[
        str | None, typer.Option(help="Trained network that proposes starts, or 'none'; default: the pretrained one.")
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            help="Time after which a fit is cut off, as 90s or 5min; default: 3min a curve, times the effort above 1."
        ),
    ] = None
    effort: Annotated[float, typer.Option(help="Work of the search relative to the usual one.")] = 1.0
    jobs: Annotated[int, typer.Option(help="Curves at once; the cores are shared among them.")] = 1
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is written."""

    panel: ClassVar[str] = "Output"
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("result")
    chains: Annotated[bool, typer.Option("--chains", help="Intervals by Markov chains: slower, not Gaussian.")] = False
    likelihood: Annotated[
        list[str] | None,
        typer.Option(help="Also the profile likelihood of this parameter, zero or fwhm (repeatable)."),
    ] = None
    html: Annotated[bool, typer.Option("--html", help="Also write a page that shows everything.")] = False
    figures: FormatOption = "png"
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 2 unless every curve is solved.")] = False


def choices_of(
    file: File,
    points: Points,
    instrument: Instrument,
    reflection: MeasuredReflection,
    unknown: Unknown,
    fitting: dict[str, Any],
    start: Path | None = None,
) -> "Choices":
    """Choices of a fit: options, else what the result says from which is begun, else the defaults."""
    from xrdsim.commands.terminal import say
    from xrdsim.errors import ParameterError
    from xrdsim.fit.preparation import WHOLE
    from xrdsim.fit.problem import Unknowns
    from xrdsim.fit.series import Choices
    from xrdsim.fit.settings import settings_of
    from xrdsim.fit.unknowns import adapted
    from xrdsim.profiles.files import read_sample
    from xrdsim.profiles.space import ParameterSpace

    reading = file.reading()
    around = (unknown.around, unknown.width) if isinstance(unknown, UnknownAround) else ()
    given = {
        "space": space_of(unknown.space, *around),
        **instrument.limits(),
        "priors": unknown.priors(),
        "defects": unknown.defects,
        **points.chosen(),
        "convention": instrument.convention,
        "per_count": reading.pop("per_count", None),
        "offset": reading.pop("offset", None),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    earlier = {} if start is None else settings_of(start)
    taken = {name: value for name, value in earlier.items() if name not in chosen and value is not None}
    if taken:
        say(f"settings taken over from {start}: {', '.join(taken)}")
    chosen = taken | chosen
    reading |= {"per_count": chosen.pop("per_count", None), "offset": chosen.pop("offset", 0.0)}
    described = {"convention": chosen.pop("convention")} if "convention" in chosen else {}
    earlier_one = chosen.pop("reflection", None)
    tables = reflection.tables() or (None if earlier_one is None else [earlier_one.to_dict()])
    claim = claim_of(reflection, None if tables is None else tables[0], described)
    ranges = chosen.pop("space", None) or ParameterSpace()
    chosen = WHOLE | chosen
    names = ("fwhm", "zero", "scale", "background", "priors", "instrument", "limits", "defects")
    chosen["unknowns"] = unknowns = Unknowns(
        space=ranges.with_damage() if unknown.damage else ranges,
        **{name: chosen.pop(name) for name in names if name in chosen},
    )
    starts = None
    if start is not None:
        try:
            starts = adapted(unknowns.space.check(read_sample(start)), unknowns.space)
        except ParameterError as error:
            raise ParameterError(str(error) if str(start) in str(error) else f"{start}: {error}") from None
    return Choices(reading=reading, posing=chosen, starts=starts, fitting=fitting, claim=claim)


def sample_of(
    curves: list[Path],
    file: File,
    points: Points,
    instrument: Instrument,
    reflection: MeasuredReflection,
    unknown: Unknown,
    together: Together,
) -> "Sample":
    """The sample whose curves are given, or listed in one TOML file."""
    from xrdsim.errors import ParameterError
    from xrdsim.experiment.setup import DAMAGE_EXPONENT
    from xrdsim.fit.preparation import WHOLE
    from xrdsim.fit.sample import Entry, Sample, read_sample_toml
    from xrdsim.fit.unknowns import UnknownDefects

    apart = together.predict_only or []
    loops = None if unknown.defects is None else UnknownDefects.of(unknown.defects)
    exponent: float | tuple[float, float] = DAMAGE_EXPONENT
    if together.damage_exponent is not None:
        ends = limits_of("damage-exponent", together.damage_exponent)
        exponent = ends if ends[0] < ends[1] else ends[0]
    if len(curves) == 1 and curves[0].suffix.lower() == ".toml":
        groups = (file, points, instrument, reflection)
        own = [each.name for group in groups for each in fields(group) if getattr(group, each.name) != each.default]
        if own:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in own)
            raise ParameterError(f"{curves[0]} describes its curves; write there what {options} says")
        made = read_sample_toml(curves[0])
        files = [Path(each.curve.source).resolve() for each in made.entries]
        for path in apart:
            if path.resolve() not in files:
                raise ParameterError(f"--predict-only {path}: {curves[0]} lists no such curve; add it with fit = false")
        aside = {path.resolve() for path in apart}
        kept = tuple(
            replace(each, fitted=each.fitted and path not in aside)
            for each, path in zip(made.entries, files, strict=True)
        )
        changed: dict[str, Any] = {} if together.damage_exponent is None else {"damage_exponent": exponent}
        changed |= {} if loops is None else {"defects": loops}
        return replace(made, entries=kept, damage=made.damage or unknown.damage, **changed)
    paths = [*curves, *(path for path in apart if path not in curves)]
    tables: Sequence[Json | None] = reflection.tables(len(paths)) or [None] * len(paths)
    described: dict[str, Any] = {} if instrument.convention is None else {"convention": instrument.convention}
    given = instrument.limits() | points.chosen()
    preparing = WHOLE | {name: value for name, value in given.items() if value is not None}
    if "fwhm" in preparing:
        preparing["limits"] = preparing.get("limits", {}) | {"fwhm": preparing.pop("fwhm")}
    entries = []
    for path, table in zip(paths, tables, strict=True):
        curve, experiment = claim_of(reflection, table, described).read(path, **file.reading())
        entries.append(Entry(curve=curve, experiment=experiment, preparing=preparing, fitted=path not in apart))
    return Sample(entries=tuple(entries), damage=unknown.damage, damage_exponent=exponent, defects=loops)


def claim_of(reflection: MeasuredReflection, table: "Json | None", described: dict[str, Any]) -> "Claim":
    """What options claim of a curve, its table being one of theirs; what is to be said of the reflection is said."""
    from xrdsim.commands.terminal import warn
    from xrdsim.fit.judgement.stated import Claim

    where = "" if reflection.reflection is None else str(reflection.reflection)
    claim = Claim(table=table, where=where, described=described, despite=reflection.despite_file)
    if claim.reflection.warning:
        warn(claim.reflection.warning)
    return claim
