"""The components of the browser as elements: plots, table of unknowns, files that are dropped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui.element import Element
from nicegui.elements import echart
from nicegui.events import GenericEventArguments

assert echart.__all__  # which registers the ECharts that come with NiceGUI, so that plots.js can import them

Handler = Callable[[Any], Any]

_MODULES = {"xrd-modules": str(Path(__file__).with_name("modules"))}


def _arguments(handler: Handler) -> Callable[[GenericEventArguments], Any]:
    return lambda event: handler(event.args)


class Plots(Element, component="plots.js", esm=_MODULES):
    """Curve with residuals, and profile."""

    def __init__(self, dark: bool, ready: Handler, mask: Handler, unmask: Handler) -> None:
        super().__init__()
        self._props["dark"] = dark
        for name, handler in (("ready", ready), ("mask", mask), ("unmask", unmask)):
            self.on(name, _arguments(handler))

    def set_dark(self, dark: bool) -> None:
        """Draw in the colours of the dark theme, or of the light one."""
        self._props["dark"] = dark
        self.update()


class Parameters(Element, component="parameters.js"):
    """Table of unknowns."""

    def __init__(self, ready: Handler, drag: Handler, settle: Handler, edit: Handler) -> None:
        super().__init__()
        for name, handler in (("ready", ready), ("drag", drag), ("settle", settle), ("edit", edit)):
            self.on(name, _arguments(handler))


class Keys(Element, component="keys.js"):
    """Keys that do what buttons do."""

    def __init__(self, key: Handler) -> None:
        super().__init__()
        self.on("key", _arguments(key))


class Status(Element, component="status.js"):
    """How well curve and model agree."""


class Drop(Element, component="drop.js"):
    """Files and folders that are dropped on the page."""

    def __init__(self, uploaded: Handler) -> None:
        super().__init__()
        self.on("uploaded", _arguments(uploaded))
