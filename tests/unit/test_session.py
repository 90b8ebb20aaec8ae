"""A whole session through the contract, against a service that follows a script."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from typing import Any

import pytest

from pyconvai import __version__, limits, log, words
from pyconvai.conversation import protocol
from pyconvai.conversation.effects import Level
from tests import hostile
from tests.timing import EVENT
from tests.unit.engine import ENDED, TALKING, Engine
from tests.unit.peer import until
from tests.unit.service import Conversation, Service


def test_the_levels_of_a_conversation_are_the_log_s() -> None:
    assert list(Level) == [log.DEBUG, log.NOTICE, log.WARNING]


def test_opening_and_formats(engine: Engine) -> None:
    """Initiation first, with variables and overrides; then the metadata's formats are published."""

    async def script(agent: Conversation) -> None:
        opening = await agent.next()
        assert opening == {
            "type": "conversation_initiation_client_data",
            "conversation_config_override": {"agent": {"language": "de"}},
            "dynamic_variables": {"postcode": "01234", "visits": 3},
            "source_info": {"source": "unknown", "version": f"app_elevenlabs_convai {__version__}"},
        }
        await agent.metadata("pcm_16000", "ulaw_8000")
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = engine.call(
            settings=service.settings(),
            variables={"postcode": "01234"},
            json={"visits": "3"},
            overrides={"language": "de"},
        )
        progress = call.wait(TALKING)
        assert (progress.caller.encoding, progress.caller.rate) == (1, 8000)
        assert (progress.agent.encoding, progress.agent.rate) == (2, 16000)
        call.release()
        service.outcome()
        assert service.requests[0].headers["xi-api-key"] == "key"
        assert "xi-api-key" not in service.requests[1].headers


def test_audio_both_ways_bit_for_bit(engine: Engine) -> None:
    spoken, said = os.urandom(24_000), os.urandom(8_000)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for at in range(0, len(spoken), 777):
            await agent.speak(spoken[at : at + 777])
        assert await agent.hear(len(said)) == said
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        call.say(said)
        assert call.hear(len(spoken)) == spoken
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()


def test_interruption_drops_only_what_is_older(engine: Engine) -> None:
    """What is queued goes; later, lower ids are dropped and equal and higher ones are played."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"\x01" * 8000, 4)
        await agent.interrupt(5)
        await agent.speak(b"\x02" * 160, 4)
        await agent.speak(b"\x03" * 160, 5)
        await agent.speak(b"\x04" * 160, "6")
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(ENDED)
        assert progress.play_out == 1
        assert call.queued == 320
        assert call.hear(320) == b"\x03" * 160 + b"\x04" * 160
        counters = call.counters()
        assert counters.flushed_bytes == 8000
        assert counters.stale_dropped_bytes >= 160
        assert counters.interruptions == 1
        call.release()


def test_farewell_is_played_to_its_end(engine: Engine) -> None:
    farewell = os.urandom(40_000)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(farewell)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(ENDED)
        assert progress.play_out == 1
        assert call.hear(len(farewell)) == farewell
        assert call.queued == 0
        call.release()


def test_half_samples_are_joined_and_never_shift_what_follows(engine: Engine) -> None:
    """PCM in odd pieces is played as it was; an odd response does not turn the next into noise."""
    first, second = os.urandom(1001), os.urandom(1000)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata("pcm_16000", "pcm_16000")
        await agent.speak(first[:333], 1)
        await agent.speak(first[333:], 1)
        await agent.speak(second, 2)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(ENDED)
        assert call.hear(2002) == first + b"\0" + second
        call.release()


def test_ping_is_answered_and_unknown_messages_are_ignored(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(type="ping", ping_event={"event_id": 0, "ping_ms": None})
        assert await agent.next() == {"type": "pong", "event_id": 0}
        await agent.send(type="of_tomorrow", of_tomorrow_event={})
        await agent.send(no_type_at_all=1)
        await agent.connection.send("this is no JSON")
        await agent.send(type="ping", ping_event={"event_id": "7", "ping_ms": 12})
        assert await agent.next() == {"type": "pong", "event_id": "7"}
        await agent.send(type="ping", ping_event={"event_id": 1e300})
        assert await agent.next() == {"type": "pong", "event_id": 1e300}
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        assert call.counters().unknown_messages == 3
        assert call.counters().pings_answered == 3
        call.release()


def test_a_tool_call_is_answered_once(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(
            type="client_tool_call",
            client_tool_call={"tool_name": "fly", "tool_call_id": "c1", "parameters": {}},
        )
        result = await agent.next()
        assert (result["type"], result["tool_call_id"]) == ("client_tool_result", "c1")
        assert result["is_error"] is True
        assert "fly" in result["result"]
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        call.release()


@pytest.mark.parametrize("debug", ["no", "yes"])
def test_no_message_ends_a_call(engine: Engine, debug: str) -> None:
    """S7: with `debug` too; what is owed an answer gets it, and the audio is whole."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        for text in hostile.ALL.values():
            await agent.connection.send(text)
        await agent.metadata()
        await agent.speak(b"before")
        for text in hostile.ALL.values():
            await agent.connection.send(text)
        await agent.speak(b"behind", 2)
        await agent.send(type="ping", ping_event={"event_id": "last"})
        while await agent.next() != {"type": "pong", "event_id": "last"}:
            pass
        pongs = [m for m in agent.received if m["type"] == "pong"]
        assert len(pongs) == 2 * len(hostile.PINGS) + 1
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(debug=debug))
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        assert call.hear(6) == b"behind", "an interruption among them has thrown the rest away"
        assert call.counters().pings_answered == 2 * len(hostile.PINGS) + 1
        assert len(engine.text()) < 500_000
        assert "fault" not in engine.text()
        call.release()


