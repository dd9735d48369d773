"""Measured rocking curves: the ``Curve`` record, the reader of text files and the writer.

A ``Curve`` has one axis, the angle from the substrate peak, positive toward lower glancing angle (the side of
the expanded lattice): x − x_peak of a relative scan, ω_peak − ω, or (2θ_peak − 2θ)/2 of a 2θ or 2θ/ω scan.
A file format is one function from a path to a ``_Table``, its columns and what the file says about them.
"""

import math
import re
from dataclasses import dataclass
from itertools import dropwhile
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import CurveError, ParameterError
from xrdsim.files import replacing

DEFAULT_STEP = 4.018235972  # [arcsec] between the points of a file without an angle column
AXES = {"relative": 1.0, "omega": -1.0, "2theta": -0.5}  # kinds of angle column; angle = factor·(x − x_peak)
UNITS = {"arcsec": 1.0, "deg": 3600.0}  # of an angle column, in arcsec
MIN_POINTS, MIN_AFTER_PEAK = 50, 30  # in all, and on the expanded side of the substrate peak
PEAK_CONTRAST = 10.0  # lowest ratio of the substrate peak to the median intensity
_COMMENT = ("#", ";", "!", "%", "//")
_MARK = "# xrdsim curve: angle 0 at the substrate peak, positive toward lower glancing angle"
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_Floats = NDArray[np.float64]


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
    angle: _Floats
    intensity: _Floats
    line: NDArray[np.int64]
    columns: int
    scale: float = 1.0
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
    """Read a measured rocking curve from a text file.

    One column is the intensity in equal steps; two are angle and intensity, in any order; a third is ignored.
    Blanks, tabs, semicolons or commas separate them; comments, headers of words and decimal commas may occur.

    Parameters
    ----------
    path : the file.
    step : angle between the points of a one-column file [arcsec]; None: ``DEFAULT_STEP``.
    axis : "relative", "omega" or "2theta"; None: guessed, the substrate peak lies near 0, 25.5° or 51°.
    unit : "arcsec" or "deg", of an angle column; None: guessed from its range and step.
    peak : row of the substrate peak, from 0 over the lines of numbers in the file; None: searched for.
    drop_negative : leave out points of negative intensity; the others keep their angles.

    Raises
    ------
    CurveError
        The file cannot be read, is not such a table or not a rocking curve, or leaves its axis open.
    ParameterError
        ``step``, ``axis`` or ``unit`` has no meaning.
    """
    if step is not None and not 0.0 < step < math.inf:
        raise ParameterError(f"the step is {step:g} arcsec; it must be positive")
    for name, value, known in (("axis", axis, AXES), ("unit", unit, UNITS)):
        if value is not None and value not in known:
            raise ParameterError(f"the {name} is {value!r}; choose one of {', '.join(known)}")
    source = str(path)
    table = _read_text(Path(path), source, step)
    x, y, line, rows = table.angle, table.intensity, table.line, np.arange(table.line.size)
    if table.columns == 1 and unit == "deg":
        _refuse(source, "the file has no angle column; leave out --unit, give --step in arcsec")
    axis, unit, peak = axis or table.axis, unit or table.unit, table.peak if peak is None else peak
    keep = y >= 0.0
    for i in np.flatnonzero(~keep & (not drop_negative)):
        _refuse(source, f"the intensity {y[i]:g} is negative; correct it or use --drop-negative", line[i])
    order = rows[keep][np.argsort(x[keep], kind="stable")]
    x, y, line, rows = x[order], y[order], line[order], rows[order]
    if x.size < MIN_POINTS:
        _refuse(source, f"{x.size} points are too few, at least {MIN_POINTS} are needed; measure more")
    for i in np.flatnonzero(np.diff(x) == 0.0):
        _refuse(source, f"the angle {x[i]:.10g} comes again; delete one or export more digits", line[i + 1])
    if peak is not None and peak not in rows:
        _refuse(source, f"there is no row {peak}; give --peak as one of the rows 0 … {keep.size - 1} in use")
    top = _find_peak(y, source) if peak is None else int(np.flatnonzero(rows == peak)[0])
    axis, unit = _guess_axis(x, float(x[top]), axis, unit, source)
    where = f"the substrate peak in row {rows[top]} (line {line[top]})"
    angle = AXES[axis] * UNITS[unit] * table.scale * (x - x[top]) + 0.0  # + 0.0: no minus zero at the peak
    if AXES[axis] < 0.0:
        angle, y, top = angle[::-1], y[::-1], x.size - 1 - top
    if (after := x.size - 1 - top) < MIN_AFTER_PEAK:
        what = f"{after} points beyond {where} are too few, at least {MIN_AFTER_PEAK} are needed"
        _refuse(source, f"{what}; measure more, or correct --peak or --axis")
    note = f"{x.size} points of a {table.columns}-column file, angle taken as {axis} in {unit}, with {where}"
    note += "" if keep.all() else f", {np.sum(~keep)} negative points left out"
    return Curve(angle, y, top, source, f"{note}, step {np.median(np.diff(angle)):.6g} arcsec.")


