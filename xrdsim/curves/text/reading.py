"""Text: one column (intensity), or angle and intensity among several, in one scan or in several below each other.

Separators, quotes, comments, headers, footers, numbers of points and decimal commas are recognised; one separator
holds for a whole file.
"""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.stated import Stated
from xrdsim.curves.text.choice import chosen, counts_up
from xrdsim.curves.text.decoding import decoded, lines_of
from xrdsim.curves.text.headers import Header, header_of
from xrdsim.curves.text.table import LONG, SCAN, Part, check, check_footer, parts_of, restarts, split, table_of

MARK = "# xrdsim curve: angle 0 at the substrate peak, positive toward lower glancing angle"
DEFAULT_STEP = 4.018235972
"""Angle [arcsec] between the points of a file without an angle column."""
_LEAD = 5  # rows of which the first ones may be numbers of another kind
_DELTA = re.compile(r"(?:delta|diff|Δ|∆|\bd)[ _-]*(?:2|two)[ _-]*(?:th|θ)", re.IGNORECASE)


def read_text(data: bytes, source: str, step: float | None = None, columns: tuple[int, ...] | None = None) -> Scans:
    """Scans of a text file; ``step`` is that of a single column, ``columns`` are angle and intensity, from 1."""
    lines = lines_of(decoded(data, source))
    parts, after = parts_of(lines)
    if not parts:
        used = [(i, row) for i, row in after if row and not row.startswith(("#", ";", "!", "%", "//"))]
        i, what = (used[0][0], f"{used[0][1][:40]!r} and no numbers") if used else (1, "the file is empty")
        refuse(source, f"{what}; give columns of angle and intensity as plain text", i)
    parts = _without_preamble(parts)
    fields = split([row for part in parts for row in part.rows])
    width = len(fields[0])
    for part in parts[1:]:
        short = len(part.rows) < SCAN or len(parts[0].rows) < SCAN
        for i, row in part.words:
            if short:
                _refuse_width(len(re.split(r"[;,\s]+", row)), width, i, source)
    places = [i for part in parts for i in part.line]
    for each, i in zip(fields, places, strict=True):
        if len(each) != width:
            _refuse_width(len(each), width, i, source)
    check_footer(after, width, source)
    table = table_of(fields)
    first = _words(parts[0])
    marked = bool(lines) and lines[0] == MARK
    scans: Scans = []
    for begin, end, words in _scans_of(parts, table, 0 if width == 1 or columns is None else columns[0] - 1):
        line = places[begin:end]
        header = header_of(words if words == first else first + words, width)
        angle, intensity = chosen(table[begin:end], header.names, columns, source, line[0])
        needed = (intensity,) if angle is None else (angle, intensity)
        check(fields[begin:end], table[begin:end], line, needed, source)
        part_of = (table[begin:end, intensity], np.array(line, dtype=np.int64), width, len(scans) + 1)
        if angle is None:
            scans.append(_single(*part_of, header, step, source))
        else:
            if step is not None:
                refuse(source, "the file has an angle column; leave out --step", line[0])
            scans.append(_pair(table[begin:end, angle], *part_of, header, angle, marked, columns is not None))
    return scans


def _refuse_width(found: int, width: int, line: int, source: str) -> None:
    refuse(source, f"{found} columns; all lines need the same number of them (the first has {width})", line)


def _words(part: Part) -> list[str]:
    return [row.lstrip("#;!%/ \t") for _, row in part.before if row]


def _without_preamble(parts: list[Part]) -> list[Part]:
    """Without a few rows of another width before the scan, such as start, step and end: they become its words."""
    widths = list(map(len, split([row for part in parts for row in part.rows])))
    usual = Counter(widths).most_common(1)[0][0]
    if usual == widths[0]:
        return parts
    before: list[tuple[int, str]] = []
    kept, begin = list(parts), 0
    while len(kept) > 1 and len(kept[0].rows) < SCAN and usual not in widths[begin : begin + len(kept[0].rows)]:
        part = kept.pop(0)
        before += [*part.before, *zip(part.line, part.rows, strict=True)]
        begin += len(part.rows)
    head = kept[0]
    lead = next((k for k, width in enumerate(widths[begin : begin + _LEAD]) if width == usual), 0)
    if lead and len(head.rows) - lead >= SCAN:
        before += [*head.before, *zip(head.line[:lead], head.rows[:lead], strict=True)]
        head = Part(head.rows[lead:], head.line[lead:], [])
    return [Part(head.rows, head.line, [*before, *head.before]), *kept[1:]]


