"""`make dev`: what is saved comes in, a live call notices nothing, and faults are told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import service
from testbed.callers import Callers, place_call
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.named import agents, check_audio, named
from tests.asterisk.phone import wait_result
from tests.asterisk.sources import Sources
from tests.timing import MS, SECOND, only_in_full

pytestmark = [pytest.mark.alone, pytest.mark.limit(500)]

full = only_in_full("compiles for a minute")

NAME = f"dev-{os.getpid()}"
STEP_SECONDS = 120 * SECOND
"""Limit on one round: the core is compiled in some 8 s."""

ULAW = CODECS["ulaw"]
NOISE_SECONDS = 400.0


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, agents("dev", NOISE_SECONDS), record=True) as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(mock: MockAgent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[service.Attached]:
    with named(NAME, mock, tmp_path_factory.mktemp("etc"), STEP_SECONDS) as pbx:
        yield pbx


@pytest.fixture
def sources(root: Root, pbx: service.Attached) -> Iterator[Sources]:
    sources = Sources(root, NAME)
    yield sources
    sources.remove()


class Dev:
    """scripts/dev.py, and what it has said."""

    def __init__(self, sources: Sources, output: Path) -> None:
        self._output, self._read = output, 0
        words = ["--name", NAME, "--source", str(sources.folder)]
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(PROJECT / "scripts" / "dev.py"), *words],
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait(self, pattern: str) -> str:
        """Wait until it says that; all it has said since the last time, up to there."""
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            said = self._output.read_text(encoding="utf-8")[self._read :]
            if found := re.search(pattern, said):
                self._read += found.end()
                return said[: found.end()]
            assert self.process.poll() is None, f"it has ended: {said}"
            assert time.monotonic() < deadline, f"no {pattern!r} in: {said}"
            time.sleep(20 * MS)

    def end(self) -> None:
        """As Ctrl-C does it."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(STEP_SECONDS) == 0


