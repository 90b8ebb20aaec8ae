"""The other end of a socket, byte by byte: plain or TLS, in lockstep or on a thread of its own.

``Line`` joins a ``MediaSocket`` to a ``Peer`` over a loopback connection. Nothing runs but what a
test asks for, so a test decides when the peer reads, writes, and what it breaks. ``RawService``
serves whole conversations to an engine, frame by frame.
"""

from __future__ import annotations

import _ssl
import base64
import ctypes
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from pyconvai.core._core import MediaSocket, Ticker
from tests.timing import EVENT, NEVER, PROGRAM

READ_BYTES = 65_536
Tls = ssl.SSLObject | ssl.SSLSocket


def until(reached: Callable[[], bool], seconds: float = EVENT) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


# ---- Certificates ----


class Certificates:
    """An authority, and what it has signed.

    ``server``; ``other`` has another name; ``expired``; ``client`` is good for clients only. Nobody
    but itself has signed ``alone``.
    """

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self._folder = folder
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        # As old scripts make them: strict X.509 wants basicConstraints critical, and keyUsage.
        self._run("req", "-x509", *key, "-subj", "/CN=test-ca", "-days", "30",
                  "-addext", "basicConstraints=CA:TRUE",
                  "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        self._run("req", "-new", *key, "-subj", "/CN=agent", "-keyout", "key.pem",
                  "-out", "request.pem")  # fmt: skip
        here = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
        for name, names, days in (
            ("server", here, "30"),
            ("other", "subjectAltName=DNS:elsewhere.example", "30"),
            ("expired", here, "-1"),
            ("client", f"{here}\nextendedKeyUsage=clientAuth", "30"),
        ):
            (folder / "names").write_text(f"{names}\n")
            self._run("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", days, "-extfile", "names",
                      "-out", f"{name}.pem")  # fmt: skip
        self._run("req", "-x509", "-key", "key.pem", "-subj", "/CN=alone", "-days", "30",
                  "-addext", here, "-out", "alone.pem")  # fmt: skip

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments],
            cwd=self._folder, check=True, capture_output=True, timeout=PROGRAM,
        )  # fmt: skip

    def files(self, name: str = "server") -> tuple[Path, Path]:
        """A certificate, and the key of all of them."""
        return self._folder / f"{name}.pem", self._folder / "key.pem"

    def server(self, name: str = "server", version: str = "") -> ssl.SSLContext:
        """What the service shows. ``version``: the only one it speaks, as ``TLSv1_2``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(name))
        if version:
            only = ssl.TLSVersion[version]
            context.minimum_version = context.maximum_version = only
        return context

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


# ---- What Python's ssl does not offer ----


class OpenSSL:
    """Functions of the very library that Python's ssl uses, for a connection of the peer's."""

    def __init__(self) -> None:
        # Where struct PySSLSocket keeps its SSL *: behind the object's head and one pointer.
        if not (3, 11) <= sys.version_info < (3, 15) or not hasattr(_ssl, "__file__"):
            pytest.skip(f"not known where Python {sys.version} keeps OpenSSL's connection")
        self._library = ctypes.CDLL(_ssl.__file__)

    def _do(self, name: str, tls: Tls, *arguments: int) -> None:
        inner = tls._sslobj  # type: ignore[union-attr]
        place = id(inner) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)
        function = getattr(self._library, name)
        function.argtypes = [ctypes.c_void_p] + [ctypes.c_int] * len(arguments)
        assert function(ctypes.c_void_p.from_address(place), *arguments) == 1, name

    def update_keys(self, tls: Tls, *, both: bool) -> None:
        """Change our key with the next write; ``both``: ask the other end to change its own."""
        self._do("SSL_key_update", tls, int(both))

    def new_ticket(self, tls: Tls) -> None:
        """Send a session ticket with the next write."""
        self._do("SSL_new_session_ticket", tls)

    def renegotiate(self, tls: Tls) -> None:
        """TLS 1.2: ask the other end to shake hands again."""
        self._do("SSL_renegotiate", tls)
        self._do("SSL_do_handshake", tls)


# ---- In lockstep ----


class Peer:
    """The service's end of one connection. ``got`` is all that has come, decrypted."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext | None) -> None:
        raw.setblocking(False)
        self.raw = raw
        self.got = bytearray()
        self.ended = False
        self.alerts: list[str] = []
        self.tls: ssl.SSLObject | None = None
        self._out = bytearray()
        if context is not None:
            self._in_bio, self._out_bio = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self._in_bio, self._out_bio, server_side=True)

    def shake(self) -> None:
        """One step of the handshake."""
        if self.tls is not None:
            with suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
        self.pump(READ_BYTES)

    def send(self, data: bytes) -> None:
        """One record, if it is no longer than one."""
        if self.tls is None:
            self._out += data
        while self.tls is not None and data:
            data = data[self.tls.write(data) :]
        self.pump(0)

    def seal(self, data: bytes) -> bytes:
        """What would go out for this: TLS records, not sent."""
        assert self.tls is not None
        self.tls.write(data)
        return self._out_bio.read()

    def inject(self, data: bytes) -> None:
        """Send bytes below TLS."""
        self._out += data
        self.pump(0)

    def goodbye(self) -> None:
        """Close our sending side in the way that TLS wants it."""
        if self.tls is not None:
            with suppress(ssl.SSLError):
                self.tls.unwrap()
        self.pump(0)
        self.raw.shutdown(socket.SHUT_WR)

    def pump(self, most: int = READ_BYTES) -> None:
        """Send what waits, and read so many bytes of what has come."""
        if self.tls is not None:
            self._out += self._out_bio.read()
        if self.raw.fileno() < 0:
            return
        with suppress(BlockingIOError, ConnectionError):
            while self._out:
                del self._out[: self.raw.send(self._out)]
        if most:
            self._read(most)

    def _read(self, most: int) -> None:
        try:
            data = self.raw.recv(most)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        self.ended = not data
        if self.tls is None:
            self.got += data
            return
        if data:
            self._in_bio.write(data)
        self.decrypt()

    def decrypt(self) -> None:
        assert self.tls is not None
        try:
            while data := self.tls.read(READ_BYTES):
                self.got += data
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.alerts.append(error.reason or "")
        self._out += self._out_bio.read()


