"""An instance known by its name, as `python3 -m testbed up` starts it, for what looks for that."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import service
from testbed.call import Call
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.rtp import CODECS
from tests.asterisk.phone import DIALPLAN, section
from tests.asterisk.samples import AHEAD_MS, PACE, check_heard, goes_on
from tests.timing import EVENT, MS

ULAW = CODECS["ulaw"]
RECORD_SECONDS = EVENT
"""For the mock to write what both sides said: some hundred milliseconds for minutes of it."""


def run_testbed(name: str, *words: str, limit: float) -> str:
    """Run a command of the testbed for the instance, limit in seconds; what it prints."""
    command, *rest = words
    done = subprocess.run(
        [sys.executable, "-m", "testbed", command, "--name", name, *rest],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def agents(title: str, noise_seconds: float) -> str:
    """A scenario: `default` greets, `noise` speaks noise for so long."""
    return f"""
title = "{title}"
[agents.default]
format = "ulaw_8000"
first_message = "Hello."
[agents.noise]
format = "ulaw_8000"
chunk_ms = 200
pace = {PACE}
ahead_ms = {AHEAD_MS}

[agents.noise.first_message]
text = "x"
sound = "noise:5:{noise_seconds * 1000:.0f}"
interruptible = false
"""


@contextmanager
def named(name: str, mock: MockAgent, etc: Path, limit: float) -> Iterator[service.Attached]:
    """The instance, with those agents; etc is an empty folder for its files."""
    (etc / "extensions").write_text(DIALPLAN)
    (etc / "elevenlabs").write_text(section("default", mock.url) + section("noise", mock.url))
    files = [f"--dialplan={etc / 'extensions'}", f"--elevenlabs={etc / 'elevenlabs'}"]
    run_testbed(name, "up", "--install", *files, limit=limit)
    yield service.attach(name)
    run_testbed(name, "down", limit=limit)


def check_audio(mock: MockAgent, call: Call) -> None:
    """Nothing is missing of what the caller of `noise` heard and said; the call is over."""
    assert goes_on(call.recording), call.recording.gaps
    by_caller = recorded(mock, call.heard.strip(bytes([ULAW.silence])))
    # But for the first and the last second, when the conversation was not there.
    check_heard(call.recording, call.sent[ULAW.bytes_in(1) : -ULAW.bytes_in(1)], by_caller)


def recorded(mock: MockAgent, heard: bytes) -> bytes:
    """What the caller has said to the agent that has said what was heard.

    The mock writes both once it has seen the end of the conversation, the agent's side last.
    """
    until = time.monotonic() + RECORD_SECONDS
    while True:
        for path in (mock.folder / "record").glob("*-agent.raw"):
            if heard in path.read_bytes():
                return path.with_name(path.name.replace("-agent.raw", "-caller.raw")).read_bytes()
        assert time.monotonic() < until, "what was heard is no agent's audio as it was sent"
        time.sleep(50 * MS)
