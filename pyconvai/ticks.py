"""How long the loop's ticks are, and who has something to look at on one. No I/O."""

import math
import time
from collections.abc import Callable

from . import limits


def length(calls: int) -> float:
    """How long a tick is, in seconds: the fewer calls, the shorter."""
    for most, seconds in limits.TICK_SECONDS:
        if calls <= most:
            return seconds
    return limits.TICK_MANY_SECONDS


class Looks:
    """What is to be looked at on a tick, and when. Loop thread only.

    A timer of asyncio's for each would be an object, and a round of the loop, for every look.
    """

    def __init__(self) -> None:
        self.first_at = math.inf
        """Before that nothing is due, by the loop's clock."""
        self._due: dict[Callable[[], None], float] = {}

    def later(self, look: Callable[[], None], seconds: float) -> None:
        """Look once, on the first tick after so many seconds, unless that is wanted already."""
        at = self._due.setdefault(look, time.monotonic() + seconds)
        self.first_at = min(self.first_at, at)

    def cancel(self, look: Callable[[], None]) -> None:
        """Forget it, if it is wanted."""
        self._due.pop(look, None)

    def due(self, now: float) -> list[Callable[[], None]]:
        """Take those that are due."""
        due = [look for look, at in self._due.items() if at <= now]
        for look in due:
            del self._due[look]
        self.first_at = min(self._due.values(), default=math.inf)
        return due
