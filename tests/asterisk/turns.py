"""Callers who speak by a schedule, and measure by themselves how soon they are answered."""

from __future__ import annotations

import array
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, pairwise
from pathlib import Path

from testbed.call import Call
from testbed.instance import Instance
from testbed.line import Phone
from testbed.rtp import CODECS, PACKET_MS, Packet
from testbed.speech import RATE, read_wav, speech, track, write_wav

WORDS = ("Yes, please.", "This is for Agnes.", "No, thanks.", "One of us is.", "Right.")
"""Some fade out for 150 ms."""

GRID_MS = 120
"""Packets of 20, 30, 40 and 60 ms fit into it."""

GREETING_MS, GREETED_MS = 300, 1200
"""The agent's first words, and when the caller begins to speak: both sides are up by then."""

END_OF_TURN_MS, REPLY_MS = 400, 300
DELAYS_MS = (0, 340, 120, 500, 230)
"""What the agent takes to think, besides."""

MARGIN_MS = 720
"""Between the end of a reply and the caller's next word."""

LONG_REPLY_MS, LISTENS_MS = 5000, 1500
"""What is interrupted; the caller listens for so long."""

SPEECH = 64
"""Mean amplitude, of 32767, of a packet that holds something: -54 dB."""

LONG_MS = 2640
"""Longer than anybody speaks without a pause."""

AGENT = """
[agents.{name}]
output_format = "{format}"
input_format = "{format}"
pace = 5
first_message = {{ text = "Hello.", sound = "noise:1:{greeting}", interruptible = false }}
turn_taking = {{ end_of_turn_ms = {end}, barge_in_ms = 240 }}
turns = [{turns}]
"""
SAYS = (
    '{{ say = {{ text = "Noise.", sound = "noise:{seed}:{ms}", interruptible = {interruptible},'
    " delay_ms = {delay} }} }}"
)


@dataclass(frozen=True)
class Caller:
    """One call of several turns."""

    name: str
    """Of letters: the agent's as well."""
    format: str = "ulaw_8000"
    codec: str = "ulaw"
    packet_ms: int = PACKET_MS
    pauses: str = "silence"
    """What the telephone sends in them: `silence`, `nothing`, `noise` (comfort noise)."""
    interrupts: bool = False
    long: bool = False
    """Says noise that has no pause."""

    def agent(self, turns: int) -> str:
        """The part of a scenario."""
        delays = zip(range(turns), cycle(DELAYS_MS), strict=False)
        listed = (
            SAYS.format(
                seed=2 + number,
                ms=LONG_REPLY_MS if self.interrupts else REPLY_MS,
                interruptible=str(self.interrupts).lower(),
                delay=0 if self.interrupts else delay,
            )
            for number, delay in delays
        )
        named = {"name": self.name, "format": self.format, "greeting": GREETING_MS}
        return AGENT.format(**named, end=END_OF_TURN_MS, turns=", ".join(listed))


@dataclass(frozen=True)
class Turn:
    """One turn, by the caller's own clock (time.monotonic), in seconds."""

    spoke: float
    """The last packet of speech was sent."""
    silent: float
    """The agent's last packet before that came, if it was interrupted."""
    heard: float
    """The first packet of the answer came."""

    @property
    def ms(self) -> float:
        """How soon the agent has answered."""
        return 1000 * (self.heard - self.spoke)


