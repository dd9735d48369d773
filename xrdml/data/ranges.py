"""What limits an estimate before a curve is seen: ranges of the parameters, of the angular zero and of the instrument.

A network may be conditioned on the ranges that its user allows, so that one network serves a wide search and a narrow
series.
In training they are drawn around the truth: an interval of width w begins at truth − w·U(0, 1), so that the truth is
uniform in it, as the prior wants. An interval of no width is a known value. Places inside ranges are coordinates of the
unit cube (``xrdsim.profiles.bounds.from_unit``), which keep the constraints, then zero and FWHM in parts of their
ranges.
"""

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import GAUSSIAN, ZERO
from xrdsim.profiles.bounds import from_unit, to_unit
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import BOUNDS, KAPPA, TWO_GAUSSIANS, P

Array = NDArray[np.float64]

INSTRUMENT = (ZERO.name, *GAUSSIAN.names)
"""What a network estimates beside the parameters, in this order."""


@dataclass(frozen=True)
class Narrowing:
    """Distribution of the ranges that a network is conditioned on in training.

    Parameters
    ----------
    share : of the curves whose ranges are narrowed at all.
    each : probability that one range of these is.
    least : narrowest range, as part of the whole one; widths are log-uniform up to the whole range.
    fixed : probability that a narrowed range has no width.

    Raises
    ------
    ParameterError
        A value outside 0 … 1, or least not positive.
    """

    share: float = 0.3
    each: float = 0.6
    least: float = 0.03
    fixed: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (0.0 <= value <= 1.0) or (name == "least" and value == 0.0):
                raise ParameterError(f"{name} = {value:g} of the narrowing must lie within 0 … 1, least above 0")


@dataclass(frozen=True, eq=False)
class Ranges:
    """Limits (n, k) of parameters, zero and FWHM, in their units; with n = 1 of any number of curves.

    Attributes
    ----------
    low, high : (n, k).
    strain_sum : largest D01 + D02.
    """

    low: Array
    high: Array
    strain_sum: float

    @classmethod
    def of(cls, space: ParameterSpace, zero: tuple[float, float], fwhm: tuple[float, float]) -> Self:
        """The ranges of a space and an instrument, n = 1."""
        low = np.array([[*space.low, zero[0], fwhm[0]]])
        return cls(low, np.array([[*space.high, zero[1], fwhm[1]]]), space.strain_sum)

    @property
    def parameters(self) -> int:
        """Number of parameters, 7 or 9."""
        return int(self.low.shape[1]) - len(INSTRUMENT)

    def narrowed(self, values: Array, narrowing: Narrowing | None, rng: np.random.Generator) -> "Ranges":
        """Ranges drawn around true values (n, k) of parameters, zero and FWHM, within these (1, k).

        A kappa of exactly 0 is a crystal known to have no damage: kappa and p are then fixed.
        """
        n, k = values.shape
        low, high = np.repeat(self.low, n, axis=0), np.repeat(self.high, n, axis=0)
        if narrowing is not None:
            chosen = (rng.random((n, 1)) < narrowing.share) & (rng.random((n, k)) < narrowing.each)
            width = np.where(rng.random((n, k)) < narrowing.fixed, 0.0, narrowing.least ** rng.random((n, k)))
            begin = values - rng.random((n, k)) * width * (high - low)
            end = np.where(width > 0.0, begin + width * (high - low), values)
            low, high = np.where(chosen, np.maximum(begin, low), low), np.where(chosen, np.minimum(end, high), high)
        if TWO_GAUSSIANS.holds_damage(self.parameters):
            bare = np.flatnonzero(values[:, KAPPA] == 0.0)
            for limits in (low, high):
                limits[bare, KAPPA : P + 1] = values[bare, KAPPA : P + 1]
        return Ranges(low, high, self.strain_sum)

    def conditions(self, whole: "Ranges") -> NDArray[np.float32]:
        """What a network is conditioned on (n, 2k): the limits in parts of the whole ranges (1, k)."""
        span = np.maximum(whole.high - whole.low, 1e-300)
        ends = [(limits - whole.low) / span for limits in (self.low, self.high)]
        return np.concatenate(ends, axis=1).astype(np.float32)

    def coordinates(self, values: Array, rng: np.random.Generator) -> NDArray[np.float32]:
        """Coordinates (n, k) of values (n, k); those of ranges without width are drawn, since any place is right."""
        low, high, p = self.low, self.high, self.parameters
        unit, _ = to_unit(list(values[:, :p].T), list(low[:, :p].T), list(high[:, :p].T), self.strain_sum, BOUNDS)
        width = np.maximum(high[:, p:] - low[:, p:], 1e-300)
        rows = np.column_stack([*unit, (values[:, p:] - low[:, p:]) / width])
        rows = np.where(high > low, np.clip(rows, 0.0, 1.0), rng.random(rows.shape))
        return rows.astype(np.float32)

    def values(self, unit: Tensor) -> Tensor:
        """Parameters (n, p) of coordinates (n, p), or with zero and FWHM (n, k) of (n, k); differentiable."""
        p = self.parameters
        low, high = (torch.as_tensor(limits, dtype=unit.dtype, device=unit.device) for limits in (self.low, self.high))
        columns = from_unit(unit[:, :p].unbind(1), low[:, :p].unbind(1), high[:, :p].unbind(1), self.strain_sum, BOUNDS)
        instrument = low[:, p:] + unit[:, p:] * (high - low)[:, p:] if unit.shape[1] > p else unit[:, p:]
        return torch.cat([torch.stack(columns, dim=1), instrument], dim=1)
