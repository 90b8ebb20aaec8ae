"""Reaching the service: look-ups that are shared, answers that are read whole, limits that hold."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from pyconvai import __version__, limits
from pyconvai.service import net
from pyconvai.service.endings import SetupFailed, Status
from pyconvai.service.endpoint import Endpoint, place_of
from pyconvai.service.net import Network
from tests.timing import EVENT, SECOND

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://service", "service"),
        ("https://service:80", "service:80"),
        ("http://service:80", "service"),
        ("wss://[::1]", "[::1]"),
        ("ws://[fe80::443]:8080", "[fe80::443]:8080"),
        ("https://[fe80::1%25eth0]", "[fe80::1]"),
        ("wss://[fe80::1%25eth0]:8443/x", "[fe80::1]:8443"),
    ],
)
def test_the_host_header_has_a_port_where_it_is_not_the_schemes(url: str, authority: str) -> None:
    assert Endpoint.of(url).authority == authority


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "target"),
    [
        ("https://api.elevenlabs.io", "api.elevenlabs.io", 443, True, "/"),
        ("wss://h/v1/x?agent_id=a&s=b", "h", 443, True, "/v1/x?agent_id=a&s=b"),
        ("ws://127.0.0.1:8765/x", "127.0.0.1", 8765, False, "/x"),
        ("http://[::1]:80", "::1", 80, False, "/"),
        ("http://[fe80::1%25eth0]", "fe80::1%eth0", 80, False, "/"),
        ("https://Bücher.example/ä b?x=%20&y=ü", "xn--bcher-kva.example", 443, True,
         "/%C3%A4%20b?x=%20&y=%C3%BC"),
    ],
)  # fmt: skip
def test_endpoint(url: str, host: str, port: int, secure: bool, target: str) -> None:
    endpoint = Endpoint.of(url)
    assert (endpoint.host, endpoint.port) == (host, port)
    assert (endpoint.secure, endpoint.target) == (secure, target)


@pytest.mark.parametrize(
    "url",
    ["", "api.elevenlabs.io", "ftp://h", "http://", "http://h:port", "http://h:65536",
     "https://[::1", "https://[nonsense]", "https://user@h", "https://user:pw@h", "https://@h",
     "https://h#f", "https://h/x#", "https://h\\@x", "https:\\\\h", "https://h/\n", "\x00https://h",
     "https://h/\u200b", "https://h:0", "https://h:-1", "https://h: 80", "https://h:443x",
     "https:///x", "https:h", "//h", "https://h/\udcff", "https://[1:2]",
     "https://h/" + "x" * limits.URL_CHARACTERS],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(SetupFailed, match="base_url"):
        Endpoint.of(url)
    assert place_of(url) == "an address that cannot be read"


@pytest.mark.parametrize(
    "host",
    ["api..x", f"{'a' * 64}.io", ".x", "x..", ".", f"{'a.' * 127}x", "h%41", "%68", "h,x",
     "h;x", "h!", "[::1%25]", "[::1%25a b]", "[fe80::1%25" + "x" * 33 + "]", "a b"],
)  # fmt: skip
def test_what_is_no_host_name_is_refused(host: str) -> None:
    """S12: before anybody is asked for it; the reason names it on one line."""
    with pytest.raises(SetupFailed, match="no host name; check base_url") as failed:
        Endpoint.of(f"https://{host}/v1?agent_id=secret")
    assert failed.value.ending.status is Status.UNREACHABLE
    assert "secret" not in failed.value.ending.reason


def get(handler: Handler, path: str = "/") -> tuple[int, bytes]:
    """One request to a server that follows a script."""

    async def run() -> tuple[int, bytes]:
        network = Network()
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            async with asyncio.timeout(EVENT):
                url = f"http://127.0.0.1:{port}{path}"
                answer = await network.get(url, {"xi-api-key": "k"}, None)
                return answer.status, answer.body
        finally:
            server.close()
            network.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:  # the server's end of the connection
                await asyncio.wait(others, timeout=5 * SECOND)
            await asyncio.sleep(0)  # both transports close in the loop's next round

    return asyncio.run(run())


def answering(answer: bytes, close: bool = True) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nxi-api-key: k\r\n" in request
        assert b"\r\nConnection: close\r\n" in request
        assert f"\r\nUser-Agent: app_elevenlabs_convai/{__version__}\r\n".encode() in request
        writer.write(answer)
        await writer.drain()
        if not close:
            await reader.read()  # until the client has gone
        writer.close()

    return handler


@pytest.mark.parametrize("close", [True, False])
def test_an_answer_with_a_length(close: bool) -> None:
    """Read without waiting for a server that keeps the connection open."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    assert get(answering(answer, close)) == (200, b"{}")


