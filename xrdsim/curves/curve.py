"""Measured rocking curves: the ``Curve`` record, its reader and its writer.

A ``Curve`` has one axis, the angle from the substrate peak, positive toward lower glancing angle (the side of
the expanded lattice): x − x_peak of a relative scan, ω_peak − ω, or (2θ_peak − 2θ)/2 of a 2θ or 2θ/ω scan.
A file format is one function from the bytes of a file to ``Columns``, one for each scan.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.curves.bruker import read_brml
from xrdsim.curves.columns import Columns, Floats, refuse
from xrdsim.curves.panalytical import read_xrdml
from xrdsim.curves.rigaku import read_ras
from xrdsim.curves.text import MARK, read_text
from xrdsim.errors import CurveError, ParameterError, shown
from xrdsim.files import replacing
from xrdsim.limits import LARGEST_FILE, read_bytes

DEFAULT_STEP = 4.018235972  # [arcsec] between the points of a file without an angle column
AXES = {"relative": 1.0, "omega": -1.0, "2theta": -0.5}  # kinds of angle column; angle = factor·(x − x_peak)
UNITS = {"arcsec": 1.0, "deg": 3600.0}  # of an angle column, in arcsec
MIN_POINTS, MIN_AFTER_PEAK = 50, 30  # in all, and on the expanded side of the substrate peak
PEAK_CONTRAST = 10.0  # lowest ratio of the substrate peak to the median intensity
MAX_GAP = 10.0  # largest step, in those around it
SATURATED = 3  # equal highest points of a flat top
LARGEST = 1e30  # intensity, and intensity of one count; the smallest is its inverse
READERS = {".xrdml": read_xrdml, ".ras": read_ras, ".brml": read_brml}  # by the suffix of the file
MAX_LISTED = 8  # scans named in a message


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
    per_count, offset : intensity = per_count · (counts + offset). ``per_count`` is a number, (n,) where an attenuator
        or the counting time changed within the scan, or None where it is unknown.

    Raises
    ------
    ParameterError
        ``per_count`` or ``offset`` has no meaning.
    """

    angle: NDArray[np.float64]
    intensity: NDArray[np.float64]
    peak_index: int
    source: str = ""
    note: str = ""
    per_count: float | NDArray[np.float64] | None = None
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name in ("angle", "intensity"):
            column = np.array(getattr(self, name), dtype=np.float64)
            column.setflags(write=False)
            object.__setattr__(self, name, column)
        _check_counting(self.per_count, self.offset)
        if self.per_count is not None:
            unit = np.array(self.per_count, dtype=np.float64)
            if unit.ndim and unit.shape != self.intensity.shape:
                raise ParameterError(f"{unit.size} values of per_count do not belong to {self.intensity.size} points")
            unit.setflags(write=False)
            alike = unit.size > 0 and np.all(unit == unit.flat[0])
            object.__setattr__(self, "per_count", float(unit.flat[0]) if alike else unit)

    @property
    def counts(self) -> NDArray[np.float64] | None:
        """(n,) counts of the detector; None where ``per_count`` is unknown."""
        return None if self.per_count is None else self.intensity / self.per_count - self.offset

    @property
    def step(self) -> float:
        """Median distance of neighbouring points [arcsec]."""
        return float(np.median(np.diff(self.angle)))


