"""News of kernels that are compiled: at their first use on a machine, which takes some 20 s once and for all.

Whoever wants to tell a user appends a function to ``listeners``; it is called with the number of kernels whose
compilation has begun and the seconds since the first one. Kernels from the cache are no news.
"""

import time
from collections.abc import Callable

listeners: list[Callable[[int, float], None]] = []

_begun: list[float] = []


def count() -> int:
    """Number of kernels whose compilation has begun in this process."""
    return len(_begun)


def report() -> None:
    """A kernel begins to be compiled."""
    _begun.append(time.perf_counter())
    for listener in listeners:
        listener(len(_begun), _begun[-1] - _begun[0])
