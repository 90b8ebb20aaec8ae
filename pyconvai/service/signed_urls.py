"""Signed URLs: fetched before they are needed, so that a call has one request less to wait for.

A call takes the URL that is kept for its agent; once the conversation is up, the engine fetches the
next one in the background. Each URL is used once. The service documents that only of URLs with a
conversation id, but so each call costs one request as it did without this, no caller depends on
what the service does not promise, and a credential that has been used is not kept for another.
Loop thread only; the URLs go with the generation.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import orjson

from .. import limits
from ..secret import Secret
from .backoff import retry_after
from .endings import Ending, RateLimit, SetupFailed, Status, from_http
from .endpoint import Endpoint
from .net import Network
from .settings import Settings

Key = tuple[str, Secret, str, bool]


class SignedUrls:
    """The URLs of one engine."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Key, tuple[float, Secret]] = {}
        self._fetching: dict[Key, asyncio.Task[None]] = {}

    def take(self, settings: Settings) -> Secret | None:
        """The URL that is kept for this agent, for no other call; None where there is none."""
        asked, url = self._kept.pop(_key(settings), (0.0, None))
        return url if url and self._clock() - asked < limits.SIGNED_URL_LIFE_SECONDS else None

    async def fetch(self, network: Network, settings: Settings) -> Secret:
        """Ask the service for one. SetupFailed says why there is none."""
        context = await context_for(network, settings)
        headers: dict[str, str | Secret] = {
            "xi-api-key": settings.api_key,
            "Accept": "application/json",
        }
        request = settings.signed_url_request
        answer = await network.get(request, headers, context, settings.agent_id)
        if answer.status == 200:
            return _checked(_found(answer.body), settings)
        ending = from_http(answer.status, answer.body, "the request for a signed URL")
        if ending.status is Status.AUTH:
            self.forget(settings)
        rate_limit = RateLimit(retry_after(answer.retry_after)) if ending.busy else None
        raise SetupFailed(ending, rate_limit)

    def fetch_ahead(self, network: Network, settings: Settings) -> None:
        """Fetch the next one in the background, unless there is one or it is under way."""
        key = _key(settings)
        if key in self._fetching or key in self._kept:
            return
        task = asyncio.get_running_loop().create_task(self._fetch_ahead(network, settings, key))
        self._fetching[key] = task
        task.add_done_callback(lambda _: self._fetching.pop(key, None))

    async def _fetch_ahead(self, network: Network, settings: Settings, key: Key) -> None:
        """Nobody reports a failure: the next call asks by itself, and tells what is wrong."""
        asked = self._clock()
        try:
            async with asyncio.timeout(limits.SIGNED_URL_AHEAD_SECONDS):
                url = await self.fetch(network, settings)
        except Exception:  # whatever it was, it is met again, and told, by the next call
            return
        oldest = asked - limits.SIGNED_URL_LIFE_SECONDS
        self._kept = {k: v for k, v in self._kept.items() if v[0] > oldest}
        self._kept[key] = (asked, url)

    def forget(self, settings: Settings) -> None:
        """Drop what is kept: the key is not good any more."""
        self._kept.pop(_key(settings), None)


def _key(settings: Settings) -> Key:
    return (settings.signed_url_request, settings.api_key, settings.ca_file, settings.tls_verify)


async def context_for(network: Network, settings: Settings) -> ssl.SSLContext | None:
    """The TLS context that this agent's addresses need, or None."""
    if settings.is_secure:
        return await network.tls(settings.ca_file, settings.tls_verify)
    return None


def _found(body: bytes) -> Secret | None:
    """The URL that an answer holds; None: it holds none."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        url = orjson.loads(body)["signed_url"]
        return Secret(url) if isinstance(url, str) else None
    return None


def _checked(url: Secret | None, settings: Settings) -> Secret:
    """The URL, if it can be used: never in the clear where anything before it was encrypted."""
    scheme = url.reveal().partition("://")[0] if url else ""
    if url is None or scheme not in ("ws", "wss"):
        reason = "the answer to the request for a signed URL holds none; check base_url"
        raise SetupFailed(Ending(Status.ERROR, reason))
    if scheme == "ws" and settings.is_secure:
        reason = (
            "the signed URL that the service gave is not encrypted (ws), but base_url or"
            " signed_url_endpoint is (https), so it is not used; make both https, or both http"
        )
        raise SetupFailed(Ending(Status.ERROR, reason))
    if not _leads_somewhere(url):
        reason = "the signed URL that the service gave leads nowhere; check base_url"
        raise SetupFailed(Ending(Status.UNREACHABLE, reason, retry=True))
    return url


def _leads_somewhere(url: Secret) -> bool:
    """Whether it is a URL as a service writes it: the operator's may have blanks and umlauts."""
    try:
        Endpoint.of(url.reveal())
    except SetupFailed:
        return False
    return url.reveal().isascii() and " " not in url.reveal()
