"""Dialogs: what was measured, how it is described, the shape of the profile, and what is exported."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nicegui import ui

from xrdml.app.model.document import frozen
from xrdml.app.model.numbers import number_of, written
from xrdml.app.page.found import plain, text
from xrdsim.errors import XrdError

if TYPE_CHECKING:
    from xrdml.app.desk import Refused
    from xrdml.app.page.tab import Tab

_GEOMETRIES = ("symmetric", "grazing-incidence", "grazing-exit")
_INSTRUMENTS = (
    "auto",
    "gaussian",
    "voigt",
    "pedestal",
    "voigt-pedestal",
    "pseudo-voigt",
    "split-pseudo-voigt",
    "monochromator",
)
_AXES = ("", "relative", "relative-reversed", "omega", "2theta")
_UNITS = ("", "arcsec", "deg", "arcmin", "mdeg", "rad", "mrad", "urad")


def _opened(title: str) -> ui.dialog:
    dialog = ui.dialog().props(f'aria-label="{title}"')
    dialog.on("hide", dialog.delete)
    return dialog


def _buttons(dialog: ui.dialog, apply: Callable[[], Awaitable[None]]) -> None:
    with ui.row().classes("justify-end full-width"):
        ui.button("Close", on_click=dialog.close).props("flat no-caps")
        made = ui.button("Apply").props("unelevated no-caps")

    async def work() -> None:
        made.props("loading")
        try:
            await apply()
        finally:
            if not made.is_deleted:
                made.props(remove="loading")

    made.on_click(work)
    for each in dialog.descendants():
        if isinstance(each, ui.input):
            each.on("keydown.enter", work)


def _select(options: Any, value: Any, label: str) -> ui.select:
    return ui.select(options, value=value, label=label).props("dense outlined options-dense").classes("full-width")


def _field(label: str, value: str, hint: str = "") -> ui.input:
    return ui.input(label, value=value, placeholder=hint).props("dense outlined").classes("full-width")


def reflection(tab: "Tab") -> None:
    """Choose crystal and reflection of the curve that is shown."""
    from xrdsim.experiment.library import names

    curve = tab.desk.document.curve
    if curve is None:
        return
    table = dict(curve.reflection or {"crystal": "GGG", "hkl": [4, 4, 4]})
    crystals = [*names(), *tab.desk.document.cifs]
    if table["crystal"] not in crystals:
        crystals.append(table["crystal"])
    dialog = _opened("Crystal and reflection")
    with dialog, ui.card().style("width: 26rem; max-width: 96vw"):
        text("h2", f"Crystal and reflection of {curve.name}", "xrd-title")
        read = _reflection_fields(table, crystals)
        despite = ui.checkbox("take it although the file says otherwise", value=curve.despite)

        async def apply() -> None:
            try:
                made = read()
            except XrdError as error:
                tab.say(str(error), "negative")
                return
            if await tab.desk.act(tab.desk.session.change_curve, reflection=frozen(made), despite=bool(despite.value)):
                dialog.close()

        _buttons(dialog, apply)
    dialog.open()


def _reflection_fields(table: dict[str, Any], crystals: list[str]) -> Callable[[], dict[str, Any]]:
    """Fields of a reflection, and what reads them."""
    crystal = _select(crystals, table["crystal"], "crystal; drop a CIF file for others")
    hkl = _field("hkl", _indices(table.get("hkl")), "444 or 10,0,0")
    surface = _field("surface, where the planes are inclined to it", _indices(table.get("surface")), "as the planes")
    geometry = _select(list(_GEOMETRIES), table.get("geometry", "symmetric"), "geometry")
    wavelength = _field("wavelength: Å, keV or a line", str(table.get("wavelength", "")), "CuKa1")
    known = table.get("lattice")
    constant = written(known, 8) if isinstance(known, float) else ""
    lattice = _field("lattice constant [Å], where you measured it", constant, "that of the crystal")
    miscut = _field("miscut [°]", written(table.get("miscut", 0.0)))

    def read() -> dict[str, Any]:
        from xrdsim.experiment.notation import indices_of, wavelength_of

        if not crystal.value:
            return {}
        made: dict[str, Any] = {"crystal": crystal.value, "hkl": list(indices_of(hkl.value))}
        if surface.value.strip():
            made["surface"] = list(indices_of(surface.value))
        if geometry.value != "symmetric":
            made["geometry"] = geometry.value
        if wavelength.value.strip():
            made["wavelength"] = wavelength_of(wavelength.value.replace(",", "."))
        if lattice.value.strip():
            made["lattice"] = number_of(lattice.value, "the lattice constant")
        if miscut.value.strip() and number_of(miscut.value, "the miscut") != 0.0:
            made["miscut"] = number_of(miscut.value, "the miscut")
        return made

    return read


def _indices(hkl: Any) -> str:
    if hkl is None:
        return ""
    return ("," if max(map(abs, hkl)) > 9 else "").join(map(str, hkl))


def measurement(tab: "Tab") -> None:
    """Choose how the curve that is shown was measured, is read and is fitted."""
    curve = tab.desk.document.curve
    if curve is None:
        return
    dialog = _opened("Measurement")
    with dialog, ui.card().style("width: 30rem; max-width: 96vw"):
        text("h2", f"Measurement of {curve.name}").classes("xrd-title")
        instrument = _select(list(_INSTRUMENTS), curve.instrument, "shape of the instrument")
        background = _select(["auto", "constant", "linear"], curve.background, "background")
        kalpha2 = ui.checkbox("Kα₂ is in the beam", value=curve.kalpha2)
        sides = ui.checkbox("fit the compressed side, too", value=curve.both_sides)
        fitted = ui.checkbox("fit this curve (else only compare it)", value=curve.fitted)
        mask = _field("leave out angles closer to the peak than [″]", written(curve.mask))
        exclude = _field(
            "leave out angles [″]",
            "; ".join(f"{low:g} … {high:g}" for low, high in curve.exclude),
            "100 … 150; 300 … 320",
        )
        with ui.expansion("How the file is read").classes("full-width"):
            how = _reading_fields(dict(curve.reading))

        async def apply() -> None:
            try:
                settings: dict[str, Any] = {
                    "instrument": instrument.value,
                    "background": background.value,
                    "sloping": background.value == "linear" or (background.value == "auto" and curve.sloping),
                    "kalpha2": bool(kalpha2.value),
                    "both_sides": bool(sides.value),
                    "fitted": bool(fitted.value),
                    "mask": number_of(mask.value or 0.0, "the mask"),
                    "exclude": _ranges(exclude.value),
                    "reading": frozen(how()),
                }
            except XrdError as error:
                tab.say(str(error), "negative")
                return
            changed = {name: value for name, value in settings.items() if getattr(curve, name) != value}
            if not changed or await tab.desk.act(tab.desk.session.change_curve, **changed):
                dialog.close()

        _buttons(dialog, apply)
    dialog.open()


def _reading_fields(reading: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Fields of how a file is read, and what reads them."""
    axis = _select(list(_AXES), reading.get("axis", ""), "axis (empty: found)")
    unit = _select(list(_UNITS), reading.get("unit", ""), "unit of the angles (empty: found)")
    number = _field("number of the scan in the file", str(reading.get("number") or ""), "the only one")
    columns = _field(
        "columns of angle and intensity", ", ".join(map(str, reading.get("columns", ()))), "found, as 1, 3"
    )
    step = _field("step of a single column [″]", written(reading.get("step"), 8), "as the file says")
    per_count = _field("intensity of one count", written(reading.get("per_count"), 8), "found")

    def read() -> dict[str, Any]:
        found: dict[str, Any] = {name: each.value for name, each in (("axis", axis), ("unit", unit)) if each.value}
        for name, each in (("step", step), ("per_count", per_count)):
            if each.value.strip():
                found[name] = number_of(each.value, name)
        if number.value.strip():
            found["number"] = int(number_of(number.value, "the number of the scan"))
        if columns.value.strip():
            found["columns"] = [int(number_of(one, "a column")) for one in columns.value.replace(";", ",").split(",")]
        return found

    return read


