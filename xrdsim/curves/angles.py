"""The angle column: its kinds and units, and the guess where the file names neither.

The curve's angle is positive toward lower glancing angle, the side of an expanded lattice: factor·(x − x_peak), with
the factor of the kind of column.
"""

import re
from typing import NoReturn

import numpy as np

from xrdsim.curves.columns import Floats, refuse

AXES = {"relative": 1.0, "omega": -1.0, "2theta": -0.5, "relative-reversed": -1.0}  # angle = factor·(x − x_peak)
UNITS = {  # of an angle column, in arcsec
    "arcsec": 1.0,
    "deg": 3600.0,
    "arcmin": 60.0,
    "mdeg": 3.6,
    "rad": 648000.0 / np.pi,
    "mrad": 648.0 / np.pi,
    "urad": 0.648 / np.pi,
}
EXPECTED = (25.5, 51.0)
"""Angles ω and 2θ [degrees] of the substrate peak of GGG 444 with Cu Kα1."""

_ASKED = ("relative", "omega", "2theta")  # what is asked for; the other is for those who know
_NAMES = {
    "arcsec": r"arc-?sec(onds?)?|arcs|secs?|seconds?( of arc)?|″|''|\"|”",
    "deg": r"deg(rees?|s)?\.?|°|grad",
    "arcmin": r"arc-?min(utes?)?|minutes? of arc|′|'",
    "mdeg": r"m-?deg(rees?|s)?|milli-?degrees?|m°",
    "rad": r"rad(ians?)?",
    "mrad": r"mrad|milli-?radians?",
    "urad": r"[uµμ]rad|micro-?rad(ian)?s?",
}


def unit_named(word: str) -> str | None:
    """The unit of angles that a word names, None if it names none."""
    plain = word.strip().strip("()[]{}<>,;:").lower()
    return next((unit for unit, names in _NAMES.items() if re.fullmatch(names, plain)), None)


def position_of(text: str) -> tuple[float, str] | None:
    """Value and unit of a position such as ``25.4731deg`` or ``-120 arcsec``, None if it is none."""
    found = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)\s*", text)
    unit = unit_named(found[2]) if found else None
    return (float(found[1]), unit) if found and unit else None


def guess_unit(x: Floats) -> str | None:
    """Unit of ascending angles by their range and step, None if they may have several."""
    span, step, reach = np.ptp(x), np.median(np.diff(x)), np.abs(x).max()
    if min(reach, span) > 100.0 and (step >= 0.1 or span > 360.0):
        return "arcsec"
    return "deg" if 0.03 <= span <= 10.0 and step <= 0.05 else None


def guess_axis(
    x: Floats, peak: float, unit: str | None, hint: str | None, expected: tuple[float, float] = EXPECTED
) -> str | None:
    """Kind of ascending angles by the position of the substrate peak.

    Parameters
    ----------
    hint : of absolute angles by name.
    expected : ω and 2θ of the substrate peak [degrees].
    """
    if unit is None:
        return None
    deg = 3600.0 / UNITS[unit]
    if abs(peak) <= 0.25 * np.ptp(x) and np.abs(x).max() <= 3.0 * deg:
        return "relative"
    near = {"omega": abs(peak / deg - expected[0]) <= 2.5, "2theta": abs(peak / deg - expected[1]) <= 4.0}
    return hint or next((name for name, fits in near.items() if fits), None)


def ask(x: Floats, peak: float, source: str) -> NoReturn:
    """Refuse angles that are left open."""
    what = f"angles {x[0]:g} … {x[-1]:g} with the substrate peak at {peak:g} may mean anything"
    refuse(source, f"{what}; say which with --axis {'|'.join(_ASKED)} and --unit {'|'.join(UNITS)}")
