"""The process that fits: jobs come as lines of JSON, what happens goes back as lines of JSON.

It is a process of its own, so that a fit is cancelled by ending it, whatever it is doing, and the page goes on moving
meanwhile. Nothing is pickled.
"""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from xrdml.app.model.document import Document
from xrdml.app.model.files import from_text, safe_name, to_text, without_folders
from xrdml.app.model.outcome import outcome, state_of, taken
from xrdml.app.model.posing import Posed, first_profiles, opened, posed
from xrdsim.errors import XrdError
from xrdsim.fit.fitting import describe
from xrdsim.fit.freeform.before import Freeform
from xrdsim.fit.freeform.fitting import fit_profile
from xrdsim.fit.freeform.smoothness import family_of, smoothed
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.report.figures import figure
from xrdsim.fit.report.page import write, write_series
from xrdsim.fit.result import Fit
from xrdsim.fit.sample import foretold
from xrdsim.fit.series import WITHOUT
from xrdsim.fit.unknowns import Array
from xrdsim.limits import Json

Tell = Callable[[Json], None]

_OFTEN = 0.15  # s between two states of a search
_INSTRUMENT = 30  # evaluations of the refinement of the instrument behind which the network's profile is shown
_SMOOTHNESS, _INTERVALS = 1.0, 12  # λ of a spline of so many intervals that is refined from the page
FIGURES = ("png", "svg", "pdf")


def fitted(document: Document, folder: Path, job: Json, tell: Tell) -> Fit:
    """Search, or refine what is on the page."""
    last, seen = [0.0], [0.0]

    def progress(_: float, chi2: float) -> None:
        seen[0] = float(chi2)

    def watch(given: Problem, x: Array) -> None:
        if time.perf_counter() - last[0] > _OFTEN:
            last[0] = time.perf_counter()
            state = state_of(given, x, document)
            tell({"event": "progress", "seconds": last[0] - begun, "chi2": seen[0], "state": state})

    only_refine = job["kind"] == "refine"
    wanted = document if only_refine else replace(document, shape="two-gaussians")
    problem = posed(wanted, folder, exact=True)
    given = problem.given
    if only_refine and document.shape == "spline":
        own = family_of(given)
        given = smoothed(given, _SMOOTHNESS * ((own.number + own.zeros - 3) / _INTERVALS) ** 3)
    given.evaluate(
        0.5 * (given.layout.low + given.layout.high)[None], None, 1e-2
    )  # compiles: no budget is meant for that
    begun = time.perf_counter()
    starts, note = _starts(problem, wanted, only_refine)
    choice = None
    if not only_refine and document.shape == "spline":
        held = document.profile["L"]
        depth = None if held.fit else held.value
        choice = Freeform(end=document.end, signed=document.signed, depth=depth)
    fitting: Json = {"only_refine": True}
    if not only_refine:
        fitting = {"effort": document.effort}
    if choice is not None:
        fitting["spline"] = choice
    fit = fit_profile(
        given,
        profile="two-gaussians" if choice is None else "spline",
        begin=starts,
        begun=begun,
        seed=document.seed,
        progress=progress,
        watch=watch,
        **fitting,
    )
    if any(not each.fitted for each in document.curves):
        fit = foretold(fit, given, problem.entries)
    return replace(fit, notes=(*fit.notes, *note), seconds=time.perf_counter() - begun)


def _starts(problem: Posed, document: Document, only_refine: bool) -> tuple[Array | None, tuple[str, ...]]:
    """Coordinates to begin with: what is on the page, or what the network proposes; and what is to be said of it."""
    given = problem.given
    if only_refine:
        return _on_page(given, document), ()
    from xrdml.inference.starts import NetworkStarts

    found = NetworkStarts()(given)
    return found, (WITHOUT,) if found is None else ()


def _on_page(given: Problem, document: Document) -> Array:
    """Coordinates (1, k) of the values on the page."""
    row = []
    for i, each in enumerate(document.curves):
        if each.fitted:
            names = given.measurements[_number(document, i)].names
            row += [each.quantities[name].value for name in names]
    params = np.array([[each.value for each in document.profile.values()]])
    return given.coordinates(params, *row)


def _number(document: Document, i: int) -> int:
    return [j for j, each in enumerate(document.curves) if each.fitted].index(i)


