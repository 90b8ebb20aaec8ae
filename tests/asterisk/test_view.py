"""What the dialplan, AMI and lamps see of conversations: the function ELEVENLABS and device states.

All conversations at once, each with an agent of its own; the names of scenes are those of agents.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from testbed.ami import Ami
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS, Packet, Recording
from testbed.telephone import Leg
from testbed.telephones import Telephones
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section
from tests.asterisk.samples import came_at
from tests.asterisk.stage import loud_seconds, packets_of, until
from tests.timing import EVENT

ULAW = CODECS["ulaw"]
GREETING, REPLY = ULAW.noise(0.3, seed=1), ULAW.noise(0.3, seed=2)
END_OF_TURN_MS = 300
DELAYS_MS = (900, 400, 1400)
"""Of the agent whose answers are timed."""
SLACK_MS = 250
"""For the line, and half a frame at either end of what the caller measures."""
NASTY = 'Well, \\"yes\\"\\r\\nEvent: Hangup\\r\\n\\u001b[2J ${SHELL(id)}; `rm` / caller: no'
NASTY_AS_DATA = "Well yes Event: Hangup 2J SHELL id rm caller: no"
WORDS = " ".join(f"word{number}" for number in range(20))

DIALPLAN = """\
[callers]
exten => _[a-z].,1,Set(AGENT=${EXTEN})
 same => n,ElevenLabsConvAI(${EXTEN})
exten => h,1,Log(NOTICE,latency|${AGENT}|${ELEVENLABSLATENCY}|)

[elevenlabs-steps]
exten => look,1,Set(SEEN=${ELEVENLABS(transcript)})
 same => n,Set(SUMMARY=${ELEVENLABS(summary)})
 same => n,Set(HEARD=${ELEVENLABS(heard)})
 same => n,Return(${SEEN}|${SUMMARY}|${HEARD}|${ELEVENLABS(latency)}|${ELEVENLABS(agent)})

[hints]
exten => sales,hint,ElevenLabs:sales
exten => nobody,hint,ElevenLabs:nobody
"""


def looks(name: str) -> str:
    """One that says something nasty, is answered, and has the dialplan look."""
    return f"""
[agents.{name}]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "{NASTY}", sound = "noise:1:300", interruptible = false }}
turn_taking = {{ end_of_turn_ms = {END_OF_TURN_MS} }}

[[agents.{name}.turns]]
caller = "A table, for two."
tool = {{ name = "look", parameters = {{ summary = "wants; 2, \\"now\\"" }}, timeout_ms = 20000 }}
say_after_tool = {{ text = "Done.", sound = "noise:2:300", interruptible = false }}
"""


def turns() -> str:
    return "".join(
        f'\n[[agents.timed.turns]]\nsay = {{ text = "{number}.", sound = "noise:{number + 3}:300",'
        f" delay_ms = {delay}, interruptible = false }}\n"
        for number, delay in enumerate(DELAYS_MS)
    )


WITH_WORDS = ("none", "events", "records", "all")
TOLD = ("events", "all")
"""Of these, where the dialplan may read them."""

AGENTS = (
    'title = "view"\n'
    + "".join(looks(name) for name in WITH_WORDS)
    + f"""
