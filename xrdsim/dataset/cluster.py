"""Where the blocks of a dataset are made: threads of this process, processes of this machine, or a Dask cluster.

All three are executors of ``concurrent.futures``. A task takes one slot of a Dask worker, which by Dask's convention is
one core. There are never many more tasks on their way than in work: neither memory nor the load of a scheduler depends
on how many there are in all.
"""

import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from threading import current_thread, main_thread
from typing import Any

from distributed import Client, KilledWorker, LocalCluster
from distributed.comm.core import CommClosedError

from xrdsim.errors import ClusterError

_PATIENCE = 10  # s for an answer of a scheduler and for the first worker


@contextmanager
def processes(number: int) -> Iterator[Client]:
    """A cluster of so many processes of this machine, with a slot each, which ends with the context.

    The processes import the main script, which therefore needs ``if __name__ == "__main__":``.
    """
    with _uninterrupted():
        cluster = LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=None,
            silence_logs=logging.ERROR,  # slow workers are killed in the end, which is no news
        )
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C, as the processes started meanwhile go on to do: it is for the one that hands out the work."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def connect(address: str) -> Iterator[Client]:
    """A running cluster, by the address of its scheduler such as ``tcp://host:8786``.

    Raises
    ------
    ClusterError
        No scheduler answers there.
    """
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address}: start one with `dask scheduler`, and workers with "
            f"`dask worker {address}`"
        ) from error
    with client:
        yield client


def everywhere(client: Client, function: Callable[[], str]) -> list[str]:
    """What ``function()`` is on each worker of a cluster; waits for the first one.

    Raises
    ------
    ClusterError
        There is no worker within ten seconds, or the workers do not have this program.
    """
    address = client.scheduler_info()["address"]
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
        return list(client.run(function).values())
    except TimeoutError:
        raise ClusterError(f"{address} has no workers; start some with `dask worker {address}`") from None
    except ImportError as error:
        raise ClusterError(f"the workers of {address} lack a module ({error}); install xrdsim there") from error


@contextmanager
def workers(client: Client | None, threads: int) -> Iterator[tuple[Executor, int]]:
    """An executor and how many tasks it works on at once: a cluster, or without one so many threads of this process."""
    if client is not None:
        yield client.get_executor(pure=False), sum(client.nthreads().values())
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield pool, threads


def results(
    executor: Executor, at_once: int, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
) -> Iterator[Any]:
    """Results of ``work(*task)`` as they come; twice as many tasks are handed over as are worked on at once.

    A task whose Dask worker dies is done again by another one. An error or an interrupt leaves when the tasks that were
    handed over have ended.

    Raises
    ------
    ClusterError
        Several workers died over one task, or the scheduler is gone.
    """
    rest = iter(tasks)

    def submit(number: int) -> set[Any]:
        return {executor.submit(work, *task) for task in islice(rest, number)}

    waiting = submit(2 * at_once)
    try:
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            waiting |= submit(len(done))
            for future in done:
                yield future.result()
    except KilledWorker as error:
        raise ClusterError(f"several workers died over one task; see their logs ({error})") from error
    except (CancelledError, CommClosedError) as error:
        raise ClusterError("the Dask scheduler is gone; start it again and continue with --resume") from error
    finally:
        wait(waiting)
