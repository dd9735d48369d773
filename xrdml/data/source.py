"""From stored curves to what a network learns from: rows in random order, measured anew in every batch.

``shuffled`` gives the rows, ``make_batch`` measures them (``xrdml.data.observing``) and draws what is known of them.
All of it lies on the device of the training; on a card nothing of a batch was on the host but what names its rows.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.data.measurement import Measurement, reach_of, seeded
from xrdml.data.observing import count
from xrdml.data.ranges import Narrowing, Ranges, whole_ranges
from xrdml.data.windows import window_input
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.fresh import fresh_curves
from xrdsim.dataset.reading import Dataset
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import CHUNK_ROWS, Floats
from xrdsim.errors import ParameterError

MEMORY = 4e9
"""Bytes that the curves of a dataset may take to be held in memory."""

BUFFER = 16384
"""Rows of a dataset that are shuffled together."""

AHEAD = {"cpu": 2048, "cuda": 32768}
"""Rows that are simulated together: they are in random order already, and a training waits for the first."""

CPU = torch.device("cpu")

_SPLIT, _EPOCH, _BLOCKS = 0, 1, 4  # random streams

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a dataset to learn from and to validate on."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


def split(n: int, seed: int) -> Split:
    """Divide n rows at random, before anything is drawn from them: a tenth, at most 2000, for validation.

    Raises
    ------
    ParameterError
        Fewer than 2 rows.
    """
    if n < 2:
        raise ParameterError(f"{n} rows cannot be split into training and validation; make a larger dataset")
    order = stream(seed, _SPLIT).permutation(n)
    held = min(max(n // 10, 1), 2000)
    return Split(np.sort(order[held:]), np.sort(order[:held]))


def stream(seed: int, *key: int) -> np.random.Generator:
    """One random stream of a training, named by numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to learn from; their curves are in memory, or read or simulated when they are needed.

    Attributes
    ----------
    simulation : of the rows.
    params, density : (n, 7 or 9) and (n,), of all rows.
    curves : (n, angle) of all rows on the device, or None.
    data : the dataset from which curves are read that are not in memory; None to simulate them.
    block_size : rows that are read together.
    device : of what it gives.
    """

    simulation: Simulation
    params: Floats
    density: Floats
    curves: Tensor | None
    data: Dataset | None = None
    block_size: int = CHUNK_ROWS
    device: torch.device = CPU

    @property
    def together(self) -> int:
        """Rows that are shuffled together."""
        return AHEAD[self.device.type] if self.curves is None and self.data is None else BUFFER

    def reflectivity(self, rows: NDArray[np.int64]) -> Tensor:
        """Curves of the numbered rows, in this order; from disk by whole blocks, each read once."""
        if self.curves is not None:
            return self.curves[on(self.device, rows)]
        if self.data is None:
            return fresh_curves(self.params[rows], self.simulation, "torch")
        size = self.block_size
        block = rows // size
        found = np.empty((len(rows), len(self.data.angle)), np.float32)
        for number in np.unique(block).tolist():
            here = np.flatnonzero(block == number)
            found[here] = self.data.block(Part.TRAIN, number).reflectivity[rows[here] - number * size]
        return on(self.device, found)


def on(device: torch.device, values: NDArray[np.generic]) -> Tensor:
    """An array on a device; its copy to a card is waited for by nobody."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


class Minibatch(NamedTuple):
    """Rows to learn from, on one device.

    Attributes
    ----------
    reflectivity : (n, angle).
    params, weight : (n, 7 or 9) and (n,).
    reach : (n,) where the largest strain diffracts [arcsec], float64.
    """

    reflectivity: Tensor
    params: Tensor
    weight: Tensor
    reach: Tensor

    @classmethod
    def of(
        cls,
        reflectivity: Tensor | Floats,
        params: Floats,
        weight: Floats,
        simulation: Simulation,
        device: torch.device = CPU,
    ) -> "Minibatch":
        """Of arrays, and curves that may be on the device."""
        curves = reflectivity if isinstance(reflectivity, Tensor) else on(device, reflectivity)
        return cls(curves, on(device, params), on(device, weight), on(device, reach_of(params, simulation)))


def open_source(data: Dataset, memory: float = MEMORY, device: torch.device = CPU) -> Source:
    """The training rows, with all curves in the memory of the device if they take no more than so many bytes.

    Raises
    ------
    StoreError
        A block is damaged.
    """
    simulation, size = data.config.simulation, data.config.block_size
    if data.reflectivity.nbytes <= memory:
        rows = data.load()
        curves = torch.from_numpy(rows.reflectivity).to(device)
        return Source(simulation, rows.params, rows.density, curves, data, size, device)
    if data.verify:  # all of it before a training begins; what is read in every epoch is compared again
        parts = [(rows.params, rows.density) for rows in data.blocks()]
        params, density = (np.concatenate(values) for values in zip(*parts, strict=True))
    else:
        params = data.unchecked("parameters")
        density = np.ones(len(params), np.float32) if data.density is None else data.unchecked("density")
    return Source(simulation, params, density, None, data, size, device)


def importance(density: Floats, index: NDArray[np.int64]) -> Floats:
    """Weight of every row that undoes its sampler, 1/density, in units of the mean over the indexed rows.

    A weighted mean over the indexed rows is then a mean over the prior.
    """
    weight = 1.0 / density.astype(np.float64)
    return np.asarray(weight / weight[index].mean(), np.float32)


