"""What the agent, and people at the command line, are told of hold, transfers, digits and time.

All calls are up at once, each with an agent of its own, and go through the same steps: `play` says
which. The tests look at what came of it. test_telephones.py has what is heard in each flow.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testbed.call import Call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.telephones import Telephones
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section, wait_talking
from tests.asterisk.samples import check_heard
from tests.timing import EVENT, MS

ULAW = CODECS["ulaw"]
MUSIC = ULAW.noise(60.0, seed=31)
"""What a telephone sends while it holds."""

FIRST, THEN = ULAW.noise(0.5, seed=32), ULAW.noise(0.5, seed=33)
HELD_SECONDS = 2
"""As many `user_activity` come while the talker is held, before the telephones go on."""

AGENTS = """\
title = "hold"
[agents.default]
format = "ulaw_8000"
turns = []
[agents.talker]
like = "default"
first_message = { text = "Noise.", sound = "noise:1:20000", interruptible = false }
turn_taking = { end_of_turn_ms = 200, barge_in_ms = 10000 }
turns = [{ say = { text = "Noise.", sound = "noise:2:1000" } }]
[agents.slow]
like = "default"
pace = 0
turns = [{ say = { text = "Noise.", sound = "noise:3:300", delay_ms = 2000 } }]
"""
GREETING = ULAW.noise(20.0, seed=1)
REPLY = ULAW.noise(1.0, seed=2)

DIALPLAN = """\
[callers]
exten => desk,1,Dial(${desk})
exten => queue,1,Dial(Local/queued@callers/nm)
exten => _[a-z].,1,Set(AGENT=${EXTEN})
 same => n,ElevenLabsConvAI(${EXTEN})
exten => h,1,Log(NOTICE,over|${AGENT}|${ELEVENLABSSTATUS}|${ELEVENLABSREASON}|${ELEVENLABSDTMF}|)
"""


@dataclass
class Scene:
    """What came of all calls, by agent."""

    log: str
    sessions: dict[str, dict[str, Any]]
    folder: Path
    calls: dict[str, Call] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    """How many seconds a call was held, at most."""
    quiet: dict[str, int] = field(default_factory=dict)
    """What the talker's caller has heard of it: when held, and when the hold was over."""
    unheld_at: float = 0.0
    """When the telephone that rings the queue began to take its hold back (time.monotonic())."""
    shown: str = ""
    """The talker's session while it was held."""

    def heard(self, agent: str) -> bytes:
        """All that the agent has heard."""
        number = self.sessions[agent]["conversation_id"]
        (file,) = (self.folder / "record").glob(f"*-{number}-caller.raw")
        return file.read_bytes()

    def told(self, agent: str) -> list[str]:
        """Texts beside audio."""
        return [text["text"] for text in self.sessions[agent]["texts"]]


def noisy(heard: bytes, said: bytes) -> int:
    """How many pieces of 20 ms of what was said are in what was heard."""
    return sum(said[at : at + 160] in heard for at in range(0, len(said), 160))


def sections(url: str) -> str:
    keys: dict[str, dict[str, str]] = {
        "consulted": {},
        "talker": {"debug": "yes"},
        "slow": {"silence_timeout": "1"},
        "queued": {},
        "digits": {"dtmf_timeout_ms": "500"},
    }
    return "".join(section(name, url, **more) for name, more in keys.items())


@pytest.fixture(scope="module")
def scene(asterisk: StartAsterisk, root: Root) -> Scene:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    with (
        MockAgent(root, AGENTS, record=True) as mock,
        Telephones(pbx) as phones,
    ):
        said = configure(pbx, sections(mock.url))
        assert "reloaded successfully" in said, said
        scene = Scene("", {}, Path(mock.folder))
        play(pbx, phones, scene)
        for leg in phones.legs:
            if leg.ended_at is None:
                leg.hangup()
        pbx.wait_no_channels()
        mock.stop()
        scene.log = pbx.log()
        scene.sessions = {each["agent_id"]: each for each in mock.report["sessions"]}
    return scene


