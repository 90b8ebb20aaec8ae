"""A service that is slow, deaf, or floods: its call goes on or ends, and no other call hears of it.

All of it happens at once in one Asterisk, beside a call whose every sample is compared.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest

from testbed.call import Call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS, PACKET_MS
from testbed.slow_link import SlowLink
from tests import hostile
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Crowd, Outcome, crowd
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.samples import audible, caller_noise, check_call, is_said, noise_agents
from tests.asterisk.stage import until
from tests.timing import EVENT, FULL, MS, SECOND

ULAW = CODECS["ulaw"]

TALK_SECONDS = 12.0
"""How long the other call's both sides speak; the floods come meanwhile."""

PACE = 20.0
AHEAD_MS = 3000
"""How fast its agent comes to be so much ahead. It has to share the machine with the flooding one:
what is looked for is what Asterisk and the engine make of it."""

EARLY_MS = 400
EARLY = audible(ULAW.noise(EARLY_MS / 1000, seed=98), ULAW)
GREETING_MS = 1000
GREETING = audible(ULAW.noise(GREETING_MS / 1000, seed=1), ULAW)
"""Where the service itself is late, which has much to do, there is silence in between."""
SERVICE_QUIET_SECONDS = 60
"""See pyconvai/limits.py: longer than the rest of this test,
so it is for the full run."""

NOTICED_SECONDS = 25 * SECOND
"""Two intervals of the keep-alive, and the close that nobody answers."""

LARGE = 16 << 20
"""Bytes of a message: official clients take as much; here it is left out as it comes."""
READ = 1_000_000
"""Bytes of one that is."""
LINES = 20
"""Of one kind that a call may write into the log (limits.LINES_OF_A_KIND)."""
ERRORS = 5000

