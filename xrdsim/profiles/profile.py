"""A profile: a family of strain profiles, as the table of its parameters and what the kernels need of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from xrdsim.errors import ParameterError
from xrdsim.profiles.bounds import Bound, Parameter
from xrdsim.profiles.damage import DAMAGE
from xrdsim.profiles.stage import Family

THICKER = 1.2
"""A layer is at most so much thicker than the parameter that gives its depth, unless its profile says otherwise: the
slowest tail, a Gaussian of small strain, ends there."""

PROFILES: dict[str, "Profile"] = {}
"""Every profile that was made, by its name, which stands for it in files."""


@dataclass(frozen=True)
class Profile:
    """A family of strain profiles.

    Attributes
    ----------
    name : for messages and files.
    parameters : of the strain, in the order of the columns; damage adds further ones.
    bounds : between them.
    family : the record whose type has the functions of ``xrdsim.profiles.stage``.
    strain_sum : default of the largest sum of strains in the bounds.
    deepest : name of the parameter that gives the depth of a layer, which is at most THICKER times as thick.
    summands : names of the strains of which the largest one of a profile is at least each, at most their sum.
    thicker : a layer is at most so much thicker than the parameter that gives its depth.
    convex : the strain lies between the least and the largest of the summands instead.
    damage : the parameters that damage adds, behind those of the strain.
    straight : pairs of names, of a parameter p and a size s: a curve changes in proportion to s/(s − 2p), not to p.
    """

    name: str
    parameters: tuple[Parameter, ...]
    bounds: tuple[Bound, ...]
    family: Family
    strain_sum: float
    deepest: str
    summands: tuple[str, ...]
    thicker: float = THICKER
    convex: bool = False
    damage: tuple[Parameter, ...] = DAMAGE
    straight: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if PROFILES.setdefault(self.name, self) != self:
            raise ParameterError(f"there is another profile of the name {self.name!r}; choose another name")

    @property
    def size(self) -> int:
        """Number of parameters of the strain: of the columns without damage."""
        return len(self.parameters)

    @cached_property
    def table(self) -> tuple[Parameter, ...]:
        """The parameters with those of the damage."""
        return self.parameters + self.damage

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters of the strain."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def all_names(self) -> tuple[str, ...]:
        """Names of the parameters, those of the damage included."""
        return tuple(parameter.name for parameter in self.table)

    @cached_property
    def strains(self) -> list[int]:
        """Columns of the summands."""
        return [self.names.index(name) for name in self.summands]

    @property
    def own_factor(self) -> int:
        """Number of coefficients of a static Debye–Waller factor that does not follow the strain; 0 if it does."""
        return 0 if self.damage == DAMAGE else len(self.damage)

    def holds_damage(self, count: int) -> bool:
        """Whether so many columns are a profile with its damage."""
        return count == len(self.table)

    def thickest(self, high: Sequence[float]) -> float:
        """Bound [Å] of the thickness of a layer whose parameters have these upper limits."""
        return self.thicker * high[self.names.index(self.deepest)]

    def most_strain(self, high: Sequence[float]) -> float:
        """Bound of its strain."""
        ends = [high[j] for j in self.strains]
        return max(ends) if self.convex else sum(ends)


def profile_named(name: str) -> Profile:
    """The profile that a file names.

    Raises
    ------
    ParameterError
        There is none in this program.
    """
    from xrdsim.profiles.spline import spline_named

    if name not in PROFILES and spline_named(name) is None:
        raise ParameterError(f"the profile {name!r} is unknown; import the module that defines it, then read again")
    return PROFILES[name]
