"""Commands that simulate curves, and measure what they tell of the parameters."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from xrdsim.commands.options import (
    ConventionOption,
    DeviceOption,
    FormatOption,
    LayersOption,
    ReflectionOptions,
    RtolOption,
    ScanFile,
    VerifyOption,
    belongs,
    command,
    experiment_of,
    listed,
    outputs,
)


@command()
def simulate(
    param: Annotated[
        list[str] | None, typer.Option("--param", help="NAME=VALUE, once for each parameter.", metavar="NAME=VALUE")
    ] = None,
    params: Annotated[Path | None, typer.Option(help="CSV file with the names as header, a sample a row.")] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="CSV file: thickness [Å], strain and E of sublayers, or both over depth [Å]; or RaDMaX's project .ini."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the curves (.npz).")] = Path(
        "curves.npz"
    ),
    plot: Annotated[Path | None, typer.Option(help="Also draw curves and profiles (.png, .svg, .pdf).")] = None,
    convention: ConventionOption = None,
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
    polarisation: Annotated[
        Literal["both", "sigma", "pi"], typer.Option(help="'both' as the monochromator weights them, or one alone.")
    ] = "both",
    damage_power: Annotated[
        float,
        typer.Option(help="The damage E of kappa and p to this power: (H/H_ref)^q if they are of the order H_ref."),
    ] = 1.0,
    defects: Annotated[
        Path | None,
        typer.Option(help="TOML file with \\[defects]: loops of the layer and of the substrate; default: none."),
    ] = None,
    omega: Annotated[
        Path | None, typer.Option(help="For --profile: CSV file of incidence angles, omega_deg, instead of a scan.")
    ] = None,
    scan: ScanFile = None,
    device: DeviceOption = "cpu",
    *,
    reflection: ReflectionOptions,
) -> None:
    """Simulate rocking curves of given parameters.

    Examples:

        xrd simulate --param Dmax1=0.0081 --param D01=0.0009 --param L1=5200 --param Rp1=3500 --param D02=0.0026
        --param L2=3000 --param Rp2=-50 -o curve.npz --plot curve.png

        xrd simulate --params samples.csv -o curves.npz --convention linear --layers 100

        xrd simulate --params one.csv --counts 300000 --background 1e-4 --text measured.xy

        xrd simulate --params one.csv --crystal Si --hkl 224 --surface 001 --geometry grazing-incidence --scan 224.toml

        xrd simulate --params one.csv --defects loops.toml

        xrd simulate --profile sublayers.csv --reflection 880.toml --omega angles.csv

        xrd simulate --profile radmax.ini --crystal 3C-SiC --hkl 004
    """
    import numpy as np

    from xrdsim.commands.terminal import say
    from xrdsim.curves.curve import write_curve
    from xrdsim.errors import ParameterError
    from xrdsim.experiment.defects import Defects
    from xrdsim.experiment.reflection import GGG_444
    from xrdsim.experiment.setup import Experiment
    from xrdsim.files import save_arrays
    from xrdsim.forward.model import simulate as run
    from xrdsim.forward.radmax import Radmax, read_profile
    from xrdsim.forward.sublayers import omega_of, read_omega, simulate_sublayers
    from xrdsim.observation.noise import add_noise
    from xrdsim.profiles.tables import parse_assignments, read_table

    outputs(output.with_suffix(".npz") if output.name else output, text, plot, figures=(plot,))
    if (params is not None) + bool(param) + (profile is not None) != 1:
        raise ParameterError(
            "give parameters with --param NAME=VALUE or --params FILE.csv, or sublayers with --profile FILE.csv"
        )
    if monochromator == math.inf:
        raise ParameterError("--monochromator inf is π alone; ask for it with --polarisation pi")
    if polarisation != "both":
        if monochromator is not None:
            raise ParameterError("--monochromator weights both polarisations; leave it or --polarisation out")
        monochromator = 0.0 if polarisation == "sigma" else math.inf
    belongs(omega is not None, "--omega", profile is not None, "--profile")
    made: dict[str, Any] = {"reflection": GGG_444} | experiment_of(reflection, scan)
    chosen = made.pop("reflection")
    loops = None if defects is None else Defects.from_toml(defects)
    experiment = Experiment(chosen, convention, monochromator, layers, rtol_dex, damage_power, loops)  # type: ignore[arg-type]
    if profile is not None:
        for name, value in (("--layers", layers), ("--counts", counts), ("--text", text), ("--plot", plot)):
            belongs(value is not None, name, False, "--param or --params")
        belongs(damage_power != 1.0, "--damage-power", False, "--param or --params")
        belongs(zero != 0.0 or device != "cpu", "--zero, --device", False, "--param or --params")
        if omega is not None:
            made["omega"] = read_omega(omega)
        layer = read_profile(profile)
        if isinstance(layer, Radmax):
            if layer.above_one:
                say(f"{profile}: a factor E of up to {1.0 + layer.above_one:.4g} is taken as 1")
            layer = layer.sublayers()
        angle, bare, blurred = simulate_sublayers(layer, experiment=experiment, fwhm=fwhm, **made)
        seen = {"reflectivity": bare, "intensity": scale * blurred + background}
        written = save_arrays(output, omega_deg=omega_of(angle, experiment), angle_arcsec=angle, **seen)
        say(f"a curve of {len(angle)} angles → {written}")
        return
    rows = parse_assignments(param or []) if params is None else read_table(params)
    if text is not None and len(rows) > 1:
        raise ParameterError(f"--text writes one curve, and {len(rows)} are to be simulated; choose one sample")
    curves = run(
        rows,
        experiment=experiment,
        fwhm=fwhm,
        scale=scale,
        background=background,
        zero=zero,
        device=device,
        **made,
    )
    if counts is not None:
        curves = add_noise(curves, counts, scale, np.random.default_rng(seed))
    arrays = {"params": curves.params, "reflectivity": curves.reflectivity, "intensity": curves.intensity}
    written = save_arrays(output, angle_arcsec=curves.angle, **arrays)
    if text is not None:
        write_curve(text, curves.angle, curves.intensity[0])
    say(f"{len(rows)} curve{'s' if len(rows) > 1 else ''} of {len(curves.angle)} angles → {written}")
    if plot is not None:
        from xrdsim.forward.figures import simulation_figure
        from xrdsim.plotting import save_figure

        say(f"figure → {save_figure(simulation_figure(curves), plot)}")


@command()
def sensitivity(
    dataset: Annotated[str, typer.Argument(help="Its test rows, drawn from the prior, are measured.")] = "dataset.zarr",
    prior: Annotated[bool, typer.Option("--prior", help="No dataset: draw from the default prior.")] = False,
    damage: Annotated[bool, typer.Option("--damage", help="With --prior: profiles with the damage kappa, p.")] = False,
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
    mask: Annotated[float, typer.Option(help="For --fisher: half-width in arcsec left out around the peak.")] = 0.0,
    verify: VerifyOption = True,
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights; .json and a figure beside it.")] = Path(
        "sensitivity.npy"
    ),
    figures: FormatOption = "png",
    *,
    reflection: ReflectionOptions,
) -> None:
    """Measure how much each parameter changes the curve, or with --fisher how well curves determine it.

    --fisher with several reflections of one sample says what each curve adds. Instruments widen with tanθ_B, scans
    cover the same strains.

    Examples:

        xrd sensitivity

        xrd sensitivity big.zarr --samples 5000 -o weights.npy

        xrd sensitivity --prior --fisher --counts 1e6

        xrd sensitivity --prior --damage --fisher --hkl 444,888,880 --surface 111 --geometry grazing-incidence
    """
    from xrdsim.commands.terminal import counting, say, show_table
    from xrdsim.dataset.fresh import profiles_of
    from xrdsim.errors import ParameterError
    from xrdsim.experiment.setup import Experiment
    from xrdsim.information.figures import fisher_figure, fisher_table, sensitivity_figure, sensitivity_table
    from xrdsim.information.sensitivity import measure_sensitivity
    from xrdsim.plotting import save_figure

    stem = output.with_name(f"{output.stem}_fisher") if fisher and output.name else output
    names = [stem.with_suffix(suffix) if stem.name else stem for suffix in (".npy", ".json", f".{figures}")]
    outputs(*names[1 if fisher else 0 :])
    belongs(damage, "--damage", prior, "--prior")
    rows, setting = profiles_of(None if prior else dataset, samples, seed, verify=verify, damage=damage)
    planes = 1 if reflection.hkl is None else len(listed(reflection.hkl, "hkl"))
    if planes > 1 and not fisher:
        raise ParameterError("several reflections are compared with --fisher; give one, or --fisher")
    chosen = reflection.several(planes)
    if chosen is not None and fisher:
        from xrdsim.files import save_json
        from xrdsim.information.figures import contributions_figure, contributions_table
        from xrdsim.information.reflections import contributions

        space = setting.get("space")
        with counting("measuring", "profiles") as progress:
            added = contributions(
                rows, chosen, counts, background, fwhm=fwhm, mask=mask, space=space, progress=progress
            )
        figure = save_figure(contributions_figure(added), names[2])
        show_table(*contributions_table(added))
        say(f"{len(rows)} profiles → {save_json(stem.with_suffix('.json'), added.to_dict())}, {figure}")
        return
    if chosen is not None:
        setting |= {"experiment": Experiment(chosen[0])}
    if fisher:
        from xrdsim.files import save_json
        from xrdsim.information.fisher import fisher as information

        if "experiment" in setting:  # the derivatives are those of the continuous profile
            setting["experiment"] = setting["experiment"].continuous()
        with counting("measuring", "profiles") as progress:
            found = information(rows, counts, background, fwhm=fwhm, mask=mask, progress=progress, **setting)
        figure = save_figure(fisher_figure(found), names[2])
        show_table(*fisher_table(found))
        say(f"{len(rows)} profiles → {save_json(stem.with_suffix('.json'), found.to_dict())}, {figure}")
        return
    with counting("measuring", "profiles") as progress:
        result = measure_sensitivity(rows, relative=relative, floor=floor, fwhm=fwhm, progress=progress, **setting)
    weights, twin = result.save(output)
    figure = save_figure(sensitivity_figure(result), names[2])
    show_table(*sensitivity_table(result))
    say(f"{len(rows)} profiles → {weights}, {twin}, {figure}")
