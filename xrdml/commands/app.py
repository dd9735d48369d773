"""The command line `xrd`: which commands there are, in which panel of its help. Heavy modules load when one runs."""

import os
from typing import Annotated

import typer

from xrdml.commands import generate, invert, learn, page
from xrdsim.commands import crystal, dataset, installation, profile, simulate

PANELS = {
    "A measured curve": (invert.fit, invert.predict, invert.refine, page.app),
    "Simulation": (simulate.simulate, simulate.sensitivity, crystal.crystal, profile.export_profile),
    "Datasets": (generate.gen, dataset.append, dataset.verify, dataset.sample, dataset.export_data),
    "Networks": (learn.train, learn.evaluate, learn.compare, learn.export_model),
    "This installation": (installation.bench, installation.info),
}

app = typer.Typer(
    name="xrd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Strain profiles of ion-implanted crystals from X-ray rocking curves: fit, simulate, make training sets, "
    "train, predict.",
    epilog="A measured curve: xrd fit CURVE. A network of your own: xrd gen --adaptive -n 20000 · xrd sensitivity · "
    "xrd train --weights sensitivity.npy · xrd predict CURVE --model runs/weighted",
)
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"xrd {version('xrdsim')}")
        raise typer.Exit


@app.callback()
def _everywhere(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say with an error where it arose.")] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from xrdsim.commands import terminal

    terminal.QUIET, terminal.VERBOSE = quiet, verbose


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
