"""Buttons and switches of the page, with what they are for as a hint."""

from typing import Any, TypeVar

from nicegui import ui
from nicegui.element import Element

_LATER = 'delay=600 anchor="top middle" self="bottom middle"'  # a hint does not cover what a click opens

_Control = TypeVar("_Control", bound=Element)


def button(text: str, icon: str, action: Any, hint: str, primary: bool = False) -> ui.button:
    """A button with an icon and words, of which the ``primary`` one is filled; the hint is for screen readers, too."""
    made = ui.button(text, icon=icon, on_click=action).props(
        f'dense no-caps {"unelevated" if primary else "flat"} aria-label="{hint}"'
    )
    if not primary:
        made.props("color=none")
    return _explained(made, hint) if action is not None else made  # else a menu opens, which the hint would cover


def icon(name: str, action: Any, hint: str) -> ui.button:
    """A round button of an icon alone."""
    made = ui.button(icon=name, on_click=action).props("dense flat round color=none")
    made._props["aria-label"] = hint
    return _explained(made, hint)


def switch(text: str, action: Any, hint: str) -> ui.checkbox:
    """A box to tick; ``action`` hears what a user makes of it, but not what the page itself sets."""
    made = ui.checkbox(text).props("dense")
    made.on("update:model-value", lambda event: action(bool(event.args)), [None])  # the first argument alone
    return _explained(made, hint)


def _explained(made: _Control, hint: str) -> _Control:
    with made:
        ui.tooltip(hint).props(_LATER)
    return made
