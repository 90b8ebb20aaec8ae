"""The readers of frames and of audio events, compiled as they are, and Python's side beside them.

Used by ``test_audio_event.py`` (texts) and ``test_frame_reader.py`` (frames).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CLIENT, OPEN, Protocol
from websockets.uri import parse_uri

from pyconvai.conversation.effects import Play
from pyconvai.conversation.protocol import Conversation
from tests.timing import FULL
from tests.unit.kept import module

ROOT = Path(__file__).parents[2]
SOURCES = [f"pyconvai/core/{name}.c" for name in ("audio_event", "excerpt", "frame_reader")]

TEXT_MAX = 131072
MESSAGE_MAX = 200_000
"""Bytes of a message: what makes it longer is skipped."""
NO_LIMIT = 2**63 - 1
"""Of the library, which is to have no say in that."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD_IS_OVER = 4

CALLS = """
struct convai_audio_event { const uint8_t *base64; size_t base64_length; uint64_t event_id;
	uint32_t characters; };
int convai_audio_event_read(const uint8_t *text, size_t length, struct convai_audio_event *event);
enum convai_frame_verdict { CONVAI_FRAME_MORE, CONVAI_FRAME_PASS, CONVAI_FRAME_AUDIO,
	CONVAI_FRAME_SKIP, CONVAI_FRAME_DROP, ... };
struct convai_frame_reader { uint64_t message_max; uint64_t dropping; ...; };
enum convai_frame_verdict convai_frame_read(struct convai_frame_reader *reader,
	const uint8_t *bytes, size_t length, size_t *used, struct convai_audio_event *event);
static void set_head(struct convai_frame_reader *reader, unsigned int head);
static unsigned int get_head(struct convai_frame_reader *reader);
static void bypass(struct convai_frame_reader *reader);
"""
BIT_FIELDS = """
#include "frame_reader.h"
static void set_head(struct convai_frame_reader *reader, unsigned int head) { reader->head = head; }
static unsigned int get_head(struct convai_frame_reader *reader) { return reader->head; }
static void bypass(struct convai_frame_reader *reader) { reader->bypass = 1; }
"""


def compiled() -> Any:
    """The C files as a module: ffi and lib."""
    return module("convai_frames", CALLS, BIT_FIELDS, *SOURCES)


def examples(few: int, many: int) -> settings:
    """Always the same few in `make test`; many others in `make test-full`."""
    return settings(
        deadline=None,
        derandomize=not FULL,
        max_examples=many if FULL else few,
        suppress_health_check=list(HealthCheck),
    )


# ---- Texts ----

Recognized = tuple[str, int, int]
"""base64, event id, characters that it speaks"""


def recognize(c: Any, text: bytes) -> Recognized | None:
    """What the C code makes of a text."""
    event = c.ffi.new("struct convai_audio_event *")
    if not c.lib.convai_audio_event_read(text, len(text), event):
        return None
    return event_of(c, event)


def event_of(c: Any, event: Any) -> Recognized:
    base64 = bytes(c.ffi.buffer(event.base64, event.base64_length)).decode("ascii")
    return base64, event.event_id, event.characters


def understand(text: bytes) -> Recognized | None:
    """What Python makes of it; None if it is no audio that could be played."""
    conversation = Conversation()
    conversation.receive(b'{"type":"conversation_initiation_metadata"}')
    conversation.admission.admit()
    effects = conversation.receive(text)
    effect = effects[0] if effects else None
    if not isinstance(effect, Play):
        return None
    return effect.audio_base64, effect.event_id, effect.characters


def assert_same_meaning(c: Any, text: bytes) -> bool:
    """Tell whether it is recognized; if so, Python understands just that."""
    recognized = recognize(c, text)
    assert recognized is None or recognized == understand(text), text
    return recognized is not None


ALIGNMENT = (
    '"alignment":{"chars":["H","ä","\\""," "],'
    '"char_start_times_ms":[0,50,1.5,120],"char_durations_ms":[50,40,-0,0]}'
)
SHORT = '{"type":"audio","audio_event":{"audio_base_64":"AAA=","event_id":7}}'
FULL_EVENT = (
    '{"type":"audio","audio_event":{"audio_base_64":"//8A","event_id":7,'
    f'{ALIGNMENT},"is_final":false}}}}'
)
REVERSED = (
    f'{{"audio_event":{{"is_final":true,{ALIGNMENT},"event_id":7,"audio_base_64":"//8A"}},'
    '"type":"audio"}'
)


def event_with(more: str) -> str:
    """An audio event with something behind its id."""
    return SHORT.replace("7}}", "7" + more + "}}")


JSON_WORDS = [
    *'{}[]:,"\\/ \n01-.e',
    *('"type"', '"audio"', '"audio_event"', '"audio_base_64"', '"event_id"', '"AAAA"', '"ä"'),
    *("null", "true", "false", "-0", "1.0", "1e5", "012", "9" * 18, "9" * 19, "9" * 400),
    *(r"\"", r"\/", r"\u0061", r"\u0000", r"\ud83d", r"\ude00", r"\x", "\0", "\x1f", "\x7f"),
    *('"event_i\\u0064":8,', '"event_id":8,', '"a":[],', '"a":{},', "[[[[[", "]]]]]", "=", "😀"),
]
words = st.sampled_from([word.encode() for word in JSON_WORDS]) | st.binary(max_size=3)


