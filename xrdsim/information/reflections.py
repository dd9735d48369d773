"""What each reflection of a sample adds: Cramér–Rao bounds of curves alone and of curves together.

Curves of one sample share the profile; scale, background, zero and instrument of each are its own. The information of
several curves is the sum of theirs, F = Σ_c J_cᵀJ_c with J_c in the columns of the profile and of the curve's own
unknowns (``xrdsim.information.fisher``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import dispersion
from xrdsim.experiment.reflection import Reflection, stretch
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import DAMAGE_EXPONENT, Experiment, damage_power
from xrdsim.forward.simulator import NUISANCES
from xrdsim.information.fisher import bounds, weighted_slope
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

_ROWS = 16  # profiles between two calls of progress


@dataclass(frozen=True)
class Contributions:
    """What curves of several reflections tell of the same profiles.

    Attributes
    ----------
    names : (p,) of the profile's parameters.
    reflections : (c,) which, for a sentence.
    alone, together : (c, n, p) Cramér–Rao standard deviations of each curve alone, and of it with all before it.
    span : (p,) widths of the parameters' ranges.
    how : counts and experiments, JSON-able.
    """

    names: tuple[str, ...]
    reflections: tuple[str, ...]
    alone: Array
    together: Array
    span: Array
    how: Json

    def to_dict(self) -> Json:
        """Medians over the profiles, for JSON; null where a curve says nothing."""
        medians = {"alone": np.median(self.alone, axis=1), "together": np.median(self.together, axis=1)}
        return {
            "names": list(self.names),
            "reflections": list(self.reflections),
            **{
                f"std_median_{kind}": [[float(v) if np.isfinite(v) else None for v in row] for row in values]
                for kind, values in medians.items()
            },
            "how": self.how,
        }


def contributions(
    params: ArrayLike,
    reflections: Sequence[Reflection],
    counts: float = 1e5,
    background: float = 1e-4,
    *,
    fwhm: float = 30.0,
    mask: float = 0.0,
    scan: Scan = DEFAULT_SCAN,
    space: ParameterSpace | None = None,
    damage_exponent: float = DAMAGE_EXPONENT,
    progress: Callable[[int, int], None] | None = None,
) -> Contributions:
    """Bounds of counted curves of several reflections, all unknowns of the measurement free in each.

    Parameters
    ----------
    params : (n, 7), (n, 9) with the damage, which is that of the first reflection, or one row.
    reflections : of one sample.
    counts, background : expected at reflectivity 1 in each curve, and in units of reflectivity.
    fwhm, mask, scan : as for ``fisher``, of a curve of GGG 444; of another reflection the instrument widens with
        tanθ_B, and the scan covers the same strains with as many points.
    space : of the profiles; None for the default.
    damage_exponent : E of the order H is that of the first one to the power (H/H_first)^q.
    progress : called with (done, total) profiles.

    Raises
    ------
    ParameterError
        No reflection, or as ``fisher``.
    """
    if not reflections:
        raise ParameterError("give one reflection at least")
    if not (np.isfinite(counts) and counts > 0.0):
        raise ParameterError(f"counts = {counts:g} must be a positive number")
    space = space or ParameterSpace()
    rows = space.check(params)
    shown = space.with_damage() if space.profile.holds_damage(rows.shape[1]) else space
    size, own = rows.shape[1], tuple(NUISANCES)
    settings = []
    for each in reflections:
        wide = dispersion(each)
        experiment = Experiment(each, damage_power=damage_power(each, reflections[0], damage_exponent))
        seen = replace(scan, start=scan.start * stretch(each), step=scan.step * stretch(each))
        settings.append((experiment, seen, wide * fwhm, wide * mask))
    alone, together = (np.empty((len(reflections), len(rows), size)) for _ in range(2))
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        blocks: list[Array] = []
        for c, (experiment, seen, width, hidden) in enumerate(settings):
            _, slope = weighted_slope(
                rows[part],
                counts,
                background,
                free=own,
                fwhm=width,
                mask=hidden,
                experiment=experiment,
                scan=seen,
                space=space,
            )
            blocks.append(slope)
            alone[c, part] = bounds(slope)[1][:, :size]
            together[c, part] = bounds(_stacked(blocks, size))[1][:, :size]
        if progress:
            progress(min(start + _ROWS, len(rows)), len(rows))
    how = {
        "counts": counts,
        "background": background,
        "profiles": len(rows),
        "damage_exponent": damage_exponent,
        "fwhm_arcsec": [each[2] for each in settings],
        "mask_arcsec": [each[3] for each in settings],
        "scans": [each[1].to_dict() for each in settings],
        "experiments": [each[0].to_dict() for each in settings],
    }
    return Contributions(shown.names, tuple(each.title for each in reflections), alone, together, shown.span, how)


def _stacked(blocks: Sequence[Array], size: int) -> Array:
    """One J (n, all angles, size + unknowns of all curves) of those of each curve."""
    n, extra = len(blocks[0]), blocks[0].shape[2] - size
    whole = np.zeros((n, sum(each.shape[1] for each in blocks), size + extra * len(blocks)))
    at = 0
    for c, each in enumerate(blocks):
        angles = slice(at, at + each.shape[1])
        whole[:, angles, :size] = each[:, :, :size]
        whole[:, angles, size + c * extra : size + (c + 1) * extra] = each[:, :, size:]
        at += each.shape[1]
    return whole
