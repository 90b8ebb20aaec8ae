"""Native code holds the GIL while the module comes and goes: Asterisk does not hang or crash."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.callers import place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.variants import install_package, make_variant
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, section, wait_result
from tests.asterisk.stage import until
from tests.timing import EVENT, PROMPT, SECOND, only_in_full

MODULE = "app_elevenlabs_convai"
IMPORT_HOLDS = "\nimport ctypes\nctypes.PyDLL(None).usleep(7000000)\n"
# A thread that holds the GIL for so many ms as a file says.
THREAD_HOLDS = """

def _hold():
    import ctypes, os, time
    while True:
        if os.path.exists({file!r}):
            with open({file!r}) as file:
                ms = int(file.read() or 0)
            os.unlink({file!r})
            ctypes.PyDLL(None).usleep(1000 * ms)
        time.sleep(0.02)


import _thread
_thread.start_new_thread(_hold, ())
"""
# Native code that holds the GIL at one place of a start, for so many ms as a file says, once.
HOLDS_ONCE = """

def _hold_once():
    import ctypes, os
    if os.path.exists({file!r}):
        with open({file!r}) as file:
            ms = int(file.read())
        os.unlink({file!r})
        ctypes.PyDLL(None).usleep(1000 * ms)
"""
PLACES = {
    "in the import": {"runtime.py": "_hold_once()"},
    "in the self-test": {
        "selftest.py": """
async def converse(*given, _converse=converse):
    _hold_once()
    await _converse(*given)
"""
    },
    "when it is up": {
        "runtime.py": """
def start(seconds, _start=start):
    address = _start(seconds)
    _hold_once()
    return address
"""
    },
}
LOAD_SECONDS = 5.0 + 1.0 + PROMPT
"""An engine's start or the wait for the GIL, and what is undone then."""


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture
def pbx(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs=section("default", mock.url), debug=0)