def read_curve(
    path: str | PathLike[str],
    *,
    step: float | None = None,
    axis: str | None = None,
    unit: str | None = None,
    peak: int | None = None,
    drop_negative: bool = False,
    number: int | None = None,
    per_count: float | None = None,
    offset: float = 0.0,
) -> Curve:
    """Read a measured rocking curve from a diffractometer's file (.xrdml, .ras, .brml) or from text.

    Of text, one column is the intensity in equal steps; two are angle and intensity, in any order; a third is ignored.
    Blanks, tabs, semicolons or commas separate them; comments, headers of words and decimal commas may occur.

    Parameters
    ----------
    path : the file.
    step : angle between the points of a one-column file [arcsec]; None: ``DEFAULT_STEP``.
    axis : "relative", "omega" or "2theta"; None: as the file says, or guessed: the substrate peak lies near 0, 25.5° or
        51°.
    unit : "arcsec" or "deg", of an angle column; None: as the file says, or guessed from its range and step.
    peak : row of the substrate peak, from 0 over the points or the lines of numbers in the file; None: searched for.
    drop_negative : leave out points of negative intensity; the others keep their angles.
    number : which scan of the file, from 1; None: the only one. See ``list_scans``.
    per_count, offset : intensity = per_count · (counts + offset), for the counting statistics; None: as the file says.

    Raises
    ------
    CurveError
        The file cannot be read, is not such a table or not a rocking curve, or leaves its axis or the scan open.
    ParameterError
        ``step``, ``axis``, ``unit``, ``per_count`` or ``offset`` has no meaning.
    """
    if step is not None and not 1e-3 <= step <= 3600.0:
        raise ParameterError(f"the step is {step:g} arcsec; it must be positive, within 0.001 … 3600")
    for name, value, known in (("axis", axis, AXES), ("unit", unit, UNITS)):
        if value is not None and value not in known:
            raise ParameterError(f"the {name} is {value!r}; choose one of {', '.join(known)}")
    _check_counting(per_count, offset)
    source = shown(str(path))
    table = _pick(_read_scans(Path(path), source, step), number, source)
    x, y, line, rows = table.angle, table.intensity, table.line, np.arange(table.line.size)
    if table.step is not None and unit == "deg":
        refuse(source, "the file has no angle column; leave out --unit, give --step in arcsec")
    if x.size and table.name and table.axis is None and axis is None:
        refuse(source, f"a scan of {table.name} is taken for no rocking curve; say --axis omega|2theta if it is one")
    axis, unit, peak = axis or table.axis, unit or table.unit, table.peak if peak is None else peak
    for i in np.flatnonzero(y > LARGEST).tolist():
        refuse(source, f"the intensity {y[i]:g} is none that a detector gives; correct it", line[i], table.place)
    keep = y >= 0.0
    for i in np.flatnonzero(~keep & (not drop_negative)).tolist():
        refuse(source, f"the intensity {y[i]:g} is negative; correct it or use --drop-negative", line[i], table.place)
    order = rows[keep][np.argsort(x[keep], kind="stable")]
    x, y, line, rows = x[order], y[order], line[order], rows[order]
    if x.size < MIN_POINTS:
        refuse(source, f"{x.size} points are too few, at least {MIN_POINTS} are needed; measure more")
    for i in np.flatnonzero(np.diff(x) == 0.0).tolist():
        what = f"the angle {x[i]:.10g} comes again; delete one or export more digits"
        refuse(source, what, line[i + 1], table.place)
    _check_gaps(table, source)
    if peak is not None and peak not in rows:
        refuse(source, f"there is no row {peak}; give --peak as one of the rows 0 … {keep.size - 1} in use")
    top = _find_peak(y, source) if peak is None else int(np.flatnonzero(rows == peak)[0])
    axis, unit = _guess_axis(x, float(x[top]), axis, unit, source)
    where = f"the substrate peak in row {rows[top]} ({table.place} {line[top]})"
    angle = AXES[axis] * UNITS[unit] * (table.step or 1.0) * (x - x[top]) + 0.0  # + 0.0: no minus zero at the peak
    if AXES[axis] < 0.0:
        angle, y, rows, top = angle[::-1], y[::-1], rows[::-1], x.size - 1 - top
    if (after := x.size - 1 - top) < MIN_AFTER_PEAK:
        what = f"{after} points beyond {where} are too few, at least {MIN_AFTER_PEAK} are needed"
        refuse(source, f"{what}; measure more, or correct --peak or --axis")
    remarks = [f"{x.size} points of {table.what}", *table.remarks, f"angle taken as {axis} in {unit}", f"with {where}"]
    if not keep.all():
        remarks.append(f"{np.sum(~keep)} negative points left out")
    remarks += _irregularities(angle, y, top)
    if per_count is None and table.per_count is not None:
        return Curve(angle, y, top, source, f"{', '.join(remarks)}.", table.per_count[rows], offset)
    return Curve(angle, y, top, source, f"{', '.join(remarks)}.", per_count, offset)


