"""How good estimates are: parameters, curves and profiles, beside predicting the mean of the training parameters.

Different parameters can give nearly the same profile and curve, so all three are compared.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from xrdml.data.measurement import Measurement
from xrdml.data.ranges import whole_ranges
from xrdml.data.source import draw_batch, stream
from xrdml.evaluation.calibration import Mask, finite, mean_where
from xrdml.networks.checkpoint import estimate
from xrdsim import depth_end, simulate, strain_profile
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Rows
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TABLE

Array = NDArray[np.float64]

_DEFAULT = Experiment()

FWHM = 30.0
"""Instrument [arcsec] with which curves are compared."""

FLOOR = 1e-10
"""Added to intensities before the logarithm."""

_RTOL = 1e-3  # accuracy of the simulated curves in dex, far below the errors of any estimate
_DEPTHS = 500
_TEST = 3  # random stream beside those of a training


@dataclass(frozen=True)
class Errors:
    """Mean errors of estimates.

    Attributes
    ----------
    names : of the parameters.
    mae : (p,) mean absolute error of each, in its unit.
    mae_percent : (p,) the same in % of its range.
    curve : RMS difference of log10(I + 1e-10) over the window between the simulated estimate and the noise-free truth,
        both with an instrument of 30″ and no background; mean over samples [dex].
    profile : RMS strain difference over the depth of the layer, divided by its largest strain; mean over samples.
    """

    names: tuple[str, ...]
    mae: tuple[float, ...]
    mae_percent: tuple[float, ...]
    curve: float
    profile: float

    def to_dict(self) -> Json:
        """Plain values for JSON, by parameter."""
        units = [parameter.unit for parameter in TABLE]
        rows = zip(self.names, units, self.mae, self.mae_percent, strict=False)
        return {
            "parameters": {name: {"unit": unit, "mae": mae, "mae_percent": part} for name, unit, mae, part in rows},
            "mean_mae_percent": float(np.mean(self.mae_percent)),
            "curve_error_dex": self.curve,
            "profile_error": self.profile,
        }


def errors(
    estimated: ArrayLike,
    true: ArrayLike,
    space: ParameterSpace,
    experiment: Experiment = _DEFAULT,
    scan: Scan = DEFAULT_SCAN,
) -> Errors:
    """Errors of estimates.

    Parameters
    ----------
    estimated, true : (n, 7 or 9) parameters in ``space``.
    experiment, scan : of the curves that are compared.
    """
    params, truth = np.asarray(estimated, np.float64), np.asarray(true, np.float64)
    span = np.where(space.span > 0.0, space.span, np.inf)
    mae = np.abs(params - truth).mean(axis=0)
    return Errors(
        space.names,
        tuple(mae.tolist()),
        tuple((100.0 * mae / span).tolist()),
        float(curve_error(params, truth, space, experiment, scan).mean()),
        float(profile_error(params, truth, space).mean()),
    )


def curve_error(
    estimated: Array, true: Array, space: ParameterSpace, experiment: Experiment = _DEFAULT, scan: Scan = DEFAULT_SCAN
) -> Array:
    """RMS difference (n,) of log10(I + FLOOR) over the window [dex] between simulated curves, seen with 30″."""
    rough = experiment.within(_RTOL)
    both = (
        np.log10(simulate(params, fwhm=FWHM, experiment=rough, scan=scan, space=space).intensity + FLOOR)
        for params in (estimated, true)
    )
    return np.asarray(np.sqrt(np.mean((next(both) - next(both)) ** 2, axis=1)))


def profile_error(estimated: Array, true: Array, space: ParameterSpace) -> Array:
    """RMS strain difference (n,) over the depth of the true layer, divided by its largest strain."""
    end = depth_end(true, space=space)
    deepest = max(end.max(), depth_end(estimated, space=space).max())
    depth = (np.arange(_DEPTHS) + 0.5) * (deepest / _DEPTHS)
    strain = strain_profile(true, depth, space=space)
    difference = strain_profile(estimated, depth, space=space) - strain
    square = np.sum(difference**2, axis=1) * (deepest / _DEPTHS) / end
    return np.asarray(np.sqrt(square) / strain.max(axis=1))


def area_error(estimated: Array, true: Array, space: ParameterSpace) -> Array:
    """Profile error (n,): ∫|Δε| dz over the depth of both layers, divided by ∫ε dz of the true one."""
    deepest = max(depth_end(true, space=space).max(), depth_end(estimated, space=space).max())
    depth = (np.arange(_DEPTHS) + 0.5) * (deepest / _DEPTHS)
    strain = strain_profile(true, depth, space=space)
    difference = strain_profile(estimated, depth, space=space) - strain
    return np.asarray(np.abs(difference).sum(axis=1) / strain.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Mean absolute errors of one group of rows, in % of the ranges; NaN where no row has the parameter unknown.

    Attributes
    ----------
    group : which rows, in words.
    rows : how many.
    mae, median : (p,) of the estimates, and of predicting the median of the prior.
    limited_rows : rows whose limit was computed.
    limited_mae, limit : (p,) of these rows: MAE of the estimates, and the limit of ``xrdml.evaluation.single_curves``.
    """

    group: str
    rows: int
    mae: Array
    median: Array
    limited_rows: int
    limited_mae: Array
    limit: Array

    @property
    def skill(self) -> Array:
        """1 − MAE / MAE of the prior's median, (p,): 0 where nothing was learned, 1 without error."""
        return np.asarray(1.0 - self.mae / np.where(self.median > 0.0, self.median, np.nan))

    def to_dict(self, names: tuple[str, ...]) -> Json:
        """Plain values for JSON, by parameter."""
        columns = {
            "mae_percent": self.mae,
            "prior_median_mae_percent": self.median,
            "skill": self.skill,
            "limited_mae_percent": self.limited_mae,
            "limit_percent": self.limit,
        }
        parameters = {name: {key: finite(each[j]) for key, each in columns.items()} for j, name in enumerate(names)}
        return {"group": self.group, "rows": self.rows, "limited_rows": self.limited_rows, "parameters": parameters}


