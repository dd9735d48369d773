"""Who may talk to the server: requests with the token of the page, from the page itself.

A browser lets any page of the net send requests to a server on loopback. So each request needs the token that the
command line shows in the address of the page, later a cookie of it that scripts cannot read; its ``Host`` must be the
server's own, which keeps out names that were made to point here (DNS rebinding); and an ``Origin`` of another page is
refused, which a WebSocket needs, since no other rule of browsers holds it back.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_MOST_FORM = 4096  # bytes of a login
_LOGIN = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>xrd: password</title>
<meta name="viewport" content="width=device-width"><style>:root{color-scheme:light dark}body{font:16px system-ui;
max-width:22rem;margin:20vh auto;padding:0 1rem}input,button{font:inherit;padding:.4rem;margin:.2rem 0}</style></head>
<body><form method="post" action="/login"><label>Password of this page<br><input type="password" name="password"
autofocus autocomplete="current-password"></label> <button>Open</button></form></body></html>"""


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


class Guard:
    """An ASGI application that lets the right requests through to another one.

    Parameters
    ----------
    application : what is guarded.
    token : that a request must have.
    port : of the server; part of the name of the cookie, since browsers share cookies among ports.
    hosts : names by which the server may be called; None for any, which a password needs.
    password : that may stand for the token in a form; None for none.
    """

    def __init__(
        self,
        application: Application,
        token: str,
        port: int,
        hosts: Iterable[str] | None = LOOPBACK,
        password: str | None = None,
    ) -> None:
        self.app, self._token, self._password = application, token, password
        self._cookie = f"xrd_{port}"
        self._hosts = None if hosts is None else {f"{host}:{port}" for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        reason = self._refused(scope, headers)
        asked = self._password is not None and scope["type"] == "http"
        if not reason and asked and scope["path"] == "/login" and scope["method"] == "POST":
            await self._login(receive, send)
        elif not reason and self._known(scope, headers):
            await self.app(scope, receive, self._sending(scope, send))
        elif not reason and asked and scope["path"] == "/" and scope["method"] == "GET":
            await _answer(send, 401, _LOGIN, "text/html; charset=utf-8")
        else:
            await _refuse(
                scope,
                receive,
                send,
                reason or "the token of the page is missing: open the address that `xrd app` shows",
            )

    def _refused(self, scope: Scope, headers: dict[str, str]) -> str:
        """Why a request is none of the page's own, whoever sends it, or nothing."""
        host = headers.get("host", "")
        if self._hosts is not None and host not in self._hosts:
            return "this server has another name"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "the request comes from another page"
        if scope["type"] == "websocket" and origin is None:
            return "a WebSocket needs an origin"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and scope["path"] != "/":
            return "the request comes from another page"
        return ""

    def _known(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Whether a request has the token, in its address or in a cookie."""
        return self._in_address(scope) or self._same(_cookies(headers).get(self._cookie, ""))

    def _in_address(self, scope: Scope) -> bool:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return self._same(given)

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _sending(self, scope: Scope, send: Send) -> Send:
        """What sends an answer with the headers of safety, and the cookie where the address had the token."""
        cookie = self._header() if scope["type"] == "http" and self._in_address(scope) else None

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [*_HEADERS, *([cookie] if cookie else [])]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        return sending

    def _header(self) -> tuple[bytes, bytes]:
        value = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return b"set-cookie", value.encode()

    async def _login(self, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > _MOST_FORM or not message.get("more_body"):
                break
        given = parse_qs(body[:_MOST_FORM].decode("utf-8", "replace")).get("password", [""])[0]
        if self._password is not None and hmac.compare_digest(given.encode(), self._password.encode()):
            await _answer(send, 303, "", "text/plain", [self._header(), (b"location", b"/")])
        else:
            await _answer(send, 403, "This is not the password.", "text/plain; charset=utf-8")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    try:
        found = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        return
    await _answer(send, 403, f"403: {reason}.\n", "text/plain; charset=utf-8")


async def _answer(send: Send, status: int, text: str, kind: str, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store"), *_HEADERS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
