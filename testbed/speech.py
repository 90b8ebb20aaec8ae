"""Speech to say: real words by espeak-ng, kept in build/speech; a tone where it is missing.

wav = speech(root, "What does it cost?")                 # 8 kHz, mono, 16 bits
caller = track(root, [1.5, wav, 4.0, speech(root, "Goodbye.")])   # numbers: seconds of silence
payload = encode(root, caller, CODECS["ulaw"])           # what RTP carries
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import sys
import threading
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed import encoders
from testbed.errors import TestbedError
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import PACKET_MS, Codec

FOLDER = BUILD / "speech"
SPEECH_SECONDS = 30.0
"""Limit on espeak-ng and sox, which take a fraction of a second."""

RATE = 8000
SAMPLE_BYTES = 2
TONE_HZ = 440.0
TONE_LEVEL = 8000
TONE_SECONDS_PER_WORD = 0.4
"""About the pace of espeak-ng."""

SOX_FORMATS = {
    "ulaw": ["-t", "ul", "-r", "8000"],
    "alaw": ["-t", "al", "-r", "8000"],
}
LIBRARIES = ("g722", "opus")
"""What sox does not know: see testbed.encoders."""


def speech(
    root: Root,
    text: str,
    *,
    voice: str = "en-us",
    rate: int = RATE,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Return a WAV file (mono, 16 bits, `rate` Hz) of someone speaking the text.

    Without espeak-ng or sox in the root it is a tone as long as the text; `say` (standard error by
    default) is told so.
    """
    path = _cached(f"{text}\0{voice}\0{rate}", ".wav")
    if path.exists():
        return path
    if not (root.has("espeak-ng") and root.has("sox")):
        warn = say or (lambda line: print(line, file=sys.stderr))
        warn(f"espeak-ng and sox are missing in {root.folder}: a tone stands in for speech")
        tone_path = path.with_suffix(".tone.wav")
        _write_wav(tone_path, _tone(len(text.split()) * TONE_SECONDS_PER_WORD, rate), rate)
        return tone_path
    unfinished, spoken = _unfinished(path), _unfinished(path.with_suffix(".spoken.wav"))
    root.run(
        ["espeak-ng", "-v", voice, "-w", root.path(spoken), "--", text], timeout=SPEECH_SECONDS
    )
    linear = ["-r", str(rate), "-c", "1", "-b", "16", "-e", "signed-integer"]
    # No dither and a little headroom: the same file every time, and nothing clipped.
    command = ["sox", "-D", "-G", root.path(spoken), *linear, root.path(unfinished)]
    root.run(command, timeout=SPEECH_SECONDS)
    spoken.unlink()
    unfinished.replace(path)
    return path


def track(root: Root, parts: Sequence[Path | float]) -> Path:
    """Return one WAV file of 8 kHz that plays all parts in turn: files, or seconds of silence."""
    samples = b"".join(
        read_wav(part) if isinstance(part, Path) else bytes(SAMPLE_BYTES * int(part * RATE))
        for part in parts
    )
    path = _cached(hashlib.sha256(samples).hexdigest(), ".track.wav")
    if not path.exists():
        _write_wav(path, samples, RATE)
    return path


def encode(root: Root, wav: Path, codec: Codec) -> bytes:
    """Return a WAV file as RTP payload of a codec: ulaw, alaw or a linear one."""
    if codec.name in SOX_FORMATS:
        form = SOX_FORMATS[codec.name]
    elif codec.rtpmap.startswith("L16/"):
        form = ["-t", "raw", "-e", "signed-integer", "-b", "16", "-B", "-r", codec.rtpmap[4:]]
    else:
        raise TestbedError(f"no way to encode {codec.name} here; use ulaw, alaw or slin")
    root.require("sox", "sox")
    digest = hashlib.sha256(wav.read_bytes()).hexdigest()
    path = _cached(f"{digest}\0{codec.name}", f".{codec.name}")
    if not path.exists():
        unfinished = _unfinished(path)
        source = _inside_build(wav)
        command = ["sox", "-D", "-G", root.path(source), "-c", "1", *form, root.path(unfinished)]
        root.run(command, timeout=SPEECH_SECONDS)
        unfinished.replace(path)
    return path.read_bytes()


def packets(root: Root, wav: Path, codec: Codec, packet_ms: int) -> list[bytes]:
    """Return a WAV file as payload of any codec, in whole packets of so many milliseconds."""
    if codec.name in LIBRARIES:
        return _by_library(root, wav, codec, packet_ms)
    payload, size = encode(root, wav, codec), codec.packet_bytes * packet_ms // PACKET_MS
    return [payload[at : at + size] for at in range(0, len(payload) - size + 1, size)]


