"""The command line `xrd`: parse, call one function, print. Heavy modules load when a command runs."""

import functools
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(
    name="xrd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Strain profiles of ion-implanted crystals from X-ray rocking curves: simulate, make training sets, train, "
    "predict.",
    epilog="The way from nothing to a strain profile: xrd gen --adaptive -n 20000 · xrd sensitivity · "
    "xrd train --weights sensitivity.npy · xrd predict CURVE --model runs/weighted",
)

Convention = Literal["exact", "linear"]
ReflectionFile = Annotated[
    Path | None, typer.Option("--reflection", help="TOML file with a \\[reflection]; default: GGG 444, Cu Kα1.")
]
ScanFile = Annotated[
    Path | None, typer.Option("--scan", help="TOML file with a \\[scan]; default: 701 points from −80″ to 2732″.")
]
ConventionOption = Annotated[
    Convention, typer.Option(help="'linear' repeats the approximations of earlier simulators.")
]
FitConvention = Annotated[
    Convention | None, typer.Option(help="'linear' repeats the approximations of earlier simulators; default: exact.")
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
    Path | None, typer.Option(help="TOML file with \\[ranges], \\[ties], \\[constraints]; default: docs/physics.md.")
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
FitCurves = Annotated[list[Path], typer.Argument(help="Measured curves: docs/files.md says which files.")]
FitOutput = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
DamageOption = Annotated[
    bool, typer.Option("--damage", help="With static Debye–Waller damage: its parameters kappa and p, too.")
]
PerCountOption = Annotated[
    float | None, typer.Option(help="Intensity of one count; default: what the file says, else log10 is compared.")
]
OffsetOption = Annotated[
    float | None, typer.Option(help="Counts that were added: intensity = per count·(N + offset); default: 0.")
]
RangeText = "one value fixes it"
FwhmOption = Annotated[str | None, typer.Option(help=f"Instrument in arcsec, LOW:HIGH; {RangeText}; default: 20:120.")]
ZeroOption = Annotated[
    str | None, typer.Option(help=f"Angle of the substrate peak in arcsec, LOW:HIGH; {RangeText}; default: -20:20.")
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option("--prior", help="Gaussian prior of a parameter, of zero or of fwhm.", metavar="NAME=MEAN:STD"),
]
MaskOption = Annotated[
    float | None, typer.Option(help="Leave out angles closer to the substrate peak, in arcsec; default: 48.")
]
BothSidesOption = Annotated[bool, typer.Option("--both-sides", help="Use the compressed side of the peak, too.")]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", help="Leave out these angles in arcsec.", metavar="LOW:HIGH")
]
NumberOption = Annotated[int | None, typer.Option("--number", help="Which scan of a file with several, from 1.")]
HtmlOption = Annotated[bool, typer.Option("--html", help="Also write a page that shows everything.")]
ChainsOption = Annotated[bool, typer.Option("--chains", help="Intervals by Markov chains: slower, not Gaussian.")]
LikelihoodOption = Annotated[
    list[str] | None, typer.Option(help="Also the profile likelihood of this parameter, zero or fwhm (repeatable).")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit code 2 unless every curve is solved.")]
AxisOption = Annotated[
    Literal["relative", "omega", "2theta"] | None, typer.Option(help="What the angle column is; default: found.")
]
UnitOption = Annotated[Literal["arcsec", "deg"] | None, typer.Option(help="Unit of the angle column; default: found.")]
StepOption = Annotated[float | None, typer.Option(help="Angle between points of a one-column file in arcsec.")]
PeakOption = Annotated[int | None, typer.Option(help="Row of the substrate peak, from 0; default: found.")]
DropOption = Annotated[bool, typer.Option("--drop-negative", help="Leave out negative intensities.")]
VerifyOption = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Compare what is read with the checksums of its blocks.")
]
ScaleOption = Annotated[float | None, typer.Option(help="Fix the scale: intensity at reflectivity 1.")]
BackgroundOption = Annotated[float | None, typer.Option(help="Fix the background, in the unit of the intensity.")]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"xrd {version('xrdsim')}")
        raise typer.Exit


