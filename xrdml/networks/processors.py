"""Settings of the process without which networks on CPUs are slow.

A network computes on half of the processors, the simulator's threads on the others: a step consists of hundreds of
small operations, and the threads of each wait for the slowest, in oneDNN's convolutions by spinning. Beside other work
that is a thread that does not run, and a step took up to 40 times longer. On two processors one thread is also the
faster way where nothing else runs. Numba and PyTorch share one OpenMP library, and when Numba starts its threads it
sets their number for PyTorch, too: so they are started first.

Freed memory is kept: the C library of Linux returns large blocks to the system as soon as they are freed, and every
page of the next block is mapped anew. Element-wise operations of a training step ran up to 10 times faster with it.

Denormal numbers count as 0 while a network trains: processors take 100 times longer for them, and vanishing gradients
and the moments of the optimiser are full of them. A step that meets them was up to 25 times slower.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt(3)
_NEVER, _LARGEST = 2**31 - 1, 2**30


@contextmanager
def sharing_processors() -> Iterator[None]:
    """PyTorch on half of the processors inside the block, or on fewer where that was asked for."""
    before = torch.get_num_threads()
    numba.get_num_threads()  # starts Numba's threads
    torch.set_num_threads(max(1, min(before, int(numba.config.NUMBA_NUM_THREADS) // 2)))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def fast_training() -> Iterator[None]:
    """Share the processors; keep freed memory from here on, where the allocator is glibc's; flush denormals.

    Threads and denormals are as before after the block.
    """
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGEST)
            mallopt(_TRIM_THRESHOLD, _NEVER)
    smallest = torch.tensor(sys.float_info.min, dtype=torch.float64)
    flushed = bool(smallest / 2 == 0)
    torch.set_flush_denormal(True)
    try:
        with sharing_processors():
            yield
    finally:
        torch.set_flush_denormal(flushed)


def fast_bfloat16() -> bool:
    """Whether this processor multiplies matrices of bfloat16 faster than those of float32: AMX or AVX-512 BF16."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def tensor_cores(device: torch.device) -> None:
    """On a card, products of float32 in TF32 from here on: ten bits of each factor, sums in float32."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
