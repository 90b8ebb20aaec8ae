"""How a conversation ends: every cause becomes one status and one line that a person can act on.

No I/O. ``TABLE`` holds what a cause means; nothing else decides. The names of the statuses and
their numbers are those of ``enum convai_status`` in ``convai_ops.h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import orjson

MAX_REASON_CHARACTERS = 240
"""A reason is one line in a log and a channel variable; a server may send pages."""


class Status(IntEnum):
    """``ELEVENLABSSTATUS``, by number."""

    NONE = 0
    AGENT_ENDED = 1
    HANGUP = 2
    TRANSFER = 3
    TIMEOUT = 4
    LIMIT = 5
    NOAGENT = 6
    AUTH = 7
    REJECTED = 8
    UNREACHABLE = 9
    ERROR = 10
    UNLOADED = 11


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a session.

    ``play_out``: audio that is queued is played to its end first.
    ``retry``: another attempt may go better, if nothing has been said yet.
    """

    status: Status
    reason: str
    play_out: bool = False
    retry: bool = False


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The service has no room just now, and wants to be left alone for a while."""

    seconds: float | None = None
    """What it asked for itself (Retry-After), if it did."""


class SetupFailed(Exception):
    """The conversation did not come up. Carries the Ending that says why."""

    def __init__(self, ending: Ending, rate_limit: RateLimit | None = None) -> None:
        super().__init__(ending.reason)
        self.ending = ending
        self.rate_limit = rate_limit


def one_line(text: str) -> str:
    """Make text fit for a log line and a channel variable: one line, no control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > MAX_REASON_CHARACTERS:
        return line[: MAX_REASON_CHARACTERS - 3] + "..."
    return line


class Cause(StrEnum):
    """Where a row of the table is looked up."""

    ERROR = "error"
    """``error_type`` or ``error_name`` of an error message that the service sent before."""
    WORDS = "words"
    """What the service's own words contain."""
    CLOSE = "close"
    """The WebSocket's close code."""
    HTTP = "HTTP"
    """The status of an HTTP answer: of the signed URL's, or of the handshake's."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one cause means. ``docs/protocol.md`` shows these rows, and a test compares them."""

    cause: Cause
    key: str
    status: Status
    meaning: str = ""
    retry: bool = False


EARLY = " before the metadata"

_LIMIT_THERE = "too many conversations at once at the service"
_INTERNAL_ERRORS = (
    "invalid_message",
    "telephony_agent_error",
    "mcp_tool_error",
    "mcp_https_error",
    "safety_violation",
    "llm_timeout",
    "transport_receive_timeout",
    "asyncio_timeout",
    "http_exception",
    "llm_error",
    "custom_llm_error",
    "cascade_brain_error",
    "asr_transcription_error",
    "vad_error",
    "turn_probability_error",
    "tts_cascade_error",
    "redis_timeout_error",
    "unknown_websocket_crash",
    "websocket_disconnect",
    "unknown",
)

TABLE: tuple[Row, ...] = (
    # Of an error the type says most, but for those that only tell which part of the service failed.
    Row(Cause.ERROR, "max_duration_exceeded", Status.TIMEOUT),
    Row(Cause.ERROR, "queue_timed_out", Status.LIMIT),
    Row(Cause.ERROR, "override_error", Status.REJECTED),
    Row(Cause.ERROR, "missing_dynamic_variable", Status.REJECTED),
    Row(Cause.ERROR, "missing_dynamic_variable_transfer", Status.REJECTED),
    Row(Cause.ERROR, "missing_fields", Status.REJECTED),
    Row(Cause.ERROR, "value_error", Status.REJECTED),
    # The same code serves several causes; then the service's own words decide. First match wins.
    Row(Cause.WORDS, "max_duration", Status.TIMEOUT),
    Row(Cause.WORDS, "maximum duration", Status.TIMEOUT),
    Row(Cause.WORDS, "max duration", Status.TIMEOUT),
    Row(Cause.WORDS, "does not exist", Status.REJECTED),
    Row(Cause.WORDS, "not found", Status.REJECTED),
    Row(Cause.WORDS, "could not authorize", Status.AUTH),
    Row(Cause.WORDS, "quota", Status.LIMIT),
    Row(Cause.WORDS, "concurren", Status.LIMIT),
    Row(Cause.WORDS, "timed_out", Status.LIMIT),
    *(Row(Cause.ERROR, name, Status.ERROR) for name in _INTERNAL_ERRORS),
    Row(Cause.CLOSE, "1000", Status.AGENT_ENDED, "the agent ended the conversation"),
    Row(
        Cause.CLOSE,
        "1000" + EARLY,
        Status.REJECTED,
        "the service closed the conversation before it began",
    ),
    Row(Cause.CLOSE, "1002", Status.ERROR, "the service gave up"),
    Row(Cause.CLOSE, "1008", Status.REJECTED, "the service refused what it was sent"),
    Row(Cause.CLOSE, "1011", Status.ERROR, "the service failed", retry=True),
    Row(Cause.CLOSE, "3000", Status.AUTH, "the service did not authorize the conversation"),
    Row(Cause.CLOSE, "3008", Status.LIMIT, _LIMIT_THERE),
    Row(Cause.CLOSE, "4300", Status.LIMIT, _LIMIT_THERE),
    Row(Cause.CLOSE, "other", Status.ERROR, "the service closed the connection"),
    Row(Cause.CLOSE, "none", Status.ERROR, "the connection to the service broke"),
    Row(
        Cause.CLOSE,
        "none" + EARLY,
        Status.UNREACHABLE,
        "the service dropped the connection before the conversation began",
        retry=True,
    ),
    Row(Cause.HTTP, "3xx", Status.ERROR, "redirects are not followed"),
    Row(Cause.HTTP, "400", Status.REJECTED),
    Row(Cause.HTTP, "401", Status.AUTH),
    Row(Cause.HTTP, "402", Status.LIMIT),
    Row(Cause.HTTP, "403", Status.AUTH),
    Row(Cause.HTTP, "404", Status.REJECTED),
    Row(Cause.HTTP, "422", Status.REJECTED),
    Row(Cause.HTTP, "429", Status.LIMIT),
    Row(Cause.HTTP, "5xx", Status.UNREACHABLE, retry=True),
    Row(Cause.HTTP, "other", Status.ERROR),
)

