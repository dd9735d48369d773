"""RAS files of Rigaku.

They do not say whether attenuation factors are in the intensities: they are read the way in which the curve goes on
where the attenuator changes.
"""

import re

import numpy as np

from xrdsim.curves.columns import Columns, Floats, as_measured, refuse
from xrdsim.curves.values import COUPLED, is_rate, number_of, numbers, plain_name, unit_of


def read_ras(data: bytes, source: str) -> list[Columns]:
    """Scans of a Rigaku text file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp932", errors="replace")
    lines = [row.strip() for row in re.split(r"\r\n?|\n", text)]
    if not lines[0].startswith("*RAS_"):
        what = f"{lines[0][:40]!r} begins no RAS file" if data else "the file is empty"
        refuse(source, f"{what}; copy or export it again, or name columns of text .xy", 1)
    scans: list[Columns] = []
    header: dict[str, str] = {}
    start = None
    for i, row in enumerate(lines):
        if start is not None and row == "*RAS_INT_END":
            rows = [(k + 1, lines[k].split()) for k in range(start, i) if lines[k]]
            scans.append(_ras_scan(rows, header, len(scans) + 1, source))
            start = None
        elif start is not None and (row.startswith("*") or i + 1 == len(lines)):
            refuse(source, "the scan does not end with *RAS_INT_END; copy or export the file again", i + 1)
        elif row == "*RAS_HEADER_START":
            header = {}
        elif row == "*RAS_INT_START":
            start = i + 1
        elif start is None and (entry := re.fullmatch(r'\*(\S+)\s+"?([^"]*)"?', row)):
            header[entry[1]] = entry[2].strip()
    return scans


def _ras_scan(rows: list[tuple[int, list[str]]], header: dict[str, str], number: int, source: str) -> Columns:
    where = f"{source}, scan {number}"
    table = np.ones((len(rows), 3))
    for k, (line, fields) in enumerate(rows):
        if len(fields) not in (2, 3):
            refuse(source, f"{len(fields)} columns; angle, intensity and attenuation factor are needed", line)
        table[k, : len(fields)] = numbers(" ".join(fields), source, line)
        if table[k, 2] <= 0.0:
            refuse(source, f"the attenuation factor {table[k, 2]:g} is not positive; correct it", line)
    points = number_of(header.get("MEAS_DATA_COUNT"))
    if points is not None and points != len(rows):
        refuse(where, f"{len(rows)} of {points:g} points are there; copy or export the file again")
    x, stored, factor = table.T
    name = header.get("MEAS_SCAN_AXIS_X_INTERNAL") or header.get("MEAS_SCAN_AXIS_X") or "an axis without a name"
    plain = plain_name(name)
    columns = Columns(
        x,
        stored,
        np.array([line for line, _ in rows], dtype=np.int64),
        f"scan {number} ({name}) of a RAS file",
        "line",
        number,
        name,
        "omega" if plain == "omega" else "2theta" if plain in COUPLED else None,
        unit_of(header.get("MEAS_SCAN_UNIT_X", "deg"), where),
    )
    step, speed = (number_of(header.get(f"MEAS_SCAN_{key}")) or 0.0 for key in ("STEP", "SPEED"))
    how = header.get("MEAS_SCAN_SPEED_UNIT", "").lower()
    seconds = speed if how.startswith("sec") else 60.0 * step / speed if how == "deg/min" and speed > 0.0 else 0.0
    time = np.full(x.size, seconds) if seconds > 0.0 else None
    rate = is_rate(header.get("MEAS_SCAN_UNIT_Y", "counts"), where)
    return as_measured(columns, factor=factor, corrected=_goes_on(stored, factor), time=time, rate=rate)


def _goes_on(stored: Floats, factor: Floats) -> bool:
    """Whether a curve goes on at the changes of the attenuator as it is stored, better than with the factors."""
    at = np.flatnonzero(np.diff(factor))
    floor = 0.5 * stored[stored > 0.0].min(initial=np.inf)
    if not at.size or not np.isfinite(floor):
        return False
    jumps = [np.sum(np.abs(np.log(y[at + 1] / y[at]))) for y in (np.maximum(stored, floor) * f for f in (1.0, factor))]
    return bool(jumps[0] < jumps[1])
