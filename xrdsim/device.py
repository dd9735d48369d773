"""Blocks of samples on a graphics card: whether there is one, how many samples it takes at once, and what comes back.

``numba-cuda`` is imported only when a card is asked for. Its simulator, NUMBA_ENABLE_CUDASIM=1, counts as a card.
"""

import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import DeviceError
from xrdsim.kernels.reflectivity import BLOCK, MATRIX, Optics
from xrdsim.kernels.steps import SEGMENTS, Accuracy, Material

Array = NDArray[np.float64]

MEMORY = 2**29
"""Bytes on the card for the steps, matrices and results of the samples computed at once, if half as many are free."""

SAMPLES = 4096
"""Most samples whose steps are counted at once."""


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
    if not cuda.is_available():
        return (
            "device 'cuda' needs the compiler of the CUDA toolkit: pip install 'numba-cuda[cu13]', 'numba-cuda[cu12]' "
            "for older drivers; or use 'cpu'"
        )
    return None


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


def describe() -> str:
    """The card, or why there is none."""
    reason = missing()
    if reason is not None:
        return f"none: {reason}"
    from numba import cuda

    device = cuda.get_current_device()
    name = getattr(device, "name", "simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def reflectivity(rows: Array, material: Material, accuracy: Accuracy, optics: Optics) -> Array:
    """Reflectivity (n, nodes) of checked parameters (n, 7 or 9)."""
    from numba import cuda

    from xrdsim.kernels.cuda import THREADS, count, fill, reflect

    def counted(part: Array) -> tuple[Any, Any]:
        params, counts = cuda.to_device(part), cuda.device_array((len(part), SEGMENTS), np.int64)
        count[-(-len(part) // THREADS), THREADS](params, material, accuracy, counts)
        return params, counts

    angles = optics.table.shape[0] * BLOCK
    out = np.empty((len(rows), len(optics.substrate)))
    table = _on_card(optics)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grid size")  # few samples cannot fill a card
        for part, params, counts, most in _blocks(rows, counted, lambda most: 5 * most + 2 * MATRIX * angles):
            n = part.stop - part.start
            steps = cuda.device_array((n, 5, most))
            fill[-(-n // THREADS), THREADS](params, material, accuracy, counts, steps)
            seen = cuda.device_array((n, out.shape[1]))
            reflect[n, THREADS](counts, steps, table, cuda.device_array((n, 2 * MATRIX, angles)), seen)
            out[part] = seen.copy_to_host()
    return out


def _on_card(optics: Optics) -> Optics:
    """A copy on the card, with one row in place of none."""
    from numba import cuda

    def copied(field: Any) -> Any:
        if not isinstance(field, np.ndarray):
            return field
        return cuda.to_device(field if field.size else np.zeros((1, *field.shape[1:]), field.dtype))

    return Optics(*map(copied, optics))


def _blocks(
    rows: Array, counted: Callable[[Array], tuple[Any, Any]], numbers: Callable[[int], int]
) -> Iterator[tuple[slice, Any, Any, int]]:
    """Parts of the rows that fit on the card: their parameters and numbers of steps there, and the most steps.

    ``numbers`` of that says how many numbers of double precision a sample needs.
    """
    from numba import cuda

    for start in range(0, len(rows), SAMPLES):
        params, counts = counted(rows[start : start + SAMPLES])
        most = int(counts.copy_to_host().sum(axis=1).max())
        memory = min(MEMORY, cuda.current_context().get_memory_info().free // 2)
        size = max(1, int(memory // (8 * numbers(most))))
        for first in range(0, len(counts), size):
            end = min(first + size, len(counts))
            yield slice(start + first, start + end), params[first:end], counts[first:end], most
