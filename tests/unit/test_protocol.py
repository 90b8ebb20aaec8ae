"""The conversation without I/O: what each message asks of the session, in any state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.conversation import protocol
from pyconvai.conversation.effects import (
    Admitted,
    CallTool,
    CountPong,
    CountStale,
    CountUnknown,
    Effect,
    Flush,
    Level,
    Log,
    Play,
    PlayHold,
    Queued,
    QueueTimedOut,
    Send,
)
from pyconvai.conversation.protocol import (
    MESSAGES,
    Conversation,
    EffectKind,
    Place,
    Say,
    ServiceError,
)
from pyconvai.service.metadata import Metadata
from pyconvai.service.settings import Call, Settings
from tests.specs.schemas import specifications

METADATA = "conversation_initiation_metadata"
TOOL = {"tool_name": "transfer", "tool_call_id": "c1", "parameters": {"to": "200"}}


def debug(text: str) -> Log:
    return Log(Level.DEBUG, text)


def notice(text: str) -> Log:
    return Log(Level.NOTICE, text)


def warning(text: str) -> Log:
    return Log(Level.WARNING, text)


def pong(event_id: int) -> Send:
    return Send(f'{{"type":"pong","event_id":{event_id}}}')


def message(kind: str, body_key: str = "", body: Any = None, **more: Any) -> str:
    return json.dumps({"type": kind} | ({body_key: body} if body_key else {}) | more)


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        (
            message(
                METADATA,
                f"{METADATA}_event",
                {
                    "conversation_id": "conv_1",
                    "agent_output_audio_format": "pcm_24000",
                    "user_input_audio_format": "ulaw_8000",
                },
            ),
            [Metadata("conv_1", "pcm_24000", "ulaw_8000")],
        ),
        (message(METADATA), [Metadata("", "pcm_16000", "pcm_16000")]),
        (
            message("audio", "audio_event", {"audio_base_64": "QUJD", "event_id": 0}),
            [Play("QUJD", 0, new_response=True)],
        ),
        (
            message("audio", "audio_event", {"audio_base_64": "QUJD", "event_id": "3"}),
            [Play("QUJD", 3, new_response=True)],
        ),
        (
            message("audio", "audio_event", {"audio_base_64": "", "event_id": 3, "is_final": True}),
            [Play("", 3, new_response=True)],
        ),
        (message("audio", "audio", {"chunk": "QUJD"}), [Play("QUJD", 0, new_response=True)]),
        (message("audio"), [Play("", 0, new_response=True)]),
        (message("audio", "audio_event", "no object"), [Play("", 0, new_response=True)]),
        (message("interruption", "interruption_event", {"event_id": 8}), [Flush()]),
        (message("interruption"), [Flush()]),
        (message("ping", "ping_event", {"event_id": 0, "ping_ms": None}), [pong(0), CountPong()]),
        (message("ping", "ping_event", {"event_id": "1001"}), [pong(1001), CountPong()]),
        (message("ping", "ping_event", {"event_id": [1]}), [pong(0), CountPong()]),
        (message("ping", "ping_event", {"event_id": "x"}), [pong(0), CountPong()]),
        ('{"type":"ping","ping_event":{"event_id":1e308}}', [pong(0), CountPong()]),
        (
            '{"type":"ping","ping_event":{"event_id":-1e18}}',
            [pong(-1000000000000000000), CountPong()],
        ),
        (
            message("agent_response", "agent_response_event", {"agent_response": " Hi. "}),
            [debug("agent: Hi.")],
        ),
        (
            message(
                "agent_response_correction",
                "agent_response_correction_event",
                {"corrected_agent_response": "Hi,"},
            ),
            [debug("agent, cut short: Hi,; heard: nothing")],
        ),
        (
            message("user_transcript", "user_transcription_event", {"user_transcript": "Yes"}),
            [debug("caller: Yes")],
        ),
        (
            message(
                "tentative_user_transcript",
                "tentative_user_transcription_event",
                {"user_transcript": "Ye", "event_id": 6},
            ),
            [],
        ),
        (
            message("agent_response", "agent_response_event", {"event_id": "7"}),
            [debug("agent: ")],
        ),
        (
            message("agent_tool_request", "agent_tool_request", {"tool_name": "end_call"}),
            [debug("tool of the service: ServerTool(name='end_call', is_error=False)")],
        ),
        (
            message(
                "mcp_tool_call",
                "mcp_tool_call",
                {"tool_name": "t", "tool_call_id": "m1", "state": "awaiting_approval"},
            ),
            [
                notice("MCP tool t wants an approval: refused"),
                Send('{"type":"mcp_tool_approval_result","tool_call_id":"m1","is_approved":false}'),
            ],
        ),
        (
            message("mcp_tool_call", "mcp_tool_call", {"tool_name": "t", "state": "loading"}),
            [],
        ),
        (
            message("queue_status", "queue_status_event", {"status": "admitted"}),
            [notice("the service tells: queue_status admitted")],
        ),
        (
            message("queue_status", "queue_status_event", {"status": "timed_out"}),
            [warning("the service reports: no agent was free in time (timed_out)")],
        ),
        (
            message("guardrail_triggered", "guardrail_triggered_event", {"guardrail_name": "g"}),
            [notice("the service tells: guardrail_triggered g")],
        ),
        (message("guardrail_triggered"), [notice("the service tells: guardrail_triggered")]),
        (
            message("dtmf_request", "dtmf_request_event", {"dtmf_tones": "12#"}),
            [notice("the service tells: dtmf_request 12#")],
        ),
        (
            message("dtmf_request", "dtmf_request", {"digits": "5"}),
            [notice("the service tells: dtmf_request 5")],
        ),
        (message("dtmf_request", dtmf="5"), [notice("the service tells: dtmf_request 5")]),
        (message("dtmf_request"), [notice("the service tells: dtmf_request")]),
        (
            message(
                "mcp_connection_status",
                "mcp_connection_status",
                {
                    "integrations": [
                        {"integration_id": "a", "is_connected": True},
                        {"integration_id": "b", "is_connected": False},
                        "no object",
                    ]
                },
            ),
            [notice("the service tells: mcp_connection_status b is down")],
        ),
        (message("mcp_connection_status"), [notice("the service tells: mcp_connection_status")]),
        (
            message("external_agent_connected"),
            [notice("the service tells: external_agent_connected")],
        ),
        (
            message("client_tool_call", "client_tool_call", TOOL),
            [CallTool("transfer", "c1", {"to": "200"})],
        ),
        (
            message("agent_tool_response", "agent_tool_response", {"tool_name": "end_call"}),
            [debug("tool of the service: ServerTool(name='end_call', is_error=False)")],
        ),
        (
            message(
                "agent_tool_response_full_payload",
                "agent_tool_response_full_payload",
                {"tool_name": "x", "is_error": True},
            ),
            [debug("tool of the service: ServerTool(name='x', is_error=True)")],
        ),
        (
            message("client_error", "error_event", {"code": 1, "error_name": "n", "message": "m"}),
            [warning("the service reports: n: m")],
        ),
        (
            message("error", "error_event", {"code": 1002, "error_type": "t", "reason": "r"}),
            [warning("the service reports: t: r")],
        ),
        (
            message("error", "error_event", {"error_type": "t", "message": "m", "reason": "m"}),
            [warning("the service reports: t: m")],
        ),
        (message("error", message="quota"), [warning("the service reports: quota")]),
        (message("error"), [warning("the service reports: an error without words")]),
        (message("vad_score", "vad_score_event", {"vad_score": 0.5}), []),
        (message("of_tomorrow"), [CountUnknown(), debug("ignored: of_tomorrow")]),
        ('{"no": "type"}', [CountUnknown(), debug("ignored: no type")]),
        ('{"type": 7}', [CountUnknown(), debug("ignored: no type")]),
        ("[1]", [CountUnknown(), debug("ignored: no type")]),
        ("{", [CountUnknown(), debug("ignored: no JSON")]),
        ("", [CountUnknown(), debug("ignored: no JSON")]),
    ],
)
def test_what_a_message_asks_for(text: str, effects: list[Effect]) -> None:
    assert list(Conversation().receive(text)) == effects
    assert list(Conversation().receive(text.encode())) == effects


def audio(event_id: Any, audio_base64: str = "QUJD") -> str:
    return message("audio", "audio_event", {"audio_base_64": audio_base64, "event_id": event_id})


def interruption(event_id: int) -> str:
    return message("interruption", "interruption_event", {"event_id": event_id})


def test_only_audio_older_than_the_interruption_is_stale() -> None:
    conversation = Conversation()
    conversation.receive(interruption(5))
    for event_id, stale in ((4, True), (5, False), ("6", False), (0, True)):
        (effect,) = conversation.receive(audio(event_id))
        if stale:
            assert effect == CountStale(4)
        else:
            assert effect == Play("QUJD", int(event_id), new_response=True)
    (legacy,) = conversation.receive(message("audio", "audio", {"chunk": "QQ=="}))
    assert isinstance(legacy, Play), "audio without an id can't be known to be old"


def test_where_a_response_begins() -> None:
    """Once for each; after an interruption also for a reply under the same id."""
    conversation = Conversation()

    def begins(event_id: int, queued_ms: int) -> bool:
        (effect,) = conversation.receive(audio(event_id))
        assert isinstance(effect, Play)
        if effect.new_response:
            conversation.response_began(effect.event_id, queued_ms)
        return effect.new_response

    assert begins(1, 0)
    assert not begins(1, 500)
    assert begins(2, 1000)
    assert not begins(2, 1500)
    assert conversation.receive(interruption(2)) == (Flush(),)
    told = "interrupted: 700 ms of agent audio thrown away; heard: 300 of 1000 ms of response 2"
    assert conversation.flushed(2000, 700, 700) == told
    assert begins(2, 2000)
    assert not begins(2, 2500)


def test_how_much_of_a_response_was_heard_is_told_with_its_correction() -> None:
    conversation = Conversation()
    conversation.receive(audio(7))
    conversation.response_began(7, 0)
    conversation.flushed(3000, 1000, 1000)
    body = {"corrected_agent_response": "Well,"}
    correction = message("agent_response_correction", "agent_response_correction_event", body)
    told = "agent, cut short: Well,; heard: 2000 of 3000 ms of response 7"
    assert conversation.receive(correction) == (debug(told),)


def test_a_queue_that_overflows_is_told_once() -> None:
    conversation = Conversation()
    told = "agent audio dropped: 600 s wait to be played already"
    assert conversation.overflowed(600_999) == told
    assert conversation.overflowed(600_999) == ""


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_every_message_is_known_even_without_a_body(kind: str) -> None:
    effects = Conversation().receive(message(kind))
    assert CountUnknown() not in effects
    effect_kind, reader = MESSAGES[kind]
    none = effect_kind is EffectKind.NONE
    assert (reader is Conversation._nothing) == none, "what has an effect has a reader of its own"


def test_every_message_of_the_descriptions_is_known() -> None:
    described = {kind for each in specifications() for kind in each.validators["server"]}
    assert described <= set(MESSAGES)


def tool(name: str, *, is_error: bool = False) -> str:
    body = {"tool_name": name, "is_error": is_error}
    return message("agent_tool_response", "agent_tool_response", body)


@pytest.mark.parametrize(
    ("tools", "ending"),
    [
        ([], ""),
        ([tool("end_call")], "end_call"),
        ([tool("voicemail_detection")], "voicemail_detection"),
        ([tool("end_call", is_error=True)], ""),
        ([tool("skip_turn")], ""),
        ([tool("end_call"), tool("skip_turn")], "end_call"),
        ([tool("end_call"), tool("skip_turn", is_error=True)], "end_call"),
        ([tool("end_call"), tool("end_call", is_error=True)], ""),
    ],
)
def test_which_tool_ends_the_call(tools: list[str], ending: str) -> None:
    conversation = Conversation()
    for each in tools:
        conversation.receive(each)
    assert conversation.ending_tool == ending


TIMED_OUT = "no agent was free in time (timed_out)"


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (
            message("client_error", "error_event", {"code": 1, "error_name": "n", "message": "m"}),
            ServiceError("n: m", "n"),
        ),
        (
            message("error", "error_event", {"code": 1002, "error_type": "t", "reason": "r"}),
            ServiceError("t: r", "t"),
        ),
        (message("error", message="quota"), ServiceError("quota")),
        (
            message("queue_status", "queue_status_event", {"status": "timed_out"}),
            ServiceError(TIMED_OUT, "queue_timed_out"),
        ),
    ],
)
def test_an_error_is_kept_until_the_agent_says_something(error: str, kept: ServiceError) -> None:
    conversation = Conversation()
    assert conversation.last_error is None
    conversation.receive(error)
    assert conversation.last_error == kept
    conversation.receive(message("user_transcript"))
    assert conversation.last_error == kept
    conversation.receive(message("agent_response", "agent_response_event", {"event_id": "7"}))
    assert conversation.last_error is None
    assert conversation.last_response == 7


@pytest.mark.parametrize("goes_on", sorted(protocol.GOES_ON))
def test_who_goes_on_has_survived(goes_on: str) -> None:
    """S2: but not the end of the time, after which the agent may say goodbye."""
    for kind, survived in (("llm_error", True), ("max_duration_exceeded", False)):
        conversation = Conversation()
        conversation.receive(message("error", "error_event", {"error_type": kind}))
        conversation.receive(message(goes_on))
        assert (conversation.last_error is None) == survived


def test_opening_leaves_out_what_is_empty() -> None:
    opening = json.loads(protocol.opening(Call(Settings("agent_x"), {}, {})))
    assert set(opening) == {"type", "source_info"}
    assert opening["source_info"]["source"] == "unknown"
    assert len(opening["source_info"]["version"]) <= 50


def test_opening_tells_what_the_call_brings() -> None:
    overrides = {
        "conversation_config_override": {"agent": {"language": "de"}},
        "custom_llm_extra_body": {"a": 1},
    }
    opening = json.loads(protocol.opening(Call(Settings("agent_x"), {"visits": 3}, overrides)))
    assert opening["dynamic_variables"] == {"visits": 3}
    assert opening | overrides == opening


@pytest.mark.parametrize(
    ("kind", "text", "sent"),
    [
        (Say.MESSAGE, "Hi.", {"type": "user_message", "text": "Hi."}),
        (Say.CONTEXT, "x", {"type": "contextual_update", "text": "x"}),
        (Say.ACTIVITY, "", {"type": "user_activity"}),
        (Say.FEEDBACK, "like", {"type": "feedback", "event_id": 7, "score": "like"}),
        (Say.FEEDBACK, "none", {"type": "feedback", "event_id": 7, "score": None}),
    ],
)
def test_what_is_said_during_a_call(kind: Say, text: str, sent: dict[str, Any]) -> None:
    assert json.loads(protocol.utterance(kind, text, 7)) == sent


def test_answers() -> None:
    assert json.loads(protocol.mcp_approval("m1", approved=False)) == {
        "type": "mcp_tool_approval_result",
        "tool_call_id": "m1",
        "is_approved": False,
    }
    assert json.loads(protocol.pong(0)) == {"type": "pong", "event_id": 0}
    assert json.loads(protocol.tool_result("c1", "no", is_error=True)) == {
        "type": "client_tool_result",
        "tool_call_id": "c1",
        "result": "no",
        "is_error": True,
    }


@pytest.mark.parametrize(
    ("text", "shown", "cut"),
    [
        ('{"user_audio_chunk":"QUJD"}', "<4>", "QUJD"),
        ('{"audio_event":{"audio_base_64":"QUJD","alignment":{"chars":["Q"]}}}', "<4>", "QUJD"),
        ('{"dynamic_variables":{"secret__pin":"1234","name":"Ada"}}', "Ada", "1234"),
        ('{"list":[{"secret__x":"hush"}]}', "<secret>", "hush"),
        ("no json", "no JSON, 7 bytes", "no json"),
    ],
)
def test_the_log_shows_neither_audio_nor_secrets(text: str, shown: str, cut: str) -> None:
    line = protocol.for_log(text)
    assert shown in line
    assert cut not in line


@pytest.mark.parametrize("depth", [300, 1000])
def test_a_message_that_is_nested_too_deep_is_not_logged(depth: int) -> None:
    line = protocol.for_log("[" * depth + "]" * depth)
    assert line == f"(nested too deep, {2 * depth} bytes)"


def test_a_logged_message_has_a_limit() -> None:
    line = protocol.for_log(json.dumps({"text": "x" * 100_000}))
    assert len(line) < limits.MAX_LOGGED_CHARACTERS + 50


def told(conversation: Conversation, *statuses: str) -> list[Effect]:
    """What the words of the queue do, without the lines in the log."""
    effects: list[Effect] = []
    for status in statuses:
        effects += conversation.receive(
            message("queue_status", "queue_status_event", {"status": status})
        )
    return [effect for effect in effects if not isinstance(effect, Log)]


def piece(event_id: int) -> str:
    return message("audio", "audio_event", {"audio_base_64": "AAAA", "event_id": event_id})


def at_the_metadata() -> Conversation:
    """One that has just been told the formats."""
    conversation = Conversation()
    (metadata,) = conversation.receive(message(METADATA, f"{METADATA}_event", {}))
    assert isinstance(metadata, Metadata)
    return conversation


@pytest.mark.parametrize(
    "text", [piece(1), message("agent_response"), message("x"), message("error")]
)
def test_the_first_message_says_that_an_agent_is_there(text: str) -> None:
    """Whatever it is; and the second one says nothing about that any more."""
    conversation = at_the_metadata()
    first, *rest = conversation.receive(text)
    assert first == Admitted()
    assert rest
    assert Admitted() not in conversation.receive(text)


def test_time_says_that_an_agent_is_there() -> None:
    conversation = at_the_metadata()
    assert conversation.receive(message("ping", "ping_event", {"event_id": 1}))[-1] == CountPong()
    assert conversation.place is Place.HALL
    assert conversation.admit() == (Admitted(),)
    assert conversation.admit() == ()
    assert conversation.receive(message(METADATA))[0] != Admitted()
    assert conversation.place is Place.TALK


def test_hold_audio_is_no_turn_of_the_agents() -> None:
    """S1: neither its ids nor an interruption of it mean anything for what the agent says."""
    conversation = at_the_metadata()
    assert told(conversation, "waiting") == [Queued()]
    assert conversation.receive(piece(9)) == (PlayHold("AAAA"),)
    assert conversation.receive(interruption(9)) == ()
    assert told(conversation, "waiting", "x") == []
    assert told(conversation, "admitted") == [Admitted()]
    assert conversation.receive(piece(1)) == (Play("AAAA", 1, True),)
    assert told(conversation, "admitted", "waiting", "timed_out") == []


def test_a_queue_that_takes_too_long() -> None:
    conversation = at_the_metadata()
    assert told(conversation, "waiting", "timed_out") == [Queued(), QueueTimedOut()]
    assert conversation.last_error == ServiceError(TIMED_OUT, "queue_timed_out")


@pytest.mark.parametrize(("statuses", "queued"), [(["waiting"], True), (["waiting", "x"], False)])
def test_the_word_may_come_before_the_metadata(statuses: list[str], queued: bool) -> None:
    conversation = Conversation()
    assert told(conversation, *statuses) == []
    effects = conversation.receive(message(METADATA))
    assert (Queued() in effects) is queued


@pytest.mark.parametrize("said", [None, piece(1), message("agent_response")])
def test_the_word_may_come_late(said: str | None) -> None:
    """But not once the agent has said something."""
    conversation = at_the_metadata()
    conversation.admit()
    if said:
        conversation.receive(said)
    assert told(conversation, "waiting") == ([] if said else [Queued()])
