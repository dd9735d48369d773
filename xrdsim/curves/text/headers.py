"""What the header and the comments of a text file say: units, names of columns, step, wavelength, counting time."""

import re
from dataclasses import dataclass

from xrdsim.curves.angles import UNITS, unit_named
from xrdsim.curves.stated import wavelength_of

_VALUE = r"\s*[=:,;\s]\s*[\"']?([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?)[\"']?\s*[(\[]?([^\s,;)\]]*)"
_STEP = re.compile(r"\b(?:scan[ _]?)?step(?:[ _]?(?:size|width))?(?:\s*[(\[]([^)\]]*)[)\]])?" + _VALUE, re.I)
_WAVE = re.compile(r"(?:wave[ _-]?length|lambda|λ|\bwl1)\w*(?:[ _]?[12])?(?:\s*[(\[]([^)\]]*)[)\]])?" + _VALUE, re.I)
_TIME = re.compile(
    r"\b(?:(?:counting|count|step|exposure|measuring)[ _]?time|time[ _]?(?:per|/)[ _]?(?:step|point))"
    r"(?:\s*[(\[]([^)\]]*)[)\]])?" + _VALUE,
    re.I,
)
_DURATION = re.compile(r"\w*time\w*\s*[(\[][^)\]]*[)\]]", re.I)
_SECONDS = ("sec", "secs", "second", "seconds")  # of time, where no bracket makes them a unit of angles
_PROSE = 60  # letters of a line that is no row of names
_NUMBER = re.compile(r"(?<![A-Za-z\d.])[-+]?(?:\d+\.?\d*|\.\d+)(?![A-Za-z\d])")
_RATE = re.compile(r"\bcps\b|\bc/s\b|co?u?n?ts?\s*(?:/|per)\s*s(?:ec(?:ond)?)?\b|counts?\s*s\^?[-⁻][1¹]", re.I)
_INDEX = re.compile(r"^(?:#|no\.?|nr\.?|n|i|idx|index|points?|pts?|row|pt_no|point ?(?:no\.?|number))$", re.I)
_ANGLE = re.compile(
    r"omega|theta|ω|θ|angle|\bth\b|\btth\b|\bom\b|rock|position|arc-?sec|\b[mu]?deg|\b[mu]?rad\b|°|″", re.I
)
_ERROR = re.compile(r"err|esd|sigma|σ|std|uncert|√|sqrt|±", re.I)
_INTENSITY = re.compile(r"intens|count|cps|\bi\b|det(?:ector)?\b|signal|reflect|\bcts\b|\bapd\b|\by\b", re.I)
_NOT_DETECTED = re.compile(r"monitor|\bmon\b|time|temp|current|\bi0\b|atten|factor|live|dead|dark|background", re.I)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is read from the words before the numbers.

    Attributes
    ----------
    names : of the columns; empty where the header names none.
    unit : of the angles.
    step : [arcsec] of a single column.
    wavelength : [Å].
    time : counting time of a point [s].
    rate : whether intensities are per second.
    unread : a line with a number that was not understood.
    """

    names: tuple[str, ...] = ()
    unit: str | None = None
    step: float | None = None
    wavelength: float | None = None
    time: float | None = None
    rate: bool = False
    unread: str = ""


def header_of(lines: list[str], width: int) -> Header:
    """What lines without their comment signs say of columns of numbers."""
    names = next((found for line in reversed(lines) if len(found := _names(line, width)) == width), ())
    text = "\n".join(lines)
    step, time = _STEP.search(text), _TIME.search(text)
    unit = next((each for each in map(_unit_in, [*names[:2], *reversed(lines)]) if each), None)
    rates = [name for name in names if _RATE.search(name)] if width > 1 and names else lines
    unread = ""
    for line in lines:
        rest = line
        for pattern in (_STEP, _TIME, _WAVE):
            rest = pattern.sub("", rest)
        if not unread and _NUMBER.search(rest):
            unread = line
    if step is not None and _step(step, unit) is None:
        unread = unread or next(line for line in lines if _STEP.search(line))
    return Header(
        names=names,
        unit=unit,
        step=None if step is None else _step(step, unit),
        wavelength=_wavelength(text),
        time=None if time is None else _value(time[2]),
        rate=any(_RATE.search(line) for line in rates),
        unread=unread,
    )


def angle_and_intensity(names: tuple[str, ...]) -> tuple[int | None, int | None]:
    """The columns, from 0, that their names tell; None where they do not."""
    angles = [i for i, name in enumerate(names) if _ANGLE.search(name) and not _RATE.search(name)]
    detected = [
        i
        for i, name in enumerate(names)
        if i not in angles and _INTENSITY.search(name) and not _ERROR.search(name) and not _NOT_DETECTED.search(name)
    ]
    return (angles[0] if angles else None), (detected[0] if detected else None)


def is_index(name: str) -> bool:
    """Whether a column of this name numbers the points."""
    return bool(_INDEX.match(name.strip()))


def _names(line: str, width: int) -> tuple[str, ...]:
    """The words of a line, one for each column, whichever separator stands between them."""
    for separator in ("\t", ";", ",", r"\s{2,}", r"\s+"):
        words = [word.strip().strip("\"'") for word in re.split(separator, line.strip().strip("\t;,")) if word.strip()]
        if len(words) == width and not any(re.fullmatch(r"[-+\d.,eE]+", word) for word in words):
            return tuple(words)
    return ()


def _unit_in(text: str) -> str | None:
    """A unit of angles in brackets or after a slash or an underscore, or alone as a word."""
    text = _DURATION.sub("", text)
    for word in re.findall(r"[(\[]\s*([^)\]]+?)\s*[)\]]", text):
        if unit := unit_named(word):
            return unit
    words = re.findall(r"[/_]\s*([^\s,;/_]+)", text)
    if "=" not in text and len(text) <= _PROSE:
        words += [word for word in re.split(r"[\s,;]+", text) if len(word) > 2 and not word.isdigit()]
    named = [unit_named(word) for word in words if word.lower() not in _SECONDS]
    return next((unit for unit in named if unit), None)


def _step(found: re.Match[str], usual: str | None) -> float | None:
    """The step in arcsec; None without a unit."""
    value = _value(found[2])
    unit = unit_named(found[1] or "") or unit_named(found[3] or "") or usual
    return None if value is None or unit is None else abs(value) * UNITS[unit]


def _wavelength(text: str) -> float | None:
    for found in _WAVE.finditer(text):
        value, unit = _value(found[2]), (found[1] or found[3] or "").lower()
        if value is not None and (wave := wavelength_of(10.0 * value if unit == "nm" else value)):
            return wave
    return None


def _value(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None
