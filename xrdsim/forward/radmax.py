"""Profiles of RaDMaX, whose cubic splines hold strain and static Debye–Waller factor of a layer of known depth.

RaDMaX (A. Boulle and A. Debelle, J. Appl. Cryst. 43, 1046, 2010; M. Souilah, A. Boulle and A. Debelle, J. Appl. Cryst.
49, 311, 2016) writes the coefficients of either spline into a text file, a number a line, that nearest to the substrate
first. Those of the strain are in %. With t the depth of the layer, z that of a place and N intervals of equal width,

    f(z) = Σ w_j b(x − j + 3),  x = N (t − z)/t,  j = 0 … N + 2

with the cardinal cubic spline b on 0 … 4 (I. J. Schoenberg, Q. Appl. Math. 4, 45, 1946), which is not clamped: the
outermost coefficients lie beyond the ends of the layer. In the ``smooth`` model the three deepest, 0 of the strain and
1 of the factor, are not in the file, and N is the number of those that are; in the ``abrupt`` one all are, and N is by
3 less. The layer is cut into slices of equal thickness, each with the values of its upper edge.
"""

import configparser
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError, unreadable
from xrdsim.files import replacing
from xrdsim.forward.derived import damage_profile, depth_end, strain_profile
from xrdsim.forward.sublayers import DEEPEST, THINNEST, Sublayers, read_sublayers
from xrdsim.limits import LARGEST_TABLE, read_bytes
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import End, Spline

Array = NDArray[np.float64]

MOST_SLICES = 100_000
"""Of a layer."""

STRAIN_FILE, FACTOR_FILE, PROJECT_FILE = "input_strain_coeff.txt", "input_DW_coeff.txt", "radmax.ini"
"""What ``Radmax.write`` writes."""

_PERCENT = 100.0
_LEAST = {"smooth": 1, "abrupt": 4}  # coefficients of a file
_INTERVALS = 27  # into which the depth of a profile is cut that is no spline
_PLACES = 16  # in each interval, at which a profile is compared with its spline
_SLICE = 20.0  # Å, at most, of a profile that is written
_SECTION, _FILES = "Strain and DW", "Data files"
_MODELS: tuple[End, ...] = ("smooth", "abrupt")


