"""The one decorator that compiles kernels.

``fastmath`` leaves out ``nnan`` and ``ninf``, which would break the NaN that marks a failed sample. The compiled
code is cached in a folder named by the hash of all that the kernels are made of, because Numba itself only notices a
change in the file of the function, not in the files of the functions it calls. Below it the folders have the names of
modules, so that copies of the package share what one of them has compiled. On processors with 512-bit vectors they
are used: Numba would choose 256-bit ones.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding
from numba.core import config as _config
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile

from xrdsim import compiling

config: Any = _config  # its settings are made at run time

OPTIONS: Any = {"fastmath": {"contract", "nsz", "arcp", "afn", "reassoc"}, "error_model": "numpy", "nogil": True}
"""Of every kernel."""


def _use_wide_vectors() -> None:
    """Let LLVM use 512-bit vectors; no effect once something was compiled in this process."""
    features = binding.get_host_cpu_features()
    if config.CPU_FEATURES is None and config.CPU_NAME is None and features.get("avx512f"):
        config.CPU_FEATURES = features.flatten() + ",-prefer-256-bit"


def _cache_folder() -> str | None:
    """Folder for compiled kernels, or None where nothing can be written."""
    digest = hashlib.sha256(numba.__version__.encode())
    here = Path(__file__)
    for source in (here, *sorted(here.parent.glob("profiles/*.py")), *sorted(here.parent.glob("kernels/**/*.py"))):
        digest.update(source.read_bytes())
    root = config.CACHE_DIR or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(root) / "xrdsim" / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


def vector_bits() -> int:
    """Width of the vectors that the kernels are compiled for."""
    features = config.CPU_FEATURES or binding.get_host_cpu_features().flatten()
    if "+avx512f" in features and "-prefer-256-bit" in features:
        return 512
    return 256 if "+avx2" in features else 128


class _Compiling(event.Listener):
    """Passes on that a kernel of this package is compiled."""

    def on_start(self, event: Any) -> None:
        function = getattr(event.data.get("dispatcher"), "py_func", None)
        if getattr(function, "__module__", "").startswith("xrdsim"):
            compiling.report()

    def on_end(self, event: object) -> None:
        pass


class _Cache(FunctionCache):
    """Compiled kernels on disk, but for profiles of other packages: an index that names their types can be read by
    programs alone that know them.
    """

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        share(self, function, IndexDataCacheFile)

    def save_overload(self, sig: object, data: object) -> None:
        if not foreign(sig):
            super().save_overload(sig, data)


def share(cache: Any, function: Any, index: Callable[[str, str, str], Any]) -> None:
    """Let a cache of Numba use the folder of the function's module, as every copy of the package does."""
    assert CACHE is not None
    folder = str(Path(CACHE) / function.__module__)
    cache._cache_path = cache._impl.locator._cache_path = folder
    cache._cache_file = index(folder, cache._impl.filename_base, Path(CACHE).name)


def foreign(sig: Any) -> bool:
    """Whether types of arguments are of profiles that other packages define."""
    return any(map(_elsewhere, getattr(sig, "args", sig)))


def _elsewhere(kind: object) -> bool:
    family = getattr(kind, "instance_class", None)
    return family is not None and not family.__module__.startswith("xrdsim.")


event.register("numba:compile", _Compiling())
_use_wide_vectors()
CACHE = _cache_folder()


def jit(function: Callable[..., Any] | None = None, *, parallel: bool = False, inline: bool = False) -> Any:
    """Compile a kernel: ``@jit``, ``@jit(parallel=True)``, or ``@jit(inline=True)`` for the body of a loop."""
    if function is None:
        return lambda inner: jit(inner, parallel=parallel, inline=inline)
    before = config.CACHE_DIR
    if CACHE is not None:
        config.CACHE_DIR = CACHE
    try:
        compiled = numba.njit(function, **OPTIONS, parallel=parallel, inline="always" if inline else "never")
        if CACHE is not None:
            compiled._cache = _Cache(function)
        return compiled
    finally:
        config.CACHE_DIR = before
