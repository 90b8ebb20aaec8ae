"""The conversation without I/O: what each message asks of the session, in any state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.conversation import protocol, sent, wire
from pyconvai.conversation.admission import Place
from pyconvai.conversation.effects import (
    Admitted,
    AskFirst,
    CallTool,
    Corrected,
    CountPong,
    CountStale,
    CountUnknown,
    Effect,
    Effects,
    Flush,
    Level,
    Log,
    Play,
    PlayHold,
    Queued,
    QueueTimedOut,
    Said,
    Send,
    Speaker,
    ToolNews,
    ToolState,
)
from pyconvai.conversation.protocol import (
    MESSAGES,
    Conversation,
    EffectKind,
    ServiceError,
)
from pyconvai.conversation.sent import Say
from pyconvai.secret import Secret
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


def agent(text: str, event_id: int = 1) -> tuple[Effect, ...]:
    return Said(Speaker.AGENT, text, event_id), debug(f"agent: {text}")


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
        (message("audio"), []),
        (message("interruption", "interruption_event", {"event_id": 8}), [Flush()]),
        (message("interruption"), [Flush()]),
        (message("ping", "ping_event", {"event_id": 0, "ping_ms": None}), [pong(0), CountPong()]),
        (message("ping"), [pong(0), CountPong()]),
        (message("ping", "ping_event", {"ping_ms": 7}), [pong(0), CountPong()]),
        (
            message("agent_response", "agent_response_event", {"agent_response": " Hi. "}),
            [Said(Speaker.AGENT, "Hi.", 0), debug("agent: Hi.")],
        ),
        (
            message(
                "agent_response_correction",
                "agent_response_correction_event",
                {"corrected_agent_response": "Hi,"},
            ),
            [Corrected("Hi,", 0), debug("agent, cut short: Hi,; heard: nothing")],
        ),
        (
            message("user_transcript", "user_transcription_event", {"user_transcript": "Yes"}),
            [Said(Speaker.CALLER, "Yes", 0, final=True), debug("caller: Yes")],
        ),
        (
            message(
                "tentative_user_transcript",
                "tentative_user_transcription_event",
                {"user_transcript": "Ye", "event_id": 6},
            ),
            [Said(Speaker.CALLER, "Ye", 6)],
        ),
        (
            message("agent_response", "agent_response_event", {"event_id": "7"}),
            [Said(Speaker.AGENT, "", 7), debug("agent: ")],
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
            [warning("the service reports: no agent was free in time (timed_out)"), AskFirst()],
        ),
        (
            message("guardrail_triggered", "guardrail_triggered_event", {"guardrail_name": "g"}),
            [notice("the service tells: guardrail_triggered g")],
        ),
        (message("guardrail_triggered"), [notice("the service tells: guardrail_triggered")]),
        (
            message("dtmf_request", "dtmf_request_event", {"dtmf_tones": "12#"}),
            [notice("the service tells: dtmf_request <3 digits>")],
        ),
        (
            message("dtmf_request", "dtmf_request", {"digits": "5"}),
            [notice("the service tells: dtmf_request <1 digits>")],
        ),
        (message("dtmf_request", dtmf="5"), [notice("the service tells: dtmf_request <1 digits>")]),
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
            [warning("the service reports: n: m"), AskFirst()],
        ),
        (
            message("error", "error_event", {"code": 1002, "error_type": "t", "reason": "r"}),
            [warning("the service reports: t: r"), AskFirst()],
        ),
        (
            message("error", "error_event", {"error_type": "t", "message": "m", "reason": "m"}),
            [warning("the service reports: t: m"), AskFirst()],
        ),
        (message("error", message="quota"), [warning("the service reports: quota"), AskFirst()]),
        (message("error"), [warning("the service reports: an error without words"), AskFirst()]),
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
    assert list(receive(Conversation(), text)) == effects
    assert list(receive(Conversation(), text.encode())) == effects


def receive(conversation: Conversation, text: str | bytes) -> Effects:
    """The effects of a message, but for what programs alone are told."""
    return tuple(each for each in conversation.receive(text) if not isinstance(each, ToolNews))


@pytest.mark.parametrize(
    ("kind", "key", "body", "news"),
    [
        ("agent_response", "agent_response_event", {"agent_response": " Hi. ", "event_id": "7"},
         Said(Speaker.AGENT, "Hi.", 7)),
        ("user_transcript", "user_transcription_event", {"user_transcript": "Yes"},
         Said(Speaker.CALLER, "Yes", 0, final=True)),
        ("tentative_user_transcript", "tentative_user_transcription_event",
         {"user_transcript": 5, "event_id": 6}, Said(Speaker.CALLER, "", 6)),
        ("agent_tool_request", "agent_tool_request", {"tool_name": "t", "tool_call_id": "c"},
         ToolNews("t", "c", ToolState.CALLED)),
        ("agent_tool_response", "agent_tool_response", {"tool_name": "t", "is_error": False},
         ToolNews("t", "", ToolState.DONE)),
        ("agent_tool_response", "agent_tool_response", {"tool_name": "t", "is_error": True},
         ToolNews("t", "", ToolState.FAILED)),
        ("agent_tool_response", "agent_tool_response", {"tool_type": "client"}, None),
        ("agent_tool_response_full_payload", "agent_tool_response_full_payload", {}, None),
    ],
)  # fmt: skip
def test_what_programs_are_told(
    kind: str, key: str, body: dict[str, Any], news: Said | ToolNews | None
) -> None:
    effects = Conversation().receive(message(kind, key, body))
    told = [each for each in effects if isinstance(each, Said | ToolNews)]
    assert told == ([news] if news else [])


IDS = [
    *("0", "-1", "7.0", "1.5e3", "1E400", "-0"),
    *("18446744073709551615", "123456789012345678901234567890", '"7"', '" x\\u00e9\\n"', '""'),
    *("null", "true", "[]", '[1, {"event_id": 2}]', '{"a":[1.10,null]}', "[" * 300 + "]" * 300),
]


@pytest.mark.parametrize("event_id", IDS)
def test_ids_of_pings_go_back_as_they_came(event_id: str) -> None:
    """S7: byte for byte, whatever JSON they are."""
    text = f'{{"type": "ping", "ping_event": {{"ping_ms": 3, "event_id": {event_id} }} }}'
    answer = Send(f'{{"type":"pong","event_id":{event_id}}}')
    assert Conversation().receive(text) == (answer, CountPong())


def test_an_id_that_is_no_text() -> None:
    """S7: what goes back has to be UTF-8 all the same."""
    text = b'{"type":"ping","ping_event":{"event_id":"a\xff"}}'
    answer = Send('{"type":"pong","event_id":"a\ufffd"}')
    assert Conversation().receive(text) == (answer, CountPong())


def test_an_id_that_is_too_long_to_go_back() -> None:
    most = limits.ID_CHARACTERS
    for length, answers in ((most, True), (most + 1, False)):
        text = f'{{"type":"ping","ping_event":{{"event_id":{"1" * length}}}}}'
        effects = Conversation().receive(text)
        assert (CountPong() in effects) == answers
        assert (CountUnknown() in effects) != answers


@pytest.mark.parametrize("call_id", [*IDS[:-1], '"call 1 "'])
def test_ids_of_tools_go_back_as_they_came(call_id: str) -> None:
    """S7: those of tools too; null and an empty text are none."""
    body = f'{{"tool_name": "t", "tool_call_id": {call_id}, "state": "awaiting_approval"}}'
    conversation = Conversation()
    (call,) = conversation.receive(f'{{"type":"client_tool_call","client_tool_call":{body}}}')
    assert isinstance(call, CallTool)
    if call_id in ("null", '""'):
        assert not call.call_id
        return
    answers = [sent.tool_result(call.call_id, "x", is_error=False)]
    _, approval = conversation.receive(f'{{"type":"mcp_tool_call","mcp_tool_call":{body}}}')
    assert isinstance(approval, Send)
    for answer in (*answers, approval.text):
        if call_id.startswith('"'):
            assert json.loads(answer)["tool_call_id"] == json.loads(call_id)
        else:
            assert f'"tool_call_id":{call_id},' in answer


@pytest.mark.parametrize(
    ("parameters", "taken"),
    [
        ({"to": "200"}, {"to": "200"}),
        ('{"to": "200"}', {"to": "200"}),
        (' {"to": {"a": [1]}} ', {"to": {"a": [1]}}),
        ("{}", {}),
        ("null", {}),
        ("", {}),
        (" ", {}),
        (None, {}),
        ([], None),
        ([1], None),
        ("[1]", None),
        ("to 200", None),
        ('"{}"', None),
        (7, None),
        (False, None),
    ],
)
def test_parameters_of_a_tool(parameters: Any, taken: dict[str, Any] | None) -> None:
    """S17: the text of an object is taken apart; what is none is told to the agent."""
    body = TOOL | {"parameters": parameters}
    (call,) = Conversation().receive(message("client_tool_call", "client_tool_call", body))
    fault = "" if taken is not None else "The parameters must be a JSON object."
    assert call == CallTool("transfer", "c1", taken or {}, fault)


def test_a_tool_call_that_is_too_long_is_not_carried_out_in_part() -> None:
    """S15: of a long message an excerpt is read, which is not what the agent meant."""
    body = TOOL | {"parameters": {"to": "2" * limits.MESSAGE_WHOLE_BYTES}}
    (call,) = Conversation().receive(message("client_tool_call", "client_tool_call", body))
    assert call == CallTool("transfer", "c1", {}, "The call has more than 16384 bytes.")


def test_an_approval_that_is_asked_for_again_is_refused_once() -> None:
    """S17."""
    conversation = Conversation()

    def ask(call_id: Any) -> int:
        body = {"tool_name": "t", "tool_call_id": call_id, "state": "awaiting_approval"}
        return len(conversation.receive(message("mcp_tool_call", "mcp_tool_call", body)))

    assert [ask(call_id) for call_id in ("m1", "m1", "m2", 7, 7, "7", "m1")] == [
        2,
        0,
        2,
        2,
        0,
        2,
        0,
    ]


# ---- Audio ----


def metadata(agent: str = "ulaw_8000", caller: str = "ulaw_8000") -> str:
    body = {"agent_output_audio_format": agent, "user_input_audio_format": caller}
    return message(METADATA, f"{METADATA}_event", body)


def talking() -> Conversation:
    """One whose agent is there."""
    conversation = Conversation()
    conversation.receive(metadata())
    conversation.admission.admit()
    return conversation


def audio(event_id: Any, audio_base64: str = "QUJD") -> str:
    return message("audio", "audio_event", {"audio_base_64": audio_base64, "event_id": event_id})


def interruption(event_id: Any) -> str:
    return message("interruption", "interruption_event", {"event_id": event_id})


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        (audio(0), Play("QUJD", 0, new_response=True)),
        (audio("3"), Play("QUJD", 3, new_response=True)),
        (audio(3.0), Play("QUJD", 3, new_response=True)),
        (audio(-3), Play("QUJD", -3, new_response=True)),
        (
            message("audio", "audio_event", {"audio_base_64": "", "event_id": 3, "is_final": True}),
            Play("", 3, new_response=True),
        ),
        (message("audio", "audio", {"chunk": " QUJD\n"}), Play("QUJD", 0, new_response=True)),
        (message("audio"), Play("", 0, new_response=True)),
        (message("audio", "audio_event", "no object"), Play("", 0, new_response=True)),
    ],
)
def test_audio(text: str, effect: Effect) -> None:
    assert talking().receive(text) == (effect,)


def test_only_audio_older_than_the_interruption_is_stale() -> None:
    """S16: what has no number for an id can't be known to be old."""
    conversation = talking()
    conversation.receive(interruption(5))
    for event_id, stale in (
        (4, True),
        (5, False),
        ("6", False),
        (0, True),
        (-1, True),
        (4.5, True),
    ):
        (effect,) = conversation.receive(audio(event_id))
        if stale:
            assert effect == CountStale(4)
        else:
            assert effect == Play("QUJD", int(event_id), new_response=True)
    for event_id in (None, "x", "", True, [4], {}, 10**40):
        assert conversation.receive(audio(event_id)) == (Play("QUJD", 0, new_response=True),)
    legacy = message("audio", "audio", {"chunk": "QQ=="})
    no_id = message("audio", "audio_event", {"audio_base_64": "QQ=="})
    for text in (legacy, no_id):
        assert conversation.receive(text) == (Play("QQ==", 0, new_response=True),)


