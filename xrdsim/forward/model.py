"""The forward model: parameters → strain → reflectivity → measured intensity."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import DeviceError, ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward import cuda as cards
from xrdsim.forward.nodes import grid_and_cluster
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.forward.optics import Convention, amplitudes, coupling, monochromator_factor, optics
from xrdsim.kernels import batch
from xrdsim.kernels.reflectivity import Optics
from xrdsim.kernels.steps import Accuracy, Material
from xrdsim.limits import afford
from xrdsim.profiles.space import L1, PROFILE, ParameterSpace
from xrdsim.units import FWHM_TO_SIGMA

Array = NDArray[np.float64]

THICKER = 1.2
"""A layer is at most so much thicker than L1: the slowest tail, a Gaussian of small strain, ends there."""

THICKNESSES = (3000.0, 4000.0, 5000.0, 6000.0, 6800.0)
"""Layers [Å] that are simulated with fewer coarse angles than the thickest need."""

THICKEST_LAYER = 1e4
"""Largest thickness of a sublayer [Å]."""

THICKEST_PHASE = 0.0062
"""Largest |σ|h of a step: 100 Å in GGG 444."""

SINGLE = 1e-3
"""Accuracy [dex] of the steps in single precision."""

LIMITS = {"fwhm": (0.0, 3600.0), "zero": (-36000.0, 36000.0), "scale": (0.0, 1e30), "background": (0.0, 1e30)}
"""Of what a measurement adds to a curve [arcsec, arcsec, 1, 1]."""

NARROWEST = 0.1
"""Smallest FWHM of an instrument [arcsec] that is not 0."""

_ROWS = 4096  # rows simulated at once: bounds the memory of the nodes beside the result


@dataclass(frozen=True)
class Curves:
    """Simulated rocking curves.

    Attributes
    ----------
    params : (n, 7 or 9) parameters as given.
    angle : (angle,) [arcsec] from the substrate peak, positive toward the expanded lattice.
    reflectivity : (n, angle) of the sample, without instrument.
    intensity : (n, angle) with instrument function, angular zero, scale and background.
    """

    params: Array
    angle: Array
    reflectivity: Array
    intensity: Array


@dataclass(frozen=True)
class Forward:
    """What the kernels need to simulate one experiment with one accuracy, prepared once."""

    optics: Optics
    material: Material
    accuracy: Accuracy


def prepare(
    scan: Scan,
    *,
    grid: Scan | None = None,
    cluster: Array | None = None,
    convention: str = "exact",
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    monochromator: float | None = None,
    reflection: Reflection = GGG_444,
    damaged: bool = False,
    thickness: float | None = None,
    precision: str = "double",
) -> Forward:
    """Prepare the kernels for the angles of ``grid``, the scan by default, and ``cluster``; accurate on the scan.

    ``thickness`` bounds that of the layers [Å]; the other arguments are those of ``simulate``.

    Raises
    ------
    ParameterError
        A choice without meaning, naming it.
    """
    try:
        chosen = Convention(convention)
    except ValueError:
        raise ParameterError(f"convention {convention!r} is unknown; choose exact or linear") from None
    if layers is not None and not 1.0 <= layers <= THICKEST_LAYER:
        raise ParameterError(
            f"layers = {layers} must be a thickness of at least 1 Å and at most {THICKEST_LAYER:g} Å, or None for the "
            "continuum"
        )
    if not 1e-8 <= rtol_dex <= 1e-2:
        raise ParameterError(f"rtol_dex = {rtol_dex:g} must lie within 1e-8 … 1e-2")
    if precision not in ("double", "single"):
        raise ParameterError(f"precision {precision!r} is unknown; choose double or single")
    if precision == "single":
        rtol_dex = max(rtol_dex, SINGLE)
    if monochromator is None:
        monochromator = monochromator_factor(reflection, chosen)
    if not 0.0 <= monochromator <= 1.0:
        raise ParameterError(f"monochromator = {monochromator:g} must lie within 0 … 1")
    prepared = optics(
        grid or scan,
        np.empty(0) if cluster is None else cluster,
        reflection,
        chosen,
        monochromator=float(monochromator),
        thickness=thickness or THICKER * PROFILE[L1].high,
        error=1e-11 if layers is not None else 0.001 * rtol_dex,
        single=precision == "single",
    )
    ends = amplitudes(np.array([scan.start, scan.last]), reflection, chosen)
    # measured against finer steps, worst of the prior and of narrow flanks (benchmarks/accuracy.py); a factor E(z)
    # that varies needs finer steps where |a| is large
    tight = (rtol_dex / 1e-4) ** 0.25
    phase, slope = (2.2, 0.135) if damaged else (2.5, 0.165)
    accuracy = Accuracy(
        layers=0.0 if layers is None else float(layers),
        phase=min(phase * tight, 3.0),
        slope=slope * tight,
        curvature=slope * tight,
        lowest=float(ends.f.real.min()),
        highest=float(ends.f.real.max()),
        thickest=THICKEST_PHASE / float(np.abs(ends.sigma).max()),
    )
    material = Material(coupling(reflection, chosen), chosen is Convention.EXACT, damaged)
    return Forward(prepared, material, accuracy)


def simulate(
    params: ArrayLike,
    *,
    convention: str = "exact",
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    monochromator: float | None = None,
    reflection: Reflection = GGG_444,
    scan: Scan = DEFAULT_SCAN,
    device: str = "cpu",
    precision: str = "double",
    space: ParameterSpace | None = None,
) -> Curves:
    """Simulate rocking curves of strain profiles.

    Two-beam dynamical theory of a strained layer on a thick substrate; the formulas are in ``docs/physics.md``.

    Parameters
    ----------
    params : (n, 7), (n, 9) with the damage kappa and p, or one row; order and units of ``xrdsim.profiles.space``.
    convention : ``exact``, or ``linear`` for the approximations of earlier simulators.
    layers : thickness of equal sublayers [Å]; ``None`` integrates the continuous profile.
    rtol_dex : accuracy of log10 R of the continuum, RMS over the scan.
    fwhm : full width at half maximum of the Gaussian instrument function [arcsec]; 0 for none. Scalar or (n,).
    scale, background : intensity = scale · convolved R + background. Scalars or (n,).
    zero : angle at which the substrate peak appears [arcsec]. Scalar or (n,).
    monochromator : weight of π against σ polarisation; ``None`` takes the convention's default.
    reflection, scan : what is measured, and at which angles.
    device : ``cpu``, or ``cuda`` for the reflectivity on a graphics card; the instrument is computed on the CPU.
    precision : ``double``, or ``single`` for half the time (CPU only): where R > 1e-7, errors up to 3e-4 dex RMS
        of a curve and 2e-3 at a single angle.
    space : ranges that the parameters must keep; ``None`` takes the default ranges.

    Returns
    -------
    Curves

    Raises
    ------
    ParameterError
        A value that is not finite, out of range, of the wrong shape or breaks a constraint.
    DeviceError
        The device is not available.
    """
    check_device(device, ("cpu", "cuda"))
    chosen = space or ParameterSpace()
    rows = chosen.check(params)
    check_film(rows, reflection, device)
    n = len(rows)
    fwhms, scales, backgrounds, zeros = (
        per_sample(value, n, name)
        for name, value in (("fwhm", fwhm), ("scale", scale), ("background", background), ("zero", zero))
    )
    afford(16.0 * n * scan.points, f"{n} curves of {scan.points} angles")

    thickest = THICKER * chosen.high[L1]

    def reflect(part: NDArray[np.int64], grid: Scan, cluster: Array | None = None) -> Array:
        """Reflectivity of some rows at the nodes."""
        out = np.empty((len(part), grid.points + (0 if cluster is None else len(cluster))))
        for some, thickness in by_thickness(rows[part], thickest, layers):
            model = prepare(
                scan,
                grid=grid,
                cluster=cluster,
                convention=convention,
                layers=layers,
                rtol_dex=rtol_dex,
                monochromator=monochromator,
                reflection=reflection,
                damaged=has_damage(rows),
                thickness=thickness,
                precision=precision,
            )
            out[some] = _reflectivity(rows[part[some]], model, device)
        return out

    if precision == "single" and device != "cpu":
        raise ParameterError("precision single is for device cpu; leave one of the two out")
    reflectivity = np.empty((n, scan.points))
    intensity = np.empty((n, scan.points))
    blurred = fwhms > 0.0
    if blurred.any():
        grid = instrument_nodes(
            scan,
            reflection,
            narrowest=fwhms[blurred].min(),
            widest=fwhms[blurred].max(),
            zero=float(np.abs(zeros).max()),
            thickness=thickest,
        )
        afford(16.0 * min(n, _ROWS) * len(grid.angle), f"{n} curves at {len(grid.angle)} angles about the instrument")
        indices = np.flatnonzero(blurred)
        for part in np.array_split(indices, -(-len(indices) // _ROWS)):
            at_nodes = reflect(part, *grid_and_cluster(grid))
            reflectivity[part] = at_nodes[:, grid.first : grid.first + scan.points * grid.stride : grid.stride]
            measured = np.empty((len(part), scan.points))
            batch.measure(
                at_nodes,
                grid,
                fwhms[part] * FWHM_TO_SIGMA,
                zeros[part],
                scales[part],
                backgrounds[part],
                chunks(len(part)),
                measured,
            )
            intensity[part] = measured
    sharp = np.flatnonzero(~blurred)
    if len(sharp):
        reflectivity[sharp] = reflect(sharp, scan)
        for shift in np.unique(zeros[sharp]):
            part = sharp[zeros[sharp] == shift]
            seen = reflectivity[part]
            if shift != 0.0:
                seen = reflect(part, replace(scan, start=scan.start - shift))
            intensity[part] = scales[part, None] * seen + backgrounds[part, None]
    return Curves(rows, scan.angle, reflectivity, intensity)


def by_thickness(
    rows: Array, thickest: float, layers: float | None = None
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Indices of the rows whose layer is not thicker than each of THICKNESSES, or than ``thickest``, and this bound.

    A thinner layer needs fewer coarse angles. The group of a row depends on nothing but the row.
    """
    ends = np.empty(len(rows))
    batch.ends(rows, ends)
    bounds = np.array([bound for bound in THICKNESSES if bound < thickest] + [thickest])
    group = np.minimum(np.searchsorted(bounds, ends + (layers or 1.0)), len(bounds) - 1)
    for i in np.unique(group):
        yield np.flatnonzero(group == i), float(bounds[i])