def _scans_of(parts: list[Part], table: Floats, angle: int) -> list[tuple[int, int, list[str]]]:
    """Begin, end and words of each scan."""
    single = table.shape[1] == 1
    angles = next((i for i in range(table.shape[1]) if not counts_up(table[:, i])), 0) if angle == 0 else angle
    ends = np.cumsum([len(part.rows) for part in parts]).tolist()
    found: list[tuple[int, int, list[str]]] = []
    begin, words = 0, _words(parts[0])
    for part, next_part, end, last in zip(parts, [*parts[1:], None], ends, [*ends[1:], ends[-1]], strict=True):
        if next_part is None:
            found += _restarted(begin, end, words, table[:, angles], single)
            break
        enough = min(len(part.rows), len(next_part.rows)) >= (LONG if single or next_part.words else SCAN)
        blank = any(not row for _, row in next_part.before)
        apart = blank if single else not _continues(table[begin:end, angles], table[end:last, angles])
        if enough and (apart or next_part.words):
            found += _restarted(begin, end, words, table[:, angles], single)
            begin, words = end, _words(next_part)
    return found


def _continues(x: Floats, y: Floats) -> bool:
    """Whether angles go on beyond the last one in the same direction."""
    way = np.sign(x[-1] - x[0])
    return bool(np.all((y - x[-1]) * way > 0.0))


def _restarted(begin: int, end: int, words: list[str], x: Floats, single: bool) -> list[tuple[int, int, list[str]]]:
    starts = [] if single else restarts(x[begin:end])
    edges = [begin, *(begin + start for start in starts), end]
    return [(one, two, words) for one, two in pairwise(edges)]


def _single(
    y: Floats, line: NDArray[np.int64], width: int, number: int, header: Header, step: float | None, source: str
) -> Columns:
    """A scan of intensities in equal steps."""
    if step is None and header.step is None and header.unread:
        what = f"{header.unread[:60]!r} of the header was not understood, and no step of the angle is known"
        refuse(source, f"{what}; give --step in arcsec", int(line[0]))
    known = "the step is that of the header" if header.step is not None else "whose step is not in the file but assumed"
    remarks = (known,) if step is None else ()
    columns = Columns(
        np.arange(float(y.size)),
        y,
        line,
        f"a {width}-column file",
        number=number,
        axis="relative",
        unit="arcsec",
        step=step or header.step or DEFAULT_STEP,
        counted=not header.rate,
        remarks=remarks,
        stated=Stated(wavelength=header.wavelength),
    )
    return _timed(columns, header)


def _pair(
    x: Floats,
    y: Floats,
    line: NDArray[np.int64],
    width: int,
    number: int,
    header: Header,
    angle: int,
    marked: bool,
    said: bool,
) -> Columns:
    """A scan of angles and intensities."""
    columns = Columns(x, y, line, f"a {width}-column file", number=number, counted=not header.rate)
    if marked:
        zero = [i for i in range(1, x.size - 1) if x[i] == 0.0]  # at an end of the scan 0 is no peak
        return replace(columns, axis="relative", unit="arcsec", peak=zero[0] if zero else None, marked=True)
    name = header.names[angle] if header.names else ""
    numbered = width == 2 and not said and not name and header.unit is None and counts_up(x)
    stated = Stated(wavelength=header.wavelength, axis=name)
    if _DELTA.search(name):
        columns = replace(columns, factor=0.5, remarks=("the angles are halved, as those of the detector",))
    columns = replace(columns, unit=header.unit, hint=_hint(name), numbered=numbered, stated=stated)
    return _timed(columns, header)


def _timed(columns: Columns, header: Header) -> Columns:
    """With the counting time that a header gives."""
    columns = replace(columns, time=header.time)
    if not header.rate:
        return columns
    time = None if header.time is None or header.time <= 0.0 else np.full(columns.angle.size, header.time)
    return as_measured(columns, factor=None, corrected=True, time=time, rate=True)


def _hint(name: str) -> str | None:
    """Kind of an absolute angle of this name."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower().replace("θ", "theta").replace("ω", "omega").replace("two", "2"))
    if re.search(r"2th|tth", plain):
        return "2theta"
    return "omega" if re.search(r"omega|theta|^th|^om", plain) else None
