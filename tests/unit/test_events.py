"""What the engine has for programs: when, with which fields, and within which limits."""

from __future__ import annotations

import asyncio
import base64
import time

import pytest

from pyconvai import limits
from pyconvai.conversation.events import first_words
from pyconvai.conversation.spoken import Spoken
from tests.timing import EVENT, MS
from tests.unit.engine import TALKING, Engine
from tests.unit.peer import until
from tests.unit.service import Conversation, Service

TEXT = "One two three four five six."


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SETTLE_SECONDS", 50 * MS)


async def response(agent: Conversation, text: str, event_id: int) -> None:
    event = {"agent_response": text, "event_id": event_id}
    await agent.send(type="agent_response", agent_response_event=event)


async def speak(agent: Conversation, audio: bytes, event_id: int, characters: str) -> None:
    """Audio that speaks these characters."""
    event = {"audio_base_64": base64.b64encode(audio).decode(), "event_id": event_id}
    body = {**event, "alignment": {"chars": list(characters)}}
    await agent.send(type="audio", audio_event=body)


def spoken(response: int, length_ms: int) -> dict[str, str]:
    """The event of a response that answers nothing."""
    fields = {"ResponseId": str(response), "LengthMs": str(length_ms), "LatencyMs": ""}
    return {"kind": "SPOKEN", **fields}


def test_a_response_is_spoken_when_it_was_played(engine: Engine) -> None:
    """Two in a row, and one that goes on after a pause: each once it was heard, and no sooner."""
    more = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(800), 1)
        await agent.speak(bytes(1600), 2)
        await more.wait()
        await agent.speak(bytes(160), 2)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        call.hear(800)
        assert call.wait_events(1) == [spoken(1, 100)]
        call.hear(1600)
        assert call.wait_events(1) == [spoken(2, 200)]
        service.tell(more)
        call.hear(160)
        assert call.wait_events(1) == [spoken(2, 20)]
        assert call.counters().turns == 2
        call.release()


def test_a_fault_of_a_look_is_nobody_elses(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and what others have heard is told as well."""
    spoken_of, slips = Spoken._is_spoken, ["a slip"]

    def slip(self: Spoken, end_ms: int) -> None:
        if slips:
            raise ZeroDivisionError(slips.pop())
        spoken_of(self, end_ms)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(800), 1)
        await agent.closed()

    monkeypatch.setattr(Spoken, "_is_spoken", slip)
    with Service(script) as first, Service(script) as second:
        one, two = (engine.call(settings=each.settings()) for each in (first, second))
        one.hear(800)
        until(lambda: not slips)
        two.hear(800)
        assert two.wait_events(1) == [spoken(1, 100)]
        for call in (one, two):
            call.release()
    assert "a fault in a look: Traceback" in engine.text()


def test_a_turn_tells_how_soon_it_has_answered(engine: Engine) -> None:
    """By its own: greeting and what follows a reply answer nothing, the last is interrupted."""
    asked = [asyncio.Event() for _ in range(4)]
    loud, word = b"\x10" * 160, bytes(range(1, 161))

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for number, each in enumerate(asked, 1):
            await each.wait()
            await agent.speak(word, number)
        await agent.hear(160 * 17)
        await agent.interrupt(5)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        now = 1_000_000_000

        def answer(number: int, pause_ms: int) -> None:
            nonlocal now
            for _ in range(8 if number in (1, 3) else 0):
                now += 20_000
                call.push(loud, now)
            now += 1000 * pause_ms
            service.tell(asked[number])
            until = time.monotonic() + EVENT
            while not call.pop(160, now)[1]:
                assert time.monotonic() < until, number
            now += 20_000
            call.pop(160, now)

        answer(0, 0)
        (greeting,) = call.wait_events(1)
        answer(1, 700)
        (reply,) = call.wait_events(1)
        answer(2, 1000)
        (more,) = call.wait_events(1)
        answer(3, 1234)
        call.push(loud, now)
        (interruption,) = call.wait_events(1)
        told = [greeting, reply, more, interruption]
        assert [each["kind"] for each in told] == [*["SPOKEN"] * 3, "INTERRUPTION"]
        assert [each["LatencyMs"] for each in told] == ["", "700", "", "1234"]
        call.release()


def test_an_interruption_tells_how_much_was_heard(engine: Engine) -> None:
    """By what each piece of audio speaks, where the service tells: the last words are fast here."""
    go = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await response(agent, TEXT, 3)
        await speak(agent, bytes(6000), 3, TEXT[:13])
        await speak(agent, bytes(2000), 3, TEXT[13:])
        await go.wait()
        await agent.interrupt(4)
        await agent.interrupt(5)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings(transcripts="all"))
        call.wait(TALKING)
        call.hear(4000)
        service.tell(go)
        words = {"Speaker": "agent", "ResponseId": "3", "Text": TEXT}
        length = {"HeardMs": "500", "LengthMs": "1000"}
        nothing = {"HeardMs": "0", "LengthMs": "0"}
        assert call.wait_events(4) == [
            {"kind": "TRANSCRIPT", **words, "Final": "0"},
            {"kind": "INTERRUPTION", "ResponseId": "3", **length, "LatencyMs": ""},
            {"kind": "TRANSCRIPT", **words, "Final": "1", "Heard": "One two", **length},
            {"kind": "INTERRUPTION", "ResponseId": "", **nothing, "LatencyMs": ""},
        ]
        call.release()


def test_words_that_come_behind_an_interruption(engine: Engine) -> None:
    """What was heard of them goes by the share of the audio then."""
    go = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(8000), 3)
        await go.wait()
        await agent.interrupt(4)
        await response(agent, TEXT, 3)
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings(transcripts="all"))
        call.wait(TALKING)
        call.hear(4000)
        service.tell(go)
        _, first, final = call.wait_events(3)
        assert (first["Final"], first["Text"]) == ("0", TEXT)
        assert (final["Final"], final["Heard"], final["HeardMs"]) == ("1", "One two three", "500")
        call.release()


def test_last_words_are_spoken_behind_the_end(engine: Engine) -> None:
    """The session is over at the service by then, and the channel still plays."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(800), 1)
        await response(agent, "Goodbye.", 1)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(transcripts="events"))
        assert call.ending()[0] == "AGENT_ENDED"
        assert [each["kind"] for each in call.events()] == ["TRANSCRIPT"]
        call.hear(800)
        played, words = call.wait_events(2)
        assert played == spoken(1, 100)
        assert (words["Final"], words["Heard"], words["HeardMs"]) == ("1", "Goodbye.", "100")
        call.release()


