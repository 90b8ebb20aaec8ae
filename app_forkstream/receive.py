#!/usr/bin/env python3
"""A listener for ForkStream(): writes what it hears as WAV files and says what was lost.

    receive.py udp://127.0.0.1:9999 calls/
    receive.py ws://127.0.0.1:9998 calls/ --pipe 'transcribe --rate {rate} -'
    receive.py wss://localhost:9997 calls/ --tls-cert cert.pem --tls-key key.pem

Every direction of every stream becomes ``<folder>/<stream id>-<direction>.wav``, and both in one
with two channels if they come interleaved.  A line of JSON on standard output tells when a stream
begins and when it is over.  ``--pipe`` hands the samples of each direction to a command of its own
as they come, 16 bits, the low byte first.

As a library: ``Stream.feed`` takes packets, however they came, and ``Stream.samples`` has the audio
with silence where packets are missing.  docs/forkstream.md has the packet's table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

HEADER = struct.Struct(">4sBBBBQQIBBH")
MAGIC, VERSION = b"FkSt", 1
START, AUDIO, END = 1, 2, 3
DIRECTIONS = {1: "rx", 2: "tx", 3: "both"}
CODECS = {1: "ulaw", 2: "alaw", 3: "slin"}
SILENCE_FLAG = 1

RECEIVE_BYTES = 16 << 20
"""Room for packets that have come and not been read: what finds none is lost."""

SO_RCVBUFFORCE = 33
"""Linux: root may have more room than net.core.rmem_max."""

QUIET_SECONDS = 30.0
"""A UDP stream that has brought nothing for so long is over: its end was lost."""

CHECK_SECONDS = 1.0
"""How often to look for such streams."""

GAP_SECONDS_MAX = 3600
"""No longer silence is made up for what is missing: a time stamp may be wrong."""


class PacketError(ValueError):
    """What has come is no packet of ForkStream's."""


@dataclass(frozen=True)
class Packet:
    """One packet; ``time`` in samples since the stream began, ``payload`` as it came."""

    kind: int
    direction: int
    codec: str
    rate: int
    flags: int
    stream: str
    time: int
    sequence: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Take a packet apart; raise PacketError if it is none."""
        if len(data) < HEADER.size:
            raise PacketError(f"{len(data)} bytes are no packet")
        magic, version, kind, direction, codec, stream, time, sequence, flags, rate, length = (
            HEADER.unpack_from(data)
        )
        if magic != MAGIC or version != VERSION:
            raise PacketError("not a packet of this version")
        if codec not in CODECS or kind not in (START, AUDIO, END) or rate not in (8, 16):
            raise PacketError(f"codec {codec}, kind {kind} or rate {rate} is not known")
        if len(data) != HEADER.size + length or (kind == AUDIO and direction not in DIRECTIONS):
            raise PacketError("its length or its direction is wrong")
        return cls(
            kind, direction, CODECS[codec], rate * 1000, flags, f"{stream:016x}", time, sequence,
            data[HEADER.size :],
        )  # fmt: skip


KNOWN: dict[str, tuple[str | int, ...]] = {
    "direction": tuple(DIRECTIONS.values()),
    "codec": tuple(CODECS.values()),
    "rate": (8000, 16000),
}
"""What a stream may say of itself where that becomes a file's name, or a word of a command."""


def read_said(text: str | bytes) -> dict[str, Any]:
    """Read the JSON `start` or `end`; raise PacketError if no stream says that."""
    said = json.loads(text)
    if not isinstance(said, dict):
        raise PacketError("what is said is no object")
    for key, words in KNOWN.items():
        if said.get(key, words[0]) not in words:
            raise PacketError(f"{key} is none of {words}")
    if not re.fullmatch("[0-9a-f]{16}", str(said.get("stream_id"))):
        raise PacketError("stream_id is not 16 hexadecimal digits")
    return said


def _ulaw(byte: int) -> int:
    byte ^= 0xFF
    magnitude = (((byte & 0x0F) << 3) + 132 << (byte >> 4 & 7)) - 132
    return -magnitude if byte & 0x80 else magnitude


