"""S1: the queue of the service, in real calls: what callers hear, what waits, and how it ends.

Every way has an agent and an extension of its own; all are called at once.
"""

from __future__ import annotations

import cmath
import math
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testbed.call import Call
from testbed.config import USELESS_MODULES
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import CODECS, Recording
from testbed.variants import install_package, make_variant
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.crowd import Crowd, Outcome, crowd
from tests.asterisk.phone import RESULT, configure, section
from tests.asterisk.samples import audible, came_at, check_heard, is_said
from tests.asterisk.stage import until
from tests.asterisk.test_while_connecting import RING_HZ, level
from tests.asterisk.tones import from_payload
from tests.timing import EVENT, MS, only_in_full

ULAW = CODECS["ulaw"]
SILENCE = bytes([ULAW.silence])
WAIT_SECONDS = 2.3
"""Until an agent is free, where one will be."""

DIGITS_SECONDS = 8.0
"""The same for the caller to whom something happens meanwhile."""

LOST_SECONDS = 1.3
"""Until the service gives a caller up, where none will be."""

SLACK_SECONDS = 1.0
"""Between the service's clock and the module's, and for the tens of milliseconds around a call."""

PREROLL_SECONDS = 2.0
"""As much of what was said is kept: MEDIA_PREROLL_MS_MAX."""

HOLD = ULAW.noise(12.0, seed=5)
GREETING = ULAW.noise(1.0, seed=1)
SAID = ULAW.noise(4.0, seed=11)
MUSIC = ULAW.noise(6.0, seed=31)

FULL = {"agent_id": "full"}
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "plain": ("", {}),
    "limited": ("", {"queue": "20", "connect_timeout": "1", "agent_timeout": "2"}),
    "first": ("c", {}),
    "early": ("n", {}),
    "ring": ("r", {}),
    "music": ("m(tune)", {}),
    "both": ("cm(tune)", {}),
    "rung": ("cr", {}),
    "greeting": ("g", {}),
    "digits": ("", {}),
    "leaves": ("", {}),
    "lost": ("c", FULL),
    "impatient": ("c", {"queue": "1"}),
    "refused": ("c", {"queue": "refuse"}),
    "other": ("", FULL | {"fallback_agent": "spare"}),
    "instead": ("c", {"queue": "refuse", "fallback_agent": "spare"}),
}
"""By agent: the options of its call, and its keys in elevenlabs.conf."""

ADMITTED = (
    *("plain", "limited", "first", "early", "ring", "music", "both", "rung", "greeting", "digits"),
)
HEARS_HOLD = ("plain", "limited", "first", "early", "digits")
ANSWERED_LATE = ("first", "both", "rung", "instead")
NEVER_ANSWERED = ("lost", "impatient", "refused")

SERVICE = f"""\
title = "queue"
[agents.default]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:1:1000", interruptible = false }}
admit_after_ms = {WAIT_SECONDS * 1000:.0f}
hold_audio = {{ sound = "noise:5:12000" }}
[agents.digits]
like = "default"
admit_after_ms = {DIGITS_SECONDS * 1000:.0f}
[agents.leaves]
like = "default"
admit_after_ms = 600000
[agents.greeting]
like = "default"
first_message = {{ text = "Noise.", sound = "noise:1:1000" }}
[agents.early]
like = "default"
when_done = "end"
[agents.full]
like = "default"
admit_after_ms = 600000
queue_ms = {LOST_SECONDS * 1000:.0f}
[agents.spare]
like = "default"
admit_after_ms = -1
"""


