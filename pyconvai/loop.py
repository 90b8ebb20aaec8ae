"""The engine's event loop: asyncio's, with ticks that are no rounds of it.

A tick has seldom anything to do with asyncio, a round of which goes through a hundred lines of
Python. So the wait for descriptors serves ticks and first words by itself (``Ticker.wait``). It
ends when asyncio has something to do: a descriptor of its own, a time, or what was scheduled since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from selectors import EpollSelector, SelectorKey
from typing import TypeVarTuple

from .core._core import Ticker

_Arguments = TypeVarTuple("_Arguments")


class Selector(EpollSelector):
    """Waits for what asyncio waits for, and serves ticks meanwhile."""

    def __init__(self, ticker: Ticker) -> None:
        super().__init__()
        self.ticker, self.serves = ticker, True
        self.told: Callable[[BaseException], None]
        ticker.wait_for(self.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """As ``EpollSelector.select``; it may return early, without anything."""
        if not self.serves:
            return super().select(timeout)
        try:
            has_own = self.ticker.wait(-1 if timeout is None else max(0, timeout))
        except OSError:
            raise  # of the wait itself: the loop ends
        except (Exception, asyncio.CancelledError) as fault:
            self.told(fault)
            return []
        return super().select(0) if has_own else []


class Loop(asyncio.SelectorEventLoop):
    """Serves a ticker while it waits."""

    def __init__(self, selector: Selector) -> None:
        self._ticker, self._waits = selector.ticker, selector
        super().__init__(selector)
        self._waits.told = self._failed

    def end_ticks(self) -> None:
        """Serve no ticks and no quiet sockets any more: from now on it is asyncio's loop."""
        self._waits.serves = False

    def _failed(self, fault: BaseException) -> None:
        self.call_exception_handler({"message": "a fault in a tick", "exception": fault})

    # ---- What is scheduled inside of a tick, asyncio is to see before it waits again ----

    def call_soon(
        self,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As asyncio's."""
        self._ticker.end_wait()
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's; ``call_later`` comes through here as well."""
        self._ticker.end_wait()
        return super().call_at(when, callback, *args, context=context)

    def stop(self) -> None:
        """As asyncio's."""
        self._ticker.end_wait()
        super().stop()
