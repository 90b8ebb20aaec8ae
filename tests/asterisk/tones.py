"""Tones, as they were and as they came: what of them is level, and what was added. Plain Python."""

from __future__ import annotations

import array
import cmath
import functools
import math
import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from pyconvai.mock.audio import FORMATS, TONE_AMPLITUDE, decode, encode

HZ = (1004, 3004)
"""No small fraction of any rate: what G.711 adds becomes noise, not tones that repeat."""

WINDOW_SECONDS = 0.5
"""Measured: whole periods of both tones, and whole samples at every rate."""

BEFORE_END_SECONDS = 0.15
"""Between the window and the end of the tones: how filters end is not measured."""

LOUD = 2500
"""Above all that is no tone here."""

SPECTRUM = 8192
"""Samples that the search for other tones looks at."""

MAIN_LOBE = 8
"""Half the width of a tone in that spectrum, in lines."""


@dataclass(frozen=True)
class Measured:
    """What became of the tones."""

    levels_db: list[float]
    """Of each tone, relative to how it was sent."""
    added_db: float
    """The loudest line of the spectrum that is none of them, relative to one of them."""
    added_hz: float
    noise_db: float
    """All that is none of them, together."""

    @property
    def loudness_db(self) -> float:
        """Of everything together, relative to the tones as they were sent."""
        parts = [*self.levels_db, self.noise_db]
        return 10 * math.log10(sum(10 ** (part / 10) for part in parts) / len(HZ))

    def __str__(self) -> str:
        levels = " ".join(f"{level:+.2f}" for level in self.levels_db)
        added = f"added {self.added_db:.0f} at {self.added_hz:.0f} Hz"
        return f"{levels} dB, {added}, noise {self.noise_db:.0f}"


def measure(samples: Sequence[int], rate: int) -> Measured:
    """Measure the last of the tones in these samples; ValueError when there are none."""
    window = _window(samples, rate)
    waves = [_wave(window, hz, rate) for hz in HZ]
    rest = list(map(float, window))
    for hz, wave in zip(HZ, waves, strict=True):
        step, turn = cmath.exp(-2j * math.pi * hz / rate), complex(1)
        for i in range(len(rest)):
            rest[i] -= (wave * turn.conjugate()).real
            turn *= step
    noise = math.sqrt(2 * sum(value * value for value in rest) / len(rest))
    line, loudest = _loudest_other(window, rate)
    return Measured(
        levels_db=[_db(abs(wave) / TONE_AMPLITUDE) for wave in waves],
        added_db=_db(loudest / TONE_AMPLITUDE),
        added_hz=line * rate / SPECTRUM,
        noise_db=_db(noise / TONE_AMPLITUDE),
    )


def _db(ratio: float) -> float:
    return 20 * math.log10(max(ratio, 1e-6))


def _window(samples: Sequence[int], rate: int) -> Sequence[int]:
    end = next((i for i in reversed(range(len(samples))) if abs(samples[i]) > LOUD), 0)
    end -= round(BEFORE_END_SECONDS * rate)
    start = end - round(WINDOW_SECONDS * rate)
    if start < 0:
        raise ValueError("no tones were heard, or too little of them")
    return samples[start:end]


def _wave(samples: Sequence[int], hz: float, rate: int) -> complex:
    """Amplitude and phase of one frequency, of which there are whole periods."""
    step, turn, total = cmath.exp(-2j * math.pi * hz / rate), complex(1), complex(0)
    for value in samples:
        total += value * turn
        turn *= step
    return 2 * total / len(samples)


def _loudest_other(samples: Sequence[int], rate: int) -> tuple[int, float]:
    """(line of the spectrum, amplitude) of the loudest that is no tone of ours."""
    part = samples[-SPECTRUM:] if len(samples) >= SPECTRUM else samples
    weights = _weights(len(part))
    padded = [complex(v * w) for v, w in zip(part, weights, strict=True)]
    padded += [0j] * (SPECTRUM - len(part))
    lines = [abs(value) for value in _spectrum(padded)[: SPECTRUM // 2]]
    width = MAIN_LOBE * SPECTRUM // len(part)
    for hz in HZ:
        centre = round(hz * SPECTRUM / rate)
        lines[centre - width : centre + width + 1] = [0.0] * (2 * width + 1)
    loudest = max(lines)
    return lines.index(loudest), 2 * loudest / sum(weights)


@functools.cache
def _weights(n: int) -> list[float]:
    """The window of Blackman and Harris: a tone 92 dB below another one is still seen."""
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    return [
        sum(a * math.cos(2 * math.pi * k * i / n) for k, a in enumerate(terms)) for i in range(n)
    ]


@functools.cache
def _turns(n: int) -> list[complex]:
    return [cmath.exp(-2j * math.pi * k / n) for k in range(n // 2)]


def _spectrum(values: list[complex]) -> list[complex]:
    """The Fourier transform of a power of two of values."""
    n = len(values)
    if n == 1:
        return values
    even, odd = _spectrum(values[::2]), _spectrum(values[1::2])
    turned = [turn * value for turn, value in zip(_turns(n), odd, strict=True)]
    return [a + b for a, b in zip(even, turned, strict=True)] + [
        a - b for a, b in zip(even, turned, strict=True)
    ]


# ---- What travels in RTP ----


def from_payload(payload: bytes, codec: str) -> array.array[int]:
    """Samples of what a caller has heard."""
    if codec == "ulaw":
        return decode(payload, FORMATS["ulaw_8000"])
    if codec == "alaw":
        return array.array("h", map(_ALAW.__getitem__, payload))
    samples = array.array("h", payload)
    if sys.byteorder == "little":
        samples.byteswap()
    return samples


def to_payload(samples: array.array[int], codec: str) -> bytes:
    """What a caller is to say."""
    if codec == "ulaw":
        return encode(samples, FORMATS["ulaw_8000"])
    if codec == "alaw":
        return bytes(map(_alaw_code, samples))
    copy = array.array("h", samples)
    if sys.byteorder == "little":
        copy.byteswap()
    return copy.tobytes()


def _alaw_value(code: int) -> int:
    """G.711, table 1a: chord and step to the middle of the interval, in 16 bits."""
    code ^= 0x55
    chord, step = (code >> 4) & 7, code & 15
    magnitude = 2 * step + 1 if chord == 0 else (2 * step + 33) << (chord - 1)
    return 8 * magnitude if code & 0x80 else -8 * magnitude


_ALAW = [_alaw_value(code) for code in range(256)]
_ALAW_SORTED = sorted((value, code) for code, value in enumerate(_ALAW))


def _alaw_code(sample: int) -> int:
    """The nearest code."""
    place = bisect_left(_ALAW_SORTED, (sample, 0))
    near = _ALAW_SORTED[max(0, place - 1) : place + 1]
    return min(near, key=lambda each: abs(each[0] - sample))[1]
