"""One writer at a time: a file ``NAME.lock`` beside a dataset, locked by the operating system.

The system releases the lock when its process ends, however it ends, so a kill leaves no stale lock; the file that a
kill leaves behind locks nothing. Where the system or the file system knows no such locks, the file itself is the lock:
a kill then leaves one that its message asks to remove by hand.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xrdsim.errors import StoreError
from xrdsim.storage import is_remote

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)


@contextmanager
def only_writer(path: str | Path) -> Iterator[None]:
    """Hold the right to write ``path``; missing parents are made. An object storage has no locks.

    Raises
    ------
    StoreError
        Another process, or another thread of this one, writes there.
    OSError
        The file of the lock cannot be made.
    """
    if is_remote(path):
        yield
        return
    target = Path(path).resolve()
    file = target.with_name(f"{target.name}.lock")
    with suppress(FileExistsError):  # a file there is found by what follows
        target.parent.mkdir(parents=True)
    descriptor = _locked(path, file)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        if fcntl is None:  # Windows removes no open file
            os.close(descriptor)
        with suppress(OSError):
            file.unlink()
        if fcntl is not None:
            os.close(descriptor)


def _locked(path: str | Path, file: Path) -> int:
    """Descriptor of the file, locked, or made by this call where there are no locks."""
    while True:
        made = True
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            made = False
            try:
                descriptor = os.open(file, os.O_RDWR)
            except FileNotFoundError:  # its holder ended in between
                continue
        try:
            if _lock(path, file, descriptor, made):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(path: str | Path, file: Path, descriptor: int, made: bool) -> bool:
    """Whether the lock is ours; not so when its last holder removed the file after it was opened here."""
    try:
        if fcntl is None:
            raise OSError(errno.ENOTSUP, "no locks")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(_refusal(path, descriptor)) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if not made:
            raise StoreError(
                f"{_refusal(path, descriptor)}, or remove {file} where no such process runs any more"
            ) from None
        return True
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    return False


def _refusal(path: str | Path, descriptor: int) -> str:
    holder = os.read(descriptor, 200).decode(errors="replace") or "another process"
    return f"{path} is being written by {holder}; wait until it ends"
