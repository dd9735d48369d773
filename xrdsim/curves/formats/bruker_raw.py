"""Binary RAW files of Siemens and Bruker: RAW, RAW2 and RAW1.01, which is version 3; RAW4.00 is in ``bruker_raw4``.

All numbers are little-endian; a range of a file is a scan. Of versions 1 and 2 it is not written down which drive was
scanned: the angles are taken for what their values make likely. xylib and GSAS-II read the same places.
"""

from functools import partial

import numpy as np

from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.formats.containers import Record, take
from xrdsim.curves.formats.values import EXPORT, each_scan, goniometer, kind_of, seconds, taken_from
from xrdsim.curves.stated import Stated, wavelength_of

_MOST_SCANS = 10_000
_SCANS3 = {0: "locked coupled", 1: "unlocked coupled", 2: "detector scan", 3: "rocking curve", 4: "chi", 5: "phi"}


def read_raw(data: bytes, source: str) -> Scans:
    """Scans of a binary file of versions 1 to 3."""
    for start, read in ((b"RAW1.01", _version3), (b"RAW2", _version2), (b"RAW ", _version1)):
        if data.startswith(start):
            return read(data, source)
    if data.startswith((b"FI", b"RAW")):
        refuse(source, f"this is a binary .raw file, not text, and none of Bruker's versions 1 to 4; {EXPORT}")
    refuse(source, f"this is no .raw file of Bruker; copy or export it again, or {EXPORT}")


def _version1(data: bytes, source: str) -> Scans:
    parts: list[partial[Columns]] = []
    at, more = 0, True
    while more and len(parts) < _MOST_SCANS:
        where = f"{source}, scan {len(parts) + 1}"
        head = Record(data, at + (4 if data[at : at + 4] == b"RAW " else 0), where)
        steps, more = head.whole("<u4", 0), head.whole("<u4", 148) > 0
        time, step, start = (head.real("<f4", place) for place in (4, 8, 20))
        y = take(data, head.at + 152, steps, 4, where)
        stated = Stated(wavelength=wavelength_of(head.real("<f4", 68)))
        parts.append(partial(scan_of, y, "", start, step, time, None, {}, stated, len(parts) + 1, where))
        at = head.at + 152 + 4 * steps
    return each_scan(parts)


def _version2(data: bytes, source: str) -> Scans:
    file = Record(data, 0, source)
    ratio = file.real("<f4", 198)
    stated = Stated(wavelength=wavelength_of(file.real("<f4", 190)), kalpha2=False if ratio == 0.0 else None)
    parts: list[partial[Columns]] = []
    at = 256
    for number in range(1, file.whole("<u2", 4) + 1):
        where = f"{source}, scan {number}"
        head = Record(data, at, where)
        length, steps = head.whole("<u2", 0), head.whole("<u2", 2)
        if length <= 48:
            refuse(where, f"its header has {length} bytes; copy or export the file again")
        time, step, start = (head.real("<f4", place) for place in (8, 12, 16))
        y = take(data, at + length, steps, 4, where)
        parts.append(partial(scan_of, y, "", start, step, time, None, {}, stated, number, where))
        at += length + 4 * steps
    return each_scan(parts)


def _version3(data: bytes, source: str) -> Scans:
    file = Record(data, 0, source)
    ranges = file.whole("<u4", 12)
    if ranges > _MOST_SCANS:
        refuse(source, f"{ranges} ranges are announced, which no file holds; copy or export it again")
    ratio, status = file.real("<f8", 648), {3: "aborted", 4: "interrupted"}.get(file.whole("<u4", 8))
    parts: list[partial[Columns]] = []
    at = 712
    for number in range(1, ranges + 1):
        where = f"{source}, scan {number}"
        head = Record(data, at, where)
        length, steps = head.whole("<u4", 0), head.whole("<u4", 4)
        if length < 260:
            refuse(where, f"its header has {length} bytes; copy or export the file again")
        theta, two_theta, step = (head.real("<f8", place) for place in (8, 16, 176))
        record, more = max(head.whole("<u4", 252), 4), head.whole("<u4", 256)
        code = head.whole("<u4", 196)
        name = _SCANS3.get(code, f"scan type {code}")
        begin = at + length + more
        y = take(data, begin, steps, record, where)
        used = head.real("<f8", 240)
        first = wavelength_of(file.real("<f8", 624), used)
        stated = Stated(wavelength=first, kalpha2=False if ratio == 0.0 else None)
        rocking = name == "rocking curve"
        fixed = {"2theta": two_theta} if rocking else {"theta": theta}
        axis = "omega" if rocking else "2theta" if "coupled" in name else None
        start = theta if rocking else two_theta
        time = head.real("<f4", 192)
        part = partial(scan_of, y, name, start, step, time, axis, fixed, stated, number, where, status)
        parts.append(part)
        at = begin + record * steps
    return each_scan(parts)


def scan_of(
    y: Floats,
    name: str,
    start: float | None,
    step: float | None,
    time: float | None,
    axis: str | None,
    fixed: dict[str, float | None],
    stated: Stated,
    number: int,
    where: str,
    status: str | None = None,
) -> Columns:
    """One range of equal steps from a start, with the drives that stood still at ``fixed``."""
    if start is None or step is None or not 1e-9 < abs(step) < 360.0 or abs(start) > 1e4:
        refuse(where, f"start and step of the angle are {start} and {step}; copy or export the file again")
    for i in np.flatnonzero(~np.isfinite(y))[:1].tolist():
        refuse(where, f"{y[i]:g} is no finite number; correct it or export the file again", i + 1, "point")
    x = start + step * np.arange(float(y.size))
    drives = {drive: np.full(y.size, place) for drive, place in fixed.items() if place is not None}
    if axis == "omega":
        drives["omega"] = x
    elif axis == "2theta":
        first = fixed.get("theta")
        drives = {"2theta": x} | ({} if first is None else {"theta": first + 0.5 * (x - x[0] if x.size else x)})
    columns = Columns(
        x,
        y,
        np.arange(1, y.size + 1),
        taken_from("a RAW", number, name),
        "point",
        number,
        name,
        axis,
        "deg",
        remarks=() if status is None else (f"the scan is marked {status!r}",),
        stated=Stated(axis=name, kind=kind_of(name, axis), wavelength=stated.wavelength, kalpha2=stated.kalpha2),
        drives=goniometer(drives),
    )
    return as_measured(columns, factor=None, corrected=True, time=seconds(time, y.size), rate=False)
