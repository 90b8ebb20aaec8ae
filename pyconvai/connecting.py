"""From a call to an open conversation: hosts, attempts, signed URLs. Loop thread only.

Nothing here outlasts ``connect_timeout``, which the session holds over all of it. Nothing has been
heard by the caller yet, so whatever fails may be tried elsewhere.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from ._core import Link
from .backoff import BackOff, retry_after
from .endings import Busy, Ending, SetupFailed, Status, from_http, one_line
from .log import ChannelLog
from .net import Endpoint, Network, handshake_failure
from .protocol import Metadata
from .settings import Settings
from .signed_urls import SignedUrls, context_for

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

RETRY_SECONDS = 0.25
"""Before the second round of attempts; doubled before each further one."""

HANDSHAKE_SECONDS = 60.0
"""Upper bound for the WebSocket handshake alone; ``connect_timeout`` is the limit that counts."""

TEST_CHANNEL = "elevenlabs test agent"
"""What the command calls itself. It is to find out whether the key is good now, so it asks."""

Begin = Callable[[ClientConnection], Awaitable[Metadata]]
"""Begins the conversation on an open connection. SetupFailed says that it was refused."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of one engine have in common."""

    network: Network
    urls: SignedUrls
    back_off: BackOff


class Straight(connect):
    """Takes a redirect for what it is, a refusal: the library would give a fault of its own."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow nothing: whoever answers elsewhere was not chosen by the operator."""
        return exc


class Connector:
    """The set-up of one call."""

    def __init__(self, shared: Shared, link: Link) -> None:
        self._network, self._urls, self._back_off = shared.network, shared.urls, shared.back_off
        self._link = link
        self._may_use_kept = link.channel != TEST_CHANNEL
        self._log = ChannelLog(link, debug=False)
        self._left: set[asyncio.Task[None]] = set()

    async def connect(self, settings: Settings, begin: Begin) -> Metadata:
        """Reach the agent, trying again where that may help. SetupFailed carries the last cause."""
        self._log = ChannelLog(self._link, settings.debug)
        until = asyncio.get_running_loop().time() + settings.connect_timeout
        for attempt in range(1, settings.connect_attempts + 1):
            try:
                return await self._round(settings, begin, until)
            except SetupFailed as failed:
                if not failed.ending.retry or attempt == settings.connect_attempts:
                    raise
                self._log.notice(f"attempt {attempt} failed, trying again: {failed.ending.reason}")
            await asyncio.sleep(RETRY_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("connect_attempts is at least 1")

    async def close(self) -> None:
        """Wait for the connections that were left on the way; CLOSE_SECONDS at most."""
        if self._left:
            await asyncio.wait(self._left)

    async def _round(self, settings: Settings, begin: Begin, until: float) -> Metadata:
        """Try each host once. A host that knows us and says no has the last word.

        Another round may help where it may for any of them.
        """
        hosts = settings.hosts
        retry = False
        for number, host in enumerate(hosts, 1):
            try:
                return await self._within_share(host, begin, until, len(hosts) - number)
            except SetupFailed as failed:
                ending = failed.ending
                retry = retry or ending.retry
                if ending.status in (Status.AUTH, Status.REJECTED):
                    raise
                if number == len(hosts):
                    raise SetupFailed(
                        Ending(ending.status, ending.reason, retry=retry), failed.busy
                    ) from None
                self._log.notice(f"trying the next host of base_url: {ending.reason}")
        raise AssertionError("base_url holds at least one address")

    async def _within_share(
        self, host: Settings, begin: Begin, until: float, others: int
    ) -> Metadata:
        """One attempt, in a time that leaves as much to each host that is still to be tried."""
        left = until - asyncio.get_running_loop().time()
        share = left / (1 + others) if others else None
        try:
            async with asyncio.timeout(share):
                return await self._attempt(host, begin)
        except TimeoutError:
            reason = f"no conversation with {Endpoint.of(host.base_url)} within {share:.1f} s"
            raise SetupFailed(Ending(Status.TIMEOUT, reason, retry=True)) from None

    async def _attempt(self, host: Settings, begin: Begin) -> Metadata:
        """One attempt at one host, unless that wants to be left alone."""
        if refusal := self._back_off.refusal(host):
            raise SetupFailed(refusal)
        began = self._back_off.now()
        try:
            metadata = await self._ask(host, begin)
        except SetupFailed as failed:
            if failed.busy:
                self._back_off.refused(host, began, failed.ending, failed.busy.seconds)
            raise
        self._back_off.succeeded(host)
        if host.auth == "signed_url":
            self._urls.fetch_ahead(self._network, host)
        return metadata

    async def _ask(self, host: Settings, begin: Begin) -> Metadata:
        """With a URL that was fetched ahead; where that is refused, with one of now."""
        if host.auth != "signed_url":
            return await self._converse(host.public_url, host, begin)
        if not host.api_key:
            reason = f"no api_key for agent '{self._link.agent}' in elevenlabs.conf"
            raise SetupFailed(Ending(Status.AUTH, reason))
        kept = self._urls.take(host) if self._may_use_kept else None
        if kept:
            try:
                return await self._converse(kept, host, begin)
            except SetupFailed as failed:
                if failed.ending.status is not Status.AUTH:
                    raise
                self._log.debug(f"asking for another signed URL: {failed.ending.reason}")
        return await self._converse(await self._urls.fetch(self._network, host), host, begin)

    async def _converse(self, url: str, host: Settings, begin: Begin) -> Metadata:
        connection = await self._open(url, await context_for(self._network, host))
        try:
            return await begin(connection)
        except SetupFailed:
            await connection.close(1000)
            raise
        except asyncio.CancelledError:
            # Its time is up; the next host is not to wait for the closing handshake.
            task = asyncio.get_running_loop().create_task(_close(connection))
            self._left.add(task)
            raise

    async def _open(self, url: str, context: ssl.SSLContext | None) -> ClientConnection:
        """Open the WebSocket on a socket of ours, so that no proxy and no redirect has a say."""
        endpoint = Endpoint.of(url)
        if endpoint.secure and context is None:
            context = await self._network.tls("", verify=True)
        sock = await self._network.connect(endpoint)
        secure: dict[str, Any] = {}
        if endpoint.secure:
            secure = {"ssl": context, "server_hostname": endpoint.host}
        try:
            return await Straight(
                url,
                sock=sock,
                proxy=None,
                compression=None,
                open_timeout=HANDSHAKE_SECONDS,
                ping_interval=KEEPALIVE_SECONDS,
                ping_timeout=KEEPALIVE_SECONDS,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                write_limit=WRITE_LIMIT_BYTES,
                **secure,
            )
        except InvalidStatus as refused:
            raise _refused_handshake(refused) from None
        except (InvalidHandshake, InvalidMessage, EOFError, ValueError) as error:
            reason = one_line(f"{endpoint} does not speak WebSocket there: {error}")
            raise SetupFailed(Ending(Status.UNREACHABLE, reason, retry=True)) from None
        except OSError as error:
            raise handshake_failure(endpoint, error) from None


def _refused_handshake(refused: InvalidStatus) -> SetupFailed:
    response = refused.response
    ending = from_http(response.status_code, bytes(response.body or b""), "the WebSocket")
    if response.status_code != 429:
        return SetupFailed(ending)
    return SetupFailed(ending, Busy(retry_after(response.headers.get("Retry-After"))))


async def _close(connection: ClientConnection) -> None:
    """Close what nobody uses any more."""
    try:
        await connection.close(1000)
    except (OSError, ConnectionClosed):
        connection.transport.abort()
