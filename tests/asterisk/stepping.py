"""Calls whose agents run steps: the shipped examples, a stage for each call, and what came of it.

Each agent has the name of its scene, which says what the telephones do meanwhile. All play at once.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.config import USELESS_MODULES
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD, PROJECT
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.telephone import Leg
from testbed.telephones import Telephones
from tests.asterisk.phone import RESULT, Result, results
from tests.asterisk.samples import in_time, is_said
from tests.asterisk.stage import HEARD, MOVING, packets_of, until, wait_joined

ULAW = CODECS["ulaw"]
EXAMPLE = PROJECT / "app_elevenlabs_convai" / "extensions.conf.example"
GREETING, REPLY = ULAW.noise(0.3, seed=1), ULAW.noise(0.4, seed=2)
"""Before the tool, and after its result."""

BRIEFING = ULAW.noise(0.5, seed=3)
"""What the second agent tells of the caller."""

MUSIC = ULAW.noise(6.0, seed=31)
PROMPTS = {
    name: ULAW.noise(2.0 if name == "opening-hours" else 0.6, seed=zlib.crc32(name.encode()))
    for name in ("enter-card-number", "how-many-stars", "opening-hours", "press-1-to-accept")
}
"""What the examples play."""

SOUNDS, MUSIC_FOLDER = BUILD / "testbed" / "sounds", BUILD / "testbed" / "music" / "steps"
NEEDED = {
    *("app_queue", "app_voicemail", "res_musiconhold", "cdr_custom", "cel_custom"),
}
NUMBER = "5550100"
"""The caller's."""

WORD_SECONDS = 0.4
SOME = 5
"""Packets that are enough to know what is played."""


MARKS = ("${userdeftype}", "${eventextra}")
"""Of CEL's user-defined events: the name, and JSON."""

RECORDS = {
    "cdr_custom": (
        "CDR",
        (
            *("userfield", "lastapp", "lastdata", "disposition", "billsec", "duration"),
            *("dstchannel", "elevenlabs"),
        ),
    ),
    "cel_custom": (
        "CHANNEL",
        ("userfield", "${eventtype}", "appname", "appdata", "channame", *MARKS),
    ),
}
"""Of each kind of record: the function that reads it there, and what is written."""

CEL_EVENTS = (
    "CHAN_START,CHAN_END,ANSWER,HANGUP,BRIDGE_ENTER,BRIDGE_EXIT,APP_START,APP_END,USER_DEFINED"
)
"""Neither DTMF nor ALL, as docs/tools.md says."""

CEL_APPLICATIONS = "elevenlabsconvai,dial,read,queue"

CALLERS = f"""\
[callers]
exten => _dial_.,1,Dial(${{${{EXTEN:5}}}})
exten => _space_.,1,ParkedCall(default,${{EXTEN:6}})
exten => _at_.,1,Set(PARKINGEXTEN=${{EXTEN:3}})
 same => n,Park(default,s)
exten => _room_.,1,Set(CONFBRIDGE(user,quiet)=yes)
 same => n,ConfBridge(${{EXTEN:5}})
exten => _via_.,1,Set(AGENT=${{EXTEN:4}})
 same => n,Goto(incoming,200,1)
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n,Set(SPACE=${{IF($["${{AGENT}}" = "park_taken"]?701:702)}})
 same => n,Set(CDR(userfield)=${{AGENT}})
 same => n,Set(CHANNEL(userfield)=${{AGENT}})
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Hangup()
exten => h,1,ExecIf($["${{AGENT}}" != ""]?Log(NOTICE,{RESULT}hung up|${{AGENT}}))
 same => n,Log(NOTICE,digits|${{AGENT}}|${{ELEVENLABSDTMF}}|)
 same => n,DumpChan()

[elsewhere]
exten => s,1,Log(NOTICE,elsewhere ${{CHANNEL(name)}} ${{AGENT}})
 same => n,Wait(1)

"""


def agent(name: str, tool: str, parameters: str = "", turns: str = "", **more: str) -> str:
    """One whose turn is to call a tool, and which then says something; more turns may follow."""
    extra = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f"""
[agents.{name}]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:1:300", interruptible = false }}
{extra}
[[agents.{name}.turns]]
wait_ms = 0
tool = {{ name = "{tool}", parameters = {{ {parameters} }}, timeout_ms = 60000 }}
say_after_tool = {{ text = "Noise.", sound = "noise:2:400", interruptible = false }}
{turns}"""


def dialplan(root: Root, more: str = "", replace: Sequence[tuple[str, str]] = ()) -> str:
    """All of the shipped example, with the telephones and sounds of the testbed in it.

    more: tools beside those. replace: texts of the example, each of which must be there.
    """
    text = EXAMPLE.read_text(encoding="utf-8")
    sounds = [(name, root.path(SOUNDS / name)) for name in PROMPTS]
    for old, new in (("PJSIP/sales", "${person_${AGENT}}"), *sounds, *replace):
        assert old in text, f"{old} is not in {EXAMPLE}"
        text = text.replace(old, new)
    return CALLERS + text.replace("[elevenlabs-steps]\n", f"[elevenlabs-steps]\n{more}", 1)


