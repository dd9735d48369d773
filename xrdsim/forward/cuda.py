"""Blocks of samples on a graphics card: whether there is one, how many samples it takes at once, and what comes back.

``numba-cuda`` is imported only when a card is asked for. Its simulator, NUMBA_ENABLE_CUDASIM=1, counts as a card.
"""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim._jit import config
from xrdsim.errors import DeviceError
from xrdsim.kernels.batch import measure
from xrdsim.kernels.convolve import SCALE, WIDTH, ZERO, Nodes, blur, convolve
from xrdsim.kernels.reflectivity import BLOCK, MATRIX, Optics
from xrdsim.kernels.slopes import LEAST
from xrdsim.kernels.steps import Accuracy, Layer

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


def describe() -> str:
    """The card, or why there is none."""
    reason = missing()
    if reason is not None:
        return f"none: {reason}"
    from numba import cuda

    if simulated():
        return "simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def reflectivity(rows: Array, profile: Any, layer: Layer, accuracy: Accuracy, optics: Optics) -> Array:
    """Reflectivity (n, nodes) of checked parameters (n, 7 or 9)."""
    from numba import cuda

    from xrdsim.kernels.cuda import THREADS, count, fill, reflect

    angles = optics.table.shape[0] * BLOCK
    out = np.empty((len(rows), len(optics.substrate)))
    table = _on_card(optics)
    for start in range(0, len(rows), SAMPLES):
        every = cuda.to_device(rows[start : start + SAMPLES])
        numbers = cuda.device_array((len(every), profile.segments()), np.int64)
        _launch(count, -(-len(every) // THREADS), every, profile, layer, accuracy, 0, numbers)
        most = int(numbers.copy_to_host().sum(axis=1).max())
        size = _fitting(5 * most + 2 * MATRIX * angles + out.shape[1])
        for first in range(0, len(every), size):
            params, counts = every[first : first + size], numbers[first : first + size]
            n = len(params)
            steps, seen = cuda.device_array((n, 5, most)), cuda.device_array((n, out.shape[1]))
            _launch(fill, -(-n // THREADS), params, profile, layer, accuracy, counts, steps)
            _launch(reflect, n, counts, steps, table, cuda.device_array((n, 2 * MATRIX, angles)), seen)
            out[start + first : start + first + n] = seen.copy_to_host()
    return out


def linearize(
    rows: Array,
    profile: Any,
    layer: Layer,
    accuracy: Accuracy,
    optics: Optics,
    most: int,
    nodes: Nodes,
    sigma: Array,
    zero: Array,
    scale: Array,
    nuisance: NDArray[np.int64],
    chunks: int,
    reflectivity: Array,
    seen: Array,
    slope: Array,
) -> None:
    """What ``batch.linearize`` computes: the reflectivity and its derivatives on the card, the instrument here.

    Either all of the samples have an instrument or none.
    """
    size = rows.shape[1]
    scan = slice(nodes.first, nodes.first + nodes.points * nodes.stride, nodes.stride)
    lens = blur(nodes)
    most += profile.segments() * LEAST
    for part, at_nodes, gradient in _gradients(rows, profile, layer, accuracy, optics, most):
        n = len(at_nodes)
        reflectivity[part] = at_nodes[:, scan]
        if sigma[0] > 0.0:
            one, none = np.ones(n), np.zeros(n * size)
            measure(at_nodes, nodes, sigma[part], zero[part], one, none, chunks, seen[part])
            wide = [np.repeat(values[part], size) for values in (sigma, zero, scale)]
            blurred = np.empty((n * size, nodes.points))
            measure(gradient.reshape(n * size, -1), nodes, *wide, none, chunks, blurred)
            slope[part, :size] = blurred.reshape(n, size, -1)
        else:
            seen[part] = reflectivity[part]
            slope[part, :size] = scale[part, None, None] * gradient[:, :, scan]
        for j, code in enumerate(nuisance.tolist()):
            change = slope[part, size + j]
            if code in (ZERO, WIDTH):
                for i in range(n):
                    k = part.start + i
                    convolve(
                        at_nodes[i : i + 1], nodes, sigma[k], zero[k], code, lens, slope[k, size + j : size + j + 1]
                    )
                change *= scale[part, None]
            else:
                change[:] = seen[part] if code == SCALE else 1.0


def _gradients(
    rows: Array, profile: Any, layer: Layer, accuracy: Accuracy, optics: Optics, most: int
) -> Iterator[tuple[slice, Array, Array]]:
    """Reflectivity (m, nodes) and derivatives (m, p, nodes) of a part of the rows after the other."""
    from numba import cuda

    from xrdsim.kernels import cuda_jacobian
    from xrdsim.kernels.cuda import THREADS, count

    angles, nodes, p = optics.table.shape[0] * BLOCK, len(optics.substrate), rows.shape[1]
    table = _on_card(optics)
    wide = np.empty_like(rows)
    for row, out in zip(rows, wide, strict=True):
        profile.widen(row, out)
    size = _fitting((5 + 4 * p) * most + (1 + p) * (2 * MATRIX * angles + nodes))
    for first in range(0, len(rows), size):
        part = slice(first, min(first + size, len(rows)))
        params = cuda.to_device(wide[part])
        n = len(params)
        counts = cuda.device_array((n, profile.segments()), np.int64)
        steps, slopes = cuda.device_array((n, 5, most)), cuda.device_array((n, 4, most, p))
        end, work = cuda.device_array((n, p)), cuda.device_array((n, 5, p))
        grid = -(-n // THREADS)
        _launch(count, grid, params, profile, layer, accuracy, LEAST, counts)
        _launch(cuda_jacobian.fill, grid, params, profile, layer, counts, steps, slopes, end, work)
        coarse = cuda.device_array((n, 1 + p, MATRIX, angles), np.complex128)
        out, gradient = cuda.device_array((n, nodes)), cuda.device_array((n, p, nodes))
        _launch(cuda_jacobian.linearize, n, layer, counts, steps, slopes, end, table, coarse, out, gradient)
        yield part, out.copy_to_host(), gradient.copy_to_host()


def _launch(kernel: Any, blocks: int, *arguments: Any) -> None:
    from xrdsim.kernels.cuda import THREADS

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grid size")  # few samples cannot fill a card
        kernel[blocks, THREADS](*arguments)


def _on_card(optics: Optics) -> Optics:
    """A copy on the card, with one row in place of none."""
    from numba import cuda

    def copied(field: Any) -> Any:
        if not isinstance(field, np.ndarray):
            return field
        return cuda.to_device(field if field.size else np.zeros((1, *field.shape[1:]), field.dtype))

    return Optics(*map(copied, optics))


def _fitting(numbers: int) -> int:
    """How many samples that need so many numbers of double precision fit on the card."""
    from numba import cuda

    return max(1, int(min(MEMORY, cuda.current_context().get_memory_info().free // 2) // (8 * numbers)))
