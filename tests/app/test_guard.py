"""Who may talk to the server of the page, without a browser."""

import asyncio

import pytest

from xrdml.app.guard import Guard, new_token

TOKEN = "a" * 43
PORT = 8123
OWN = f"127.0.0.1:{PORT}"


async def inner(scope, receive, send):
    """What is guarded."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(
    path="/",
    query="",
    *,
    kind="http",
    method="GET",
    body=b"",
    password=None,
    hosts=("127.0.0.1", "localhost"),
    **headers,
):
    """Messages that a request gets in answer."""
    given = {"host": OWN} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value is not None],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(inner, TOKEN, PORT, hosts, password)(scope, receive, send))
    return sent


def status(sent):
    return sent[0].get("status", sent[0]["type"])


def test_the_token_opens_the_page_and_becomes_a_cookie():
    sent = ask(query=f"token={TOKEN}")
    assert status(sent) == 200
    cookie = dict(sent[0]["headers"])[b"set-cookie"].decode()
    assert cookie.startswith(f"xrd_{PORT}={TOKEN}")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert status(ask("/upload", method="POST", cookie=f"other=1; xrd_{PORT}={TOKEN}")) == 200


@pytest.mark.parametrize("query", ["", "token=", "token=b", f"token={TOKEN}x", "token=%00"])
def test_without_the_token_there_is_403(query):
    for path in ("/", "/upload", "/export/session.json", "/_nicegui/x", "/../etc/passwd"):
        assert status(ask(path, query)) == 403


def test_a_websocket_of_another_page_is_refused():
    good = {"kind": "websocket", "query": f"token={TOKEN}"}
    assert status(ask(origin=f"http://{OWN}", **good)) == "websocket.accept"
    for origin in ("http://evil.example", "null", f"http://localhost:{PORT + 1}", None):
        assert status(ask(origin=origin, **good)) == "websocket.close"


def test_other_names_and_other_pages_are_refused():
    for headers in (
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": ""},
        {"origin": "https://evil.example"},
    ):
        assert status(ask(query=f"token={TOKEN}", **headers)) == 403
    assert status(ask("/upload", query=f"token={TOKEN}", sec_fetch_site="cross-site")) == 403


def test_a_password_opens_the_page_from_other_computers():
    asked = ask(password="long enough", hosts=None, host="lab:8123")
    assert status(asked) == 401
    assert b"password" in asked[1]["body"]
    form = {"method": "POST", "path": "/login", "password": "long enough", "hosts": None, "host": "lab:8123"}
    assert status(ask(body=b"password=wrong", **form)) == 403
    sent = ask(body=b"password=long+enough", **form)
    assert status(sent) == 303
    assert TOKEN in dict(sent[0]["headers"])[b"set-cookie"].decode()
    assert status(ask("/upload", password="long enough", hosts=None, host="lab:8123")) == 403
    assert status(ask("/login", method="POST", body=b"password=x" * 2000, password="x", hosts=None)) == 403


def test_no_two_tokens_are_alike():
    assert len({new_token() for _ in range(20)}) == 20
    assert len(new_token()) >= 40
