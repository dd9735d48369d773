"""The public forward model: parameters → strain → reflectivity → measured intensity, with all arguments checked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import DeviceError, ParameterError
from xrdsim.experiment.instrument import FWHM, ZERO
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment, experiment_of
from xrdsim.forward import card, tensors
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.kernels import batch
from xrdsim.limits import afford
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace

if TYPE_CHECKING:
    from xrdsim.forward.tensors import Tensor

Array = NDArray[np.float64]

LIMITS = {
    "fwhm": (0.0, FWHM.most),  # 0, or at least FWHM.least
    "zero": (ZERO.least, ZERO.most),
    "scale": (0.0, 1e30),
    "background": (0.0, 1e30),
}
"""Of what a measurement adds to a curve [arcsec, arcsec, 1, 1]."""


@dataclass(frozen=True)
class Curves:
    """Simulated rocking curves: arrays in memory, or with ``output="torch"`` tensors where they were computed.

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

    @classmethod
    def of_tensors(cls, rows: Array, scan: Scan, device: str, found: "tuple[Tensor, Tensor]") -> "Curves":
        """Of tensors; parameters and angles follow them to where they are."""
        inputs = (tensors.tensor(values, device) for values in (rows, scan.angle))
        return cls(*(cast(Array, each) for each in (*inputs, *found)))


def simulate(
    params: ArrayLike,
    *,
    convention: str | None = None,
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    monochromator: float | None = None,
    reflection: Reflection = GGG_444,
    experiment: Experiment | None = None,
    scan: Scan = DEFAULT_SCAN,
    device: str = "cpu",
    precision: str = "double",
    space: ParameterSpace | None = None,
    output: str = "numpy",
) -> Curves:
    """Simulate rocking curves of strain profiles.

    Two-beam dynamical theory of a strained layer on a thick substrate; the formulas are in ``docs/physics.md``.

    Parameters
    ----------
    params : (n, 7), (n, 9) with the damage kappa and p, or one row; order and units of ``space``.
    convention : ``exact``, ``second-order`` as inclined surfaces need it, or ``linear`` for the approximations of
        earlier simulators; None chooses by the reflection.
    layers : thickness of equal sublayers [Å]; ``None`` integrates the continuous profile.
    rtol_dex : accuracy of log10 R of the continuum, RMS over the scan.
    fwhm : full width at half maximum of the Gaussian instrument function [arcsec]; 0 for none. Scalar or (n,).
    scale, background : intensity = scale · convolved R + background. Scalars or (n,).
    zero : angle at which the substrate peak appears [arcsec]. Scalar or (n,).
    monochromator : weight of π against σ polarisation; ``None`` takes the convention's default.
    reflection, scan : what is measured, and at which angles.
    experiment : reflection, convention, monochromator, layers and accuracy in one record, instead of these.
    device : ``cpu``, or ``cuda`` for a graphics card.
    precision : ``double``, or ``single``, on a processor for half the time: where R > 1e-7, errors up to 3e-4 dex RMS
        of a curve and 2e-3 at a single angle.
    space : the profile, and ranges that its parameters must keep; ``None`` takes two Gaussians in default ranges.
    output : ``numpy``, or ``torch`` for curves as tensors, which stay on the card where ``device`` is one.

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
    experiment = experiment or experiment_of(reflection, convention, monochromator, layers, rtol_dex)
    check_device(device, ("cpu", "cuda"))
    tensors.check_output(output, device)
    check_defects(device, experiment)
    chosen = space or ParameterSpace()
    rows = chosen.check(params)
    check_film(rows, chosen.profile, experiment.reflection)
    seen = check_seen(len(rows), fwhm, zero, scale, background)
    afford(16.0 * len(rows) * scan.points, f"{len(rows)} curves of {scan.points} angles")
    simulator = Simulator(experiment, scan, chosen, device, precision)
    if output == "torch":
        return Curves.of_tensors(rows, scan, device, tensors.curves(simulator, rows, seen))
    return Curves(rows, scan.angle, *simulator.curves(rows, seen))


def check_seen(n: int, fwhm: ArrayLike, zero: ArrayLike, scale: ArrayLike, background: ArrayLike) -> Seen:
    """How n samples are measured, checked.

    Raises
    ------
    ParameterError
        A value of the wrong shape, or out of range.
    """
    return Seen(
        per_sample(fwhm, n, "fwhm"),
        per_sample(zero, n, "zero"),
        per_sample(scale, n, "scale"),
        per_sample(background, n, "background"),
    )


def check_device(device: str, known: tuple[str, ...] = ("cpu",)) -> None:
    if device not in known:
        raise DeviceError(f"device {device!r} is not available for this; use {' or '.join(map(repr, known))}")
    if device == "cuda":
        card.require()


def check_defects(device: str, experiment: Experiment) -> None:
    """Refuse what defects are not computed on.

    Raises
    ------
    DeviceError
        Another device than the processor.
    """
    if device != "cpu" and experiment.defects is not None:
        raise DeviceError("curves with defects are computed on device 'cpu'")


def check_film(rows: Array, profile: Profile, reflection: Reflection) -> None:
    """Check that a film holds the strained layers.

    Raises
    ------
    ParameterError
        It does not.
    """
    if reflection.film is None:
        return
    ends = np.empty(len(rows))
    batch.ends(profile.family, rows, ends)
    if ends.max() > reflection.film.thickness:
        raise ParameterError(
            f"the strained layer ends at {ends.max():.0f} Å, below the film of {reflection.film.thickness:g} Å; "
            f"make {profile.deepest} smaller or the film thicker"
        )


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
        bad |= (values > 0.0) & (values < FWHM.least)
    if bad.any():
        what = f"0, or {FWHM.least:g}" if name == "fwhm" else f"{low:g}"
        raise ParameterError(f"{name} = {values[bad][0]:g} must be a number within {what} … {high:g}")
    return values
