"""What one conversation was like, gathered for the record of its call. Loop thread only.

How much is gathered is bounded, whatever the agent and its tools do.
"""

from __future__ import annotations

import base64
import time
from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from .. import limits, words
from ..core._core import LEVEL_MS, SessionHandle
from .effects import CallTool, Id, Said

AGENT, CALLER = "agent", "caller"


@dataclass(slots=True)
class _Turn:
    speaker: str
    event_id: int
    text: str
    at_ms: int
    cut_short: bool = False
    said: str | None = None
    """All of it, where the service has taken some back."""
    heard: int | None = None
    """So many characters of that; None: that is not known."""

    @property
    def size(self) -> int:
        return len(self.text) + len(self.said or "")

    def told(self, latency_ms: int | None) -> dict[str, Any]:
        return {
            "speaker": self.speaker,
            "text": self.text,
            "at_ms": self.at_ms,
            "cut_short": self.cut_short,
            "latency_ms": latency_ms,
            "said": self.said,
            "heard_characters": self.heard,
        }


@dataclass(slots=True)
class _Tool:
    name: str
    at_ms: int
    outcome: str = "open"
    ms: int | None = None
    result: str | None = None

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "at_ms": self.at_ms,
            "outcome": self.outcome,
            "ms": self.ms,
            "result": self.result,
        }


@dataclass(slots=True)
class _Away:
    """The caller does not hear the agent meanwhile."""

    why: str
    step: str | None
    at_ms: int
    ms: int | None = None

    def told(self) -> dict[str, Any]:
        return {"why": self.why, "step": self.step, "at_ms": self.at_ms, "ms": self.ms}


@dataclass(frozen=True, slots=True)
class _Interruption:
    at_ms: int
    heard_ms: int
    length_ms: int

    def told(self) -> dict[str, Any]:
        return {"at_ms": self.at_ms, "heard_ms": self.heard_ms, "length_ms": self.length_ms}


