"""Reaching the service: names, sockets, TLS contexts and one HTTPS request. Loop thread only.

What blocks (name look-up, reading certificates) runs in a small pool of the engine's own, not in
asyncio's, where a few look-ups that hang (``lookups.py``) would stall those of every other call.
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
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from .. import __version__, limits
from ..core._core import Ticker, name_thread
from ..secret import Secret
from ..words import token
from .endings import Ending, SetupFailed, Status
from .endpoint import Endpoint
from .lookups import LookUps
from .routes import Address, Routes, race

T = TypeVar("T")

USER_AGENT = f"app_elevenlabs_convai/{__version__}"
"""Who asks, in every request: the one for a signed URL, and the one for an upgrade."""


SYSTEM_AUTHORITIES = ssl.get_default_verify_paths()
"""Where the system's authorities are, by the environment that Asterisk was started with."""


class Answer(NamedTuple):
    """What came back from one request."""

    status: int
    body: bytes
    retry_after: str | None
    """The header Retry-After, as it came."""

    def __repr__(self) -> str:
        """Without the body, which may be a credential."""
        return f"Answer({self.status})"


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
        self._lookups = LookUps(self._pool, _look_up)
        self._contexts: dict[tuple[str, bool, bool], asyncio.Future[ssl.SSLContext]] = {}
        self._contexts_since = 0.0

    def close(self) -> None:
        """Start no more look-ups. One under way ends by itself, in a thread that holds nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.ticker.close()

    async def connect(self, endpoint: Endpoint, agent: str = "") -> socket.socket:
        """Open a TCP connection to the address that answers first; see ``Routes.order``.

        ``agent``: on whose account. SetupFailed says what went wrong.
        """
        addresses = self.routes.order(endpoint.place, await self._addresses(endpoint, agent))
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

    async def open(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, agent: str = ""
    ) -> Stream:
        """Open a connection, with TLS where the address wants it. SetupFailed says what failed."""
        stream = Stream(await self.connect(endpoint, agent))
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

    async def _addresses(self, endpoint: Endpoint, agent: str) -> list[Address]:
        try:
            return await self._lookups.addresses(endpoint.host, endpoint.port, agent)
        except OSError as error:
            host, why, key = token(endpoint.host), words_of(error), token(endpoint.key)
            raise _unreachable(f"cannot find the host {host}: {why}; check {key} and DNS") from None

    async def tls(self, ca_file: str, verify: bool, *, with_system: bool = False) -> ssl.SSLContext:
        """The TLS context for these settings; kept for a while, for reading costs some 10 ms.

        ``with_system``: the system's authorities are trusted beside those of the ``ca_file``.
        """
        loop = asyncio.get_running_loop()
        if loop.time() - self._contexts_since > limits.CERTIFICATES_SECONDS:
            self._contexts.clear()
            self._contexts_since = loop.time()
        key = (ca_file, verify, with_system)
        made = self._contexts.get(key)
        if made is None:
            made = loop.run_in_executor(self._pool, _make_context, *key)
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

        ``most``: bytes of the answer. The caller bounds the time. SetupFailed when there was no
        HTTP answer at all.
        """
        endpoint = Endpoint.of(url)
        async with self._opened(endpoint, context, agent) as stream:
            await stream.send(_request("GET", endpoint, headers))
            return await _read_answer(stream, endpoint, most)

    async def post(
        self,
        endpoint: Endpoint,
        headers: Mapping[str, str | Secret],
        body: bytes,
        context: ssl.SSLContext | None,
        agent: str = "",
    ) -> Answer:
        """One POST, as ``get``. Only the head of the answer is read: its body is left out."""
        length = {"Content-Length": str(len(body))}
        async with self._opened(endpoint, context, agent) as stream:
            await stream.send(_request("POST", endpoint, {**headers, **length}) + body)
            return await _read_head(stream, endpoint)

    @asynccontextmanager
    async def _opened(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, agent: str
    ) -> AsyncIterator[Stream]:
        """A connection for one request."""
        stream = await self.open(endpoint, context, agent)
        try:
            yield stream
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
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]


def _path(text: str) -> bytes:
    """The name of a file as the C module has given it, whatever Python takes such names to be."""
    return text.encode("utf-8", "surrogateescape")