def test_an_interruption_without_an_id_leaves_the_last_one() -> None:
    """S16."""
    conversation = talking()
    conversation.receive(interruption(5))
    assert conversation.receive(interruption(None)) == (Flush(),)
    assert conversation.receive(audio(4)) == (CountStale(4),)


def test_audio_without_an_id_belongs_to_what_is_queued() -> None:
    """S16: else each piece would be a response of its own, and half a sample lost behind each."""
    conversation = talking()
    conversation.receive(audio(7))
    conversation.response_began(7, 0)
    assert conversation.receive(audio(None)) == (Play("QUJD", 7, new_response=False),)


def test_audio_before_the_metadata_is_kept_and_played() -> None:
    """S16: in order, and each response begins once."""
    conversation = Conversation()
    for event_id, text in ((1, "QUJD"), (1, "QUJE"), (None, "QUJF"), (2, "QUJG"), (2, "")):
        assert conversation.receive(audio(event_id, text)) == ()
    first, second, *kept = conversation.receive(metadata())
    assert isinstance(first, Metadata)
    assert second == Admitted()
    assert kept == [
        Play("QUJD", 1, new_response=True),
        Play("QUJE", 1, new_response=False),
        Play("QUJF", 1, new_response=False),
        Play("QUJG", 2, new_response=True),
    ]
    assert conversation.receive(metadata()) == ()


