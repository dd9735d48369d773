"""The graphics card: whether there is one, and the one thread of this process that talks to it.

The driver is not safely started, nor shared, by several threads. ``numba-cuda`` is imported only when a card is asked
for. Its simulator, NUMBA_ENABLE_CUDASIM=1, counts as a card.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

import numpy as np

from xrdsim._jit import config
from xrdsim.errors import DeviceError

OnCard = Any
"""What numba-cuda makes at run time: arrays on the card and in page-locked memory, records of them, kernels."""

P = ParamSpec("P")
T = TypeVar("T")


def missing() -> str | None:
    """Why no card can be used and what to do about it; None where one can."""
    if find_spec("numba_cuda") is None:
        return "device 'cuda' needs the extra: pip install 'xrdsim[cuda]'; or use 'cpu'"
    try:
        from numba import cuda
    except ImportError as error:
        return f"device 'cuda' is not installed completely ({error}); pip install 'xrdsim[cuda]', or use 'cpu'"
    if cuda.cuda_error() is not None:
        return "device 'cuda': no CUDA GPU was found, or its driver is missing; use 'cpu'"
    if not (simulated() or has_compiler()):
        return (
            "device 'cuda' needs the compiler of the CUDA toolkit: pip install 'numba-cuda[cu13]', 'numba-cuda[cu12]' "
            "for older drivers; or use 'cpu'"
        )
    return None


def simulated() -> bool:
    """Whether the card is the simulator of numba-cuda."""
    return bool(config.ENABLE_CUDASIM)


def has_compiler() -> bool:
    """Whether the libraries of the CUDA toolkit are found that compile and link kernels."""
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        for name in ("nvvm", "nvrtc", "nvJitLink"):
            load_nvidia_dynamic_lib(name)
    except DynamicLibNotFoundError:
        return False
    return True


def require() -> None:
    """Check that a card can be used.

    Raises
    ------
    DeviceError
        None can, and why.
    """
    reason = missing()
    if reason is not None:
        raise DeviceError(reason)


def kernel_array(values: Any) -> OnCard:
    """Memory of a tensor on the card as kernels take it, without a copy; an array of NumPy as it is.

    In the simulator the tensor is one of the processor.
    """
    if isinstance(values, np.ndarray):
        return values
    if simulated():
        from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

        return FakeCUDAArray(values.numpy())
    from numba import cuda

    return cuda.as_cuda_array(values)


def describe() -> str:
    """The card, or why there is none."""
    reason = missing()
    if reason is not None:
        return f"none: {reason}"
    from numba import cuda

    if simulated():
        return "simulator"
    name: object = by_owner(lambda: cuda.get_current_device().name)
    return name.decode() if isinstance(name, bytes) else str(name)


@lru_cache(1)
def number() -> int:
    """Which of the cards of this machine is used."""
    from numba import cuda

    return int(by_owner(lambda: cuda.get_current_device().id))


@lru_cache(1)
def _owner() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "card")


def by_owner(function: Callable[P, T], *arguments: P.args, **choices: P.kwargs) -> T:
    """What the function returns, called in the one thread that talks to the card."""
    return _owner().submit(function, *arguments, **choices).result()