def list_scans(path: str | PathLike[str]) -> list[str]:
    """Describe the scans of a file, in the order of their numbers: what was scanned, from where to where, points, time.

    Raises
    ------
    CurveError
        The file cannot be read.
    """
    return [str(scan) for scan in _read_scans(Path(path), shown(str(path)), None)]


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
        refuse(str(path), "not written; give finite columns of one length, angles ascending, intensities ≥ 0")
    body = "".join(f"{a!r} {b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    with replacing(path) as temporary:
        temporary.write_text(f"{MARK}\n# angle[arcsec] intensity\n{body}", encoding="utf-8", newline="\n")


def _check_counting(per_count: ArrayLike | None, offset: float) -> None:
    if per_count is not None and not np.all(
        (np.asarray(per_count) >= 1.0 / LARGEST) & (np.asarray(per_count) <= LARGEST)
    ):
        raise ParameterError(f"per_count is {per_count}; the intensity of one count must be positive and finite")
    if not abs(offset) <= LARGEST:
        raise ParameterError(f"the offset is {offset} counts; it must be finite")


def _read_scans(path: Path, source: str, step: float | None) -> list[Columns]:
    try:
        data = read_bytes(path, LARGEST_FILE)
    except OSError as error:
        raise CurveError(f"{source}: {error.strerror}; check the path and its permissions") from error
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        return [read_text(data, source, step, DEFAULT_STEP)]
    if step is not None:
        refuse(source, "the file has an angle column; leave out --step")
    return reader(data, source)


def _pick(scans: list[Columns], number: int | None, source: str) -> Columns:
    listed = "; ".join(map(str, scans[:MAX_LISTED])) + ("; …" if len(scans) > MAX_LISTED else "")
    if not scans:
        refuse(source, "the file holds no scan; copy or export it again")
    if number is None and len(scans) > 1:
        refuse(source, f"the file holds {len(scans)} scans; choose one with --number N: {listed}")
    if number is not None and not 1 <= number <= len(scans):
        refuse(source, f"there is no scan {number}; give --number as one of 1 … {len(scans)}: {listed}")
    return scans[(number or 1) - 1]


def _check_gaps(table: Columns, source: str) -> None:
    order = np.argsort(table.angle, kind="stable")
    x = table.angle[order]
    steps = np.diff(x)
    usual = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(steps, 3, mode="reflect"), 7), axis=1)
    for i in np.flatnonzero((usual > 0.0) & (steps / MAX_GAP > usual)).tolist():
        what = f"no points between {x[i]:.10g} and {x[i + 1]:.10g}, {steps[i] / usual[i]:.0f} steps"
        refuse(source, f"{what}; cut the file there or measure it again", table.line[order[i + 1]], table.place)


def _irregularities(angle: Floats, y: Floats, top: int) -> list[str]:
    """What a reader should know of the steps and of the top."""
    steps = np.diff(angle)
    remarks = [f"step {np.median(steps):.6g} arcsec"]
    if steps.max() > 1.5 * np.median(steps):
        remarks.append(f"irregular, with steps of {steps.min():.4g} … {steps.max():.4g} arcsec")
    other = np.flatnonzero(y != y[top])
    flat = other[other > top].min(initial=y.size) - other[other < top].max(initial=-1) - 1
    if y[top] == y.max() and flat >= SATURATED:
        remarks.append(f"the peak flat over {flat} points, as of a saturated detector")
    return remarks


def _find_peak(y: Floats, source: str) -> int:
    """Index of the substrate peak: the centre of the highest top that is more than one point wide."""
    smooth = y
    for reduce in (np.median, np.mean):  # the median takes single hot pixels away
        smooth = reduce(np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 1, mode="reflect"), 3), axis=1)
    contrast = smooth.max() / max(np.median(y), y[y > 0.0].min(initial=np.inf))  # of zeros: to one count
    top = np.flatnonzero(smooth >= smooth.max() * (1.0 - 1e-3))
    top = top[top - top[0] == np.arange(top.size)]
    if contrast < PEAK_CONTRAST or top[0] == 0 or top[-1] == y.size - 1:
        what = f"no substrate peak, the intensity is largest at point {top[0]}, {contrast:.3g} × the median"
        refuse(source, f"{what}; give a scan across the whole peak, or the row of the peak with --peak")
    centre = int(top[0] + top[-1]) // 2
    return max((centre, centre - 1, centre + 1), key=lambda i: float(y[i]))


def _guess_axis(x: Floats, peak: float, axis: str | None, unit: str | None, source: str) -> tuple[str, str]:
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
        refuse(source, f"{what}; say which with --axis {'|'.join(AXES)} and --unit {'|'.join(UNITS)}")
    return axis, unit
