"""Tables of TOML files that describe an experiment."""

from collections.abc import Sequence
from pathlib import Path

from xrdsim.errors import ParameterError, unreadable
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
        raise unreadable(path, "TOML", error) from error
    if not isinstance(content.get(name), dict):
        raise ParameterError(f"{path} has no table [{name}]")
    return dict(content[name])


def refuse_unknown(names: Sequence[str], table: Json, where: str) -> None:
    """Raise ParameterError where a table has another entry than these."""
    if unknown := [name for name in table if name not in names]:
        raise ParameterError(f"{where} has no entry {unknown[0]!r}; it may have {', '.join(names)}")
