"""Everything that determines the bytes of a dataset, as one record."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from typing import Self

import numpy as np

from xrdsim.dataset.simulation import BASE_FWHM, MARGIN, Simulation
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace


class Part(StrEnum):
    """The rows to learn from, or the rows to test on, which are always drawn from the prior."""

    TRAIN = "train"
    TEST = "test"

    @property
    def prefix(self) -> str:
        """Beginning of the names of its arrays and dimensions."""
        return "" if self is Part.TRAIN else "test_"


@dataclass(frozen=True)
class Configuration:
    """Everything that determines the bytes of a dataset.

    Attributes
    ----------
    sampler : a name of ``xrdsim.dataset.configuration.Sampler``.
    n, test_rows, block_size : rows to learn from, rows to test on, rows in a block of either.
    seed : of all random streams.
    values, counts : mean number of grid values per parameter, and the numbers (7 or 9, or none without a grid).
    jitter : whether rows lie anywhere in their grid cell.
    space, reflection, scan : what was simulated; ``scan`` is the window, without the margin.
    convention, layers, rtol_dex, monochromator : as in ``simulate``.
    interval : positions of the permuted grid, or of a sequence, that each block examines.
    sensitivity : (7,) range-relative sensitivities behind ``counts``, or None; ``sensitivity_origin`` their origin.
    margin, base_fwhm : continuation of the scan and width of the instrument [arcsec].
    edge : parameters whose extremes the sampler ``edge`` favours.
    density : whether the density of every row is stored; datasets of earlier versions do not have it.
    pilot : what a sampler measured beforehand, see ``xrdsim.dataset.samplers.Plan``.
    mantissa_bits : of the stored curves, of the 23 of float32; datasets of earlier versions have them all.
    device : ``cpu`` or ``cuda``, whose curves differ in the last digits.
    version : of the program.
    """

    sampler: str
    n: int
    seed: int
    values: int
    jitter: bool
    space: ParameterSpace
    reflection: Reflection
    scan: Scan
    convention: str
    layers: float | None
    rtol_dex: float
    monochromator: float
    test_rows: int
    block_size: int
    sensitivity: tuple[float, ...] | None
    sensitivity_origin: Json | None
    counts: tuple[int, ...]
    interval: int
    margin: float = MARGIN
    base_fwhm: float = BASE_FWHM
    edge: tuple[str, ...] = ()
    pilot: tuple[float, ...] = ()
    density: bool = False
    mantissa_bits: int = 23
    device: str = "cpu"
    version: str = field(default_factory=partial(version, "xrdsim"))

    @property
    def simulation(self) -> Simulation:
        """What was simulated, and how."""
        own = {name: getattr(self, name) for name in ("margin", "base_fwhm", "mantissa_bits", "device")}
        return Simulation(self.space, self.scan, self.experiment, **own)

    @property
    def stored_scan(self) -> Scan:
        """The scan of the stored curves."""
        return self.scan.extended(self.margin)

    @property
    def experiment(self) -> Experiment:
        """What was simulated, and how accurately."""
        return Experiment(self.reflection, Convention(self.convention), self.monochromator, self.layers, self.rtol_dex)

    def size(self, part: Part) -> int:
        """Number of rows."""
        return self.n if part is Part.TRAIN else self.test_rows

    def blocks(self, part: Part) -> int:
        """Number of blocks."""
        return -(-self.size(part) // self.block_size)

    def rows(self, part: Part, block: int) -> slice:
        """Rows of a block."""
        return slice(block * self.block_size, min((block + 1) * self.block_size, self.size(part)))

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {"space": self.space.to_dict(), "scan": self.scan.to_dict(), "reflection": self.reflection.to_dict()}
        plain: Json = json.loads(json.dumps(values))
        return plain

    @classmethod
    def from_dict(cls, table: Json) -> Self:
        """Inverse of ``to_dict``."""
        values = dict(table)
        values["space"] = ParameterSpace.from_dict(values["space"])
        values["scan"] = Scan(**values["scan"])
        values["reflection"] = Reflection.from_dict(values["reflection"])
        for name in ("counts", "edge", "pilot"):
            values[name] = tuple(values.get(name, ()))
        if values["sensitivity"] is not None:
            values["sensitivity"] = tuple(values["sensitivity"])
        return cls(**values)


class Sampler(StrEnum):
    """How the rows of a dataset are chosen."""

    GRID = "grid"
    ADAPTIVE = "adaptive"
    SOBOL = "sobol"
    EDGE = "edge"
    JEFFREYS = "jeffreys"
    ERRORS = "errors"


def stream(seed: int, *key: int) -> np.random.Generator:
    """One random stream of a dataset, named by numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
