"""Which format a file has: by its content, by its suffix only where the content does not tell."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import PurePath

from xrdsim.curves.columns import Scans, refuse
from xrdsim.curves.formats import bruker, rigaku_archive
from xrdsim.curves.formats.bruker import read_brml
from xrdsim.curves.formats.bruker_raw import read_raw
from xrdsim.curves.formats.bruker_raw4 import read_raw4
from xrdsim.curves.formats.containers import names_of
from xrdsim.curves.formats.nexus import read_nexus
from xrdsim.curves.formats.panalytical import read_xrdml
from xrdsim.curves.formats.philips import read_panalytical_csv, read_udf
from xrdsim.curves.formats.rigaku import read_ras
from xrdsim.curves.formats.rigaku_archive import read_rasx
from xrdsim.curves.formats.seifert import read_nja
from xrdsim.curves.formats.spec import read_spec
from xrdsim.curves.formats.uxd import DATA, read_uxd
from xrdsim.curves.formats.values import EXPORT
from xrdsim.curves.text.reading import read_text

Reader = Callable[[bytes, str], Scans]
SUFFIXES: dict[str, Reader] = {
    ".xrdml": read_xrdml,
    ".ras": read_ras,
    ".rasx": read_rasx,
    ".brml": read_brml,
    ".raw": read_raw,
    ".nxs": read_nexus,
    ".h5": read_nexus,
    ".hdf5": read_nexus,
}
"""Formats that a suffix promises: other content is refused, or read as what it is."""

_HEAD = 4096  # bytes that are looked at
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ARCHIVES: tuple[tuple[str, Reader], ...] = ((bruker.MEMBERS, read_brml), (rigaku_archive.MEMBERS, read_rasx))
_TEXTS: tuple[tuple[str, Reader], ...] = (  # the first that is found at the start of a line
    (r"\*RAS_", read_ras),
    (r"SampleIdent\s*,", read_udf),
    (r"\[Measurement conditions\]|\[Scan points\]", read_panalytical_csv),
    (r"&(?:NumScans|ScanAxis|NoValues)=|#Values\d+\s*$", read_nja),
)


def read_scans(data: bytes, path: PurePath, source: str, step: float | None, columns: tuple[int, ...] | None) -> Scans:
    """All scans of a file, whatever it is.

    Parameters
    ----------
    data, path, source : content and name of the file, and how it is named in messages.
    step : of a single column [arcsec].
    columns : of text, angle and intensity, from 1.
    """
    reader = recognised(data) or SUFFIXES.get(path.suffix.lower())
    if reader is None:
        if data.startswith(b"PK\x03\x04"):
            refuse(source, f"this is a zip archive without a scan, neither .brml nor .rasx, not text; {EXPORT}")
        return read_text(data, source, step, columns)
    if reader is read_spec:
        reader = partial(read_spec, columns=columns)
    elif columns is not None:
        refuse(source, "the file says which of its columns are angle and intensity; leave out --columns")
    if step is not None:
        refuse(source, "the file has an angle column; leave out --step")
    return reader(data, source)


def recognised(data: bytes) -> Reader | None:
    """The reader of what the content is, None of plain text and of what is unknown."""
    if data.startswith(_HDF5):
        return read_nexus
    if data.startswith(b"RAW4.00"):
        return read_raw4
    if data.startswith((b"RAW1.01", b"RAW2", b"RAW ")) or (data.startswith((b"RAW", b"FI")) and b"\0" in data[:512]):
        return read_raw
    if data.startswith(b"PK\x03\x04"):
        names = names_of(data)
        for members, reader in _ARCHIVES:
            if any(re.search(members, name) for name in names):
                return reader
        return None
    head = data[:_HEAD].replace(b"\0", b"").replace(b"\r", b"\n").decode("latin-1")
    if re.search(r"<(?:\w+:)?xrdMeasurements\b", head):
        return read_xrdml
    for pattern, reader in _TEXTS:
        if re.search(rf"^(?:\W{{0,3}})(?:{pattern})", head, re.MULTILINE | re.IGNORECASE):
            return reader
    if re.search(r"^#S \d+ ", head, re.MULTILINE) or (head.startswith("#F ") and b"\n#S " in data):
        return read_spec
    if re.search(r"^_\w+\s*=", head, re.MULTILINE) and _has_range(data):
        return read_uxd
    return None


def _has_range(data: bytes) -> bool:
    text = data.replace(b"\0", b"").replace(b"\r", b"\n").decode("latin-1")
    return any(DATA.match(row) for row in re.findall(r"^_\w+\s*$", text, re.MULTILINE))
