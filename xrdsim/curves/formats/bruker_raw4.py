"""RAW4.00 files of Bruker: a chain of records of a kind and a length, in which ranges stand between."""

from functools import partial

from xrdsim.curves.columns import Columns, Scans, refuse
from xrdsim.curves.formats.bruker_raw import scan_of
from xrdsim.curves.formats.containers import Record, take
from xrdsim.curves.formats.values import EXPORT, each_scan, plain_name
from xrdsim.curves.stated import Stated, wavelength_of

_FIRST = 61  # byte of the first record
_RANGE = (0, 160)  # kinds of record that begin a range
_HEADER = 160  # bytes of the header of a range
_SOURCE, _DRIVE = 30, 50  # kinds of record: the beam, and where a drive stood


def read_raw4(data: bytes, source: str) -> Scans:
    """Scans of a binary file of version 4."""
    stated = Stated()
    parts: list[partial[Columns]] = []
    at = _FIRST
    while at + 8 <= len(data):
        where = f"{source}, scan {len(parts) + 1}"
        record = Record(data, at, where)
        kind, length = record.whole("<u4", 0), record.whole("<u4", 4)
        if kind in _RANGE:
            steps, size, more = (record.whole("<u4", place) for place in (88, 136, 140))
            begin = at + _HEADER + more
            end = begin + max(size, 4) * steps
            if end > len(data):
                take(data, begin, steps, max(size, 4), where)
            parts.append(partial(_range, data, at, stated, len(parts) + 1, where))
            at = end
            continue
        if length < 8:
            refuse(where, f"a record has {length} bytes; copy or export the file again")
        if kind == _SOURCE and length >= 112:
            ratio = record.real("<f8", 104)
            first = wavelength_of(record.real("<f8", 80))
            stated = Stated(wavelength=first, kalpha2=False if ratio == 0.0 else None)
        at += length
    return each_scan(parts)


def _range(data: bytes, at: int, stated: Stated, number: int, where: str) -> Columns:
    head = Record(data, at, where)
    name = head.text(32, 24)
    start, step = head.real("<f8", 72), head.real("<f8", 80)
    steps, size, more = (head.whole("<u4", place) for place in (88, 136, 140))
    plain = plain_name(name)
    if "psd" in plain or size > 4096:
        refuse(where, f"a scan of a line detector ({name}) is no curve of one counter; {EXPORT}")
    axis = "omega" if plain.startswith("rocking") else "2theta" if "coupled" in plain else None
    y = take(data, at + _HEADER + more, steps, max(size, 4), where)
    drives = _drives(data, at + _HEADER, more, where)
    kept = {"2theta": drives.get("2theta")} if axis == "omega" else {"theta": drives.get("theta")}
    time = head.real("<f4", 92)
    return scan_of(y, name, start, step, time, axis, kept, stated, number, where)


def _drives(data: bytes, at: int, size: int, where: str) -> dict[str, float | None]:
    """Where the drives stood at the start of a range, by their plain names."""
    found: dict[str, float | None] = {}
    end = at + size
    while at + 64 <= end:
        record = Record(data, at, where)
        length = record.whole("<u4", 4)
        if length < 8:
            break
        if record.whole("<u4", 0) == _DRIVE and length >= 64:
            found[plain_name(record.text(12, 24))] = record.real("<f8", 56)
        at += length
    return found