def test_last_words_that_nobody_hears_keep_no_engine(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(80_000), 1)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        call.release()
        assert engine.stop() == 0


def test_nothing_is_said_of_words_unless_it_is_wanted(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await response(agent, "Secret.", 1)
        await agent.speak(bytes(160), 1)
        event = {"user_transcript": "Mine."}
        await agent.send(type="user_transcript", user_transcription_event=event)
        await agent.connection.close(1000)

    for setting in ("none", "records"):
        with Service(script) as service:
            call = engine.call(settings=service.settings(transcripts=setting))
            call.hear(160)
            assert [each["kind"] for each in call.wait_events(1)] == ["SPOKEN"]
            call.release()


def test_what_the_caller_says(engine: Engine) -> None:
    """Tentative and final; what is hostile is one line, what is long is cut and says so."""
    hostile = "No.\r\nEvent: Hangup\r\n\r\n\x1b[2J"
    long, longer = "é" * 2500, "x" * limits.MESSAGE_WHOLE_BYTES

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for kind, text in (("tentative_user_transcript", "N"), ("user_transcript", hostile),
                           ("user_transcript", long), ("user_transcript", longer)):  # fmt: skip
            event = {"user_transcript": text, "event_id": 6}
            body = kind.replace("transcript", "transcription_event")
            await agent.send(type=kind, **{body: event})
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings(transcripts="events"))
        said = {"kind": "TRANSCRIPT", "Speaker": "caller", "ResponseId": "6"}
        tentative, final, *cut = call.wait_events(4)
        assert tentative == {**said, "Text": "N", "Final": "0"}
        assert final == {**said, "Text": "No. Event: Hangup [2J", "Final": "1"}
        for each in cut:
            assert each["Truncated"] == "1"
            assert len(each["Text"].encode()) <= limits.EVENT_TEXT_BYTES
        call.release()


def test_tools_here_and_at_the_service(engine: Engine) -> None:
    """Each call once, whatever the service repeats; no arguments and no results."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for call_id in ("a", "a"):
            call = {"tool_name": "fly\r\nX: y", "tool_call_id": call_id, "parameters": {"pin": "1"}}
            await agent.send(type="client_tool_call", client_tool_call=call)
        await agent.next()
        for kind, more in (
            ("agent_tool_request", {}),
            ("agent_tool_response", {"is_error": True}),
            ("agent_tool_request", {"tool_type": "client"}),
        ):
            body = {"tool_name": "book", "tool_call_id": "b", "tool_type": "webhook", **more}
            await agent.send(type=kind, **{kind: body})
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        told = call.wait_events(4)
        elapsed = [each.pop("ElapsedMs") for each in told]
        here = {"kind": "TOOL", "Tool": "fly X: y", "ToolCallId": "a", "Where": "here"}
        there = {"kind": "TOOL", "Tool": "book", "ToolCallId": "b", "Where": "service"}
        assert told == [
            {**here, "State": "called"},
            {**here, "State": "failed"},
            {**there, "State": "called"},
            {**there, "State": "failed"},
        ]
        assert elapsed[0] == elapsed[2] == ""
        assert int(elapsed[1]) < 1000 * EVENT
        call.release()


def test_a_service_that_floods(engine: Engine) -> None:
    """So many in a second, and so many that wait; the rest is counted, and the log says so once."""
    count = 20 * limits.EVENTS_PER_SECOND

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for number in range(count):
            await agent.interrupt(number)
        await agent.connection.close(1000)

    with Service(script) as service:
        began = time.monotonic()
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        seconds = 2 + int(time.monotonic() - began)
        told = len(call.events())
        assert limits.EVENTS_PER_SECOND <= told <= seconds * limits.EVENTS_PER_SECOND
        assert call.counters().events_dropped == count - told
        service.outcome()
        assert engine.text().count("programs are not told of INTERRUPTION") == 1
        call.release()


@pytest.mark.parametrize(
    ("characters", "part"),
    [(0, ""), (9, "One two"), (6, "One"), (7, "One two"), (18, "One two three four")],
)
def test_the_part_that_was_heard_is_whole_words(characters: int, part: str) -> None:
    assert first_words("One two three four", characters) == part
