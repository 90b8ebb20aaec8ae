"""What a reader of the documentation has: an Asterisk that runs, an agent, sources, and a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed import service
from testbed.mock import MockAgent
from testbed.paths import BUILD, PROJECT
from testbed.root import Root
from tests.asterisk.phone import DIALPLAN, section
from tests.asterisk.shell import Shell
from tests.asterisk.sources import Sources
from tests.timing import SECOND

UP_SECONDS = 300 * SECOND
"""Builds everything the first time."""

MODULE = "app_elevenlabs_convai"
DEFAULT = "[default]\nexten => 100,1,Answer()\n same => n,Wait(60)\n"
TALKER = """\
title = "talker"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:5:600000", interruptible = false }
"""


@dataclass(frozen=True)
class Place:
    """Where commands are typed."""

    pbx: service.Attached
    mock: MockAgent
    sources: Sources
    shell: Shell

    def serving(self) -> str:
        """The build that new calls get."""
        return self.pbx.engine_build()


def testbed(name: str, *words: str) -> None:
    """Run a command of the testbed."""
    command, *rest = words
    done = subprocess.run(
        [sys.executable, "-m", "testbed", command, "--name", name, *rest],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@contextmanager
def place(root: Root, name: str, etc: Path, *arguments: str) -> Iterator[Place]:
    """An instance as `python3 -m testbed up` starts it; the reader is in app_elevenlabs_convai/."""
    name = f"{name}-{os.getpid()}"
    with MockAgent(root, TALKER) as mock:
        (etc / "extensions").write_text(DIALPLAN + DEFAULT)
        (etc / "elevenlabs").write_text(section("sales_agent", mock.url, agent_id="default"))
        files = [f"--dialplan={etc / 'extensions'}", f"--elevenlabs={etc / 'elevenlabs'}"]
        testbed(name, "up", "--install", *files, *arguments)
        try:
            sources = Sources(root, name)
            pbx = service.attach(name)
            shell = Shell(pbx, BUILD / "testbed" / f"{name}.bin", sources.folder / MODULE)
            yield Place(pbx, mock, sources, shell)
            sources.remove()
        finally:
            if service.read_state(name):
                testbed(name, "down")
            (BUILD / "testbed" / f"{name}.supervisor.log").unlink(missing_ok=True)


def mode(sources: Sources) -> str:
    """How what is built was built."""
    return (sources.folder / "build" / "mode").read_text(encoding="utf-8").strip()
