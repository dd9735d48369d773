"""Tables of TOML files that describe an experiment."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from xrdsim.errors import ParameterError
from xrdsim.limits import Json, read_toml


def read_table(path: str | Path, name: str) -> Json:
    """The table of this name.

    Raises
    ------
    ParameterError
        The file cannot be read, or has no such table.
    """
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        raise ParameterError(f"{path} cannot be read as TOML: {error}") from error
    if not isinstance(content.get(name), dict):
        raise ParameterError(f"{path} has no table [{name}]")
    return dict(content[name])


def refuse_unknown(record: type[Any], table: Json, where: str) -> None:
    """Raise ParameterError where a table has an entry that is no field of its record."""
    names = [field.name for field in fields(record)]
    if unknown := [name for name in table if name not in names]:
        raise ParameterError(f"{where} has no entry {unknown[0]!r}; it may have {', '.join(names)}")