def write_curve(path: str | Path, angle: ArrayLike, intensity: ArrayLike) -> None:
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
    alike = x.ndim == 1 and x.shape == y.shape and np.isfinite([x, y]).all()
    if not alike or np.any(np.diff(x) <= 0.0) or np.any(y < 0.0):
        _refuse(str(path), "not written; give finite columns of one length, angles ascending, intensities ≥ 0")
    body = "".join(f"{a!r} {b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    with replacing(path) as temporary:
        temporary.write_text(f"{_MARK}\n# angle[arcsec] intensity\n{body}", encoding="utf-8", newline="\n")


def _refuse(source: str, what: str, line: int | None = None) -> NoReturn:
    raise CurveError(f"{source}: {what}" if line is None else f"{source}, line {line}: {what}")


def _read_text(path: Path, source: str, step: float | None) -> _Table:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    except OSError as error:
        raise CurveError(f"{source}: {error.strerror}; check the path and its permissions") from error
    lines = [row.strip() for row in re.split(r"\r\n?|\n", text)]
    used = [(i, row) for i, row in enumerate(lines, start=1) if row and not row.startswith(_COMMENT)]
    body = list(dropwhile(lambda item: _is_header(item[1]), used))
    if not body:
        i, what = (used[0][0], f"{used[0][1][:40]!r} and no numbers") if used else (1, "the file is empty")
        _refuse(source, f"{what}; give columns of angle and intensity as plain text", i)
    line, fields = np.array([i for i, _ in body]), _split([row for _, row in body])
    width = len(fields[0])
    for i, row in zip(line, fields, strict=True):
        if len(row) != width or width > 3:
            _refuse(source, f"{len(row)} columns; all lines need the same 1 to 3 (the first has {width})", i)
        for field in row[:2]:
            if not math.isfinite(_number(field)):
                _refuse(source, f"{field[:40]!r} is no finite number; correct it, or put # before text", i)
    x, y = np.array([[_number(row[0]), _number(row[:2][-1])] for row in fields]).T
    if width == 1:
        return _Table(np.arange(float(y.size)), y, line, width, step or DEFAULT_STEP, "relative", "arcsec")
    if step is not None:
        _refuse(source, "the file has an angle column; leave out --step", line[0])
    if lines[0] != _MARK:
        return _Table(x, y, line, width)
    zero = [i for i in range(1, x.size - 1) if x[i] == 0.0]  # at an end of the scan 0 is no peak
    return _Table(x, y, line, width, 1.0, "relative", "arcsec", zero[0] if zero else None)


def _is_header(row: str) -> bool:
    words = all(math.isnan(_number(field)) for field in re.split(r"[;,\s]+", row))
    return words and not re.match(r"[-+]?(\d*[.,]\d|(nan|inf)\b)", row, re.IGNORECASE)  # nor a misprint


def _number(field: str) -> float:
    return float(field) if re.fullmatch(_NUMBER, field) else math.nan


def _split(rows: list[str]) -> list[list[str]]:
    """Split lines into fields with decimal points; one separator holds for the whole file."""
    rows = [row.rstrip(";, \t") for row in rows]
    text = "\n".join(rows)
    separator = ";" if ";" in text else None
    if "," in text and separator is None:
        first = np.array([_number(row.partition(",")[0]) for row in rows])
        ordered = np.all(first[1:] >= first[:-1]) or np.all(first[1:] <= first[:-1])
        angles = ordered and first[0] != first[-1] and not re.search(r"[ \t]", text)  # lines like 12,5
        if angles or "." in text or re.search(r",[ \t]|[ \t],|,[^,\s]*,", text):
            separator = ","
    if separator != "," and "." not in text:  # beside a point, a comma would group thousands: it is refused
        rows = [row.replace(",", ".") for row in rows]
    return [[field.strip() for field in row.split(separator)] for row in rows]


def _find_peak(y: _Floats, source: str) -> int:
    """Index of the substrate peak: the centre of the highest top that is more than one point wide."""
    smooth = y
    for reduce in (np.median, np.mean):  # the median takes single hot pixels away
        smooth = reduce(np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 1, mode="reflect"), 3), axis=1)
    contrast = smooth.max() / max(np.median(y), y[y > 0.0].min(initial=np.inf))  # of zeros: to one count
    top = np.flatnonzero(smooth >= smooth.max() * (1.0 - 1e-3))
    top = top[top - top[0] == np.arange(top.size)]
    if contrast < PEAK_CONTRAST or top[0] == 0 or top[-1] == y.size - 1:
        what = f"no substrate peak, the intensity is largest at point {top[0]}, {contrast:.3g} × the median"
        _refuse(source, f"{what}; give a scan across the whole peak, or the row of the peak with --peak")
    centre = int(top[0] + top[-1]) // 2
    return max((centre, centre - 1, centre + 1), key=lambda i: float(y[i]))


def _guess_axis(x: _Floats, peak: float, axis: str | None, unit: str | None, source: str) -> tuple[str, str]:
    """Complete axis and unit from the range, the step and the position of the substrate peak."""
    span, step, reach = np.ptp(x), np.median(np.diff(x)), np.abs(x).max()
    if unit is None and min(reach, span) > 100.0 and step >= 0.1:
        unit = "arcsec"
    elif unit is None and 0.03 <= span <= 10.0 and step <= 0.05:
        unit = "deg"
    if axis is None and unit is not None:
        deg = 3600.0 / UNITS[unit]
        zero = abs(peak) <= 0.25 * span and reach <= 3.0 * deg
        fits = zip(AXES, (zero, abs(peak / deg - 25.5) <= 2.5, abs(peak / deg - 51.0) <= 4.0), strict=True)
        axis = next((name for name, fit in fits if fit), None)
    if axis is None or unit is None:
        what = f"angles {x[0]:g} … {x[-1]:g} with the substrate peak at {peak:g} may mean anything"
        _refuse(source, f"{what}; say which with --axis {'|'.join(AXES)} and --unit {'|'.join(UNITS)}")
    return axis, unit