@pytest.fixture(scope="module")
def shared(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    """For tests after which the module serves as before."""
    return asterisk(dialplan=DIALPLAN, elevenlabs=section("default", mock.url), debug=0)


def load(pbx: Instance) -> float:
    """Load the module, or try to; how long that took."""
    began = time.monotonic()
    pbx.cli(f"module load {MODULE}.so")
    return time.monotonic() - began


def load_again(pbx: Instance) -> None:
    """Load it as soon as the native code has let go, of which nothing tells."""
    until(lambda: "Loaded" in pbx.cli(f"module load {MODULE}.so"), "Python is not free again")


def check_serves(pbx: Instance) -> None:
    start = len(pbx.log())
    place_call(pbx, "default", hangup_after=0.2)
    assert wait_result(pbx, start).status == "HANGUP"


def holder(pbx: Instance) -> tuple[Path, Path]:
    """An engine with a thread that holds the GIL when asked to: its package, and where to ask."""
    flag = pbx.folder / "hold"
    text = THREAD_HOLDS.format(file=pbx.root.path(flag))
    return make_variant(pbx, "holder", append={"conversation/session.py": text}), flag


def hold(flag: Path, ms: int) -> None:
    """Let the GIL be held for so long, from now on."""
    unfinished = flag.with_suffix(".new")
    unfinished.write_text(str(ms), encoding="ascii")
    unfinished.replace(flag)
    deadline = time.monotonic() + EVENT
    while flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def loops(pbx: Instance) -> int:
    """How many engines' loops run."""
    tasks = Path(f"/proc/{pbx.pid}/task").iterdir()
    names = [(task / "comm").read_text() for task in tasks]
    return sum(name.startswith("convai-loop") for name in names)


def wait_one_loop(pbx: Instance) -> None:
    """Until that of the engine in service is the only one."""
    deadline = time.monotonic() + EVENT
    while loops(pbx) != 1:
        assert time.monotonic() < deadline, f"{loops(pbx)} loops run"
        time.sleep(0.02)


def late(pbx: Instance, place: str, ms: int) -> str:
    """Install an engine that is late once, for that is held there; the id of its build."""
    flag = pbx.folder / "once"
    flag.write_text(str(ms), encoding="ascii")
    [(file, text)] = PLACES[place].items()
    text = HOLDS_ONCE.format(file=pbx.root.path(flag)) + text
    return install_package(pbx, make_variant(pbx, "late", append={file: text}))


def reload(pbx: Instance) -> None:
    pbx.cli(f"module reload {MODULE}")


def check_in_service(pbx: Instance, build: str) -> None:
    """A reload brings it in, it takes calls, and nothing else runs."""
    reload(pbx)
    assert pbx.engine_build() == build
    check_serves(pbx)
    wait_one_loop(pbx)


def test_an_engine_that_comes_too_late_is_taken_by_the_next_reload(shared: Instance) -> None:
    """H1: its answer comes after the limit, and the next request is waiting behind it."""
    build = late(shared, "when it is up", 5500)
    start = len(shared.log())
    reload(shared)
    shared.wait_log("stays as it was: .* Python does not answer within", start=start)
    check_in_service(shared, build)


@only_in_full("holds Python up for six seconds each")
@pytest.mark.parametrize("then", ["at once", "later", "unloaded"])
@pytest.mark.parametrize("place", PLACES)
def test_late_answers_in_all_orders(shared: Instance, place: str, then: str) -> None:
    """H1: wherever a start is held up, and whatever is asked for next."""
    build = late(shared, place, 6000)
    start = len(shared.log())
    reload(shared)
    shared.wait_log("stays as it was: .* Python does not answer within", start=start)
    if then == "unloaded":
        assert "Unloaded" in shared.cli(f"module unload {MODULE}.so")
        shared.cli(f"module load {MODULE}.so")
    elif then == "later":
        time.sleep(1.5)  # until it lets go; nothing tells
        wait_one_loop(shared)
    check_in_service(shared, build)


@only_in_full("holds Python up for six seconds")
def test_a_request_that_nobody_waits_for_any_more(shared: Instance) -> None:
    """H1: it is read when the GIL is free again, and the one behind it counts."""
    package, flag = holder(shared)
    install_package(shared, package)
    reload(shared)
    other = make_variant(shared, "next", append={"log.py": "\n# another\n"})
    build = install_package(shared, other)
    start = len(shared.log())
    hold(flag, 5500)
    reload(shared)
    shared.wait_log("stays as it was: .* Python does not answer within", start=start)
    check_in_service(shared, build)


def test_a_load_that_is_declined_leaves_nothing(pbx: Instance) -> None:
    """Asterisk unmaps it without asking, whatever is still under way."""
    good = make_variant(
        pbx, "good", append={"conversation/session.py": "\n# as good as the other\n"}
    )
    install_package(pbx, make_variant(pbx, "bad", append={"conversation/session.py": IMPORT_HOLDS}))
    pbx.cli(f"module unload {MODULE}.so")
    start = len(pbx.log())
    assert load(pbx) < LOAD_SECONDS
    pbx.wait_log("Not loaded: the engine in .* Python does not answer within", start=start)
    assert "No such command" in pbx.cli("elevenlabs show version")
    pbx.cli(f"module unload {MODULE}.so")
    assert "No such command" in pbx.cli("elevenlabs show version")
    install_package(pbx, good)
    load_again(pbx)
    check_serves(pbx)


def test_a_load_waits_for_the_gil_no_longer_than_it_says(pbx: Instance) -> None:
    package, flag = holder(pbx)
    install_package(pbx, package)
    pbx.cli(f"module reload {MODULE}")
    pbx.cli(f"module unload {MODULE}.so")
    start = len(pbx.log())
    hold(flag, 7000)
    assert load(pbx) < LOAD_SECONDS
    pbx.wait_log("Not loaded: something holds Python up for more than 5 s", start=start)
    load_again(pbx)
    check_serves(pbx)


@only_in_full("Asterisk 22.10's loader.c may free the module twice then, one time in some fifty")
def test_the_end_of_asterisk_while_an_unload_waits(pbx: Instance) -> None:
    """Both wait for the same engine."""
    package, flag = holder(pbx)
    install_package(pbx, package)
    pbx.cli(f"module reload {MODULE}")
    with ThreadPoolExecutor(1) as other:
        hold(flag, 1800)
        other.submit(pbx.cli, f"module unload {MODULE}.so")
        time.sleep(0.3)  # it waits now
        pbx.cli("core stop now")
        deadline = time.monotonic() + 15 * SECOND
        while pbx.running:
            assert time.monotonic() < deadline, "Asterisk has not ended"
            time.sleep(0.02)
    assert pbx.exit_status == 0
