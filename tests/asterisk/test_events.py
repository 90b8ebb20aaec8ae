"""What programs are told and can do over AMI and ARI, in several calls at once.

One agent is interrupted, one calls a tool of the dialplan. Both are called together; what an AMI
client and an application of ARI were told is compared. Last, a program of others has a call.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from panoramisk import Manager
from panoramisk.message import Message
from websockets.sync.client import ClientConnection, connect

from testbed.ami import Ami
from testbed.call import Call
from testbed.callers import Callers
from testbed.config import MANAGER_SECRET, MANAGER_USER
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS, PACKET_MS
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import crowd
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.samples import held_up
from tests.asterisk.stage import loud_seconds, packets_of, until
from tests.timing import EVENT, SECOND
from tests.unit.test_events_page import COMMON as DOCUMENTED
from tests.unit.test_events_page import EVENTS

ULAW = CODECS["ulaw"]
HEARD_FIRST = 1.5
"""Seconds in which the caller listens."""
SERVICE = """\
title = "events"
[agents.default]
format = "ulaw_8000"
first_message = { text = "A long greeting of six words.", sound = "noise:1:20000" }
turns = [
    { say = { text = "A reply.", sound = "noise:2:300", interruptible = false } },
    { wait_ms = 0, say = { text = "Farewell.", sound = "noise:3:300" }, end = true },
]
[agents.interrupted]
like = "default"
[agents.pays]
like = "default"
first_message = { text = "Hello.", sound = "noise:4:300", interruptible = false }
[[agents.pays.turns]]
wait_ms = 0
tool = { name = "pay", parameters = { amount = "5" }, timeout_ms = 20000 }
say_after_tool = { text = "Paid.", sound = "noise:5:300", interruptible = false }
end = true
"""
AGENTS = ("interrupted", "pays")
STEPS = """
[elevenlabs-steps]
exten => pay,1,Wait(0.5)
 same => n,Return(paid)
"""
CLASSES = ("call", "reporting", "system", "dialplan")
ARI = f"""
[general]
enabled = yes
[watcher]
type = user
password = {MANAGER_SECRET}
"""


@dataclass
class Told:
    """What came of the calls."""

    pbx: Instance
    mock: MockAgent
    ami: list[dict[str, str]]
    ari: list[dict[str, Any]]
    greeted_ms: float
    """For how long the caller who interrupts has heard the greeting."""
    late_ms: float
    """How much of what that caller has said was late."""

    def of(self, agent: str, *names: str) -> list[dict[str, str]]:
        """Our events of one call, in order."""
        return [
            event
            for event in self.ami
            if event.get("Agent") == agent
            and event.get("Event", "").startswith("ElevenLabs")
            and (not names or event["Event"] in names)
        ]


def ari_events(socket: ClientConnection) -> list[dict[str, Any]]:
    """All user events, up to the end of each conversation."""
    found = list[dict[str, Any]]()
    while [event["eventname"] for event in found].count("ElevenLabsEnd") < len(AGENTS):
        event = json.loads(socket.recv(timeout=EVENT))
        if event["type"] == "ChannelUserevent":
            found.append(event)
    return found


@pytest.fixture(scope="module")
def told(asterisk: StartAsterisk, root: Root) -> Iterator[Told]:
    pbx = asterisk(dialplan=DIALPLAN + STEPS, elevenlabs="[general]\n", files={"ari.conf": ARI})
    manager = pbx.etc / "manager.conf"
    users = "".join(
        f"[{name}]\nsecret = {MANAGER_SECRET}\nread = {name}\nwrite = {name}\n" for name in CLASSES
    )
    manager.write_text(manager.read_text() + users)
    pbx.cli("manager reload")
    url = f"ws://127.0.0.1:{pbx.ports.http}/ari/events?app=watch&subscribeAll=true"
    url += f"&api_key=watcher:{MANAGER_SECRET}"
    with (
        MockAgent(root, SERVICE) as mock,
        Ami(pbx, "on") as ami,
        connect(url, close_timeout=1 * SECOND) as ari,
    ):
        keys = {"tools": "*", "transcripts": "events", "ari_events": "yes"}
        conf = "".join(section(name, mock.url, **keys) for name in AGENTS)
        configure(pbx, conf)
        with crowd(pbx, AGENTS) as calls:
            call = calls.calls["interrupted"]
            until(lambda: loud_seconds(call.so_far().heard) > HEARD_FIRST, "no greeting")
            call.say(ULAW.noise(1.0, seed=9))
            calls.outcomes()
        pbx.wait_no_channels()
        greeted_ms = PACKET_MS * packets_of(ULAW.noise(20.0, seed=1), call.heard)
        late_ms = PACKET_MS * sum(held_up(call.recording))
        events = ami.events("Hangup", len(AGENTS))
        yield Told(pbx, mock, events, ari_events(ari), greeted_ms, late_ms)


BY_ENGINE = {f"ElevenLabs{name}" for name in ("Transcript", "Spoken", "Interruption", "Tool")}
COMMON = ("Channel", "Uniqueid", "Linkedid", "Agent", "ConversationId", "Time")


def test_all_have_the_same_fields(told: Told) -> None:
    """Those of the channel, and Agent, ConversationId and Time; the engine's and ours in order."""
    for agent in AGENTS:
        events = told.of(agent)
        assert [events[0]["Event"], events[-1]["Event"]] == ["ElevenLabsStart", "ElevenLabsEnd"]
        for event in events:
            assert all(event[name] for name in COMMON), event
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["Time"])
        assert len({tuple(event[name] for name in COMMON[:-1]) for event in events}) == 1
        # What the engine tells of is on its way for a moment.
        for is_told in (True, False):
            times = [each["Time"] for each in events if (each["Event"] in BY_ENGINE) == is_told]
            assert times == sorted(times), events


