"""From stored curves to what a network learns from: rows in random order, measured anew in every batch.

``shuffled`` gives the rows, ``make_batch`` measures them (``xrdml.data.measurement``) and draws what is known of them.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from xrdml.data.measurement import Measurement, measure
from xrdml.data.ranges import Narrowing, Ranges
from xrdsim.dataset.configuration import Part
from xrdsim.dataset.fresh import fresh_curves
from xrdsim.dataset.reading import Dataset
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import CHUNK_ROWS, Floats
from xrdsim.errors import ParameterError
from xrdsim.profiles.space import ParameterSpace

MEMORY = 4e9
"""Bytes that the curves of a dataset may take to be held in memory."""

BUFFER = 16384
"""Rows of a dataset that are shuffled together."""

AHEAD = 2048
"""Rows that are simulated together: they are in random order already, and a training waits for the first."""

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
    curves : (n, angle) of all rows, or None.
    data : the dataset from which curves are read that are not in memory; None to simulate them.
    block_size : rows that are read together.
    """

    simulation: Simulation
    params: Floats
    density: Floats
    curves: Floats | None
    data: Dataset | None = None
    block_size: int = CHUNK_ROWS

    @property
    def together(self) -> int:
        """Rows that are shuffled together."""
        return AHEAD if self.curves is None and self.data is None else BUFFER

    def reflectivity(self, rows: NDArray[np.int64]) -> Floats:
        """Curves of the numbered rows, in this order; from disk by whole blocks, each read once."""
        if self.curves is not None:
            return self.curves[rows]
        if self.data is None:
            return fresh_curves(self.params[rows], self.simulation)
        size = self.block_size
        block = rows // size
        found = np.empty((len(rows), len(self.data.angle)), np.float32)
        for number in np.unique(block).tolist():
            here = np.flatnonzero(block == number)
            found[here] = self.data.block(Part.TRAIN, number).reflectivity[rows[here] - number * size]
        return found


class Minibatch(NamedTuple):
    """Rows to learn from: reflectivity (n, angle), params (n, 7 or 9) and weight (n,)."""

    reflectivity: Floats
    params: Floats
    weight: Floats


def open_source(data: Dataset, memory: float = MEMORY) -> Source:
    """The training rows, with all curves in memory if they take no more than so many bytes.

    Raises
    ------
    StoreError
        A block is damaged.
    """
    simulation, size = data.config.simulation, data.config.block_size
    if data.reflectivity.nbytes <= memory:
        rows = data.load()
        return Source(simulation, rows.params, rows.density, rows.reflectivity, data, size)
    if data.verify:  # all of it before a training begins; what is read in every epoch is compared again
        parts = [(rows.params, rows.density) for rows in data.blocks()]
        params, density = (np.concatenate(values) for values in zip(*parts, strict=True))
    else:
        params = data.unchecked("parameters")
        density = np.ones(len(params), np.float32) if data.density is None else data.unchecked("density")
    return Source(simulation, params, density, None, data, size)


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

    def fill(rows: NDArray[np.int64]) -> list[Floats]:
        return [source.reflectivity(rows), source.params[rows], weight[rows]]

    rest: list[Floats] = []
    together = max(source.together // source.block_size, 1)
    for filled in _ahead(fill, _buffers(index, source.block_size, together, seed, epoch)):
        buffer = [np.concatenate(pair) for pair in zip(rest, filled, strict=True)] if rest else filled
        full = len(buffer[0]) // size * size
        for start in range(0, full, size):
            yield Minibatch(*(values[start : start + size] for values in buffer))
        rest = [values[full:] for values in buffer]


class Batch(NamedTuple):
    """Rows as a network learns from them.

    Attributes
    ----------
    input : (n, 2, points), see ``network_input``.
    params, weight : (n, 7 or 9) and (n,).
    ranges : that the network is conditioned on.
    unit : (n, 9 or 11) coordinates of parameters, zero and FWHM inside the ranges.
    reflectivity : (n, angle) the noise-free curves.
    """

    input: Floats
    params: Floats
    weight: Floats
    ranges: Ranges
    unit: Floats
    reflectivity: Floats


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

    Every batch has its own random stream, so an epoch does not depend on those before it. The next batch is measured in
    a second thread while the caller works on the present one.
    """

    def measure(batch: tuple[int, Minibatch]) -> Batch:
        number, rows = batch
        return make_batch(rows, source.simulation, measurement, stream(seed, _EPOCH, epoch, number), narrowing)

    return _ahead(measure, enumerate(shuffled(source, index, weight, size, seed, epoch)))


def make_batch(
    rows: Minibatch,
    simulation: Simulation,
    measurement: Measurement,
    rng: np.random.Generator,
    narrowing: Narrowing | None = None,
) -> Batch:
    """Measure rows once each; draw what is known of them."""
    measured = measure(rows.reflectivity, rows.params, simulation, measurement, rng)
    seen, values = measured.inputs(simulation.scan, measurement.peak_mask), measured.values
    ranges = whole_ranges(simulation.space, measurement).narrowed(values, narrowing, rng)
    return Batch(seen, rows.params, rows.weight, ranges, ranges.coordinates(values, rng), rows.reflectivity)


def whole_ranges(space: ParameterSpace, measurement: Measurement) -> Ranges:
    """The ranges that a network knows: of its parameters, of zero and FWHM."""
    return Ranges.of(space, measurement.zero, measurement.fwhm)


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
    input : (n, 2, simulation.scan.points), see ``network_input``.
    """
    return measure(curves, params, simulation, measurement, rng).inputs(simulation.scan, measurement.peak_mask)


def _buffers(
    index: NDArray[np.int64], block_size: int, together: int, seed: int, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """Numbers of the rows of each buffer of so many blocks, shuffled; every block is in one buffer only."""
    edges = np.arange(block_size, index[-1] + 1, block_size)
    blocks = np.split(index, np.searchsorted(index, edges))
    order, rng = stream(seed, _BLOCKS, epoch).permutation(len(blocks)), stream(seed, _EPOCH, epoch)
    for first in range(0, len(order), together):
        yield rng.permutation(np.concatenate([blocks[block] for block in np.sort(order[first : first + together])]))


def _ahead(function: Callable[[A], B], arguments: Iterable[A]) -> Iterator[B]:
    """Results of a function; a second thread makes the next one while the caller works on the present one.

    It leaves half of the cores to the caller, because the threads of Numba and of PyTorch do not know of each other.
    """
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
