"""Calls with an agent through a real Asterisk, sample for sample."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS, PACKET_MS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import (
    DIALPLAN,
    configure,
    section,
    talk,
    wait_result,
    wait_talking,
)
from tests.asterisk.samples import check_heard, goes_on, held_up, is_said
from tests.asterisk.stage import loud_seconds, until
from tests.planted import KEY
from tests.timing import EVENT, PROMPT, SECOND

ULAW = CODECS["ulaw"]
SILENCE = bytes([ULAW.silence])
REPLY = ULAW.noise(1.0, seed=2)

TALKER = """\
title = "talker"
[agents.default]
pace = 0
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:3000", interruptible = false }
"""

INTERRUPTED = """\
title = "interrupted"
[agents.default]
format = "ulaw_8000"
chunk_ms = 1000
pace = 0
first_message = { text = "A very long greeting.", sound = "noise:1:30000" }
[[agents.default.turns]]
say = { text = "A reply.", sound = "noise:2:1000" }
[[agents.default.turns]]
say = { text = "Farewell.", sound = "noise:3:4000" }
end = true
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


def recorded(mock: MockAgent, side: str) -> bytes:
    """What the mock kept of its first session."""
    (file,) = Path(mock.folder / "record").glob(f"0000-*-{side}.raw")
    return file.read_bytes()


def both_talk(pbx: Instance, said: bytes) -> Call:
    """A call in which the agent says all that it has to say, and its caller too."""
    with Callers(pbx, 1, "sales_agent", send=said) as calls:
        until(lambda: is_said(calls[0].so_far(), said), "not said")
        until(lambda: loud_seconds(calls[0].so_far().heard) > 2.9, "not heard")
        until(lambda: set(calls[0].so_far().heard[-ULAW.bytes_in(0.1) :]) == set(SILENCE), "no end")
        calls.hangup_all()
        calls.wait()
    return calls[0]


def test_every_sample_arrives_in_both_directions(pbx: Instance, agent: StartAgent) -> None:
    """mu-law on both sides: nothing is lost, changed, repeated or put out of place."""
    with agent(TALKER, record=True) as mock:
        configure(pbx, section("sales_agent", mock.url))
        said = ULAW.noise(3.0, seed=11)
        start = len(pbx.log())
        call = both_talk(pbx, said)
        result = wait_result(pbx, start)
    assert result.status == "HANGUP"
    assert not result.went_on
    assert result.conversation_id.startswith("conv_")
    spoken = recorded(mock, "agent")
    assert len(spoken) == ULAW.bytes_in(3.0)
    assert spoken in call.heard
    assert set(call.heard.replace(spoken, b"")) == set(SILENCE)
    assert goes_on(call.recording), call.recording.gaps
    check_heard(call.recording, said, recorded(mock, "caller"))
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    assert session["close_code"] == 1000
    assert session["closed_by"] == "client"


def test_the_first_message_of_the_client_tells_who_calls(pbx: Instance, agent: StartAgent) -> None:
    with agent(TALKER) as mock:
        configure(pbx, section("sales_agent", mock.url))
        talk(pbx, "sales_agent")
    (session,) = mock.report["sessions"]
    variables = session["dynamic_variables"]
    assert variables["called_number"] == "sales_agent"
    assert variables["channel"].startswith("PJSIP/")
    assert re.fullmatch(r"\d+\.\d+", variables["unique_id"])
    assert variables["linked_id"] == variables["unique_id"]
    assert variables["caller_number"]


def stale_frames_after(call_bytes: bytes, stale: bytes) -> int:
    """How many whole frames of `stale` are in what was heard."""
    size = ULAW.packet_bytes
    frames = {stale[at : at + size] for at in range(0, len(stale), size)}
    return sum(call_bytes[at : at + size] in frames for at in range(0, len(call_bytes), size))