def test_a_call_that_is_interrupted(told: Told) -> None:
    names = [event["Event"].removeprefix("ElevenLabs") for event in told.of("interrupted")]
    assert [name for name in names if name != "Transcript"] == [
        *("Start", "Interruption", "Spoken", "Spoken", "Quality", "End")
    ]
    (interruption,) = told.of("interrupted", "ElevenLabsInterruption")
    assert abs(int(interruption["HeardMs"]) - told.greeted_ms) < 100
    spoken = told.of("interrupted", "ElevenLabsSpoken")
    assert [event["LengthMs"] for event in spoken] == ["300", "300"]
    words = told.of("interrupted", "ElevenLabsTranscript")
    greeting = next(w for w in words if w["Final"] == "1" and w["Speaker"] == "agent")
    assert greeting["Text"] == "A long greeting of six words."
    assert greeting["Heard"] in ("", "A")
    assert (greeting["HeardMs"], greeting["ResponseId"]) == (
        interruption["HeardMs"], interruption["ResponseId"],
    )  # fmt: skip
    finals = [w for w in words if w["Speaker"] == "agent" and w["Final"] == "1"]
    assert [w["Heard"] for w in finals[1:]] == ["A reply.", "Farewell."]
    assert any(w["Speaker"] == "caller" and w["Final"] == "1" for w in words)


def test_the_end_sums_up(told: Told) -> None:
    (end,) = told.of("interrupted", "ElevenLabsEnd")
    assert (end["Status"], end["Turns"], end["Interruptions"]) == ("AGENT_ENDED", "3", "1")
    assert (end["Steps"], end["EventsLeftOut"], end["Queued"]) == ("0", "0", "0")
    (interruption,) = told.of("interrupted", "ElevenLabsInterruption")
    assert abs(int(end["AgentSpokeMs"]) - int(interruption["HeardMs"]) - 600) < 100
    assert 800 - told.late_ms <= int(end["CallerSpokeMs"]) <= 1100
    assert int(end["TalkedMs"]) > 2000
    assert int(end["Duration"]) >= int(end["TalkedMs"]) // 1000


def test_the_line(told: Told) -> None:
    """By RTCP: a call in the testbed has a good one; what no report has told of is empty."""
    for name in ("ElevenLabsQuality", "ElevenLabsEnd"):
        (event,) = told.of("interrupted", name)
        assert 0 <= float(event["JitterMs"]) < 100
        assert float(event["LossPercent"]) == 0
        assert 4 < float(event["Mos"]) < 4.5
        assert {"RemoteJitterMs", "RemoteLossPercent", "RoundTripMs"} <= event.keys()


