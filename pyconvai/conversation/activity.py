"""Telling the agent that somebody is there (``user_activity``). Loop thread only.

Digits, others (``elevenlabs send activity``) and hold all tell it by the one ``Activity`` of a
session, so that it is told at most once in ``ACTIVITY_SECONDS``, however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .. import limits


class Activity:
    """One session's. ``send`` sends the message."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Somebody is there, which the agent is told unless it has just been told."""
        now = asyncio.get_running_loop().time()
        if now >= self._next - limits.EARLY_SECONDS:
            self._next = now + limits.ACTIVITY_SECONDS
            self._send()

    def hold(self) -> None:
        """Tell it again and again from now on, the first time after ``ACTIVITY_SECONDS``."""
        self.release()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(limits.ACTIVITY_SECONDS, self._again)

    def release(self) -> None:
        """Tell it no more by itself. May be called at any time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self.tell()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(self._next, loop.time()), self._again)
