r"""G.722 and Opus, by the root's libraries: python3 -m testbed.encoders CODEC MS IN OUT.

IN is PCM: 16 bits, little-endian, mono, 16000 Hz. OUT is one packet after the other, each of MS
milliseconds, each behind its size (two bytes, big-endian). What is left over is left out.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Iterator
from ctypes import POINTER, c_int, c_int16, c_ubyte, c_void_p
from pathlib import Path

RATE = 16000
PACKET_MAX = 4000
"""Bytes of one packet; libopus recommends that much."""

SIZE = struct.Struct(">H")
"""In front of each packet."""

OPUS_APPLICATION_AUDIO = 2049
G722_BITS_PER_SECOND = 64000

Encode = Callable[[bytes], bytes]


def g722() -> Encode:
    """Return an encoder of one stream by libspandsp."""
    library = ctypes.CDLL("libspandsp.so.2")
    library.g722_encode_init.restype = c_void_p
    library.g722_encode_init.argtypes = [c_void_p, c_int, c_int]
    library.g722_encode.argtypes = [c_void_p, POINTER(c_ubyte), POINTER(c_int16), c_int]
    state = library.g722_encode_init(None, G722_BITS_PER_SECOND, 0)

    def encode(samples: bytes) -> bytes:
        size = library.g722_encode(state, out, _pcm(samples), len(samples) // 2)
        return bytes(out[:size])

    out = (c_ubyte * PACKET_MAX)()
    return encode


def opus() -> Encode:
    """Return an encoder of one stream by libopus."""
    library = ctypes.CDLL("libopus.so.0")
    library.opus_encoder_create.restype = c_void_p
    library.opus_encoder_create.argtypes = [c_int, c_int, c_int, POINTER(c_int)]
    library.opus_encode.argtypes = [c_void_p, POINTER(c_int16), c_int, POINTER(c_ubyte), c_int]
    error = c_int()
    state = library.opus_encoder_create(RATE, 1, OPUS_APPLICATION_AUDIO, ctypes.byref(error))
    out = (c_ubyte * PACKET_MAX)()

    def encode(samples: bytes) -> bytes:
        size = library.opus_encode(state, _pcm(samples), len(samples) // 2, out, PACKET_MAX)
        if size < 0:
            raise SystemExit(f"libopus: error {size}: no packet of {len(samples) // 2} samples")
        return bytes(out[:size])

    return encode


def read(path: Path) -> Iterator[bytes]:
    """Yield the packets of such a file."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        (size,) = SIZE.unpack_from(data, at)
        yield data[at + SIZE.size : at + SIZE.size + size]
        at += SIZE.size + size


def _pcm(samples: bytes) -> ctypes.Array[c_int16]:
    return (c_int16 * (len(samples) // 2)).from_buffer_copy(samples)


def main(codec: str, milliseconds: str, source: str, target: str) -> None:
    """Encode one file."""
    encode = {"g722": g722, "opus": opus}[codec]()
    samples = Path(source).read_bytes()
    size = 2 * RATE * int(milliseconds) // 1000
    with Path(target).open("wb") as file:
        for start in range(0, len(samples) - size + 1, size):
            packet = encode(samples[start : start + size])
            file.write(SIZE.pack(len(packet)) + packet)


if __name__ == "__main__":
    main(*sys.argv[1:])
