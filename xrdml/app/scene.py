"""What is told to the tabs of the browser: the page as plain values, all of it or what moves."""

from collections.abc import Callable
from typing import Any

from xrdml.app.model.document import Document
from xrdml.app.model.drawing import Drawn, still
from xrdml.app.model.session import Session
from xrdml.app.model.shaping import abscissae
from xrdml.app.model.table import rows_of
from xrdsim.errors import XrdError
from xrdsim.fit.settings import taken_for_granted
from xrdsim.limits import Json


class Scene:
    """A session as it is shown, and the χ² from which its change is counted."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._reference: float | None = None

    @property
    def document(self) -> Document:
        """The present one."""
        return self.session.document

    def remember(self) -> None:
        """Count the change of χ² from the present document."""
        self._reference = self._agreeing()

    def changed(self, function: Callable[..., Any], *args: Any, **more: Any) -> None:
        """Change the session; the change of χ² is counted from what it was before."""
        before = self._agreeing()
        function(*args, **more)
        self._reference = before

    def _agreeing(self) -> float | None:
        """χ² of the present document, from which the next change is counted."""
        try:
            return self.session.drawn().chi2 if self.document.curves else None
        except XrdError:
            return None

    def dragged(self, name: str, value: float) -> Json:
        """Move an unknown, and tell what moves with it."""
        if self.session.history.base is None:
            self.remember()
        self.session.drag(name, value)
        return self.moving()

    def moving(self, document: Document | None = None) -> Json:
        """What of a document moves, by default of the present one."""
        wanted = self.document if document is None else document
        if not wanted.curves:
            return {"chi2": None, "change": None, "values": {}, "agreement": ""}
        drawn = self.session.drawn(wanted)
        values = {name: wanted[name].value for name in wanted.names()} | drawn.linear
        change = None if self._reference is None else drawn.chi2 - self._reference
        moving = {**drawn.to_dict(), "chi2": drawn.chi2, "change": change, "values": values}
        return moving | {"agreement": self._agreement(drawn), "points": _points(wanted)}

    def _agreement(self, drawn: Drawn) -> str:
        counting = self.session.posed().given.counting
        return f"reduced χ² {drawn.chi2:.4g}" if counting else f"RMS {drawn.chi2:.3g} dex"

    def shown(self) -> Json:
        """All of the page, as plain values."""
        document, history = self.document, self.session.history
        shown: Json = {
            "undo": bool(history.past),
            "redo": bool(history.future),
            "document": document,
        }
        if document.curves:
            posed = self.session.posed()
            measured = posed.given.measurements[document.active]
            shown |= {
                "still": {
                    **still(document, posed),
                    "name": f"{document.active} {document.curves[document.active].name}",
                },
                "moving": self.moving(),
                "rows": rows_of(document, posed),
                "reflection": [each.experiment.reflection.title for each in posed.entries],
                "note": measured.curve.note,
                "assumed": f"Assumed: {taken_for_granted(measured)}.",
                "counting": posed.given.counting,
                "wavelength": measured.experiment.reflection.wavelength,
            }
        return shown


def _points(document: Document) -> list[list[object]] | None:
    """Control points of a spline: depth [Å], strain [%] and name."""
    if document.shape != "spline":
        return None
    depth, quantities = document.profile["L"].value, document.profile
    places = abscissae(document)
    names = [name for name in quantities if name.startswith("c")]
    return [[t * depth, 100.0 * quantities[name].value, name] for t, name in zip(places, names, strict=True)]
