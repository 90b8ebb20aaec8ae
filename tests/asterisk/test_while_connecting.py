"""What callers hear until the agent is there, and what becomes of what they say meanwhile.

Every option has an agent and an extension of its own; all are called at once.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyconvai.mock.audio import FORMATS, decode
from testbed.call import Call
from testbed.config import USELESS_MODULES
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import CODECS, Recording
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Outcome, crowd
from tests.asterisk.phone import RESULT, configure, section
from tests.asterisk.samples import came_at, check_heard, is_said
from tests.asterisk.stage import until
from tests.timing import EVENT

ULAW = CODECS["ulaw"]
SILENCE = bytes([ULAW.silence])

OPTIONS = {
    "plain": "", "first": "c", "ring": "r", "music": "m(jazz)", "usual": "m", "both": "cm(jazz)",
    "greeting": "g", "late": "", "noisy": "", "early": "n",
}  # fmt: skip
"""By agent."""

BEFORE = {
    # The lines of the README for noisy lines.
    "noisy": (
        "Answer()",
        "Set(JITTERBUFFER(adaptive)=default)",
        "Set(DENOISE(rx)=on)",
        "Set(TALK_DETECT(set)=)",
    ),
    "early": ("Progress()",),
}
DELAY_MS = 1500
"""From the call to the conversation."""

LATE_MS = 3000
SLACK_SECONDS = 0.5
"""Between the caller's clock and the module's."""

PREROLL_SECONDS = 2.0
"""As much of the caller's first words is kept: MEDIA_PREROLL_MS_MAX."""

GREETING = ULAW.noise(1.0, seed=1)
MUSIC = {"jazz": ULAW.noise(6.0, seed=21), "default": ULAW.noise(6.0, seed=22)}
SAID = ULAW.noise(1.0, seed=11)
SAID_LONG = ULAW.noise(LATE_MS / 1000, seed=12)
RING_HZ = (440, 480)

SERVICE = f"""\
title = "slow"
[agents.default]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:1:1000", interruptible = false }}
faults = [{{ name = "delay", stage = "init", ms = {DELAY_MS} }}]
[agents.greeting]
like = "default"
first_message = {{ text = "Noise.", sound = "noise:1:1000" }}
[agents.late]
like = "default"
faults = [{{ name = "delay", stage = "init", ms = {LATE_MS} }}]
[agents.early]
like = "default"
when_done = "end"
[agents.gone]
like = "default"
faults = [{{ name = "close", stage = "open", code = 1011, reason = "boom" }}]
"""


def dialplan() -> str:
    """An extension for each option."""
    lines = ["[callers]"]
    for name, letters in OPTIONS.items():
        steps = (*BEFORE.get(name, ()), f"Set(AGENT={name})", f"ElevenLabsConvAI({name},{letters})")
        steps += (f"Log(NOTICE,{RESULT}went on|{name})", "Answer()", "Wait(0.1)", "Hangup()")
        lines += [f"exten => {name},1,{steps[0]}", *(f" same => n,{step}" for step in steps[1:])]
    lines += [
        "exten => gone,1,ElevenLabsConvAI(gone,c)",
        " same => n,Log(NOTICE,state ${CHANNEL(state)})",
        f" same => n,Log(NOTICE,{RESULT}went on|gone)",
        f"exten => h,1,Log(NOTICE,{RESULT}hung up|${{AGENT}})",
    ]
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, root: Root) -> Instance:
    """With music on hold, which the testbed leaves out otherwise."""
    classes = []
    for name, sound in MUSIC.items():
        folder = BUILD / "testbed" / "music" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "noise.ulaw").write_bytes(sound)
        classes.append(f"[{name}]\nmode = files\ndirectory = {root.path(folder)}\n")
    unwanted = [name for name in USELESS_MODULES if name != "res_musiconhold"]
    noload = "".join(f"noload = {name}.so\n" for name in unwanted)
    return asterisk(
        dialplan=dialplan(),
        elevenlabs="[general]\n",
        files={
            "musiconhold.conf": "".join(classes),
            "modules.conf": f"[modules]\nautoload = yes\n{noload}",
        },
    )


@dataclass(frozen=True)
class Seen:
    outcomes: dict[str, Outcome]
    by_agent: dict[str, bytes]
    """What each agent heard."""
    interruptions: int
    late: str
    """`elevenlabs show session` of the call whose agent came late."""


@pytest.fixture(scope="module")
def seen(pbx: Instance, root: Root) -> Seen:
    with MockAgent(root, SERVICE, record=True) as mock:
        configure(pbx, "".join(section(name, mock.url) for name in OPTIONS))
        with crowd(pbx, list(OPTIONS), send=said_by) as calls:
            until(lambda: is_through("late", calls.calls["late"]), "the late agent is not heard")
            late = calls.shown("late")
            calls.leave(is_through)
            outcomes = calls.outcomes()
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    record = Path(mock.folder / "record")
    return Seen(
        outcomes,
        {
            name: next(record.glob(f"*-{session['conversation_id']}-caller.raw")).read_bytes()
            for name, session in sessions.items()
        },
        sessions["greeting"]["interruptions"],
        late,
    )


def said_by(name: str) -> bytes:
    return SAID_LONG if name in ("late", "greeting") else SAID


def is_through(name: str, call: Call) -> bool:
    """Whether both sides have said all; the last of these calls ends by itself."""
    line = call.so_far()
    return name != "early" and GREETING in line.heard and is_said(line, said_by(name))


def level(payload: bytes, hz: int) -> float:
    """Amplitude of one frequency."""
    samples = decode(payload, FORMATS["ulaw_8000"])
    turns = (value * cmath.exp(-2j * math.pi * hz * i / 8000) for i, value in enumerate(samples))
    return 2 * abs(sum(turns)) / len(samples)