@dataclass(frozen=True, eq=False)
class Radmax:
    """A profile of RaDMaX.

    Attributes
    ----------
    strain : (n,) coefficients of its file, as numbers, not in %.
    factor : (m,) those of the static Debye–Waller factor; None for 1.
    depth : of the layer [Å].
    end : ``smooth`` or ``abrupt``.
    slices : into which RaDMaX cuts the layer; None for as many as make no difference.

    Raises
    ------
    ParameterError
        Too few coefficients, or a number without meaning.
    """

    strain: Array
    factor: Array | None
    depth: float
    end: End = "smooth"
    slices: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.depth <= DEEPEST:
            raise ParameterError(f"damaged_depth = {self.depth:g} Å must be positive, at most {DEEPEST:g}")
        if self.slices is not None and not 1 <= self.slices <= MOST_SLICES:
            raise ParameterError(f"number_slices = {self.slices} must lie within 1 … {MOST_SLICES}")
        for what, values in (("strain", self.strain), ("Debye–Waller", self.factor)):
            if values is not None and len(values) < _LEAST[self.end]:
                raise ParameterError(
                    f"{len(values)} {what} coefficients are too few for an {self.end} end, which has "
                    f"{_LEAST[self.end]} or more"
                )

    def at(self, depth: ArrayLike) -> tuple[Array, Array]:
        """Strain and static Debye–Waller factor (n,) at depths (n,) [Å] within the layer."""
        place = 1.0 - np.asarray(depth, dtype=np.float64) / self.depth
        strain = _whole(self.strain, self.end, 0.0)
        factor = np.ones(4) if self.factor is None else _whole(self.factor, self.end, 1.0)
        return _basis(place, len(strain)) @ strain, _basis(place, len(factor)) @ factor

    @property
    def above_one(self) -> float:
        """By how much its largest factor exceeds 1, or 0."""
        return max(float(self.at(self._places())[1].max()) - 1.0, 0.0)

    def _places(self) -> Array:
        """Depth [Å] of the upper edges of the slices, or of the middles of thin ones."""
        if self.slices is not None:
            return self.depth * np.arange(self.slices) / self.slices
        count = math.ceil(self.depth / THINNEST)
        return self.depth * (np.arange(count) + 0.5) / count

    def sublayers(self) -> Sublayers:
        """Its slices, from the surface down; factors above 1, which RaDMaX may have, are 1.

        Raises
        ------
        ParameterError
            As ``Sublayers``.
        """
        places = self._places()
        strain, factor = self.at(places)
        return Sublayers(np.full(len(places), self.depth / len(places)), strain, np.minimum(factor, 1.0))

    def write(self, folder: str | Path) -> list[Path]:
        """Write both files of coefficients, and a project that ``read_radmax`` reads, into a folder.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        factor = np.ones(len(self.strain)) if self.factor is None else self.factor
        where = Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        project = [
            f"[{_FILES}]",
            f"input_strain = {STRAIN_FILE}",
            f"input_dw = {FACTOR_FILE}",
            "",
            f"[{_SECTION}]",
            f"model = {_MODELS.index(self.end)}",
            f"strain_basis_func = {len(self.strain)}",
            f"dw_basis_func = {len(factor)}",
            f"damaged_depth = {self.depth:.4f}",
            *([] if self.slices is None else [f"number_slices = {self.slices}"]),
        ]
        columns = [[f"{value:.8f}" for value in values] for values in (_PERCENT * self.strain, factor)]
        written = []
        for name, lines in zip((STRAIN_FILE, FACTOR_FILE, PROJECT_FILE), (*columns, project), strict=True):
            with replacing(where / name) as temporary:
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
            written.append(where / name)
        return written


def read_profile(path: str | Path) -> Sublayers | Radmax:
    """A profile from a file: a project of RaDMaX, .ini, or a table for ``read_sublayers``.

    Raises
    ------
    ParameterError
        As ``read_radmax`` and ``read_sublayers``.
    """
    return read_radmax(path) if Path(path).suffix.lower() == ".ini" else read_sublayers(path)


def read_radmax(path: str | Path) -> Radmax:
    """A profile of RaDMaX from a project, .ini, and its files of coefficients.

    ::

        [Data files]
        input_strain = input_strain_coeff.txt
        input_dw = input_DW_coeff.txt     ; without it the factor is 1
        [Strain and DW]
        model = 0                         ; 0 smooth, which is the default, 1 abrupt
        damaged_depth = 1545              ; Å
        number_slices = 60                ; without it as many as make no difference

    What else a project holds is passed over. A file of coefficients that is not where the project says is looked for
    beside the project.

    Raises
    ------
    ParameterError
        A file cannot be read, an entry is missing or without meaning, or the profile is none of splines.
    """
    parser = configparser.ConfigParser(strict=False, interpolation=None, inline_comment_prefixes=(";",))
    try:
        parser.read_string(read_bytes(path, LARGEST_TABLE).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise unreadable(path, "a project of RaDMaX", error) from error
    for section, entry in ((_FILES, "input_strain"), (_SECTION, "damaged_depth")):
        if not parser.has_option(section, entry):
            raise ParameterError(f"{path} has no entry {entry} in [{section}]; a profile of RaDMaX needs it")

    def number(entry: str) -> float:
        text = parser.get(_SECTION, entry)
        try:
            return float(text)
        except ValueError:
            raise ParameterError(f"{path}: {entry} = {text!r} is not a number") from None

    def coefficients(entry: str) -> Array:
        return _read_coefficients(_beside(path, parser.get(_FILES, entry)))

    model = number("model") if parser.has_option(_SECTION, "model") else 0.0
    if model not in (0.0, 1.0):
        raise ParameterError(
            f"{path}: model = {model:g} is not of splines; only 0, smooth, and 1, abrupt, are read. Give the profile "
            "as a table of depth, strain and E (CSV) instead"
        )
    slices = number("number_slices") if parser.has_option(_SECTION, "number_slices") else None
    if slices is not None and not slices.is_integer():
        raise ParameterError(f"{path}: number_slices = {slices:g} must be a whole number")
    factor = coefficients("input_dw") if parser.has_option(_FILES, "input_dw") else None
    try:
        return Radmax(
            coefficients("input_strain") / _PERCENT,
            factor,
            number("damaged_depth"),
            _MODELS[int(model)],
            None if slices is None else int(slices),
        )
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None


def radmax_of(params: ArrayLike, space: ParameterSpace) -> tuple[Radmax, float, float]:
    """The profile of one row of parameters (p,) for RaDMaX, and by how much strain and factor differ from it at most.

    The ends are abrupt. A spline of this package has the same intervals, so its strain is the same function. The factor
    is the nearest spline of as many coefficients, as RaDMaX online has them.

    Raises
    ------
    ParameterError
        As ``ParameterSpace.check``.
    """
    row = space.check(params)[:1]
    family, t = space.profile.family, float(depth_end(row, space=space)[0])
    intervals = family.number + family.zeros - 3 if isinstance(family, Spline) else _INTERVALS
    place = (np.arange(intervals * _PLACES) + 0.5) / (intervals * _PLACES)
    depth = t * (1.0 - place)
    matrix, strain = _basis(place, intervals + 3), strain_profile(row, depth, space=space)[0]
    factor = damage_profile(row, depth, space=space)[0] if space.damage else np.ones(len(depth))
    found = [np.linalg.lstsq(matrix, values)[0] for values in (strain, factor)]
    away = [float(np.abs(matrix @ w - values).max()) for w, values in zip(found, (strain, factor), strict=True)]
    return Radmax(found[0], found[1], t, "abrupt", math.ceil(t / _SLICE)), away[0], away[1]


def _whole(coefficients: Array, end: End, below: float) -> Array:
    """All coefficients, those that a smooth model holds included."""
    return np.concatenate([np.full(3, below), coefficients]) if end == "smooth" else coefficients


def _basis(place: Array, count: int) -> Array:
    """The splines (n, count) at places (n,), 0 at the bottom of the layer and 1 at its surface."""
    intervals = count - 3
    x = np.clip(place, 0.0, 1.0) * intervals
    first = np.minimum(x.astype(np.int64), intervals - 1)
    u = x - first
    four = ((1.0 - u) ** 3, 4.0 + u**2 * (3.0 * u - 6.0), 1.0 + 3.0 * u * (1.0 + u * (1.0 - u)), u**3)
    out = np.zeros((len(x), count))
    for k, values in enumerate(four):
        out[np.arange(len(x)), first + k] = values / 6.0
    return out


def _read_coefficients(path: Path) -> Array:
    """Numbers of a text file, one a line."""
    try:
        lines = read_bytes(path, LARGEST_TABLE).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, "text", error) from error
    values = []
    for i, line in enumerate(lines):
        if text := line.split("#")[0].strip():
            try:
                values.append(float(text))
            except ValueError:
                raise ParameterError(f"{path}, line {i + 1}: {text!r} is not one coefficient") from None
            if not math.isfinite(values[-1]):
                raise ParameterError(f"{path}, line {i + 1}: {text!r} must be finite")
    return np.array(values)


def _beside(project: str | Path, name: str) -> Path:
    """The file that a project names, or one of this name beside it: projects often come from other computers."""
    given = Path(project).parent / name
    return given if given.is_file() else Path(project).parent / re.split(r"[\\/]", name)[-1]
