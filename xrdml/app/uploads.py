"""Files that are dropped on the page: limited in size and number, under names of the server's own."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from xrdml.app.model.files import safe_name
from xrdsim.errors import ParameterError
from xrdsim.limits import LARGEST_FILE

MOST_FILES = 500
"""Files that are kept at once."""

LARGEST_SUM = 1_000_000_000
"""Bytes of all of them."""


@dataclass(frozen=True)
class Upload:
    """A file that was dropped: its name as text, and where it is."""

    name: str
    path: Path


class Uploads:
    """Files in a temporary folder, each in a folder whose name nobody chooses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Upload] = {}
        self._size = 0

    async def take(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Write a file as it comes, and return what it is asked for by.

        Raises
        ------
        ParameterError
            It is too large, or there are too many.
        """
        if len(self._files) >= MOST_FILES:
            raise ParameterError(f"more than {MOST_FILES} files were dropped; begin anew")
        known, key = safe_name(name), secrets.token_hex(16)
        path = self._folder / key / known
        path.parent.mkdir(parents=True)
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > LARGEST_FILE:
                        raise ParameterError(f"{known} is larger than {LARGEST_FILE / 1e6:g} MB, which no curve is")
                    if self._size + size > LARGEST_SUM:
                        raise ParameterError(f"the files are larger than {LARGEST_SUM / 1e9:g} GB together")
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            raise
        self._size += size
        self._files[key] = Upload(known, path)
        return key

    def pop(self, key: object) -> Upload:
        """A file by what ``take`` returned; it is forgotten.

        Raises
        ------
        ParameterError
            There is none.
        """
        found = self._files.pop(str(key), None)
        if found is None:
            raise ParameterError("a file that was dropped is not there any more; drop it again")
        self._size -= found.path.stat().st_size
        return found
