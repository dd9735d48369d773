"""The document of the page: curves of one sample, the unknowns of their profile and instruments, the last fit.

A document is never changed, only replaced, so that undoing is going back to an earlier one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from xrdsim.errors import ParameterError
from xrdsim.limits import Json

Shape = Literal["two-gaussians", "spline"]

SHAPES: tuple[Shape, ...] = ("two-gaussians", "spline")


def frozen(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """A mapping that nobody changes."""
    return MappingProxyType(dict(table))


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One unknown as the page has it.

    Attributes
    ----------
    value : in the unit of the fit.
    low, high : limits of the slider and of the fit.
    fit : whether it is fitted; a scale or background that is fitted follows the others at every step.
    prior : mean and standard deviation of a normal distribution, or None.

    Raises
    ------
    ParameterError
        The limits are not in order.
    """

    value: float
    low: float
    high: float
    fit: bool = True
    prior: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.prior is not None:
            object.__setattr__(self, "prior", (float(self.prior[0]), float(self.prior[1])))
        if not self.low <= self.high:
            raise ParameterError(f"the limits {self.low:g} … {self.high:g} must be in order")


Quantities = Mapping[str, Quantity]


@dataclass(frozen=True, kw_only=True)
class MeasuredFile:
    """A measured curve of the document.

    Attributes
    ----------
    name : of its file, without folders.
    content : of the file.
    reading : arguments of ``read_curve`` that were chosen.
    reflection : as in a file for ``--reflection``; None for what is taken for granted.
    described : further arguments of the experiment, such as the convention.
    despite : whether it is taken for this reflection although its file says otherwise.
    instrument : a shape, or ``auto``.
    background : ``auto``, ``constant`` or ``linear``.
    kalpha2 : whether Kα2 is in the beam.
    mask : angles closer to the peak than this are left out [arcsec].
    both_sides : whether the compressed side is fitted.
    exclude : angles that are left out [arcsec].
    fitted : whether it is; a curve that is not is only compared.
    quantities : zero and instrument, scale and background by name.
    tolerance : what the last fit found that the model is wrong by; None before.
    sloping : whether the background is shown as linear in the angle.
    """

    name: str
    content: bytes
    reading: Mapping[str, Any] = field(default_factory=lambda: frozen({}))
    reflection: Mapping[str, Any] | None = None
    described: Mapping[str, Any] = field(default_factory=lambda: frozen({}))
    despite: bool = False
    instrument: str = "auto"
    background: str = "auto"
    kalpha2: bool = False
    mask: float = 0.0
    both_sides: bool = True
    exclude: tuple[tuple[float, float], ...] = ()
    fitted: bool = True
    quantities: Quantities = field(default_factory=lambda: frozen({}))
    tolerance: float | None = None
    sloping: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", float(self.mask))
        object.__setattr__(self, "exclude", tuple((float(low), float(high)) for low, high in self.exclude))


@dataclass(frozen=True, kw_only=True)
class Document:
    """What is on the page.

    Attributes
    ----------
    curves : of one sample.
    active : number of the curve that is shown.
    shape : of the profile.
    coefficients, end, signed : of a spline.
    damage : whether the damage is among the unknowns.
    profiles : unknowns of each shape of the profile, by name.
    cifs : texts of CIF files by name.
    result : what the last fit says; None before.
    moved : whether something was changed since.
    effort, seed : of the search.
    """

    curves: tuple[MeasuredFile, ...] = ()
    active: int = 0
    shape: Shape = "two-gaussians"
    coefficients: int = 15
    end: Literal["smooth", "abrupt"] = "smooth"
    signed: bool = False
    damage: bool = False
    profiles: Mapping[str, Quantities] = field(default_factory=lambda: frozen({}))
    cifs: Mapping[str, str] = field(default_factory=lambda: frozen({}))
    result: Json | None = None
    moved: bool = False
    effort: float = 1.0
    seed: int = 0

    @property
    def profile(self) -> Quantities:
        """The unknowns of the profile that is shown; those of the damage only where there is any."""
        found = self.profiles.get(self.shape, {})
        return {name: each for name, each in found.items() if self.damage or name not in ("kappa", "p")}

    @property
    def curve(self) -> MeasuredFile | None:
        """The curve that is shown."""
        return self.curves[self.active] if self.curves else None

    def names(self) -> list[str]:
        """Of all unknowns, as the fit has them."""
        return [*self.profile, *(name + suffix(i) for i, each in enumerate(self.curves) for name in each.quantities)]

    def find(self, name: str) -> tuple[int | None, str]:
        """The number of the curve that an unknown belongs to, None of the profile, and its name there.

        Raises
        ------
        ParameterError
            There is none of this name.
        """
        if name in self.profile:
            return None, name
        for i, each in enumerate(self.curves):
            own = name.removesuffix(suffix(i)) if i else name
            if own in each.quantities and own + suffix(i) == name:
                return i, own
        raise ParameterError(f"there is no unknown {name!r}")

    def __getitem__(self, name: str) -> Quantity:
        number, own = self.find(name)
        return self.profile[own] if number is None else self.curves[number].quantities[own]

    def with_quantity(self, name: str, quantity: Quantity) -> "Document":
        """The same with another state of one unknown."""
        number, own = self.find(name)
        if number is None:
            mine = frozen({**self.profiles[self.shape], own: quantity})
            return replace(self, profiles=frozen({**self.profiles, self.shape: mine}))
        curve = self.curves[number]
        return self.with_curve(number, replace(curve, quantities=frozen({**curve.quantities, own: quantity})))

    def with_values(self, values: Mapping[str, float]) -> "Document":
        """The same with other values of some unknowns; limits give way to them."""
        made = self
        for name, value in values.items():
            old = made[name]
            low, high = min(old.low, value), max(old.high, value)
            made = made.with_quantity(name, replace(old, value=float(value), low=low, high=high))
        return made

    def with_curve(self, number: int, curve: MeasuredFile) -> "Document":
        """The same with another state of one curve."""
        return replace(self, curves=tuple(curve if i == number else each for i, each in enumerate(self.curves)))


def suffix(number: int) -> str:
    """Behind the names of the unknowns of a curve, from 0: nothing, _2, _3, …"""
    return f"_{number + 1}" if number else ""
