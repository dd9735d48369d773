"""Parameter vectors as text: CSV files, and NAME=VALUE on the command line."""

import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import ParameterError, unreadable
from xrdsim.limits import LARGEST_TABLE, read_bytes
from xrdsim.profiles.two_gaussians import ALL_NAMES, NAMES, TABLE

Array = NDArray[np.float64]


def read_table(path: str | Path) -> Array:
    """Parameters (n, 7 or 9) from a CSV file with the parameter names as header, in any order of columns.

    A column ``density``, which `xrd sample` writes, is passed over.

    Raises
    ------
    ParameterError
        The file cannot be read, a name is unknown, missing or repeated, or a line is not numeric: names the line.
    """
    try:
        reader = csv.reader(io.StringIO(read_bytes(path, LARGEST_TABLE).decode("utf-8-sig"), newline=""))
        lines = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, "CSV", error) from error
    if len(lines) < 2:
        raise ParameterError(f"{path} needs a header with the names {', '.join(NAMES)} and at least one row of values")
    header = [name.strip() for name in lines[0][1]]
    columns = [header.index(name) for name in _ordered([given for given in header if given != "density"], str(path))]
    out = np.empty((len(lines) - 1, len(columns)))
    for i, (number, fields) in enumerate(lines[1:]):
        if len(fields) != len(header):
            raise ParameterError(f"{path}, line {number}: {len(fields)} fields where the header has {len(header)}")
        for j, column in enumerate(columns):
            try:
                out[i, j] = float(fields[column])
            except ValueError:
                raise ParameterError(
                    f"{path}, line {number}: {ALL_NAMES[j]} = {fields[column].strip()!r} is not a number"
                ) from None
    return out


def parse_assignments(assignments: Sequence[str]) -> Array:
    """One vector (1, 7 or 9) from texts like ``L1=5200``; every profile parameter must be given.

    Raises
    ------
    ParameterError
        A text has another form, or a name is unknown, missing or repeated.
    """
    names, values = [], []
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise ParameterError(f"--param {text}: write NAME=VALUE, for example --param L1=5200")
        try:
            values.append(float(value))
        except ValueError:
            raise ParameterError(f"--param {text}: {value!r} is not a number") from None
        names.append(name.strip())
    return np.array([[values[names.index(name)] for name in _ordered(names, "--param")]])


def _ordered(names: list[str], where: str) -> tuple[str, ...]:
    """The names of the parameters that are given, in the order of the table."""
    for name in names:
        if name not in ALL_NAMES:
            close = difflib.get_close_matches(name, ALL_NAMES, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise ParameterError(f"{where}: unknown parameter {name!r}{hint} The names are {', '.join(ALL_NAMES)}")
        if names.count(name) > 1:
            raise ParameterError(f"{where}: {name} is given {names.count(name)} times")
    wanted = ALL_NAMES if set(names) - set(NAMES) else NAMES
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ParameterError(f"{where}: {', '.join(missing)} missing; needed are {', '.join(wanted)}")
    return wanted


def format_value(name: str, value: float) -> str:
    """A parameter's value with its unit: strains in %, lengths in Å."""
    parameter = TABLE[ALL_NAMES.index(name)]
    if parameter.unit == "Å":
        return f"{value:.1f} Å"
    return f"{100.0 * value:.4f} %" if parameter.kind == "strain" else f"{value:.4g}"