def play(pbx: Instance, phones: Telephones, scene: Scene) -> None:
    """Place all calls; hold, transfer, go on."""
    customer, desk = phones.phone("customer", "5550101"), phones.phone("desk")
    calls: dict[str, Any] = {}
    calls["slow"] = customer.call("slow")
    calls["desk"] = customer.call("desk")
    calls["talker"] = customer.call("talker")
    calls["consulted"] = desk.call("consulted")
    for name in ("digits", "queue"):
        calls[name] = customer.call(name)
    for leg in calls.values():
        leg.wait_up()
    at_desk = desk.wait_call()
    wait_talking(pbx, len(calls) - 1)  # the desk has none

    began = time.monotonic()
    for name in ("talker", "consulted", "queue"):
        assert calls[name].hold() == 200
        calls[name].say(MUSIC)
    at_desk.hold()
    calls["digits"].press("12345")
    calls["slow"].say(FIRST)

    scene.quiet["held"] = noisy(calls["talker"].so_far().heard, GREETING)
    wait_told(pbx, HELD_SECONDS)
    channel = re.search(r"^(PJSIP\S+) +talker ", pbx.cli("elevenlabs show sessions"), re.MULTILINE)
    assert channel
    scene.shown = pbx.cli(f"elevenlabs show session {channel[1]}")

    assert at_desk.transfer_to(calls["consulted"]) == 200
    scene.quiet["over"] = noisy(calls["talker"].so_far().heard, GREETING)
    assert calls["talker"].unhold() == 200
    scene.held["talker"] = time.monotonic() - began
    scene.unheld_at = time.monotonic()
    assert calls["queue"].unhold() == 200
    calls["desk"].say(THEN)
    wait_heard(pbx, "consulted", THEN)
    pbx.wait_log(r"over\|slow\|TIMEOUT")
    scene.calls = calls


def wait_told(pbx: Instance, count: int) -> None:
    """Wait until the talker has been told so often that somebody is there."""
    until = time.monotonic() + EVENT
    while pbx.log().count('-> {"type":"user_activity"}') < count:
        assert time.monotonic() < until, pbx.log()[-2000:]
        time.sleep(20 * MS)


def wait_heard(pbx: Instance, agent: str, said: bytes) -> None:
    """Wait until the agent has been given this much since now."""

    def pushed() -> float:
        shown = pbx.cli("elevenlabs show sessions")
        found = re.search(rf"(?m)^\S+ +{agent} .* (\d+\.\d) s +\d+\.\d s +\d+\.\d s *$", shown)
        assert found, shown
        return float(found[1])

    enough = pushed() + len(said) / 8000 + 0.3
    until = time.monotonic() + EVENT
    while pushed() < enough:
        assert time.monotonic() < until
        time.sleep(20 * MS)


def test_an_attended_transfer_ends_the_hold(scene: Scene) -> None:
    """L8: the desk consults the agent, holds that leg, and sends REFER with Replaces."""
    heard = scene.heard("consulted")
    check_heard(scene.calls["desk"].recording, THEN, heard)
    assert not noisy(heard, MUSIC)
    assert scene.told("consulted") == [
        "The call has been moved to another telephone, whose number is 5550101."
    ]


def test_the_agent_is_kept_quiet(scene: Scene) -> None:
    """L11: it is told every second that somebody is there, and its audio is dropped."""
    received = scene.sessions["talker"]["received"]
    assert HELD_SECONDS <= received["user_activity"] <= scene.held["talker"] + 1
    assert "the caller holds now" in scene.shown
    # Asterisk has written down what it was asked for before the last of it has come.
    assert scene.quiet["over"] - scene.quiet["held"] <= 2
    loud = noisy(scene.calls["talker"].so_far().heard, GREETING)
    assert 0 < loud < len(GREETING) / 160 - 1 / 0.02
    assert scene.sessions["talker"]["violations"] == []


def test_hold_through_a_local_channel(scene: Scene) -> None:
    """L8: with the options nm a Local channel hands hold on, and adds no music."""
    heard = scene.heard("queued")
    assert noisy(heard, MUSIC)
    music = {MUSIC[at : at + 160] for at in range(0, len(MUSIC), 160)}
    sent = [each for each in scene.calls["queue"].recording.packets_sent if each.payload in music]
    held = [each.payload for each in sent if each.at < scene.unheld_at]
    assert len(held) > 1 / 0.02
    assert not any(each in heard for each in held)


def test_digits_that_are_pressed_fast(scene: Scene) -> None:
    """S18."""
    session = scene.sessions["digits"]
    assert scene.told("digits") == ["12345"]
    assert 1 <= session["received"]["user_activity"] <= 3  # five digits take a second or two


def test_an_agent_that_takes_its_time(scene: Scene) -> None:
    """S19: it needs longer for its answer than the caller may be silent."""
    assert "over|slow|TIMEOUT|silence_timeout (1 s)" in scene.log
    heard = scene.calls["slow"].so_far().heard
    assert ULAW.noise(0.3, seed=3) in heard
