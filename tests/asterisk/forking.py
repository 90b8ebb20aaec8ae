"""What the tests of ForkStream() share: listeners, and what callers said and heard beside it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from testbed.call import Call
from testbed.rtp import CODECS
from tests.timing import EVENT, MS

sys.path.insert(0, str(Path(__file__).parents[2] / "app_forkstream"))

import receive

ULAW = CODECS["ulaw"]
LIMIT = EVENT
LITTLE_ROOM = 4096
"""Bytes: the audio of an eighth of a second."""


@dataclass
class Heard:
    """One stream, as a listener has it."""

    packets: list[receive.Packet] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    pong: threading.Event | None = None
    """By WebSocket: whether a ping in the midst of it has been answered."""
    stream: receive.Stream = field(
        default_factory=lambda: receive.Stream("", lambda *_: lambda _samples: None)
    )

    @property
    def start(self) -> dict[str, Any]:
        return self.stream.start

    @property
    def end(self) -> dict[str, Any]:
        return self.stream.end

    def feed(self, packet: receive.Packet) -> None:
        """Take a packet, and keep it."""
        self.stream.feed(packet)
        if packet.kind == receive.AUDIO:
            self.packets.append(packet)

    def direction(self, name: str) -> list[receive.Packet]:
        """All audio packets of one direction, as they came."""
        return [p for p in self.packets if receive.DIRECTIONS[p.direction] == name]

    def voice(self, name: str) -> bytes:
        """All samples of one direction but packets of silence."""
        voiced = (p for p in self.direction(name) if not p.flags & receive.SILENCE_FLAG)
        return b"".join(receive.decoded(p.payload, p.codec) for p in voiced)

    def check_end(self) -> None:
        """All that was sent has come, in order, and is what the end tells."""
        for name, line in self.stream.lines.items():
            packets, sent = self.direction(name), self.end[name]
            assert [p.sequence for p in packets] == list(range(sent["packets"])), name
            samples = sum(len(receive.decoded(p.payload, p.codec)) // 2 for p in packets)
            assert (samples, line.time) == (sent["samples"], sent["samples"] + sent["skipped"])
        assert self.end["lost"] == 0

    def check_whole(self) -> None:
        """Nothing was lost, on the way or before, and all of it is in order and in time."""
        self.check_end()
        for name, line in self.stream.lines.items():
            dropped = self.end[name]["dropped"]
            assert (line.lost, line.late, line.missing_samples, dropped) == (0, 0, 0, 0), name


def voice(payload: bytes) -> bytes:
    """The samples of mu-law audio, but frames of silence."""
    size = ULAW.packet_bytes
    frames = (payload[at : at + size] for at in range(0, len(payload), size))
    return receive.decoded(b"".join(f for f in frames if not set(f) <= {0xFF, 0x7F}), "ulaw")


def check_call(heard: Heard, call: Call) -> None:
    """Both directions of a call, sample by sample."""
    heard.check_whole()
    assert heard.voice("rx") == voice(call.sent), f"{call}: not what the caller said"
    assert heard.voice("tx") == voice(call.heard), f"{call}: not what the caller heard"


def until(reached: Callable[[], Any], what: str) -> Any:
    """Wait until something is there, and return it."""
    deadline = time.monotonic() + LIMIT
    while not (found := reached()):
        assert time.monotonic() < deadline, f"not within {LIMIT:g} s: {what}"
        time.sleep(10 * MS)
    return found


class Listener:
    """Streams as they come, by their tags."""

    url = ""
    """Where it is reached."""

    def tagged(self, tag: str) -> Heard | None:
        """The stream with this tag, if it has begun."""
        raise NotImplementedError

    def begun(self, tag: str) -> Heard:
        """Wait for a stream's start."""
        return until(lambda: self.tagged(tag), f"start of {tag}")  # type: ignore[no-any-return]

    def ended(self, tag: str) -> Heard:
        """Wait for a stream's end."""
        heard = self.begun(tag)
        until(lambda: heard.end, f"end of {tag}")
        return heard


class UdpListener(Listener):
    """A socket, and a thread that takes what comes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receive.make_room(self._socket)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"udp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._socket.settimeout(0.1)
        self._streams: dict[str, Heard] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="listener", daemon=True)

    def __enter__(self) -> UdpListener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(LIMIT)
        self._socket.close()

    def _read(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                packet = receive.Packet.parse(self._socket.recv(2048))
                self._streams.setdefault(packet.stream, Heard()).feed(packet)

    def tagged(self, tag: str) -> Heard | None:
        found = [s for s in list(self._streams.values()) if s.start.get("tag") == tag]
        return found[0] if found else None


def _reached_as_localhost() -> socket.socket:
    """Asterisk takes the first address of a name, which may be ::1; its certificates have names."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("127.0.0.1", 0))


class WebSocketListener(Listener):
    """A server whose connections `serve_one` serves; what it hears by the stream's tag."""

    def __init__(
        self,
        serve_one: Callable[[ServerConnection], None] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        reads: threading.Event | None = None,
    ) -> None:
        """reads: until then it reads a stream's start alone, and has little room for the rest."""
        self._heard: dict[str, Heard] = {}
        self._reads = reads
        own = _reached_as_localhost() if tls else socket.create_server(("127.0.0.1", 0))
        if reads:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE_ROOM)
            # Who sends has room by what one segment holds, 64 kB on loopback.
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, LITTLE_ROOM // 4)
        # Its own pings would end the connection of one that is not reading.
        self._server = serve(
            serve_one or self._listen, sock=own, ssl=tls, compression=None, ping_interval=None
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        where = "wss://localhost" if tls else "ws://127.0.0.1"
        self.url = f"{where}:{self._server.socket.getsockname()[1]}"

    def __enter__(self) -> WebSocketListener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(LIMIT)

    def _listen(self, connection: ServerConnection) -> None:
        heard = Heard()
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                self._take(heard, message)
                if self._reads and not self._reads.is_set():
                    self._reads.wait(LIMIT)
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                heard.pong = heard.pong or connection.ping()

    def _take(self, heard: Heard, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if heard.start["layout"] == "apart" and heard.start["direction"] == "both":
                heard.feed(receive.Packet.parse(message))
            else:
                heard.raw.append(message)
                heard.stream.feed_raw(message)
        elif not heard.start:
            heard.stream.start = json.loads(message)
            self._heard[heard.start["tag"]] = heard
        else:
            heard.stream.end = json.loads(message)

    def tagged(self, tag: str) -> Heard | None:
        return self._heard.get(tag)


@contextlib.contextmanager
def tcp(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that does this with each connection, on a thread each; its port."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                kept.append(connection)
                threading.Thread(target=behave, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in kept:
            connection.close()