@app.callback()
def _everywhere(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def _command(interrupted: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Errors end in one line on stderr and exit code 1; Ctrl-C in 130 and what to do next.

    What is no ``XrdError`` is a fault of the program and shows where it happened.
    """

    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            from xrdsim.commands import terminal
            from xrdsim.errors import XrdError

            try:
                function(*args, **kwargs)
            except XrdError as error:
                terminal.complain(str(error))
                raise typer.Exit(1) from None
            except MemoryError as error:
                terminal.complain(f"the memory of this machine does not suffice: {error}; ask for less at once")
                raise typer.Exit(1) from None
            except KeyboardInterrupt as interrupt:
                terminal.warn(str(interrupt) or "interrupted" + (f": {interrupted}" if interrupted else ""))
                raise typer.Exit(130) from None

        return run

    return wrap


@app.command()
@_command()
def simulate(
    param: Annotated[
        list[str] | None, typer.Option("--param", help="NAME=VALUE, once for each parameter.", metavar="NAME=VALUE")
    ] = None,
    params: Annotated[Path | None, typer.Option(help="CSV file with the names as header, a sample a row.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the curves (.npz).")] = Path(
        "curves.npz"
    ),
    plot: Annotated[Path | None, typer.Option(help="Also draw curves and profiles (.png, .svg, .pdf).")] = None,
    convention: ConventionOption = "exact",
    layers: LayersOption = None,
    rtol_dex: RtolOption = 1e-4,
    fwhm: Annotated[float, typer.Option(help="Instrument FWHM in arcsec; 0 for none.")] = 30.0,
    scale: Annotated[float, typer.Option(help="Factor on the reflectivity.")] = 1.0,
    background: Annotated[float, typer.Option(help="Added to the intensity.")] = 0.0,
    zero: Annotated[float, typer.Option(help="Angle of the substrate peak in arcsec.")] = 0.0,
    counts: Annotated[float | None, typer.Option(help="Add the noise of so many counts at R = 1.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random noise.", min=0)] = 0,
    text: Annotated[Path | None, typer.Option(help="Also write the one curve as text, angle and intensity.")] = None,
    monochromator: Annotated[float | None, typer.Option(help="Weight of π against σ polarisation.")] = None,
    reflection: ReflectionFile = None,
    scan: ScanFile = None,
    device: DeviceOption = "cpu",
) -> None:
    """Simulate rocking curves of given parameters.

    Examples:

        xrd simulate --param Dmax1=0.0081 --param D01=0.0009 --param L1=5200 --param Rp1=3500 --param D02=0.0026
        --param L2=3000 --param Rp2=-50 -o curve.npz --plot curve.png

        xrd simulate --params samples.csv -o curves.npz --convention linear --layers 100

        xrd simulate --params one.csv --counts 300000 --background 1e-4 --text measured.xy
    """
    import numpy as np

    from xrdsim.commands.terminal import say
    from xrdsim.curves.curve import write_curve
    from xrdsim.errors import ParameterError
    from xrdsim.files import save_arrays
    from xrdsim.forward.model import add_noise
    from xrdsim.forward.model import simulate as run
    from xrdsim.profiles.tables import parse_assignments, read_table

    _outputs(output.with_suffix(".npz") if output.name else output, text, plot, figures=(plot,))
    if (params is None) == (not param):
        raise ParameterError("give the parameters either with --param NAME=VALUE or with --params FILE.csv")
    rows = parse_assignments(param or []) if params is None else read_table(params)
    if text is not None and len(rows) > 1:
        raise ParameterError(f"--text writes one curve, and {len(rows)} are to be simulated; choose one sample")
    curves = run(
        rows,
        convention=convention,
        layers=layers,
        rtol_dex=rtol_dex,
        fwhm=fwhm,
        scale=scale,
        background=background,
        zero=zero,
        monochromator=monochromator,
        device=device,
        **_experiment(reflection, scan),
    )
    if counts is not None:
        curves = add_noise(curves, counts, scale, np.random.default_rng(seed))
    arrays = {"params": curves.params, "reflectivity": curves.reflectivity, "intensity": curves.intensity}
    written = save_arrays(output, angle_arcsec=curves.angle, **arrays)
    if text is not None:
        write_curve(text, curves.angle, curves.intensity[0])
    say(f"{len(rows)} curve{'s' if len(rows) > 1 else ''} of {len(curves.angle)} angles → {written}")
    if plot is not None:
        from xrdsim.plotting import save_figure, simulation_figure

        say(f"figure → {save_figure(simulation_figure(curves), plot)}")


@app.command()
@_command("continue with the same command and --resume")
def gen(
    n: Annotated[int, typer.Option("-n", "--rows", help="Training rows.")] = 20000,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="The dataset: a folder, or s3://BUCKET/NAME.")
    ] = "dataset.zarr",
    adaptive: Annotated[bool, typer.Option("--adaptive", help="The same as --sampler adaptive.")] = False,
    sampler: SamplerOption = None,
    values: Annotated[int, typer.Option(help="Mean number of grid values a parameter.")] = 20,
    jitter: JitterOption = True,
    edge: EdgeOption = None,
    space: SpaceOption = None,
    around: AroundOption = None,
    width: WidthOption = None,
    sensitivity: Annotated[
        Path | None, typer.Option(help="sensitivity.json for --adaptive; default: measured on a pilot set.")
    ] = None,
    around_errors: Annotated[
        Path | None, typer.Option(help="More rows where this trained network errs most: a folder of `xrd train`.")
    ] = None,
    damage: Annotated[bool, typer.Option("--damage", help="Add the damage kappa, p as columns 8 and 9.")] = False,
    test_rows: Annotated[int, typer.Option(help="Rows of the prior set aside for testing.")] = 2000,
    seed: Annotated[int, typer.Option(help="Random seed: the same seed and settings give the same bytes.")] = 0,
    convention: ConventionOption = "exact",
    layers: LayersOption = None,
    rtol_dex: RtolOption = 1e-4,
    reflection: ReflectionFile = None,
    scan: ScanFile = None,
    device: DeviceOption = "cpu",
    block_size: Annotated[int, typer.Option(help="Rows made, written and repaired together.")] = 2048,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Make what is missing or damaged.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dataset.")] = False,
) -> None:
    """Write a training set of simulated curves.

    Examples:

        xrd gen --adaptive -n 20000

        xrd gen --adaptive -n 500000 --sensitivity sensitivity.json -o big.zarr --resume

        xrd gen --adaptive -n 100000000 --values 40 --scheduler tcp://head:8786 -o /shared/huge.zarr

        xrd gen --sampler sobol --around result/result.json --width 20% -o near.zarr

        xrd gen --around-errors runs/weighted -n 20000 -o worst.zarr

        xrd gen --adaptive -n 500000 -o s3://bucket/big.zarr
    """
    from xrdsim.commands.terminal import counting, say
    from xrdsim.dataset.generation import generate
    from xrdsim.dataset.samplers import EDGE
    from xrdsim.errors import ParameterError
    from xrdsim.files import size_of
    from xrdsim.information.sensitivity import read_range_sensitivity

    _belongs(edge is not None, "--edge", sampler == "edge", "--sampler edge")
    if not output:
        raise ParameterError("-o needs the name of a folder for the dataset")
    if adaptive and sampler not in (None, "adaptive"):
        raise ParameterError(f"--adaptive and --sampler {sampler} exclude each other")
    chosen, errors = "adaptive" if adaptive else sampler or "grid", None
    ranges, experiment = _space(space, around, width), _experiment(reflection, scan)
    if around_errors is not None:
        if adaptive or sampler not in (None, "errors"):
            raise ParameterError("--around-errors is a sampler of its own; leave out --adaptive and --sampler")
        from xrdml.inference.pilot import measure_errors

        chosen, (ranges, errors) = "errors", measure_errors(around_errors, space=ranges, seed=seed)
        damage = False  # the ranges say it
    measured, origin = (None, None) if sensitivity is None else read_range_sensitivity(sensitivity)
    with _cluster(scheduler) as client, counting("simulating", "curves") as progress:
        dataset = generate(
            output,
            n=n,
            sampler=chosen,
            seed=seed,
            values=values,
            jitter=jitter,
            edge=EDGE if edge is None else tuple(_names(edge)),
            space=ranges,
            errors=errors,
            convention=convention,
            layers=layers,
            rtol_dex=rtol_dex,
            damage=damage,
            sensitivity=measured,
            sensitivity_origin=origin,
            test_rows=test_rows,
            device=device,
            block_size=block_size,
            workers=workers,
            client=client,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            **experiment,
        )
    size = size_of(output) / 1e6
    say(f"{n} training and {test_rows} test curves of {len(dataset.angle)} angles, {size:.0f} MB → {output}")
    if dataset.config.counts:
        counts = zip(dataset.names, dataset.config.counts, strict=True)
        say("grid values: " + ", ".join(f"{name} {count}" for name, count in counts))


@app.command()
@_command("continue with `xrd append DATASET -n 0`")
def append(
    dataset: Annotated[str, typer.Argument(help="Dataset made by `xrd gen`.")] = "dataset.zarr",
    n: Annotated[int, typer.Option("-n", "--rows", help="Further training rows; 0: complete it only.")] = 20000,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Extend a dataset by further training curves of the same kind, as if it had been made with all of them at once.

    Examples:

        xrd append dataset.zarr -n 20000

        xrd append dataset.zarr -n 0
    """
    from xrdsim.commands.terminal import counting, say
    from xrdsim.dataset.generation import append as run

    with _cluster(scheduler) as client, counting("simulating", "curves") as progress:
        extended = run(dataset, n, workers=workers, client=client, progress=progress)
    say(f"{len(extended)} training curves → {dataset}")


@app.command()
@_command()
def verify(
    dataset: Annotated[str, typer.Argument(help="Dataset, complete or not.")] = "dataset.zarr",
) -> None:
    """Compare every block of a dataset with its checksum; exit code 1 if anything is missing or damaged.

    Examples:

        xrd verify

        xrd verify big.zarr || xrd gen --adaptive -n 500000 -o big.zarr --resume
    """
    from xrdsim.commands.terminal import counting, say
    from xrdsim.dataset.integrity import verify as check

    with counting("reading", "blocks") as progress:
        found = check(dataset, progress)
    for line in found.lines():
        say(line)
    if not found.intact:
        raise typer.Exit(1)


@app.command()
@_command()
def export_data(
    dataset: Annotated[str, typer.Argument(help="Dataset made by `xrd gen`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    form: Annotated[
        Literal["npz", "hdf5", "csv"] | None, typer.Option("--format", help="Default: by the suffix of the file.")
    ] = None,
    verify: VerifyOption = True,
) -> None:
    """Write a dataset as one file for other programs.

    Examples:

        xrd export-data dataset.zarr -o dataset.npz

        xrd export-data dataset.zarr --format hdf5 -o dataset.h5
    """
    from xrdsim.commands.terminal import say
    from xrdsim.dataset.export import export
    from xrdsim.dataset.reading import open_dataset

    _outputs(output)
    written = export(open_dataset(dataset, verify=verify), output, form)
    say(f"{written.stat().st_size / 1e6:.1f} MB → {written}")


@app.command()
@_command()
def sample(
    sampler: SamplerOption = None,
    n: Annotated[int, typer.Option("-n", "--rows", help="Rows to draw.")] = 20000,
    plot: Annotated[Path | None, typer.Option(help="Draw marginals and pairs (.png, .svg, .pdf).")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the rows and densities (.csv).")] = None,
    values: Annotated[int, typer.Option(help="Mean number of grid values a parameter.")] = 20,
    jitter: JitterOption = True,
    edge: EdgeOption = None,
    space: SpaceOption = None,
    around: AroundOption = None,
    width: WidthOption = None,
    damage: Annotated[bool, typer.Option("--damage", help="Add the damage kappa, p.")] = False,
    sensitivity: Annotated[
        Path | None, typer.Option(help="sensitivity.json for --sampler adaptive; default: measured on a pilot set.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed: the same seed and settings give the rows of `xrd gen`.")] = 0,
    reflection: ReflectionFile = None,
    scan: ScanFile = None,
) -> None:
    """Draw the rows of a sampler without simulating their curves.

    Examples:

        xrd sample --sampler jeffreys -n 2000 --plot jeffreys.png

        xrd sample --sampler sobol -n 1000 -o rows.csv
    """
    from xrdsim.commands.terminal import say
    from xrdsim.dataset.figures import coverage_figure, write_rows
    from xrdsim.dataset.samplers import EDGE
    from xrdsim.dataset.samplers import sample as run
    from xrdsim.information.sensitivity import read_range_sensitivity
    from xrdsim.plotting import save_figure
    from xrdsim.profiles.space import ParameterSpace

    if output is not None or plot is not None:
        _outputs(output, plot, figures=(plot,))
    _belongs(edge is not None, "--edge", sampler == "edge", "--sampler edge")
    chosen = sampler or "grid"
    ranges = _space(space, around, width) or ParameterSpace()
    measured, origin = (None, None) if sensitivity is None else read_range_sensitivity(sensitivity)
    drawn = run(
        chosen,
        n,
        seed=seed,
        values=values,
        jitter=jitter,
        edge=EDGE if edge is None else tuple(_names(edge)),
        space=ranges.with_damage() if damage else ranges,
        sensitivity=measured,
        sensitivity_origin=origin,
        **_experiment(reflection, scan),
    )
    weights = 1.0 / drawn.density
    worth = weights.sum() ** 2 / (weights**2).sum()
    say(f"{n} rows of the sampler {chosen}; weighted by 1/density: worth {worth:.0f} rows of the prior")
    if plot is not None:
        say(f"figure → {save_figure(coverage_figure(drawn, f'{chosen}, {n} rows'), plot)}")
    if output is not None:
        say(f"rows → {write_rows(output, drawn)}")


@app.command()
@_command()
def sensitivity(
    dataset: Annotated[str, typer.Argument(help="Its test rows, drawn from the prior, are measured.")] = "dataset.zarr",
    prior: Annotated[bool, typer.Option("--prior", help="No dataset: draw from the default prior.")] = False,
    samples: Annotated[int, typer.Option(help="Profiles to measure.")] = 2000,
    relative: Annotated[float, typer.Option(help="Relative change of a parameter in the finite difference.")] = 0.01,
    floor: Annotated[float, typer.Option(help="Added to the intensity before the logarithm.")] = 1e-10,
    fwhm: Annotated[float, typer.Option(help="Instrument FWHM in arcsec; 0 for none.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Seed of the rows that the dataset does not hold.")] = 0,
    fisher: Annotated[
        bool, typer.Option("--fisher", help="What counted curves can tell: Cramér–Rao bounds instead of weights.")
    ] = False,
    counts: Annotated[float, typer.Option(help="For --fisher: counts at reflectivity 1.")] = 1e5,
    background: Annotated[float, typer.Option(help="For --fisher: background in units of reflectivity.")] = 1e-4,
    mask: Annotated[float, typer.Option(help="For --fisher: half-width [arcsec] left out around the peak.")] = 0.0,
    verify: VerifyOption = True,
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights; .json and .png beside it.")] = Path(
        "sensitivity.npy"
    ),
) -> None:
    """Measure how much each parameter changes the curve, or with --fisher how well curves determine it.

    Examples:

        xrd sensitivity

        xrd sensitivity big.zarr --samples 5000 -o weights.npy

        xrd sensitivity --prior --fisher --counts 1e6
    """
    from xrdsim.commands.terminal import counting, say, show_table
    from xrdsim.information.sensitivity import measure_sensitivity, profiles_of
    from xrdsim.plotting import fisher_figure, fisher_table, save_figure, sensitivity_figure, sensitivity_table

    stem = output.with_name(f"{output.stem}_fisher") if fisher and output.name else output
    names = [stem.with_suffix(suffix) if stem.name else stem for suffix in (".npy", ".json", ".png")]
    _outputs(*names[1 if fisher else 0 :])
    rows, physics = profiles_of(None if prior else dataset, samples, seed, verify=verify)
    if fisher:
        from xrdsim.files import save_json
        from xrdsim.information.fisher import fisher as information

        physics.pop("layers", None)  # the derivatives are those of the continuous profile
        with counting("measuring", "profiles") as progress:
            told = information(rows, counts, background, fwhm=fwhm, mask=mask, progress=progress, **physics)
        figure = save_figure(fisher_figure(told), stem.with_suffix(".png"))
        show_table(*fisher_table(told))
        say(f"{len(rows)} profiles → {save_json(stem.with_suffix('.json'), told.to_dict())}, {figure}")
        return
    with counting("measuring", "profiles") as progress:
        result = measure_sensitivity(rows, relative=relative, floor=floor, fwhm=fwhm, progress=progress, **physics)
    weights, twin = result.save(output)
    figure = save_figure(sensitivity_figure(result), output.with_suffix(".png"))
    show_table(*sensitivity_table(result))
    say(f"{len(rows)} profiles → {weights}, {twin}, {figure}")


@app.command()
@_command("continue with the same command and --resume")
def train(
    dataset: Annotated[
        str | None, typer.Argument(help="Made by `xrd gen`; default: dataset.zarr, or none with --simulate.")
    ] = None,
    simulate: Annotated[int | None, typer.Option(help="Learn from so many fresh curves in every epoch.")] = None,
    damage: Annotated[bool, typer.Option("--damage", help="With --simulate: with the damage kappa, p.")] = False,
    undamaged: Annotated[float, typer.Option(help="With --damage: share of the curves without any.")] = 0.0,
    space: SpaceOption = None,
    model: Annotated[
        Literal["weighted", "hierarchical", "flow", "multitask", "attention"],
        typer.Option(
            help="'hierarchical': a coarse estimate, then a correction of the most sensitive parameters; 'flow': also "
            "samples of the posterior; 'multitask': also the noise-free curve; 'attention': self-attention and heads "
            "for depths and strains."
        ),
    ] = "weighted",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Loss weights, made by `xrd sensitivity`; 'fisher': the metric JᵀJ of each sample; default: 1.",
            metavar="FILE|fisher",
        ),
    ] = None,
    loss: Annotated[
        Literal["parameters", "curve"], typer.Option(help="'curve': also the error of the simulated estimate.")
    ] = "parameters",
    alpha: Annotated[
        float | None, typer.Option(help="With --loss curve: weight of the curves, within 0 … 1; default: 0.5.")
    ] = None,
    curve_share: Annotated[
        float | None, typer.Option(help="With --loss curve: part of a batch that is simulated; default: 0.125.")
    ] = None,
    finetune: Annotated[Path | None, typer.Option(help="Begin with this trained model of the same kind.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the trained model; default: runs/MODEL.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training rows.")] = 16,
    batch_size: Annotated[int, typer.Option(help="Curves in one step of the optimiser.")] = 128,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate; default: 2e-3, tuning 3e-4.")] = None,
    fine: Annotated[
        str | None, typer.Option(help="Parameters that the hierarchical model corrects; default: the most sensitive.")
    ] = None,
    undo_sampler: Annotated[
        bool, typer.Option("--undo-sampler", help="Weight every row by 1/density, as if the rows came from the prior.")
    ] = False,
    memory: Annotated[
        float, typer.Option(help="Bytes of curves held in memory; of more, some blocks at a time are read.", min=0.0)
    ] = 4e9,
    verify: VerifyOption = True,
    seed: Annotated[int, typer.Option(help="Seed of the split, the initial weights and the noise.")] = 0,
    device: Annotated[str, typer.Option(help="'cpu' or 'cuda'.")] = "cpu",
    full_precision: Annotated[
        bool,
        typer.Option("--full-precision", help="No bfloat16 in the network; for the end of a flow's training."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
) -> None:
    """Train a network that reads the parameters off a measured curve.

    Examples:

        xrd train --weights sensitivity.npy

        xrd train big.zarr --model hierarchical --weights sensitivity.npy --fine Dmax1,Rp1,L1 -o runs/fine

        xrd train --simulate 65536 --damage --undamaged 0.5 --model flow

        xrd train --weights fisher --model attention

        xrd train --finetune runs/weighted --loss curve --alpha 0.5 --epochs 4 -o runs/tuned
    """
    from xrdml.training.train import train as run
    from xrdsim.commands.terminal import say, show_table, training
    from xrdsim.errors import ParameterError
    from xrdsim.plotting import accuracy_table, save_figure, training_figure
    from xrdsim.profiles.space import ParameterSpace

    if simulate is not None and dataset is not None:
        raise ParameterError(f"--simulate {simulate} makes its own curves; leave out {dataset}")
    ranges = _space(space)
    _outputs(folder=output)
    with training() as progress:
        result = run(
            None if simulate is not None else dataset or "dataset.zarr",
            simulate=simulate,
            space=(ranges or ParameterSpace()).with_damage() if damage else ranges,
            undamaged=undamaged,
            model=model,
            weights=weights,
            loss=loss,
            alpha=alpha,
            curve_share=curve_share,
            finetune=finetune,
            output=output,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            device=device,
            full_precision=full_precision,
            resume=resume,
            fine=None if fine is None else _names(fine),
            undo_sampler=undo_sampler,
            memory=memory,
            verify=verify,
            progress=progress,
        )
    figure = save_figure(training_figure(result.metrics["history"]), result.path / "loss.png")
    show_table(*accuracy_table(result.metrics["test"]))
    say(f"model → {result.path}, loss curve → {figure}")


@app.command()
@_command()
def export_model(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="As an ONNX file, the only format so far.")] = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; default: model.onnx beside it.")
    ] = None,
) -> None:
    """Write the network of a trained model for other programs, checked against PyTorch.

    Examples:

        xrd export-model runs/weighted --onnx
    """
    from xrdml.networks.checkpoint import load_model
    from xrdml.networks.onnx import export_onnx
    from xrdsim.commands.terminal import say

    target = output or model / "model.onnx"
    _outputs(target)
    worst = export_onnx(load_model(model), target)
    say(f"{target.stat().st_size / 1e6:.1f} MB, within {worst:.1g} of PyTorch → {target}")