def accuracy(
    group: str, chosen: Mask, error: Array, of_median: Array, unknown: Mask, limited: NDArray[np.int64], limit: Array
) -> Accuracy:
    """Mean errors of the chosen rows.

    Parameters
    ----------
    group : name.
    chosen : (n,) rows.
    error, of_median : (n, p) absolute errors of the estimate and of the prior's median, in % of the ranges.
    unknown : (n, p) whether a value was unknown.
    limited : (m,) rows whose limit is known.
    limit : (m, p) their limits, in % of the ranges.
    """
    counted = unknown & chosen[:, None]
    here = counted[limited]
    return Accuracy(
        group,
        int(chosen.sum()),
        mean_where(error, counted),
        mean_where(of_median, counted),
        int(chosen[limited].sum()),
        mean_where(error[limited], here),
        mean_where(limit, here),
    )


def test_errors(
    net: nn.Module, simulation: Simulation, test: Rows, params: NDArray[np.float32], prior: Measurement, seed: int
) -> Json:
    """Errors of a network on test rows, and of predicting the mean of the training parameters.

    Parameters
    ----------
    net : in evaluation mode.
    simulation : of the rows.
    test : measured once, with noise that is the same for every network.
    params : (n, 7 or 9) parameters to learn from.
    prior : of the measurement.
    seed : of the measurement.

    Returns
    -------
    plain values: number of rows, and ``Errors.to_dict`` of the model and of the mean.
    """
    inputs = draw_batch(test.reflectivity, test.params, simulation, prior, stream(seed, _TEST))
    mean = np.broadcast_to(params.mean(axis=0, dtype=np.float64), test.params.shape)
    whole = whole_ranges(simulation.space, prior)
    setting = simulation.space, simulation.experiment, simulation.scan
    return {
        "rows": len(test.params),
        "model": errors(simulation.space.tied(estimate(net, inputs, whole, whole)), test.params, *setting).to_dict(),
        "mean_of_training_parameters": errors(mean, test.params, *setting).to_dict(),
    }