def test_audio_before_the_metadata_is_heard(engine: Engine) -> None:
    """S16: in order, in pieces of half samples as well."""
    early, later = os.urandom(1001), os.urandom(999)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.speak(early[:333])
        await agent.speak(early[333:])
        await agent.metadata("pcm_16000", "pcm_16000")
        await agent.speak(later)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        assert call.hear(2000) == early + later
        assert "left out" not in engine.text()
        assert "dropped" not in engine.text()
        call.release()


def test_audio_before_formats_that_are_not_known(engine: Engine) -> None:
    """S16: the call ends for its reason, and nothing else is said."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.speak(b"early")
        await agent.metadata("mp3_44100")
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "REJECTED"
        assert "dropped" not in engine.text()
        service.outcome()
        call.release()


def test_base64_that_is_nearly_standard(engine: Engine) -> None:
    """S16: unpadded, of the URL alphabet, in lines: all of it is heard, and told once."""
    spoken = b"".join(bytes([n % 256, 0xFF, 0xFE, 0xFB]) for n in range(250))

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for at in range(0, len(spoken), 100):
            text = base64.urlsafe_b64encode(spoken[at : at + 100]).decode().rstrip("=")
            text = f"{text[:50]}\r\n {text[50:]}\n" if at % 200 else text
            await agent.send(type="audio", audio_event={"audio_base_64": text, "event_id": 1})
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        assert call.hear(len(spoken)) == spoken
        assert engine.text().count("agent audio is not padded standard base64, but taken") == 1
        call.release()


def test_formats_that_change_are_told_and_no_noise_is_heard(engine: Engine) -> None:
    """S16: also where the core takes audio without asking."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"first ")
        await agent.speak(b"words ")
        await agent.metadata("pcm_16000", "pcm_16000")
        await agent.speak(b"noise ")
        await agent.speak(b"noise ", 2)
        await agent.metadata()
        await agent.speak(b"again ")
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        assert call.hear(18) == b"first words again "
        assert engine.text().count("the service changes the agent's formats in mid-call") == 1
        call.release()


