"""What each histogram of the engine's counts, through the contract."""

from __future__ import annotations

import asyncio
import queue
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pyconvai.core import _core
from tests.timing import EVENT
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
    until = time.monotonic() + EVENT
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
        until = time.monotonic() + EVENT
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
        until = time.monotonic() + EVENT
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
        began = now_us()
        call = engine.call(settings=service.settings())
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


# ---- Turns ----

LOUD, SOFT, QUIET = b"\x10" * 160, b"\x6c" * 160, b"\xff" * 160
"""Of the caller's; speech does not begin with what is soft, but may end so."""
WORD = bytes(range(1, 161))
START = 1000 * HOUR_US


class Line:
    """Frames of 20 ms both ways, at times of the test's own."""

    def __init__(self, call: Call) -> None:
        self.call, self.now = call, START

    def frames(self, count: int, said: bytes) -> None:
        """The caller says so many; what the agent says is heard meanwhile."""
        for _ in range(count):
            self.now += 20 * MS
            self.call.push(said, self.now)
            self.call.pop(160, self.now)


def turns_of(
    engine: Engine,
    play: Callable[[Line, Callable[[int], None]], None],
    agent: str = "sales_agent",
    lead: bytes = b"",
    tail: bytes = b"",
) -> tuple[int, int, int]:
    """What a call has measured in which the agent says so many frames whenever it is asked to.

    lead, tail: what comes before and behind them.
    """
    asked: queue.Queue[int] = queue.Queue()

    async def script(service_end: Conversation) -> None:
        await service_end.next()
        await service_end.metadata()
        event_id = 0
        while frames := await asyncio.to_thread(asked.get):
            event_id += 1
            if frames < 0:
                await service_end.interrupt(event_id)
            else:
                await service_end.speak(lead + WORD * frames + tail, event_id)
        await service_end.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings(), agent=agent)
        call.wait(TALKING)

        def speak(frames: int) -> None:
            asked.put(frames)
            wait_queued(call, 0 if frames < 0 else len(lead + WORD * frames + tail))

        play(Line(call), speak)
        asked.put(0)
        found = call.turns()
        call.release()
    return found


def test_a_turn_is_timed_to_the_agents_first_word(engine: Engine) -> None:
    """Three turns: the median and the worst; of all and of this agent."""
    timings = Timings(engine)

    def play(line: Line, speak: Callable[[int], None]) -> None:
        speak(5)
        line.frames(20, QUIET)
        for pause in (35, 70, 50):
            line.frames(10, LOUD)
            line.frames(pause - 1, QUIET)
            speak(5)
            line.frames(30, QUIET)

    assert turns_of(engine, play, "timed") == (3, 1000 * MS, 1400 * MS)
    pairs = zip(timings.new("turn"), (700, 1000, 1400), strict=True)
    assert all(near(us, ms * MS) for us, ms in pairs)
    counted = engine.timings("TIMED")
    assert sum(counted["turn"].values()) == 3
    assert counted["tick"] == {}
    with pytest.raises(KeyError):
        engine.timings("nobody")


def test_an_interruption_is_a_turn_and_talking_over_is_none(engine: Engine) -> None:
    def play(line: Line, speak: Callable[[int], None]) -> None:
        speak(100)
        line.frames(10, QUIET)
        line.frames(10, LOUD)  # the agent talks over it
        line.frames(80, QUIET)
        line.frames(30, QUIET)
        speak(50)
        line.frames(20, QUIET)
        line.frames(15, LOUD)
        speak(-1)  # interrupted
        line.frames(5, LOUD)
        line.frames(39, QUIET)
        speak(5)
        line.frames(10, QUIET)

    assert turns_of(engine, play) == (1, 800 * MS, 800 * MS)


def test_the_last_frame_of_speech(engine: Engine) -> None:
    """A word that fades out; a long one without a pause; telephones that send no silence."""

    def play(line: Line, speak: Callable[[int], None]) -> None:
        def answered(pause: int) -> None:
            line.frames(pause - 1, QUIET)
            speak(5)
            line.frames(30, QUIET)

        def mute(frames: int) -> None:
            for _ in range(frames):
                line.now += 20 * MS
                line.call.pop(160, line.now)

        line.frames(20, QUIET)
        line.frames(10, LOUD)
        line.frames(2, QUIET)
        line.frames(5, SOFT)
        answered(40)
        line.frames(150, LOUD)
        answered(40)
        for _ in range(6):
            line.frames(20, LOUD)
            mute(10)
        mute(40 - 10 - 1)
        speak(5)
        mute(30)
        line.frames(150, LOUD)
        mute(40 - 1)
        speak(5)
        mute(30)
        line.frames(1, QUIET)
        # A packet of 60 ms in which speech ends.
        line.frames(10, LOUD)
        line.now += 60 * MS
        line.call.push(QUIET + LOUD + QUIET, line.now)
        answered(40)
        # What is soft for long is the line.
        line.frames(10, LOUD)
        line.frames(10 + 39, SOFT)
        answered(1)

    assert turns_of(engine, play) == (6, 800 * MS, 800 * MS)


