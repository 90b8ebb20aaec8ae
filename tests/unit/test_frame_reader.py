"""What the core takes off a connection's bytes and what it leaves are all that the library sees.

The inputs that the fuzzer has found worth keeping (``tests/fuzz``) are replayed here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.utils import accept_key

from tests.timing import PROGRAM
from tests.unit.frame_reader import (
    AUDIO,
    BINARY,
    CLOSE,
    FULL_EVENT,
    KEY,
    MESSAGE_MAX,
    OTHER,
    PING,
    PONG,
    REVERSED,
    ROOT,
    SHORT,
    SOURCES,
    TEXT,
    TEXT_MAX,
    Caller,
    assert_same_meaning,
    compare,
    compiled,
    cut,
    cut_in_turn,
    event_with,
    examples,
    frame,
    library,
    mutated,
)
from tests.unit.kept import STRICT, program

CORPUS = Path(os.environ.get("CONVAI_FUZZ_CORPUS", ROOT / "tests" / "fuzz" / "corpus"))
"""``make fuzz`` has its own replayed as well."""

IS_TEXT, HAS_HEAD, PIECES = 1, 2, 3
"""Of an input of the fuzzer: see ``tests/fuzz/frames.c``."""


@pytest.fixture(scope="module")
def c() -> Any:
    """The compiled files: ffi and lib."""
    return compiled()


HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + accept_key(KEY).encode() + b"\r\n\r\n"
)
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 500\r\n\r\n"
SERVICE = AUDIO + OTHER + frame(TEXT, FULL_EVENT) + frame(PING, "hi") + frame(TEXT, REVERSED)
"""Three audio events and what may lie between them."""


@pytest.mark.parametrize("has_head", [False, True])
def test_the_service_cut_at_every_place(c: Any, has_head: bool) -> None:
    stream = HEAD * has_head + SERVICE + frame(CLOSE, b"\x03\xe8ok") + AUDIO
    assert len(compare(c, [stream], has_head=has_head)) == 3
    assert len(compare(c, cut_in_turn(stream, [1]), has_head=has_head)) == 3
    for place in range(len(stream)):
        assert len(compare(c, cut(stream, [place]), has_head=has_head)) == 3


def test_events_are_taken_as_soon_as_they_are_whole(c: Any) -> None:
    """And what comes before one is passed on without waiting for it."""
    caller = Caller(c, has_head=False)
    caller.feed(OTHER + AUDIO[:20])
    assert [event.opcode for event in caller.library.log] == [Opcode.TEXT]
    caller.feed(AUDIO[20:-1])
    assert caller.taken == []
    caller.feed(AUDIO[-1:] + AUDIO)
    assert len(caller.taken) == 2
    assert caller.waiting == b""


def padded(length: int) -> str:
    """An audio event of just so many bytes."""
    more = length - len(event_with(',"a":""'))
    return event_with(f',"a":"{"x" * more}"')


TAKEN = {
    "7 bits": frame(TEXT, SHORT),
    "7 bits, the longest": frame(TEXT, padded(125)),
    "16 bits": frame(TEXT, padded(126)),
    "16 bits, the longest": frame(TEXT, padded(65535)),
    "64 bits": frame(TEXT, padded(65536)),
    "longest that is taken": frame(TEXT, padded(TEXT_MAX)),
    "16 bits where 7 would do": frame(TEXT, SHORT, width=16),
    "64 bits where 7 would do": frame(TEXT, SHORT, width=64),
    "behind a pong": frame(PONG, "") + AUDIO,
    "behind a ping": frame(PING, "x" * 125) + AUDIO,
    "behind a binary message": frame(BINARY, AUDIO) + AUDIO,
    "in front of an empty message": AUDIO + frame(TEXT, ""),
    "behind an empty message": frame(TEXT, "") + AUDIO,
    "behind a brace": frame(TEXT, "{") + AUDIO,
    "behind another message": OTHER + AUDIO,
    "behind a fragmented message": frame(0x01, SHORT) + frame(0x80, "") + AUDIO,
    "behind one with a ping in it": frame(0x02, "{")
    + frame(PING, "")
    + frame(0, AUDIO)
    + frame(PONG, "")
    + frame(0x80, "}")
    + AUDIO,
    "behind a large message": frame(TEXT, "{" + "x" * TEXT_MAX) + AUDIO,
}
"""Frames of which just one is taken."""

LEFT = {
    "too long": frame(TEXT, padded(TEXT_MAX + 1)),
    "of 70 kB, other": frame(TEXT, "{" + "x" * 70000),
    "binary": frame(BINARY, SHORT),
    "fragmented": frame(0x01, SHORT[:30]) + frame(0x80, SHORT[30:]),
    "fragmented, all in the first": frame(0x01, SHORT) + frame(0x80, ""),
    "fragmented, with a ping": frame(0x01, SHORT[:9]) + frame(PING, "") + frame(0x80, SHORT[9:]),
    "blank in front": frame(TEXT, " " + SHORT),
    "half": AUDIO[:-1],
}
"""Frames of which none is taken, and the library makes a message of them or waits for more."""

LAST = {
    "close": frame(CLOSE, b"\x03\xe8"),
    "close without code": frame(CLOSE, b""),
    "close with half a code": frame(CLOSE, b"\x03"),
    "close in a fragmented message": frame(0x01, "{") + frame(CLOSE, b"\x03\xe8"),
    "masked": frame(TEXT, b"0123" + SHORT.encode(), mask=0x80),
    "masked ping": frame(PING, b"0123", mask=0x80),
    "RSV1": frame(0xC1, SHORT),
    "RSV2": frame(0xA1, SHORT),
    "RSV3": frame(0x91, SHORT),
    "RSV1 of a ping": frame(0xC9, ""),
    "opcode 3": frame(0x83, SHORT),
    "opcode 7": frame(0x87, SHORT),
    "opcode 11": frame(0x8B, ""),
    "opcode 15": frame(0x8F, ""),
    "continuation of nothing": frame(0x80, SHORT),
    "continuation of nothing, to be continued": frame(0x00, SHORT),
    "text in a fragmented message": frame(0x01, "{"),
    "binary in a fragmented message": frame(0x01, "{") + frame(BINARY, "") + frame(0x80, ""),
    "fragment in a fragmented message": frame(0x01, "{") + frame(0x01, "{") + frame(0x80, ""),
    "fragmented ping": frame(0x09, ""),
    "fragmented close": frame(0x08, b"\x03\xe8"),
    "long ping": frame(PING, "x" * 126),
    "ping of 64 bits": frame(PING, "x" * 200, width=64),
    "of 2^63 bytes": b"\x81\x7f" + (2**63).to_bytes(8) + b"{",
    "of 2^64 - 1 bytes": b"\x82\x7f" + (2**64 - 1).to_bytes(8),
    "of 2^64 - 1 bytes, with a brace": b"\x81\x7f" + (2**64 - 1).to_bytes(8) + b"{",
    "masked, of 2^64 - 1 bytes": b"\x82\xff" + (2**64 - 1).to_bytes(8) + b"012",
    "bytes of HTTP": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}
"""Frames behind which nothing is taken."""


@pytest.mark.parametrize("stream", TAKEN.values(), ids=list(TAKEN))
def test_audio_is_taken(c: Any, stream: bytes) -> None:
    size = max(1, len(stream) // 150)
    for pieces in ([stream], cut_in_turn(stream, [size]), cut(stream, range(12))):
        assert len(compare(c, pieces)) == 1


@pytest.mark.parametrize("stream", LEFT.values(), ids=list(LEFT))
def test_what_may_be_otherwise_is_left_to_the_library(c: Any, stream: bytes) -> None:
    size = max(1, len(stream) // 150)
    for pieces in ([stream], cut_in_turn(stream, [size])):
        assert compare(c, pieces) == []


@pytest.mark.parametrize("heeds", [True, False])
@pytest.mark.parametrize("stream", LAST.values(), ids=list(LAST))
def test_nothing_is_taken_behind_the_end(c: Any, stream: bytes, heeds: bool) -> None:
    """Even if the caller does not heed the library's state."""
    for pieces in ([AUDIO + stream + AUDIO * 2], cut_in_turn(AUDIO + stream + AUDIO * 2, [1])):
        caller, alone = Caller(c, has_head=False, heeds=heeds), library(has_head=False)
        for piece in pieces:
            caller.feed(piece)
            alone.feed(piece)
        assert len(caller.taken) == 1
        assert caller.library.outcome() == alone.outcome()


