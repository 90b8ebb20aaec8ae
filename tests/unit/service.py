"""A service that does exactly what a test scripts: one coroutine per conversation.

The mock agent behaves like the real service; this one can misbehave in any way that a test needs.
It runs on a loop and thread of its own, as the engine does.
"""

from __future__ import annotations

import asyncio
import base64
import http
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosedOK
from websockets.http11 import Request, Response

from tests.timing import EVENT

ROUNDS = 3
"""Of the loop, in which a connection that it has taken becomes the server's, and in which what is
below TLS goes behind it."""

Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """The service's end of one WebSocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.audio = bytearray()
        self.received: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:
        """Send; to nobody if the client has said goodbye meanwhile, which a script cannot know."""
        with suppress(ConnectionClosedOK):
            await self.connection.send(json.dumps(message))

    async def metadata(self, agent: str = "ulaw_8000", caller: str = "ulaw_8000") -> None:
        await self.send(
            type="conversation_initiation_metadata",
            conversation_initiation_metadata_event={
                "conversation_id": "conv_test",
                "agent_output_audio_format": agent,
                "user_input_audio_format": caller,
            },
        )

    async def speak(self, audio: bytes, event_id: int | str = 1) -> None:
        text = base64.b64encode(audio).decode()
        await self.send(type="audio", audio_event={"audio_base_64": text, "event_id": event_id})

    async def queue(self, status: str) -> None:
        await self.send(type="queue_status", queue_status_event={"status": status})

    async def interrupt(self, event_id: int) -> None:
        await self.send(type="interruption", interruption_event={"event_id": event_id})

    async def next(self) -> dict[str, Any]:
        """The next message of the client that is no audio; audio is collected on the way."""
        while True:
            message: dict[str, Any] = json.loads(await self.connection.recv())
            if "user_audio_chunk" in message:
                self.audio += base64.b64decode(message["user_audio_chunk"], validate=True)
                continue
            self.received.append(message)
            return message

    async def hear(self, size: int) -> bytes:
        """Wait until this much caller audio has come."""
        while len(self.audio) < size:
            message = json.loads(await self.connection.recv())
            self.audio += base64.b64decode(message["user_audio_chunk"], validate=True)
        return bytes(self.audio)

    async def closed(self) -> int | None:
        """Wait for the client to close; the code that it gave."""
        async for _ in self.connection:
            pass
        return self.connection.close_code


class Service:
    """HTTP and WebSocket on one port of the loopback interface."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.context = context
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []
        self.requests: list[Request] = []
        self.results: list[BaseException | None] = []
        self.conversations: list[Conversation] = []
        self.accepted = self.lost = 0
        """Connections that have come, and gone again."""
        self.connections: list[ServerConnection] = []
        self.hold: Callable[[Request], Awaitable[None]] | None = None
        """What the answer to a request waits for, if set."""
        self._ended = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Service:
        self._thread.start()
        assert self._ready.wait(EVENT)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(2 * EVENT)
        assert not self._thread.is_alive()

    def tell(self, event: asyncio.Event) -> None:
        """Set what a script waits for."""
        self._loop.call_soon_threadsafe(event.set)

    def signed(self) -> int:
        """How many signed URLs have been asked for."""
        return sum("signed" in request.path.partition("?")[0] for request in self.requests)

    def wait_signed(self, count: int, seconds: float = EVENT) -> None:
        """Wait until so many have been asked for: what is fetched ahead nobody waits for."""
        until = time.monotonic() + seconds
        while self.signed() < count:
            assert time.monotonic() < until, f"{self.signed()} requests for a signed URL"
            time.sleep(0.005)

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def settings(self, **more: str) -> dict[str, str]:
        """Settings of an agent that leads here."""
        return {"base_url": self.url} | more

    def outcome(self, seconds: float = EVENT) -> None:
        """Wait for the first conversation's script to end; raise what it raised."""
        with self._ended:
            assert self._ended.wait_for(lambda: self.results, seconds), "script still running"
        if self.results[0] is not None:
            raise self.results[0]

    def counted(self, *arguments: Any, **options: Any) -> ServerConnection:
        """A connection of the server's that counts itself."""
        service = self

        class Counted(ServerConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                service.accepted += 1
                service.connections.append(self)
                service._moved.set()
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                service.lost += 1
                service._moved.set()
                super().connection_lost(exc)

        return Counted(*arguments, **options)

    async def connections_are(self, accepted: int, lost: int = 0) -> None:
        """Wait until so many connections have come, and gone. On the service's loop."""
        while self.accepted < accepted or self.lost < lost:
            self._moved.clear()
            await self._moved.wait()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._moved = asyncio.Event()
        server: Server
        async with serve(
            self._converse,
            "127.0.0.1",
            0,
            process_request=self._answer,
            ssl=self.context,
            max_size=None,
            max_queue=None,
            ping_interval=None,
            close_timeout=EVENT,
            create_connection=self.counted,
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            # A request for the next call's URL may have come just now, and its connection is to
            # be known to the server before that closes.
            for listening in server.sockets:
                self._loop.remove_reader(listening.fileno())
            await self._rounds()
        async with asyncio.timeout(EVENT):
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)
            await self.connections_are(self.accepted, self.accepted)
        await self._rounds()

    async def _rounds(self) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.hold is not None:
            await self.hold(request)
        if "signed" not in request.path.partition("?")[0]:
            return None
        url = f"{self.url.replace('http', 'ws', 1)}/v1/convai/conversation?agent_id=x&signature=s"
        ok: tuple[int, bytes, dict[str, str]] = (200, json.dumps({"signed_url": url}).encode(), {})
        code, body, headers = self.answers.pop(0) if self.answers else ok
        response = connection.respond(http.HTTPStatus(code), body.decode())
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def _converse(self, connection: ServerConnection) -> None:
        conversation = Conversation(connection)
        self.conversations.append(conversation)
        failure: BaseException | None = None
        try:
            await self.script(conversation)
        except BaseException as error:
            failure = error
        with self._ended:
            self.results.append(failure)
            self._ended.notify_all()