_ROWS = {(row.cause, row.key): row for row in TABLE}

# What an operator can do about it, added where the service's words do not say so.
_REMEDY: dict[Status, str] = {
    Status.AUTH: "check api_key and the agent's authentication setting",
    Status.REJECTED: "check agent_id, base_url (region) and which overrides the agent allows",
    Status.LIMIT: "check the plan's quota and concurrency",
}


def from_close(
    code: int | None, words: str, *, talking: bool, error: str = "", tool: str = ""
) -> Ending:
    """Tell what a closed WebSocket means.

    ``code`` is None or 1006 when the connection broke without a close frame; ``words`` is the close
    reason together with any error message before it, and ``error`` that one's type; ``talking``:
    the metadata had come; ``tool``: what the agent said it ends the call with.
    """
    row = _close_row(code, talking)
    if code is None or code == 1006:
        return Ending(row.status, _sentence(row.meaning, words, ""), retry=row.retry)
    named = _ROWS.get((Cause.ERROR, error))
    status = row.status
    if named and named.status is not Status.ERROR:
        status = named.status
    elif by_words := _by_words(words):
        status = by_words
    meaning = f"{row.meaning} ({code})"
    if status is Status.AGENT_ENDED and tool:
        meaning = f"{meaning} with its tool {tool}"
    remedy = "" if row.key == "1000" + EARLY else _REMEDY.get(status, "")
    return Ending(
        status,
        _sentence(meaning, words, remedy),
        play_out=code == 1000 and talking,
        retry=row.retry,
    )


def _close_row(code: int | None, talking: bool) -> Row:
    key = "none" if code is None or code == 1006 else str(code)
    early = None if talking else _ROWS.get((Cause.CLOSE, key + EARLY))
    return early or _ROWS.get((Cause.CLOSE, key)) or _ROWS[Cause.CLOSE, "other"]


def _by_words(words: str) -> Status | None:
    for row in TABLE:
        if row.cause is Cause.WORDS and row.key in words.lower():
            return row.status
    return None


def _sentence(meaning: str, words: str, remedy: str) -> str:
    sentence = f"{meaning}: {words}" if words else meaning
    return one_line(f"{sentence}; {remedy}" if remedy else sentence)


def from_http(code: int, body: bytes, what: str) -> Ending:
    """Tell what an HTTP answer other than success means; ``what`` was asked for."""
    words = http_error_words(body)
    row = (
        _ROWS.get((Cause.HTTP, str(code)))
        or _ROWS.get((Cause.HTTP, f"{code // 100}xx"))
        or _ROWS[Cause.HTTP, "other"]
    )
    status, remedy = row.status, ""
    if status is Status.AUTH and _by_words(words) is Status.LIMIT:
        status = Status.LIMIT
    if row.key == "3xx":
        words = f"{row.meaning}, the key would go with them; correct base_url"
    else:
        remedy = _REMEDY.get(status, "")
    sentence = _sentence(f"{what} was refused with HTTP {code}", words, remedy)
    return Ending(status, sentence, retry=row.retry)


def http_error_words(body: bytes) -> str:
    """Take the sentence out of an error body of any of the shapes in use, or say nothing."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _plain_words(body)
    detail = document.get("detail", document) if isinstance(document, dict) else document
    return one_line(_detail_words(detail))


def _plain_words(body: bytes) -> str:
    """A body that is no JSON: keep short plain text, drop a web page."""
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else one_line(text)


def _detail_words(detail: Any) -> str:
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return ", ".join(_detail_words(item) for item in detail)
    if not isinstance(detail, dict):
        return ""
    message = detail.get("message") or detail.get("msg") or ""
    name = detail.get("code") or detail.get("status") or detail.get("type") or ""
    place = ".".join(str(part) for part in detail.get("loc") or ())
    return " ".join(str(part) for part in (place, message, f"({name})" if name else "") if part)
