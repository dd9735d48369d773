"""Make a dataset: blocks of rows, each drawn, simulated and written by one task of its own.

A block has its own random stream, its own part of the sampler's grid and its own shards, and depends on nothing else.
So the bytes of a dataset do not depend on how many workers made it, nor on how often it was interrupted and continued.
"""

import logging
import math
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np
from distributed import Client
from numpy.typing import ArrayLike

from xrdsim.dataset import cluster, store
from xrdsim.dataset.configuration import Configuration, Part, Sampler
from xrdsim.dataset.fresh import stored_curves
from xrdsim.dataset.integrity import processor, record_machine, repair
from xrdsim.dataset.lock import only_writer
from xrdsim.dataset.reading import Dataset, open_dataset
from xrdsim.dataset.samplers import EDGE, Plan, make_plan
from xrdsim.dataset.simulation import MARGIN
from xrdsim.errors import ParameterError, StoreError, StoreExistsError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import experiment_of
from xrdsim.forward.derived import largest_strain
from xrdsim.forward.model import check_device
from xrdsim.forward.prepare import prepare
from xrdsim.information.sensitivity import Sensitivity
from xrdsim.limits import Json, afford
from xrdsim.profiles.space import ParameterSpace
from xrdsim.storage import is_remote, location

_LOG = logging.getLogger(__name__)

MOST_WORKERS = 4
"""Processes for each processor."""

_PART = 2048  # rows simulated together: memory does not grow with the blocks
_ON_CARD = 16384  # the same on a card, which many rows keep busy: several blocks
_ALONE = Lock()  # held by what computes in a process whose threads do not bear two at once

_CHOICES = (  # arguments of generate that a configuration keeps, beside n
    "sampler",
    "seed",
    "values",
    "jitter",
    "edge",
    "space",
    "reflection",
    "scan",
    "convention",
    "layers",
    "rtol_dex",
    "monochromator",
    "sensitivity",
    "sensitivity_origin",
    "test_rows",
    "device",
    "block_size",
)