def refused(tab: "Tab", file: "Refused") -> None:
    """Ask what a file leaves open, and try again."""
    from xrdsim.experiment.library import names

    dialog = _opened("The file leaves something open")
    with dialog, ui.card().style("width: 30rem; max-width: 96vw"):
        text("h2", f"{file.name} leaves something open", "xrd-title")
        reason = text("p", plain(file.reason))
        crystals = ["", *names(), *tab.desk.document.cifs]
        reflection = _reflection_fields({"crystal": "", "hkl": None}, crystals)
        despite = ui.checkbox("take it although the file says otherwise")
        with ui.expansion("How the file is read", value="--crystal" not in file.reason).classes("full-width"):
            how = _reading_fields({})

        async def apply() -> None:
            try:
                settings: dict[str, Any] = {"reading": frozen(how()), "despite": bool(despite.value)}
                chosen = reflection()
                settings |= {"reflection": frozen(chosen)} if chosen else {}
            except XrdError as error:
                tab.say(str(error), "negative")
                return
            first = not tab.desk.document.curves
            if await tab.desk.add_curve(file.name, file.content, **settings):
                dialog.close()
                if first:
                    tab.desk.begin(tab.desk.predict())
            elif tab.desk.refused:
                again = tab.desk.refused.pop()
                reason.clear()
                with reason:
                    ui.label(plain(again.reason)).style("display: inline")

        _buttons(dialog, apply)
    dialog.open()