def dialplan() -> str:
    """An extension for each way."""
    lines = ["[callers]"]
    for name, (letters, _) in WAYS.items():
        lines += [
            f"exten => {name},1,Set(AGENT={name})",
            f" same => n,ElevenLabsConvAI({name},{letters})",
            " same => n,Log(NOTICE,state|${AGENT}|${CHANNEL(state)}|)",
            " same => n,Log(NOTICE,queued|${AGENT}|${ELEVENLABSQUEUED}|)",
            f" same => n,Log(NOTICE,{RESULT}went on|{name})",
            " same => n,Answer()",
            " same => n,Wait(0.1)",
            " same => n,Hangup()",
        ]
    lines += [
        "exten => _t.,1,Set(AGENT=${EXTEN})",
        " same => n,ElevenLabsConvAI(${EXTEN},${FILTER(cnrg,${CUT(EXTEN,-,4)})})",
        f" same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})",
        " same => n,Answer()",
        " same => n,Wait(0.1)",
        " same => n,Hangup()",
        "exten => h,1,Log(NOTICE,queued|${AGENT}|${ELEVENLABSQUEUED}|)",
        f" same => n,Log(NOTICE,{RESULT}hung up|${{AGENT}})",
    ]
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, root: Root) -> Instance:
    """With music on hold, which the testbed leaves out otherwise."""
    folder = BUILD / "testbed" / "music" / "queue"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "noise.ulaw").write_bytes(MUSIC)
    unwanted = [name for name in USELESS_MODULES if name != "res_musiconhold"]
    noload = "".join(f"noload = {name}.so\n" for name in unwanted)
    return asterisk(
        dialplan=dialplan(),
        elevenlabs="[general]\n",
        files={
            "musiconhold.conf": f"[tune]\nmode = files\ndirectory = {root.path(folder)}\n",
            "modules.conf": f"[modules]\nautoload = yes\n{noload}",
        },
    )


@dataclass(frozen=True)
class Seen:
    outcomes: dict[str, Outcome]
    sessions: dict[str, dict[str, Any]]
    """The mock's report of each conversation, by agent; of `spare` that of `other`."""
    by_agent: dict[str, bytes]
    """What each agent heard once it was there."""
    events: dict[str, list[dict[str, str]]]
    """ElevenLabsQueue, Start and End, by agent."""
    log: str
    table: str
    """`elevenlabs show sessions` while callers are queued."""
    shown: str
    """`elevenlabs show session` of one of them."""
    sent: str
    """The answer to `elevenlabs send message` for one of them."""
    test: str
    """`elevenlabs test agent` of an agent that is full."""


def said_by(name: str) -> bytes:
    """Over the whole greeting, but not beyond its protection, which ends half a second later."""
    return SAID[: ULAW.bytes_in(WAIT_SECONDS + 0.7)] if name == "greeting" else SAID


def is_through(name: str, call: Call) -> bool:
    """Whether both sides have said all; some of these calls end by themselves."""
    if name in ("early", *NEVER_ANSWERED):
        return False
    line = call.so_far()
    return is_said(line, said_by(name)) and GREETING in line.heard


def wait_queued(pbx: Instance, count: int) -> str:
    until = time.monotonic() + EVENT
    while (shown := pbx.cli("elevenlabs show sessions")).count(" queued ") < count:
        assert time.monotonic() < until, shown
        time.sleep(50 * MS)
    return shown


def channel_of(table: str, agent: str) -> str:
    found = re.search(rf"^(\S+) +{agent} ", table, re.MULTILINE)
    assert found, table
    return found[1]


