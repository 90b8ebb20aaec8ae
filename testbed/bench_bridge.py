"""What a user builds without the module: chan_websocket on one side, an agent on the other.

    python3 -m testbed.bench_bridge wss://127.0.0.1:8765 ca.pem

Serves WebSockets without TLS on a free port of loopback and prints `ready <url>`. Each connection
of Asterisk's is one call: its binary frames are the caller's audio, what is sent back as binary
frames is played. The benchmark compares the module with it; nothing else uses it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

CONVERSATION = "/v1/convai/conversation?agent_id=bridge"
START = json.dumps({"type": "conversation_initiation_client_data"})


async def carry_up(media: ServerConnection, agent: ClientConnection) -> None:
    """The caller's audio, until the call is over."""
    async for message in media:
        if isinstance(message, bytes):
            audio = base64.b64encode(message).decode()
            await agent.send(json.dumps({"user_audio_chunk": audio}))
    await agent.close()


async def carry_down(agent: ClientConnection, media: ServerConnection) -> None:
    """The agent's audio and its interruptions, until the conversation is over."""
    async for message in agent:
        event = json.loads(message)
        if event["type"] == "audio":
            await media.send(base64.b64decode(event["audio_event"]["audio_base_64"]))
        elif event["type"] == "interruption":
            await media.send("FLUSH_MEDIA")
        elif event["type"] == "ping":
            pong = {"type": "pong", "event_id": event["ping_event"]["event_id"]}
            await agent.send(json.dumps(pong))
    await media.close()


async def run(service: str, ca: str) -> None:
    """Serve until the process is ended."""
    trust = ssl.create_default_context(cafile=ca)

    async def handle(media: ServerConnection) -> None:
        async with connect(service + CONVERSATION, ssl=trust, compression=None) as agent:
            await agent.send(START)
            ways = carry_up(media, agent), carry_down(agent, media)
            for outcome in await asyncio.gather(*ways, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                    raise outcome

    protocols = [Subprotocol("media")]
    async with serve(handle, "127.0.0.1", 0, subprotocols=protocols, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ready ws://127.0.0.1:{port}/media", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1].replace("https:", "wss:"), sys.argv[2]))