def add_noise(curves: Curves, counts: float, scale: float, rng: np.random.Generator) -> Curves:
    """The same curves as counted: Poisson noise of ``counts`` at R = 1 for intensities simulated with ``scale``.

    Raises
    ------
    ParameterError
        ``counts`` or ``scale`` is not positive, or ``counts`` exceeds 1e15.
    """
    if not 0.0 < counts <= 1e15:
        raise ParameterError(f"counts = {counts:g} must lie within 0 … 1e15")
    if not (np.isfinite(scale) and scale > 0.0):
        raise ParameterError(f"scale = {scale:g} must be positive to count")
    unit = scale / counts
    counted = rng.poisson(curves.intensity / unit).astype(np.float64)
    return replace(curves, intensity=unit * counted)


def strain_profile(params: ArrayLike, depth: ArrayLike, *, space: ParameterSpace | None = None) -> Array:
    """Strain (n, depths) of parameters (n, 7 or 9) at depths [Å], 0 beyond the end of the layer."""
    rows = (space or ParameterSpace()).check(params)
    at = np.ascontiguousarray(np.atleast_1d(depth), dtype=np.float64)
    out = np.empty((len(rows), len(at)))
    batch.profiles(rows, at, out)
    return out


def depth_end(params: ArrayLike, *, space: ParameterSpace | None = None) -> Array:
    """Depth (n,) [Å] at which the strain of parameters (n, 7 or 9) falls to 1e-4."""
    rows = (space or ParameterSpace()).check(params)
    out = np.empty(len(rows))
    batch.ends(rows, out)
    return out


