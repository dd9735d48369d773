"""Fits as text: numbers with the digits that they deserve, the table of a fit and of a series."""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xrdsim.experiment.instrument import INSTRUMENTS, ZERO
from xrdsim.files import replacing
from xrdsim.fit.judgement.estimate import Estimate
from xrdsim.fit.result import CurveFit, Fit, Verdict

Row = tuple[str, ...]

NONE = "—"
"""Stands for a number that there is none of."""

SHOWN = 8
"""Minima that are shown, the best ones; ``result.json`` has them all."""

_MOST = 10  # decimals
_MISFITS = ("reduced χ²", "mean |log₁₀|", "RMS of log₁₀")


def table(fit: Fit) -> tuple[Row, list[Row]]:
    """Columns and rows: value, standard deviation, interval and remark of all that was fitted."""
    columns = ("parameter", "value", "± std", f"{100.0 * fit.uncertainty.get('level', 0.9):.0f} % interval", "remark")
    return columns, [_line(each) for each in (*fit.parameters, *fit.derived, *fit.defects, *fit.measurement)]


def taken_for(fit: Fit, named: bool = False) -> list[str]:
    """What each file was taken for, what was taken for granted of it, and what else is to be known, a line each.

    ``named`` puts the name of the file before what is said of it, as of several curves.
    """
    if len(fit.curves) == 1:
        before = f"{Path(fit.source).name or 'curve'}: " if named else ""
        return [f"{before}{line}" for line in (fit.note, fit.assumed, *fit.notes) if line]
    lines = []
    for each in fit.curves:
        before = f"{Path(each.source).name or 'curve'}{'' if each.fitted else ' (not fitted)'}: "
        lines += [f"{before}{each.note}"] if each.note else []
        lines += [f"{before}Assumed: {each.assumed}."] if each.assumed else []
    return [*lines, *fit.notes]


def compared(fit: Fit) -> list[str]:
    """What is to be said of curves that were not fitted, a line each."""
    return [
        f"{each.source}: not fitted, but compared with what the others say of it. {each.reason}{each.remark}"
        for each in fit.curves
        if not each.fitted
    ]


def misfits(fit: Fit) -> list[Row]:
    """How well the model describes the curve: names and values."""
    numbers = (fit.reduced_chi2, fit.mean_abs_log10, fit.rms_dex)
    return [(name, _short(value)) for name, value in zip(_MISFITS, numbers, strict=True)]


def minima_table(fit: Fit) -> tuple[Row, list[Row]]:
    """Columns and rows: the best distinct solutions side by side, with the digits of the best one."""
    minima = fit.minima[:SHOWN]
    shown = (*fit.parameters, *(fit[name] for name in minima[0].instrument))
    numbers = [(*each.values, *each.instrument.values()) for each in minima]
    rows: list[Row] = [
        (_MISFITS[0], *(_short(each.reduced_chi2) for each in minima)),
        (_MISFITS[2], *(_short(each.rms_dex) for each in minima)),
        ("as good as the best", *("yes" if each.acceptable else "no" for each in minima)),
    ]
    for j, at in enumerate(shown):
        rows.append((label(at), *(rounded(row[j] * scale(at), at.std * scale(at))[0] for row in numbers)))
    return ("", *(str(i + 1) for i in range(len(minima)))), rows


def likelihood_rows(fit: Fit) -> tuple[Row, list[Row]]:
    """Columns and rows: intervals from the profile likelihoods beside those of the table."""
    rows: list[Row] = []
    for each in fit.likelihoods:
        at = fit[each.name]
        ends = (each.low, each.high, at.low, at.high)
        low, high, other_low, other_high = (rounded(scale(at) * end, scale(at) * at.std)[0] for end in ends)
        found = "a better minimum lies there: give more --effort" if each.better > 1.0 else ""
        rows.append((label(at), f"{low} … {high}", f"{other_low} … {other_high}", found))
    level = f"{100.0 * fit.uncertainty.get('level', 0.9):.0f} %"
    return ("parameter", f"{level} by profile likelihood", f"{level} of the posterior", ""), rows


def curve_rows(fit: Fit) -> tuple[Row, list[Row]]:
    """Columns and rows: a curve a row, with its misfit and what belongs to it alone."""
    own = {label(at): None for each in fit.curves for at in map(_bare, each.measurement)}  # each once, in order
    columns = ("curve", "reflection", "verdict", "reduced χ²", "mean |log₁₀|", *own)
    rows: list[Row] = []
    for each in fit.curves:
        found = {label(_bare(at)): at for at in each.measurement}
        numbers = (_value(found[name]) if name in found else NONE for name in own)
        verdict = str(each.verdict) if each.fitted else f"not fitted: {foretold_as(each)}"
        misfit = _short(each.reduced_chi2), _short(each.mean_abs_log10)
        rows.append((Path(each.source).name, each.reflection, verdict, *misfit, *numbers))
    return columns, rows


def foretold_as(curve: CurveFit) -> str:
    """Whether a curve that was not fitted is as the others say."""
    return "as the others foretell" if curve.verdict == Verdict.SOLVED else str(curve.verdict)


def _bare(each: Estimate) -> Estimate:
    """A quantity without the number of its measurement."""
    bare, _, number = each.name.rpartition("_")
    return replace(each, name=bare) if number.isdigit() else each


def _value(each: Estimate) -> str:
    value = scale(each) * each.value
    return _pair(each) if math.isfinite(each.std) else rounded(value, 1e-2 * abs(value))[0]


