"""An instance known by its name, as `python3 -m testbed up` starts it, for what looks for that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import service
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from tests.asterisk.phone import DIALPLAN, section


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
pace = 1.2

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
