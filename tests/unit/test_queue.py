"""The queue of the service, through the contract: what waits, what is heard, and how it ends."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import pytest

from pyconvai import limits
from tests.timing import EVENT, NEVER
from tests.unit.engine import ENDED, QUEUED, TALKING, Engine, string
from tests.unit.service import Conversation, Script, Service

NONE, WAITING, ADMITTED, TIMED_OUT, REFUSED = range(5)
HOLD, GREETING = os.urandom(24_000), os.urandom(8000)
MESSAGE, CONTEXT = 0, 1
SILENCE = b"\xff"


class Flag:
    """Set on the test's thread, awaited on the service's."""

    def __init__(self) -> None:
        self.set = threading.Event()

    async def wait(self) -> None:
        assert await asyncio.to_thread(self.set.wait, EVENT)


def queued(then: Script) -> Script:
    """A service that lets the caller wait; ``then`` is what follows."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.queue("waiting")
        await then(agent)

    return script


@pytest.fixture(autouse=True)
def undecided(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a message can decide whether a caller is queued: the service's word may be late."""
    if "decided" not in request.fixturenames:
        monkeypatch.setattr(limits, "QUEUE_DECISION_SECONDS", NEVER)


@pytest.fixture
def decided() -> None:
    """The time behind the metadata decides as well."""


def test_hold_audio_then_the_conversation(engine: Engine) -> None:
    """S1: hold audio is heard while the caller waits, what is left goes, and none of it counts."""
    admit = Flag()

    async def then(agent: Conversation) -> None:
        await agent.speak(HOLD, 1)
        await admit.wait()
        await agent.queue("admitted")
        await agent.speak(GREETING, 1)
        await agent.connection.close(1000)

    with Service(queued(then)) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(QUEUED)
        assert (progress.queue, progress.agent.rate) == (WAITING, 8000)
        assert string(progress.conversation_id) == "conv_test"
        assert call.hear(8000) == HOLD[:8000]
        counters = call.counters()
        assert (counters.received_bytes, counters.played_bytes) == (0, 0)
        admit.set.set()
        progress = call.wait(ENDED)
        assert (progress.queue, progress.talked, progress.play_out) == (ADMITTED, 1, 1)
        assert call.hear(len(GREETING)) == GREETING
        assert call.queued == 0
        counters = call.counters()
        assert counters.received_bytes == counters.played_bytes == len(GREETING)
        assert (counters.flushed_bytes, counters.interruptions) == (0, 0)
        call.release()
        service.outcome()


def test_half_a_sample_of_hold_audio_shifts_nothing(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata("pcm_16000", "pcm_16000")
        await agent.queue("waiting")
        await agent.speak(HOLD[:1001], 1)
        await agent.queue("admitted")
        await agent.speak(GREETING, 1)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(ENDED)
        assert call.hear(len(GREETING)) == GREETING
        call.release()


def test_hold_audio_leaves_no_times_and_no_overflow(engine: Engine) -> None:
    """A minute of it at once: what has no room is left out without a word."""
    before = engine.timings()

    async def then(agent: Conversation) -> None:
        for _ in range(12):
            await agent.speak(HOLD * 20, 1)
        await agent.queue("admitted")
        await agent.connection.close(1000)

    with Service(queued(then)) as service:
        call = engine.call(settings=service.settings())
        call.wait(QUEUED)
        call.pop(160)
        call.wait(ENDED)
        call.pop(160, 1)
        assert call.counters().overflow_dropped_bytes == 0
        assert "agent audio" not in engine.text()
        after = engine.timings()
        for name in ("downlink", "interruption", "gap"):
            assert after[name] == before[name]
        call.release()


def test_an_agent_that_greets_is_not_waited_for(engine: Engine) -> None:
    """The first message decides, and nothing of the greeting is lost."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(GREETING, 1)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(TALKING)
        assert (progress.state, progress.queue) == (TALKING, NONE)
        assert call.hear(len(GREETING)) == GREETING
        call.release()


@pytest.mark.usefixtures("decided")
@pytest.mark.parametrize("ends", [False, True])
def test_an_agent_that_says_nothing(engine: Engine, ends: bool) -> None:
    """It is there when the limit is over, or the conversation, without a word about a queue."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        if ends:
            await agent.connection.close(1000)
        else:
            await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        if ends:
            assert call.ending()[0] == "AGENT_ENDED"
            assert call.poll().talked == 1
        else:
            assert call.wait(TALKING).queue == NONE
        call.release()


@pytest.mark.parametrize("early", [False, True])
def test_a_ping_decides_nothing(engine: Engine, early: bool) -> None:
    """Nor does it matter where the word of the queue comes before the metadata."""
    answered = Flag()

    async def script(agent: Conversation) -> None:
        await agent.next()
        if early:
            await agent.queue("waiting")
        await agent.metadata()
        await agent.send(type="ping", ping_event={"event_id": 3})
        if not early:
            await agent.queue("waiting")
        assert await agent.next() == {"type": "pong", "event_id": 3}
        answered.set.set()
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert answered.set.wait(EVENT)
        assert call.wait(QUEUED).state == QUEUED
        call.release()
        service.outcome()


@pytest.mark.usefixtures("decided")
@pytest.mark.parametrize(("queue", "how"), [("wait", TIMED_OUT), ("refuse", REFUSED)])
def test_a_word_that_the_network_held_up(engine: Engine, queue: str, how: int) -> None:
    """As long as no agent has said anything, the caller can still be told to wait."""
    talks = Flag()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await talks.wait()
        await agent.queue("waiting")
        await agent.speak(HOLD, 1)
        await agent.queue("timed_out")
        await agent.connection.close(4300)

    with Service(script) as service:
        call = engine.call(settings=service.settings(queue=queue))
        call.wait(TALKING)
        talks.set.set()
        assert call.ending()[0] == "LIMIT"
        progress = call.poll()
        assert (progress.queue, progress.talked) == (how, 0)
        assert call.counters().received_bytes == 0
        call.release()


def test_a_word_in_mid_conversation_changes_nothing(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(GREETING, 1)
        await agent.queue("waiting")
        await agent.speak(GREETING, 2)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        assert call.hear(2 * len(GREETING)) == GREETING * 2
        call.release()


def test_what_is_said_waits_for_an_agent(engine: Engine) -> None:
    """The service discards what it is sent meanwhile: it gets silence, and pongs."""
    said, admit = os.urandom(1600), Flag()
    before: list[dict[str, Any]] = []

    async def then(agent: Conversation) -> None:
        assert await agent.hear(1600) == SILENCE * 1600
        await agent.send(type="ping", ping_event={"event_id": 7})
        before.append(await agent.next())
        admit.set.set()
        agent.audio.clear()
        await agent.queue("admitted")
        assert await agent.next() == {"type": "user_message", "text": "first"}
        assert await agent.next() == {"type": "contextual_update", "text": "second"}
        heard = await agent.hear(1600)
        assert heard.endswith(said) or (await agent.hear(3200)).find(said) >= 0
        await agent.connection.close(1000)

    with Service(queued(then)) as service:
        call = engine.call(settings=service.settings())
        call.wait(QUEUED)
        assert call.push(said[:160]) == 0
        assert call.send(MESSAGE, "first") == call.send(CONTEXT, "second") == 0
        for _ in range(10):
            assert call.push_silence(20) == 160
        assert admit.set.wait(EVENT)
        call.wait(TALKING)
        call.say(said)
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        assert before == [{"type": "pong", "event_id": 7}]
        counters = call.counters()
        assert (counters.pushed_bytes, counters.silence_ms) == (1600, 0)
        call.release()


async def stays(agent: Conversation) -> None:
    await agent.speak(HOLD, 1)
    assert await agent.closed() == 1000


async def gives_up(agent: Conversation) -> None:
    await agent.queue("timed_out")
    await agent.connection.close(4300, "gone")


async def gives_up_without_closing(agent: Conversation) -> None:
    await agent.queue("timed_out")
    assert await agent.closed() == 1000


@pytest.mark.parametrize(
    ("queue", "then", "how", "words"),
    [
        ("refuse", stays, REFUSED, "no agent is free, and callers are not to wait for one"),
        ("1", stays, TIMED_OUT, "no agent was free within 1 s (queue = 1)"),
        ("wait", gives_up, TIMED_OUT, "no agent was free in time (timed_out); check the plan"),
        ("wait", gives_up_without_closing, TIMED_OUT, "no agent was free in time"),
        ("30", gives_up, TIMED_OUT, "no agent was free in time"),
    ],
)
def test_no_agent_was_free(engine: Engine, queue: str, then: Script, how: int, words: str) -> None:
    """S1: refused, or waited in vain: LIMIT, and no agent was there."""
    with Service(queued(then)) as service:
        call = engine.call(settings=service.settings(queue=queue))
        status, reason = call.ending()
        assert status == "LIMIT"
        assert words in reason
        progress = call.poll()
        assert (progress.queue, progress.talked, progress.play_out) == (how, 0, 0)
        call.release()
        service.outcome()


def closes(code: int) -> Script:
    async def then(agent: Conversation) -> None:
        await agent.connection.close(code)

    return then


async def breaks(agent: Conversation) -> None:
    agent.connection.transport.abort()


@pytest.mark.parametrize(
    ("then", "status"),
    [
        (closes(1000), "REJECTED"),
        (closes(1008), "REJECTED"),
        (closes(1011), "ERROR"),
        (closes(3008), "LIMIT"),
        (closes(4300), "LIMIT"),
        (breaks, "UNREACHABLE"),
    ],
)
def test_the_service_ends_the_wait_otherwise(engine: Engine, then: Script, status: str) -> None:
    with Service(queued(then)) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == status
        progress = call.poll()
        assert (progress.queue, progress.talked) == (WAITING, 0)
        call.release()


@pytest.mark.parametrize("code", [3008, 4300])
def test_a_refusal_behind_the_metadata(engine: Engine, code: int) -> None:
    """Without a queue: no agent was there."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.connection.close(code)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "LIMIT"
        assert call.poll().talked == 0
        call.release()


def test_a_caller_who_hangs_up_leaves_the_queue(engine: Engine) -> None:
    with Service(queued(stays)) as service:
        call = engine.call(settings=service.settings())
        call.wait(QUEUED)
        call.hangup()
        assert call.ending() == ("HANGUP", "the caller hung up")
        call.release()
        service.outcome()


@pytest.mark.parametrize("queue", ["wait", "20"])
def test_only_the_queues_own_limit_counts(engine: Engine, queue: str) -> None:
    """connect_timeout has ended, and max_duration begins when an agent is there."""
    admitted_at: list[float] = []

    async def then(agent: Conversation) -> None:
        await asyncio.sleep(4.2)  # longer than both
        admitted_at.append(time.monotonic())
        await agent.queue("admitted")
        assert await agent.closed() == 1000

    with Service(queued(then)) as service:
        settings = service.settings(connect_timeout="4", max_duration="1", queue=queue)
        call = engine.call(settings=settings)
        assert call.ending() == ("TIMEOUT", "max_duration (1 s) reached")
        assert time.monotonic() - admitted_at[0] > 0.9
        call.release()
        service.outcome()


def test_a_full_agent_is_asked_again_at_once(engine: Engine) -> None:
    """No back-off: the service lets callers wait. The next call's URL is fetched as ever."""
    with Service(queued(stays)) as service:
        for number in range(2):
            call = engine.call(settings=service.settings(queue="refuse"))
            assert call.ending()[0] == "LIMIT"
            call.release()
            assert len(service.conversations) == number + 1
            service.wait_signed(number + 2)


def test_stopping_ends_those_who_wait(engine: Engine) -> None:
    with Service(queued(stays)) as service:
        call = engine.call(settings=service.settings())
        call.wait(QUEUED)
        assert engine.stop() == 0
        assert call.ending()[0] == "UNLOADED"
        call.release()


def test_a_word_of_the_queue_behind_the_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes while the session is ending, the end is the end."""
    monkeypatch.setattr(limits, "QUEUE_DECISION_SECONDS", 0.01)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.queue("waiting")
        await agent.queue("timed_out")
        await agent.queue("admitted")
        await agent.speak(GREETING, 1)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "LIMIT"
        call.release()
        service.outcome()
