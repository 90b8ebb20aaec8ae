"""The commands of docs/debugging.md, as they stand there. What is missing is skipped, by name."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.callers import Callers
from testbed.paths import PROJECT
from testbed.root import Root
from tests.asterisk.phone import wait_talking
from tests.asterisk.place import Place, place
from tests.timing import FULL, SECOND

pytestmark = pytest.mark.limit(400)

PAGE = PROJECT / "docs" / "debugging.md"
CORE_SECONDS = 30 * SECOND
"""For the kernel to write some 200 MB, and for what watches Asterisk to see that it has gone."""


@dataclass(frozen=True)
class Block:
    """What a block of the page needs, and what it must show."""

    shows: tuple[str, ...] = ()
    needs: Callable[[Root], str] = lambda root: ""
    """What is missing, or nothing."""


def python_symbols(root: Root) -> str:
    there = any((root.folder / "usr/share/gdb/auto-load").glob("usr/lib/*/libpython3*gdb.py"))
    return "" if there else "python3-dbg (python3 -m testbed root --debuggers)"


def program(name: str) -> Callable[[Root], str]:
    return lambda root: "" if shutil.which(name) else name


def perf_measures(root: Root) -> str:
    """perf may be there and measure nothing, in a container for example."""
    if missing := program("perf")(root):
        return missing
    tried = subprocess.run(
        ["perf", "record", "-o", "/dev/null", "-g", "--", "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "a perf that may measure here"


def full_valgrind(root: Root) -> str:
    if not FULL:
        return "time: make test-full"
    return "" if root.has("valgrind") else "valgrind (python3 -m testbed root --debuggers)"


def core_pattern(_root: Root) -> str:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii").strip()
    return "" if re.fullmatch(r"core(\.%p)?", pattern) else "a core_pattern that is 'core'"


# By what the block begins with; in the order of the page. The last two end the instance.
BLOCKS = {
    'asterisk -rx "elevenlabs show sessions"': Block(
        (
            "1 session\n",
            "debug enabled on channel PJSIP/caller-00000000",
            "Debug: +on, for this call",
            "debug disabled on channel PJSIP/caller-00000000",
        )
    ),
    'asterisk -rx "logger add channel': Block(("ElevenLabs debug enabled",)),
    "top -b": Block(("convai-loop-", "convai-load", "convai-net"), program("top")),
    'sudo gdb -batch -p "$(pidof asterisk)" -x scripts/gdb_engine.py -ex "engine threads"': Block(
        (
            "talks with an agent",
            "convai-loop-",
            # It may have been stopped while it ran.
            r"Task-\d+ PJSIP/caller-00000000\n +Session.run .*\n +(Session._converse|runs right)",
        )
    ),
    'sudo gdb -batch -p "$(pidof asterisk)" -x scripts/gdb_engine.py -ex "engine stacks"': Block(
        (r"runtime\.py\", line [0-9]+ in run\n", r"loader\.py>\", line [0-9]+ in serve")
    ),
    'sudo gdb -batch -p "$(pidof asterisk)" -x scripts/gdb_engine.py -ex "engine loop"': Block(
        ("Traceback", r"runtime\.py\", line [0-9]+, in run\n +self\._loop\.run_forever"),
        python_symbols,
    ),
    'sudo gdb -batch -p "$(pidof asterisk)" -x scripts/gdb_engine.py -ex "engine perf"': Block(
        (r" py::[\w.]+:/",), perf_measures
    ),
    "python3 -m testbed up --name valgrind": Block(("ERROR SUMMARY: 0 errors",), full_valgrind),
    "sudo prlimit": Block((), core_pattern),
    "sudo gdb -batch /usr/sbin/asterisk core": Block(
        ("SIGABRT", "talks with an agent", "waits for events", "epoll_wait"), core_pattern
    ),
}


def blocks() -> list[str]:
    """The page's blocks that are to be run."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def find(beginning: str) -> str:
    (found,) = [block for block in blocks() if block.startswith(beginning)]
    return found


@pytest.fixture(scope="module")
def reader(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With a call that is up: the first one, by its channel's name."""
    with (
        place(root, "debugging", tmp_path_factory.mktemp("etc")) as here,
        Callers(here.pbx, 1, "sales_agent") as calls,
    ):
        here.shell.cwd = PROJECT
        calls.wait_up()
        wait_talking(here.pbx, 1)
        yield here
        Path(f"/tmp/perf-{here.pbx.pid}.map").unlink(missing_ok=True)
        (here.pbx.folder / "core").unlink(missing_ok=True)  # it has the keys that Asterisk had


def test_every_block_is_run() -> None:
    unknown = [each for each in blocks() if not any(each.startswith(known) for known in BLOCKS)]
    assert unknown == []
    assert len(blocks()) == len(BLOCKS)


@pytest.mark.parametrize("beginning", BLOCKS, ids=lambda each: each[-50:])
def test_block(reader: Place, root: Root, beginning: str) -> None:
    block = BLOCKS[beginning]
    if missing := block.needs(root):
        pytest.skip(f"needs {missing}")
    text = find(beginning)
    if beginning.startswith("python3 -m testbed up"):
        write_mine()
    if "/usr/sbin/asterisk core" in text:
        core = reader.pbx.folder / "core"
        wait_core(core, reader)
        text = text.replace(" core ", f" {root.path(core)} ")
    said = reader.shell.run(text.replace("python3 -m testbed", '"$PYTHON" -m testbed'))
    for wanted in block.shows:
        assert re.search(wanted, said), f"{wanted}\n{said}"


def write_mine() -> None:
    """The files of docs/development.md, from there."""
    page = (PROJECT / "docs" / "development.md").read_text(encoding="utf-8")
    example = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)[0]
    script = example[example.index("mkdir") : example.index("python3 -m testbed up")]
    subprocess.run(["bash", "-e", "-c", script], cwd=PROJECT, check=True)


def wait_core(core: Path, reader: Place) -> None:
    until = time.monotonic() + CORE_SECONDS
    while reader.pbx.running or not core.exists():
        assert time.monotonic() < until, "no core dump"
        time.sleep(0.1)