def test_a_text_is_made_fit_for_the_log_only_where_there_is_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S15: a transcript is for whoever debugs; a large one costs nobody anything else."""
    cleaned: list[int] = []

    def clean(text: str, *rest: int) -> str:
        cleaned.append(len(text))
        return line(text, *rest)

    line = words.line
    monkeypatch.setattr(words, "line", clean)
    text = "x y\n" * (1 << 17)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(type="agent_response", agent_response_event={"agent_response": text})
        await agent.send(
            type="guardrail_triggered", guardrail_triggered_event={"guardrail_name": text}
        )
        await agent.connection.close(1000)

    for debug, lines in (("no", 1), ("yes", 4)):  # with debug on each message, and what it says
        cleaned.clear()
        with Service(script) as service:
            call = engine.call(settings=service.settings(debug=debug))
            assert call.ending()[0] == "AGENT_ENDED"
            service.outcome()
            call.release()
        long = [length for length in cleaned if length > 1000]
        assert len(long) == lines
        assert max(long) < 2 * limits.MAX_TEXT_CHARACTERS


def test_bad_audio_is_left_out(engine: Engine) -> None:
    """S16: and told of once."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for text in ("????", "a", "", "==", "=bcd", "é" * 4):
            await agent.send(type="audio", audio_event={"audio_base_64": text, "event_id": 1})
        await agent.speak(b"good")
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(ENDED)
        assert call.hear(4) == b"good"
        assert engine.text().count("agent audio left out") == 1
        assert "dropped" not in engine.text()
        call.release()


def test_a_queue_that_is_full_is_told_once(engine: Engine) -> None:
    """Ten minutes may wait: what comes behind them is dropped, and the call goes on."""
    minute = bytes(60 * 8000)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"good")
        for _ in range(12):
            await agent.speak(minute)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        assert call.hear(4) == b"good"
        assert call.counters().overflow_dropped_bytes == 3 * len(minute)
        assert engine.text().count("agent audio dropped: 540 s wait to be played already") == 1
        call.release()


def test_pieces_that_wait_are_limited_however_small(engine: Engine) -> None:
    """K9: a piece costs memory of its own, so single bytes do not fill the queue by time."""
    most, more = 60_000, 500

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for _ in range(most + more):
            await agent.speak(b"\x7f")
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending(2 * EVENT)[0] == "AGENT_ENDED"
        # The queue's head, which was never appended, is a piece as well.
        assert call.counters().overflow_dropped_bytes == more + 1
        call.release()


