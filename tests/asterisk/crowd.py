"""Many calls at once, each with an agent of its own: tests of many cases take as long as one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.call import Call
from testbed.callers import Callers, Seconds, Speech
from testbed.instance import Instance
from tests.asterisk.phone import Result, results
from tests.timing import MS, SECOND

CALLS_A_SECOND = 30.0


@dataclass(frozen=True)
class Outcome:
    """One call of the crowd, as its caller and its dialplan saw it."""

    call: Call
    result: Result


def hold(
    pbx: Instance,
    agents: Sequence[str],
    *,
    send: Speech = None,
    hangup_after: Seconds = None,
    codec: str = "ulaw",
    limit: float = 60 * SECOND,
) -> dict[str, Outcome]:
    """Call every agent and wait until all of these calls are over; what came of each."""
    start = len(pbx.log())
    with Callers(
        pbx,
        len(agents),
        lambda i: agents[i],
        codec=codec,
        send=send,
        hangup_after=hangup_after,
        rate=CALLS_A_SECOND,
    ) as calls:
        calls.wait(limit)
    found = wait_results(pbx, agents, start)
    return {agent: Outcome(calls[i], found[agent]) for i, agent in enumerate(agents)}


def wait_results(pbx: Instance, agents: Sequence[str], start: int) -> dict[str, Result]:
    """The results of calls that are over, by agent, from character `start` of the log on."""
    until = time.monotonic() + 10 * SECOND
    while True:
        # The h extension tells it once more where the dialplan went on: the first one counts.
        found = {result.agent: result for result in reversed(results(pbx, start))}
        missing = set(agents) - set(found)
        if not missing:
            return found
        assert time.monotonic() < until, f"no result of {sorted(missing)}"
        time.sleep(50 * MS)
