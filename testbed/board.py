"""What a group of calls has in common: its RTP endpoint, and waits for what comes of the calls."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from testbed.call import Call
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.rtp import RtpEndpoint

ENDPOINT_SECONDS = 30.0
"""Limit on an answer of the RTP endpoint, which has media to do as well."""


class Board:
    """The part of call.Switchboard that does not depend on who speaks SIP.

    The reader's thread changes things with `_changed` held, and notifies it.
    """

    def __init__(self, instance: Instance, name: str, calls: Sequence[Call]) -> None:
        """name: of the folder for commands and records. calls: all of them, those to come too."""
        self.instance = instance
        self.folder = instance.folder / "calls" / name
        self._everyone = calls
        self._changed = threading.Condition()
        self._flushes: Counter[int] = Counter()
        self._errors: list[str] = []
        self._files = itertools.count(1)
        self._endpoint: RtpEndpoint | None = None

    def say(self, call: Call, payload: bytes) -> None:
        """Queue payload."""
        self.file(call, "say", payload)

    def file(self, call: Call, command: str, content: bytes) -> None:
        """Send a command to the RTP endpoint that reads a file."""
        path = self.folder / f"{call.number}-{next(self._files)}.{command}"
        path.write_bytes(content)
        self.control(call, command, self.instance.root.path(path))

    def control(self, call: Call, command: str, arguments: str = "") -> None:
        """Send a command to the RTP endpoint."""
        if self._endpoint is None:
            raise TestbedError("there is no RTP endpoint yet: enter the context first")
        self._endpoint.command(command, call.number, arguments)

    def flush(self, call: Call) -> None:
        """Have the record file complete up to now."""
        before = self._flushes[call.number]
        self.control(call, "flush")
        self.wait_until(
            ENDPOINT_SECONDS, "flush", lambda: self._flushes[call.number] > before or call.complete
        )

    def wait_for(
        self, calls: Sequence[Call], limit: float, what: str, reached: Callable[[Call], bool]
    ) -> None:
        """Wait until all of the calls have reached something, or one has ended without it."""
        self.wait_until(limit, what, lambda: all(reached(c) or c.complete for c in calls))
        if missed := [call for call in calls if not reached(call)]:
            first = f"the first: {missed[0]}"
            raise TestbedError(f"{len(missed)} calls ended without being {what}; {first}")

    def wait_until(self, limit: float, what: str, reached: Callable[[], bool]) -> None:
        """Wait for anything that the reader's thread brings about."""
        with self._changed:
            done = self._changed.wait_for(lambda: reached() or bool(self._errors), limit)
        if self._errors:
            raise TestbedError("; ".join(self._errors))
        if not done:
            waiting = [call for call in self._everyone if not call.complete]
            shown = f"; calls that are up: {waiting[:3]}" if waiting else ""
            raise TestbedError(f"not {what} within {limit:g} s{shown}")

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._errors.append(reason)
            self._changed.notify_all()
