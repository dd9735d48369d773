"""From stored curves to what a network sees: the measurement model, drawn anew for every batch.

A stored curve is noise-free. A measured one has another instrument, an unknown scale, background and angular
zero, counting noise, a scan that begins and ends somewhere in steps of its own, and a substrate peak that is not used.
``Measurement`` is the prior of these; ``draw_batch`` draws them and returns network input.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numba
import numpy as np
from numpy.typing import NDArray

from xrdsim.configuration import Configuration
from xrdsim.errors import ParameterError
from xrdsim.observe import PEAK_MASK, Windowed, observe, to_window
from xrdsim.store import Floats, Rows

DEX = 0.5
"""Typical standard deviation of log10 intensity along a curve: the unit of the network input."""

_SPLIT, _EPOCH = 0, 1  # random streams


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
    peak_mask: float = PEAK_MASK

    def __post_init__(self) -> None:
        positive = ("fwhm", "scale", "background", "counts", "step")
        for field in fields(self):
            if field.name == "peak_mask":
                continue
            low, high = (float(value) for value in getattr(self, field.name))
            object.__setattr__(self, field.name, (low, high))
            if not (np.isfinite([low, high]).all() and low <= high and (low > 0.0 or field.name not in positive)):
                rule = "positive and " if field.name in positive else ""
                raise ParameterError(
                    f"the measurement's {field.name} is {low:g} … {high:g}; it must be {rule}low ≤ high"
                )
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


def importance(density: Floats, index: NDArray[np.int64]) -> Floats:
    """Weight of every row that undoes its sampler, 1/density, in units of the mean over the indexed rows.

    A weighted mean over the indexed rows is then a mean over the prior.
    """
    weight = 1.0 / density.astype(np.float64)
    return np.asarray(weight / weight[index].mean(), np.float32)


def batches(
    rows: Rows,
    index: NDArray[np.int64],
    weight: Floats,
    config: Configuration,
    measurement: Measurement,
    size: int,
    seed: int,
    epoch: int,
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Shuffle the indexed rows and yield them measured, as network input, parameters and weights.

    Every batch has its own random stream, so an epoch does not depend on those before it. The next batch is measured in
    a second thread while the caller works on the present one; it leaves half of the cores to the caller, because the
    threads of Numba and of PyTorch do not know of each other. Rows that do not fill a batch are left out.
    """
    order = stream(seed, _EPOCH, epoch).permutation(index)
    count = max(len(order) // size, 1)

    def measure(batch: int) -> tuple[Floats, Floats, Floats]:
        chosen = order[batch * size : (batch + 1) * size]
        rng = stream(seed, _EPOCH, epoch, batch)
        inputs = draw_batch(rows.reflectivity[chosen], config, measurement, rng)
        return inputs, rows.params[chosen], weight[chosen]

    threads = max(numba.get_num_threads() // 2, 1)
    with ThreadPoolExecutor(1, initializer=numba.set_num_threads, initargs=(threads,)) as thread:
        ahead = thread.submit(measure, 0)
        for batch in range(count):
            ready = ahead.result()
            if batch + 1 < count:
                ahead = thread.submit(measure, batch + 1)
            yield ready


def draw_batch(
    curves: NDArray[np.float32], config: Configuration, measurement: Measurement, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Measure each curve once, with its own instrument, scan and noise.

    Parameters
    ----------
    curves : (n, config.stored_scan.points) noise-free, as stored in a dataset.
    config : configuration of the dataset.
    measurement : the prior.
    rng : source of everything random.

    Returns
    -------
    input : (n, 2, config.scan.points), see ``network_input``.
    """
    n = len(curves)
    m, window = measurement, config.scan
    step, start = rng.uniform(*m.step, n), rng.uniform(*m.start, n)
    end = np.minimum(rng.uniform(*m.end, n), window.last)
    points = np.floor((end - start) / step).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(points)])
    number = np.arange(offsets[-1]) - np.repeat(offsets[:-1], points)
    angles = np.repeat(start, points) + np.repeat(step, points) * number
    scale, background = _log_uniform(rng, m.scale, n), _log_uniform(rng, m.background, n)
    expected = observe(
        curves,
        config.stored_scan,
        config.base_fwhm,
        angles=angles,
        offsets=offsets,
        fwhm=rng.uniform(*m.fwhm, n),
        zero=rng.uniform(*m.zero, n),
        scale=scale,
        background=background,
    )
    per_count = np.repeat(_log_uniform(rng, m.counts, n) / scale, points)
    counts = rng.poisson(np.maximum(expected, 0.0) * per_count)
    return network_input(to_window(angles, counts, offsets, window, peak_mask=m.peak_mask))


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
