"""What is said to the agent during a call, from the command line and over AMI."""

from __future__ import annotations

import re

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, wait_talking
from tests.timing import EVENT

TALKER = """\
title = "talker"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:200" }
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


def channel_name(pbx: Instance) -> str:
    """The only channel that there is."""
    found = re.search(r"^(PJSIP/[^!]+)", pbx.cli("core show channels concise"), re.MULTILINE)
    assert found
    return found[1]


MOST_WORDS = 63 - len(("elevenlabs", "send", "message", "CHANNEL")) - 1
"""Of a text: Asterisk takes 63 words of a command, and does not say whether there were more."""


def words(count: int) -> str:
    return " ".join(str(each) for each in range(count))


def check_many_words(pbx: Instance, channel: str) -> None:
    """H4: what Asterisk's command line would cut is not sent, and it is said what to do."""
    for count in (MOST_WORDS + 1, MOST_WORDS + 2, 100):
        for kind in ("message", "context"):
            answer = pbx.cli(f"elevenlabs send {kind} {channel} {words(count)}")
            assert "Not sent: " in answer
            assert "AMI action ElevenLabsSend" in answer
    for text in (words(MOST_WORDS), f'"{words(100)}"'):
        answer = pbx.cli(f"elevenlabs send context {channel} {text}")
        assert "Sent to the agent: context" in answer
    for command in ("show session", "hangup", "debug on", "test agent"):
        assert "Usage: " in pbx.cli(f"elevenlabs {command} {channel} {words(100)}")


def texts(mock: MockAgent) -> list[dict[str, str]]:
    """What the agent was told, in order."""
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    keys = ("type", "text", "score", "event_id")
    return [{key: each[key] for key in keys if key in each} for each in session["texts"]]


def test_from_the_command_line_and_over_ami(pbx: Instance, agent: StartAgent) -> None:
    """H4: a text with too many words, among others."""
    with agent(TALKER) as mock, Ami(pbx) as ami:
        configure(pbx, section("sales_agent", mock.url))
        with Callers(pbx, 1, "sales_agent") as calls:
            calls.wait_up()
            wait_talking(pbx, 1)
            mock.wait_event(lambda e: e["event"] == "transcript", EVENT)
            channel = channel_name(pbx)
            for command, said in (
                (f"message {channel} Good morning", "message"),
                (f"context {channel} The caller pressed 5", "context"),
                (f"activity {channel}", "activity"),
                (f"feedback {channel} like", "feedback"),
            ):
                answer = pbx.cli(f"elevenlabs send {command}")
                assert f"Sent to the agent: {said}" in answer
            check_many_words(pbx, channel)
            for kind, text in (("message", "Grüß: Gott"), ("context", "x"), ("activity", ""),
                               ("feedback", "none")):  # fmt: skip
                got = ami.ask("ElevenLabsSend", Channel=channel, Type=kind, Text=text)
                assert got == {"Response": "Success", "Message": f"Sent to the agent: {kind}"}
            refused = ami.ask("ElevenLabsSend", Channel=channel, Type="feedback", Text="great")
            assert refused["Response"] == "Error"
            assert "like, dislike or none" in refused["Message"]
            calls.hangup_all()
            calls.wait()
        gone = ami.ask("ElevenLabsSend", Channel=channel, Type="activity")
        assert "There is no session on channel" in gone["Message"]
    # S18: at most one a second, whoever asks for it.
    assert mock.report["sessions"][0]["received"]["user_activity"] in (1, 2)
    assert texts(mock) == [
        {"type": "user_message", "text": "Good morning"},
        {"type": "contextual_update", "text": "The caller pressed 5"},
        {"type": "feedback", "event_id": 1, "score": "like"},
        {"type": "contextual_update", "text": words(MOST_WORDS)},
        {"type": "contextual_update", "text": words(100)},
        {"type": "user_message", "text": "Grüß: Gott"},
        {"type": "contextual_update", "text": "x"},
        {"type": "feedback", "event_id": 1, "score": None},
    ]


def test_both_are_documented(pbx: Instance) -> None:
    shown = pbx.cli("manager show command ElevenLabsSend")
    for word in ("Synopsis", "Channel", "Type", "feedback", "Text"):
        assert word in shown, word
    assert "elevenlabs send feedback" in pbx.cli("core show help elevenlabs send")
    assert "ElevenLabsConvAI" in pbx.cli("core show application ElevenLabsConvAI")


def test_the_action_goes_and_comes_with_the_module(pbx: Instance) -> None:
    with Ami(pbx) as ami:
        for _ in range(3):
            assert "Unloaded" in pbx.cli("module unload app_elevenlabs_convai")
            answer = ami.ask("ElevenLabsSend", Channel="x", Type="activity")
            assert "unknown command" in answer["Message"]
            pbx.cli("module load app_elevenlabs_convai")
            answer = ami.ask("ElevenLabsSend", Channel="x", Type="activity")
            assert "There is no session" in answer["Message"]
