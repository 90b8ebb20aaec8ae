"""A WebSocket on a socket of the core: what ``websockets`` decides, carried out. Loop thread only.

The library's sans-I/O ``ClientProtocol`` makes the upgrade and keeps control frames, closing and
fragments; ``MediaSocket`` moves the bytes and takes the audio. Nothing here waits but ``close``,
and that has a limit. A message is handed on in the very call that has read it, so that nothing
overtakes anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

from .. import limits
from ..core._core import MediaSocket, SessionHandle, Ticker, tick_after
from .net import words_of


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection has ended. ``code`` is None where no close frame came."""

    code: int | None = None
    reason: str = ""


class Receiver(Protocol):
    """Whoever the messages are for."""

    def message(self, data: bytes) -> None:
        """One message of the service. An exception is told to ``failed``."""

    def skipped(self) -> None:
        """A message of more than ``MAX_MESSAGE_BYTES`` comes, and is left out."""

    def closed(self, closed: Closed) -> None:
        """The service has closed the connection, or it has broken; nothing comes any more."""

    def failed(self, fault: Exception) -> None:
        """``message`` has raised; the connection is still there."""


class WebSocket:
    """One connection, from its upgrade on."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol, ticker: Ticker) -> None:
        self._socket = MediaSocket(self, sock, limits.MAX_MESSAGE_BYTES)
        self.expect: Callable[[int | None], None] = self._socket.expect
        """See ``MediaSocket.expect``."""
        self._protocol, self._ticker = protocol, ticker
        self._receiver: Receiver | None = None
        self._early: list[bytes] = []
        self._fragments = bytearray()
        self._skips = False
        """The message under way is too long: nothing of it is kept."""
        self._told: Closed | None = None
        self._gone = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._received = self._sent = 0
        self._silent = self._stuck = 0
        """Looks of the keep-alive without a byte, in and out."""
        self._muted = False

    # ---- Beginning ----

    def feed(self, data: bytes) -> None:
        """Bytes read before ``start``: the answer to the upgrade, and what is behind it."""
        self._socket.feed(data)
        while self._socket.has_unread and not self.is_open:
            self._socket.feed(b"")  # what is left of a refusal no tick will come for

    @property
    def is_open(self) -> bool:
        """Whether the upgrade is through, and nobody has closed the connection."""
        return self._protocol.state is State.OPEN

    @property
    def is_answered(self) -> bool:
        """Whether the head of the answer to the upgrade has come; a refusal has a body as well."""
        return self._socket.has_head

    def start(self) -> None:
        """Let the tick read and write; ask from time to time whether the other end is there."""
        self._ticker.add(self._socket)
        self._ask_later()

    def receive(self, receiver: Receiver) -> None:
        """Hand messages to this receiver, those first that have come already."""
        self._receiver = receiver
        early, self._early = self._early, []
        for data in early:
            self._message(data)
        if self._told is not None:
            receiver.closed(self._told)

    def carry_audio(self, handle: SessionHandle, wished: bool, unsent_bytes: int) -> None:
        """Carry this session's audio both ways, the agent's without ``message``.

        ``wished``: see ``MediaSocket``. ``unsent_bytes``: so much the kernel may hold unsent.
        """
        self._socket.take_audio(handle, wished)
        self._socket.limit_unsent(unsent_bytes)
        handle.attach(self._socket)

    # ---- Sending ----

    def send(self, text: str) -> None:
        """Send one message, unless the connection is over. It waits its turn where need be."""
        if self.is_open:
            self._protocol.send_text(text.encode())
            self._flush()

    @property
    def has_room(self) -> bool:
        """Whether the network keeps up: what may wait elsewhere should, while it does not."""
        return self._socket.backlog_bytes == 0

    def _flush(self) -> None:
        """Carry out what the protocol wants sent. Its end of the stream is our ``close``."""
        if data := b"".join(self._protocol.data_to_send()):
            self._socket.send(data)
            if self._socket.backlog_bytes > limits.BACKLOG_BYTES:
                self._break()

    # ---- What MediaSocket tells ----

    def received(self, data: bytes) -> None:
        """Bytes that are not taken as audio."""
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        self._flush()
        if self._protocol.state is not State.OPEN and (
            self._protocol.state is not State.CONNECTING or self._socket.has_head
        ):
            self._socket.bypass()  # no frame of the conversation comes any more
        for event in events:
            self._take(event)
        fault = self._protocol.parser_exc
        if fault is not None:
            # What came is no WebSocket; the library has said so to the other end.
            self._tell(Closed(None, str(fault)))
            self._end_soon()

    def skipped(self, frame: bytes) -> None:
        """An empty frame in place of one that makes its message too long."""
        is_new = not self._skips
        self._skips = True
        self._fragments.clear()
        self.received(frame)
        if is_new and self._told is None and self._receiver is not None:
            self._receiver.skipped()

    def lost(self, error: OSError | None) -> None:
        """The stream is over."""
        self._protocol.receive_eof()
        received = self._protocol.close_rcvd
        words = "" if error is None else words_of(error)
        self._tell(Closed(received.code, received.reason) if received else Closed(None, words))
        self._end()

    def failed(self, fault: Exception) -> None:
        """A fault while something was read."""
        if self._receiver is not None:
            self._receiver.failed(fault)

    def _take(self, event: object) -> None:
        if isinstance(event, Response):
            return
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._join(event)
        elif event.opcode is Opcode.CLOSE:
            closed = self._protocol.close_rcvd
            assert closed is not None
            # The frame's own words decide, however long the rest takes.
            self._tell(Closed(closed.code, closed.reason))
            self._end_soon()

    def _join(self, frame: Frame) -> None:
        """Put a message together; in one place, for a frame may have a single byte."""
        if self._skips:
            self._skips = not frame.fin
        elif not frame.fin:
            self._fragments += frame.data
        elif self._fragments:
            data = bytes(self._fragments + frame.data)
            self._fragments.clear()
            self._message(data)
        else:
            self._message(bytes(frame.data))

    def _message(self, data: bytes) -> None:
        if self._told is not None:
            return
        if self._receiver is not None:
            self._receiver.message(data)
        elif not self._muted:
            self._early.append(data)

    def _tell(self, closed: Closed) -> None:
        """Tell once how it has ended."""
        if self._told is None:
            self._told = closed
            if self._receiver is not None:
                self._receiver.closed(closed)

    # ---- Is the other end there? ----

    def _ask_later(self) -> None:
        """On a tick, for which the loop wakes anyway."""
        loop = asyncio.get_running_loop()
        at = tick_after(loop.time() + limits.KEEPALIVE_SECONDS, limits.TICK_MANY_SECONDS)
        self._timer = loop.call_at(at, self._ask)

    def _ask(self) -> None:
        """Ask with a ping where nothing has come; give up where that got no answer.

        Whatever comes is a sign of life: audio, a message, a control frame. A service that takes
        nothing hears neither the caller nor our pings, whatever it says itself.
        """
        socket = self._socket
        self._silent = self._silent + 1 if socket.received_bytes == self._received else 0
        stuck = socket.backlog_bytes and socket.sent_bytes == self._sent
        self._stuck = self._stuck + 1 if stuck else 0
        self._received, self._sent = socket.received_bytes, socket.sent_bytes
        if self._silent >= limits.SILENT_LOOKS:
            self._give_up("nothing came", self._silent)
        elif self._stuck >= limits.STUCK_LOOKS:
            self._give_up("nothing was taken", self._stuck)
        else:
            if self._silent == limits.PING_AFTER_LOOKS:
                self._protocol.send_ping(b"")
                self._flush()
            self._ask_later()

    def _give_up(self, what: str, looks: int) -> None:
        seconds = looks * limits.KEEPALIVE_SECONDS
        self._break(f"keepalive ping timeout: {what} for {seconds:.0f} s")

    # ---- The end ----

    def _break(self, reason: str = "the service reads nothing") -> None:
        """Give the connection up."""
        self._tell(Closed(None, reason))
        self._end()

    def _end_soon(self) -> None:
        """The closing handshake is under way: its rest has a limit, which nothing prolongs."""
        if self._closing:
            return
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(limits.CLOSE_SECONDS, self._end)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()
        if not self._gone.done():
            self._gone.set_result(None)

    def mute(self) -> None:
        """Hand nothing on any more, nor queue any audio."""
        self._receiver, self._muted = None, True
        self._socket.expect(None)
        self._early.clear()

    def abort(self) -> None:
        """Close the socket at once."""
        self._end()

    async def close(self) -> None:
        """Close with code 1000 and wait for the other end; ``CLOSE_SECONDS`` at most."""
        self.mute()
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
            self._end_soon()
        elif self._protocol.state is State.CONNECTING:
            self._end()
        await asyncio.shield(self._gone)
