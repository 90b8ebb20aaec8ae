"""The judge of all messages is judged: by the descriptions' own examples, and by wrong messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.specs.schemas import FILES, Sender, Specification, faults, specifications

EVENT = {"audio_base_64": "QUJD", "event_id": 1}
RESPONSE = {"agent_response": "Hi.", "event_id": 1, "response_id": "r", "attachments": []}
INIT = "conversation_initiation_client_data"


@pytest.mark.parametrize("name", FILES)
def test_both_directions_are_read(name: str) -> None:
    specification = Specification(name)
    assert {"ping", "audio", "interruption"} <= set(specification.validators["server"])
    assert {"pong", "user_audio_chunk", INIT} <= set(specification.validators["client"])
    assert not set(specification.validators["server"]) & set(specification.validators["client"])


def test_the_descriptions_own_examples_conform() -> None:
    """One of them shows a message of most types."""
    shown = [
        (specification, sender, message)
        for specification in specifications()
        for sender, message in specification.examples
    ]
    assert len(shown) >= 15
    for specification, sender, message in shown:
        assert specification.faults(sender, message) == []


@pytest.mark.parametrize(
    ("sender", "message"),
    [
        ("server", {"type": "audio", "audio_event": EVENT}),
        ("server", {"type": "ping", "ping_event": {"event_id": 1, "ping_ms": None}}),
        ("client", {"type": "pong", "event_id": 1}),
        ("client", {"user_audio_chunk": "QUJD"}),
        ("server", {"type": "agent_response", "agent_response_event": RESPONSE}),
        ("client", {"type": INIT, "dynamic_variables": {"n": [1, None, "x"]}, "user_id": None}),
    ],
)
def test_right_messages(sender: Sender, message: dict[str, Any]) -> None:
    assert faults(sender, message) == []


@pytest.mark.parametrize(
    ("sender", "message", "words"),
    [
        ("server", {"audio_event": EVENT}, "no message of type 'None'"),
        ("server", {"type": "audio"}, "'audio_event' is a required property"),
        ("server", {"type": "audio", "audio_event": EVENT | {"event_id": "1"}}, "event_id"),
        ("server", {"type": "audio", "audio_event": EVENT | {"final": True}}, "'final'"),
        ("server", {"type": "pong", "event_id": 1}, "no message of type 'pong' from the server"),
        ("client", {"type": "ping"}, "no message of type 'ping' from the client"),
        ("client", {"type": "pong", "event_id": None}, "event_id"),
        ("client", {"type": "pong", "event_id": 1, "extra": 1}, "'extra'"),
        ("client", {"user_audio_chunk": 7}, "7 is not of type 'string'"),
        ("client", {"user_audio_chunk": "QUI"}, "is not a 'base64'"),
        ("client", {"user_audio_chunk": "QU-_"}, "is not a 'base64'"),
        ("server", {"type": "audio", "audio_event": EVENT | {"audio_base_64": "?"}}, "'base64'"),
        ("client", {"type": INIT, "source_info": {"sauce": "unknown"}}, "'sauce'"),
        ("client", {"type": "client_tool_result", "tool_call_id": "1", "result": {}}, "result"),
    ],
)
def test_wrong_messages(sender: Sender, message: dict[str, Any], words: str) -> None:
    said = faults(sender, message)
    assert len(said) == len(FILES), "each description says what it has against it"
    assert words in "\n".join(said)
