"""Curves of a list of sublayers instead of a family of profiles, and at incidence angles instead of a scan's."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError, unreadable
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.diffuse.beams import exponents
from xrdsim.forward.diffuse.scattering import Scattering
from xrdsim.forward.nodes import grid_and_cluster
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.forward.optics import centre, highest_frequency
from xrdsim.forward.prepare import prepare
from xrdsim.kernels import batch
from xrdsim.limits import LARGEST_TABLE, afford, read_bytes
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS
from xrdsim.units import ARCSEC, FWHM_TO_SIGMA

Array = NDArray[np.float64]

MOST_STRAIN, DEEPEST = 0.3, 1e6
"""Of a sublayer, in size; of all of them together [Å]."""

THINNEST = 2.0
"""Sublayers [Å] into which a strain over depth is cut."""

_BAND = re.compile(r"_(low|high)(68|95)$")  # of the names of columns
_RTOL = 1e-8  # accuracy of the interpolation over angle [dex]
_TAPS = 6  # points of the polynomial between equidistant angles
_STEP = 2.0  # arcsec


@dataclass(frozen=True, eq=False, init=False)
class Sublayers:
    """Homogeneous sublayers from the surface down.

    Parameters
    ----------
    thickness : (n,) [Å].
    strain : (n,), positive where the lattice is expanded.
    factor : (n,) static Debye–Waller factor E; None for 1.

    Raises
    ------
    ParameterError
        Arrays of different lengths, or a value without meaning, named with its row.
    """

    thickness: Array
    strain: Array
    factor: Array

    def __init__(self, thickness: ArrayLike, strain: ArrayLike, factor: ArrayLike | None = None) -> None:
        h, eps = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (thickness, strain))
        e = np.ones(len(h)) if factor is None else np.atleast_1d(np.asarray(factor, dtype=np.float64))
        if not len(h) == len(eps) == len(e) or h.ndim > 1:
            raise ParameterError(f"sublayers need as many strains ({len(eps)}) and factors ({len(e)}) as thicknesses")
        for name, values, low, high in (
            ("thickness", h, 0.0, DEEPEST),
            ("strain", eps, -MOST_STRAIN, MOST_STRAIN),
            ("E", e, 0.0, 1.0),
        ):
            bad = ~((values >= low) & (values <= high))
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                raise ParameterError(f"sublayer {row + 1}: {name} = {values[row]:g} must be within {low:g} … {high:g}")
        if h.sum() > DEEPEST:
            raise ParameterError(f"the sublayers are {h.sum():g} Å thick in all; {DEEPEST:g} Å are the limit")
        for name, values in (("thickness", h), ("strain", eps), ("factor", e)):
            object.__setattr__(self, name, values)


def read_sublayers(path: str | Path) -> Sublayers:
    """Sublayers of a CSV file: thickness [Å] and strain of each, or strain over depth; and E if it has one.

    With a column ``depth`` [Å], which begins at 0 and increases, strain and E are straight between its rows, and the
    last of them is the end of the layer. Lines that begin with # are passed over, and so are the columns of bands that
    ``profile.csv`` of a fit has.

    Raises
    ------
    ParameterError
        The file cannot be read, a column is missing or unknown, or a line is not numeric: names the line.
    """
    table = _columns(path, ("thickness", "strain"), ("E",), instead=("thickness", "depth"))
    try:
        if "depth" in table:
            return of_depth(table["depth"], table["strain"], table.get("E"))
        return Sublayers(table["thickness"], table["strain"], table.get("E"))
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None


def of_depth(depth: ArrayLike, strain: ArrayLike, factor: ArrayLike | None = None) -> Sublayers:
    """Sublayers of at most THINNEST Å of a strain and a factor E, straight between depths (n,) [Å] from 0 on.

    Raises
    ------
    ParameterError
        Depths that do not begin at 0 and increase, or as ``Sublayers``.
    """
    z, eps = np.asarray(depth, dtype=np.float64), np.asarray(strain, dtype=np.float64)
    if len(z) < 2 or z[0] != 0.0 or not (np.diff(z) > 0.0).all() or not z[-1] <= DEEPEST:
        raise ParameterError(f"depths must begin at 0 Å, increase, and end within {DEEPEST:g} Å")
    e = np.ones(len(z)) if factor is None else np.asarray(factor, dtype=np.float64)
    parts = np.ceil(np.diff(z) / THINNEST).astype(np.int64)
    h = np.repeat(np.diff(z) / parts, parts)
    middle = np.cumsum(h) - 0.5 * h
    return Sublayers(h, np.interp(middle, z, eps), np.interp(middle, z, e))


def read_omega(path: str | Path) -> Array:
    """Incidence angles [°] of a CSV file with the column omega_deg.

    Raises
    ------
    ParameterError
        As ``read_sublayers``.
    """
    return _columns(path, ("omega_deg",), ())["omega_deg"]


def angle_of(omega: Array, experiment: Experiment) -> Array:
    """Angles [arcsec] from the substrate peak at incidence angles ω [°] to the true surface.

    Raises
    ------
    ParameterError
        An angle at which no beam reaches the surface.
    """
    reflection = experiment.reflection
    if np.any((omega <= 0.0) | (omega >= 90.0)):
        raise ParameterError("omega must lie within 0 … 90°")
    x, _, z = reflection.normal
    sine = np.sin(np.radians(omega)) / math.hypot(x, z)
    if np.any(sine > 1.0):
        raise ParameterError(f"omega = {omega[sine > 1.0][0]:g}° cannot be reached in this plane of diffraction")
    theta = math.atan2(x, z) + np.arcsin(sine)
    return np.asarray((centre(reflection, experiment.convention) - theta) / ARCSEC)


def omega_of(angle: Array, experiment: Experiment) -> Array:
    """Incidence angles ω [°] at angles [arcsec] from the substrate peak; inverse of ``angle_of``."""
    reflection = experiment.reflection
    x, _, z = reflection.normal
    theta = centre(reflection, experiment.convention) - angle * ARCSEC
    return np.asarray(np.degrees(np.arcsin(np.sin(theta) * z - np.cos(theta) * x)))


def simulate_sublayers(
    profile: Sublayers,
    *,
    experiment: Experiment | None = None,
    scan: Scan = DEFAULT_SCAN,
    omega: ArrayLike | None = None,
    fwhm: float = 30.0,
) -> tuple[Array, Array, Array]:
    """Angles [arcsec], reflectivity and its convolution with the instrument, (m,) each.

    Parameters
    ----------
    profile : sublayers of the strained layer.
    experiment : what is measured; None for GGG 444.
    scan : at which angles.
    omega : incidence angles [°], (m,) in any order, instead of the scan.
    fwhm : of the Gaussian instrument function [arcsec]; 0 for none.

    Raises
    ------
    ParameterError
        A width without meaning, or angles beyond a right angle.
    """
    chosen = (experiment or Experiment()).continuous().within(_RTOL)
    film, deepest = chosen.reflection.film, float(profile.thickness.sum())
    if film is not None and deepest > film.thickness:
        raise ParameterError(f"the sublayers are {deepest:g} Å thick in all, more than the film, {film.thickness:g} Å")
    if not (fwhm == 0.0 or 0.1 <= fwhm <= 3600.0):
        raise ParameterError(f"fwhm = {fwhm:g} must be 0, or within 0.1 … 3600 arcsec")
    at = scan.angle if omega is None else angle_of(np.atleast_1d(np.asarray(omega, dtype=np.float64)), chosen)
    low, high = float(at.min()), float(at.max())
    total = max(deepest, 100.0)
    whole = Scan(low, max(high - low, 1.0), 2)
    step = min(_STEP, 0.2 / highest_frequency(total, chosen.reflection, whole))
    points = math.ceil((high - low) / step) + 2 * _TAPS
    afford(16.0 * (points + len(at)), f"a curve of {points} angles")
    grid = Scan(low - (_TAPS - 1) * step, step, points)
    reflectivity = _reflect(profile, chosen, grid, at, total)[grid.points :]
    if fwhm == 0.0:
        return at, reflectivity, reflectivity
    nodes = instrument_nodes(grid, chosen.reflection, narrowest=fwhm, widest=fwhm, zero=0.0, thickness=total)
    at_nodes = _reflect(profile, chosen, *grid_and_cluster(nodes), total)
    seen, one, none = np.empty((1, grid.points)), np.ones(1), np.zeros(1)
    batch.measure(at_nodes[None], nodes, fwhm * FWHM_TO_SIGMA * one, none, one, none, 1, seen)
    return at, reflectivity, _between(seen[0], grid, at)


def _reflect(sublayers: Sublayers, experiment: Experiment, grid: Scan, cluster: Array, total: float) -> Array:
    """Reflectivity at the angles of the grid, then of the cluster."""
    model = prepare(grid, experiment, grid=grid, cluster=cluster, thickness=total)
    parts = np.maximum(1, np.ceil(sublayers.thickness / model.accuracy.thickest).astype(np.int64))
    h = np.repeat(sublayers.thickness / parts, parts)
    eps, factor = np.repeat(sublayers.strain, parts), np.repeat(sublayers.factor, parts)
    g = model.layer.coupling * (eps / (1.0 + eps) if experiment.exact else eps)
    out = np.empty(len(model.optics.substrate))
    if experiment.defects is None:
        batch.sublayers(h, g, factor, model.profile, model.optics, out)
        return out
    largest = max(float(sublayers.strain.max()), 1e-300)
    loops = exponents(experiment.defects, experiment.reflection)[0]
    factor = factor * np.exp(-loops * np.maximum(eps, 0.0) / largest)
    batch.sublayers(h, g, factor, model.profile, model.optics, out)
    scattering = Scattering(experiment, np.concatenate([grid.angle, cluster]), TWO_GAUSSIANS, total)
    scattering.add_sublayers(sublayers.thickness, sublayers.strain, out)
    return out


def _between(values: Array, grid: Scan, at: Array) -> Array:
    """Values at any angles, by polynomials through the nearest equidistant ones."""
    place = (at - grid.start) / grid.step
    first = np.clip(np.floor(place).astype(np.int64) - (_TAPS // 2 - 1), 0, grid.points - _TAPS)
    t = (place - first)[:, None]
    total = np.zeros(len(at))
    for i in range(_TAPS):
        others = np.array([j for j in range(_TAPS) if j != i])
        total += np.prod((t - others) / (i - others), axis=1) * values[first + i]
    return total


def _columns(
    path: str | Path, needed: tuple[str, ...], optional: tuple[str, ...], instead: tuple[str, str] = ("", "")
) -> dict[str, Array]:
    """Columns by name; the second of ``instead`` may stand in the place of the first."""
    try:
        reader = csv.reader(io.StringIO(read_bytes(path, LARGEST_TABLE).decode("utf-8-sig"), newline=""))
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row)) and not row[0].startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, "CSV", error) from error
    names = [name.strip() for name in rows[0][1]] if rows else []
    if instead[1] in names:
        needed = tuple(instead[1] if name == instead[0] else name for name in needed)
    if missing := [name for name in needed if name not in names]:
        raise ParameterError(f"{path} needs a header with the columns {', '.join(needed)}; {missing[0]} is missing")
    known = (*needed, *optional)
    if unknown := [name for name in names if name not in known and _BAND.sub("", name) not in known]:
        raise ParameterError(f"{path} has a column {unknown[0]!r}; it may have {', '.join((*needed, *optional))}")
    out = np.empty((len(rows) - 1, len(names)))
    for i, (line, fields) in enumerate(rows[1:]):
        try:
            out[i] = [float(field) for field in fields]
        except ValueError:
            raise ParameterError(f"{path}, line {line}: {', '.join(fields)} are not {len(names)} numbers") from None
    if not len(out):
        raise ParameterError(f"{path} has a header and no values")
    return {name: out[:, j].copy() for j, name in enumerate(names)}
