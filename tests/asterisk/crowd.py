"""Many calls at once, each with an agent of its own: tests of many cases take as long as one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from tests.asterisk.phone import Result, results
from tests.timing import EVENT, MS, SECOND

CALLS_A_SECOND = 30.0

T = TypeVar("T")
OrFor = T | Callable[[str], T]
"""One value for all, or a function of the agent's name."""


@dataclass(frozen=True)
class Outcome:
    """One call of the crowd, as its caller and its dialplan saw it."""

    call: Call
    result: Result

    def before(self, greeting: bytes) -> bytes:
        """What was heard until the agent's greeting: that whole, and nothing behind it."""
        before, found, behind = self.call.heard.partition(greeting)
        assert found, "the agent was not heard whole"
        assert set(behind) <= {self.call.codec.silence}
        return before


@dataclass
class Crowd:
    """Calls that are up, by agent."""

    pbx: Instance
    start: int
    calls: dict[str, Call] = field(default_factory=dict)

    def outcomes(self, limit: float = 100 * SECOND) -> dict[str, Outcome]:
        """Wait until all calls are over; what came of each."""
        for call in self.calls.values():
            call.wait(limit)
        found = wait_results(self.pbx, list(self.calls), self.start)
        return {agent: Outcome(call, found[agent]) for agent, call in self.calls.items()}

    def leave(self, when: Callable[[str, Call], bool], limit: float = 40 * SECOND) -> None:
        """Hang each call up as soon as its agent and it are what is waited for, or it has ended."""
        left, until = dict(self.calls), time.monotonic() + limit
        while left:
            for agent, call in list(left.items()):
                if call.ended_at is not None or when(agent, call):
                    call.hangup()
                    del left[agent]
            assert time.monotonic() < until, f"nothing has come of {sorted(left)}"
            time.sleep(100 * MS)

    def talks(self, agent: str) -> bool:
        """Whether the conversation with this agent is up."""
        shown = self.pbx.cli("elevenlabs show sessions")
        return bool(re.search(rf"(?m)^\S+ +{re.escape(agent)} +\S+ +talking ", shown))

    def shown(self, agent: str) -> str:
        """What `elevenlabs show session` says of a call that is up."""
        channel = re.search(
            rf"^(\S+) +{re.escape(agent)} ", self.pbx.cli("elevenlabs show sessions"), re.MULTILINE
        )
        assert channel, f"no session with {agent}"
        return self.pbx.cli(f"elevenlabs show session {channel[1]}")


@contextmanager
def crowd(
    pbx: Instance,
    agents: Sequence[str],
    *,
    send: OrFor[bytes] = b"",
    hangup_after: OrFor[float | None] = None,
    codec: OrFor[str] = "ulaw",
) -> Iterator[Crowd]:
    """Call every agent, all at once."""
    crowd = Crowd(pbx, len(pbx.log()))
    with ExitStack() as stack:
        # One SIPp speaks one codec.
        by_codec = sorted(agents, key=lambda agent: _of(codec, agent))
        for name, some in groupby(by_codec, key=lambda agent: _of(codec, agent)):
            group = list(some)
            calls = stack.enter_context(
                Callers(
                    pbx,
                    len(group),
                    group.__getitem__,
                    codec=name,
                    send=[_of(send, agent) for agent in group],
                    hangup_after=[_of(hangup_after, agent) for agent in group],
                    rate=CALLS_A_SECOND,
                )
            )
            crowd.calls |= dict(zip(group, calls, strict=True))
        yield crowd


def hold(pbx: Instance, agents: Sequence[str], **arguments: OrFor[object]) -> dict[str, Outcome]:
    """Call every agent and wait until all of these calls are over; arguments are those of crowd."""
    with crowd(pbx, agents, **arguments) as calls:
        return calls.outcomes()


def wait_results(pbx: Instance, agents: Sequence[str], start: int) -> dict[str, Result]:
    """The results of calls that are over, by agent, from character `start` of the log on."""
    until = time.monotonic() + EVENT
    while True:
        # The h extension tells it once more where the dialplan went on: the first one counts.
        found = {result.agent: result for result in reversed(results(pbx, start))}
        missing = set(agents) - set(found)
        if not missing:
            return found
        assert time.monotonic() < until, f"no result of {sorted(missing)}"
        time.sleep(50 * MS)


def _of(given: OrFor[T], agent: str) -> T:
    return given(agent) if callable(given) else given
