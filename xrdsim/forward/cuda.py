"""Curves and derivatives on a graphics card: what is computed at once, and how it comes back.

Samples are taken in parts. While the card works on one part, the results of another travel through page-locked memory,
from where all threads of the processor copy them to their rows. A part has a slot: a stream, workspace on the card and
page-locked memory, kept for the next call. Results that are to stay on the card are copied there to their rows.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import cycle, pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xrdsim.forward.card import OnCard, by_owner, kernel_array, simulated
from xrdsim.forward.prepare import Task
from xrdsim.kernels import batch
from xrdsim.kernels.convolve import SCALE, WIDTH, ZERO
from xrdsim.kernels.reflectivity import MATRIX, PHASES, Optics
from xrdsim.kernels.slopes import LEAST

Array = NDArray[np.float64]
Out: TypeAlias = Any
"""An array in memory, or a tensor of torch on the card."""

SLOTS = 3
"""Parts that are on their way at the same time."""

SHARE = 0.5
"""Part of the free memory of the card that all slots together may take."""

SAMPLES = 16384
"""Most samples of a part."""

STAGED = 2**25
"""Most numbers of a part that travel back at once."""

_KEPT = 64  # copies of optics and nodes on the card
_LINE = 16  # numbers at whose multiples arrays begin


@dataclass(frozen=True, eq=False)
class _Part:
    """Part of a task on its way: arrays on the card but for ``index`` and ``how`` (7, n).

    The rows of ``how`` are sigma, zero, scale, background, 0, 1 and the index, bit for bit.
    """

    slot: "_Slot"
    rows: OnCard
    counts: OnCard
    most: int
    optics: OnCard
    nodes: OnCard
    how: Array
    index: NDArray[np.int64]


def curves(tasks: Sequence[Task], reflectivity: Out | None = None, intensity: Out | None = None) -> None:
    """Fill the rows of the tasks in reflectivity and intensity, (n, points) each, where they are given.

    The tasks are of one experiment and one scan. What is filled are arrays in memory, or tensors on the card of single
    or double precision that nothing else still uses (``xrdsim.forward.tensors``); they are complete on return.
    """
    wanted = [(out, seen) for out, seen in ((reflectivity, False), (intensity, True)) if out is not None]
    by_owner(_curves, tasks, wanted)


def linearize(tasks: Sequence[Task], nuisance: NDArray[np.int64], *outs: Out) -> None:
    """Fill the rows of the tasks in what ``batch.linearize`` computes: reflectivity, seen and slope.

    The arrays are as for ``curves``; without them the next part overwrites the results.
    """
    by_owner(_linearize, tasks, nuisance, outs)
    if outs:
        _, seen, slope = outs
        first = slope.shape[1] - len(nuisance)
        for j, code in enumerate(nuisance.tolist()):
            if code not in (ZERO, WIDTH):
                slope[:, first + j] = seen if code == SCALE else 1.0


class _Slot:
    """A stream with workspace on the card and page-locked memory, and what happens when its results have come."""

    def __init__(self) -> None:
        from numba import cuda

        self.stream = cuda.stream()
        self.work = _Room()
        self.staged: OnCard = cuda.pinned_array(1, np.float64)
        self.loaded: OnCard = cuda.pinned_array(1, np.float64)
        self.busy = False
        self.arrive: list[Callable[[], None]] = []

    def finish(self) -> None:
        """Wait for the results and copy them to their places."""
        if self.busy:
            self.stream.synchronize()
        for copy in self.arrive:
            copy()
        self.busy, self.arrive = False, []

    def load(self, values: Array, on_card: OnCard) -> None:
        """Begin to copy values (m, n) to the card."""
        from numba import cuda

        if self.loaded.size < values.size:
            self.loaded = cuda.pinned_array(values.size, np.float64)
        source = self.loaded[: values.size].reshape(values.shape)
        source[:] = values
        self.busy = True
        on_card.copy_to_device(source, stream=self.stream)

    def fetch(self, results: Sequence[tuple[OnCard, NDArray[np.int64], Array]]) -> None:
        """Begin to copy results (m, points) to the rows ``index`` of arrays (n, points)."""
        from numba import cuda

        total = sum(result.size for result, _, _ in results)
        if self.staged.size < total:
            self.staged = cuda.pinned_array(total, np.float64)
        at = 0
        for result, index, out in results:
            part = self.staged[at : at + result.size].reshape(result.shape)
            at += result.size
            result.copy_to_host(part, stream=self.stream)
            self.arrive.append(partial(batch.scatter, part, index, out))


class _Room:
    """Memory on the card that grows as it is needed."""

    def __init__(self) -> None:
        self.flat: OnCard = None

    @property
    def size(self) -> int:
        """In bytes."""
        return 0 if self.flat is None else 8 * int(self.flat.size)

    def arrays(self, *shapes: tuple[int, ...], kind: DTypeLike = np.float64, small: int = 0) -> list[OnCard]:
        """Arrays of these shapes, not initialised: the first ``small`` of a kind, the others of double precision."""
        from numba import cuda

        sizes = [math.prod(shape) for shape in shapes]
        starts = np.cumsum([0, *(-(-size // _LINE) * _LINE for size in sizes)]).tolist()
        if 8 * starts[-1] > self.size:
            self.flat = None  # given back first
            self.flat = cuda.device_array(starts[-1], np.float64)
        parts = [self.flat[start : start + size] for start, size in zip(starts[:-1], sizes, strict=True)]
        if np.dtype(kind) != np.float64:
            parts[:small] = [part.view(kind)[: part.size] for part in parts[:small]]
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


@lru_cache(1)
def _slots() -> tuple[_Slot, ...]:
    return tuple(_Slot() for _ in range(SLOTS))


@lru_cache(1)
def _inputs() -> _Room:
    return _Room()


def _counted(tasks: Sequence[Task], least: int) -> tuple[OnCard, OnCard, list[int]]:
    """The rows of all tasks and their numbers of steps, on the card, and the largest number of each task."""
    from xrdsim.kernels.cuda import THREADS, count

    model, slot = tasks[0].model, _slots()[0]
    rows = np.concatenate([task.rows for task in tasks])
    if least:
        for row in rows:
            model.profile.widen(row.copy(), row)
    n, p = rows.shape
    on_card, numbers = _inputs().arrays((n, p), (n, model.profile.segments()))
    numbers = numbers.view(np.int64)
    slot.finish()
    slot.load(rows, on_card)
    arguments = (on_card, model.profile, model.layer, model.accuracy, least, numbers)
    _launch(count, -(-n // THREADS), slot, *arguments)
    every = numbers.copy_to_host(stream=slot.stream)
    slot.stream.synchronize()
    ends = np.cumsum([len(task.rows) for task in tasks])[:-1]
    return on_card, numbers, [int(each.sum(axis=1).max()) for each in np.split(every, ends)]


def _deliver(part: _Part, index: OnCard, results: Sequence[tuple[OnCard, OnCard]]) -> None:
    """Begin to copy results (m, points) to their rows of arrays (n, points), in memory or on the card."""
    from xrdsim.kernels.cuda import place

    for result, out in results:
        if not isinstance(out, np.ndarray):
            _launch(place, len(part.index), part.slot, result, index, out)
    part.slot.fetch([(result, part.index, out) for result, out in results if isinstance(out, np.ndarray)])


def _work(tasks: Sequence[Task], least: int, numbers_of: Callable[[Task, int], int], travel: int) -> Iterator[_Part]:
    """The parts of the tasks, each with a slot that is free."""
    rows, counts, most = _counted(tasks, least)
    slots, first = cycle(_slots()), 0
    for task, steps in zip(tasks, most, strict=True):
        table, lens = _copy(task.model.optics), _copy(task.nodes)
        for part in _parts(len(task.rows), numbers_of(task, steps), travel):
            slot = next(slots)
            slot.finish()
            here = slice(first + part.start, first + part.stop)
            seen = np.stack([values[part] for values in (task.sigma, task.zero, task.scale, task.background)])
            index = np.asarray(task.index[part], dtype=np.int64)
            how = np.stack([*seen, np.zeros(len(index)), np.ones(len(index)), index.view(np.float64)])
            yield _Part(slot, rows[here], counts[here], steps, table, lens, how, index)
        first += len(task.rows)
    for slot in _slots():
        slot.finish()


def _curves(tasks: Sequence[Task], wanted: list[tuple[Out, bool]]) -> None:
    """Fill arrays, seen through the instrument or not."""
    from xrdsim.kernels.cuda import THREADS, fill, observe, reflect

    model, points = tasks[0].model, tasks[0].nodes.points
    outs = [kernel_array(out) for out, _ in wanted]

    def numbers(task: Task, most: int) -> int:
        nodes, angles = task.nodes, task.model.optics.coarse
        return 5 * most + 2 * MATRIX * angles + len(nodes.angle) + 2 * nodes.first + 1 + points * len(wanted) + 7

    for part in _work(tasks, 0, numbers, points * _travelling(outs)):
        n, slot, nodes, size = len(part.index), part.slot, part.nodes, len(part.nodes.angle)
        angles = part.optics.coarse
        steps, coarse, at_nodes, weights, how, *results = slot.work.arrays(
            (n, 5, part.most),
            (n, 2 * MATRIX, angles),
            (n, 1, size),
            (n, 2 * nodes.first + 1),
            (7, n),
            *[(n, 1, points)] * len(wanted),
            kind=model.optics.table.dtype,
            small=2,
        )
        slot.load(part.how, how)
        sigma, zero, scale, background, none, one, index = (how[i] for i in range(7))
        grid = -(-n // THREADS)
        _launch(fill, grid, slot, part.rows, model.profile, model.layer, model.accuracy, part.counts, steps)
        _launch(reflect, n, slot, part.counts, steps, part.optics, coarse, at_nodes.reshape(n, size))
        for result, (_, through) in zip(results, wanted, strict=True):
            see = (sigma, zero, scale, background) if through else (none, none, one, none)
            _launch(observe, n, slot, at_nodes, nodes, *see, 0, weights, result, 0)
        every = [(result.reshape(n, points), out) for result, out in zip(results, outs, strict=True)]
        _deliver(part, index.view(np.int64), every)


def _linearize(tasks: Sequence[Task], nuisance: NDArray[np.int64], wanted: tuple[Out, ...]) -> None:
    from xrdsim.kernels import cuda_jacobian
    from xrdsim.kernels.cuda import THREADS, observe

    model, points, p = tasks[0].model, tasks[0].nodes.points, tasks[0].rows.shape[1]
    k = p + len(nuisance)
    together = -(-p // -(-p // cuda_jacobian.MOST))  # parameters of a launch
    outs = [kernel_array(out.reshape(len(out), -1)) for out in wanted]

    def numbers(task: Task, most: int) -> int:
        nodes, angles = task.nodes, task.model.optics.coarse
        at_nodes = (1 + p) * len(nodes.angle) + p * (2 * nodes.first + 1)
        coarse = (1 + together) * cuda_jacobian.ROWS * angles
        return int((5 + 4 * p) * most + 7 * p + coarse + at_nodes + (2 + k) * points + 7)

    for part in _work(tasks, LEAST, numbers, (2 + k) * points if _travelling(outs) else 0):
        n, slot, nodes, size = len(part.index), part.slot, part.nodes, len(part.nodes.angle)
        angles = part.optics.coarse
        steps, slopes, end, work, coarse, at_nodes, gradient, weights, how, plain, blurred, changes = slot.work.arrays(
            (n, 5, part.most),
            (n, 4, part.most, p),
            (n, p),
            (n, 6, p),
            (n, 1 + together, cuda_jacobian.ROWS, angles),
            (n, 1, size),
            (n, p, size),
            (n * p, 2 * nodes.first + 1),
            (7, n),
            (n, 1, points),
            (n, 1, points),
            (n, k, points),
        )
        slot.load(part.how, how)
        sigma, zero, scale, _, none, one, index = (how[i] for i in range(7))
        first = (part.rows, model.profile, model.layer, part.counts, steps, slopes, end, work)
        _launch(cuda_jacobian.fill, -(-n // THREADS), slot, *first)
        made = (part.optics, coarse, at_nodes.reshape(n, size), gradient)
        for start in range(0, p, together):
            then = ((0.0,) * together, start, model.layer, part.counts, steps, slopes, end, part.optics, coarse)
            _launch(cuda_jacobian.advance_all, -(-2 * n * angles // THREADS), slot, *then)
            if part.optics.film_thickness > 0.0:
                on_film = (start, part.counts, steps, end, *made)
                _launch(cuda_jacobian.linearize_on_film, -(-n * size // THREADS), slot, *on_film)
            else:
                grid = -(-n * _threads(part.optics, size) // THREADS)
                _launch(cuda_jacobian.linearize, grid, slot, start, *made)
        _launch(observe, n, slot, at_nodes, nodes, none, none, one, none, 0, weights, plain, 0)
        _launch(observe, n, slot, at_nodes, nodes, sigma, zero, one, none, 0, weights, blurred, 0)
        _launch(observe, n * p, slot, gradient, nodes, sigma, zero, scale, none, 0, weights, changes, 0)
        for j, code in enumerate(nuisance.tolist()):
            if code in (ZERO, WIDTH):
                _launch(observe, n, slot, at_nodes, nodes, sigma, zero, scale, none, code, weights, changes, p + j)
        every = zip((plain, blurred, changes), outs, strict=False)
        _deliver(part, index.view(np.int64), [(result.reshape(n, out.shape[1]), out) for result, out in every])


def _travelling(outs: Sequence[OnCard]) -> int:
    """How many of the arrays are in memory, not on the card."""
    return sum(isinstance(out, np.ndarray) for out in outs)


def _threads(optics: Optics, nodes: int) -> int:
    """Threads that interpolate to all nodes of a sample, as ``kernels.cuda.nodes_of`` numbers them."""
    return -(-optics.ratio // PHASES) * -(-optics.grid // optics.ratio) + nodes - optics.grid


def _parts(n: int, numbers: int, travel: int) -> list[slice]:
    """Parts of n samples that need so many numbers of double precision each, of which some travel back."""
    from numba import cuda

    free = cuda.current_context().get_memory_info().free + sum(slot.work.size for slot in _slots())
    size = int(max(1, min(SAMPLES, SHARE * free / SLOTS / (8 * numbers), STAGED / max(travel, 1))))
    number = -(-n // size)
    ends = [i * n // number for i in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def _kind(argument: OnCard) -> object:
    """What of the type of an argument may differ between launches of one kernel."""
    if isinstance(argument, tuple):
        return type(argument), len(argument), getattr(argument[0], "dtype", None)
    return getattr(argument, "dtype", None)


_COMPILED: dict[tuple[object, ...], OnCard] = {}


def _launch(kernel: OnCard, blocks: int, slot: _Slot, *arguments: object) -> None:
    """Launch a kernel in the stream of a slot; from the second time on without looking at the types of arguments."""
    from xrdsim.kernels.cuda import THREADS

    key = kernel, *map(_kind, arguments)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Grid size")  # few samples cannot fill a card
        launch = kernel[blocks, THREADS, slot.stream]
    if key in _COMPILED:
        _COMPILED[key].launch(arguments, launch.griddim, launch.blockdim, launch.stream, 0)
        return
    launch(*arguments)
    if not simulated():
        _COMPILED[key] = kernel.overloads[tuple(map(kernel.typeof_pyval, arguments))]


_COPIES: dict[int, tuple[OnCard, OnCard]] = {}


def _copy(record: OnCard) -> OnCard:
    """Optics or nodes on the card, with one row in place of none; the last ones are kept."""
    from numba import cuda

    def copied(field: object) -> object:
        if not isinstance(field, np.ndarray):
            return field
        return cuda.to_device(field if field.size else np.zeros((1, *field.shape[1:]), field.dtype))

    if id(record) not in _COPIES:
        while len(_COPIES) >= _KEPT:
            _COPIES.pop(next(iter(_COPIES)))
        _COPIES[id(record)] = record, type(record)(*map(copied, record))
    return _COPIES[id(record)][1]
