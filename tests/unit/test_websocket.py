"""What the WebSocket's states mean for a call.

Every test is a call through the contract against a service that is scripted frame by frame.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress

import pytest
from websockets.frames import Opcode

from pyconvai import limits
from pyconvai.service.websocket import WebSocket
from tests.timing import EVENT, NEVER, SECOND, soon_enough
from tests.unit.engine import ENDED, TALKING, Engine
from tests.unit.peer import (
    Certificates,
    Connection,
    RawService,
    audio,
    close_frame,
    frame,
    metadata,
    text,
    until,
)

# ---- Frames ----


def test_fragments_with_control_frames_between(engine: Engine) -> None:
    """Audio in one piece and in several keeps its order; a ping is answered at once."""

    def script(service: Connection) -> None:
        service.begin()
        service.sock.sendall(audio(b"a" * 160) + audio(b"b" * 160))
        whole = audio(b"c" * 160)[4:]
        service.sock.sendall(frame(Opcode.TEXT, whole[:5], fin=0))
        service.sock.sendall(frame(Opcode.PING, b"between"))
        service.sock.sendall(frame(Opcode.CONT, whole[5:40], fin=0))
        assert bytes(service.next(Opcode.PONG).data) == b"between"
        service.sock.sendall(frame(Opcode.CONT, b"", fin=0) + frame(Opcode.PONG))
        service.sock.sendall(frame(Opcode.CONT, whole[40:]) + audio(b"d" * 160))
        service.sock.sendall(close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(ENDED)
        service.outcome()
        assert call.hear(640) == b"".join(bytes([n]) * 160 for n in b"abcd")
        call.release()


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_messages_in_the_very_bytes_of_the_upgrade(engine: Engine, cut: int) -> None:
    """A part of a frame waits for its rest."""

    def script(service: Connection) -> None:
        behind = metadata() + audio(b"x" * 160) + audio(b"y" * 160)
        service.accept(behind[: len(behind) - cut])
        service.next(Opcode.TEXT)
        service.sock.sendall(behind[len(behind) - cut :] + close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        assert call.hear(320) == b"x" * 160 + b"y" * 160
        call.release()
        service.outcome()


RECORDS = 50


def test_a_burst_does_not_wait_for_one_tick_a_record(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, certificates: Certificates, quickly: float
) -> None:
    """TLS gives one record a read: an interruption behind fifty is not to wait for fifty ticks."""
    monkeypatch.setattr(limits, "TICK_SECONDS", ((4, 1.2 * EVENT / RECORDS),))
    ready = threading.Event()

    def script(service: Connection) -> None:
        service.begin()
        service.sock.sendall(audio(b"a" * 160))
        service.sock.sendall(audio(b"a" * 160))
        assert ready.wait(EVENT)
        for _ in range(RECORDS):
            service.sock.sendall(audio(b"a" * 160))
        service.sock.sendall(text(type="interruption", interruption_event={"event_id": 2}))
        service.drained()

    with RawService(script, certificates.server()) as service:
        call = engine.call(settings=service.settings(ca_file=str(certificates.ca)))
        call.wait(TALKING)
        until(lambda: call.queued == 320)
        ready.set()
        until(lambda: call.counters().interruptions == 1)
        call.release()


@pytest.mark.parametrize(
    ("wrong", "words", "code"),
    [
        (frame(Opcode.TEXT, b"{}", mask=True), "masking", 1002),
        (frame(3, b"{}"), "opcode", 1002),
        (frame(Opcode.TEXT, b"{}", rsv=4), "reserved", 1002),
        (frame(Opcode.PING, b"x", fin=0), "fragmented", 1002),
        (frame(Opcode.PING, b"x" * 126), "too long", 1002),
        (frame(Opcode.CONT, b"x"), "continuation", 1002),
        (frame(Opcode.TEXT, b"x", fin=0) + frame(Opcode.TEXT, b"x"), "continuation", 1002),
        (frame(Opcode.CLOSE, b"\x03"), "close", 1002),
    ],
)
def test_what_the_protocol_forbids(
    engine: Engine, quickly: float, wrong: bytes, words: str, code: int
) -> None:
    """The caller is told, the service too; and what it goes on sending holds nothing up."""
    closes: list[bytes] = []

    def script(service: Connection) -> None:
        service.begin()
        service.sock.sendall(wrong)
        closes.append(bytes(service.next(Opcode.CLOSE).data))
        with suppress(ConnectionError):
            while True:
                service.sock.sendall(b"and more" * 10)
                time.sleep(0.02)

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert status == "ERROR"
        assert reason == "the connection to the service broke"
        assert words in call.detail()
        call.release()
        service.outcome()
    assert int.from_bytes(closes[0][:2]) == code


@pytest.mark.parametrize("fragments", [1, 4])
def test_a_message_that_is_too_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, fragments: int
) -> None:
    """K9: it is left out, a ping within it is answered, and what comes behind it is heard."""
    monkeypatch.setattr(limits, "MAX_MESSAGE_BYTES", 4000)

    def script(service: Connection) -> None:
        service.begin()
        service.sock.sendall(audio(b"a" * 160))
        for _ in range(3):
            for number in range(fragments):
                opcode = Opcode.CONT if number else Opcode.TEXT
                is_last = number == fragments - 1
                service.sock.sendall(frame(opcode, b"{" * 1500, fin=is_last))
                service.sock.sendall(frame(Opcode.PING, b"%d" % number))
        service.sock.sendall(frame(Opcode.TEXT, b"{" * 5000))
        for number in range(3 * fragments):
            assert bytes(service.next(Opcode.PONG).data) == b"%d" % (number % fragments)
        service.sock.sendall(audio(b"b" * 160) + close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        assert call.hear(320) == b"a" * 160 + b"b" * 160
        assert engine.text().count("a message of the service left out: more than 4000 bytes") == 1
        call.release()


@pytest.mark.parametrize("survived", [True, False])
def test_audio_tells_that_an_error_was_survived(engine: Engine, survived: bool) -> None:
    """S2: also audio of the response that is queued, which is taken without a look at it."""
    fault = text(type="error", error_event={"message": "your quota"})

    def script(service: Connection) -> None:
        service.begin()
        heard = audio(b"a" * 160) * 3
        service.sock.sendall(heard + fault + heard * survived + close_frame(3000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == ("AUTH" if survived else "LIMIT")
        service.outcome()
        call.release()


# ---- Closing ----


@pytest.mark.parametrize(
    ("talking", "code", "words", "status"),
    [
        (True, 1000, "", "AGENT_ENDED"),
        (True, 1008, "Override not allowed", "REJECTED"),
        (False, 1008, "Override not allowed", "REJECTED"),
        (False, 3000, "Could not authorize the conversation.", "AUTH"),
        (False, 3008, "too many", "LIMIT"),
    ],
)
def test_a_close_frame_decides_at_once(
    engine: Engine, quickly: float, talking: bool, code: int, words: str, status: str
) -> None:
    """S5: though TCP stays open; that gets a short limit."""

    def script(service: Connection) -> None:
        service.accept()
        service.next(Opcode.TEXT)
        if talking:
            service.sock.sendall(metadata())
        service.sock.sendall(close_frame(code, words))
        service.next(Opcode.CLOSE)
        service.drained()

    with RawService(script) as service:
        call = engine.call(settings=service.settings(connect_timeout="60"))
        got, reason = call.ending()
        assert (got, call.detail()) == (status, words), reason
        service.outcome()
        call.release()


@pytest.mark.parametrize("answer", ["never", "late", "audio"])
def test_our_close_has_one_limit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """S5: from the first close frame on, whoever sent it and whatever comes after it."""
    limit = 1 * SECOND
    monkeypatch.setattr(limits, "CLOSE_SECONDS", limit)
    took: list[float] = []

    def script(service: Connection) -> None:
        service.begin()
        service.next(Opcode.CLOSE)
        began = time.monotonic()
        if answer == "late":
            time.sleep(0.8 * limit)
            service.sock.sendall(close_frame(1000))
        service.sock.settimeout(0.01)
        while True:
            try:
                if answer == "audio":
                    service.sock.sendall(audio(b"x" * 160))
                if not service.sock.recv(65_536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        took.append(time.monotonic() - began)

    def closing() -> float:
        with RawService(script) as service:
            call = engine.call(settings=service.settings())
            call.wait(TALKING)
            call.hangup()
            assert call.ending()[0] == "HANGUP"
            service.outcome()
            call.release()
        return took.pop()

    soon_enough(closing, 1.6 * limit)


def test_no_audio_is_queued_behind_the_end(engine: Engine) -> None:
    """What is queued may be played out: it is not to become more."""

    def script(service: Connection) -> None:
        service.begin()
        service.sock.sendall(audio(b"a" * 160) + audio(b"b" * 160))
        service.next(Opcode.CLOSE)
        service.sock.sendall(audio(b"c" * 160) * 3 + close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        until(lambda: call.queued == 320)
        engine.ops.end_all(11, b"maintenance")
        service.outcome()
        engine.ops.finish()
        until(lambda: not engine.ops.running())
        assert call.queued == 320
        call.release()


def test_both_close_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is on its way when theirs comes: nobody waits for a limit."""
    for limit in ("CLOSE_SECONDS", "CLOSE_ALL_SECONDS"):
        monkeypatch.setattr(limits, limit, NEVER)
    crossed = threading.Event()

    def script(service: Connection) -> None:
        service.begin()
        assert crossed.wait(EVENT)
        service.sock.sendall(close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        call.hangup()
        crossed.set()
        assert call.ending()[0] in ("HANGUP", "AGENT_ENDED")
        call.release()
        service.outcome()
        assert engine.stop() == 0


# ---- Is the other end there? ----


@pytest.mark.parametrize("sign", ["pong", "ping", "unknown"])
def test_a_quiet_agent_stays(engine: Engine, monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    """S6: whatever comes is a sign of life, control frames included."""
    monkeypatch.setattr(limits, "KEEPALIVE_SECONDS", 0.1 * SECOND)
    # There is one ping for each time that it was quiet: without the sign there is no second one.
    monkeypatch.setattr(limits, "SILENT_LOOKS", EVENT / limits.KEEPALIVE_SECONDS)

    def script(service: Connection) -> None:
        service.begin()
        for _ in range(2):
            service.next(Opcode.PING)
            service.sock.sendall(
                {
                    "pong": frame(Opcode.PONG),
                    "ping": frame(Opcode.PING),
                    "unknown": text(type="of_tomorrow"),
                }[sign]
            )
        service.sock.sendall(close_frame(1000))

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()


@pytest.mark.parametrize("talking", [False, True])
def test_a_service_that_is_not_there_any_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, stay: threading.Event, talking: bool
) -> None:
    """S6: nothing came, not even an answer to our ping. Before the metadata it is worth a retry."""
    monkeypatch.setattr(limits, "KEEPALIVE_SECONDS", 0.1 * SECOND)

    def script(service: Connection) -> None:
        service.accept()
        if talking:
            service.sock.sendall(metadata())
        stay.wait(NEVER)

    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert status == ("ERROR" if talking else "UNREACHABLE")
        assert reason
        assert "keepalive ping timeout: nothing came" in call.detail()
        call.release()
        stay.set()


# ---- A refused upgrade ----

BODY = json.dumps({"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}).encode()
LONG = BODY[:-1] + b" " * 40_000 + b"}"


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    pieces = (body[:half], body[half:])
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("body", [BODY, LONG])
@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("how", ["length", "chunked", "neither"])
def test_a_refused_upgrade(
    engine: Engine, quickly: float, stay: threading.Event, how: str, stays: bool, body: bytes
) -> None:
    """S14: its own words are told, wherever its body ends, and whether the connection does."""
    head = {
        "length": b"Content-Length: %d\r\n" % len(body),
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "neither": b"",
    }[how]

    def script(service: Connection) -> None:
        service.request()
        service.sock.sendall(b"HTTP/1.1 401 Unauthorized\r\n" + head + b"\r\n")
        time.sleep(0.02)
        service.sock.sendall(chunked(body) if how == "chunked" else body)
        if stays:
            stay.wait(NEVER)

    with RawService(script) as service:
        call = engine.call(settings=service.settings(connect_timeout="60"))
        status, reason = call.ending()
        assert (status, call.detail()) == ("AUTH", "Invalid API key (invalid_api_key)"), reason
        call.release()
        stay.set()


def test_a_refusal_for_which_a_tick_has_no_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in one piece, and its head alone takes longer than a socket may have of a tick."""
    received = WebSocket.received

    def slowly(websocket: WebSocket, data: bytes) -> None:
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
        received(websocket, data)

    def script(service: Connection) -> None:
        service.request()
        head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(LONG)
        service.sock.sendall(head + LONG)

    monkeypatch.setattr(WebSocket, "received", slowly)
    with RawService(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert (status, call.detail()) == ("AUTH", "Invalid API key (invalid_api_key)"), reason
        call.release()
