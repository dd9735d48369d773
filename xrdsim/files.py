"""Results are written completely or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import OutputError
from xrdsim.places import is_remote, object_sizes, place


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary file beside ``path`` to write; it takes the place of ``path`` when the block succeeds.

    Missing folders are made.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{target} cannot be written: {reason}; choose another place or free some space") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def save_json(path: str | Path, values: dict[str, Any]) -> Path:
    """Write plain values as JSON; NaN and infinities are refused.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with replacing(path) as temporary:
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def save_arrays(path: str | Path, **arrays: NDArray[np.float64]) -> Path:
    """Write named arrays as .npz; the suffix is put on.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    target = Path(path).with_suffix(".npz")
    with replacing(target) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return target


def size_of(folder: str | Path) -> int:
    """Bytes of all files in a folder and below."""
    if is_remote(folder):
        return sum(object_sizes(place(folder)).values())
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