@pytest.mark.parametrize("close", [True, False])
def test_an_answer_in_chunks(close: bool) -> None:
    """S14: also on a connection that stays open."""
    answer = b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert get(answering(answer, close)) == (401, b"abc")


@pytest.mark.parametrize("close", [True, False])
def test_an_answer_without_length(monkeypatch: pytest.MonkeyPatch, close: bool) -> None:
    """S14: it ends with the connection, or when nothing more comes."""
    monkeypatch.setattr(limits, "ANSWER_PART_SECONDS", 0.1 * SECOND)
    assert get(answering(b"HTTP/1.0 200 OK\r\n\r\nabc", close)) == (200, b"abc")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nab\r\n1;x=y\nc\r\n0\nA: b\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0002\r\nab\r\n0001 \r\nc\r\n000\r\nA: b\r\nC: d\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_an_answer_in_pieces(answer: bytes, size: int) -> None:
    """S14: cut anywhere; lines end as on Unix, lengths have leading zeros, others come before."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for at in range(0, len(answer), size):
            writer.write(answer[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()
        writer.close()

    assert get(handler) == (200, b"abc")


def test_an_answer_has_a_limit() -> None:
    endless = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (4 * limits.MAX_RESPONSE_BYTES)
    _, body = get(answering(endless))
    assert len(body) < limits.MAX_RESPONSE_BYTES


DIGITS = b"9" * 5000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "close"),
    [
        (b"", True),
        (b"SSH-2.0-OpenSSH\r\n", True),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nshort" % DIGITS, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nshort" % DIGITS[:20], False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nshort", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}", False),
        (b"HTTP/1.1 %s OK\r\nContent-Length: 2\r\n\r\n{}" % DIGITS, False),
        (b"HTTP/1.1 200 OK\r\n%s\r\n" % (b"A: b\r\n" * 200), False),
        (b"HTTP/1.1 200 OK\r\nA: %s\r\n\r\n" % (b"b" * 66_000), False),
        (CHUNKED + b"zz\r\n", False),
        (CHUNKED + b"%s\r\nab" % DIGITS, False),
        (CHUNKED + b"-5\r\nab", False),
        (CHUNKED + b"5\r\nab", True),
    ],
)
def test_no_http_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, close: bool
) -> None:
    """S12, S14: found out soon, on a connection that stays open as well."""
    monkeypatch.setattr(limits, "ANSWER_PART_SECONDS", 0.1 * SECOND)
    with pytest.raises(SetupFailed) as failed:
        get(answering(answer, close))
    assert failed.value.ending.status is Status.UNREACHABLE
    assert failed.value.ending.reason.endswith("did not answer in HTTP; check base_url")


def test_one_look_up_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that hangs takes one thread, however many calls want it; others go on."""
    free, asked = threading.Event(), []

    def look_up(host: str, port: int) -> list[net.Address]:
        asked.append(host)
        if host == "slow":
            free.wait(EVENT)
        raise socket.gaierror(1, "no such host")

    monkeypatch.setattr(net, "_look_up", look_up)

    async def run() -> None:
        network = Network()
        slow = [asyncio.create_task(network.connect(Endpoint("slow", 1, False, "/"))) for _ in "ab"]
        for _ in range(limits.POOL_THREADS * 2):
            with pytest.raises(SetupFailed, match="no such host"):
                await network.connect(Endpoint("quick", 1, False, "/"))
        free.set()
        ends = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(end, SetupFailed) for end in ends)
        network.close()

    asyncio.run(run())
    assert asked.count("slow") == 1


