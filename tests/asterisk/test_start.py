"""How a call begins: URLs fetched ahead, a full service, hosts in turn."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.crowd import wait_results
from tests.asterisk.phone import DIALPLAN, RESULT, configure, section, talk, wait_result
from tests.asterisk.samples import check_heard, is_said
from tests.asterisk.stage import loud_seconds, until
from tests.timing import EVENT, MS, SECOND

ULAW = CODECS["ulaw"]
TALKER = """\
title = "talker"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:1500", interruptible = false }
"""
TWICE = f"""\
exten => twice,1,ElevenLabsConvAI(http-429)
 same => n,Log(NOTICE,{RESULT}went on|once)
 same => n,ElevenLabsConvAI(http-429)
 same => n,Log(NOTICE,{RESULT}went on|again)
 same => n,Hangup()
"""
MUTE = 'title = "mute"\n[agents.default]\nformat = "ulaw_8000"\nfirst_message = ""\n'


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN + TWICE, elevenlabs="[general]\n")


def requests(mock: MockAgent) -> list[dict[str, Any]]:
    """What has been asked of the mock so far."""
    with urllib.request.urlopen(f"{mock.url}/mock/report", timeout=10 * SECOND) as answer:
        asked: list[dict[str, Any]] = json.load(answer)["requests"]
    return [one for one in asked if "convai" in one["path"]]


def signed(asked: list[dict[str, Any]]) -> list[bool]:
    """Of each request, whether it was for a signed URL."""
    return ["signed" in one["path"] for one in asked]


def wait_requests(mock: MockAgent, count: int) -> list[dict[str, Any]]:
    until = time.monotonic() + EVENT
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
            talk(pbx, "warm")
            assert wait_result(pbx, start).status == "HANGUP"
            wait_requests(mock, 1 + 2 * calls)
    assert signed(mock.report["requests"])[:7] == [True, False, True, False, True, False, True]
    assert mock.report["violations"] == 0
    assert "conversation_signature" not in pbx.log()


def test_a_full_service_is_left_alone(pbx: Instance, agent: StartAgent) -> None:
    """For two seconds: the second attempt is made right behind the first."""
    with agent("faults") as mock:
        configure(pbx, section("http-429", mock.url))
        start = len(pbx.log())
        place_call(pbx, "twice")
        found = wait_results(pbx, ["once", "again"], start)
    for name, words in (("once", "HTTP 429"), ("again", "is not asked for another")):
        assert (found[name].status, words in found[name].reason) == ("LIMIT", True), found
    assert len(mock.report["requests"]) == 1


def test_the_next_host(pbx: Instance, agent: StartAgent) -> None:
    """One that is down, and one that never answers, cost the caller a part of connect_timeout."""
    with agent("faults") as slow, agent("default") as good:
        bases = f"http://127.0.0.1:9, {slow.url}, {good.url}"
        configure(pbx, section("http-silent", bases, connect_timeout="15"))
        start = len(pbx.log())
        with Callers(pbx, 1, "http-silent") as calls:
            calls.wait_up()
            until(lambda: loud_seconds(calls[0].so_far().heard) > 0, "no agent")
        assert wait_result(pbx, start).status == "HANGUP"
    assert len(slow.report["requests"]) == 1


SLOW = """\
title = "slow"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:500", interruptible = false }
faults = [{ name = "delay", stage = "init", ms = 1500 }]
"""


@pytest.mark.parametrize(("key", "words"), [("silence_timeout", "silence"), ("agent_timeout", "")])
def test_nobody_speaks(pbx: Instance, agent: StartAgent, key: str, words: str) -> None:
    """The caller's silence counts from the end of the agent's words; a mute agent's at once."""
    with agent(SLOW if words else MUTE) as mock:
        configure(pbx, section("quiet", mock.url, **{key: "2"}))
        start = len(pbx.log())
        place_call(pbx, "quiet")
        result = wait_result(pbx, start)
    assert (result.status, f"{key} (2 s)" in result.reason) == ("TIMEOUT", True), result
    assert result.went_on


# ---- Another agent ----


def caller_side(mock: MockAgent) -> bytes:
    (file,) = Path(mock.folder / "record").glob("0000-*-caller.raw")
    return file.read_bytes()


def test_another_agent_where_the_first_cannot_be_had(pbx: Instance, agent: StartAgent) -> None:
    """In the same application call, with what the caller has said meanwhile; both are named."""
    with agent(TALKER, record=True) as mock:
        configure(
            pbx,
            section("first", "http://127.0.0.1:9", connect_attempts="2", fallback_agent="second")
            + section("second", mock.url),
        )
        said = ULAW.noise(1.0, seed=11)
        start = len(pbx.log())
        with Callers(pbx, 1, "first", send=said) as calls:
            call = calls[0].wait_up()
            until(lambda: loud_seconds(call.so_far().heard) > 1, "no agent")
            until(lambda: is_said(call.so_far(), said), "not said")
        result = wait_result(pbx, start)
    assert result.status == "HANGUP"
    assert "in place of first, UNREACHABLE" in result.reason, result
    assert result.conversation_id.startswith("conv_")
    check_heard(call.recording, said, caller_side(mock))


def test_both_fail(pbx: Instance, agent: StartAgent) -> None:
    with agent("faults") as mock:
        configure(
            pbx,
            section("http-500", mock.url, connect_attempts="1", fallback_agent="http-401")
            + section("http-401", mock.url, fallback_agent="third")
            + section("third", mock.url),
        )
        start = len(pbx.log())
        place_call(pbx, "http-500")
        result = wait_result(pbx, start)
    assert (result.status, "http-401, in place of http-500" in result.reason) == ("AUTH", True)


def test_not_in_mid_conversation(pbx: Instance, agent: StartAgent) -> None:
    with agent("faults") as mock:
        keys = {"fallback_agent": "http-401"}
        configure(pbx, section("reset-greeting", mock.url, **keys) + section("http-401", mock.url))
        start = len(pbx.log())
        place_call(pbx, "reset-greeting")
        result = wait_result(pbx, start)
    assert (result.status, "http-401" in result.reason) == ("ERROR", False), result
