"""How much each parameter changes the curve, measured by finite differences on a sample of profiles.

The measure is mean |Δ log10(I + floor)| over the scan for a change of 1 %, of the value (weights of a loss) and of the
range (what a grid of equal steps needs).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment, experiment_of
from xrdsim.files import replacing, save_json
from xrdsim.forward.prior import draw_prior
from xrdsim.information.differences import finite_difference
from xrdsim.limits import Json, read_json
from xrdsim.profiles.damage import DAMAGE
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import NAMES

Array = NDArray[np.float64]

SAMPLES = 2000
"""Profiles that a mean over the prior is taken of: it is then known to 1 %."""

_ROWS = 64  # profiles between two calls of progress


@dataclass(frozen=True)
class Sensitivity:
    """Measured sensitivities, per parameter in the order of ``names``.

    Attributes
    ----------
    names : parameter names, 7 or 9.
    value, range : (n, p) per profile, for a change relative to the value and to the range; NaN where excluded.
    value_mean, value_std, range_mean, range_std : (p,) over the profiles.
    how : what was measured and how, JSON-able.
    """

    names: tuple[str, ...]
    value: Array
    range: Array
    value_mean: Array
    value_std: Array
    range_mean: Array
    range_std: Array
    how: Json

    @property
    def weights(self) -> Array:
        """Value-relative sensitivities of the parameters of the strain, scaled to mean 1."""
        damage = {parameter.name for parameter in DAMAGE}
        strain = self.value_mean[[name not in damage for name in self.names]]
        return np.asarray(strain / strain.mean())

    def save(self, path: str | Path) -> tuple[Path, Path]:
        """Write the weights as .npy and everything but the per-profile values as its .json twin.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        weights, twin = Path(path).with_suffix(".npy"), Path(path).with_suffix(".json")
        content = {
            "weights": dict(zip(self.names, self.weights.tolist(), strict=False)),
            "value_relative": self._summary(self.value_mean, self.value_std),
            "range_relative": self._summary(self.range_mean, self.range_std),
            "how": self.how,
        }
        with replacing(weights) as temporary:
            np.save(temporary, self.weights)
        return weights, save_json(twin, content)

    def _summary(self, mean: Array, std: Array) -> dict[str, dict[str, float]]:
        rows = zip(self.names, mean, std, strict=True)
        return {name: {"mean": float(m), "std": float(s)} for name, m, s in rows}


def measure_sensitivity(
    params: ArrayLike | None = None,
    *,
    relative: float = 0.01,
    floor: float = 1e-10,
    fwhm: float = 30.0,
    convention: str | None = None,
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    monochromator: float | None = None,
    reflection: Reflection = GGG_444,
    experiment: Experiment | None = None,
    scan: Scan = DEFAULT_SCAN,
    space: ParameterSpace | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Measure the sensitivities on profiles (n, 7 or 9), by default SAMPLES drawn from the prior.

    The arguments are those of ``finite_difference``; ``progress(done, total)`` counts profiles.

    Raises
    ------
    ParameterError
        As ``finite_difference``; or a parameter that no profile allows to change.
    """
    given = experiment or experiment_of(reflection, convention, monochromator, layers, rtol_dex)
    if params is None:
        params = draw_prior(SAMPLES, space=space, reflection=given.reflection, scan=scan, rng=np.random.default_rng(0))
    space = space or ParameterSpace()
    rows = space.check(params)
    kinds: dict[str, list[Array]] = {"value": [], "range": []}
    for start in range(0, len(rows), _ROWS):
        for kind, parts in kinds.items():
            part = finite_difference(
                rows[start : start + _ROWS],
                relative=relative,
                relative_to=kind,
                floor=floor,
                fwhm=fwhm,
                experiment=given,
                scan=scan,
                space=space,
            )
            parts.append(part)
        if progress:
            progress(min(start + _ROWS, len(rows)), len(rows))
    value, extent = (np.concatenate(parts) for parts in kinds.values())
    names = space.profile.all_names[: rows.shape[1]]
    for kind, values in (("value", value), ("range", extent)):
        empty = np.all(np.isnan(values), axis=0)
        if empty.any():
            raise ParameterError(
                f"{names[int(np.flatnonzero(empty)[0])]} cannot change by {relative:g} of its {kind} in any of the "
                f"{len(rows)} profiles; measure on more of them, drawn from the prior"
            )
    how = {
        "profiles": len(rows),
        "relative": relative,
        "floor": floor,
        "fwhm": fwhm,
        "metric": "mean |delta log10(I + floor)| over the scan",
        "convention": str(given.convention),
        "layers": given.layers,
        "rtol_dex": given.rtol_dex,
        "reflection": given.reflection.to_dict(),
        "scan": scan.to_dict(),
        "space": space.to_dict(),
    }
    return Sensitivity(
        names,
        value,
        extent,
        np.nanmean(value, axis=0),
        np.nanstd(value, axis=0),
        np.nanmean(extent, axis=0),
        np.nanstd(extent, axis=0),
        how,
    )


def read_range_sensitivity(path: str | Path) -> tuple[Array, Json]:
    """Range-relative means (7,) and their origin from the .json twin that ``Sensitivity.save`` wrote.

    Raises
    ------
    ParameterError
        The file is missing or not of this form.
    """
    try:
        content = read_json(path)
        table = content["range_relative"]
        values = np.array([float(table[name]["mean"]) for name in NAMES])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(
            f"{path} is no sensitivity table ({error}); write one with `xrd sensitivity`, which makes sensitivity.json"
        ) from error
    if not (np.isfinite(values).all() and (values >= 0.0).all() and values.sum() > 0.0):
        raise ParameterError(f"{path} holds sensitivities {values} that are not finite and positive")
    return values, dict(content["how"])
