"""`make bench-core`: the small parts that each frame of 20 ms goes through, in ns for each frame.

No Asterisk, no network: the core of build/venv's Python, called from there. Each figure has the
call from Python in it, which the first row shows alone. The best of some rounds counts, for the
others were disturbed. Compare figures of one machine only.
"""

from __future__ import annotations

import base64
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyconvai.core import _core

FRAME = 160
"""Bytes of 20 ms in mu-law."""

CHUNK = 1600
"""Bytes of the 200 ms that come in one message of an agent's."""

ROUNDS = 30
BATCH = 100
"""Frames in one round: fewer than the uplink's ring holds."""

ULAW = (1, 8000)
HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"

Part = tuple[str, Callable[[], object], Callable[[], object], int]
"""Name, what is measured, what is done before each round, frames in one round."""


class Owner:
    """Takes what the core's socket does not: nothing, if all is well."""

    def received(self, data: bytes) -> None:
        """Called with the head of the answer."""
        if data != HEAD:
            raise AssertionError(f"not taken as audio: {data[:60]!r}")

    def skipped(self, frame: bytes) -> None:
        """Called with what stands for a message that is too long."""
        raise AssertionError(f"not taken as audio: {frame!r}")

    def lost(self, error: OSError | None) -> None:
        """Called at the end of the stream."""

    def failed(self, fault: Exception) -> None:
        """Called when `received` has failed."""
        raise fault


def times(count: int, function: Callable[..., object], *arguments: object) -> Callable[[], None]:
    """A function that calls another so often."""

    def run() -> None:
        for _ in range(count):
            function(*arguments)

    return run


def nanoseconds(part: Part) -> float:
    """For one frame, the best round's."""
    _, run, prepare, frames = part
    best = float("inf")
    for _ in range(ROUNDS):
        prepare()
        start = time.perf_counter_ns()
        run()
        best = min(best, (time.perf_counter_ns() - start) / frames)
    return best


def server_frame(text: bytes) -> bytes:
    """A text frame as a service sends it: not masked."""
    assert 126 <= len(text) < 1 << 16
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text


@contextmanager
def talking() -> Iterator[
    tuple[_core.Probe, _core.SessionHandle, _core.MediaSocket, socket.socket]
]:
    """A session in conversation over a pair of sockets, whose far end is the last."""
    _core.open_engine()
    probe = _core.Probe("bench", {"agent_id": "bench"})
    (handle,) = _core.new_sessions()
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    media = _core.MediaSocket(Owner(), near)
    media.feed(HEAD)
    media.take_audio(handle, False)
    handle.attach(media)
    handle.agree(ULAW, ULAW, "conv_bench", 20)
    handle.talk()
    try:
        yield probe, handle, media, far
    finally:
        handle.detach()
        probe.release()
        media.close()
        far.close()
        handle.release()
        _core.refuse()
        _core.close_engine()


def parts(
    probe: _core.Probe,
    handle: _core.SessionHandle,
    media: _core.MediaSocket,
    far: socket.socket,
) -> list[Part]:
    """What is measured, in the order of a frame's way."""
    audio = os.urandom(FRAME)
    text = base64.b64encode(os.urandom(CHUNK)).decode()
    event = f'{{"type":"audio","audio_event":{{"audio_base_64":"{text}","event_id":7}}}}'
    frame = server_frame(event.encode())
    carried = CHUNK // FRAME

    def nothing() -> None:
        pass

    def empty_ring() -> None:
        _core.send_waiting_audio([handle])
        drain(far)

    def filled_ring() -> None:
        empty_ring()
        for _ in range(BATCH):
            assert probe.push(audio) == FRAME

    def nothing_queued() -> None:
        handle.flush()
        probe.pop(FRAME)
        media.expect(7)

    def queued() -> None:
        nothing_queued()
        for _ in range(BATCH // carried):
            assert handle.play(text)

    def sent() -> None:
        _core.send_waiting_audio([handle])

    return [
        ("a call that does nothing", times(BATCH, nothing), nothing, BATCH),
        ("push: channel to ring", times(BATCH, probe.push, audio), empty_ring, BATCH),
        ("base64 of a frame", times(BATCH, _core.base64_encode, audio), nothing, BATCH),
        ("WebSocket frame", times(BATCH, _core.encode_chunk_frame, audio), nothing, BATCH),
        (f"ring to a plain socket, {BATCH} in one go", sent, filled_ring, BATCH),
        (
            "agent's message read, decoded, queued",
            times(BATCH // carried, media.feed, frame),
            nothing_queued,
            BATCH,
        ),
        (
            "agent's base64 decoded",
            times(BATCH // carried, _core.base64_decode, text),
            nothing,
            BATCH,
        ),
        ("pop: queue to channel", times(BATCH, probe.pop, FRAME), queued, BATCH),
        ("pop: silence", times(BATCH, probe.pop, FRAME), nothing_queued, BATCH),
        ("mu-law to linear", times(BATCH, _core.ulaw_to_slin, audio), nothing, BATCH),
    ]


def drain(far: socket.socket) -> None:
    """Take what has come at this end, so that the other finds room."""
    try:
        while far.recv(1 << 20):
            pass
    except BlockingIOError:
        pass


def main() -> int:
    """Print the figures."""
    print("ns for each frame of 20 ms (mu-law), the call from Python included")
    with talking() as session:
        for part in parts(*session):
            print(f"{nanoseconds(part):8.0f}  {part[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
