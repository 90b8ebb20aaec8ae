"""Audio formats of the protocol, G.711 µ-law, loudness and resampling, in plain Python.

Everything that runs once per received chunk is built on C-speed primitives of the standard
library (``bytes.translate``, ``sum``, ``array``), because a hundred sessions share one core with
the Asterisk under test. Resampling and encoding run once per utterance and are cached.
"""

from __future__ import annotations

import array
import functools
import math
import operator
import random
import sys
from dataclasses import dataclass

# Loudness is the mean absolute value of 16-bit samples. The per-byte tables hold it in units of
# 32 so that one byte reaches 8160, far above any speech threshold.
_LEVEL_UNIT = 32

# Loudness needs no more than telephone bandwidth: higher rates are decimated before summing.
_LEVEL_RATE = 8000

# Zero crossings of the windowed sinc on each side; 12 keeps aliases below -60 dB for speech.
_SINC_CROSSINGS = 12

# Of each of up to four tones, in 16-bit samples: together they stay below full scale.
TONE_AMPLITUDE = 8000
TONES_MAX = 4

_ULAW_BIAS = 0x84
_ULAW_CLIP = 32635


@dataclass(frozen=True)
class AudioFormat:
    """One value of ``TTSOutputFormat``/``ASRInputFormat``: mono, ``rate`` samples a second."""

    name: str
    rate: int
    sample_bytes: int  # 1: G.711 µ-law; 2: signed 16-bit little-endian

    @property
    def silence(self) -> bytes:
        """One sample of digital silence."""
        return b"\xff" if self.sample_bytes == 1 else b"\0\0"

    def ms(self, size: int) -> float:
        """Duration in milliseconds of ``size`` bytes."""
        return size * 1000.0 / (self.rate * self.sample_bytes)

    def size(self, ms: float) -> int:
        """Bytes of ``ms`` milliseconds, rounded down to whole samples."""
        return int(ms * self.rate / 1000) * self.sample_bytes


FORMATS = {
    fmt.name: fmt
    for fmt in (
        AudioFormat("pcm_8000", 8000, 2),
        AudioFormat("pcm_16000", 16000, 2),
        AudioFormat("pcm_22050", 22050, 2),
        AudioFormat("pcm_24000", 24000, 2),
        AudioFormat("pcm_44100", 44100, 2),
        AudioFormat("pcm_48000", 48000, 2),
        AudioFormat("ulaw_8000", 8000, 1),
    )
}


def _ulaw_to_linear(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _ULAW_BIAS) << ((code & 0x70) >> 4)
    return _ULAW_BIAS - magnitude if code & 0x80 else magnitude - _ULAW_BIAS


def _linear_to_ulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | exponent << 4 | mantissa) & 0xFF


