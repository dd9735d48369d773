"""Options of the commands that invert a measured curve, in groups, and the choices that follow from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from xrdsim.commands.options import (
    AroundOption,
    Convention,
    DamageOption,
    ReflectionFile,
    SpaceOption,
    WidthOption,
    experiment_of,
    space_of,
)

if TYPE_CHECKING:
    from xrdsim.fit.series import Choices

_FIXED = "one value fixes it"


@dataclass(frozen=True, kw_only=True)
class File:
    """How the file is read."""

    panel: ClassVar[str] = "File"
    per_count: Annotated[
        float | None, typer.Option(help="Intensity of one count; default: what the file says, else log10 is compared.")
    ] = None
    offset: Annotated[
        float | None, typer.Option(help="Counts that were added: intensity = per count·(N + offset); default: 0.")
    ] = None
    number: Annotated[int | None, typer.Option(help="Which scan of a file with several, from 1.")] = None
    step: Annotated[float | None, typer.Option(help="Angle between points of a one-column file in arcsec.")] = None
    axis: Annotated[
        Literal["relative", "omega", "2theta"] | None, typer.Option(help="What the angle column is; default: found.")
    ] = None
    unit: Annotated[Literal["arcsec", "deg"] | None, typer.Option(help="Unit of the angle column; default: found.")] = (
        None
    )
    peak: Annotated[int | None, typer.Option(help="Row of the substrate peak, from 0; default: found.")] = None
    drop_negative: Annotated[bool, typer.Option("--drop-negative", help="Leave out negative intensities.")] = False

    def reading(self) -> dict[str, Any]:
        """Arguments of ``read_curve``, without those that were not given."""
        given = {name: getattr(self, name) for name in ("step", "axis", "unit", "peak", "per_count", "offset")}
        found = {name: value for name, value in given.items() if value is not None}
        return found | {"number": self.number, "drop_negative": self.drop_negative}


@dataclass(frozen=True, kw_only=True)
class Points:
    """Which points are fitted."""

    panel: ClassVar[str] = "Points"
    mask: Annotated[
        float | None,
        typer.Option(help="Leave out angles closer to the substrate peak, in arcsec; default: 48 of GGG 444."),
    ] = None
    both_sides: Annotated[bool, typer.Option("--both-sides", help="Use the compressed side of the peak, too.")] = False
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out these angles in arcsec (repeatable).", metavar="LOW:HIGH")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """What the curve was measured with and on."""

    panel: ClassVar[str] = "Instrument and reflection"
    fwhm: Annotated[
        str | None,
        typer.Option(help=f"Instrument in arcsec, LOW:HIGH; {_FIXED}; default: 20:120 of GGG 444, else by reflection."),
    ] = None
    zero: Annotated[
        str | None,
        typer.Option(help=f"Angle of the substrate peak in arcsec, LOW:HIGH; {_FIXED}; default: -20:20, scaled."),
    ] = None
    scale: Annotated[float | None, typer.Option(help="Fix the scale: intensity at reflectivity 1.")] = None
    background: Annotated[float | None, typer.Option(help="Fix the background, in the unit of the intensity.")] = None
    reflection: ReflectionFile = None
    convention: Annotated[
        Convention | None,
        typer.Option(help="'linear' repeats the approximations of earlier simulators; default: exact."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """What of the profile is unknown, within which limits."""

    panel: ClassVar[str] = "Unknowns"
    damage: DamageOption = False
    space: SpaceOption = None
    prior: Annotated[
        list[str] | None,
        typer.Option(help="Gaussian prior of a parameter, of zero or of fwhm (repeatable).", metavar="NAME=MEAN:STD"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class UnknownAround(Unknown):
    """The same, with the neighbourhood of a sample."""

    around: AroundOption = None
    width: WidthOption = None


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a start is searched for, and how long."""

    panel: ClassVar[str] = "Search"
    model: Annotated[
        str | None, typer.Option(help="Trained network that proposes starts, or 'none'; default: the pretrained one.")
    ] = None
    budget: Annotated[str, typer.Option(help="Time after which the fit of a curve is cut off.")] = "30s"
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
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 2 unless every curve is solved.")] = False


def choices_of(
    file: File,
    points: Points,
    instrument: Instrument,
    unknown: Unknown,
    fitting: dict[str, Any],
    start: Path | None = None,
) -> "Choices":
    """Choices of a fit: options, else what the result says from which is begun, else the defaults."""
    from xrdsim.commands.terminal import say
    from xrdsim.errors import ParameterError
    from xrdsim.experiment.setup import Experiment
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
        "fwhm": None if instrument.fwhm is None else limits_of("fwhm", instrument.fwhm),
        "zero": None if instrument.zero is None else limits_of("zero", instrument.zero),
        "scale": instrument.scale,
        "background": instrument.background,
        "priors": dict(prior_of(text) for text in unknown.prior) if unknown.prior else None,
        "mask": points.mask,
        "both_sides": points.both_sides or None,
        "exclude": tuple(limits_of("exclude", text) for text in points.exclude) if points.exclude else None,
        "convention": instrument.convention,
        "per_count": reading.pop("per_count", None),
        "offset": reading.pop("offset", None),
        **experiment_of(instrument.reflection, None),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    earlier = {} if start is None else settings_of(start)
    taken = {name: value for name, value in earlier.items() if name not in chosen and value is not None}
    if taken:
        say(f"settings taken over from {start}: {', '.join(taken)}")
    chosen = taken | chosen
    reading |= {"per_count": chosen.pop("per_count", None), "offset": chosen.pop("offset", 0.0)}
    chosen["experiment"] = Experiment(
        **{name: chosen.pop(name) for name in ("reflection", "convention") if name in chosen}
    )
    ranges = chosen.pop("space", None) or ParameterSpace()
    names = ("fwhm", "zero", "scale", "background", "priors")
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
    return Choices(reading=reading, posing=chosen, starts=starts, fitting=fitting)


def limits_of(name: str, text: str) -> tuple[float, float]:
    """LOW:HIGH, or one value for both."""
    from xrdsim.errors import ParameterError

    low, _, high = text.partition(":")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise ParameterError(f"--{name} {text!r} must be LOW:HIGH or one number") from None


def prior_of(text: str) -> tuple[str, tuple[float, float]]:
    """NAME=MEAN:STD."""
    from xrdsim.errors import ParameterError

    name, _, numbers = text.partition("=")
    mean, _, std = numbers.partition(":")
    try:
        return name.strip(), (float(mean), float(std))
    except ValueError:
        raise ParameterError(f"--prior {text!r} must be NAME=MEAN:STD") from None


def seconds_of(text: str) -> float:
    """``10s``, ``2min`` or a number of seconds."""
    from xrdsim.errors import ParameterError

    number, unit = text.strip().rstrip("smin "), text.strip().lstrip("0123456789. ")
    try:
        return float(number) * {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0}[unit]
    except (ValueError, KeyError):
        raise ParameterError(f"--budget {text!r} must be a time such as 10s or 2min") from None
