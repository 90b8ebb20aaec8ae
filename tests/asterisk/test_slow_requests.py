"""Requests that never end: a stranger keeps no thread of the module, and not the module itself."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from testbed.instance import Instance
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN
from tests.timing import SECOND

MODULE = "app_elevenlabs_convai"
INACTIVITY_MS = 600_000
"""Of http.conf: so long Asterisk itself waits for a piece of a body, or for who is to read."""

LIMIT = 30 * SECOND
"""request.h has 2 s for a body and 2 s for its answer."""

PLACES = {
    "/elevenlabs": ("GET", 200),
    "/elevenlabs/status.json": ("GET", 401),
    "/elevenlabs/events": ("POST", 404),
    "/elevenlabs/hangup": ("POST", 401),
    "/elevenlabs/metrics": ("GET", 200),
    "/elevenlabs/none": ("PUT", 405),
}
"""How each is asked for, and what is answered."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\nhttp_page = yes\n")
    conf = pbx.etc / "http.conf"
    conf.write_text(conf.read_text() + f"session_inactivity = {INACTIVITY_MS}\n")
    pbx.cli("module reload http")
    return pbx


@contextmanager
def connected(pbx: Instance, sent: str = "", room: int = 0) -> Iterator[socket.socket]:
    """A connection on which something has been sent; with room for so many bytes of an answer."""
    with socket.socket() as connection:
        if room:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(LIMIT)
        connection.connect(("127.0.0.1", pbx.ports.http))
        connection.sendall(sent.encode())
        yield connection


def head(path: str, promise: str) -> str:
    """A request as far as its body, which is promised by a header."""
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    return f"{PLACES[path][0]} {path} HTTP/1.1\r\nHost: pbx\r\n{form}{promise}\r\n\r\n"


def answer(connection: socket.socket) -> str:
    """All that comes until the connection is closed."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass  # Closed with something unread on Asterisk's side.
    return b"".join(parts).decode()


def reached(pbx: Instance) -> int:
    """How many requests have come to the module's addresses."""
    return pbx.log().count("Match made with [elevenlabs")


def wait_reached(pbx: Instance, count: int) -> None:
    deadline = time.monotonic() + LIMIT
    while reached(pbx) < count:
        assert time.monotonic() < deadline, f"{reached(pbx)} of {count} requests have come"
        time.sleep(0.05)


def check_well(pbx: Instance) -> None:
    for path, (method, status) in PLACES.items():
        request = f"{method} {path} HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n\r\n"
        with connected(pbx, request) as connection:
            assert answer(connection).startswith(f"HTTP/1.1 {status} "), path


def test_a_body_that_never_comes(pbx: Instance) -> None:
    with ExitStack() as stack:
        asked = {
            path: stack.enter_context(connected(pbx, head(path, "Content-Length: 20") + "call=1"))
            for path in PLACES
        }
        for path, connection in asked.items():
            text = answer(connection)
            assert text.startswith(f"HTTP/1.1 {PLACES[path][1]} "), path
            assert "\r\nConnection: close\r\n" in text


PIECES = {
    "one byte at a time": ("Content-Length: 40000", "x", 0.3 * SECOND),
    "chunks without end": ("Transfer-Encoding: chunked", "400\r\n" + "x" * 1024 + "\r\n", 0.0),
    "one chunk without end": ("Transfer-Encoding: chunked", "7fffffff\r\n" + "x" * 1024, 0.0),
    "more than is taken": ("Content-Length: 2000000000", "x" * 1024, 0.0),
}


@pytest.mark.parametrize("path", ["/elevenlabs/hangup", "/elevenlabs/metrics"])
@pytest.mark.parametrize("how", PIECES)
def test_a_body_without_end(pbx: Instance, path: str, how: str) -> None:
    """However fast or slowly it comes, it is not read for long."""
    promise, piece, pause = PIECES[how]
    deadline = time.monotonic() + LIMIT
    with connected(pbx, head(path, promise)) as connection:
        while True:
            ready, _, _ = select.select([connection], [], [], pause)
            if ready:
                break
            assert time.monotonic() < deadline, "it is still read"
            try:
                connection.sendall(piece.encode())
            except ConnectionError:
                break
        text = answer(connection)
        assert not text or text.startswith("HTTP/1.1 ")
    check_well(pbx)


def test_who_reads_no_answer(pbx: Instance) -> None:
    start = len(pbx.log())
    with connected(pbx, "GET /elevenlabs HTTP/1.1\r\nHost: pbx\r\n\r\n" * 300, room=4096):
        pbx.wait_log("TCP timeout writing data", LIMIT, start)


def test_unloaded_meanwhile(pbx: Instance) -> None:
    """With all of them open, and neighbours that have not come to the module."""
    before = reached(pbx)
    with ExitStack() as stack:

        def ask(text: str) -> socket.socket:
            return stack.enter_context(connected(pbx, text))

        idle = ask("GET /elevenlabs HTTP/1.1\r\nHost: pbx\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        slow = ask("GET /elevenlabs HTTP/1.1\r\nHost: pbx\r\nAccept: ")
        half = ask("GET /elevenl")
        for path in PLACES:
            ask(head(path, "Content-Length: 20"))
        wait_reached(pbx, before + 1 + len(PLACES))
        pbx.cli(f"module unload {MODULE}.so")
        assert "0 modules loaded" in pbx.cli("module show like elevenlabs")
        # They go on, and find nobody, unless Asterisk has had enough of them.
        for connection, rest in ((slow, "*/*\r\n"), (half, "abs HTTP/1.1\r\n")):
            text = ""
            with suppress(ConnectionError):
                connection.sendall(f"{rest}Connection: close\r\n\r\n".encode())
                text = answer(connection)
            assert not text or text.startswith("HTTP/1.1 404 ")
        pbx.cli(f"module load {MODULE}.so")
    check_well(pbx)
