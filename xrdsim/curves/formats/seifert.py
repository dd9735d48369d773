"""NJA files of Seifert: ``&Key=value`` in sections that begin with #, and pairs of angle and intensity."""

import re
from functools import partial

import numpy as np

from xrdsim.curves.columns import Columns, Scans, as_measured, refuse
from xrdsim.curves.formats.values import each_scan, goniometer, number_of, numbers, seconds, taken_from
from xrdsim.curves.stated import Stated, wavelength_of
from xrdsim.curves.text.decoding import decoded, lines_of

Keys = dict[str, str]
_DRIVES = {"o": "omega", "t": "2theta"}  # letters of the drives that turn crystal and detector


def read_nja(data: bytes, source: str) -> Scans:
    """Scans of a Seifert text file."""
    lines = lines_of(decoded(data, source))
    parts: list[partial[Columns]] = []
    common: Keys = {}
    keys: Keys = {}
    axes: dict[str, Keys] = {}
    i = 0
    while i < len(lines):
        row = lines[i]
        i += 1
        if re.match(r"#Scan\w*Parameter", row, re.IGNORECASE):
            common, keys, axes = common or keys, {}, {}
        if not re.match(r"#Values\d*", row, re.IGNORECASE):
            found = dict(re.findall(r"&(\w+)=(\S*)", row))
            if "Axis" in found:
                axes[found["Axis"].lower()] = found
            keys |= {key: value for key, value in found.items() if key != "Axis" and "Axis" not in found}
            continue
        rows = []
        while i < len(lines) and not lines[i].startswith("#"):
            if lines[i].startswith("&"):
                keys |= dict(re.findall(r"&(\w+)=(\S*)", lines[i]))
            elif lines[i]:
                rows.append((i + 1, lines[i]))
            i += 1
        parts.append(partial(_scan, rows, common | keys, dict(axes), len(parts) + 1, source))
    return each_scan(parts)


def _scan(rows: list[tuple[int, str]], keys: Keys, axes: dict[str, Keys], number: int, source: str) -> Columns:
    where = f"{source}, scan {number}"
    table = np.empty((len(rows), 2))
    for k, (line, row) in enumerate(rows):
        values = numbers(row.replace(",", "."), source, line)
        if values.size != 2:
            refuse(source, f"{values.size} values; angle and intensity are needed; copy or export it again", line)
        table[k] = values
    points = number_of(keys.get("NoValues"))
    if points is not None and points != len(rows):
        refuse(where, f"{len(rows)} of {points:g} points are there; copy or export the file again")
    letters = keys.get("ScanAxis", "").lower()
    x, y = table.T
    driven = {_DRIVES[each] for each in letters if each in _DRIVES}
    coupled = len(driven) == 2
    scanned = "2theta" if "2theta" in driven else "omega" if driven else ""
    name = {"omega": "Omega", "2theta": "Omega/2Theta" if coupled else "2Theta"}.get(scanned, keys.get("ScanAxis", ""))
    axis = None if scanned == "2theta" and not coupled else scanned or None
    drives = {} if not scanned else {scanned: x}
    for letter, drive in _DRIVES.items():
        place = number_of(axes.get(letter, {}).get("Pos"))
        if drive not in driven and place is not None:
            drives[drive] = np.full(x.size, place)
    time = number_of(keys.get("Time") or next((each["Time"] for each in axes.values() if "Time" in each), None))
    columns = Columns(
        x,
        y,
        np.array([line for line, _ in rows], dtype=np.int64),
        taken_from("an NJA", number, name),
        "line",
        number,
        name,
        axis,
        "deg",
        stated=Stated(
            axis=name,
            kind="coupled" if coupled else "rocking" if axis == "omega" else None,
            wavelength=wavelength_of(number_of(keys.get("Wavelength")), number_of(keys.get("WaveLength"))),
        ),
        drives=goniometer(drives),
    )
    return as_measured(columns, factor=None, corrected=True, time=seconds(time, x.size), rate=False)
