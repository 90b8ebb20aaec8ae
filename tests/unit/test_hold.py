"""While the caller holds the agent is kept quiet, and told now and then that somebody is there."""

from __future__ import annotations

import asyncio
import itertools
import selectors
import time
from typing import Any, cast

import pytest

from pyconvai import limits
from pyconvai.conversation.activity import Activity
from pyconvai.conversation.sent import Say
from tests.timing import EVENT, NEVER
from tests.unit.engine import ENDED, TALKING, Call, Engine
from tests.unit.service import Conversation, Service

SOON = 0.05
"""In the place of the second between two ``user_activity``."""


def hold(call: Call, on: bool) -> None:
    call.engine.ops.hold(call.session, int(on))


async def passed(step: asyncio.Event) -> None:
    """Wait for a step of the test's, not for ever: a test that fails takes no more steps."""
    async with asyncio.timeout(EVENT):
        await step.wait()


def wait_queued(call: Call, size: int) -> None:
    """Wait until so many bytes of the agent's wait to be heard."""
    until = time.monotonic() + EVENT
    while call.queued != size:
        assert time.monotonic() < until, f"{call.queued} bytes wait"
        time.sleep(0.001)


def test_what_is_sent_while_nobody_listens_is_dropped(engine: Engine) -> None:
    """L11: flushed at hold, dropped on arrival, goes on with the agent's next audio."""
    steps = [asyncio.Event() for _ in range(2)]

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"\x01" * 8000, 4)
        await agent.send(type="ping", ping_event={"event_id": 1})
        await agent.next()
        await passed(steps[0])
        await agent.speak(b"\x02" * 1600, 4)
        await agent.interrupt(5)
        await agent.speak(b"\x03" * 1600, 4)  # older than the interruption
        await agent.speak(b"\x04" * 1600, 6)
        await agent.send(type="ping", ping_event={"event_id": 2})
        while (message := await agent.next())["type"] == "user_activity":
            pass
        assert message == {"type": "pong", "event_id": 2}
        await passed(steps[1])
        await agent.speak(b"\x05" * 160, 6)
        await agent.speak(b"\x06" * 160, 4)  # still older than the interruption
        await agent.speak(b"\x07" * 160, 7)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(debug="yes"))
        call.wait(TALKING)
        wait_queued(call, 8000)
        assert call.hear(1600) == b"\x01" * 1600
        hold(call, True)
        wait_queued(call, 0)
        service.tell(steps[0])
        until = time.monotonic() + EVENT
        while call.counters().pings_answered < 2:
            assert time.monotonic() < until
            time.sleep(0.001)
        assert call.queued == 0
        assert call.counters().interruptions == 1
        hold(call, False)
        while "the caller is back" not in engine.text():
            assert time.monotonic() < until
            time.sleep(0.001)
        service.tell(steps[1])
        assert call.wait(ENDED).play_out == 1
        assert call.hear(320) == b"\x05" * 160 + b"\x07" * 160
        counters = call.counters()
        assert counters.flushed_bytes == 6400
        assert counters.stale_dropped_bytes == 3 * 1602 + 162  # by its base64
        assert "the caller holds: 800 ms of agent audio thrown away; heard: 200 of 1000 ms" in (
            engine.text()
        )
        call.release()
        service.outcome()


def test_the_agent_is_told_that_somebody_is_there(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L11, S18: the first time after a second, then every second, until the caller is back."""
    monkeypatch.setattr(limits, "ACTIVITY_SECONDS", SOON)
    told: list[float] = []

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        while (await agent.next()) == {"type": "user_activity"}:
            told.append(time.monotonic())
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        began = time.monotonic()
        hold(call, True)
        until = time.monotonic() + EVENT
        while len(told) < 5:
            assert time.monotonic() < until
            time.sleep(0.005)
        hold(call, False)
        call.send(Say.MESSAGE, "the end")
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()
    assert told[0] - began >= SOON - limits.EARLY_SECONDS


def test_a_caller_who_holds_before_the_conversation_is_up(engine: Engine) -> None:
    """L9, L11: the greeting is not kept for later either."""
    held = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await passed(held)
        await agent.metadata()
        await agent.speak(b"\x01" * 8000, 1)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        hold(call, True)
        service.tell(held)
        call.wait(ENDED)
        assert call.queued == 0
        assert call.counters().received_bytes == 0
        call.release()
        service.outcome()


class OwnTime(asyncio.SelectorEventLoop):
    """A loop whose time nothing but its own timers moves: nobody is late."""

    def __init__(self) -> None:
        super().__init__(Leaper())

    def time(self) -> float:
        return cast(Leaper, self._selector).now  # type: ignore[attr-defined]


class Leaper(selectors.DefaultSelector):
    """Waits for no timer, and has its time be over."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0.0
        return cast(list[Any], super().select(0))


def test_it_is_told_at_most_once_a_second() -> None:
    """S18: whoever tells it: digits, others, hold."""
    sent: list[float] = []

    async def press() -> None:
        loop = asyncio.get_running_loop()
        activity = Activity(lambda: sent.append(loop.time()))
        activity.hold()
        for _ in range(90):
            activity.tell()
            await asyncio.sleep(0.05)
        activity.release()
        await asyncio.sleep(2)

    with asyncio.Runner(loop_factory=OwnTime) as runner:
        runner.run(press())
    gaps = [later - sooner for sooner, later in itertools.pairwise(sent)]
    assert len(gaps) == 4
    assert gaps == pytest.approx([limits.ACTIVITY_SECONDS] * 4, abs=0.05)
    assert min(gaps) >= limits.ACTIVITY_SECONDS - limits.EARLY_SECONDS


def test_digits_that_are_pressed_fast(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S18: one message of the first second reaches the agent, whatever is pressed."""
    monkeypatch.setattr(limits, "ACTIVITY_SECONDS", NEVER)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        assert await agent.next() == {"type": "user_activity"}
        assert await agent.next() == {"type": "user_message", "text": "12345"}
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        for _ in range(5):
            assert call.send(Say.ACTIVITY, "") == 0
        assert call.send(Say.MESSAGE, "12345") == 0
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()
