"""What happened in one session: the facts that reports and tests read. No I/O but the live log.

The JSON of a session (``Record.as_dict``):

``conversation_id`` ``agent_id`` ``path`` (of the handshake, signature cut out) ``subprotocol``
``started`` (ISO time) ``duration_ms`` ``output_format`` ``input_format`` ``init`` (the client's
first message) ``dynamic_variables`` ``sent``/``received`` (messages by type) ``violations`` (list
of ``{check, at_ms, detail}``) ``violation_counts`` ``close_code`` ``close_reason`` ``closed_by``
(client, agent, network) ``heard_ms`` (caller audio received) ``heard_speech_ms`` (loud part of
it) ``sent_ms`` (agent audio sent) ``spoke_ms`` (the part not cut off by interruptions)
``interruptions`` ``queue_wait_ms`` (in the queue; null: never there) ``discarded`` (messages that
came meanwhile, by type) ``tool_results`` ``texts`` (user_message, contextual_update, …) ``pong_ms``
(``max``, ``mean``) ``stream`` (chunks, gaps, lead and lag of the caller's audio) ``transcript``
(list of ``{speaker, text, at_ms}``) ``timeline`` (list of ``{at_ms, event, …}``); all ``at_ms``
count from the moment the socket was open.
"""

from __future__ import annotations

import collections
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .audio import AudioFormat
from .checks import Checks
from .messages import dump
from .scenario import Agent, Limits
from .voice import write_wav

LogSink = Callable[[dict[str, Any]], None]

# A flood must not fill the memory of a long run: later events are only counted.
_TIMELINE_LIMIT = 5000