def events_of(ami: Ami) -> dict[str, list[dict[str, str]]]:
    """Until every way has ended; by the agent that was tried last."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    ends = 0
    while ends < len(WAYS):
        event = ami.wait_event("ElevenLabsQueue", "ElevenLabsStart", "ElevenLabsEnd")
        found[event["Agent"]].append(event)
        ends += event["Event"] == "ElevenLabsEnd"
    return found


@pytest.fixture(scope="module")
def seen(pbx: Instance, root: Root) -> Seen:
    start = len(pbx.log())
    with MockAgent(root, SERVICE, record=True) as mock, Ami(pbx, "call") as ami:
        sections = [section(name, mock.url, **keys) for name, (_, keys) in WAYS.items()]
        configure(pbx, "".join([*sections, section("spare", mock.url)]))
        with crowd(pbx, list(WAYS), send=said_by) as calls:
            table, shown, sent = during(pbx, calls)
            test = pbx.cli("elevenlabs test agent plain")
            calls.leave(is_through)
            outcomes = calls.outcomes()
        events = events_of(ami)
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    ids = {agent: outcome.result.conversation_id for agent, outcome in outcomes.items()}
    record = Path(mock.folder / "record")
    return Seen(
        outcomes,
        {
            agent: next(s for s in mock.report["sessions"] if s["conversation_id"] == ids[agent])
            for agent in WAYS
        }
        | {"spare": sessions["spare"]},
        {agent: next(record.glob(f"*-{ids[agent]}-caller.raw")).read_bytes() for agent in WAYS},
        events,
        pbx.log()[start:],
        table,
        shown,
        sent,
        test,
    )


def during(pbx: Instance, calls: Crowd) -> tuple[str, str, str]:
    """While callers are queued: digits are pressed, something is to be said, and one leaves.

    The sessions, that of the one who presses, and the answer to what is to be said.
    """
    tables: list[str] = []

    def queued(name: str) -> bool:
        tables.append(pbx.cli("elevenlabs show sessions"))
        return re.search(rf"(?m)^\S+ +{name} .* queued ", tables[-1]) is not None

    until(lambda: queued("digits"), "not queued")
    table = tables[-1]
    channel = channel_of(table, "digits")
    calls.calls["digits"].press("12#")
    sent = pbx.cli(f"elevenlabs send message {channel} A good customer")
    shown = pbx.cli(f"elevenlabs show session {channel}")
    until(lambda: queued("leaves"), "not queued")
    calls.calls["leaves"].hangup()
    return table, shown, sent


def queued_seconds(seen: Seen, agent: str) -> str:
    """ELEVENLABSQUEUED, of one of them."""
    found = re.search(rf"queued\|{agent}\|(\d*)\|", seen.log)
    assert found
    return found[1]


def check_queued(seen: Seen, agent: str) -> None:
    """ELEVENLABSQUEUED is about what the service says that the caller has waited."""
    waited = seen.sessions[agent]["queue_wait_ms"] / 1000
    assert abs(int(queued_seconds(seen, agent)) - waited) < SLACK_SECONDS + 0.5  # whole seconds


def statuses(seen: Seen, agent: str) -> list[str]:
    """Of the events of the queue."""
    return [e["Status"] for e in seen.events[agent] if e["Event"] == "ElevenLabsQueue"]


@pytest.mark.parametrize("name", HEARS_HOLD)
def test_hold_audio_is_heard_until_an_agent_is_there(seen: Seen, name: str) -> None:
    """Sample for sample, from its beginning; what is left of it is not heard.

    It comes when it is to be heard: where the service is late, there is silence in between.
    """
    before = seen.outcomes[name].before(GREETING).strip(SILENCE)
    assert audible(HOLD, ULAW).startswith(audible(before, ULAW))
    waited = seen.sessions[name]["queue_wait_ms"] / 1000
    assert abs(waited - ULAW.seconds(before)) < SLACK_SECONDS


@pytest.mark.parametrize("name", ADMITTED)
def test_admitted(seen: Seen, name: str) -> None:
    """The conversation begins, whole, and is told of."""
    outcome = seen.outcomes[name]
    assert outcome.result.status == ("AGENT_ENDED" if name == "early" else "HANGUP")
    outcome.before(GREETING)
    check_queued(seen, name)
    assert [event["Event"] for event in seen.events[name]] == [
        "ElevenLabsQueue", "ElevenLabsQueue", "ElevenLabsStart", "ElevenLabsEnd"
    ]  # fmt: skip
    assert statuses(seen, name) == ["waiting", "admitted"]
    waited = [event["Waited"] for event in seen.events[name][:2]]
    assert waited == ["0", queued_seconds(seen, name)]
    assert {event["ConversationId"] for event in seen.events[name]} == {
        outcome.result.conversation_id
    }
    assert seen.sessions[name]["violations"] == []


def test_ringing_goes_on(seen: Seen) -> None:
    """The tone of the channel's zone, and no hold audio."""
    before = seen.outcomes["ring"].before(GREETING).strip(SILENCE)
    assert ULAW.seconds(before) > 1.9  # two seconds of tone, and a pause
    rings = before[: ULAW.bytes_in(1.8)]
    assert all(level(rings, hz) > 1000 for hz in RING_HZ)
    assert level(rings, 700) < 50
    assert HOLD[:800] not in seen.outcomes["ring"].call.heard


