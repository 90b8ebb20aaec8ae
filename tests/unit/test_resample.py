"""22050 Hz to 24000 Hz and back, measured: against the ideal, and however the stream is cut.

The C code is compiled as it is and called through cffi. Its memory is watched elsewhere
(``tests/native/resample.c``); here it is listened to.
"""

from __future__ import annotations

import array
import math
import random
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frame_reader import examples
from tests.unit.kept import module

LOW, HIGH = 22050, 24000
TAPS = 96
DELAY = TAPS // 2  # input samples
SPURIOUS_DB = -70.0
"""No tone that is added may be louder, relative to the one that is there."""

CALLS = """
struct convai_ring { ...; };
int convai_ring_init(struct convai_ring *ring, uint64_t capacity);
void convai_ring_free(struct convai_ring *ring);
uint64_t convai_ring_waiting(struct convai_ring *ring);
void convai_ring_take(struct convai_ring *ring, uint8_t *out, uint64_t length);
struct convai_segment { uint8_t data[]; ...; };
struct convai_playout { ...; };
struct convai_segment *convai_segment_new(uint32_t length);
int convai_playout_init(struct convai_playout *playout);
void convai_playout_free(struct convai_playout *playout);
void convai_playout_append(struct convai_playout *playout, struct convai_segment *segment);
uint64_t convai_playout_queued(const struct convai_playout *playout);
uint64_t convai_playout_flush(struct convai_playout *playout, int64_t now_us);

struct convai_converter { ...; };
void convai_resample_init(void);
void convai_converter_start(struct convai_converter *converter);
uint32_t convai_converter_held(const struct convai_converter *converter);
uint32_t convai_converter_put(struct convai_converter *converter, struct convai_ring *ring,
	const uint8_t *bytes, uint32_t length);
uint32_t convai_converter_take(struct convai_converter *converter,
	struct convai_playout *playout, uint8_t *out, uint32_t length, uint64_t *played);
"""

Way = Literal["to_channel", "to_agent"]
RATES: dict[Way, tuple[int, int]] = {"to_channel": (LOW, HIGH), "to_agent": (HIGH, LOW)}
both_ways = pytest.mark.parametrize("way", list(RATES))


@pytest.fixture(scope="module")
def c() -> Any:
    """The compiled headers: ffi and lib."""
    made = module("convai_resample", CALLS, '#include "converter.h"\n', unused=True)
    made.lib.convai_resample_init()
    return made


class Playout:
    """The agent's side: appended in its own rate, taken in the channel's."""

    def __init__(self, c: Any) -> None:
        self.ffi, self.lib = c.ffi, c.lib
        self.converter = c.ffi.new("struct convai_converter *")
        self.playout = c.ffi.new("struct convai_playout *")
        self.lib.convai_converter_start(self.converter)
        assert self.lib.convai_playout_init(self.playout) == 0

    def append(self, data: bytes) -> None:
        segment = self.lib.convai_segment_new(len(data))
        self.ffi.memmove(segment.data, data, len(data))
        self.lib.convai_playout_append(self.playout, segment)

    def take(self, size: int) -> tuple[bytes, int, int]:
        """(size bytes, how many are the agent's, how many have left the queue)."""
        out, played = self.ffi.new("uint8_t[]", size + 1), self.ffi.new("uint64_t *")
        heard = self.lib.convai_converter_take(self.converter, self.playout, out, size, played)
        return bytes(self.ffi.buffer(out, size)), heard, played[0]

    def rest(self) -> bytes:
        """All that is left, frame by frame."""
        heard = b""
        while True:
            out, size, _ = self.take(960)
            heard += out[:size]
            if size < 960:
                return heard

    def close(self) -> None:
        self.lib.convai_playout_free(self.playout)


def to_channel(c: Any, data: bytes, pieces: list[int], frame: int = 960) -> bytes:
    """Append in pieces, and take whole frames as soon as they are there."""
    playout, heard, at = Playout(c), b"", 0
    while at < len(data):
        piece = pieces[at % len(pieces)]
        playout.append(data[at : at + piece])
        at += piece
        while c.lib.convai_playout_queued(playout.playout) > frame:
            out, size, _ = playout.take(frame)
            assert size == frame
            heard += out
    heard += playout.rest()
    playout.close()
    return heard


