"""The client in C that is the benchmark's floor says and hears what any client does."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from testbed.bench_loop import client
from testbed.errors import TestbedError
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.tls import Certificate, certificate
from tests.asterisk.conftest import StartAgent
from tests.asterisk.stage import until
from tests.timing import EVENT, SECOND

CALLS = 3
CHUNKS = 20
"""Of each call's audio."""

PIECE_BYTES = 1000
SCENARIO = """\
title = "bench_loop"
[agents.default]
format = "ulaw_8000"
ping_interval_ms = 100
chunk_ms = 125
when_done = "repeat"
[[agents.default.turns]]
wait_ms = 100
say = { text = "Noise.", sound = "noise:1:500", interruptible = false }
"""


@pytest.mark.parametrize("chunk_ms", [20, 100])
def test_its_conversations_are_in_order(
    root: Root, agent: StartAgent, tls: Certificate, chunk_ms: int
) -> None:
    done = Counter[str]()
    limit = time.monotonic() + EVENT
    with agent(SCENARIO, tls=tls) as mock:
        with client(root, mock.url, root.path(tls.ca), CALLS, chunk_ms) as told:
            while done["received"] < CALLS or not done["pongs"] or done["sent"] < CALLS * CHUNKS:
                assert time.monotonic() < limit, done
                time.sleep(0.1 * SECOND)
                since = told()
                assert since["seconds"] > 0 < since["us"]
                assert (since["uplink_p99_ms"] > 0) == (since["sent"] > 0)
                done.update(since)
        until(lambda: closed(mock) == CALLS, "all conversations to be closed")
    sessions = mock.report["sessions"]
    assert [session["violations"] for session in sessions] == [[]] * CALLS
    assert {session["close_code"] for session in sessions} == {1000}
    for session in sessions:
        assert session["stream"]["audio_ms"] == session["stream"]["chunks"] * chunk_ms
        assert not session["heard_speech_ms"]
    assert done["audio_bytes"] == PIECE_BYTES * done["received"]


def closed(mock: MockAgent) -> int:
    """How many conversations are over."""
    return sum(event["event"] == "closed" for event in mock.events())


def test_it_says_why_it_has_ended(root: Root, agent: StartAgent, tls: Certificate) -> None:
    other = certificate(root, "tls-other")
    with (
        agent(SCENARIO, tls=tls) as mock,
        pytest.raises(TestbedError, match="no connection"),
        client(root, mock.url, root.path(other.ca), 1, 20),
    ):
        pass
