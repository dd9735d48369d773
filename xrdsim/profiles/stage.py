"""What a family of profiles gives to the kernels: functions of one sample, found by the type of their first argument.

A family is a NamedTuple with a method, compiled by ``xrdsim._jit.jit``, for each function below; its fields are numbers
and arrays that are the same for all samples, ``floor`` among them, the strain at which a layer ends. Kernels call the
functions with such a record and know neither the family nor its parameters. ``p`` is a row of parameters: those of the
strain, then, of a damaged layer, those of the damage. Depths are in Å from the surface down.

A kernel is compiled anew for each family. It is kept on disk for the families of this package alone.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from numba.extending import overload

from xrdsim._jit import OPTIONS, config

T = TypeVar("T", bound=Callable[..., object])


Family = Any
"""Such a record, for which Numba makes a type of its own."""


def by_family(function: T) -> T:
    """A function of kernels which is the method of its name of the type of its first argument; of a type without it,
    what it is itself.
    """
    name = function.__name__
    if config.DISABLE_JIT:  # for the simulator of a card

        @wraps(function)
        def of_record(profile, *rest):
            method = getattr(profile, name, None)
            return function(profile, *rest) if method is None else method(*rest)

        return of_record  # type: ignore[return-value]

    @overload(function, strict=False, jit_options=OPTIONS)
    def of_type(profile, *rest):
        method = getattr(profile.instance_class, name, None)
        return function if method is None else method.py_func

    return function


@by_family
def segments(profile):
    """Number of parts into which the depth is cut; within each the strain is smooth."""
    return profile.segments()


@by_family
def edge(profile, i, p, end):
    """Depth of the edge i = 0 … segments, where ``end`` is that of the layer."""
    return profile.edge(i, p, end)


@by_family
def depth_end(profile, p):
    """Depth at which the layer ends."""
    return profile.depth_end(p)


@by_family
def end_gradient(profile, end, p, gradient):
    """Derivatives of the depth ``end`` at which the layer ends, into ``gradient``, one for each strain parameter."""
    return profile.end_gradient(end, p, gradient)


@by_family
def strain(profile, z, p):
    """Strain at the depth z."""
    return profile.strain(z, p)


@by_family
def strain_gradient(profile, z, p, gradient):
    """Strain at the depth z, and its derivative over z [1/Å]; those over the strain's parameters into ``gradient``."""
    return profile.strain_gradient(z, p, gradient)


@by_family
def peak(profile, p):
    """Depth of the largest strain."""
    return profile.peak(p)


@by_family
def factor(profile, eps, largest, p):
    """Static Debye–Waller factor E where the strain is ``eps``; ``largest`` is that at the peak."""
    return profile.factor(eps, largest, p)


@by_family
def factor_gradient(profile, eps, gradient, largest, largest_gradient, p, out):
    """Derivatives of E over all parameters, into ``out``, given those of the strain and of the largest strain."""
    return profile.factor_gradient(eps, gradient, largest, largest_gradient, p, out)


@by_family
def own_factor(profile, z, p):
    """E at the depth z, of families whose factor is a function of z/depth_end with coefficients of its own."""
    return 1.0


@by_family
def own_factor_gradient(profile, z, p, out):
    """The same, and its derivative over z [1/Å]; those over its coefficients into the last places of ``out``."""
    return 1.0, 0.0


@by_family
def widen(profile, p, out):
    """Copy the parameters to where derivatives are taken: on the inner side of a limit at which they are one-sided."""
    return profile.widen(p, out)
