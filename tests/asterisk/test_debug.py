"""`elevenlabs debug` on real calls: of one of two, of all, and of all but one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, section, wait_talking

PINGS = """\
title = "pings"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:5:600000", interruptible = false }
"""


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, PINGS) as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs=section("default", mock.url), verbose=0)


def logged(pbx: Instance, start: int) -> set[str]:
    """The channels whose messages are in the log."""
    return set(re.findall(r"ElevenLabs: (PJSIP/\S+): (?:<-|->)", pbx.log()[start:]))


def wait_message(pbx: Instance, channel: str) -> int:
    """Wait for a message of a call's in the log, as the mock pings it; where it ends."""
    pattern = rf"ElevenLabs: {channel}: (<-|->)"
    return pbx.wait_log(pattern, start=len(pbx.log())).end()


def test_one_of_two(pbx: Instance) -> None:
    with Callers(pbx, 2, "default") as calls:
        calls.wait_up()
        wait_talking(pbx, 2)
        one, two = sorted(re.findall(r"^(PJSIP/\S+)", pbx.cli("elevenlabs show sessions"), re.M))
        start = len(pbx.log())
        assert "enabled on channel" in pbx.cli(f"elevenlabs debug on {one}")
        wait_message(pbx, one)
        wait_message(pbx, one)
        assert logged(pbx, start) == {one}

        pbx.cli("elevenlabs debug on")
        wait_message(pbx, two)
        pbx.cli(f"elevenlabs set debug off {one}")
        # What was being written then is written.
        start = wait_message(pbx, two)
        wait_message(pbx, two)
        assert logged(pbx, start) == {two}

        pbx.cli("elevenlabs debug off")
        assert "Debug:            off\n" in pbx.cli(f"elevenlabs show session {one}")
        calls.hangup_all()
        calls.wait()
