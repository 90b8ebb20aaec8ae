"""What was heard of a caller, and when it was said by the caller's own clock. Plain Python.

The caller says a tone that rises by 1 Hz each millisecond, again and again. So each piece of what
was heard tells when it was said, and how far the agent was ahead or behind there.
"""

from __future__ import annotations

import array
import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.speech import write_wav

RATE = 16000
LOW_HZ = 400
PERIOD_MS = 2400
"""Up to 2800 Hz, which every codec has; whole packets of all lengths."""

LEVEL = 8000
LOUD = 2000
"""Mean amplitude of a piece that is all tone, or nearly."""

GRAIN_MS = 5
"""In which speech is counted: a hole has no more than that at either edge."""

PIECE_MS = 20
AGREE_HZ = 8
"""Two pieces in a row that were said in a row differ by 20 Hz: others hold a seam."""

PRECISION_MS = 1.0
"""A piece's pitch tells its place no better."""

FIRST_PIECES = 5
"""What they agree on is where the call begins."""


@dataclass(frozen=True)
class Heard:
    """What of a sweep arrived. Times in milliseconds."""

    ms: float
    """All that was heard, silence included."""
    speech_ms: int
    """The part of it that is loud."""
    shifts: list[float] = field(repr=False)
    """How much further back than it was said a piece stands, relative to the first ones."""

    @property
    def lead_ms(self) -> float:
        """How far ahead of real time the stream was: something was put in that was never said."""
        return max(self.shifts, default=math.nan)

    @property
    def lag_ms(self) -> float:
        """How far behind real time: something of what was said, or of a pause, is not there."""
        return -min(self.shifts, default=math.nan)

    @property
    def end_ms(self) -> float:
        """The last shift: how much too long what was heard is, or too short."""
        return self.shifts[-1] if self.shifts else math.nan

    def __str__(self) -> str:
        shifts = f"lead {self.lead_ms:4.0f} lag {self.lag_ms:4.0f} end {self.end_ms:+5.0f} ms"
        return f"heard {self.ms / 1000:5.2f} s, speech {self.speech_ms / 1000:5.2f} s, {shifts}"


def write_sweep(path: Path) -> Path:
    """Write one period as a WAV file."""
    times = (n / RATE for n in range(RATE * PERIOD_MS // 1000))
    turns = (LOW_HZ * t + 500 * t * t for t in times)
    samples = array.array("h", (round(LEVEL * math.sin(2 * math.pi * turn)) for turn in turns))
    write_wav(path, samples.tobytes(), RATE)
    return path


def listen(samples: Sequence[int], rate: int) -> Heard:
    """Find the sweep in what was heard."""
    pitches = [_pitch(piece, rate) for piece in _cut(samples, rate * PIECE_MS // 1000)]
    shifts = list(_shifts(pitches))
    first = statistics.median(shifts[:FIRST_PIECES]) if shifts else 0.0
    return Heard(
        ms=len(samples) * 1000 / rate,
        speech_ms=GRAIN_MS * sum(map(_is_loud, _cut(samples, rate * GRAIN_MS // 1000))),
        shifts=[shift - first for shift in shifts],
    )


def _cut(samples: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (samples[at : at + size] for at in range(0, len(samples) - size + 1, size))


def _is_loud(piece: Sequence[int]) -> bool:
    return sum(map(abs, piece)) >= LOUD * len(piece)


def growth(pieces: Iterable[tuple[float, Sequence[int]]], rate: int) -> float:
    """By how much pieces come later than the first ones did, at most.

    pieces: when each came, in milliseconds, and its samples.
    """
    delays: list[float] = []
    for at, piece in pieces:
        pitch = _pitch(piece, rate)
        if pitch is not None:
            delay = at - (pitch - LOW_HZ) + 500 * len(piece) / rate
            delays.append(_nearest(delay, delays[-1] if delays else 0.0))
    first = statistics.median(delays[:FIRST_PIECES]) if delays else 0.0
    return max(delays, default=math.nan) - first


def _nearest(shift: float, last: float) -> float:
    """It is only known up to whole periods: the nearest to the one before."""
    return last + (shift - last + PERIOD_MS / 2) % PERIOD_MS - PERIOD_MS / 2


def _shifts(pitches: list[float | None]) -> Iterator[float]:
    """Yield the place of each piece in what was heard minus the time at which it was said."""
    last: float | None = None
    for number, (before, pitch) in enumerate(itertools.pairwise(pitches), 1):
        if before is None or pitch is None or abs(pitch - before - PIECE_MS) > AGREE_HZ:
            continue
        shift = number * PIECE_MS + PIECE_MS / 2 - (pitch - LOW_HZ)
        last = shift if last is None else _nearest(shift, last)
        yield last


def _pitch(piece: Sequence[int], rate: int) -> float | None:
    """The frequency of a piece, in Hz, by where it crosses zero upwards; None if it is not loud."""
    if not _is_loud(piece):
        return None
    crossings = [
        n + one / (one - other)
        for n, (one, other) in enumerate(itertools.pairwise(piece))
        if one < 0 <= other
    ]
    if len(crossings) < 2:
        return None
    return (len(crossings) - 1) * rate / (crossings[-1] - crossings[0])
