"""What the caller hears when they interrupt, sample for sample, whatever ids the service gives.

Every caller speaks into a long greeting. Audio that is older than the interruption is never heard;
what is as old or newer is, and so are the reply and the farewell.
"""

from __future__ import annotations

import pytest

from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Outcome, crowd
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.samples import goes_on
from tests.asterisk.stage import until

ULAW = CODECS["ulaw"]
SILENCE = bytes([ULAW.silence])

SERVICE = """\
title = "barge-in"
[agents.default]
format = "ulaw_8000"
pace = 0
first_message = { text = "A long greeting.", sound = "noise:1:20000" }
turns = [
    { say = { text = "A reply.", sound = "noise:2:1000" } },
    { wait_ms = 0, say = { text = "Farewell.", sound = "noise:3:500" }, end = true },
]
"""
EXTRA = """\
faults = [{{ name = "audio", stage = "interruption", offset = {}, sound = "noise:4:400" }}]
"""
AGENTS = {
    "lower": EXTRA.format(-1),
    "equal": EXTRA.format(0),
    "higher": EXTRA.format(1),
    "equal-reply": 'reply_id = "equal"',
    "same-id": 'interruption_id = "same"',
    "same-id-equal-reply": 'interruption_id = "same"\nreply_id = "equal"',
    "text-ids": 'event_ids = "text"',
    "zero-ids": 'event_ids = "zero"\nfirst_ping_id = 0',
}
GREETING, REPLY, FAREWELL, LATE = (
    ULAW.noise(seconds, seed) for seed, seconds in ((1, 20.0), (2, 1.0), (3, 0.5), (4, 0.4))
)
HEARD_FIRST = 1.5
"""Seconds in which the caller listens."""


@pytest.fixture(scope="module")
def outcomes(asterisk: StartAsterisk, root: Root) -> dict[str, Outcome]:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    text = SERVICE + "".join(f'[agents.{n}]\nlike = "default"\n{k}\n' for n, k in AGENTS.items())
    with MockAgent(root, text) as mock:
        configure(pbx, "".join(section(name, mock.url) for name in AGENTS))
        with crowd(pbx, list(AGENTS)) as calls:
            for call in calls.calls.values():
                until(lambda: heard_first(call.so_far().heard) > HEARD_FIRST, "no greeting")  # noqa: B023
                call.say(ULAW.noise(1.0, seed=9))
            found = calls.outcomes()
    assert [session["interruptions"] for session in mock.report["sessions"]] == [1] * len(AGENTS)
    return found


def same(one: bytes, other: bytes) -> int:
    """How far two begin alike."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def heard_first(heard: bytes) -> float:
    """How much of the greeting."""
    at = heard.find(GREETING[: ULAW.packet_bytes])
    return 0.0 if at < 0 else ULAW.seconds(same(heard[at:], GREETING))


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_heard(outcomes: dict[str, Outcome], agent: str) -> None:
    """The beginning of the greeting, silence, what is not older, the reply, the farewell."""
    outcome = outcomes[agent]
    assert outcome.result.status == "AGENT_ENDED", outcome.result
    rest = outcome.call.heard[outcome.call.heard.find(GREETING[: ULAW.packet_bytes]) :]
    heard = same(rest, GREETING) // ULAW.packet_bytes * ULAW.packet_bytes
    assert HEARD_FIRST < ULAW.seconds(heard) < ULAW.seconds(GREETING) - 5
    rest = rest[heard:]
    for expected in (*((LATE,) if agent in ("equal", "higher") else ()), REPLY, FAREWELL):
        pause, found, rest = rest.partition(expected)
        assert found, "not heard whole"
        assert set(pause) <= set(SILENCE), "something else was heard"
    assert set(rest) <= set(SILENCE)
    assert goes_on(outcome.call.recording), outcome.call.recording.gaps
