"""How much of a response the caller has heard. The service can't know: it sends faster than speech.

No I/O. A response is what was queued under one event id. Positions are milliseconds of agent audio
since the call began, as the playout queue counts them.
"""

from __future__ import annotations


class Heard:
    """Follows the response that was queued last; audio of an earlier one may wait before it."""

    def __init__(self) -> None:
        self.event_id: int | None = None
        self._begin_ms = 0
        self._told = "heard: nothing"

    def begin(self, event_id: int, queued_ms: int) -> None:
        """The next audio is of this response; ``queued_ms`` of audio were queued before it."""
        self.event_id = event_id
        self._begin_ms = queued_ms

    def cut(self, queued_ms: int, waiting_ms: int) -> None:
        """A flush throws away ``waiting_ms`` of the ``queued_ms`` that were ever queued.

        Where nothing has been queued since the flush before, that one's words stay.
        """
        if self.event_id is None:
            return
        length = queued_ms - self._begin_ms
        heard = max(0, length - waiting_ms)
        self._told = f"heard: {heard} of {length} ms of response {self.event_id}"
        self.event_id = None  # audio that comes now is the reply, even under the same id

    def __str__(self) -> str:
        """The last cut, in words."""
        return self._told
