"""What a fit says about one quantity: its value, how certain it is, and what a reader should know of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Estimate:
    """A parameter: its value at the best minimum, standard deviation and interval of 90 % probability.

    The interval is placed so that the value is as near to its middle as the posterior allows. A parameter that is tied
    has the numbers of the one that it follows. ``open_low`` and ``open_high`` say that the interval reaches a limit of
    the range, ``at_limit`` that the value does; ``kind`` is that of the profile's table. Where nothing says how certain
    it is, std, low and high are NaN.
    """

    name: str
    unit: str
    value: float
    std: float
    low: float
    high: float
    determined: bool
    fixed: bool = False
    open_low: bool = False
    open_high: bool = False
    at_limit: bool = False
    tied_to: str = ""
    kind: str = ""

    @property
    def remark(self) -> str:
        """What a reader should know of it, or nothing."""
        return self.words(lambda value: f"{value + 0.0:.4g}")

    def words(self, number: Callable[[float], str]) -> str:
        """The remark, with its numbers as ``number`` writes them."""
        if self.fixed:
            return "fixed"
        if math.isnan(self.std):
            return "no interval"
        text = ""
        if self.open_low and self.open_high and not self.determined:
            text = "any value of its range fits"
        elif self.open_low:
            text = f"any value below {number(self.high)} fits"
        elif self.open_high:
            text = f"any value above {number(self.low)} fits"
        if not self.determined:
            text = f"not determined: {text}" if text else "not determined"
        if self.at_limit:
            text = f"at its limit {number(self.value)}; {text or 'one-sided'}"
        return "; ".join(filter(None, (f"tied to {self.tied_to}" if self.tied_to else "", text)))


LOG = "ln_"
"""Begins the name of the logarithm of a quantity, of densities and radii of loops."""

_UNITS = {"density": "1/cm³", "radius": "Å"}


def natural(each: Estimate) -> Estimate:
    """The quantity whose logarithm was estimated, with the unit of densities and radii."""
    name, value = each.name.removeprefix(LOG), math.exp(each.value)
    made = replace(each, name=name, unit=_UNITS[name.split("_")[0]], value=value, std=value * each.std)
    return replace(made, low=math.exp(each.low), high=math.exp(each.high))


def logarithm(each: Estimate) -> Estimate:
    """Inverse of ``natural``."""
    made = replace(each, name=LOG + each.name, unit="1", value=math.log(each.value), std=each.std / each.value)
    return replace(made, low=math.log(each.low), high=math.log(each.high))
