"""Reaching the service: names, sockets, TLS contexts and one HTTPS request. Loop thread only.

What blocks (name look-up, reading certificates) runs in a small pool of the engine's own. asyncio's
default pool would let a few hanging look-ups stall those of every other call; here each host has at
most one look-up in flight, and all who want it share the answer.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from .. import __version__, limits
from ..core._core import Ticker, name_thread
from ..secret import Secret
from ..words import token
from .endpoint import Endpoint
from .routes import Address, Routes, race

T = TypeVar("T")

USER_AGENT = f"app_elevenlabs_convai/{__version__}"
"""Who asks, in every request: the one for a signed URL, and the one for an upgrade."""


class Answer(NamedTuple):
    """What came back from one request."""

    status: int
    body: bytes
    retry_after: str | None
    """The header Retry-After, as it came."""


class Stream:
    """A connected socket, plain or TLS, which does not hold up the loop. Its owner closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Shake hands over TLS with who has this name. OSError when that fails."""
        self.sock = context.wrap_socket(
            self.sock, server_hostname=name, do_handshake_on_connect=False
        )
        await self._attempt(self.sock.do_handshake)

    async def send(self, request: bytearray) -> None:
        """Send all of it, and overwrite it, for it may bear a secret. OSError when that fails."""
        rest = memoryview(request)
        try:
            while rest:
                sent = await self._attempt(lambda: self.sock.send(rest), writing=True)  # noqa: B023
                rest = rest[sent:]
        finally:
            request[:] = bytes(len(request))

    async def receive(self) -> bytes:
        """What comes next; nothing at the end of the stream. OSError when that fails."""
        return await self._attempt(lambda: self.sock.recv(limits.READ_BYTES))

    @property
    def has_ended(self) -> bool:
        """Whether the other end has closed a connection on which nothing was said yet."""
        try:
            self.sock.recv(1)  # whoever speaks before being asked is no use either
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Close the socket without another word."""
        self.sock.close()

    async def _attempt(self, operation: Callable[[], T], *, writing: bool = False) -> T:
        """Repeat what would block once the socket is ready; TLS may want either direction."""
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                await self._ready(writing=False)
            except ssl.SSLWantWriteError:
                await self._ready(writing=True)
            except BlockingIOError:
                await self._ready(writing=writing)

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        fd = self.sock.fileno()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        (loop.add_writer if writing else loop.add_reader)(fd, wake)
        try:
            await ready
        finally:
            (loop.remove_writer if writing else loop.remove_reader)(fd)


