"""What limits an estimate before a curve is seen: ranges of the parameters, of the angular zero and of the instrument.

A network may be conditioned on the ranges that its user allows, so that one network serves a wide search and a narrow
series.
In training they are drawn around the truth: an interval of width w begins at truth − w·U(0, 1), so that the truth is
uniform in it, as the prior wants. An interval of no width is a known value. Places inside ranges are coordinates of the
unit cube (``xrdsim.profiles.bounds.from_unit``), which keep the constraints, then zero and FWHM in parts of their
ranges.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from xrdml.data.prior import Measurement
from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import GAUSSIAN, ZERO
from xrdsim.profiles.bounds import from_unit, to_unit
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import BOUNDS, KAPPA, TWO_GAUSSIANS, P

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
    low, high : (n, k), float64, of one device.
    strain_sum : largest D01 + D02.
    """

    low: Tensor
    high: Tensor
    strain_sum: float

    @classmethod
    def of(
        cls,
        space: ParameterSpace,
        zero: Sequence[float],
        fwhm: Sequence[float],
        device: str | torch.device = "cpu",
    ) -> Self:
        """The ranges of a space and an instrument, n = 1."""
        ends = ([[*limits, zero[i], fwhm[i]]] for i, limits in enumerate((space.low, space.high)))
        low, high = (torch.tensor(each, dtype=torch.float64, device=device) for each in ends)
        return cls(low, high, space.strain_sum)

    @property
    def parameters(self) -> int:
        """Number of parameters, 7 or 9."""
        return int(self.low.shape[1]) - len(INSTRUMENT)

    def rows(self, which: Tensor | slice) -> "Ranges":
        """Those of some curves."""
        return Ranges(self.low[which], self.high[which], self.strain_sum)

    def to(self, device: str | torch.device) -> "Ranges":
        """The same on another device."""
        return Ranges(self.low.to(device), self.high.to(device), self.strain_sum)

    def narrowed(self, values: Tensor, narrowing: Narrowing | None, generator: torch.Generator | None) -> "Ranges":
        """Ranges drawn around true values (n, k) of parameters, zero and FWHM, within these (1, k).

        A kappa of exactly 0 is a crystal known to have no damage: kappa and p are then fixed.
        """
        low, high = self.low.expand_as(values), self.high.expand_as(values)
        if narrowing is not None:
            some, each, fixed, wide, begin = _uniform(5, values, generator)
            chosen = (some[:, :1] < narrowing.share) & (each < narrowing.each)
            width = torch.where(fixed < narrowing.fixed, 0.0, narrowing.least**wide) * (high - low)
            first = values - begin * width
            last = torch.where(width > 0.0, first + width, values)
            low, high = (
                torch.where(chosen, torch.maximum(first, low), low),
                torch.where(chosen, torch.minimum(last, high), high),
            )
        if TWO_GAUSSIANS.holds_damage(self.parameters):
            column = torch.arange(values.shape[1], device=values.device)
            known = (values[:, KAPPA : KAPPA + 1] == 0.0) & (column >= KAPPA) & (column <= P)
            low, high = (torch.where(known, values, limits) for limits in (low, high))
        return Ranges(low, high, self.strain_sum)

    def conditions(self, whole: "Ranges") -> Tensor:
        """What a network is conditioned on (n, 2k), float32: the limits in parts of the whole ranges (1, k)."""
        span = (whole.high - whole.low).clamp(min=1e-300)
        return torch.cat([(limits - whole.low) / span for limits in (self.low, self.high)], dim=1).float()

    def coordinates(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Coordinates (n, k), float32, of values (n, k); of ranges without width they are drawn: any place is right."""
        low, high, p = self.low, self.high, self.parameters
        unit, _ = to_unit(values[:, :p].unbind(1), low[:, :p].unbind(1), high[:, :p].unbind(1), self.strain_sum, BOUNDS)
        width = (high[:, p:] - low[:, p:]).clamp(min=1e-300)
        rows = torch.cat([torch.stack(unit, dim=1), (values[:, p:] - low[:, p:]) / width], dim=1)
        anywhere = _uniform(1, values, generator)[0]
        return torch.where(high > low, rows.clamp(0.0, 1.0), anywhere).float()

    def values(self, unit: Tensor) -> Tensor:
        """Parameters (n, p) of coordinates (n, p), or with zero and FWHM (n, k) of (n, k); differentiable."""
        p = self.parameters
        low, high = (limits.to(unit) for limits in (self.low, self.high))
        columns = from_unit(unit[:, :p].unbind(1), low[:, :p].unbind(1), high[:, :p].unbind(1), self.strain_sum, BOUNDS)
        instrument = low[:, p:] + unit[:, p:] * (high - low)[:, p:] if unit.shape[1] > p else unit[:, p:]
        return torch.cat([torch.stack(columns, dim=1), instrument], dim=1)


def _uniform(number: int, values: Tensor, generator: torch.Generator | None) -> Tensor:
    """So many draws from 0 … 1 for each of the values (n, k)."""
    return torch.rand((number, *values.shape), dtype=values.dtype, device=values.device, generator=generator)


@lru_cache(maxsize=16)
def whole_ranges(space: ParameterSpace, measurement: Measurement, device: str | torch.device = "cpu") -> Ranges:
    """The ranges that a network knows: of its parameters, of zero and FWHM."""
    return Ranges.of(space, measurement.zero, measurement.fwhm, device)
