"""NeXus and other HDF5 files: the signal of an NXdata group and its axis, or two columns with telling names.

https://manual.nexusformat.org/classes/base_classes/NXdata.html says how a signal names its axis. h5py is an optional
package. Nothing outside the file is followed: no external link, no external or virtual dataset.
"""

import importlib
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xrdsim.curves.angles import unit_named
from xrdsim.curves.columns import Columns, Floats, Scans, as_measured, refuse
from xrdsim.curves.formats.values import COUPLED, EXPORT, each_scan, kind_of, plain_name, scanned, seconds
from xrdsim.curves.isolated import isolated
from xrdsim.curves.stated import Stated, hkl_of, wavelength_of
from xrdsim.curves.text.headers import angle_and_intensity
from xrdsim.errors import CurveError
from xrdsim.limits import LARGEST_FILE

_MOST_NAMES = 10_000  # datasets and groups of a file
_DAMAGED = f"this is no complete HDF5 file; copy or export it again, or {EXPORT}"
_KEV_ANGSTROM = 12.398419843


def read_nexus(data: bytes, source: str) -> Scans:
    """Scans of an HDF5 file, one for each group that holds an angle and an intensity."""
    try:
        importlib.import_module("h5py")
    except ImportError:
        what = "HDF5 files need h5py, which is not installed: pip install 'xrdsim[hdf5]'"
        refuse(source, f"{what}, or {EXPORT}")
    return isolated(__name__, "scans_of", data, source, _DAMAGED)


def scans_of(data: bytes, source: str) -> Scans:
    """The same in this process, which a damaged file may crash."""
    h5py = importlib.import_module("h5py")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            groups = _groups(file, h5py, source)
            parts: list[Callable[[], Columns]] = []
            for group in groups:
                if found := _pair(group, h5py):
                    parts.append(partial(_scan, group, *found, len(parts) + 1, file, source))
            if not parts:
                refuse(source, f"no group of the HDF5 file holds an angle and an intensity; {EXPORT}")
            return each_scan(parts)
    except CurveError:
        raise
    except Exception as error:  # what h5py raises for a broken file is of many kinds
        raise CurveError(f"{source}: {_DAMAGED}") from error


def _groups(file: Any, h5py: Any, source: str) -> list[Any]:
    """All groups that are in the file itself, NXdata first if there are any."""
    groups = [file]
    count = 0

    def visit(_: str, item: Any) -> bool | None:
        nonlocal count
        count += 1
        if isinstance(item, h5py.Group):
            groups.append(item)
        return True if count > _MOST_NAMES else None

    file.visititems(visit)
    if count > _MOST_NAMES:
        refuse(source, f"it holds more than {_MOST_NAMES} groups and datasets, which no scan does; {EXPORT}")
    data = [group for group in groups if _text(group.attrs.get("NX_class")) == "NXdata"]
    return data or groups


def _columns(group: Any, h5py: Any) -> dict[str, Any]:
    """Datasets of one dimension, without following links that leave the file."""
    found = {}
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            continue
        item = group.get(name)
        plain = isinstance(item, h5py.Dataset) and item.ndim == 1 and item.dtype.kind in "iuf"
        if plain and item.external is None and not item.is_virtual:
            found[name] = item
    return found


def _pair(group: Any, h5py: Any) -> tuple[Any, Any] | None:
    """Angle and intensity of a group; None if it holds no scan."""
    columns = _columns(group, h5py)
    signal: str | None = _text(group.attrs.get("signal"))
    if signal not in columns:
        marked = [name for name, item in columns.items() if str(_plain(item.attrs.get("signal"))) == "1"]
        signal = marked[0] if marked else angle_and_intensity_of(list(columns))[1]
    if signal is None or signal not in columns:
        return None
    axes = group.attrs.get("axes", columns[signal].attrs.get("axes"))
    named = [_text(each) for each in np.atleast_1d(axes)] if axes is not None else []
    alike = [name for name, item in columns.items() if item.shape == columns[signal].shape and name != signal]
    angle = next((name for name in named if name in alike), None) or angle_and_intensity_of(alike)[0]
    return (columns[angle], columns[signal]) if angle is not None else None


