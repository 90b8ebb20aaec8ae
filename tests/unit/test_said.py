"""What may be read of a conversation's words: transcript, summary, and what was heard."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyconvai import limits
from tests.timing import EVENT
from tests.unit.engine import HEARD, SUMMARY, TALKING, TRANSCRIPT, Call, Engine
from tests.unit.service import Conversation, Service

SECOND_OF_AUDIO = bytes(range(1, 251)) * 32  # mu-law


async def agent_says(agent: Conversation, text: str, event_id: int = 1, response: str = "") -> None:
    body = {"agent_response": text, "event_id": event_id, "response_id": response}
    await agent.send(type="agent_response", agent_response_event=body)


async def caller_says(agent: Conversation, text: str) -> None:
    await agent.send(type="user_transcript", user_transcription_event={"user_transcript": text})


async def correct(agent: Conversation, text: str, event_id: int = 1) -> None:
    body = {"corrected_agent_response": text, "event_id": event_id}
    await agent.send(type="agent_response_correction", agent_response_correction_event=body)


async def speak(
    agent: Conversation, seconds: float, characters: str = "", event_id: int = 1
) -> None:
    """Audio of this length that speaks these characters."""
    audio = SECOND_OF_AUDIO[: round(8000 * seconds)]
    body: dict[str, Any] = {"audio_base_64": base64.b64encode(audio).decode(), "event_id": event_id}
    if characters:
        body["alignment"] = {"chars": list(characters)}
    await agent.send(type="audio", audio_event=body)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + EVENT
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def play(call: Call, seconds: float) -> None:
    """Take that much from the queue."""
    until(lambda: call.queued >= 8000 * seconds)
    call.hear(round(8000 * seconds))


class Talk:
    """A conversation that a test goes through step by step: `step` lets the service go on."""

    def __init__(self, engine: Engine, *steps: Any, **settings: str) -> None:
        self.engine, self.steps, self.settings = engine, steps, settings

    def __enter__(self) -> Call:
        async def script(agent: Conversation) -> None:
            await agent.next()
            await agent.metadata()
            for number, step in enumerate(self.steps):
                if number:
                    await agent.hear(160 * number)
                await step(agent)
            await agent.closed()

        self.service = Service(script).__enter__()
        self.call = self.engine.call(settings=self.service.settings(**self.settings))
        self.call.wait(TALKING)
        return self.call

    def __exit__(self, *error: object) -> None:
        self.call.release()
        self.service.__exit__(*error)


async def a_conversation(agent: Conversation) -> None:
    await agent_says(agent, 'Hello, "you".', 1, "r1")
    await agent_says(agent, "Hello / you there.", 1, "r1")
    await caller_says(agent, "A table;\nfor two!")
    await agent_says(agent, "When do you want to come?", 2)
    await correct(agent, "When do you", 2)
    await agent.send(
        type="client_tool_call",
        client_tool_call={
            "tool_name": "book",
            "tool_call_id": "1",
            "parameters": {"summary": "-table; $2"},
        },
    )
    await agent.send(type="ping", ping_event={"event_id": 1})


def wait_pong(call: Call) -> None:
    until(lambda: call.counters().pings_answered == 1)


@pytest.mark.parametrize("transcripts", ["events", "all"])
def test_a_transcript(engine: Engine, transcripts: str) -> None:
    with Talk(engine, a_conversation, transcripts=transcripts) as call:
        wait_pong(call)
        turns = ["agent: Hello you there.", "caller: A table for two", "agent: When do you"]
        assert call.words(TRANSCRIPT) == " / ".join(turns)
        assert call.words(SUMMARY) == "table 2"
        # The newest turns that there is room for; of one that is too long its beginning.
        assert call.words(TRANSCRIPT, 45) == " / ".join(turns[1:])
        assert call.words(TRANSCRIPT, 44) == turns[2]
        assert call.words(TRANSCRIPT, 8) == "agent: "
        assert call.words(TRANSCRIPT, 1) == ""


@pytest.mark.parametrize("settings", [{}, {"transcripts": "none"}, {"transcripts": "records"}])
def test_no_transcript(engine: Engine, settings: dict[str, str]) -> None:
    with Talk(engine, a_conversation, **settings) as call:
        wait_pong(call)
        assert call.words(TRANSCRIPT) == call.words(SUMMARY) == call.words(HEARD) == ""


async def a_long_conversation(agent: Conversation) -> None:
    for number in range(40):
        await caller_says(agent, f"{number} {'ü' * 490}")
    await agent.send(type="ping", ping_event={"event_id": 1})


def test_a_transcript_has_a_limit(engine: Engine) -> None:
    """The oldest turns go."""
    with Talk(engine, a_long_conversation, transcripts="all") as call:
        wait_pong(call)
        text = call.words(TRANSCRIPT)
        assert limits.TRANSCRIPT_BYTES - 1000 < len(text.encode()) <= limits.TRANSCRIPT_BYTES
        assert text.startswith("caller: 24 ü")
        assert text.endswith("ü")


TEN = "one two three four five six seven eight nine ten."


async def a_sentence(agent: Conversation) -> None:
    await agent_says(agent, TEN)
    await speak(agent, 1)


async def interruption(agent: Conversation) -> None:
    await agent.interrupt(2)


def test_what_is_heard_follows_what_is_played(engine: Engine) -> None:
    """Without more than the audio: by its share. The whole of what has been played to its end."""
    with Talk(engine, a_sentence) as call:
        until(lambda: call.queued == 8000)
        assert call.words(HEARD) == ""
        play(call, 0.5)
        assert call.words(HEARD) == "one two three four five"
        assert call.words(HEARD, 6) == "one t"
        play(call, 0.5)
        assert call.words(HEARD) == TEN


def test_what_was_heard_of_what_was_interrupted(engine: Engine) -> None:
    with Talk(engine, a_sentence, interruption) as call:
        play(call, 0.5)
        call.push(bytes(160))
        until(lambda: call.queued == 0)
        call.pop(160)
        assert call.words(HEARD) == "one two three four five"


async def aligned(agent: Conversation) -> None:
    """All words but the last in the first half of the audio; more is still to come."""
    await speak(agent, 0.25, TEN[:24])
    await agent_says(agent, TEN)
    await speak(agent, 0.25, TEN[24:45])
    await speak(agent, 0.5, TEN[45:])


def test_what_was_heard_by_the_characters_of_the_audio(engine: Engine) -> None:
    with Talk(engine, aligned, interruption) as call:
        until(lambda: call.queued == 8000)
        play(call, 0.125)
        assert call.words(HEARD) == "one two"
        play(call, 0.125)
        assert call.words(HEARD) == TEN[:23]
        play(call, 0.25)
        assert call.words(HEARD) == "one two three four five six seven eight nine"
        call.push(bytes(160))
        until(lambda: call.queued == 0)
        assert call.words(HEARD) == "one two three four five six seven eight nine"


async def half(agent: Conversation) -> None:
    await agent_says(agent, TEN)
    await speak(agent, 0.5)


async def interrupted_early(agent: Conversation) -> None:
    """More was to come: only the service knows how much."""
    await agent.interrupt(2)
    await correct(agent, "one two")


def test_no_more_was_heard_than_the_service_has_said(engine: Engine) -> None:
    with Talk(engine, half, interrupted_early) as call:
        play(call, 0.25)
        assert call.words(HEARD) == "one two three four five"
        call.push(bytes(160))
        until(lambda: call.words(HEARD) == "one two")


async def two_turns(agent: Conversation) -> None:
    await agent_says(agent, "The first.", 1)
    await speak(agent, 0.25, event_id=1)
    await agent_says(agent, "The second.", 2)
    await speak(agent, 0.25, event_id=2)


async def second_cut(agent: Conversation) -> None:
    await agent.interrupt(3)
    await agent_says(agent, "The third.", 3)
    await speak(agent, 0.25, event_id=3)


def test_the_last_turn_of_which_anything_was_heard(engine: Engine) -> None:
    """What was thrown away whole was not heard; a reply may have the id of the interruption."""
    with Talk(engine, two_turns, second_cut) as call:
        play(call, 0.25)
        assert call.words(HEARD) == "The first."
        call.push(bytes(160))
        until(lambda: call.counters().interruptions == 1)
        until(lambda: call.queued == 2000)
        assert call.words(HEARD) == "The first."
        play(call, 0.25)
        assert call.words(HEARD) == "The third."


async def many_pieces(agent: Conversation) -> None:
    await agent_says(agent, "abcd " * 60)
    for _ in range(150):
        await speak(agent, 0.02, "ab")


def test_more_pieces_than_are_kept(engine: Engine) -> None:
    """The marks lie further apart then; what is heard is as exact."""
    with Talk(engine, many_pieces) as call:
        until(lambda: call.queued == 150 * 160)
        call.hear(75 * 160)
        assert abs(len(call.words(HEARD)) - 150) <= 5
        call.hear(75 * 160)
        assert call.words(HEARD) == ("abcd " * 60).strip()


async def long_texts(agent: Conversation) -> None:
    await caller_says(agent, "x" * 10**5)
    await agent.send(
        type="client_tool_call",
        client_tool_call={
            "tool_name": "x",
            "tool_call_id": "1",
            "parameters": {"summary": "y" * 8000},
        },
    )
    await agent.send(type="ping", ping_event={"event_id": 1})


def test_texts_have_limits(engine: Engine) -> None:
    with Talk(engine, long_texts, transcripts="all") as call:
        wait_pong(call)
        assert call.words(TRANSCRIPT) == f"caller: {'x' * (limits.TURN_BYTES - 3)}..."
        assert call.words(SUMMARY) == "y" * (limits.SUMMARY_BYTES - 3) + "..."
