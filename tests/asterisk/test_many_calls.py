"""Forty calls at once over TLS: every sample of every call, and what a call costs.

For half a minute; in the full run for a whole one.

The costs are written to build/forty_calls.json and printed. They are no test: a busy machine fails
nothing here but the comparison of samples.
"""

from __future__ import annotations

import json
import time

import pytest

from testbed.callers import Callers
from testbed.echo import Cost, cpu_per_call
from testbed.instance import Instance
from testbed.measure import Counters, CpuWindow
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.tls import Certificate
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, results, section, settled
from tests.asterisk.samples import check_samples, noise_agent_names, noise_agents, noise_callers
from tests.timing import FULL, SECOND

CALLS = 40
TALK_SECONDS = 60.0 if FULL else 30.0
SETTLE_SECONDS = 5.0
"""After the last call is up, before the cost is measured: set-up is not what is measured."""

WINDOW_SECONDS = 15.0
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


@pytest.mark.limit(400)
def test_forty_calls(pbx: Instance, root: Root, tls: Certificate) -> None:
    echo = cpu_per_call(pbx, "200", calls=CALLS, seconds=WINDOW_SECONDS)
    pbx.wait_no_channels()
    with MockAgent(root, noise_agents(CALLS, TALK_SECONDS), tls=tls, record=True) as mock:
        names = noise_agent_names(CALLS)
        ca = root.path(tls.ca)
        configure(pbx, "".join(section(name, mock.url, ca_file=ca) for name in names))
        before = pbx.counters()
        with noise_callers(pbx, names, TALK_SECONDS) as calls:
            calls.wait_up()
            time.sleep(SETTLE_SECONDS)
            window = CpuWindow(pbx.pid)
            time.sleep(WINDOW_SECONDS)
            percent = window.percent() / CALLS
            during = pbx.counters()
            calls.wait((TALK_SECONDS + 30) * SECOND)
        grown = settled(pbx, before)
    report(percent, echo, before, during)
    assert not grown
    assert [result.status for result in results(pbx)[-CALLS:]] == ["HANGUP"] * CALLS
    check_samples(mock, calls, TALK_SECONDS)
    calls.delete_files()


def report(percent: float, echo: Cost, before: Counters, during: Counters) -> None:
    """Say what a call costs, as a multiple of Echo() in the same run."""
    costs = {
        "calls": CALLS,
        "cpu_percent_per_call": round(percent, 3),
        "echo_cpu_percent_per_call": round(echo.percent, 3),
        "times_echo": round(percent / echo.percent, 2),
        "pss_kb_per_call": round((during.pss_kb - before.pss_kb) / CALLS),
        "echo_pss_kb_per_call": round(echo.pss_kb),
        "threads_per_call": round((during.threads - before.threads) / CALLS, 2),
        "echo_threads_per_call": round(echo.threads, 2),
        "descriptors_per_call": round((during.descriptors - before.descriptors) / CALLS, 2),
    }
    (BUILD / "forty_calls.json").write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")
    print(f"\nforty calls over TLS, agents speaking all the time: {costs}")
