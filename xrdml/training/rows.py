"""What a training learns from: the rows of a dataset, or curves that are simulated anew in every epoch."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.data.source import CPU, Minibatch, Source, Split, importance, open_source, split, stream
from xrdsim.dataset.fresh import fresh_parameters, fresh_rows
from xrdsim.dataset.reading import Dataset, open_dataset
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Floats, Rows
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import WHOLE_SCAN
from xrdsim.limits import Json, afford
from xrdsim.profiles.space import ParameterSpace

HELD = 2000
"""Fresh curves to validate on, and as many to test on."""

_DRAWN = 8192  # rows of parameters drawn at once, few enough for the caches

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
        held, source = self.parts.validation, self.source
        weight = importance(source.density, held)[held]
        return Minibatch.of(source.reflectivity(held), source.params[held], weight, self.simulation, source.device)

    def test(self) -> tuple[Simulation, Rows, Floats]:
        """Simulation, rows to test on, and all parameters that there were to learn from."""
        return self.simulation, self.data.load("test"), self.source.params


@dataclass(frozen=True, eq=False)
class Fresh:
    """Rows of the prior, others in every epoch; methods as those of ``Stored``.

    A second thread draws the parameters of the next epoch while the caller learns from the present one.
    """

    simulation: Simulation
    rows: int
    undamaged: float
    drawn_with: int
    device: torch.device
    seed: int = 0
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "parameters"), repr=False)
    _drawn: dict[int, Future[Floats]] = field(default_factory=dict, repr=False)

    def to_dict(self) -> Json:
        return self.simulation.to_dict()

    def epoch(self, epoch: int, undo_sampler: bool) -> tuple[Source, NDArray[np.int64], Floats]:
        waiting = self._drawn.pop(epoch, None)
        params = self._parameters(epoch) if waiting is None else waiting.result()
        self._drawn.clear()
        self._drawn[epoch + 1] = self._thread.submit(self._parameters, epoch + 1)
        one = np.ones(self.rows, np.float32)
        return Source(self.simulation, params, one, None, device=self.device), np.arange(self.rows), one

    def _parameters(self, epoch: int) -> Floats:
        rng, parts = stream(self.drawn_with, _FRESH, epoch), -(-self.rows // _DRAWN)
        sizes = [min(_DRAWN, self.rows - part * _DRAWN) for part in range(parts)]
        return np.concatenate([fresh_parameters(self.simulation, n, rng, self.undamaged) for n in sizes])

    def validation(self) -> Minibatch:
        rows = self._draw(HELD, _HELD)
        return Minibatch.of(rows.reflectivity, rows.params, rows.density, self.simulation, self.device)

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
    device: torch.device = CPU,
) -> Stored | Fresh:
    """What the arguments of ``train`` ask for; fresh curves where ``simulate`` is given, on the device.

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
        made = Simulation(space or ParameterSpace(), WHOLE_SCAN, device=device.type)
        return Fresh(made, simulate, undamaged, seed, device)
    if space is not None or undamaged:
        raise ParameterError(
            "space and undamaged are for curves that are simulated; a dataset has its own: leave them out"
        )
    if dataset is None:
        raise ParameterError("give a dataset, or simulate = the number of curves an epoch")
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset, verify=verify)
    return Stored(data, open_source(data, memory, device), split(len(data), seed))
