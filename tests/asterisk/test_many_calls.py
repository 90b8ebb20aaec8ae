r"""Many calls at once over TLS: every sample of every call, and what a call costs.

Forty for twenty seconds; in the full run for a minute. Both can be set, for a soak:

    CONVAI_CALLS=200 CONVAI_SECONDS=600 CONVAI_FULL=1 \
        build/venv/bin/python -m pytest tests/asterisk/test_many_calls.py

The costs are written to build/many_calls.json and printed. They are no test: a busy machine fails
nothing here but the comparison of samples. From five minutes on memory has to stay where it is.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from testbed.call import UP_SECONDS
from testbed.callers import DEFAULT_RATE, Callers
from testbed.echo import Cost, cpu_per_call
from testbed.instance import Instance
from testbed.measure import Counters, CpuWindow
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.tls import Certificate
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, results, section, settled
from tests.asterisk.samples import (
    AFTER_SECONDS,
    check_samples,
    noise_agent_names,
    noise_agents,
    noise_callers,
)
from tests.timing import FULL, SECOND

CALLS = int(os.environ.get("CONVAI_CALLS", "40"))
TALK_SECONDS = float(os.environ.get("CONVAI_SECONDS", "60" if FULL else "20"))
LATE_MS = 0 if CALLS <= 40 else 500
"""With more calls the mock, one process, sends some agents' second message late: they all begin."""

SETTLE_SECONDS = 5.0
"""After the last call is up, before the cost is measured: set-up is not what is measured."""

WINDOW_SECONDS = 15.0 if FULL else 5.0
"""How long the cost is measured, for each of Echo() and the agents."""


pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=0, debug=0)
    # The engine's pool of threads comes with the first calls and stays.
    configure(pbx, section("warm", "http://127.0.0.1:9", connect_attempts="1"))
    with Callers(pbx, CALLS, "warm") as calls:
        calls.wait()
    return pbx


SOAK_SECONDS = 300.0
"""From here on memory is compared."""

RATE = DEFAULT_RATE if TALK_SECONDS < SOAK_SECONDS else DEFAULT_RATE / 4
"""Calls a second. A soak is of calls that are up: where many have a slow machine to themselves, the
mock takes longer than connect_timeout for hundreds of connections in some seconds."""

GROWN_KB = 32
"""So much more a call may have at the end than at the beginning: twice what the agent is ahead."""

LEFT_OVER: dict[str, int] = {} if FULL else {"descriptors": 2}
"""Once in some runs two sockets were still open a minute after all had ended. What each call left
would be many more."""

RECORD_SECONDS = 60 + CALLS * TALK_SECONDS / 100
"""Limit on the mock's writing down of what it has heard."""


@pytest.mark.limit(360 + 2 * TALK_SECONDS + 2 * RECORD_SECONDS)
def test_many_calls(pbx: Instance, root: Root, tls: Certificate) -> None:
    echo = cpu_per_call(pbx, "200", calls=CALLS, seconds=WINDOW_SECONDS)
    pbx.wait_no_channels()
    agents = noise_agents(CALLS, TALK_SECONDS)
    with MockAgent(root, agents, tls=tls, record=True) as mock:
        names = noise_agent_names(CALLS)
        ca = root.path(tls.ca)
        configure(pbx, "".join(section(name, mock.url, ca_file=ca) for name in names))
        before = pbx.counters()
        after = AFTER_SECONDS + CALLS / RATE  # they began one after the other
        with noise_callers(pbx, names, TALK_SECONDS, after, RATE) as calls:
            calls.wait_up((UP_SECONDS + CALLS / RATE) * SECOND)
            time.sleep(SETTLE_SECONDS)
            window = CpuWindow(pbx.pid)
            time.sleep(WINDOW_SECONDS)
            percent = window.percent() / CALLS
            during = pbx.counters()
            # Until shortly before the first call ends: they began one after the other.
            first = min(call.answered_at or 0.0 for call in calls)
            time.sleep(max(0.0, first + TALK_SECONDS - 1 - time.monotonic()))
            late = pbx.counters()
            calls.wait((TALK_SECONDS + after + 30) * SECOND)
        grown = settled(pbx, before)
        ended = [result.status for result in results(pbx)[-CALLS:]]
        assert ended == ["HANGUP"] * CALLS
        wait_records(mock.folder / "record")
    grown_kb = (late.anonymous_kb - during.anonymous_kb) / CALLS
    report(percent, echo, before, during, grown_kb)
    assert all(count <= LEFT_OVER.get(name, 0) for name, count in grown.items()), grown
    assert TALK_SECONDS < SOAK_SECONDS or grown_kb < GROWN_KB
    check_samples(mock, calls, TALK_SECONDS, LATE_MS)
    calls.delete_files()


def wait_records(folder: Path) -> None:
    """Wait until the mock has written down all conversations: minutes of many take a while."""
    until = time.monotonic() + RECORD_SECONDS * SECOND
    while (written := len(list(folder.glob("*.json")))) < CALLS:
        assert time.monotonic() < until, f"{written} of {CALLS} conversations are written down"
        time.sleep(0.1 * SECOND)


def report(percent: float, echo: Cost, before: Counters, during: Counters, grown_kb: float) -> None:
    """Say what a call costs, as a multiple of Echo() in the same run."""
    costs = {
        "calls": CALLS,
        "cpu_percent_per_call": round(percent, 3),
        "echo_cpu_percent_per_call": round(echo.percent, 3),
        "times_echo": round(percent / echo.percent, 2),
        "pss_kb_per_call": round((during.pss_kb - before.pss_kb) / CALLS),
        "anonymous_kb_per_call_grown": round(grown_kb, 1),
        "echo_pss_kb_per_call": round(echo.pss_kb),
        "threads_per_call": round((during.threads - before.threads) / CALLS, 2),
        "echo_threads_per_call": round(echo.threads, 2),
        "descriptors_per_call": round((during.descriptors - before.descriptors) / CALLS, 2),
    }
    (BUILD / "many_calls.json").write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")
    print(f"\n{CALLS} calls over TLS, agents speaking all the time: {costs}")
