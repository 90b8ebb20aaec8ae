"""The mock's end of one WebSocket: sends, closes, resets, and records what it did."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from websockets.asyncio.server import ServerConnection

from .messages import dump
from .record import Record
from .scenario import Agent

# SO_LINGER on with a time of 0: close() sends a RST instead of a FIN.
_LINGER_RESET = struct.pack("ii", 1, 0)


class Over(Exception):
    """The mock has ended the conversation; raised to leave the script from any depth."""


class Link:
    """Outbound half of one session."""

    def __init__(self, connection: ServerConnection, agent: Agent, record: Record):
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


def reset_connection(connection: ServerConnection) -> None:
    """TCP reset of a connection in any state."""
    transport: asyncio.Transport = connection.transport
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    transport.abort()
