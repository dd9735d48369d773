"""What the tabs of the browser share: the session, the process that fits, and what is told to all of them."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from xrdml.app.busy import Busy, no_better
from xrdml.app.jobs import Jobs
from xrdml.app.model.document import Document
from xrdml.app.model.export import python_script
from xrdml.app.model.files import to_text, without_folders
from xrdml.app.model.outcome import taken, with_state
from xrdml.app.model.session import Session
from xrdml.app.scene import Scene
from xrdml.app.uploads import Uploads
from xrdsim.errors import ParameterError, XrdError
from xrdsim.limits import Json

log = logging.getLogger("xrd.app")

Kind = Literal["positive", "negative", "warning", "info"]
"""Of a message."""

_ASKED = re.compile(
    r"--(number|axis|unit|columns|step|crystal|hkl|peak|despite-file)\b"
)  # options that a message names
_SLOW, _AGAIN = 3.0, 30.0  # s after which the page says why it waits, and may say so once more
_RUNNING = "a fit is running; wait for it or cancel it"


@dataclass(frozen=True)
class Refused:
    """A file that could not be read without being told more, and why."""

    name: str
    content: bytes
    reason: str


class View(Protocol):
    """A tab of the browser."""

    def draw(self, moving: Json) -> None:
        """Show what moves."""

    def show(self, shown: Json) -> None:
        """Show all."""

    def say(self, text: str, kind: Kind) -> None:
        """Show a message, which is text and never HTML."""

    def ask(self) -> None:
        """Ask how files are to be read that were refused."""


class Desk:
    """The session of all tabs."""

    def __init__(self) -> None:
        self.session = Session()
        self.uploads = Uploads(self.session.folder / "uploads")
        self.jobs = Jobs(self.session.folder)
        self.views: set[View] = set()
        self.busy: Busy | None = None
        self.results: Path | None = None
        """Folder of the last fit, as ``xrd fit`` writes it, of the document ``results_of``."""
        self.results_of: Document | None = None
        self.refused: list[Refused] = []
        self.series: list[Json] = []
        self.dark: bool | None = None
        """Whether the page is dark; None for as the browser is."""
        self._closed, self._told_slow = False, -math.inf
        self.series_folder: Path | None = None
        self._thread = ThreadPoolExecutor(1, "model")
        self.scene = Scene(self.session)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def document(self) -> Document:
        """The present one."""
        return self.session.document

    async def close(self) -> None:
        """End the process that fits, and remove the temporary folder."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await self.jobs.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.session.close()

    async def compute(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Call what simulates, in the one thread that does."""
        work = asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **more))
        done, _ = await asyncio.wait({work}, timeout=_SLOW)
        if not done and time.monotonic() - self._told_slow > _AGAIN:
            self._told_slow = time.monotonic()
            self.say("Kernels are compiled at their first use on a machine; that takes up to a minute.", "info")
        return await work

    def begin(self, work: Any) -> None:
        """Do something beside, and say what goes wrong."""
        task = asyncio.get_running_loop().create_task(self._safely(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _safely(self, work: Any) -> None:
        try:
            await work
        except XrdError as error:
            self.say(str(error), "negative")
        except Exception:
            log.exception("a fault of the page")
            self.say("The page has a fault; the terminal says more.", "negative")

    def say(self, text: str, kind: Kind = "info") -> None:
        """Tell all tabs something."""
        text = without_folders(text, self.session.folder)
        for view in list(self.views):
            view.say(text, kind)

    async def act(self, function: Callable[..., Any], *args: Any, **more: Any) -> bool:
        """Change the session, show it, and tell whether it was possible."""
        if self.busy is not None and self.busy.locks:
            self.say(f"Nothing can be changed now: {_RUNNING}.", "warning")
            await self.publish()
            return False
        try:
            await self.compute(self.scene.changed, function, *args, **more)
        except XrdError as error:
            self.say(str(error), "negative")
            await self.publish()
            return False
        await self.publish()
        return True

    async def publish(self, view: View | None = None) -> None:
        """Show all, to one tab or to all of them."""
        if self._closed:
            return
        try:
            shown = await self.compute(self.scene.shown) | {"busy": self.busy, "series": self.series}
        except XrdError as error:
            self.say(str(error), "negative")
            return
        for each in [view] if view is not None else list(self.views):
            each.show(shown)

    async def drag(self, view: View, name: str, value: float, seq: int) -> None:
        """Move an unknown, and show what it changes."""
        if self.busy is not None and self.busy.locks:
            view.draw({**await self.compute(self.scene.moving), "seq": seq})
            return
        try:
            moving = await self.compute(self.scene.dragged, name, value)
        except XrdError as error:
            self.say(str(error), "negative")
            moving = await self.compute(self.scene.moving)
        for each in list(self.views):
            each.draw({**moving, "seq": seq if each is view else 0})

    async def settle(self) -> None:
        """End a drag: it is one step that can be undone."""
        await self.compute(self.session.history.settle)
        await self.publish()

    async def fit(self, kind: str, effort: float | None = None) -> None:
        """Search (``fit``), with another effort than that of the page if given, or go on from the page (``refine``)."""
        document = self.document if effort is None else replace(self.document, effort=effort)
        if not document.curves:
            self.say("Drop a measured curve on the page first.", "warning")
            return
        if self.busy is not None and self.busy.kind == "predict":
            await self.cancel()
        if self.busy is not None:
            self.say(f"Not now: {_RUNNING}.", "warning")
            return
        folder = self.session.folder / "results" / f"{time.monotonic_ns()}"
        job = {"kind": kind, "session": to_text(document), "folder": str(folder)}
        busy = self.busy = Busy(kind)
        await self.compute(self.scene.remember)
        await self.publish()
        try:
            async for event in self.jobs.run(job):
                if busy.cancelled:
                    break
                await self._heard(event, document, busy, folder)
        finally:
            if self.busy is busy:
                self.busy = None
            await self.publish()

    async def _heard(self, event: Json, document: Document, busy: Busy, folder: Path) -> None:
        if event["event"] == "progress":
            busy.told(event["chi2"])
            live = with_state(document, event["state"])
            moving = await self.compute(self.scene.moving, live)
            if busy.improves(replace(live, moved=True), moving["chi2"]):
                for view in list(self.views):
                    view.draw({**moving, "live": True, "seq": 0})
        elif event["event"] == "result":
            made = await self.compute(taken, document, event["result"])
            if no_better(document, made):
                self.say("The longer search found nothing better.", "info")
            await self.compute(self.session.commit, made)
            self.results_of = self.document
            self.busy = None
            await self.publish()
        elif event["event"] == "files":
            self.results = folder
        elif event["event"] == "error":
            self.say(event["message"], "negative")

    async def cancel(self, keep: bool = False) -> None:
        """End what the process that fits is doing, and ``keep`` the best that it has shown, or what was before."""
        busy, self.busy = self.busy, None
        if busy is None:
            return
        busy.cancelled = True
        await self.jobs.cancel()
        if keep and busy.best is not None:
            await self.compute(self.session.commit, busy.best)
            self.say("The best so far is kept; Refine gives its uncertainty.", "info")
        elif busy.kind != "predict":
            self.say("Cancelled; the parameters are as before.", "info")
        await self.publish()

    async def predict(self) -> None:
        """Show what the network makes of the curves, if it knows such ones and nothing was changed meanwhile."""
        if self.busy is not None or not self.document.curves:
            return
        document = self.document
        busy = self.busy = Busy("predict")
        await self.publish()
        try:
            async for event in self.jobs.run({"kind": "predict", "session": to_text(document)}):
                if busy.cancelled:
                    break
                if event["event"] == "prediction" and event["state"] is not None and self.document is document:
                    await self.compute(self.session.commit, with_state(document, event["state"]))
                elif event["event"] == "error":
                    self.say(event["message"], "negative")
        finally:
            if self.busy is busy:
                self.busy = None
            await self.publish()

    async def script(self) -> str:
        """The Python script of what is on the page."""
        return str(await self.compute(lambda: python_script(self.document, self.session.drawn().linear)))

    async def folder(self) -> Path:
        """The folder that ``xrd fit`` writes, of what is on the page: of the last fit, or an estimate of the present.

        Raises
        ------
        ParameterError
            A fit is running.
        """
        document = self.document
        if self.busy is not None:
            raise ParameterError(f"there is nothing to export yet: {_RUNNING}")
        fresh = document.result is not None and not document.moved
        if self.results is not None and (document is self.results_of or (fresh and self._same_result(document))):
            return self.results
        folder = self.session.folder / "results" / f"{time.monotonic_ns()}"
        kind = "refine" if fresh else "describe"
        message = ""
        async for event in self.jobs.run({"kind": kind, "session": to_text(document), "folder": str(folder)}):
            if event["event"] == "files":
                self.results, self.results_of = folder, document
            elif event["event"] == "error":
                message = event["message"]
        if self.results != folder:
            raise ParameterError(message or "the figures were not drawn; try again")
        return folder

    def _same_result(self, document: Document) -> bool:
        return self.results_of is not None and document.result is self.results_of.result

    async def add_files(self, view: View, keys: list[Any], folder: bool) -> None:
        """Take files that were dropped: curves, a CIF file, a session, or a folder for a series."""
        uploads = [self.uploads.pop(key) for key in keys]
        if folder:
            await self.fit_series([each.path for each in uploads])
            return
        first = not self.document.curves
        added = False
        for each in uploads:
            content = each.path.read_bytes()
            each.path.unlink()
            added |= await self.add_file(each.name, content)
        if added and first:
            self.begin(self.predict())
        view.ask()

    async def add_file(self, name: str, content: bytes) -> bool:
        """Take one file; whether it was a curve that could be read."""
        low = name.lower()
        text = content.decode("utf-8", "replace")
        if low.endswith(".cif"):
            known: list[str] = []
            if await self.act(lambda: known.append(self.session.add_cif(name, text))):
                self.say(f"{known[0]} can be chosen as the crystal of a reflection now.", "positive")
            return False
        if low.endswith(".json"):
            if await self.act(self.session.open_text, text, name):
                self.results, self.results_of = None, None
            return False
        return await self.add_curve(name, content)

    async def alone(self) -> None:
        """Begin anew with the curve that is shown, which is of another sample than the others."""
        if await self.act(self.session.begin_with, self.document.active):
            self.begin(self.predict())

    async def add_curve(self, name: str, content: bytes, **settings: Any) -> bool:
        """Take a curve; one that is refused for want of an option is kept, to be asked for."""
        if self.busy is not None and self.busy.locks:
            return await self.act(self.session.add, name, content)
        try:
            await self.compute(self.scene.changed, self.session.add, name, content, **settings)
        except XrdError as error:
            reason = without_folders(str(error), self.session.folder)
            if _ASKED.search(reason):
                self.refused.append(Refused(name, content, reason))
            else:
                self.say(reason, "negative")
            return False
        await self.publish()
        return True

    async def fit_series(self, paths: list[Path]) -> None:
        """Fit files one after the other, as the curve that is shown would be."""
        if self.busy is not None and self.busy.kind == "predict":
            await self.cancel()
        if self.busy is not None:
            self.say(f"Not now: {_RUNNING}.", "warning")
            return
        busy = self.busy = Busy("series")
        self.series = [{"name": path.name, "state": "waits"} for path in paths]
        folder = self.series_folder = self.session.folder / "series" / f"{time.monotonic_ns()}"
        job = {"kind": "series", "session": to_text(self.document), "folder": str(folder), "files": [*map(str, paths)]}
        self.series[0]["state"] = "runs"
        await self.publish()
        try:
            async for event in self.jobs.run(job):
                if busy.cancelled:
                    break
                if event["event"] == "row":
                    row = self.series[event["number"]]
                    row.update(event, state="failed" if "error" in event else "done")
                    if event["number"] + 1 < len(self.series):
                        self.series[event["number"] + 1]["state"] = "runs"
                    await self.publish()
                elif event["event"] == "error":
                    self.say(event["message"], "negative")
        finally:
            for row in self.series:
                row["state"] = "stopped" if row["state"] in ("waits", "runs") else row["state"]
            if self.busy is busy:
                self.busy = None
            await self.publish()

    async def open_row(self, number: int) -> None:
        """Show one curve of the series."""
        if self.series_folder is None or not 0 <= number < len(self.series):
            return
        path = self.series_folder / f"{number:03d}" / "session.json"
        if path.exists():
            await self.act(self.session.open_text, path.read_text(encoding="utf-8"), path.name)