def test_audio_before_the_metadata_is_kept_within_a_limit() -> None:
    """S16: its beginning is played; the rest is told of once."""
    conversation = Conversation()
    piece = "A" * 400_000
    told = [effect for _ in range(9) for effect in conversation.receive(audio(1, piece))]
    assert told == [
        warning("agent audio left out: more than 2000000 bytes came before the metadata")
    ]
    assert conversation.receive(audio(1, "QUJD")) == (), "no gap in what is kept"
    assert len(conversation.receive(metadata())) == 2 + 4
    tiny = Conversation()
    for _ in range(30_000):
        tiny.receive(audio(1, "QUJD"))
    assert len(tiny.receive(metadata())) == 2 + 2_000_000 // 104


def test_an_interruption_before_the_metadata() -> None:
    """S16: what was kept is not heard, what is older neither."""
    conversation = Conversation()
    conversation.receive(audio(4))
    assert conversation.receive(interruption(5)) == (Flush(),)
    assert conversation.receive(audio(4)) == (CountStale(4),)
    assert conversation.receive(audio(5, "QUJE")) == ()
    played = (Admitted(), Play("QUJE", 5, new_response=True))
    assert conversation.receive(metadata())[1:] == played


def test_the_queue_is_told_of_before_the_metadata() -> None:
    """S1, S16: what came early is hold audio then."""
    conversation = Conversation()
    assert told(conversation, "waiting") == []
    assert conversation.receive(audio(1)) == ()
    found, *rest = conversation.receive(metadata())
    assert isinstance(found, Metadata)
    assert rest == [Queued(), PlayHold("QUJD")]


