"""The part of a film below the strained layer: a homogeneous sublayer of any thickness, in closed form.

With q = √(a² − σ²), Im q ≥ 0, and e = exp(2iqt), |e| ≤ 1, a sublayer of thickness t turns the amplitude ratio A into

    A' = [q(e + 1)A − (e − 1)(aA − σ)] / [q(e + 1) − (e − 1)(σA − a)],   dA'/dt = i(σA'² − 2aA' + σ):

nothing grows with t.
"""

import cmath

from xrdsim._jit import jit


@jit
def through_film(optics, thickness, out):
    """Amplitude ratios (nodes, 4) on top of this thickness [Å] of the film, real and imaginary, of σ and π."""
    for i in range(len(optics.film)):
        for p in range(2):
            above = on_film(optics, i, p, thickness)
            out[i, 2 * p] = above.real
            out[i, 2 * p + 1] = above.imag


@jit
def on_film(optics, node, p, thickness):
    """The amplitude ratio of one node and polarisation."""
    a = optics.film[node, 0]
    s = optics.film[node, 1 + p]
    below = complex(optics.substrate[node, 2 * p], optics.substrate[node, 2 * p + 1])
    q = cmath.sqrt(a * a - s * s)
    if q.imag < 0.0:
        q = -q
    e = cmath.exp(2j * q * thickness)
    up = q * (e + 1.0)
    down = e - 1.0
    return (up * below - down * (a * below - s)) / (up - down * (s * below - a))


@jit
def slope_of_film(optics, node, p, above):
    """dA/dt of the amplitude ratio ``above`` of one node and polarisation."""
    s = optics.film[node, 1 + p]
    return 1j * (s * above * above - 2.0 * optics.film[node, 0] * above + s)
