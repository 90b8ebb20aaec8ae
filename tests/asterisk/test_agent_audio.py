"""What the agent says reaches the caller byte for byte, however it comes, and to its last sample.

In pieces of one byte to some seconds, in halves of PCM samples, all at once; and before a close.
"""

from __future__ import annotations

import array
import re
import time
from dataclasses import dataclass

import pytest

from pyconvai.mock.audio import FORMATS, noise
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.crowd import Crowd, Outcome, crowd, hold
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.samples import audible, goes_on
from tests.timing import EVENT, FULL, MS

BURST_SECONDS = 60 if FULL else 12
"""Of audio, sent at sixty times its speed."""

FAREWELL_MS = 10_000
SIZES = (1, 2, 3, 7, 159, 160, 161, 1001, 4999, 49_999, 50_000)
"""Bytes of audio in one message."""

PHONES = {"ulaw_8000": "ulaw", "pcm_8000": "slin", "pcm_16000": "slin16"}
"""The agent's format, and the codec that carries it as it is."""

TOOL_EVENTS = [
    *("audio", "agent_response", "conversation_initiation_metadata"),
    *("agent_tool_request", "agent_tool_response"),
]


@dataclass(frozen=True)
class Speech:
    """An agent that says one thing and closes with 1000 as soon as it has sent it."""

    agent: str
    form: str
    ms: int
    keys: str
    seed: int
    tiny: bool = False
    """In messages of less than a frame, which the mock may not send in time."""

    @property
    def scenario(self) -> str:
        say = f'{{ text = "Noise.", sound = "noise:{self.seed}:{self.ms}", interruptible = false }}'
        return (
            f"[agents.{self.agent}]\n"
            f'format = "{self.form}"\n{self.keys}\n'
            f"turns = [{{ wait_ms = 0, say = {say}, end = true }}]\n"
        )

    @property
    def on_the_wire(self) -> bytes:
        """What the caller must hear."""
        fmt = FORMATS[self.form]
        sound = noise(self.seed, self.ms, fmt)
        if fmt.sample_bytes == 1:
            return sound
        samples = array.array("h", sound)
        samples.byteswap()  # linear PCM travels in network byte order
        return samples.tobytes()


def chunked(form: str, size: int, seed: int) -> Speech:
    """So many messages as show whether anything is lost between two, and at least two."""
    fmt = FORMATS[form]
    ms = 200 if size < 1000 else max(400, int(fmt.ms(2 * size)) // 20 * 20 + 40)
    name = f"{form}_{size}".replace("_", "-")
    return Speech(name, form, ms, f"pace = 0\nchunk_bytes = {size}", seed, tiny=size < 1000)


FAREWELLS = {
    "": Speech("farewell", "ulaw_8000", FAREWELL_MS, "pace = 0", 91),
    "end_call": Speech(
        "farewell-tool", "ulaw_8000", FAREWELL_MS, f"pace = 0\nclient_events = {TOOL_EVENTS}", 92
    ),
}
BURST = Speech("burst", "ulaw_8000", BURST_SECONDS * 1000, "pace = 60\nchunk_ms = 100", 93)
CHUNKS = [
    chunked(form, size, seed)
    for seed, (form, size) in enumerate(((f, s) for f in PHONES for s in SIZES), 1)
]
SPEECHES = {speech.agent: speech for speech in (*FAREWELLS.values(), BURST, *CHUNKS)}


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


@pytest.fixture(scope="module")
def outcomes(pbx: Instance, root: Root) -> dict[str, Outcome]:
    """Every speech once, all at the same time."""
    text = 'title = "audio"\n[agents.default]\n'
    text += "".join(speech.scenario for speech in SPEECHES.values())
    with MockAgent(root, text) as mock:
        configure(pbx, "".join(section(name, mock.url) for name in SPEECHES))
        # Twenty thousand messages keep the mock busy: what is to come fast has it for itself.
        tiny = [speech.agent for speech in CHUNKS if speech.tiny]
        rest = [agent for agent in SPEECHES if agent not in tiny]
        return hold(pbx, tiny, codec=codec_of) | hold(pbx, rest, codec=codec_of)


def codec_of(agent: str) -> str:
    return PHONES[SPEECHES[agent].form]


def check(outcome: Outcome, speech: Speech) -> None:
    """All of it was heard, once, and nothing but silence around it; only then the call ended."""
    assert outcome.result.status == "AGENT_ENDED", outcome.result
    heard, codec = outcome.call.heard, outcome.call.codec
    if speech.tiny:
        # Where the next message was late there is silence, within a frame as well.
        assert audible(heard, codec) == audible(speech.on_the_wire, codec)
    else:
        assert heard.count(speech.on_the_wire) == 1, f"{speech.agent} was not heard as it was said"
        assert set(heard.replace(speech.on_the_wire, b"")) <= {codec.silence}
    assert goes_on(outcome.call.recording), outcome.call.recording.gaps


@pytest.mark.parametrize("speech", CHUNKS, ids=lambda speech: speech.agent)
def test_chunks_of_every_size(outcomes: dict[str, Outcome], speech: Speech) -> None:
    check(outcomes[speech.agent], speech)


@pytest.mark.parametrize("tool", FAREWELLS)
def test_a_long_farewell_is_heard_before_the_end(outcomes: dict[str, Outcome], tool: str) -> None:
    """The agent closes as soon as it has sent its last word, 10 s before that is heard."""
    outcome = outcomes[FAREWELLS[tool].agent]
    check(outcome, FAREWELLS[tool])
    assert outcome.result.reason.endswith(f"with its tool {tool}" if tool else "(1000)")


def test_a_burst_is_heard_whole_and_in_order(outcomes: dict[str, Outcome]) -> None:
    check(outcomes[BURST.agent], BURST)


def wait_dropped(calls: Crowd) -> float:
    """Seconds of overflow, once they do not grow any more."""
    until = time.monotonic() + EVENT
    before = -1.0
    while True:
        found = re.search(r"([\d.]+) s overflow", calls.shown("flood"))
        assert found
        if (now := float(found[1])) == before:
            return now
        assert time.monotonic() < until
        before = now
        time.sleep(200 * MS)


def test_what_is_beyond_the_queue_s_limit_is_dropped_and_said(
    pbx: Instance, agent: StartAgent
) -> None:
    """Ten minutes wait to be played; the minute behind them is counted, and the log tells."""
    scenario = (
        'title = "flood"\n[agents.default]\nformat = "ulaw_8000"\npace = 0\nchunk_ms = 1000\n'
        'first_message = { text = "Noise.", sound = "noise:7:660000", interruptible = false }\n'
    )
    with agent(scenario) as mock:
        configure(pbx, section("flood", mock.url))
        start = len(pbx.log())
        with crowd(pbx, ["flood"]) as calls:
            pbx.wait_log(r"agent audio dropped: \d+ s wait to be played", start=start)
            shown = wait_dropped(calls)
            calls.calls["flood"].hangup()
            heard = calls.outcomes()["flood"].call.heard
    assert 55 < shown <= 60
    assert len(re.findall("agent audio dropped", pbx.log()[start:])) == 1
    said = FORMATS["ulaw_8000"]
    spoken = heard.lstrip(bytes([CODECS["ulaw"].silence]))
    assert noise(7, 660_000, said).startswith(spoken[:8000])