def test_formats_that_change_in_mid_call() -> None:
    """S16: what the agent says then would be noise. It is left out until the format is back."""
    conversation = talking()
    conversation.receive(audio(1))
    conversation.response_began(1, 0)
    log, ask = conversation.receive(metadata("pcm_16000", "pcm_16000"))
    assert ask == AskFirst()
    assert isinstance(log, Log)
    assert "speaks pcm_16000 now, not ulaw_8000, and is not heard" in log.text
    assert "is to hear pcm_16000 now, and goes on to hear ulaw_8000" in log.text
    assert conversation.receive(audio(1)) == ()
    assert conversation.receive(metadata("pcm_16000")) == (AskFirst(),), "told once"
    assert conversation.receive(metadata()) == ()
    assert conversation.receive(audio(1)) == (Play("QUJD", 1, new_response=False),)
    other_ears = talking()
    assert other_ears.receive(metadata(caller="pcm_8000"))[1:] == (AskFirst(),)
    assert other_ears.receive(audio(1)) == (Play("QUJD", 1, new_response=True),)
    nothing_said = talking()
    assert nothing_said.receive(message(METADATA)) == ()


def test_where_a_response_begins() -> None:
    """Once for each; after an interruption also for a reply under the same id."""
    conversation = talking()

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
    conversation = talking()
    conversation.receive(audio(7))
    conversation.response_began(7, 0)
    conversation.flushed(3000, 1000, 1000)
    body = {"corrected_agent_response": "Well,"}
    correction = message("agent_response_correction", "agent_response_correction_event", body)
    told = "agent, cut short: Well,; heard: 2000 of 3000 ms of response 7"
    assert conversation.receive(correction) == (Corrected("Well,", 0), debug(told))


def said(text: str, response_id: str = "", event_id: int = 1) -> str:
    body = {"agent_response": text, "event_id": event_id, "response_id": response_id}
    return message("agent_response", "agent_response_event", body)


