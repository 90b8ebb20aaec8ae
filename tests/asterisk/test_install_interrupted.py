"""`make install` is killed at any moment beside a running Asterisk: nothing is ever half there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, talk, wait_result
from tests.asterisk.sources import Sources
from tests.timing import FULL, SECOND

MODULE = "app_elevenlabs_convai"
KILLS = 10 if FULL else 2
INSTALL_SECONDS = 240 * SECOND
POLL_SECONDS = 0.001

IS_WHOLE = """
import sys
from pathlib import Path
sys.path.insert(0, "scripts")
import engine_store
current = Path(sys.argv[1]).resolve()
print("whole" if engine_store.is_whole(current) and (current / "in-use").exists() else "in pieces")
"""


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    configure(pbx, section("default", mock.url))
    return pbx


@pytest.fixture(scope="module")
def sources(root: Root, pbx: Instance) -> Iterator[Sources]:
    sources = Sources(root, "interrupted")
    yield sources
    sources.remove()


def engines(pbx: Instance) -> Path:
    return pbx.module_folder / f"{MODULE}.d"


def current(pbx: Instance) -> str:
    return str((engines(pbx) / "current").readlink())


def start_install(pbx: Instance, sources: Sources) -> subprocess.Popen[bytes]:
    """A `make install` that can be killed with all that it has started; debug compiles fastest."""
    command = ["make", "install", "MODE=debug", f"ASTERISK_CONF={pbx.root.path(pbx.conf)}"]
    return pbx.root.popen(command, cwd=sources.folder)


def wait_copying(pbx: Instance, install: subprocess.Popen[bytes]) -> float:
    """Wait until the first file of the new engine is being copied, or all is over; the time."""
    while install.poll() is None and not any(engines(pbx).glob(".tmp-*")):
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def measure(pbx: Instance, sources: Sources) -> tuple[float, float]:
    """How long an install takes in all, and from the first copied file on."""
    began = time.monotonic()
    install = start_install(pbx, sources)
    copying = wait_copying(pbx, install)
    assert install.wait(INSTALL_SECONDS) == 0
    ended = time.monotonic()
    return ended - began, ended - copying


def kill_in_between(
    pbx: Instance, sources: Sources, chance: random.Random, whole: float, copying: float | None
) -> str:
    """Start an install and kill it at a random time; how far it came."""
    install = start_install(pbx, sources)
    if copying is not None:
        wait_copying(pbx, install)
    try:
        install.wait(chance.uniform(0, whole if copying is None else copying))
    except subprocess.TimeoutExpired:
        os.killpg(install.pid, signal.SIGKILL)
        install.wait()
        return "killed while copying" if copying is not None else "killed"
    return "done before it was killed"


def check(pbx: Instance, root: Root) -> None:
    """What is installed is whole, a reload takes it, and calls work."""
    link = root.path(engines(pbx) / "current")
    assert root.run(["python3", "-c", IS_WHOLE, link]).stdout.strip() == "whole"
    pbx.cli(f"module reload {MODULE}")
    assert pbx.engine_build() == current(pbx)
    start = len(pbx.log())
    talk(pbx, "default")
    result = wait_result(pbx, start)
    assert (result.status, result.conversation_id[:5]) == ("HANGUP", "conv_")


def change(sources: Sources, number: int, *, everything: bool) -> None:
    """Make another build of the sources: of the Python alone, or with all that is compiled."""
    sources.append("pyconvai/service/endings.py", f"\n# change {number}\n")
    if everything:
        sources.append("pyconvai/core/_core.pyx", f"\n# change {number}\n")
        sources.replace("pyconvai/__init__.py", '__version__ = "', f'__version__ = "{number}.')


@pytest.mark.limit(400 + 80 * KILLS)
def test_killed_installs(pbx: Instance, root: Root, sources: Sources) -> None:
    """While everything is compiled and installed, or from the first copied file on."""
    seed = int(os.environ.get("CONVAI_SEED", random.randrange(2**32)))
    print(f"CONVAI_SEED={seed}")
    chance = random.Random(seed)
    change(sources, 100, everything=True)
    whole, copying = measure(pbx, sources)
    check(pbx, root)
    for number in range(KILLS):
        before, everything = current(pbx), number % 2 == 1
        change(sources, number, everything=everything)
        how = kill_in_between(pbx, sources, chance, whole, None if everything else copying)
        switched = "new" if current(pbx) != before else "old"
        print(f"{number}: {how}; the {switched} engine is current")
        check(pbx, root)
    change(sources, 101, everything=True)
    assert start_install(pbx, sources).wait(INSTALL_SECONDS) == 0
    pbx.cli(f"module unload {MODULE}")
    pbx.cli(f"module load {MODULE}")
    check(pbx, root)
    assert "Module:    101." in pbx.cli("elevenlabs show version")
    assert not list(engines(pbx).glob(".tmp-*"))
    assert not list(pbx.module_folder.glob("*.new"))
