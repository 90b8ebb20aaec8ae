"""How a conversation ends: every cause becomes one status and one line that a person can act on.

No I/O. ``TABLE`` says what a cause means, and which of several causes decides; nothing else does.
The names of the statuses and their numbers are those of ``enum convai_status`` in ``convai_ops.h``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import orjson

from .. import limits, words
from . import missing


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


class PlayOut(IntEnum):
    """``enum convai_play_out``: how much of the queued audio is heard before the call ends."""

    NONE = 0
    ALL = 1
    BRIEFLY = 2
    """As ``ALL``, but within a limit of the module's: nobody is there any more to say the rest."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a session.

    ``reason`` is a sentence of ours: what it quotes are names, numbers and addresses
    (``words.token``). What the service, a tool, an exception or the dialplan has said is
    ``detail``. Both are made harmless here, whoever makes the ending.
    ``retry``: another attempt may go better, if nothing has been said yet.
    ``busy``: the service has no room just now; it is to be left alone for a while.
    """

    status: Status
    reason: str
    play_out: PlayOut = PlayOut.NONE
    retry: bool = False
    busy: bool = False
    detail: str = ""

    def __post_init__(self) -> None:
        """Through the door."""
        object.__setattr__(self, "reason", words.sentence(self.reason))
        object.__setattr__(self, "detail", words.line(self.detail))

    def __str__(self) -> str:
        """For the log."""
        return f"{self.reason} [{self.detail}]" if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The service has no room just now: nobody should ask it for a while."""

    seconds: float | None = None
    """How long, if the service said so (Retry-After)."""


class SetupFailed(Exception):
    """The conversation did not come up. Carries the Ending that says why."""

    def __init__(self, ending: Ending, rate_limit: RateLimit | None = None) -> None:
        super().__init__(str(ending))
        self.ending = ending
        self.rate_limit = rate_limit


class Cause(StrEnum):
    """Where a row of the table is looked up."""

    ERROR = "error"
    """``error_type`` or ``error_name`` of an error message that the service sent before."""
    WORDS = "words"
    """What the service's own words contain, as whole words."""
    CLOSE = "close"
    """The WebSocket's close code."""
    HTTP = "HTTP"
    """The status of an HTTP answer: of the signed URL's, or of the handshake's."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one cause means. ``docs/protocol.md`` shows these rows, and a test compares them.

    ``precedence``: of several rows that match, the one with the lowest number decides. Words that
    share a number mean the same; of the other rows that share one only one can match.
    """

    precedence: int
    cause: Cause
    key: str
    status: Status
    meaning: str = ""
    retry: bool = False
    busy: bool = False


EARLY = " before the metadata"
"""Behind a close code: of a conversation that had not begun."""

LIMITED = " with words of a limit"
"""Behind an HTTP status: some words in the answer mean LIMIT, whatever the others mean."""

SPEAKING = (1002, 1008, 3000)
"""Close codes that the service uses for several causes, so that its words tell which."""

LAST = frozenset({"max_duration_exceeded", "queue_timed_out"})
"""Types of an error that no conversation survives: they tell why it ended, whatever the close."""

_LIMIT_THERE = "too many conversations at once at the service"
_BUSY = (
    "too many concurrent connections",
    "too many concurrent conversations",
    "too many concurrent requests",
    "concurrent_limit_exceeded",
    "too_many_concurrent_requests",
    "rate_limit_exceeded",
    "system_busy",
)
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

NO_AGENT_CODES = frozenset({3008, 4300})
"""Close codes with which the service says that no agent is free."""