def _ranges(written_as: str) -> tuple[tuple[float, float], ...]:
    found = []
    for part in filter(None, (each.strip() for each in written_as.split(";"))):
        low, sign, high = part.replace("...", "…").replace(":", "…").partition("…")
        ends = number_of(low, "an angle"), number_of(high if sign else low, "an angle")
        found.append((min(ends), max(ends)))
    return tuple(found)


def spline(tab: "Tab") -> None:
    """Choose the points of a spline, and how it ends."""
    document = tab.desk.document
    dialog = _opened("Spline")
    with dialog, ui.card().style("width: 26rem; max-width: 96vw"):
        text("h2", "Spline").classes("xrd-title")
        number = _field("control points; Fit chooses their number itself", str(document.coefficients))
        end = _select(["smooth", "abrupt"], document.end, "its end")
        signed = ui.checkbox("the lattice may be compressed at some depths", value=document.signed)

        async def apply() -> None:
            try:
                count = int(number_of(number.value, "the number of control points"))
            except XrdError as error:
                tab.say(str(error), "negative")
                return
            choices = {"coefficients": count, "end": end.value, "signed": bool(signed.value)}
            same = all(getattr(document, name) == each for name, each in choices.items())
            if same or await tab.desk.act(tab.desk.session.set_shape, "spline", **choices):
                dialog.close()

        _buttons(dialog, apply)
    dialog.open()


def export_menu(tab: "Tab") -> None:
    """What can be saved."""
    for name, words in (
        ("session.json", "Session (JSON), to go on later"),
        ("result.zip", "Result folder, as xrd fit writes it"),
        ("figure.png", "Figure, PNG"),
        ("figure.svg", "Figure, SVG"),
        ("figure.pdf", "Figure, PDF"),
    ):
        ui.menu_item(words, on_click=lambda name=name: ui.download(f"/export/{name}"))
    ui.separator()
    ui.menu_item("Command line …", on_click=lambda: _text(tab, "command.sh"))
    ui.menu_item("Python script …", on_click=lambda: _text(tab, "script.py"))


async def _text(tab: "Tab", name: str) -> None:
    from xrdml.app.model.export import command_line

    if not tab.desk.document.curves:
        tab.say("Drop a measured curve on the page first.", "warning")
        return
    desk = tab.desk
    shown = await (desk.compute(command_line, desk.document) if name == "command.sh" else desk.script())
    with tab.client:
        dialog = _opened(name)
        with dialog, ui.card().style("width: 52rem; max-width: 96vw"):
            text("h2", "The same on the command line" if name == "command.sh" else "The same in Python").classes(
                "xrd-title"
            )
            text("pre", shown, "xrd-code full-width")
            with ui.row().classes("justify-end full-width"):
                ui.button("Download", on_click=lambda: ui.download(f"/export/{name}")).props("flat no-caps")
                ui.button("Copy", on_click=lambda: ui.clipboard.write(shown)).props("flat no-caps")
                ui.button("Close", on_click=dialog.close).props("unelevated no-caps")
        dialog.open()
