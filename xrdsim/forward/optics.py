"""From the records of an experiment to what the recursion needs at each angle.

    exact         a = ½ h_n/(1+ε) − ½ k [γ0 + γh + ½ χ0 (1/γ0 + 1/γh)],  σ = ½ k C χh/√(γ0 γh)
    second-order  a = ½ h_n/(1+ε) − ½ k (Γ0 + Γh),  Γ = √(γ² + χ0),      σ = ½ k C χh/√(Γ0 Γh)
    linear        a = ½ [κ (angle − ε tanθ_B) + i k Im χ0/sinθ_B],       σ = ½ k C χh/sinθ_B, κ = k sin 2θ_B/sinθ_B

with the cosines γ0 and γh and the normal component h_n of ``xrdsim.experiment.geometry``, sinθ and h0 where the planes
are parallel to the surface; C = 1, or |cos| of the angle between the waves in π polarisation; θ = θ_s − angle. In
``second-order`` R is |u/v|² times |2γ0/(γ0 + Γ0)·2Γh/(γh + Γh)|² γh/γ0 |Γ0/Γh|, of the waves through the surface. Below
the layer, the substrate's amplitude ratio A is the root with |A| < 1 of σA² − 2aA + σ = 0 at ε = 0. Without a centre of
symmetry χh is √(χh χ−h), R is |χh/χ−h| times as large, and A, which is scaled by √(χ−h/χh), changes from the substrate
to a film above it.

The layer's transfer matrix is computed on coarse angles (``xrdsim.kernels.sampling``), for which this module prepares
what it needs.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from xrdsim.errors import ParameterError
from xrdsim.experiment.crystal import Crystal
from xrdsim.experiment.geometry import passage, turning
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Convention
from xrdsim.kernels.reflectivity import BLOCK, LANES, PHASES, Optics, aligned
from xrdsim.kernels.sampling import Sampling, equal_angles, equal_phases
from xrdsim.units import ARCSEC

Complex = NDArray[np.complex128]


def darwin_half_width(reflection: Reflection) -> float:
    """Half-width [arcsec] of the total reflection of the substrate, σ polarisation."""
    half = abs(reflection.crystal.coupling) / math.sin(2.0 * reflection.theta_bragg) / ARCSEC
    if reflection.plain:
        return half
    at = passage(np.array([reflection.theta_bragg]), reflection.normal, reflection.k, reflection.h0)
    return half * math.sqrt(float(at.diffracted[0] / at.incident[0]))


class Amplitudes(NamedTuple):
    """What the recursion needs at each angle; σ and π polarisation."""

    f: Complex  # a at ε = 0 [1/Å]
    sigma: tuple[Complex, Complex]  # σ₀ [1/Å]
    substrate: tuple[Complex, Complex]  # A of the substrate
    factor: NDArray[np.float64]  # R over |u/v|²


def frequency(thickness: float, reflection: Reflection) -> float:
    """Oscillation over angle [1/arcsec] of the transfer matrix of a layer of this thickness [Å], at the Bragg angle."""
    return thickness * 0.5 * reflection.k * reflection.turning * ARCSEC / (2.0 * math.pi)


def highest_frequency(thickness: float, reflection: Reflection, scan: Scan) -> float:
    """The same where it is fastest on a scan."""
    at_peak = frequency(thickness, reflection)
    if reflection.plain:
        return at_peak
    theta = reflection.theta_bragg - np.linspace(scan.start, scan.last, _BETWEEN) * ARCSEC
    fastest = max(abs(turning(float(each), reflection.normal, reflection.k, reflection.h0)) for each in theta)
    return at_peak * fastest / reflection.turning


_BETWEEN = 9  # angles of a scan at which the frequency is looked at


def coupling(reflection: Reflection, convention: Convention) -> float:
    """Factor of the strain in a [1/Å]: g = coupling·ε/(1 + ε), or in ``linear`` coupling·ε."""
    if convention is not Convention.LINEAR:
        return 0.5 * reflection.h0_strained * (1.0 if reflection.plain else reflection.normal[2])
    return 0.5 * _kappa(reflection) * math.tan(reflection.theta_bragg)


@lru_cache(maxsize=256)
def centre(reflection: Reflection, convention: Convention) -> float:
    """θ_s [rad]: centre of the substrate reflection, where Re a = 0 at ε = 0."""
    if reflection.plain and convention is not Convention.SECOND_ORDER:
        return reflection.theta_substrate

    def real(theta: float) -> float:
        f, _, _ = _waves(np.array([theta]), reflection, reflection.h0, reflection.crystal, convention)
        return float(f[0].real)

    low, high = reflection.theta_bragg - _BRACKET, reflection.theta_bragg + _BRACKET
    return float(brentq(real, low, high, xtol=1e-15))


_BRACKET = 0.006  # rad


def amplitudes(angle: NDArray[np.float64], reflection: Reflection, convention: Convention) -> Amplitudes:
    """f, σ₀, A and R/|u/v|² at the angles [arcsec].

    Raises
    ------
    ParameterError
        An angle lies outside 0 < θ < 90°.
    """
    k = reflection.k
    theta_b = reflection.theta_bragg
    if convention is not Convention.LINEAR:
        theta = centre(reflection, convention) - angle * ARCSEC
        if np.any((theta <= 0.0) | (theta >= 0.5 * math.pi)):
            raise ParameterError(
                f"angles {angle.min():g} … {angle.max():g} arcsec from the substrate peak at "
                f"{math.degrees(centre(reflection, convention)):.3f}° leave 0 … 90°; shorten the scan"
            )
        f, sigma, factor = _waves(theta, reflection, reflection.h0_strained, reflection.strained, convention)
        if reflection.film is None:
            return Amplitudes(f, sigma, (_substrate(f, sigma[0]), _substrate(f, sigma[1])), factor)
        below, coupled, _ = _waves(theta, reflection, reflection.h0, reflection.crystal, convention)
        across = _across(reflection.crystal, reflection.strained)
        from_below = (across * _substrate(below, coupled[0]), across * _substrate(below, coupled[1]))
        return Amplitudes(f, sigma, from_below, factor)
    if reflection.film is not None:
        raise ParameterError("a film on a substrate needs convention exact: linear has one lattice only")
    sine_b = math.sin(theta_b)
    f = np.asarray(0.5 * (_kappa(reflection) * angle * ARCSEC - 1j * k * reflection.crystal.chi0.imag / sine_b))
    factors = (1.0, abs(math.cos(2.0 * theta_b)))
    chis = reflection.susceptibilities_linear
    s, p = (np.full(angle.shape, 0.5 * k * c * chi / sine_b) for c, chi in zip(factors, chis, strict=True))
    return Amplitudes(f, (s, p), (_substrate(f, s), _substrate(f, p)), np.full(len(angle), reflection.crystal.polarity))


def _waves(
    theta: NDArray[np.float64], reflection: Reflection, h: float, crystal: Crystal, convention: Convention
) -> tuple[Complex, tuple[Complex, Complex], NDArray[np.float64]]:
    """a at ε = 0 and σ₀ of both polarisations in a crystal, and R over |u/v|² if it is the topmost."""
    k, chi0, chih = reflection.k, crystal.chi0, crystal.coupling
    sine = np.sin(theta)
    if reflection.plain:
        incident, diffracted = sine, sine
        polarisation, seen = np.abs(np.cos(2.0 * theta)), np.ones(len(theta), bool)
    else:
        incident, diffracted, polarisation, seen = passage(theta, reflection.normal, k, reflection.h0)
        h = h * reflection.normal[2]
    factor = np.full(len(theta), crystal.polarity)
    a: Complex | NDArray[np.float64]
    if convention is Convention.SECOND_ORDER:
        inside, outside = (np.sqrt(cosine.astype(np.complex128) ** 2 + chi0) for cosine in (incident, diffracted))
        a = 0.5 * (h - k * (inside + outside))
        sigma = 0.5 * k * chih / np.sqrt(inside * outside)
        through = 2.0 * incident / (incident + inside) * 2.0 * outside / (diffracted + outside)
        factor *= np.abs(through) ** 2 * diffracted / incident * np.abs(inside / outside)
    elif reflection.plain:
        a, sigma = 0.5 * (h - k * chi0 / sine - 2.0 * k * sine), 0.5 * k * chih / sine
    else:
        a = 0.5 * (h - k * (incident + diffracted + 0.5 * chi0 * (1.0 / incident + 1.0 / diffracted)))
        sigma = 0.5 * k * chih / np.sqrt(incident * diffracted)
    f: Complex = np.asarray(a, np.complex128)
    return f, (sigma, sigma * polarisation), np.where(seen, factor, 0.0)


def _across(below: Crystal, above: Crystal) -> complex:
    """Factor of A from one crystal into another above it: 1 about centres of symmetry."""
    scaled = [1.0 if each.chimh is None else each.chimh / each.coupling for each in (below, above)]
    return complex(scaled[1] / scaled[0])


def optics(
    grid: Scan,
    cluster: NDArray[np.float64],
    reflection: Reflection,
    convention: Convention,
    *,
    monochromator: float,
    thickness: float,
    error: float,
    single: bool = False,
) -> Optics:
    """Prepare the kernels for nodes on a grid and a cluster of others within it [arcsec].

    Parameters
    ----------
    thickness : of the thickest layer [Å].
    error : relative error of the interpolated elements.
    single : for kernels of single precision.

    Raises
    ------
    ParameterError
        The angles, continued by half the taps, leave 0 < θ < 90°.
    """
    return _optics(
        grid, cluster.tobytes(), reflection, convention, float(monochromator), float(thickness), float(error), single
    )


@lru_cache(maxsize=64)  # a fit asks for the same again and again
def _optics(
    grid: Scan,
    cluster_bytes: bytes,
    reflection: Reflection,
    convention: Convention,
    monochromator: float,
    thickness: float,
    error: float,
    single: bool,
) -> Optics:
    cluster = np.frombuffer(cluster_bytes)
    beta = -math.log(error)
    chosen = equal_angles(grid, cluster, beta, highest_frequency(thickness, reflection, grid))
    if not reflection.plain:
        other = equal_phases(grid, cluster, beta, thickness, reflection, centre(reflection, convention))
        chosen = other if other is not None and other.work < chosen.work else chosen
    coarse = amplitudes(chosen.angle, reflection, convention)
    rows = [coarse.f] + [row for sigma in coarse.sigma for row in (sigma, sigma * sigma)]
    at_nodes = amplitudes(np.concatenate([grid.angle, cluster]), reflection, convention)
    sharp = _sharp(chosen, coarse, at_nodes, grid.points, thickness, 3.0 * error)
    if reflection.film is not None:
        sharp[:] = True  # fringes of the film
    blocks = _blocks(np.array(rows))
    double = Optics(
        blocks,
        -(-chosen.needed // LANES) * LANES,
        monochromator,
        chosen.ratio,
        chosen.first,
        chosen.weight,
        np.ascontiguousarray(_parts(np.array(at_nodes.substrate)).T),
        0.0 if reflection.film is None else reflection.film.thickness,
        np.ascontiguousarray(np.array([at_nodes.f, *at_nodes.sigma]).T[: 0 if reflection.film is None else None]),
        grid.points,
        chosen.cluster_first,
        chosen.cluster_weight,
        at_nodes.factor,
        np.empty((0, 4)),
        _blocks(np.array(coarse.substrate)),
        sharp,
        _whole(chosen, sharp, grid.points, len(blocks)),
    )
    return in_single(double) if single else double


def _taken(chosen: Sampling, points: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The first of the coarse angles of each node of the grid and the cluster, and their weights (nodes, taps)."""
    q, phase = np.divmod(np.arange(points), chosen.ratio)
    first = np.concatenate([chosen.first[phase // PHASES] + q, chosen.cluster_first])
    return first, np.concatenate([chosen.weight[phase], chosen.cluster_weight])


def _sharp(
    chosen: Sampling, coarse: Amplitudes, at_nodes: Amplitudes, points: int, thickness: float, error: float
) -> NDArray[np.bool_]:
    """Nodes where A, times the fastest wave of the transfer matrix, is interpolated with more than this error."""
    first, weight = _taken(chosen, points)
    place = first[:, None] + np.arange(weight.shape[1])
    apart = thickness * (coarse.f.real[place] - at_nodes.f.real[:, None])
    sharp = np.zeros(len(first), bool)
    for below, at_node in zip(coarse.substrate, at_nodes.substrate, strict=True):
        for wave in (-1.0, 0.0, 1.0):
            value = np.sum(weight * below[place] * np.exp(1j * wave * apart), axis=1)
            sharp |= ~(np.abs(value - at_node) <= error * np.abs(at_node))
    return sharp


def _whole(chosen: Sampling, sharp: NDArray[np.bool_], points: int, blocks: int) -> NDArray[np.bool_]:
    """Blocks of coarse angles from which sharp nodes, or those interpolated together with one, are interpolated."""
    first, weight = _taken(chosen, points)
    whole = np.zeros(blocks, bool)
    for start in first[sharp]:
        whole[start // BLOCK : (start + weight.shape[1] - 1) // BLOCK + 1] = True
    return whole


def over_weaker(optics: Optics, at: Amplitudes, e: float) -> Optics:
    """The same on a substrate, without a film, whose static Debye–Waller factor E multiplies σ; and dA/dE.

    The derivative follows from σEA² − 2aA + σE = 0: dA/dE = −σ(A² + 1)/(2(σEA − a)).
    """
    ratios = [_substrate(at.f, e * sigma) for sigma in at.sigma]
    slopes = [
        -sigma * (a * a + 1.0) / (2.0 * (e * sigma * a - at.f)) for sigma, a in zip(at.sigma, ratios, strict=True)
    ]
    kind = optics.substrate.dtype
    ratio, slope = (np.ascontiguousarray(_parts(np.array(each)).T, dtype=kind) for each in (ratios, slopes))
    return optics._replace(
        substrate=ratio, weaker=slope, sharp=np.ones_like(optics.sharp), whole=np.ones_like(optics.whole)
    )


def in_single(optics: Optics) -> Optics:
    """The same in single precision."""
    table = aligned(optics.table.size, np.empty(0, np.float32)).reshape(optics.table.shape)
    table[:] = optics.table
    small = {
        name: getattr(optics, name).astype(np.float32)
        for name in ("weight", "substrate", "cluster_weight", "factor", "weaker", "below")
    }
    return optics._replace(table=table, **small)


def _kappa(reflection: Reflection) -> float:
    return reflection.k * math.sin(2.0 * reflection.theta_bragg) / math.sin(reflection.theta_bragg)


def _substrate(f: Complex, sigma: Complex) -> Complex:
    root = np.sqrt(f * f - sigma * sigma)
    plus, minus = (f + root) / sigma, (f - root) / sigma
    return np.where(np.abs(plus) < np.abs(minus), plus, minus)


def _parts(rows: Complex) -> NDArray[np.float64]:
    """Real and imaginary parts as alternating rows."""
    return np.stack([rows.real, rows.imag], axis=1).reshape(2 * len(rows), -1)


def _blocks(rows: Complex) -> NDArray[np.float64]:
    """Rows in blocks of BLOCK angles, the last padded with its last angle."""
    blocks = -(-rows.shape[1] // BLOCK)
    padded = np.pad(rows, ((0, 0), (0, blocks * BLOCK - rows.shape[1])), mode="edge")
    parts = 2 * len(rows)
    table: NDArray[np.float64] = aligned(blocks * parts * BLOCK, rows.real).reshape(blocks, parts, BLOCK)
    table[:] = _parts(padded).reshape(parts, blocks, BLOCK).transpose(1, 0, 2)
    return table.reshape(blocks, parts * BLOCK)