def test_interruption_reply_and_farewell(pbx: Instance, agent: StartAgent) -> None:
    """Barge-in silences the agent at once; the reply is whole; the farewell is not cut."""
    with agent(INTERRUPTED, record=True) as mock:
        configure(pbx, section("sales_agent", mock.url, debug="yes"))
        start = len(pbx.log())
        with Callers(pbx, 1, "sales_agent") as calls:
            calls.wait_up()
            call = calls[0]
            until(lambda: loud_seconds(call.so_far().heard) > 2, "no greeting")
            call.say(ULAW.noise(1.5, seed=3))
            interrupted = pbx.wait_log(
                r"\[([-\d]+ [:.\d]+)\][^\n]*<- \{\"type\":\"interruption\"", start=start
            )
            until(lambda: REPLY in call.so_far().heard, "no reply")
            call.say(ULAW.noise(0.8, seed=4))
            calls.wait(30 * SECOND)
        result = wait_result(pbx, start)
    assert result.status == "AGENT_ENDED", result
    assert result.went_on
    sent = recorded(mock, "agent")
    greeting, reply, farewell = (
        sent[: ULAW.bytes_in(30.0)],
        sent[ULAW.bytes_in(30.0) : ULAW.bytes_in(31.0)],
        sent[ULAW.bytes_in(31.0) :],
    )
    assert len(farewell) == ULAW.bytes_in(4.0)
    assert reply == REPLY
    assert farewell in call.heard, "the farewell was cut"
    begin = call.heard.find(greeting[: 50 * ULAW.packet_bytes])
    assert begin >= 0
    heard_of_greeting = stale_frames_after(call.heard, greeting)
    whole = heard_of_greeting * ULAW.packet_bytes
    assert call.heard[begin : begin + whole] == greeting[:whole], "gaps or repeats"
    # The module logs a message just before it acts on it. Both clocks are this machine's. How many
    # milliseconds that takes is measured in test_latency.py; half a minute more was queued here.
    flushed_at = time.mktime(time.strptime(interrupted[1][:19], "%Y-%m-%d %H:%M:%S")) + float(
        interrupted[1][19:]
    )
    to_wall = time.time() - time.monotonic()
    frames = {greeting[at : at + 160] for at in range(0, len(greeting), 160)}
    last = max(p.at for p in call.recording.audio if p.payload in frames) + to_wall
    assert last - flushed_at <= PROMPT
    (session,) = mock.report["sessions"]
    assert session["interruptions"] == 1
    assert session["violations"] == []


def test_wideband_agent_on_a_narrowband_channel(pbx: Instance, agent: StartAgent) -> None:
    """pcm_16000 is obeyed: Asterisk translates, and both sides hear speech of the right length."""
    scenario = TALKER.replace("ulaw_8000", "pcm_16000")
    with agent(scenario, record=True) as mock:
        configure(pbx, section("sales_agent", mock.url))
        said = ULAW.noise(3.0, seed=11)
        call = both_talk(pbx, said)
    (session,) = mock.report["sessions"]
    assert session["input_format"] == "pcm_16000"
    assert session["violations"] == []
    heard = len(call.heard.strip(SILENCE)) / 8000
    assert heard == pytest.approx(3.0, abs=0.1)
    late_ms = PACKET_MS * sum(held_up(call.recording))
    assert 3000 - 200 - late_ms <= session["heard_speech_ms"] <= 3000 + 200


def test_silence_goes_up_while_the_caller_sends_nothing(pbx: Instance, agent: StartAgent) -> None:
    """A muted telephone must not stop the agent, which only advances on audio."""
    with agent(TALKER) as mock:
        configure(pbx, section("sales_agent", mock.url))
        with Callers(pbx, 1, "sales_agent") as calls:
            calls.wait_up()
            mock.wait_event(lambda e: e["event"] == "transcript", EVENT)
            calls[0].mute()
            until(lambda: silence_seconds(pbx) > 2, "no silence in place of it")
            calls[0].unmute()
            calls.hangup_all()
            calls.wait()
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    # Of the whole conversation, and of what came before it.
    from_there_on = session["duration_ms"] - session["stream"]["first_ms"]
    assert from_there_on - 500 <= session["heard_ms"] <= session["duration_ms"] + 500