class Line:
    """A media socket and its peer. ``came`` is what the socket has handed on."""

    def __init__(
        self,
        certificates: Certificates | None = None,
        *,
        version: str = "",
        family: socket.AddressFamily = socket.AF_INET,
        buffer_bytes: int = 0,
    ) -> None:
        self.came = bytearray()
        self.ends: list[OSError | None] = []
        self.faults: list[Exception] = []
        self.on_data: Callable[[bytes], None] = lambda data: None
        near, far = _connected(family, buffer_bytes)
        self.peer = Peer(far, certificates.server(version=version) if certificates else None)
        if certificates is not None:
            name = far.getsockname()[0]
            wrapped = certificates.client().wrap_socket(
                near, server_hostname=name, do_handshake_on_connect=False
            )
            self.sock: socket.socket = wrapped
            self._shake(wrapped)
        else:
            self.sock = near
        self.ticker = Ticker()
        self.socket = MediaSocket(self, self.sock)
        self.socket.bypass()  # these are bytes, no frames: all of them are to be handed on
        self.ticker.add(self.socket)

    def _shake(self, sock: ssl.SSLSocket) -> None:
        until = time.monotonic() + EVENT
        done = False
        while not done:
            assert time.monotonic() < until, "no TLS handshake"
            self.peer.shake()
            with suppress(ssl.SSLWantReadError):
                sock.do_handshake()
                done = True
        self.peer.shake()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.ticker.close()
        self.peer.raw.close()

    # ---- What MediaSocket tells ----

    def received(self, data: bytes) -> None:
        self.came += data
        self.on_data(data)

    def skipped(self, frame: bytes) -> None:
        raise AssertionError(frame)

    def lost(self, error: OSError | None) -> None:
        self.ends.append(error)

    def failed(self, fault: Exception) -> None:
        self.faults.append(fault)

    # ---- What a test does ----

    def turn(self, most: int = READ_BYTES) -> None:
        """One round of both ends; the peer reads so many bytes."""
        self.peer.pump(most)
        self.ticker.first_word()
        self.ticker.tick()

    def until(self, reached: Callable[[], bool], most: int = READ_BYTES) -> None:
        """Turn until then."""
        until = time.monotonic() + EVENT
        while not reached():
            assert time.monotonic() < until, f"came {len(self.came)}, got {len(self.peer.got)}"
            self.turn(most)


def _connected(
    family: socket.AddressFamily, buffer_bytes: int
) -> tuple[socket.socket, socket.socket]:
    """Two ends of a loopback connection; not blocking."""
    address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((address, 0), family=family) as server:
        near = socket.socket(family, socket.SOCK_STREAM)
        if buffer_bytes:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        near.connect(server.getsockname())
        far, _ = server.accept()
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    near.setblocking(False)
    return near, far


# ---- A service ----


