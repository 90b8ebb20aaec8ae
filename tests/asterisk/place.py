"""What a reader of the documentation has: an Asterisk that runs, an agent, sources, and a shell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed import service
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from tests.asterisk.named import run_testbed
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


@contextmanager
def place(root: Root, name: str, etc: Path, *arguments: str) -> Iterator[Place]:
    """An instance as `python3 -m testbed up` starts it; the reader is in app_elevenlabs_convai/."""
    name = f"{name}-{os.getpid()}"
    with MockAgent(root, TALKER) as mock:
        (etc / "extensions").write_text(DIALPLAN + DEFAULT)
        (etc / "elevenlabs").write_text(section("sales_agent", mock.url, agent_id="default"))
        files = [f"--dialplan={etc / 'extensions'}", f"--elevenlabs={etc / 'elevenlabs'}"]
        run_testbed(name, "up", "--install", *files, *arguments, limit=UP_SECONDS)
        try:
            sources = Sources(root, name)
            pbx = service.attach(name)
            shell = Shell(pbx, BUILD / "testbed" / f"{name}.bin", sources.folder / MODULE)
            yield Place(pbx, mock, sources, shell)
            sources.remove()
        finally:
            if service.read_state(name):
                run_testbed(name, "down", limit=UP_SECONDS)
            (BUILD / "testbed" / f"{name}.supervisor.log").unlink(missing_ok=True)


def mode(sources: Sources) -> str:
    """How what is built was built."""
    return (sources.folder / "build" / "mode").read_text(encoding="utf-8").strip()
