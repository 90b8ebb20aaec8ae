"""The tools of docs/development.md's table. What is not installed is skipped, by name."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.root import Root
from tests.asterisk.guide import covers
from tests.asterisk.phone import DIALPLAN, section, wait_result, wait_talking
from tests.asterisk.place import MODULE, TALKER, Place, place
from tests.timing import MS, PROGRAM, SECOND, only_in_full

pytestmark = pytest.mark.limit(600)

full = only_in_full("takes a minute and more")
PROGRAMS = PROJECT / MODULE / "tests"
SUPPRESSIONS = PROJECT / "tests" / "valgrind.supp"
VALGRIND_FOUND = 9
"""Exit status of a valgrind that has found something."""

LOADS = 5

READY_SECONDS = 60 * SECOND
"""For an Asterisk under gdb."""


@pytest.fixture(scope="module")
def reader(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(root, "tools", tmp_path_factory.mktemp("etc")) as here:
        yield here


def need(*tools: str) -> None:
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")


def need_in_root(root: Root, tool: str) -> None:
    if not root.has(tool):
        pytest.skip(f"{tool} is not there: python3 -m testbed root --debuggers")


# ---- Static analysis and format ----


@covers(f"cppcheck --enable=all {MODULE}.c", f"cppcheck {MODULE}.c", f"flawfinder {MODULE}.c")
def test_static_analysis(reader: Place) -> None:
    """They run as written; cppcheck sees more with `make lint`, and there it finds nothing."""
    need("cppcheck", "flawfinder")
    for command in (f"cppcheck --enable=all {MODULE}.c", f"cppcheck {MODULE}.c"):
        assert f"Checking {MODULE}.c" in reader.shell.run(command)
    assert "Lines analyzed" in reader.shell.run(f"flawfinder {MODULE}.c")
    subprocess.run(["make", "lint-c"], cwd=PROJECT, timeout=PROGRAM, check=True)


@covers(f"astyle --style=linux --indent=tab {MODULE}.c")
def test_formatting(reader: Place) -> None:
    """It is harmless, whatever it changes: the module still builds."""
    need("astyle")
    file = reader.sources.folder / MODULE / f"{MODULE}.c"
    ours = file.read_text()
    try:
        reader.shell.run(f"astyle --style=linux --indent=tab {MODULE}.c")
        reader.shell.run("make")
    finally:
        file.write_text(ours)


# ---- gdb ----


class Terminal:
    """A program with a terminal, as an operator has one."""

    def __init__(self, root: Root, command: list[str]) -> None:
        self._own, theirs = pty.openpty()
        self.process = root.popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.text = ""

    def type(self, line: str) -> None:
        os.write(self._own, f"{line}\n".encode())

    def wait(self, wanted: str) -> None:
        """Read on until this has come."""
        start, until = len(self.text), time.monotonic() + READY_SECONDS
        os.set_blocking(self._own, False)
        while not re.search(wanted, self.text[start:]):
            assert time.monotonic() < until, self.text[-2000:]
            try:
                self.text += os.read(self._own, 65536).decode("utf-8", "replace")
            except BlockingIOError:
                time.sleep(20 * MS)
            except OSError:
                raise AssertionError(f"it has ended:\n{self.text[-2000:]}") from None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@covers("sudo gdb asterisk", "(gdb) run -c")
def test_gdb(root: Root) -> None:
    """The console under gdb, stopped in the module's own code, and going on."""
    pbx = Instance(root, f"gdb-{os.getpid()}", dialplan=DIALPLAN, elevenlabs="[general]\n")
    pbx.prepare()
    terminal = None
    try:
        pbx.build_and_install()
        terminal = Terminal(root, ["gdb", "-q", "-nx", "/usr/sbin/asterisk"])
        terminal.type("set pagination off")
        terminal.type("set breakpoint pending on")
        terminal.type("break cli_show_version")
        terminal.wait("Breakpoint 1")
        terminal.type(f"run -c -C {root.path(pbx.conf)}")
        terminal.wait("CLI>")
        terminal.type("elevenlabs show version")
        terminal.wait("hit Breakpoint 1")
        terminal.type("backtrace 1")
        terminal.wait(r"#0 .*cli_show_version")
        terminal.type("continue")
        terminal.wait("1 generation alive")
        terminal.type("core stop now")
        terminal.wait("exited normally")
    finally:
        if terminal:
            terminal.close()
        pbx.stop()


# ---- perf and top ----


