"""From a connection to a WebSocket. Loop thread only.

The connection is ours before it is the library's: it may have been opened ahead, and nobody follows
a redirect or asks a proxy on it.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.uri import parse_uri

from .backoff import retry_after
from .endings import Ending, RateLimit, SetupFailed, Status, from_http, one_line
from .net import Endpoint, handshake_failure

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Official clients take 16 MiB; a message over this is a fault of the service."""

KEEPALIVE_SECONDS = 10.0
"""Between WebSocket pings of ours, and the time for each answer: a dead network is noticed within
20 s, where TCP alone would take many minutes."""

CLOSE_SECONDS = 2.0
"""For the closing handshake. The caller has gone by then; only the socket waits."""

WRITE_LIMIT_BYTES = 262_144
"""Of what waits in the transport; above it the library's own sending waits as well. Caller audio
stops far below (SEND_BUFFER_LIMIT in _core.pyx), so that on a network that takes nothing neither a
pong nor the keep-alive waits: the agent is heard, and the end is noticed in time."""

HANDSHAKE_SECONDS = 60.0
"""Upper bound for the WebSocket handshake alone; ``connect_timeout`` is the limit that counts."""


async def upgrade(transport: asyncio.Transport, url: str) -> ClientConnection:
    """Make a WebSocket of a connection that nobody has used. SetupFailed says why it is none."""
    endpoint = Endpoint.of(url)
    connection = ClientConnection(
        ClientProtocol(parse_uri(url), max_size=MAX_MESSAGE_BYTES),
        ping_interval=KEEPALIVE_SECONDS,
        ping_timeout=KEEPALIVE_SECONDS,
        close_timeout=CLOSE_SECONDS,
        write_limit=WRITE_LIMIT_BYTES,
    )
    # As the event loop does it for a connection that it has opened itself.
    transport.set_protocol(connection)
    connection.connection_made(transport)
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await connection.handshake()
    except BaseException as failure:
        transport.abort()
        raise _explained(endpoint, failure) from None
    connection.start_keepalive()
    return connection


def _explained(endpoint: Endpoint, failure: BaseException) -> BaseException:
    """What a caller of ours can use; a cancellation stays one."""
    if isinstance(failure, InvalidStatus):
        return _refused(failure)
    if isinstance(
        failure, InvalidHandshake | InvalidMessage | ConnectionClosed | EOFError | ValueError
    ):
        reason = one_line(f"{endpoint} does not speak WebSocket there: {failure}")
        return SetupFailed(Ending(Status.UNREACHABLE, reason, retry=True))
    if isinstance(failure, OSError) and not isinstance(failure, TimeoutError):
        return handshake_failure(endpoint, failure)
    return failure


def _refused(refused: InvalidStatus) -> SetupFailed:
    response = refused.response
    ending = from_http(response.status_code, bytes(response.body or b""), "the WebSocket")
    if response.status_code != 429:
        return SetupFailed(ending)
    return SetupFailed(ending, RateLimit(retry_after(response.headers.get("Retry-After"))))
