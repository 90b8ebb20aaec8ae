"""How soon the agent is heard, by the module's own clock."""

from __future__ import annotations

import pytest

from testbed.instance import Instance
from testbed.latency import measure
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.timing import MS

CALLS = 12
WARM_MS = 25
"""What is ours of the time until the first frame of an agent whose URL was fetched ahead."""

FIRST_WORD_MS = 10
"""Half a frame: the first word, which comes with the metadata here, is not to wait for the next."""

SERVICE = """\
title = "latency"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Hello.", sound = "noise:1:1000", interruptible = false }
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=0, debug=0)


@pytest.mark.alone
def test_first_words_of_a_warm_agent(pbx: Instance, root: Root) -> None:
    """Half of all calls at least: a busy machine may hold up the others."""
    with MockAgent(root, SERVICE) as mock:
        configure(pbx, section("warm", mock.url))
        measure(pbx, mock.url, ["warm"])
        latency = measure(pbx, mock.url, ["warm"] * CALLS)
    print(latency)
    assert latency.median <= WARM_MS * 1000 * MS, latency
    assert latency.first_word_median <= FIRST_WORD_MS * 1000 * MS, latency
    # The caller's own clock, which starts with the answer: nothing but the way there is between.
    assert latency.in_rtp_median <= latency.median + WARM_MS * 1000 * MS, latency
