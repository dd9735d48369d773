"""The server as a process, without a browser: what gets in, and how it ends."""

import json
import signal
import urllib.error
import urllib.request

import pytest

pytest.importorskip("nicegui", reason="the server of the page needs NiceGUI")


@pytest.fixture(scope="module")
def server(start):
    return start()


def ask(server, path, *, token=True, data=None, **headers):
    """Status and body of a request."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        given["Cookie"] = f"xrd_{server.base.rsplit(':', 1)[1]}={server.token}"
    request = urllib.request.Request(server.base + path, data=data, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_only_the_page_itself_gets_in(server):
    assert ask(server, "/", token=False)[0] == 403
    assert ask(server, "/?token=wrong", token=False)[0] == 403
    assert ask(server, "/upload", token=False, data=b"1")[0] == 403
    assert ask(server, "/_nicegui_ws/socket.io/?EIO=4&transport=polling", token=False)[0] == 403
    assert ask(server, "/", Origin="http://evil.example")[0] == 403
    assert ask(server, "/", Host="evil.example")[0] == 403
    status, body = ask(server, "/")
    assert status == 200
    assert b"http://" not in body.replace(b"http://www.w3.org", b"").replace(server.base.encode(), b"")


def test_no_path_leads_to_other_files(server):
    for path in (
        "/export/../../etc/passwd",
        "/export/..%2f..%2fetc%2fpasswd",
        "/export/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/export/series.csv",
        "/upload/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
    ):
        status, body = ask(server, path)
        assert b"root:" not in body
        assert status in (404, 405, 409) or b"nicegui" in body  # which is the page itself


def test_a_file_is_taken_and_its_name_leads_nowhere(server, tmp_path):
    status, body = ask(server, "/upload", data=b"1 2", X_Name="..%2F..%2Fescaped.xy")
    assert status == 200
    assert len(json.loads(body)["key"]) == 32


def test_it_ends_on_a_signal_without_a_traceback(start, measured):
    for number, expected in ((signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)):
        own = start(measured)
        assert ask(own, "/")[0] == 200  # the network looks at the curve meanwhile
        own.process.send_signal(number)
        assert own.stop() == (expected, "")