def test_the_silence_before_a_word_is_no_word(engine: Engine) -> None:
    def play(line: Line, speak: Callable[[int], None]) -> None:
        speak(5)
        line.frames(30, QUIET)
        line.frames(10, LOUD)
        line.frames(40 - 1 - 10, QUIET)
        speak(5)
        line.frames(30, QUIET)

    assert turns_of(engine, play, lead=QUIET * 10) == (1, 800 * MS, 800 * MS)


def test_who_speaks_into_the_silence_behind_a_word_is_answered(engine: Engine) -> None:
    def play(line: Line, speak: Callable[[int], None]) -> None:
        speak(5)
        line.frames(10, QUIET)
        line.frames(10, LOUD)
        line.frames(39, QUIET)
        speak(5)
        line.frames(10, QUIET)

    assert turns_of(engine, play, tail=QUIET * 45) == (1, 800 * MS, 800 * MS)


def test_what_is_no_turn(engine: Engine) -> None:
    """A click, a noisy line, an agent who talks into the caller, hold, and a very late word."""

    def play(line: Line, speak: Callable[[int], None]) -> None:
        def say_and_pause() -> None:
            speak(2)
            line.frames(30, QUIET)

        line.frames(2, LOUD)
        line.frames(30, QUIET)
        say_and_pause()
        line.frames(10, LOUD)
        line.frames(2, QUIET)
        say_and_pause()
        line.frames(10, LOUD)
        line.call.engine.ops.hold(line.call.session, 1)
        line.call.engine.ops.hold(line.call.session, 0)
        line.frames(30, QUIET)
        say_and_pause()
        line.frames(10, LOUD)
        line.now += 31_000 * MS
        say_and_pause()
        # Noise that is there all the time is the line.
        line.frames(500, b"\x50" * 160)
        speak(2)
        line.frames(30, b"\x50" * 160)

    assert turns_of(engine, play) == (0, 0, 0)


def test_audio_without_a_time_is_no_turn(engine: Engine) -> None:
    def play(line: Line, speak: Callable[[int], None]) -> None:
        for _ in range(10):
            line.call.push(LOUD)
        line.frames(30, QUIET)
        speak(5)
        line.frames(10, QUIET)

    assert turns_of(engine, play) == (0, 0, 0)


# ---- Levels ----

LOUD_LEVEL = 114
"""Of ``LOUD``, whose mean amplitude is 15996 of 32767: -6.2 dB, in half decibels below 127."""
SPEAKS = 0x80


def levels_of(call: Call, line: Line, play: Callable[[], None]) -> list[tuple[int, int]]:
    """Those of a second and more in which this is played: the caller's and the agent's each."""
    line.now = now_us()
    play()
    line.frames(10, QUIET)
    count, levels = call.levels()
    assert count == len(levels)
    assert call.levels(3) == (count, levels[-3:])
    return levels


def test_levels_are_those_of_the_channels_own_time(engine: Engine) -> None:
    """The caller's when they are read, the agent's when they are played, and nothing between."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(LOUD * 10, 1)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        wait_queued(call, 1600)
        line = Line(call)

        def play() -> None:
            for _ in range(20):
                line.now += 20 * MS
                call.push(LOUD, line.now)
            line.frames(20, QUIET)

        levels = levels_of(call, line, play)
        call.release()
    callers, agents = ([pair[side] for pair in levels] for side in (0, 1))
    loud = [place for place, level in enumerate(callers) if level]
    assert {callers[place] & ~SPEAKS for place in loud} == {LOUD_LEVEL}
    assert loud == list(range(loud[0], loud[0] + len(loud)))
    assert len(loud) in (4, 5)
    assert any(callers[place] & SPEAKS for place in loud)
    played = [place for place, level in enumerate(agents) if level]
    assert {agents[place] for place in played} == {LOUD_LEVEL | SPEAKS}
    assert len(played) in (2, 3)
    # The agent is played 400 ms after the caller has begun, however early its audio came.
    assert played[0] - loud[0] in (4, 5)


def test_levels_end_with_the_first_hour(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await listen(agent)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        assert call.levels() == (0, [])
        line = Line(call)
        line.now = now_us() + 2 * HOUR_US
        line.frames(20, LOUD)
        assert call.levels(1) == (36000, [(0, 0)])
        call.release()


def test_each_turn_has_its_time(engine: Engine) -> None:
    found: list[tuple[int, list[tuple[int, int]]]] = []

    def play(line: Line, speak: Callable[[int], None]) -> None:
        line.now = now_us() + 1000 * MS
        for pause in (35, 70):
            line.frames(10, LOUD)
            line.frames(pause - 1, QUIET)
            speak(5)
            line.frames(30, QUIET)
        found.extend((line.call.turn_list(), line.call.turn_list(1)))

    turns_of(engine, play)
    (count, turns), (again, newest) = found
    assert count == again == 2
    assert [us for _, us in turns] == [700 * MS, 1400 * MS]
    assert newest == turns[1:]
    assert 1900 <= turns[0][0] < 1900 + 10_000
    assert turns[1][0] - turns[0][0] == 20 * (29 + 10 + 69 + 1)
