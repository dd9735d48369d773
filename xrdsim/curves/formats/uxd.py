"""UXD files of Bruker: ``_KEY=value`` before each range, then intensities in equal steps or with their angles."""

import re
from functools import partial

import numpy as np

from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.formats.values import (
    EXPORT,
    each_scan,
    goniometer,
    kind_of,
    number_of,
    numbers,
    plain_name,
    seconds,
    taken_from,
)
from xrdsim.curves.stated import Stated, wavelength_of
from xrdsim.curves.text.decoding import decoded, lines_of

DATA = re.compile(r"_(2THETA|THETA|OMEGA|PHI|CHI|X|Y|Z)?(COUNTS|CPS|COUNT)(TIME)?\s*$", re.IGNORECASE)
Keys = dict[str, str]
_AXES = {"theta": "omega", "omega": "omega", "rocking": "omega", "rockingcurve": "omega", "coupled": "2theta"}
_AXES |= {"2thetatheta": "2theta", "lockedcoupled": "2theta", "unlockedcoupled": "2theta"}


def read_uxd(data: bytes, source: str) -> Scans:
    """Scans of a UXD file."""
    lines = lines_of(decoded(data, source))
    parts: list[partial[Columns]] = []
    common: Keys = {}
    keys: Keys = {}
    i = 0
    while i < len(lines):
        row = lines[i]
        if found := DATA.match(row):
            begin = i + 1
            i = begin
            while i < len(lines) and not lines[i].startswith("_"):
                i += 1
            rows = [(k + 1, lines[k]) for k in range(begin, i) if lines[k] and not lines[k].startswith(";")]
            parts.append(partial(_scan, rows, common | keys, found, begin, len(parts) + 1, source))
            common = common or {key: value for key, value in keys.items() if key.startswith(("WL", "ANODE"))}
            keys = {}
            continue
        if entry := re.fullmatch(r"_(\w+)\s*=\s*(.*)", row):
            keys[entry[1].upper()] = entry[2].strip().strip("'\"").strip()
        i += 1
    return each_scan(parts)


def _scan(rows: list[tuple[int, str]], keys: Keys, found: re.Match[str], at: int, number: int, source: str) -> Columns:
    where = f"{source}, scan {number}"
    timed = 2 if found[3] else 1
    fields = [(line, row.replace(",", " ")) for line, row in rows]
    values = [numbers(row, source, line) for line, row in fields]
    drive = keys.get("DRIVE", "")
    name = drive or {"2theta": "2Theta", "theta": "Theta"}.get((found[1] or "").lower(), found[1] or "")
    plain = plain_name(name)
    if found[1]:
        for (line, _), each in zip(fields, values, strict=True):
            if each.size != 1 + timed:
                refuse(source, f"{each.size} values; angle and intensity are needed; copy or export it again", line)
        table = np.array(values).reshape(-1, 1 + timed)
        x, y, lines = table[:, 0], table[:, 1], [line for line, _ in fields]
    else:
        table = np.concatenate(values).reshape(-1, 1) if values else np.empty((0, 1))
        y = table[:, 0]
        lines = [line for (line, _), each in zip(fields, values, strict=True) for _ in range(each.size)]
        start, step = number_of(keys.get("START")), number_of(keys.get("STEPSIZE"))
        if start is None or step is None or step == 0.0:
            refuse(where, f"_START or _STEPSIZE is missing, so the angles are unknown; {EXPORT}", None)
        x = start + step * np.arange(float(y.size))
    points = number_of(keys.get("STEPCOUNT"))
    if points is not None and points != y.size:
        refuse(where, f"{y.size} of {points:g} points are there; copy or export the file again")
    axis = _AXES.get(plain, "2theta" if plain == "2theta" and (found[1] or not drive) else None)
    first, ratio = number_of(keys.get("WL1")), number_of(keys.get("WLRATIO"))
    columns = Columns(
        x,
        y,
        np.array(lines, dtype=np.int64),
        taken_from("a UXD", number, name),
        "line",
        number,
        name,
        axis,
        "deg",
        stated=Stated(
            axis=name,
            kind=kind_of(name, axis),
            wavelength=wavelength_of(first),
            kalpha2=False if ratio == 0.0 else None,
        ),
        drives=goniometer(_places(keys, x, axis)),
    )
    time = seconds(number_of(keys.get("STEPTIME")), y.size)
    if found[3] and table.shape[1] > 2 - (not found[1]):
        time = table[:, -1] if (table[:, -1] > 0.0).all() else time
    return as_measured(columns, factor=None, corrected=False, time=time, rate=found[2].upper() == "CPS")


def _places(keys: Keys, x: Floats, axis: str | None) -> dict[str, Floats]:
    """The scanned drive, and the other one where it stood still."""
    found: dict[str, Floats] = {}
    if axis == "omega":
        place = number_of(keys.get("2THETA"))
        found = {"omega": x} | ({} if place is None else {"2theta": np.full(x.size, place)})
    elif axis == "2theta":
        found = {"2theta": x}
    return found
