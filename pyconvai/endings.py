"""How a conversation ends: every cause becomes one status and one line that a person can act on.

No I/O. The names of the statuses and their numbers are those of ``enum convai_status`` in
``convai_ops.h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
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
class Busy:
    """The service has no room just now, and wants to be left alone for a while."""

    seconds: float | None = None
    """What it asked for itself (Retry-After), if it did."""


class SetupFailed(Exception):
    """The conversation did not come up. Carries the Ending that says why."""

    def __init__(self, ending: Ending, busy: Busy | None = None) -> None:
        super().__init__(ending.reason)
        self.ending = ending
        self.busy = busy


def one_line(text: str) -> str:
    """Make text fit for a log line and a channel variable: one line, no control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > MAX_REASON_CHARACTERS:
        return line[: MAX_REASON_CHARACTERS - 3] + "..."
    return line


# Close codes (PROTOCOL.md, section 4.1) that say everything by themselves: status, what to say.
_BY_CODE: dict[int, tuple[Status, str]] = {
    1000: (Status.AGENT_ENDED, "the agent ended the conversation"),
    1002: (Status.ERROR, "the service gave up"),
    1008: (Status.REJECTED, "the service refused what it was sent"),
    1011: (Status.ERROR, "the service failed"),
    3000: (Status.AUTH, "the service did not authorize the conversation"),
    3008: (Status.LIMIT, "too many conversations at once at the service"),
    4300: (Status.LIMIT, "too many conversations at once at the service"),
}

# The same code serves several causes; then the service's own words decide. First match wins.
_BY_WORDS: tuple[tuple[str, Status], ...] = (
    ("max_duration", Status.TIMEOUT),
    ("maximum duration", Status.TIMEOUT),
    ("max duration", Status.TIMEOUT),
    ("does not exist", Status.REJECTED),
    ("not found", Status.REJECTED),
    ("could not authorize", Status.AUTH),
    ("quota", Status.LIMIT),
    ("concurren", Status.LIMIT),
    ("timed_out", Status.LIMIT),
)

# What an operator can do about it, added where the service's words do not say so.
_REMEDY: dict[Status, str] = {
    Status.AUTH: "check api_key and the agent's authentication setting",
    Status.REJECTED: "check agent_id, base_url (region) and which overrides the agent allows",
    Status.LIMIT: "check the plan's quota and concurrency",
}


def from_close(code: int | None, words: str, *, talking: bool) -> Ending:
    """Tell what a closed WebSocket means.

    ``code`` is None or 1006 when the connection broke without a close frame; ``words`` is the close
    reason together with any error message before it; ``talking``: the metadata had come.
    """
    if code is None or code == 1006:
        return _broken(words, talking)
    status, meaning = _BY_CODE.get(code, (Status.ERROR, "the service closed the connection"))
    for word, by_word in _BY_WORDS:
        if word in words.lower():
            status = by_word
            break
    if status is Status.AGENT_ENDED and not talking:
        return Ending(Status.REJECTED, "the service closed the conversation before it began (1000)")
    return Ending(
        status,
        _sentence(f"{meaning} ({code})", words, _REMEDY.get(status, "")),
        play_out=code == 1000,
        retry=code == 1011,
    )


def _broken(words: str, talking: bool) -> Ending:
    if talking:
        return Ending(Status.ERROR, _sentence("the connection to the service broke", words, ""))
    meaning = "the service dropped the connection before the conversation began"
    return Ending(Status.UNREACHABLE, _sentence(meaning, words, ""), retry=True)


def _sentence(meaning: str, words: str, remedy: str) -> str:
    sentence = f"{meaning}: {words}" if words else meaning
    return one_line(f"{sentence}; {remedy}" if remedy else sentence)


_BY_HTTP: dict[int, Status] = {
    HTTPStatus.BAD_REQUEST: Status.REJECTED,
    HTTPStatus.UNAUTHORIZED: Status.AUTH,
    HTTPStatus.PAYMENT_REQUIRED: Status.LIMIT,
    HTTPStatus.FORBIDDEN: Status.AUTH,
    HTTPStatus.NOT_FOUND: Status.REJECTED,
    HTTPStatus.UNPROCESSABLE_ENTITY: Status.REJECTED,
    HTTPStatus.TOO_MANY_REQUESTS: Status.LIMIT,
}


def from_http(code: int, body: bytes, what: str) -> Ending:
    """Tell what an HTTP answer other than success means; ``what`` was asked for."""
    words = http_error_words(body)
    status = _BY_HTTP.get(code, Status.ERROR)
    if code >= 500:
        status = Status.UNREACHABLE
    elif status is Status.AUTH and "quota" in words.lower():
        status = Status.LIMIT
    if 300 <= code < 400:
        words = "redirects are not followed, the key would go with them; correct base_url"
    remedy = "" if 300 <= code < 400 else _REMEDY.get(status, "")
    return Ending(
        status, _sentence(f"{what} was refused with HTTP {code}", words, remedy), retry=code >= 500
    )


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
