"""What a training learns from: the rows of a dataset, or curves that are simulated anew in every epoch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdml.data.source import Minibatch, Source, Split, importance, open_source, split, stream
from xrdsim.dataset.fresh import fresh_parameters, fresh_rows
from xrdsim.dataset.reading import Dataset, open_dataset
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Floats, Rows
from xrdsim.errors import ParameterError
from xrdsim.limits import Json, afford
from xrdsim.profiles.space import ParameterSpace

HELD = 2000
"""Fresh curves to validate on, and as many to test on."""

_FRESH, _HELD, _TEST = 5, 6, 7  # random streams beside those of the batches


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows of a dataset, the same in every epoch."""

    data: Dataset
    source: Source
    parts: Split

    @property
    def simulation(self) -> Simulation:
        """Of the rows."""
        return self.data.config.simulation

    @property
    def seed(self) -> int:
        """Of the dataset."""
        return self.data.config.seed

    def to_dict(self) -> Json:
        """What they were made with."""
        return self.data.config.to_dict()

    @property
    def rows(self) -> int:
        """Number of rows to learn from."""
        return len(self.parts.train)

    def epoch(self, epoch: int, undo_sampler: bool) -> tuple[Source, NDArray[np.int64], Floats]:
        """Rows, the numbers of those to learn from, and the weight of every row."""
        train = self.parts.train
        weight = importance(self.source.density, train) if undo_sampler else np.ones(len(self.data), np.float32)
        return self.source, train, weight

    def validation(self) -> Minibatch:
        """Rows to validate on, weighted as if they came from the prior."""
        held = self.parts.validation
        weight = importance(self.source.density, held)[held]
        return Minibatch(self.source.reflectivity(held), self.source.params[held], weight)

    def test(self) -> tuple[Simulation, Rows, Floats]:
        """Simulation, rows to test on, and all parameters that there were to learn from."""
        return self.simulation, self.data.load("test"), self.source.params


@dataclass(frozen=True, eq=False)
class Fresh:
    """Rows of the prior, others in every epoch; methods as those of ``Stored``."""

    simulation: Simulation
    rows: int
    undamaged: float
    drawn_with: int
    seed: int = 0

    def to_dict(self) -> Json:
        return self.simulation.to_dict()

    def epoch(self, epoch: int, undo_sampler: bool) -> tuple[Source, NDArray[np.int64], Floats]:
        params = fresh_parameters(self.simulation, self.rows, stream(self.drawn_with, _FRESH, epoch), self.undamaged)
        one = np.ones(self.rows, np.float32)
        return Source(self.simulation, params, one, None), np.arange(self.rows), one

    def validation(self) -> Minibatch:
        rows = self._draw(HELD, _HELD)
        return Minibatch(rows.reflectivity, rows.params, rows.density)

    def test(self) -> tuple[Simulation, Rows, Floats]:
        rows = self._draw(HELD, _TEST)
        return self.simulation, rows, rows.params

    def _draw(self, n: int, *key: int) -> Rows:
        return fresh_rows(self.simulation, n, stream(self.drawn_with, *key), self.undamaged)


def choose_rows(
    dataset: str | Path | Dataset | None,
    simulate: int | None,
    space: ParameterSpace | None,
    undamaged: float,
    seed: int,
    memory: float,
    verify: bool = True,
) -> Stored | Fresh:
    """What the arguments of ``train`` ask for; fresh curves where ``simulate`` is given.

    Raises
    ------
    ParameterError
        A choice without meaning.
    StoreError
        The dataset cannot be read, or is damaged.
    """
    if simulate is not None:
        if simulate < 2:
            raise ParameterError(f"simulate = {simulate} must be at least 2 curves an epoch")
        afford(100.0 * simulate, f"simulate = {simulate} curves an epoch")
        if not 0.0 <= undamaged <= 1.0 or (undamaged and not (space and space.damage)):
            raise ParameterError(
                f"undamaged = {undamaged:g} is a share, within 0 … 1, of curves in a space with damage"
            )
        return Fresh(Simulation(space or ParameterSpace()), simulate, undamaged, seed)
    if space is not None or undamaged:
        raise ParameterError(
            "space and undamaged are for curves that are simulated; a dataset has its own: leave them out"
        )
    if dataset is None:
        raise ParameterError("give a dataset, or simulate = the number of curves an epoch")
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset, verify=verify)
    return Stored(data, open_source(data, memory), split(len(data), seed))