def silence_seconds(pbx: Instance) -> float:
    """How much silence the agent has heard in place of the caller's audio."""
    shown = pbx.cli(f"elevenlabs show session {channel_name(pbx)}")
    found = re.search(r"([\d.]+) s silence in place of missing audio", shown)
    assert found, shown
    return float(found[1])


def channel_name(pbx: Instance) -> str:
    """The only channel that there is."""
    found = re.search(r"^(PJSIP/\S+)", pbx.cli("core show channels concise"), re.MULTILINE)
    assert found
    return found[1].partition("!")[0]


def test_the_cli_during_a_call(pbx: Instance, agent: StartAgent) -> None:
    with agent(TALKER) as mock:
        configure(pbx, section("sales_agent", mock.url, api_key=KEY))
        with Callers(pbx, 1, "sales_agent") as calls:
            wait_talking(pbx, 1)
            agents = pbx.cli("elevenlabs show agents")
            sessions = pbx.cli("elevenlabs show sessions")
            details = pbx.cli(f"elevenlabs show session {channel_name(pbx)}")
            assert re.search(
                r"^sales_agent +sales_agent +127\.0\.0\.1:\d+ .* 1 +\d+$", agents, re.M
            )
            assert re.search(r"^PJSIP/\S+ +sales_agent +conv_\w+ +talking", sessions, re.M)
            said = pbx.cli(f"elevenlabs hangup {channel_name(pbx)}")
            calls.wait()
    assert KEY not in agents + sessions + details + said
    assert calls[0].ended_by == "asterisk"
    assert re.search(r"^sales_agent .* 0 +\d+$", pbx.cli("elevenlabs show agents"), re.M)


def test_debug_can_be_switched(pbx: Instance, agent: StartAgent) -> None:
    """On: every message with the channel's name, without audio and key. Off: nothing."""
    with agent(TALKER) as mock:
        configure(pbx, section("sales_agent", mock.url, api_key=KEY))
        lengths = []
        for switch in ("on", "off"):
            pbx.cli(f"elevenlabs debug {switch}")
            start = len(pbx.log())
            talk(pbx, "sales_agent")
            wait_result(pbx, start)
            lengths.append(len(re.findall(r"PJSIP/\S+: (?:<-|->) \{", pbx.log()[start:])))
    assert lengths[0] > 3
    assert lengths[1] == 0
    assert KEY not in pbx.log()
    assert "conversation_signature" not in pbx.log()


def test_application_and_commands_are_documented(pbx: Instance) -> None:
    shown = pbx.cli("core show application ElevenLabsConvAI")
    for word in ("Synopsis", "Syntax", "Arguments", "ELEVENLABSSTATUS", "ELEVENLABSREASON",
                 "ELEVENLABSCONVERSATIONID", "ELEVENLABS_VAR_", "ELEVENLABS_OVERRIDE_",
                 "AGENT_ENDED", "HANGUP", "TRANSFER", "TIMEOUT", "LIMIT", "NOAGENT", "AUTH",
                 "REJECTED", "UNREACHABLE", "ERROR", "UNLOADED"):  # fmt: skip
        assert word in shown, word
    for command in (
        "show agents",
        "show sessions",
        "show stats",
        "show version",
        "reload",
        "debug",
    ):
        usage = pbx.cli(f"core show help elevenlabs {command}")
        assert f"elevenlabs {command}" in usage
        assert "No such command" not in usage
    version = pbx.cli("elevenlabs show version")
    assert all(word in version for word in ("Module:", "Engine:", "Python:", "Asterisk:"))