SALVO = "\n".join(
    f'    {{ name = "send", stage = "metadata", text = {json.dumps(text, ensure_ascii=False)} }},'
    for text in hostile.ALL.values()
)
LARGE_SALVO = "\n".join(
    f'    {{ name = "large_message", stage = "greeting", bytes = {size}, what = "{what}" }},'
    for what, size in (
        *((what, LARGE) for what in ("agent_response", "user_transcript", "tool_result", "error")),
        ("lists", LARGE // 4),
        *((what, READ) for what in ("agent_response", "error", "lists")),
    )
)

SERVICE = f"""\
title = "hostile"
[agents.default]
format = "ulaw_8000"
first_message = {{ text = "Hello.", sound = "noise:1:{GREETING_MS}", interruptible = false }}
[agents.small]
like = "default"
faults = [{{ name = "flood", stage = "metadata", type = "unknown", count = 20000 }}]
[agents.pings]
like = "default"
faults = [{{ name = "flood", stage = "metadata", type = "ping", count = 5000 }}]
[agents.errors]
like = "default"
faults = [{{ name = "flood", stage = "metadata", type = "error", count = {ERRORS} }}]
[agents.tiny]
like = "default"
chunk_bytes = 1
pace = 0
[agents.fragments]
like = "default"
fragment_bytes = 2
[agents.large]
like = "default"
faults = [
    {{ name = "large_message", stage = "metadata", bytes = 16777216 }},
    {{ name = "large_message", stage = "greeting", bytes = 16777216 }},
    {{ name = "large_message", stage = "greeting", bytes = 16777216, fragments = 1000 }},
]
[agents.salvo]
like = "default"
faults = [
{SALVO}
{LARGE_SALVO}
]
[agents.early]
like = "default"
faults = [{{ name = "audio", stage = "init", offset = 0, sound = "noise:98:{EARLY_MS}" }}]
[agents.other]
like = "default"
faults = [{{ name = "metadata_other", stage = "greeting", format = "pcm_16000" }}]
[agents.too-large]
like = "default"
faults = [
    {{ name = "large_message", stage = "metadata", bytes = 41943040 }},
    {{ name = "large_message", stage = "greeting", bytes = 41943040, fragments = 1000 }},
]
[agents.deaf]
like = "default"
input_format = "pcm_48000"
faults = [{{ name = "stop_reading", stage = "metadata" }}]
[agents.quiet]
like = "default"
faults = [{{ name = "silence", stage = "greeting" }}]
"""

FLOODS = ("small", "pings", "errors", "tiny", "fragments", "large", "too-large", "salvo")
"""Goes on until the caller hangs up, who has heard the greeting."""

ODD = ("early", "other")
"""Goes on as well; what is heard is told below."""

LEAST = {
    "early": len(EARLY + GREETING),
    "other": len(GREETING) * 3 // 10,
    "agent0": len(audible(ULAW.noise(TALK_SECONDS, seed=0), ULAW)),
}
"""Samples that are to be heard of each, where that is not the greeting."""

ENDS = {
    "slow-url": ("TIMEOUT", "connect_timeout (2 s)"),
    "slow-upgrade": ("TIMEOUT", "connect_timeout (2 s)"),
    "deaf": ("ERROR", "keepalive ping timeout"),
}
"""What the dialplan is told, with the caller still on the line."""

if FULL:
    ENDS["quiet"] = ("ERROR", f"nothing came from the service for {SERVICE_QUIET_SECONDS} s")


@dataclass(frozen=True)
class Seen:
    """What came of all these calls."""

    outcomes: dict[str, Outcome]
    deaf: str
    """`elevenlabs show session` of the call whose service does not read."""
    other: str
    """Likewise of the other call, when both had said all."""
    asked_at: float
    """When that was asked for, in seconds of time.monotonic()."""
    mock: MockAgent
    """The other call's agent."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


@pytest.fixture(scope="module")
def seen(pbx: Instance, root: Root) -> Seen:
    direct = [*FLOODS, *ODD, *(name for name in ENDS if not name.startswith("slow"))]
    names = [*direct, "slow-url", "slow-upgrade", "agent0"]
    with (
        MockAgent(root, SERVICE) as service,
        MockAgent(root, noise_agents(1, TALK_SECONDS, PACE, AHEAD_MS), record=True) as good,
        SlowLink(service.url, seconds_a_byte=0.1) as slow,
    ):
        patience = {"connect_timeout": "2", "connect_attempts": "1"}
        configure(
            pbx,
            "".join(section(name, service.url) for name in direct if name != "salvo")
            + section("salvo", service.url, debug="yes")
            + section("slow-url", slow.url, **patience)
            + section("slow-upgrade", slow.url, auth="none", **patience)
            + section("agent0", good.url),
        )
        with crowd(pbx, names, send=speech_for) as calls:
            calls.calls["agent0"].wait_up()
            deaf = wait_shown(calls, "deaf", r"queue, ([\d.]+) s by the socket", 3.0)
            staying = [calls.calls[name] for name in (*FLOODS, *ODD, "agent0")]
            until(lambda: all(map(is_through, staying)), "not all are heard", 3 * EVENT)
            asked_at, other = time.monotonic(), calls.shown("agent0")
            for call in staying:
                call.hangup()
            outcomes = calls.outcomes(100 * SECOND)
    return Seen(outcomes, deaf, other, asked_at, good)


def is_through(call: Call) -> bool:
    """Whether both sides have said all, or the call has ended before."""
    if call.ended_at is not None:
        return True
    line, least = call.so_far(), LEAST.get(call.extension, len(GREETING))
    return is_said(line, call.said) and len(audible(line.heard, ULAW)) >= least


def speech_for(name: str) -> bytes:
    return caller_noise(0, TALK_SECONDS - 2.0) if name == "agent0" else b""


def wait_shown(calls: Crowd, agent: str, pattern: str, at_least: float) -> str:
    """What is shown of a session, once a number in it has grown so far."""
    until = time.monotonic() + EVENT
    while True:
        shown = calls.shown(agent)
        found = re.search(pattern, shown)
        assert found, shown
        if float(found[1]) >= at_least:
            return shown
        assert time.monotonic() < until, shown
        time.sleep(100 * MS)


@pytest.mark.parametrize("agent", FLOODS)
def test_a_flood_is_no_hindrance(seen: Seen, agent: str) -> None:
    """Thousands of messages a second, each with a frame of 2 bytes, and messages of 16 and 40 MiB.

    K9, S7, S15: and every message that no service should send, with debug on.
    """
    outcome = seen.outcomes[agent]
    assert outcome.result.status == "HANGUP"
    assert audible(outcome.call.heard, ULAW) == GREETING


def test_audio_before_the_metadata_is_heard(seen: Seen) -> None:
    """S16."""
    outcome = seen.outcomes["early"]
    assert outcome.result.status == "HANGUP"
    assert audible(outcome.call.heard, ULAW) == EARLY + GREETING


def test_no_noise_is_heard_when_formats_change(seen: Seen, pbx: Instance) -> None:
    """S16: of a greeting half of which comes behind another format, half is heard."""
    outcome = seen.outcomes["other"]
    assert outcome.result.status == "HANGUP"
    heard = audible(outcome.call.heard, ULAW)
    assert GREETING.startswith(heard)
    assert 0.3 * len(GREETING) < len(heard) < 0.9 * len(GREETING)
    assert pbx.log().count("changes the agent's formats in mid-call") == 1


def test_nothing_was_a_fault_of_the_engine(seen: Seen, pbx: Instance) -> None:
    """S7."""
    assert seen.outcomes
    assert "fault in the" not in pbx.log()


def test_the_log_has_room_for_other_calls(seen: Seen, pbx: Instance) -> None:
    """K9: one call's errors are counted, and told of when it ends."""
    assert seen.outcomes
    lines = [line for line in pbx.log().splitlines() if "oops" in line]
    assert len(lines) == LINES
    assert f"{ERRORS - LINES} more lines about errors that the service reports" in pbx.log()


@pytest.mark.parametrize("agent", ENDS)
def test_nobody_is_left_in_silence(seen: Seen, agent: str) -> None:
    status, words = ENDS[agent]
    result = seen.outcomes[agent].result
    assert (result.status, words in result.told) == (status, True), result
    assert result.went_on


def test_what_a_deaf_service_does_not_take_is_dropped_and_counted(seen: Seen) -> None:
    """Memory stays bounded: all but what fits the socket's buffers is dropped, and shown."""
    assert re.search(r"not taken: +0\.00 s by the queue, [1-9]", seen.deaf), seen.deaf
    call = seen.outcomes["deaf"].call
    assert audible(call.heard, ULAW) == GREETING
    assert call.seconds < NOTICED_SECONDS


def test_the_other_call_hears_nothing_of_it(seen: Seen) -> None:
    """S15: both directions to the last sample; a late frame is one that the module counts."""
    call = seen.outcomes["agent0"].call
    (session,) = seen.mock.report["sessions"]
    check_call(seen.mock, call, session, TALK_SECONDS)
    counted = re.search(r"late: +(\d+) by", seen.other)
    assert counted, seen.other
    until_then = [packet for packet in call.recording.audio if packet.at < seen.asked_at]
    gaps_ms = [1000 * (after.at - packet.at) for packet, after in pairwise(until_then)]
    late = [ms for ms in gaps_ms if ms > 2 * PACKET_MS + 1]
    assert len(late) <= int(counted[1]), (late, seen.other)