def generate(
    path: str | Path = "dataset.zarr",
    *,
    n: int = 20000,
    sampler: str = Sampler.GRID,
    seed: int = 0,
    values: int = 20,
    jitter: bool = True,
    edge: tuple[str, ...] = EDGE,
    space: ParameterSpace | None = None,
    reflection: Reflection = GGG_444,
    scan: Scan = DEFAULT_SCAN,
    convention: str | None = None,
    layers: float | None = None,
    rtol_dex: float = 1e-4,
    monochromator: float | None = None,
    damage: bool = False,
    sensitivity: ArrayLike | Sensitivity | None = None,
    sensitivity_origin: Mapping[str, Any] | None = None,
    errors: ArrayLike | None = None,
    test_rows: int = 2000,
    device: str = "cpu",
    workers: int | None = None,
    client: Client | None = None,
    resume: bool = False,
    overwrite: bool = False,
    extend: bool = False,
    block_size: int = 2048,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Simulate a dataset and write it to disk; the layout is described in ``xrdsim.dataset.store``.

    The curves cover the scan and 150″ beyond either end, seen by an instrument of 20″. An interrupted run keeps the
    blocks that it completed; the same call with ``resume=True`` makes the others.

    Parameters
    ----------
    path : folder to make, missing parents too, or ``s3://BUCKET/NAME`` (``pip install 'xrdsim[s3]'``).
    n, test_rows : rows to learn from, and rows to test on, drawn from the prior.
    sampler : ``grid`` with equal numbers of values, ``adaptive`` with numbers proportional to the sensitivity,
        ``sobol``, ``edge``, ``jeffreys`` or ``errors``; see ``xrdsim.dataset.samplers``.
    seed : of everything random, ≥ 0.
    values : mean number of grid values per parameter; the grid has about values⁷ points, of which n are drawn.
    jitter : draw a random place in each grid cell; without, rows have the values of the grid and no others.
    edge : names of the parameters whose extremes the sampler ``edge`` favours.
    space : ranges of the parameters; ``None`` takes the default ones.
    reflection, scan, convention, layers, rtol_dex, monochromator : as in ``simulate``.
    damage : add the default ranges of kappa and p as columns 8 and 9.
    sensitivity : range-relative sensitivities for ``adaptive``, (7,) or a ``Sensitivity``; ``None`` measures them on
        256 profiles of the prior.
    sensitivity_origin : where an array of sensitivities comes from, JSON-able, to be stored with the dataset.
    errors : for ``errors``, (m, p + 1) parameters and the error of a network there.
    device : ``cpu``, or ``cuda`` for the reflectivity on a graphics card.
    workers : processes that share the cores; by default there is one, whose threads make a block each.
    client : of a Dask cluster that makes the blocks; all its workers see the path, as this process does.
    resume : continue a dataset of the same configuration: missing and damaged blocks are made, all others left as they
        are.
    overwrite : replace an existing dataset.
    extend : with ``resume``, n may be larger than that of the dataset, which then gets further blocks.
    block_size : rows of a block, at most 256 or a multiple of 256.
    progress : called with the rows done and the rows in all, from the calling thread.

    Returns
    -------
    Dataset

    Raises
    ------
    ParameterError
        A choice without meaning, or a grid with too few points for n rows.
    StoreExistsError
        The path exists and neither ``resume`` nor ``overwrite`` was given, or it is no dataset.
    StoreError
        ``resume`` with another configuration, or of a dataset of another schema version; or another process writes to
        the path.
    OutputError
        The path cannot be written.
    DeviceError
        The device is not available.
    ClusterError
        The Dask cluster has no workers, or was lost.
    """
    check_device(device, ("cpu", "cuda"))
    target = location(path)
    if resume and overwrite:
        raise ParameterError("resume and overwrite exclude each other; give one of them")
    if client is not None and workers is not None:
        raise ParameterError("workers and client (--workers and --scheduler) exclude each other; give one of them")
    with store.writing(target):
        begun = _begun(target, resume, overwrite)
    if begun is not None and begun.sensitivity is not None and sensitivity is None:
        sensitivity, sensitivity_origin = begun.sensitivity, begun.sensitivity_origin
    if begun is not None and not begun.density:  # of an earlier version, whose default was another
        if begun.jitter:
            raise StoreError(
                f"{target} was begun by an earlier version, whose rule of jitter this one does not have: it can be "
                "read, not continued; make it again with --overwrite"
            )
        jitter = False
    for name, value, low in (
        ("n", n, 1),
        ("test_rows", test_rows, 1),
        ("workers", 1 if workers is None else workers, 1),
        ("seed", seed, 0),
    ):
        if value != int(value) or value < low:
            raise ParameterError(f"{name} = {value} must be a whole number of at least {low}")
    afford(12.0 * block_size * scan.extended(MARGIN).points, f"block_size = {block_size}: a block")
    if workers is not None and workers > MOST_WORKERS * (os.cpu_count() or 1):
        raise ParameterError(
            f"workers = {workers} are too many for {os.cpu_count()} processors; give at most "
            f"{MOST_WORKERS * (os.cpu_count() or 1)}, or a cluster with --scheduler"
        )
    if block_size < 1 or (block_size > store.CHUNK_ROWS and block_size % store.CHUNK_ROWS):
        raise ParameterError(f"block_size = {block_size} must lie within 1 … 256 or be a multiple of 256")
    space = space or ParameterSpace()
    space = space.with_damage() if damage else space
    experiment = experiment_of(reflection, convention, monochromator, layers, rtol_dex)
    if experiment.monochromator == math.inf:
        raise ParameterError("monochromator = inf, π alone, is for simulate; a dataset needs one within 0 … 1")
    prepare(scan, experiment)  # refuses what simulate would refuse
    plan = make_plan(
        sampler,
        n=n,
        seed=seed,
        values=values,
        jitter=jitter,
        space=space,
        edge=edge,
        sensitivity=sensitivity,
        sensitivity_origin=sensitivity_origin,
        pilot=begun.pilot if begun is not None and begun.sampler == sampler else (),
        errors=errors,
        block_size=block_size,
        scan=scan,
        experiment=experiment,
    )
    config = Configuration(
        sampler=str(plan.sampler),
        n=int(n),
        seed=int(seed),
        values=int(values),
        jitter=plan.grid is not None and plan.grid.cells,
        space=space,
        scan=scan,
        reflection=experiment.reflection,
        convention=str(experiment.convention),
        layers=experiment.layers,
        rtol_dex=experiment.rtol_dex,
        monochromator=experiment.monochromator,
        test_rows=int(test_rows),
        block_size=int(block_size),
        sensitivity=plan.sensitivity,
        sensitivity_origin=plan.sensitivity_origin,
        counts=() if plan.grid is None else tuple(len(axis) for axis in plan.grid.axes),
        interval=plan.interval,
        edge=plan.edge,
        pilot=plan.pilot,
        density=begun is None or begun.density,
        mantissa_bits=store.MANTISSA_BITS if begun is None else begun.mantissa_bits,
        device=device,
    )
    if begun is not None:
        _check_same(target, begun, config, extend)
    with store.writing(target), only_writer(target), ExitStack() as stack:
        begun = _begun(target, resume, overwrite)  # another process may have made it since
        threads = 1  # of a task on a cluster
        if workers is not None:
            threads = max(1, numba.get_num_threads() // int(workers))
            client = stack.enter_context(cluster.processes(int(workers)))
        processors = [processor()] if client is None else cluster.everywhere(client, processor)
        if begun is not None:
            _check_same(target, begun, config, extend)
            if config != begun:
                store.extend(target, begun, config)
            for fault in repair(target, client):
                _LOG.warning("%s: %s; it is made anew", target, fault)
        elif store.is_ours(target):
            store.remove(target)
        if not store.is_complete(target):
            store.prepare(target, config)
            if record_machine(target, config, processors):
                _LOG.warning("%s was begun on another machine: curves may differ in the last digits", target)
            _run(target, config, plan, client, threads, progress)
            store.finish(target)
    return open_dataset(target)


def _begun(path: Path, resume: bool, overwrite: bool) -> Configuration | None:
    """Configuration of the dataset to be continued, if there is one; refuse a path that must not be touched."""
    around = () if is_remote(path) else path.absolute().parents
    if inside := next((folder for folder in around if store.is_ours(folder)), None):
        raise StoreExistsError(f"{path} lies inside the dataset {inside}; choose another path")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    if not store.is_ours(path):
        raise StoreExistsError(f"{path} exists and is not a dataset written by `xrd gen`; choose another path")
    if not (resume or overwrite):
        raise StoreExistsError(
            f"{path} exists; continue it with --resume (resume=True), replace it with --overwrite (overwrite=True), or "
            "choose another path"
        )
    return store.read_configuration(path) if resume else None


def append(
    path: str | Path,
    n: int,
    *,
    workers: int | None = None,
    client: Client | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Extend a dataset by n rows of the same configuration: the bytes are those of one made with all rows at once.

    An incomplete dataset is first completed, with n = 0 no more than that.

    Parameters
    ----------
    path : the dataset.
    n : number of further training rows; the test rows stay.
    workers, client, progress : as in ``generate``.

    Raises
    ------
    StoreError
        The path is not a dataset, or other settings than n would differ at the larger size.
    ParameterError
        The grid of the dataset has too few points.
    OutputError, DeviceError, ClusterError
        As ``generate``.
    """
    if n != int(n) or n < 0:
        raise ParameterError(f"n = {n} further rows must be a whole number of at least 0")
    begun = store.read_configuration(path)
    choices: Json = {name: getattr(begun, name) for name in _CHOICES}
    choices |= {"workers": workers, "client": client, "progress": progress}
    return generate(path, n=begun.n + int(n), **choices, resume=True, extend=True)


def _check_same(path: Path, begun: Configuration, config: Configuration, extend: bool = False) -> None:
    """Refuse another configuration; to extend, n may grow, and what depends on it while a block is not full."""
    old, new = begun.to_dict(), config.to_dict()
    grows = ("n", "interval") if begun.n < begun.block_size else ("n",)
    for key in new:
        if extend and key in grows and config.n > begun.n:
            continue
        if old[key] != new[key]:
            raise StoreError(
                f"{path} was begun with {key} = {old[key]}, not {new[key]}: --resume needs the same configuration; "
                "repeat the first one, or replace the dataset with --overwrite"
            )


def _run(
    path: Path,
    config: Configuration,
    plan: Plan,
    client: Client | None,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Make the missing blocks, those of the test rows first."""
    total = config.n + config.test_rows
    together = max(1, _ON_CARD // config.block_size) if config.device == "cuda" else 1
    todo: list[tuple[Any, ...]] = []  # a part and its blocks
    for part in (Part.TEST, Part.TRAIN):
        missing = store.missing_blocks(path, config, part).tolist()
        todo += [(part, *missing[first : first + together]) for first in range(0, len(missing), together)]
    done = total - sum(_rows(config, part, block) for part, *blocks in todo for block in blocks)
    cores = numba.get_num_threads() if _bears_threads() else 1
    with cluster.workers(client, max(1, min(cores, len(todo)))) as (pool, at_once):
        if client is None:
            threads = numba.get_num_threads() // at_once
        make = partial(_make_block, path.resolve(), config, plan, threads)
        for rows in cluster.results(pool, at_once, make, todo):
            done += rows
            if progress:
                progress(done, total)


def _make_block(path: Path, config: Configuration, plan: Plan, threads: int, part: Part, *blocks: int) -> int:
    """Draw, simulate together and write a block, or several; the number of their rows."""
    if version("xrdsim") != config.version:
        raise StoreError(f"{socket.gethostname()} has xrdsim {version('xrdsim')}, not {config.version}: install that")
    sizes = [_rows(config, part, block) for block in blocks]
    most = _ON_CARD if config.device == "cuda" else _PART
    with nullcontext() if _bears_threads() else _ALONE:
        numba.set_num_threads(threads)
        draw = plan.draw if part is Part.TRAIN else plan.draw_test
        drawn = [draw(block, n) for block, n in zip(blocks, sizes, strict=True)]
        params = np.concatenate([rows.params for rows in drawn])
        simulation = replace(config.simulation, space=plan.space)
        parts = range(0, len(params), most)
        curves = np.concatenate([stored_curves(params[first : first + most], simulation) for first in parts])
    of_blocks = np.split(curves, np.cumsum(sizes)[:-1])
    with store.writing(path):
        for block, rows, values in zip(blocks, drawn, of_blocks, strict=True):
            stored = store.Rows(rows.params.astype(np.float32), values, rows.density.astype(np.float32))
            store.write_block(path, config, part, block, stored)
    return sum(sizes)


def _rows(config: Configuration, part: Part, block: int) -> int:
    rows = config.rows(part, block)
    return int(rows.stop - rows.start)


def _bears_threads() -> bool:
    """Whether Numba's threads bear calls from several threads at once: not so its layer 'workqueue'."""
    largest_strain(ParameterSpace().low)  # starts them
    return str(numba.threading_layer()) != "workqueue"  # type: ignore[attr-defined]
