"""Columns of angle and intensity as a file gives them, with what the file says about them."""

from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.stated import Stated
from xrdsim.errors import CurveError

_SLACK = 0.05  # of a count: the rounding of what is stored
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Columns:
    """One scan as its file gives it; as text, a short description.

    Attributes
    ----------
    angle, intensity : (n,) in the order of the file.
    line : (n,) where a point stands in the file: its line, or its number from 1.
    what : what the scan was taken from, for a sentence.
    place : "line" or "point".
    number : of the scan in the file, from 1.
    name : what was scanned, in the words of the file; empty in a file without words.
    axis, unit : kind of the angle column and its unit; None where the file leaves it open.
    step : of intensities without angles [arcsec]; the angle is then the row.
    factor : of the angles, where they are not those of the crystal.
    peak : row of the substrate peak, where the file says it.
    time : mean counting time of a point [s]; None where it is unknown.
    per_count : (n,) intensity of one count; None where it is unknown.
    hint : kind of the angle column by its name, if its angles turn out not to be relative.
    numbered : whether the angle column may only number the points.
    marked : whether this program wrote the file, so that its axis is known.
    counted : whether the file leaves open what one count is, so that whole numbers may be counts.
    remarks : more for the sentence.
    stated : what else the file says.
    drives : (n,) angles of the goniometer [degrees] by the names "omega" and "two_theta", as far as given.
    """

    angle: Floats
    intensity: Floats
    line: NDArray[np.int64]
    what: str
    place: str = "line"
    number: int = 1
    name: str = ""
    axis: str | None = None
    unit: str | None = None
    step: float | None = None
    factor: float = 1.0
    peak: int | None = None
    time: float | None = None
    per_count: Floats | None = None
    hint: str | None = None
    numbered: bool = False
    marked: bool = False
    counted: bool = False
    remarks: tuple[str, ...] = ()
    stated: Stated = field(default_factory=Stated)
    drives: dict[str, Floats] = field(default_factory=dict)

    def __str__(self) -> str:
        ends = f"{self.angle[0]:g} … {self.angle[-1]:g}" if self.angle.size and self.step is None else ""
        words = " ".join(word for word in (self.name, ends, self.unit) if word)
        time = "" if self.time is None else f"{self.time:.3g} s a point"
        return f"{self.number}: {', '.join(part for part in (words, f'{self.angle.size} points', time) if part)}"


@dataclass(frozen=True, eq=False)
class Unreadable:
    """A scan that cannot be read, among others of its file.

    Attributes
    ----------
    number : of the scan in the file, from 1.
    error : why it cannot.
    """

    number: int
    error: CurveError

    def __str__(self) -> str:
        return f"{self.number}: cannot be read ({str(self.error).rpartition(': ')[2]})"


Scans = list[Columns | Unreadable]


def refuse(source: str, what: str, line: int | None = None, place: str = "line") -> NoReturn:
    """Raise a ``CurveError`` that names the file and where in it."""
    raise CurveError(f"{source}: {what}" if line is None else f"{source}, {place} {line}: {what}")


def as_measured(scan: Columns, *, factor: Floats | None, corrected: bool, time: Floats | None, rate: bool) -> Columns:
    """Bring stored intensities to those without an attenuator, at one counting time, and find what one count is.

    Parameters
    ----------
    scan : with the intensities as they are stored.
    factor : (n,) attenuation factors, positive; None: 1.
    corrected : whether the stored intensities contain the factors.
    time : (n,) counting times [s], positive; None: unknown.
    rate : whether the stored intensities are per second.
    """
    if not scan.angle.size:
        return scan
    one = np.ones(scan.angle.size) if factor is None else factor
    y = scan.intensity if corrected else scan.intensity * one
    notes = ["in counts per second" if rate else "in counts"]
    if np.ptp(one) > 0.0:
        how = "contained" if corrected else "applied"
        notes.append(f"attenuation factors {one.min():.4g} … {one.max():.4g} {how}")
    if time is not None and not rate and np.ptp(time) > 0.01 * time.mean():
        y, rate = y / time, True
        notes[0] = f"in counts per second, from counts in {time.min():.4g} … {time.max():.4g} s"
    per_count: Floats | None = one
    if rate:
        per_count = None if time is None else one / time
    if per_count is not None:
        counts = y / per_count
        slack = _SLACK + 1e-6 * np.abs(counts) + (0.5 * (one > 1.0) / one if corrected else 0.0)
        if np.any(np.abs(counts - np.rint(counts)) > slack):
            per_count = None
            notes.append("which are not whole counts")
    mean = None if time is None else float(time.mean())
    return replace(scan, intensity=y, time=mean, per_count=per_count, remarks=(*notes, *scan.remarks))
