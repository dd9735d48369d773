"""Points of a scan in the order of their angles, without those that are no measurement, and what is to be said."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.columns import Columns, Floats, refuse
from xrdsim.curves.counting import corrupt
from xrdsim.curves.jumps import find_hot
from xrdsim.curves.record import LeftOut

MIN_POINTS = 50
"""Points of a curve."""

_MAX_GAP = 10.0  # largest step, in those around it
_SATURATED = 3  # equal highest points of a flat top
_LISTED = 8  # points named in a message


@dataclass(frozen=True, eq=False)
class Scanned:
    """Points of a scan in the order of their angles: (n,) each, with their rows and lines in the file."""

    angle: Floats
    intensity: Floats
    row: NDArray[np.int64]
    line: NDArray[np.int64]

    def of(self, kept: NDArray[np.bool_]) -> "Scanned":
        return Scanned(self.angle[kept], self.intensity[kept], self.row[kept], self.line[kept])


def cleaned(table: Columns, drop_negative: bool, source: str) -> tuple[Scanned, dict[LeftOut, Scanned], list[str]]:
    """Points in order without those that are left out, the latter by the reason, and what is to be said of it."""
    order = np.argsort(table.angle, kind="stable")
    scan = Scanned(table.angle[order], table.intensity[order], order, table.line[order])
    notes: list[str] = []
    aside: dict[LeftOut, Scanned] = {}
    negative = scan.intensity < 0.0
    if negative.any() and drop_negative:
        scan, aside[LeftOut.NEGATIVE] = scan.of(~negative), scan.of(negative)
        share = f"{np.sum(negative)} negative points left out"
        notes.append(f"{share}, {np.mean(negative):.2g} of all, which raises what is left where the noise is as high")
    elif negative.any():
        bad = corrupt(scan.intensity)
        for i in bad[np.argsort(scan.row[bad])][:1].tolist():
            what = f"the intensity {scan.intensity[i]:g} is negative; correct it or use --drop-negative"
            refuse(source, what, int(scan.line[i]), table.place)
        notes.append(f"{np.sum(negative)} negative points taken as they are, as of intensities less a dark count")
    if scan.angle.size < MIN_POINTS:
        refuse(source, f"{scan.angle.size} points are too few, at least {MIN_POINTS} are needed; measure more")
    for i in np.flatnonzero(np.diff(scan.angle) == 0.0)[:1].tolist():
        what = f"the angle {scan.angle[i]:.10g} comes again; delete one or export more digits"
        refuse(source, what, int(scan.line[i + 1]), table.place)
    per_count = None if table.per_count is None else table.per_count[scan.row]
    if hot := find_hot(scan.intensity, per_count):
        rows = ", ".join(f"{scan.angle[i]:.6g}" for i in hot[:_LISTED])
        notes.append(f"{len(hot)} single points that stand out left out, at {rows}")
        kept = np.ones(scan.angle.size, dtype=bool)
        kept[hot] = False
        scan, aside[LeftOut.OUTLIER] = scan.of(kept), scan.of(~kept)
    return scan, aside, notes


def check_gaps(table: Columns, source: str) -> None:
    order = np.argsort(table.angle, kind="stable")
    x = table.angle[order]
    steps = np.diff(x)
    usual = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(steps, 3, mode="reflect"), 7), axis=1)
    for i in np.flatnonzero((usual > 0.0) & (steps / _MAX_GAP > usual)).tolist():
        what = f"no points between {x[i]:.10g} and {x[i + 1]:.10g}, {steps[i] / usual[i]:.0f} steps"
        refuse(source, f"{what}; cut the file there or measure it again", table.line[order[i + 1]], table.place)


def irregularities(angle: Floats, y: Floats, top: int) -> list[str]:
    """What a reader should know of the steps and of the top."""
    steps = np.diff(angle)
    remarks = [f"step {np.median(steps):.6g} arcsec"]
    if steps.max() > 1.5 * np.median(steps):
        remarks.append(f"irregular, with steps of {steps.min():.4g} … {steps.max():.4g} arcsec")
    if (flat := flat_top(y, top)) is not None:
        points = flat[1] - flat[0] + 1
        remarks.append(f"the peak flat over {points} points, as of a saturated detector")
    return remarks


def flat_top(y: Floats, top: int) -> tuple[int, int] | None:
    """First and last of the equal highest points about one, where they are as many as a saturated detector makes."""
    other = np.flatnonzero(y != y[top])
    first, last = int(other[other < top].max(initial=-1)) + 1, int(other[other > top].min(initial=y.size)) - 1
    return (first, last) if y[top] == y.max() and last - first + 1 >= _SATURATED else None