@app.command()
@_command()
def predict(
    curve: Annotated[Path, typer.Argument(help="Measured curve: one column of intensities, or angle and intensity.")],
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model; default: the pretrained one.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("result"),
    refine: Annotated[bool, typer.Option("--refine", help="Refine the estimate on the curve.")] = False,
    damage: DamageOption = False,
    per_count: PerCountOption = None,
    offset: OffsetOption = None,
    number: NumberOption = None,
    step: StepOption = None,
    axis: AxisOption = None,
    unit: UnitOption = None,
    peak: PeakOption = None,
    drop_negative: DropOption = False,
) -> None:
    """Estimate the strain profile of a measured curve.

    Examples:

        xrd predict curve.txt --refine --damage -o result/

        xrd predict curve.txt --model runs/weighted

        xrd predict scan.xy --model runs/weighted --axis omega --unit deg
    """
    from xrdml.inference.prediction import predict as run
    from xrdml.inference.prediction import prediction_table
    from xrdsim.commands.terminal import say, show_table
    from xrdsim.errors import shown
    from xrdsim.plotting import save_fit

    _outputs(folder=output)
    reading = _reading(number, step, axis, unit, peak, drop_negative, per_count, offset or 0.0)
    result = run(curve, model, refine=refine, damage=damage, **reading)
    files = save_fit(result, output, f"{shown(curve.name)}: misfit {result.misfit:.3f}")
    for note in (result.assumed, *result.notes):
        say(note)
    show_table(*prediction_table(result))
    say(f"instrument FWHM {result.fwhm:.1f}″, zero {result.zero:+.1f}″")
    say(f"scale {result.scale:.4g}, background {result.background:.3g}, in the unit of the measured intensity")
    say(f"misfit: mean |log10(measured/simulated)| = {result.misfit:.4f} from 120.5″ after the peak")
    say(f"→ {', '.join(map(str, files))}")


