"""Texts of the WebSocket: read leniently and in bounded time, and shown in the log. No I/O."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

import orjson

from .. import limits
from ..core import _core
from ..words import cut

# ---- What comes ----


def readable(message: bytes, whole: int = limits.MESSAGE_WHOLE_BYTES) -> tuple[bytes, bool]:
    """What is read of a message, and whether that leaves anything out.

    One of so many bytes is read whole. Nothing (``b""``) of a longer one that is no JSON object.
    """
    if len(message) <= whole:
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
        if len(message) > limits.SLOW_JSON_BYTES:
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

_AUDIO_KEYS = frozenset({"audio_base_64", "chunk", "user_audio_chunk", "alignment"})
_SECRET_KEY = re.compile(
    r"^secret__|(?:token|secret|passw(?:or)?d|passphrase|authorization|signature|credential|cookie"
    r"|api[_-]?key|(?:^|[_-])key)s?$",
    re.IGNORECASE,
)
"""Of a member at any depth; the first is the service's own way to say so."""
_BODY_KEY = "custom_llm_extra_body"
"""Goes on to somebody else's model: what is a credential in it nobody here knows."""
_DIGITS = re.compile(r"(?<!\w)[0-9*#][0-9*#A-D]*(?!\w)|(?<=^)[A-D]+$|(?<=pressed )[A-D]+")
"""As the caller has pressed them (``call/dtmf.c``): a PIN, a card's number."""
_SAID_KEY = "user_transcript"
_SAID_DIGITS = re.compile(r"\d(?:(?:[ -]|[,.] |,)?\d){2,}")
"""The same as the service has heard or read them: three and more, for fewer are a time or a sum."""
_ONLY_DIGITS = re.compile(r"[ .,-]*(?:[0-9*#A-D][ .,-]*)+")
"""Without any other word one is enough: who presses slowly sends them one by one."""
DIGIT_KEYS = ("dtmf_tones", "dtmf", "digits", "tones")
"""What ``dtmf_request`` has is published nowhere: the first text that could be digits is taken."""


def for_log(message: bytes | str) -> str:
    """A message as one line for the log, with audio and secrets cut out."""
    whole = message.encode(errors="replace") if isinstance(message, str) else message
    data, is_cut = readable(whole, limits.MAX_LOGGED_CHARACTERS)
    try:
        return _shown(loads(data), whole, is_cut=is_cut)
    except ValueError:
        return f"(no JSON, {len(whole)} bytes)"


def sent_for_log(message: str) -> str:
    """The same of a message of ours: of digits that the caller has pressed only their number."""
    document = loads(message.encode())
    if document["type"] in ("user_message", "contextual_update"):
        document["text"] = _DIGITS.sub(_count, document["text"])
    return _shown(document, message.encode())


def said_for_log(text: str) -> str:
    """What the caller has said, without the digits in it."""
    return digits_for_log(text) if _ONLY_DIGITS.fullmatch(text) else _SAID_DIGITS.sub(_count, text)


def digits_for_log(text: str) -> str:
    """How many there are; nothing of a text without any character."""
    return f"<{sum(each not in ' .,-' for each in text)} digits>" if text else ""


def _count(found: re.Match[str]) -> str:
    return digits_for_log(found[0])


def _shown(document: Any, whole: bytes, *, is_cut: bool = False) -> str:
    try:
        line = orjson.dumps(_cut(document)).decode()
    except (orjson.JSONEncodeError, RecursionError):  # orjson reads deeper than it writes
        return f"(nested too deep, {len(whole)} bytes)"
    if len(line) > limits.MAX_LOGGED_CHARACTERS:
        line = f"{cut(line, limits.MAX_LOGGED_CHARACTERS)}... ({len(line)} characters)"
    return f"{line} (of {len(whole)} bytes)" if is_cut else line


def _cut(value: Any, key: str = "") -> Any:
    if key in _AUDIO_KEYS and value:
        return f"<{len(value)}>" if isinstance(value, str) else "<cut>"
    if key in DIGIT_KEYS and value:
        return digits_for_log(value) if isinstance(value, str) else "<cut>"
    if _SECRET_KEY.search(key):
        return "<secret>"
    if key == _SAID_KEY and isinstance(value, str):
        return said_for_log(value)
    if key == "parameters" and isinstance(value, str):
        value = parameters_of(value) or value  # of a tool, as the text of an object
    if key == _BODY_KEY and isinstance(value, dict):
        return dict.fromkeys(value, "<cut>")
    if isinstance(value, dict):
        return {name: _cut(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value
