"""RAS and RASX files of Rigaku: the same columns as text, and in a zip archive.

They do not say whether attenuation factors are in the intensities. Whole numbers were counted and contain none unless
all of them are multiples of the factor; of others the curve goes on where the attenuator changes, the right way.
"""

import re
from functools import partial

import numpy as np

from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.formats.values import (
    COUPLED,
    EXPORT,
    each_scan,
    is_rate,
    kind_of,
    number_of,
    numbers,
    plain_name,
    seconds,
    taken_from,
    unit_of,
)
from xrdsim.curves.stated import Stated, wavelength_of

Header = dict[str, str]
Rows = list[tuple[int, list[str]]]
_ENOUGH = 3  # points under the attenuator from which multiples of its factor are no chance
_TURNS = {"omega": "omega", "theta": "omega", "omega2theta": "omega", "2thetaomega": "2theta", "2thetatheta": "2theta"}


def read_ras(data: bytes, source: str) -> Scans:
    """Scans of a Rigaku text file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp932", errors="replace")
    lines = [row.strip() for row in re.split(r"\r\n?|\n", text)]
    if not lines[0].startswith("*RAS_"):
        what = f"{lines[0][:40]!r} begins no RAS file" if data else "the file is empty"
        refuse(source, f"{what}; copy or export it again, or name columns of text .xy", 1)
    parts: list[partial[Columns]] = []
    header: Header = {}
    start = None
    for i, row in enumerate(lines):
        if start is not None and row == "*RAS_INT_END":
            rows = [(k + 1, lines[k].split()) for k in range(start, i) if lines[k]]
            parts.append(partial(scan_of, rows, header, len(parts) + 1, "RAS", source))
            start = None
        elif start is not None and (row.startswith("*") or i + 1 == len(lines)):
            refuse(source, "the scan does not end with *RAS_INT_END; copy or export the file again", i + 1)
        elif row == "*RAS_HEADER_START":
            header = {}
        elif row == "*RAS_INT_START":
            start = i + 1
        elif start is None and (entry := re.fullmatch(r'\*(\S+)\s+"?([^"]*)"?', row)):
            header[entry[1]] = entry[2].strip()
    return each_scan(parts)


def scan_of(rows: Rows, header: Header, number: int, form: str, source: str) -> Columns:
    """One scan of its rows, with their lines, and its header."""
    where = f"{source}, scan {number}"
    table = _table(rows, source)
    points = number_of(header.get("MEAS_DATA_COUNT"))
    if points is not None and points != len(rows):
        refuse(where, f"{len(rows)} of {points:g} points are there; copy or export the file again")
    x, stored, factor = table.T
    name = header.get("MEAS_SCAN_AXIS_X_INTERNAL") or header.get("MEAS_SCAN_AXIS_X") or ""
    if not name and form == "RAS":
        name = "an axis without a name"
    plain = plain_name(name)
    axis = _TURNS.get(plain, "2theta" if plain in COUPLED else None)
    columns = Columns(
        x,
        stored,
        np.array([line for line, _ in rows], dtype=np.int64),
        taken_from(f"a {form}", number, name),
        "line",
        number,
        name,
        axis,
        unit_of(header.get("MEAS_SCAN_UNIT_X", "deg"), where),
        stated=Stated(
            axis=name,
            kind=kind_of(name, axis),
            wavelength=wavelength_of(number_of(header.get("HW_XG_WAVE_LENGTH_ALPHA1"))),
        ),
        drives=_fixed(header, x, axis),
    )
    step, speed = (number_of(header.get(f"MEAS_SCAN_{key}")) or 0.0 for key in ("STEP", "SPEED"))
    how = header.get("MEAS_SCAN_SPEED_UNIT", "").lower()
    each = speed if how.startswith("sec") else 60.0 * step / speed if how == "deg/min" and speed > 0.0 else 0.0
    rate = is_rate(header.get("MEAS_SCAN_UNIT_Y", "counts"), where)
    time = seconds(each, x.size)
    return as_measured(columns, factor=factor, corrected=_contained(stored, factor), time=time, rate=rate)


def _table(rows: Rows, source: str) -> Floats:
    """Angle, intensity and attenuation factor (n, 3)."""
    table = np.ones((len(rows), 3))
    try:
        if {len(fields) for _, fields in rows} == {3}:
            table = np.array([list(map(float, fields)) for _, fields in rows])
            if np.isfinite(table).all() and (table[:, 2] > 0.0).all():
                return table
    except ValueError:
        pass  # the place is found below
    table = np.ones((len(rows), 3))
    for k, (line, fields) in enumerate(rows):
        if len(fields) not in (2, 3):
            refuse(source, f"{len(fields)} columns; angle, intensity and attenuation factor are needed; {EXPORT}", line)
        table[k, : len(fields)] = numbers(" ".join(fields), source, line)
        if table[k, 2] <= 0.0:
            refuse(source, f"the attenuation factor {table[k, 2]:g} is not positive; correct it", line)
    return table


def _fixed(header: Header, x: Floats, axis: str | None) -> dict[str, Floats]:
    """ω and 2θ (n,) as far as they are known: the scanned one, and the other where it stood still."""
    found: dict[str, Floats] = {}
    for key, value in header.items():
        if at := re.fullmatch(r"MEAS_COND_AXIS_NAME_INTERNAL-(\d+)", key):
            place = number_of(header.get(f"MEAS_COND_AXIS_POSITION-{at[1]}"))
            drive = {"omega": "omega", "theta": "omega", "2theta": "two_theta"}.get(plain_name(value))
            if place is not None and drive is not None:
                found[drive] = np.full(x.size, place)
    scanned = {"omega": "omega", "2theta": "two_theta"}.get(axis or "")
    if scanned is not None and header.get("MEAS_SCAN_UNIT_X", "deg") == "deg":
        coupled = kind_of(header.get("MEAS_SCAN_AXIS_X_INTERNAL", ""), axis) == "coupled"
        found = {drive: values for drive, values in found.items() if not coupled} | {scanned: x}
    return found


def _contained(stored: Floats, factor: Floats) -> bool:
    """Whether the stored intensities contain the attenuation factors."""
    under = (np.abs(factor - 1.0) > 1e-9) & (stored > 0.0)
    if np.sum(under) >= _ENOUGH:
        off = np.abs(stored - np.rint(stored))
        counts = stored[under] / factor[under]
        rounded = (
            np.where(np.abs(factor[under] - np.rint(factor[under])) < 1e-9, 1e-6, 0.5) / factor[under] + 1e-6 * counts
        )
        if np.all(np.abs(counts - np.rint(counts)) <= rounded):
            return True
        if np.all(off < 1e-6):
            return False
    return _goes_on(stored, factor)


def _goes_on(stored: Floats, factor: Floats) -> bool:
    """Whether a curve goes on at the changes of the attenuator as it is stored, better than with the factors."""
    at = np.flatnonzero(np.diff(factor))
    floor = 0.5 * stored[stored > 0.0].min(initial=np.inf)
    if not at.size or not np.isfinite(floor):
        return False
    jumps = [np.sum(np.abs(np.log(y[at + 1] / y[at]))) for y in (np.maximum(stored, floor) * f for f in (1.0, factor))]
    return bool(jumps[0] < jumps[1])