def _make_context(ca_file: str, verify: bool, with_system: bool = False) -> ssl.SSLContext:
    """Pool thread. Reads files.

    Not Python's default context: that one is stricter from 3.13 on, so an upgrade of Python could
    end the trust in a ``ca_file``; and it may write its keys to a file. Nor OpenSSL's default
    authorities: it asks the environment for them anew each time, which AMI may write.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca_file:
        context.load_verify_locations(_path(ca_file))
    has_any = SYSTEM_AUTHORITIES.cafile or SYSTEM_AUTHORITIES.capath
    if has_any and (with_system or not ca_file):
        context.load_verify_locations(SYSTEM_AUTHORITIES.cafile, SYSTEM_AUTHORITIES.capath)
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
    return SetupFailed(Ending(Status.UNREACHABLE, reason, retry=True))


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
        nothing_came = isinstance(error, TimeoutError)
        return error.strerror or ("" if nothing_came else type(error).__name__)
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


async def _read_answer(
    stream: Stream, endpoint: Endpoint, most: int = limits.MAX_RESPONSE_BYTES
) -> Answer:
    """The answer, as soon as it is whole: not every server closes when asked to.

    Behind the head each part has ``ANSWER_PART_SECONDS``: some answers end only with their
    connection, and of others only silence tells that they are broken.
    """
    come, room, least, looks, has_head = b"", most, 0, 0, False
    try:
        while True:
            piece = b""
            with suppress(TimeoutError):
                async with asyncio.timeout(limits.ANSWER_PART_SECONDS if has_head else None):
                    piece = await stream.receive()
            come += piece
            room -= len(piece)
            is_all = not piece or room <= 0
            if not has_head:  # two bytes of its end may have come before
                has_head = bool(_HEAD_END.search(come, max(0, len(come) - len(piece) - 2)))
                if has_head and (interim := _INTERIM.match(come)):
                    come = come[interim.end() :]
                    has_head = bool(_HEAD_END.search(come))
            if not is_all and (not has_head or len(come) < least):
                continue
            try:
                answer = _parse_response(come, endpoint, is_all)
            except SetupFailed:
                if has_head and room <= 0:
                    what = f"{endpoint} answers with more than {most} bytes"
                    raise _unreachable(f"{what}; check base_url") from None
                raise
            if isinstance(answer, Answer):
                return answer
            looks += 1
            step = 1 if looks < limits.ANSWER_LOOKS else limits.ANSWER_STEP_BYTES
            least = len(come) + max(step, answer)
    finally:
        come = piece = b""  # it may hold a signed URL, and a traceback this function's variables


async def _read_head(stream: Stream, endpoint: Endpoint) -> Answer:
    """The answer without its body, as soon as its head is whole."""
    come = b""
    while True:
        piece = await stream.receive()
        come += piece
        while interim := _INTERIM.match(come):
            come = come[interim.end() :]
        if head := _HEAD_END.search(come):
            empty = come[: head.end()]
            return _parse_head(empty, endpoint)
        if not piece or len(come) > limits.MAX_RESPONSE_BYTES:
            return _parse_head(come, endpoint)


def _parse_head(head: bytes, endpoint: Endpoint) -> Answer:
    response = http.client.HTTPResponse(_Replay(head), method="HEAD")  # type: ignore[arg-type]
    try:
        response.begin()
    except (http.client.HTTPException, ValueError, OverflowError, OSError):
        raise _no_http(endpoint) from None
    return Answer(response.status, b"", response.getheader("Retry-After"))


def _no_http(endpoint: Endpoint) -> SetupFailed:
    return _unreachable(f"{endpoint} did not answer in HTTP; check {token(endpoint.key)}")


class _Replay:
    """Bytes that have come already, given to http.client as if they were a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._answer)


def _parse_response(come: bytes, endpoint: Endpoint, is_all: bool) -> Answer | int:
    """The answer, or how many bytes are missing at least. One parser decides where it ends.

    ``is_all``: no more will come; else the head is whole.
    """
    response = http.client.HTTPResponse(_Replay(come), method="GET")  # type: ignore[arg-type]
    try:
        response.begin()
        if response.length is None and not response.chunked:
            if not _HEAD_END.search(come) or response.getheader("Content-Length"):
                raise ValueError("no whole head, or a length that is none")
            if not is_all:
                return 1
        elif response.chunked:
            if come.count(b"\n") > limits.ANSWER_LINES:
                raise ValueError("chunks of a few bytes")
            if not is_all and not come.endswith(b"\n"):
                return 1  # a 0 may be the first digit of the next chunk's length
        return Answer(response.status, response.read(), response.getheader("Retry-After"))
    except (http.client.HTTPException, ValueError, OverflowError, OSError) as error:
        if not is_all and isinstance(error, http.client.IncompleteRead):
            return max(1, error.expected or 0)
        raise _no_http(endpoint) from None