def test_a_response_that_is_sent_again_is_told_once() -> None:
    """S22: it is known by its response_id; without one each is a response."""
    conversation = Conversation()
    assert conversation.receive(said("Hi.", "r1")) == agent("Hi.")
    assert conversation.receive(said("Hi.", "r1")) == ()
    again = (Said(Speaker.AGENT, "Hi!", 1, again=True), debug("agent, in other words: Hi!"))
    assert conversation.receive(said("Hi!", "r1")) == again
    assert conversation.receive(said("Hi!", "r2", 2)) == agent("Hi!", 2)
    assert conversation.last_response == 2
    for _ in range(2):
        assert conversation.receive(said("Yes.")) == agent("Yes.")
    for number in range(3, 100):
        receive(conversation, said("No.", f"r{number}"))
    assert len(conversation._responses) == limits.RESPONSES_REMEMBERED


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("agent_response", "agent_response_event", "agent_response"),
        (
            "agent_response_correction",
            "agent_response_correction_event",
            "corrected_agent_response",
        ),
        ("user_transcript", "user_transcription_event", "user_transcript"),
        ("agent_tool_response_full_payload", "agent_tool_response_full_payload", "tool_name"),
        ("mcp_tool_call", "mcp_tool_call", "tool_name"),
        ("error", "error_event", "message"),
        ("client_error", "error_event", "error_name"),
        ("guardrail_triggered", "guardrail_triggered_event", "guardrail_name"),
        ("dtmf_request", "dtmf_request_event", "digits"),
        ("queue_status", "queue_status_event", "status"),
        ("of_tomorrow", "of_tomorrow_event", "x"),
    ],
)
@pytest.mark.parametrize("length", [50_000, 5_000_000])
def test_texts_are_cut_before_anybody_looks_at_them(
    kind: str, body: str, key: str, length: int
) -> None:
    """S15: in whatever message they come."""
    text = message(kind, body, {key: "é" * length, "state": "awaiting_approval"})
    for effect in Conversation().receive(text):
        if isinstance(effect, Log):
            assert len(effect.text) < 2 * limits.MAX_TEXT_CHARACTERS


@pytest.mark.parametrize("before", range(1990, 2001))
def test_no_half_of_a_secret_stays_where_a_text_is_cut(before: int) -> None:
    """K6: half a key is no key that anybody finds in a line; also as the type of a message."""
    held = Secret("Q7zX9wBv" * 4)
    said = "." * before + held.reveal()
    texts = [
        message("error", "error_event", {"message": said}),
        message(said),
        message("guardrail_triggered", "guardrail_triggered_event", {"guardrail_name": said}),
    ]
    for text in texts:
        told = [each.text for each in Conversation().receive(text) if isinstance(each, Log)]
        assert told
        assert "Q7z" not in "".join(told)
    assert "Q7z" not in wire.for_log(json.dumps({"type": "x", "text": said[24:]}))


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"agent_response","agent_response_event":{"agent_response":"\\ud83d"}}',
        '{"type":"agent_response","agent_response_event":{"agent_response":"?","x":1e999}}',
        '{"type":"agent_response","agent_response_event":{"agent_response":"?","x":NaN}}',
        b'{"type":"agent_response","agent_response_event":{"agent_response":"?","x":"\xff"}}',
    ],
)
def test_what_spoils_a_message_for_strict_readers(text: str | bytes) -> None:
    """S7: half an emoji, a number beyond all bounds, no UTF-8: the message counts all the same."""
    assert Conversation().receive(text) == agent("?", 0)


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


def test_audio_has_survived_as_well() -> None:
    """S2: where the agent's transcript is not among its client events, its voice alone tells."""
    audio = message("audio", "audio_event", {"audio_base_64": "AAAA", "event_id": 1})
    for kind, survived in (("llm_error", True), ("max_duration_exceeded", False)):
        conversation = Conversation()
        conversation.receive(metadata())
        conversation.receive(audio)
        effects = conversation.receive(message("error", "error_event", {"error_type": kind}))
        assert AskFirst() in effects, "it would be taken without anybody seeing it"
        conversation.receive(audio)
        assert (conversation.last_error is None) == survived


@pytest.mark.parametrize("goes_on", sorted(protocol.GOES_ON))
def test_who_goes_on_has_survived(goes_on: str) -> None:
    """S2: but not the end of the time, after which the agent may say goodbye."""
    for kind, survived in (("llm_error", True), ("max_duration_exceeded", False)):
        conversation = Conversation()
        conversation.receive(message("error", "error_event", {"error_type": kind}))
        conversation.receive(message(goes_on))
        assert (conversation.last_error is None) == survived


def test_opening_leaves_out_what_is_empty() -> None:
    opening = json.loads(sent.opening(Call(Settings("agent_x"), {}, {})))
    assert set(opening) == {"type", "source_info"}
    assert opening["source_info"]["source"] == "unknown"
    assert len(opening["source_info"]["version"]) <= 50


