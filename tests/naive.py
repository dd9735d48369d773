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


def chi_of(eps, name, table):
    """A susceptibility of a sublayer in parts of that without strain, of a program in which it is quadratic."""
    one, two = (table or {}).get(name, (0.0, 0.0))
    return 1 + one * eps + two * eps**2


def reflectivity(
    h, eps, angle, *, convention="exact", reflection=GGG_444, monochromator=None, dw=None, below=1.0, table=None
):
    """R at the angles [arcsec] of sublayers from the surface down, by the complex recursion of both polarisations.

    ``dw`` and ``below`` are static Debye–Waller factors of sublayers and substrate; ``table`` as for ``diffuse``, with
    the convention linear.
    """
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
                absorb = absorb * chi_of(e, "chi0", table)
                return 0.5 * (kappa * (angle * ARCSEC - e * math.tan(theta_b)) + absorb)

        a, s = a_of(0.0), sigma * below
        root = np.sqrt(a * a - s * s + 0j)
        plus, minus = (a + root) / s, (a - root) / s
        u, v = np.where(np.abs(plus) < np.abs(minus), plus, minus), np.ones_like(a)
        for thickness, e, factor_dw in zip(h[::-1], eps[::-1], dw[::-1], strict=True):
            a, s = a_of(e), sigma * factor_dw
            if table:
                name = ("sigma", "pi")[polarisation]
                s = s.real * chi_of(e, "real", table) + 1j * s.imag * chi_of(e, name, table)
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


def diffuse(
    h,
    eps,
    angle,
    *,
    reflection,
    layer,
    substrate,
    burgers,
    poisson=0.3,
    m=None,
    attenuation=1.0,
    table=None,
    gamma=None,
):
    """Diffuse reflectivity of the substrate and of sublayers from the surface down, at the angles [arcsec].

    ``layer`` is (density [1/Å³] where the strain is largest, radius [Å]) of the sublayers' loops, ``substrate`` a list
    of the same. ``gamma`` are sines of the angles at which the beam enters and leaves, by default those of a symmetric
    reflection. ``table`` repeats a program with other signs: susceptibilities of a sublayer that are quadratic in its
    strain, {name: coefficients}, x + x_j in z, and in a class of substrate loops the factor E of this class alone.
    """
    k, big_h = reflection.k, reflection.h0 / (2 * math.pi)
    theta = math.asin(reflection.h0 / (2 * k))
    g0, gh = gamma or (math.sin(theta), math.sin(theta))
    b, x = g0 / gh, angle * ARCSEC
    per_strain = big_h * 2 * math.pi * math.cos(reflection.psi) / (k * reflection.turning)
    hb, cos2 = big_h * burgers, abs(math.cos(2 * theta))
    m = cos2 if m is None else m
    b1 = 4 / 15 * (math.pi * burgers) ** 2  # of R = 1
    b2 = (3 * poisson**2 + 6 * poisson - 1) / (4 * (1 - poisson) ** 2) * b1
    c2 = b1 + 0.5 * b2 * math.cos(theta) ** 2
    c3 = b2 * (0.5 * math.cos(theta) ** 2 - math.sin(theta) ** 2)
    c4 = b2 * (0.5 * math.cos(theta) ** 2 - math.cos(reflection.psi) ** 2)

    def exponent(n, radius):
        return 0.5 * n * radius**3 * hb**1.5

    def scattered(strain, n, radius, factor, c, chi0, real, imaginary, strength):
        at = per_strain * strain
        t = k * math.sin(2 * theta) * (x - at)
        z = (x + at if table else x - at) * math.sin(2 * theta) * math.sqrt(b) / (c * real)
        g = -chi0 * (math.sqrt(b) + 1 / math.sqrt(b)) / (2 * c * real)
        kappa = imaginary / real
        v = 2 * (z * g / factor**2 - kappa)
        u = (z**2 - g**2) / factor**2 + kappa**2 - 1
        r = np.sqrt(u + 1j * v + 0j).imag
        mu = 0.25 * k * chi0 / g0 * (1 + b) * (1 + np.abs(r) * factor / abs(g))
        km = 2 * math.pi / (radius * factor * math.sqrt(hb))
        d, big, n_ = t**2 + mu**2, km**2 + mu**2, c3 * t**2 + c4 * mu**2
        inside = c2 * np.log(big / d) + n_ * (1 / big - 1 / d) + km**2 / big * (c2 - 0.5 * n_ / big)
        outside = km**2 / d * (c2 - 0.5 * n_ / d)
        j = radius**4 * np.where(np.abs(t) <= km, inside, outside)
        return n * (c * factor) ** 2 * math.pi / 4 * (k * big_h * strength) ** 2 * j, mu

    of_substrate, of_layer = 0.0, 0.0
    whole = math.exp(-sum(exponent(*each) for each in substrate))
    chi0, chih = reflection.crystal.chi0.imag, reflection.crystal.coupling
    for c, weight, name in ((1.0, 1.0, "sigma"), (cos2, m, "pi")):
        depth, up = 0.0, 0.0
        imaginary = abs(chih.imag) * (cos2 if table and name == "pi" else 1.0)
        for thickness, strain in zip(h, eps, strict=True):
            n, radius = layer[0] * strain / eps.max(), layer[1]
            part = {key: 1 + one * strain + two * strain**2 for key, (one, two) in (table or {}).items()}
            here = (chi0 * part.get("chi0", 1), abs(chih.real) * part.get("real", 1), imaginary * part.get(name, 1))
            mu_ds, mu = scattered(strain, n, radius, math.exp(-exponent(n, radius)), c, *here, here[1])
            up = up + np.exp(-depth) * mu_ds * (1 - np.exp(-2 * mu * thickness)) / (2 * mu * g0)
            depth = depth + attenuation * (k * here[0] + mu_ds) * (1 + b) * thickness / g0
        below = 0.0
        for n, radius in substrate:
            own = math.exp(-exponent(n, radius)) if table else whole
            mu_ds, mu = scattered(0.0, n, radius, own, c, chi0, abs(chih.real), imaginary, abs(chih.real))
            below = below + mu_ds / (2 * mu * g0)
        of_substrate = of_substrate + weight * below * np.exp(-depth) / (1 + m)
        of_layer = of_layer + weight * up / (1 + m)
    return of_substrate, of_layer


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


def negative_binomial_deviance(counts, mean, tolerance):
    """Twice the difference of the log likelihoods of counts about themselves and about a mean."""
    from scipy.stats import nbinom

    k = 1.0 / tolerance**2
    own = nbinom.logpmf(counts, k, k / (k + np.maximum(counts, 1e-300)))
    return 2.0 * np.sum(own - nbinom.logpmf(counts, k, k / (k + mean)))
