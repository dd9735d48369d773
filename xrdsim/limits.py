"""What a request may take: sizes are estimated before anything is allocated, and files are read up to a limit."""

import errno
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from xrdsim.errors import ParameterError

Json = dict[str, Any]
"""Plain values by name, as JSON and TOML have them."""

LARGEST_FILE = 64_000_000
"""Bytes of a measured curve, unpacked; a scan of a million points has half of that."""

LARGEST_TABLE = 128_000_000
"""Bytes of a CSV table of parameters."""

LARGEST_SETTINGS = 32_000_000
"""Bytes of a TOML or JSON file."""

_SHARE = 0.5  # of the machine's memory that one request may take


def memory() -> int:
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 8 * 2**30


def afford(size: float, what: str) -> None:
    """Refuse what would take more than half of the memory.

    Parameters
    ----------
    size : bytes.
    what : what would take them, with its number, for a sentence.

    Raises
    ------
    ParameterError
        Names both numbers.
    """
    most = _SHARE * memory()
    if not size <= most:
        raise ParameterError(
            f"{what} would take {size / 1e9:.3g} GB of memory, half of what this machine has is {most / 1e9:.3g} GB; "
            "ask for less at once"
        )


def read_bytes(path: str | Path, most: int) -> bytes:
    """Content of a file, which is never read further than ``most`` bytes.

    Raises
    ------
    OSError
        It cannot be read, or is larger.
    """
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most / 1e6:g} MB, which no such file is")
    return data


def read_json(path: str | Path) -> Any:
    """Content of a JSON file.

    Raises
    ------
    OSError, ValueError
        It cannot be read, or is no JSON; nested too deeply counts as none.
    """
    try:
        return json.loads(read_bytes(path, LARGEST_SETTINGS).decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Content of a TOML file; errors as ``read_json``."""
    try:
        return tomllib.loads(read_bytes(path, LARGEST_SETTINGS).decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
