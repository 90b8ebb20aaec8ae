"""What the module does beside calls, in a thread of its pool: jobs. Loop thread only.

A job is handed over and comes back when it is over (``call/beside.c``), which may be late: then
nobody waits for it any more. All calls of an engine share one ``Jobs``.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum

from ..core import _core
from .steps import Outcome


class Kind(IntEnum):
    """``enum convai_job_kind``."""

    TOOL = 0
    STATE = 1


class _Verdict(IntEnum):
    """``enum convai_job_verdict``."""

    TAKEN = 0
    NO_ROOM = 1
    REFUSED = 2


class NotBegun(Exception):
    """The module does not take it; the text is a sentence for the agent."""


Ended = tuple[Outcome, str]


class Jobs:
    """Those under way, by their tickets."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Ended]] = {}

    async def run(
        self,
        handle: _core.SessionHandle,
        kind: Kind,
        name: str,
        arguments: list[tuple[str, str]],
        seconds: int,
    ) -> Ended:
        """Have it done for this call; how it has ended. NotBegun: it is not done.

        ``seconds``: how long the caller of this will wait; there is no other limit here.
        """
        verdict, ticket = handle.begin_job(kind, name, arguments, seconds * 1000)
        if verdict == _Verdict.NO_ROOM:
            raise NotBegun("The phone system has too many tools under way. Try again later.")
        if verdict != _Verdict.TAKEN:
            raise NotBegun(f"{name} could not be begun: the phone system is about to end.")
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = future
        return await future

    def collect(self) -> None:
        """Take what is over."""
        for ticket, outcome, text in _core.jobs_over():
            future = self._waiting.pop(ticket)
            if not future.done():
                future.set_result((Outcome(outcome), text))