[agents.timed]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Hi.", sound = "noise:1:300", interruptible = false }}
turn_taking = {{ end_of_turn_ms = {END_OF_TURN_MS} }}
{turns()}
[agents.cut]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "{WORDS}", sound = "noise:9:6000" }}
turn_taking = {{ end_of_turn_ms = {END_OF_TURN_MS}, barge_in_ms = 240 }}
when_done = "listen"
"""
)


@dataclass
class Scene:
    """One call and what was seen of it."""

    pbx: Instance
    phones: Telephones
    name: str
    seen: dict[str, str] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leg: Leg = self.phones.phone(f"phone_{self.name}").call(self.name).wait_up()

    @property
    def channel(self) -> str:
        shown = self.pbx.cli("elevenlabs show sessions")
        found = re.search(rf"^(\S+) +{self.name} ", shown, re.MULTILINE)
        assert found, shown
        return found[1]

    def read(self, ami: Ami, item: str) -> str:
        """By AMI, of a channel that is not its own."""
        answer = ami.ask("Getvar", Variable=f"ELEVENLABS({item},{self.channel})")
        assert answer["Response"] == "Success", answer
        return answer["Value"]

    def hears(self, sound: bytes) -> None:
        until(lambda: sound in self.leg.so_far().heard, f"{self.name}: not heard")

    def speak(self, seconds: float = 0.4) -> None:
        self.leg.say(ULAW.noise(seconds, seed=99))


def look(scene: Scene, ami: Ami) -> None:
    """The agent greets, the caller says something, a step reads; then somebody else does."""
    scene.hears(GREETING)
    scene.speak()
    scene.hears(REPLY)
    until(lambda: scene.read(ami, "heard") == "Done.", "the last turn has not been heard")
    for item in ("transcript", "summary", "heard", "state"):
        scene.seen[item] = scene.read(ami, item)
    scene.leg.hangup()


def timed(scene: Scene, ami: Ami) -> None:
    """Three answers, each after a time that is known."""
    scene.hears(GREETING)
    assert scene.read(ami, "latency") == ""
    for number in range(len(DELAYS_MS)):
        scene.speak()
        scene.hears(ULAW.noise(0.3, seed=number + 3))
    scene.seen["latency"] = scene.read(ami, "latency")
    scene.seen["session"] = scene.pbx.cli(f"elevenlabs show session {scene.channel}")
    scene.leg.hangup()


def cut(scene: Scene, ami: Ami) -> None:
    """The caller interrupts a long sentence in its first half."""
    until(lambda: len(scene.read(ami, "heard").split()) > 2, "nothing has been heard")
    scene.speak(0.6)
    until(lambda: "Interruptions:    1" in scene.pbx.cli(
        f"elevenlabs show session {scene.channel}"), "no interruption")  # fmt: skip
    scene.seen["heard"] = scene.read(ami, "heard")
    scene.seen["transcript"] = scene.read(ami, "transcript")
    scene.leg.hangup()


Scenes = tuple[Instance, dict[str, Scene]]


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", codecs=("ulaw",))


@pytest.fixture(scope="module")
def scenes(pbx: Instance, root: Root) -> Scenes:
    played: dict[str, Scene] = {}
    parts = dict.fromkeys(WITH_WORDS, look) | {"timed": timed, "cut": cut}

    def perform(name: str, phones: Telephones) -> None:
        with Ami(pbx) as ami:
            played[name] = Scene(pbx, phones, name)
            parts[name](played[name], ami)

    with MockAgent(root, AGENTS) as mock:
        text = "".join(
            section(name, mock.url, tools="*", transcripts=name if name in WITH_WORDS else "all")
            for name in parts
        )
        said = configure(pbx, text)
        assert "reloaded successfully" in said, said
        with Telephones(pbx) as phones, ThreadPoolExecutor(len(parts)) as threads:
            futures = [threads.submit(perform, name, phones) for name in parts]
            faults = [future.exception() for future in futures]
        assert not any(faults), faults
        pbx.wait_no_channels()
    for session in mock.report["sessions"]:
        assert session["violations"] == [], session
        played[session["agent_id"]].session = session
    return pbx, played


@pytest.mark.parametrize("name", WITH_WORDS)
def test_what_was_said(scenes: Scenes, name: str) -> None:
    """As data, and only where `transcripts` tells words to the dialplan."""
    scene = scenes[1][name]
    transcript, summary, heard, latency, agent = scene.session["tool_results"][0]["result"].split(
        "|"
    )
    assert agent == name
    assert latency.count(",") in (0, 1)
    assert heard.replace(" /", "") == NASTY_AS_DATA
    if name in TOLD:
        caller = "caller: A table for two."
        assert transcript == f"agent: {NASTY_AS_DATA} / {caller}"
        assert summary == scene.seen["summary"] == "wants 2 now"
        assert scene.seen["transcript"] == f"{transcript} / agent: Done."
    else:
        assert (transcript, summary) == ("", "")
        assert not any(scene.seen[item] for item in ("transcript", "summary"))
    assert scene.seen["state"] == "talking"


def measured_ms(line: Recording, number: int) -> float:
    """What the caller has measured: how long after its last word, of so many, an answer came."""
    heard = came_at(line, ULAW.noise(0.3, seed=number + 3))
    return 1000 * (heard - max(p.at for p in line.packets_sent if p.at < heard and is_loud(p)))


def is_loud(packet: Packet) -> bool:
    return loud_seconds(packet.payload) > 0


def test_how_soon_the_agent_answers(scenes: Scenes) -> None:
    """From the caller's last word to the agent's first, as the mock has delayed it."""
    pbx, played = scenes
    scene = played["timed"]
    median, worst = map(int, scene.seen["latency"].split(","))
    assert median >= sorted(DELAYS_MS)[1] + END_OF_TURN_MS, scene.seen
    assert worst >= max(DELAYS_MS) + END_OF_TURN_MS, scene.seen
    measured = sorted(measured_ms(scene.leg.recording, number) for number in range(len(DELAYS_MS)))
    assert abs(median - measured[1]) <= SLACK_MS, (measured, scene.seen)
    assert abs(worst - measured[-1]) <= SLACK_MS, (measured, scene.seen)
    assert f"latency|timed|{median},{worst}|" in pbx.log()
    assert "Turns:            3 answered" in scene.seen["session"]
    counted = pbx.cli("elevenlabs show stats timed buckets")
    (row,) = re.findall(r"(?m)^turn (\d+) (.*)$", counted)
    assert int(row[0]) // 1000 in (worst - 1, worst, worst + 1)
    assert sum(int(count) for count in re.findall(r":(\d+)", row[1])) == 3
    assert re.search(r"Caller's last word read, until the agent's first +3 ", pbx.cli(
        "elevenlabs show stats timed"))  # fmt: skip
    assert "no call with an agent nobody" in pbx.cli("elevenlabs show stats nobody")


def test_how_much_was_heard(scenes: Scenes) -> None:
    """Of a sentence that was interrupted no more than was played, nor much less."""
    scene = scenes[1]["cut"]
    (told,) = [e for e in scene.session["timeline"] if e["event"] == "interruption"]
    words = scene.seen["heard"].split()
    assert WORDS.startswith(scene.seen["heard"])
    assert 0 <= 20 * told["heard_ms"] / 6000 - len(words) <= 3, (told, words)
    assert scene.seen["transcript"].startswith("agent: word0 word1")
    assert "word19" not in scene.seen["transcript"]


def test_the_words_are_nowhere_else(scenes: Scenes) -> None:
    """Not in the log, but where Asterisk tells what the dialplan does with them."""
    lines = [line for line in scenes[0].log().splitlines() if "A table" in line]
    assert lines
    others = [line for line in lines if not re.search(r" (pbx|app_stack)\.c: ", line)]
    assert others == []


# ---- Device states ----

ONE = """
[agents.{name}]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:1:300" }}
"""


def hint(pbx: Instance, name: str) -> str:
    found = re.search(
        rf"{name}@hints +: ElevenLabs:{name} +State:(\w+)", pbx.cli("core show hints")
    )
    assert found
    return found[1]


class Watch:
    """The states that AMI tells of."""

    def __init__(self, pbx: Instance, ami: Ami) -> None:
        self.pbx, self.ami = pbx, ami

    def wait(self, state: str, shown: str, name: str = "sales") -> None:
        """It is told that an agent is in this state; hint and function say so as well."""
        while True:
            event = self.ami.wait_event("DeviceStateChange")
            if event["Device"] == f"ElevenLabs:{name}":
                assert event["State"] == state, event
                break
        until(lambda: hint(self.pbx, name) == shown, f"the hint is not {shown}")
        assert self.asked(name) == state

    def asked(self, name: str) -> str:
        answer = self.ami.ask("Getvar", Variable=f"DEVICE_STATE(ElevenLabs:{name})")
        return answer["Value"]


def test_device_states(pbx: Instance, root: Root) -> None:
    """Free, busy, drained, away and back, unknown, and after the module has gone."""
    with Ami(pbx, events="call") as ami:
        see_states(pbx, root, Watch(pbx, ami))


def see_states(pbx: Instance, root: Root, watch: Watch) -> None:
    """One after the other, each told of."""
    with MockAgent(root, 'title = "one"\n' + ONE.format(name="sales")) as mock:
        configure(pbx, section("sales", mock.url, max_sessions="1"))
        watch.wait("NOT_INUSE", "Idle")
        assert watch.asked("sales") == "NOT_INUSE"
        assert watch.asked("nobody") == "INVALID"
        assert hint(pbx, "nobody") == "Unavailable"
        with Telephones(pbx) as phones:
            leg = phones.phone("busy").call("sales").wait_up()
            watch.wait("BUSY", "Busy")
            leg.hangup()
            watch.wait("NOT_INUSE", "Idle")
            pbx.cli("elevenlabs drain on")
            watch.wait("UNAVAILABLE", "Unavailable")
            pbx.cli("elevenlabs drain off")
            watch.wait("NOT_INUSE", "Idle")
        port = mock.url
    # Nobody listens there any more.
    keys = {"max_sessions": "1", "connect_attempts": "1"}
    configure(pbx, section("sales", port, **keys))
    pbx.cli("elevenlabs test agent sales")
    watch.wait("UNAVAILABLE", "Unavailable")
    with MockAgent(root, 'title = "one"\n' + ONE.format(name="sales")) as mock:
        configure(pbx, section("sales", mock.url, max_sessions="1"))
        assert "OK" in pbx.cli("elevenlabs test agent sales")
        watch.wait("NOT_INUSE", "Idle")
        assert "Unloaded" in pbx.cli("module unload app_elevenlabs_convai")
        until(lambda: hint(pbx, "sales") == "Unavailable", "the hint is not Unavailable")
        assert watch.asked("sales") == "INVALID"  # nobody answers for it any more
        assert "Loaded" in pbx.cli("module load app_elevenlabs_convai.so")
        until(lambda: hint(pbx, "sales") == "Idle", "the hint is not Idle again")


QUEUES = """\
[general]
persistentmembers = no
[agents]
strategy = ringall
timeout = 20
retry = 1
ringinuse = no
member => Local/person@nobody/n,0,Person,Custom:person
member => Local/sales@agents/nm,1,Sales,ElevenLabs:sales
"""


def greeted(leg: Leg) -> bool:
    """Whether most of the greeting has been heard: Queue loses a packet when it joins the two."""
    return packets_of(GREETING, leg.so_far().heard) > 10


def member(pbx: Instance) -> str:
    shown = re.sub(r"\x1b\[[\d;]*m", "", pbx.cli("queue show agents"))
    found = re.search(r"Sales .*\((Not in use|Busy|Unavailable|Invalid|Unknown)\)", shown)
    assert found, shown
    return found[1]


def test_an_agent_as_member_of_a_queue(pbx: Instance, root: Root) -> None:
    """The overflow of a person who is busy; whoever comes while it is taken waits for it."""
    (pbx.etc / "queues.conf").write_text(QUEUES, encoding="utf-8")
    pbx.reload_dialplan(
        DIALPLAN + "[callers](+)\nexten => 500,1,Answer()\n same => n,Queue(agents)\n"
        "[agents]\nexten => _[a-z].,1,ElevenLabsConvAI(${EXTEN},c)\n"
    )
    with MockAgent(root, 'title = "one"\n' + ONE.format(name="sales")) as mock:
        configure(pbx, section("sales", mock.url, max_sessions="1"))
        pbx.cli("devstate change Custom:person BUSY")
        assert "Loaded" in pbx.cli("module load app_queue.so")
        until(lambda: member(pbx) == "Not in use", "the agent is not free")
        with Telephones(pbx) as phones:
            first = phones.phone("first").call("500").wait_up()
            until(lambda: greeted(first), "the first hears no agent")
            until(lambda: member(pbx) == "Busy", "the agent is not busy")
            second = phones.phone("second").call("500").wait_up()
            until(lambda: "1. PJSIP" in pbx.cli("queue show agents"), "nobody waits")
            assert not greeted(second)
            first.hangup()
            until(lambda: greeted(second), "the second hears no agent", EVENT)
            second.hangup()
        pbx.wait_no_channels()
        pbx.cli("elevenlabs drain on")
        until(lambda: member(pbx) == "Unavailable", "the agent is to be had")
        pbx.cli("elevenlabs drain off")
        until(lambda: member(pbx) == "Not in use", "the agent is not free again")
    assert "Unloaded" in pbx.cli("module unload app_queue.so")
    assert len(mock.report["sessions"]) == 2
