"""Where the substrate peak lies on the axis of a file, and what that axis is."""

from dataclasses import dataclass, replace

import numpy as np

from xrdsim.curves.angles import AXES, UNITS, ask, guess_axis, guess_unit, position_of
from xrdsim.curves.cleaning import Scanned
from xrdsim.curves.columns import Columns, Floats, refuse
from xrdsim.curves.peak import check_zero, find_peak
from xrdsim.curves.sides import layer_side
from xrdsim.curves.stated import Stated
from xrdsim.errors import ParameterError

MIN_AFTER_PEAK = 30
"""Points on the expanded side of the substrate peak."""

Place = int | tuple[float, str]
"""A row, or an angle and its unit."""

_MIRRORED = "the fringes lie at lower angles, so the axis is mirrored; --axis relative takes it as it is"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """The substrate peak on the axis of a file.

    Attributes
    ----------
    at : its angle there, or its row where the file has no angles.
    axis, unit : kind and unit of the angles.
    where : the peak, for a sentence.
    note : more for the sentence, or empty.
    """

    at: float
    axis: str
    unit: str
    where: str
    note: str = ""

    def angle(self, x: Floats, scale: float) -> Floats:
        """Angles (n,) from the peak [arcsec], in the order of ``x``, which is given in parts of a scale."""
        return np.asarray(AXES[self.axis] * UNITS[self.unit] * scale * (x - self.at) + 0.0)  # no minus zero


def place_of(peak: int | str | None) -> Place | None:
    """What a caller says of the peak.

    Raises
    ------
    ParameterError
        It is neither a row nor an angle with a unit.
    """
    if peak is None or isinstance(peak, int):
        return peak
    try:
        return int(peak)
    except ValueError:
        if found := position_of(peak):
            return found
    raise ParameterError(f"the peak is {peak!r}; give its row, or its angle with a unit such as 25.47deg or -120arcsec")


def placed(
    table: Columns,
    scan: Scanned,
    even: Floats,
    one: float,
    said: tuple[str | None, str | None, Place | None],
    expected: tuple[float, float],
    source: str,
) -> Placed:
    """Find the peak and complete the axis.

    Parameters
    ----------
    table, scan : the scan of the file, and its points in order.
    even : (n,) their intensities without jumps.
    one : intensity of one count, about.
    said : axis, unit and place of the peak by the caller, None where he says nothing.
    expected : ω and 2θ of the substrate peak [degrees].
    """
    axis, unit, peak = said
    x = scan.angle
    unit = unit or table.unit or guess_unit(x) or (peak[1] if isinstance(peak, tuple) else None)
    peak = table.peak if peak is None else peak
    if isinstance(peak, tuple):
        at = peak[0] * UNITS[peak[1]] / UNITS[unit or peak[1]] / (table.step or 1.0)
        top = int(np.abs(x - at).argmin())
        where = f"the substrate peak at {at:.6g}, as it was said"
    else:
        if peak is not None and peak not in scan.row:
            what = f"there is no row {peak}; give --peak as one of the rows 0 … {table.angle.size - 1} in use"
            refuse(source, what)
        top = find_peak(x, even, source) if peak is None else int(np.flatnonzero(scan.row == peak)[0])
        at, where = float(x[top]), f"the substrate peak in row {scan.row[top]} ({table.place} {scan.line[top]})"
    kind = axis or table.axis or guess_axis(x, at, unit, table.hint, expected)
    if kind is None or unit is None:
        ask(x, at, source)
    note = ""
    if kind == "relative" and axis is None and not table.marked:
        if table.step is None and peak is None:
            check_zero(x, even, top, source)
        if (x[-1] <= at) if not x[0] < at < x[-1] else layer_side(x, even, top, one, MIN_AFTER_PEAK) < 0:
            kind, note = "relative-reversed", _MIRRORED
        elif table.hint == "2theta" and table.factor == 1.0:
            note = "whose name is that of 2θ: say --axis 2theta if they are angles of the detector"
    return Placed(at=at, axis=kind, unit=unit, where=where, note=note)


def stated_at(peak: Placed, table: Columns, scan: Scanned) -> Stated:
    """What the file says, with the angles of the goniometer at the substrate peak as far as they are known."""
    found: dict[str, float] = {}
    for name, drive in table.drives.items():
        values = drive[scan.row]
        if scan.angle[0] <= peak.at <= scan.angle[-1] or np.ptp(values) == 0.0:
            found[name] = float(np.interp(peak.at, scan.angle, values))
    scanned = {"omega": "omega", "2theta": "two_theta"}.get(peak.axis)
    if scanned is not None:
        found.setdefault(scanned, peak.at * UNITS[peak.unit] / UNITS["deg"])
    return replace(table.stated, omega=found.get("omega"), two_theta=found.get("two_theta"))
