"""Ranges as data: a TOML file with other ranges, fixed and tied parameters; a narrow region around a known sample."""

import difflib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError, unreadable
from xrdsim.limits import Json, read_json, read_toml
from xrdsim.profiles.damage import DAMAGE
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import ALL_NAMES, NAMES, STRAIN_SUM

_TABLES = ("ranges", "ties", "constraints")


def read_space(path: str | Path) -> ParameterSpace:
    """Ranges from a TOML file; what it does not name keeps the default.

    ::

        [ranges]
        Dmax1 = [0.005, 0.02]    # low, high
        Rp2 = -500.0             # fixed
        [ties]
        L2 = "L1"                # L2 takes the value and the range of L1
        [constraints]
        strain_sum = 0.025       # D01 + D02 at most

    Naming kappa or p adds the damage.

    Raises
    ------
    ParameterError
        The file cannot be read, a name is unknown, a value has another form, or the ranges have no meaning.
    """
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "TOML", error) from error
    if not content or not all(name in _TABLES and isinstance(table, dict) for name, table in content.items()):
        raise ParameterError(
            f"{path} has the entries {', '.join(content) or 'none'}; it may have the tables "
            + ", ".join(f"[{name}]" for name in _TABLES)
        )
    ranges, ties, constraints = (content.get(name, {}) for name in _TABLES)
    for name in (*ranges, *ties, *ties.values()):
        _check_name(name, path)
    space = ParameterSpace()
    if {*ranges, *ties, *ties.values()} & {parameter.name for parameter in DAMAGE}:
        space = space.with_damage()
    low, high = list(space.low), list(space.high)
    for name, value in ranges.items():
        if name in ties:
            raise ParameterError(f"{path}: {name} = {value} has a range of its own and a tie; leave one of them out")
        low[ALL_NAMES.index(name)], high[ALL_NAMES.index(name)] = _limits(name, value, path)
    for name, other in ties.items():
        i, j = ALL_NAMES.index(name), ALL_NAMES.index(other)
        low[i], high[i] = low[j], high[j]
    unknown = set(constraints) - {"strain_sum"}
    if unknown:
        raise ParameterError(f"{path}: the constraint {unknown.pop()} is unknown; [constraints] may have strain_sum")
    strain_sum = _number(constraints.get("strain_sum", STRAIN_SUM), "strain_sum", path)
    try:
        return ParameterSpace(tuple(low), tuple(high), strain_sum, tuple(ties.items()))
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None


def around(path: str | Path, width: float, space: ParameterSpace | None = None) -> ParameterSpace:
    """The part of the ranges around a known sample: its values ± half of ``width`` of each range, within the ranges.

    Parameters
    ----------
    path : JSON object of NAME: value, or the result.json of `xrd predict`.
    width : full width in parts of each range, 0 < width ≤ 2.
    space : the ranges; fixed parameters keep their value, tied ones follow.

    Raises
    ------
    ParameterError
        The file cannot be read, a parameter is missing or out of its range, or a width without meaning.
    """
    if not 0.0 < width <= 2.0:
        raise ParameterError(f"width = {width:g} must lie within 0 … 2 (200%), in parts of each range")
    whole = space or ParameterSpace()
    values = _values(path)
    low, high = list(whole.low), list(whole.high)
    followers = dict(whole.ties)
    for j, name in enumerate(whole.names):
        if whole.low[j] == whole.high[j] or name in followers:
            continue
        if name not in values:
            raise ParameterError(f"{path} has no value of {name}; needed are {', '.join(whole.names)}")
        value = _number(values[name], name, path)
        if not whole.low[j] <= value <= whole.high[j]:
            raise ParameterError(
                f"{path}: {name} = {value:g} is outside of its range {whole.low[j]:g} … {whole.high[j]:g}; give other "
                "ranges with --space"
            )
        half = 0.5 * width * (whole.high[j] - whole.low[j])
        low[j], high[j] = max(value - half, whole.low[j]), min(value + half, whole.high[j])
    for name, other in followers.items():
        i, j = whole.names.index(name), whole.names.index(other)
        low[i], high[i] = low[j], high[j]
    return replace(whole, low=tuple(low), high=tuple(high))


def read_sample(path: str | Path) -> NDArray[np.float64]:
    """Parameters (1, 7), or (1, 9) with kappa and p, of a JSON object of NAME: value or a result.json.

    Raises
    ------
    ParameterError
        The file cannot be read or is a fit of splines, a name is unknown, or a parameter is missing or no number.
    """
    values = _values(path)
    for name in values:
        _check_name(name, path)
    names = ALL_NAMES if "kappa" in values and "p" in values else NAMES
    missing = [name for name in names if name not in values]
    if missing:
        raise ParameterError(f"{path} has no value of {missing[0]}; needed are {', '.join(names)}")
    return np.array([[_number(values[name], name, path) for name in names]])


def parse_width(text: str) -> float:
    """A part of a range from a text like ``20%`` or ``0.2``.

    Raises
    ------
    ParameterError
        Another form.
    """
    try:
        return float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        raise ParameterError(f"width = {text!r} is no part of a range; write 20% or 0.2") from None


def _values(path: str | Path) -> Json:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "JSON", error) from error
    table = content.get("parameters", content) if isinstance(content, dict) else None
    if not isinstance(table, dict):
        raise ParameterError(f"{path} must be a JSON object of NAME: value, or a result.json of `xrd predict`")
    if "c1" in table:
        raise ParameterError(
            f"{path} has the coefficients of a spline, and parameters of two Gaussians are needed; a spline is begun "
            "with `xrd fit --profile spline --begin profile.csv`"
        )
    return {
        name: value["value"] if isinstance(value, dict) and "value" in value else value for name, value in table.items()
    }


def _check_name(name: object, path: str | Path) -> None:
    if name not in ALL_NAMES:
        close = difflib.get_close_matches(str(name), ALL_NAMES, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise ParameterError(f"{path}: unknown parameter {name!r}{hint} The names are {', '.join(ALL_NAMES)}")


def _limits(name: str, value: object, path: str | Path) -> tuple[float, float]:
    if isinstance(value, list):
        if len(value) != 2:
            raise ParameterError(f"{path}: {name} = {value} must be [low, high], or a number to fix it")
        return _number(value[0], name, path), _number(value[1], name, path)
    fixed = _number(value, name, path)
    return fixed, fixed


def _number(value: object, name: str, path: str | Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterError(f"{path}: {name} = {value!r} must be a finite number, or [low, high] for a range")
    return float(value)