def series_rows(fits: Sequence[Fit]) -> tuple[Row, list[Row]]:
    """Columns and rows: a fit a row, behind each value its standard deviation in units of the last digits.

    Thus 0.8195(95) is 0.8195 ± 0.0095, and 5120(210) is 5120 ± 210.
    """
    every = _union(fits)
    columns = ("file", "verdict", "reduced χ²", "mean |log₁₀|", *map(label, every.values()), "seconds")
    rows: list[Row] = []
    for fit in fits:
        found = {each.name: each for each in fit.parameters}
        cells = (_pair(found[name]) if name in found else NONE for name in every)
        misfit = (_short(fit.reduced_chi2), _short(fit.mean_abs_log10))
        rows.append((Path(fit.source).name, fit.verdict, *misfit, *cells, f"{fit.seconds:.1f}"))
    return columns, rows


def write_series(fits: Sequence[Fit], path: str | Path) -> Path:
    """Write a fit a line as CSV: plain numbers, their units in the header, empty where there are none.

    A quantity has its value, its standard deviation and the ends of its interval.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    every = _union(fits) | {each.name: each for fit in fits for each in (*fit.derived, *fit.defects, *fit.measurement)}
    units = {name: {"1": "", "intensity": ""}.get(each.unit, f" [{each.unit}]") for name, each in every.items()}
    columns = [f"{name}{what}{units[name]}" for name in every for what in ("", "_std", "_low", "_high")]
    header = ["file", "verdict", "reduced_chi2", "mean_abs_log10", *columns, "not_determined", "seconds"]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for fit in fits:
            found = {each.name: each for each in (*fit.parameters, *fit.derived, *fit.defects, *fit.measurement)}
            numbers: list[Any] = []
            for name in every:
                at = found.get(name)
                numbers += [""] * 4 if at is None else [at.value, at.std, at.low, at.high]
            unknown = " ".join(each.name for each in fit.parameters if not each.determined)
            misfit = [value if value is not None and math.isfinite(value) else "" for value in _misfit(fit)]
            writer.writerow([fit.source, fit.verdict, *misfit, *numbers, unknown, f"{fit.seconds:.3f}"])
    return Path(path)


def rounded(value: float, std: float) -> Row:
    """A value and its standard deviation with two digits of the latter; NONE for one that is not positive.

    No value is written as −0.
    """
    shown, uncertain = _rounded(value, std)
    return (shown if set(shown) & set("123456789na") else shown.removeprefix("-")), uncertain


def _rounded(value: float, std: float) -> Row:
    if not (math.isfinite(std) and std > 0.0 and math.isfinite(value)):
        return f"{value:.6g}", NONE
    place = math.floor(math.log10(float(f"{std:.1e}"))) - 1
    size = max(abs(value), std)
    if 1e-3 <= size < 1e6 and place <= 2:
        if place > 0:
            return f"{round(value, -place):.0f}", f"{round(std, -place):.0f}"
        decimals = min(-place, _MOST)
        return f"{value:.{decimals}f}", f"{std:.{decimals}f}"
    digits = min(max(math.floor(math.log10(size)) - place, 1), _MOST)
    return f"{value:.{digits}e}", f"{std:.1e}"


_shapes = [each for made in INSTRUMENTS.values() for each in made.parameters]
_WORDS = {each.name: each.label for each in (ZERO, *_shapes)} | {
    "largest_strain": "largest strain",
    "depth_of_largest_strain": "its depth",
    "damage_exponent": "exponent of the damage",
    "integrated_strain": "∫ε dz",
    "depth_of_layer": "depth of the layer",
    "background_end": "background at the end",
    "density_layer": "loops of the layer",
    "radius_layer": "their radius",
    "density_substrate": "loops of the substrate",
    "radius_substrate": "their radius",
}


def scale(each: Estimate) -> float:
    """Factor of the number shown: strains in %."""
    return 100.0 if each.kind == "strain" else 1.0


def label(each: Estimate) -> str:
    """Name with the unit of the number shown."""
    unit = "%" if scale(each) != 1.0 else {"arcsec": "″", "1": ""}.get(each.unit, each.unit)
    name = words(each.name)
    return f"{name} [{unit}]" if unit else name


def words(name: str) -> str:
    """The name of a quantity as it is shown; the number of a second measurement stands apart."""
    own, _, number = name.rpartition("_")
    return f"{_WORDS.get(own, own)} {number}" if number.isdigit() else _WORDS.get(name, name)


def _line(each: Estimate) -> Row:
    factor = scale(each)
    value, std = rounded(factor * each.value, factor * each.std)
    if std == NONE:
        return label(each), value, NONE, NONE, each.remark or "fixed"
    low, high = (rounded(factor * end, factor * each.std)[0] for end in (each.low, each.high))
    return label(each), value, std, f"{low} … {high}", _remark(each)


def _remark(each: Estimate) -> str:
    """The remark in the unit of the table."""
    factor = scale(each)
    return each.words(lambda value: f"{factor * value + 0.0:.4g}" + (" %" if factor != 1.0 else ""))


def _pair(each: Estimate) -> str:
    if not each.determined:
        return "undetermined"
    value, std = rounded(scale(each) * each.value, scale(each) * each.std)
    if std == NONE or "e" in value:
        return value if std == NONE else f"{value} ± {std}"
    return f"{value}({std.removeprefix('0.').lstrip('0')})"


def _union(fits: Sequence[Fit]) -> dict[str, Estimate]:
    """The parameters of all fits, in their order."""
    return {each.name: each for fit in fits for each in fit.parameters}


def _misfit(fit: Fit) -> tuple[float | None, float]:
    return fit.reduced_chi2, fit.mean_abs_log10


def _short(value: float | None) -> str:
    return NONE if value is None or not math.isfinite(value) else f"{value:.3g}"