def test_lines_that_a_call_may_cause_are_limited(engine: Engine) -> None:
    """K9: of each kind some are logged, and how many more there were when the call ends."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for number in range(limits.LINES_OF_A_KIND + 30):
            await agent.send(type="error", error_event={"message": f"oops {number}"})
            await agent.send(type="guardrail_triggered")
            await agent.send(type=f"external_agent_{('dis', '')[number % 2]}connected")
            await agent.send(type="client_tool_call", client_tool_call={"tool_name": "x"})
            call = {"tool_name": "x", "tool_call_id": str(number)}
            await agent.send(type="client_tool_call", client_tool_call=call)
            call = {"state": "awaiting_approval", "tool_call_id": str(number)}
            await agent.send(type="mcp_tool_call", mcp_tool_call=call)
            await agent.send(type="queue_status", queue_status_event={"status": f"s{number}"})
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
    more = "30 more lines about errors that the service reports"
    until(lambda: more in engine.text())  # when all of the session is over
    lines = engine.text().splitlines()
    assert sum("oops" in line for line in lines) == limits.LINES_OF_A_KIND
    assert len(lines) <= 8 * (limits.LINES_OF_A_KIND + 1) + 1


@pytest.mark.parametrize(
    ("formats", "key"),
    [
        (("mp3_44100", "ulaw_8000"), "agent_output_audio_format is mp3_44100"),
        (("ulaw_8000", "opus_48000"), "user_input_audio_format is opus_48000"),
        (("mp3_44100_128", "ulaw_8000"), "agent_output_audio_format is mp3_44100_128"),
        (("call_+1-900-5550100_now", "ulaw_8000"), "agent_output_audio_format is ?"),
        (("ulaw_8000", "your.account_is_blocked"), "user_input_audio_format is ?"),
    ],
)
def test_a_format_that_is_not_known(engine: Engine, formats: tuple[str, str], key: str) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata(*formats)
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert (status, reason.startswith(f"the agent's {key}; set it to one of ulaw_")) == (
            "REJECTED",
            True,
        ), reason
        call.release()
        service.outcome()


def test_a_fault_ends_the_call_and_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(type="ping", ping_event={"event_id": 1})
        assert await agent.closed() == 1000

    def slip(event_id: object) -> str:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr(protocol, "pong", slip)
    with Service(script) as service:
        call = engine.call(settings=service.settings())
        reason = "fault in the engine: ZeroDivisionError; see the log"
        assert call.ending() == ("ERROR", reason)
        call.release()
        service.outcome()
    assert "fault in the engine: Traceback (most recent call last): |" in engine.text()


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (1000, "", "AGENT_ENDED"),
        (1000, "max_duration_exceeded", "TIMEOUT"),
        (1002, "This request exceeds your quota limit.", "LIMIT"),
        (1002, "No user message received for 60 seconds", "ERROR"),
        (1008, "Override for field 'language' is not allowed by config", "REJECTED"),
        (1011, "Unexpected error in websocket endpoint", "ERROR"),
        (3000, "Could not authorize the conversation.", "AUTH"),
        (3000, "The AI agent you are trying to reach does not exist.", "REJECTED"),
        (3008, "too many concurrent connections", "LIMIT"),
        (1011, "concurrent.futures._base.CancelledError: quota", "ERROR"),
    ],
)
@pytest.mark.parametrize("talking", [False, True])
def test_close_codes(engine: Engine, code: int, reason: str, status: str, talking: bool) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        if talking:
            await agent.metadata()
        await agent.connection.close(code, reason)

    if code == 1000 and not reason and not talking:
        status = "REJECTED"
    with Service(script) as service:
        call = engine.call(settings=service.settings())
        got, words = call.ending()
        assert got == status, words
        assert call.detail() == reason
        call.release()


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ({"tool_name": "end_call"}, "with its tool end_call"),
        ({"tool_name": "voicemail_detection", "is_error": False}, "its tool voicemail_detection"),
        ({"tool_name": "skip_turn"}, "(1000)"),
    ],
)
def test_the_tool_that_ends_the_call_is_told(
    engine: Engine, tool: dict[str, Any], told: str
) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(type="agent_tool_request", agent_tool_request=tool)
        await agent.send(type="agent_tool_response", agent_tool_response=tool)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert (status, reason.endswith(told)) == ("AGENT_ENDED", True), reason
        call.release()


def test_a_tool_that_failed_to_end_the_call_is_not_told(engine: Engine) -> None:
    tool = {"tool_name": "end_call"}

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(type="agent_tool_request", agent_tool_request=tool)
        await agent.send(
            type="agent_tool_response_full_payload",
            agent_tool_response_full_payload=tool | {"is_error": True},
        )
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[1].endswith("(1000)")
        call.release()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"type": "client_error", "error_event": {"error_name": "override_error"}}, "REJECTED"),
        ({"type": "error", "error_event": {"error_type": "max_duration_exceeded"}}, "TIMEOUT"),
        ({"type": "error", "message": "received 1002 This exceeds your quota limit."}, "LIMIT"),
        ({"type": "queue_status", "queue_status_event": {"status": "timed_out"}}, "LIMIT"),
    ],
)
@pytest.mark.parametrize("talking", [False, True])
def test_an_error_tells_why_the_close_came(
    engine: Engine, error: dict[str, Any], status: str, talking: bool
) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        if talking:
            await agent.metadata()
        await agent.send(**error)
        await agent.connection.close(1002)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == status
        call.release()


@pytest.mark.parametrize(
    "goes_on",
    [
        {"type": "agent_response", "agent_response_event": {"agent_response": "Bye."}},
        {"type": "agent_tool_request", "agent_tool_request": {"tool_name": "t"}},
    ],
)
@pytest.mark.parametrize("normal", [True, False])
def test_an_error_that_the_conversation_survived_is_not_why_it_ends(
    engine: Engine, normal: bool, goes_on: dict[str, Any]
) -> None:
    """S2: whether the agent went on behind it, or the end is a normal one."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(type="client_error", error_event={"error_name": "n", "message": "quota"})
        if not normal:
            await agent.send(**goes_on)
        await agent.connection.close(1000 if normal else 1002)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert (status, "quota" in reason) == ("AGENT_ENDED" if normal else "ERROR", False)
        call.release()


