"""Measured rocking curves: the ``Curve`` record, its reader and its writer.

A ``Curve`` has one axis, the angle from the substrate peak, positive toward lower glancing angle (the side of
the expanded lattice): x − x_peak of a relative scan, ω_peak − ω, or (2θ_peak − 2θ)/2 of a 2θ or 2θ/ω scan.
A file format is one function from the bytes of a file to ``Columns``, one for each scan.
"""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from xrdsim.curves.angles import AXES, UNITS, ask, guess_axis, guess_unit, position_of
from xrdsim.curves.cleaning import Scanned, check_gaps, cleaned, irregularities
from xrdsim.curves.columns import Columns, Floats, Scans, Unreadable, refuse
from xrdsim.curves.counting import whole_counts
from xrdsim.curves.formats.recognise import read_scans
from xrdsim.curves.jumps import find_jumps, gain, undone
from xrdsim.curves.peak import check_zero, find_peak
from xrdsim.curves.record import LARGEST, Curve, check_counting
from xrdsim.curves.sides import layer_side
from xrdsim.curves.stated import Stated
from xrdsim.curves.text.reading import DEFAULT_STEP, MARK
from xrdsim.errors import CurveError, ParameterError, shown
from xrdsim.files import replacing
from xrdsim.limits import LARGEST_FILE, read_bytes

MIN_AFTER_PEAK = 30  # points on the expanded side of the substrate peak
MAX_LISTED = 8  # scans named in a message

__all__ = ["DEFAULT_STEP", "Curve", "list_scans", "read_curve", "write_curve"]


