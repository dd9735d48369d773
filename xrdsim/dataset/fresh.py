"""Curves as a dataset holds them, and curves of the prior that are simulated when they are needed, without one."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.dataset import store
from xrdsim.dataset.configuration import Configuration, Part
from xrdsim.dataset.reading import open_dataset
from xrdsim.errors import ParameterError, XrdError
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.model import simulate
from xrdsim.forward.prepare import prepare
from xrdsim.forward.prior import draw_prior
from xrdsim.limits import Json, afford
from xrdsim.profiles.damage import KAPPA, P
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

_PART = 4096  # rows simulated together


FRESH = Experiment(rtol_dex=1e-3)
"""Of curves that are simulated when they are needed."""


def fresh_configuration(
    *, space: ParameterSpace | None = None, scan: Scan = DEFAULT_SCAN, experiment: Experiment = FRESH
) -> Configuration:
    """What determines fresh curves of the continuous profile, as a dataset would record it.

    Raises
    ------
    ParameterError
        Angles beyond a right angle.
    """
    prepare(scan, experiment)
    return Configuration(
        sampler="prior",
        n=0,
        seed=0,
        values=0,
        jitter=False,
        space=space or ParameterSpace(),
        scan=scan,
        reflection=experiment.reflection,
        convention=str(experiment.convention),
        layers=None,
        rtol_dex=experiment.rtol_dex,
        monochromator=experiment.monochromator,
        test_rows=0,
        block_size=store.CHUNK_ROWS,
        sensitivity=None,
        sensitivity_origin=None,
        counts=(),
        interval=0,
    )


def fresh_parameters(config: Configuration, n: int, rng: np.random.Generator, undamaged: float = 0.0) -> store.Floats:
    """Draw n rows of the prior, (n, 7 or 9); arguments and errors as for ``fresh_rows``."""
    if not 0.0 <= undamaged <= 1.0:
        raise ParameterError(f"undamaged = {undamaged:g} must lie within 0 … 1")
    params = draw_prior(n, space=config.space, reflection=config.reflection, scan=config.scan, rng=rng)
    if config.space.damage:
        bare = rng.random(n) < undamaged
        params[bare, KAPPA] = np.clip(0.0, config.space.low[KAPPA], config.space.high[KAPPA])
        params[bare, P] = np.clip(1.0, config.space.low[P], config.space.high[P])
    return params.astype(np.float32)


def fresh_curves(params: store.Floats, config: Configuration) -> store.Floats:
    """The curves (n, angle) of parameters (n, 7 or 9) as a dataset would hold them."""
    parts = [params[first : first + _PART] for first in range(0, len(params), _PART)]
    return np.concatenate([stored_curves(part, config, config.space) for part in parts])


def stored_curves(params: ArrayLike, config: Configuration, space: ParameterSpace) -> store.Floats:
    """The curves (n, angle) that a dataset holds of parameters (n, 7 or 9)."""
    curves = simulate(
        params,
        experiment=config.experiment,
        scan=config.stored_scan,
        fwhm=config.base_fwhm,
        device=config.device,
        space=space,
    ).intensity
    bad = ~np.isfinite(curves).all(axis=1)
    if bad.any():
        raise XrdError(
            f"the simulation of {np.asarray(params)[bad][0].tolist()} failed; please report these parameters"
        )
    return store.round_curves(curves, config.mantissa_bits)


def fresh_rows(config: Configuration, n: int, rng: np.random.Generator, undamaged: float = 0.0) -> store.Rows:
    """Draw n rows of the prior and simulate them.

    Parameters
    ----------
    config : from ``fresh_configuration``.
    n : number of rows.
    rng : source of everything random.
    undamaged : probability that a row of a space with damage has none: kappa = 0 and p = 1.

    Raises
    ------
    ParameterError
        A share outside 0 … 1, or too narrow a space.
    """
    params = fresh_parameters(config, n, rng, undamaged)
    return store.Rows(params, fresh_curves(params, config), np.ones(n, np.float32))


def profiles_of(dataset: str | Path | None, samples: int, seed: int = 0, *, verify: bool = True) -> tuple[Array, Json]:
    """Profiles to measure, and of what experiment.

    Parameters
    ----------
    dataset : its test rows, which are drawn from the prior; ``None`` for the default prior.
    samples : number of profiles; what the dataset does not hold is drawn from the same prior.
    seed : of that draw.
    verify : whether the blocks of the dataset are compared with their checksums.

    Returns
    -------
    params (samples, 7 or 9), and keyword arguments for ``measure_sensitivity``.

    Raises
    ------
    ParameterError
        ``samples`` is not positive.
    StoreError
        The dataset cannot be read.
    """
    if samples < 1:
        raise ParameterError(f"samples = {samples} must be positive")
    if seed < 0:
        raise ParameterError(f"seed = {seed} must not be negative")
    afford(800.0 * samples, f"{samples} profiles")
    rng = np.random.default_rng(seed)
    if dataset is None:
        return draw_prior(samples, rng=rng), {}
    data = open_dataset(dataset, verify=verify)
    config = data.config
    rows = data.load(Part.TEST, slice(0, samples)).params.astype(np.float64)
    if len(rows) < samples:
        more = draw_prior(
            samples - len(rows), space=config.space, reflection=config.reflection, scan=config.scan, rng=rng
        )
        rows = np.concatenate([rows, more])
    return rows, {name: getattr(config, name) for name in ("experiment", "scan", "space")}
