"""What a change of a parameter by some per cent does to a curve: the users' sensitivity measure."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment, experiment_of
from xrdsim.forward.model import simulate
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

_ROWS = 256  # profiles changed at once: bounds the memory of their curves


def finite_difference(
    params: ArrayLike,
    *,
    relative: float = 0.01,
    relative_to: str = "value",
    floor: float = 1e-10,
    convention: str | None = None,
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    fwhm: float = 30.0,
    monochromator: float | None = None,
    reflection: Reflection = GGG_444,
    experiment: Experiment | None = None,
    scan: Scan = DEFAULT_SCAN,
    device: str = "cpu",
    space: ParameterSpace | None = None,
) -> Array:
    """Change of each curve when one parameter changes: mean |Δ log10(I + floor)| over the scan.

    A parameter grows by ``relative`` of its value (Rp2 ≤ 0 away from 0) or of its range; where that would leave the
    range or break a constraint it shrinks by as much.

    Parameters
    ----------
    params : (n, 7 or 9) or one row.
    relative : size of the change, 0 < relative ≤ 0.5.
    relative_to : ``value`` or ``range``.
    floor : added to the intensity, so that vanishing ones do not count.
    fwhm : of the instrument function [arcsec]; 0 for the reflectivity itself.

    Returns
    -------
    (n, 7 or 9), NaN where a value is 0 and the change relative to it, or where no direction is allowed.

    Raises
    ------
    ParameterError, DeviceError
        As ``simulate``.
    """
    if not 0.0 < relative <= 0.5:
        raise ParameterError(f"relative = {relative:g} must lie within 0 … 0.5")
    if relative_to not in ("value", "range"):
        raise ParameterError(f"relative_to = {relative_to!r} is unknown; choose value or range")
    if not (np.isfinite(floor) and floor >= 0.0):
        raise ParameterError(f"floor = {floor:g} must be a finite number of at least 0")
    measured = experiment or experiment_of(reflection, convention, monochromator, layers, rtol_dex)
    chosen = space or ParameterSpace()
    rows = chosen.check(params)
    if chosen.profile.holds_damage(rows.shape[1]):
        chosen = chosen.with_damage()
    changed = _changed(rows, chosen, relative, relative_to)
    out = np.full(changed.shape[:2], np.nan)
    for first in range(0, len(rows), _ROWS):
        part = slice(first, first + _ROWS)
        possible = np.isfinite(changed[part, :, 0])
        curves = simulate(
            np.concatenate([rows[part], changed[part][possible]]),
            experiment=measured,
            fwhm=fwhm,
            scan=scan,
            device=device,
            space=chosen,
        )
        level = np.log10(curves.intensity + floor)
        before, after = level[: len(possible)], level[len(possible) :]
        out[part][possible] = np.abs(after - before[np.nonzero(possible)[0]]).mean(axis=1)
    return out


def _changed(rows: Array, space: ParameterSpace, relative: float, relative_to: str) -> Array:
    """Each row (n, p) with each parameter changed, (n, p, p); NaN where that is not possible."""
    n, p = rows.shape
    change = relative * (rows if relative_to == "value" else np.broadcast_to(space.span, rows.shape))
    diagonal = np.arange(p)
    out = np.full((n, p, p), np.nan)
    for sign in (-1.0, 1.0):  # growing last: it wins where both are allowed
        candidate = np.repeat(rows[:, None, :], p, axis=1)
        candidate[:, diagonal, diagonal] += sign * change
        allowed = space.contains(candidate.reshape(-1, p)).reshape(n, p) & (change != 0.0)
        out[allowed] = candidate[allowed]
    return out
