"""Measured rocking curves: the ``Curve`` record, the reader of text files and the writer.

A ``Curve`` has one axis, the angle from the substrate peak, positive toward lower glancing angle (the side of
the expanded lattice): x − x_peak of a relative scan, ω_peak − ω, or (2θ_peak − 2θ)/2 of a 2θ or 2θ/ω scan.
A file format is one function from a path to a ``_Table``, its columns and what the file says about them.
"""

import math
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import CurveError, OutputError, ParameterError

DEFAULT_STEP = 4.018235972  # [arcsec] between the points of a file without an angle column
AXES = {"relative": 1.0, "omega": -1.0, "2theta": -0.5}  # kinds of angle column; angle = factor·(x − x_peak)
UNITS = {"arcsec": 1.0, "deg": 3600.0}  # of an angle column, in arcsec
MIN_POINTS = 50
MIN_AFTER_PEAK = 30  # points on the expanded side of the substrate peak
PEAK_CONTRAST = 10.0  # lowest ratio of the substrate peak to the median intensity

_COMMENT = ("#", ";", "!", "%", "//")
_MARK = "# xrdsim curve: angle 0 at the substrate peak, positive toward lower glancing angle"


@dataclass(frozen=True, eq=False)
class Curve:
    """One measured rocking curve; its arrays are read-only.

    Parameters
    ----------
    angle : (n,) angle from the substrate peak [arcsec], ascending, positive toward lower glancing angle.
    intensity : (n,) intensity in the unit of the file.
    peak_index : index of the substrate peak in both arrays.
    source : path of the file.
    note : one sentence: what the reader took the file for.
    """

    angle: NDArray[np.float64]
    intensity: NDArray[np.float64]
    peak_index: int
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("angle", "intensity"):
            column = np.array(getattr(self, name), dtype=np.float64)
            column.setflags(write=False)
            object.__setattr__(self, name, column)

    @property
    def step(self) -> float:
        """Median distance of neighbouring points [arcsec]."""
        return float(np.median(np.diff(self.angle)))


@dataclass(frozen=True)
class _Table:
    angle: NDArray[np.float64] | None
    intensity: NDArray[np.float64]
    line: list[int]
    axis: str | None = None
    unit: str | None = None
    peak: int | None = None


def read_curve(
    path: str | PathLike[str],
    *,
    step: float | None = None,
    axis: str | None = None,
    unit: str | None = None,
    peak: int | None = None,
    drop_negative: bool = False,
) -> Curve:
    """Read a measured rocking curve from a text file of one to three columns.

    One column is the intensity in the order of rising angle; two are angle and intensity; a third is ignored.
    Blanks, tabs, semicolons or commas separate them; comments, headers of words, decimal commas and any order
    of the angles are accepted.

    Parameters
    ----------
    path : the file.
    step : angle between the points of a one-column file [arcsec]; None: ``DEFAULT_STEP``.
    axis : "relative", "omega" or "2theta"; None: guessed, the substrate peak lies near 0, 25.5° or 51°.
    unit : "arcsec" or "deg", of the angle column; None: guessed from its range and step.
    peak : row of the substrate peak, from 0 over the lines of numbers in the file; None: searched for.
    drop_negative : leave out points of negative intensity; the others keep their angles.

    Raises
    ------
    CurveError
        The file cannot be read or is not such a table, a value is not finite or negative, an angle comes
        twice, there are too few points or no substrate peak, or the axis remains open.
    ParameterError
        ``step``, ``axis`` or ``unit`` has no meaning.
    """
    if step is not None and not 0.0 < step < math.inf:
        raise ParameterError(f"the step is {step:g} arcsec; it must be positive")
    for name, value, known in (("axis", axis, AXES), ("unit", unit, UNITS)):
        if value is not None and value not in known:
            raise ParameterError(f"the {name} is {value!r}; choose one of {', '.join(known)}")
    source = str(path)
    table = _read_text(Path(path), source)
    rows = np.arange(table.intensity.size)
    if table.angle is not None:
        if step is not None:
            _refuse(source, "the file has an angle column; leave out --step")
        x, scale, axis, unit = table.angle, 1.0, axis or table.axis, unit or table.unit
    else:
        if axis not in (None, "relative") or unit not in (None, "arcsec"):
            _refuse(source, "the file has no angle column; leave out --axis and --unit, give --step")
        x, scale, axis, unit = rows.astype(np.float64), step or DEFAULT_STEP, "relative", "arcsec"

    keep = table.intensity >= 0.0
    if not (drop_negative or keep.all()):
        what = f"the intensity {table.intensity[~keep][0]:g} is negative"
        _refuse(source, f"{what}; correct it or use --drop-negative", table.line[int(keep.argmin())])
    order = np.argsort(x, kind="stable")
    order = order[keep[order]]
    x, y, rows, line = x[order], table.intensity[order], rows[order], np.array(table.line)[order]
    if x.size < MIN_POINTS:
        _refuse(source, f"{x.size} points are too few, at least {MIN_POINTS} are needed; measure more")
    for i in np.flatnonzero(np.diff(x) == 0.0):
        what = f"the angle {x[i]:.10g} of line {line[i]} comes again"
        _refuse(source, f"{what}; delete one line, or export the angles with more digits", line[i + 1])
    peak = table.peak if peak is None else peak
    if peak is not None and peak not in rows:
        _refuse(source, f"there is no row {peak}; give --peak as one of the rows 0 … {keep.size - 1} in use")
    top = _find_peak(y, source) if peak is None else int(np.flatnonzero(rows == peak)[0])

    if axis is None or unit is None:
        axis, unit = _guess_axis(x, float(x[top]), axis, unit, source)
    columns = "intensity only" if table.angle is None else f"angle ({axis}, {unit}) and intensity"
    where = f"row {rows[top]} (line {line[top]}" + (
        ")" if table.angle is None else f", {x[top]:.10g} {unit})"
    )
    angle = AXES[axis] * UNITS[unit] * scale * (x - x[top]) + 0.0  # + 0.0: no minus zero at the peak
    if AXES[axis] < 0.0:
        angle, y, top = angle[::-1], y[::-1], x.size - 1 - top
    if (after := x.size - 1 - top) < MIN_AFTER_PEAK:
        what = f"{after} points beyond the substrate peak at {where} are too few, {MIN_AFTER_PEAK} are needed"
        _refuse(source, f"{what}; correct --peak or --axis, or measure further")
    note = (
        f"{columns}: {x.size} points, step {np.median(np.diff(angle)):.6g} arcsec, substrate peak at {where}"
    )
    dropped = "" if keep.all() else f", {np.sum(~keep)} negative points left out"
    return Curve(angle, y, top, source, f"Read as {note}{dropped}.")


