"""What splines are tried, and what a fit of another profile says before they are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import Instrument
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import Fit
from xrdsim.fit.unknowns import Array, Background
from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.forward.sublayers import Sublayers
from xrdsim.limits import Json
from xrdsim.profiles.damage import DAMAGE, KAPPA, P
from xrdsim.profiles.space import LARGEST, MOST_STRAIN
from xrdsim.profiles.spline import FEWEST, End, spline, spline_space

FREE_DAMAGE = 6
"""Coefficients of a static Debye–Waller factor that does not follow the strain; a curve tells few of them."""

_DEEPER, _SHALLOWER = 1.4, 0.5  # of it, within which L is looked for in any case
_USUAL = (500.0, 8000.0)  # Å: the least range of L, for two Gaussians that do not describe a curve may end anywhere
_STRONGER = 2.0  # of the largest strain, up to which coefficients go
_DEPTHS = 300


@dataclass(frozen=True, kw_only=True)
class Freeform:
    """What splines are tried.

    Attributes
    ----------
    coefficients : how many; None for twice as many as the curve has evidence for.
    end : ``smooth`` or ``abrupt``.
    signed : whether the lattice may be compressed.
    depth : L [Å] where it is known.
    free_damage : number of coefficients of a static Debye–Waller factor E(z) that does not follow the strain; 0 for one
        that does.
    begin : a profile whose strain is tried first, beside what two Gaussians found.
    """

    coefficients: int | None = None
    end: End = "smooth"
    signed: bool = False
    depth: float | None = None
    free_damage: int = 0
    begin: Sublayers | None = None

    def __post_init__(self) -> None:
        spline(FEWEST if self.coefficients is None else self.coefficients, self.end, self.free_damage)
        if self.depth is not None and not 0.0 < self.depth <= LARGEST["Å"]:
            raise ParameterError(f"depth = {self.depth:g} Å must be positive, at most {LARGEST['Å']:g}")


@dataclass(frozen=True, eq=False)
class Before:
    """What a fit of another profile says.

    Attributes
    ----------
    given : its problem, with the instruments and tolerances that were found.
    depth, strain, end : the profile (d,) at depths [Å], and where it ends.
    damage : kappa and p, where it has them.
    own : zero and instrument of each measurement in turn, then what all share.
    priors : (mean, standard deviation) of unknowns by name.
    """

    given: Problem
    depth: Array
    strain: Array
    end: float
    damage: Array
    own: Array
    priors: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, given: Problem, first: Fit) -> "Before":
        """Of a problem and its fit."""
        settings = (first.settings, *first.settings.get("others", ()))
        measured = tuple(_as_found(each, told) for each, told in zip(given.measurements, settings, strict=True))
        params = np.array([first.minima[0].values])
        end = float(depth_end(params, space=given.space)[0])
        depth = np.linspace(0.0, 1.5 * end, _DEPTHS)
        strain = strain_profile(params, depth, space=given.space)[0]
        own = np.array(list(first.minima[0].instrument.values()))
        bare = replace(given, measurements=measured, priors={})
        return cls(bare, depth, strain, end, params[0, -2:], own, dict(given.priors))

    def as_in(self, other: Problem) -> "Before":
        """The same behind the instruments of another problem of these measurements, its backgrounds and tolerances."""
        pairs = zip(self.given.measurements, other.measurements, strict=True)
        measured = tuple(each.behind(new.instrument).over(new.ground).tolerating(new.tolerance) for each, new in pairs)
        return replace(self, given=replace(self.given, measurements=measured))


def _as_found(measured: Measurement, told: Json) -> Measurement:
    """A measurement with the instrument, the background and the tolerance of the settings of a fit."""
    ground = Background.LINEAR if told["background"] == Background.LINEAR else measured.ground
    return measured.behind(Instrument.from_dict(told["instrument"])).over(ground).tolerating(told["tolerance"])


def problem_of(before: Before, choice: Freeform, number: int) -> Problem:
    """That of a spline of so many coefficients, for the same measurements."""
    most = min(MOST_STRAIN, _STRONGER * float(before.strain.max()))
    ends = min(_SHALLOWER * before.end, _USUAL[0]), max(_DEEPER * before.end, _USUAL[1])
    if choice.depth is not None:
        ends = choice.depth, choice.depth
    space, old = (
        spline_space(
            number,
            choice.end,
            depth=ends,
            strain=(-most if choice.signed else 0.0, most),
            own=choice.free_damage,
        ),
        before.given.space,
    )
    if old.damage and choice.free_damage:
        space = space.with_damage()
    elif old.damage:
        usual = old.high[KAPPA] == DAMAGE[KAPPA].high  # no range was given: as strong as damage can be
        high = DAMAGE[KAPPA].most if usual else old.high[KAPPA], old.high[P]
        space = replace(space.with_damage(), low=(*space.low, *old.low[-2:]), high=(*space.high, *high))
    measured = tuple(
        replace(each, simulator=replace(each.simulator, space=space)) for each in before.given.measurements
    )
    given = Problem(space, measured, defects=before.given.defects)
    priors = {name: prior for name, prior in before.priors.items() if name in given.layout.names}
    return replace(given, priors=priors)