@app.command()
@_command()
def evaluate(
    model: Annotated[
        Path | None, typer.Argument(help="Folder of a trained model; default: the pretrained one.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Dataset whose test rows are evaluated; default: fresh rows of the prior.")
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(help="Dataset that the model was trained on; none of its rows may be among the test rows."),
    ] = None,
    rows: Annotated[int, typer.Option(help="Largest number of curves.")] = 1000,
    refined: Annotated[
        int, typer.Option(help="How many of these are also refined and compared with the Cramér–Rao limit.")
    ] = 100,
    verify: VerifyOption = True,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the results; default: MODEL/evaluation, or evaluation."),
    ] = None,
) -> None:
    """Try a trained model on curves that it has not seen: errors, calibration, solved curves, foreign curves, speed.

    Examples:

        xrd evaluate

        xrd evaluate runs/weighted --test test.zarr --train dataset.zarr -o evaluation/
    """
    from xrdml.evaluation.evaluation import evaluate as run
    from xrdml.evaluation.report import tables, write
    from xrdsim.commands.terminal import counting, say, show_table

    where = output or (model or Path()) / "evaluation"
    _outputs(folder=where)
    with counting("evaluating", "curves") as progress:
        found = run(
            model, test=test, train=train, rows=rows, refined=refined, verify=verify, seed=seed, progress=progress
        )
    for title, header, lines in tables(found):
        say(title)
        show_table(header, lines)
    say(f"→ {', '.join(map(str, write(found, where)))}")