def shuffled(
    source: Source, index: NDArray[np.int64], weight: Floats, size: int, seed: int, epoch: int
) -> Iterator[Minibatch]:
    """Every indexed row once, at random, in minibatches of one size; rows that do not fill the last are left out.

    Whole blocks in random order make buffers of some BUFFER rows, AHEAD where they are simulated, which are shuffled.
    A second thread fills the next buffer while the caller uses the present one. What comes depends on the block size of
    the dataset, the index, the seed and the epoch, and not on whether the curves are in memory.

    Parameters
    ----------
    source : the rows.
    index : numbers of the rows to use, ascending.
    weight : (n,) of every row of the source.
    size : of a minibatch.
    seed, epoch : name the random streams.
    """

    def fill(rows: NDArray[np.int64]) -> Minibatch:
        return Minibatch.of(
            source.reflectivity(rows), source.params[rows], weight[rows], source.simulation, source.device
        )

    rest: Minibatch | None = None
    together = max(source.together // source.block_size, 1)
    for filled in _ahead(fill, _buffers(index, source.block_size, together, seed, epoch), source.device):
        buffer = filled if rest is None else Minibatch(*map(torch.cat, zip(rest, filled, strict=True)))
        full = len(buffer.weight) // size * size
        for start in range(0, full, size):
            yield Minibatch(*(values[start : start + size] for values in buffer))
        rest = Minibatch(*(values[full:] for values in buffer))


class Batch(NamedTuple):
    """Rows as a network learns from them, on one device.

    Attributes
    ----------
    input : (n, 2, points), see ``xrdml.data.windows``.
    params, weight : (n, 7 or 9) and (n,).
    ranges : that the network is conditioned on.
    unit : (n, 9 or 11) coordinates of parameters, zero and FWHM inside the ranges.
    reflectivity : (n, angle) the noise-free curves.
    """

    input: Tensor
    params: Tensor
    weight: Tensor
    ranges: Ranges
    unit: Tensor
    reflectivity: Tensor


def batches(
    source: Source,
    index: NDArray[np.int64],
    weight: Floats,
    measurement: Measurement,
    size: int,
    seed: int,
    epoch: int,
    narrowing: Narrowing | None = None,
) -> Iterator[Batch]:
    """The shuffled rows, measured, with the ranges that the network is conditioned on.

    Every batch has its own random stream, so an epoch does not depend on those before it. On a processor the next batch
    is measured in a second thread while the caller works on the present one; a card works off what it was given anyway.
    """

    def measure(batch: tuple[int, Minibatch]) -> Batch:
        number, rows = batch
        return make_batch(rows, source.simulation, measurement, stream(seed, _EPOCH, epoch, number), narrowing)

    return _ahead(measure, enumerate(shuffled(source, index, weight, size, seed, epoch)), source.device)


def make_batch(
    rows: Minibatch,
    simulation: Simulation,
    measurement: Measurement,
    rng: np.random.Generator,
    narrowing: Narrowing | None = None,
) -> Batch:
    """Measure rows once each; draw what is known of them."""
    generator = seeded(rng, rows.weight.device)
    measured = count(rows.reflectivity, rows.reach, simulation, measurement, generator)
    seen = window_input(measured.counts, measured.settings, simulation.scan)
    instrument = torch.stack([measured.settings.zero, measured.settings.fwhm], dim=1)
    values = torch.cat([rows.params.double(), instrument], dim=1)
    whole = whole_ranges(simulation.space, measurement, rows.weight.device)
    ranges = whole.narrowed(values, narrowing, generator)
    return Batch(seen, rows.params, rows.weight, ranges, ranges.coordinates(values, generator), rows.reflectivity)


def draw_batch(
    curves: NDArray[np.float32],
    params: NDArray[np.floating],
    simulation: Simulation,
    measurement: Measurement,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Measure each curve once, with its own instrument, scan and noise.

    Parameters
    ----------
    curves : (n, simulation.stored_scan.points) noise-free, as stored in a dataset.
    params : (n, 7 or 9) what they were simulated from.
    simulation : what was simulated, and how.
    measurement : the prior.
    rng : source of everything random.

    Returns
    -------
    input : (n, 2, simulation.scan.points), see ``xrdml.data.windows``.
    """
    rows = Minibatch.of(curves, np.asarray(params, np.float32), np.ones(len(params), np.float32), simulation)
    return np.asarray(make_batch(rows, simulation, measurement, rng).input.numpy())


def _buffers(
    index: NDArray[np.int64], block_size: int, together: int, seed: int, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """Numbers of the rows of each buffer of so many blocks, shuffled; every block is in one buffer only."""
    edges = np.arange(block_size, index[-1] + 1, block_size)
    blocks = np.split(index, np.searchsorted(index, edges))
    order, rng = stream(seed, _BLOCKS, epoch).permutation(len(blocks)), stream(seed, _EPOCH, epoch)
    for first in range(0, len(order), together):
        yield rng.permutation(np.concatenate([blocks[block] for block in np.sort(order[first : first + together])]))


def _ahead(function: Callable[[A], B], arguments: Iterable[A], device: torch.device) -> Iterator[B]:
    """Results of a function; on a processor a second thread makes the next one while the caller works on the present.

    It leaves half of the cores to the caller, because the threads of Numba and of PyTorch do not know of each other.
    """
    if device.type != "cpu":
        yield from map(function, arguments)
        return
    half = max(numba.get_num_threads() // 2, 1)
    with ThreadPoolExecutor(1, initializer=numba.set_num_threads, initargs=(half,)) as thread:
        waiting: Future[B] | None = None
        for argument in arguments:
            following = thread.submit(function, argument)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
