"""Which addresses and hosts answer: found out once for all calls of an engine, and not for ever.

Nobody is left out for what is known here, only tried behind the others. Loop thread only.
"""

from __future__ import annotations

import socket
import time
from asyncio.staggered import staggered_race
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from itertools import zip_longest
from typing import TypeVar

from .. import limits

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
V = TypeVar("V")

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


class Routes:
    """What the calls of one engine have found out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._dead: dict[Hashable, float] = {}
        self._alive: dict[Hashable, float] = {}
        """Until when this is to be believed."""
        self._good: dict[Hashable, Address] = {}

    # ---- Anything that can be reached: an address, or a host with its settings ----

    def is_dead(self, what: Hashable) -> bool:
        """Whether it did not answer lately."""
        return self._dead.get(what, 0.0) > self._clock()

    def is_alive(self, what: Hashable) -> bool:
        """Whether it did answer lately."""
        return self._alive.get(what, 0.0) > self._clock()

    def tell(self, what: Hashable, *, alive: bool) -> None:
        """Remember that it has answered, or that it has not; for ``DEAD_SECONDS``."""
        (self._dead if alive else self._alive).pop(what, None)
        until = self._clock() + limits.DEAD_SECONDS
        _remember(self._alive if alive else self._dead, what, until)

    # ---- The addresses of one place ----

    def order(self, place: Hashable, found: Sequence[Address]) -> list[Address]:
        """The order to try these in: families in turn, the last good one first, dead ones last."""
        first = [address for address in found if address[0] == found[0][0]]
        others = [address for address in found if address[0] != found[0][0]]
        turns = [a for pair in zip_longest(first, others) for a in pair if a is not None]
        good = self._good.get(place)
        turns.sort(key=lambda address: (self.is_dead(address), address != good))
        return turns[: limits.ADDRESSES_TRIED]

    def connected(self, place: Hashable, address: Address) -> None:
        """Remember the last good address of a place."""
        self.tell(address, alive=True)
        self._good.pop(place, None)
        _remember(self._good, place, address)

    def doubt(self, place: Hashable) -> None:
        """Whoever answers at the last good address of a place cannot be talked with."""
        if address := self._good.pop(place, None):
            self.tell(address, alive=False)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    """Keep the newest ``ROUTES_REMEMBERED``."""
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > limits.ROUTES_REMEMBERED:
        del memory[next(iter(memory))]


async def race(
    runners: Sequence[K], run: Callable[[K], Awaitable[T]], delay: float
) -> tuple[tuple[K, T] | None, dict[K, BaseException]]:
    """Start one after the other, the next when the one before has failed or taken so long.

    Returns the first that has made it, with its result, if any has; and what became of the others
    that were started, which are cancelled then.
    """
    starts = [partial(run, runner) for runner in runners]
    result, winner, failures = await staggered_race(starts, delay)
    told = zip(runners, failures, strict=False)
    lost: dict[K, BaseException] = {runner: fault for runner, fault in told if fault is not None}
    return (None if winner is None else (runners[winner], result)), lost