@pytest.mark.parametrize("name", ["music", "both"])
def test_music_goes_on(seen: Seen, name: str) -> None:
    """Sample for sample, from the call's beginning to the agent's first word."""
    before = seen.outcomes[name].before(GREETING).strip(SILENCE)
    assert ULAW.seconds(before) > WAIT_SECONDS - 0.3
    assert MUSIC.startswith(before)


@pytest.mark.parametrize("name", ANSWERED_LATE)
def test_with_c_the_answer_comes_with_the_agent(seen: Seen, name: str) -> None:
    """Hold audio and music are early media; `r` leaves ringing to the telephone."""
    call = seen.outcomes[name].call
    assert call.placed_at is not None
    assert call.answered_at is not None
    if name == "instead":
        return
    assert call.answered_at - call.placed_at > WAIT_SECONDS - 0.5
    # The agent's first word may be quicker than the telephone.
    until = call.answered_at - 0.2
    early = b"".join(packet.payload for packet in call.recording.audio if packet.at < until)
    if name == "rung":
        assert set(early) <= set(SILENCE)
    else:
        assert ULAW.seconds(early.strip(SILENCE)) > WAIT_SECONDS - 0.7


@pytest.mark.parametrize("name", ["plain", "ring", "music", "limited"])
def test_the_agent_hears_the_last_words(seen: Seen, name: str) -> None:
    """What was said while nobody was there is kept as first words are: the last two seconds."""
    line = seen.outcomes[name].call.recording
    began = check_last_words(line, seen.by_agent[name])
    assert abs(came_at(line, GREETING) - line.packets_sent[0].at - PREROLL_SECONDS - began) < 0.5
    assert set(seen.sessions[name]["discarded"]) == {"user_audio_chunk"}


def check_last_words(line: Recording, heard: bytes) -> float:
    """Whether the agent has heard SAID from somewhere to its end; from which second on."""
    heard = heard.strip(SILENCE)
    at = SAID.find(heard[: ULAW.packet_bytes])
    assert at >= 0
    check_heard(line, SAID[at:], heard)
    return ULAW.seconds(SAID[:at])


def test_the_greeting_is_protected_from_its_own_beginning(seen: Seen) -> None:
    """The caller speaks over it; hold audio is no greeting."""
    assert seen.sessions["greeting"]["interruptions"] == 0
    assert seen.by_agent["greeting"].strip(SILENCE) == b""


def test_digits_and_messages_wait_for_the_agent(seen: Seen) -> None:
    session = seen.sessions["digits"]
    told = sorted((text["type"], text["text"]) for text in session["texts"])
    assert told == [("user_message", "12"), ("user_message", "A good customer")]
    assert all(text["at_ms"] > session["queue_wait_ms"] for text in session["texts"])
    assert set(session["discarded"]) == {"user_audio_chunk"}
    assert "Queued: the agent gets it once it is there: message" in seen.sent


def test_commands_tell_of_it(seen: Seen) -> None:
    assert re.search(r"^\S+ +digits +conv_\w+ +queued .* \d\.\d s$", seen.table, re.MULTILINE)
    assert re.search(r"^State: +queued, for 0:00:0\d in all$", seen.shown, re.MULTILINE)
    assert re.search(r"^Queued: +\d\.\d s by the service$", seen.shown, re.MULTILINE)
    for nothing in ("Heard:            0.00 s", "Spoken:           0.00 s of 0.00 s received"):
        assert nothing in seen.shown
    assert "OK, conv_" in seen.test
    assert "it is full, and the service lets callers wait" in seen.test