def frame(
    opcode: int, data: bytes = b"", *, fin: int = 1, rsv: int = 0, mask: bool = False
) -> bytes:
    """One frame as it goes over the wire, right or wrong."""
    first = fin << 7 | rsv << 4 | opcode
    if len(data) < 126:
        head = struct.pack("!BB", first, mask << 7 | len(data))
    elif len(data) < 65_536:
        head = struct.pack("!BBH", first, mask << 7 | 126, len(data))
    else:
        head = struct.pack("!BBQ", first, mask << 7 | 127, len(data))
    return head + (bytes(4) if mask else b"") + data


def text(**message: Any) -> bytes:
    """The frame of one message."""
    return frame(Opcode.TEXT, json.dumps(message).encode())


def metadata(agent: str = "ulaw_8000", caller: str = "ulaw_8000") -> bytes:
    return text(
        type="conversation_initiation_metadata",
        conversation_initiation_metadata_event={
            "conversation_id": "conv_raw",
            "agent_output_audio_format": agent,
            "user_input_audio_format": caller,
        },
    )


def audio(data: bytes, event_id: int = 1) -> bytes:
    """The frame of a piece of agent audio, as the service writes it."""
    encoded = base64.b64encode(data).decode()
    return text(audio_event={"audio_base_64": encoded, "event_id": event_id}, type="audio")


def close_frame(code: int, words: str = "") -> bytes:
    return frame(Opcode.CLOSE, Close(code, words).serialize())


class Connection:
    """The service's end of one call: blocking, on the service's thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.frames: list[Frame] = []
        self.heard = bytearray()
        self.protocol = ServerProtocol(max_size=None)
        self._accepted: bytes = b""

    def request(self) -> Request:
        """The client's request for an upgrade."""
        events: list[Any] = []
        while not events:
            self._receive()
            events = self.protocol.events_received()
        self.protocol.send_response(self.protocol.accept(events[0]))
        self._accepted = b"".join(self.protocol.data_to_send())
        assert isinstance(events[0], Request)
        return events[0]

    def accept(self, behind: bytes = b"") -> None:
        """Grant the upgrade, with something behind it in the very same bytes."""
        self.request()
        self.sock.sendall(self._accepted + behind)

    def begin(self, *formats: str) -> None:
        """A conversation, up to its metadata."""
        self.accept()
        self.next(Opcode.TEXT)
        self.sock.sendall(metadata(*formats))

    @property
    def tls(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def hear(self, size: int) -> bytes:
        """Wait until this much caller audio has come."""
        while len(self.heard) < size:
            message = json.loads(bytes(self.next(Opcode.TEXT).data))
            self.heard += base64.b64decode(message.get("user_audio_chunk", ""))
        return bytes(self.heard)

    def _receive(self) -> None:
        data = self.sock.recv(READ_BYTES)
        if not data:
            raise EOFError("the client has closed")
        self.protocol.receive_data(data)

    def next(self, opcode: Opcode) -> Frame:
        """The next frame of this kind; what is before it is left out. Nothing is answered."""
        while True:
            for at, found in enumerate(self.frames):
                if found.opcode is opcode:
                    del self.frames[: at + 1]
                    return found
            self._receive()
            events = self.protocol.events_received()
            self.frames += [event for event in events if isinstance(event, Frame)]

    def drained(self) -> None:
        """Read until the client has closed the connection."""
        with suppress(ConnectionError):
            while self.sock.recv(READ_BYTES):
                pass


class RawService:
    """Serves each connection with a script, one after the other, on a thread."""

    def __init__(
        self,
        script: Callable[[Connection], None],
        context: ssl.SSLContext | None = None,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        buffer_bytes: int = 0,
    ) -> None:
        self._script, self._context = script, context
        address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._server = socket.create_server((address, 0), family=family)
        if buffer_bytes:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://{shown}:{self._server.getsockname()[1]}"
        self.failure: BaseException | None = None
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> RawService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(EVENT)
        self._server.close()
        assert not self._thread.is_alive()

    def settings(self, **more: str) -> dict[str, str]:
        return {"base_url": self.url, "auth": "none"} | more

    def outcome(self) -> None:
        """Wait for the first script to end; raise what it raised."""
        assert self.done.wait(EVENT), "script still running"
        if self.failure is not None:
            raise self.failure

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._server.accept()
            except OSError:
                return
            self._hold(raw)

    def _hold(self, raw: socket.socket) -> None:
        raw.settimeout(NEVER)
        sock = raw
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(raw, server_side=True)
            self._script(Connection(sock))
        except BaseException as failure:
            if not self.done.is_set():
                self.failure = failure
        finally:
            self.done.set()
            sock.close()