class Network:
    """What the sessions of one loop share to reach the service: look-ups, TLS contexts, a pool."""

    def __init__(self) -> None:
        self.ticker = Ticker()
        self.routes = Routes()
        self._pool = _pool()
        self._lookups: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}
        self._contexts: dict[tuple[str, bool], asyncio.Future[ssl.SSLContext]] = {}
        self._contexts_since = 0.0

    def close(self) -> None:
        """Start no more look-ups. One under way ends by itself, in a thread that holds nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.ticker.close()

    async def connect(self, endpoint: Endpoint) -> socket.socket:
        """Open a TCP connection to the address that answers first; see ``Routes.order``.

        SetupFailed says what went wrong.
        """
        addresses = self.routes.order(endpoint.place, await self._addresses(endpoint))
        limit = limits.ADDRESS_SECONDS if len(addresses) > 1 else None
        opened: set[socket.socket] = set()

        async def attempt(address: Address) -> socket.socket:
            async with asyncio.timeout(limit):
                opened.add(sock := await _connect_one(*address))
                return sock

        try:
            connected, lost = await race(addresses, attempt, limits.ADDRESS_DELAY_SECONDS)
            for address in lost:
                self.routes.tell(address, alive=False)
            if connected is None:
                failure = next(reversed(lost.values()), None)
                raise _unreachable(f"cannot connect to {endpoint}: {_why(failure)}")
            address, sock = connected
            opened.remove(sock)
            self.routes.connected(endpoint.place, address)
            return sock
        finally:
            for late in opened:  # nobody waits for it any more
                late.close()

    async def open(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> Stream:
        """Open a connection, with TLS where the address wants it. SetupFailed says what failed."""
        stream = Stream(await self.connect(endpoint))
        if not endpoint.secure:
            return stream
        assert context is not None
        try:
            await stream.secure(context, endpoint.name)
        except OSError as error:
            stream.close()
            self.routes.doubt(endpoint.place)
            raise handshake_failure(endpoint, error) from None
        except BaseException:
            stream.close()
            raise
        return stream

    async def _addresses(self, endpoint: Endpoint) -> list[Address]:
        key = (endpoint.host, endpoint.port)
        lookup = self._lookups.get(key)
        if lookup is None:
            loop = asyncio.get_running_loop()
            lookup = loop.run_in_executor(self._pool, _look_up, *key)
            self._lookups[key] = lookup

            def done(finished: asyncio.Future[list[Address]]) -> None:
                self._lookups.pop(key, None)
                _take_note(finished)

            lookup.add_done_callback(done)
        try:
            return await asyncio.shield(lookup)
        except OSError as error:
            raise _unreachable(
                f"cannot find the host {endpoint.host}: {words_of(error)}; check base_url and DNS"
            ) from None

    async def tls(self, ca_file: str, verify: bool) -> ssl.SSLContext:
        """The TLS context for these settings; kept for a while, for reading costs some 10 ms."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._contexts_since > limits.CERTIFICATES_SECONDS:
            self._contexts.clear()
            self._contexts_since = loop.time()
        key = (ca_file, verify)
        made = self._contexts.get(key)
        if made is None:
            made = loop.run_in_executor(self._pool, _make_context, ca_file, verify)
            made.add_done_callback(_take_note)
            self._contexts[key] = made
        try:
            return await asyncio.shield(made)
        except OSError as error:  # ssl.SSLError is one
            self._contexts.pop(key, None)
            shown = _path(ca_file).decode("utf-8", "replace")
            reason = f"cannot use the ca_file: {words_of(error)}"
            raise SetupFailed(Ending(Status.ERROR, reason, detail=shown)) from None

    async def get(
        self,
        url: str,
        headers: Mapping[str, str | Secret],
        context: ssl.SSLContext | None,
        agent: str = "",
        most: int = limits.MAX_RESPONSE_BYTES,
    ) -> Answer:
        """One GET on a connection of its own. Follows no redirect.

        The caller bounds the time. SetupFailed when there was no HTTP answer at all.
        """
        endpoint = Endpoint.of(url)
        stream = await self.open(endpoint, context)
        try:
            await stream.send(_request(endpoint, headers))
            return await _read_answer(stream, endpoint)
        except OSError as error:
            raise _unreachable(f"{endpoint} broke the connection: {words_of(error)}") from None
        finally:
            stream.close()


def _pool() -> ThreadPoolExecutor:
    """A pool that starts all of its threads at once.

    Left to itself the pool would start a thread whenever look-ups happen to overlap, some time into
    the day; so the number of threads tells how many engines are alive, and nothing else.
    """
    pool = ThreadPoolExecutor(
        limits.POOL_THREADS, "convai-net", initializer=name_thread, initargs=("convai-net",)
    )
    all_there = threading.Barrier(limits.POOL_THREADS)
    for _ in range(limits.POOL_THREADS):
        pool.submit(all_there.wait, limits.POOL_START_SECONDS)
    return pool


def _take_note(finished: asyncio.Future[Any]) -> None:
    """Look at a failure that nobody waits for any more: asyncio logs one that nobody looks at."""
    if not finished.cancelled():
        finished.exception()


def _look_up(host: str, port: int) -> list[Address]:
    """Pool thread. May block for as long as the system's resolver does."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]


def _path(text: str) -> bytes:
    """The name of a file as the C module has given it, whatever Python takes such names to be."""
    return text.encode("utf-8", "surrogateescape")


def _make_context(ca_file: str, verify: bool) -> ssl.SSLContext:
    """Pool thread. Reads files.

    Not Python's default context: that one is stricter from 3.13 on, so an upgrade of Python could
    end the trust in a ``ca_file``; and it may write its keys to a file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca_file:
        context.load_verify_locations(_path(ca_file))
    else:
        context.load_default_certs()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _connect_one(
    family: socket.AddressFamily, address: tuple[str, int] | tuple[str, int, int, int]
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)  # close-on-exec by default
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, limits.UNSENT_BYTES)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _unreachable(reason: str) -> SetupFailed:
    return SetupFailed(Ending(Status.UNREACHABLE, one_line(reason), retry=True))