def test_opening_tells_what_the_call_brings() -> None:
    overrides = {
        "conversation_config_override": {"agent": {"language": "de"}},
        "custom_llm_extra_body": {"a": 1},
    }
    opening = json.loads(sent.opening(Call(Settings("agent_x"), {"visits": 3}, overrides)))
    assert opening["dynamic_variables"] == {"visits": 3}
    assert opening | overrides == opening


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Say.MESSAGE, "Hi.", {"type": "user_message", "text": "Hi."}),
        (Say.CONTEXT, "x", {"type": "contextual_update", "text": "x"}),
        (Say.ACTIVITY, "", {"type": "user_activity"}),
        (Say.FEEDBACK, "like", {"type": "feedback", "event_id": 7, "score": "like"}),
        (Say.FEEDBACK, "none", {"type": "feedback", "event_id": 7, "score": None}),
    ],
)
def test_what_is_said_during_a_call(kind: Say, text: str, said: dict[str, Any]) -> None:
    assert json.loads(sent.utterance(kind, text, 7)) == said


def test_answers() -> None:
    assert json.loads(sent.mcp_approval("m1", approved=False)) == {
        "type": "mcp_tool_approval_result",
        "tool_call_id": "m1",
        "is_approved": False,
    }
    assert json.loads(sent.pong(0)) == {"type": "pong", "event_id": 0}
    assert json.loads(sent.tool_result("c1", "no", is_error=True)) == {
        "type": "client_tool_result",
        "tool_call_id": "c1",
        "result": "no",
        "is_error": True,
    }


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
    assert conversation.admission.place is Place.HALL
    assert conversation.admission.admit() == (Admitted(),)
    assert conversation.admission.admit() == ()
    assert Admitted() not in conversation.receive(message(METADATA))
    assert conversation.admission.place is Place.TALK


def test_hold_audio_is_no_turn_of_the_agents() -> None:
    """S1: neither its ids nor an interruption of it mean anything for what the agent says."""
    conversation = at_the_metadata()
    assert told(conversation, "waiting") == [Queued()]
    assert conversation.receive(piece(9)) == (PlayHold("AAAA"),)
    assert conversation.receive(interruption(9)) == ()
    assert told(conversation, "waiting", "x") == []
    assert told(conversation, "admitted") == [Admitted()]
    assert conversation.receive(piece(1)) == (Play("AAAA", 1, True),)
    assert told(conversation, "admitted", "waiting", "timed_out") == [AskFirst()]


def test_a_queue_that_takes_too_long() -> None:
    conversation = at_the_metadata()
    assert told(conversation, "waiting", "timed_out") == [Queued(), AskFirst(), QueueTimedOut()]
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
    conversation.admission.admit()
    if said:
        conversation.receive(said)
    assert told(conversation, "waiting") == ([] if said else [Queued()])


@pytest.mark.parametrize(
    "told",
    ["conv_1\r\nForged: 1", "a b", "$(id)", "x" * 101, "ü", '"', "-rf", "sk_0123456789abcdef"],
)
def test_an_id_of_a_conversation_that_is_none(told: str) -> None:
    """K10: it is told once, in the log alone; an option of a program and a key are none."""
    body = {"conversation_id": told}
    kind = "conversation_initiation_metadata"
    warning, metadata = Conversation().receive(message(kind, f"{kind}_event", body))
    assert isinstance(warning, Log)
    assert warning.level is Level.WARNING
    assert metadata == Metadata("", "pcm_16000", "pcm_16000")


def test_the_longest_id_of_a_conversation() -> None:
    """K10."""
    told = "conv_0-A" + "x" * 92
    kind = "conversation_initiation_metadata"
    (metadata,) = Conversation().receive(message(kind, f"{kind}_event", {"conversation_id": told}))
    assert metadata == Metadata(told, "pcm_16000", "pcm_16000")


def test_the_id_of_a_conversation_is_no_secret() -> None:
    """K6: a variable, events and commands show it."""
    held = Secret("Q7zX9wBv" * 4)
    kind = "conversation_initiation_metadata"
    for told in (held.reveal(), held.reveal().upper(), f"conv_{held.reveal()}"):
        _, metadata = Conversation().receive(
            message(kind, f"{kind}_event", {"conversation_id": told})
        )
        assert metadata == Metadata("", "pcm_16000", "pcm_16000")
