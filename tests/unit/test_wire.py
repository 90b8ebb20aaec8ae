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
