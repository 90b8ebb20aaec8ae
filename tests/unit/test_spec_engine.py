"""Everything that the engine says conforms to the service's own descriptions, and is said once."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from pyconvai.conversation import sent
from pyconvai.conversation.sent import Say
from pyconvai.core import _core
from pyconvai.service.settings import OVERRIDES, Call, PairKind
from tests.specs.schemas import faults
from tests.unit.engine import TALKING, Engine
from tests.unit.service import Conversation, Service
from tests.unit.test_core import parse

VALUES = {float: "0.8", int: "60", str: "en", bool: "no", list: '["a"]', dict: "{}"}
SPECIAL = {
    "llm": "gpt-4o",
    "knowledge_base": '[{"type": "file", "name": "n", "id": "i", "usage_mode": "auto"}]',
    "soft_timeout_config": '{"message": "Well?"}',
    "client_events": '["audio", "interruption"]',
    "pronunciation_dictionary_locators": "[{}]",
}
# Known to the service's public OpenAPI description, or its newest client, which have no messages.
ELSEWHERE = {
    *("model_id", "max_duration_seconds", "pronunciation_dictionary_locators"),
    *("supported_voices", "clone_strength", "tool_ids_strict", "reasoning_effort"),
    *("noisy_environment_message", "procedure_ids", "start_procedure_ids"),
}
# Known to some of the descriptions alone: a message with others as well conforms to none.
ONE_ALONE = {"client_events", "tool_mock_config"}


def value(name: str) -> str:
    """A text for an override that the descriptions admit."""
    return SPECIAL.get(name, VALUES[OVERRIDES[name][1]])


VARIABLES = [("text", '"01234"'), ("number", "7.5"), ("flag", "true"), ("none", "null")]
OPENINGS = {
    "nothing": [],
    "variables": [
        (PairKind.VARIABLE, "caller_number", "+431234"),
        *((PairKind.JSON, name, value) for name, value in VARIABLES),
        (PairKind.JSON, "list", '["a",1,null]'),
    ],
    "empty override": [(PairKind.OVERRIDE, "first_message", "")],
    "all overrides": [
        (PairKind.OVERRIDE, name, value(name))
        for name in OVERRIDES
        if name not in ELSEWHERE | ONE_ALONE
    ],
    **{
        f"override {name}": [(PairKind.OVERRIDE, name, value(name))]
        for name in OVERRIDES
        if name not in ELSEWHERE
    },
}


@pytest.mark.parametrize("pairs", OPENINGS.values(), ids=OPENINGS)
def test_openings(pairs: list[tuple[int, str, str]]) -> None:
    call = Call.from_pairs([(PairKind.SETTING, "agent_id", "agent_x"), *pairs])
    assert faults("client", json.loads(sent.opening(call))) == []


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_overrides_that_no_description_has(name: str) -> None:
    """S22: nothing but the override is against them; once they have it, it leaves the list."""
    settings = (PairKind.SETTING, "agent_id", "agent_x")
    call = Call.from_pairs([settings, (PairKind.OVERRIDE, name, value(name))])
    said = faults("client", json.loads(sent.opening(call)))
    assert said
    steps = OVERRIDES[name][0]  # one of them has no `turn` at all
    assert all(any(f"'{step}' was unexpected" in line for step in steps) for line in said)


@pytest.mark.parametrize("event_id", [0, 1, 2**31, -1])
def test_pongs(event_id: int) -> None:
    assert faults("client", json.loads(sent.pong(event_id))) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Say.MESSAGE, "Hello."),
        (Say.CONTEXT, "The caller pressed 5."),
        (Say.ACTIVITY, ""),
        (Say.FEEDBACK, "like"),
        (Say.FEEDBACK, "dislike"),
        (Say.FEEDBACK, "none"),
    ],
)
def test_what_is_said_during_a_call(kind: Say, text: str) -> None:
    assert faults("client", json.loads(sent.utterance(kind, text, 7))) == []


@pytest.mark.parametrize("is_error", [False, True])
@pytest.mark.parametrize("result", ["", "done", 'quotes " and \\ and ü\n'])
def test_tool_results(result: str, is_error: bool) -> None:
    message = sent.tool_result("call_1", result, is_error=is_error)
    assert faults("client", json.loads(message)) == []


@pytest.mark.parametrize("size", [1, 2, 3, 160, 640, 16_000, 96_000])
def test_audio_of_every_padding(size: int) -> None:
    frame = parse(_core.encode_chunk_frame(os.urandom(size)))
    assert faults("client", json.loads(bytes(frame.data))) == []


def test_a_whole_session(engine: Engine) -> None:
    """What the service asks for is answered once, in order, and every message conforms."""
    messages: list[dict[str, Any]] = []
    tool = {"tool_name": "fly", "parameters": {}, "event_id": 1, "expects_response": True}

    async def take(agent: Conversation, kind: str) -> None:
        while not messages or messages[-1].get("type") != kind:
            messages.append(json.loads(await agent.connection.recv()))

    async def script(agent: Conversation) -> None:
        await take(agent, "conversation_initiation_client_data")
        await agent.metadata()
        await agent.speak(b"\x01" * 800, 1)
        await agent.send(type="ping", ping_event={"event_id": 1, "ping_ms": None})
        await agent.send(type="interruption", interruption_event={"event_id": 2})
        await agent.send(type="client_tool_call", client_tool_call=tool | {"tool_call_id": "c1"})
        await agent.send(type="client_error", error_event={"code": 1, "error_name": "odd"})
        await agent.send(type="of_tomorrow")
        await agent.send(type="client_tool_call", client_tool_call=tool | {"tool_call_id": "c2"})
        while len([m for m in messages if "user_audio_chunk" in m]) < 8:
            messages.append(json.loads(await agent.connection.recv()))
        # Whatever the engine still had to say comes before its answer to this.
        await agent.send(type="ping", ping_event={"event_id": 99, "ping_ms": 12})
        while messages[-1] != {"type": "pong", "event_id": 99}:
            messages.append(json.loads(await agent.connection.recv()))
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(
            settings=service.settings(), variables={"name": "Ada"}, overrides={"language": "de"}
        )
        call.wait(TALKING)
        for _ in range(8):
            assert call.push(b"\x55" * 160) == 160
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        call.release()
    for message in messages:
        assert faults("client", message) == []
    said = [(m["type"], m.get("event_id", m.get("tool_call_id"))) for m in messages if "type" in m]
    assert said == [
        ("conversation_initiation_client_data", None),
        ("pong", 1),
        ("client_tool_result", "c1"),
        ("client_tool_result", "c2"),
        ("pong", 99),
    ]
    assert len(messages) == len(said) + 8