@covers("perf record -g asterisk -c", "perf report")
def test_perf(reader: Place) -> None:
    need("perf")
    data = reader.pbx.folder / "perf.data"
    pid = reader.pbx.pid
    with Callers(reader.pbx, 1, "sales_agent") as calls:
        calls.wait_up()
        done = subprocess.run(
            ["perf", "record", "-g", "-p", str(pid), "-o", str(data), "--", "sleep", "2"],
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )
        calls.hangup_all()
        calls.wait()
    if done.returncode:
        pytest.skip(f"perf may not measure here: {done.stderr.strip().splitlines()[-1:]}")
    said = reader.shell.run(f"perf report -i {data} --stdio --sort comm")
    assert "convai-loop-" in said


@covers("top -p $(pidof asterisk)")
def test_top(reader: Place) -> None:
    need("top")
    assert "asterisk" in reader.shell.run("top -b -n 1 -p $(pidof asterisk)")
    assert "convai-loop-" in reader.shell.run("top -b -n 1 -H -w 200 -p $(pidof asterisk)")


# ---- Long ones ----


@full
@covers('CFLAGS="-fsanitize=address -g" make')
def test_address_sanitizer(reader: Place) -> None:
    """Of core and module. test_address_sanitizer.py starts an Asterisk with such a build."""
    folder = reader.sources.folder
    said = reader.shell.run(f'cd {folder}; CFLAGS="-fsanitize=address -g" make')
    assert "LD_PRELOAD=" in said
    # The copy has the core of the tests' own Python as well; the one that was made now is meant.
    core = max(folder.glob("pyconvai/core/_core.*.so"), key=lambda file: file.stat().st_mtime)
    for file in (folder / MODULE / f"{MODULE}.so", core):
        assert "__asan_" in reader.shell.run(f"nm -D {file}"), file
    reader.shell.run(f"cd {folder}; make clean")


def load_slowly(pbx: Instance) -> None:
    """Under valgrind an engine may need more than its 5 s; each time it comes further."""
    for _ in range(LOADS):
        shown = pbx.cli(f"module show like {MODULE}", READY_SECONDS)
        if re.search(r" \d+ +Running", shown):
            return
        pbx.cli(f"module load {MODULE}", READY_SECONDS)


def under(root: Root, name: str, *words: str) -> int | None:
    """One call through an Asterisk under a wrapper; its exit status."""
    with MockAgent(root, TALKER) as mock:
        conf = section("sales_agent", mock.url, agent_id="default")
        pbx = Instance(root, name, dialplan=DIALPLAN, elevenlabs=conf, wrapper=words)
        pbx.prepare()
        try:
            pbx.build_and_install()
            pbx.start()
            load_slowly(pbx)
            with Callers(pbx, 1, "sales_agent") as calls:
                calls.wait_up()
                wait_talking(pbx, 1)
                calls.hangup_all()
                calls.wait()
            assert wait_result(pbx).status == "HANGUP"
        finally:
            status = pbx.stop()
        return status


@full
@covers(
    "sudo valgrind --leak-check=full asterisk -c",
    "valgrind --leak-check=full --show-leak-kinds=all asterisk -c",
)
def test_valgrind(root: Root) -> None:
    """Nothing is lost but by others; those are in the file of suppressions, which is needed."""
    need_in_root(root, "valgrind")
    log = PROJECT / "build" / "testbed" / "valgrind.log"
    words = ["valgrind", "-s", "--leak-check=full", "--show-leak-kinds=definite"]
    words += ["--errors-for-leak-kinds=definite", f"--error-exitcode={VALGRIND_FOUND}"]
    words += [f"--suppressions={root.path(SUPPRESSIONS)}", f"--log-file={root.path(log)}"]
    assert under(root, "valgrind", *words) == 0, log.read_text()
    text = log.read_text()
    assert "ERROR SUMMARY: 0 errors" in text
    assert re.search(r"used_suppression: .*valgrind\.supp", text)


@full
@covers("valgrind --tool=massif asterisk -c")
def test_massif(root: Root) -> None:
    need_in_root(root, "valgrind")
    out = PROJECT / "build" / "testbed" / "massif.out"
    words = ["valgrind", "--tool=massif", f"--massif-out-file={root.path(out)}"]
    assert under(root, "massif", *words) == 0
    assert "mem_heap_B=" in out.read_text()


# ---- The test programs ----


@full
@covers("./test_config", "./test_websocket")
def test_programs() -> None:
    """All of their tests; the other two programs are run in test_programs.py."""
    for name in ("test_config", "test_websocket"):
        done = subprocess.run(
            [f"./{name}"],
            cwd=PROGRAMS,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=READY_SECONDS * 4,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@full
@covers("valgrind --leak-check=full ./test_integration")
def test_programs_under_valgrind() -> None:
    need("valgrind")
    done = subprocess.run(
        ["valgrind", "--leak-check=full", "./test_integration", "--mock"],
        cwd=PROGRAMS,
        capture_output=True,
        text=True,
        timeout=READY_SECONDS * 8,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "make test-sanitize" in done.stderr
