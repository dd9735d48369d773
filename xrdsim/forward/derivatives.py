"""The public derivatives of curves, exact for the steps that the accuracy asks for.

The kernels are those of ``xrdsim.kernels.derivatives.jacobian``.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, NotRequired, TypedDict, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward import tensors
from xrdsim.forward.model import Curves, check_defects, check_device, check_film, check_seen
from xrdsim.forward.simulator import NUISANCES, Seen, Simulator
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]


class Physics(TypedDict):
    """Keywords of ``xrdsim.simulate`` that say what is simulated, and how accurately."""

    convention: NotRequired[str]
    rtol_dex: NotRequired[float]
    monochromator: NotRequired[float | None]
    reflection: NotRequired[Reflection]
    experiment: NotRequired[Experiment]
    scan: NotRequired[Scan]
    device: NotRequired[str]
    space: NotRequired[ParameterSpace | None]
    output: NotRequired[str]


@dataclass(frozen=True)
class Linearization:
    """Curves and their derivatives.

    Attributes
    ----------
    curves : as simulated; the reflectivity differs from that of ``simulate`` within the asked accuracy.
    names : (k,) of what the intensity is differentiated over: the parameters, then the nuisances.
    slope : (n, angle, k) derivatives of the intensity.
    """

    curves: Curves
    names: tuple[str, ...]
    slope: Array

    @property
    def log_slope(self) -> Array:
        """Derivatives (n, angle, k) of log10 of the intensity."""
        return self.slope / (math.log(10.0) * self.curves.intensity[:, :, None])


def jacobian(
    params: ArrayLike,
    *,
    nuisances: tuple[str, ...] = (),
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    **physics: Unpack[Physics],
) -> Array:
    """Derivatives (n, angle, k) of log10 of the intensity over the parameters, and over the nuisances asked for.

    Parameters and errors are those of ``linearize``.
    """
    return linearize(
        params, nuisances=nuisances, fwhm=fwhm, scale=scale, background=background, zero=zero, **physics
    ).log_slope


def linearize(
    params: ArrayLike,
    *,
    nuisances: tuple[str, ...] = (),
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    **physics: Unpack[Physics],
) -> Linearization:
    """Simulate curves of the continuous profile together with their exact derivatives.

    At the limits of the parameters (Rp1 = 0, L1 = Rp1, Rp2 = 0) the derivatives are one-sided. Fixed sublayers have
    none: their curve jumps where their number changes.

    Parameters
    ----------
    params : (n, 7), (n, 9) with the damage, or one row.
    nuisances : any of ``zero``, ``fwhm``, ``scale``, ``background``, in the order wanted.
    fwhm, scale, background, zero : as for ``simulate``. Scalars or (n,).
    physics : ``convention``, ``rtol_dex``, ``monochromator``, ``reflection``, ``experiment``, ``scan``, ``device``,
        ``space``, ``output`` of ``simulate``.

    Raises
    ------
    ParameterError
        As ``simulate``; a nuisance that is unknown; ``zero`` or ``fwhm`` without instrument.
    DeviceError
        The device is not available.
    """
    task = _checked(params, nuisances, fwhm, scale, background, zero, physics)
    rows, simulator = task.rows, task.simulator
    names = (*simulator.space.profile.all_names[: rows.shape[1]], *nuisances)
    if task.output == "torch":
        *both, changes = tensors.linearize(simulator, rows, task.seen, nuisances)
        curves = Curves.of_tensors(rows, simulator.scan, simulator.device, (both[0], both[1]))
        return Linearization(curves, names, cast(Array, changes.swapaxes(1, 2)))
    reflectivity, intensity, slope = simulator.linearize(rows, task.seen, nuisances)
    return Linearization(Curves(rows, simulator.scan.angle, reflectivity, intensity), names, np.swapaxes(slope, 1, 2))


def pull_back(
    params: ArrayLike,
    cotangent: ArrayLike,
    *,
    nuisances: tuple[str, ...] = (),
    fwhm: ArrayLike = 30.0,
    scale: ArrayLike = 1.0,
    background: ArrayLike = 0.0,
    zero: ArrayLike = 0.0,
    **physics: Unpack[Physics],
) -> Array:
    """Derivatives (n, k) of Σ cotangent·intensity over the parameters and the nuisances; cotangent (n, angle).

    The array of all derivatives, (n, angle, k), is not formed. Parameters and errors are those of ``linearize``.
    """
    task = _checked(params, nuisances, fwhm, scale, background, zero, physics)
    weight = np.ascontiguousarray(cotangent, dtype=np.float64)
    shape = (len(task.rows), task.simulator.scan.points)
    if weight.shape != shape:
        raise ParameterError(f"the cotangent has the shape {weight.shape}; curves have {shape}")
    return task.simulator.pull_back(task.rows, task.seen, nuisances, weight)


class _Task(NamedTuple):
    """Checked arguments."""

    rows: Array
    seen: Seen
    simulator: Simulator
    output: str


def _checked(
    params: ArrayLike,
    nuisances: tuple[str, ...],
    fwhm: ArrayLike,
    scale: ArrayLike,
    background: ArrayLike,
    zero: ArrayLike,
    physics: Physics,
) -> _Task:
    unknown = [name for name in nuisances if name not in NUISANCES]
    if unknown:
        raise ParameterError(f"nuisance {unknown[0]!r} is unknown; choose among {', '.join(NUISANCES)}")
    given: dict[str, Any] = dict(physics)
    space, device = given.pop("space", None) or ParameterSpace(), given.pop("device", "cpu")
    scan, output = given.pop("scan", DEFAULT_SCAN), given.pop("output", "numpy")
    experiment = given.pop("experiment", None) or Experiment(**given)
    rows = space.check(params)
    check_film(rows, space.profile, experiment.reflection)
    check_defects(device, experiment)
    check_device(device, ("cpu", "cuda"))
    tensors.check_output(output, device)
    seen = check_seen(len(rows), fwhm, zero, scale, background)
    sharp = seen.fwhm == 0.0
    if sharp.any() and ({"zero", "fwhm"} & set(nuisances) or seen.zero[sharp].any()):
        raise ParameterError("fwhm = 0 is no instrument; a zero, and a derivative over zero or fwhm, need a width")
    return _Task(rows, seen, Simulator(experiment, scan, space, device), output)
