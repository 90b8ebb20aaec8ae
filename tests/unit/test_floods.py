"""Messages of any kind, number and size: they cost every other call a few milliseconds at most.

What is measured is the processor time of the loop's thread within one tick, on the media socket,
the WebSocket and the conversation as they are. A machine that is busy takes some of it for itself,
so what is slow once is measured again.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

from pyconvai import limits
from pyconvai.conversation.effects import Send
from pyconvai.conversation.protocol import Conversation
from pyconvai.core._core import Ticker
from pyconvai.service.websocket import Closed, WebSocket
from tests.timing import EVENT, MS, soon_enough
from tests.unit.frame_reader import KEY
from tests.unit.peer import frame
from tests.unit.test_frame_reader import HEAD

pytestmark = pytest.mark.slow

TICK_MS = 16 * MS * 1000
"""Of processor time in one tick: 1 ms for a socket's first look, 2 ms for all floods, one message
of the largest size, and room for a slow machine."""


@pytest.fixture(autouse=True)
def none_of_the_tests_own_garbage() -> Iterator[None]:
    """Python's collector looks at what is there: a test run has ten times as much as the engine."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


METADATA = {"type": "conversation_initiation_metadata"}


class Call:
    """One call's receiver: what a session does with messages, as far as time goes."""

    def __init__(self, ticker: Ticker) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        protocol = ClientProtocol(parse_uri("ws://localhost/"), max_size=limits.MAX_MESSAGE_BYTES)
        protocol.key = KEY
        protocol.send_request(protocol.connect())
        protocol.data_to_send()
        self.websocket = WebSocket(near, protocol, ticker)
        self.websocket.feed(HEAD)
        self.websocket.start()
        self.conversation = Conversation()
        self.messages = self.skips = 0
        self.told: Closed | None = None
        self.message(json.dumps(METADATA).encode())
        self.websocket.receive(self)

    def message(self, data: bytes) -> None:
        self.messages += 1
        for effect in self.conversation.receive(data):
            if isinstance(effect, Send):
                self.websocket.send(effect.text)

    def skipped(self) -> None:
        self.skips += 1

    def closed(self, closed: Closed) -> None:
        self.told = closed

    def failed(self, fault: Exception) -> None:
        raise fault


