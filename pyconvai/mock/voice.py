"""The agent's voice: utterances as bytes in the agent's output format.

Speech is made by ``espeak-ng`` before the first call and kept in a cache directory, at espeak's
own rate and at each rate asked for, so that only the first run pays for synthesis and resampling.
Without ``espeak-ng`` a tone pattern of about the same length stands in, and the mock says so.
"""

from __future__ import annotations

import array
import asyncio
import hashlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path

from .audio import AudioFormat, decode, encode, noise, resample, tones

# Part of every cache key: raise it when the sound of the same text would change.
_CACHE_VERSION = 1

_TONE_RATE = 16000
_TONE_SCALE = (262, 294, 330, 392, 440)  # Hz: pentatonic, so that any order sounds pleasant

# A sentence takes espeak-ng some 20 ms; a hung binary must not hang the mock.
_SYNTHESIS_LIMIT_S = 20.0

# Samples below this are espeak's silence around a sentence, not speech.
_TRIM_LEVEL = 64
_TRIM_KEEP_S = 0.02


class VoiceError(Exception):
    """A sound that cannot be made: names the file and what to do."""


def cache_directory() -> Path:
    """Where speech is kept: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    root = Path(base) if base else Path.home() / ".cache"
    return root / "app_elevenlabs_convai" / "speech"


class Voice:
    """Renders utterances; safe to call from worker threads, results are cached by content."""

    def __init__(self, cache: Path | None = None, warn: Callable[[str], None] | None = None):
        self.cache = cache or cache_directory()
        self._warn = warn or (lambda text: print(text, file=sys.stderr, flush=True))
        self._espeak = shutil.which("espeak-ng")
        self._warned = False
        self._rendered: dict[tuple[str, str | None, str, str], bytes] = {}

    def render(self, text: str, sound: str | None, name: str, fmt: AudioFormat) -> bytes:
        """Bytes of one utterance. May block: run it in a thread.

        ``sound`` (``noise:SEED:MS``, ``tone:HZ+HZ:MS`` or a file) replaces speech of ``text``;
        ``name`` is the espeak-ng voice. Raises VoiceError for a sound file that cannot be used.
        """
        key = (text, sound, name, fmt.name)
        if key not in self._rendered:
            self._rendered[key] = self._make(text, sound, name, fmt)
        return self._rendered[key]

    async def render_async(
        self, text: str, sound: str | None, name: str, fmt: AudioFormat
    ) -> bytes:
        """As render, from the event loop: only a first use goes through a thread."""
        ready = self._rendered.get((text, sound, name, fmt.name))
        if ready is not None:
            return ready
        return await asyncio.to_thread(self.render, text, sound, name, fmt)

    def _make(self, text: str, sound: str | None, name: str, fmt: AudioFormat) -> bytes:
        if sound is None:
            return encode(self.speech(text, name, fmt.rate), fmt) if text.strip() else b""
        if sound.startswith("noise:"):
            _, seed, ms = sound.split(":")
            return noise(int(seed), int(ms), fmt)
        if sound.startswith("tone:"):
            _, pitches, ms = sound.split(":")
            return tones([float(hz) for hz in pitches.split("+")], int(ms), fmt)
        if sound.endswith(".wav"):
            rate, samples = read_wav(Path(sound))
            return encode(resample(samples, rate, fmt.rate), fmt)
        return Path(sound).read_bytes()  # raw: already in the agent's format, sent untouched

    def speech(self, text: str, name: str, rate: int) -> array.array[int]:
        """16-bit samples of ``text`` at ``rate`` Hz, from the cache if possible. May block."""
        if self._espeak is None:
            self._say_once(
                "espeak-ng is not installed: the agent speaks in TONES instead of words."
                " Remedy: apt-get install espeak-ng"
            )
            return resample(tone_pattern(text), _TONE_RATE, rate)
        digest = hashlib.sha256(f"{_CACHE_VERSION}|{name}|{text}".encode()).hexdigest()[:32]
        ready = self.cache / f"{digest}-{rate}.wav"
        if ready.exists():
            return read_wav(ready)[1]
        native, samples = self._synthesize(text, name)
        samples = resample(samples, native, rate)
        self._keep(ready, samples, rate)
        return samples

    def _synthesize(self, text: str, name: str) -> tuple[int, array.array[int]]:
        assert self._espeak is not None
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "speech.wav"
            command = [self._espeak, "-v", name, "-s", "165", "-w", str(out), "--stdin"]
            try:
                subprocess.run(
                    command,
                    input=text.encode(),
                    check=True,
                    capture_output=True,
                    timeout=_SYNTHESIS_LIMIT_S,
                )
                rate, samples = read_wav(out)
            except (OSError, subprocess.SubprocessError, VoiceError) as exc:
                detail = getattr(exc, "stderr", b"") or b""
                raise VoiceError(
                    f"espeak-ng cannot speak with voice {name!r}: {exc} "
                    f"{detail.decode(errors='replace').strip()}; see 'espeak-ng --voices'"
                ) from exc
        return rate, _trim(samples, rate)

    def _keep(self, path: Path, samples: array.array[int], rate: int) -> None:
        """Writes beside and renames, so that a second mock never reads half a file."""
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.cache, suffix=".part")
            os.close(handle)
            write_wav(Path(temporary), encode(samples, _pcm(rate)), _pcm(rate))
            Path(temporary).replace(path)
        except OSError as exc:
            self._say_once(f"speech is not kept: {self.cache}: {exc.strerror}")

    def _say_once(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"mock agent: {text}")


def _pcm(rate: int) -> AudioFormat:
    return AudioFormat(f"pcm_{rate}", rate, 2)


def _trim(samples: array.array[int], rate: int) -> array.array[int]:
    """Without the silence around the speech, so that its first and last sample can be tested."""
    loud = [i for i, value in enumerate(samples) if abs(value) > _TRIM_LEVEL]
    if not loud:
        return samples
    keep = int(_TRIM_KEEP_S * rate)
    return samples[max(0, loud[0] - keep) : loud[-1] + 1]


def tone_pattern(text: str) -> array.array[int]:
    """One soft note per word, at 16 kHz: stands in for speech of about the same length."""
    out = array.array("h")
    for word in text.split():
        pitch = _TONE_SCALE[sum(word.encode()) % len(_TONE_SCALE)]
        count = _TONE_RATE * min(120 + 40 * len(word), 480) // 1000
        for n in range(count):
            envelope = min(1.0, n / 160, (count - n) / 160)
            out.append(int(9000 * envelope * math.sin(2 * math.pi * pitch * n / _TONE_RATE)))
        out.extend([0] * (_TONE_RATE * 40 // 1000))
    return out


def read_wav(path: Path) -> tuple[int, array.array[int]]:
    """(rate, samples) of a 16-bit mono WAV file. Raises VoiceError for anything else."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise VoiceError(f"{path}: must be 16-bit mono; convert it: sox IN -c 1 -b 16 OUT")
            return file.getframerate(), decode(file.readframes(file.getnframes()), _pcm(8000))
    except (OSError, EOFError, wave.Error) as exc:
        raise VoiceError(f"{path}: not a usable WAV file: {exc}") from exc


def write_wav(path: Path, data: bytes, fmt: AudioFormat) -> None:
    """Bytes in ``fmt`` as a 16-bit mono WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(fmt.rate)
        pcm = _pcm(fmt.rate)
        file.writeframes(data if fmt.sample_bytes == 2 else encode(decode(data, fmt), pcm))
