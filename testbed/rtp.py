"""The media of calls: the RTP endpoint as a child process, and what it recorded.

`RtpEndpoint` runs rtp_endpoint.c, which sends, receives and records; `Recording` is one call's
record with everything there is to know about it:

    heard = Recording.read(path, CODECS["ulaw"])
    heard.heard                # payload received, in order of sequence numbers
    heard.sent                 # payload sent
    heard.gaps, heard.lost, heard.reordered, heard.ssrcs

Payload is what travels on the wire: G.711 bytes, or linear samples in network byte order.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from testbed.errors import TestbedError
from testbed.paths import BUILD
from testbed.root import Root

PACKET_MS = 20
"""Audio in one packet, as nearly all telephones send it."""

SOURCES = [Path(__file__).with_name(name) for name in ("rtp_endpoint.c", "rtp_call.c")]
HEADER = Path(__file__).with_name("rtp_call.h")
COMPILE = ("gcc", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow")
COMPILE_SECONDS = 120.0
QUIT_SECONDS = 5.0
"""Limit on the endpoint's end after `quit`, which only closes files."""

RECORD = struct.Struct("=qIIHHBBBx")
"""struct record of rtp_endpoint.c."""

SENT = 1
"""A record's direction: to Asterisk."""

EVENT_TYPE = 101
"""Payload type of digits (telephone-event) in every offer."""

EVENTS = "0123456789*#ABCD"

SEQUENCES = 1 << 16
TIMESTAMPS = 1 << 32


@dataclass(frozen=True)
class Codec:
    """How one codec travels in RTP."""

    name: str
    payload_type: int
    rtpmap: str
    packet_bytes: int
    """0 where it differs: that is for testbed.line to send."""
    step: int
    """Timestamp units in one packet."""
    silence: int
    """The byte that silence is made of."""

    def bytes_in(self, seconds: float) -> int:
        """Return the payload size of that much audio, in whole packets."""
        return round(seconds * 1000 / PACKET_MS) * self.packet_bytes

    def seconds(self, payload: bytes | int) -> float:
        """Return how long a payload, or a payload of that size, plays."""
        size = payload if isinstance(payload, int) else len(payload)
        return size / self.packet_bytes * PACKET_MS / 1000

    def noise(self, seconds: float, seed: int) -> bytes:
        """Return pseudo-random payload, another one for each seed: no sample can hide a mix-up."""
        return random.Random(seed).randbytes(self.bytes_in(seconds))  # noqa: S311


def _linear(name: str, payload_type: int, rate: int) -> Codec:
    samples = rate * PACKET_MS // 1000
    return Codec(name, payload_type, f"L16/{rate}", 2 * samples, samples, 0)


CODECS = {
    codec.name: codec
    for codec in (
        Codec("ulaw", 0, "PCMU/8000", 160, 160, 0xFF),
        Codec("alaw", 8, "PCMA/8000", 160, 160, 0xD5),
        Codec("g722", 9, "G722/8000", 160, 160, 0xFA),
        Codec("g729", 18, "G729/8000", 20, 160, 0),
        Codec("opus", 111, "opus/48000/2", 0, 960, 0),
        _linear("slin", 107, 8000),
        _linear("slin16", 108, 16000),
        _linear("slin24", 109, 24000),
        _linear("slin48", 110, 48000),
    )
}


@dataclass(frozen=True)
class Packet:
    """One RTP packet."""

    at: float
    """Sent or received, in seconds on time.monotonic()'s clock (the kernel's time of arrival)."""
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes


@dataclass(frozen=True)
class Gap:
    """A place where the timestamps jump: audio that was lost, or never sent."""

    at_byte: int
    """Offset in `heard`."""
    ms: float
    """Missing audio; negative where audio is repeated or overlaps."""


