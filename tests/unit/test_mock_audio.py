"""Formats, µ-law, loudness, resampling and the voice of the mock."""

from __future__ import annotations

import array
import math
import random
import shutil
import stat
from pathlib import Path

import pytest

from pyconvai.mock.audio import FORMATS, decode, encode, level, noise, resample, tones
from pyconvai.mock.voice import Voice, VoiceError, read_wav, tone_pattern, write_wav
from tests.unit.mock_client import tone

ULAW = FORMATS["ulaw_8000"]
PCM = FORMATS["pcm_16000"]


def test_ulaw_has_the_values_of_the_standard() -> None:
    # ITU-T G.711 table 2a/2b, scaled to 16 bits: decision value 0, +-max and one per segment.
    codes = {0xFF: 0, 0x7F: 0, 0x80: 32124, 0x00: -32124, 0xF0: 120, 0xEF: 132, 0x8F: 16764}
    assert {code: decode(bytes([code]), ULAW)[0] for code in codes} == codes


def test_every_ulaw_code_survives_decoding_and_encoding() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)  # 0x7F is a second zero
    assert encode(decode(codes, ULAW), ULAW) == codes


def test_ulaw_encodes_every_sample_to_a_nearest_code() -> None:
    values = sorted(set(decode(bytes(range(256)), ULAW)))
    samples = array.array("h", range(-32768, 32768, 7))
    steps = {value: max(abs(value) // 16, 8) for value in values}
    for sample, got in zip(samples, decode(encode(samples, ULAW), ULAW), strict=True):
        clipped = max(-32124, min(32124, sample))
        assert abs(got - clipped) <= steps[got], (sample, got)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
def test_level_tells_speech_from_silence(fmt: object) -> None:
    assert isinstance(fmt, type(ULAW))
    assert level(fmt.silence * 400, fmt) == 0
    # The mean of a rectified sine is 2/pi of its amplitude.
    assert level(tone(100, fmt, 4000), fmt) == pytest.approx(4000 * 2 / math.pi, rel=0.1)


@pytest.mark.parametrize("target", [8000, 22050, 24000, 44100, 48000])
def test_resampling_keeps_a_tone(target: int) -> None:
    source = decode(tone(200, PCM), PCM)
    got = resample(source, 16000, target)
    assert len(got) == len(source) * target // 16000
    step = 2 * math.pi * 440 / target
    inner = range(target // 100, len(got) - target // 100)
    assert max(abs(got[n] - 9000 * math.sin(step * n)) for n in inner) < 60


def test_resampling_removes_what_the_target_cannot_carry() -> None:
    step = 2 * math.pi * 6000 / 16000  # would alias to 2 kHz
    source = array.array("h", (int(9000 * math.sin(step * n)) for n in range(3200)))
    assert max(map(abs, resample(source, 16000, 8000)[100:-100])) < 30


def test_tones_are_what_a_test_expects() -> None:
    samples = decode(tones([1000, 3000], 100, PCM), PCM)
    angle = 2 * math.pi / 16
    assert len(samples) == 1600
    for n, sample in enumerate(samples):
        assert abs(sample - 8000 * (math.sin(angle * n) + math.sin(3 * angle * n))) <= 0.5
    assert tones([1000], 100, ULAW) == encode(
        decode(tones([1000], 100, FORMATS["pcm_8000"]), PCM), ULAW
    )
    assert Voice().render("", "tone:1000+3000:100", "en", PCM) == tones([1000, 3000], 100, PCM)


def test_noise_can_be_recomputed_by_a_test() -> None:
    assert noise(7, 100, PCM) == random.Random(7).randbytes(3200)
    assert noise(7, 100, ULAW) == random.Random(7).randbytes(800)


def test_wav_files_round_trip(tmp_path: Path) -> None:
    data = noise(1, 50, PCM)
    write_wav(tmp_path / "x.wav", data, PCM)
    rate, samples = read_wav(tmp_path / "x.wav")
    assert (rate, encode(samples, PCM)) == (16000, data)


def test_a_file_that_is_no_wav_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(b"nothing")
    with pytest.raises(VoiceError, match=r"bad\.wav: not a usable WAV file"):
        Voice(tmp_path).render("", str(path), "en", PCM)


def test_without_espeak_the_agent_speaks_in_tones_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said: list[str] = []
    voice = Voice(tmp_path, said.append)
    audio = voice.render("good morning", None, "en", PCM)
    assert audio == encode(tone_pattern("good morning"), PCM)
    voice.render("good evening", None, "en", PCM)
    assert len(said) == 1
    assert "apt-get install espeak-ng" in said[0]


def test_speech_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = tmp_path / "voice.wav"
    write_wav(wav, tone(300, PCM), PCM)
    calls = tmp_path / "calls"
    program = tmp_path / "espeak-ng"
    program.write_text(f'#!/bin/sh\necho . >>{calls}\ncat >/dev/null\ncp {wav} "$6"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    first = Voice(tmp_path / "cache").render("hello", None, "en", PCM)
    again = Voice(tmp_path / "cache").render("hello", None, "en", PCM)
    assert first == again
    assert len(first) == pytest.approx(len(tone(300, PCM)), rel=0.05)
    assert calls.read_text().split() == ["."]


def test_an_unknown_voice_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\ncat >/dev/null\necho no such voice >&2\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(VoiceError, match="no such voice; see 'espeak-ng --voices'"):
        Voice(tmp_path / "cache").render("hello", None, "xx", PCM)