def _alaw(byte: int) -> int:
    byte ^= 0x55
    segment, magnitude = byte >> 4 & 7, (byte & 0x0F) << 4
    magnitude = magnitude + 8 if segment == 0 else magnitude + 264 << segment - 1
    return magnitude if byte & 0x80 else -magnitude


TABLES = {
    name: [struct.pack("<h", decode(byte)) for byte in range(256)]
    for name, decode in (("ulaw", _ulaw), ("alaw", _alaw))
}


def decoded(payload: bytes, codec: str) -> bytes:
    """Return 16-bit samples, the low byte first."""
    table = TABLES.get(codec)
    return payload if table is None else b"".join(table[byte] for byte in payload)


@dataclass
class Line:
    """One direction of a stream, as far as it has come."""

    direction: str
    rate: int
    channels: int
    write: Callable[[bytes], object]
    """Takes samples in order, silence where some are missing."""
    packets: int = 0
    late: int = 0
    """Packets that came twice, or behind later ones: they are left out."""
    missing_samples: int = 0
    """For which nothing came: lost, or silence that was skipped."""
    expected: int = 0
    """The next packet's number, which is how many were sent so far."""
    time: int = 0
    """Samples written so far."""

    @property
    def lost(self) -> int:
        """Packets that were sent and have not come."""
        return self.expected - self.packets

    def feed(self, packet: Packet) -> None:
        """Take the next packet."""
        if packet.sequence < self.expected:
            self.late += 1
            return
        self.expected = packet.sequence + 1
        self.packets += 1
        gap = packet.time - self.time
        if 0 < gap <= GAP_SECONDS_MAX * self.rate:
            self.missing_samples += gap
            self.write(bytes(2 * self.channels * gap))
        samples = decoded(packet.payload, packet.codec)
        self.write(samples)
        self.time = packet.time + len(samples) // (2 * self.channels)


Open = Callable[[str, "str", int, int], Callable[[bytes], object]]
"""Makes what takes a line's samples, from stream id, direction, rate and channels."""


@dataclass
class Stream:
    """One stream: its lines, and what it has said of itself."""

    id: str
    open: Open
    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)

    def feed(self, packet: Packet) -> None:
        """Take a packet of this stream's."""
        if packet.kind == AUDIO:
            self.line(DIRECTIONS[packet.direction], packet.rate).feed(packet)
        elif packet.kind == START:
            self.start = read_said(packet.payload)
        else:
            self.end = read_said(packet.payload)

    def line(self, direction: str, rate: int) -> Line:
        """Return a direction's line; the first packet makes it."""
        if direction not in self.lines:
            channels = 2 if direction == "both" else 1
            write = self.open(self.id, direction, rate, channels)
            self.lines[direction] = Line(direction, rate, channels, write)
        return self.lines[direction]

    def feed_raw(self, payload: bytes) -> None:
        """Take audio that came without a header, by a WebSocket with one sequence of packets."""
        layout = str(self.start.get("layout"))
        direction = "both" if layout == "interleaved" else str(self.start.get("direction", "rx"))
        line = self.line(direction, int(self.start.get("rate", 8000)))
        samples = decoded(payload, str(self.start.get("codec", "slin")))
        line.packets += 1
        line.expected += 1
        line.write(samples)
        line.time += len(samples) // (2 * line.channels)

    def report(self) -> dict[str, Any]:
        """Say what came of it: packets sent, received, lost and late of each direction."""
        found: dict[str, Any] = {}
        for direction, line in self.lines.items():
            sent = int(self.end.get(direction, {}).get("packets", line.expected))
            found[direction] = {
                "sent": sent,
                "received": line.packets,
                "lost": sent - line.packets,
                "late": line.late,
                "seconds": round(line.time / line.rate, 3),
                "missing_seconds": round(line.missing_samples / line.rate, 3),
                "dropped_samples": int(self.end.get(direction, {}).get("dropped", 0)),
            }
        return found


