"""Texts of the WebSocket: what is read of them, and what the log shows."""

from __future__ import annotations

import json

import pytest

from pyconvai import limits
from pyconvai.conversation import wire


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
    line = wire.for_log(text)
    assert shown in line
    assert cut not in line


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "apiKey", "api_key", "xi-api-key", "X-Api-Keys", "key"),
        *("password", "client_secret", "Authorization", "conversation_signature", "credentials"),
        *("private_key", "passwd", "cookie", "secret__x"),
    ],
)
@pytest.mark.parametrize("value", ["hush", 7654321, ["hush"], {"x": "hush"}])
def test_what_is_called_a_secret_is_cut(name: str, value: object) -> None:
    """K11: at any depth, whichever way it goes."""
    document = {"type": "x", "a": [{"b": {name: value, "max_words": 5, "keyword": "stays"}}]}
    for line in (wire.for_log(json.dumps(document)), wire.sent_for_log(json.dumps(document))):
        assert "hush" not in line
        assert "7654321" not in line
        assert "stays" in line


def test_what_goes_to_somebody_elses_model_is_cut() -> None:
    """K11: nobody here knows what is a credential there."""
    document = {"type": "x", "custom_llm_extra_body": {"tenant": "hush", "more": {"x": "hush"}}}
    line = wire.sent_for_log(json.dumps(document))
    assert "hush" not in line
    assert '"tenant":"<cut>"' in line


@pytest.mark.parametrize("kind", ["user_message", "contextual_update"])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1234", "<4 digits>"),
        ("*12A#", "<5 digits>"),
        ("A", "<1 digits>"),
        (
            "The caller has pressed 4711 on the telephone's keypad.",
            "The caller has pressed <4 digits> on the telephone's keypad.",
        ),
        ("The caller has pressed D on the", "The caller has pressed <1 digits> on the"),
        ("A customer, whose number is 5550100.", "A customer, whose number is <7 digits>."),
        ("Anna B2B", "Anna B2B"),
    ],
)
def test_of_digits_only_their_number_is_logged(kind: str, text: str, shown: str) -> None:
    """K11: a PIN."""
    line = wire.sent_for_log(json.dumps({"type": kind, "text": text}))
    assert json.loads(line)["text"] == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4711", "<4 digits>"),
        ("It is 47 11 08, or 555-0100.", "It is <6 digits>, or <7 digits>."),
        ("Two, for 19:30, at 7.50", "Two, for 19:30, at 7.50"),
        ("I have 2 of 12", "I have 2 of 12"),
        ("It is 4, 7, 1, 1.", "It is <4 digits>."),
        ("4. 7. 1,1", "<4 digits>"),
        ("7", "<1 digits>"),
        ("1 2", "<2 digits>"),
        ("*1#", "<3 digits>"),
        ("12.", "<2 digits>"),
    ],
)
def test_of_digits_that_were_said_only_their_number_is_logged(text: str, shown: str) -> None:
    """K11: the service tells what was pressed again, as the caller's words."""
    event = {"user_transcription_event": {"user_transcript": text, "event_id": 1}}
    line = wire.for_log(json.dumps({"type": "user_transcript", **event}))
    assert json.loads(line)["user_transcription_event"]["user_transcript"] == shown
    assert wire.said_for_log(text) == shown


@pytest.mark.parametrize("name", ["dtmf_tones", "dtmf", "digits", "tones"])
@pytest.mark.parametrize("value", ["4711#", 4711, ["4", "7"]])
def test_tones_that_the_agent_wants_are_not_logged(name: str, value: object) -> None:
    """K11: they may be what the caller has told it."""
    line = wire.for_log(json.dumps({"type": "dtmf_request", "dtmf_request_event": {name: value}}))
    assert "4" not in line.replace("<4 digits>", "").replace("<cut>", "")


@pytest.mark.parametrize("parameters", [{"digits": "4711#"}, '{"digits": "4711#"}'])
def test_tones_that_a_tool_is_to_send_are_not_logged(parameters: object) -> None:
    """K11: whichever way an agent gives parameters."""
    call = {"tool_name": "send_dtmf", "tool_call_id": "c1", "parameters": parameters}
    line = wire.for_log(json.dumps({"type": "client_tool_call", "client_tool_call": call}))
    assert "<5 digits>" in line
    assert "4711" not in line


@pytest.mark.parametrize("depth", [300, 1000])
def test_a_message_that_is_nested_too_deep_is_not_logged(depth: int) -> None:
    line = wire.for_log("[" * depth + "]" * depth)
    assert line == f"(nested too deep, {2 * depth} bytes)"


def test_a_logged_message_has_a_limit() -> None:
    line = wire.for_log(json.dumps({"text": "x" * 100_000}))
    assert len(line) < limits.MAX_LOGGED_CHARACTERS + 50


def test_a_long_message_is_logged_in_part() -> None:
    """S15: and how long it was."""
    text = json.dumps({"type": "x", "a": "y" * 1_000_000, "b": [[]] * 1000})
    line = wire.for_log(text)
    assert line.endswith(f" (of {len(text)} bytes)")
    assert len(line) < limits.MAX_LOGGED_CHARACTERS + 100


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("QUI", "QUI="),
        ("QQ", "QQ=="),
        ("QQ==", "QQ=="),
        ("QQ=", "QQ=="),
        ("-_-_", "+/+/"),
        ("QU\r\nJD QU\tI", "QUJDQUI="),
        ("", ""),
        ("é", "é"),
    ],
)
def test_nearly_standard_base64(text: str, standard: str) -> None:
    """S16."""
    assert wire.mended_base64(text) == standard
