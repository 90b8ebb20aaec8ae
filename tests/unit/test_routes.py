"""Addresses and hosts that are dead cost one call a quarter of a second, and the others nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from pyconvai import limits
from pyconvai.service import net
from pyconvai.service.endings import SetupFailed
from pyconvai.service.endpoint import Endpoint
from pyconvai.service.net import Network
from pyconvai.service.routes import Address, Routes, race
from tests.deaf import Deaf
from tests.timing import EVENT, SECOND

V4, V6 = socket.AF_INET, socket.AF_INET6
HOST = Endpoint("service", 1, False, "/")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def address(number: int, family: socket.AddressFamily = V4) -> Address:
    return (V4, (f"10.0.0.{number}", 1)) if family == V4 else (V6, (f"fd00::{number}", 1, 0, 0))


A6, B6, C6 = (address(n, V6) for n in (1, 2, 3))
A4, B4 = (address(n) for n in (1, 2))


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ([], []),
        ([A4], [A4]),
        ([A6, B6, C6, A4, B4], [A6, A4, B6, B4, C6]),
        ([A4, B4, A6], [A4, A6, B4]),
    ],
)
def test_families_take_turns(found: list[Address], order: list[Address]) -> None:
    """S4: as RFC 8305 has it, the resolver's first one first."""
    assert Routes().order("place", found) == order


def test_the_last_good_address_comes_first_and_dead_ones_last() -> None:
    """S4: for a minute, for all places that have this address."""
    routes, found = Routes(clock := Clock()), [A6, A4, B6]
    routes.connected("place", A4)
    assert routes.order("place", found) == [A4, A6, B6]
    assert routes.order("another", found) == [A6, A4, B6]
    routes.tell(A6, alive=False)
    assert routes.order("place", found) == [A4, B6, A6]
    assert routes.order("another", found) == [A4, B6, A6]
    routes.tell(A4, alive=False)
    assert routes.order("place", found) == [B6, A4, A6], "of dead ones, the last good one"
    clock.now += limits.DEAD_SECONDS
    assert routes.order("another", found) == [A6, A4, B6]
    routes.tell(A6, alive=False)
    routes.connected("another", A6)
    assert routes.order("another", found) == [A6, A4, B6]


def test_an_address_that_connects_to_nobody_of_use() -> None:
    """S4: TCP comes up, TLS does not."""
    routes = Routes()
    routes.connected("place", A4)
    routes.doubt("place")
    assert routes.order("place", [A4, B4]) == [B4, A4]
    routes.doubt("place")  # of what nobody knows
    assert routes.order("place", [A4, B4]) == [B4, A4]


def test_a_place_with_very_many_addresses() -> None:
    """S4: a few are tried, another time others."""
    routes, found = Routes(), [address(n) for n in range(250)]
    first = routes.order("place", found)
    assert first == found[: limits.ADDRESSES_TRIED]
    for each in first:
        routes.tell(each, alive=False)
    assert not set(first) & set(routes.order("place", found))


def test_what_is_remembered_is_bounded() -> None:
    """S4: the newest is kept."""
    routes = Routes(Clock())
    for number in range(10 * limits.ROUTES_REMEMBERED):
        routes.tell(number, alive=number % 2 == 0)
        routes.connected(number, A4)
    for memory in (routes._dead, routes._alive, routes._good):
        assert len(memory) <= limits.ROUTES_REMEMBERED
    assert routes.is_dead(number)


# ---- The race ----


def test_the_next_is_started_when_one_takes_long_or_fails() -> None:
    """S4: who has lost is cancelled and told; who was not started is nobody's."""
    started: list[str] = []

    async def run(name: str) -> str:
        started.append(name)
        if name == "broken":
            raise OSError("broken")
        if name == "slow":
            await asyncio.Event().wait()
        return name.upper()

    async def main() -> None:
        first, lost = await race(["slow", "broken", "good", "spare"], run, 0.01)
        assert first == ("good", "GOOD")
        assert {name: type(failure) for name, failure in lost.items()} == {
            "slow": asyncio.CancelledError,
            "broken": OSError,
        }
        assert started == ["slow", "broken", "good"]
        first, lost = await race(["broken"], run, EVENT)
        assert (first, list(lost)) == (None, ["broken"])
        assert await race([], run, 0.01) == (None, {})
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


# ---- On the wire ----


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = V6 if ":" in host else V4
    with socket.create_server((host, 0), family=family) as server:
        yield server


def connect(
    monkeypatch: pytest.MonkeyPatch,
    found: list[Address],
    test: Callable[[Network], Awaitable[None]],
) -> None:
    """Do something with a network whose resolver finds these addresses for every host."""
    monkeypatch.setattr(net, "_look_up", lambda host, port: found)

    async def main() -> None:
        network = Network()
        try:
            async with asyncio.timeout(EVENT):
                await test(network)
        finally:
            network.close()

    asyncio.run(main())


@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
@pytest.mark.parametrize("alive", ["127.0.0.1", "::1"])
def test_a_dead_address_is_learned_by_all(
    monkeypatch: pytest.MonkeyPatch, dead: str, alive: str
) -> None:
    """S4: the next is tried long before the dead one's limit; the second call asks it first."""
    monkeypatch.setattr(limits, "ADDRESS_SECONDS", 1000.0)

    with Deaf(dead) as deaf, listening(alive) as server:
        found = [(deaf.family, deaf.address), (server.family, server.getsockname())]

        async def test(network: Network) -> None:
            with await network.connect(HOST) as sock:
                assert sock.getpeername() == server.getsockname()
            deaf.hears()
            monkeypatch.setattr(limits, "ADDRESS_DELAY_SECONDS", 1000.0)  # the other may be late
            for _ in range(3):
                with await network.connect(HOST) as sock:
                    assert sock.getpeername() == server.getsockname()
            assert deaf.hears() == 0, "it was asked again"
            server.close()
            with await network.connect(HOST) as sock:
                assert sock.getpeername()[:2] == deaf.address[:2]

        connect(monkeypatch, found, test)


def test_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """S4: all of them are tried, and the reason tells why the last one failed."""
    monkeypatch.setattr(limits, "ADDRESS_SECONDS", 0.2 * SECOND)
    monkeypatch.setattr(limits, "ADDRESS_DELAY_SECONDS", 0.01)

    with Deaf("127.0.0.2") as deaf, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused: Address = (V4, unused.getsockname())
        for found, words in (
            ([(deaf.family, deaf.address), refused], "Connection refused"),
            ([refused, (deaf.family, deaf.address)], "no answer within"),
            ([], "no address"),
        ):

            async def test(network: Network) -> None:
                with pytest.raises(SetupFailed, match=words):  # noqa: B023
                    await network.connect(HOST)

            connect(monkeypatch, found, test)


def test_an_address_where_tls_fails_is_tried_behind_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S4: the next attempt goes elsewhere."""
    with listening() as bad, listening() as good:
        found: list[Address] = [(V4, bad.getsockname()), (V4, good.getsockname())]

        async def test(network: Network) -> None:
            async def hang_up() -> None:
                bad.setblocking(False)
                connection, _ = await asyncio.get_running_loop().sock_accept(bad)
                connection.close()

            hanging_up = asyncio.create_task(hang_up())
            secure = Endpoint("service", 1, True, "/")
            with pytest.raises(SetupFailed, match="no TLS with service:1"):
                await network.open(secure, ssl.create_default_context())
            await hanging_up
            with await network.connect(secure) as sock:
                assert sock.getpeername() == good.getsockname()

        connect(monkeypatch, found, test)
