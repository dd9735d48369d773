"""What a counted curve can tell: Fisher information and Cramér–Rao bounds.

The counts N_i of a curve are Poisson distributed with the mean counts·I_i, I = scale·(R ∗ G) + background. Their Fisher
information about the parameters is

    F = counts · Σ_i (∂I_i/∂p)(∂I_i/∂p)ᵀ / I_i,

and no unbiased estimate has a smaller covariance than F⁻¹ (H. Cramér, Mathematical Methods of Statistics, 1946). It is
what the curve alone says: a parameter whose bound exceeds its range is known from the range only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.derivatives import Physics, linearize
from xrdsim.forward.simulator import NUISANCES
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

_ROWS = 64  # profiles between two calls of progress


@dataclass(frozen=True)
class Fisher:
    """Information of curves about their parameters.

    Attributes
    ----------
    names : (k,) the profile's parameters and then the free nuisances.
    information : (n, k, k) Fisher information, in the units of the parameters.
    std : (n, k) Cramér–Rao standard deviations; infinite where the curve says nothing.
    correlation : (n, k, k) of the bounds; NaN with what is not determined at all.
    span : (p,) widths of the parameters' ranges.
    how : counts and experiment, JSON-able.
    """

    names: tuple[str, ...]
    information: Array
    std: Array
    correlation: Array
    span: Array
    how: Json

    @property
    def relative(self) -> Array:
        """Standard deviations (n, p) of the profile's parameters in parts of their ranges."""
        return np.asarray(self.std[:, : len(self.span)] / self.span)

    def to_dict(self) -> Json:
        """Medians over the profiles, for JSON."""
        part = self.relative
        return {
            "names": list(self.names),
            "std_median": [_finite(value) for value in np.median(self.std, axis=0)],
            "relative_quantiles": {
                name: {q: _finite(np.quantile(part[:, i], level, method="nearest")) for q, level in _QUANTILES.items()}
                for i, name in enumerate(self.names[: len(self.span)])
            },
            "how": self.how,
        }


_QUANTILES = {"10 %": 0.1, "median": 0.5, "90 %": 0.9}


def fisher(
    params: ArrayLike,
    counts: float = 1e5,
    background: float = 1e-4,
    *,
    free: tuple[str, ...] = tuple(NUISANCES),
    fwhm: float = 30.0,
    mask: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
    **physics: Unpack[Physics],
) -> Fisher:
    """Fisher information of measured curves about the profile and the measurement.

    Parameters
    ----------
    params : (n, 7), (n, 9) with the damage, or one row.
    counts : expected at reflectivity 1.
    background : in units of reflectivity.
    free : which of ``zero``, ``fwhm``, ``scale``, ``background`` are unknown too.
    fwhm : of the instrument [arcsec].
    mask : angles so near the substrate peak [arcsec] are not used.
    progress : called with (done, total) profiles.
    physics : as for ``xrdsim.linearize``.

    Raises
    ------
    ParameterError
        ``counts`` is not positive, ``mask`` leaves fewer angles than unknowns, or as ``linearize``.
    """
    if not (np.isfinite(counts) and counts > 0.0):
        raise ParameterError(f"counts = {counts:g} must be a positive number")
    if not mask >= 0.0:
        raise ParameterError(f"mask = {mask:g} must be at least 0 arcsec")
    space = physics.get("space") or ParameterSpace()
    rows = space.check(params)
    span = (space.with_damage() if space.profile.holds_damage(rows.shape[1]) else space).span
    parts = []
    names: tuple[str, ...] = ()
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        names, slope = weighted_slope(part, counts, background, free=free, fwhm=fwhm, mask=mask, **physics)
        parts.append(bounds(slope))
        if progress:
            progress(min(start + _ROWS, len(rows)), len(rows))
    information, std, correlation = (np.concatenate(part) for part in zip(*parts, strict=True))
    how = {"counts": counts, "background": background, "fwhm_arcsec": fwhm, "mask_arcsec": mask, "free": list(free)}
    return Fisher(names, information, std, correlation, span, {**how, "profiles": len(rows)})


def weighted_slope(
    rows: Array,
    counts: float,
    background: float,
    *,
    free: tuple[str, ...],
    fwhm: float,
    mask: float,
    **physics: Unpack[Physics],
) -> tuple[tuple[str, ...], Array]:
    """Names (k,) of the unknowns, and J (n, angle, k) with JᵀJ the information; arguments as of ``fisher``."""
    linear = linearize(rows, nuisances=free, fwhm=fwhm, background=background, scale=1.0, **physics)
    used = np.abs(linear.curves.angle) >= mask
    if used.sum() < len(linear.names):
        raise ParameterError(f"mask = {mask:g}″ leaves {used.sum()} angles for {len(linear.names)} unknowns; narrow it")
    weight = np.sqrt(counts / linear.curves.intensity[:, used])
    return linear.names, linear.slope[:, used] * weight[:, :, None]


def bounds(jacobian: Array) -> tuple[Array, Array, Array]:
    """JᵀJ and the standard deviations and correlations of its inverse, by singular values of the scaled J."""
    length = np.sqrt((jacobian**2).sum(axis=1))
    scale = np.where(length > 0.0, length, 1.0)
    _, singular, right = np.linalg.svd(jacobian / scale[:, None, :], full_matrices=False)
    inverse = 1.0 / np.maximum(singular, 1e-12 * singular[:, :1])
    covariance = np.einsum("nik,ni,nil->nkl", right, inverse**2, right)
    unit = np.sqrt(np.einsum("nkk->nk", covariance))
    std = np.where((length > 0.0) & (unit < 1e8), unit / scale, np.inf)
    correlation = covariance / (unit[:, :, None] * unit[:, None, :])
    lost = ~np.isfinite(std)
    correlation[lost[:, :, None] | lost[:, None, :]] = np.nan
    return np.einsum("nik,nil->nkl", jacobian, jacobian), std, correlation


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return float(value) if np.isfinite(value) else None


COARSE = 12.0
"""Step [arcsec] of the scan on which the determinant is computed."""


def log_root_information(
    rows: Array, space: ParameterSpace, scan: Scan = DEFAULT_SCAN, experiment: Experiment | None = None
) -> Array:
    """ln √det F (n,) of the profile's free parameters in parts of their ranges, on a coarse scan."""
    factor = max(1, int(COARSE // scan.step))
    coarse = Scan(scan.start, factor * scan.step, -(-scan.points // factor))
    rough = (experiment or Experiment()).continuous().within(1e-2)
    linear = linearize(rows, background=1e-4, experiment=rough, scan=coarse, space=space)
    weight = np.sqrt(1e5 * factor / linear.curves.intensity)
    slope = linear.slope * space.span
    for name, other in space.ties:
        slope[:, :, space.names.index(other)] += slope[:, :, space.names.index(name)]
    free = slope[:, :, [j for j in space.free if j < space.profile.size]] * weight[:, :, None]
    information = np.einsum("nik,nil->nkl", free, free)
    return np.asarray(0.5 * np.linalg.slogdet(information)[1])
