"""SPEC files of beamlines: scans that begin with ``#S``, named columns in ``#L``.

http://www.certif.com/spec_manual/user_1_4_1.html describes them.
"""

import re
from functools import partial

import numpy as np

from xrdsim.curves.columns import Columns, Scans, as_measured, refuse
from xrdsim.curves.formats.values import each_scan, number_of, numbers, scanned, seconds
from xrdsim.curves.stated import Stated, hkl_of, wavelength_of
from xrdsim.curves.text.choice import chosen
from xrdsim.curves.text.decoding import decoded, lines_of

_OMEGA = r"omega|om|th|theta|eta|phi_?incident|mu|samth|rock\w*"
_TWO_THETA = r"2theta|two_?theta|tth|2th|del|delta|nu|gamma"
_TIME = r"seconds|sec|time|exposure|ctime|count_?time"
_OTHER = re.compile(rf"(?:{_TIME}|epoch|mon\w*|i0|h|k|l|energy|cur\w*|sr\w*|temp\w*|trans\w*|filters?|att\w*)", re.I)


def read_spec(data: bytes, source: str, columns: tuple[int, ...] | None = None) -> Scans:
    """Scans of a SPEC file; ``columns`` are angle and intensity, from 1."""
    lines = lines_of(decoded(data, source))
    begins = [i for i, row in enumerate(lines) if row.startswith("#S ")]
    ends = [*begins[1:], len(lines)]
    wave = None
    for row in lines[: begins[0] if begins else 0]:
        if found := re.match(r"#[UC].*?(?:wavelength|lambda)\s*[=:]?\s*([\d.]+)", row, re.IGNORECASE):
            wave = wavelength_of(number_of(found[1]))
    pairs = enumerate(zip(begins, ends, strict=True), start=1)
    return each_scan([partial(_scan, lines[a:b], a + 1, n, wave, columns, source) for n, (a, b) in pairs])


def _scan(
    lines: list[str], first: int, number: int, wave: float | None, columns: tuple[int, ...] | None, source: str
) -> Columns:
    where = f"{source}, scan {number}"
    names: list[str] = []
    rows = []
    time, hkl = None, None
    for i, row in enumerate(lines, start=first):
        if row.startswith("#L "):
            names = re.split(r"\s{2,}|\t", row[3:].strip())
        elif found := re.match(r"#T\s+([\d.eE+-]+)", row):
            time = number_of(found[1])
        elif row.startswith("#Q "):
            values = [number_of(word) for word in row[3:].split()[:3]]
            near = [round(each) for each in values if each is not None and abs(each - round(each)) < 0.05]
            hkl = hkl_of(*near) if len(near) == 3 else None
        elif row.startswith("#G4 ") and wave is None:
            wave = wavelength_of(number_of((row.split() + [""] * 5)[4]))
        elif row and not row.startswith(("#", "@")):
            rows.append((i, numbers(row, source, i)))
    if not names or not rows:
        refuse(where, "there are no columns named in #L, or no points; copy or export it again")
    for i, values_of in rows:
        if values_of.size != len(names):
            refuse(source, f"{values_of.size} values for {len(names)} columns; correct it or export it again", i)
    table = np.array([values_of for _, values_of in rows])
    angle, intensity = _columns(table, names, columns, lines[0], source, first)
    if angle is None:
        refuse(where, "no column is an angle; choose with --columns ANGLE,INTENSITY")
    name = names[angle]
    axis = "omega" if re.fullmatch(_OMEGA, name, re.I) else None
    coupled = [i for i, each in enumerate(names) if re.fullmatch(_TWO_THETA, each, re.I) and np.ptp(table[:, i]) > 0.0]
    if axis is None and re.fullmatch(_TWO_THETA, name, re.I):
        turned = [i for i, each in enumerate(names) if re.fullmatch(_OMEGA, each, re.I) and np.ptp(table[:, i]) > 0.0]
        axis = "2theta" if turned or re.search(r"\bth2th\b", lines[0]) else None
    relative = bool(table[:, angle].min() < 0.0 < table[:, angle].max())
    drives = {"two_theta": table[:, coupled[0]]} if coupled else {}
    counting = next((i for i, each in enumerate(names) if re.fullmatch(_TIME, each, re.I)), None)
    scan = Columns(
        table[:, angle],
        table[:, intensity],
        np.array([i for i, _ in rows], dtype=np.int64),
        f"scan {number} ({lines[0][3:].strip()[:60]}) of a SPEC file, {names[intensity]} over {name}",
        "line",
        number,
        "" if relative else name,
        None if relative else axis,
        "deg",
        stated=Stated(
            axis=name, kind="coupled" if coupled and axis else "rocking" if axis else None, wavelength=wave, hkl=hkl
        ),
        drives={} if relative else scanned(table[:, angle], axis) | drives,
    )
    each = seconds(time, len(rows))
    if counting is not None and (table[:, counting] > 0.0).all():
        each = table[:, counting]
    return as_measured(scan, factor=None, corrected=True, time=each, rate=False)


def _columns(
    table: np.ndarray, names: list[str], columns: tuple[int, ...] | None, command: str, source: str, line: int
) -> tuple[int | None, int]:
    """The scanned motor and the counter: by convention the first and the last column."""
    if columns is not None:
        return chosen(table, (), columns, source, line)
    words = command.split()
    moved = [i for i, name in enumerate(names) if name in words[3:] or re.fullmatch(_OMEGA, name, re.I)]
    angle = next((i for i in moved if np.ptp(table[:, i]) > 0.0), 0)
    counters = [i for i in range(len(names)) if i != angle and not _OTHER.fullmatch(names[i])]
    detectors = [i for i in counters if re.search(r"det|apd|counts|roi|scint|cyber", names[i], re.I)]
    return angle, (detectors or counters or [len(names) - 1])[-1]
