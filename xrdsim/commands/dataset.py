"""Commands that make, extend, check, draw and export datasets."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xrdsim.commands.options import (
    AroundOption,
    EdgeOption,
    JitterOption,
    ReflectionOptions,
    SamplerOption,
    ScanFile,
    SchedulerOption,
    SpaceOption,
    VerifyOption,
    WidthOption,
    WorkersOption,
    belongs,
    cluster_of,
    command,
    experiment_of,
    names_of,
    outputs,
    space_of,
)


@command("continue with `xrd append DATASET -n 0`")
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

    with cluster_of(scheduler) as client, counting("simulating", "curves") as progress:
        extended = run(dataset, n, workers=workers, client=client, progress=progress)
    say(f"{len(extended)} training curves → {dataset}")


@command()
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


@command()
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

    outputs(output)
    written = export(open_dataset(dataset, verify=verify), output, form)
    say(f"{written.stat().st_size / 1e6:.1f} MB → {written}")


@command()
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
    scan: ScanFile = None,
    *,
    reflection: ReflectionOptions,
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
        outputs(output, plot, figures=(plot,))
    belongs(edge is not None, "--edge", sampler == "edge", "--sampler edge")
    chosen = sampler or "grid"
    ranges = space_of(space, around, width) or ParameterSpace()
    measured, origin = (None, None) if sensitivity is None else read_range_sensitivity(sensitivity)
    drawn = run(
        chosen,
        n,
        seed=seed,
        values=values,
        jitter=jitter,
        edge=EDGE if edge is None else tuple(names_of(edge)),
        space=ranges.with_damage() if damage else ranges,
        sensitivity=measured,
        sensitivity_origin=origin,
        **experiment_of(reflection, scan),
    )
    weights = 1.0 / drawn.density
    worth = weights.sum() ** 2 / (weights**2).sum()
    say(f"{n} rows of the sampler {chosen}; weighted by 1/density: worth {worth:.0f} rows of the prior")
    if plot is not None:
        say(f"figure → {save_figure(coverage_figure(drawn, f'{chosen}, {n} rows'), plot)}")
    if output is not None:
        say(f"rows → {write_rows(output, drawn)}")