def stretches(payload: bytes) -> Iterator[bytes]:
    """What lies between stretches of silence."""
    return (match[0] for match in re.finditer(rb"[^\xff](?:.{0,159}[^\xff])*", payload, re.DOTALL))


@pytest.mark.parametrize("name", OPTIONS)
def test_the_agent_is_heard_whole(seen: Seen, name: str) -> None:
    outcome = seen.outcomes[name]
    assert outcome.result.status == ("AGENT_ENDED" if name == "early" else "HANGUP")
    outcome.before(GREETING)


@pytest.mark.parametrize("name", ["plain", "first", "ring", "music", "usual", "both"])
def test_first_words_are_not_lost(seen: Seen, name: str) -> None:
    """Whatever the caller hears meanwhile, all that they say reaches the agent."""
    line = seen.outcomes[name].call.recording
    # But for what was too old when an agent came who was later than usual.
    first = max(0.0, too_old_seconds(line) + 0.2)
    check_heard(line, SAID[ULAW.bytes_in(first) :], seen.by_agent[name])


def too_old_seconds(line: Recording) -> float:
    """How much of what a caller had said was too old when the agent came, by the caller's clock.

    The agent says its first word as soon as it is there. Below 0: nothing was.
    """
    return came_at(line, GREETING) - line.packets_sent[0].at - PREROLL_SECONDS


def test_first_words_that_are_too_old_are_counted(seen: Seen) -> None:
    heard, line = seen.by_agent["late"], seen.outcomes["late"].call.recording
    too_old = too_old_seconds(line)
    assert too_old > LATE_MS / 1000 - PREROLL_SECONDS - 0.2
    check_heard(line, SAID_LONG[ULAW.bytes_in(too_old + SLACK_SECONDS) :], heard)
    dropped = re.search(r"([\d.]+) s of the first words", seen.late)
    assert dropped, seen.late
    assert abs(float(dropped[1]) - too_old) < SLACK_SECONDS
    assert SAID_LONG[: ULAW.bytes_in(too_old - SLACK_SECONDS)] not in heard


def test_nothing_is_heard_by_default(seen: Seen) -> None:
    before = seen.outcomes["plain"].before(GREETING)
    assert ULAW.seconds(before) > DELAY_MS / 1000 - 0.2
    assert set(before) <= set(SILENCE)


def test_ringing_is_heard(seen: Seen) -> None:
    """The tone of the channel's zone, on a channel that has been answered."""
    before = seen.outcomes["ring"].before(GREETING).strip(SILENCE)
    assert ULAW.seconds(before) > DELAY_MS / 1000 - 0.3
    assert all(level(before[: ULAW.bytes_in(1.0)], hz) > 1000 for hz in RING_HZ)
    assert level(before[: ULAW.bytes_in(1.0)], 700) < 50


@pytest.mark.parametrize(("name", "music"), [("music", "jazz"), ("usual", "default")])
def test_music_of_the_class_is_heard(seen: Seen, name: str, music: str) -> None:
    """Sample for sample, from its beginning to the agent's first word."""
    before = seen.outcomes[name].before(GREETING).strip(SILENCE)
    assert ULAW.seconds(before) > DELAY_MS / 1000 - 0.3
    assert MUSIC[music].startswith(before)


def test_with_c_the_answer_comes_with_the_agent(seen: Seen) -> None:
    for name in ("first", "both"):
        call = seen.outcomes[name].call
        assert call.placed_at is not None
        assert call.answered_at is not None
        assert call.answered_at - call.placed_at > DELAY_MS / 1000 - SLACK_SECONDS
        if name == "first":
            assert call.ringing_at is not None
            assert call.ringing_at < call.answered_at - 0.5


def test_music_before_the_answer(seen: Seen) -> None:
    before = seen.outcomes["both"].before(GREETING).strip(SILENCE)
    assert MUSIC["jazz"].startswith(before)
    assert ULAW.seconds(before) > DELAY_MS / 1000 - 0.3


def test_with_n_nothing_is_answered(seen: Seen) -> None:
    """The whole conversation is early media; the dialplan answers afterwards."""
    call = seen.outcomes["early"].call
    assert call.answered_at is not None
    spoken = [packet.at for packet in call.recording.audio if set(packet.payload) != set(SILENCE)]
    assert max(spoken) < call.answered_at


def test_the_greeting_is_not_interrupted(seen: Seen) -> None:
    """The caller speaks over it; the agent hears silence in place of that."""
    assert seen.interruptions == 0
    assert SAID_LONG[: ULAW.bytes_in(2.5)] not in seen.by_agent["greeting"]


def test_help_for_noisy_lines(pbx: Instance, seen: Seen) -> None:
    """With all of the README's lines the agent still hears the caller, and as much as ever."""
    for function in ("JITTERBUFFER", "DENOISE", "TALK_DETECT"):
        assert f"Info about Function '{function}'" in pbx.cli(f"core show function {function}")
    heard = seen.by_agent["noisy"]
    assert ULAW.seconds(heard) > 2.0
    assert ULAW.seconds(heard.strip(SILENCE)) > 0.5


def test_a_failure_leaves_the_channel_unanswered(pbx: Instance, root: Root) -> None:
    with MockAgent(root, SERVICE) as mock:
        configure(pbx, section("gone", mock.url, connect_attempts="1"))
        start = len(pbx.log())
        with crowd(pbx, ["gone"]) as calls:
            pbx.wait_log("state Ring", start=start)
            calls.calls["gone"].hangup()
            assert calls.outcomes(EVENT)["gone"].result.status == "ERROR"