@pytest.mark.parametrize(
    ("name", "seconds", "status", "reason"),
    [
        ("lost", LOST_SECONDS, "timed_out", "no agent was free in time (timed_out)"),
        ("impatient", 1.0, "timed_out", "no agent was free within 1 s (queue = 1)"),
        ("refused", 0.0, "refused", "callers are not to wait for one (queue = refuse)"),
    ],
)
def test_no_agent(seen: Seen, name: str, seconds: float, status: str, reason: str) -> None:
    """LIMIT, and a channel that nobody has answered; the service is told that nobody waits."""
    outcome = seen.outcomes[name]
    assert outcome.result.status == "LIMIT"
    assert reason in outcome.result.reason
    assert outcome.result.went_on
    assert f"state|{name}|Ring|" in seen.log
    waited = queued_seconds(seen, name)
    assert seconds - 0.5 <= int(waited) < WAIT_SECONDS
    assert (waited == "0") == (name == "refused")
    assert statuses(seen, name) == (["waiting"] if seconds else []) + [status]
    assert seen.events[name][-2]["Waited"] == waited
    assert seen.events[name][-1]["Status"] == "LIMIT"
    assert GREETING[:800] not in outcome.call.heard
    session = seen.sessions[name]
    assert session["closed_by"] == ("agent" if name == "lost" else "client")
    assert session["close_code"] == (4300 if name == "lost" else 1000)


@pytest.mark.parametrize("name", ["other", "instead"])
def test_another_agent_in_place_of_a_full_one(seen: Seen, name: str) -> None:
    """None was there: `fallback_agent` is tried, and gets what the caller has said meanwhile."""
    result = seen.outcomes[name].result
    assert result.status == "HANGUP"
    assert f"(agent spare, in place of {name}, LIMIT: no agent" in result.reason
    assert (queued_seconds(seen, name) == "0") == (name == "instead")
    assert GREETING in seen.outcomes[name].call.heard
    if name == "other":
        line = seen.outcomes[name].call.recording
        began = check_last_words(line, seen.by_agent[name])
        there = came_at(line, GREETING) - line.packets_sent[0].at
        assert began <= max(0.0, there - PREROLL_SECONDS) + 0.5


def test_a_caller_who_leaves_the_queue(seen: Seen) -> None:
    outcome, session = seen.outcomes["leaves"], seen.sessions["leaves"]
    assert (outcome.result.status, outcome.result.reason) == ("HANGUP", "the caller hung up")
    check_queued(seen, "leaves")
    assert statuses(seen, "leaves") == ["waiting"]
    assert (session["closed_by"], session["close_code"]) == ("client", 1000)


def test_it_is_documented(pbx: Instance) -> None:
    assert "ElevenLabsQueue" in pbx.cli("manager show event ElevenLabsQueue")
    assert "ELEVENLABSQUEUED" in pbx.cli("core show application ElevenLabsConvAI")


@only_in_full("it replaces the engine under callers who wait")
def test_a_new_engine_while_callers_wait(pbx: Instance, agent: StartAgent) -> None:
    """They wait on, with the engine that they began with, and are admitted."""
    package = make_variant(pbx, "queue", append={"__init__.py": '\n__version__ = "0.1.0+queue"\n'})
    with agent(SERVICE.replace(f"{WAIT_SECONDS * 1000:.0f}", "8000")) as mock:
        configure(pbx, section("plain", mock.url) + section("ring", mock.url))
        with crowd(pbx, ["plain"], hangup_after=10.0) as calls:
            wait_queued(pbx, 1)
            build = install_package(pbx, package)
            assert "reloaded" in pbx.cli("module reload app_elevenlabs_convai")
            with crowd(pbx, ["ring"], hangup_after=1.0) as others:
                wait_queued(pbx, 2)
                assert pbx.engine_build() == build
                assert "2 generations alive" in pbx.cli("elevenlabs show version")
                assert others.outcomes()["ring"].result.status == "HANGUP"
            assert calls.outcomes()["plain"].before(GREETING)


