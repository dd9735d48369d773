"""The slow, obvious reference: scalar strain profile, complex 2×2 recursion, brute-force quadrature.

Nothing here is shared with the package but the records that describe the experiment.
"""

import itertools
import math

import numpy as np
from scipy.special import voigt_profile

from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.units import ARCSEC

DMIN = 1e-4


def strain(z, p):
    """Total strain at the depths z [Å], an array, of the profile p (7 values)."""
    dmax1, d01, l1, rp1, d02, l2, rp2 = (float(value) for value in p[:7])
    z = np.asarray(z, dtype=float)
    left = dmax1 * np.exp(-np.log(dmax1 / d01) * (1.0 - z / rp1) ** 2) if rp1 > 0.0 else np.zeros_like(z)
    scale = np.log(dmax1 / DMIN)
    right = dmax1 * np.exp(-scale * ((z - rp1) / (l1 - rp1)) ** 2) if l1 > rp1 else np.zeros_like(z)
    u = l2 / (l2 - 2.0 * rp2)
    t = z / l2
    second = d02 * np.exp(-np.log(d02 / DMIN) * (u * t**2 + (1.0 - u) * t))
    return np.where(z < rp1, left, right) + second


def depth_end(p):
    """Depth [Å] at which the total strain falls to DMIN, by bisection beyond L1."""
    low = high = float(p[2])
    if strain(low, p) <= DMIN:
        return low
    while strain(high, p) > DMIN:
        high *= 1.5
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if strain(middle, p) > DMIN else (low, middle)
    return 0.5 * (low + high)


def strain_max(p):
    """Largest strain on a very fine grid."""
    return float(strain(np.linspace(0.0, p[3], 200001), p).max())


def damage(eps, p, eps_max):
    """Static Debye–Waller factor of each strain."""
    if len(p) < 9 or p[7] == 0.0:
        return np.ones_like(eps)
    return 1.0 - p[7] * (eps / eps_max) ** p[8]


def sublayers(p, dl):
    """(thickness, strain) from the surface down, with a fixed thickness dl, to the first strain ≤ DMIN."""
    eps, k = [], 1
    while True:
        value = float(strain((k - 0.5) * dl, p))
        if value <= DMIN:
            return np.full(len(eps), dl), np.array(eps)
        eps.append(value)
        k += 1


def midpoints(p, count):
    """(thickness, strain) of `count` equal sublayers of each of [0, Rp1], [Rp1, L1], [L1, end]: continuum limit."""
    edges = [0.0, float(p[3]), float(p[2]), depth_end(p)]
    h, eps = [], []
    for a, b in itertools.pairwise(edges):
        n = max(1, math.ceil(count * (b - a) / edges[-1])) if b > a else 0
        h += [(b - a) / max(n, 1)] * n
        eps += list(strain(a + (np.arange(n) + 0.5) * (b - a) / max(n, 1), p))
    return np.array(h), np.array(eps)


def reflectivity(h, eps, angle, *, convention="exact", reflection=GGG_444, monochromator=None, dw=None):
    """R at the angles [arcsec] of sublayers from the surface down, by the complex recursion of both polarisations."""
    k, h0 = reflection.k, reflection.h0
    theta_b = math.asin(h0 / (2 * k))
    cos2 = abs(math.cos(2 * theta_b))
    dw = np.ones(len(eps)) if dw is None else dw
    total = 0.0
    m = monochromator if monochromator is not None else (cos2 if convention == "exact" else math.sqrt(cos2))
    for polarisation, weight in ((0, 1.0), (1, m)):
        if convention == "exact":
            theta = reflection.theta_substrate - angle * ARCSEC
            factor = 1.0 if polarisation == 0 else np.abs(np.cos(2 * theta))
            sigma = 0.5 * k * factor * reflection.crystal.chih / np.sin(theta)
            shift = -0.5 * (k * reflection.crystal.chi0 / np.sin(theta) + 2 * k * np.sin(theta))

            def a_of(e, shift=shift):
                return 0.5 * h0 / (1 + e) + shift
        else:
            kappa = k * math.sin(2 * theta_b) / math.sin(theta_b)
            factor = 1.0 if polarisation == 0 else cos2
            chi = reflection.susceptibilities_linear[polarisation]
            sigma = 0.5 * k * factor * chi / math.sin(theta_b) * np.ones_like(angle)
            absorb = -1j * k * reflection.crystal.chi0.imag / math.sin(theta_b)

            def a_of(e, absorb=absorb, kappa=kappa):
                return 0.5 * (kappa * (angle * ARCSEC - e * math.tan(theta_b)) + absorb)

        a = a_of(0.0)
        root = np.sqrt(a * a - sigma * sigma + 0j)
        plus, minus = (a + root) / sigma, (a - root) / sigma
        u, v = np.where(np.abs(plus) < np.abs(minus), plus, minus), np.ones_like(a)
        for thickness, e, factor_dw in zip(h[::-1], eps[::-1], dw[::-1], strict=True):
            a, s = a_of(e), sigma * factor_dw
            q = np.sqrt(a * a - s * s + 0j)
            c, sq = np.cos(q * thickness), np.sin(q * thickness) / q
            u, v = c * u - 1j * sq * (a * u - s * v), c * v - 1j * sq * (s * u - a * v)
        total = total + weight * np.abs(u / v) ** 2
    return total / (1 + m)