@app.command()
@_command("continue with the same command")
def compare(
    only: Annotated[list[str] | None, typer.Option(help="Run only this method (repeatable).", metavar="NAME")] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each method, with different seeds.")] = 3,
    budget: Annotated[
        float, typer.Option(help="Computing time of a run in seconds; epochs follow from the measured cost of one.")
    ] = 150.0,
    rows: Annotated[int, typer.Option("-n", "--rows", help="Training rows, drawn from the prior.")] = 20000,
    test_rows: Annotated[int, typer.Option(help="Rows of each test set.")] = 1000,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so long, at the end of an epoch; 0: only write the report.")
    ] = None,
    study: Annotated[Path, typer.Option(help="Folder of data and runs; what is finished is not made again.")] = Path(
        "runs/comparison"
    ),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report; default: STUDY/report.")
    ] = None,
) -> None:
    """Compare the ways of training on the same data, time and test curves: what helps, and how sure that is.

    Examples:

        xrd compare --minutes 60

        xrd compare --only weighted --only fisher --seeds 5
    """
    from xrdml.study.methods import BASELINE
    from xrdml.study.report import collect, verdict_rows, write
    from xrdml.study.study import Settings, run_study
    from xrdsim.commands.terminal import say, show_table, warn

    output = output or study / "report"
    _outputs(folder=output)
    settings = Settings(rows=rows, budget=budget, tests=test_rows, curves=min(200, test_rows))
    found, complete = run_study(study, only=only, seeds=seeds, minutes=minutes, settings=settings, report=warn)
    if not found.finished(BASELINE, seeds):
        return warn(f"no report: no run of {BASELINE}, with which the others are compared, is finished")
    comparison = collect(found, seeds)
    show_table(*verdict_rows(comparison))
    for line in (*comparison.failures, *comparison.exclusions):
        say(line)
    files = ", ".join(map(str, write(comparison, found, output)))
    say(f"→ {files}" + ("" if complete else "; not all runs are finished"))


