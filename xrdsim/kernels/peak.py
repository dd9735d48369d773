"""How fast a core can multiply and add: what the other kernels are measured against.

Chains of x ← xa + b that do not depend on each other, over arrays laid out like the blocks of the recursion: the
compiler vectorises the loop as it does the others. a and b are data, so that no chain can be collapsed.
"""

import numpy as np
from numba import prange

from xrdsim._jit import jit
from xrdsim.kernels.reflectivity import BLOCK

CHAINS = 8
"""Of each element, enough to hide the latency of a multiply-add."""

LINKS = 16
"""Multiply-adds of a chain between its load and its store."""


@jit(parallel=True)
def multiply_add(starts, repeats, out):
    """CHAINS · BLOCK · LINKS · repeats multiply-adds for each of ``starts`` (n,) in parallel; sums of their ends."""
    for i in prange(len(starts)):
        a = np.full(BLOCK, 0.999)
        b = np.full(BLOCK, 0.001 * starts[i])
        x = np.full(CHAINS * BLOCK, starts[i])
        for _ in range(repeats):
            add_links(x, a, b)
        out[i] = x.sum()


@jit
def add_links(x, a, b):
    """LINKS links of each chain."""
    for j in range(BLOCK):
        p, q = a[j], b[j]
        x0, x1, x2, x3 = x[j], x[BLOCK + j], x[2 * BLOCK + j], x[3 * BLOCK + j]
        x4, x5, x6, x7 = x[4 * BLOCK + j], x[5 * BLOCK + j], x[6 * BLOCK + j], x[7 * BLOCK + j]
        x[j] = link(x0, p, q)
        x[BLOCK + j] = link(x1, p, q)
        x[2 * BLOCK + j] = link(x2, p, q)
        x[3 * BLOCK + j] = link(x3, p, q)
        x[4 * BLOCK + j] = link(x4, p, q)
        x[5 * BLOCK + j] = link(x5, p, q)
        x[6 * BLOCK + j] = link(x6, p, q)
        x[7 * BLOCK + j] = link(x7, p, q)


@jit(inline=True)
def link(x, a, b):
    """LINKS links."""
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    x = x * a + b
    return x * a + b