@st.composite
def mutated(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """One of the originals, with up to three pieces of it replaced."""
    data = draw(originals)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(words) + data[at + draw(st.integers(0, 4)) :]
    return data


# ---- Frames ----


def frame(first: int, text: bytes | str, *, width: int = 0, mask: int = 0) -> bytes:
    """A frame with its length in 7, 16 or 64 bits; 0: in as few as possible."""
    text = text.encode() if isinstance(text, str) else text
    length = len(text)
    width = width or (7 if length < 126 else 16 if length < 65536 else 64)
    if width == 7:
        return bytes([first, mask | length]) + text
    return bytes([first, mask | (126 if width == 16 else 127)]) + length.to_bytes(width // 8) + text


TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
AUDIO = frame(TEXT, SHORT)
"""An audio event that is taken where it may be."""
OTHER = frame(TEXT, '{"type":"ping","ping_event":{"event_id":3}}')


@dataclass
class Library:
    """The library's side of one connection, and all that came out of it."""

    protocol: Protocol
    log: list[Any] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        self.log += [_comparable(event) for event in self.protocol.events_received()]

    def outcome(self) -> tuple[Any, ...]:
        """Everything that may be seen from outside. What is sent is masked with random numbers."""
        end = self.protocol
        broken = (type(end.parser_exc), str(end.parser_exc), type(end.handshake_exc))
        sent = [len(data) for data in end.data_to_send()]
        return self.log, end.state, end.close_rcvd, end.close_sent, broken, sent


def _comparable(event: Any) -> Any:
    if isinstance(event, Response):
        return event.status_code, list(event.headers.raw_items()), bytes(event.body)
    return event


def library(*, has_head: bool) -> Library:
    if not has_head:
        return Library(Protocol(CLIENT, state=OPEN, max_size=NO_LIMIT))
    client = ClientProtocol(parse_uri("ws://localhost/"), max_size=NO_LIMIT)
    client.key = KEY
    client.send_request(client.connect())
    client.data_to_send()
    return Library(client)


class Caller:
    """Does with the reader what the core is to do."""

    def __init__(self, c: Any, *, has_head: bool, heeds: bool = True) -> None:
        self.c, self.heeds = c, heeds
        self.library = library(has_head=has_head)
        self.reader = c.ffi.new("struct convai_frame_reader *", {"message_max": MESSAGE_MAX})
        if not has_head:
            c.lib.set_head(self.reader, HEAD_IS_OVER)
        self.waiting = b""
        self.taken: list[Recognized] = []

    def feed(self, data: bytes) -> None:
        self.waiting += data
        event = self.c.ffi.new("struct convai_audio_event *")
        used = self.c.ffi.new("size_t *")
        while True:
            held = self.c.ffi.from_buffer(self.waiting)
            verdict = self.c.lib.convai_frame_read(
                self.reader, held, len(self.waiting), used, event
            )
            if verdict == self.c.lib.CONVAI_FRAME_MORE:
                assert used[0] == 0
                return
            part, self.waiting = self.waiting[: used[0]], self.waiting[used[0] :]
            assert part
            if verdict == self.c.lib.CONVAI_FRAME_AUDIO:
                self._take(part, event_of(self.c, event))
            elif verdict == self.c.lib.CONVAI_FRAME_SKIP:
                self._pass(bytes([part[0], 0]))
            elif verdict == self.c.lib.CONVAI_FRAME_PASS:
                self._pass(part)

    def end(self) -> None:
        self._pass(self.waiting)

    def _take(self, part: bytes, recognized: Recognized) -> None:
        assert self.library.protocol.state is OPEN
        text = part[{126: 4, 127: 10}.get(part[1], 2) :]
        assert recognized == understand(text)
        self.taken.append(recognized)
        self.library.log.append(Frame(Opcode.TEXT, text))

    def _pass(self, part: bytes) -> None:
        self.library.feed(part)
        is_over = self.c.lib.get_head(self.reader) == HEAD_IS_OVER
        if self.heeds and is_over and self.library.protocol.state is not OPEN:
            self.c.lib.bypass(self.reader)


def without_long_messages(log: Iterable[Any]) -> list[Any]:
    """Empty frames in place of those that make their message too long."""
    seen, size = [], 0
    for each in log:
        if isinstance(each, Frame) and each.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            size = len(each.data) + (size if each.opcode is Opcode.CONT else 0)
            seen.append(replace(each, data=b"") if size > MESSAGE_MAX else each)
        else:
            seen.append(each)
    return seen


def compare(c: Any, pieces: Iterable[bytes], *, has_head: bool = False) -> list[Recognized]:
    """Reader and library make of the pieces what the library alone does. Returns what was taken."""
    caller, alone = Caller(c, has_head=has_head), library(has_head=has_head)
    for piece in pieces:
        caller.feed(piece)
        alone.feed(piece)
        # What is left out is told as soon as its first bytes have come.
        assert len(caller.library.log) >= len(alone.log), "something waits that is whole"
    caller.end()
    if caller.reader.dropping:  # it has not come to its end
        assert caller.library.log.pop().data == b""
    alone.log = without_long_messages(alone.log)
    assert caller.library.outcome() == alone.outcome()
    return caller.taken


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(ends)]


def cut_in_turn(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    pieces, turn = [], cycle(sizes)
    while data:
        size = next(turn)
        pieces.append(data[:size])
        data = data[size:]
    return pieces
