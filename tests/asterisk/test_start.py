"""How a call begins: URLs fetched ahead, a full service, hosts in turn."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest

from testbed.callers import place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, wait_result
from tests.timing import MS, SECOND

ULAW = CODECS["ulaw"]


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


def requests(mock: MockAgent) -> list[dict[str, Any]]:
    """What has been asked of the mock so far."""
    with urllib.request.urlopen(f"{mock.url}/mock/report", timeout=5 * SECOND) as answer:
        asked: list[dict[str, Any]] = json.load(answer)["requests"]
    return [one for one in asked if "convai" in one["path"]]


def signed(asked: list[dict[str, Any]]) -> list[bool]:
    """Of each request, whether it was for a signed URL."""
    return ["signed" in one["path"] for one in asked]


def wait_requests(mock: MockAgent, count: int) -> list[dict[str, Any]]:
    until = time.monotonic() + 10 * SECOND
    while len(asked := requests(mock)) < count:
        assert time.monotonic() < until, asked
        time.sleep(20 * MS)
    return asked


def test_a_warm_agent_needs_no_request(pbx: Instance, agent: StartAgent) -> None:
    """The second call begins with the handshake; its successor's URL is fetched behind it."""
    with agent("default") as mock:
        configure(pbx, section("warm", mock.url))
        for calls in (1, 2, 3):
            start = len(pbx.log())
            place_call(pbx, "warm", hangup_after=1.0)
            assert wait_result(pbx, start).status == "HANGUP"
            wait_requests(mock, 1 + 2 * calls)
    assert signed(mock.report["requests"])[:7] == [True, False, True, False, True, False, True]
    assert mock.report["violations"] == 0
    assert "conversation_signature" not in pbx.log()


def test_a_full_service_is_left_alone(pbx: Instance, agent: StartAgent) -> None:
    with agent("faults") as mock:
        configure(pbx, section("http-429", mock.url))
        for words in ("HTTP 429", "is not asked for another"):
            start = len(pbx.log())
            place_call(pbx, "http-429")
            result = wait_result(pbx, start)
            assert (result.status, words in result.reason) == ("LIMIT", True), result
    assert len(mock.report["requests"]) == 1


def test_the_next_host(pbx: Instance, agent: StartAgent) -> None:
    """One that is down, and one that never answers, cost the caller a part of connect_timeout."""
    with agent("faults") as slow, agent("default") as good:
        bases = f"http://127.0.0.1:9, {slow.url}, {good.url}"
        configure(pbx, section("http-silent", bases, connect_timeout="3"))
        start = len(pbx.log())
        call = place_call(pbx, "http-silent", hangup_after=4.0)
        assert wait_result(pbx, start).status == "HANGUP"
    assert set(call.heard) != {ULAW.silence}
    assert len(slow.report["requests"]) == 1
