"""The mock's report: as JSON for programs, as text for people.

JSON: ``scenario`` (its title) ``requests`` (list of ``{path, agent_id, status, api_key,
user_agent}``; 101 is a handshake) ``sessions`` (list, see record.py) ``violations`` (number, all
sessions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .record import Record
from .scenario import Scenario


def report(
    scenario: Scenario, sessions: Sequence[Record], requests: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Everything seen so far, JSON-ready."""
    return {
        "scenario": scenario.title,
        "requests": list(requests),
        "sessions": [record.as_dict() for record in sessions],
        "violations": sum(sum(record.checks.counts.values()) for record in sessions),
    }


def summary(data: dict[str, Any]) -> str:
    """The same as text, a few lines a session."""
    lines = [
        f"mock agent: scenario {data['scenario']!r}, {len(data['sessions'])} sessions, "
        f"{len(data['requests'])} requests, {data['violations']} violations"
    ]
    for number, session in enumerate(data["sessions"]):
        lines += _session_lines(number, session)
    return "\n".join(map(_plain, lines))


def _plain(line: str) -> str:
    """A line for a terminal, which acts upon control characters."""
    return "".join(character if character.isprintable() else " " for character in line)


def _session_lines(number: int, session: dict[str, Any]) -> Iterator[str]:
    end = f"{session['close_code']} {session['close_reason']}".strip()
    yield (
        f"session {number}: agent {session['agent_id']!r}, "
        f"{session['duration_ms'] / 1000:.1f} s, closed by {session['closed_by'] or '-'} ({end})"
    )
    yield (
        f"  heard {session['heard_ms'] / 1000:.1f} s of audio "
        f"({session['heard_speech_ms'] / 1000:.1f} s speech), "
        f"spoke {session['spoke_ms'] / 1000:.1f} s, {session['interruptions']} interruptions, "
        f"{session['pong_ms']['count']} pongs (max {session['pong_ms']['max']:.0f} ms), "
        f"{len(session['tool_results'])} tool results"
    )
    for line in session["transcript"]:
        yield f"  {line['at_ms'] / 1000:7.2f}  {line['speaker']}: {line['text']}"
    for violation in session["violations"]:
        yield (
            f"  VIOLATION {violation['check']} at {violation['at_ms'] / 1000:.2f} s: "
            f"{violation['detail']}"
        )