def files(root: Root) -> dict[str, str]:
    """Configuration: with sounds, music and the records of calls, which the testbed leaves out."""
    SOUNDS.mkdir(parents=True, exist_ok=True)
    MUSIC_FOLDER.mkdir(parents=True, exist_ok=True)
    (MUSIC_FOLDER / "noise.ulaw").write_bytes(MUSIC)
    for name, sound in PROMPTS.items():
        (SOUNDS / f"{name}.ulaw").write_bytes(sound)
    noload = "".join(f"noload = {name}.so\n" for name in USELESS_MODULES if name not in NEEDED)
    texts = {
        "modules.conf": f"[modules]\nautoload = yes\n{noload}",
        "musiconhold.conf": f"[default]\nmode = files\ndirectory = {root.path(MUSIC_FOLDER)}\n",
        "queues.conf": "[general]\n",
        "voicemail.conf": "[general]\nformat = wav\nmaxsecs = 30\n[default]\n4711 => 1234,Box\n",
        "cdr.conf": "[general]\nenable = yes\n",
        "cel.conf": f"[general]\nenable = yes\nevents = {CEL_EVENTS}\napps = {CEL_APPLICATIONS}\n",
    }
    for name, (function, fields) in RECORDS.items():
        items = [item if "{" in item else f"${{{function}({item})}}" for item in fields]
        line = ",".join(f"${{CSV_QUOTE({item})}}" for item in items)
        texts[f"{name}.conf"] = f"[mappings]\n{name}.txt => {line}\n"
    return texts


@dataclass
class Played:
    """What came of a call."""

    leg: Leg
    said: dict[str, bytes] = field(default_factory=dict)
    said_by: dict[str, Leg] = field(default_factory=dict)
    others: dict[str, Leg] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    """Whatever a scene wants to tell its test."""
    session: dict[str, Any] = field(default_factory=dict)
    heard: bytes = b""
    """By the agent."""
    result: Result | None = None

    @property
    def status(self) -> str:
        """What the application ended with."""
        assert self.result is not None, "the dialplan has told of no end"
        return self.result.status

    @property
    def answer(self) -> tuple[str, bool]:
        """The one answer to the tool's call."""
        (told,) = self.session["tool_results"]
        return told["result"], told["is_error"]

    def agent_heard(self, word: str) -> int:
        """Packets of it."""
        return packets_of(self.said[word], self.heard)

    def agent_hears(self, word: str) -> bool:
        """Whether it has heard that, but for what a busy machine sent too late."""
        sent = in_time(self.said_by[word].recording, self.said[word])
        return self.agent_heard(word) >= HEARD * sent

    def agent_heard_only(self, *words: str) -> None:
        """Check that it has heard each of these, and nothing else at all."""
        for word in words:
            assert self.agent_hears(word), word
        # By samples: a word with silence in it, where the line was late, is in more pieces.
        silence = {ULAW.silence, ULAW.silence ^ 0x80}
        samples = sum(sample not in silence for sample in self.heard)
        assert ULAW.seconds(samples) < (len(words) + 0.1) * WORD_SECONDS

    def caller_heard(self, sound: bytes) -> int:
        """Packets of it."""
        return packets_of(sound, self.leg.heard)