def write_curve(path: str | PathLike[str], angle: ArrayLike, intensity: ArrayLike) -> None:
    """Write a curve as text that ``read_curve`` reads back exactly; an existing file is replaced.

    Parameters
    ----------
    path : the file.
    angle : (n,) angle from the substrate peak [arcsec], ascending.
    intensity : (n,) intensity in any unit, not negative.

    Raises
    ------
    CurveError
        The arrays do not make a curve.
    OutputError
        The file cannot be written.
    """
    x, y = np.asarray(angle, dtype=np.float64), np.asarray(intensity, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        _refuse(str(path), f"angle {x.shape} and intensity {y.shape} must be two columns of one length")
    if not (np.isfinite(x + y).all() and (np.diff(x) > 0.0).all() and (y >= 0.0).all()):
        _refuse(str(path), "not written; angles must ascend, intensities not be negative, all be finite")
    body = "".join(f"{a!r} {b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    try:
        Path(path).write_text(f"{_MARK}\n# angle[arcsec] intensity\n{body}", encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another place") from error


def _refuse(source: str, what: str, line: int | None = None) -> NoReturn:
    raise CurveError(f"{source}: {what}" if line is None else f"{source}, line {line}: {what}")


def _read_text(path: Path, source: str) -> _Table:
    """Read one to three columns of numbers."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CurveError(f"{source}: {error.strerror}; check the path and its permissions") from error
    if b"\0" in data:
        _refuse(source, "binary data; export the scan as text", data.partition(b"\0")[0].count(b"\n") + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = [row.strip() for row in re.split(r"\r\n?|\n", text)]
    used = [(i, row) for i, row in enumerate(lines, start=1) if row and not row.startswith(_COMMENT)]
    start = next((k for k, (_, row) in enumerate(used) if not _is_header(row)), len(used))
    if start == len(used):
        what = f"{used[0][1][:40]!r} and no numbers" if used else "the file is empty"
        _refuse(source, f"{what}; give columns of angle and intensity as text", used[0][0] if used else 1)
    line = [i for i, _ in used[start:]]
    fields = _split([row for _, row in used[start:]])
    width = len(fields[0])
    if width > 3:
        _refuse(source, f"{width} columns; keep angle and intensity only", line[0])
    for i, row in zip(line, fields, strict=True):
        if len(row) != width:
            _refuse(source, f"{len(row)} columns after lines of {width}; complete or delete the line", i)
        for field in row[:2]:
            if not math.isfinite(_number(field)):
                what = f"{field[:40]!r} is not a finite number"
                _refuse(source, f"{what}; correct or delete it, put # before a line of text", i)
    values = np.array([[_number(field) for field in row[:2]] for row in fields])
    if width == 1:
        return _Table(None, values[:, 0], line)
    if lines[0] != _MARK:
        return _Table(values[:, 0], values[:, 1], line)
    zero = np.flatnonzero(values[1:-1, 0] == 0.0)  # at an end of the scan 0 is no peak
    peak = int(zero[0]) + 1 if zero.size else None
    return _Table(values[:, 0], values[:, 1], line, "relative", "arcsec", peak)


def _is_header(row: str) -> bool:
    """Whether a line holds words only and does not begin like a misprinted number."""
    words = all(math.isnan(_number(field)) for field in re.split(r"[;,\s]+", row))
    return words and not re.match(r"[-+]?(\d*[.,]\d|nan\b)", row, re.IGNORECASE)


def _number(field: str) -> float:
    try:
        return math.nan if "_" in field else float(field)
    except ValueError:
        return math.nan


def _split(rows: list[str]) -> list[list[str]]:
    """Split lines into fields with decimal points; one separator holds for the whole file."""
    rows = [row.rstrip(";, \t") for row in rows]
    text = "\n".join(rows)
    separator = ";" if ";" in text else "," if _comma_separates(rows, text) else None
    if separator != "," and "." not in text:  # beside a point, a comma would group thousands: it is refused
        rows = [row.replace(",", ".") for row in rows]
    return [[field.strip() for field in row.split(separator)] for row in rows]


def _comma_separates(rows: list[str], text: str) -> bool:
    """Whether commas stand between columns rather than for decimal points."""
    if "," in text and ("." in text or re.search(r",[ \t]|[ \t],|,[^,\s]*,", text)):
        return True
    first = np.array([_number(row.split(",")[0]) for row in rows if "," in row])
    if first.size < len(rows) or not np.isfinite(first).all() or re.search(r"[ \t]", text):
        return False
    move = np.diff(first)  # of "12,5" only the order of angles tells: intensities rise and fall
    return bool(np.any(move) and (np.all(move >= 0.0) or np.all(move <= 0.0)))


def _find_peak(y: NDArray[np.float64], source: str) -> int:
    """Index of the substrate peak: the centre of the highest top that is more than one point wide."""
    smooth = y
    for reduce in (np.median, np.mean):  # the median takes single hot pixels away
        smooth = reduce(sliding_window_view(np.pad(smooth, 1, mode="reflect"), 3), axis=1)
    highest, middle = int(smooth.argmax()), float(np.median(y))
    below = smooth < smooth[highest] * (1.0 - 1e-3)
    left, right = np.flatnonzero(below[:highest]), np.flatnonzero(below[highest:])
    contrast = smooth[highest] / max(middle, y[y > 0.0].min(initial=np.inf))  # of zeros: to one count
    if contrast >= PEAK_CONTRAST and left.size and right.size:
        centre = (int(left[-1]) + highest + int(right[0])) // 2
        near = centre - 1 + int(y[centre - 1 : centre + 2].argmax())
        centre = near if y[near] > y[centre] else centre
        if 0 < centre < y.size - 1:
            return centre
    what = (
        f"no substrate peak, the intensity is largest at point {highest} and {contrast:.3g} times the median"
    )
    _refuse(source, f"{what}; give a scan across the whole peak, or the row of the peak with --peak")


def _guess_axis(
    x: NDArray[np.float64], peak: float, axis: str | None, unit: str | None, source: str
) -> tuple[str, str]:
    """Complete axis and unit from the range, the step and the position of the substrate peak."""
    span, step, reach = np.ptp(x), np.median(np.diff(x)), np.abs(x).max()
    if unit is None and min(reach, span) > 100.0 and step >= 0.1:
        unit = "arcsec"
    elif unit is None and 0.03 <= span <= 10.0 and step <= 0.05:
        unit = "deg"
    if axis is None and unit is not None:
        degree = 3600.0 / UNITS[unit]
        if abs(peak / degree - 25.5) <= 2.5:
            axis = "omega"
        elif abs(peak / degree - 51.0) <= 4.0:
            axis = "2theta"
        elif abs(peak) <= 0.25 * span and reach <= 3.0 * degree:
            axis = "relative"
    if axis is None or unit is None:
        what = f"angles {x[0]:g} … {x[-1]:g} with the substrate peak at {peak:g} may mean anything"
        _refuse(source, f"{what}; say which with --axis {'|'.join(AXES)} and --unit {'|'.join(UNITS)}")
    return axis, unit
