"""What the engine and its worker say to each other: frames of JSON with their length before them.

A frame is an object whose ``is`` says what it is; ``worker.py`` lists them. Either end gives up a
connection on which something else comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .. import limits

Frame = dict[str, Any]

_HEAD = 4


def packed(frame: Frame) -> bytes:
    """The bytes of a frame. ValueError: it is too long, or has what JSON has not."""
    text = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = text.encode(errors="replace")
    if len(data) > limits.TOOL_FRAME_BYTES:
        raise ValueError(f"{len(data)} bytes; {limits.TOOL_FRAME_BYTES} are the most")
    return len(data).to_bytes(_HEAD, "big") + data


class Frames:
    """Frames out of the bytes that come."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what has come; read ``complete`` afterwards, or it grows."""
        self._bytes += data

    def complete(self) -> Iterator[Frame]:
        """The frames that are whole. ValueError: what has come is none."""
        while len(self._bytes) >= _HEAD:
            size = int.from_bytes(self._bytes[:_HEAD], "big")
            if size > limits.TOOL_FRAME_BYTES:
                raise ValueError(f"a frame of {size} bytes")
            if len(self._bytes) < _HEAD + size:
                return
            text = bytes(self._bytes[_HEAD : _HEAD + size])
            del self._bytes[: _HEAD + size]
            try:
                frame = json.loads(text)
            except RecursionError:
                raise ValueError("a frame that is nested too deep") from None
            if not isinstance(frame, dict) or not isinstance(frame.get("is"), str):
                raise ValueError("a frame that is no object, or has no kind")
            yield frame