@contextmanager
def pouring(far: socket.socket, data: bytes) -> Iterator[None]:
    """Send all of it, and read what is answered, on threads of their own."""
    over = threading.Event()

    def pour() -> None:
        with memoryview(data) as left:
            at = 0
            while at < len(left) and not over.is_set():
                at += far.send(left[at : at + 65_536])

    def drink() -> None:
        while far.recv(65_536):
            pass

    threads = [threading.Thread(target=pour), threading.Thread(target=drink)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        far.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(EVENT)


def turn(ticker: Ticker) -> float:
    """One tick, and what comes between two; its processor time in ms."""
    began = time.thread_time()
    ticker.first_word()
    ticker.tick()
    return (time.thread_time() - began) * 1000


def slowest_tick(ticker: Ticker, is_over: Callable[[], bool]) -> float:
    slowest, until = 0.0, time.monotonic() + 2 * EVENT
    while not is_over():
        assert time.monotonic() < until
        slowest = max(slowest, turn(ticker))
        time.sleep(0.001)
    return slowest


def text(**message: object) -> bytes:
    return frame(Opcode.TEXT, json.dumps(message).encode())


FLOODS = {
    "empty messages": frame(Opcode.TEXT, b"") * 60_000,
    "braces": frame(Opcode.TEXT, b"{}") * 40_000,
    "fragments": frame(Opcode.TEXT, b"", fin=0) + frame(Opcode.CONT, b"", fin=0) * 60_000,
    "fragments of a byte": frame(Opcode.TEXT, b"", fin=0)
    + frame(Opcode.CONT, b"x", fin=0) * 60_000,
    "ping frames": frame(Opcode.PING, b"") * 40_000,
    "pong frames": frame(Opcode.PONG, b"") * 40_000,
    "pings": text(type="ping", ping_event={"event_id": 3}) * 5000,
    "pings with long ids": text(type="ping", ping_event={"event_id": "9" * 1000}) * 1000,
    "errors": text(type="error", error_event={"message": "x" * 300}) * 5000,
    "tools": text(type="client_tool_call", client_tool_call={"tool_call_id": "x"}) * 5000,
    "interruptions": text(type="interruption", interruption_event={"event_id": 1}) * 5000,
    "scores": text(type="vad_score", vad_score_event={"vad_score": 0.5}) * 5000,
    "answers": text(type="agent_response", agent_response_event={"agent_response": "y"}) * 5000,
    "lists": text(type="x", x=[[]] * 4000) * 60,
    "what only Python would read": frame(Opcode.TEXT, b'{"x":[%s0]}' % (b"1e999," * 9000)) * 20,
    "numbers that nobody reads": frame(Opcode.TEXT, b'{"x":[%s0]}' % (b"1e999," * 1300)) * 100,
    "halves of characters": frame(Opcode.TEXT, b'{"x":[%s0]}' % (b'"\\ud83d",' * 900)) * 100,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=list(FLOODS))
@pytest.mark.parametrize("calls", [1, 8])
def test_a_flood_takes_its_share_of_a_tick(flood: bytes, calls: int) -> None:
    """K9: beside it another call is served at each tick; eight floods share what one may take."""

    async def run() -> float:
        ticker = Ticker()
        good = Call(ticker)
        bad = [Call(ticker) for _ in range(calls)]
        slowest = 0.0
        try:
            for call in bad:
                call.far.setblocking(False)
                call.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
                with suppress(BlockingIOError):
                    call.far.send(flood[: 1 << 20])
            for number in range(40):
                good.far.send(text(type="vad_score"))
                slowest = max(slowest, turn(ticker))
                assert good.messages == number + 2
        finally:
            for call in (good, *bad):
                call.websocket.abort()
                call.far.close()
            ticker.close()
        return slowest

    soon_enough(lambda: asyncio.run(run()), TICK_MS)


MOST = limits.MAX_MESSAGE_BYTES


def shape(piece: bytes, around: bytes = b"[]") -> bytes:
    """A message of the largest size, of many of these pieces."""
    begin, end = b'{"type":"error","x":' + around[:1], around[1:] + b"}"
    return begin + piece * ((MOST - len(begin) - len(end) - 1) // len(piece)) + b"0" + end


LARGE = {
    "lists": shape(b"[],"),
    "objects": shape(b"{},"),
    "strings": shape(b'"",'),
    "escapes": shape(b'\\"', b'""'),
    "digits": shape(b"7", b"  "),
    "blanks": shape(b" "),
    "half strings": shape(b'"' + b"x" * 4000 + b'",'),
    "depth": shape(b"["),
    "keys": b'{"type":"error"' + b"".join(b',"%d":%d' % (n, n) for n in range(70_000)) + b"}",
    "audio": json.dumps(
        {"type": "audio", "audio_event": {"audio_base_64": "A" * (MOST - 100), "event_id": 1}}
    ).encode(),
}


def fragments(message: bytes, size: int) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(
        frame(Opcode.CONT if number else Opcode.TEXT, piece, fin=number == len(pieces) - 1)
        for number, piece in enumerate(pieces)
    )


def poured(data: bytes, is_over: Callable[[Call], bool]) -> tuple[float, Call]:
    """The slowest tick while a call gets all of this; the call."""

    async def run() -> tuple[float, Call]:
        ticker = Ticker()
        call = Call(ticker)
        try:
            with pouring(call.far, data):
                return slowest_tick(ticker, lambda: is_over(call)), call
        finally:
            call.websocket.abort()
            call.far.close()
            ticker.close()

    return asyncio.run(run())


@pytest.mark.parametrize("size", [MOST, 1000])
@pytest.mark.parametrize("message", LARGE.values(), ids=list(LARGE))
def test_a_message_of_the_largest_size(message: bytes, size: int) -> None:
    """K9: whatever is in it, in one frame or in a thousand."""
    data = fragments(message, size) * 3

    def slowest() -> float:
        slowest, call = poured(data, lambda call: call.messages == 4)
        assert call.skips == 0
        return slowest

    soon_enough(slowest, TICK_MS)


@pytest.mark.parametrize("size", [40 << 20, 1 << 20, 5000])
def test_a_message_that_is_too_long_is_kept_nowhere(size: int) -> None:
    """K9: 40 MiB, in one frame or in many; what comes behind it is read."""
    data = fragments(bytes(40 << 20), size) + text(type="vad_score")

    def slowest() -> float:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        try:
            slowest, call = poured(data, lambda call: call.messages == 2)
            most = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert (call.skips, call.told) == (1, None)
        assert most < 4 * MOST
        return slowest

    soon_enough(slowest, TICK_MS)


def test_a_service_that_reads_nothing_gets_no_more_answers() -> None:
    """K9: what the library answers by itself waits within the same limit as all else."""

    async def run() -> Closed | None:
        ticker = Ticker()
        call = Call(ticker)
        flood = b""
        call.far.setblocking(False)
        until = time.monotonic() + EVENT
        while call.told is None:
            assert time.monotonic() < until
            flood = flood or frame(Opcode.PING, b"x" * 125) * 500
            with suppress(BlockingIOError):
                flood = flood[call.far.send(flood) :]
            turn(ticker)
        call.websocket.abort()
        call.far.close()
        ticker.close()
        return call.told

    assert asyncio.run(run()) == Closed(None, "the service reads nothing")
