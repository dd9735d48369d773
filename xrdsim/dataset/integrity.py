"""What is on disk against what was written: checksums of blocks, descriptions of arrays, and who made what.

The description of every array follows from the configuration, so a damaged one is made anew; so is a block whose bytes
do not have the checksum that was stored when it was written. ``generate(resume=True)`` does both.
"""

import importlib.metadata
import json
import platform
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numba
import numpy as np
from distributed import Client
from llvmlite import binding

from xrdsim.dataset import cluster, store
from xrdsim.dataset.configuration import Configuration, Part
from xrdsim.dataset.reading import open_dataset
from xrdsim.files import size_of
from xrdsim.limits import Json
from xrdsim.storage import is_remote, location

MADE_ON = "made_on"
"""Attribute of a dataset: which blocks were made on which processor, by which versions."""


@dataclass(frozen=True)
class Fault:
    """A block, or with ``block=None`` a description, that is not what was written.

    Attributes
    ----------
    where : name of the array, or of the part of the rows.
    block : number of the block.
    reason : what was found.
    """

    where: str
    block: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.where} {'' if self.block is None else f'block {self.block}'}: {self.reason}".replace(" :", ":")


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found.

    Attributes
    ----------
    path, config : the dataset.
    faults : damaged blocks and descriptions.
    missing : blocks (part, number) that are not marked as written.
    blocks : number of blocks that a complete dataset has.
    """

    path: Path
    config: Configuration
    faults: tuple[Fault, ...]
    missing: tuple[tuple[Part, int], ...]
    blocks: int

    @property
    def intact(self) -> bool:
        """Whether every block is there and every byte is what was written."""
        return not self.faults and not self.missing

    def lines(self) -> list[str]:
        """What was found, in words."""
        lines = [f"damaged: {fault}" for fault in self.faults]
        for part in Part:
            numbers = {block for missing, block in self.missing if missing is part}
            if numbers:
                lines.append(f"missing: {part} block {_ranges(numbers)}")
        if self.intact:
            return [f"{self.path}: {self.blocks} blocks, all as they were written"]
        counts = f"{len(self.faults)} damaged, {len(self.missing)} of {self.blocks} blocks missing"
        return [*lines, f"{self.path}: {counts}; the command that made it and --resume makes them"]


def verify(path: str | Path, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Read every block of a dataset, complete or not, and compare it with its checksum; nothing is changed.

    Parameters
    ----------
    path : the dataset.
    progress : called with the blocks read and the blocks in all.

    Raises
    ------
    StoreError
        The path is not a dataset.
    """
    config = store.read_configuration(path)
    faults = _damaged_descriptions(path, config)
    damaged, missing = _check_blocks(path, config, None, progress, {fault.where for fault in faults})
    blocks = sum(config.blocks(part) for part in Part)
    return Verification(location(path), config, (*faults, *damaged), tuple(missing), blocks)


def describe(path: str | Path, *, verify: bool = True) -> Json:
    """How far a dataset is, how it was made, the ranges, and the space on disk, for JSON.

    Raises
    ------
    StoreError
        The path is not a dataset, or, unless ``verify`` is off, a block is damaged.
    """
    config = store.read_configuration(path)
    missing = sum(len(store.missing_blocks(path, config, part)) for part in Part)
    blocks = sum(config.blocks(part) for part in Part)
    complete = store.is_complete(path)
    ranges = {
        name: {"low": low, "high": high}
        for name, low, high in zip(config.space.names, config.space.low, config.space.high, strict=True)
    }
    if complete:
        rows = open_dataset(path, verify=verify).params()
        for name, least, most in zip(ranges, np.min(rows, axis=0), np.max(rows, axis=0), strict=True):
            ranges[name] |= {"least": float(least), "most": float(most)}
    return {
        "path": str(path),
        "complete": complete,
        "blocks": blocks,
        "missing": missing,
        "bytes": size_of(path),
        "ranges": ranges,
        "configuration": config.to_dict(),
        "stored_scan": config.stored_scan.to_dict(),
        MADE_ON: _made_on(path) or [],
    }


def repair(path: str | Path, client: Client | None = None) -> tuple[Fault, ...]:
    """Make damaged descriptions anew and discard damaged blocks, which are then missing; the faults that were found.

    What a kill left of blocks that were never marked is removed too. The workers of a cluster share the reading.
    """
    config = store.read_configuration(path)
    faults = _damaged_descriptions(path, config)
    if faults:
        if _made_on(path) is None:
            store.write_attribute(path, MADE_ON, [])
        store.unfinish(path)
        for fault in faults:
            if fault.where != "zarr.json":
                (location(path) / fault.where / "zarr.json").unlink(missing_ok=True)
        store.prepare(path, config)
    damaged, missing = _check_blocks(path, config, client)
    if is_remote(path):  # objects are whole, and another process may be writing those of a block that is missing here
        missing = []
    for part, block in (*missing, *((Part(fault.where), fault.block) for fault in damaged if fault.block is not None)):
        store.discard_block(path, part, block)
    return (*faults, *damaged)


