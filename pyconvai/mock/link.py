"""The mock's end of one WebSocket: sends, closes, resets, and records what it did."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from .messages import dump
from .record import Record
from .scenario import Agent

# The client's messages have some hundred bytes.
_READ_BYTES = 16 << 10

# SO_LINGER on with a time of 0: close() sends a RST instead of a FIN.
_LINGER_RESET = struct.pack("ii", 1, 0)


class DirectConnection(ServerConnection):
    """A connection that can hand whole text messages to its session as they are parsed.

    That saves a queue and a task switch for each of the thousands of audio chunks a second. Until
    ``deliver`` is set, and for fragments and control frames always, it is an ordinary connection.
    """

    deliver: Callable[[str], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        # By default asyncio allocates a buffer of 256 KiB for each read, which takes longer than
        # everything else about a small message.
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES

    def process_event(self, event: Event) -> None:
        """Called by the connection for each frame, on the loop."""
        text = _whole_text(event) if self.deliver is not None else None
        if self.deliver is None or text is None:
            super().process_event(event)
        else:
            self.deliver(text)


def _whole_text(event: Event) -> str | None:
    """Text of an unfragmented text message; None for all else, bad UTF-8 (1007) included."""
    if not isinstance(event, Frame) or not event.fin or event.opcode is not Opcode.TEXT:
        return None
    try:
        return str(event.data, "utf-8")
    except UnicodeDecodeError:
        return None


class Over(Exception):
    """The mock has ended the conversation; raised to leave the script from any depth."""


class Link:
    """Outbound half of one session."""

    def __init__(self, connection: DirectConnection, agent: Agent, record: Record):
        self.connection = connection
        self._agent = agent
        self._record = record
        self.closing = False

    async def send(self, message: dict[str, Any], forced: bool = False) -> None:
        """Sends one message, unless the agent's ``client_events`` leave its type out.

        ``forced`` sends it whatever the agent's configuration says (faults).
        """
        kind = str(message.get("type", "(no type)"))
        if not forced and kind not in self._agent.client_events:
            return
        await self.send_text(kind, dump(message))

    async def send_text(self, kind: str, text: str, fragments: int = 0) -> None:
        """Sends prepared text, counted as ``kind``, in ``fragments`` frames or as configured."""
        size = self._agent.fragment_bytes
        if fragments > 1:
            size = max(1, -(-len(text) // fragments))
        self._record.sent[kind] += 1
        if size and len(text) > size:
            await self.connection.send(text[i : i + size] for i in range(0, len(text), size))
        else:
            await self.connection.send(text)

    async def close(self, code: int, reason: str) -> None:
        """Closes with code and reason, then leaves the script."""
        self.closing = True
        self._record.event("close_sent", code=code, reason=reason)
        await self.connection.close(code, reason)
        raise Over

    async def reset(self) -> None:
        """Resets the TCP connection without a close frame, then leaves the script."""
        self.closing = True
        self._record.event("reset")
        reset_connection(self.connection)
        raise Over

    async def drop(self) -> None:
        """Ends the TCP stream without a close frame, then leaves the script."""
        self.closing = True
        self._record.event("drop")
        drop_connection(self.connection)
        raise Over


def drop_connection(connection: ServerConnection) -> None:
    """End of the stream, after all that has been sent; TLS can only end as a whole."""
    transport: asyncio.Transport = connection.transport
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def reset_connection(connection: ServerConnection) -> None:
    """TCP reset of a connection in any state."""
    transport: asyncio.Transport = connection.transport
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    transport.abort()
