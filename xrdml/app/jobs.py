"""The page's side of the process that fits: it is started when it is needed, and ended to cancel what it does."""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from xrdsim.limits import Json

_LONGEST = 2**26  # bytes of one answer
_PATIENCE = 5.0  # s that an ended process may take to be gone


class Jobs:
    """One process that does one job after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self.errors: list[str] = []
        """Last lines of its standard error."""

    async def run(self, job: Json) -> AsyncIterator[Json]:
        """Do a job when those before it are done, and tell what it says; ends where it is cancelled."""
        async with self._turn:
            process = await self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            number = next(self._numbers)
            try:
                process.stdin.write((json.dumps({"id": number, **job}) + "\n").encode())
                await process.stdin.drain()
                while line := await process.stdout.readline():
                    event = json.loads(line)
                    if event["id"] != number:
                        continue
                    if event["event"] == "done":
                        return
                    yield event
            except (ConnectionError, ValueError):
                pass
            ended = process is not self._process
            await self._end(process)
            if not ended:
                last = self.errors[-1] if self.errors else "it gave no reason"
                yield {"event": "error", "message": f"the process that fits has ended: {last}"}

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            root = str(Path(__file__).parents[2])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "xrdml.app.worker",
                str(self._folder),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LONGEST,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
            self._reading = asyncio.create_task(self._read_errors(self._process))
        return self._process

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with contextlib.suppress(ValueError, ConnectionError):
            while line := await process.stderr.readline():
                text = line.decode("utf-8", "replace").rstrip()
                self.errors = [*self.errors[-20:], text]

    async def cancel(self) -> None:
        """End the process with what it does; the next job has another one."""
        process, self._process = self._process, None
        if process is not None:
            await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if self._process is process:
            self._process = None
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE)
