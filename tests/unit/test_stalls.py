"""A service that takes nothing, faults of our own, and stopping: what has a limit keeps it.

Every test is a call through the contract against a service that is scripted frame by frame.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Opcode

from pyconvai import limits
from pyconvai.conversation.session import Session
from pyconvai.core import _core
from pyconvai.service import net
from tests.timing import EVENT, NEVER
from tests.unit.engine import TALKING, Engine
from tests.unit.peer import (
    Certificates,
    Connection,
    RawService,
    audio,
    close_frame,
    text,
    until,
)

LAG_MS = 500
"""As in ``_core.pyx``."""


# ---- A service that takes nothing ----


@pytest.fixture
def no_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ends a connection because nothing comes or is taken."""
    monkeypatch.setattr(limits, "KEEPALIVE_SECONDS", NEVER)


@pytest.mark.usefixtures("quickly", "no_keepalive")
def test_hanging_up_on_a_service_that_reads_nothing(stay: threading.Event) -> None:
    """S8: 300 KiB of messages wait; the session ends in time, and so does its generation."""

    def script(service: Connection) -> None:
        service.begin()
        stay.wait(NEVER)

    engine = Engine()
    with RawService(script, buffer_bytes=4096) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        message, sent = "x" * 8000, 0
        end = time.monotonic() + EVENT
        while sent < 300 * 1024:
            assert time.monotonic() < end
            if call.send(0, message) == 0:
                sent += len(message)
            elif sent > 16 * len(message):
                break  # the rest waits in the outbox
        call.hangup()
        assert call.ending()[0] == "HANGUP"
        call.release()
        engine.ops.finish()
        until(lambda: not engine.ops.running())
        assert engine.stop() == 0
        stay.set()