def test_an_mcp_tool_that_waits_for_approval_is_refused(engine: Engine) -> None:
    """At once: nobody on the telephone can approve it. Other states are no question."""
    tool = {"tool_name": "t", "tool_call_id": "m1"}

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        for state in ("loading", "awaiting_approval", "failure"):
            await agent.send(type="mcp_tool_call", mcp_tool_call=tool | {"state": state})
        await agent.send(type="ping", ping_event={"event_id": 1})
        answer = await agent.next()
        assert answer["type"] == "mcp_tool_approval_result"
        assert (answer["tool_call_id"], answer["is_approved"]) == ("m1", False)
        assert (await agent.next())["type"] == "pong"
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        call.release()


def test_the_log_tells_what_the_caller_heard(engine: Engine) -> None:
    """As far as it was played, not as far as it was sent; and what the service tells else."""
    go_on = threading.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"\x01" * 8000, 4)
        await asyncio.to_thread(go_on.wait, EVENT)
        await agent.send(
            type="tentative_user_transcript",
            tentative_user_transcription_event={"user_transcript": "St"},
        )
        await agent.send(
            type="user_transcript", user_transcription_event={"user_transcript": "Stop!"}
        )
        await agent.interrupt(5)
        await agent.send(
            type="agent_response_correction",
            agent_response_correction_event={"corrected_agent_response": "Well,", "event_id": 4},
        )
        await agent.send(type="guardrail_triggered")
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(debug="yes"))
        call.wait(TALKING)
        assert call.hear(1600) == b"\x01" * 1600
        go_on.set()
        call.wait(ENDED)
        service.outcome()
        call.release()
    text = engine.text()
    assert "800 ms of agent audio thrown away; heard: 200 of 1000 ms of response 4" in text
    assert "agent, cut short: Well,; heard: 200 of 1000 ms" in text
    assert "\ncaller: Stop!" in text
    assert "\ncaller: St\n" not in text
    assert "the service tells: guardrail_triggered" in text


@pytest.mark.parametrize("talking", [False, True])
def test_a_connection_that_breaks(engine: Engine, talking: bool) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        if talking:
            await agent.metadata()
        agent.connection.transport.abort()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.ending()[0] == ("ERROR" if talking else "UNREACHABLE")
        call.release()


def test_set_up_is_tried_again(engine: Engine) -> None:
    """A connection that breaks before the metadata is worth another attempt, with a fresh URL."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        if len(service.conversations) == 1:
            agent.connection.transport.abort()
            return
        await agent.metadata()
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(connect_attempts="3"))
        assert call.ending()[0] == "AGENT_ENDED"
        assert service.signed() in (2, 3), "the third is the next call's"
        call.release()


def test_what_an_attempt_that_failed_has_said_is_void(engine: Engine) -> None:
    """The next connection is a conversation of its own: its audio is fresh, its end is its own."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        if len(service.conversations) == 1:
            await agent.interrupt(5)
            await agent.send(
                type="agent_tool_request", agent_tool_request={"tool_name": "end_call"}
            )
            await agent.send(type="client_error", error_event={"message": "quota"})
            await agent.send(type="ping", ping_event={"event_id": 1})
            assert (await agent.next())["type"] == "pong"
            agent.connection.transport.abort()
            return
        await agent.metadata()
        await agent.speak(b"\x01" * 160, 1)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(connect_attempts="3"))
        status, reason = call.ending()
        assert (status, reason.endswith("(1000)")) == ("AGENT_ENDED", True), reason
        assert call.queued == 160
        call.release()


