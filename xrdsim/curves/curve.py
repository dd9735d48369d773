"""Measured rocking curves: the ``Curve`` record, its reader and its writer.

A ``Curve`` has one axis, the angle from the substrate peak, positive toward lower glancing angle (the side of
the expanded lattice): x − x_peak of a relative scan, ω_peak − ω, or (2θ_peak − 2θ)/2 of a 2θ or 2θ/ω scan.
A file format is one function from the bytes of a file to ``Columns``, one for each scan.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from xrdsim.curves.angles import AXES, EXPECTED, UNITS
from xrdsim.curves.cleaning import Scanned, check_gaps, cleaned, irregularities
from xrdsim.curves.columns import Columns, Floats, Scans, Unreadable, refuse
from xrdsim.curves.counting import whole_counts
from xrdsim.curves.formats.recognise import read_scans
from xrdsim.curves.jumps import find_jumps, gain, undone
from xrdsim.curves.placing import MIN_AFTER_PEAK, place_of, placed, stated_at
from xrdsim.curves.record import LARGEST, Curve, check_counting
from xrdsim.curves.text.reading import DEFAULT_STEP
from xrdsim.curves.writing import write_curve
from xrdsim.errors import CurveError, ParameterError, shown
from xrdsim.limits import LARGEST_FILE, read_bytes

MAX_LISTED = 8  # scans named in a message

__all__ = ["DEFAULT_STEP", "Curve", "list_scans", "read_curve", "write_curve"]


def read_curve(
    path: str | PathLike[str],
    *,
    step: float | None = None,
    axis: str | None = None,
    unit: str | None = None,
    peak: int | str | None = None,
    columns: Sequence[int] | None = None,
    drop_negative: bool = False,
    number: int | None = None,
    per_count: float | None = None,
    offset: float = 0.0,
    expected: tuple[float, float] = EXPECTED,
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
        or guessed: the substrate peak lies near 0 or where it is ``expected``, and relative angles have the layer on
        the side of the fringes.
    unit : "arcsec", "arcmin", "deg", "mdeg", "rad", "mrad" or "urad", of an angle column; None: as the file says, or
        guessed from its range and step.
    peak : row of the substrate peak, from 0 over the points or the lines of numbers in the file, or its place on the
        axis of the file with a unit, such as "25.4731deg", which may lie outside the scan; None: searched for.
    columns : of text, angle and intensity, from 1, or the intensity alone; None: found.
    drop_negative : leave out points of negative intensity; the others keep their angles.
    number : which scan of the file, from 1; None: the only one. See ``list_scans``.
    per_count, offset : intensity = per_count · (counts + offset), for the counting statistics; None: as the file says,
        or 1 of whole numbers that scatter as counts do.
    expected : ω and 2θ of the substrate peak [degrees].

    Raises
    ------
    CurveError
        The file cannot be read, is not such a table or not a rocking curve, or leaves its axis or the scan open.
    ParameterError
        ``step``, ``axis``, ``unit``, ``peak``, ``columns``, ``per_count`` or ``offset`` has no meaning.
    """
    chosen = None if columns is None else tuple(columns)
    _check_options(step, axis, unit, chosen)
    check_counting(per_count, offset)
    place = place_of(peak)
    source = shown(str(path))
    table = _pick(_read_scans(Path(path), source, step, chosen), number, source)
    _check_table(table, axis, unit, source)
    scan, left_out, notes = cleaned(table, drop_negative, source)
    if table.numbered and axis is None and unit is None:
        what = "the first column numbers the points; if these are angles, say their --unit"
        refuse(source, f"{what}, else take the intensity alone with --columns 2 and --step", int(table.line[0]))
    x, y = scan.angle, scan.intensity
    check_gaps(table, source)
    one, remark = _one_count(table, scan, per_count)
    steps = find_jumps(y, one)
    about = gain(y) if one is None else float(np.mean(one))
    found = placed(table, scan, undone(y, steps), about, (axis, unit, place), expected, source)
    scale = table.factor * (table.step or 1.0)
    angle = found.angle(x, scale)
    aside = tuple(
        (at, float(value), why)
        for why, gone in left_out.items()
        for at, value in zip(found.angle(gone.angle, scale).tolist(), gone.intensity, strict=True)
    )
    if (after := int(np.sum(angle > 0.0))) < MIN_AFTER_PEAK:
        what = f"{after} points beyond {found.where} are too few, at least {MIN_AFTER_PEAK} are needed"
        refuse(source, f"{what}; measure more, or correct --peak or --axis")
    jumps = tuple((0.5 * float(angle[i] + angle[i + 1]), factor) for i, factor in steps)
    known = None if y.min() < 0.0 and per_count is None else one
    if angle[-1] < angle[0]:
        angle, y = angle[::-1], y[::-1]
        known = known[::-1] if isinstance(known, np.ndarray) else known
        jumps = tuple((middle, 1.0 / factor) for middle, factor in reversed(jumps))
    index = int(np.abs(angle).argmin())
    stated = stated_at(found, table, scan)
    remarks = [f"{x.size} points of {table.what}", *table.remarks, f"angle taken as {found.axis} in {found.unit}"]
    remarks += [f"with {found.where}", *(each for each in (*notes, remark, found.note) if each)]
    remarks += [*irregularities(angle, y, index), *map(_jump, jumps)]
    if stated.material or stated.hkl or stated.wavelength or stated.kalpha2 is not None:
        remarks.append(f"the file states {stated}")
    note = f"{', '.join(remarks)}."
    return Curve(angle, y, index, source, note, known, offset, stated=stated, jumps=jumps, aside=aside)


def _one_count(table: Columns, scan: Scanned, per_count: float | None) -> tuple[Floats | float | None, str]:
    """Intensity of one count, None where nobody says it, and a remark."""
    if per_count is not None:
        return per_count, ""
    if table.per_count is not None:
        return table.per_count[scan.row], ""
    return whole_counts(scan.intensity) if table.counted else (None, "")


def _jump(step: tuple[float, float]) -> str:
    angle, factor = step
    what = f"factor of {factor:.3g}" if factor >= 1.0 else f"factor of 1/{1.0 / factor:.3g}"
    return f"the intensity jumps by a {what} at {angle:.5g} arcsec, as of an attenuator that was not corrected"


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
