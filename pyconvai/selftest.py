"""The self-test: a conversation that a new engine holds with itself before any caller does.

One end is a session as the C module opens it, the other an agent of a few lines. Between them is
all that a call uses: the table's functions, both rings, the tick, ``Session``, ``websockets``, the
protocol, base64 and the core's sending. Only name look-up, TLS and the signed URL are left out,
because a pair of sockets stands in for the network. It takes some 10 ms.

An engine that fails must not be given a call: the module says so and keeps the engine before it.
Runs on the loop thread, before anybody else knows of the loop.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from . import limits
from .core import _core
from .service.endings import Status
from .service.endpoint import Endpoint
from .service.net import Network
from .service.routes import Routes

SETTINGS = {
    "agent_id": "self-test",
    "base_url": "http://self-test",
    "auth": "none",
    "connect_attempts": "1",
    "max_duration": "60",
}
CONVERSATION = "conv_self_test"
QUESTION = bytes(range(160))
STALE, ANSWER = b"\x11" * 800, bytes(range(255, 95, -1))
PING_ID = 7
TALKING, ENDED = 1, 2
"""``enum convai_state``."""


class Loop(Protocol):
    """What is tested: the Runtime."""

    network: Network

    @property
    def idle(self) -> bool:
        """Whether no session is left."""


class SelfTestFailed(Exception):
    """What the engine did not do."""


def _expect(held: bool, what: str) -> None:
    if not held:
        raise SelfTestFailed(f"self-test: {what}")


async def converse(loop: Loop) -> None:
    """Hold the conversation. SelfTestFailed, or whatever the engine raises, when it goes wrong."""
    network = loop.network
    near, far = socket.socketpair()
    loop.network = _PairNetwork(near, network.ticker)
    try:
        async with asyncio.timeout(limits.SELFTEST_SECONDS):
            async with asyncio.TaskGroup() as both:
                both.create_task(_Agent().serve(far))
                both.create_task(_call())
            await _until(lambda: loop.idle)
    except TimeoutError:
        seconds = f"{limits.SELFTEST_SECONDS:.0f} s"
        raise SelfTestFailed(f"self-test: not done within {seconds}") from None
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        loop.network = network
        near.close()
        far.close()


class _PairNetwork(Network):
    """A network in which every address is the other end of a pair of sockets."""

    def __init__(self, sock: socket.socket, ticker: _core.Ticker) -> None:
        self._sock, self.ticker, self.routes = sock, ticker, Routes()

    async def connect(self, endpoint: Endpoint, agent: str = "") -> socket.socket:
        """The session's end of the pair, which it closes."""
        sock = self._sock.dup()
        sock.setblocking(False)
        return sock


# ---- The caller ----


async def _call() -> None:
    probe = _core.Probe("self-test", SETTINGS)
    try:
        await _until(lambda: probe.poll()[0] >= TALKING)
        state, _, _, conversation, reason = probe.poll()
        _expect(state == TALKING, f"the conversation did not come up: {reason}")
        _expect(conversation == CONVERSATION, "the conversation has a wrong id")
        _expect(probe.push(QUESTION) == len(QUESTION), "caller audio was refused")
        await _until(lambda: probe.poll()[0] == ENDED)
        _, status, play_out, _, reason = probe.poll()
        _expect(status == Status.AGENT_ENDED and play_out, f"it ended with {status}: {reason}")
        _expect(probe.pop(len(STALE) + len(ANSWER)) == ANSWER, "agent audio is not what was sent")
    finally:
        probe.release()


async def _until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - the session tells nobody
        await asyncio.sleep(limits.SELFTEST_POLL_SECONDS)


# ---- The agent ----


class _Agent:
    """The service's side: greets, is interrupted, answers what was asked, and says goodbye."""

    def __init__(self) -> None:
        self._protocol = ServerProtocol()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._received: list[Any] = []

    async def serve(self, sock: socket.socket) -> None:
        self._reader, self._writer = await asyncio.open_connection(sock=sock)
        try:
            await self._converse()
        finally:
            self._writer.transport.abort()

    async def _converse(self) -> None:
        request = await self._next()
        _expect(isinstance(request, Request), "no WebSocket handshake")
        self._protocol.send_response(self._protocol.accept(request))
        opening = await self._message()
        kind = opening.get("type")
        _expect(kind == "conversation_initiation_client_data", f"the first message is {kind}")
        self._say("conversation_initiation_metadata", METADATA)
        self._say("audio", {"audio_base_64": _base64(STALE), "event_id": 1})
        self._say("ping", {"event_id": PING_ID})
        await self._hear(
            {"type": "pong", "event_id": PING_ID}, {"user_audio_chunk": _base64(QUESTION)}
        )
        self._say("interruption", {"event_id": 2})
        self._say("audio", {"audio_base_64": _base64(ANSWER), "event_id": 2})
        self._protocol.send_close(1000)
        self._flush()
        while await self._next() is not None:
            pass

    async def _hear(self, *expected: dict[str, Any]) -> None:
        """Each of these messages once, in any order."""
        left = list(expected)
        while left:
            message = await self._message()
            shown = str(message)[: limits.MAX_SHOWN_CHARACTERS]
            _expect(message in left, f"the agent was sent {shown}, not {left[0]}")
            left.remove(message)

    def _say(self, kind: str, content: dict[str, Any]) -> None:
        self._protocol.send_text(orjson.dumps({"type": kind, f"{kind}_event": content}))
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            else:
                self._writer.write_eof()

    async def _message(self) -> Any:
        frame = await self._next()
        if not isinstance(frame, Frame) or frame.opcode is Opcode.CLOSE:
            await asyncio.Event().wait()  # the session has ended; _call tells why
        _expect(frame.opcode is Opcode.TEXT, "what was sent is no text")
        return orjson.loads(bytes(frame.data))

    async def _next(self) -> Any:
        """The next event of the connection; None once it is closed."""
        while not self._received:
            self._flush()
            data = await self._reader.read(limits.READ_BYTES)
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            self._received += self._protocol.events_received()
            if not data:
                break
        self._flush()
        return self._received.pop(0) if self._received else None


METADATA = {
    "conversation_id": CONVERSATION,
    "agent_output_audio_format": "ulaw_8000",
    "user_input_audio_format": "ulaw_8000",
}


def _base64(audio: bytes) -> str:
    return base64.b64encode(audio).decode()