def read_curve(
    path: str | PathLike[str],
    *,
    step: float | None = None,
    axis: str | None = None,
    unit: str | None = None,
    peak: int | str | None = None,
    columns: tuple[int, ...] | None = None,
    drop_negative: bool = False,
    number: int | None = None,
    per_count: float | None = None,
    offset: float = 0.0,
) -> Curve:
    """Read a measured rocking curve from a diffractometer's file or from text; ``docs/files.md`` lists the formats.

    The content decides what a file is. Of text, one column is the intensity in equal steps; of several, angle and
    intensity are found by their names and their values. Single points that stand out, by 10 deviations from
    neighbours that agree, are left out; the note says so.

    Parameters
    ----------
    path : the file.
    step : angle between the points of a one-column file [arcsec]; None: as its header says, or ``DEFAULT_STEP``.
    axis : "relative", "omega", "2theta" or "relative-reversed", the sign of which is that of ω; None: as the file says,
        or guessed: the substrate peak lies near 0, 25.5° or 51°, and relative angles have the layer on the side of the
        fringes.
    unit : "arcsec", "arcmin", "deg", "mdeg", "rad", "mrad" or "urad", of an angle column; None: as the file says, or
        guessed from its range and step.
    peak : row of the substrate peak, from 0 over the points or the lines of numbers in the file, or its place on the
        axis of the file with a unit, such as "25.4731deg", which may lie outside the scan; None: searched for.
    columns : of text, angle and intensity, from 1, or the intensity alone; None: found.
    drop_negative : leave out points of negative intensity; the others keep their angles.
    number : which scan of the file, from 1; None: the only one. See ``list_scans``.
    per_count, offset : intensity = per_count · (counts + offset), for the counting statistics; None: as the file says,
        or 1 of whole numbers that scatter as counts do.

    Raises
    ------
    CurveError
        The file cannot be read, is not such a table or not a rocking curve, or leaves its axis or the scan open.
    ParameterError
        ``step``, ``axis``, ``unit``, ``peak``, ``columns``, ``per_count`` or ``offset`` has no meaning.
    """
    _check_options(step, axis, unit, columns)
    check_counting(per_count, offset)
    place = _place_of(peak)
    source = shown(str(path))
    table = _pick(_read_scans(Path(path), source, step, columns), number, source)
    _check_table(table, axis, unit, source)
    scan, notes = cleaned(table, drop_negative, source)
    if table.numbered and axis is None and unit is None:
        what = "the first column numbers the points; if these are angles, say their --unit"
        refuse(source, f"{what}, else take the intensity alone with --columns 2 and --step", int(table.line[0]))
    x, y, rows = scan.angle, scan.intensity, scan.row
    check_gaps(table, source)
    unknown = table.per_count is None and table.counted
    counted, remark = whole_counts(y) if unknown and per_count is None else (None, "")
    notes += [remark] if remark else []
    one = _unit_of_counts(table, scan, counted, per_count)
    jumps = find_jumps(y, one)
    whole = undone(y, jumps)
    unit = unit or table.unit or guess_unit(x) or (place[1] if isinstance(place, tuple) else None)
    wanted = table.peak if place is None else place
    if isinstance(wanted, tuple):
        top, at = None, wanted[0] * UNITS[wanted[1]] / UNITS[unit or wanted[1]] / (table.step or 1.0)
        where = f"the substrate peak at {at:.6g}, as it was said"
    else:
        if wanted is not None and wanted not in rows:
            refuse(
                source, f"there is no row {wanted}; give --peak as one of the rows 0 … {table.angle.size - 1} in use"
            )
        top = find_peak(x, whole, source).index if wanted is None else int(np.flatnonzero(rows == wanted)[0])
        at, where = float(x[top]), f"the substrate peak in row {rows[top]} ({table.place} {scan.line[top]})"
    kind = axis or table.axis or guess_axis(x, at, unit, table.hint)
    if kind is None or unit is None:
        ask(x, at, source)
    if kind == "relative" and axis is None and not table.marked and top is not None:
        if table.step is None and wanted is None:
            check_zero(x, whole, top, source)
        if layer_side(x, whole, top, gain(y) if one is None else float(np.mean(one)), MIN_AFTER_PEAK) < 0:
            kind = "relative-reversed"
            notes.append("the fringes lie at lower angles, so the axis is mirrored")
    angle = AXES[kind] * UNITS[unit] * (table.step or 1.0) * (x - at) + 0.0  # + 0.0: no minus zero at the peak
    if (after := int(np.sum(angle > 0.0))) < MIN_AFTER_PEAK:
        what = f"{after} points beyond {where} are too few, at least {MIN_AFTER_PEAK} are needed"
        refuse(source, f"{what}; measure more, or correct --peak or --axis")
    steps = tuple((0.5 * float(angle[i] + angle[i + 1]), factor) for i, factor in jumps)
    known = table.per_count[rows] if table.per_count is not None and per_count is None else per_count or counted
    if AXES[kind] < 0.0:
        angle, y = angle[::-1], y[::-1]
        known = known[::-1] if isinstance(known, np.ndarray) else known
        steps = tuple((middle, 1.0 / factor) for middle, factor in reversed(steps))
    index = int(np.abs(angle).argmin())
    stated = _stated(table, scan, at, kind, unit)
    remarks = [f"{x.size} points of {table.what}", *table.remarks, f"angle taken as {kind} in {unit}", f"with {where}"]
    remarks += [*notes, *irregularities(angle, y, index), *map(_jump, steps)]
    if stated.material or stated.hkl or stated.wavelength or stated.kalpha2 is not None:
        remarks.append(f"the file states {stated}")
    if y.min() < 0.0 and per_count is None:
        known = None
    note = f"{', '.join(remarks)}."
    return Curve(angle, y, index, source, note, known, offset, stated=stated, jumps=steps)


def _unit_of_counts(
    table: Columns, scan: Scanned, counted: float | None, per_count: float | None
) -> Floats | float | None:
    """Intensity of one count, None where nobody says it."""
    if per_count is not None:
        return per_count
    return counted if table.per_count is None else table.per_count[scan.row]


def _jump(step: tuple[float, float]) -> str:
    angle, factor = step
    what = f"factor of {factor:.3g}" if factor >= 1.0 else f"factor of 1/{1.0 / factor:.3g}"
    return f"the intensity jumps by a {what} at {angle:.5g} arcsec, as of an attenuator that was not corrected"