@dataclass(frozen=True)
class Recording:
    """All packets of one call in both directions."""

    codec: Codec
    packets_sent: list[Packet] = field(default_factory=list)
    packets_received: list[Packet] = field(default_factory=list)
    """In order of arrival, digits included."""

    @classmethod
    def read(cls, path: Path, codec: Codec) -> Recording:
        """Read a record file, complete or still growing (after a flush)."""
        recording = cls(codec)
        for direction, packet in _packets(path.read_bytes()):
            lists = (recording.packets_received, recording.packets_sent)
            lists[direction].append(packet)
        return recording

    @cached_property
    def sent(self) -> bytes:
        """Payload sent, as it went out."""
        own = self.codec.payload_type
        return b"".join(p.payload for p in self.packets_sent if p.payload_type == own)

    @cached_property
    def audio(self) -> list[Packet]:
        """Audio packets received, without duplicates, by sequence number within each SSRC."""
        own = [p for p in self.packets_received if p.payload_type == self.codec.payload_type]
        return [packet for ssrc in _in_order(own) for packet in _sorted(ssrc, own)]

    @cached_property
    def heard(self) -> bytes:
        """Payload received, in order; nothing stands in for what is missing (see `gaps`)."""
        return b"".join(packet.payload for packet in self.audio)

    @cached_property
    def ssrcs(self) -> list[int]:
        """The sources heard, in order of appearance; more than one means that it changed."""
        return _in_order(self.packets_received)

    @cached_property
    def lost(self) -> int:
        """How many packets are missing by sequence number."""
        return sum(
            (after.sequence - before.sequence - 1) % SEQUENCES
            for before, after in itertools.pairwise(self._all_sorted)
            if before.ssrc == after.ssrc
        )

    @cached_property
    def duplicated(self) -> int:
        """How many packets came more than once."""
        return len(self.packets_received) - len(self._all_sorted)

    @cached_property
    def reordered(self) -> int:
        """How many packets came later than one with a higher sequence number."""
        return sum(
            before.ssrc == after.ssrc and (after.sequence - before.sequence) % SEQUENCES > 0x8000
            for before, after in itertools.pairwise(self.packets_received)
        )

    @cached_property
    def gaps(self) -> list[Gap]:
        """Where the timestamps of the audio do not go on from packet to packet."""
        found, at_byte = [], 0
        units_per_ms = self.codec.step / PACKET_MS
        bytes_per_unit = self.codec.packet_bytes / self.codec.step
        for before, after in itertools.pairwise(self.audio):
            at_byte += len(before.payload)
            said = len(before.payload) / bytes_per_unit
            jump = (after.timestamp - before.timestamp - int(said)) % TIMESTAMPS
            if jump >= TIMESTAMPS // 2:
                jump -= TIMESTAMPS
            if before.ssrc == after.ssrc and jump:
                found.append(Gap(at_byte, jump / units_per_ms))
        return found

    @cached_property
    def intervals_ms(self) -> list[float]:
        """Time between one audio packet's arrival and the next one's."""
        return [1000 * (after.at - before.at) for before, after in itertools.pairwise(self.audio)]

    @cached_property
    def digits(self) -> str:
        """DTMF digits received as RFC 4733 events."""
        events = {p.timestamp: p.payload[0] for p in self._all_sorted if self._is_digit(p)}
        return "".join(EVENTS[event] for event in events.values())

    @cached_property
    def _all_sorted(self) -> list[Packet]:
        received = self.packets_received
        return [packet for ssrc in self.ssrcs for packet in _sorted(ssrc, received)]

    @staticmethod
    def _is_digit(packet: Packet) -> bool:
        return packet.payload_type == EVENT_TYPE and packet.payload[0] < len(EVENTS)


class RtpEndpoint:
    """The child process. Its answers are lines on `output`; reading them is the owner's part."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._process = root.popen(
            [root.path(_compiled(root))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor that the answers come from."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def open(self, number: int, port: int, record: Path, codec: Codec, *, silence: bool) -> None:
        """Have a call bind its port. Answer: `opened <number>` or `error <number> <reason>`."""
        fill = codec.silence if silence else -1
        where = f"{port} {self.root.path(record)}"
        what = f"{codec.payload_type} {codec.packet_bytes} {codec.step} {fill}"
        self.command("open", number, f"{where} {what}")

    def command(self, name: str, number: int, arguments: str = "") -> None:
        """Send one of the commands that rtp_endpoint.c lists."""
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), f"{name} {number} {arguments}\n".encode())
        except BrokenPipeError:
            status = self._process.poll()
            raise TestbedError(f"the RTP endpoint has ended (status {status})") from None

    def close(self) -> None:
        """End the process."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _compiled(root: Root) -> Path:
    """Return the endpoint's program, compiled in the root when its source or the root is new."""
    texts = [path.read_bytes() for path in (*SOURCES, HEADER)]
    key = hashlib.sha256(b"".join([*texts, str(root.folder).encode()])).hexdigest()[:12]
    program = BUILD / "testbed" / "bin" / f"rtp_endpoint-{key}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        unfinished = program.with_name(f"{program.name}.{os.getpid()}")
        strict = ["-Werror"] if os.environ.get("WERROR") == "1" else []
        command = [*COMPILE, *strict, *map(root.path, SOURCES), "-o", root.path(unfinished)]
        root.run(command, timeout=COMPILE_SECONDS)
        unfinished.replace(program)
    return program


def _packets(data: bytes) -> Iterator[tuple[int, Packet]]:
    offset = 0
    while offset + RECORD.size <= len(data):
        at, timestamp, ssrc, sequence, size, direction, kind, marker = RECORD.unpack_from(
            data, offset
        )
        offset += RECORD.size
        if offset + size > len(data):
            return
        payload = data[offset : offset + size]
        offset += size
        yield direction, Packet(at / 1e9, sequence, timestamp, ssrc, kind, bool(marker), payload)


def _in_order(packets: list[Packet]) -> list[int]:
    return list(dict.fromkeys(packet.ssrc for packet in packets))


def _sorted(ssrc: int, packets: list[Packet]) -> list[Packet]:
    """Return one source's packets by sequence number, wrap-around undone, duplicates left out."""
    by_number: dict[int, Packet] = {}
    newest: int | None = None
    for packet in packets:
        if packet.ssrc != ssrc:
            continue
        if newest is None:
            newest = packet.sequence
        ahead = (packet.sequence - newest + SEQUENCES // 2) % SEQUENCES - SEQUENCES // 2
        by_number.setdefault(newest + ahead, packet)
        newest = max(newest, newest + ahead)
    return [by_number[number] for number in sorted(by_number)]