_ULAW_DECODE = [_ulaw_to_linear(code) for code in range(256)]
_ULAW_LOW = bytes(value & 0xFF for value in _ULAW_DECODE)
_ULAW_HIGH = bytes(value >> 8 & 0xFF for value in _ULAW_DECODE)
_ULAW_LEVEL = bytes(min(abs(value) // _LEVEL_UNIT, 255) for value in _ULAW_DECODE)
# Of PCM only the high byte is looked at: 0x00 and 0xFF (below 256, 42 dB under full scale) count
# as silence, which also swallows dither and comfort noise.
_PCM_HIGH_LEVEL = bytes(
    min((high if high < 128 else 255 - high) * 256 // _LEVEL_UNIT, 255) for high in range(256)
)


@functools.cache
def _ulaw_encode_table() -> bytes:
    """µ-law codes indexed by the sample's unsigned 16-bit pattern; 64 KiB, made on first use."""
    return bytes(_linear_to_ulaw(u if u < 0x8000 else u - 0x10000) for u in range(0x10000))


def _native(data: bytes, typecode: str = "h") -> array.array[int]:
    samples = array.array(typecode, data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def decode(data: bytes, fmt: AudioFormat) -> array.array[int]:
    """Bytes of ``fmt`` to 16-bit samples; a trailing half sample is ignored."""
    if fmt.sample_bytes == 1:
        # A byte at a time would hold the interpreter, and with it every session, for a second.
        pcm = bytearray(2 * len(data))
        pcm[::2], pcm[1::2] = data.translate(_ULAW_LOW), data.translate(_ULAW_HIGH)
        return _native(bytes(pcm))
    return _native(data[: len(data) & ~1])


def encode(samples: array.array[int], fmt: AudioFormat) -> bytes:
    """16-bit samples to bytes of ``fmt``; the rate is the caller's business."""
    if fmt.sample_bytes == 1:
        table = _ulaw_encode_table()
        return bytes(map(table.__getitem__, array.array("H", samples.tobytes())))
    if sys.byteorder == "big":
        samples = array.array("h", samples)
        samples.byteswap()
    return samples.tobytes()


def level(data: bytes, fmt: AudioFormat) -> float:
    """Mean absolute sample value (0..32767, saturating at 8160) of a block in ``fmt``."""
    step = max(1, fmt.rate // _LEVEL_RATE)
    if fmt.sample_bytes == 1:
        picked = data.translate(_ULAW_LEVEL)
    else:
        picked = data[1 :: 2 * step].translate(_PCM_HIGH_LEVEL)
    return _LEVEL_UNIT * sum(picked) / len(picked) if picked else 0.0


@functools.lru_cache(maxsize=32)
def _phases(source: int, target: int) -> tuple[int, int, int, list[list[float]]]:
    """(up, down, half width, one row of taps per phase) of the polyphase resampler."""
    common = math.gcd(source, target)
    up, down = target // common, source // common
    cutoff = min(1.0, target / source)
    half = math.ceil(_SINC_CROSSINGS / cutoff)
    rows = []
    for phase in range(up):
        row = []
        for tap in range(1 - half, half + 1):
            x = tap - phase / up
            sinc = math.sin(math.pi * x * cutoff) / (math.pi * x * cutoff) if x else 1.0
            row.append(sinc * (0.5 + 0.5 * math.cos(math.pi * x / half)) if abs(x) < half else 0.0)
        total = sum(row)
        rows.append([value / total for value in row])
    return up, down, half, rows


def resample(samples: array.array[int], source: int, target: int) -> array.array[int]:
    """Band-limited conversion of 16-bit samples from ``source`` to ``target`` Hz."""
    if source == target:
        return samples
    up, down, half, rows = _phases(source, target)
    padded = [0] * (half - 1) + samples.tolist() + [0] * (half + 1)
    width = 2 * half
    mul = operator.mul
    out = array.array("h", bytes(2 * (len(samples) * up // down)))
    for n in range(len(out)):
        first, phase = divmod(n * down, up)
        value = round(sum(map(mul, rows[phase], padded[first : first + width])))
        out[n] = -32768 if value < -32768 else 32767 if value > 32767 else value
    return out


def tones(pitches: list[float], ms: int, fmt: AudioFormat) -> bytes:
    """Sine tones at once, each of TONE_AMPLITUDE: a test measures what became of them."""
    angles = [2 * math.pi * hz / fmt.rate for hz in pitches]
    count = fmt.size(ms) // fmt.sample_bytes
    return encode(
        array.array(
            "h",
            (round(TONE_AMPLITUDE * sum(math.sin(a * n) for a in angles)) for n in range(count)),
        ),
        fmt,
    )


def noise(seed: int, ms: int, fmt: AudioFormat) -> bytes:
    """Pseudo-random signal, the same for every run and Python: ``random.Random(seed).randbytes``.

    A test computes the same bytes and compares them with what the caller received.
    """
    return random.Random(seed).randbytes(fmt.size(ms))  # noqa: S311 - noise
