"""What a fit found: the verdict in words, alternatives as thumbnails, a series as a table with sparklines."""

import re
from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.element import Element

from xrdml.app.desk import Desk
from xrdml.app.model.document import Document
from xrdsim.limits import Json

_GOOD = {"solved"}
_BAD = {"not described", "not this material or reflection"}
_WIDTH, _HEIGHT = 108.0, 44.0


def sparkline(strain: Json) -> None:
    """A small profile: strain over depth."""
    depth, values = strain["depth"], strain["strain"]
    most, least = max(max(values), 1e-9), min(min(values), 0.0)
    deepest = max(depth[-1], 1e-9)
    points = " ".join(
        f"{_WIDTH * z / deepest:.1f},{_HEIGHT - 2 - (_HEIGHT - 4) * (value - least) / (most - least):.1f}"
        for z, value in zip(depth, values, strict=True)
    )
    svg = Element("svg").classes("xrd-spark")
    svg._props |= {"viewBox": f"0 0 {_WIDTH:g} {_HEIGHT:g}", "aria-hidden": "true", "preserveAspectRatio": "none"}
    with svg:
        Element("polyline")._props["points"] = points


def text(kind: str, words: str, classes: str = "") -> Element:
    """An element that holds text."""
    element = Element(kind).classes(classes)
    with element:
        ui.label(words).style("display: inline")
    return element


def plain(reason: str) -> str:
    """A reason without the dashes of options of the command line, which the page has as settings."""
    reason = reason.replace("--defects", "defects (with xrd fit)").replace("Give a larger --budget.", "Search longer.")
    return re.sub(r"--([a-z])", r"\1", reason)


def show_verdict(
    place: Element, document: Document, told: tuple[str, str], running: bool, go_on: Callable[[str], Any]
) -> None:
    """The verdict with the next steps; before there is one, how the file was read and what is assumed, as ``told``.

    Of a fit that something was changed since, or while another one is ``running``, it stands there as what it is, old.
    """
    place.clear()
    result, (note, assumed) = document.result, told
    with place:
        if result is None:
            with Element("div").classes("xrd-verdict").style("border-color: var(--x-line)"):
                text("p", "Press Fit for the profile and its uncertainty, or drag a slider.")
                text("p", f"{note} {assumed}", "soft")
            return
        verdict = result["verdict"]
        kind = "solved" if verdict in _GOOD else "bad" if verdict in _BAD else ""
        if document.moved or running:
            kind = "old"
        with Element("div").classes(f"xrd-verdict {kind}"):
            if running:
                text("p", "A fit is running. The last one said:", "soft")
            elif document.moved:
                text("p", "Something was changed since the last fit: Refine or Fit again. It said:", "soft")
            with Element("p"):
                ui.label(f"{verdict[0].upper()}{verdict[1:]}.").style("display: inline; font-weight: 700")
                ui.label(" " + plain(result["reason"])).style("display: inline; margin-left: .35em")
            for each in result["notes"]:
                text("p", each, "soft")
            if not running:
                _next_steps(document, go_on)
            found = "; ".join(f"{each['label']}: {each['interval'] or each['text']}" for each in result["derived"])
            if kind != "old":
                text("p", f"{found[0].upper()}{found[1:]}.", "soft")
                with Element("details").classes("soft"):
                    text("summary", "What is assumed")
                    text("p", f"{result['assumed']} {result['seconds']:.1f} s, {result['evaluations']} evaluations.")
                    if len(document.curves) == 1:
                        text("p", f"The file: {note}")
            if len(document.curves) > 1 and document.curve is not None:
                text("p", f"{document.curve.name}: {note} {assumed}", "soft note")


def _next_steps(document: Document, go_on: Callable[[str], Any]) -> None:
    """Buttons for what the verdict proposes, and the page can do at once."""
    reason = (document.result or {})["reason"]
    steps = []
    if "--damage" in reason and not document.damage:
        steps.append(("damage", "Fit with damage"))
    if document.result is not None and document.result["verdict"] != "solved":
        steps.append(("effort", f"Search longer: effort {3.0 * document.effort:g}"))
        steps += [("spline", "Fit a spline")] if document.shape != "spline" else []
    if document.moved:
        steps.insert(0, ("refine", "Refine"))
    if steps:
        with ui.row().style("gap: .4rem; margin: .25rem 0"):
            for name, words in steps:
                ui.button(words, on_click=lambda _, name=name: go_on(name)).props("outline dense no-caps")


def show_minima(place: Element, document: Document, take: Callable[[int], Any]) -> None:
    """The alternatives, where there are any: a click shows one."""
    place.clear()
    result = document.result
    if result is None or len(result["minima"]) < 2:
        return
    alike = sum(each["acceptable"] for each in result["minima"])
    with place:
        many = f"{alike} profiles describe the curve alike" if alike > 1 else "Other profiles, which describe it worse"
        text("p", f"{many}; a click shows one.")
        for i, each in enumerate(result["minima"]):
            on = all(
                name in document.names() and abs(document[name].value - value) <= 1e-9 * (1.0 + abs(value))
                for name, value in each["values"].items()
                if name in document.profile
            )
            words = f"χ² {each['chi2']:.3g}" if each["chi2"] is not None else f"{each['rms_dex']:.3g} dex"
            also = "" if each["acceptable"] else ", worse"
            button = Element("button").props(f"type=button aria-pressed={str(on).lower()}")
            button._props["aria-label"] = f"solution {i + 1}: {words}{also}"
            button.on("click", lambda _, i=i: take(i))
            with button:
                sparkline(each["strain"])
                ui.label(f"{i + 1}: {words}{also}")


def show_series(place: Element, rows: list[Json], desk: Desk) -> None:
    """The series as a table; a click on a row shows its curve."""
    place.clear()
    if not rows:
        return
    with place:
        text("h2", "Series").classes("xrd-title")
        with Element("table"):
            with Element("thead"), Element("tr"):
                for each in ("file", "profile", "verdict", "χ²", "largest strain [%]", "depth of the layer [Å]"):
                    text("th", each)._props["scope"] = "col"
            with Element("tbody"):
                for i, row in enumerate(rows):
                    with Element("tr"):
                        _row(i, row, desk)
        if any(row["state"] == "done" for row in rows) and (desk.busy is None or desk.busy.kind != "series"):
            ui.button("series.csv", icon="download", on_click=lambda: ui.download("/export/series.csv")).props(
                "flat dense no-caps"
            )


def _row(number: int, row: Json, desk: Desk) -> None:
    done = row["state"] == "done"
    with Element("td"):
        if done:
            button = Element("button").props("type=button")
            button.on("click", lambda _: desk.open_row(number))
            with button:
                ui.label(row["name"])
        else:
            ui.label(row["name"])
    with Element("td"):
        if done:
            sparkline(row["strain"])
    if not done:
        words = row.get("error") or {"waits": "waits", "runs": "is being fitted …", "stopped": "stopped"}[row["state"]]
        text("td", words)._props["colspan"] = "4"
        return
    derived = {each["label"].split(" [")[0]: each for each in row["derived"]}
    text("td", row["verdict"])
    text("td", "" if row["chi2"] is None else f"{row['chi2']:.3g}")
    for name in ("largest strain", "depth of the layer"):
        each = derived.get(name)
        text("td", "" if each is None else f"{each['text']} ± {each['std_text']}" if each["std_text"] else each["text"])
