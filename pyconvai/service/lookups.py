"""Names, looked up for all calls of an engine, so that those that hang hold up no others.

Each host has one look-up at most, and all who want it share the answer. The system's resolver can
neither be stopped nor hurried, and each look-up takes a thread of a few. So an agent whose names
hang has half of them at most, and a second one only while others leave room: another agent's
look-up finds a thread at once. Loop thread only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from .. import limits
from .routes import Address

Found = list[Address]
Place = tuple[str, int]
"""Host and port."""


@dataclass(slots=True, eq=False)
class _LookUp:
    """Of one host."""

    found: asyncio.Future[Found]
    agents: list[str] = field(default_factory=list)
    """Whose calls wait for it."""
    agent: str | None = None
    """On whose account it runs; None: it has not begun."""


class LookUps:
    """Those of one engine, in a pool in which one thread is left to others."""

    def __init__(self, pool: Executor, look_up: Callable[[str, int], Found]) -> None:
        """look_up: may block for as long as the system's resolver does."""
        self._pool, self._look_up = pool, look_up
        self._under_way: dict[Place, _LookUp] = {}
        """Those that wait for a thread as well, oldest first."""
        self._threads: Counter[str] = Counter()
        """How many each agent has."""

    async def addresses(self, host: str, port: int, agent: str) -> Found:
        """The addresses of a host. OSError: there are none. The caller bounds the time."""
        place = (host, port)
        found: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        look_up = self._under_way.setdefault(place, _LookUp(found))
        look_up.agents.append(agent)
        self._start()
        try:
            return await asyncio.shield(look_up.found)
        finally:
            look_up.agents.remove(agent)
            if look_up.agent is None and not look_up.agents:
                del self._under_way[place]  # it has not begun, and nobody wants it any more

    def _start(self) -> None:
        """Start all that may, oldest first."""
        for place, look_up in self._under_way.items():
            if look_up.agent is None:
                agent = next(filter(self._may_start, look_up.agents), None)
                if agent is not None:
                    self._run(place, look_up, agent)

    def _may_start(self, agent: str) -> bool:
        busy = self._threads.total()
        most = limits.POOL_THREADS // 2 if self._threads[agent] else limits.POOL_THREADS - 1
        return busy < most

    def _run(self, place: Place, look_up: _LookUp, agent: str) -> None:
        look_up.agent = agent
        self._threads[agent] += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._look_up, *place)

        def done(work: asyncio.Future[Found]) -> None:
            self._threads[agent] -= 1
            del self._under_way[place]
            if work.cancelled():
                look_up.found.cancel()
            elif fault := work.exception():
                look_up.found.set_exception(fault)
                look_up.found.exception()  # perhaps nobody waits for it any more
            else:
                look_up.found.set_result(work.result())
            self._start()

        work.add_done_callback(done)
