"""Rocking curves of ion-implanted crystals: simulation, sensitivity, datasets and the fit of measured curves.

The public names are listed in ``__init__.pyi``, once. Each is imported when it is first used, since compiled kernels
and file formats take time to load.
"""

from importlib.metadata import version
from typing import Any

import lazy_loader

_find, _listed, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    return version("xrdsim") if name == "__version__" else _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_listed(), "__version__"})
