"""Commands that tell of this installation, and of a dataset: versions, speed, contents."""

import json
from pathlib import Path
from typing import Annotated

import typer

from xrdsim.commands.options import VerifyOption, command, outputs


@command()
def bench(
    seconds: Annotated[float, typer.Option(help="Length of one repeat in seconds.")] = 0.15,
    xrayutilities: Annotated[
        bool, typer.Option("--xrayutilities", "--peers", help="Also time xrayutilities, where installed.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--json", "-o", help="Also write all figures as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the error against the time of several steps.")] = None,
) -> None:
    """Measure on this machine how fast, how accurate and how close to the processor's peak the simulator is.

    Examples:

        xrd bench

        xrd bench --xrayutilities --json bench.json --plot steps.png
    """
    from xrdsim.benchmark.figures import step_figure
    from xrdsim.benchmark.tables import throughput_notes, throughput_table, timings_to_dict
    from xrdsim.benchmark.throughput import measure_steps, measure_throughput
    from xrdsim.commands.terminal import counting, say, show_table
    from xrdsim.files import save_json
    from xrdsim.plotting import save_figure

    outputs(output, plot, figures=(plot,))
    with counting("timing", "repeats") as progress:
        timings = measure_throughput(xrayutilities=xrayutilities, seconds=seconds, progress=progress)
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


@command()
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
    from xrdsim.benchmark.tables import describe_machine
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
    from xrdsim.dataset.figures import dataset_figure, dataset_table, range_table
    from xrdsim.dataset.integrity import describe
    from xrdsim.dataset.reading import open_dataset
    from xrdsim.plotting import save_figure

    outputs(plot, figures=() if plot is None else (plot,))
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
