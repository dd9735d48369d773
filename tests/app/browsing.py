"""`xrd app` as a process, and tabs of the system's Chromium, which remember what they complain of."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def chromium():
    """The system's Chromium, or None."""
    return os.environ.get("XRD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def needed():
    """What is missing for tests in a browser, or nothing."""
    missing = [name for name in ("nicegui", "playwright") if importlib.util.find_spec(name) is None]
    return [*missing, *([] if chromium() else ["chromium (apt-get install chromium)"])]


class Server:
    """`xrd app` as a process."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "app", "--no-browser", *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
        )
        self.errors = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        told, until = "", time.monotonic() + 60
        while not (found := re.search(r"http://\S+token=\S+", told)):
            line = self.process.stdout.readline()
            assert line, self.errors
            assert time.monotonic() < until, self.errors
            told += line
        self.address = found.group()
        self.base, self.token = self.address.split("/?token=")

    def _read(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def stop(self):
        """Ctrl-C: its exit code, and all that it said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return code, "".join(self.errors)


class Window:
    """A tab of the browser with what its console says."""

    def __init__(self, browser, server, **options):
        options = {"viewport": {"width": 1366, "height": 768}, "accept_downloads": True} | options
        self.context = browser.new_context(**options)
        self.server = server
        self.complaints = []
        self.page = self.open()

    def open(self):
        """Another tab of the same browser."""
        page = self.context.new_page()
        page.on("console", lambda told: told.type in ("error", "warning") and self.complaints.append(told.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._local)
        page.goto(self.server.address)
        page.wait_for_function("window.xrd && window.xrd.table && window.xrd.plots && window.xrd.drop")
        return page

    def close(self):
        """Close its tabs, before the server that they would miss."""
        if self.context is not None:
            self.context.close()
            self.context = None

    def _local(self, request):
        if not request.url.startswith((self.server.base, "data:", "blob:", self.server.base.replace("http", "ws"))):
            self.complaints.append(f"fetched from elsewhere: {request.url}")