@pytest.mark.parametrize(
    ("code", "body", "status", "words"),
    [
        (401, b'{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}', "AUTH",
         "Invalid API key (invalid_api_key)"),
        (404, b'{"detail":{"code":"agent_not_found","message":"Agent not found."}}', "REJECTED",
         "Agent not found."),
        (422, b'{"detail":[{"loc":["query","agent_id"],"msg":"Field required","type":"missing"}]}',
         "REJECTED", "query.agent_id Field required"),
        (429, b'{"detail":{"code":"concurrent_limit_exceeded","message":"Too many"}}', "LIMIT",
         "Too many"),
        (404, b'{"detail":"Not Found"}', "REJECTED", "Not Found"),
        (500, b"<html>oops</html>", "UNREACHABLE", "HTTP 500"),
        (403, b"go away", "AUTH", "go away"),
        (302, b"", "ERROR", "redirects are not followed"),
        (200, b'{"signed_url": "http://elsewhere/"}', "ERROR", "holds none"),
        (200, b"[]", "ERROR", "holds none"),
    ],
)  # fmt: skip
def test_http_refusals(engine: Engine, code: int, body: bytes, status: str, words: str) -> None:
    async def script(agent: Conversation) -> None:
        raise AssertionError("nobody should have come this far")

    with Service(script) as service:
        headers = {"Location": f"{service.url}/elsewhere"} if code == 302 else {}
        service.answers.append((code, body, headers))
        call = engine.call(settings=service.settings())
        got, reason = call.ending()
        assert got == status
        assert words in f"{reason} [{call.detail()}]"
        assert len(service.requests) == 1
        call.release()


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ({"settings": {"api_key": ""}}, "AUTH", "no api_key for agent 'sales_agent'"),
        ({"settings": {"base_url": "http://127.0.0.1:1"}}, "UNREACHABLE", "127.0.0.1:1"),
        ({"settings": {"base_url": "http://no-such-host.invalid"}}, "UNREACHABLE", "no-such-host"),
        ({"settings": {"base_url": "gopher://x"}}, "ERROR", "base_url"),
        ({"overrides": {"colour": "red"}}, "REJECTED", "ELEVENLABS_OVERRIDE_colour"),
        ({"overrides": {"speed": "fast"}}, "REJECTED", "ELEVENLABS_OVERRIDE_speed"),
        ({"json": {"n": "{"}}, "REJECTED", "ELEVENLABS_JSON_n"),
        ({"settings": {"base_url": "https://127.0.0.1:1", "ca_file": "/none"}}, "ERROR", "/none"),
    ],
)
def test_calls_that_never_reach_a_service(
    engine: Engine, what: dict[str, Any], status: str, words: str
) -> None:
    call = engine.call(**what)
    got, reason = call.ending()
    reason += f" [{call.detail()}]"
    assert (got, words in reason) == (status, True), reason
    call.release()


def test_a_silent_service_is_left_after_connect_timeout(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        assert await agent.closed() in (1000, 1006)

    with Service(script) as service:
        call = engine.call(settings=service.settings(connect_timeout="3"))
        status, reason = call.ending()
        assert status == "TIMEOUT"
        assert "connect_timeout (3 s)" in reason
        call.release()
        service.outcome()


def test_max_duration(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = engine.call(settings=service.settings(max_duration="1"))
        status, reason = call.ending()
        assert (status, "max_duration (1 s)" in reason) == ("TIMEOUT", True)
        call.release()
        service.outcome()


@pytest.mark.parametrize("stage", ["signed_url", "opening", "metadata", "talking"])
def test_the_caller_hangs_up(engine: Engine, stage: str) -> None:
    """At every stage the conversation is closed and the engine lets go of it."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        if stage == "talking":
            await agent.metadata()
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        if stage == "talking":
            call.wait(TALKING)
        elif stage == "metadata":
            until(lambda: any(each.received for each in service.conversations))
        call.hangup()
        assert call.ending()[0] == "HANGUP"
        call.release()
        if stage == "talking":
            service.outcome()
            assert service.conversations[0].connection.close_code == 1000


def test_end_all_and_stop(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        assert await agent.closed() == 1000

    with Service(script) as service:
        calls = [engine.call(settings=service.settings()) for _ in range(3)]
        for call in calls:
            call.wait(TALKING)
        engine.ops.end_all(11, b"module unload")
        for call in calls:
            assert call.ending() == ("UNLOADED", "module unload")
        assert engine.stop() == 0
        service.outcome()
        with pytest.raises(OSError, match="open"):
            engine.call(settings=service.settings())
        for call in calls:
            call.release()


def test_debug_shows_messages_without_audio_and_secrets(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"\x55" * 300)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(
            settings=service.settings(debug="yes", api_key="sk_very_secret"),
            variables={"secret__token": "hush", "name": "Ada"},
        )
        call.wait(ENDED)
        call.release()
    text = engine.text()
    assert all(shown in text for shown in ("Ada", "conversation_initiation_metadata", "<400>"))
    assert not any(cut in text for cut in ("VVVV", "hush", "sk_very_secret", "signature"))
    assert all(channel == "PJSIP/caller-00000001" for _, channel, _ in engine.lines)
