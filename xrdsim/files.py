"""Results are written completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xrdsim.errors import OutputError


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
