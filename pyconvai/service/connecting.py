"""From a call to an open conversation: hosts, attempts, signed URLs. Loop thread only.

The session bounds all of this by ``connect_timeout``. The caller has heard nothing yet, so what
fails may be tried again, at the same host or at another.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from .. import limits
from ..core._core import SessionHandle
from ..log import ChannelLog, frames
from ..secret import Secret
from ..ticks import Looks
from ..words import token
from .backoff import BackOff
from .endings import Ending, SetupFailed, Status
from .endpoint import Endpoint, place_of
from .metadata import Metadata
from .net import Network, Stream
from .routes import race
from .settings import Settings
from .signed_urls import SignedUrls, context_for
from .upgrading import upgrade
from .websocket import WebSocket

TEST_CHANNEL = "elevenlabs test agent"
"""The command of this name opens its session under it. It tests whether the key is good now, so it
uses no signed URL that was fetched before."""

StartConversation = Callable[[WebSocket], Awaitable[Metadata]]
"""Begins the conversation on an open connection. SetupFailed says that it was refused."""


@dataclass(frozen=True, slots=True)
class SharedState:
    """What the sessions of one engine have in common."""

    network: Network
    urls: SignedUrls
    back_off: BackOff
    looks: Looks


class Connector:
    """Sets up one call."""

    def __init__(self, shared: SharedState, handle: SessionHandle) -> None:
        self._network, self._urls, self._back_off = shared.network, shared.urls, shared.back_off
        self._handle = handle
        self._may_use_kept = handle.channel != TEST_CHANNEL
        self._log = ChannelLog(handle, debug=False)
        self._left: set[asyncio.Task[None]] = set()
        self._url = Secret("")
        """The last that was used: held until the call is over, so that no line of it shows any."""

    async def connect(self, settings: Settings, start: StartConversation) -> Metadata:
        """Reach the agent, trying again where that may help. SetupFailed carries the last cause."""
        self._log = ChannelLog(self._handle, settings.debug)
        until = asyncio.get_running_loop().time() + settings.connect_timeout
        for attempt in range(1, settings.connect_attempts + 1):
            try:
                return await self._round(settings, start, until)
            except SetupFailed as failed:
                if not failed.ending.retry or attempt == settings.connect_attempts:
                    raise
                self._log.notice(f"attempt {attempt} failed, trying again: {failed.ending}")
            await asyncio.sleep(limits.CONNECT_RETRY_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("connect_attempts is at least 1")

    async def close(self) -> None:
        """Wait for the connections of given up attempts to close; limits.CLOSE_SECONDS at most."""
        if self._left:
            await asyncio.wait(self._left)

    async def _round(self, settings: Settings, start: StartConversation, until: float) -> Metadata:
        """Try each host once. A host that refuses the key or the agent decides for all.

        The failure says ``retry`` if another attempt may help at any of the hosts.
        """
        hosts = await self._in_order(settings.hosts, until)
        routes, retry = self._network.routes, False
        for number, host in enumerate(hosts, 1):
            try:
                metadata = await self._within_share(host, start, until, len(hosts) - number)
            except SetupFailed as failed:
                ending = failed.ending
                retry = retry or ending.retry
                if ending.status in (Status.UNREACHABLE, Status.TIMEOUT):
                    routes.tell(_way(host), alive=False)
                if ending.status in (Status.AUTH, Status.REJECTED):
                    raise
                if number == len(hosts):
                    raise SetupFailed(replace(ending, retry=retry), failed.rate_limit) from None
                self._log.notice(f"trying the next host of base_url: {ending}")
            else:
                routes.tell(_way(host), alive=True)
                return metadata
        raise AssertionError("base_url holds at least one address")

    async def _in_order(self, hosts: list[Settings], until: float) -> list[Settings]:
        """These hosts, those last that have not answered lately.

        Where nobody knows of the first one, connections to all are raced: a dead host is to cost no
        more than its head start, and only one call.
        """
        routes = self._network.routes
        hosts = sorted(hosts, key=lambda host: routes.is_dead(_way(host)))
        if len(hosts) == 1 or routes.is_alive(_way(hosts[0])):
            return hosts

        async def reach(host: Settings) -> None:
            (await self._network.connect(Endpoint.of(host.first_url), host.agent_id)).close()

        left = until - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left / (1 + len(hosts)), limits.ADDRESS_SECONDS)):
                _, lost = await race(hosts, reach, limits.HOST_DELAY_SECONDS)
                for host, failure in lost.items():
                    routes.tell(_way(host), alive=False)
                    self._log.notice(f"trying the next host of base_url: {_why_not(host, failure)}")
        return sorted(hosts, key=lambda host: routes.is_dead(_way(host)))

    async def _within_share(
        self, host: Settings, start: StartConversation, until: float, others: int
    ) -> Metadata:
        """One attempt, in a time that leaves as much to each host that is still to be tried."""
        left = until - asyncio.get_running_loop().time()
        share = left / (1 + others) if others else None
        try:
            async with asyncio.timeout(share):
                return await self._attempt(host, start)
        except TimeoutError:
            reason = f"no conversation with {place_of(host.base_url)} within {share:.1f} s"
            raise SetupFailed(Ending(Status.TIMEOUT, reason, retry=True)) from None

    async def _attempt(self, host: Settings, start: StartConversation) -> Metadata:
        """One attempt at one host, unless the back-off forbids it."""
        if refusal := self._back_off.refusal(host):
            raise SetupFailed(refusal)
        began = self._back_off.now()
        try:
            metadata = await self._ask(host, start)
        except SetupFailed as failed:
            if failed.rate_limit:
                self._back_off.refused(host, began, failed.ending, failed.rate_limit.seconds)
            raise
        self._back_off.succeeded(host)
        if host.auth == "signed_url":
            self._urls.fetch_ahead(self._network, host)
        return metadata

    async def _ask(self, host: Settings, start: StartConversation) -> Metadata:
        """Take a signed URL that was fetched ahead; if the service refuses it, ask for another."""
        if host.auth != "signed_url":
            return await self._converse(Secret(host.public_url), host, start)
        if not host.api_key:
            reason = f"no api_key for agent '{token(self._handle.agent)}' in elevenlabs.conf"
            raise SetupFailed(Ending(Status.AUTH, reason))
        if not _can_be_sent(host.api_key):
            reason = (
                f"the api_key of agent '{token(self._handle.agent)}' has characters that no key has"
            )
            raise SetupFailed(Ending(Status.AUTH, reason))
        kept = self._urls.take(host) if self._may_use_kept else None
        if kept:
            try:
                return await self._converse(kept, host, start)
            except SetupFailed as failed:
                if failed.ending.status is not Status.AUTH:
                    raise
                self._log.debug(f"asking for another signed URL: {failed.ending}")
        return await self._ask_for_url(host, start)

    async def _ask_for_url(self, host: Settings, start: StartConversation) -> Metadata:
        """Ask for a signed URL and use it. It nearly always leads back to the host that was asked.

        So the connection for the conversation is opened while the URL is on its way, and such a
        call waits only for one answer more than others.
        """
        stream = None
        with self._fault_of(host):
            asked = Endpoint.of(host.signed_url_request)
            context = await context_for(self._network, host)
            opening = asyncio.get_running_loop().create_task(
                self._open(asked, context, host.agent_id)
            )
            try:
                url = await self._urls.fetch(self._network, host)
                if Endpoint.of(url.reveal()).place == asked.place:
                    stream = await opening
            finally:
                if stream is None:
                    _discard(opening)
        return await self._converse(url, host, start, stream)

    async def _converse(
        self, url: Secret, host: Settings, start: StartConversation, stream: Stream | None = None
    ) -> Metadata:
        """On this connection, or on a new one."""
        self._url = url
        if stream is not None and stream.has_ended:
            stream.close()
            stream = None
        with self._fault_of(host):
            if stream is None:
                context = await context_for(self._network, host)
                stream = await self._open(Endpoint.of(url.reveal()), context, host.agent_id)
            websocket = await upgrade(stream, url, self._network.ticker)
        try:
            return await start(websocket)
        except (SetupFailed, asyncio.CancelledError):
            # The next host, and the caller, are not to wait for the closing handshake.
            self._left.add(asyncio.get_running_loop().create_task(websocket.close()))
            raise

    @contextmanager
    def _fault_of(self, host: Settings) -> Iterator[None]:
        """Whatever goes wrong on the way to a host is that host's: SetupFailed; others are tried.

        No text of an exception is told: it may hold the URL, which is a credential.
        """
        try:
            yield
        except SetupFailed:
            raise
        except Exception as fault:
            self._log.error(f"a fault on the way to {place_of(host.base_url)}: {frames(fault)}")
            reason = f"{place_of(host.base_url)} cannot be reached ({token(type(fault).__name__)})"
            raise SetupFailed(Ending(Status.UNREACHABLE, reason, retry=True)) from None

    async def _open(self, endpoint: Endpoint, context: ssl.SSLContext | None, agent: str) -> Stream:
        """A new connection to where a URL leads. Nobody else has a say: no proxy, no redirect."""
        if endpoint.secure and context is None:
            context = await self._network.tls("", verify=True)
        return await self._network.open(endpoint, context, agent)


def _can_be_sent(key: Secret) -> bool:
    return key.reveal().isascii() and key.reveal().isprintable()


def _way(host: Settings) -> Hashable:
    """What decides whether a host can be reached."""
    return host.first_url.partition("?")[0], host.ca_file, host.tls_verify


def _why_not(host: Settings, failure: BaseException) -> str:
    """Why a connection to a host was not waited for."""
    if isinstance(failure, SetupFailed):
        return str(failure.ending)
    return f"{place_of(host.first_url)} does not answer"


def _discard(opening: asyncio.Task[Stream]) -> None:
    """Whatever becomes of it: close a connection that nobody needs."""

    def close(opened: asyncio.Task[Stream]) -> None:
        if not opened.cancelled() and opened.exception() is None:
            opened.result().close()

    opening.add_done_callback(close)
    opening.cancel()
