"""Scenes with several telephones and an agent each, all played at once in one Asterisk.

    @scene
    def picked_up(stage: Stage) -> None:
        first = stage.talk(stage.phone("desk"))
        other = stage.pick_up(stage.phone("colleague"), first)
        stage.speak(other, "other")

The agent has the scene's name. What was said and by whom it was heard is compared afterwards.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS, Recording
from testbed.telephone import Leg, Telephone
from testbed.telephones import Telephones
from tests.asterisk.phone import RESULT, Result, results
from tests.asterisk.samples import in_time, is_said
from tests.timing import EVENT, MS

ULAW = CODECS["ulaw"]
GREETING = ULAW.noise(0.4, seed=1)
REPLIES = [ULAW.noise(0.4, seed=seed) for seed in (2, 3, 4)]
"""What the agent says to what it has heard, one after the other."""

HEARD = 0.8
"""Part of a word's packets that is to be heard, 16 of 20, of those that were sent in time."""

WORD_SECONDS = 0.4

MOVING = threading.Lock()
"""Held while a channel is moved. Asterisk 22.10 may stop for good where two are: one has the lock
for that and waits for a serializer of SIP, which two calls may share, and in which the other waits
for the lock."""

# All that is said is sent at once: on a busy machine the second piece may come too late to be
# heard behind the first without a pause.
AGENT = """
pace = 0
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:400" }
turns = [
  { say = { text = "One.", sound = "noise:2:400" } },
  { say = { text = "Two.", sound = "noise:3:400" } },
  { say = { text = "Three.", sound = "noise:4:400" } },
]
turn_taking = { end_of_turn_ms = 300, barge_in_ms = 240 }
"""

DIALPLAN = f"""\
[callers]
; the extension is the agent, or a telephone
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Hangup()
exten => _dial_.,1,Dial(${{${{EXTEN:5}}}})
exten => _keys_.,1,Dial(${{${{EXTEN:5}}}},,t)
exten => 700,1,Goto(consult_by_keys,1)
exten => locker,1,Set(GOT=${{LOCK(mine)}})
 same => n,Answer()
 same => n,Echo()
exten => elsewhere,1,Answer()
 same => n,Log(NOTICE,elsewhere ${{CHANNEL(name)}})
 same => n,Echo()
exten => h,1,ExecIf($["${{AGENT}}" != ""]?Log(NOTICE,{RESULT}hung up|${{AGENT}}))
"""


@dataclass
class Stage:
    """Where one scene plays."""

    pbx: Instance
    phones: Telephones
    agent: str
    said: dict[str, bytes] = field(default_factory=dict)
    said_by: dict[str, Leg] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    """Whatever a scene wants to tell its test."""

    def phone(self, role: str = "customer", number: str = "", **how: Any) -> Telephone:
        """Make a telephone; extension `extension(role)` rings it."""
        return self.phones.phone(f"{role}_{self.agent}", number, **how)

    def extension(self, role: str) -> str:
        """What rings the telephone."""
        return f"dial_{role}_{self.agent}"

    def talk(self, phone: Telephone, **how: Any) -> Leg:
        """Call the agent from there and wait for its greeting."""
        return self.greeted(phone.call(self.agent, **how).wait_up())

    def greeted(self, leg: Leg) -> Leg:
        """Wait for the agent's greeting."""
        return self.hears(leg, GREETING, "greeting")

    def dial(self, phone: Telephone, other: Telephone, extension: str) -> tuple[Leg, Leg]:
        """Call another telephone, until that hears the caller: both legs."""
        leg = phone.call(extension).wait_up()
        there = other.wait_call()
        wait_joined(leg, there)
        return leg, there

    def hears(self, leg: Leg, sound: bytes, what: str) -> Leg:
        """Wait until a telephone has heard that whole."""
        until(lambda: sound in leg.so_far().heard, f"{self.agent}: {what} not heard by {leg}")
        return leg

    def answered(self, leg: Leg, number: int = 0) -> Leg:
        """Wait for the agent's reply to what it was told, and to have heard it whole."""
        return self.hears(leg, REPLIES[number], f"reply {number}")

    def transfer(self, leg: Leg, other: Leg, *, stays: bool = False) -> None:
        """Have a telephone join the far ends of two calls of its own; stays: see Leg.refer."""
        with MOVING:
            assert leg.transfer_to(other, stays=stays) == 200

    def pick_up(self, phone: Telephone, leg: Leg) -> Leg:
        """Have another telephone take over a call with the agent."""
        with MOVING:
            taken = phone.call(self.agent, replaces=leg).wait_up()
            leg.wait(EVENT)  # Asterisk hangs up there once it has moved the channel
        return taken

    def speak(self, leg: Leg, word: str, seconds: float = WORD_SECONDS) -> None:
        """Say noise that no other has, and wait until it has come through."""
        noise = self.said[word] = ULAW.noise(
            seconds, seed=zlib.crc32(f"{self.agent} {word}".encode())
        )
        self.said_by[word] = leg
        leg.say(noise)
        until(
            lambda: leg.ended_at is not None or is_said(leg.so_far(), noise),
            f"{self.agent}: {word} not sent",
        )
        assert leg.ended_at is None, f"{self.agent}: {leg} has ended, {word} not sent"


