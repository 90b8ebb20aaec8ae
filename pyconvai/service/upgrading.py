"""From a connection to a WebSocket. Loop thread only.

The engine opens the connection, not the library: so it can be opened before its URL is known, and
nobody asks a proxy or follows a redirect.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.uri import parse_uri

from .. import limits
from .backoff import retry_after
from .endings import Ending, RateLimit, SetupFailed, Status, from_http, one_line
from .net import Endpoint, handshake_failure


async def upgrade(transport: asyncio.Transport, url: str) -> ClientConnection:
    """Make a WebSocket of a connection that nobody has used. SetupFailed says why it is none."""
    endpoint = Endpoint.of(url)
    connection = ClientConnection(
        ClientProtocol(parse_uri(url), max_size=limits.MAX_MESSAGE_BYTES),
        ping_interval=limits.KEEPALIVE_SECONDS,
        ping_timeout=limits.KEEPALIVE_SECONDS,
        close_timeout=limits.CLOSE_SECONDS,
        write_limit=limits.WRITE_LIMIT_BYTES,
    )
    # As the event loop does it for a connection that it has opened itself.
    transport.set_protocol(connection)
    connection.connection_made(transport)
    try:
        async with asyncio.timeout(limits.HANDSHAKE_SECONDS):
            await connection.handshake()
    except BaseException as failure:
        transport.abort()
        raise _explained(endpoint, failure) from None
    connection.start_keepalive()
    return connection


def _explained(endpoint: Endpoint, failure: BaseException) -> BaseException:
    """The failure as SetupFailed; a cancellation or a timeout stays what it is."""
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