def predict(document: Document, folder: Path) -> Json | None:
    """The state that the network proposes; None where it knows no such curve."""
    from xrdml.inference.starts import NetworkStarts

    plain = replace(document, shape="two-gaussians")
    given = posed(plain, folder, exact=True).given
    found = NetworkStarts()(given)
    if found is None:
        return None
    row = tuple(given.params(found[:1])[0].tolist())
    held = replace(given, space=replace(given.space, low=row, high=row, ties=()), priors={})
    own = given.values(found[:1])[0, given.layout.profile.stop :]
    seen = refine(held, held.coordinates(np.array([row]), *own), max_iter=_INSTRUMENT)
    return state_of(held, seen.x, document)


def save(fit: Fit, folder: Path) -> list[str]:
    """The folder that ``xrd fit`` writes, with its page and the figure in all formats."""
    files = write(fit, folder, with_page=True, figures=FIGURES[0])
    files += [figure(fit, folder / f"fit.{kind}") for kind in FIGURES[1:]]
    return [each.name for each in files]


def run(job: Json, folder: Path, tell: Tell) -> None:
    """Do one job and tell what comes of it."""
    document = from_text(job["session"], "the session")
    kind = job["kind"]
    if kind == "predict":
        tell({"event": "prediction", "state": predict(document, folder)})
    elif kind in ("fit", "refine"):
        fit = fitted(document, folder, job, tell)
        tell({"event": "result", "result": outcome(fit, document)})
        tell({"event": "files", "names": save(fit, Path(job["folder"]))})
    elif kind == "describe":
        problem = posed(document, folder, exact=True)
        fit = describe(problem.given, _on_page(problem.given, document))
        tell({"event": "files", "names": save(fit, Path(job["folder"]))})
    elif kind == "series":
        series(document, folder, job, tell)


def series(document: Document, folder: Path, job: Json, tell: Tell) -> None:
    """Fit files one after the other, each as the curve of the document would be."""
    target, fits = Path(job["folder"]), []
    if not document.profiles:
        document = replace(document, profiles=first_profiles(document))
    pattern = document.curve
    chosen = (
        {}
        if pattern is None
        else {
            name: getattr(pattern, name)
            for name in (
                "reading",
                "reflection",
                "described",
                "despite",
                "instrument",
                "background",
                "kalpha2",
                "mask",
                "both_sides",
                "exclude",
            )
        }
    )
    for i, path in enumerate(map(Path, job["files"])):
        try:
            bare = replace(document, curves=(), active=0, result=None, moved=False)
            curve = opened(safe_name(path.name), path.read_bytes(), bare, folder, **chosen)
            one = replace(bare, curves=(curve,))
            fit = fitted(one, folder, {**job, "kind": "fit"}, lambda event: None)
            result = outcome(fit, one)
            place = target / f"{i:03d}"
            place.mkdir(parents=True, exist_ok=True)
            (place / "session.json").write_text(to_text(taken(one, result)), encoding="utf-8")
            fits.append(fit)
            told = {
                "verdict": result["verdict"],
                "chi2": result["reduced_chi2"],
                "derived": result["derived"],
                "strain": result["minima"][0]["strain"],
            }
            tell({"event": "row", "number": i, **told})
        except XrdError as error:
            tell({"event": "row", "number": i, "error": without_folders(str(error), folder)})
    if fits:
        write_series(fits, target / "series.csv")
    tell({"event": "series"})


def serve(jobs: TextIO, answers: TextIO, folder: Path) -> None:
    """Do jobs until there are no more."""
    for line in jobs:
        job = json.loads(line)

        def tell(event: Json, job: Json = job) -> None:
            answers.write(json.dumps({"id": job["id"], **event}) + "\n")
            answers.flush()

        try:
            run(job, folder, tell)
        except XrdError as error:
            tell({"event": "error", "message": without_folders(str(error), folder)})
        except MemoryError:
            tell({"event": "error", "message": "the memory of this machine does not suffice"})
        except Exception:
            tell({"event": "error", "message": "the program has a fault: " + traceback.format_exc(limit=-3)})
        tell({"event": "done"})


def main(folder: str) -> None:
    """Take jobs from the standard input; what libraries print goes to the standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this process
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)  # the page moves first
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin, answers, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1])
