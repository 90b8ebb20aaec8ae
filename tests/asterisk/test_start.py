"""How a call begins: URLs fetched ahead, a full service, hosts in turn."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from testbed.callers import place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import DIALPLAN, RESULT, configure, section, wait_result
from tests.timing import MS, SECOND

ULAW = CODECS["ulaw"]
TALKER = """\
title = "talker"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:1500", interruptible = false }
"""
MUTE = 'title = "mute"\n[agents.default]\nformat = "ulaw_8000"\nfirst_message = ""\n'


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


# ---- While connecting ----

SLOW = """\
title = "slow"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:1500", interruptible = false }
faults = [{ name = "delay", stage = "init", ms = 1500 }]
[agents.gone]
like = "default"
faults = [{ name = "close", stage = "open", code = 1011, reason = "boom" }]
"""
OPTIONS = {"plain": "", "first": "c", "ring": "r", "music": "m", "both": "cm"}


@pytest.fixture(scope="module")
def options(asterisk: StartAsterisk) -> Instance:
    """A dialplan with an extension for each option, for the agents slow and gone."""
    lines = [line for name, letters in OPTIONS.items() for line in (
        f"exten => {name},1,ElevenLabsConvAI(slow,{letters})",
        f" same => n,Log(NOTICE,{RESULT}went on)",
    )]  # fmt: skip
    lines += [
        "exten => unanswered,1,ElevenLabsConvAI(gone,c)",
        f" same => n,Log(NOTICE,state ${{CHANNEL(state)}})\n same => n,Log(NOTICE,{RESULT}went on)",
        "exten => greeting,1,ElevenLabsConvAI(slow,g)",
        "exten => noisy,1,Answer()",
        " same => n,Set(JITTERBUFFER(adaptive)=default)",
        " same => n,ExecIf($[${FUNCTION_EXISTS(DENOISE)}]?Set(DENOISE(rx)=on))",
        " same => n,Set(TALK_DETECT(set)=)",
        " same => n,ElevenLabsConvAI(slow)",
        f"exten => h,1,Log(NOTICE,{RESULT}hung up)",
    ]
    return asterisk(dialplan="[callers]\n" + "\n".join(lines) + "\n", elevenlabs="[general]\n")


def caller_side(mock: MockAgent) -> bytes:
    (file,) = Path(mock.folder / "record").glob("0000-*-caller.raw")
    return file.read_bytes()


@pytest.mark.parametrize("name", OPTIONS)
def test_first_words_are_not_lost(options: Instance, agent: StartAgent, name: str) -> None:
    """Whatever the caller hears meanwhile, what they say reaches the agent, and theirs them."""
    with agent(SLOW, record=True) as mock:
        configure(options, section("slow", mock.url))
        said = ULAW.noise(1.0, seed=11)
        start = len(options.log())
        call = place_call(options, name, send=said, hangup_after=4.5)
        assert wait_result(options, start).status == "HANGUP"
    (file,) = Path(mock.folder / "record").glob("0000-*-agent.raw")
    spoken = file.read_bytes()
    assert len(spoken) == ULAW.bytes_in(1.5)
    assert spoken in call.heard
    assert said[-ULAW.bytes_in(0.5) :] in caller_side(mock)
    before = call.heard[: call.heard.index(spoken)]
    heard_something = len(set(before[-ULAW.bytes_in(1.0) :])) > 3
    if name == "ring":
        assert heard_something
    elif name == "plain":
        assert not heard_something


def test_a_failure_leaves_the_channel_unanswered(options: Instance, agent: StartAgent) -> None:
    with agent(SLOW) as mock:
        configure(options, section("gone", mock.url, connect_attempts="1"))
        start = len(options.log())
        place_call(options, "unanswered")
        assert wait_result(options, start).status == "ERROR"
    assert "state Ring" in options.log()[start:]


def test_the_greeting_is_not_interrupted(options: Instance, agent: StartAgent) -> None:
    """The caller speaks over it; the agent hears silence and says it to its end."""
    with agent(SLOW.replace(", interruptible = false", ""), record=True) as mock:
        configure(options, section("slow", mock.url))
        start = len(options.log())
        said = ULAW.noise(3.0, seed=11)
        call = place_call(options, "greeting", send=said, hangup_after=4.5)
        assert wait_result(options, start).status == "HANGUP"
    (file,) = Path(mock.folder / "record").glob("0000-*-agent.raw")
    assert file.read_bytes() in call.heard
    assert mock.report["sessions"][0]["interruptions"] == 0
    assert said[: ULAW.bytes_in(2.5)] not in caller_side(mock)


def test_help_for_noisy_lines(options: Instance, agent: StartAgent) -> None:
    """The dialplan lines of the README, with the functions that this Asterisk has."""
    with agent(SLOW) as mock:
        configure(options, section("slow", mock.url))
        start = len(options.log())
        call = place_call(options, "noisy", send=ULAW.noise(1.0, seed=11), hangup_after=4.0)
        assert wait_result(options, start).status == "HANGUP"
    assert len(call.heard.strip(bytes([ULAW.silence]))) > ULAW.bytes_in(1.0)


@pytest.mark.parametrize(("key", "words"), [("silence_timeout", "silence"), ("agent_timeout", "")])
def test_nobody_speaks(pbx: Instance, agent: StartAgent, key: str, words: str) -> None:
    """The caller's silence counts from the end of the agent's words; a mute agent's at once."""
    mute = SLOW.replace("noise:1:1500", "noise:1:500") if words else MUTE
    with agent(mute) as mock:
        configure(pbx, section("quiet", mock.url, **{key: "2"}))
        start = len(pbx.log())
        place_call(pbx, "quiet", hangup_after=15.0)
        result = wait_result(pbx, start)
    assert (result.status, f"{key} (2 s)" in result.reason) == ("TIMEOUT", True), result
    assert result.went_on


# ---- Another agent ----


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
        call = place_call(pbx, "first", send=said, hangup_after=3.5)
        result = wait_result(pbx, start)
    assert result.status == "HANGUP"
    assert "in place of first, UNREACHABLE" in result.reason, result
    assert result.conversation_id.startswith("conv_")
    assert said in caller_side(mock)
    assert len(call.heard.strip(bytes([ULAW.silence]))) > ULAW.bytes_in(1.0)


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
