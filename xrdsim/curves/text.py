"""Text of one column (intensity) or two or three (angle, intensity, ignored), read into columns.

Separators, comments, headers of words and decimal commas are recognised; one separator holds for a whole file.
"""

import math
import re
from itertools import dropwhile

import numpy as np

from xrdsim.curves.columns import Columns, refuse

MARK = "# xrdsim curve: angle 0 at the substrate peak, positive toward lower glancing angle"
_COMMENT = ("#", ";", "!", "%", "//")
_LONG = 100_000  # bytes: a longer file with NULs is not looked at line by line
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"


def read_text(data: bytes, source: str, step: float | None, default: float) -> Columns:
    """One scan; ``step`` is that of a single column, ``default`` where it is None."""
    binary = data.startswith((b"RAW", b"FI")) and b"\0" in data[:512]
    if binary or data.startswith(b"PK\x03\x04"):
        what = "a binary .raw file" if binary else "a zip archive, such as .brml or .rasx"
        refuse(source, f"this is {what}, not text; name it .brml if it is one, or export the scan as .xy")
    if len(data) > _LONG and b"\0" in data[:_LONG]:
        refuse(source, "this is a binary file, not text; export the scan as .xy")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for suffix, found in ((".ras", text.startswith("*RAS_")), (".xrdml", "<xrdMeasurements" in text[:4096])):
        if found:
            refuse(source, f"this is a {suffix[1:].upper()} file; name it {suffix}", 1)
    lines = [row.strip() for row in re.split(r"\r\n?|\n", text)]
    used = [(i, row) for i, row in enumerate(lines, start=1) if row and not row.startswith(_COMMENT)]
    body = list(dropwhile(lambda item: _is_header(item[1]), used))
    if not body:
        i, what = (used[0][0], f"{used[0][1][:40]!r} and no numbers") if used else (1, "the file is empty")
        refuse(source, f"{what}; give columns of angle and intensity as plain text", i)
    line, fields = np.array([i for i, _ in body]), _split([row for _, row in body])
    width = len(fields[0])
    for i, row in zip(line, fields, strict=True):
        if len(row) != width or width > 3:
            refuse(source, f"{len(row)} columns; all lines need the same 1 to 3 (the first has {width})", i)
        for field in row[:2]:
            if not math.isfinite(_number(field)):
                refuse(source, f"{field[:40]!r} is no finite number; correct it, or put # before text", i)
    x, y = np.array([[_number(row[0]), _number(row[:2][-1])] for row in fields]).T
    what = f"a {width}-column file"
    if width == 1:
        rows = np.arange(float(y.size))
        return Columns(rows, y, line, what, axis="relative", unit="arcsec", step=step or default)
    if step is not None:
        refuse(source, "the file has an angle column; leave out --step", line[0])
    if lines[0] != MARK:
        return Columns(x, y, line, what)
    zero = [i for i in range(1, x.size - 1) if x[i] == 0.0]  # at an end of the scan 0 is no peak
    return Columns(x, y, line, what, axis="relative", unit="arcsec", peak=zero[0] if zero else None)


def _is_header(row: str) -> bool:
    words = all(math.isnan(_number(field)) for field in re.split(r"[;,\s]+", row))
    return words and not re.match(r"[-+]?(\d*[.,]\d|(nan|inf)\b)", row, re.IGNORECASE)  # nor a misprint


def _number(field: str) -> float:
    return float(field) if re.fullmatch(_NUMBER, field) else math.nan


def _split(rows: list[str]) -> list[list[str]]:
    """Split lines into fields with decimal points; one separator holds for the whole file."""
    rows = [row.rstrip(";, \t") for row in rows]
    text = "\n".join(rows)
    separator = ";" if ";" in text else None
    if "," in text and separator is None:
        first = np.array([_number(row.partition(",")[0]) for row in rows])
        ordered = np.all(first[1:] >= first[:-1]) or np.all(first[1:] <= first[:-1])
        angles = ordered and first[0] != first[-1] and not re.search(r"[ \t]", text)  # lines like 12,5
        if angles or "." in text or re.search(r",[ \t]|[ \t],|,[^,\s]*,", text):
            separator = ","
    if separator != "," and "." not in text:  # beside a point, a comma would group thousands: it is refused
        rows = [row.replace(",", ".") for row in rows]
    return [[field.strip() for field in row.split(separator)] for row in rows]
