"""What the mock demands of its client. Sans-I/O: every call says what happened and when.

Times are milliseconds since the session was opened, by the mock's clock. A violation is a fact
about the client; what the mock itself does wrong on a scenario's order never counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .audio import AudioFormat
from .messages import EventId
from .scenario import Limits

# One broken client sends thousands of bad chunks: the report keeps this many of each kind and
# counts the rest.
_KEPT_OF_EACH = 20

# The pre-roll may arrive during this time after the first chunk; later the lead must not grow.
_PREROLL_WINDOW_MS = 1000.0


_MAY_COME_FIRST = {"enclave_setup_config"}  # of clients that talk with a service on premises
_CALL_OVER_CODES = {1000, 1001, None}


@dataclass
class Stream:
    """Measures of the caller's audio stream."""

    chunks: int = 0
    size: int = 0
    audio_ms: float = 0.0
    first_ms: float | None = None
    last_ms: float = 0.0
    gaps: int = 0
    gap_max_ms: float = 0.0
    lead_max_ms: float = 0.0  # how far the stream was ahead of real time
    lag_max_ms: float = 0.0  # how far it was behind


class Checks:
    """Assertions on one client."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.stream = Stream()
        self.violations: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        self.pong_ms: list[float] = []
        self._pings: dict[str, float] = {}
        self._answered: set[str] = set()
        self._tool_calls: dict[str, int] = {}
        self._init_at: float | None = None
        self._metadata_at: float | None = None
        self._preroll_ms = 0.0
        self._lag_reported = False
        self.suspended = False  # the mock itself has stopped reading: times mean nothing

    def violation(self, check: str, at_ms: float, detail: str) -> None:
        """Records one violation of the rule ``check``."""
        if self.suspended:
            return
        self.counts[check] = self.counts.get(check, 0) + 1
        if self.counts[check] <= _KEPT_OF_EACH:
            entry = {"check": check, "at_ms": round(at_ms), "detail": detail}
            self.violations.append(entry)

    def message(self, kind: str, at_ms: float) -> None:
        """Any message: the initiation must be the first and only one of its kind."""
        if kind == "conversation_initiation_client_data":
            if self._init_at is not None:
                self.violation("init_once", at_ms, "a second conversation_initiation_client_data")
            elif at_ms > self.limits.init_ms:
                self.violation("init_late", at_ms, f"first message came after {at_ms:.0f} ms")
            self._init_at = at_ms
        elif self._init_at is None and kind not in _MAY_COME_FIRST:
            self._early(kind, at_ms)

    def _early(self, kind: str, at_ms: float) -> None:
        if "init_first" not in self.counts:  # said once, not for every chunk
            self.violation("init_first", at_ms, f"{kind} before the initiation")

    def metadata(self, at_ms: float) -> None:
        """Metadata has been sent: the client's stream may begin."""
        self._metadata_at = at_ms

    def audio(self, size: int, fmt: AudioFormat, at_ms: float) -> None:
        """One chunk of ``size`` decoded bytes."""
        stream = self.stream
        if size == 0:
            self.violation("audio_empty", at_ms, "an audio chunk without samples")
            return
        if size % fmt.sample_bytes:
            self.violation("audio_size", at_ms, f"{size} bytes are not whole samples of {fmt.name}")
        if stream.first_ms is None:
            self._first_audio(at_ms)
        else:
            self._gap(at_ms)
        stream.chunks += 1
        stream.size += size
        stream.audio_ms += fmt.ms(size)
        stream.last_ms = at_ms
        self._pace(at_ms)

    def _first_audio(self, at_ms: float) -> None:
        self.stream.first_ms = at_ms
        if self._metadata_at is None:
            return  # the official Python client starts before the metadata; allowed
        late = at_ms - self._metadata_at
        if late > self.limits.first_audio_ms:
            self.violation("audio_start", at_ms, f"first audio {late:.0f} ms after the metadata")

    def _gap(self, at_ms: float) -> None:
        gap = at_ms - self.stream.last_ms
        self.stream.gap_max_ms = max(self.stream.gap_max_ms, gap)
        if gap > self.limits.gap_ms:
            self.stream.gaps += 1
            self.violation("audio_gap", at_ms, f"no audio for {gap:.0f} ms")

    def _pace(self, at_ms: float) -> None:
        stream = self.stream
        assert stream.first_ms is not None
        lead = stream.audio_ms - (at_ms - stream.first_ms)
        stream.lead_max_ms = max(stream.lead_max_ms, lead)
        stream.lag_max_ms = max(stream.lag_max_ms, -lead)
        allowed = self.limits.preroll_ms
        if at_ms - stream.first_ms <= _PREROLL_WINDOW_MS:
            self._preroll_ms = max(self._preroll_ms, lead)
        else:
            allowed = min(allowed, int(self._preroll_ms))
        if lead > allowed + self.limits.pacing_ms:
            self.violation("audio_fast", at_ms, f"{lead:.0f} ms ahead of real time")
        if -lead > self.limits.lag_ms and not self._lag_reported:
            self._lag_reported = True
            self.violation("audio_lag", at_ms, f"{-lead:.0f} ms behind real time")

    def ping(self, event_id: EventId, at_ms: float) -> None:
        """A JSON ping has been sent."""
        self._pings[str(event_id)] = at_ms

    def pong(self, event_id: Any, at_ms: float) -> float | None:
        """A pong has come; its latency, or None when nobody asked."""
        key = str(event_id)
        if isinstance(event_id, bool) or not isinstance(event_id, int | str):
            self.violation("pong_id", at_ms, f"event_id is {event_id!r}")
            return None
        sent = self._pings.pop(key, None)
        if sent is None:
            known = "answered before" if key in self._answered else "never sent"
            self.violation("pong_id", at_ms, f"pong for ping {key}, which was {known}")
            return None
        self._answered.add(key)
        latency = at_ms - sent
        self.pong_ms.append(latency)
        if latency > self.limits.pong_ms:
            self.violation("pong_late", at_ms, f"ping {key} answered after {latency:.0f} ms")
        return latency

    def tool_call(self, call_id: str) -> None:
        """A tool call has been sent (again)."""
        self._tool_calls.setdefault(call_id, 0)

    def tool_result(self, message: dict[str, Any], at_ms: float) -> None:
        """A tool result has come."""
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str) or call_id not in self._tool_calls:
            self.violation("tool_result_unknown", at_ms, f"result for unknown call {call_id!r}")
            return
        self._tool_calls[call_id] += 1
        if self._tool_calls[call_id] > 1:
            self.violation("tool_result_twice", at_ms, f"call {call_id} answered again")
        if not isinstance(message.get("result"), str):
            self.violation("tool_result_shape", at_ms, "result must be a string")
        if not isinstance(message.get("is_error"), bool):
            self.violation("tool_result_shape", at_ms, "is_error must be true or false")

    def tool_overdue(self, call_id: str, at_ms: float, timeout_ms: int) -> None:
        """A call that expected a response got none in time."""
        self.violation("tool_result_missing", at_ms, f"no result for {call_id} in {timeout_ms} ms")
        self._tool_calls[call_id] = max(1, self._tool_calls[call_id])

    def closed(self, at_ms: float, closed_by: str, code: int | None) -> None:
        """The session is over. ``closed_by``: client, agent, network (no close frame)."""
        late = {k: t for k, t in self._pings.items() if at_ms - t > self.limits.pong_ms}
        for key, sent in late.items():
            self.violation("pong_missing", at_ms, f"ping {key} of {sent:.0f} ms was never answered")
        if closed_by == "client" and code not in _CALL_OVER_CODES:
            self.violation("close_code", at_ms, f"client closed with {code}, expected 1000")
        if closed_by == "network":
            self.violation("close_missing", at_ms, "the connection ended without a close frame")
        stream = self.stream
        if stream.first_ms is not None and at_ms - stream.last_ms > self.limits.gap_ms:
            gap = at_ms - stream.last_ms
            self.violation("audio_gap", at_ms, f"no audio for the last {gap:.0f} ms")
