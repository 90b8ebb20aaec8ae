"""The protocol without I/O: each message becomes one event, whatever state it arrives in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyconvai.conversation import protocol
from pyconvai.conversation.protocol import (
    MESSAGES,
    AgentSaid,
    AgentSays,
    Audio,
    CallerSaid,
    Conversation,
    Effect,
    Event,
    Interruption,
    McpCall,
    Metadata,
    News,
    Note,
    Ping,
    Say,
    ServerTool,
    ServiceError,
    ToolCall,
    Unknown,
)
from pyconvai.service.settings import Call, Settings
from tests.specs.schemas import specifications

METADATA = "conversation_initiation_metadata"
TOOL = {"tool_name": "transfer", "tool_call_id": "c1", "parameters": {"to": "200"}}


def message(kind: str, body_key: str = "", body: Any = None, **more: Any) -> str:
    return json.dumps({"type": kind} | ({body_key: body} if body_key else {}) | more)


@pytest.mark.parametrize(
    ("text", "event"),
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
            Metadata("conv_1", "pcm_24000", "ulaw_8000"),
        ),
        (message(METADATA), Metadata("", "pcm_16000", "pcm_16000")),
        (
            message("audio", "audio_event", {"audio_base_64": "QUJD", "event_id": 0}),
            Audio("QUJD", 0, stale=False),
        ),
        (
            message("audio", "audio_event", {"audio_base_64": "QUJD", "event_id": "3"}),
            Audio("QUJD", 3, stale=False),
        ),
        (
            message("audio", "audio_event", {"audio_base_64": "", "event_id": 3, "is_final": True}),
            Audio("", 3, stale=False),
        ),
        (message("audio", "audio", {"chunk": "QUJD"}), Audio("QUJD", 0, stale=False)),
        (message("audio"), Audio("", 0, stale=False)),
        (message("audio", "audio_event", "no object"), Audio("", 0, stale=False)),
        (message("interruption", "interruption_event", {"event_id": 8}), Interruption(8)),
        (message("interruption"), Interruption(0)),
        (message("ping", "ping_event", {"event_id": 0, "ping_ms": None}), Ping(0)),
        (message("ping", "ping_event", {"event_id": "1001"}), Ping(1001)),
        (message("ping", "ping_event", {"event_id": [1]}), Ping(0)),
        (message("ping", "ping_event", {"event_id": "x"}), Ping(0)),
        ('{"type":"ping","ping_event":{"event_id":1e308}}', Ping(0)),
        ('{"type":"ping","ping_event":{"event_id":-1e18}}', Ping(-(10**18))),
        (
            message("agent_response", "agent_response_event", {"agent_response": " Hi. "}),
            AgentSays("Hi."),
        ),
        (
            message(
                "agent_response_correction",
                "agent_response_correction_event",
                {"corrected_agent_response": "Hi,"},
            ),
            AgentSaid("Hi,"),
        ),
        (
            message("user_transcript", "user_transcription_event", {"user_transcript": "Yes"}),
            CallerSaid("Yes"),
        ),
        (
            message(
                "tentative_user_transcript",
                "tentative_user_transcription_event",
                {"user_transcript": "Ye", "event_id": 6},
            ),
            CallerSaid("Ye", final=False),
        ),
        (
            message("agent_response", "agent_response_event", {"event_id": "7"}),
            AgentSays("", 7),
        ),
        (
            message("agent_tool_request", "agent_tool_request", {"tool_name": "end_call"}),
            ServerTool("end_call"),
        ),
        (
            message(
                "mcp_tool_call",
                "mcp_tool_call",
                {"tool_name": "t", "tool_call_id": "m1", "state": "awaiting_approval"},
            ),
            McpCall("t", "m1", waits=True),
        ),
        (
            message("mcp_tool_call", "mcp_tool_call", {"tool_name": "t", "state": "loading"}),
            McpCall("t", "", waits=False),
        ),
        (
            message("queue_status", "queue_status_event", {"status": "waiting"}),
            News("queue_status", "waiting"),
        ),
        (
            message("queue_status", "queue_status_event", {"status": "timed_out"}),
            ServiceError("no agent was free in time (timed_out)", "queue_timed_out"),
        ),
        (
            message("guardrail_triggered", "guardrail_triggered_event", {"guardrail_name": "g"}),
            News("guardrail_triggered", "g"),
        ),
        (message("guardrail_triggered"), News("guardrail_triggered")),
        (
            message("dtmf_request", "dtmf_request_event", {"dtmf_tones": "12#"}),
            News("dtmf_request", "12#"),
        ),
        (message("dtmf_request", "dtmf_request", {"digits": "5"}), News("dtmf_request", "5")),
        (message("dtmf_request", dtmf="5"), News("dtmf_request", "5")),
        (message("dtmf_request"), News("dtmf_request")),
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
            News("mcp_connection_status", "b is down"),
        ),
        (message("mcp_connection_status"), News("mcp_connection_status")),
        (message("external_agent_connected"), News("external_agent_connected")),
        (
            message("client_tool_call", "client_tool_call", TOOL),
            ToolCall("transfer", "c1", {"to": "200"}),
        ),
        (
            message("agent_tool_response", "agent_tool_response", {"tool_name": "end_call"}),
            ServerTool("end_call", is_error=False),
        ),
        (
            message(
                "agent_tool_response_full_payload",
                "agent_tool_response_full_payload",
                {"tool_name": "x", "is_error": True},
            ),
            ServerTool("x", is_error=True),
        ),
        (
            message("client_error", "error_event", {"code": 1, "error_name": "n", "message": "m"}),
            ServiceError("n: m", "n"),
        ),
        (
            message("error", "error_event", {"code": 1002, "error_type": "t", "reason": "r"}),
            ServiceError("t: r", "t"),
        ),
        (
            message("error", "error_event", {"error_type": "t", "message": "m", "reason": "m"}),
            ServiceError("t: m", "t"),
        ),
        (message("error", message="quota"), ServiceError("quota")),
        (message("error"), ServiceError("an error without words")),
        (message("vad_score", "vad_score_event", {"vad_score": 0.5}), Note("vad_score")),
        (message("of_tomorrow"), Unknown("of_tomorrow")),
        ('{"no": "type"}', Unknown("no type")),
        ('{"type": 7}', Unknown("no type")),
        ("[1]", Unknown("no type")),
        ("{", Unknown("no JSON")),
        ("", Unknown("no JSON")),
    ],
)
def test_a_message_becomes_an_event(text: str, event: Event) -> None:
    assert Conversation().receive(text) == event
    assert Conversation().receive(text.encode()) == event


def test_only_audio_older_than_the_interruption_is_stale() -> None:
    conversation = Conversation()
    conversation.receive(message("interruption", "interruption_event", {"event_id": 5}))
    for event_id, stale in ((4, True), (5, False), ("6", False), (0, True)):
        body = {"audio_base_64": "QQ==", "event_id": event_id}
        event = conversation.receive(message("audio", "audio_event", body))
        assert isinstance(event, Audio)
        assert event.stale is stale
    legacy = conversation.receive(message("audio", "audio", {"chunk": "QQ=="}))
    assert isinstance(legacy, Audio)
    assert not legacy.stale, "audio without an id can't be known to be old"


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_every_message_is_known_even_without_a_body(kind: str) -> None:
    event = Conversation().receive(message(kind))
    assert not isinstance(event, Unknown)
    none = MESSAGES[kind][0] is Effect.NONE
    assert (event == Note(kind)) == none, "what has an effect has a type of its own"


def test_every_message_of_the_descriptions_is_known() -> None:
    described = {kind for each in specifications() for kind in each.validators["server"]}
    assert described <= set(MESSAGES)


@pytest.mark.parametrize(
    ("tool", "ends"),
    [
        (ServerTool("end_call"), True),
        (ServerTool("voicemail_detection"), True),
        (ServerTool("end_call", is_error=True), False),
        (ServerTool("skip_turn"), False),
    ],
)
def test_which_tools_end_the_call(tool: ServerTool, ends: bool) -> None:
    assert tool.ends_call is ends


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


def test_a_logged_message_has_a_limit() -> None:
    line = protocol.for_log(json.dumps({"text": "x" * 100_000}))
    assert len(line) < protocol.MAX_LOGGED_CHARACTERS + 50
