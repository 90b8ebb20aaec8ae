"""A receiver of webhooks: a real HTTP or HTTPS server on loopback, which does as the test says.

Each request that comes is kept: its time, headers and body. A receiver that is down has no socket.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson

POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Request:
    """One that has come."""

    at: float
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    status: int
    """What it was answered."""

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found


class Receiver:
    """``status``, ``delay`` and ``answer`` are for the requests that come from now on."""

    def __init__(self, context: ssl.SSLContext | None = None, *, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.status: int | Callable[[bytes], int] = 200
        self.delay = 0.0
        self.headers: dict[str, str] = {}
        self.answer = b""
        self._context = context
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        # The port stays ours while it is down: nobody listens there, and nobody else gets it.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", port))
        weakref.finalize(self, self._held.close)
        self.port: int = self._held.getsockname()[1]

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}/calls"

    def up(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.status(body) if callable(receiver.status) else receiver.status
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver._lock:
                    receiver.requests.append(
                        Request(time.monotonic(), self.path, headers, body, status)
                    )
                time.sleep(receiver.delay)
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def get_request(self) -> tuple[Any, Any]:
                sock, address = super().get_request()
                if receiver._context:
                    sock = receiver._context.wrap_socket(
                        sock, server_side=True, do_handshake_on_connect=False
                    )
                return sock, address

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True
        ).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def so_far(self) -> list[Request]:
        with self._lock:
            return list(self.requests)

    def taken(self) -> list[Request]:
        """Those that were answered with 200."""
        return [each for each in self.so_far() if each.status == 200]

    def wait(self, count: int, limit: float, *, taken: bool = True) -> list[Request]:
        """Wait for so many requests, or for so many that were taken."""
        until = time.monotonic() + limit
        while len(found := self.taken() if taken else self.so_far()) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} have come"
            time.sleep(POLL_SECONDS)
        return found