def _why(failure: BaseException | None) -> str:
    """Why no address has answered, by what became of the last one."""
    if failure is None:
        return "no address"
    if isinstance(failure, OSError) and (words := words_of(failure)):
        return words
    return f"no answer within {limits.ADDRESS_SECONDS:.0f} s"


def handshake_failure(endpoint: Endpoint, error: OSError) -> SetupFailed:
    """What to say when a connection came up but its handshake, TLS or WebSocket, did not.

    A certificate that is not trusted now will not be trusted in a second; all else is retried.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return SetupFailed(
            Ending(
                Status.UNREACHABLE,
                f"the certificate of {endpoint} is not trusted;"
                f" check {token(endpoint.key)}, or set ca_file",
                detail=error.verify_message,
            )
        )
    return _unreachable(
        f"no {'TLS' if endpoint.secure else 'conversation'} with {endpoint}: {words_of(error)}"
    )


def words_of(error: OSError) -> str:
    """What has happened, without what Python adds: a place in its source, or an address."""
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "reason", None) or error.strerror or "")
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _request(method: str, endpoint: Endpoint, headers: Mapping[str, str | Secret]) -> bytearray:
    own = {"Host": endpoint.authority, "User-Agent": USER_AGENT, "Connection": "close"}
    request = bytearray(f"{method} {endpoint.target} HTTP/1.1\r\n".encode("latin-1"))
    for name, value in {**own, **headers}.items():
        text = value.reveal() if isinstance(value, Secret) else value
        request += f"{name}: {text}\r\n".encode("latin-1")
    request += b"\r\n"
    return request


_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"(HTTP/1\.\d 1\d\d[^\n]*\n([^\r\n][^\n]*\n)*\r?\n)+")
"""Answers that only say that another one will come, as 100 and 103 do. Nobody has asked for 101."""


async def _read_answer(stream: Stream, endpoint: Endpoint) -> Answer:
    """The answer, as soon as it is whole: not every server closes when asked to.

    Behind the head each part has ``ANSWER_PART_SECONDS``: some answers end only with their
    connection, and of others only silence tells that they are broken.
    """
    come = b""
    while True:
        has_head, piece = _HEAD_END.search(come), b""
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.ANSWER_PART_SECONDS if has_head else None):
                piece = await stream.receive()
        come += piece
        if interim := _INTERIM.match(come):
            come = come[interim.end() :]
        is_all = not piece or len(come) >= limits.MAX_RESPONSE_BYTES
        if answer := _parse_response(come, endpoint, is_all):
            return answer


class _Replay:
    """Bytes that have come already, given to http.client as if they were a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._answer)


def _parse_response(come: bytes, endpoint: Endpoint, is_all: bool) -> Answer | None:
    """None if more is to come. One parser decides where an answer ends."""
    has_head = _HEAD_END.search(come)
    if not has_head and not is_all:
        return None
    response = http.client.HTTPResponse(_Replay(come), method="GET")  # type: ignore[arg-type]
    try:
        response.begin()
        if response.length is None and not response.chunked:
            if not has_head or response.getheader("Content-Length"):
                raise ValueError("no whole head, or a length that is none")
            if not is_all:
                return None
        elif response.chunked and not is_all and not come.endswith(b"\n"):
            return None  # a 0 may be the first digit of the next chunk's length
        return Answer(response.status, response.read(), response.getheader("Retry-After"))
    except (http.client.HTTPException, ValueError, OverflowError, OSError) as error:
        if not is_all and isinstance(error, http.client.IncompleteRead):
            return None
        raise _unreachable(f"{endpoint} did not answer in HTTP; check base_url") from None
