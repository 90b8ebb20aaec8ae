"""Agents' formats through the contract: what a channel is told to carry, and what counts how."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from pyconvai.conversation.protocol import FORMATS
from pyconvai.mock.audio import FORMATS as SERVICE_FORMATS
from tests.timing import EVENT, MS
from tests.unit.engine import ENDED, TALKING, Call, Engine
from tests.unit.service import Conversation, Service

ULAW, SLIN = 1, 2
METADATA = "conversation_initiation_metadata"
FRAME = 960  # bytes, 20 ms at 24000 Hz


def test_every_format_of_the_service_is_known() -> None:
    """The mock's list is the service's."""
    known = {(name, rate, encoding) for name, (encoding, rate) in FORMATS.items()}
    assert known == {(f.name, f.rate, f.sample_bytes) for f in SERVICE_FORMATS.values()}


@pytest.mark.parametrize("name", FORMATS)
def test_what_the_channel_is_to_carry(engine: Engine, name: str) -> None:
    """The agent's own format, but for the rates that Asterisk cannot serve."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata(name, name)
        await agent.closed()

    encoding, rate = FORMATS[name]
    expected = (encoding, {22050: 24000, 44100: 48000}.get(rate, rate))
    with Service(script) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(TALKING)
        assert (progress.caller.encoding, progress.caller.rate) == expected
        assert (progress.agent.encoding, progress.agent.rate) == expected
        call.release()
        service.outcome()


def test_formats_that_are_not_given_are_pcm_16000(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.send(type=METADATA, **{f"{METADATA}_event": {"conversation_id": "conv_test"}})
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(TALKING)
        assert (progress.caller.encoding, progress.caller.rate) == (SLIN, 16000)
        assert (progress.agent.encoding, progress.agent.rate) == (SLIN, 16000)
        call.release()
        service.outcome()


@pytest.mark.parametrize(
    ("agent", "caller", "key"),
    [
        ("mp3_44100", "ulaw_8000", "agent_output_audio_format"),
        ("ulaw_8000", "pcm_11025", "user_input_audio_format"),
        ("pcm_16001", "pcm_16000", "agent_output_audio_format"),
    ],
)
def test_an_unknown_format_is_refused_by_name(
    engine: Engine, agent: str, caller: str, key: str
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.next()
        await conversation.metadata(agent, caller)
        assert await conversation.closed() == 1000

    unknown = agent if key.startswith("agent") else caller
    with Service(script) as service:
        call = engine.call(settings=service.settings())
        status, reason = call.ending()
        assert status == "REJECTED"
        assert f"the agent's {key} is {unknown}" in reason
        assert "pcm_22050" in reason
        call.release()
        service.outcome()


@pytest.mark.parametrize("chunk_ms", [20, 30, 100])
def test_chunks_are_cut_in_the_agents_rate(engine: Engine, chunk_ms: int) -> None:
    """At 22050 Hz each message holds chunk_ms of audio, and none waits longer than that."""
    sizes: list[int] = []
    frames, size = 600 // 20, chunk_ms * 22050 // 1000 * 2

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata("ulaw_8000", "pcm_22050")
        while len(sizes) < 600 // chunk_ms:
            message: dict[str, Any] = json.loads(await agent.connection.recv())
            sizes.append(len(base64.b64decode(message["user_audio_chunk"])))
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings(chunk_ms=str(chunk_ms)))
        call.wait(TALKING)
        for _ in range(frames):
            assert call.push(bytes(FRAME)) == FRAME
        assert call.ending()[0] == "AGENT_ENDED"
        counters = call.counters()
        assert (counters.pushed_bytes, counters.push_dropped_bytes) == (frames * FRAME, 0)
        assert counters.chunks_sent == 600 // chunk_ms
        call.release()
        service.outcome()
    assert set(sizes) == {size}


def test_silence_is_measured_in_time(engine: Engine) -> None:
    """300 ms in place of audio that did not come are 300 ms at the agent's rate, too."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata("pcm_22050", "pcm_22050")
        assert await agent.hear(300 * 441 // 10) == bytes(300 * 441 // 10)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        assert engine.ops.push_silence(call.session, 300) == 300 * 48
        call.ending()
        assert (call.counters().silence_ms, call.counters().pushed_bytes) == (300, 300 * 48)
        call.release()
        service.outcome()


def test_counters_are_in_the_channels_rate(engine: Engine) -> None:
    """Received is played, flushed, dropped or still there; all of it as the channel counts."""
    second = 44_100

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata("pcm_22050", "ulaw_8000")
        await agent.speak(b"\1\0" * 22050, 1)
        await agent.hear(160)  # the caller's first frame is the sign to go on
        await agent.interrupt(2)
        await agent.speak(bytes(second), 1)
        for _ in range(5):
            await agent.speak(b"\2" * (second // 5 - 1), 2)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        wait_queued(call, 48_000)
        assert call.pop(FRAME)[1] == FRAME
        assert abs(call.queued - (48_000 - FRAME + 48 * 160 // 147 * 2)) <= 4
        call.push(bytes(160))
        assert call.ending()[0] == "AGENT_ENDED"
        heard = 0
        while (taken := call.pop(FRAME)[1]) == FRAME:
            heard += taken
        counters = call.counters()
        assert abs(heard + taken - 48_000) < 300
        assert call.queued == 0
        assert (counters.interruptions, counters.stale_dropped_bytes) == (1, 48_000)
        assert counters.flushed_bytes == 48_000 - FRAME
        assert abs(counters.received_bytes - 2 * 48_000) < 20
        assert abs(counters.played_bytes - FRAME - 48_000) < 20
        call.release()
        service.outcome()


def wait_queued(call: Call, size: int) -> None:
    until = time.monotonic() + EVENT
    while call.queued < size:
        assert time.monotonic() < until, call.queued
        time.sleep(MS)


def test_nothing_is_lost_of_a_farewell(engine: Engine) -> None:
    """The filter still holds 2 ms when the queue is empty: the call waits for them."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata("pcm_22050", "pcm_22050")
        await agent.speak(b"\0\x20" * 441)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.wait(ENDED).play_out
        first, taken = call.pop(FRAME)
        assert (taken, call.queued) == (FRAME, 48 * 160 // 147 * 2)
        last, taken = call.pop(FRAME)
        assert 2 * 48 <= taken <= 2 * 54
        assert (call.pop(FRAME), call.queued) == ((bytes(FRAME), 0), 0)
        # The same energy that went in, wherever the frame's border was.
        total = sum(memoryview(first + last).cast("h"))
        assert abs(total / (0x2000 * 480) - 1) < 0.01
        call.release()
        service.outcome()
