"""What programs are told of one conversation, over AMI and ARI. Loop thread only.

The channel thread publishes it (``call/events.c``), in order, with the channel's own fields. The
names of fields are these here; ``docs/events.md`` lists them. To add an event takes no lock, and
what has no room is counted.
"""

from __future__ import annotations

import asyncio
import time

from .. import limits, words
from ..core._core import SessionHandle
from ..log import ChannelLog
from .effects import Event, Said, Speaker, ToolState

Fields = list[tuple[str, int | str]]
"""Names and values of an event's fields. A number is our own, a text may be anybody's."""

TRUNCATED = ("Truncated", "1")
"""A field of events that have not all of a text."""


class Events:
    """Those of one conversation."""

    def __init__(self, handle: SessionHandle, log: ChannelLog, *, with_words: bool) -> None:
        self._handle, self._log = handle, log
        self.with_words = with_words
        self._second, self._told, self._dropping = 0, 0, False
        self._called: dict[str, tuple[str, float]] = {}
        """Tools that were called, and when, by the call's id."""

    def interruption(
        self, response: int | None, heard_ms: int, length_ms: int, latency_ms: int = -1
    ) -> None:
        """The caller has interrupted this response; None: the agent was not speaking."""
        fields = _response(response, heard_ms, length_ms)
        self._tell(Event.INTERRUPTION, [*fields, _latency(latency_ms)])

    def spoken(self, response: int, length_ms: int, latency_ms: int = -1) -> None:
        """All that was queued of a response has been played. -1: it answers nothing."""
        fields: Fields = [("ResponseId", response), ("LengthMs", length_ms)]
        self._tell(Event.SPOKEN, [*fields, _latency(latency_ms)])

    def tool_called(self, name: str, call_id: str, where: str = "here") -> None:
        """The agent has called a tool. ``where``: carried out ``here``, or at the ``service``."""
        self._called[call_id] = name, asyncio.get_running_loop().time()
        if len(self._called) > limits.CALLS_TIMED:
            del self._called[next(iter(self._called))]
        self._tool(name, call_id, ToolState.CALLED, where, "")

    def tool_answered(
        self, call_id: str, *, is_error: bool, where: str = "here", name: str = ""
    ) -> None:
        """The agent has the result of a tool."""
        now = asyncio.get_running_loop().time()
        called, began = self._called.pop(call_id, (name, None))
        elapsed = "" if began is None else round((now - began) * 1000)
        state = ToolState.FAILED if is_error else ToolState.DONE
        self._tool(called, call_id, state, where, elapsed)

    def _tool(
        self, name: str, call_id: str, state: ToolState, where: str, elapsed: int | str
    ) -> None:
        fields: Fields = [("Tool", name), ("ToolCallId", call_id), ("State", state.value)]
        self._tell(Event.TOOL, [*fields, ("Where", where), ("ElapsedMs", elapsed)])

    def said(self, said: Said) -> None:
        """Words, as the service sends them. What the agent says is final once it was heard."""
        fields: Fields = [("Final", int(said.final))]
        if said.truncated:
            fields.append(TRUNCATED)
        self._words(said.speaker, said.text, fields, said.event_id)

    def heard(self, response: int, text: str, heard_ms: int, length_ms: int) -> None:
        """How much of what the agent has said the caller has heard."""
        characters = self._handle.heard(response)
        if characters < 0:  # the words came too late for that: speech is taken to be even
            characters = len(text) * heard_ms // max(1, length_ms)
        fields: Fields = [("Final", 1), ("Heard", first_words(text, characters))]
        fields += _response(response, heard_ms, length_ms)[1:]
        self._words(Speaker.AGENT, text, fields, response)

    def _words(self, speaker: Speaker, text: str, fields: Fields, response: int) -> None:
        if self.with_words:
            first: Fields = [("Speaker", speaker.value), ("ResponseId", response), ("Text", text)]
            self._tell(Event.TRANSCRIPT, [*first, *fields])

    def _tell(self, event: Event, fields: Fields) -> None:
        """Within the limits. Texts pass the door, which costs more the more secrets there are."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        most = limits.EVENT_TEXT_BYTES
        if self._told <= limits.EVENTS_PER_SECOND:
            texts = [value for _, value in fields if isinstance(value, str)]
            cut = any(len(text.encode(errors="replace")) > most for text in texts)
            clean = [
                (name, words.line(value, most) if isinstance(value, str) else str(value))
                for name, value in fields
            ]
            if cut and TRUNCATED not in clean:
                clean.append(TRUNCATED)
            if self._handle.tell(event, time.time_ns() // 1_000_000, clean):
                return
        self._handle.count_event_dropped()
        if not self._dropping:
            self._dropping = True
            told = f"too many events at once: programs are not told of {event.name}, for one"
            self._log.warning(f"{told}; ElevenLabsEnd has the number of all that are left out")


def _response(response: int | None, heard_ms: int, length_ms: int) -> Fields:
    shown = "" if response is None else response
    return [("ResponseId", shown), ("HeardMs", heard_ms), ("LengthMs", length_ms)]


def _latency(latency_ms: int) -> tuple[str, str | int]:
    return "LatencyMs", "" if latency_ms < 0 else latency_ms


def first_words(text: str, characters: int) -> str:
    """Those that end within so many characters."""
    if characters >= len(text):
        return text
    is_end = text[characters : characters + 1].isspace()
    return text[: characters if is_end else text.rfind(" ", 0, characters) + 1].rstrip()