@pytest.fixture
def dev(sources: Sources, tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(sources, tmp_path / "said")
    try:
        dev.wait("Watching .*\n")
        yield dev
    finally:
        if dev.process.poll() is None:
            dev.end()


def save(sources: Sources, name: str, append: str) -> None:
    """Save a file as an editor does: something else beside it, and then by rename."""
    path = sources.folder / name
    text = path.read_text(encoding="utf-8")
    (path.parent / f".#{path.name}").write_text("not to be taken for a source")
    temporary = path.with_name(path.name + "~")
    temporary.write_text(text + append, encoding="utf-8")
    temporary.replace(path)


SAVED = r"s from the save to here\n"
STAYS = r"What was in service before still is\.\n"


def current(pbx: service.Attached) -> str:
    return (pbx.module_folder / "app_elevenlabs_convai.d" / "current").readlink().name


def check_live(pbx: service.Attached, said: str) -> str:
    """Whether what was saved is in service, is said to be, and takes a call; its build."""
    build = pbx.engine_build()
    assert build == current(pbx)
    assert f"{build}" in said
    assert f"build {build}, from " in said
    start = len(pbx.log())
    place_call(pbx, "default", hangup_after=1.0)
    assert wait_result(pbx, start).status == "HANGUP"
    return build


def test_saved_is_live_and_a_call_notices_nothing(
    pbx: service.Attached, sources: Sources, mock: MockAgent, dev: Dev
) -> None:
    before = pbx.engine_build()
    with Callers(pbx, 1, "noise", send=ULAW.noise(NOISE_SECONDS, 9)) as calls:
        calls.wait_up()

        save(sources, "pyconvai/__init__.py", '\n__version__ = "9.saved"\n')
        said = dev.wait(SAVED)
        assert "pyconvai/__init__.py\n" in said
        assert "Engine:    9.saved, " in said
        assert "core" not in said
        first = check_live(pbx, said)
        assert first != before

        good = (sources.folder / "pyconvai" / "conversation" / "session.py").read_text(
            encoding="utf-8"
        )
        save(sources, "pyconvai/conversation/session.py", "\ndef broken(:\n")
        said = dev.wait(STAYS)
        assert re.search(r"install .* FAILED\n(.*\n)*.*session\.py(.*\n)*.*SyntaxError", said)
        assert pbx.engine_build() == first

        (sources.folder / "pyconvai" / "conversation" / "session.py").write_text(
            good + '\nraise OSError("mine")\n'
        )
        said = dev.wait(STAYS)
        assert re.search(r"live .* FAILED\n.*is refused: .*OSError: mine", said)
        assert pbx.engine_build() == first

        (sources.folder / "pyconvai" / "conversation" / "session.py").write_text(
            good + "\n# good again\n"
        )
        second = check_live(pbx, dev.wait(SAVED))
        assert second != first
        end(pbx, calls)
    check_audio(mock, calls[0])


@full
def test_what_is_compiled_comes_in_as_well(
    pbx: service.Attached, sources: Sources, mock: MockAgent, dev: Dev
) -> None:
    before = pbx.engine_build()
    with Callers(pbx, 1, "noise", send=ULAW.noise(NOISE_SECONDS, 9)) as calls:
        calls.wait_up()

        codec = sources.folder / "pyconvai" / "core" / "codec.pxi"
        core = codec.read_text(encoding="utf-8")
        save(sources, "pyconvai/core/codec.pxi", "\ncdef int no_such = undeclared_thing\n")
        said = dev.wait(STAYS)
        assert re.search(r"core .* FAILED\n(.*\n)*.*codec\.pxi(.*\n)*.*undeclared_thing", said)
        # Not installed: what goes with it is not there.
        save(sources, "pyconvai/service/endings.py", "\n# beside a broken core\n")
        assert re.search(r"core .* FAILED\n", dev.wait(STAYS))
        assert pbx.engine_build() == before
        codec.write_text(core + "\ncdef int really = 1\n")
        assert check_live(pbx, dev.wait(SAVED)) != before

        save(sources, "app_elevenlabs_convai/control/say.c", "\nint no C\n")
        said = dev.wait(STAYS)
        assert re.search(r"module .* FAILED\n(.*\n)*.*say\.c:\d+:\d+: error", said)
        save(sources, "app_elevenlabs_convai/control/say.c", ";\n")
        dev.wait(STAYS)

        end(pbx, calls)
    check_audio(mock, calls[0])


def end(pbx: service.Attached, calls: Callers) -> None:
    """Hang up the call that has been up all the time."""
    assert calls[0].ended_at is None
    assert "1 session" in pbx.cli("elevenlabs show sessions")
    calls.hangup_all()
    calls.wait()


def test_the_tap_comes_in_as_well(pbx: service.Attached, sources: Sources, dev: Dev) -> None:
    sources.replace(
        "app_forkstream/control.c", "Lists the streams of ForkStream()", "Lists new ones"
    )
    said = dev.wait(SAVED)
    assert "app_forkstream/control.c\n" in said
    assert not re.search(r"^  (core|module) ", said, re.MULTILINE)
    assert "app_forkstream was unloaded and loaded" in said
    assert "Lists new ones" in pbx.cli("core show help forkstream show streams")
    save(sources, "app_forkstream/control.c", "\nint no C\n")
    assert re.search(r"tap .* FAILED\n(.*\n)*.*control\.c:\d+:\d+: error", dev.wait(STAYS))
    assert "Running" in pbx.cli("module show like app_forkstream")


@full
def test_the_module_is_replaced_when_no_call_is_up(
    pbx: service.Attached, sources: Sources, dev: Dev
) -> None:
    with Callers(pbx, 1, "noise") as calls:
        calls.wait_up()
        sources.replace(
            "app_elevenlabs_convai/control/cli_show.c", '"Module:    %s', '"New module: %s'
        )
        said = dev.wait(SAVED)
        assert "Calls up: 1." in said
        assert "'module unload app_elevenlabs_convai'" in said
        assert "New module:" not in pbx.cli("elevenlabs show version")
        calls.hangup_all()
        calls.wait()
    pbx.wait_no_channels()
    save(sources, "pyconvai/service/endings.py", "\n# after the call\n")
    said = dev.wait(SAVED)
    assert "unloaded, loaded" in said
    assert "New module:" in said
    check_live(pbx, said)


@pytest.mark.parametrize("status", [pytest.param(0, marks=full), 1])
def test_once(pbx: service.Attached, sources: Sources, status: int) -> None:
    sources.append(
        "pyconvai/service/endings.py", f"\n# once, {status}\n" + "def broken(:\n" * status
    )
    words = ["--once", "--name", NAME, "--source", str(sources.folder)]
    done = subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / "dev.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout
    if status == 0:
        check_live(pbx, done.stdout)
    else:
        assert "SyntaxError" in done.stdout
