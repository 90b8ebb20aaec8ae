"""An engine whose loop hangs: calls end, the command line answers, and Asterisk can be stopped.

The engine of these tests is the real one with a few lines more: for two agents its loop thread
waits until a file is gone, as native code or a blocking call by mistake would hold it up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import Install, StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, wait_result, wait_talking
from tests.timing import EVENT, PROMPT, SECOND

MODULE = "app_elevenlabs_convai"

# Behind the engine's own session.py. Nothing is replaced but the two moments.
HANG = """

def _hang():
    import os, time
    if os.path.exists({file!r}):
        open({file!r} + "-now", "x").close()
        while os.path.exists({file!r}):
            time.sleep(0.01)
        os.unlink({file!r} + "-now")


_converse, _agree = Session._converse, Session._agree


async def _hanging_converse(self):
    if self.handle.agent == "mute":
        _hang()
    return await _converse(self)


def _hanging_agree(self, metadata):
    if self.handle.agent == "deaf":
        asyncio.get_running_loop().call_later(0.5, _hang)
    _agree(self, metadata)


Session._converse, Session._agree = _hanging_converse, _hanging_agree
"""

CONNECT_TIMEOUT = 1
GRACE_SECONDS = 3
"""watchdog.c: how long after connect_timeout a call gives up the engine."""

STALL_SECONDS = 4 + 5
"""Until the queue of caller audio is full, and then until the call gives up the engine."""

SLACK_SECONDS = 0.5
"""Between the callers' clock and the module's."""


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, install: Install, mock: MockAgent) -> Instance:
    """An Asterisk with the engine that can be made to hang; it runs freely until `hang`."""
    pbx = asterisk(module=False, dialplan=DIALPLAN, elevenlabs="[general]\n")
    install(pbx)
    session = (
        pbx.module_folder / f"{MODULE}.d" / "current" / "pyconvai" / "conversation" / "session.py"
    )
    file = pbx.root.path(flag(pbx))
    session.write_text(session.read_text(encoding="utf-8") + HANG.format(file=file))
    pbx.cli(f"module load {MODULE}.so")
    keys = {"connect_timeout": str(CONNECT_TIMEOUT)}
    configure(pbx, "".join(section(name, mock.url, **keys) for name in ("mute", "deaf", "default")))
    return pbx


def flag(pbx: Instance) -> Path:
    return pbx.folder / "hang"


def wait_hanging(pbx: Instance) -> None:
    now = flag(pbx).with_name("hang-now")
    deadline = time.monotonic() + EVENT
    while not now.exists():
        assert time.monotonic() < deadline, "the engine does not hang"
        time.sleep(0.02)


@pytest.fixture
def hang(pbx: Instance) -> Iterator[Callable[[], None]]:
    """Let the loop hang when it next can; afterwards it goes on, and calls are as ever."""

    def start() -> None:
        flag(pbx).touch()

    yield start
    flag(pbx).unlink(missing_ok=True)
    start_of_log = len(pbx.log())
    place_call(pbx, "default", hangup_after=1.0)
    assert wait_result(pbx, start_of_log).status == "HANGUP"


def timed(pbx: Instance, command: str) -> tuple[str, float]:
    began = time.monotonic()
    return pbx.cli(command), time.monotonic() - began


def check_took(seconds: float, limit: float) -> None:
    """Something has ended by its limit, and not before."""
    assert limit - SLACK_SECONDS <= seconds <= limit + PROMPT


def test_before_the_conversation(pbx: Instance, hang: Callable[[], None]) -> None:
    """The caller waits for connect_timeout and a grace, then the dialplan goes on."""
    hang()
    start = len(pbx.log())
    call = place_call(pbx, "mute")
    result = wait_result(pbx, start)
    assert (result.status, result.reason) == ("ERROR", "the engine does not answer")
    assert result.went_on
    check_took(call.seconds, CONNECT_TIMEOUT + GRACE_SECONDS)


def test_in_mid_conversation(pbx: Instance, hang: Callable[[], None]) -> None:
    """The queue fills, and when it has been full for some seconds the call gives up."""
    hang()
    start = len(pbx.log())
    call = place_call(pbx, "deaf")
    result = wait_result(pbx, start)
    assert (result.status, result.reason) == ("ERROR", "the engine is not taking audio")
    assert result.conversation_id.startswith("conv_")
    check_took(call.seconds, STALL_SECONDS)


def test_a_short_pause_is_survived(pbx: Instance, hang: Callable[[], None]) -> None:
    """A loop that was held up for longer than its queue lasts catches up, and the call goes on."""
    hang()
    start = len(pbx.log())
    with Callers(pbx, 1, "deaf") as calls:
        calls.wait_up()
        wait_hanging(pbx)
        time.sleep(6 * SECOND)  # the pause itself: there is nothing to wait for
        flag(pbx).unlink()
        time.sleep(6 * SECOND)  # longer than it would have had left
        assert "talking" in pbx.cli("elevenlabs show sessions")
        calls.hangup_all()
        calls.wait()
    assert wait_result(pbx, start).status == "HANGUP"


def test_the_caller_hangs_up(pbx: Instance, hang: Callable[[], None]) -> None:
    """Leaving does not need the engine."""
    hang()
    start = len(pbx.log())
    call = place_call(pbx, "mute", hangup_after=1.0)
    assert wait_result(pbx, start).status == "HANGUP"
    assert call.seconds < 1.0 + PROMPT
    pbx.wait_no_channels(limit=PROMPT)


def test_commands(pbx: Instance, hang: Callable[[], None]) -> None:
    """Every command answers at once, and hangup hangs up."""
    start = len(pbx.log())
    with Callers(pbx, 1, "deaf") as first, ExitStack() as stack:
        wait_talking(pbx, 1)
        hang()  # half a second after the second one is there
        second = stack.enter_context(Callers(pbx, 1, "deaf"))
        wait_hanging(pbx)
        for command, words in (
            ("elevenlabs show agents", "deaf"),
            ("elevenlabs show sessions", "2 sessions"),
            ("elevenlabs show version", "Engine:"),
            ("elevenlabs reload", "reloaded successfully"),
            ("elevenlabs debug on", "enabled"),
            ("elevenlabs debug off", "disabled"),
            ("elevenlabs hangup all", "2 calls hung up"),
        ):
            answer, seconds = timed(pbx, command)
            assert words in answer, (command, answer)
            assert seconds < PROMPT, command
        for calls in (first, second):
            calls.wait(limit=PROMPT)
    result = wait_result(pbx, start)
    assert (result.status, "by a command" in result.reason) == ("HANGUP", True), result


def test_unload_is_refused(pbx: Instance, hang: Callable[[], None]) -> None:
    """Code that a thread may still enter stays; when the engine has come to itself, it goes."""
    hang()
    start = len(pbx.log())
    with Callers(pbx, 1, "mute") as calls:
        calls.wait_up()
        wait_hanging(pbx)
        _, seconds = timed(pbx, f"module unload -f {MODULE}.so")
        calls.wait()
    assert wait_result(pbx, start).status == "UNLOADED"
    pbx.wait_log("Not unloaded: the engine has not stopped within 5000 ms", start=start)
    assert seconds < 5 + 5 + PROMPT
    assert "1 modules loaded" in pbx.cli("module show like elevenlabs")
    assert "0 sessions" in pbx.cli("elevenlabs show sessions")

    start = len(pbx.log())
    place_call(pbx, "default")
    assert wait_result(pbx, start).status == "UNLOADED"

    flag(pbx).unlink()
    pbx.cli(f"module unload {MODULE}.so")
    assert "0 modules loaded" in pbx.cli("module show like elevenlabs")
    pbx.cli(f"module load {MODULE}.so")


def test_stop(pbx: Instance) -> None:
    """`core stop now` with a call up. The last test: nothing runs behind it."""
    flag(pbx).touch()
    with Callers(pbx, 1, "mute") as calls:
        calls.wait_up()
        wait_hanging(pbx)
        began = time.monotonic()
        pbx.cli("core stop now")
        while pbx.running and time.monotonic() - began < 5 + PROMPT:
            time.sleep(0.02)
        assert pbx.exit_status == 0
