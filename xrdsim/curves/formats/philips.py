"""UDF files of Philips, and the CSV files that PANalytical's programs export."""

import csv
import re
from functools import partial

import numpy as np

from xrdsim.curves.columns import Columns, Scans, as_measured, refuse
from xrdsim.curves.formats.values import (
    COUPLED,
    EXPORT,
    each_scan,
    kind_of,
    number_of,
    numbers,
    plain_name,
    scanned,
    seconds,
    taken_from,
)
from xrdsim.curves.stated import Stated, wavelength_of
from xrdsim.curves.text.decoding import decoded, lines_of

Keys = dict[str, str]


def read_udf(data: bytes, source: str) -> Scans:
    """The scan of a Philips file: ``Key, value, /`` and intensities from ``RawScan`` to a slash."""
    return each_scan([partial(_udf_scan, lines_of(decoded(data, source)), source)])


def _udf_scan(lines: list[str], source: str) -> Columns:
    keys: Keys = {}
    begin = next((i for i, row in enumerate(lines) if row.lower() in ("rawscan", "rawscan,/")), None)
    if begin is None:
        refuse(source, f"there is no RawScan; copy or export the file again, or {EXPORT}")
    for row in lines[:begin]:
        fields = [field.strip() for field in row.rstrip("/").rstrip(", ").split(",")]
        keys[fields[0].lower()] = ",".join(fields[1:])
    values, line, ended = [], [], False
    for i, row in enumerate(lines[begin + 1 :], start=begin + 2):
        part, slash, _ = row.partition("/")
        values.append(numbers(part.replace(",", " "), source, i))
        line += [i] * values[-1].size
        ended = bool(slash)
        if ended:
            break
    if not ended:
        refuse(source, "the scan does not end with a slash; copy or export the file again", len(lines))
    y = np.concatenate(values)
    ends, step = numbers(keys.get("dataanglerange", "").replace(",", " "), source), number_of(keys.get("scanstepsize"))
    if not ends.size or step is None or step == 0.0:
        refuse(source, f"DataAngleRange or ScanStepSize is missing, so the angles are unknown; {EXPORT}")
    if ends.size == 2 and abs(round((ends[1] - ends[0]) / step) + 1 - y.size) > 1:
        refuse(source, f"{y.size} points do not fill {ends[0]:g} … {ends[1]:g}; copy or export the file again")
    name = keys.get("scanaxis", "") or "Gonio"
    plain = plain_name(name)
    axis = "omega" if plain in ("omega", "theta") else "2theta" if plain in COUPLED else None
    x = ends[0] + step * np.arange(y.size)
    ratio = number_of(keys.get("ratioalpha21"))
    columns = Columns(
        x,
        y,
        np.array(line, dtype=np.int64),
        f"scan 1 ({name}) of a UDF file",
        "line",
        1,
        name,
        axis,
        "deg",
        remarks=() if "scanaxis" in keys else ("the file names no axis: 2θ of a coupled scan",),
        stated=Stated(
            axis=name,
            kind=kind_of(name, axis),
            wavelength=wavelength_of(number_of(keys.get("labdaalpha1"))),
            kalpha2=False if ratio == 0.0 else None,
        ),
        drives=scanned(x, axis),
    )
    time = seconds(number_of(keys.get("scansteptime", "").split(",")[0]), y.size)
    return as_measured(columns, factor=None, corrected=False, time=time, rate=False)


def read_panalytical_csv(data: bytes, source: str) -> Scans:
    """Scans of an export with ``[Measurement conditions]`` and ``[Scan points]``."""
    keys: Keys = {}
    parts: list[partial[Columns]] = []
    rows: list[tuple[int, list[str]]] | None = None
    lines = lines_of(decoded(data, source))
    separator = ";" if any(re.match(r"angle\s*;", row, re.IGNORECASE) for row in lines) else ","
    for i, row in enumerate([*lines, "[End]"], start=1):
        if row.startswith("["):
            if rows:
                parts.append(partial(_csv_scan, rows, dict(keys), len(parts) + 1, source))
            rows = [] if row.lower().startswith("[scan points]") else None
        elif row:
            fields = next(csv.reader([row], delimiter=separator))
            if rows is None:
                keys[plain_name(fields[0])] = fields[1].strip() if len(fields) > 1 else ""
            else:
                rows.append((i, fields))
    if not parts:
        refuse(source, f"[Scan points] are not there; copy or export the file again, or {EXPORT}")
    return each_scan(parts)


def _csv_scan(rows: list[tuple[int, list[str]]], keys: Keys, number: int, source: str) -> Columns:
    names = [plain_name(field) for field in rows[0][1]]
    intensity = next((k for k, name in enumerate(names) if name.startswith(("intensity", "counts", "cps"))), None)
    if intensity is None or not names[0].startswith(("angle", "2theta", "omega", "position")):
        refuse(source, f"{','.join(rows[0][1])[:40]!r} names no columns Angle and Intensity; {EXPORT}", rows[0][0])
    x, y = np.empty(len(rows) - 1), np.empty(len(rows) - 1)
    for k, (line, fields) in enumerate(rows[1:]):
        if len(fields) <= intensity:
            refuse(source, f"{len(fields)} columns; angle and intensity are needed; copy or export it again", line)
        pair = numbers(" ".join(fields[i].replace(",", ".") or "-" for i in (0, intensity)), source, line)
        if pair.size != 2:
            refuse(source, f"{','.join(fields)[:40]!r} is no angle and intensity; correct it or export it again", line)
        x[k], y[k] = pair
    name = keys.get("scanaxis", "")
    plain = plain_name(name)
    axis = "omega" if plain in ("omega", "theta") else "2theta" if plain in COUPLED else None
    per_second = "cps" in names[intensity] or "sec" in names[intensity]
    columns = Columns(
        x,
        y,
        np.array([line for line, _ in rows[1:]], dtype=np.int64),
        taken_from("a PANalytical CSV", number, name),
        "line",
        number,
        name,
        axis,
        "deg",
        counted=True,
        stated=Stated(
            axis=name,
            kind=kind_of(name, axis),
            wavelength=wavelength_of(number_of(keys.get("kalpha1wavelength")), number_of(keys.get("kalpha1"))),
        ),
        drives=scanned(x, axis),
    )
    time = seconds(number_of(keys.get("timeperstep") or keys.get("scansteptime")), x.size)
    return as_measured(columns, factor=None, corrected=True, time=time, rate=per_second)