def inclined(h, eps, omega, *, reflection, psi, exit=False, second=True, pi=False, dw=None):
    """R at the incidence angles ω [rad] of sublayers from the surface down on planes inclined by ψ, coplanar.

    Field amplitudes D_h/D_0 by the recursion, of one polarisation; only the flux ratio γh/γ0 makes them a reflectivity.
    A film of the reflection reaches from the surface to its thickness.
    """
    k, h0 = reflection.k, reflection.h0
    hx = h0 * math.sin(psi) * (1.0 if exit else -1.0)
    hz = h0 * math.cos(psi)
    gamma = np.sin(omega)
    out = np.sqrt(1.0 - (np.cos(omega) + hx / k) ** 2)
    c = np.abs(np.cos(omega) * (np.cos(omega) + hx / k) - gamma * out) if pi else 1.0

    def waves(crystal):
        if second:
            inside, outside = np.sqrt(gamma**2 + crystal.chi0 + 0j), np.sqrt(out**2 + crystal.chi0 + 0j)
            coupled = inside, outside
        else:
            inside, outside = gamma + 0.5 * crystal.chi0 / gamma, out + 0.5 * crystal.chi0 / out
            coupled = gamma, out
        chimh = crystal.chih if crystal.chimh is None else crystal.chimh
        into, back = 0.5 * k * c * chimh / coupled[0], 0.5 * k * c * crystal.chih / coupled[1]
        through = 2 * gamma / (gamma + inside) * 2 * outside / (out + outside) if second else 1.0
        return lambda e, normal=hz: 0.5 * (normal / (1 + e) - k * (inside + outside)), into, back, through

    # dD_0/dz, dD_h/dz with couplings ½kCχ/Γ of their own: D_h/D_0, then |D_h/D_0|² γh/γ0
    a_of, into, back, through = waves(reflection.crystal)
    a = a_of(0.0)
    root = np.sqrt(a * a - into * back + 0j)
    plus, minus = (a + root) / into, (a - root) / into
    d, one = np.where(np.abs(plus) < np.abs(minus), plus, minus), np.ones_like(a)
    dw = np.ones(len(eps)) if dw is None else dw
    normal = hz
    if reflection.film is not None:
        a_of, into, back, through = waves(reflection.film.crystal)
        normal = hz * reflection.crystal.cell[2] / reflection.film.crystal.cell[2]
        h, eps, dw = np.append(h, reflection.film.thickness - sum(h)), np.append(eps, 0.0), np.append(dw, 1.0)
    for thickness, e, factor in zip(h[::-1], eps[::-1], dw[::-1], strict=True):
        a, s, t = a_of(e, normal), into * factor, back * factor
        q = np.sqrt(a * a - s * t + 0j)
        cosine, sine = np.cos(q * thickness), np.sin(q * thickness) / q
        d, one = cosine * d - 1j * sine * (a * d - t * one), cosine * one - 1j * sine * (s * d - a * one)
    return np.abs(d / one * through) ** 2 * out / gamma


def convolve(curve_of, angle, fwhm, *, step=0.02, width=6.0):
    """Gaussian convolution at the angles [arcsec] of a function curve_of(angles), by dense quadrature."""
    sigma = fwhm / (2 * math.sqrt(2 * math.log(2)))
    grid = np.arange(angle[0] - width * sigma, angle[-1] + width * sigma, step)
    values = curve_of(grid)
    out = []
    for x in angle:
        near = np.abs(grid - x) <= width * sigma
        kernel = np.exp(-0.5 * ((grid[near] - x) / sigma) ** 2)
        out.append((values[near] * kernel).sum() / kernel.sum())
    return np.array(out)


def rms_dex(a, b):
    """Root mean square difference of the decadic logarithms."""
    return float(np.sqrt(np.mean((np.log10(a) - np.log10(b)) ** 2)))


DEFAULT_ANGLE = DEFAULT_SCAN.angle


def instrument(family, own, x, table=None):
    """Instrument functions K(x) of unit area by their definitions."""

    def gauss(w):
        return 2.0 * np.sqrt(np.log(2.0) / np.pi) / w * np.exp(-4.0 * np.log(2.0) * (x / w) ** 2)

    def lorentz(w):
        return 2.0 / (np.pi * w) / (1.0 + 4.0 * (x / w) ** 2)

    if family == "gaussian":
        return gauss(own[0])
    if family == "voigt":
        return voigt_profile(x, own[0] / np.sqrt(8.0 * np.log(2.0)), 0.5 * own[1])
    if family == "pedestal":
        return (1.0 - own[1]) * gauss(own[0]) + own[1] * gauss(np.hypot(own[0], own[2]))
    if family == "voigt-pedestal":
        sigma, wide = own[0] / np.sqrt(8.0 * np.log(2.0)), np.hypot(own[0], own[3]) / np.sqrt(8.0 * np.log(2.0))
        return (1.0 - own[2]) * voigt_profile(x, sigma, 0.5 * own[1]) + own[2] * voigt_profile(x, wide, 0.5 * own[1])
    if family == "pseudo-voigt":
        return (1.0 - own[1]) * gauss(own[0]) + own[1] * lorentz(own[0])
    if family == "split-pseudo-voigt":

        def side(w, eta):
            at_0 = (1.0 - eta) * 2.0 * np.sqrt(np.log(2.0) / np.pi) / w + eta * 2.0 / (np.pi * w)
            return ((1.0 - eta) * gauss(w) + eta * lorentz(w)) / at_0, 0.5 / at_0

        low, high = side(*own[:2]), side(*own[2:])
        return np.where(x < 0.0, low[0], high[0]) / (low[1] + high[1])
    if family == "tabulated":
        area = np.trapezoid(table[1], table[0])
        return np.interp(x, *table, left=0.0, right=0.0) / area
    raise ValueError(family)


def seen(angle, reflectivity, at, made, own):
    """∫ K(t) R(x − t) dt at angles x by the trapezoidal rule over a fine grid."""
    table = None if made.kernel is None else (made.kernel.angle, made.kernel.weight)
    return np.array([np.trapezoid(instrument(made.family, own, x - angle, table) * reflectivity, angle) for x in at])
