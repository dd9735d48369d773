"""Files of measured curves, one or many: read, fit, each in a process of its own."""

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numba
import numpy as np
from scipy.optimize import minimize_scalar

from xrdsim import compiling
from xrdsim.curves.curve import Curve, read_curve
from xrdsim.errors import ParameterError, XrdError
from xrdsim.experiment.instrument import Instrument
from xrdsim.experiment.setup import DAMAGE_EXPONENT, Experiment
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.freeform.before import Freeform
from xrdsim.fit.freeform.fitting import Shape, fit_profile
from xrdsim.fit.judgement.estimate import Estimate
from xrdsim.fit.judgement.stated import Claim
from xrdsim.fit.preparation import TOLERANCE
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.result import Fit
from xrdsim.fit.sample import Keywords, Sample, foretold, joint_problem
from xrdsim.fit.unknowns import Array, Background, UnknownDefects
from xrdsim.observation.shapes import AUTO
from xrdsim.profiles.space import ParameterSpace

WITHOUT = "The network knows no such reflection; the search began without it."
"""Said of a fit for which starts were wanted, and there were none."""

_CURVED = 0.1  # of q, for the curvature of Φ

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
    fitting : arguments of ``fit_profile``.
    claim : the reflection that is said to have been measured; None where ``posing`` has the experiment.
    """

    reading: Keywords = field(default_factory=dict)
    posing: Keywords = field(default_factory=dict)
    starts: Array | None = None
    fitting: Keywords = field(default_factory=dict)
    claim: Claim | None = None


def fit(
    curve: str | PathLike[str] | Curve,
    *,
    space: ParameterSpace | None = None,
    damage: bool = False,
    defects: UnknownDefects | str | Path | None = None,
    fwhm: tuple[float, float] | None = None,
    zero: tuple[float, float] | None = None,
    scale: float | None = None,
    background: float | str = Background.AUTO,
    prior: Mapping[str, tuple[float, float]] | None = None,
    instrument: str | Path | Instrument = AUTO,
    shape: Mapping[str, tuple[float, float]] | None = None,
    tolerance: float = TOLERANCE,
    kalpha2: float | None = None,
    mask: float = 0.0,
    both_sides: bool = True,
    exclude: tuple[tuple[float, float], ...] = (),
    experiment: Experiment | None = None,
    starts: Starts | None = None,
    budget: float | None = None,
    effort: float = 1.0,
    seed: int = 0,
    chains: bool = False,
    likelihood: tuple[str, ...] = (),
    profile: Shape = "two-gaussians",
    spline: Freeform | None = None,
    progress: Callable[[float, float], None] | None = None,
    **reading: Any,
) -> Fit:
    """Find the strain profile of a measured curve, and how certain it is; what ``xrd fit`` does.

    Parameters
    ----------
    curve : a file for ``read_curve``, or a curve that was read.
    space : ranges of the parameters; None for the default ones.
    damage : with the static Debye–Waller damage kappa, p.
    defects : also dislocation loops: ``layer``, ``layer+substrate``, a file, or ``xrdsim.fit.UnknownDefects``.
    instrument, shape : see ``xrdsim.observation.shapes.shapes_of``, and limits of its parameters by name.
    tolerance : the largest part of the intensity that the model may be wrong by, where counts are known.
    kalpha2 : intensity of Kα2 by that of Kα1 where both are in the beam, as 0.5; None for Kα1 alone.
    fwhm, zero : limits of the instrument and of the angle of the substrate peak [arcsec]; equal ones fix it,
        and None takes those that suit the reflection.
    scale, background : values to fix, in the unit of the intensity; the latter may be ``constant`` or ``linear``.
    prior : (mean, standard deviation) of parameters, zero or fwhm, normal.
    mask, both_sides, exclude : which points are fitted, see ``xrdsim.fit.preparation.measurement_of``.
    experiment : what was measured; None for GGG 444 with Cu Kα1, unless the file says otherwise.
    starts : what proposes starts, such as ``xrdml.NetworkStarts()``, which `xrd fit` takes; None for none.
    budget, effort, seed, chains, likelihood, progress : see ``xrdsim.fit.fit_curve``.
    profile, spline : ``spline`` goes on from the two Gaussians to a profile of no given shape, ``auto`` where the curve
        asks for it; and what splines are tried.
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
        instrument=instrument,
        limits=dict(shape or {}),
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
        priors=dict(prior or {}),
        defects=defects,
    )
    points = {"mask": mask, "both_sides": both_sides, "exclude": exclude, "tolerance": tolerance, "find_noise": True}
    points["kalpha2"] = kalpha2
    posing = {"unknowns": unknowns, **points, "experiment": experiment}
    fitting: Keywords = {"budget": budget, "effort": effort, "seed": seed, "chains": chains}
    fitting |= {"likelihood": tuple(likelihood), "profile": profile, "spline": spline}
    claim = Claim() if experiment is None else None
    choices = Choices(reading=reading, posing=posing, fitting=fitting, claim=claim)
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
    posing, claim = dict(choices.posing), choices.claim
    if claim is None:
        curve = path if isinstance(path, Curve) else read_curve(path, **choices.reading)
    else:
        found = claim.heard(path) if isinstance(path, Curve) else claim.read(path, **choices.reading)
        curve, posing["experiment"] = found
    given = problem(curve, **posing)
    begun += _compile(given)
    first = None if starts is None else starts(given)
    fit = fit_profile(given, starts=choices.starts, begin=first, begun=begun, progress=progress, **choices.fitting)
    return replace(fit, notes=(*fit.notes, WITHOUT)) if starts is not None and first is None else fit


