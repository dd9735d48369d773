"""Bytes of a text file as text: UTF-8, UTF-16 with or without a mark, or Latin-1."""

import codecs
import re

from xrdsim.curves.columns import refuse

_LONG = 100_000  # bytes: a longer file with NULs is not looked at line by line
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PART = 0.4  # of the bytes that are NUL at every second place of UTF-16 in Latin letters


def decoded(data: bytes, source: str) -> str:
    """The text.

    Raises
    ------
    CurveError
        It is a long binary file.
    """
    for mark, code in _MARKS.items():
        if data.startswith(mark):
            return data.decode(code, errors="replace")
    head = data[:512]
    for code, at in (("utf-16-le", 1), ("utf-16-be", 0)):
        if len(head) > 8 and head[at::2].count(0) > 2 * _PART * len(head[at::2]) and not head[1 - at :: 2].count(0):
            return data.decode(code, errors="replace")
    if len(data) > _LONG and b"\0" in data[:_LONG]:
        refuse(source, "this is a binary file, not text; export the scan as .xy")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines_of(text: str) -> list[str]:
    """Its lines, without blanks at their ends."""
    return [row.strip() for row in re.split(r"\r\n?|\n", text)]