def _by_library(root: Root, wav: Path, codec: Codec, packet_ms: int) -> list[bytes]:
    root.require("sox", "sox")
    digest = hashlib.sha256(wav.read_bytes()).hexdigest()
    path = _cached(f"{digest}\0{codec.name}\0{packet_ms}", f".{codec.name}")
    if not path.exists():
        pcm, unfinished = _unfinished(path.with_suffix(".raw")), _unfinished(path)
        linear = ["-t", "raw", "-e", "signed-integer", "-b", "16", "-r", str(encoders.RATE)]
        source = root.path(_inside_build(wav))
        root.run(["sox", "-D", source, "-c", "1", *linear, root.path(pcm)], timeout=SPEECH_SECONDS)
        command = ["python3", "-m", "testbed.encoders", codec.name, str(packet_ms)]
        root.run([*command, root.path(pcm), root.path(unfinished)], timeout=SPEECH_SECONDS)
        pcm.unlink()
        unfinished.replace(path)
    return list(encoders.read(path))


def read_wav(path: Path, rate: int = RATE) -> bytes:
    """Return the samples (16 bits, little-endian) of a mono WAV file of this rate."""
    with wave.open(str(path)) as file:
        found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if found != (1, SAMPLE_BYTES, rate):
            raise TestbedError(
                f"{path}: {found[0]} channels, {8 * found[1]} bits, {found[2]} Hz; needed is mono, "
                f"16 bits, {rate} Hz (sox IN -c 1 -b 16 -r {rate} OUT makes that)"
            )
        samples: bytes = file.readframes(file.getnframes())
        return samples


def write_wav(path: Path, samples: bytes, rate: int = RATE) -> None:
    """Write samples (16 bits, little-endian, mono) as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(rate)
        file.writeframes(samples)


def decode_ulaw(payload: bytes) -> bytes:
    """Return µ-law payload as samples of 16 bits, for WAV files and for measuring loudness."""
    return b"".join(_ULAW[value] for value in payload)


def loud_parts(samples: bytes, threshold: int = 500, rate: int = RATE) -> list[tuple[float, float]]:
    """Return where sound is: (from, to) in seconds; pauses under 200 ms do not divide.

    Sound is 20 ms of samples (16 bits, little-endian) whose mean amplitude is above `threshold`.
    """
    size = rate // 50
    values = struct.unpack(f"<{len(samples) // 2}h", samples[: len(samples) // 2 * 2])
    loud = [
        sum(map(abs, values[start : start + size])) > threshold * size
        for start in range(0, len(values) - size + 1, size)
    ]
    parts: list[list[int]] = []
    for index, is_loud in enumerate(loud):
        if not is_loud:
            continue
        if parts and index - parts[-1][1] < 10:
            parts[-1][1] = index + 1
        else:
            parts.append([index, index + 1])
    return [(start / 50, end / 50) for start, end in parts]


def _ulaw_sample(value: int) -> bytes:
    """Return what one µ-law byte stands for (ITU-T G.711)."""
    value = ~value & 0xFF
    magnitude = (((value & 0x0F) << 3) + 0x84 << (value >> 4 & 7)) - 0x84
    return struct.pack("<h", -magnitude if value & 0x80 else magnitude)


_ULAW = [_ulaw_sample(value) for value in range(256)]


def _tone(seconds: float, rate: int) -> bytes:
    count = int(seconds * rate)
    step = 2 * math.pi * TONE_HZ / rate
    return struct.pack(f"<{count}h", *(int(TONE_LEVEL * math.sin(step * i)) for i in range(count)))


def _write_wav(path: Path, samples: bytes, rate: int) -> None:
    unfinished = _unfinished(path)
    write_wav(unfinished, samples, rate)
    unfinished.replace(path)


def _cached(key: str, suffix: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER / (hashlib.sha256(key.encode()).hexdigest()[:16] + suffix)


def _unfinished(path: Path) -> Path:
    """Return a name beside a file under which to write it: the real name means complete."""
    return path.with_name(f"{os.getpid()}-{threading.get_ident()}.{path.name}")


def _inside_build(path: Path) -> Path:
    """Return the file, or a copy of it where programs in the root can see it."""
    if path.resolve().is_relative_to(BUILD.parent):
        return path.resolve()
    data = path.read_bytes()
    copy = _cached(hashlib.sha256(data).hexdigest(), f".copy{path.suffix}")
    copy.write_bytes(data)
    return copy
