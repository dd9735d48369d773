"""Learn to invert rocking curves: from measured curves to strain profiles.

The public names are listed in ``__init__.pyi``, once. Each is imported when it is first used, since PyTorch takes long
to load.
"""

import os
from importlib.metadata import version
from typing import Any

import lazy_loader

# Waiting threads of OpenMP must sleep: spinning, they keep those of Numba and of other processes from the cores, and on
# busy ones training ran slower. It is read when PyTorch and Numba load their OpenMP libraries.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_find, _listed, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    return version("xrdsim") if name == "__version__" else _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_listed(), "__version__"})
