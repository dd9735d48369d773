"""The server of the page: on loopback, behind the guard, until Ctrl-C."""

import asyncio
import contextlib
import io
import logging
import socket
import threading
import webbrowser
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from nicegui import ui

from xrdml.app.desk import Desk
from xrdml.app.guard import LOOPBACK, Guard, new_token
from xrdml.app.model.export import command_line
from xrdml.app.model.files import to_text
from xrdml.app.page.tab import Tab
from xrdsim.errors import OutputError, ParameterError, XrdError
from xrdsim.limits import LARGEST_FILE, read_bytes

_STYLE = Path(__file__).parent / "page" / "style.css"
_FIGURES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#1d4ed8"/>'
    '<path d="M4 25 L11 23 L15 6 L18 22 L21 16 L23 22 L25 19 L28 24" fill="none" stroke="#fff" '
    'stroke-width="2.4"/></svg>'
)


def application(desk: Desk, files: list[Path]) -> FastAPI:
    """The pages and what they send and fetch, without the guard.

    Parameters
    ----------
    desk : what the tabs share.
    files : that are opened at the start.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        desk.begin(_opened(desk, files))
        yield
        await desk.close()

    app = FastAPI(lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/upload")
    async def upload(request: Request) -> Response:
        try:
            key = await desk.uploads.take(unquote(request.headers.get("x-name", "curve")), request.stream())
        except XrdError as error:
            return JSONResponse({"error": str(error)}, 413)
        return JSONResponse({"key": key})

    @app.get("/export/{name}")
    async def export(name: str) -> Response:
        try:
            return await _export(desk, name)
        except XrdError as error:
            return PlainTextResponse(str(error), 409)

    def root() -> None:
        ui.add_css(_STYLE.read_text(encoding="utf-8"))
        Tab(desk)

    ui.run_with(
        app,
        root=root,
        title="xrd: strain profiles from rocking curves",
        favicon=_ICON,
        dark=None,
        language="en-US",
        reconnect_timeout=20.0,
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
    )
    return app


async def _opened(desk: Desk, files: list[Path]) -> None:
    added = False
    for path in files:
        try:
            added |= await desk.add_file(path.name, read_bytes(path, LARGEST_FILE))
        except OSError as error:
            desk.say(f"{path} cannot be read: {error.strerror}", "negative")
    if added:
        await desk.predict()


async def _export(desk: Desk, name: str) -> Response:
    document = desk.document
    if name == "series.csv":
        if desk.series_folder is None or not (desk.series_folder / name).exists():
            raise ParameterError("there is no series that was fitted")
        return _file((desk.series_folder / name).read_bytes(), name, "text/csv")
    if not document.curves:
        raise ParameterError("there is no curve yet")
    saved = f"{Path(document.curves[0].name).stem}-{name}"
    if name == "session.json":
        return _file(to_text(document).encode(), saved, "application/json")
    if name == "command.sh":
        return _file((await desk.compute(command_line, document)).encode(), saved, "text/plain")
    if name == "script.py":
        return _file((await desk.script()).encode(), saved, "text/plain")
    what, _, kind = name.rpartition(".")
    if name == "result.zip":
        folder = await desk.folder()
        return _file(await asyncio.to_thread(_zipped, folder, saved.removesuffix(".zip")), saved, "application/zip")
    if what == "figure" and kind in _FIGURES:
        folder = await desk.folder()
        return _file((folder / f"fit.{kind}").read_bytes(), saved, _FIGURES[kind])
    raise ParameterError("there is no such export")


def _zipped(folder: Path, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{name}/{path.name}")
    return buffer.getvalue()


def _file(content: bytes, name: str, kind: str) -> Response:
    named = f"attachment; filename*=utf-8''{quote(name, safe='')}"
    return Response(content, media_type=kind, headers={"Content-Disposition": named})


def serve(
    files: list[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    password: str | None = None,
    show: bool = True,
    tell: Callable[[str], None],
) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    files : curves, or a session, that are opened.
    host : address; others than loopback need a password.
    port : 0 for any free one.
    password : that opens the page.
    show : whether to open the browser.
    tell : is told the address of the page.

    Raises
    ------
    ParameterError
        Another host without a password, or a password that is easily guessed.
    OutputError
        The port is taken.
    """
    local = host in ("127.0.0.1", "localhost", "::1")
    if not local and password is None:
        raise ParameterError(f"--host {host} lets other computers in: give a --password, too")
    if password is not None and len(password) < 8:
        raise ParameterError("the password must have 8 characters at least")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # a browser that comes early waits
    except OSError as error:
        listening.close()
        raise OutputError(f"{host}:{port} cannot be used: {error.strerror or error}; choose another --port") from error
    port = listening.getsockname()[1]
    token, desk = new_token(), Desk()
    hosts = LOOPBACK if local else None
    guarded = Guard(application(desk, files), token, port, hosts, password)
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/?token={token}"
    config = uvicorn.Config(
        guarded,
        log_level=logging.WARNING,
        access_log=False,
        timeout_graceful_shutdown=1,
        lifespan="on",
        ws_max_size=2**24,
        server_header=False,
    )
    server = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").addFilter(_not_cancelled)
    tell(address)
    if show:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run([listening])


def _not_cancelled(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn is none of what a second Ctrl-C cut off."""
    return "CancelledError" not in record.getMessage()
