"""Texts of the WebSocket: read leniently and in bounded time, and shown in the log. No I/O."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import orjson

from .. import limits
from ..core import _core
from ..words import cut

# ---- What comes ----


def readable(message: bytes) -> tuple[bytes, bool]:
    """What is read of a message, and whether that leaves anything out.

    Nothing (``b""``) of a long one that is no object in JSON.
    """
    if len(message) <= limits.MESSAGE_WHOLE_BYTES:
        return message, False
    return _core.excerpt(message) or (b"", False)


def loads(message: bytes) -> Any:
    """The value that a message stands for. ValueError: it is no JSON.

    Half a surrogate pair and a number that no computer holds spoil a message for orjson. A language
    model that is cut in an emoji sends the first; such a text gets a question mark.
    """
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError:
        if len(message) > limits.MESSAGE_WHOLE_BYTES:
            raise
    try:
        text = message.decode(errors="replace")
        document = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_nothing)
        return orjson.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _number(text: str) -> float | int | None:
    if not isfinite(float(text)):
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _nothing(_constant: str) -> None:
    """NaN and Infinity, which are no JSON, stand for nothing."""


def parameters_of(value: Any) -> dict[str, Any] | None:
    """The parameters of a tool, which some agents send as the text of a JSON object.

    Null and an empty text are none; None: they are something else.
    """
    if isinstance(value, str):
        try:
            value = orjson.loads(value) if value.strip() else {}
        except orjson.JSONDecodeError:
            return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


_STANDARD = str.maketrans("-_", "+/", " \t\r\n")


def mended_base64(text: str) -> str:
    """Padded standard base64 of what is nearly that: unpadded, of the URL alphabet, with blanks."""
    if not text.isascii():
        return text  # no base64 at all, and slow to translate
    plain = text.translate(_STANDARD).rstrip("=")
    return plain + "=" * (-len(plain) % 4)


# ---- For the log ----

_CUT_KEYS = frozenset({"audio_base_64", "chunk", "user_audio_chunk", "alignment"})
_SECRET_PREFIX = "secret__"


def for_log(message: bytes | str) -> str:
    """A message as one line for the log, with audio and secrets cut out."""
    whole = message.encode(errors="replace") if isinstance(message, str) else message
    data, is_cut = readable(whole)
    try:
        line = orjson.dumps(_cut(loads(data))).decode()
    except (orjson.JSONEncodeError, RecursionError):  # orjson reads deeper than it writes
        return f"(nested too deep, {len(whole)} bytes)"
    except ValueError:
        return f"(no JSON, {len(whole)} bytes)"
    if len(line) > limits.MAX_LOGGED_CHARACTERS:
        line = f"{line[: limits.MAX_LOGGED_CHARACTERS]}... ({len(line)} characters)"
    return f"{line} (of {len(whole)} bytes)" if is_cut else line


def _cut(value: Any, key: str = "") -> Any:
    if key in _CUT_KEYS and value:
        return f"<{len(value)}>" if isinstance(value, str) else "<cut>"
    if key.startswith(_SECRET_PREFIX):
        return "<secret>"
    if isinstance(value, dict):
        return {name: _cut(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value
