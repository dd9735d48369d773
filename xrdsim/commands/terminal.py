"""What a terminal shows: progress bars, tables and one-line messages, by rich. Only commands use it."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from xrdsim import compiling
from xrdsim.errors import shown

Row = tuple[str, ...]

QUIET = VERBOSE = False
"""Whether to print errors only, and to say where they arose; set by the options of `xrd`."""


def say(text: str) -> None:
    """A line on standard output, as it is."""
    if not QUIET:
        Console().print(shown(text), highlight=False, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """An error on standard error."""
    Console(stderr=True).print(f"[bold red]error:[/] {escape(shown(text))}", highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """A note on standard error."""
    if not QUIET:
        Console(stderr=True).print(shown(text), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def any_terminal() -> Iterator[None]:
    """Characters that the terminal does not have are replaced; a full disk or a closed pipe behind it is an error.

    Raises
    ------
    SystemExit
        With exit code 1, after a line on standard error, where standard output cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    try:
        yield
    except OSError as error:
        _unwritable(error)
    except SystemExit:
        try:
            sys.stdout.flush()
        except OSError as error:
            _unwritable(error)
        raise


def _unwritable(error: OSError) -> None:
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes it once more
        if not isinstance(error, BrokenPipeError):
            complain(f"standard output cannot be written: {error.strerror or error}")
    raise SystemExit(1) from None


def show_table(columns: Row, rows: Sequence[Row]) -> None:
    """A table; the first column is left-aligned, the others right. Empty column names leave the header out.

    It is folded to the width of a terminal, but not in a file.
    """
    if QUIET:
        return
    table = Table(box=box.SIMPLE_HEAD, show_header=any(columns))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or not any(columns) else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(shown(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def tell_of_compiling() -> None:
    """Say when kernels are compiled for the first time on this machine; on a terminal count them."""
    compiling.listeners.append(_compiling)


def _compiling(count: int, seconds: float) -> None:
    if count == 1:
        warn("Compiling the simulator for this processor, which is done once and takes some 20 s …")
    elif sys.stderr.isatty():
        Console(stderr=True).print(f"compiling: {count} kernels, {seconds:.0f} s", end="\r", highlight=False)


@contextmanager
def counting(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left, for a callback (done, total); nothing where standard error is no terminal."""
    with _bar() as bar:
        task = bar.add_task(what, total=None, rate="")
        first: list[int] = []

        def update(done: int, total: int) -> None:
            first.append(done)  # a resumed job starts with rows that cost no time
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{(done - first[0]) / elapsed:,.0f} {unit}/s" if elapsed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield update


@contextmanager
def searching() -> Iterator[Callable[[float, float], None]]:
    """A line with the time spent and the best misfit so far, for a callback (seconds, reduced χ²)."""
    columns = (TextColumn("searching"), TimeElapsedColumn(), TextColumn("{task.fields[best]}"))
    with Progress(*columns, console=Console(stderr=True), disable=QUIET or not sys.stderr.isatty()) as line:
        task = line.add_task("", total=None, best="")

        def update(_: float, chi2: float) -> None:
            line.update(task, best=f"best so far: reduced χ² {chi2:.3g}")

        yield update


@contextmanager
def training() -> Iterator[Callable[[Any], None]]:
    """A bar over the batches with the live loss, and a line for each epoch; for ``xrdml.training.train.Progress``."""
    with _bar() as bar:
        task = bar.add_task("training", total=None, rate="")

        def update(now: Any) -> None:
            where = f"{now.phase} epoch {now.epoch}/{now.epochs}"
            rate = f"loss {now.loss:.4f}, {now.samples_per_second:,.0f} curves/s"
            done = (now.epoch - 1) * now.batches + now.batch
            bar.update(task, description=where, completed=done, total=now.epochs * now.batches, rate=rate)
            if now.validation is not None:
                bar.console.print(f"{where}: {rate}, validation {now.validation:.4f}", highlight=False)

        yield update


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # without a terminal the bar stays away, but lines printed through its console appear
    return Progress(*columns, console=Console(stderr=True), disable=QUIET or not sys.stderr.isatty())
