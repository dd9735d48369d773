"""From stored curves to what a network sees: rows in random order, measured anew in every batch.

A stored curve is noise-free. A measured one has another instrument, an unknown scale, background and angular
zero, counting noise, a scan that begins and ends somewhere in steps of its own, and a substrate peak that is not used.
``Measurement`` is the prior of these; ``draw_batch`` draws them and returns network input. ``shuffled`` gives the rows.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from xrdml.known import Narrowing, Ranges
from xrdsim.configuration import Configuration, Part
from xrdsim.errors import ParameterError
from xrdsim.model import largest_strain
from xrdsim.observe import PEAK_MASK, Windowed, observe, to_window
from xrdsim.parameters import ParameterSpace
from xrdsim.store import Dataset, Floats, Rows
from xrdsim.units import ARCSEC

DEX = 0.5
"""Typical standard deviation of log10 intensity along a curve: the unit of the network input."""

COVER = 60.0
"""Angle [arcsec] by which a scan that covers a profile goes on beyond its largest strain."""

MEMORY = 4e9
"""Bytes that the curves of a dataset may take to be held in memory."""

BUFFER = 16384
"""Rows that are shuffled together."""

_SPLIT, _EPOCH, _BLOCKS = 0, 1, 4  # random streams

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Measurement:
    """Prior of a measurement; each range is (low, high).

    Parameters
    ----------
    fwhm : of the instrument [arcsec], uniform.
    scale, background : intensity = scale · R + background; log-uniform.
    zero : angle of the substrate peak [arcsec], uniform.
    counts : counts at R = 1, log-uniform; the noise is Poisson's.
    start, end : first and last angle of the scan [arcsec], uniform; scans end within the window.
    step : of the scan [arcsec], uniform.
    covered : share of the scans that are measured on to where the largest strain diffracts and COVER further; the
        others end anywhere.
    peak_mask : half-width [arcsec] of the region around the substrate peak that is not used.

    Raises
    ------
    ParameterError
        A range that is empty or has no meaning.
    """

    fwhm: tuple[float, float] = (25.0, 80.0)
    scale: tuple[float, float] = (0.3, 2.0)
    background: tuple[float, float] = (5e-5, 5e-4)
    zero: tuple[float, float] = (-8.0, 8.0)
    counts: tuple[float, float] = (1e5, 1e6)
    start: tuple[float, float] = (-150.0, -50.0)
    end: tuple[float, float] = (900.0, 2732.4)
    step: tuple[float, float] = (2.0, 10.0)
    covered: float = 0.5
    peak_mask: float = PEAK_MASK

    def __post_init__(self) -> None:
        positive = ("fwhm", "scale", "background", "counts", "step")
        for field in fields(self):
            if field.name in ("covered", "peak_mask"):
                continue
            low, high = (float(value) for value in getattr(self, field.name))
            object.__setattr__(self, field.name, (low, high))
            if not (np.isfinite([low, high]).all() and low <= high and (low > 0.0 or field.name not in positive)):
                rule = "positive and " if field.name in positive else ""
                raise ParameterError(
                    f"the measurement's {field.name} is {low:g} … {high:g}; it must be {rule}low ≤ high"
                )
        if not 0.0 <= self.covered <= 1.0:
            raise ParameterError(f"the measurement's covered = {self.covered:g} must lie within 0 … 1")
        if not (self.peak_mask >= 0.0 and self.start[1] < self.end[0]):
            raise ParameterError(
                f"peak_mask = {self.peak_mask:g} must be at least 0, and scans must start ({self.start[1]:g} at most) "
                f"before they end ({self.end[0]:g} at least)"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"the measurement {values} is malformed: {error}") from error


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
    """The training rows of a dataset; their curves are in memory or read when they are needed.

    Attributes
    ----------
    config : configuration of the rows.
    params, density : (n, 7 or 9) and (n,), of all rows.
    curves : (n, angle) of all rows, or None.
    data : the dataset from which curves are read that are not in memory.
    """

    config: Configuration
    params: Floats
    density: Floats
    curves: Floats | None
    data: Dataset | None = None

    def reflectivity(self, rows: NDArray[np.int64]) -> Floats:
        """Curves of the numbered rows, in this order; from disk by whole blocks, each read once."""
        if self.curves is not None:
            return self.curves[rows]
        assert self.data is not None
        size = self.config.block_size
        block = rows // size
        found = np.empty((len(rows), len(self.data.angle)), np.float32)
        for number in np.unique(block).tolist():
            here = np.flatnonzero(block == number)
            read = np.asarray(self.data.reflectivity[self.config.rows(Part.TRAIN, number)])
            found[here] = read[rows[here] - number * size]
        return found


class Minibatch(NamedTuple):
    """Rows to learn from: reflectivity (n, angle), params (n, 7 or 9) and weight (n,)."""

    reflectivity: Floats
    params: Floats
    weight: Floats


def open_source(data: Dataset, memory: float = MEMORY) -> Source:
    """The training rows, with all curves in memory if they take no more than so many bytes."""
    params = np.asarray(data.parameters[:], np.float32)
    density = np.ones(len(params), np.float32) if data.density is None else np.asarray(data.density[:], np.float32)
    fits = data.reflectivity.nbytes <= memory
    curves = np.asarray(data.reflectivity[:], np.float32) if fits else None
    return Source(data.config, params, density, curves, data)


def source_of(rows: Rows, config: Configuration) -> Source:
    """Rows in memory."""
    return Source(config, rows.params, rows.density, rows.reflectivity)


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

    Whole blocks in random order make buffers of some BUFFER rows, which are shuffled. A second thread fills the next
    buffer while the caller uses the present one. What comes depends on the block size of the dataset, the index, the
    seed and the epoch, and not on whether the curves are in memory.

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
    for filled in _ahead(fill, _buffers(index, source.config.block_size, seed, epoch)):
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
    ranges : that are told.
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
    """The shuffled rows, measured, with the ranges that the network is told.

    Every batch has its own random stream, so an epoch does not depend on those before it. The next batch is measured in
    a second thread while the caller works on the present one; it leaves half of the cores to the caller, because the
    threads of Numba and of PyTorch do not know of each other.
    """

    threads = max(numba.get_num_threads() // 2, 1)

    def measure(batch: tuple[int, Minibatch]) -> Batch:
        numba.set_num_threads(threads)
        number, rows = batch
        return make_batch(rows, source.config, measurement, stream(seed, _EPOCH, epoch, number), narrowing)

    return _ahead(measure, enumerate(shuffled(source, index, weight, size, seed, epoch)))


def make_batch(
    rows: Minibatch,
    config: Configuration,
    measurement: Measurement,
    rng: np.random.Generator,
    narrowing: Narrowing | None = None,
) -> Batch:
    """Measure rows once each; draw what is known of them."""
    seen, instrument = _measure(rows.reflectivity, rows.params, config, measurement, rng)
    values = np.column_stack([rows.params, instrument]).astype(np.float64)
    ranges = whole_ranges(config.space, measurement).narrowed(values, narrowing, rng)
    return Batch(seen, rows.params, rows.weight, ranges, ranges.coordinates(values, rng), rows.reflectivity)


def whole_ranges(space: ParameterSpace, measurement: Measurement) -> Ranges:
    """The ranges that a network knows: of its parameters, of zero and FWHM."""
    return Ranges.of(space, measurement.zero, measurement.fwhm)


def draw_batch(
    curves: NDArray[np.float32],
    params: NDArray[np.floating],
    config: Configuration,
    measurement: Measurement,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Measure each curve once, with its own instrument, scan and noise.

    Parameters
    ----------
    curves : (n, config.stored_scan.points) noise-free, as stored in a dataset.
    params : (n, 7 or 9) what they were simulated from.
    config : configuration of the dataset.
    measurement : the prior.
    rng : source of everything random.

    Returns
    -------
    input : (n, 2, config.scan.points), see ``network_input``.
    """
    return _measure(curves, params, config, measurement, rng)[0]


