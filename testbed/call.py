"""One call of `testbed.callers`, as its user sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from testbed.errors import TestbedError
from testbed.rtp import EVENT_TYPE, EVENTS, Codec, Recording

UP_SECONDS = 30.0
"""Limit on calls being answered; 200 calls at the default rate take 10 s."""

END_SECONDS = 60.0
"""Default limit on calls having ended."""

DIGIT_PACKETS = 5
"""Length of a digit in packets of 20 ms: as long as a quick finger's."""


class Switchboard(Protocol):
    """What a call needs of the `Callers` it belongs to."""

    def say(self, call: Call, payload: bytes) -> None:
        """Queue payload."""

    def control(self, call: Call, command: str, arguments: str = "") -> None:
        """Send a command to the RTP endpoint."""

    def hangup(self, call: Call) -> None:
        """Have SIPp end the call."""

    def flush(self, call: Call) -> None:
        """Have the record file complete up to now."""

    def wait_for(
        self, calls: Sequence[Call], limit: float, what: str, reached: Callable[[Call], bool]
    ) -> None:
        """Wait until all of the calls have reached something."""


@dataclass
class Call:
    """One call. Times are seconds on time.monotonic()'s clock, None until it happened."""

    number: int
    """From 1 on; the first of `Callers` is number 1."""
    extension: str
    caller: str
    codec: Codec
    record: Path
    board: Switchboard = field(repr=False)
    said: bytes = field(default=b"", repr=False)
    """All payload given to say so far, sent already or still queued."""
    placed_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: str | None = None
    """`caller`, `asterisk`, `refused` (see `status`) or `failed` (see SIPp's errors)."""
    status: int = 0
    """SIP status: 200 once answered, that of the refusal if refused."""
    hanging_up: bool = field(default=False, repr=False)
    """Whether this side has been told to end the call."""
    complete: bool = field(default=False, repr=False)
    """Whether the call is over and its record closed."""
    _recording: Recording | None = field(default=None, repr=False)

    def say(self, payload: bytes) -> Self:
        """Queue payload behind what is queued already."""
        self.said += payload
        self.board.say(self, payload)
        return self

    def press(self, digits: str, packets: int = DIGIT_PACKETS, *, beside: bool = False) -> Self:
        """Send DTMF digits as RFC 4733 events, one after the other, behind those that wait.

        beside: the audio goes on meanwhile, as through a gateway that sends events and tones;
        otherwise they take its place.
        """
        for digit in digits:
            event = f"{EVENTS.index(digit)} {EVENT_TYPE} {packets} {int(beside)}"
            self.board.control(self, "dtmf", event)
        return self

    def mute(self) -> Self:
        """Send no packets until unmute(), as a telephone does that suppresses silence."""
        self.board.control(self, "mute")
        return self

    def unmute(self) -> Self:
        """Go on sending."""
        self.board.control(self, "unmute")
        return self

    def hangup(self) -> Self:
        """End the call; give up if it still rings, or as soon as it does."""
        self.board.hangup(self)
        return self

    def wait_up(self, limit: float = UP_SECONDS) -> Self:
        """Wait until the call is answered."""
        self.board.wait_for([self], limit, "answered", lambda call: call.answered_at is not None)
        return self

    def wait(self, limit: float = END_SECONDS) -> Self:
        """Wait until the call has ended."""
        self.board.wait_for([self], limit, "ended", lambda call: call.complete)
        return self

    def so_far(self) -> Recording:
        """Return what was sent and received up to now."""
        if not self.complete:
            self.board.flush(self)
        return Recording.read(self.record, self.codec)

    @property
    def recording(self) -> Recording:
        """What was sent and received; only once the call has ended."""
        if not self.complete:
            raise TestbedError(f"call {self.number} has not ended: wait for it, or use so_far()")
        if self._recording is None:
            self._recording = Recording.read(self.record, self.codec)
        return self._recording

    def forget(self) -> None:
        """Let go of what was read of the recording: long calls fill the memory."""
        self._recording = None

    @property
    def sent(self) -> bytes:
        """All audio payload that went out, the silence included."""
        return self.recording.sent

    @property
    def heard(self) -> bytes:
        """All audio payload that came in, in order; `recording.gaps` says where some is missing."""
        return self.recording.heard

    @property
    def seconds(self) -> float:
        """How long the call was, or has been, up."""
        if self.answered_at is None:
            return 0.0
        return (self.ended_at or time.monotonic()) - self.answered_at