@app.command()
@_command()
def fit(
    curves: FitCurves,
    output: FitOutput = Path("result"),
    model: Annotated[
        str | None, typer.Option(help="Trained network that proposes starts, or 'none'; default: the pretrained one.")
    ] = None,
    damage: DamageOption = False,
    per_count: PerCountOption = None,
    offset: OffsetOption = None,
    budget: Annotated[str, typer.Option(help="Time after which the fit of a curve is cut off.")] = "30s",
    effort: Annotated[float, typer.Option(help="Work of the search relative to the usual one.")] = 1.0,
    jobs: Annotated[int, typer.Option(help="Curves at once; the cores are shared among them.")] = 1,
    space: SpaceOption = None,
    around: AroundOption = None,
    width: WidthOption = None,
    fwhm: FwhmOption = None,
    zero: ZeroOption = None,
    scale: ScaleOption = None,
    background: BackgroundOption = None,
    prior: PriorOption = None,
    mask: MaskOption = None,
    both_sides: BothSidesOption = False,
    exclude: ExcludeOption = None,
    chains: ChainsOption = False,
    likelihood: LikelihoodOption = None,
    html: HtmlOption = False,
    strict: StrictOption = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    convention: FitConvention = None,
    reflection: ReflectionFile = None,
    number: NumberOption = None,
    step: StepOption = None,
    axis: AxisOption = None,
    unit: UnitOption = None,
    peak: PeakOption = None,
    drop_negative: DropOption = False,
) -> None:
    """Find the strain profile of measured curves, how certain it is, and what the curve does not tell.

    No start is needed. In the table of several curves brackets hold the standard deviation of the last digits.
    Examples:

        xrd fit curve.xy

        xrd fit scan.xrdml --damage --html -o result/

        xrd fit dose/*.xy --damage --per-count 1.5e-6 --jobs 2 -o dose-result/
    """
    choices = _fit_choices(
        space=_space(space, around, width),
        damage=damage,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
        prior=prior,
        mask=mask,
        both_sides=both_sides,
        exclude=exclude,
        convention=convention,
        reflection=reflection,
        reading=_reading(number, step, axis, unit, peak, drop_negative, per_count, offset),
        fitting={
            "budget": _seconds(budget),
            "effort": effort,
            "seed": seed,
            "chains": chains,
            "likelihood": tuple(likelihood or ()),
        },
    )
    _fit(curves, choices, output, model, jobs, html, strict)


@app.command()
@_command()
def refine(
    curve: Annotated[Path, typer.Argument(help="Measured curve: docs/files.md says which files.")],
    start: Annotated[Path, typer.Option(help="JSON of NAME: value, or a result.json of `xrd predict` or `xrd fit`.")],
    method: Annotated[
        Literal["lm", "slsqp", "trf"],
        typer.Option(help="Levenberg–Marquardt; SciPy's SLSQP of mean squared log10; SciPy's least squares."),
    ] = "lm",
    max_iter: Annotated[int, typer.Option(help="Largest number of evaluations of the model.")] = 60,
    output: FitOutput = Path("result"),
    damage: DamageOption = False,
    per_count: PerCountOption = None,
    offset: OffsetOption = None,
    space: SpaceOption = None,
    fwhm: FwhmOption = None,
    zero: ZeroOption = None,
    scale: ScaleOption = None,
    background: BackgroundOption = None,
    prior: PriorOption = None,
    mask: MaskOption = None,
    both_sides: BothSidesOption = False,
    exclude: ExcludeOption = None,
    chains: ChainsOption = False,
    likelihood: LikelihoodOption = None,
    html: HtmlOption = False,
    strict: StrictOption = False,
    convention: FitConvention = None,
    reflection: ReflectionFile = None,
    number: NumberOption = None,
    step: StepOption = None,
    axis: AxisOption = None,
    unit: UnitOption = None,
    peak: PeakOption = None,
    drop_negative: DropOption = False,
) -> None:
    """Refine known parameters on a measured curve: the last step of `xrd fit` alone.

    Of a result.json of `xrd fit` its settings are taken over, too, unless an option says otherwise.

    Examples:

        xrd refine curve.xy --start params.json

        xrd refine curve.xy --start result/result.json --damage --method slsqp
    """
    choices = _fit_choices(
        space=_space(space),
        damage=damage,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
        prior=prior,
        mask=mask,
        both_sides=both_sides,
        exclude=exclude,
        convention=convention,
        reflection=reflection,
        start=start,
        reading=_reading(number, step, axis, unit, peak, drop_negative, per_count, offset),
        fitting={
            "only_refine": True,
            "method": method,
            "max_iter": max_iter,
            "chains": chains,
            "likelihood": tuple(likelihood or ()),
        },
    )
    _fit([curve], choices, output, "none", 1, html, strict)