def angle_and_intensity_of(names: list[str]) -> tuple[str | None, str | None]:
    """Names that tell an angle and an intensity."""
    angle, intensity = angle_and_intensity(tuple(names))
    return (None if angle is None else names[angle]), (None if intensity is None else names[intensity])


def _values(item: Any, where: str) -> Floats:
    if item.size * max(item.dtype.itemsize, 8) > LARGEST_FILE:
        refuse(where, f"{item.name} unpacks to more than {LARGEST_FILE / 1e6:g} MB, which no scan does; {EXPORT}")
    values = np.asarray(item[()], dtype=np.float64)
    for i in np.flatnonzero(~np.isfinite(values))[:1].tolist():
        refuse(where, f"{values[i]:g} is no finite number; correct it or export the file again", i + 1, "point")
    return values


def _scan(group: Any, angle: Any, signal: Any, number: int, file: Any, source: str) -> Columns:
    where = f"{source}, scan {number}"
    x, y = _values(angle, where), _values(signal, where)
    name = str(angle.name).rpartition("/")[2]
    unit = unit_named(_text(angle.attrs.get("units"))) if "units" in angle.attrs else None
    plain = plain_name(name)
    axis = "omega" if plain in ("omega", "theta", "th", "om") else "2theta" if plain in COUPLED else None
    relative = bool(x.size and x.min() < 0.0 < x.max())
    counted = _text(signal.attrs.get("units")).lower()
    rate = counted in ("cps", "counts/s", "1/s", "hz", "counts per second")
    time = _one(file, ("count_time", "counting_time", "exposure_time", "time_per_step"))
    columns = Columns(
        x,
        y,
        np.arange(1, x.size + 1),
        f"scan {number} ({name}) of an HDF5 file",
        "point",
        number,
        "",
        None if relative else axis,
        unit,
        hint=axis or ("2theta" if "2theta" in plain or plain == "tth" else None),
        counted=not rate,
        stated=_stated(file, name, None if relative else axis),
        drives=scanned(x, axis if unit == "deg" and not relative else None),
    )
    if not rate:
        return columns
    return as_measured(columns, factor=None, corrected=True, time=seconds(time, x.size), rate=True)


def _stated(file: Any, axis: str, known: str | None) -> Stated:
    wave = _one(file, ("wavelength", "incident_wavelength", "kalpha_one", "k_alpha_one"))
    energy = _one(file, ("incident_energy", "energy"))
    if wave is None and energy:
        wave = _KEV_ANGSTROM / (energy / 1000.0 if energy > 200.0 else energy)
    words = {key: _word(file, key) for key in ("chemical_formula", "material", "hkl")}
    indices = words["hkl"].replace(",", " ").split()
    return Stated(
        axis=axis,
        kind=kind_of(axis, known),
        wavelength=wavelength_of(wave),
        material=words["material"] or words["chemical_formula"] or None,
        hkl=hkl_of(*(indices if len(indices) == 3 else words["hkl"])) if words["hkl"] else None,
    )


def _first(file: Any, names: tuple[str, ...]) -> Any:
    """The first single value of one of these names anywhere in the file."""
    found: list[Any] = []

    def visit(name: str, item: Any) -> bool | None:
        if name.rpartition("/")[2].lower() in names and hasattr(item, "shape") and item.size == 1:
            if item.external is None and not item.is_virtual:
                found.append(item)
            return True
        return None

    file.visititems(visit)
    return found[0] if found else None


def _one(file: Any, names: tuple[str, ...]) -> float | None:
    item = _first(file, names)
    if item is None or item.dtype.kind not in "iuf":
        return None
    value = float(np.ravel(item[()])[0])
    return value * (10.0 if _text(item.attrs.get("units")).lower() in ("nm", "nanometer", "nanometre") else 1.0)


def _word(file: Any, name: str) -> str:
    item = _first(file, (name,))
    return "" if item is None or item.dtype.kind not in "SO" else _text(np.ravel(item[()])[0])


def _plain(value: Any) -> Any:
    return np.ravel(value)[0] if np.size(value) else value


def _text(value: Any) -> str:
    value = _plain(value) if isinstance(value, np.ndarray) else value
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
