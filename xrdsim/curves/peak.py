"""The substrate peak: the highest top of a curve, unless it looks like a fringe.

A substrate peak is higher than all else, falls off on both sides, and the curve does not rise again toward an end of
the scan, as it does where a scan begins on the tail of the peak.
"""

import numpy as np

from xrdsim.curves.columns import Floats, refuse

CONTRAST = 10.0
"""Lowest ratio of the substrate peak to the median intensity."""

_HIGHER = 1.15  # than all else; if not, fringes are as high
_ALONE = 8.0  # times as high as all else, if the curve rises toward an end
_OUTSIDE = 20.0  # the same, if the angles of the file are said to be relative to a peak outside the scan
_VALLEY = 0.5  # part of the top to which the curve falls on both sides
_RISE, _RISEN = 3.0, 1.3  # deviations and factor by which an end is higher than the inside
_ASK = "give a scan across the whole peak, or its row or angle with --peak, such as --peak 12 or --peak 25.47deg"


def find_peak(x: Floats, y: Floats, source: str) -> int:
    """Index of the substrate peak of intensities (n,) in the order of their angles.

    Raises
    ------
    CurveError
        There is none, or what there is looks like a fringe.
    """
    smooth = _smooth(y)
    contrast = smooth.max() / max(np.median(y), y[y > 0.0].min(initial=np.inf))  # of zeros: to one count
    top = np.flatnonzero(smooth >= smooth.max() * (1.0 - 1e-3))
    top = top[top - top[0] == np.arange(top.size)]
    if not contrast >= CONTRAST or top[0] == 0 or top[-1] == y.size - 1:
        what = f"no substrate peak, the intensity is largest at point {top[0]}, {contrast:.3g} × the median"
        refuse(source, f"{what}; {_ASK}")
    centre = int(top[0] + top[-1]) // 2
    index = max((centre, centre - 1, centre + 1), key=lambda i: float(y[i]))
    faults = _faults(smooth, y, centre)
    if faults:
        what = f"no substrate peak: that at {x[index]:.6g} looks like a fringe, {' and '.join(faults)}"
        refuse(source, f"{what}; {_ASK}")
    return index


def check_zero(x: Floats, y: Floats, index: int, source: str) -> None:
    """Refuse a top of a relative scan whose own zero, where its peak was, lies outside."""
    step = float(np.median(np.diff(x)))
    if x[0] - 2.0 * step <= 0.0 <= x[-1] + 2.0 * step:
        return
    smooth = _smooth(y)
    if smooth[index] < _OUTSIDE * _others(smooth, index):
        what = f"no substrate peak: relative angles {x[0]:.6g} … {x[-1]:.6g} do not reach 0, where it should be"
        refuse(source, f"{what}, and the top at {x[index]:.6g} may be a fringe; {_ASK}")


def _smooth(y: Floats) -> Floats:
    smooth = y
    for reduce in (np.median, np.mean):  # the median takes single hot pixels away
        smooth = reduce(np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 1, mode="reflect"), 3), axis=1)
    return smooth


def _width(smooth: Floats, at: int) -> int:
    """Points between the first ones on either side below half of the top."""
    low = np.flatnonzero(smooth < 0.5 * smooth[at])
    return int(low[low > at].min(initial=smooth.size - 1) - low[low < at].max(initial=0))


def _others(smooth: Floats, at: int) -> float:
    """The highest intensity outside of the peak."""
    width = 2 * _width(smooth, at)
    rest = np.concatenate([smooth[: max(0, at - width)], smooth[at + width + 1 :]])
    return float(rest.max(initial=0.0))


def _faults(smooth: Floats, y: Floats, at: int) -> tuple[str, ...]:
    """What speaks against a substrate peak."""
    width = _width(smooth, at)
    others = _others(smooth, at)
    valleys = [smooth[max(0, at - 3 * width) : at + 1].min(), smooth[at : at + 3 * width + 1].min()]
    found = []
    if smooth[at] < _HIGHER * others:
        found.append(f"since others are {others / smooth[at]:.2f} × as high")
    if max(valleys) > _VALLEY * smooth[at]:
        found.append(f"since beside it the intensity falls to {max(valleys) / smooth[at]:.2f} × of it only")
    if smooth[at] < _ALONE * others and _rises(y):
        found.append("since the intensity rises toward an end of the scan")
    return tuple(found)


def _rises(y: Floats) -> bool:
    """Whether an end of the scan is higher than the points behind it."""
    for ends in (y, y[::-1]):
        second = ends[2:60] - 2.0 * ends[1:59] + ends[:58]
        scatter = 1.4826 * float(np.median(np.abs(second))) / np.sqrt(6.0)
        for reach in (8, 16, 32):
            end, inside = float(ends[:4].mean()), float(np.median(ends[reach // 2 : reach + 8]))
            if end > _RISEN * inside and end - inside > _RISE * max(scatter, np.finfo(float).tiny):
                return True
    return False