class Record:
    """Facts of one session. Owned by its session; readable at any time."""

    def __init__(
        self, number: int, agent_id: str, path: str, limits: Limits, log: LogSink, keep_audio: bool
    ):
        self.number = number
        self.agent_id = agent_id
        self.path = path
        self.conversation_id = ""
        self.subprotocol: str | None = None
        self.output_format = ""
        self.input_format = ""
        self.init: dict[str, Any] | None = None
        self.sent: collections.Counter[str] = collections.Counter()
        self.received: collections.Counter[str] = collections.Counter()
        self.checks = Checks(limits)
        self.close_code: int | None = None
        self.close_reason = ""
        self.closed_by = ""
        self.complete = False  # set when the session is over and its recordings are written
        self.heard_speech_ms = 0
        self.sent_ms = 0.0
        self.spoke_ms = 0.0
        self.interruptions = 0
        self.queue_wait_ms: float | None = None
        self.discarded: collections.Counter[str] = collections.Counter()
        self.tool_results: list[dict[str, Any]] = []
        self.texts: list[dict[str, Any]] = []
        self.transcript: list[dict[str, Any]] = []
        self.timeline: list[dict[str, Any]] = []
        self.keep_audio = keep_audio
        self.caller_audio: list[bytes] = []
        self.agent_audio: list[tuple[float, bytes]] = []  # (ms, data); b"" cuts
        self.duration_ms = 0.0
        self._log = log
        self._start = time.monotonic()
        self._started = datetime.datetime.now(datetime.UTC)
        self._span: dict[str, Any] | None = None
        self._span_start = (0, 0.0)  # chunks and milliseconds before the span

    def now(self) -> float:
        """Milliseconds since the socket was open."""
        return (time.monotonic() - self._start) * 1000

    def event(self, event: str, **fields: Any) -> None:
        """Adds to the timeline and to the live log."""
        entry = {"at_ms": round(self.now()), "event": event, **fields}
        if len(self.timeline) < _TIMELINE_LIMIT:
            self.timeline.append(entry)
        self._log(
            {
                "session": self.number,
                "conversation_id": self.conversation_id,
                "agent_id": self.agent_id,
                **entry,
            }
        )

    def said(self, speaker: str, text: str) -> dict[str, Any]:
        """Adds a line to the transcript; the line may be amended after an interruption."""
        line = {"speaker": speaker, "text": text, "at_ms": round(self.now())}
        self.transcript.append(line)
        self.event("transcript", speaker=speaker, text=text)
        return line

    def violation(self, check: str, detail: str) -> None:
        """A violation seen outside the checks' own rules."""
        self.checks.violation(check, self.now(), detail)

    def caller_chunk(self, data: bytes, fmt: AudioFormat) -> None:
        """One chunk of caller audio; contiguous chunks become one span of the timeline."""
        now = self.now()
        stream = self.checks.stream
        if self._span is None or now - stream.last_ms > self.checks.limits.gap_ms:
            self._end_span()
            self._span = {"at_ms": round(now), "event": "caller_audio"}
            self._span_start = (stream.chunks, stream.audio_ms)
            self.timeline.append(self._span)
        self.checks.audio(len(data), fmt, now)
        if self.keep_audio:
            self.caller_audio.append(data)

    def _end_span(self) -> None:
        """Completes the span of caller audio, so that a chunk costs nothing here."""
        if self._span is not None:
            stream = self.checks.stream
            chunks, audio_ms = self._span_start
            self._span["chunks"] = stream.chunks - chunks
            self._span["audio_ms"] = round(stream.audio_ms - audio_ms, 3)
            self._span["until_ms"] = round(stream.last_ms)

    def as_dict(self) -> dict[str, Any]:
        """The session as JSON-ready data; see the module's description."""
        self._end_span()
        checks = self.checks
        pongs = checks.pong_ms
        init = self.init or {}
        return {
            "conversation_id": self.conversation_id,
            "agent_id": self.agent_id,
            "path": self.path,
            "subprotocol": self.subprotocol,
            "started": self._started.isoformat(timespec="milliseconds"),
            "duration_ms": round(self.duration_ms or self.now()),
            "output_format": self.output_format,
            "input_format": self.input_format,
            "init": self.init,
            "dynamic_variables": init.get("dynamic_variables") or {},
            "sent": dict(self.sent),
            "received": dict(self.received),
            "violations": checks.violations,
            "violation_counts": checks.counts,
            "close_code": self.close_code,
            "close_reason": self.close_reason,
            "closed_by": self.closed_by,
            "heard_ms": round(checks.stream.audio_ms),
            "heard_speech_ms": self.heard_speech_ms,
            "sent_ms": round(self.sent_ms),
            "spoke_ms": round(self.spoke_ms),
            "interruptions": self.interruptions,
            "queue_wait_ms": None if self.queue_wait_ms is None else round(self.queue_wait_ms),
            "discarded": dict(self.discarded),
            "tool_results": self.tool_results,
            "texts": self.texts,
            "pong_ms": {
                "count": len(pongs),
                "max": round(max(pongs, default=0.0), 1),
                "mean": round(sum(pongs) / len(pongs), 1) if pongs else 0.0,
            },
            "stream": {
                key: round(value, 1) if value is not None else None
                for key, value in vars(checks.stream).items()
            },
            "transcript": self.transcript,
            "timeline": self.timeline,
        }

    def write_audio(self, directory: Path, agent: Agent) -> None:
        """``N-ID-{caller,agent}.{raw,wav}`` and ``N-ID.json`` in ``directory``.

        raw: the bytes as received or sent. wav: laid out in time from the opening of the socket;
        the agent's as a perfect client would have played it, cut at interruptions.
        """
        directory.mkdir(parents=True, exist_ok=True)
        stem = directory / f"{self.number:04d}-{self.conversation_id or 'none'}"
        caller = b"".join(self.caller_audio)
        lead = agent.input_format.size(self.checks.stream.first_ms or 0.0)
        lead_silence = agent.input_format.silence * (lead // agent.input_format.sample_bytes)
        _path(stem, "-caller.raw").write_bytes(caller)
        write_wav(_path(stem, "-caller.wav"), lead_silence + caller, agent.input_format)
        _path(stem, "-agent.raw").write_bytes(b"".join(data for _, data in self.agent_audio))
        write_wav(
            _path(stem, "-agent.wav"), self._agent_track(agent.output_format), agent.output_format
        )
        _path(stem, ".json").write_text(dump(self.as_dict()) + "\n", encoding="utf-8")

    def cut_agent(self) -> None:
        """The caller interrupted: what was to be played later is not heard."""
        if self.keep_audio:
            self.agent_audio.append((self.now(), b""))

    def _agent_track(self, fmt: AudioFormat) -> bytes:
        track = bytearray()
        for at_ms, data in self.agent_audio:
            start = fmt.size(at_ms)
            if not data:
                del track[start:]
            track += fmt.silence * (max(0, start - len(track)) // fmt.sample_bytes)
            track += data
        return bytes(track)


def _path(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)