@app.command()
@_command()
def bench(
    seconds: Annotated[float, typer.Option(help="Length of one repeat in seconds.")] = 0.15,
    peers: Annotated[bool, typer.Option("--peers", help="Also time xrayutilities, where installed.")] = False,
    output: Annotated[Path | None, typer.Option("--json", "-o", help="Also write all figures as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the error against the time of several steps.")] = None,
) -> None:
    """Measure on this machine how fast, how accurate and how close to the processor's peak the simulator is.

    Examples:

        xrd bench

        xrd bench --peers --json bench.json --plot steps.png
    """
    from xrdsim.benchmark.throughput import (
        measure_steps,
        measure_throughput,
        throughput_notes,
        throughput_table,
        timings_to_dict,
    )
    from xrdsim.commands.terminal import counting, say, show_table
    from xrdsim.files import save_json
    from xrdsim.plotting import save_figure, step_figure

    _outputs(output, plot, figures=(plot,))
    with counting("timing", "repeats") as progress:
        timings = measure_throughput(peers=peers, seconds=seconds, progress=progress)
    show_table(*throughput_table(timings))
    for line in throughput_notes(timings):
        say(line)
    costs = None
    if plot is not None:
        with counting("steps", "repeats") as progress:
            costs = measure_steps(seconds=seconds / 3.0, progress=progress)
        say(f"→ {save_figure(step_figure(costs), plot)}")
    if output is not None:
        say(f"→ {save_json(output, timings_to_dict(timings, costs))}")


@app.command()
@_command()
def info(
    dataset: Annotated[str | None, typer.Argument(help="Dataset, complete or not; default: this installation.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw curves and parameters of the dataset.")] = None,
    verify: VerifyOption = True,
) -> None:
    """Show a dataset, or versions, processor, threads and vector width.

    Examples:

        xrd info

        xrd info dataset.zarr --plot dataset.png
    """
    from xrdsim.benchmark.throughput import describe_machine
    from xrdsim.commands.terminal import say, show_table
    from xrdsim.errors import ParameterError

    if dataset is not None:
        _show_dataset(dataset, as_json, plot, verify)
        return
    if plot is not None:
        raise ParameterError("--plot draws a dataset; give its path")
    machine = describe_machine()
    if as_json:
        say(json.dumps(machine, indent=2))
        return
    rows = []
    for key, value in machine.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        rows.append((key.replace("_", " "), text))
    show_table(("", ""), rows)


def _show_dataset(path: str, as_json: bool, plot: Path | None, verify: bool) -> None:
    from xrdsim.commands.terminal import say, show_table
    from xrdsim.dataset.integrity import describe
    from xrdsim.dataset.reading import open_dataset
    from xrdsim.plotting import dataset_figure, dataset_table, range_table, save_figure

    _outputs(plot, figures=() if plot is None else (plot,))
    described = describe(path, verify=verify)
    if as_json:
        say(json.dumps(described, indent=2))
    else:
        show_table(*dataset_table(described))
        show_table(*range_table(described))
    if plot is not None:
        figure = save_figure(dataset_figure(open_dataset(path, verify=verify)), plot)
        if not as_json:
            say(f"figure → {figure}")


def _experiment(reflection: Path | None, scan: Path | None) -> dict[str, Any]:
    """Keyword arguments for the records that files replace."""
    from xrdsim.experiment.reflection import Reflection, Scan

    found: dict[str, Any] = {}
    if reflection is not None:
        found["reflection"] = Reflection.from_toml(reflection)
    if scan is not None:
        found["scan"] = Scan.from_toml(scan)
    return found


def _cluster(scheduler: str | None) -> AbstractContextManager[Any]:
    """A client of the running cluster that was asked for, or None."""
    from xrdsim.dataset.cluster import connect

    return nullcontext() if scheduler is None else connect(scheduler)


def _space(path: Path | None, known: Path | None = None, width: str | None = None) -> Any:
    """The ranges that files describe, or None."""
    from xrdsim.profiles.files import around, parse_width, read_space

    _belongs(width is not None, "--width", known is not None, "--around")
    space = None if path is None else read_space(path)
    return space if known is None else around(known, parse_width(width or "20%"), space)