def test_a_tool_of_the_dialplan(told: Told) -> None:
    names = ("ElevenLabsTool", "ElevenLabsStep")
    shown = [(event["Event"], event["Tool"], event["State"]) for event in told.of("pays", *names)]
    assert shown == [
        ("ElevenLabsTool", "pay", "called"),
        ("ElevenLabsStep", "pay", "begun"),
        ("ElevenLabsStep", "pay", "done"),
        ("ElevenLabsTool", "pay", "done"),
    ]
    step, tool = told.of("pays", *names)[2:]
    assert 500 <= int(step["ElapsedMs"]) <= int(tool["ElapsedMs"]) < 10_000
    assert tool["Where"] == "here"
    assert told.of("pays", "ElevenLabsEnd")[0]["Steps"] == "1"


def test_an_application_of_ari_is_told_the_same(told: Told) -> None:
    """As user events of the channel; AMI has them twice then."""
    for agent in AGENTS:
        user = [each for each in told.ari if each["userevent"].get("Agent") == agent]
        direct = told.of(agent)
        assert [each["eventname"] for each in user] == [event["Event"] for event in direct]
        for each, event in zip(user, direct, strict=True):
            fields = each["userevent"]
            assert fields["Time"] == event["Time"]
            assert fields.items() - {("eventname", each["eventname"])} <= event.items()
            assert each["channel"]["id"] == fields["Uniqueid"]
    doubled = [event for event in told.ami if event.get("Event") == "UserEvent"]
    assert len(doubled) == len(told.ari)


# ---- Actions ----


def ask(pbx: Instance, user: str, action: str, **headers: str) -> dict[str, str]:
    with Ami(pbx, user=user) as ami:
        return ami.ask(action, **headers)


MAY = {
    "ElevenLabsAgents": ("reporting", "system"),
    "ElevenLabsSessions": ("reporting", "system"),
    "ElevenLabsSend": ("call",),
    "ElevenLabsHangup": ("call", "system"),
    "ElevenLabsReload": ("system",),
    "ElevenLabsDrain": ("system",),
    "ElevenLabsTest": ("system",),
}


@pytest.mark.parametrize("action", MAY)
def test_who_may_and_what_is_documented(told: Told, action: str) -> None:
    """Without the class the answer is that permission is denied; with it another one."""
    for user in CLASSES:
        answer = ask(told.pbx, user, action, Agent="nobody", Channel="x", Type="x", ActionID="7")
        is_denied = "Permission denied" in answer["Message"]
        assert is_denied == (user not in MAY[action]), (user, answer)
        assert answer["ActionID"] == "7"
    shown = told.pbx.cli(f"manager show command {action}")
    assert "Needs the class" in shown


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_documented(told: Told, event: str) -> None:
    """With all its fields, those that all have among them."""
    shown = told.pbx.cli(f"manager show event {event}")
    for field in {*DOCUMENTED, *EVENTS[event]}:
        assert re.search(rf"(?m)^{field}$", shown), shown


# ---- A program of others ----

DRIVEN = """\
title = "driven"
[agents.default]
format = "ulaw_8000"
admit_after_ms = 300
first_message = { text = "Hello.", sound = "noise:1:300", interruptible = false }
[[agents.default.turns]]
wait_ms = 0
tool = { name = "pay", parameters = { }, timeout_ms = 20000 }
say_after_tool = { text = "A long answer of six words.", sound = "noise:2:60000" }
[[agents.default.turns]]
say = { text = "A reply.", sound = "noise:3:300", interruptible = false }
"""