@pytest.mark.parametrize(
    "head",
    [
        REFUSAL,
        HEAD.replace(b"\r\n\r\n", b"\n\n"),
        HEAD.replace(b"Accept: ", b"Accept: x"),
        HEAD.replace(b"\r\n\r\n", b"\r\n\r\r\n\r\n"),
        b"\r\n\r\n",
        AUDIO,
    ],
)
def test_nothing_is_taken_behind_a_refusal(c: Any, head: bytes) -> None:
    for pieces in ([head + AUDIO * 4], cut_in_turn(head + AUDIO * 4, [1]), cut(head, [len(head)])):
        assert compare(c, pieces, has_head=True) == []


HALF = bytes(MESSAGE_MAX // 2)
LONG = {
    "longest that is none": frame(TEXT, b"{" + bytes(MESSAGE_MAX - 1)),
    "too long": frame(TEXT, b"{" + bytes(MESSAGE_MAX)),
    "too long, binary": frame(BINARY, bytes(MESSAGE_MAX + 1)),
    "grows to the longest": frame(0x01, HALF) + frame(0x00, b"") + frame(0x80, HALF),
    "grows too long": frame(0x01, HALF) + frame(0x00, HALF) + frame(PING, "a") + frame(0x80, b"x"),
    "grows too long, and goes on": frame(0x02, HALF)
    + frame(0x00, HALF + b"x")
    + frame(PONG, "a")
    + frame(0x00, b"y")
    + frame(PING, "b")
    + frame(0x80, b"z"),
    "begins too long, and goes on": frame(0x01, bytes(MESSAGE_MAX + 1))
    + frame(PING, "a")
    + frame(0x00, b"y")
    + frame(0x80, b""),
    "ends too long": frame(0x01, b"") + frame(0x80, bytes(MESSAGE_MAX + 1)),
    "two": frame(TEXT, bytes(MESSAGE_MAX + 1)) * 2 + frame(0x01, HALF) + frame(0x80, HALF),
}
"""Messages as long as they may be, and longer ones, which cost nobody anything."""


@pytest.mark.parametrize("stream", LONG.values(), ids=list(LONG))
def test_a_message_that_is_too_long_is_skipped(c: Any, stream: bytes) -> None:
    """K9: also one in fragments; control frames in it are answered, and audio goes on behind it."""
    stream = OTHER + AUDIO + stream + OTHER + AUDIO
    for pieces in ([stream], cut_in_turn(stream, [16_384]), cut_in_turn(stream, [1, 9, 999])):
        assert len(compare(c, pieces)) == 2


@pytest.mark.parametrize("wrong", [frame(TEXT, SHORT), frame(0x02, "x"), frame(CLOSE, b"\x03\xe8")])
def test_what_the_protocol_forbids_within_a_skipped_message(c: Any, wrong: bytes) -> None:
    """K9: the library knows that a message is under way, and ends the connection."""
    stream = frame(0x01, bytes(MESSAGE_MAX + 1)) + wrong + frame(0x80, "x") + AUDIO
    for pieces in ([stream], cut_in_turn(stream, [9_999])):
        assert compare(c, pieces) == []


def test_a_skipped_message_is_kept_nowhere(c: Any) -> None:
    """K9: 2^62 bytes may come: whatever is there is dropped, and what was promised has a limit."""
    caller = Caller(c, has_head=False)
    caller.feed(frame(TEXT, "")[:1] + b"\x7f" + (2**62).to_bytes(8))
    for _ in range(8):
        caller.feed(bytes(1 << 20))
        assert caller.waiting == b""
    assert [frame.data for frame in caller.library.log] == [b""]


def test_so_many_frames_are_passed_on_at_once(c: Any) -> None:
    """K9: whoever passes them on looks at the clock in between."""
    passed: list[int] = []

    class Counting(Caller):
        def _pass(self, part: bytes) -> None:
            passed.append(len(part))
            super()._pass(part)

    Counting(c, has_head=False).feed(frame(TEXT, "") * 1000)
    assert max(passed) == 2 * 4
    passed.clear()
    Counting(c, has_head=False).feed(frame(CLOSE, "") + frame(TEXT, "") * 1000)
    assert max(passed) <= 256


pieces_of_streams = [AUDIO, AUDIO, OTHER, frame(TEXT, FULL_EVENT), frame(TEXT, REVERSED)]
pieces_of_streams += [frame(TEXT, SHORT, width=16), frame(TEXT, SHORT, width=64)]
pieces_of_streams += [frame(PING, "hi"), frame(PONG, ""), frame(BINARY, SHORT), frame(TEXT, "{}")]
pieces_of_streams += [frame(0x01, SHORT[:9]), frame(0x00, AUDIO), frame(0x80, SHORT[9:])]
pieces_of_streams += [LEFT["fragmented, with a ping"], TAKEN["behind one with a ping in it"]]
short_errors = [stream for stream in LAST.values() if len(stream) < 300]
frames = st.lists(st.sampled_from(pieces_of_streams), max_size=8).map(b"".join)
streams = st.tuples(frames, st.sampled_from([b"", b"", *short_errors]), frames).map(b"".join)
places = st.lists(st.integers(0, 2000), max_size=8)


@examples(40, 2000)
@given(stream=streams, where=places, has_head=st.booleans())
def test_streams_mean_the_same(c: Any, stream: bytes, where: list[int], has_head: bool) -> None:
    stream = HEAD + stream if has_head else stream
    taken = compare(c, cut(stream, where), has_head=has_head)
    assert taken == compare(c, cut_in_turn(stream, [1]), has_head=has_head)


@examples(100, 4000)
@given(stream=mutated(streams), where=places, has_head=st.booleans())
def test_mutated_streams_mean_the_same(
    c: Any, stream: bytes, where: list[int], has_head: bool
) -> None:
    stream = HEAD + stream if has_head else stream
    taken = compare(c, cut(stream, where), has_head=has_head)
    assert taken == compare(c, [stream], has_head=has_head)


@examples(40, 2000)
@given(head=mutated(st.sampled_from([HEAD, REFUSAL])), where=places)
def test_mutated_answers_mean_the_same(c: Any, head: bytes, where: list[int]) -> None:
    compare(c, cut(head + SERVICE, where), has_head=True)


# ---- What the fuzzer has found worth keeping ----


def test_the_corpus_means_the_same(c: Any) -> None:
    """Every input of the fuzzer's, held against orjson and the library."""
    inputs = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    recognized = taken = 0
    for data in inputs:
        if len(data) < 1 + PIECES:
            continue
        flags, sizes, rest = (
            data[0],
            [size + 1 for size in data[1 : 1 + PIECES]],
            data[1 + PIECES :],
        )
        if flags & IS_TEXT:
            recognized += assert_same_meaning(c, rest)
            continue
        for pieces in ([rest], cut_in_turn(rest, sizes)):
            taken += len(compare(c, pieces, has_head=bool(flags & HAS_HEAD)))
    assert recognized > 0
    assert taken > 0


def test_the_corpus_under_the_sanitizers() -> None:
    """No byte is read that is not there, and nothing else that the compiler can find."""
    build = ["gcc", "-std=c11", "-O1", "-g", *STRICT, "-Ipyconvai/core"]
    build += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    build += [*SOURCES, "tests/fuzz/frames.c", "tests/fuzz/replay.c"]
    replay = program("replay", *build)
    inputs = [str(path) for path in CORPUS.iterdir()]
    run = subprocess.run(
        [str(replay), *inputs], capture_output=True, text=True, timeout=PROGRAM, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{len(inputs)} inputs\n"
