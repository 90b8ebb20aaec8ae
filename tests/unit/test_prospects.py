"""What the module is told of an agent's next call."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from pyconvai import limits
from tests.timing import EVENT
from tests.unit.engine import TALKING, Engine
from tests.unit.service import Conversation, Service


async def listen(agent: Conversation) -> None:
    await agent.next()
    await agent.metadata()
    await agent.closed()


def told(engine: Engine, count: int) -> list[tuple[str, int]]:
    until = time.monotonic() + EVENT
    while len(engine.away) < count:
        assert time.monotonic() < until, engine.away
        time.sleep(0.002)
    return engine.away


@pytest.fixture
def nobody() -> Iterator[str]:
    """Where nobody listens, as long as the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_host_that_is_down_and_back(engine: Engine, nobody: str) -> None:
    call = engine.call(settings={"base_url": nobody})
    assert call.ending()[0] == "UNREACHABLE"
    call.release()
    assert told(engine, 1) == [("sales_agent", round(limits.DEAD_SECONDS * 1000))]
    with Service(listen) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        assert told(engine, 2)[1] == ("sales_agent", 0)
        call.release()
        # One of two hosts is enough.
        call = engine.call(settings={"base_url": f"{nobody},{service.url}"}, agent="other")
        call.wait(TALKING)
        assert told(engine, 3)[2] == ("other", 0)
        call.release()


def test_a_service_that_wants_to_be_left_alone(engine: Engine) -> None:
    with Service(listen) as service:
        service.answers = [(429, b"{}", {"Retry-After": "20"})]
        for count in (1, 2):
            call = engine.call(settings=service.settings())
            assert call.ending()[0] == "LIMIT"
            call.release()
            agent, ms = told(engine, count)[-1]
            assert agent == "sales_agent"
            assert 15_000 < ms <= 20_000 * (1 + limits.BACKOFF_JITTER_SHARE)
        assert service.signed() == 1


def test_a_service_that_refuses_the_key(engine: Engine) -> None:
    """The next call would be refused as well, but that is for a person to see."""
    with Service(listen) as service:
        service.answers = [(401, b"{}", {})]
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AUTH"
        call.release()
    assert engine.away == []


def test_a_caller_who_hangs_up_before_tells_nothing(engine: Engine) -> None:
    async def silent(agent: Conversation) -> None:
        await agent.next()
        await agent.closed()

    with Service(silent) as service:
        call = engine.call(settings=service.settings())
        until = time.monotonic() + EVENT
        while not service.conversations or not service.conversations[0].received:
            assert time.monotonic() < until
            time.sleep(0.002)
        call.hangup()
        call.ending()
        call.release()
    assert engine.away == []


def test_who_hangs_up_at_once_has_reached_it(engine: Engine) -> None:
    """As `elevenlabs test agent` does."""

    async def greet(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(160))
        await agent.closed()

    with Service(greet) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        call.hangup()
        call.ending()
        call.release()
    assert engine.away == [("sales_agent", 0)]