TABLE: tuple[Row, ...] = (
    # No close frame: what was said before is not why the connection broke.
    Row(
        1,
        Cause.CLOSE,
        "none" + EARLY,
        Status.UNREACHABLE,
        "the service dropped the connection before the conversation began",
        retry=True,
    ),
    Row(2, Cause.CLOSE, "none", Status.ERROR, "the connection to the service broke"),
    # The type of an error says most.
    Row(3, Cause.ERROR, "max_duration_exceeded", Status.TIMEOUT),
    Row(3, Cause.ERROR, "queue_timed_out", Status.LIMIT),
    Row(3, Cause.ERROR, "override_error", Status.REJECTED),
    Row(3, Cause.ERROR, "missing_dynamic_variable", Status.REJECTED),
    Row(3, Cause.ERROR, "missing_dynamic_variable_transfer", Status.REJECTED),
    Row(3, Cause.ERROR, "missing_fields", Status.REJECTED),
    Row(3, Cause.ERROR, "value_error", Status.REJECTED),
    # The service uses some close codes for several causes; then its own words say more.
    *(
        Row(4, Cause.WORDS, phrase, Status.TIMEOUT)
        for phrase in (
            "max_duration",
            "max_duration_exceeded",
            "maximum duration",
            "max duration",
        )
    ),
    Row(5, Cause.WORDS, "does not exist", Status.REJECTED),
    Row(5, Cause.WORDS, "not found", Status.REJECTED),
    Row(6, Cause.WORDS, "could not authorize", Status.AUTH),
    Row(7, Cause.WORDS, "quota", Status.LIMIT),
    Row(7, Cause.WORDS, "quota_exceeded", Status.LIMIT),
    *(Row(8, Cause.WORDS, phrase, Status.LIMIT, _LIMIT_THERE, busy=True) for phrase in _BUSY),
    Row(
        9,
        Cause.CLOSE,
        "1000" + EARLY,
        Status.REJECTED,
        "the service closed the conversation before it began",
    ),
    Row(10, Cause.CLOSE, "1000", Status.AGENT_ENDED, "the agent ended the conversation"),
    Row(10, Cause.CLOSE, "1002", Status.ERROR, "the service gave up"),
    Row(10, Cause.CLOSE, "1008", Status.REJECTED, "the service refused what it was sent"),
    Row(10, Cause.CLOSE, "1011", Status.ERROR, "the service failed", retry=True),
    Row(10, Cause.CLOSE, "3000", Status.AUTH, "the service did not authorize the conversation"),
    Row(10, Cause.CLOSE, "3008", Status.LIMIT, _LIMIT_THERE, busy=True),
    Row(10, Cause.CLOSE, "4300", Status.LIMIT, _LIMIT_THERE, busy=True),
    Row(11, Cause.CLOSE, "other", Status.ERROR, "the service closed the connection"),
    # These types only tell which part of the service failed: any close says as much or more.
    *(Row(12, Cause.ERROR, name, Status.ERROR) for name in _INTERNAL_ERRORS),
    # An HTTP answer is judged by itself: its rows never meet those above.
    Row(1, Cause.HTTP, "401" + LIMITED, Status.LIMIT),
    Row(1, Cause.HTTP, "403" + LIMITED, Status.LIMIT),
    Row(2, Cause.HTTP, "400", Status.REJECTED),
    Row(2, Cause.HTTP, "401", Status.AUTH),
    Row(2, Cause.HTTP, "402", Status.LIMIT),
    Row(2, Cause.HTTP, "403", Status.AUTH),
    Row(2, Cause.HTTP, "404", Status.REJECTED),
    Row(2, Cause.HTTP, "422", Status.REJECTED),
    Row(2, Cause.HTTP, "429", Status.LIMIT, busy=True),
    Row(3, Cause.HTTP, "3xx", Status.ERROR, "redirects are not followed"),
    Row(3, Cause.HTTP, "5xx", Status.UNREACHABLE, retry=True),
    Row(4, Cause.HTTP, "other", Status.ERROR),
)

_ROWS = {(row.cause, row.key): row for row in TABLE}

# What an operator can do about it, added where the service's words do not say so.
_REMEDY: dict[Status, str] = {
    Status.AUTH: "check api_key and the agent's authentication setting",
    Status.REJECTED: "check agent_id, base_url (region) and which overrides the agent allows",
    Status.LIMIT: "check the plan's quota and concurrency",
}


_PHRASES = [
    (row, re.compile(rf"(?<!\w){re.escape(row.key)}(?!\w)"))
    for row in TABLE
    if row.cause is Cause.WORDS
]


def _rows(cause: Cause, *keys: str) -> list[Row]:
    """The rows that match these keys; a key without a row is left out."""
    return [_ROWS[cause, key] for key in keys if (cause, key) in _ROWS]


def _said(told: str) -> list[Row]:
    """The rows that match the service's words."""
    told = told.lower()
    return [row for row, phrase in _PHRASES if phrase.search(told)]


def _winner(rows: list[Row]) -> Row:
    """Which of the rows that match decides."""
    return min(rows, key=lambda row: row.precedence)


