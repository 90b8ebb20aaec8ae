"""How long a caller has been waiting for tools beside the call. Loop thread only.

The channel is told: while a tool is under way the caller need not speak, and after
``filler_after_ms`` hears something else than silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from ..core._core import SessionHandle


class Working(IntEnum):
    """``enum convai_working``."""

    NOT = 0
    YET = 1
    LONG = 2


class Patience:
    """That of one call."""

    def __init__(self, handle: SessionHandle, after_ms: int) -> None:
        self._handle, self._after_seconds = handle, after_ms / 1000
        self._running = self._long = 0
        self._closed = False

    @contextmanager
    def tool(self) -> Iterator[None]:
        """A tool is under way."""
        loop = asyncio.get_running_loop()
        taken_long = False

        def takes_long() -> None:
            nonlocal taken_long
            taken_long = True
            self._long += 1
            self._tell()

        timer = loop.call_later(self._after_seconds, takes_long)
        self._running += 1
        self._tell()
        try:
            yield
        finally:
            timer.cancel()
            self._running -= 1
            self._long -= taken_long
            self._tell()

    def close(self) -> None:
        """The conversation is over: nobody waits any more."""
        self._running = self._long = 0
        self._tell()
        self._closed = True

    def _tell(self) -> None:
        if not self._closed:
            some = Working.YET if self._running else Working.NOT
            self._handle.work(Working.LONG if self._long else some)
