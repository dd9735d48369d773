"""Where a dataset lies: a folder, or an object storage that speaks S3.

A location is a ``Path``, or for a URL a ``UPath`` of universal-pathlib, which has the methods of a Path. What would
take a request for every object with these methods is one call here.
"""

import importlib
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from xrdsim.errors import StoreError


def location(path: str | Path) -> Path:
    """The folder of this name, or what an ``s3://`` URL names; a Path or UPath is returned as it is.

    Endpoint and credentials are those of the environment. Listings are not cached: other processes write, too.

    Raises
    ------
    StoreError
        The URL names nothing in S3, the extra s3 is not installed, or the environment's settings have no meaning.
    """
    if not isinstance(path, str):
        return path
    scheme, separator, name = path.partition("://")
    if not separator:
        return Path(path)
    if scheme != "s3" or not name.strip("/") or name.startswith("/") or set(name) & set("*?["):
        raise StoreError(f"{path} is no location of a dataset; give a folder or s3://BUCKET/NAME, without * ? [")
    try:
        importlib.import_module("s3fs")
        upath = importlib.import_module("upath")
    except ImportError:
        raise StoreError(f"{path} needs s3fs and universal-pathlib: pip install 'xrdsim[s3]'") from None
    found = upath.UPath(path.rstrip("/"), use_listings_cache=False, max_concurrency=1)  # more: a HEAD before every GET
    try:
        found.fs.connect()
    except failures(ValueError) as error:
        raise StoreError(f"{path} cannot be reached: {error}; {remedy(found)}") from error
    return cast(Path, found)


def is_remote(path: str | Path) -> bool:
    """Whether the location is in an object storage."""
    return not isinstance(location(path), Path)


def failures(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Errors of the operating system and, once it is in use, of an object storage, and others: for ``except``."""
    exceptions = sys.modules.get("botocore.exceptions")
    return (OSError, *others) if exceptions is None else (OSError, exceptions.BotoCoreError, *others)


def remedy(path: str | Path) -> str:
    """What to do where a place cannot be read or written."""
    if is_remote(path):
        return "check the bucket, AWS_ENDPOINT_URL and the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
    return "free some space or choose another place"


def read_files(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of those files of a folder that can be read."""
    if is_remote(folder):
        yield from _read_objects(folder, names)
        return
    for name in names:
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        yield name, content


def _read_objects(folder: Any, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    present = object_sizes(folder)
    keys = {f"{folder.path}/{name}": name for name in names if name in present}
    read = folder.fs.cat(list(keys), on_error="return") if keys else {}
    for key, content in read.items():
        if isinstance(content, bytes):
            yield keys[key], content
        elif not isinstance(content, FileNotFoundError):
            raise content


def object_sizes(folder: Any) -> dict[str, int]:
    """Bytes of the objects below a remote folder, by name: one request a thousand."""
    found = folder.fs.find(folder.path, detail=True)
    return {key.removeprefix(folder.path.rstrip("/") + "/"): entry["size"] for key, entry in found.items()}


def remove_all(path: Any) -> None:
    """Delete a file, or a folder and all below; no error where there is none."""
    if is_remote(path):
        with suppress(FileNotFoundError):
            path.fs.rm(path.path, recursive=True)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