@only_in_full("it ends the module")
def test_the_module_goes_while_callers_wait(pbx: Instance, agent: StartAgent) -> None:
    with agent(SERVICE) as mock:
        configure(pbx, section("impatient", mock.url))
        with crowd(pbx, ["impatient"]) as calls:
            wait_queued(pbx, 1)
            assert "Unloaded" in pbx.cli("module unload -f app_elevenlabs_convai")
            assert calls.outcomes()["impatient"].result.status == "UNLOADED"
        assert "Loaded" in pbx.cli("module load app_elevenlabs_convai")


HOLD_HZ, GREETING_HZ = 697, 1633
MATRIX = [
    f"t-{codec}-{form}-{letters}"
    for codec in ("ulaw", "alaw", "slin16")
    for form in ("ulaw_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_48000")
    for letters in ("p", "c", "n", "r", "cr", "g")
]
"""Agents: on which codec, what they speak and hear, with which options."""


def tone_agents() -> str:
    """A scenario: all of them speak tones, and another while they are not there."""
    lines = ['title = "tones"']
    for name in MATRIX:
        _, _, form, letters = name.split("-")
        lines += [
            f"[agents.{name}]",
            f'format = "{form}"',
            f'first_message = {{ sound = "tone:{GREETING_HZ}:1000", interruptible = false }}',
            f'hold_audio = {{ sound = "tone:{HOLD_HZ}:1000" }}',
            "admit_after_ms = 2300",
            f'when_done = "{"end" if letters == "n" else "listen"}"',
        ]
    return "\n".join([*lines, ""])


def spoken(payload: bytes, codec: str) -> str:
    """A letter for each 20 ms: h of hold audio, g of the greeting, r of ringing, a dot else."""
    samples, rate = from_payload(payload, codec), 16000 if codec == "slin16" else 8000
    size = rate // 50
    letters = ""
    for at in range(0, len(samples) - size + 1, size):
        frame = samples[at : at + size]
        loud = {
            letter: abs(
                sum(v * cmath.exp(-2j * math.pi * hz * i / rate) for i, v in enumerate(frame))
            )
            for letter, hz in {"h": HOLD_HZ, "g": GREETING_HZ, "r": RING_HZ[0]}.items()
        }
        best = max(loud, key=lambda letter: loud[letter])
        letters += best if 2 * loud[best] / size > 1000 else "."
    return letters


@only_in_full("every format on every codec")
@pytest.mark.limit(600)
def test_every_format_on_every_codec(pbx: Instance, root: Root) -> None:
    """Hold audio, or none, then the greeting, whole; each option."""
    found: dict[str, str] = {}
    with MockAgent(root, tone_agents()) as mock:
        configure(pbx, "".join(section(name, mock.url) for name in MATRIX))
        for at in range(0, len(MATRIX), 15):
            some = MATRIX[at : at + 15]
            with crowd(
                pbx,
                some,
                codec=lambda name: name.split("-")[1],
                hangup_after=lambda name: {"n": None, "c": 2.5, "cr": 2.5}.get(
                    name.split("-")[3], 5.0
                ),
            ) as calls:
                for name, outcome in calls.outcomes().items():
                    found[name] = spoken(outcome.call.heard, name.split("-")[1])
    wrong = {}
    for name, letters in found.items():
        before, greeting, behind = letters.partition("ggg")
        hears = name.split("-")[3] in ("p", "c", "n", "g")
        whole = abs(len((greeting + behind).rstrip(".")) - 50) < 4
        held = 80 < before.count("h") < 116 if hears else "h" not in before
        if not (greeting and whole and held):
            wrong[name] = letters
    assert wrong == {}
