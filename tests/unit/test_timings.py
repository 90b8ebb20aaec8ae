"""What each histogram of the engine's counts, through the contract."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from pyconvai.core import _core
from tests.timing import SECOND
from tests.unit.engine import TALKING, TIMINGS, Call, Engine
from tests.unit.service import Conversation, Service

HOUR_US = 3_600_000_000
MS = 1000


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Timings:
    """What has been counted since this was made."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._before = engine, engine.timings()

    def new(self, name: str) -> list[int]:
        """Upper bounds of the times that have come to a histogram, in us, from short to long."""
        after = Counter(self._engine.timings()[name])
        after.subtract(self._before[name])
        return sorted(after.elements())

    def all_but_tick(self) -> dict[str, list[int]]:
        return {name: found for name in TIMINGS[1:] if (found := self.new(name))}


def near(us: int, wanted: int, slack_us: int = 0) -> bool:
    """Whether a bucket's upper bound is that of such a time, or of one a little longer."""
    return wanted <= us <= (wanted + slack_us) * 17 // 16 + 1


def wait_queued(call: Call, size: int) -> None:
    until = time.monotonic() + 10 * SECOND
    while call.queued != size:
        assert time.monotonic() < until, f"{call.queued} bytes are queued, not {size}"
        time.sleep(0.001)


async def listen(agent: Conversation) -> None:
    await agent.next()
    await agent.metadata()
    await agent.closed()


def test_the_self_test_leaves_nothing_but_ticks(engine: Engine) -> None:
    timings = Timings(engine)
    assert engine.stop() == 0
    Engine()
    assert timings.all_but_tick() == {}


def test_a_late_tick_is_counted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    timings = Timings(engine)
    send = _core.send_waiting_audio
    held = False

    def hold_up_once(handles: list[Any]) -> None:
        nonlocal held
        if not held:
            held = True
            time.sleep(0.1)
        send(handles)

    with Service(listen) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        monkeypatch.setattr(_core, "send_waiting_audio", hold_up_once)
        until = time.monotonic() + 10 * SECOND
        while not any(late > 90 * MS for late in timings.new("tick")):
            assert time.monotonic() < until, timings.new("tick")
            time.sleep(0.01)
        assert len(timings.new("tick")) > 2
        call.release()


def test_caller_audio_is_timed_from_its_frame_to_the_socket(engine: Engine) -> None:
    """A chunk counts by the frame that completes it."""
    timings = Timings(engine)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.hear(5 * 160)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings(chunk_ms="20"))
        call.wait(TALKING)
        began = now_us()
        call.push(bytes(160), began - 2000 * MS)
        call.push(bytes(80), began - 5000 * MS)
        call.push(bytes(80), began - 1000 * MS)
        call.push(bytes(160))
        engine.ops.push_silence(call.session, 20)
        call.push(bytes(160), began - 300 * MS)
        until = time.monotonic() + 10 * SECOND
        while len(timings.new("uplink")) < 3:
            assert time.monotonic() < until, timings.new("uplink")
            time.sleep(0.001)
        slack = now_us() - began
        call.release()
        service.outcome()
    found = timings.new("uplink")
    assert len(found) == 3
    for us, wanted in zip(found, (300, 1000, 2000), strict=True):
        assert near(us, wanted * MS, slack)
    assert list(timings.all_but_tick()) == ["uplink"]


def test_agent_audio_is_timed_where_nothing_was_queued(engine: Engine) -> None:
    """From its arrival to the pop of its first byte; what comes behind has no time."""
    timings = Timings(engine)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(160))
        await agent.speak(bytes(160))
        await agent.hear(160)
        await agent.speak(bytes(160))
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        began = now_us()
        call.wait(TALKING)
        wait_queued(call, 320)
        slack = now_us() - began
        assert timings.new("downlink") == []
        call.pop(160, began + slack + 500 * MS)
        assert near(timings.new("downlink")[0], 500 * MS, slack)
        call.pop(160, began + HOUR_US)
        call.pop(160, began + HOUR_US)
        assert len(timings.new("downlink")) == 1
        call.push(bytes(160))
        wait_queued(call, 160)
        call.pop(80, now_us())
        call.pop(80, began + HOUR_US)
        assert len(timings.new("downlink")) == 2
        call.release()


def test_gaps_between_frames_of_one_response_are_timed(engine: Engine) -> None:
    """Silence between two of them is none, and neither is what is popped without a time."""
    timings = Timings(engine)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(5 * 160))
        await agent.hear(160)
        await agent.speak(bytes(160))
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        wait_queued(call, 5 * 160)
        for at in (0, 20, 70):
            call.pop(160, HOUR_US + at * MS)
        call.pop(160)
        call.pop(160, HOUR_US + 400 * MS)
        assert call.pop(160, HOUR_US + 900 * MS)[1] == 0
        call.push(bytes(160))
        wait_queued(call, 160)
        assert call.pop(160, HOUR_US + 2000 * MS)[1] == 160
        first, second = timings.new("gap")
        assert near(first, 20 * MS)
        assert near(second, 50 * MS)
        call.release()


def test_an_interruption_is_timed_until_a_pop_sees_it(engine: Engine) -> None:
    """What it made stale has no time any more. With nothing queued there is nothing to see."""
    timings = Timings(engine)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(1600), 4)
        await agent.hear(160)
        await agent.interrupt(5)
        await agent.hear(320)
        await agent.interrupt(6)
        await agent.speak(bytes(160), 7)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        wait_queued(call, 1600)
        began = now_us()
        call.push(bytes(160))
        wait_queued(call, 0)
        slack = now_us() - began
        assert timings.all_but_tick() == {}
        assert call.pop(160, began + slack + 500 * MS)[1] == 0
        (found,) = timings.new("interruption")
        assert near(found, 500 * MS, slack)
        call.push(bytes(160))
        wait_queued(call, 160)
        assert call.pop(160, began + HOUR_US)[1] == 160
        assert len(timings.new("downlink")) == len(timings.new("interruption")) == 1
        call.release()
