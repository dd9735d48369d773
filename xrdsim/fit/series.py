"""Files of measured curves, one or many: read, fit, each in a process of its own."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numba

from xrdsim import compiling
from xrdsim.curves.curve import Curve, read_curve
from xrdsim.errors import ParameterError, XrdError
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.fitting import BUDGET, fit_curve
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.result import Fit
from xrdsim.fit.unknowns import Array
from xrdsim.profiles.space import ParameterSpace

Keywords = dict[str, Any]
"""Arguments of a function by name."""

Starts = Callable[[Problem], Array | None]
"""From a problem to coordinates (m, k) to begin with, or none."""


@dataclass(frozen=True, eq=False)
class Choices:
    """How files are read and fitted.

    Attributes
    ----------
    reading : arguments of ``read_curve``.
    posing : arguments of ``xrdsim.fit.problem.problem``: the unknowns, and how the curve is prepared.
    starts : (m, 7 or 9) parameters, the same for all curves.
    fitting : arguments of ``fit_curve``.
    """

    reading: Keywords = field(default_factory=dict)
    posing: Keywords = field(default_factory=dict)
    starts: Array | None = None
    fitting: Keywords = field(default_factory=dict)


def fit(
    curve: str | PathLike[str] | Curve,
    *,
    space: ParameterSpace | None = None,
    damage: bool = False,
    fwhm: tuple[float, float] | None = None,
    zero: tuple[float, float] | None = None,
    scale: float | None = None,
    background: float | None = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    mask: float | None = None,
    both_sides: bool = False,
    exclude: tuple[tuple[float, float], ...] = (),
    experiment: Experiment | None = None,
    starts: Starts | None = None,
    budget: float = BUDGET,
    effort: float = 1.0,
    seed: int = 0,
    chains: bool = False,
    likelihood: tuple[str, ...] = (),
    progress: Callable[[float, float], None] | None = None,
    **reading: Any,
) -> Fit:
    """Find the strain profile of a measured curve, and how certain it is; what ``xrd fit`` does.

    Parameters
    ----------
    curve : a file for ``read_curve``, or a curve that was read.
    space : ranges of the parameters; None for the default ones.
    damage : with the static Debye–Waller damage kappa, p.
    fwhm, zero : limits of the instrument and of the angle of the substrate peak [arcsec]; equal ones fix it,
        and None takes those that suit the reflection.
    scale, background : values to fix, in the unit of the intensity.
    prior : (mean, standard deviation) of parameters, zero or fwhm, normal.
    mask, both_sides, exclude : which points are fitted, see ``xrdsim.fit.preparation.measurement_of``.
    experiment : what was measured; None for GGG 444 with Cu Kα1.
    starts : what proposes starts, such as ``xrdml.NetworkStarts()``, which `xrd fit` takes; None for none.
    budget, effort, seed, chains, likelihood, progress : see ``xrdsim.fit.fit_curve``.
    reading : arguments of ``read_curve``.

    Raises
    ------
    CurveError
        The curve cannot be read, or has too few points.
    ParameterError
        A setting without meaning.
    """
    ranges = space or ParameterSpace()
    unknowns = Unknowns(
        ranges.with_damage() if damage else ranges,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
        priors=dict(prior or {}),
    )
    posing = {"unknowns": unknowns, "mask": mask, "both_sides": both_sides, "exclude": exclude}
    fitting = {"budget": budget, "effort": effort, "seed": seed, "chains": chains, "likelihood": tuple(likelihood)}
    choices = Choices(reading=reading, posing=posing | {"experiment": experiment}, fitting=fitting)
    return fit_file(curve, choices, starts=starts, progress=progress)


def fit_file(
    path: str | PathLike[str] | Curve,
    choices: Choices,
    *,
    starts: Starts | None = None,
    begun: float | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Fit:
    """Read and fit one file, or a curve that was read.

    ``starts`` gives coordinates to begin with; the others are those of ``fit_curve``.

    Reading and starting count, too, when the budget is spent.

    Raises
    ------
    CurveError, ParameterError
        As ``read_curve``, ``problem`` and ``fit_curve``.
    """
    begun = time.perf_counter() if begun is None else begun
    if isinstance(path, Curve) and choices.reading:
        raise ParameterError(f"{', '.join(choices.reading)}: a curve that was read is not read again; leave them out")
    curve = path if isinstance(path, Curve) else read_curve(path, **choices.reading)
    given = problem(curve, **choices.posing)
    begun += _compile(given)
    first = None if starts is None else starts(given)
    return fit_curve(given, starts=choices.starts, begin=first, begun=begun, progress=progress, **choices.fitting)


def _compile(given: Problem) -> float:
    """Seconds for which kernels were compiled, at their first use on a machine: no budget is meant for that."""
    begun, before = time.perf_counter(), compiling.count()
    x = 0.5 * (given.layout.low + given.layout.high)[None]
    given.curves(given.values(x))
    given.evaluate(x, None, 1e-2)
    return time.perf_counter() - begun if compiling.count() > before else 0.0


def fit_files(
    paths: Sequence[str | Path], choices: Choices, jobs: int = 1, starts: Starts | None = None
) -> Iterator[tuple[Path, Fit | XrdError]]:
    """Fit files, so many at once, each in a process with its share of the cores; results or errors as they come.

    ``starts`` is that of ``fit_file``, and must bear to be sent to another process.

    Raises
    ------
    ParameterError
        ``jobs`` is less than 1.
    """
    if jobs < 1:
        raise ParameterError(f"jobs = {jobs} must be at least 1")
    threads = max(1, numba.get_num_threads() // jobs)
    context = multiprocessing.get_context("spawn")  # a fork would inherit Numba's threads, and hang
    with ProcessPoolExecutor(min(jobs, len(paths)), context, numba.set_num_threads, (threads,)) as pool:
        futures = {pool.submit(fit_file, path, choices, starts=starts): Path(path) for path in paths}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except XrdError as error:
                yield futures[future], error