class Account:
    """Of one conversation."""

    def __init__(self) -> None:
        self.conversation_id = ""
        self.talking_ms = 0
        """The time of day when an agent was there, since 1970 in ms; 0: none was."""
        self.counters: dict[str, int] | None = None
        """Those of the session, as ``look`` has seen them last."""
        self.answers: list[tuple[int, int]] = []
        """Of turns that the agent has answered, once it is over: where in its audio, how soon."""
        self.keeps_words = False
        """Whether what is said is written down: the key ``transcripts``."""
        self._began = self._ended = 0.0
        self._count = {AGENT: 0, CALLER: 0}
        self._turns: list[_Turn] = []
        self._turns_out = self._size = self._tools_out = 0
        self._heard: dict[int, int] = {}
        """Characters heard of those whose words have not come yet."""
        self._places: dict[int, int] = {}
        """Where in the agent's audio each response begins, in ms, by its id."""
        self._tools: list[_Tool] = []
        self._open: dict[Id, _Tool] = {}
        self._interruptions: list[_Interruption] = []
        self._away: list[_Away] = []
        self._levels = b""
        self._latency: list[tuple[int, int]] = []

    def begin(self, conversation_id: str, *, keeps_words: bool) -> None:
        """The service has taken the call."""
        self.conversation_id, self.keeps_words = conversation_id, keeps_words

    def talk(self) -> None:
        """An agent is there."""
        self.talking_ms, self._began = round(time.time() * 1000), time.monotonic()

    def end(self) -> None:
        """The conversation is over."""
        self.away("")
        self._ended = self._ended or time.monotonic()

    def look(self, handle: SessionHandle) -> None:
        """Take what the core has counted until now, as long as it has the session."""
        self.counters, self.answers = handle.counters(), handle.answers()
        self._levels, self._latency = handle.levels(), handle.turn_list()

    def _at_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000) if self._began else 0

    # ---- Turns ----

    def said(self, said: Said) -> None:
        """The agent says something, perhaps in place of what it has said, or the caller has."""
        last = self._last(said.event_id) if said.speaker == AGENT and said.event_id else None
        if last is not None:
            self._replace(last, said.text)
        elif said.speaker == AGENT or said.final:
            self._add(said.speaker, said.text, said.event_id)

    def corrected(self, text: str, event_id: int) -> None:
        """The agent was interrupted, and has said no more of that turn than this."""
        last = self._last(event_id)
        if last is not None:
            whole = last.said or last.text
            self._replace(last, text, said=whole)
            last.cut_short = True

    def heard(self, event_id: int, heard_ms: int, length_ms: int, characters: int) -> None:
        """So much of a turn was heard; ``characters`` of its text, -1: the core does not know."""
        turn = self._last(event_id) if event_id else None
        if turn is None:
            if characters >= 0:
                self._heard[event_id] = characters
            if len(self._heard) > limits.RESPONSES_REMEMBERED:
                del self._heard[next(iter(self._heard))]
            return
        length = len(turn.said or turn.text)
        if heard_ms >= length_ms:
            characters = length
        elif characters < 0:  # speech is taken to be even
            characters = length * heard_ms // length_ms
        turn.heard = min(length, characters)

    def interrupted(self, heard_ms: int, length_ms: int) -> None:
        """The caller has interrupted the agent; 0, 0: it was not speaking."""
        if len(self._interruptions) < limits.RECORD_INTERRUPTIONS:
            self._interruptions.append(_Interruption(self._at_ms(), heard_ms, length_ms))

    def speaks(self, event_id: int, at_ms: int) -> None:
        """A response begins, at this place in the agent's audio."""
        if self.keeps_words:
            self._places.setdefault(event_id, at_ms)
            if len(self._places) > limits.RECORD_TURNS:
                del self._places[next(iter(self._places))]

    def _last(self, event_id: int) -> _Turn | None:
        for turn in reversed(self._turns):
            if turn.speaker == AGENT and event_id in (turn.event_id, 0):
                return turn
        return None

    def _add(self, speaker: str, text: str, event_id: int) -> None:
        self._count[speaker] += 1
        if self.keeps_words:
            turn = _Turn(speaker, event_id, "", self._at_ms())
            self._turns.append(turn)
            self._replace(turn, text)
            if speaker == AGENT and event_id in self._heard:
                turn.heard = min(len(turn.text), self._heard.pop(event_id))

    def _replace(self, turn: _Turn, text: str, said: str | None = None) -> None:
        self._size -= turn.size
        turn.text, turn.said = words.text(text, limits.RECORD_TURN_CHARACTERS), said
        self._size += turn.size
        while self._size > limits.RECORD_WORDS_CHARACTERS or len(self._turns) > limits.RECORD_TURNS:
            self._size -= self._turns.pop(0).size
            self._turns_out += 1

    # ---- Tools ----

    def called(self, call: CallTool) -> None:
        """The agent calls a tool."""
        if call.call_id in self._open:
            return
        if len(self._tools) >= limits.RECORD_TOOLS:
            self._tools_out += 1
            return
        tool = _Tool(words.text(call.name, limits.TOOL_NAME_CHARACTERS), self._at_ms())
        self._tools.append(tool)
        if call.call_id:
            self._open[call.call_id] = tool

    def answered(self, call_id: Id, text: str, *, is_error: bool) -> None:
        """The agent is told what has become of it."""
        tool = self._open.get(call_id)
        if tool is None or tool.ms is not None:
            return
        tool.outcome = "failed" if is_error else "done"
        tool.ms = self._at_ms() - tool.at_ms
        if self.keeps_words:
            tool.result = words.text(text, limits.RECORD_RESULT_CHARACTERS)

    # ---- What keeps the caller from the agent ----

    def away(self, why: str, step: str = "") -> None:
        """From now on it is this: ``hold``, ``step`` and which, or nothing."""
        last = self._away[-1] if self._away else None
        if last is not None and last.ms is None:
            if (last.why, last.step or "") == (why, step):
                return
            last.ms = self._at_ms() - last.at_ms
        if why and self._began and len(self._away) < limits.RECORD_AWAY:
            shown = words.text(step, limits.TOOL_NAME_CHARACTERS) or None
            self._away.append(_Away(why, shown, self._at_ms()))

    # ---- The record's part ----

    def _latencies(self) -> dict[int, int]:
        """How soon each response has answered the caller, if it has, in ms, by its id."""
        begun = sorted((place, event_id) for event_id, place in self._places.items())
        found = {}
        for at_ms, latency_ms in self.answers:
            which = bisect_right(begun, at_ms, key=itemgetter(0)) - 1
            if which >= 0:
                found[begun[which][1]] = latency_ms
        return found

    def _transcript(self) -> list[dict[str, Any]]:
        latencies = self._latencies()
        return [
            turn.told(latencies.get(turn.event_id) if turn.speaker == AGENT else None)
            for turn in self._turns
        ]

    def told(self) -> dict[str, Any]:
        """What the record has of it."""
        until = self._ended or time.monotonic()
        return {
            "conversation_id": self.conversation_id or None,
            "talking_ms": round((until - self._began) * 1000) if self._began else None,
            "caller_turns": self._count[CALLER],
            "agent_turns": self._count[AGENT],
            "interrupted": [each.told() for each in self._interruptions],
            "tools": [tool.told() for tool in self._tools],
            "tools_left_out": self._tools_out,
            "away": [each.told() for each in self._away],
            "latency": [{"at_ms": at_ms, "ms": us // 1000} for at_ms, us in self._latency],
            "levels": self._levels_told(),
            "counters": self.counters,
            "transcript": self._transcript() if self.keeps_words else None,
            "transcript_left_out": self._turns_out,
        }

    def _levels_told(self) -> dict[str, Any] | None:
        if not self._levels:
            return None
        return {
            "every_ms": LEVEL_MS,
            CALLER: base64.b64encode(self._levels[0::2]).decode(),
            AGENT: base64.b64encode(self._levels[1::2]).decode(),
        }
