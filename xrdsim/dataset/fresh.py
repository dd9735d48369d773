"""Curves as a dataset holds them, and curves of the prior that are simulated when they are needed, without one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdsim.dataset import store
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.reading import open_dataset
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError, XrdError
from xrdsim.forward import tensors
from xrdsim.forward.model import check_defects, check_device, check_film, simulate
from xrdsim.forward.prior import draw_prior
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.limits import Json, afford
from xrdsim.profiles.damage import KAPPA, P
from xrdsim.profiles.space import ParameterSpace

if TYPE_CHECKING:
    from xrdsim.forward.tensors import Tensor

Array = NDArray[np.float64]

_PART = 4096  # rows simulated together


def fresh_parameters(simulation: Simulation, n: int, rng: np.random.Generator, undamaged: float = 0.0) -> store.Floats:
    """Draw n rows of the prior, (n, 7 or 9); arguments and errors as for ``fresh_rows``."""
    if not 0.0 <= undamaged <= 1.0:
        raise ParameterError(f"undamaged = {undamaged:g} must lie within 0 … 1")
    space, reflection = simulation.space, simulation.experiment.reflection
    params = draw_prior(n, space=space, reflection=reflection, scan=simulation.scan, rng=rng)
    if space.damage:
        bare = rng.random(n) < undamaged
        params[bare, KAPPA] = np.clip(0.0, space.low[KAPPA], space.high[KAPPA])
        params[bare, P] = np.clip(1.0, space.low[P], space.high[P])
    return params.astype(np.float32)


@overload
def fresh_curves(params: store.Floats, simulation: Simulation, output: Literal["numpy"] = "numpy") -> store.Floats: ...


@overload
def fresh_curves(params: store.Floats, simulation: Simulation, output: Literal["torch"]) -> "Tensor": ...


def fresh_curves(params: store.Floats, simulation: Simulation, output: str = "numpy") -> "store.Floats | Tensor":
    """The curves (n, angle) of parameters (n, 7 or 9) as a dataset would hold them.

    With ``output="torch"`` they are a tensor of single precision that stays on the card, where the simulation's device
    is one.
    """
    tensors.check_output(output, simulation.device)
    if output == "torch" and simulation.device == "cuda":
        curves = tensors.intensity(*_prepared(params, simulation))
        bad = ~curves.isfinite().all(dim=1)
        if bool(bad.any()):
            raise _failed(params[bad.cpu().numpy()][0])
        return tensors.rounded(curves, simulation.mantissa_bits)
    size = _PART if simulation.device == "cpu" else len(params)
    parts = [params[first : first + size] for first in range(0, len(params), size)]
    whole = np.concatenate([stored_curves(part, simulation) for part in parts])
    return tensors.tensor(whole, "cpu") if output == "torch" else whole


def _prepared(params: ArrayLike, simulation: Simulation) -> tuple[Simulator, Array, Seen]:
    """A simulator on the card, checked rows and how they are seen."""
    check_device("cuda", ("cuda",))
    check_defects("cuda", simulation.experiment)
    rows = simulation.space.check(params)
    check_film(rows, simulation.space.profile, simulation.experiment.reflection)
    seen = Seen.unscaled(np.full(len(rows), simulation.base_fwhm), np.zeros(len(rows)))
    return Simulator(simulation.experiment, simulation.stored_scan, simulation.space, "cuda"), rows, seen


def stored_curves(params: ArrayLike, simulation: Simulation) -> store.Floats:
    """The curves (n, angle) that a dataset holds of parameters (n, 7 or 9)."""
    curves: NDArray[Any]
    if simulation.device == "cuda":  # without reflectivity, in single precision: half of the way back
        simulator, rows, seen = _prepared(params, simulation)
        curves = np.empty((len(rows), simulator.scan.points), np.float32)
        simulator.fill(rows, seen, None, curves)
    else:
        curves = simulate(
            params,
            experiment=simulation.experiment,
            scan=simulation.stored_scan,
            fwhm=simulation.base_fwhm,
            space=simulation.space,
        ).intensity
    bad = ~np.isfinite(curves).all(axis=1)
    if bad.any():
        raise _failed(np.asarray(params)[bad][0])
    return store.round_curves(curves, simulation.mantissa_bits)


def _failed(row: NDArray[Any]) -> XrdError:
    return XrdError(f"the simulation of {row.tolist()} failed; please report these parameters")


def fresh_rows(simulation: Simulation, n: int, rng: np.random.Generator, undamaged: float = 0.0) -> store.Rows:
    """Draw n rows of the prior and simulate them.

    Parameters
    ----------
    simulation : of what profiles, and how.
    n : number of rows.
    rng : source of everything random.
    undamaged : probability that a row of a space with damage has none: kappa = 0 and p = 1.

    Raises
    ------
    ParameterError
        A share outside 0 … 1, or too narrow a space.
    """
    params = fresh_parameters(simulation, n, rng, undamaged)
    return store.Rows(params, fresh_curves(params, simulation), np.ones(n, np.float32))


def profiles_of(
    dataset: str | Path | None, samples: int, seed: int = 0, *, verify: bool = True, damage: bool = False
) -> tuple[Array, Json]:
    """Profiles to measure, and of what experiment.

    Parameters
    ----------
    dataset : its test rows, which are drawn from the prior; ``None`` for the default prior.
    samples : number of profiles; what the dataset does not hold is drawn from the same prior.
    seed : of that draw.
    verify : whether the blocks of the dataset are compared with their checksums.
    damage : whether the profiles of the default prior are damaged.

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
        if damage:
            space = ParameterSpace().with_damage()
            return draw_prior(samples, space=space, rng=rng), {"space": space}
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