class Supervisor:
    """A program with panoramisk: its events, one after the other, and its actions."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._events = asyncio.Queue[Message]()
        self.seen: list[str] = []
        """Names of all events of ours, in order."""
        manager.register_event("ElevenLabs*", self._told)

    def _told(self, _manager: Manager, event: Message) -> None:
        self.seen.append(event.event)
        self._events.put_nowait(event)

    async def ask(self, action: str, **headers: str) -> Message:
        """The answer to an action."""
        asked = self._manager.send_action({"Action": action, **headers})
        return await asyncio.wait_for(asked, EVENT)

    async def listed(self, action: str) -> list[Message]:
        """The items of a list."""
        asked = self._manager.send_action({"Action": action}, as_list=True)
        answer, *items, end = await asyncio.wait_for(asked, EVENT)
        assert (answer.success, end["ListItems"]) == (True, str(len(items)))
        return items

    async def event(self, name: str, **fields: str) -> Message:
        """The next event of this name with these fields; those before it are passed over."""
        async with asyncio.timeout(EVENT):
            while True:
                event = await self._events.get()
                wanted = {"Event": f"ElevenLabs{name}", **fields}
                if all(event[field] == value for field, value in wanted.items()):
                    return event


def test_panoramisk_drives_and_watches_a_call(told: Told, root: Root) -> None:
    """All seven actions, and all nine events, of a call that is queued, served and interrupted."""
    with MockAgent(root, DRIVEN) as mock:
        conf = section("driven", mock.url, tools="*", transcripts="all", max_sessions="7")
        (told.pbx.etc / "elevenlabs.conf").write_text(conf, encoding="utf-8")
        asyncio.run(drive(told.pbx))
    (_, session) = mock.report["sessions"]
    assert [each["text"] for each in session["texts"] if "text" in each] == ["Gr\u00fc\u00df: Gott"]
    assert session["violations"] == []


async def drive(pbx: Instance) -> None:
    """What a supervisor does: see to the configuration, then to a call."""
    manager = Manager(
        host="127.0.0.1", port=pbx.ports.manager, username=MANAGER_USER, secret=MANAGER_SECRET
    )
    supervisor = Supervisor(manager)
    await manager.connect()
    try:
        await see_to_the_agent(supervisor, pbx)
        with Callers(pbx, 1, "driven") as calls:
            await see_to_the_call(supervisor, calls[0])
    finally:
        manager.close()
    assert set(supervisor.seen) == set(EVENTS)


async def see_to_the_agent(supervisor: Supervisor, pbx: Instance) -> None:
    ask = supervisor.ask
    assert (await ask("ElevenLabsReload")).success
    tested = await ask("ElevenLabsTest", Agent="driven")
    assert (tested.success, tested["Full"]) == (True, "1")
    refused = await ask("ElevenLabsTest", Agent="nobody")
    assert (refused.success, refused["Status"]) == (False, "NOAGENT")
    (agent,) = await supervisor.listed("ElevenLabsAgents")
    assert (agent["Agent"], agent["Sessions"], agent["MaxSessions"]) == ("driven", "0", "7")
    assert await supervisor.listed("ElevenLabsSessions") == []
    conf = pbx.etc / "elevenlabs.conf"
    conf.write_text(conf.read_text(encoding="utf-8") + "chunk_ms = 7\n", encoding="utf-8")
    wrong = await ask("ElevenLabsReload")
    assert not wrong.success
    assert "chunk_ms = 7: allowed is" in wrong["Message"]


async def see_to_the_call(supervisor: Supervisor, call: Call) -> None:
    ask, event = supervisor.ask, supervisor.event
    for status in ("waiting", "admitted"):
        await event("Queue", Status=status)
    start = await event("Start", Agent="driven")
    assert start["ConversationId"].startswith("conv_")
    for state in ("begun", "done"):
        await event("Step", Tool="pay", State=state)
    await event("Tool", Tool="pay", State="done")
    await event("Transcript", Speaker="agent", Text="A long answer of six words.")
    (session,) = await supervisor.listed("ElevenLabsSessions")
    assert (session["Channel"], session["State"]) == (start["Channel"], "talking")
    channel = session["Channel"]
    drained = await ask("ElevenLabsDrain", Drain="on")
    assert (drained.success, drained["Sessions"]) == (True, "1")
    assert "Not draining" in (await ask("ElevenLabsDrain", Drain="off"))["Message"]
    call.say(ULAW.noise(1.0, seed=9))
    interruption = await event("Interruption")
    assert int(interruption["HeardMs"]) < 60_000
    await event("Spoken", LengthMs="300")
    sent = await ask("ElevenLabsSend", Channel=channel, Type="message", Text="Gr\u00fc\u00df: Gott")
    assert sent.success
    assert not (await ask("ElevenLabsSend", Channel=channel, Type="x")).success
    assert (await ask("ElevenLabsHangup", Channel=channel)).success
    end = await event("End")
    assert (end["Status"], end["Steps"], end["Interruptions"]) == ("HANGUP", "1", "1")
    assert end["ConversationId"] == start["ConversationId"]
    assert not (await ask("ElevenLabsHangup", Channel=channel)).success
