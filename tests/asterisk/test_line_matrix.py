"""The table of docs/reliability.md: losses, stalls, pauses and lengths of packets, in every codec and jitter buffer.

It is written to build/lines.md: for each kind of line and each jitter buffer, the worst of all codecs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.instance import Instance
from testbed.line import Phone
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import PACKET_MS
from tests.asterisk.lines import Case, Trial, hold
from tests.asterisk.sweep import write_sweep
from tests.asterisk.test_formats import has_opus
from tests.asterisk.test_line import LENGTH, SHIFT_MS, pbx
from tests.timing import only_in_full

__all__ = ["pbx"]  # a fixture

TALK_MS = 9600
AT_ONCE = 40
"""Calls in one Asterisk: each is to keep to its time."""

BUFFERS = ("plain", "fixed", "adaptive")
CODECS = ("ulaw", "alaw", "g722", "opus")
AGENTS = ("ulaw_8000", "pcm_16000")
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
    for number, (name, line, length) in enumerate(KINDS):
        for (b, buffer), (c, codec) in itertools.product(enumerate(BUFFERS), enumerate(codecs)):
            if codec == "opus" and length == 30:
                continue  # Opus has no such packets
            agent = AGENTS[(number + b + c) % len(AGENTS)]
            what = f"kind{number}_{buffer}_{codec}"
            yield Case(buffer, agent, (codec,), line, what, packet_ms=length)


def worst(trials: dict[str, Trial], number: int, buffer: str) -> tuple[float, ...]:
    """(least speech in percent, most that is too long or short in percent, lead, lag) of a cell."""
    some = [t for what, t in trials.items() if what.startswith(f"kind{number}_{buffer}_")]
    return (
        min(100 * t.heard.speech_ms / t.said_ms for t in some),
        max(100 * abs(t.too_long_ms) / t.call_ms for t in some),
        max(t.heard.lead_ms for t in some),
        max(t.heard.lag_ms for t in some),
    )


def table(trials: dict[str, Trial]) -> str:
    """What docs/reliability.md has."""
    head = "| line | " + " | ".join(f"{b}: speech, length, lead, lag" for b in BUFFERS) + " |"
    rows = [head, "|---|" + "---|" * len(BUFFERS)]
    for number, (name, _, _) in enumerate(KINDS):
        cells = [worst(trials, number, buffer) for buffer in BUFFERS]
        shown = (f"{s:.0f} %, {n:.1f} %, {lead:.0f}, {lag:.0f}" for s, n, lead, lag in cells)
        rows.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join([*rows, ""])


@only_in_full("takes minutes")
@pytest.mark.limit(900)
def test_every_line_in_every_codec_and_buffer(root: Root, pbx: Instance, tmp_path: Path) -> None:
    """Never ahead or behind but for what a jitter buffer does; as long as the call in any case."""
    wav = write_sweep(tmp_path / "sweep.wav")
    codecs = CODECS if has_opus(pbx) else CODECS[:-1]
    trials: dict[str, Trial] = {}
    every = list(cases(codecs))
    for start in range(0, len(every), AT_ONCE):
        trials |= hold(root, pbx, wav, every[start : start + AT_ONCE])
    TABLE.write_text(table(trials), encoding="utf-8")
    print(*trials.values(), table(trials), sep="\n")
    wrong = [str(t) for t in trials.values() if abs(t.too_long_ms) > LENGTH * t.call_ms + 60]
    for trial in trials.values():
        if trial.case.way == "plain" and max(trial.heard.lead_ms, trial.heard.lag_ms) > SHIFT_MS:
            wrong.append(str(trial))
    assert wrong == []
