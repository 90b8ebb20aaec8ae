"""Tools that the agent calls in a real call, and what AMI tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.rtp import CODECS
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, wait_result
from tests.timing import EVENT, PROMPT

ULAW = CODECS["ulaw"]
FAREWELL_SECONDS = 2.0
SAYS_GOODBYE = """\
title = "says goodbye with a tool"
[agents.default]
format = "ulaw_8000"
pace = 0
faults = [{ name = "tool_call_again", stage = "tool" }]
first_message = { text = "Hello.", sound = "noise:1:300", interruptible = false }
[[agents.default.turns]]
wait_ms = 0
say = { text = "Goodbye.", sound = "noise:2:2000", interruptible = false }
tool = { name = "end_call", parameters = { reason = "all is said" }, timeout_ms = 5000 }
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


def test_the_agent_ends_the_call_with_its_tool(pbx: Instance, agent: StartAgent) -> None:
    """Its farewell is heard to the end, the dialplan goes on, and AMI tells of both ends."""
    with agent(SAYS_GOODBYE, record=True) as mock, Ami(pbx, events="call") as ami:
        configure(pbx, section("sales_agent", mock.url))
        start = len(pbx.log())
        call = place_call(pbx, "sales_agent")
        result = wait_result(pbx, start)
        began = ami.wait_event("ElevenLabsStart")
        ended = ami.wait_event("ElevenLabsEnd")
    assert (result.status, result.went_on) == ("AGENT_ENDED", True)
    assert result.reason == "the agent ended the conversation with its tool end_call"
    assert result.detail == "all is said"
    (file,) = Path(mock.folder / "record").glob("0000-*-agent.raw")
    said = file.read_bytes()
    assert len(said) == ULAW.bytes_in(0.3 + FAREWELL_SECONDS)
    # A busy machine may leave silence between the two.
    farewell = said[ULAW.bytes_in(0.3) :]
    assert farewell in call.heard, "the farewell was cut"
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    assert (session["close_code"], session["closed_by"]) == (1000, "client")
    (told,) = session["tool_results"]
    assert told["is_error"] is False
    variables = session["dynamic_variables"]
    for event in (began, ended):
        assert event["Channel"] == variables["channel"]
        assert event["Uniqueid"] == variables["unique_id"]
        assert event["Linkedid"] == variables["linked_id"]
        assert event["Privilege"] == "call,all"
        assert event["Agent"] == "sales_agent"
        assert event["ConversationId"] == result.conversation_id
    assert (ended["Status"], ended["Reason"]) == (result.status, result.reason)
    assert ended["Detail"] == "all is said"
    assert FAREWELL_SECONDS <= int(ended["Duration"]) < 2 * FAREWELL_SECONDS + PROMPT


def test_a_tool_that_the_agent_may_not_call(pbx: Instance, agent: StartAgent) -> None:
    """The call goes on: it ends by the caller. The agent is told."""
    with agent(SAYS_GOODBYE) as mock:
        configure(pbx, section("sales_agent", mock.url, tools="none"))
        start = len(pbx.log())
        with Callers(pbx, 1, "sales_agent"):
            mock.wait_event(lambda e: e["event"] == "tool_result", EVENT)
        assert wait_result(pbx, start).status == "HANGUP"
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    (told,) = session["tool_results"]
    assert told["is_error"] is True
    assert "no tool named end_call" in told["result"]


def test_an_agent_that_could_not_be_had_has_an_end_alone(pbx: Instance) -> None:
    configure(pbx, "[general]\n")
    with Ami(pbx, events="call") as ami:
        start = len(pbx.log())
        place_call(pbx, "nobody", hangup_after=1.0)
        event = ami.wait_event("ElevenLabsStart", "ElevenLabsEnd")
    assert (event["Event"], event["Status"]) == ("ElevenLabsEnd", "NOAGENT")
    assert (event["Agent"], event["ConversationId"], event["Duration"]) == ("nobody", "", "0")
    assert event["Channel"].startswith("PJSIP/")
    assert wait_result(pbx, start).status == "NOAGENT"


def test_channel_variables_of_manager_conf_are_in_the_events(pbx: Instance) -> None:
    """Each has a line, as in Asterisk's own events."""
    conf = Path(pbx.etc) / "manager.conf"
    before = conf.read_text(encoding="utf-8")
    conf.write_text(f"{before}\n[general](+)\nchannelvars = ELEVENLABSSTATUS,ELEVENLABSREASON\n")
    pbx.cli("manager reload")
    try:
        with Ami(pbx, events="call") as ami:
            place_call(pbx, "nobody", hangup_after=1.0)
            ended = ami.wait_event("ElevenLabsEnd")
            own = ami.wait_event("Hangup")
    finally:
        conf.write_text(before)
        pbx.cli("manager reload")
    assert ended["ChanVariable"] == own["ChanVariable"]
    assert ended["ChanVariable"].startswith("ELEVENLABSSTATUS=NOAGENT\nELEVENLABSREASON=there is")


def test_the_events_are_documented(pbx: Instance) -> None:
    for name, field in (("ElevenLabsStart", "ConversationId"), ("ElevenLabsEnd", "Duration")):
        shown = pbx.cli(f"manager show event {name}")
        assert "Synopsis" in shown, shown
        assert f"{field}:" in shown, shown


def test_events_after_the_module_has_gone(pbx: Instance) -> None:
    """What waits to be told when it is unloaded refers to nothing of it."""
    with Ami(pbx, events="call") as ami:
        for _ in range(3):
            place_call(pbx, "nobody", hangup_after=0.5)
            assert "Unloaded" in pbx.cli("module unload app_elevenlabs_convai")
            assert ami.wait_event("ElevenLabsEnd")["Agent"] == "nobody"
            pbx.cli("module load app_elevenlabs_convai")