@dataclass
class Script:
    """What one caller does, and when."""

    caller: Caller
    phone: Phone
    _samples: bytes
    _words: list[tuple[int, int]] = field(default_factory=list)
    """From when to when each word is said, in ms of the caller's clock."""

    @classmethod
    def of(cls, pbx: Instance, caller: Caller, turns: int) -> Script:
        """Lay out so many turns."""
        parts: list[Path | float] = [GREETED_MS / 1000]
        words: list[tuple[int, int]] = []
        begin = GREETED_MS
        for word, seconds, pause_ms in _turns(pbx, caller, turns):
            end = _on_grid(begin + 1000 * seconds)
            words.append((begin, end))
            following = _on_grid(end + pause_ms)
            parts += [word, (following - begin) / 1000 - seconds]
            begin = following
        wav = track(pbx.root, parts)
        phone = Phone(pbx.root, wav, caller.codec, packet_ms=caller.packet_ms)
        phone.say(GREETED_MS)
        for (_, end), (following, _) in pairwise([*words, (begin, begin)]):
            phone.say(end - phone.ms)
            if caller.pauses == "silence":
                phone.say(following - end)
            else:
                phone.pause(following - end, noise=caller.pauses == "noise")
        return cls(caller, phone, read_wav(wav), words)

    def measure(self, call: Call) -> list[Turn | None]:
        """The turns as the caller has them; None: the next word had begun before the answer."""
        sent = {packet.sequence: packet.at for packet in call.recording.packets_sent}
        noise = [packet.at for packet in call.recording.audio if len(set(packet.payload)) > 9]
        begins = [sent[self._first(begin).sequence] for begin, _ in self._words]
        found: list[Turn | None] = []
        for (begin, end), until in zip(self._words, [*begins[1:], call.ended_at or 0], strict=True):
            spoke = sent[self._last_speech(begin, end).sequence]
            heard = min((at for at in noise if at > spoke), default=until)
            silent = max((at for at in noise if at <= spoke), default=0.0)
            found.append(Turn(spoke, silent, heard) if heard < until else None)
        return found

    def _first(self, begin: int) -> Packet:
        return next(each for each in self.phone.packets if each.at * 1000 >= begin - 0.5)

    def _last_speech(self, begin: int, end: int) -> Packet:
        """The last packet of a word in which there is any."""
        return [
            packet
            for packet in self.phone.packets
            if begin - 0.5 <= packet.at * 1000 < end and self._loudness(packet.at) > SPEECH
        ][-1]

    def _loudness(self, at: float) -> float:
        """Mean amplitude of what a packet that is sent then holds."""
        first = 2 * round(at * RATE)
        piece = array.array("h", self._samples[first:][: 2 * RATE * self.caller.packet_ms // 1000])
        return sum(map(abs, piece)) / len(piece)


def _on_grid(ms: float) -> int:
    return GRID_MS * math.ceil(ms / GRID_MS)


def _turns(pbx: Instance, caller: Caller, turns: int) -> Iterator[tuple[Path, float, int]]:
    """What the caller says in each turn, how many seconds, and the pause behind it, in ms."""
    words: Sequence[Path] = (
        [_noise(pbx)] if caller.long else [speech(pbx.root, text) for text in WORDS]
    )
    for _, word, delay in zip(range(turns), cycle(words), cycle(DELAYS_MS), strict=False):
        answered = END_OF_TURN_MS + delay + REPLY_MS + MARGIN_MS
        pause = END_OF_TURN_MS + LISTENS_MS if caller.interrupts else answered
        yield word, len(read_wav(word)) / (2 * RATE), pause


def _noise(pbx: Instance) -> Path:
    dice = random.Random(1)
    samples = array.array("h", (dice.randint(-9000, 9000) for _ in range(LONG_MS * RATE // 1000)))
    path = pbx.folder / "noise.wav"
    write_wav(path, samples.tobytes())
    return path


BY_LINE = [
    Caller("plain"),
    Caller("longpackets", packet_ms=60),
    Caller("mediumpackets", packet_ms=30),
    Caller("suppresses", pauses="nothing"),
    Caller("comfort", pauses="noise"),
    Caller("alaw", "pcm_16000", "alaw"),
    Caller("wide", "pcm_24000", "slin16", packet_ms=20),
    Caller("resampled", "pcm_22050"),
    Caller("withoutpause", long=True),
    Caller("suppressing", pauses="nothing", long=True),
]
"""One of each kind."""

INTERRUPTING = [
    Caller("interrupts", interrupts=True),
    replace(BY_LINE[1], name="interruptslate", interrupts=True),
]
assert set(CODECS) >= {caller.codec for caller in BY_LINE}