# ---- Where samples go ----


def command_words(pipe: str, stream: str, direction: str, rate: int, channels: int) -> list[str]:
    """Fill in what a command is to know; ValueError or LookupError for what cannot be."""
    known = {"stream": stream, "direction": direction, "rate": rate, "channels": channels}
    return [word.format(**known) for word in shlex.split(pipe)]


def fault_of(pipe: str) -> str:
    """Say what is wrong with a command, before the first call; "" if nothing is."""
    try:
        words = command_words(pipe, "", "", 8000, 1)
    except (ValueError, LookupError) as error:
        return (
            f"{error}: {{stream}}, {{direction}}, {{rate}} and {{channels}} are filled in, "
            "and a brace that is to stay is written twice"
        )
    return "" if not words or shutil.which(words[0]) else f"there is no command {words[0]}"


class Files:
    """WAV files in a folder, and a command for each direction."""

    def __init__(self, folder: Path, pipe: str = "") -> None:
        self._folder, self._pipe = folder, pipe
        self._waves: dict[str, list[wave.Wave_write]] = {}
        self._commands: dict[str, list[subprocess.Popen[bytes]]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def open(
        self, stream: str, direction: str, rate: int, channels: int
    ) -> Callable[[bytes], object]:
        """Begin a direction."""
        file = wave.open(str(self._folder / f"{stream}-{direction}.wav"), "wb")  # noqa: SIM115
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        self._waves.setdefault(stream, []).append(file)
        command = self._start(stream, direction, rate, channels)

        def write(samples: bytes) -> None:
            file.writeframesraw(samples)
            if command is not None:
                with contextlib.suppress(BrokenPipeError):
                    command.write(samples)
                    command.flush()

        return write

    def _start(self, stream: str, direction: str, rate: int, channels: int) -> IO[bytes] | None:
        if not self._pipe:
            return None
        words = command_words(self._pipe, stream, direction, rate, channels)
        command = subprocess.Popen(words, stdin=subprocess.PIPE)
        self._commands.setdefault(stream, []).append(command)
        return command.stdin

    def close(self, stream: str) -> None:
        """End a stream's files, and its commands' input."""
        for file in self._waves.pop(stream, []):
            file.close()
        for command in self._commands.pop(stream, []):
            if command.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    command.stdin.close()


Tell = Callable[[dict[str, Any]], None]


class Receiver:
    """All streams that are up; hands each to its files and tells of it."""

    def __init__(self, files: Files, tell: Tell) -> None:
        self._files, self.tell = files, tell
        self._heard: dict[str, float] = {}
        self.streams: dict[str, Stream] = {}
        self.ended: set[str] = set()
        self.unknown = 0
        """Packets that were none of ForkStream's."""

    def feed(self, data: bytes) -> None:
        """Take what has come by UDP."""
        try:
            packet = Packet.parse(data)
            if packet.stream not in self.ended:
                self._feed(packet)
        except ValueError:
            self.unknown += 1

    def _feed(self, packet: Packet) -> None:
        stream = self.begin(packet.stream)
        knew = bool(stream.start)
        stream.feed(packet)
        self._heard[packet.stream] = asyncio.get_running_loop().time()
        if packet.kind == START and not knew:
            self.tell({"event": "start", "stream_id": stream.id, "start": stream.start})
        elif packet.kind == END:
            self.finish(stream.id)

    def begin(self, stream_id: str) -> Stream:
        """Return a stream, a new one if it is not known."""
        return self.streams.setdefault(stream_id, Stream(stream_id, self._files.open))

    def finish(self, stream_id: str) -> None:
        """Close a stream's files and tell what came of it."""
        stream = self.streams.pop(stream_id, None)
        if stream is not None:
            self.ended.add(stream_id)
            self._heard.pop(stream_id, None)
            self._files.close(stream_id)
            reason = stream.end.get("reason", "nothing more came")
            told = {"event": "end", "stream_id": stream_id, "reason": reason}
            self.tell({**told, "tag": stream.start.get("tag", ""), **stream.report()})

    def finish_quiet(self, now: float) -> None:
        """End the streams by UDP that have brought nothing for long."""
        for stream_id in [s for s, at in self._heard.items() if now - at > QUIET_SECONDS]:
            self.finish(stream_id)

    def finish_all(self) -> None:
        """End them all."""
        for stream_id in list(self.streams):
            self.finish(stream_id)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._receiver.feed(data)


def make_room(own: socket.socket) -> None:
    """Give a socket as much room as it gets."""
    try:
        own.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
    except OSError:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)


