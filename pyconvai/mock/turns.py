"""Turn-taking from the caller's audio. Sans-I/O: time is the position in the caller's stream.

A real agent hears only what has arrived, so a gap in the stream delays its answer by the same
time; counting audio instead of seconds gives that behaviour and makes tests exact.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .audio import AudioFormat, level

_WINDOW_MS = 20

# A window counts as speech when it is this much louder than the line's own noise...
_NOISE_FACTOR = 3.0
# ...but never below this (about -44 dBFS: comfort noise, echo of a quiet room)...
_THRESHOLD_MIN = 200.0
# ...and always above this (about -26 dBFS: a steady tone or music is not taken for line noise).
_THRESHOLD_MAX = 1600.0

# The noise floor is the quietest window of this period. It is longer than a sentence without a
# breath, and short enough to follow a caller who walks into a noisy street.
_FLOOR_WINDOWS = 2000 // _WINDOW_MS

# Speech begins when this much of the last 300 ms was loud: a click or a DTMF burst is shorter.
_ONSET_MS = 120
_ONSET_SPAN_WINDOWS = 300 // _WINDOW_MS


@dataclass(frozen=True)
class SpeechStarted:
    """The caller began to speak at ``start_ms`` of the stream."""

    start_ms: int


@dataclass(frozen=True)
class BargeIn:
    """The caller has spoken long enough over the agent to interrupt."""

    at_ms: int


@dataclass(frozen=True)
class SpeechEnded:
    """A caller's turn is over: it lasted from ``start_ms`` to ``end_ms`` of the stream."""

    start_ms: int
    end_ms: int


TurnEvent = SpeechStarted | BargeIn | SpeechEnded


@dataclass(frozen=True)
class TurnSettings:
    """When a turn ends and when speech interrupts."""

    end_of_turn_ms: int = 700
    barge_in_ms: int = 240


class TurnTaker:
    """Feeds on caller audio in one format and reports turns.

    Chunks may have any size; loudness is judged in windows of 20 ms, so that the outcome does
    not depend on how the client cuts its stream.
    """

    def __init__(self, fmt: AudioFormat, settings: TurnSettings):
        self._fmt = fmt
        self._settings = settings
        self._window_size = fmt.size(_WINDOW_MS)
        self._pending = b""
        self._levels: deque[float] = deque(maxlen=_FLOOR_WINDOWS)
        self._recent: deque[bool] = deque(maxlen=_ONSET_SPAN_WINDOWS)
        self._start_ms: int | None = None
        self._last_loud_ms = 0
        self._barged = False
        self.position_ms = 0
        self.speech_ms = 0

    @property
    def speaking(self) -> bool:
        """Whether the caller is in the middle of a turn."""
        return self._start_ms is not None

    def feed(self, data: bytes, agent_speaking: bool) -> list[TurnEvent]:
        """Events in ``data``, in order. ``agent_speaking``: speech now would be a barge-in."""
        data = self._pending + data if self._pending else data
        events: list[TurnEvent] = []
        size = self._window_size
        end = len(data) - len(data) % size
        for offset in range(0, end, size):
            self._window(level(data[offset : offset + size], self._fmt), agent_speaking, events)
        self._pending = data[end:]
        return events

    def _window(self, loudness: float, agent_speaking: bool, events: list[TurnEvent]) -> None:
        # Silence costs one comparison: the line's noise matters only above the least threshold.
        loud = loudness > _THRESHOLD_MIN and loudness > self._threshold()
        self._levels.append(loudness)
        self._recent.append(loud)
        if loud:
            self._last_loud_ms = self.position_ms + _WINDOW_MS
            self.speech_ms += _WINDOW_MS
        self.position_ms += _WINDOW_MS
        if self._start_ms is None:
            self._onset(events)
        if self._start_ms is not None:
            self._within_turn(agent_speaking, events)

    def _threshold(self) -> float:
        floor = min(self._levels, default=0.0)
        return min(max(floor * _NOISE_FACTOR, _THRESHOLD_MIN), _THRESHOLD_MAX)

    def _onset(self, events: list[TurnEvent]) -> None:
        if sum(self._recent) * _WINDOW_MS < _ONSET_MS:
            return
        first = len(self._recent) - list(self._recent).index(True)
        self._start_ms = self.position_ms - first * _WINDOW_MS
        self._barged = False
        events.append(SpeechStarted(self._start_ms))

    def _within_turn(self, agent_speaking: bool, events: list[TurnEvent]) -> None:
        assert self._start_ms is not None
        spoken = self._last_loud_ms - self._start_ms
        if not agent_speaking:
            self._barged = False
        # Only a loud window interrupts: the silent tail of a turn is no barge-in.
        elif not self._barged and self._recent[-1] and spoken >= self._settings.barge_in_ms:
            self._barged = True
            events.append(BargeIn(self.position_ms))
        if self.position_ms - self._last_loud_ms >= self._settings.end_of_turn_ms:
            events.append(SpeechEnded(self._start_ms, self._last_loud_ms))
            self._start_ms = None
            self._recent.clear()