class Stage:
    """Where one scene plays."""

    def __init__(self, pbx: Instance, phones: Telephones, name: str, calls: str = "") -> None:
        self.pbx, self.phones, self.name = pbx, phones, name
        self.person = phones.phone(f"person_{name}", answers=False)
        self.leg = phones.phone(f"customer_{name}", NUMBER).call(calls or name).wait_up()
        self.other: Leg | None = None
        """Whom the caller talks with, or is to."""
        self.played = Played(self.leg)

    def shown(self) -> str:
        """The line of the call in `elevenlabs show sessions`, or nothing."""
        shown = self.pbx.cli("elevenlabs show sessions")
        found = re.search(rf"^\S+ +{self.name} .*$", shown, re.MULTILINE)
        return found[0] if found else ""

    def in_step(self) -> None:
        """Wait until the dialplan has the channel."""
        until(lambda: " step " in self.shown(), f"{self.name}: no step")

    def ended(self) -> None:
        """Wait until the conversation is over, and the call is not."""
        until(lambda: " ending " in self.shown(), f"{self.name}: not ended")

    def sent_elsewhere(self) -> None:
        """Redirect the caller, by AMI."""
        channel = self.shown().split()[0]
        self.phones.manage(
            "Redirect", Channel=channel, Context="elsewhere", Exten="s", Priority="1"
        )

    def take_customer(self, number: str) -> Leg:
        """Have a customer ring who has the agent, to be transferred there: the customer's leg."""
        phone = self.phones.phone(f"other_{self.name}", number)
        customer = phone.call(f"dial_customer_{self.name}").wait_up()
        at_desk = self.leg.phone.wait_call()
        wait_joined(customer, at_desk)
        self.in_step()
        with MOVING:
            assert at_desk.transfer_to(self.leg) == 200
        return customer

    def hears(self, leg: Leg, sound: bytes) -> None:
        until(lambda: sound in leg.so_far().heard, f"{self.name}: not heard by {leg}")

    def hears_some(self, leg: Leg, sound: bytes) -> None:
        """Wait until a telephone has heard parts of it, as of music, or in a conference."""
        some = f"{self.name}: not heard by {leg}"
        until(lambda: packets_of(sound, leg.so_far().heard) >= SOME, some)

    def speak(self, leg: Leg, word: str) -> None:
        """Say noise that nobody else says, until it has gone out."""
        noise = ULAW.noise(WORD_SECONDS, seed=zlib.crc32(f"{self.name} {word}".encode()))
        self.played.said[word], self.played.said_by[word] = noise, leg
        leg.say(noise)
        until(lambda: is_said(leg.so_far(), noise), f"{word} not sent")

    def talk(self, other: Leg, name: str = "person") -> None:
        """The caller and another telephone hear each other."""
        self.played.others[name] = other
        for speaker, listener, word in (
            (self.leg, other, f"to {name}"),
            (other, self.leg, f"from {name}"),
        ):
            self.speak(speaker, word)
            self.hears_some(listener, self.played.said[word])


Scene = Callable[[Stage], None]


def play(
    pbx: Instance, mock: MockAgent, scenes: Sequence[Scene], calls: Mapping[str, str] | None = None
) -> dict[str, Played]:
    """All scenes at once; what came of each by its name. calls: what they dial, if not that."""
    start = len(pbx.log())
    stages: dict[str, Stage] = {}

    def perform(scene: Scene, phones: Telephones) -> None:
        name = scene.__name__
        stages[name] = Stage(pbx, phones, name, (calls or {}).get(name, ""))
        scene(stages[name])

    with Telephones(pbx) as phones, ThreadPoolExecutor(len(scenes)) as threads:
        futures = {scene.__name__: threads.submit(perform, scene, phones) for scene in scenes}
        faults = {name: future.exception() for name, future in futures.items()}
    assert not any(faults.values()), {name: fault for name, fault in faults.items() if fault}
    pbx.wait_no_channels()
    mock.stop()
    return collect(pbx, mock, stages, start)


def collect(
    pbx: Instance, mock: MockAgent, stages: Mapping[str, Stage], start: int
) -> dict[str, Played]:
    """What came of each scene, once its calls and the mock have ended; start: of the log."""
    # The first of each; a channel that another one has taken the place of ends without a status.
    ended = {each.agent: each for each in reversed(results(pbx, start)) if each.status}
    for session in mock.report["sessions"]:
        if session["agent_id"] not in stages:
            continue
        played = stages[session["agent_id"]].played
        played.seen.setdefault("sessions", []).append(session)
        played.session = session
        played.result = ended.get(session["agent_id"])
        (file,) = Path(mock.folder / "record").glob(f"*-{session['conversation_id']}-caller.raw")
        played.heard = file.read_bytes()
    return {name: stage.played for name, stage in stages.items()}


def keep_records(pbx: Instance) -> None:
    """Make the folders of CDR and CEL, as a distribution's package does."""
    for name in RECORDS:
        (pbx.log_path.parent / name.replace("_", "-")).mkdir()


def wait_recorded(pbx: Instance) -> None:
    """Wait until all is written of calls that are over: Asterisk does it behind their ends."""

    def is_through() -> bool:
        events = [event["eventtype"] for event in _written(pbx, "cel_custom")]
        return events.count("CHAN_START") == events.count("CHAN_END")

    until(is_through, "CEL has not all")
    # A line for each channel that has a record still to be written.
    channel = re.compile(r"(?m)^\S+/\S+ ")
    until(lambda: not channel.search(pbx.cli("cdr show active")), "CDR has not all")


def records(pbx: Instance, kind: str, scene: str) -> list[dict[str, str]]:
    """What cdr_custom or cel_custom has written of a scene's call."""
    return [line for line in _written(pbx, kind) if line["userfield"] == scene]


def _written(pbx: Instance, kind: str) -> list[dict[str, str]]:
    """All that cdr_custom or cel_custom has written."""
    (file,) = Path(pbx.folder).rglob(f"{kind}.txt")
    names = [re.sub(r"\W", "", item) for item in RECORDS[kind][1]]
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(), names))
