"""The record of one call: what is in it, and how it is written. No I/O.

``docs/records.md`` lists the fields, and a test compares. Texts of others are text in it: nothing
but a JSON string, in which no control character, no mark of HTML and no character that nobody sees
stands as itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from .. import limits, words
from ..conversation.account import Account

VERSION = 1
"""Of the fields. One that goes, or means something else, raises it; a new one does not."""

CRASHED = "CRASHED"
"""The status of a call whose end nobody has recorded: Asterisk had ended before it did."""

UP = "UP"
"""The status of a call that is not over, in what is told of it meanwhile; no record has it."""

_UNSEEN = re.compile(
    "[<>&\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ue000-\uf8ff\ufeff\ufff0-\uffff\U000e0000-\U0010ffff]"
)
"""What no reader of JSON needs as itself, and a terminal, a page or a program may act upon."""

Record = dict[str, Any]

_FIGURES = {
    "agent_spoke_ms": ("AgentSpokeMs", int),
    "caller_spoke_ms": ("CallerSpokeMs", int),
    "queued_s": ("Queued", int),
    "agent_responses": ("Turns", int),
    "steps": ("Steps", int),
    "tools_done": ("ToolsDone", int),
    "tools_failed": ("ToolsFailed", int),
    "events_left_out": ("EventsLeftOut", int),
    "answers": ("Answers", int),
    "latency_ms": ("LatencyMs", int),
    "latency_max_ms": ("LatencyMaxMs", int),
    "jitter_ms": ("JitterMs", float),
    "loss_percent": ("LossPercent", float),
    "remote_jitter_ms": ("RemoteJitterMs", float),
    "remote_loss_percent": ("RemoteLossPercent", float),
    "round_trip_ms": ("RoundTripMs", float),
    "mos": ("Mos", float),
}
"""Fields that the event ElevenLabsEnd has as well, by the names that it has them under."""


def text(value: str) -> str:
    """One of the facts, which are short but for a reason and its detail."""
    return words.text(value, limits.RECORD_TEXT_CHARACTERS)


def begun(facts: Mapping[str, str]) -> Record:
    """The record of a call that has begun (facts: ``call/recording.c``), as if it never ended."""
    return {
        "version": VERSION,
        "id": facts["id"],
        "system": text(facts["system"]) or None,
        "channel": text(facts["channel"]),
        "unique_id": text(facts["unique_id"]),
        "linked_id": text(facts["linked_id"]),
        "direction": facts["direction"],
        "caller_number": text(facts["caller_number"]) or None,
        "caller_name": text(facts["caller_name"]) or None,
        "called_number": text(facts["called_number"]) or None,
        "asked_agent": text(facts["asked_agent"]),
        "agent": text(facts["agent"]),
        "conversation_id": None,
        "started_at": moment(int(facts["started_ms"])),
        "answered_at": None,
        "talking_at": None,
        "ended_at": None,
        "duration_ms": None,
        "talking_ms": None,
        "status": CRASHED,
        "reason": "Asterisk, or its engine, had ended before the end of the call was recorded",
        "detail": "",
        "caller_turns": 0,
        "agent_turns": 0,
        "interruptions": 0,
        **dict.fromkeys(_FIGURES),
        "interrupted": [],
        "tools": [],
        "tools_left_out": 0,
        "away": [],
        "latency": [],
        "levels": None,
        "counters": None,
        "transcript": None,
        "transcript_left_out": 0,
    }


def ended(facts: Mapping[str, str], account: Account | None) -> Record:
    """The record of a call that is over, with what its conversation was like, if it had one."""
    record = begun(facts)
    ended_ms, up_ms = int(facts["ended_ms"]), int(facts["answered_ms"])
    record |= {
        "answered_at": moment(ended_ms - up_ms) if up_ms else None,
        "ended_at": moment(ended_ms),
        "duration_ms": int(facts["duration_ms"]),
        "status": facts["status"],
        "reason": text(facts["reason"]),
        "detail": text(facts["detail"]),
        **_figures(facts),
    }
    return _with(record, account)


def standing(facts: Mapping[str, str], account: Account | None) -> Record:
    """What is known of a call that is up, as its record has it."""
    record = begun(facts)
    record |= {
        "duration_ms": max(0, now_ms() - int(facts["started_ms"])),
        "status": UP,
        "reason": "the call is up",
    }
    return _with(record, account)


def _with(record: Record, account: Account | None) -> Record:
    if account is not None:
        record |= account.told()
        record["talking_at"] = moment(account.talking_ms) if account.talking_ms else None
        record["interruptions"] = (account.counters or {}).get("interruptions", 0)
    return record


def _figures(facts: Mapping[str, str]) -> Record:
    """Those that the module has told; an engine that is stopped concludes without."""
    found = {
        field: kind(facts[name]) if facts.get(name) else None
        for field, (name, kind) in _FIGURES.items()
    }
    if not found["answers"]:  # as ELEVENLABSLATENCY, which is empty then
        found["latency_ms"] = found["latency_max_ms"] = None
    return found


def names(record: Record) -> tuple[str, ...]:
    """By what a person or a program may ask for this call."""
    each = (record["conversation_id"], record["channel"], record["unique_id"], record["id"])
    return tuple(name for name in each if name)


def written(record: Record) -> bytes:
    """One line of JSON, without its end: whatever is in it, it is text."""
    return _as_text(record)


def quoted(value: str) -> bytes:
    """A text as it stands in such a line."""
    return _as_text(value.encode(errors="replace").decode())


def _as_text(value: object) -> bytes:
    return _UNSEEN.sub(_escaped, orjson.dumps(value).decode()).encode()


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def moment(ms: int) -> str:
    """A time of day, since 1970 in ms, in UTC as ISO 8601 writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def now_ms() -> int:
    """The time of day, since 1970 in ms."""
    return round(time.time() * 1000)


def day(record: Record) -> str:
    """On which day, in UTC, the call has ended; of one that a crash cut off, on which it began."""
    return str(record["ended_at"] or record["started_at"])[:10]
