"""Numbers as people write them, and as the page shows them."""

import math
import re

from xrdsim.errors import ParameterError

_SIGNS = str.maketrans({"−": "-", "–": "-", "\u202f": "", "\u00a0": "", "\u2009": "", " ": "", "_": "", "'": ""})
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d{1,3}(,\d{3})+\.\d+")
_LONGEST = 40


def number_of(text: object, name: str = "the value") -> float:
    """A number from what was typed: 1234.5, 1234,5, 1 234,5, 1.234,5 or −5e-4.

    One comma is the decimal sign, as in German or Ukrainian. Where both signs occur, the last one is.

    Parameters
    ----------
    text : as typed, or a number.
    name : of the quantity, for the message.

    Raises
    ------
    ParameterError
        It is no finite number.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text)
    else:
        plain = str(text)[:_LONGEST].translate(_SIGNS)
        if _GROUPED.fullmatch(plain):
            grouping = "." if plain.rfind(",") > plain.rfind(".") else ","
            plain = plain.replace(grouping, "")
        if not _NUMBER.fullmatch(plain):
            raise ParameterError(f"{name}: {str(text)[:_LONGEST]!r} is no number; write it as 12.5 or 12,5")
        value = float(plain.replace(",", "."))
    if not math.isfinite(value):
        raise ParameterError(f"{name}: {str(text)[:_LONGEST]!r} is no finite number")
    return value


def written(value: float | None, digits: int = 5) -> str:
    """A number with so many significant digits, as a field shows it; nothing for none."""
    if value is None or not math.isfinite(value):
        return ""
    if value == 0.0:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-3 <= abs(value) < 1e7:
        text = f"{value:.0f}" if abs(value) >= 10.0**digits else f"{value:.{digits}f}"
    return text
