"""A complete dataset, open for reading: by blocks, each compared with the checksum that was stored with it."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.dataset.configuration import Configuration, Part
from xrdsim.dataset.store import (
    REPAIR,
    Floats,
    Rows,
    ZarrArray,
    array_of,
    block_checksum,
    is_complete,
    markers,
    mismatch,
    missing_blocks,
    open_group,
    read_configuration,
    stored_names,
    unreadable,
)
from xrdsim.errors import StoreError, XrdError
from xrdsim.storage import location

_AHEAD = max(2, min(os.cpu_count() or 1, 8))  # blocks that are read at once


@dataclass(frozen=True, eq=False)
class Dataset:
    """A complete dataset; nothing is read before it is asked for.

    Attributes
    ----------
    path, config : where it lies and how it was made.
    angle : (angle,) [arcsec] of the stored curves.
    names : parameter names in the order of the columns.
    parameters, reflectivity, test_parameters, test_reflectivity : Zarr arrays, by rows.
    density, test_density : the same, of the sampling density relative to the prior's; None if it was not stored,
        which ``load`` reads as 1.
    verify : whether ``block``, ``blocks``, ``load`` and ``params`` compare what they read with the checksums. The
        arrays themselves never do.
    """

    path: Path
    config: Configuration
    angle: NDArray[np.float64]
    names: tuple[str, ...]
    parameters: ZarrArray
    reflectivity: ZarrArray
    test_parameters: ZarrArray
    test_reflectivity: ZarrArray
    density: ZarrArray | None = None
    test_density: ZarrArray | None = None

    verify: bool = True

    def __len__(self) -> int:
        return self.config.n

    @cached_property
    def _markers(self) -> dict[Part, NDArray[np.uint32]]:
        return {part: markers(self.path, self.config, part) for part in Part}

    def block(self, part: str, number: int) -> Rows:
        """Read one block and, unless ``verify`` is off, compare it with its checksum.

        Raises
        ------
        StoreError
            It cannot be read, or is not what was written: names the block and the remedy.
        """
        chosen = Part(part)
        where = self.config.rows(chosen, number)
        try:
            read = [np.asarray(array[where], np.float32) for array in self._arrays(chosen)]
        except Exception as error:  # codecs raise what they like
            raise self._damaged(chosen, number, unreadable(error)) from error
        rows = Rows(read[0], read[1], read[2] if self.config.density else np.ones(len(read[0]), np.float32))
        if self.verify:
            checksum, marker = block_checksum(self.config, rows), int(self._markers[chosen][number])
            if checksum != marker:
                raise self._damaged(chosen, number, mismatch(checksum, marker))
        return rows

    def blocks(self, part: str = Part.TRAIN) -> Iterator[Rows]:
        """Read block by block, in order; other threads read the next ones meanwhile."""
        yield from self._read(Part(part), range(self.config.blocks(Part(part))))

    def load(self, part: str = Part.TRAIN, rows: slice = slice(None)) -> Rows:
        """Read rows into memory, by whole blocks; all of them by default."""
        chosen, size = Part(part), self.config.block_size
        start, stop, step = rows.indices(self.config.size(chosen))
        numbers = range(start // size, -(-stop // size)) if start < stop else range(0)
        found = [np.empty((max(stop - start, 0), *array.shape[1:]), np.float32) for array in self._arrays(chosen)]
        if not self.config.density:
            found.append(np.empty(max(stop - start, 0), np.float32))
        for number, read in zip(numbers, self._read(chosen, numbers), strict=True):
            first = number * size
            here = slice(max(start - first, 0), min(stop - first, size))
            there = slice(first + here.start - start, first + here.stop - start)
            for values, block in zip(found, (read.params, read.reflectivity, read.density), strict=True):
                values[there] = block[here]
        return Rows(*(values[::step] for values in found))

    def params(self, part: str = Part.TRAIN) -> Floats:
        """All parameters (n, 7 or 9); the curves are read, too, for the checksums."""
        if not self.verify:
            return self.unchecked("parameters", part)
        return np.concatenate([rows.params for rows in self.blocks(part)])

    def unchecked(self, name: str, part: str = Part.TRAIN) -> Floats:
        """One array whole, without comparing it with the checksums, which are those of all arrays of a block."""
        array = {"parameters": 0, "reflectivity": 1, "density": 2}[name]
        try:
            return np.asarray(self._arrays(Part(part))[array][:], np.float32)
        except Exception as error:
            raise StoreError(f"{self.path}: {Part(part).prefix}{name} {unreadable(error)}; {REPAIR}") from error

    def _arrays(self, part: Part) -> list[ZarrArray]:
        if part is Part.TEST:
            arrays = (self.test_parameters, self.test_reflectivity, self.test_density)
        else:
            arrays = (self.parameters, self.reflectivity, self.density)
        return [array for array in arrays if array is not None]

    def _read(self, part: Part, numbers: Iterable[int]) -> Iterator[Rows]:
        with ThreadPoolExecutor(_AHEAD) as pool:
            waiting: deque[Future[Rows]] = deque()
            try:
                for number in numbers:
                    waiting.append(pool.submit(self.block, part, number))
                    if len(waiting) > _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _damaged(self, part: Part, number: int, reason: str) -> StoreError:
        return StoreError(f"{self.path}: {part} block {number} {reason}; {REPAIR}")


def open_dataset(path: str | Path = "dataset.zarr", *, verify: bool = True) -> Dataset:
    """Open a complete dataset.

    Parameters
    ----------
    path : where it lies.
    verify : whether blocks are compared with their checksums when they are read.

    Raises
    ------
    StoreError
        The path is missing, not a dataset, of another schema version, only partly written, cannot be reached, or its
        description is damaged.
    """
    config = read_configuration(path)
    if not is_complete(path):
        total = sum(config.blocks(part) for part in Part)
        done = total - sum(len(missing_blocks(path, config, part)) for part in Part)
        raise StoreError(
            f"{path} is only partly written, {done} of {total} blocks; complete it with the command that began it and "
            "--resume: xrd gen --resume …"
        )
    try:
        group = open_group(path)
        angle = np.asarray(array_of(group, "angle")[:], np.float64)
        arrays = {
            part.prefix + name: array_of(group, part.prefix + name) for part in Part for name in stored_names(config)
        }
        described = {
            name: dict(array.metadata.to_dict())
            for name, array in sorted(open_group(path, consolidated=False).arrays())
        }
        consolidated = {name: dict(array.metadata.to_dict()) for name, array in sorted(group.arrays())}
    except XrdError:
        raise
    except Exception as error:  # whatever Zarr makes of a damaged description
        raise StoreError(f"{path}: its description {unreadable(error)}; {REPAIR}") from error
    shapes = {part.prefix + name: config.size(part) for part in Part for name in stored_names(config)}
    wrong = [name for name in consolidated if consolidated[name] != described.get(name)]
    wrong += [name for name, size in shapes.items() if arrays[name].shape[0] != size]
    if wrong or not np.array_equal(angle, config.stored_scan.angle):
        name = wrong[0] if wrong else "angle"
        raise StoreError(f"{path}: {name} is not described as it was written; {REPAIR}")
    return Dataset(location(path), config, angle, config.space.names, **arrays, verify=verify)
