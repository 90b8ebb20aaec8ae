"""Any answer at all, to the request for a signed URL or to an upgrade, ends in words of our own.

K17: a fault that nobody foresaw would be told as one of the engine's, with a trace in the log.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconvai import limits
from pyconvai.core._core import Ticker
from pyconvai.secret import Secret
from pyconvai.service import net, signed_urls
from pyconvai.service.backoff import retry_after
from pyconvai.service.endings import Ending, SetupFailed, from_http
from pyconvai.service.endpoint import Endpoint
from pyconvai.service.settings import Settings
from pyconvai.service.upgrading import upgrade
from tests.timing import MS, soon_enough
from tests.unit.frame_reader import examples

pytestmark = pytest.mark.slow

HERE = Endpoint("service", 1, False, "/")
DIGITS = b"9" * 5000
SECRET = "cvtkn_hush"
PLAIN = Settings("agent_x", base_url="http://service:1")


@pytest.fixture(scope="module", autouse=True)
def none_of_the_tests_own_garbage() -> Iterator[None]:
    """Python's collector looks at what is there: a test run has ten times as much as the engine."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Pieces:
    """A stream that holds these bytes. It takes whatever it is sent."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.sock, self.far = socket.socketpair()
        self.sock.setblocking(False)
        self._left, self._sizes = memoryview(data), cycle(sizes)
        self.slowest_ms = 0.0
        """Processor time that one piece has cost."""
        self._since = time.thread_time()

    async def send(self, data: bytes) -> None:
        """Nobody reads it."""

    async def receive(self) -> bytes:
        cost = (time.thread_time() - self._since) * 1000
        self.slowest_ms = max(self.slowest_ms, cost)
        await asyncio.sleep(0)
        size = next(self._sizes)
        piece, self._left = bytes(self._left[:size]), self._left[size:]
        self._since = time.thread_time()
        return piece

    def close(self) -> None:
        self.sock.close()
        self.far.close()


def is_ours(ending: Ending) -> bool:
    """One short line for people."""
    reason = ending.reason
    odd = ("Error(", "Traceback", "object at", "<class", "Exception", SECRET)
    return reason.isprintable() and len(reason) <= 240 and not any(word in reason for word in odd)


def answered(data: bytes, sizes: list[int]) -> Ending | None:
    """What becomes of an answer to the request for a signed URL; None: it holds one."""
    stream: Any = Pieces(data, sizes)
    try:
        answer = asyncio.run(net._read_answer(stream, HERE))
        if answer.status == 200:
            signed_urls._checked(signed_urls._found(answer.body), PLAIN)
            return None
        retry_after(answer.retry_after)
        return from_http(answer.status, answer.body, "the request")
    except SetupFailed as failed:
        return failed.ending
    finally:
        stream.close()


def upgraded(data: bytes, sizes: list[int]) -> Ending | None:
    """What becomes of an answer to an upgrade; None: it is granted."""

    async def run() -> Ending | None:
        stream: Any = Pieces(data, sizes)
        ticker = Ticker()
        try:
            websocket = await upgrade(stream, Secret(f"ws://service:1/?signature={SECRET}"), ticker)
        except SetupFailed as failed:
            assert stream.sock.fileno() == -1, "the socket is left"
            return failed.ending
        finally:
            stream.far.close()
            ticker.close()
        websocket.abort()
        return None

    return asyncio.run(run())


LINES = [
    *(
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 401 No",
        b"HTTP/1.1 429 ",
    ),
    *(b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Early", b"HTTP/1.1 -1 x", b"HTTP/1.1 %s x" % DIGITS),
    *(
        b"HTTP/1.1 1e2 x",
        b"HTTP/9.9 200 OK",
        b"HTTP/1.1",
        b"HTTP/1.1 200",
        b"ICY 200 OK",
        b"SIP/2.0 200",
    ),
    *(
        b"HTTP/1.1 200 \xff\x00",
        b"HTTP/1.1 \xb2\xb0\xb0 x",
        b"HTTP/1.1 000 x",
        b"HTTP/1.0 302 Go",
        b"",
    ),
]
HEADERS = [
    *(b"Content-Length: 2", b"Content-Length: 0", b"Content-Length: -1", b"Content-Length: +2"),
    *(b"Content-Length: %s" % DIGITS, b"Content-Length: 2, 2", b"Content-Length: \xb2"),
    *(b"Content-Length: 0x2", b"Content-Length: 1_0", b"Content-Length: 18446744073709551616"),
    *(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: CHUNKED",
    ),
    *(b"Retry-After: 5", b"Retry-After: %s" % DIGITS, b"Retry-After: -5", b"Retry-After: inf"),
    *(b"Retry-After: nan", b"Retry-After: 1e308", b"Retry-After: Mon, 01 Jan 0001 00:00:00 +2359"),
    *(
        b"Retry-After: Fri, 31 Dec 9999 23:59:59 -2359",
        b"Retry-After: \xff",
        b"Retry-After: Mon, 99",
    ),
    *(b": no name", b"no colon", b" folded", b"\tfolded", b"A: \x00", b"A: \xff\xfe", b"A" * 9000),
    *(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: x", b"Upgrade: \xff"),
    *(
        b"Sec-WebSocket-Extensions: permessage-deflate",
        b"Sec-WebSocket-Protocol: x",
        b"Location: //x",
    ),
    *(b"Content-Encoding: gzip", b"Content-Type: \x00;charset=\xff", b"Connection: close"),
]
BODIES = [
    *(
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"",
        b"\x00",
        b"\xff\xfe",
        b"<html>",
        b"[" * 900,
        b"{" * 900,
    ),
    *(b"[" * 5000, b'{"detail":' * 300, b'{"detail":[{"loc":5}]}', b'{"detail":[{"loc":[[]]}]}'),
    *(b'{"detail":{"message":{"a":1}}}', b'{"detail":"\\ud83d"}', b'{"detail":%s}' % DIGITS),
    *(
        b'{"detail":[[[[[[["x"]]]]]]]}',
        b'{"detail":null}',
        b'{"detail":{"status":true,"msg":1e999}}',
    ),
    *(b'{"detail":{"message":"%s"}}' % (b"x" * 9000), b'{"detail":[%s0]}' % (b"[]," * 9000)),
    *(
        b'{"signed_url":5}',
        b'{"signed_url":"wss://"}',
        b'{"signed_url":["wss://x"]}',
        b'{"signed_url":"\\u0000"}',
    ),
    *(
        b'{"signed_url":"wss://u@h"}',
        b'{"signed_url":"ws://%s"}' % (b"a" * 64),
        b'{"signed_url":"ws://xn--"}',
    ),
    *(
        b'{"signed_url":"ws://xn--a-\xc3\xa4.x"}',
        b'{"signed_url":"ws://h:99999"}',
        b'{"signed_url":"ws://[::"}',
    ),
    *(
        b"5\r\nab",
        b"2\r\n{}\r\n0\r\n\r\n",
        b"-5\r\nab\r\n",
        b"%s\r\nab" % DIGITS,
        b"0x2\r\n{}\r\n0\r\n\r\n",
    ),
    *(
        b"zz\r\n",
        b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
        b"\r\n",
        b"ffffffffffffffff\r\n{}",
        b"1_0\r\nx\r\n",
    ),
    b"0" * 9000 + b"\r\n\r\n",
]


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A line, headers and a body of any kind, with a few bytes of it changed."""
    ends = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"]))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=5))
    if sum(map(len, headers)) < 100:
        headers *= draw(st.sampled_from([1, 1, 1, 120]))
    head = ends.join([draw(st.sampled_from(LINES)), *headers, b"", b""])
    data = bytearray(head * draw(st.sampled_from([1, 1, 2])) + draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(data)


sizes = st.lists(st.sampled_from([1, 2, 7, 100, 100_000]), min_size=1, max_size=3)


@examples(300, 20_000)
@given(data=answers() | st.binary(max_size=300), sizes=sizes)
def test_an_answer_to_the_request_for_a_url(data: bytes, sizes: list[int]) -> None:
    """K17: and whatever its pieces are, the same becomes of it."""
    sizes = [max(size, len(data) // 2000) for size in sizes]
    ending = answered(data, sizes)
    assert ending is None or is_ours(ending), ending
    assert answered(data, [len(data) + 1]) == ending


@examples(300, 20_000)
@given(data=answers() | st.binary(max_size=300), sizes=sizes)
def test_an_answer_to_an_upgrade(data: bytes, sizes: list[int]) -> None:
    """K17: a refusal leaves no socket."""
    sizes = [max(size, len(data) // 2000) for size in sizes]
    ending = upgraded(data, sizes)
    assert ending is None or is_ours(ending), ending


@examples(500, 20_000)
@given(
    st.lists(
        st.sampled_from(
            ["ws://", "wss://", "h", "x.y", "@", ":", "[", "]", "::1", "%25", "%", "#", "?"]
        )
        | st.sampled_from(
            ["/", "\\", "..", "a" * 64, "xn--", "\u00e4", "\u2488", " ", "\n", "80", "0"]
        )
        | st.sampled_from(["\ud83d", "\x00", "99999", DIGITS.decode(), "eth0", "v1.x", "x."])
        | st.text(max_size=3),
        max_size=8,
    ).map("".join)
)
def test_a_url(url: str) -> None:
    """K6: it is read as one that DNS and the library take, or refused."""
    try:
        endpoint = Endpoint.of(url)
    except SetupFailed as failed:
        ending = failed.ending
    else:
        check_endpoint(endpoint)
        return
    assert is_ours(ending)


def check_endpoint(endpoint: Endpoint) -> None:
    assert 0 < endpoint.port < 65_536
    assert endpoint.host.isascii()
    assert endpoint.target.isascii()
    assert endpoint.target.isprintable()
    assert not set(endpoint.host) & set("@/\\?#[]"), endpoint
    assert (" " in endpoint.host, " " in endpoint.target) == (False, False)


@examples(300, 10_000)
@given(st.text(max_size=80) | st.sampled_from([line[13:].decode("latin-1") for line in HEADERS]))
def test_a_wait_that_is_asked_for(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or 0 < seconds <= 1e308


TRICKLES = {
    "a head": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 90 + b"B: " + b"c" * 50_000 + b"\r\n\r\n",
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000,
    "no length": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 90 + b"\r\n" + b"x" * 20_000,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 12_000,
    "interims": b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * 5000,
    "json": b"HTTP/1.1 422 No\r\nContent-Length: 60014\r\n\r\n"
    + json.dumps({"detail": [[]] * 15_000}).encode(),
}


@pytest.mark.parametrize("size", [1, 100, 16_384])
@pytest.mark.parametrize("data", TRICKLES.values(), ids=list(TRICKLES))
def test_a_trickle_holds_nobody_up(data: bytes, size: int) -> None:
    """K9: however it is cut, no piece costs more than some ms, nor all of them much."""

    def slowest_ms() -> float:
        stream: Any = Pieces(data * (limits.MAX_RESPONSE_BYTES // len(data) + 2), [size])
        began = time.thread_time()
        try:
            answer = asyncio.run(net._read_answer(stream, HERE))
            from_http(answer.status, answer.body, "the request")
        except SetupFailed:
            pass
        finally:
            stream.close()
        assert time.thread_time() - began < 5000 * MS
        assert stream._left, "all of it was read"
        return float(stream.slowest_ms)

    soon_enough(slowest_ms, 10 * MS * 1000)
