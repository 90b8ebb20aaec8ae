"""The table of docs/reliability.md: losses, stalls, pauses, lengths of packets.

Each in every codec and jitter buffer. It is written to build/lines.md: for each kind of line and
each jitter buffer, the worst of all codecs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyconvai.mock.audio import FORMATS, decode
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.line import Phone
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import PACKET_MS
from tests.asterisk.lines import AFTER_SECONDS, DIALPLAN, Case, Trial, hold
from tests.asterisk.sweep import growth, write_sweep
from tests.asterisk.test_formats import has_opus
from tests.asterisk.test_line import EDGES_MS, LENGTH, SHIFT_MS, pbx
from tests.timing import only_in_full

__all__ = ["pbx"]  # a fixture

TALK_MS = 9600
AT_ONCE = 40
"""Calls in one Asterisk: each is to keep to its time."""

BUFFERS = ("plain", "fixed", "adaptive")
CODECS = ("ulaw", "alaw", "g722", "opus")
AGENTS = ("ulaw_8000", "pcm_16000")
SPEECH_PERCENT = 4.0
"""Of speech that may be missing: Opus and G.722 need a moment to be loud again behind silence."""

ADAPTIVE_PERCENT = 20.0
"""The same behind an adaptive buffer. It gives late speech to the application all together, which
is dropped, while Echo() has it back. With packets of 60 ms it settles on one delay or on twice as
much, by chance: 12 of 100 may be missing where Echo() misses nothing."""

ULAW = FORMATS["ulaw_8000"]
ECHO = """
exten => echo_fixed,1,Answer()
 same => n,Set(JITTERBUFFER(fixed)=default)
 same => n,Echo()
exten => echo_adaptive,1,Answer()
 same => n,Set(JITTERBUFFER(adaptive)=default)
 same => n,Echo()
"""
TABLE = BUILD / "lines.md"

Line = Callable[[Phone], Phone]


def lossy(percent: float) -> Line:
    return lambda phone: phone.say(TALK_MS - 240).lose(percent, seed=7).say(240)


def stalled(ms: int) -> Line:
    def line(phone: Phone) -> Phone:
        phone.say(TALK_MS)
        for at in (1500, 4000, 6500):
            phone.stall(at, ms)
        return phone

    return line


def paused(ms: int) -> Line:
    def line(phone: Phone) -> Phone:
        while phone.ms < TALK_MS:
            phone.say(300).pause(ms)
        return phone.say(300)

    return line


def kinds() -> Iterator[tuple[str, Line, int]]:
    """Name, line, length of packets."""
    for percent in (0, 1, 5, 10, 20):
        yield f"{percent} % lost", lossy(percent), PACKET_MS
    for ms in (100, 200, 400, 700, 1000):
        yield f"3 stalls of {ms} ms", stalled(ms), PACKET_MS
    for ms in (20, 60, 100, 200, 300):
        yield f"pauses of {ms} ms", paused(ms), PACKET_MS
    for length, percent in itertools.product((10, 30, 40, 60), (0, 5)):
        yield f"packets of {length} ms, {percent} % lost", lossy(percent), length


KINDS = list(kinds())


def cases(codecs: tuple[str, ...]) -> Iterator[Case]:
    """Every kind with every jitter buffer and codec; the agents' formats take turns."""
    for number, (_, line, length) in enumerate(KINDS):
        for (b, buffer), (c, codec) in itertools.product(enumerate(BUFFERS), enumerate(codecs)):
            if codec == "opus" and length == 30:
                continue  # Opus has no such packets
            agent = AGENTS[(number + b + c) % len(AGENTS)]
            what = f"kind{number}_{buffer}_{codec}"
            yield Case(buffer, agent, (codec,), line, what, packet_ms=length)


@dataclass(frozen=True)
class Alone:
    """What a jitter buffer does by itself: the same line, in mu-law, to Echo()."""

    speech_percent: float
    lead_ms: float
    """The most by which its delay has grown since the first packets."""


