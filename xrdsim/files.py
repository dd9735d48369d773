"""Results are written completely or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import OutputError, ParameterError
from xrdsim.limits import Json
from xrdsim.storage import is_remote, location, object_sizes

FIGURES = (".png", ".svg", ".pdf")
"""Suffixes of the files that figures are written to."""


def check_outputs(*files: str | Path | None, folder: str | Path | None = None) -> None:
    """Find out before a long work whether its results can be written: files, and a folder for others.

    Raises
    ------
    OutputError
        A name is that of a folder where a file is wanted or the reverse, or nothing can be written there.
    ParameterError
        Two of the files are the same.
    """
    chosen = [Path(file) for file in files if file is not None]
    for i, file in enumerate(chosen):
        if file.is_dir() or not file.name:
            raise OutputError(f"{file} is a folder; give the name of a file to write")
        if any(file.absolute() == other.absolute() for other in chosen[:i]):
            raise ParameterError(f"{file} is the name of two of the outputs; give them different names")
    places = [file.parent for file in chosen] + ([] if folder is None else [Path(folder)])
    for place_ in places:
        existing = next(each for each in (place_, *place_.absolute().parents) if each.exists())
        if not existing.is_dir():
            raise OutputError(f"{place_} cannot be written: {existing} is a file, not a folder; choose another place")
        if not os.access(existing, os.W_OK):
            raise OutputError(f"{place_} cannot be written: {existing} is not open for writing; choose another place")


def check_figure(path: str | Path | None) -> None:
    """Refuse the name of a figure whose suffix is none that figures are written as.

    Raises
    ------
    OutputError
        It is another one.
    """
    if path is not None and Path(path).suffix.lower() not in FIGURES:
        raise OutputError(f"{path} has the suffix {Path(path).suffix!r}; figures are written as .png, .svg or .pdf")


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
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def save_json(path: str | Path, values: Json) -> Path:
    """Write plain values as JSON; NaN and infinities are refused.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with replacing(path) as temporary:
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
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
        return sum(object_sizes(location(folder)).values())
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