async def listen_udp(host: str, port: int, receiver: Receiver) -> asyncio.DatagramTransport:
    """Open the socket; its port is chosen if it is 0."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(receiver), (host, port)
    )
    make_room(transport.get_extra_info("socket"))
    return transport


async def serve_websocket(connection: Any, receiver: Receiver) -> None:
    """Take one stream by WebSocket, until it is over."""
    stream: Stream | None = None
    try:
        async for message in connection:
            if isinstance(message, str):
                said = read_said(message)
                stream = receiver.begin(said["stream_id"])
                if said.get("event") == "start":
                    stream.start = said
                    receiver.tell({"event": "start", "stream_id": stream.id, "start": said})
                else:
                    stream.end = said
            elif stream is not None and stream.start.get("layout") == "apart":
                _feed_any(stream, message)
            elif stream is not None:
                stream.feed_raw(message)
    finally:
        if stream is not None:
            receiver.finish(stream.id)


def _feed_any(stream: Stream, message: bytes) -> None:
    if stream.start.get("direction") == "both":
        stream.feed(Packet.parse(message))
    else:
        stream.feed_raw(message)


async def run(url: str, files: Files, tell: Tell, tls: ssl.SSLContext | None = None) -> None:
    """Listen until SIGTERM or SIGINT. tls: for wss://."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 0
    receiver = Receiver(files, tell)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        if parts.scheme == "udp":
            transport = await listen_udp(host, port, receiver)
            stack.callback(transport.close)
            port = transport.get_extra_info("sockname")[1]
        else:
            from websockets.asyncio.server import serve

            one = partial(serve_websocket, receiver=receiver)
            server = await stack.enter_async_context(
                serve(one, host, port, compression=None, ssl=tls)
            )
            port = next(iter(server.sockets)).getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        tell({"event": "ready", "url": f"{parts.scheme}://{shown}:{port}"})
        while not stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), CHECK_SECONDS)
            receiver.finish_quiet(loop.time())
    receiver.finish_all()
    tell({"event": "done", "streams": len(receiver.ended), "unknown": receiver.unknown})


def _print(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


def main(words: list[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(
        description="Listen for ForkStream(): WAV files, and what was lost."
    )
    parser.add_argument("url", help="udp://host:port, ws:// or wss://; port 0 chooses one")
    parser.add_argument("folder", type=Path, help="for the WAV files; made if it is not there")
    parser.add_argument(
        "--pipe",
        default="",
        metavar="COMMAND",
        help="gets each direction's samples; {stream}, {direction}, {rate}, {channels} in it",
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="for wss://: the listener's certificate")
    parser.add_argument("--tls-key", metavar="FILE", help="... and its key")
    arguments = parser.parse_args(words)
    scheme = urlsplit(arguments.url).scheme
    if scheme not in ("udp", "ws", "wss"):
        parser.error(f"{arguments.url}: a URL begins with udp://, ws:// or wss://")
    if scheme == "wss" and not (arguments.tls_cert and arguments.tls_key):
        parser.error(f"{arguments.url}: this needs --tls-cert and --tls-key")
    if fault := fault_of(arguments.pipe):
        parser.error(f"--pipe: {fault}")
    try:
        tls = None
        if scheme == "wss":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(arguments.tls_cert, arguments.tls_key)
        asyncio.run(run(arguments.url, Files(arguments.folder, arguments.pipe), _print, tls))
    except (OSError, ModuleNotFoundError) as error:
        parser.error(f"{arguments.url}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
