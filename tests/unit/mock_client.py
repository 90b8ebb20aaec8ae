"""A small, correct client for testing the mock: plain ``websockets``, audio in real time."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import json
import math
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from pyconvai.mock.audio import FORMATS, AudioFormat, encode
from pyconvai.mock.voice import tone_pattern
from tests.timing import EVENT

LIMIT = EVENT
_CHUNK_S = 0.02

_LATE_MS = round(EVENT * 1000)
LENIENT = dict.fromkeys(
    ("pacing_ms", "gap_ms", "lag_ms", "first_audio_ms", "init_ms", "pong_ms"), _LATE_MS
)
"""What a scenario's ``limits`` say where nobody is to be found fault with for being late."""


async def until(reached: Callable[[], object]) -> None:
    """Wait until a condition holds, of which nobody tells."""
    async with asyncio.timeout(LIMIT):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def tone(ms: int, fmt: AudioFormat, amplitude: int = 9000) -> bytes:
    """A 440 Hz tone: speech, as far as loudness goes."""
    step = 2 * math.pi * 440 / fmt.rate
    count = fmt.rate * ms // 1000
    samples = array.array("h", (int(amplitude * math.sin(step * n)) for n in range(count)))
    return encode(samples, fmt)


def speech(words: int, fmt: AudioFormat) -> bytes:
    """Something with the rhythm of ``words`` words, at 16 kHz formats only."""
    assert fmt.rate == 16000
    return encode(tone_pattern("hello " * words), fmt)


async def get(url: str, **headers: str) -> tuple[int, str]:
    """(status, body) of an HTTP GET; redirects are not followed."""

    def fetch() -> tuple[int, str]:
        request = urllib.request.Request(
            url, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        opener = urllib.request.build_opener(_NoRedirect())
        try:
            with opener.open(request, timeout=LIMIT) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


async def signed_url(base: str, agent_id: str, **query: str) -> str:
    """A signed URL, the way a client gets one."""
    extra = "".join(f"&{key}={value}" for key, value in query.items())
    path = "/v1/convai/conversation/get-signed-url"
    status, body = await get(f"{base}{path}?agent_id={agent_id}{extra}", xi_api_key="test-key")
    assert status == 200, body
    return str(json.loads(body)["signed_url"])


class Client:
    """One conversation. Iterating gives every message that is neither audio nor ping."""

    def __init__(self, connection: ClientConnection):
        self.connection = connection
        self.audio: list[tuple[Any, bytes]] = []  # (event_id, bytes)
        self.pings: list[dict[str, Any]] = []
        self.metadata: dict[str, Any] = {}
        self.answer_pings = True
        self.queue = bytearray()
        self._stream: asyncio.Task[None] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        url: str,
        agent_id: str = "any",
        *,
        init: dict[str, Any] | None = None,
        start: bool = True,
        convai: bool = False,
        audio: bool = True,
    ) -> AsyncIterator[Self]:
        """Connects (to a signed ``ws`` URL as it is) and, with ``start``, reads the metadata."""
        if url.startswith("http"):
            url = f"ws{url[4:]}/v1/convai/conversation?agent_id={agent_id}"
        offer = [Subprotocol("convai")] if convai else None
        async with connect(url, subprotocols=offer, max_size=17 << 20, open_timeout=LIMIT) as ws:
            client = cls(ws)
            try:
                if start:
                    await client.start(init, audio)
                yield client
            finally:
                await client.hush()

    async def start(self, init: dict[str, Any] | None = None, audio: bool = True) -> None:
        """Sends the initiation, reads the metadata, begins the stream of audio."""
        await self.send({"type": "conversation_initiation_client_data", **(init or {})})
        first = json.loads(await asyncio.wait_for(self.connection.recv(), LIMIT))
        assert first["type"] == "conversation_initiation_metadata", first
        self.metadata = first["conversation_initiation_metadata_event"]
        if audio:
            self._stream = asyncio.create_task(self._talk())

    async def send(self, message: dict[str, Any]) -> None:
        await self.connection.send(json.dumps(message))

    async def send_audio(self, data: bytes) -> None:
        await self.send({"user_audio_chunk": base64.b64encode(data).decode()})

    def say(self, data: bytes) -> None:
        """Puts audio into the stream, in place of silence."""
        self.queue += data

    async def hush(self) -> None:
        """Ends the stream of audio."""
        if self._stream is not None:
            self._stream.cancel()
            await asyncio.gather(self._stream, return_exceptions=True)
            self._stream = None

    async def next(self, kind: str | None = None) -> dict[str, Any]:
        """The next message (of a type); audio, and pings, are dealt with on the way."""
        async with asyncio.timeout(LIMIT):
            while True:
                message = json.loads(await self.connection.recv())
                name = message.get("type") if isinstance(message, dict) else None
                if name == "ping" and kind != "ping":
                    await self._ping(message["ping_event"])
                elif name == "audio" and kind != "audio" and "audio_event" in message:
                    event = message["audio_event"]
                    self.audio.append((event["event_id"], base64.b64decode(event["audio_base_64"])))
                elif kind is None or name == kind:
                    return dict(message)

    async def closed(self) -> tuple[int | None, str | None]:
        """Reads on until the server closes: (code, reason)."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            protocol = self.connection.protocol  # its properties are older than the connection's
            return protocol.close_code, protocol.close_reason

    def heard(self, event_id: Any = None) -> bytes:
        """All audio received, or that of one turn."""
        return b"".join(data for number, data in self.audio if event_id in (None, number))

    async def _ping(self, event: dict[str, Any]) -> None:
        self.pings.append(event)
        if self.answer_pings:
            with contextlib.suppress(ConnectionClosed):  # the close may be under way
                await self.send({"type": "pong", "event_id": event["event_id"]})

    async def _talk(self) -> None:
        fmt = FORMATS[self.metadata["user_input_audio_format"]]
        size = fmt.size(_CHUNK_S * 1000)
        loop = asyncio.get_running_loop()
        due = loop.time()
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = bytes(self.queue[:size])
                del self.queue[:size]
                data += fmt.silence * ((size - len(data)) // fmt.sample_bytes)
                await self.send_audio(data)
                due += _CHUNK_S
                await asyncio.sleep(max(0.0, due - loop.time()))