def from_close(
    code: int | None,
    close_words: str,
    *,
    talking: bool,
    error: str = "",
    said: str = "",
    tool: str = "",
) -> Ending:
    """Tell what a closed WebSocket means.

    ``code`` is None or 1006 when the connection broke without a close frame, and ``close_words``
    is the close frame's own reason. ``error`` and ``said``: type and words of an error message
    before it, which has a say only where the close frame is without words; ``talking``: an agent
    was there; ``tool``: what the agent said it ends the call with.
    """
    broke = code is None or code == 1006
    key = "none" if broke else str(code)
    keys = (key, "other") if talking else (key + EARLY, key, "other")
    close = _winner(_rows(Cause.CLOSE, *keys))
    normal = code == 1000 and talking
    if normal and error not in LAST:
        error = said = ""  # the conversation survived it
    rows = [close]
    if error in LAST or not close_words:
        rows += _rows(Cause.ERROR, error)
    if close_words in LAST or code in SPEAKING:
        rows += _rows(Cause.ERROR, close_words)
    if code in SPEAKING:
        rows += _said(close_words or said)
    winner = _winner(rows)
    meaning = close.meaning if broke else f"{close.meaning} ({code:d})"
    if winner.status is Status.AGENT_ENDED and tool:
        meaning = f"{meaning} with its tool {words.token(tool)}"
    remedy = "" if close.key == "1000" + EARLY else _REMEDY.get(winner.status, "")
    told = "; ".join(dict.fromkeys(part for part in (close_words, said) if part))
    if winner.status is Status.REJECTED:
        remedy = missing.remedy(told, error) or remedy
    return Ending(
        winner.status,
        _sentence(meaning, remedy),
        play_out=_play_out(normal=normal, talking=talking),
        retry=winner.retry,
        busy=winner.busy,
        detail=told,
    )


def _play_out(*, normal: bool, talking: bool) -> PlayOut:
    if not talking:
        return PlayOut.NONE
    return PlayOut.ALL if normal else PlayOut.BRIEFLY


def no_agent(meaning: str, *, remedy: bool = False) -> Ending:
    """The end of a call that has waited for an agent, or was not to wait."""
    return Ending(Status.LIMIT, _sentence(meaning, _REMEDY[Status.LIMIT] if remedy else ""))


def _sentence(meaning: str, remedy: str) -> str:
    """What it means, and what to do."""
    return f"{meaning}; {remedy}" if remedy else meaning


def from_http(code: int, body: bytes, what: str) -> Ending:
    """Tell what an HTTP answer other than success means. ``what``: the name of what was asked."""
    told = http_error_words(body)
    keys = [str(code), f"{code // 100}xx", "other"]
    if any(row.status is Status.LIMIT for row in _said(told)):
        keys.append(f"{code}{LIMITED}")
    row = _winner(_rows(Cause.HTTP, *keys))
    meaning, remedy = f"{what} was refused with HTTP {code:d}", _REMEDY.get(row.status, "")
    if row.key == "3xx":
        meaning = f"{meaning}: {row.meaning}, the key would go with them"
        remedy = "correct base_url"
    sentence = _sentence(meaning, remedy)
    return Ending(row.status, sentence, retry=row.retry, busy=row.busy, detail=told)


def http_error_words(body: bytes) -> str:
    """Take the sentence out of an error body of any of the shapes in use, or say nothing."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _plain_words(body)
    detail = document.get("detail", document) if isinstance(document, dict) else document
    return words.line(_detail_words(detail, limits.ERROR_DEPTH_MAX))


def _plain_words(body: bytes) -> str:
    """A body that is no JSON: keep short plain text, drop a web page, and what no text has.

    Of UTF-16 each second byte is a zero: what it echoes would be read in no search for secrets.
    """
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") or "\0" in text else words.line(text)


def _detail_words(detail: Any, depth: int) -> str:
    """The words of an error, down to this depth; what is neither words nor a number is left out."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and depth:
        return ", ".join(filter(None, (_detail_words(item, depth - 1) for item in detail)))
    if not isinstance(detail, dict):
        return ""
    message = _first(detail, "message", "msg")
    name = _first(detail, "code", "status", "type")
    loc = detail.get("loc")
    place = ".".join(str(part) for part in loc if _is_told(part)) if isinstance(loc, list) else ""
    return " ".join(part for part in (place, message, f"({name})" if name else "") if part)


def _first(detail: dict[str, Any], *keys: str) -> str:
    return next((str(detail[key]) for key in keys if detail.get(key) and _is_told(detail[key])), "")


def _is_told(value: Any) -> bool:
    return isinstance(value, str | int | float)