def test_names_that_hang_are_their_agents_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """K9: four of one agent, then any number: another agent's name has a thread at once."""
    free, hanging = threading.Event(), threading.Semaphore(0)

    def look_up(host: str, port: int) -> list[net.Address]:
        if host.startswith("dead"):
            hanging.release()
            free.wait(EVENT)
        raise socket.gaierror(1, "no such host")

    monkeypatch.setattr(net, "_look_up", look_up)

    async def run() -> None:
        network = Network()

        def connect(host: str, agent: str) -> asyncio.Task[socket.socket]:
            return asyncio.create_task(network.connect(Endpoint(host, 1, False, "/"), agent))

        async def hang(count: int) -> None:
            for _ in range(count):
                there = await asyncio.to_thread(hanging.acquire, timeout=EVENT)
                assert there

        dead = [connect(f"dead{number}", "a") for number in range(4)]
        await hang(4)
        dead += [connect(f"dead{number}", "a") for number in range(4, 30)]
        # Another agent with such names has one thread, and then there are as many for others.
        dead += [connect(f"dead-b{number}", "b") for number in range(4)]
        await hang(1)
        for number in range(3):
            with pytest.raises(SetupFailed, match="no such host"):
                await connect(f"quick{number}", "c")
        assert not hanging.acquire(blocking=False)
        # Whoever gives up while it waits leaves nothing; what hangs goes on without anybody.
        for task in dead:
            task.cancel()
        await asyncio.wait(dead)
        assert len(network._lookups._under_way) == 5
        late = [connect(f"dead-late{number}", "a") for number in range(2)]
        await asyncio.sleep(0)
        free.set()
        ends = await asyncio.gather(*late, return_exceptions=True)
        assert all(isinstance(end, SetupFailed) for end in ends), "what waited has its turn"
        if left := [look_up.found for look_up in network._lookups._under_way.values()]:
            await asyncio.wait(left, timeout=5 * SECOND)
        assert not network._lookups._under_way
        assert not network._lookups._threads.total()
        network.close()

    asyncio.run(run())


def test_the_same_name_on_two_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """K9: one whose account is used up waits; when another wants the name, both have it."""
    free, asked = threading.Event(), []

    def look_up(host: str, port: int) -> list[net.Address]:
        asked.append(host)
        if host.startswith("dead"):
            free.wait(EVENT)
        raise socket.gaierror(1, "no such host")

    monkeypatch.setattr(net, "_look_up", look_up)

    async def run() -> None:
        network = Network()

        async def connect(host: str, agent: str) -> None:
            with pytest.raises(SetupFailed, match="no such host"):
                await network.connect(Endpoint(host, 1, False, "/"), agent)

        dead = [asyncio.create_task(connect(f"dead{number}", "a")) for number in range(4)]
        await asyncio.sleep(0)
        mine = asyncio.create_task(connect("shared", "a"))
        await asyncio.sleep(0)
        assert "shared" not in asked
        await connect("shared", "b")
        await mine
        free.set()
        await asyncio.gather(*dead)
        network.close()

    asyncio.run(run())
    assert asked.count("shared") == 1


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # bound, not listening: refused at once
            dead = (socket.AF_INET, unused.getsockname())
            alive: net.Address = (socket.AF_INET, ("127.0.0.1", port))
            monkeypatch.setattr(net, "_look_up", lambda host, port: [dead, alive])

            async def run() -> int:
                network = Network()
                sock = await network.connect(Endpoint("two", 1, False, "/"))
                network.close()
                with sock:
                    return int(sock.getpeername()[1])

            assert asyncio.run(run()) == port


def test_certificates_are_read_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[bool, bool]:
        network = Network()
        first = await network.tls("", verify=True)
        same = await network.tls("", verify=True) is first
        monkeypatch.setattr(limits, "CERTIFICATES_SECONDS", -1.0)
        again = await network.tls("", verify=True) is first
        network.close()
        return same, again

    assert asyncio.run(run()) == (True, False)