def fit_sample(
    sample: Sample,
    space: ParameterSpace | None = None,
    *,
    priors: Mapping[str, tuple[float, float]] | None = None,
    starts: Starts | None = None,
    begun: float | None = None,
    progress: Callable[[float, float], None] | None = None,
    **fitting: Any,
) -> Fit:
    """Fit several curves of one sample together; curves that are not fitted are compared with the result.

    Parameters
    ----------
    sample : its curves.
    space : ranges of the profile; None for the default ones, with damage if the sample is damaged.
    priors : (mean, standard deviation) of unknowns by name, normal.
    starts, begun, progress : as of ``fit_file``.
    fitting : arguments of ``fit_curve``.

    Raises
    ------
    CurveError, ParameterError
        As ``joint_problem`` and ``fit_curve``.
    """
    begun = time.perf_counter() if begun is None else begun
    ranges = space or ParameterSpace()
    ranges = ranges.with_damage() if sample.damage and not ranges.damage else ranges
    low, high = sample.exponents if ranges.damage else (DAMAGE_EXPONENT,) * 2
    exponent = min(max(DAMAGE_EXPONENT, low), high)

    def problem_of(q: float) -> Problem:
        return joint_problem(sample.entries, ranges, damage_exponent=q, priors=priors, defects=sample.defects)

    given = problem_of(exponent)
    begun += _compile(given)
    first = None if starts is None else starts(given)
    if fitting.get("profile", "two-gaussians") != "two-gaussians" and low < high:
        raise ParameterError(
            "the exponent of the damage is fitted with two Gaussians alone; give one number for splines"
        )
    fit = fit_profile(given, begin=first, begun=begun, progress=progress, **fitting)
    without = (WITHOUT,) if starts is not None and first is None else ()
    if ranges.damage:
        estimate = Estimate("damage_exponent", "1", exponent, 0.0, exponent, exponent, True, fixed=True)
        if low < high and len(given.measurements) > 1:
            fit, estimate = _with_exponent(fit, problem_of, (low, high), fitting)
        fit = replace(
            fit, derived=(*fit.derived, estimate), settings=fit.settings | {"damage_exponent": estimate.value}
        )
        exponent = estimate.value
    fit = foretold(fit, given, sample.entries, exponent)
    return replace(fit, seconds=time.perf_counter() - begun, notes=(*fit.notes, *without))


def _with_exponent(
    fit: Fit, problem_of: Callable[[float], Problem], limits: tuple[float, float], fitting: Keywords
) -> tuple[Fit, Estimate]:
    """The fit refined at the best q, and q with what the curvature of Φ says of it."""
    rows = np.array([[*each.values, *each.instrument.values()] for each in fit.minima])

    def at(q: float, row: Array = rows[:1]) -> float:
        given = problem_of(q)
        size = given.layout.profile.stop
        return float(refine(given, given.coordinates(row[:, :size], *row[:, size:].T)).objective[0])

    best = minimize_scalar(at, bounds=limits, method="bounded", options={"xatol": 0.01, "maxiter": 15})
    q = float(best.x)
    near = min(_CURVED, q - limits[0], limits[1] - q) or _CURVED
    sides = [at(min(max(q + side * near, limits[0]), limits[1])) for side in (-1.0, 1.0)]
    bend = max(sides[0] + sides[1] - 2.0 * float(best.fun), 1e-12) / near**2
    given = problem_of(q)
    size = given.layout.profile.stop
    begin = given.coordinates(rows[:, :size], *rows[:, size:].T)
    search = ("budget", "effort", "only_refine", "profile", "spline")
    again = {name: value for name, value in fitting.items() if name not in search}
    fit = replace(
        fit_curve(given, begin=begin, only_refine=True, **again), evaluations=fit.evaluations, ended=fit.ended
    )
    std = math.sqrt(given.inflation(float(best.fun)) / bend)
    low, high = max(q - 1.645 * std, limits[0]), min(q + 1.645 * std, limits[1])
    return fit, Estimate("damage_exponent", "1", q, std, low, high, True)


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