def _fit_choices(
    *,
    space: Any,
    damage: bool,
    fwhm: str | None,
    zero: str | None,
    scale: float | None,
    background: float | None,
    prior: list[str] | None,
    mask: float | None,
    both_sides: bool,
    exclude: list[str] | None,
    convention: str | None,
    reflection: Path | None,
    reading: dict[str, Any],
    fitting: dict[str, Any],
    start: Path | None = None,
) -> Any:
    """Choices of `fit` and `refine`: options, else what the result says from which is begun, else the defaults."""
    from xrdsim.commands.terminal import say
    from xrdsim.errors import ParameterError
    from xrdsim.fit.earlier import settings_of
    from xrdsim.fit.problem import Unknowns
    from xrdsim.fit.series import Choices, adapted
    from xrdsim.profiles.files import read_sample
    from xrdsim.profiles.space import ParameterSpace

    given = {
        "space": space,
        "fwhm": None if fwhm is None else _limits("fwhm", fwhm),
        "zero": None if zero is None else _limits("zero", zero),
        "scale": scale,
        "background": background,
        "priors": dict(_prior(text) for text in prior) if prior else None,
        "mask": mask,
        "both_sides": both_sides or None,
        "excluded": tuple(_limits("exclude", text) for text in exclude) if exclude else None,
        "convention": convention,
        "per_count": reading["per_count"],
        "offset": reading["offset"],
        **_experiment(reflection, None),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    earlier = {} if start is None else settings_of(start)
    taken = {name: value for name, value in earlier.items() if name not in chosen and value is not None}
    if taken:
        say(f"settings taken over from {start}: {', '.join(taken)}")
    chosen = taken | chosen
    reading = {**reading, "per_count": chosen.pop("per_count", None), "offset": chosen.pop("offset", 0.0)}
    ranges = chosen.pop("space", None) or ParameterSpace()
    names = ("fwhm", "zero", "scale", "background", "priors")
    unknowns = Unknowns(
        space=ranges.with_damage() if damage else ranges,
        **{name: chosen.pop(name) for name in names if name in chosen},
    )
    starts = None
    if start is not None:
        try:
            starts = adapted(unknowns.space.check(read_sample(start)), unknowns)
        except ParameterError as error:
            raise ParameterError(str(error) if str(start) in str(error) else f"{start}: {error}") from None
    return Choices(unknowns=unknowns, starts=starts, reading=reading, fitting=fitting, **chosen)


def _fit(
    curves: list[Path], choices: Any, output: Path, model: str | None, jobs: int, html: bool, strict: bool
) -> None:
    """Fit, print and write; one curve into the folder, several into folders of their names."""
    from xrdsim.commands.terminal import complain, say, searching, show_table
    from xrdsim.errors import ParameterError, XrdError
    from xrdsim.fit.page import likelihood_rows, series_figure, series_rows, table, write, write_series
    from xrdsim.fit.series import fit_file, fit_files

    def tell(fitted: Any, files: list[Path]) -> None:
        say(f"{fitted.source}: {fitted.verdict}. {fitted.reason}")
        say(f"→ {', '.join(map(str, files))}")

    def save(fitted: Any, folder: Path) -> None:
        tell(fitted, write(fitted, folder, with_page=html))

    _outputs(folder=output)
    _check_jobs(jobs)
    begun = time.perf_counter()  # loading the network is part of the budget
    starts = None
    if model != "none":
        from xrdml.inference.starts import NetworkStarts

        starts = NetworkStarts(model)
    if len(curves) == 1:
        with searching() as progress:
            fitted = fit_file(curves[0], choices, starts=starts, begun=begun, progress=progress)
        files = write(fitted, output, with_page=html)
        say(fitted.note)
        say(fitted.assumed)
        show_table(*table(fitted))
        if fitted.likelihoods:
            show_table(*likelihood_rows(fitted))
        tell(fitted, files)
        if strict and fitted.verdict != "solved":
            raise typer.Exit(2)
        return
    if len({curve.stem for curve in curves}) < len(curves):
        raise ParameterError("two of the files have the same name; give them different ones")
    done: dict[Path, Any] = {}
    failed = 0
    for path, result in fit_files(curves, choices, jobs, starts):
        if isinstance(result, XrdError):
            complain(str(result))
            failed += 1
        else:
            done[path] = result
            save(result, output / path.stem)
    if done:
        fits = [done[path] for path in curves if path in done]
        show_table(*series_rows(fits))
        say(f"→ {write_series(fits, output / 'series.csv')}, {series_figure(fits, output / 'series.png')}")
    if failed:
        raise typer.Exit(1)
    if strict and any(fitted.verdict != "solved" for fitted in done.values()):
        raise typer.Exit(2)


def _check_jobs(jobs: int) -> None:
    from xrdsim.errors import ParameterError

    most = 4 * (os.cpu_count() or 1)
    if not 1 <= jobs <= most:
        raise ParameterError(f"jobs = {jobs} must lie within 1 … {most}, four for each processor")


def _reading(*values: Any) -> dict[str, Any]:
    """Arguments of `read_curve`, in the order of the options."""
    names = ("scan", "step", "axis", "unit", "peak", "drop_negative", "per_count", "offset")
    return dict(zip(names, values, strict=True))


def _limits(name: str, text: str) -> tuple[float, float]:
    """LOW:HIGH, or one value for both."""
    from xrdsim.errors import ParameterError

    low, _, high = text.partition(":")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise ParameterError(f"--{name} {text!r} must be LOW:HIGH or one number") from None


def _prior(text: str) -> tuple[str, tuple[float, float]]:
    """NAME=MEAN:STD."""
    from xrdsim.errors import ParameterError

    name, _, numbers = text.partition("=")
    mean, _, std = numbers.partition(":")
    try:
        return name.strip(), (float(mean), float(std))
    except ValueError:
        raise ParameterError(f"--prior {text!r} must be NAME=MEAN:STD") from None


def _seconds(text: str) -> float:
    """``10s``, ``2min`` or a number of seconds."""
    from xrdsim.errors import ParameterError

    number, unit = text.strip().rstrip("smin "), text.strip().lstrip("0123456789. ")
    try:
        return float(number) * {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0}[unit]
    except (ValueError, KeyError):
        raise ParameterError(f"--budget {text!r} must be a time such as 10s or 2min") from None


def _names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",")]


def _belongs(given: bool, option: str, chosen: bool, other: str) -> None:
    """Refuse an option without the one that it belongs to."""
    from xrdsim.errors import ParameterError

    if given and not chosen:
        raise ParameterError(f"{option} belongs to {other}; give both, or leave it out")


def _outputs(*files: Path | None, figures: tuple[Path | None, ...] = (), folder: Path | None = None) -> None:
    """Find out before the work whether its results can be written."""
    from xrdsim.files import check_figure, check_outputs

    check_outputs(*files, folder=folder)
    for figure in figures:
        check_figure(figure)


def main() -> None:
    """The command `xrd`."""
    from xrdsim.commands import terminal

    with terminal.any_terminal():
        threads = os.environ.get("NUMBA_NUM_THREADS", "1")
        if not threads.isdecimal() or int(threads) < 1:
            terminal.complain(f"NUMBA_NUM_THREADS = {threads} must be a number of threads, at least 1")
            raise SystemExit(1)
        terminal.tell_of_compiling()
        app()