@pytest.mark.parametrize(
    ("formats", "chunk_ms", "rate"),
    [(("ulaw_8000", "ulaw_8000"), 20, 8), (("ulaw_8000", "pcm_48000"), 100, 96)],
)
@pytest.mark.parametrize("secure", [True, False])
def test_audio_that_waits_is_bounded_in_ms(
    engine: Engine,
    certificates: Certificates,
    secure: bool,
    formats: tuple[str, str],
    chunk_ms: int,
    rate: int,
) -> None:
    """S13: of a stall of 3 s the agent hears what kernels held, and its end: LAG_MS.

    Each frame carries its number, and the newest is heard.
    """
    go_on, frames, size = threading.Event(), 150, 20 * rate
    heard: list[bytes] = []

    def frame(number: int) -> bytes:
        return number.to_bytes(2, "big") * (size // 2)

    def script(service: Connection) -> None:
        service.begin(*formats)
        assert go_on.wait(EVENT)
        while not service.heard.endswith(frame(frames - 1)):
            service.hear(len(service.heard) + 1)
        heard.append(bytes(service.heard))

    context = certificates.server() if secure else None
    with RawService(script, context, buffer_bytes=4096) as service:
        more = {"ca_file": str(certificates.ca), "chunk_ms": str(chunk_ms)}
        call = engine.call(settings=service.settings(**more))
        call.wait(TALKING)
        for number in range(frames):
            assert call.push(frame(number)) == size
            time.sleep(0.002)
        go_on.set()
        service.outcome()
        dropped = call.counters().send_dropped_bytes
        call.release()
    numbers = [int.from_bytes(heard[0][at : at + 2], "big") for at in range(0, len(heard[0]), size)]
    assert numbers == sorted(set(numbers)), "in order, none twice"
    assert dropped == (frames - len(numbers)) * size
    there_ms = 16_384 * 20 // (size * 4 // 3 + 30)  # the buffers of both kernels
    assert len(numbers) * 20 <= LAG_MS + chunk_ms + limits.UNSENT_MS + there_ms


# ---- Faults of our own ----


def test_a_fault_ends_its_own_call(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S9: the one whose fault it is is told; others hear and are heard, and the tick goes on."""
    message = Session.message

    def slip(self: Session, data: bytes) -> None:
        if self.handle.channel == "bad" and b"ping" in data:
            raise ZeroDivisionError("a slip")
        message(self, data)

    monkeypatch.setattr(Session, "message", slip)
    struck = threading.Event()

    def bad(service: Connection) -> None:
        service.begin()
        service.sock.sendall(text(type="ping", ping_event={"event_id": 1}))
        service.next(Opcode.CLOSE)
        struck.set()

    def good(service: Connection) -> None:
        service.begin()
        assert struck.wait(EVENT)
        service.sock.sendall(audio(b"a" * 160) + audio(b"b" * 160))
        assert service.hear(320) == b"u" * 320
        service.sock.sendall(close_frame(1000))

    with RawService(bad) as first, RawService(good) as second:
        other = engine.call(settings=second.settings())
        other.wait(TALKING)
        call = engine.call(settings=first.settings(), channel="bad")
        assert call.ending() == ("ERROR", "fault in the engine: ZeroDivisionError; see the log")
        for _ in range(2):
            other.push(b"u" * 160)
        assert other.ending()[0] == "AGENT_ENDED"
        assert other.hear(320) == b"a" * 160 + b"b" * 160
        for each in (call, other):
            each.release()
        second.outcome()


def test_a_fault_while_sending_ends_its_own_call(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S9: no call goes on that nobody hears."""
    broken = threading.Event()

    class Socket(socket.socket):
        def send(self, *arguments: Any) -> int:
            if broken.is_set():
                broken.clear()
                raise ZeroDivisionError("a slip")
            return super().send(*arguments)

    async def connect(family: socket.AddressFamily, address: Any) -> socket.socket:
        sock = Socket(family, socket.SOCK_STREAM)
        sock.connect(address)
        sock.setblocking(False)
        return sock

    monkeypatch.setattr(net, "_connect_one", connect)

    def script(service: Connection) -> None:
        service.begin()
        service.next(Opcode.CLOSE)

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        broken.set()
        call.push(bytes(160))
        assert call.ending() == ("ERROR", "fault in the engine: ZeroDivisionError; see the log")
        call.release()
        service.outcome()


def test_a_fault_of_the_tick_is_nobodys(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S9: it is told, and the tick goes on: the caller is heard, and hears."""
    send, faults = _core.send_waiting_audio, ["a slip"]

    def slip(handles: list[_core.SessionHandle]) -> None:
        if faults:
            raise ZeroDivisionError(faults.pop())
        send(handles)

    def script(service: Connection) -> None:
        service.begin()
        assert service.hear(160) == b"u" * 160
        service.sock.sendall(audio(b"a" * 160) + close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        monkeypatch.setattr(_core, "send_waiting_audio", slip)
        until(lambda: not faults)
        call.say(b"u" * 160)
        assert call.hear(160) == b"a" * 160
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()
    assert "a fault in the tick: Traceback" in engine.text()


# ---- Stopping ----


def test_limits_of_stopping_are_in_order() -> None:
    """H2: one closing handshake, all of them, what Asterisk's end gives the engine."""
    module = Path("app_elevenlabs_convai/app_elevenlabs_convai.c").read_text()
    found = re.search(r"^#define EXIT_LIMIT_MS (\d+)$", module, re.MULTILINE)
    assert found
    assert limits.CLOSE_SECONDS < limits.CLOSE_ALL_SECONDS < int(found.group(1)) / 1000


@pytest.mark.usefixtures("no_keepalive")
def test_stop_with_a_service_that_does_not_close(stay: threading.Event) -> None:
    """H2: within the limit of all closing handshakes."""

    def script(service: Connection) -> None:
        service.begin()
        stay.wait(NEVER)

    engine = Engine()
    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        assert engine.stop() == 0
        assert call.ending()[0] == "UNLOADED"
        call.release()
        stay.set()


def count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_a_fault_of_the_loop_while_it_is_to_finish(
    monkeypatch: pytest.MonkeyPatch, quickly: float
) -> None:
    """H2: cleaning up cannot fail, and leaves no thread."""

    def script(service: Connection) -> None:
        service.begin()
        service.next(Opcode.CLOSE)

    def fail(_handles: object) -> None:
        raise SystemExit("a fault that nothing catches")

    threads = count_threads()
    engine = Engine()
    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        engine.ops.finish()
        monkeypatch.setattr(_core, "send_waiting_audio", fail)
        assert call.ending() == ("ERROR", "the engine's loop has failed")
        call.release()
        service.outcome()
        until(lambda: not engine.ops.running())
    assert engine.stop() == 0
    assert "Event loop stopped" not in engine.text()
    until(lambda: count_threads() <= threads)
