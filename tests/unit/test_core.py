"""The byte work of the compiled core, held against references."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from pyconvai.core import _core
from tests.timing import PROGRAM


@pytest.mark.parametrize("size", [*range(70), 160, 320, 1919, 50_000])
def test_base64_is_that_of_the_standard_library(size: int) -> None:
    data = os.urandom(size)
    text = base64.b64encode(data)
    assert _core.base64_encode(data) == text
    assert _core.base64_decode(text.decode()) == data


@pytest.mark.parametrize("text", ["a", "ab", "abc", "abcde", "ab=d", "=bcd", "a===", "ab c", "é=="])
def test_bad_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        _core.base64_decode(text)


@pytest.mark.parametrize("place", range(8))
def test_every_character_outside_the_alphabet_is_refused(place: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for code in set(range(128)) - {ord(c) for c in alphabet + "="}:
        text = "QUJDREVG"
        with pytest.raises(ValueError, match="base64"):
            _core.base64_decode(text[:place] + chr(code) + text[place + 1 :])


def reference_ulaw_expand(code: int) -> int:
    """G.711, table 2a: chord and step to the value in the middle of the interval."""
    code ^= 0xFF
    chord, step = (code >> 4) & 7, code & 15
    magnitude = ((2 * step + 33) << chord) - 33
    return 4 * (-magnitude if code & 0x80 else magnitude)


def test_ulaw_expands_as_g711_says() -> None:
    for code in range(256):
        got = int.from_bytes(_core.ulaw_to_slin(bytes([code])), "little", signed=True)
        assert got == reference_ulaw_expand(code)


def test_ulaw_compresses_every_sample_to_a_nearest_code() -> None:
    values = [reference_ulaw_expand(code) for code in range(256)]
    samples = range(-32768, 32768)
    pcm = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    codes = _core.slin_to_ulaw(pcm)
    previous = -(10**6)
    for sample, code in zip(samples, codes, strict=True):
        value = values[code]
        assert value >= previous, "not monotonic"
        previous = value
        assert abs(value - sample) <= max(4, abs(sample) // 16 + 4) or abs(sample) > 32124


def test_ulaw_codes_survive_the_round_trip() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)  # 0x7f is minus zero
    assert _core.slin_to_ulaw(_core.ulaw_to_slin(codes)) == codes


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="whole 16-bit samples"):
        _core.slin_to_ulaw(b"abc")


def parse(frame: bytes) -> Frame:
    """Read a client's frame as a server would, all of it."""
    reader = StreamReader()
    reader.feed_data(frame)
    parser: Generator[Any, None, Frame] = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as done:
        next(parser)
    reader.feed_eof()
    assert next(iter([reader.buffer])) == b"", "bytes left over"
    frame_read: Frame = done.value.value
    return frame_read


@pytest.mark.parametrize("size", [0, 1, 2, 3, 71, 72, 73, 74, 160, 1920, 49_000, 49_200, 96_000])
def test_audio_frame_is_what_a_server_expects(size: int) -> None:
    """All three widths of the length field, and every padding."""
    audio = os.urandom(size)
    frame = parse(_core.encode_chunk_frame(audio))
    assert frame.opcode is Opcode.TEXT
    assert frame.fin
    assert bytes(frame.data) == b'{"user_audio_chunk":"' + base64.b64encode(audio) + b'"}'


def test_masks_differ() -> None:
    """Unpredictable: of 1000 four-byte masks hardly two are the same."""
    masks = {_core.encode_chunk_frame(b"x")[2:6] for _ in range(1000)}
    assert len(masks) > 990


def test_encode_agrees_with_decode_on_random_sizes() -> None:
    chosen = random.Random(7)
    for _ in range(200):
        data = chosen.randbytes(chosen.randrange(5000))
        assert _core.base64_decode(_core.base64_encode(data).decode()) == data


# ---- Several builds in one process, and Asterisk with all its modules ----


def test_no_name_is_exported_but_pythons() -> None:
    nm = ["nm", "--dynamic", "--defined-only", "--format=posix", str(_core.__file__)]
    lines = subprocess.run(nm, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["PyInit__core"]


TWO_CORES = """
import os, sys
from importlib.util import module_from_spec, spec_from_file_location

sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
cores = []
for number, path in enumerate(sys.argv[1:]):
    spec = spec_from_file_location(f"build{number}._core", path)
    cores.append(module_from_spec(spec))
    spec.loader.exec_module(cores[-1])
one, two = cores
one.open_engine()
print(one.engine_running(), two.engine_running(), one.starts(), two.starts())
print(one.ops_address("one", "1") != two.ops_address("two", "2"))
"""


def test_two_cores_share_nothing(tmp_path: Path) -> None:
    """Even where the first one's names would stand for those of all that are loaded later."""
    file = Path(str(_core.__file__))
    copies = [tmp_path / str(number) / file.name for number in range(2)]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(file.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", TWO_CORES, *map(str, copies)],
        capture_output=True,
        text=True,
        timeout=PROGRAM,
        check=False,
    )
    assert done.stdout.splitlines() == ["True False 1 0", "True"], done.stderr