def _stated(table: Columns, scan: Scanned, at: float, kind: str, unit: str) -> Stated:
    """What the file says, with the angles of the goniometer at the substrate peak as far as they are known."""
    found: dict[str, float] = {}
    for name, drive in table.drives.items():
        values = drive[scan.row]
        if scan.angle[0] <= at <= scan.angle[-1] or np.ptp(values) == 0.0:
            found[name] = float(np.interp(at, scan.angle, values))
    scanned = {"omega": "omega", "2theta": "two_theta"}.get(kind)
    if scanned is not None:
        found.setdefault(scanned, at * UNITS[unit] / UNITS["deg"])
    return replace(table.stated, omega=found.get("omega"), two_theta=found.get("two_theta"))


def _place_of(peak: int | str | None) -> int | tuple[float, str] | None:
    """A row, or a position and its unit."""
    if peak is None or isinstance(peak, int):
        return peak
    try:
        return int(peak)
    except ValueError:
        if found := position_of(peak):
            return found
    raise ParameterError(f"the peak is {peak!r}; give its row, or its angle with a unit such as 25.47deg or -120arcsec")


def _check_options(step: float | None, axis: str | None, unit: str | None, columns: tuple[int, ...] | None) -> None:
    if step is not None and not 1e-3 <= step <= 3600.0:
        raise ParameterError(f"the step is {step:g} arcsec; it must be positive, within 0.001 … 3600")
    for name, value, known in (("axis", axis, AXES), ("unit", unit, UNITS)):
        if value is not None and value not in known:
            raise ParameterError(f"the {name} is {value!r}; choose one of {', '.join(known)}")
    if columns is not None and (len(columns) not in (1, 2) or len(set(columns)) < len(columns) or min(columns) < 1):
        raise ParameterError(f"columns = {columns!r} must be two different numbers from 1: angle and intensity")


def _check_table(table: Columns, axis: str | None, unit: str | None, source: str) -> None:
    if table.step is not None and unit is not None:
        refuse(source, "the file has no angle column; leave out --unit, give --step in arcsec")
    if table.angle.size and table.name and table.axis is None and axis is None:
        refuse(source, f"a scan of {table.name} is taken for no rocking curve; say --axis omega|2theta if it is one")
    for i in np.flatnonzero(table.intensity > LARGEST)[:1].tolist():
        what = f"the intensity {table.intensity[i]:g} is none that a detector gives; correct it"
        refuse(source, what, int(table.line[i]), table.place)


def list_scans(path: str | PathLike[str]) -> list[str]:
    """Describe the scans of a file, in the order of their numbers: what was scanned, from where to where, points, time.

    Raises
    ------
    CurveError
        The file cannot be read.
    """
    return [str(scan) for scan in _read_scans(Path(path), shown(str(path)), None, None)]


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


def _read_scans(path: Path, source: str, step: float | None, columns: tuple[int, ...] | None) -> Scans:
    try:
        data = read_bytes(path, LARGEST_FILE)
    except OSError as error:
        raise CurveError(f"{source}: {error.strerror}; check the path and its permissions") from error
    return read_scans(data, path, source, step, columns)


def _pick(scans: Scans, number: int | None, source: str) -> Columns:
    listed = "; ".join(map(str, scans[:MAX_LISTED])) + ("; …" if len(scans) > MAX_LISTED else "")
    if not scans:
        refuse(source, "the file holds no scan; copy or export it again")
    if number is None and len(scans) > 1:
        refuse(source, f"the file holds {len(scans)} scans; choose one with --number N: {listed}")
    if number is not None and not 1 <= number <= len(scans):
        refuse(source, f"there is no scan {number}; give --number as one of 1 … {len(scans)}: {listed}")
    found = scans[(number or 1) - 1]
    if isinstance(found, Unreadable):
        raise found.error
    return found
