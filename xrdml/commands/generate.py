"""The command that makes a dataset; it is here since a network may say where more curves are needed."""

from pathlib import Path
from typing import Annotated

import typer

from xrdsim.commands.options import (
    AroundOption,
    ConventionOption,
    DeviceOption,
    EdgeOption,
    JitterOption,
    LayersOption,
    ReflectionOptions,
    RtolOption,
    SamplerOption,
    ScanFile,
    SchedulerOption,
    SpaceOption,
    WidthOption,
    WorkersOption,
    belongs,
    cluster_of,
    command,
    experiment_of,
    names_of,
    space_of,
)


@command(
    "continue with the same command and --resume",
    {
        "Rows": (
            *("adaptive", "sampler", "values", "jitter", "edge", "space", "around", "width", "sensitivity"),
            *("around_errors", "damage", "test_rows", "seed"),
        ),
        "Simulation": ("convention", "layers", "rtol_dex", "scan", "device"),
        "Work": ("block_size", "workers", "scheduler", "resume", "overwrite"),
    },
)
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
    convention: ConventionOption = None,
    layers: LayersOption = None,
    rtol_dex: RtolOption = 1e-4,
    scan: ScanFile = None,
    device: DeviceOption = "cpu",
    block_size: Annotated[int, typer.Option(help="Rows made, written and repaired together.")] = 2048,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Make what is missing or damaged.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dataset.")] = False,
    *,
    reflection: ReflectionOptions,
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

    belongs(edge is not None, "--edge", sampler == "edge", "--sampler edge")
    if not output:
        raise ParameterError("-o needs the name of a folder for the dataset")
    if adaptive and sampler not in (None, "adaptive"):
        raise ParameterError(f"--adaptive and --sampler {sampler} exclude each other")
    chosen, errors = "adaptive" if adaptive else sampler or "grid", None
    ranges, experiment = space_of(space, around, width), experiment_of(reflection, scan)
    if around_errors is not None:
        if adaptive or sampler not in (None, "errors"):
            raise ParameterError("--around-errors is a sampler of its own; leave out --adaptive and --sampler")
        from xrdml.inference.pilot import measure_errors

        chosen, (ranges, errors) = "errors", measure_errors(around_errors, space=ranges, seed=seed)
        damage = False  # the ranges say it
    measured, origin = (None, None) if sensitivity is None else read_range_sensitivity(sensitivity)
    with cluster_of(scheduler) as client, counting("simulating", "curves") as progress:
        dataset = generate(
            output,
            n=n,
            sampler=chosen,
            seed=seed,
            values=values,
            jitter=jitter,
            edge=EDGE if edge is None else tuple(names_of(edge)),
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
