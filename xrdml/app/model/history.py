"""Undo and redo: documents before and after the present one."""

from dataclasses import dataclass, field

from xrdml.app.model.document import Document

MOST = 200
"""Steps that can be undone."""


@dataclass
class History:
    """The present document and those that were and that were undone.

    A gesture, such as a drag, previews many documents and is one step.
    """

    present: Document = field(default_factory=Document)
    past: list[Document] = field(default_factory=list)
    future: list[Document] = field(default_factory=list)
    base: Document | None = None
    """The document at the beginning of the gesture that goes on; None between gestures."""

    def preview(self, document: Document) -> None:
        """Show a document while a gesture goes on."""
        if self.base is None:
            self.base = self.present
        self.present = document

    def settle(self) -> None:
        """End a gesture: what it changed is one step."""
        base, self.base = self.base, None
        if base is not None and base is not self.present:
            self._keep(base)

    def commit(self, document: Document) -> None:
        """Take another document as one step."""
        self.settle()
        if document is not self.present:
            self._keep(self.present)
            self.present = document

    def _keep(self, document: Document) -> None:
        self.past = [*self.past[-(MOST - 1) :], document]
        self.future = []

    def undo(self) -> bool:
        """Go one step back; whether there was one."""
        self.settle()
        if not self.past:
            return False
        self.future.append(self.present)
        self.present = self.past.pop()
        return True

    def redo(self) -> bool:
        """Go one step forward again; whether there was one."""
        self.settle()
        if not self.future:
            return False
        self.past.append(self.present)
        self.present = self.future.pop()
        return True
