r"""A TCP link that takes its time, between a client on loopback and a server there.

    with SlowLink(mock.url, delay=0.040) as link:          # 40 ms each way
        configure(... base_url = link.url ...)

    with SlowLink(mock.url, seconds_a_byte=0.1) as link:   # what the server says trickles in

It stands in for a network: what is read at one end is written at the other so much later, in the
same order, and without a limit on how much is under way.
"""

from __future__ import annotations

import asyncio
import threading
import urllib.parse
from types import TracebackType

from testbed.errors import TestbedError

PIECE = 65536

START_SECONDS = 10.0
"""Limit on the start and on the end of the thread."""


class SlowLink:
    """A context manager; the link has a thread of its own."""

    def __init__(self, url: str, *, delay: float = 0.0, seconds_a_byte: float = 0.0) -> None:
        """Describe the link to a server. delay: in seconds, each way."""
        parts = urllib.parse.urlsplit(url)
        self.url = ""
        self._scheme, self._target = parts.scheme, (parts.hostname or "", parts.port or 0)
        self._delay, self._seconds_a_byte = delay, seconds_a_byte
        self._loop = asyncio.new_event_loop()
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="slow link", daemon=True)

    def __enter__(self) -> SlowLink:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TestbedError("the slow link is not up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_SECONDS)

    # --- the thread ---

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"{self._scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()  # the runner cancels what is still connected

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ahead, back = await asyncio.open_connection(*self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._carry(reader, back, 0.0))
                    group.create_task(self._carry(ahead, writer, self._seconds_a_byte))
            finally:
                back.transport.abort()
        except* OSError:
            pass  # one end is gone
        finally:
            writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds_a_byte: float
    ) -> None:
        """One direction, until its end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.create_task(self._deliver(under_way, writer, seconds_a_byte))
        try:
            while data := await reader.read(PIECE):
                under_way.put_nowait((self._loop.time() + self._delay, data))
            under_way.put_nowait((self._loop.time() + self._delay, b""))
            await writing
        finally:
            writing.cancel()

    async def _deliver(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        seconds_a_byte: float,
    ) -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not data:
                writer.write_eof()
                return
            if seconds_a_byte:
                for byte in data:
                    writer.write(bytes([byte]))
                    await writer.drain()  # raises when the other end has gone
                    await asyncio.sleep(seconds_a_byte)
            else:
                writer.write(data)
            await writer.drain()