def record_machine(path: str | Path, config: Configuration, processors: Collection[str]) -> bool:
    """Note that these processors make the blocks that are missing now; whether others made the rest.

    The note is the same however often the work was interrupted on one kind of processor.
    """
    here = {"processor": ", ".join(sorted(set(processors))), "versions": _versions()}
    missing = {str(part): set(store.missing_blocks(path, config, part).tolist()) for part in Part}
    made = _made_on(path) or []
    for entry in made:
        blocks = {part: _numbers(entry["blocks"].get(part, "")) - missing[part] for part in missing}
        if {key: entry[key] for key in here} == here:
            missing = {part: missing[part] | blocks[part] for part in missing}
            blocks = {part: set() for part in missing}
        entry["blocks"] = {part: _ranges(blocks[part]) for part in blocks}
    others = [entry for entry in made if any(entry["blocks"].values())]
    mine: Json = {**here, "blocks": {part: _ranges(numbers) for part, numbers in missing.items()}}
    store.write_attribute(path, MADE_ON, [*others, mine] if any(mine["blocks"].values()) else others)
    return bool(others)


def _made_on(path: str | Path) -> list[Json] | None:
    """The notes of ``record_machine``; None if they are damaged."""
    notes = store.read_attribute(path, MADE_ON)
    if notes is None:
        return []
    try:
        for note in notes:
            [_numbers(ranges) for ranges in note["blocks"].values()]
            if not isinstance(note["processor"], str) or not isinstance(note["versions"], dict):
                return None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return list(notes)


def processor() -> str:
    """Kind of processor that this process runs on, for which Numba compiles."""
    return str(numba.config.CPU_NAME or binding.get_host_cpu_name())  # type: ignore[attr-defined]


def _damaged_descriptions(path: str | Path, config: Configuration) -> tuple[Fault, ...]:
    """Arrays whose description, and coordinates whose values, are not those that follow from the configuration."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.zarr"
        store.prepare(model, config)
        described = {file.parent.name: json.loads(file.read_bytes()) for file in sorted(model.glob("*/zarr.json"))}
        for name, expected in described.items():
            found = _content(location(path) / name / "zarr.json")
            values = [file.relative_to(model) for file in sorted((model / name).glob("c/*"))]
            if found is None:
                faults.append(Fault(name, None, "its zarr.json is missing or cannot be read"))
            elif found != expected:
                faults.append(Fault(name, None, "its zarr.json is not what was written"))
            elif any(_bytes(location(path) / file) != (model / file).read_bytes() for file in values):
                faults.append(Fault(name, None, "its values are not what was written"))
    root = _content(location(path) / "zarr.json") or {}
    consolidated = root.get("consolidated_metadata", {})
    if consolidated and consolidated.get("metadata") != described:
        faults.append(Fault("zarr.json", None, "the consolidated metadata are not what was written"))
    if _made_on(path) is None:
        faults.append(Fault("zarr.json", None, "its note of the machines is damaged"))
    return tuple(faults)


def _check_blocks(
    path: str | Path,
    config: Configuration,
    client: Client | None = None,
    progress: Callable[[int, int], None] | None = None,
    undescribed: Collection[str] = (),
) -> tuple[list[Fault], list[tuple[Part, int]]]:
    """Damaged blocks and missing blocks; parts with an undescribed array are left out."""
    missing: list[tuple[Part, int]] = []
    marked: list[tuple[Part, int, int]] = []
    for part in Part:
        readable = not {part.prefix + name for name in store.stored_names(config)} & set(undescribed)
        for block, marker in enumerate(store.markers(path, config, part).tolist()):
            if marker == 0:
                missing.append((part, block))
            elif readable:
                marked.append((part, block, marker))
    damaged = []
    with cluster.workers(client, numba.get_num_threads()) as (pool, at_once):
        check = partial(_check_block, location(path).resolve(), config)
        for done, fault in enumerate(cluster.results(pool, at_once, check, marked), start=1):
            damaged += [fault] if fault else []
            if progress:
                progress(done, len(marked))
    return sorted(damaged, key=lambda fault: (fault.where, fault.block)), missing


def _check_block(path: Path, config: Configuration, part: Part, block: int, marker: int) -> Fault | None:
    """What is wrong with a block."""
    for name in store.stored_names(config):
        shard = path / (part.prefix + name) / "c" / str(block)
        if not (shard if name == "density" else shard / "0").is_file():
            return Fault(str(part), block, f"the file of {part.prefix}{name} is missing")
    try:
        rows = store.read_block(path, config, part, block)
    except Exception as error:  # codecs raise what they like
        return Fault(str(part), block, store.unreadable(error))
    checksum = store.block_checksum(config, rows)
    if checksum == marker:
        return None
    return Fault(str(part), block, store.mismatch(checksum, marker))


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _content(path: Path) -> Json | None:
    """The object in a JSON file, or None where there is none that can be read."""
    try:
        content = json.loads(_bytes(path) or b"")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _versions() -> dict[str, str]:
    names = ("xrdsim", "numpy", "numba", "llvmlite", "zarr")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def _ranges(numbers: set[int]) -> str:
    """``{0, 1, 2, 5}`` as ``0-2,5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def _numbers(ranges: str) -> set[int]:
    """Inverse of ``_ranges``."""
    found: set[int] = set()
    for run in filter(None, ranges.split(",")):
        first, _, last = run.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
