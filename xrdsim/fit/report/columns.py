"""Curves and profiles of fits as columns: CSV files with a line of names, and a line of units behind ``#``.

``numpy.genfromtxt(file, delimiter=",", names=True)`` and ``pandas.read_csv(file, comment="#")`` read them.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from xrdsim.files import replacing
from xrdsim.fit.result import CurveFit, Fit

_OF_CURVE = {
    "angle": "arcsec",
    "measured": "intensity",
    "model": "intensity",
    "sigma": "intensity",
    "residual": "sigma",
    "log10_ratio": "dex",
    "used": "1",
    "left_out": "why",
}
_OF_PROFILE = {"depth": "angstrom"} | {
    f"{what}{end}": "1" for what in ("strain", "E") for end in ("", "_low95", "_low68", "_high68", "_high95")
}


def write_columns(fit: Fit, folder: Path) -> list[Path]:
    """Write ``profile.csv``, and ``curve.csv`` or, of several curves, ``curve_NAME.csv`` of each.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    names = curve_files(fit)
    curves = [write_curve(each, folder / name) for each, name in zip(fit.curves, names, strict=True)]
    return [write_profile(fit, folder / "profile.csv"), *curves]


def curve_files(fit: Fit) -> list[str]:
    """Names of the files of its curves; a number tells those apart that are called alike."""
    if len(fit.curves) == 1:
        return ["curve.csv"]
    stems = [re.sub(r"[^\w.+-]+", "_", Path(each.source).stem) or "unnamed" for each in fit.curves]
    often = Counter(stem.lower() for stem in stems)
    return [
        f"curve_{stem}.csv" if often[stem.lower()] == 1 else f"curve_{i + 1}_{stem}.csv" for i, stem in enumerate(stems)
    ]


def write_curve(curve: CurveFit, path: Path) -> Path:
    """Write all points of a file in the order of their angles, those that were not fitted with the reason.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    shown = curve.shown
    numbers = (shown.angle, shown.measured, shown.model, shown.sigma, shown.residual, shown.log_ratio)
    rows: list[tuple[float | str, ...]] = [
        (*row, int(used), why)
        for *row, used, why in zip(*(each.tolist() for each in (*numbers, shown.used, shown.left_out)), strict=True)
    ]
    rows += [(angle, intensity, *[math.nan] * 4, 0, str(why)) for angle, intensity, why in curve.aside]
    return _write(path, _OF_CURVE, sorted(rows, key=lambda row: float(row[0])))


def write_profile(fit: Fit, path: Path) -> Path:
    """Write strain and static Debye–Waller factor over depth, each with its 95 and 68 % bands; E is 1 without damage.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    without = np.ones_like(fit.strain)
    damage = without if fit.damage is None else fit.damage
    bands = np.tile(without, (4, 1)) if fit.damage_band is None else fit.damage_band
    table = np.column_stack([fit.depth, fit.strain, *fit.band, damage, *bands])
    return _write(path, _OF_PROFILE, table.tolist())


def _write(path: Path, units: dict[str, str], rows: Iterable[Sequence[float | str]]) -> Path:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(units)
        file.write(f"# {','.join(units.values())}\n")
        writer.writerows([f"{value:.10g}" if isinstance(value, float) else value for value in row] for row in rows)
    return path