def echo(root: Root, pbx: Instance, wav: Path) -> dict[tuple[int, str], Alone]:
    """Place the calls to Echo(), one of each kind through each buffer."""
    keys = list(itertools.product(range(len(KINDS)), BUFFERS[1:]))
    found: dict[tuple[int, str], Alone] = {}
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        phones = [
            KINDS[number][1](Phone(root, wav, packet_ms=KINDS[number][2])) for number, _ in some
        ]
        with Callers(
            pbx,
            len(some),
            [f"echo_{buffer}" for _, buffer in some].__getitem__,
            play=phones,
            hangup_after=[phone.seconds + AFTER_SECONDS for phone in phones],
        ) as calls:
            calls.wait()
        for key, phone, call in zip(some, phones, calls, strict=True):
            said = sum(len(packet.payload) for packet in phone.packets)
            sent, back = call.recording.packets_sent[0], call.recording.audio
            at = [(1000 * (packet.at - sent.at), decode(packet.payload, ULAW)) for packet in back]
            found[key] = Alone(100 * len(call.heard) / said, growth(at, ULAW.rate))
        calls.delete_files()
    return found


def worst(trials: dict[str, Trial], number: int, buffer: str) -> tuple[float, float, float]:
    """(least speech in percent, lead, lag) of a cell."""
    some = [t for what, t in trials.items() if what.startswith(f"kind{number}_{buffer}_")]
    return (
        min(100 * t.heard.speech_ms / t.said_ms for t in some),
        max(t.heard.lead_ms for t in some),
        max(t.heard.lag_ms for t in some),
    )


def table(trials: dict[str, Trial], alone: dict[tuple[int, str], Alone]) -> str:
    """What docs/reliability.md has."""
    rows = ["| line | no buffer | fixed (by itself) | adaptive (by itself) |", "|---|---|---|---|"]
    for number, (name, _, _) in enumerate(KINDS):
        cells = [name]
        for buffer in BUFFERS:
            speech, lead, lag = worst(trials, number, buffer)
            cells.append(f"{speech:.0f} %, +{lead:.0f} -{lag:.0f}")
            if by_itself := alone.get((number, buffer)):
                cells[-1] += f" ({by_itself.speech_percent:.0f} %, +{by_itself.lead_ms:.0f})"
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def is_wrong(trial: Trial, alone: dict[tuple[int, str], Alone]) -> bool:
    """Whether the agent was ahead, or behind, or missed something, but for what the buffer does."""
    number = int(trial.case.what.removeprefix("kind").split("_")[0])
    by_itself = alone.get((number, trial.case.way), Alone(100.0, 0.0))
    heard = trial.heard
    # A buffer's own frames come at a pace of theirs, and an adaptive one's delay goes up and down,
    # by whole packets: in one call it has another than in the next.
    buffer_ms = 0.0 if trial.case.way == "plain" else KINDS[number][2] + by_itself.lead_ms
    missing = ADAPTIVE_PERCENT if trial.case.way == "adaptive" else SPEECH_PERCENT
    # What comes late is dropped; a fixed buffer's delay grows by a stall instead.
    late = "stall" in KINDS[number][0] and trial.case.way != "fixed"
    least = 0.0 if late else by_itself.speech_percent - missing
    return (
        abs(trial.too_long_ms) > LENGTH * trial.call_ms + EDGES_MS
        or heard.lead_ms > SHIFT_MS + buffer_ms
        or heard.lag_ms > SHIFT_MS + buffer_ms
        or 100 * heard.speech_ms / trial.said_ms < least
    )


@only_in_full("takes minutes")
@pytest.mark.limit(900)
def test_every_line_in_every_codec_and_buffer(root: Root, pbx: Instance, tmp_path: Path) -> None:
    """L4, L6, L7: as long as the call, never ahead or behind, but for what a buffer does itself."""
    wav = write_sweep(tmp_path / "sweep.wav")
    every = list(cases(CODECS if has_opus(pbx) else CODECS[:-1]))
    pbx.reload_dialplan(DIALPLAN + ECHO)
    alone = echo(root, pbx, wav)
    trials: dict[str, Trial] = {}
    for start in range(0, len(every), AT_ONCE):
        trials |= hold(root, pbx, wav, every[start : start + AT_ONCE])
    TABLE.write_text(table(trials, alone), encoding="utf-8")
    print(*trials.values(), table(trials, alone), sep="\n")
    assert [str(trial) for trial in trials.values() if is_wrong(trial, alone)] == []
