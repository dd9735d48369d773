"""Binary containers: members of zip archives up to the size that a file may have, numbers at fixed places."""

import io
import re
import zipfile
import zlib

import numpy as np

from xrdsim.curves.columns import Floats, refuse
from xrdsim.curves.formats.values import EXPORT
from xrdsim.limits import LARGEST_FILE

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
Members = dict[str, bytes]


def names_of(data: bytes) -> list[str]:
    """Names in an archive; none if it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.namelist()
    except _BROKEN:
        return []


def unpack(data: bytes, pattern: str, kind: str, source: str) -> Members:
    """Members whose name fits, ordered by the numbers in their names; the sum of their sizes is limited.

    Raises
    ------
    CurveError
        The archive is broken, or unpacks to more than a file may have, whatever its header says.
    """
    members: Members = {}
    left = LARGEST_FILE
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if re.search(pattern, name)]
            for name in sorted(set(names), key=lambda each: [int(digits) for digits in re.findall(r"\d+", each)]):
                with archive.open(name) as member:
                    members[name] = member.read(left + 1)
                left -= len(members[name])
                if left < 0:
                    break
    except _BROKEN:
        what = f"this is no complete {kind} archive" if data else "the file is empty"
        refuse(source, f"{what}; copy or export the file again, or {EXPORT}")
    if left < 0:
        refuse(
            source, f"{list(members)[-1]} unpacks to more than {LARGEST_FILE / 1e6:g} MB, which no scan does; {EXPORT}"
        )
    return members


class Record:
    """Bytes of a file from one place on.

    Parameters
    ----------
    data, at : the file, and where the record begins.
    where : file and scan, for messages.
    """

    def __init__(self, data: bytes, at: int, where: str) -> None:
        self.data, self.at, self.where = data, at, where

    def _value(self, kind: str, place: int) -> float:
        size = np.dtype(kind).itemsize
        begin = self.at + place
        if begin + size > len(self.data):
            refuse(self.where, "the file ends before its scan begins; copy or export it again")
        return np.frombuffer(self.data, kind, 1, begin)[0].item()  # type: ignore[no-any-return]

    def whole(self, kind: str, place: int) -> int:
        """A whole number."""
        return int(self._value(kind, place))

    def real(self, kind: str, place: int) -> float | None:
        """A number, None if it is none or not finite."""
        value = float(self._value(kind, place))
        return value if np.isfinite(value) else None

    def text(self, place: int, size: int) -> str:
        """Letters up to the first NUL."""
        raw = self.data[self.at + place : self.at + place + size]
        return raw.partition(b"\0")[0].decode("latin-1").strip()


def take(data: bytes, at: int, points: int, record: int, where: str) -> Floats:
    """The first float32 of each of the records (n,) of the points."""
    there = max(0, len(data) - at) // record
    if there < points or at > len(data):
        refuse(where, f"{there} of {points} points are there; copy or export the file again")
    rows = np.frombuffer(data, np.uint8, points * record, at).reshape(points, record)
    with np.errstate(invalid="ignore"):  # NaN is refused by those who know the point
        return np.ascontiguousarray(rows[:, :4]).view("<f4")[:, 0].astype(np.float64)