def to_agent(c: Any, data: bytes, pieces: list[int]) -> bytes:
    """Push in pieces, which are made even: a channel's frames hold whole samples."""
    converter, ring = c.ffi.new("struct convai_converter *"), c.ffi.new("struct convai_ring *")
    c.lib.convai_converter_start(converter)
    assert c.lib.convai_ring_init(ring, len(data) + 1) == 0
    at = 0
    while at < len(data):
        piece = data[at : at + 2 * pieces[at % len(pieces)]]
        assert c.lib.convai_converter_put(converter, ring, piece, len(piece)) == len(piece)
        at += len(piece)
    size = c.lib.convai_ring_waiting(ring)
    out = c.ffi.new("uint8_t[]", size + 1)
    c.lib.convai_ring_take(ring, out, size)
    c.lib.convai_ring_free(ring)
    return bytes(c.ffi.buffer(out, size))


def convert(c: Any, way: Way, data: bytes, pieces: list[int] | None = None) -> array.array[int]:
    pieces = pieces or [960]
    out = to_channel(c, data, pieces) if way == "to_channel" else to_agent(c, data, pieces)
    return array.array("h", out)


def tone(hz: float, rate: int, seconds: float, amplitude: float = 16000) -> bytes:
    angle = 2 * math.pi * hz / rate
    return array.array(
        "h", (round(amplitude * math.sin(angle * n)) for n in range(round(rate * seconds)))
    ).tobytes()


def amplitude_at(samples: array.array[int], hz: float, rate: int) -> float:
    """The amplitude of one frequency. Hann's window: a tone elsewhere does not leak in."""
    n = len(samples)
    real = imaginary = 0.0
    for i, value in enumerate(samples):
        weight = value * (1 - math.cos(2 * math.pi * i / n))
        angle = 2 * math.pi * hz * i / rate
        real += weight * math.cos(angle)
        imaginary += weight * math.sin(angle)
    return 2 * math.hypot(real, imaginary) / n


def db(ratio: float) -> float:
    return 20 * math.log10(max(ratio, 1e-9))


