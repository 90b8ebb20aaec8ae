"""The last calls that are over, in memory: their records as they are written. Loop thread only.

Bounded in calls and in bytes. They go with the engine; what is to stay longer is for
``records = yes``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from .. import limits
from .record import Record, names


@dataclass(frozen=True, slots=True)
class Kept:
    """One of them."""

    names: tuple[str, ...]
    """By which it is asked for: see ``record.names``."""
    line: bytes


class Recent:
    """Those of one engine."""

    def __init__(self) -> None:
        self._kept: deque[Kept] = deque()
        self._bytes = 0

    def add(self, found: Record, line: bytes) -> None:
        """A call is over. One that is longer than all may be together is not kept."""
        if len(line) > limits.CALLS_KEPT_BYTES:
            return
        self._kept.append(Kept(names(found), line))
        self._bytes += len(line)
        while len(self._kept) > limits.CALLS_KEPT or self._bytes > limits.CALLS_KEPT_BYTES:
            self._bytes -= len(self._kept.popleft().line)

    def __iter__(self) -> Iterator[Kept]:
        """From new to old."""
        return reversed(self._kept)

    def find(self, name: str) -> bytes | None:
        """The record of the last call of this name."""
        return next((each.line for each in self if name in each.names), None)