def largest_strain(params: ArrayLike) -> Array:
    """Largest strain (n,) of parameters (n, 7 or 9), which are not checked."""
    rows = np.atleast_2d(np.ascontiguousarray(params, dtype=np.float64))
    out = np.empty(len(rows))
    batch.largest_strains(rows, out)
    return out


def _reflectivity(rows: Array, model: Forward, device: str = "cpu") -> Array:
    """Reflectivity (n, nodes) of checked rows."""
    if device == "cuda":
        return cards.reflectivity(rows, model.material, model.accuracy, model.optics)
    out = np.empty((len(rows), model.optics.grid + len(model.optics.cluster_first)))
    number = chunks(len(rows))
    most = batch.most_steps(rows, model.material, model.accuracy, number)
    batch.curves(rows, model.material, model.accuracy, model.optics, most, number, out)
    return out


def check_device(device: str, known: tuple[str, ...] = ("cpu",)) -> None:
    if device not in known:
        raise DeviceError(f"device {device!r} is not available for this; use {' or '.join(map(repr, known))}")
    if device == "cuda":
        cards.require()


def check_film(rows: Array, reflection: Reflection, device: str = "cpu") -> None:
    """Check that a film holds the strained layers, and runs where asked.

    Raises
    ------
    ParameterError
        It does not.
    """
    if reflection.film is None:
        return
    if device != "cpu":
        raise ParameterError("a film on a substrate is simulated on device cpu")
    ends = np.empty(len(rows))
    batch.ends(rows, ends)
    if ends.max() > reflection.film.thickness:
        raise ParameterError(
            f"the strained layer ends at {ends.max():.0f} Å, below the film of {reflection.film.thickness:g} Å; "
            "make L1 smaller or the film thicker"
        )


def has_damage(rows: Array) -> bool:
    return rows.shape[1] == 9 and bool(np.any(rows[:, 7] > 0.0))


def chunks(n: int) -> int:
    """Chunks of samples for the parallel loops: some more than threads, to balance their load."""
    return max(1, min(n, 8 * numba.get_num_threads()))


def per_sample(value: ArrayLike, n: int, name: str) -> Array:
    """A number, or one a sample, as (n,).

    Raises
    ------
    ParameterError
        Another shape, not finite, or outside of LIMITS.
    """
    low, high = LIMITS[name]
    try:
        values = np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)))
    except ValueError:
        raise ParameterError(f"{name} has the shape {np.shape(value)}; give one number or one a sample ({n})") from None
    bad = ~((values >= low) & (values <= high))
    if name == "fwhm":
        bad |= (values > 0.0) & (values < NARROWEST)
    if bad.any():
        what = f"0, or {NARROWEST:g}" if name == "fwhm" else f"{low:g}"
        raise ParameterError(f"{name} = {values[bad][0]:g} must be a number within {what} … {high:g}")
    return values
