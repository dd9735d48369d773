"""Commands that invert measured curves: ``fit``, ``predict`` and ``refine``."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xrdml.commands.options import (
    File,
    Instrument,
    Output,
    Points,
    Search,
    Together,
    Unknown,
    UnknownAround,
    choices_of,
    sample_of,
)
from xrdml.commands.parsing import seconds_of
from xrdml.commands.shape import Shape
from xrdsim.commands.options import DamageOption, FormatOption, MeasuredReflection, belongs, command, outputs, space_of

if TYPE_CHECKING:
    from xrdml.inference.starts import NetworkStarts
    from xrdsim.fit.result import Fit
    from xrdsim.fit.series import Choices


@command()
def fit(
    curves: Annotated[list[Path], typer.Argument(help="Measured curves, of any format of diffractometers or text.")],
    *,
    file: File,
    points: Points,
    instrument: Instrument,
    reflection: MeasuredReflection,
    unknown: UnknownAround,
    shape: Shape,
    together: Together,
    search: Search,
    output: Output,
) -> None:
    """Find the strain profile of measured curves, how certain it is, and what the curve does not tell.

    No start is needed. In the table of several curves brackets hold the standard deviation of the last digits. Curves
    of one sample, in different reflections, are fitted together with --joint, or listed in a TOML file.

    Examples:

        xrd fit curve.xy

        xrd fit curve.xy --damage --profile spline

        xrd fit curve.xy --profile spline --free-damage

        xrd fit scan.xrdml --damage --html -o result/

        xrd fit dose/*.xy --damage --per-count 1.5e-6 --jobs 2 -o dose-result/

        xrd fit si.xrdml --crystal Si --hkl 004

        xrd fit 444.xy 888.xy --joint --hkl 444,888,880 --surface 111 --geometry grazing-incidence --damage
        --predict-only 880.xy

        xrd fit sample.toml
    """
    unknown = replace(unknown, damage=unknown.damage or shape.free_damage)
    listed = any(curve.suffix.lower() == ".toml" for curve in curves)
    if listed or together.asked:
        _fit_together(curves, (file, points, instrument, reflection), unknown, shape, together, search, output)
        return
    belongs(together.damage_exponent is not None, "--damage-exponent", False, "--joint")
    fitting = {
        "budget": seconds_of(search.budget),
        "effort": search.effort,
        "seed": search.seed,
        "chains": output.chains,
        "likelihood": tuple(output.likelihood or ()),
        **shape.chosen(),
    }
    choices = choices_of(file, points, instrument, reflection, unknown, fitting)
    _fit(curves, choices, output, search.model, search.jobs)


@command()
def refine(
    curve: Annotated[Path, typer.Argument(help="Measured curve, of any format of diffractometers or text.")],
    start: Annotated[Path, typer.Option(help="JSON of NAME: value, or a result.json of `xrd predict` or `xrd fit`.")],
    method: Annotated[
        Literal["lm", "slsqp", "trf"],
        typer.Option(help="Levenberg–Marquardt; SciPy's SLSQP of mean squared log10; SciPy's least squares."),
    ] = "lm",
    max_iter: Annotated[int, typer.Option(help="Largest number of evaluations of the model.")] = 60,
    *,
    file: File,
    points: Points,
    instrument: Instrument,
    reflection: MeasuredReflection,
    unknown: Unknown,
    output: Output,
) -> None:
    """Refine known parameters on a measured curve: the last step of `xrd fit` alone.

    Of a result.json of `xrd fit` its settings are taken over, too, unless an option says otherwise.

    Examples:

        xrd refine curve.xy --start params.json

        xrd refine curve.xy --start result/result.json --damage --method slsqp
    """
    fitting = {
        "only_refine": True,
        "method": method,
        "max_iter": max_iter,
        "chains": output.chains,
        "likelihood": tuple(output.likelihood or ()),
    }
    choices = choices_of(file, points, instrument, reflection, unknown, fitting, start)
    _fit([curve], choices, output, "none", 1)


@command()
def predict(
    curve: Annotated[Path, typer.Argument(help="Measured curve, of any format of diffractometers or text.")],
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model; default: the pretrained one.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("result"),
    refine: Annotated[bool, typer.Option("--refine", help="Refine the estimate on the curve.")] = False,
    damage: DamageOption = False,
    html: Annotated[bool, typer.Option("--html", help="Also write a page that shows everything.")] = False,
    figures: FormatOption = "png",
    *,
    file: File,
    reflection: MeasuredReflection,
) -> None:
    """Estimate the strain profile of a measured curve by a trained network, in seconds.

    The network that comes with the program knows GGG 444 at Cu Kα1. Of other reflections use `xrd fit`, which searches.

    Examples:

        xrd predict curve.txt --refine --damage -o result/

        xrd predict curve.txt --model runs/weighted

        xrd predict scan.xy --model runs/weighted --axis omega --unit deg
    """
    from xrdml.inference.prediction import predict as run

    outputs(folder=output)
    chosen = reflection.one()
    fitted = run(
        curve,
        model,
        refine=refine,
        damage=damage,
        reflection=chosen,
        despite=reflection.despite_file,
        **file.reading(),
    )
    _show(fitted, output, html, figures)


def _show(fitted: "Fit", folder: Path, html: bool, figures: str) -> None:
    """Write all that a fit says, then print it."""
    from xrdsim.commands.terminal import say, show_table
    from xrdsim.fit.report.page import likelihood_rows, table, write
    from xrdsim.fit.report.tables import taken_for

    files = write(fitted, folder, with_page=html, figures=figures)
    for line in taken_for(fitted):
        say(line)
    show_table(*table(fitted))
    if fitted.likelihoods:
        show_table(*likelihood_rows(fitted))
    _tell(fitted, files)


def _tell(fitted: "Fit", files: list[Path]) -> None:
    from xrdsim.commands.terminal import say
    from xrdsim.fit.report.tables import compared

    kept = [each for each in fitted.curves if each.fitted]
    ends = ", ".join(f"{each.misfit_from:.4g}" for each in kept)
    misfit = f"Misfit: mean |log10(measured/model)| = {fitted.mean_abs_log10:.4f} from {ends}″ on."
    source = ", ".join(each.source for each in kept)
    say(f"{source}: {fitted.verdict}. {fitted.reason} {misfit}")
    for line in compared(fitted):
        say(line)
    say(f"→ {', '.join(map(str, files))}")


def _fit_together(
    curves: list[Path],
    measured: tuple[File, Points, Instrument, MeasuredReflection],
    unknown: UnknownAround,
    shape: Shape,
    together: Together,
    search: Search,
    wanted: Output,
) -> None:
    """Fit the curves of one sample, print and write what they say."""
    from xrdsim.commands.terminal import searching, show_table
    from xrdsim.errors import ParameterError
    from xrdsim.fit.report.tables import curve_rows
    from xrdsim.fit.result import Verdict
    from xrdsim.fit.series import fit_sample

    outputs(folder=wanted.output)
    begun = time.perf_counter()
    if len(curves) > 1 and any(curve.suffix.lower() == ".toml" for curve in curves):
        raise ParameterError("a TOML file lists all curves of a sample; give it alone")
    sample = sample_of(curves, *measured, unknown, together)
    space = space_of(unknown.space, unknown.around, unknown.width)
    starts = _starts_of(search.model)
    with searching() as progress:
        fitted = fit_sample(
            sample,
            space,
            priors=unknown.priors(),
            starts=starts,
            begun=begun,
            progress=progress,
            budget=seconds_of(search.budget),
            effort=search.effort,
            seed=search.seed,
            chains=wanted.chains,
            likelihood=tuple(wanted.likelihood or ()),
            **shape.chosen(),
        )
    _show(fitted, wanted.output, wanted.html, wanted.figures)
    if len(fitted.curves) > 1:
        show_table(*curve_rows(fitted))
    if wanted.strict and fitted.verdict != Verdict.SOLVED:
        raise typer.Exit(2)


def _fit(curves: list[Path], choices: "Choices", wanted: Output, model: str | None, jobs: int) -> None:
    """Fit, print and write; one curve into the folder, several into folders of their names."""
    from xrdsim.commands.terminal import complain, say, searching, show_table
    from xrdsim.errors import ParameterError, XrdError
    from xrdsim.fit.report.page import series_figure, series_rows, write, write_series
    from xrdsim.fit.report.tables import taken_for
    from xrdsim.fit.result import Verdict
    from xrdsim.fit.series import fit_file, fit_files

    output = wanted.output
    outputs(folder=output)
    _check_jobs(jobs)
    begun = time.perf_counter()  # loading the network is part of the budget
    starts = _starts_of(model)
    if len(curves) == 1:
        with searching() as progress:
            fitted = fit_file(curves[0], choices, starts=starts, begun=begun, progress=progress)
        _show(fitted, output, wanted.html, wanted.figures)
        if wanted.strict and fitted.verdict != Verdict.SOLVED:
            raise typer.Exit(2)
        return
    if len({curve.stem for curve in curves}) < len(curves):
        raise ParameterError("two of the files have the same name; give them different ones")
    done: dict[Path, Fit] = {}
    failed = 0
    for path, result in fit_files(curves, choices, jobs, starts):
        if isinstance(result, XrdError):
            complain(str(result))
            failed += 1
        else:
            done[path] = result
            for line in taken_for(result, named=True):
                say(line)
            _tell(result, write(result, output / path.stem, wanted.html, wanted.figures))
    if done:
        fits = [done[path] for path in curves if path in done]
        show_table(*series_rows(fits))
        drawn = series_figure(fits, output / f"series.{wanted.figures}")
        say(f"→ {write_series(fits, output / 'series.csv')}, {drawn}")
    if failed:
        raise typer.Exit(1)
    if wanted.strict and any(fitted.verdict != Verdict.SOLVED for fitted in done.values()):
        raise typer.Exit(2)


def _starts_of(model: str | None) -> "NetworkStarts | None":
    """What proposes starts; None where no network is wanted."""
    if model == "none":
        return None
    from xrdml.inference.starts import NetworkStarts

    return NetworkStarts(model)


def _check_jobs(jobs: int) -> None:
    from xrdsim.errors import ParameterError

    most = 4 * (os.cpu_count() or 1)
    if not 1 <= jobs <= most:
        raise ParameterError(f"jobs = {jobs} must lie within 1 … {most}, four for each processor")