@both_ways
@pytest.mark.parametrize("hz", [50, 1000, 3000, 6000, 8000, 9700])
def test_tones_keep_their_level(c: Any, way: Way, hz: int) -> None:
    """Flat within 0.05 dB as far as speech goes."""
    source, target = RATES[way]
    got = convert(c, way, tone(hz, source, 0.3))[target // 20 : target // 4]
    assert abs(db(amplitude_at(got, hz, target) / 16000)) < 0.05


@both_ways
@pytest.mark.parametrize("hz", [1000, 3000, 9000])
def test_nothing_is_added_to_a_tone(c: Any, way: Way, hz: int) -> None:
    """What is left when the tone is taken out, all of it together."""
    source, target = RATES[way]
    got = convert(c, way, tone(hz, source, 0.25))[target // 20 : target // 20 + target // 10]
    assert db(residue(got, hz, target)) < SPURIOUS_DB


def residue(samples: array.array[int], hz: float, rate: int) -> float:
    """The rest beside a tone, relative to it. A whole number of the tone's periods."""
    angle, n = 2 * math.pi * hz / rate, len(samples)
    cosine = 2 / n * sum(v * math.cos(angle * i) for i, v in enumerate(samples))
    sine = 2 / n * sum(v * math.sin(angle * i) for i, v in enumerate(samples))
    rest = sum(
        (v - cosine * math.cos(angle * i) - sine * math.sin(angle * i)) ** 2
        for i, v in enumerate(samples)
    )
    return math.sqrt(2 * rest / n) / math.hypot(cosine, sine)


@both_ways
@pytest.mark.parametrize("hz", [11100, 11500, 11900])
def test_what_the_narrower_side_cannot_carry_is_not_folded_back(c: Any, way: Way, hz: int) -> None:
    """Upwards, the image of a tone at 22050 - hz; downwards, a tone above half the rate."""
    source, target = RATES[way]
    sent = LOW - hz if way == "to_channel" else hz
    folded = hz if way == "to_channel" else LOW - hz
    got = convert(c, way, tone(sent, source, 0.3))[target // 20 : target // 4]
    assert db(amplitude_at(got, folded, target) / 16000) < SPURIOUS_DB


def reference(samples: array.array[int], source: int, target: int, count: int) -> list[float]:
    """The ideal, slowly: each sample a sinc over all of the input, under a wide smooth window."""
    half, cutoff = 400, 10400 / (source / 2)
    out = []
    for k in range(count):
        centre = k * source / target - DELAY
        total = 0.0
        first = max(0, math.ceil(centre - half))
        for i in range(first, min(len(samples), math.floor(centre + half) + 1)):
            x = i - centre
            sinc = math.sin(math.pi * cutoff * x) / (math.pi * x) if x else cutoff
            total += samples[i] * sinc * (0.5 + 0.5 * math.cos(math.pi * x / half))
        out.append(total)
    return out


@both_ways
def test_speech_like_sound_is_that_of_the_reference(c: Any, way: Way) -> None:
    """Tones of many frequencies at once, up to 9 kHz: sample for sample, 70 dB below them."""
    source, target = RATES[way]
    chosen = random.Random(3)
    parts = [(chosen.uniform(50, 9000), chosen.uniform(0, 6), 1200.0) for _ in range(20)]
    length = source // 10
    samples = array.array(
        "h",
        (
            round(sum(a * math.sin(2 * math.pi * f * n / source + p) for f, p, a in parts))
            for n in range(length)
        ),
    )
    got = convert(c, way, samples.tobytes())
    # Away from both ends: there the windows' lengths make a difference.
    inner = range(target // 25, target // 16)
    ideal = reference(samples, source, target, inner.stop)
    error = math.sqrt(sum((got[k] - ideal[k]) ** 2 for k in inner) / len(inner))
    loudness = math.sqrt(sum(ideal[k] ** 2 for k in inner) / len(inner))
    assert db(error / loudness) < SPURIOUS_DB


relaxed = examples(60, 600)
NOISE = random.Random(5).randbytes(9001)  # ends in half a sample


@relaxed
@given(pieces=st.lists(st.integers(1, 2500), min_size=1, max_size=9))
def test_how_the_agents_stream_is_cut_makes_no_difference(c: Any, pieces: list[int]) -> None:
    """Pieces end anywhere, in mid-sample too."""
    assert to_channel(c, NOISE, pieces) == to_channel(c, NOISE, [len(NOISE)])


@relaxed
@given(pieces=st.lists(st.integers(1, 1200), min_size=1, max_size=9))
def test_how_the_callers_stream_is_cut_makes_no_difference(c: Any, pieces: list[int]) -> None:
    assert to_agent(c, NOISE[:-1], pieces) == to_agent(c, NOISE[:-1], [9000])


@both_ways
@pytest.mark.parametrize("count", [1, 2, 47, 147, 160, 441, 480, 5000, 22050])
def test_lengths_are_exact(c: Any, way: Way, count: int) -> None:
    """To the agent as many samples as the time holds; to the channel the filter's end as well."""
    source, target = RATES[way]
    inputs = count + (DELAY - 1 if way == "to_channel" else 0)
    assert len(convert(c, way, bytes(2 * count))) == -(-inputs * target // source)


def test_a_flush_silences_all_but_what_the_filter_holds(c: Any) -> None:
    """The reply begins in the very frame; of what was flushed some 2 ms fade out under it."""
    playout = Playout(c)
    playout.append(tone(1000, LOW, 1.0))
    playout.take(960)
    held = DELAY
    assert c.lib.convai_converter_held(playout.converter) == held
    stale = c.lib.convai_playout_flush(playout.playout, 1)
    out, heard, played = playout.take(960)
    samples = array.array("h", out)
    assert (stale, played) == (2 * (LOW - 441), 0)
    assert 2 * held * HIGH // LOW - 2 <= heard <= 2 * held * HIGH // LOW + 2
    assert max(map(abs, samples[2 * TAPS :])) == 0
    assert playout.take(960)[1:] == (0, 0)
    playout.append(tone(3000, LOW, 0.1))
    assert playout.take(960)[1:] == (960, 882)
    playout.close()


def test_a_queue_that_runs_dry_gives_silence_and_goes_on(c: Any) -> None:
    """What comes late is whole: only a pause is heard."""
    playout = Playout(c)
    playout.append(tone(1000, LOW, 0.05))
    heard = sum(playout.take(960)[1] for _ in range(10))
    assert heard == 2 * -(-(LOW // 20 + DELAY - 1) * HIGH // LOW)
    playout.append(tone(1000, LOW, 0.02))
    assert playout.take(960)[1:] == (960, 882)
    assert playout.take(960)[1] > 0
    assert playout.take(960) == (bytes(960), 0, 0)
    playout.close()