Scene = Callable[[Stage], None]


@dataclass
class Played:
    """What came of a scene."""

    name: str
    said: dict[str, bytes]
    lines: dict[str, Recording]
    """On which each word was said."""
    seen: dict[str, Any]
    heard: bytes
    """By the agent."""
    session: dict[str, Any]
    """As the mock reports it."""
    results: list[Result]

    def hears(self, word: str) -> bool:
        """Whether the agent has heard that, but for what a busy machine sent too late."""
        return self.heard_of(word) >= HEARD * in_time(self.lines[word], self.said[word])

    def heard_of(self, word: str) -> int:
        """How many packets of it the agent has heard."""
        return packets_of(self.said[word], self.heard)

    def seconds_between(self, word: str, other: str) -> float:
        """From the start of one word to the start of another, by the agent's clock."""
        return ULAW.seconds(self._at(other) - self._at(word))

    def _at(self, word: str) -> int:
        """Where the word begins in what the agent has heard, by the first packet of it there."""
        noise, size = self.said[word], ULAW.packet_bytes
        places = range(0, len(noise), size)
        return next(
            found - at for at in places if (found := self.heard.find(noise[at : at + size])) >= 0
        )


def play(pbx: Instance, mock: MockAgent, scenes: Sequence[Scene]) -> dict[str, Played | Exception]:
    """Play all scenes at once; what came of each by its name. The mock has ended afterwards."""
    start = len(pbx.log())
    stages: dict[str, Stage] = {}
    with Telephones(pbx) as phones, ThreadPoolExecutor(len(scenes)) as threads:
        futures: dict[str, Future[None]] = {}
        for each in scenes:
            stage = stages[each.__name__] = Stage(pbx, phones, each.__name__)
            futures[each.__name__] = threads.submit(each, stage)
        failed = {name: future.exception() for name, future in futures.items()}
    pbx.wait_no_channels()
    mock.stop()
    ended = results(pbx, start)
    played: dict[str, Played | Exception] = {}
    for name, stage in stages.items():
        error = failed[name]
        sessions = [s for s in mock.report["sessions"] if s["agent_id"] == name]
        session = sessions[-1] if sessions else {}
        played[name] = (
            error
            if isinstance(error, Exception)
            else Played(
                name=name,
                said=stage.said,
                lines={word: leg.recording for word, leg in stage.said_by.items()},
                seen=stage.seen,
                heard=_heard(mock, session),
                session=session,
                results=[result for result in ended if result.agent == name],
            )
        )
    return played


def _heard(mock: MockAgent, session: dict[str, Any]) -> bytes:
    files = Path(mock.folder / "record").glob(f"*-{session.get('conversation_id')}-caller.raw")
    return b"".join(path.read_bytes() for path in files)


def packets_of(noise: bytes, heard: bytes) -> int:
    """How many packets of it are in what was heard."""
    size = ULAW.packet_bytes
    return sum(noise[i : i + size] in heard for i in range(0, len(noise), size))


def loud_seconds(payload: bytes, codec: str = "ulaw") -> float:
    """How much of it is speech, or noise."""
    silent = CODECS[codec].silence
    size = CODECS[codec].packet_bytes
    pieces = [payload[i : i + size] for i in range(0, len(payload), size)]
    return CODECS[codec].seconds(size) * sum(
        len(set(p) - {silent, silent ^ 0x80}) > 9 for p in pieces
    )


def wait_joined(leg: Leg, there: Leg) -> None:
    """Wait until a telephone hears another one, as it did not before.

    Asterisk answers, and moves, before it has joined the two; until then it refuses to transfer
    them, and drops what is said: so a packet of noise is said at each look.
    """
    before = loud_seconds(there.so_far().heard)
    noise = leg.codec.noise(leg.codec.seconds(leg.codec.packet_bytes), seed=44)

    def is_heard() -> bool:
        leg.say(noise)
        return loud_seconds(there.so_far().heard) > before

    until(is_heard, f"{there} does not hear {leg}")


def until(reached: Callable[[], bool], what: str, limit: float = EVENT) -> None:
    """Wait for something that nothing announces."""
    deadline = time.monotonic() + limit
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(50 * MS)
