"""How much of a response the caller has heard: the service can't know, it sends faster than speech.

No I/O. A response is what was queued under one event id. Positions are milliseconds of agent audio
since the call began, as the playout queue counts them.
"""

from __future__ import annotations


class Heard:
    """The response that was queued last; what an earlier one left in the queue is not its own."""

    def __init__(self) -> None:
        self.event_id: int | None = None
        self._begin_ms = 0
        self._told = "heard: nothing"

    def begin(self, event_id: int, queued_ms: int) -> None:
        """The next audio is of this response, and comes behind all that was ever queued."""
        self.event_id = event_id
        self._begin_ms = queued_ms

    def cut(self, queued_ms: int, waiting_ms: int) -> None:
        """What waits is thrown away, of all that was ever queued."""
        length = queued_ms - self._begin_ms
        heard = max(0, length - waiting_ms)
        self._told = f"heard: {heard} of {length} ms of response {self.event_id}"
        self.event_id = None  # audio that comes now is the reply, even under the same id

    def __str__(self) -> str:
        """The last cut, in words."""
        return self._told
