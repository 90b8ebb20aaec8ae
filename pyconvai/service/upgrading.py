"""From a connection to a WebSocket. Loop thread only.

The engine opens the connection, not the library: so it can be opened before its URL is known, and
nobody asks a proxy or follows a redirect.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.uri import WebSocketURI

from .. import limits
from ..core._core import Ticker
from ..secret import Secret
from ..words import token
from .backoff import retry_after
from .endings import Ending, RateLimit, SetupFailed, Status, from_http
from .endpoint import Endpoint
from .net import USER_AGENT, Stream, handshake_failure
from .websocket import WebSocket

_NOWHERE = WebSocketURI(False, "localhost", 80, "", "")


async def upgrade(stream: Stream, url: Secret, ticker: Ticker) -> WebSocket:
    """Make a WebSocket of a connection that nobody has used. SetupFailed says why it is none."""
    endpoint = Endpoint.of(url.reveal())
    try:
        protocol, request = _ask(endpoint)
        websocket = WebSocket(stream.sock, protocol, ticker)
        await stream.send(request)
        await _shake_hands(stream, protocol, websocket)
    except BaseException as failure:
        stream.close()
        raise _explained(endpoint, failure) from None
    websocket.start()
    return websocket


def _ask(endpoint: Endpoint) -> tuple[ClientProtocol, bytearray]:
    """The library's part of a connection, and the request for the upgrade, which bears the URL.

    The library gets the parts that we have read: two readers of URLs could read two things.

    The URL is a credential: nobody keeps it that lives longer than the request.
    """
    uri = WebSocketURI(endpoint.secure, endpoint.name, endpoint.port, endpoint.target, "")
    protocol = ClientProtocol(uri, max_size=limits.MAX_MESSAGE_BYTES)
    request = protocol.connect()
    request.headers["User-Agent"] = USER_AGENT
    protocol.send_request(request)
    protocol.uri = _NOWHERE
    return protocol, bytearray(b"".join(protocol.data_to_send()))


async def _shake_hands(stream: Stream, protocol: ClientProtocol, websocket: WebSocket) -> None:
    """Read until the upgrade has been granted or refused.

    A refusal's body may end only with the connection: each part of it has ``CLOSE_SECONDS``.
    """
    while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
        data = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.CLOSE_SECONDS if websocket.is_answered else None):
                data = await stream.receive()
        if data:
            websocket.feed(data)
        else:
            protocol.receive_eof()
            break
    if protocol.handshake_exc is not None:
        raise protocol.handshake_exc


def _explained(endpoint: Endpoint, failure: BaseException) -> BaseException:
    """The failure as SetupFailed; a cancellation or a timeout stays what it is."""
    if isinstance(failure, InvalidStatus):
        return _refused(failure)
    if isinstance(failure, WebSocketException | EOFError | ValueError):
        # No text of the library's: it quotes the other end, and the URL, which may be a credential.
        where = f": its header {token(failure.name)}" if isinstance(failure, InvalidHeader) else ""
        reason = f"{endpoint} does not speak WebSocket there{where}"
        return SetupFailed(Ending(Status.UNREACHABLE, reason, retry=True))
    if isinstance(failure, OSError) and not isinstance(failure, TimeoutError):
        return handshake_failure(endpoint, failure)
    return failure


def _refused(refused: InvalidStatus) -> SetupFailed:
    response = refused.response
    # A body may have 1 MiB, and is read while all calls wait.
    ending = from_http(
        response.status_code,
        bytes(response.body or b"")[: limits.MAX_RESPONSE_BYTES],
        "the WebSocket",
    )
    if not ending.busy:
        return SetupFailed(ending)
    waits = response.headers.get_all("Retry-After")
    return SetupFailed(ending, RateLimit(retry_after(waits[0] if waits else None)))
