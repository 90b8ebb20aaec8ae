"""What is queued plays on while Python is held up, and what callers say meanwhile is not lost."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.tls import Certificate
from testbed.variants import install_variant
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.samples import check_samples, noise_agent_names, noise_agents, noise_callers
from tests.timing import EVENT, SECOND

pytestmark = pytest.mark.alone

CALLS = 4
TALK_SECONDS = 10.0
AT_ONCE = 60.0
"""The agents send so much faster than they speak: nearly all of it is queued at the start."""

TROUBLE_SECONDS = 2.0
# A thread of the engine's own process, told by a file: it computes without pause, or holds the GIL
# in native code.
THREAD = """

def _trouble():
    import ctypes, os, time
    while True:
        if os.path.exists({file!r}):
            kind, seconds = open({file!r}).read().split()
            os.unlink({file!r})
            until = time.monotonic() + float(seconds)
            if kind == "holds":
                ctypes.PyDLL(None).usleep(int(1e6 * float(seconds)))
            while time.monotonic() < until:
                pass
        time.sleep(0.02)


import _thread
_thread.start_new_thread(_trouble, ())
"""


def trouble(flag: Path, kind: str) -> None:
    """Begin it, and see that it has begun."""
    unfinished = flag.with_suffix(".new")
    unfinished.write_text(f"{kind} {TROUBLE_SECONDS}", encoding="ascii")
    unfinished.replace(flag)
    deadline = time.monotonic() + EVENT
    while flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def flag(pbx: Instance) -> Path:
    """What tells the thread to begin."""
    return pbx.folder / "trouble"


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", debug=0)
    text = THREAD.format(file=pbx.root.path(flag(pbx)))
    install_variant(pbx, "trouble", append={"conversation/session.py": text})
    pbx.cli("module reload app_elevenlabs_convai")
    return pbx


@pytest.mark.parametrize("kind", ["computes", "holds"])
def test_audio_goes_on_both_ways(pbx: Instance, root: Root, tls: Certificate, kind: str) -> None:
    """A Python thread that computes without pause, and native code that holds the GIL for 2 s."""
    names = noise_agent_names(CALLS)
    agents = noise_agents(CALLS, TALK_SECONDS, pace=AT_ONCE, ahead_ms=0)
    with MockAgent(root, agents, tls=tls, record=True) as mock:
        ca = root.path(tls.ca)
        configure(pbx, "".join(section(name, mock.url, ca_file=ca) for name in names))
        with noise_callers(pbx, names, TALK_SECONDS) as calls:
            calls.wait_up()
            time.sleep(3.0)
            trouble(flag(pbx), kind)
            time.sleep(TROUBLE_SECONDS + 1.0)
            shown = [pbx.cli(f"elevenlabs show session {name}") for name in channels(pbx)]
            calls.wait((TALK_SECONDS + 30) * SECOND)
    assert len(shown) == CALLS
    for text in shown:
        assert re.search(r"not taken: +0\.00 s by the queue, 0\.00 s by the socket", text), text
        assert re.search(r"(\d+) resynchronisations", text).group(1) == "0", text  # type: ignore[union-attr]
    check_samples(mock, calls, TALK_SECONDS)


def channels(pbx: Instance) -> list[str]:
    """The channels that talk with an agent."""
    shown = pbx.cli("elevenlabs show sessions")
    return re.findall(r"^(PJSIP/\S+)", shown, re.MULTILINE)
