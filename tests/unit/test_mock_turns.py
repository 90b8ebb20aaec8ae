"""Turn-taking of the mock from audio alone, in virtual time."""

from __future__ import annotations

import array
import random

import pytest

from pyconvai.mock.audio import FORMATS, AudioFormat, encode
from pyconvai.mock.turns import BargeIn, SpeechEnded, SpeechStarted, TurnSettings, TurnTaker
from tests.unit.mock_client import speech, tone

PCM = FORMATS["pcm_16000"]
SETTINGS = TurnSettings(end_of_turn_ms=700, barge_in_ms=240)


def silence(ms: int, fmt: AudioFormat = PCM) -> bytes:
    return fmt.silence * (fmt.size(ms) // fmt.sample_bytes)


def hiss(ms: int, amplitude: int) -> bytes:
    source = random.Random(5)
    count = PCM.rate * ms // 1000
    samples = (source.randint(-amplitude, amplitude) for _ in range(count))
    return encode(array.array("h", samples), PCM)


def mixed(one: bytes, other: bytes) -> bytes:
    a, b = array.array("h", one), array.array("h", other)
    return array.array("h", (x + y for x, y in zip(a, b, strict=False))).tobytes()


def events(
    audio: bytes, agent_speaking: bool = False, fmt: AudioFormat = PCM, chunk: int = 640
) -> list[object]:
    taker = TurnTaker(fmt, SETTINGS)
    found: list[object] = []
    for offset in range(0, len(audio), chunk):
        found += taker.feed(audio[offset : offset + chunk], agent_speaking)
    return found


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
def test_one_sentence_is_one_turn_in_every_format(fmt: AudioFormat) -> None:
    audio = silence(500, fmt) + tone(1000, fmt) + silence(1000, fmt)
    size = fmt.size(20)
    assert events(audio, fmt=fmt, chunk=size) == [SpeechStarted(500), SpeechEnded(500, 1500)]


@pytest.mark.parametrize("chunk", [2, 100, 641, 8000, 10_000_000])
def test_the_size_of_chunks_changes_nothing(chunk: int) -> None:
    audio = silence(500) + speech(5, PCM) + silence(1000)
    assert events(audio, chunk=chunk) == events(audio)


def test_a_pause_within_a_sentence_does_not_end_the_turn() -> None:
    audio = tone(500, PCM) + silence(600) + tone(500, PCM) + silence(800)
    assert events(audio) == [SpeechStarted(0), SpeechEnded(0, 1600)]


def test_a_click_is_no_speech() -> None:
    assert events(silence(500) + tone(60, PCM, 30000) + silence(1000)) == []


@pytest.mark.parametrize("amplitude", [50, 300, 900])
def test_line_noise_is_no_speech_and_does_not_hold_the_turn_open(amplitude: int) -> None:
    assert events(hiss(5000, amplitude)) == []
    sentence = silence(2000) + speech(6, PCM) + silence(2000)
    noisy = mixed(sentence, hiss(len(sentence) // 32, amplitude))
    quiet = events(sentence)
    kinds = [type(event) for event in events(noisy)]
    assert kinds == [type(event) for event in quiet] == [SpeechStarted, SpeechEnded]


def test_a_long_steady_tone_stays_speech() -> None:
    assert events(tone(8000, PCM) + silence(800)) == [SpeechStarted(0), SpeechEnded(0, 8000)]


def test_speaking_over_the_agent_interrupts_once() -> None:
    audio = silence(1000) + tone(2000, PCM) + silence(1000)
    assert events(audio, agent_speaking=True) == [
        SpeechStarted(1000), BargeIn(1240), SpeechEnded(1000, 3000)
    ]  # fmt: skip


def test_a_short_sound_does_not_interrupt() -> None:
    audio = silence(1000) + tone(180, PCM) + silence(1000)
    kinds = [type(event) for event in events(audio, agent_speaking=True)]
    assert kinds == [SpeechStarted, SpeechEnded]


def test_each_answer_can_be_interrupted() -> None:
    taker = TurnTaker(PCM, SETTINGS)
    found = taker.feed(tone(400, PCM), True)
    found += taker.feed(tone(400, PCM), False)
    found += taker.feed(tone(400, PCM), True)
    assert [type(event) for event in found] == [SpeechStarted, BargeIn, BargeIn]
