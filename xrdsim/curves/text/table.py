"""Rows of numbers of a text file: separators, decimal commas, and where one scan ends and the next begins."""

import math
import re
from dataclasses import dataclass

import numpy as np

from xrdsim.curves.columns import Floats, refuse

COMMENT = ("#", ";", "!", "%", "//")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_MISPRINT = re.compile(r"[-+]?(\d*[.,]\d|(nan|inf)\b)|[-+]?\d+[_\dA-Za-z]*\d", re.IGNORECASE)
_ODD = re.compile(r"[^-+\d.eE\s]")
SCAN = 10  # rows that a part must have to be a scan of its own
LONG = 30  # rows from which angles that start again are a scan of their own, without anything between


@dataclass(eq=False)
class Part:
    """Rows that follow each other, and the lines before them.

    Attributes
    ----------
    rows, line : (n,) and where they stand in the file, from 1.
    before : lines before them that hold no numbers, with their places; empty ones, too.
    """

    rows: list[str]
    line: list[int]
    before: list[tuple[int, str]]

    @property
    def words(self) -> list[tuple[int, str]]:
        """Lines before them that are neither empty nor comments."""
        return [(i, row) for i, row in self.before if row and not row.startswith(COMMENT)]


def parts_of(lines: list[str]) -> tuple[list[Part], list[tuple[int, str]]]:
    """Parts of numbers between blank lines, comments and words, and the lines after the last one."""
    parts: list[Part] = []
    between: list[tuple[int, str]] = []
    for i, row in enumerate(lines, start=1):
        if row and not row.startswith(COMMENT) and _is_data(row):
            if between or not parts:
                parts.append(Part([], [], between))
                between = []
            parts[-1].rows.append(row)
            parts[-1].line.append(i)
        else:
            between.append((i, row))
    return parts, between


def _is_data(row: str) -> bool:
    """Whether a row begins with a number, or with a misprint of one."""
    first = re.split(r"[;,\s]+", row.lstrip("\"'"), maxsplit=1)[0].strip("\"'")
    return bool(_NUMBER.fullmatch(first) or _MISPRINT.match(row.lstrip("\"'")))


def split(rows: list[str]) -> list[list[str]]:
    """Split rows into fields with decimal points; one separator holds for all."""
    if any('"' in row or "'" in row for row in rows[:50]):
        rows = [re.sub(r"[\"']", "", row) for row in rows]
    rows = [row.rstrip(";, \t") for row in rows]
    text = "\n".join(rows)
    separator = ";" if ";" in text else None
    if "," in text and separator is None:
        first = np.array([number(row.partition(",")[0]) for row in rows])
        ordered = np.all(first[1:] >= first[:-1]) or np.all(first[1:] <= first[:-1])
        angles = ordered and first[0] != first[-1] and not re.search(r"[ \t]", text)  # lines like 12,5
        if angles or "." in text or re.search(r",[ \t]|[ \t],|,[^,\s]*,", text):
            separator = ","
    if separator != "," and "." not in text:  # beside a point, a comma would group thousands: it is refused
        rows = [row.replace(",", ".") for row in rows]
    if separator is None:
        return [row.split() for row in rows]
    return [[field.strip() for field in row.split(separator)] for row in rows]


def table_of(fields: list[list[str]]) -> Floats:
    """Fields (n, width) as numbers, NaN where they are none."""
    flat = [field for row in fields for field in row]
    if not _ODD.search(" ".join(flat)):
        try:
            values = np.array(list(map(float, flat)))
            return np.where(np.isfinite(values), values, np.nan).reshape(len(fields), -1)
        except ValueError:
            pass  # such as a lone sign
    return np.array([number(field) for field in flat]).reshape(len(fields), -1)


def number(field: str) -> float:
    """A finite number as instruments write it, NaN if it is none."""
    value = float(field) if _NUMBER.fullmatch(field) else math.nan
    return value if math.isfinite(value) else math.nan


def check(fields: list[list[str]], table: Floats, line: list[int], used: tuple[int, ...], source: str) -> None:
    """Refuse the first field of the columns in use that is no finite number."""
    bad = np.flatnonzero(~np.isfinite(table[:, list(used)]).all(axis=1))
    for k in bad[:1].tolist():
        field = next(fields[k][i] for i in used if not math.isfinite(table[k, i]))
        refuse(source, f"{field[:40]!r} is no finite number; correct it, or put # before text", line[k])


def check_footer(after: list[tuple[int, str]], width: int, source: str) -> None:
    """Refuse a line behind the numbers that is a damaged row, not words."""
    for i, row in after:
        fields = re.split(r"[;,\s]+", row.rstrip(";, \t"))
        numbers = [not math.isnan(number(field)) for field in fields]
        odd = re.search(r"\d|[\x00-\x08]", fields[0]) is not None
        if row and not row.startswith(COMMENT) and odd and len(fields) == width and all(numbers[1:]):
            refuse(source, f"{fields[0][:40]!r} is no finite number; correct it, or put # before text", i)


def restarts(x: Floats) -> list[int]:
    """Rows (k,) at which angles start again, or turn back; none if they only come in any order."""
    steps = np.sign(np.diff(x))
    moves = np.flatnonzero(steps != 0.0)
    if x.size < 2 * LONG or not np.isfinite(x).all():
        return []
    turns = moves[1:][steps[moves[1:]] != steps[moves[:-1]]]
    starts: list[int] = []
    for turn in turns.tolist():
        repeated = steps[turn - 1] == 0.0  # the last angle, measured again
        begins = turn if repeated else turn + 1
        if not starts or begins - starts[-1] > 1:
            starts.append(begins)
    return starts if min(np.diff([0, *starts, x.size])) >= LONG else []
