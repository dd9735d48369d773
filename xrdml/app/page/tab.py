"""One tab of the browser: header, plots, verdict and table of unknowns, which show what the desk tells."""

from typing import Any

from nicegui import ui

from xrdml.app.desk import Desk, Kind
from xrdml.app.model.document import Document
from xrdml.app.model.numbers import number_of, written
from xrdml.app.model.table import prior_of
from xrdml.app.page import dialogs
from xrdml.app.page.controls import button, icon, switch
from xrdml.app.page.elements import Drop, Keys, Parameters, Plots, Status
from xrdml.app.page.found import show_minima, show_series, show_verdict
from xrdsim.errors import XrdError
from xrdsim.limits import Json

_DOING = {
    "fit": "fitting",
    "refine": "refining",
    "predict": "the network looks at the curve",
    "series": "fitting the series",
}


class Tab:
    """A tab of the browser."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, ui.context.client
        self.dark = ui.dark_mode(None)
        ui.colors(primary="#1d4ed8")
        self._ready: set[str] = set()
        self._content: dict[str, tuple[Any, ...]] = {}
        Keys(self._key)
        Drop(self._uploaded)
        self.root = ui.element("main").classes("xrd-page")
        with self.root:
            self._head()
            self.empty = ui.element("section").classes("xrd-empty")
            with self.empty:
                self._welcome()
            self.body = ui.element("section")
            with self.body:
                self.tabs = (
                    ui.element("div").classes("xrd-tabs").props('role=tablist aria-label="curves of the sample"')
                )
                self.plots = Plots(False, self._is_ready("plots"), self._mask, self._unmask)
                self._bar()
                with ui.element("div").classes("xrd-said"):
                    self.verdict = ui.element("section").props("aria-live=polite")
                    self.minima = ui.element("div").classes("xrd-minima")
                self.table = Parameters(self._is_ready("table"), self._drag, self._settle, self._edit)
            self.series = ui.element("section").classes("xrd-series")
        self._reveal(desk.document)
        ui.timer(0.5, self._tick)
        desk.views.add(self)
        self.client.on_delete(lambda: desk.views.discard(self))

    def _is_ready(self, what: str) -> Any:
        async def ready(_: Any) -> None:
            self._ready.add(what)
            if self._ready >= {"plots", "table"}:
                await self._theme()
                await self.desk.publish(self)
                self.ask()

        return ready

    def _head(self) -> None:
        with ui.element("header").classes("xrd-head"):
            ui.label("xrd").classes("xrd-name")
            button("Open", "folder_open", lambda: self._choose(False), "Open curves, a CIF file or a session")
            button("Series", "view_list", lambda: self._choose(True), "Fit all curves of a folder")
            self.undo = icon("undo", lambda: self._step(False), "Undo (Ctrl+Z)")
            self.redo = icon("redo", lambda: self._step(True), "Redo (Ctrl+Shift+Z)")
            ui.element("span").classes("xrd-space")
            self.sample = button("", "diamond", self._reflection, "Crystal, reflection and geometry")
            self.settings = button("Measurement", "tune", self._measurement, "Instrument, background, points, file")
            self.damage = switch("damage", self._set_damage, "The static Debye–Waller damage: kappa and p")
            self.spline = switch("spline", self._set_spline, "A profile of no given shape, with points to drag")
            self.shape = button("", "show_chart", self._shape, "Points and end of the spline")
            with button("Save", "download", None, "Save or export") as self.export, ui.menu():
                dialogs.export_menu(self)
            self.theme = icon("dark_mode", self._toggle, "Dark or light")

    def _welcome(self) -> None:
        with ui.element("h1"):
            ui.label("Drop a measured rocking curve here")
        with ui.element("p"):
            ui.label(
                "Text, XRDML, RAS, BRML, RAW, UXD, NJA, SPEC or NeXus files; several curves of one sample; or a "
                "folder of curves."
            )
        ui.button("Choose files", icon="folder_open", on_click=lambda: self._choose(False)).props("unelevated no-caps")
        with ui.element("p"):
            ui.label("Then drag the parameters, or press Fit. Nothing leaves this computer.")

    def _bar(self) -> None:
        with ui.element("div").classes("xrd-bar"):
            self.fit = button(
                "Fit", "auto_fix_high", lambda: self._fit("fit"), "Search the whole range (F)", primary=True
            )
            self.refine = button(
                "Refine", "my_location", lambda: self._fit("refine"), "Go on from what is on the screen (R)"
            )
            self.predict = button("Predict", "psychology", self._predict, "What the network makes of the curve (P)")
            with (
                icon("more_vert", None, "Effort and seed of the search"),
                ui.menu(),
                ui.column().style("padding: .7rem; gap: .5rem"),
            ):
                self.effort = (
                    ui.input("effort, times the usual", value="1").props("dense outlined").on("change", self._search)
                )
                self.seed = ui.input("seed", value="0").props("dense outlined").on("change", self._search)
            self.keep = button("Keep", "check", self._keep, "End the search and keep the best that it has found")
            self.cancel = button("Cancel", "stop", self._cancel, "Cancel (Esc): the parameters are as before")
            self.spinner = ui.spinner(size="1.3em").props('aria-hidden="true"')
            self.status = Status()
            self.doing = ui.label("").classes("xrd-live")

    def draw(self, moving: Json) -> None:
        """Show what moves."""
        if self.client.is_deleted or self._ready < {"plots", "table"}:
            return
        if "model" in moving:
            self.plots.run_method("draw", moving)
        self.table.run_method("moved", moving["values"], moving.get("seq", 0))
        self._show_change(moving)

    def _show_change(self, moving: Json) -> None:
        change, kind = moving.get("change"), ""
        text = ""
        if change is not None and abs(change) > 5e-4 * max(abs(moving["chi2"]), 1e-9):
            text, kind = f"{change:+.3g}".replace("-", "−"), "better" if change < 0 else "worse"
        bar = (moving["agreement"], text, kind)
        if self._differs("bar", *bar):
            self.status.run_method("show", *bar)

    def show(self, shown: Json) -> None:
        """Show all."""
        if self.client.is_deleted:
            return
        document: Document = shown["document"]
        busy = shown["busy"]
        with self.client:
            self._reveal(document)
            self.empty.set_visibility(not document.curves and not shown["series"])
            self.undo.set_enabled(shown["undo"])
            self.redo.set_enabled(shown["redo"])
            self._show_busy(busy, document)
            locked = busy is not None and busy.locks
            self.root.classes(add="xrd-locked") if locked else self.root.classes(remove="xrd-locked")
            if self._differs("series", [dict(row) for row in shown["series"]], busy is None):
                show_series(self.series, shown["series"], self.desk)
            if not document.curves:
                return
            self.effort.set_value(written(document.effort))
            self.seed.set_value(str(document.seed))
            tabs = [(each.name, each.fitted) for each in document.curves]
            if self._differs("tabs", tabs, document.active, shown["reflection"]):
                self._show_tabs(document, shown["reflection"])
            self.sample.set_text(shown["reflection"][document.active])
            self.damage.set_value(document.damage)
            self.spline.set_value(document.shape == "spline")
            self.shape.set_text(f"{document.coefficients} points")
            result, described = document.result, (document.shape, document.damage)
            told = (shown["note"], shown["assumed"])
            if self._differs("verdict", result, document.moved, locked, told, described):
                show_verdict(self.verdict, document, told, locked, self._go_on)
            if self._differs("minima", result, document.profile):
                show_minima(self.minima, document, self._take)
        if self._ready >= {"plots", "table"}:
            self.plots.run_method("show", shown["still"])
            self.table.run_method("show", shown["rows"], document.moved)
            self.draw(shown["moving"])

    def _differs(self, part: str, *content: Any) -> bool:
        """Whether a part of the page has another content than it shows; what is made anew would lose a click."""
        known, self._content[part] = self._content.get(part), content
        return known != content

    def _reveal(self, document: Document) -> None:
        """Show what there is a use for."""
        for each in (self.body, self.sample, self.settings, self.damage, self.spline, self.export):
            each.set_visibility(bool(document.curves))
        self.shape.set_visibility(bool(document.curves) and document.shape == "spline")

    def _show_busy(self, busy: Any, document: Document) -> None:
        running = busy is not None
        for each in (self.fit, self.refine):
            each.set_enabled(bool(document.curves) and not (running and busy.locks))
        self.predict.set_enabled(bool(document.curves) and not running)
        self.keep.set_visibility(running and busy.kind in ("fit", "refine"))
        self.cancel.set_visibility(running)
        self.spinner.set_visibility(running)
        self._tick()

    def _tick(self) -> None:
        busy = self.desk.busy
        self.doing.set_text("" if busy is None else _progress(busy))

    def _show_tabs(self, document: Document, reflections: list[str]) -> None:
        self.tabs.clear()
        with self.tabs:
            for i, curve in enumerate(document.curves):
                name = curve.name if curve.fitted else f"{curve.name} (not fitted)"
                tab = (
                    ui.element("button")
                    .classes("xrd-tab")
                    .props(f"type=button role=tab aria-selected={str(i == document.active).lower()}")
                )
                tab.on("click", lambda _, i=i: self._show_curve(i))
                with tab:
                    ui.label(name).style("display: inline")
                icon("close", lambda i=i: self.desk.act(self.desk.session.close_curve, i), f"Close {curve.name}").props(
                    "size=xs"
                )
            if len(document.curves) > 1:
                together = "Curves of one sample: they share the profile and are fitted together."
                twice = next((each for each in reflections if reflections.count(each) > 1), None)
                if twice is not None:
                    together += f" More than one is taken for {twice}; the button with the diamond says otherwise."
                with ui.element("div").classes("xrd-together"):
                    ui.label(together).style("display: inline")
                    hint = "Begin anew with the curve that is shown"
                    button("Another sample", "content_cut", self.desk.alone, hint).props("size=sm")

    def say(self, text: str, kind: Kind) -> None:
        """Show a message, which is text and never HTML."""
        if self.client.is_deleted:
            return
        with self.client:
            seconds = 12 if kind == "negative" else 5
            ui.notify(
                text,
                type=kind,
                position="bottom",
                html=False,
                multi_line=True,
                close_button="Close",
                timeout=1000 * seconds,
            )

    def ask(self) -> None:
        """Ask how a file is to be read that was refused."""
        if self.desk.refused and not self.client.is_deleted:
            with self.client:
                dialogs.refused(self, self.desk.refused.pop(0))

    async def _theme(self) -> None:
        if self.dark.value is None:
            wanted = self.desk.dark
            if wanted is None:
                wanted = await self.client.run_javascript(
                    "window.matchMedia('(prefers-color-scheme: dark)').matches", timeout=5.0
                )
            self.dark.set_value(bool(wanted))
        self.plots.set_dark(bool(self.dark.value))

    def _toggle(self) -> None:
        self.desk.dark = not self.dark.value
        self.dark.set_value(self.desk.dark)
        self.plots.set_dark(bool(self.dark.value))

    def _choose(self, folder: bool) -> None:
        self.client.run_javascript(f"window.xrd.drop.choose({'true' if folder else 'false'})")

    async def _uploaded(self, told: Json) -> None:
        for text in list(told.get("failed") or [])[:5]:
            self.say(str(text)[:500], "negative")
        self.desk.begin(self.desk.add_files(self, list(told.get("keys") or []), bool(told.get("folder"))))

    async def _drag(self, told: Json) -> None:
        await self.desk.drag(self, str(told["name"]), float(told["value"]), int(told["seq"]))

    async def _settle(self, _: Json) -> None:
        await self.desk.settle()

    async def _edit(self, told: Json) -> None:
        session, name, value = self.desk.session, str(told["name"]), told["value"]
        factor = float(told.get("factor") or 1.0)
        try:
            if told["what"] == "fit":
                await self.desk.act(session.set_fit, name, bool(value))
            elif told["what"] == "prior":
                await self.desk.act(session.set_prior, name, prior_of(str(value), factor))
            else:
                number = number_of(value, name) / factor
                if told["what"] == "value":
                    before = self.desk.document
                    if await self.desk.act(session.set_value, name, number):
                        self._say_what_gave_way(before, name, number)
                else:
                    now = self.desk.document[name]
                    ends = (number, now.high) if told["what"] == "low" else (now.low, number)
                    await self.desk.act(session.set_limits, name, *ends)
        except XrdError as error:
            self.say(str(error), "negative")

    def _say_what_gave_way(self, before: Document, name: str, number: float) -> None:
        """What else a typed value has changed, or why the unknown has another one."""
        after = self.desk.document
        others = [each for each in after.profile if each != name and after[each].value != before[each].value]
        if abs(after[name].value - number) > 1e-9 * abs(number):
            self.say(f"{name} has the nearest value that a profile can have, and takes its limits along.", "warning")
        elif others:
            self.say(f"{' and '.join(others)} gave way, since not every profile is possible.", "info")

    async def _mask(self, told: Json) -> None:
        await self.desk.act(self.desk.session.exclude, float(told["low"]), float(told["high"]))

    async def _unmask(self, told: Json) -> None:
        await self.desk.act(self.desk.session.include, float(told["at"]))

    async def _step(self, forward: bool) -> None:
        history = self.desk.session.history
        await self.desk.act(history.redo if forward else history.undo)

    async def _show_curve(self, number: int) -> None:
        await self.desk.compute(self.desk.session.show, number)
        await self.desk.publish()

    async def _take(self, number: int) -> None:
        await self.desk.act(self.desk.session.take_minimum, number)

    def _fit(self, kind: str) -> None:
        self.desk.begin(self.desk.fit(kind))

    async def _search(self) -> None:
        """Take effort and seed from their fields."""
        try:
            effort, seed = number_of(self.effort.value, "the effort"), int(number_of(self.seed.value, "the seed"))
        except XrdError as error:
            self.say(str(error), "negative")
            return
        await self.desk.act(self.desk.session.set_search, effort, seed)

    async def _go_on(self, step: str) -> None:
        """Take a step that the verdict proposes."""
        session = self.desk.session
        if step == "damage" and not await self.desk.act(session.set_damage, True):
            return
        if step == "spline" and not await self.desk.act(session.set_shape, "spline"):
            return
        longer = 3.0 * self.desk.document.effort if step == "effort" else None
        self.desk.begin(self.desk.fit("refine" if step == "refine" else "fit", longer))

    def _predict(self) -> None:
        self.desk.begin(self.desk.predict())

    async def _cancel(self) -> None:
        await self.desk.cancel()

    async def _keep(self) -> None:
        await self.desk.cancel(keep=True)

    def _reflection(self) -> None:
        dialogs.reflection(self)

    def _measurement(self) -> None:
        dialogs.measurement(self)

    def _shape(self) -> None:
        dialogs.spline(self)

    async def _set_damage(self, wanted: bool) -> None:
        await self.desk.act(self.desk.session.set_damage, wanted)

    async def _set_spline(self, wanted: bool) -> None:
        await self.desk.act(self.desk.session.set_shape, "spline" if wanted else "two-gaussians")

    async def _key(self, told: Json) -> None:
        name = told["name"]
        if name in ("undo", "redo"):
            await self._step(name == "redo")
        elif name == "cancel":
            await self.desk.cancel()
        elif name == "save":
            with self.client:
                ui.download("/export/session.json")
        elif name == "open":
            self._choose(False)
        elif name == "predict":
            self._predict()
        elif name in ("fit", "refine"):
            self._fit(name)


def _progress(busy: Any) -> str:
    import time

    text = f"{_DOING[busy.kind]}, {time.monotonic() - busy.since:.0f} s"
    return text + (f", best so far {busy.chi2:.4g}" if busy.chi2 else "")