def _measure(
    curves: NDArray[np.float32],
    params: NDArray[np.floating],
    config: Configuration,
    measurement: Measurement,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Network input (n, 2, points), and zero and FWHM (n, 2)."""
    n = len(curves)
    m, window = measurement, config.scan
    step, start = rng.uniform(*m.step, n), rng.uniform(*m.start, n)
    reach = largest_strain(params) * math.tan(config.reflection.theta_bragg) / ARCSEC + COVER
    covered = rng.random(n) < m.covered
    end = np.minimum(rng.uniform(np.where(covered, np.clip(reach, *m.end), m.end[0]), m.end[1]), window.last)
    points = np.floor((end - start) / step).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(points)])
    number = np.arange(offsets[-1]) - np.repeat(offsets[:-1], points)
    angles = np.repeat(start, points) + np.repeat(step, points) * number
    scale, background = _log_uniform(rng, m.scale, n), _log_uniform(rng, m.background, n)
    fwhm, zero = rng.uniform(*m.fwhm, n), rng.uniform(*m.zero, n)
    expected = observe(
        curves,
        config.stored_scan,
        config.base_fwhm,
        angles=angles,
        offsets=offsets,
        fwhm=fwhm,
        zero=zero,
        scale=scale,
        background=background,
    )
    per_count = np.repeat(_log_uniform(rng, m.counts, n) / scale, points)
    counts = rng.poisson(np.maximum(expected, 0.0) * per_count)
    seen = network_input(to_window(angles, counts, offsets, window, peak_mask=m.peak_mask))
    return seen, np.column_stack([zero, fwhm])


def network_input(seen: Windowed) -> NDArray[np.float32]:
    """Network input (n, 2, points): log10 intensity less its mean, in units of DEX, 0 where invalid; and validity.

    Taking the mean off makes it independent of the scale; units of the intensity do not matter.
    """
    valid = seen.valid.astype(np.float32)
    number = np.maximum(valid.sum(axis=1, keepdims=True), 1.0)
    log_intensity = seen.log_intensity.astype(np.float32)
    mean = log_intensity.sum(axis=1, keepdims=True) / number
    return np.stack([(log_intensity - mean) * valid / np.float32(DEX), valid], axis=1)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], n: int) -> NDArray[np.float64]:
    return np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), n))


def _buffers(index: NDArray[np.int64], block_size: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of the rows of each buffer, shuffled; every block is in one buffer only."""
    edges = np.arange(block_size, index[-1] + 1, block_size)
    blocks = np.split(index, np.searchsorted(index, edges))
    order, rng = stream(seed, _BLOCKS, epoch).permutation(len(blocks)), stream(seed, _EPOCH, epoch)
    together = max(BUFFER // block_size, 1)
    for first in range(0, len(order), together):
        yield rng.permutation(np.concatenate([blocks[block] for block in np.sort(order[first : first + together])]))


def _ahead(function: Callable[[A], B], arguments: Iterable[A]) -> Iterator[B]:
    """Results of a function; a second thread makes the next one while the caller works on the present one."""
    with ThreadPoolExecutor(1) as thread:
        waiting: Future[B] | None = None
        for argument in arguments:
            following = thread.submit(function, argument)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
