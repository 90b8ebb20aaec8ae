"""The commands of docs/development.md's table, typed as they stand there, and what they promise.

The tools (gdb, valgrind, perf and others) are in test_guide_tools.py.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from testbed.callers import Callers
from testbed.paths import PROJECT
from testbed.root import Root
from tests.asterisk import test_guide_tools
from tests.asterisk.guide import Row, covered, covers, exists, rows
from tests.asterisk.phone import wait_talking
from tests.asterisk.place import MODULE, Place, mode, place
from tests.asterisk.stage import until
from tests.timing import EVENT, PROGRAM, only_in_full

pytestmark = pytest.mark.limit(500)


@pytest.fixture(scope="module")
def reader(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(root, "guide", tmp_path_factory.mktemp("etc")) as here:
        yield here


@pytest.fixture(autouse=True)
def _tidy(reader: Place) -> Iterator[None]:
    yield
    reader.sources.restore()


@contextmanager
def a_call(reader: Place) -> Iterator[None]:
    """A conversation that goes on all the while."""
    with Callers(reader.pbx, 1, "sales_agent") as calls:
        calls.wait_up()
        wait_talking(reader.pbx, 1)
        yield
        assert calls[0].ended_at is None, "the call was ended"
        assert "1 session\n" in reader.pbx.cli("elevenlabs show sessions")
        calls.hangup_all()
        calls.wait()
    reader.pbx.wait_no_channels()


# ---- The table ----


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.command[:60])
def test_every_row_has_its_check(row: Row) -> None:
    assert row.how
    if "::" in row.check:
        assert exists(row.check)
    elif not row.unchecked:
        assert row.command in covered()[row.check]


def test_every_check_has_its_row() -> None:
    assert test_guide_tools.__name__
    listed = {(row.command, row.check) for row in rows()}
    typed = {(command, test) for test, commands in covered().items() for command in commands}
    assert typed - listed == set()


def test_no_row_twice() -> None:
    commands = [row.command for row in rows()]
    assert len(commands) == len(set(commands)) > 70


# ---- Building ----

UNLOAD = f'asterisk -rx "module unload {MODULE}"'
LOAD = f'asterisk -rx "module load {MODULE}"'
RELOAD = f'asterisk -rx "module reload {MODULE}"'
COPY = f"sudo cp {MODULE}.so /usr/lib/asterisk/modules/"
AGENTS = 'asterisk -rx "elevenlabs show agents"'
CONFIGURE = 'asterisk -rx "elevenlabs reload"'


@only_in_full("compiles it four times")
@covers("make debug", "make release", "make check-deps", "make clean", "make VERBOSE=1")
def test_builds(reader: Place) -> None:
    shell, sources = reader.shell, reader.sources
    built = sources.folder / MODULE / f"{MODULE}.so"
    said = shell.run("make check-deps")
    assert re.search("ok +websockets", said)
    assert re.search("ok +Asterisk headers", said)
    shell.run("make clean")
    assert not built.exists()
    assert re.search(r"^(cc|gcc) .*-O2.* cli\.c", shell.run("make VERBOSE=1"), re.M)
    for command, flags in (("debug", "-O0 -g3 -UNDEBUG"), ("release", "-O2 -DNDEBUG")):
        sources.append(f"{MODULE}/control/say.c", f"\n/* {command} */\n")
        assert flags in shell.run(f"make {command} VERBOSE=1")
        assert built.exists()
        assert mode(sources) == command


# ---- Hot loading ----


@covers(
    "cd app_elevenlabs_convai/",
    "make",
    UNLOAD,
    COPY,
    LOAD,
    'asterisk -rx "dialplan reload"',
)
def test_hot_loading(reader: Place) -> None:
    shell = reader.shell
    reader.sources.replace(f"{MODULE}/control/cli_show.c", '"Python:    %s', '"Embeds:    %s')
    shell.run(f"cd {reader.sources.folder}; cd {MODULE}/; make")
    assert f"Unloaded {MODULE}" in shell.run(UNLOAD)
    shell.run(COPY)
    assert f"Loaded {MODULE}" in shell.run(LOAD)
    assert "Embeds:    3." in shell.run('asterisk -rx "elevenlabs show version"')
    extensions = reader.pbx.etc / "extensions.conf"
    extensions.write_text(extensions.read_text() + "[added]\nexten => 1,1,NoOp()\n")
    shell.run('asterisk -rx "dialplan reload"')
    assert "added" in reader.pbx.cli("dialplan show added")


@covers(f"make && {COPY} && {RELOAD}")
def test_one_liner(reader: Place) -> None:
    """As the page says: cp would write into what Asterisk has mapped. For dev see test_dev.py."""
    before = reader.serving()
    reader.sources.append("pyconvai/service/endings.py", "\n# one line\n")
    with a_call(reader):
        reader.shell.run(f"make && sudo make install && {RELOAD}")
        assert reader.serving() != before


@covers("sudo make install", RELOAD, AGENTS)
def test_development_cycle(reader: Place) -> None:
    before = reader.serving()
    reader.sources.append("pyconvai/service/endings.py", "\n# cycle\n")
    with a_call(reader):
        reader.shell.run("make debug")
        reader.shell.run("sudo make install")
        assert mode(reader.sources) == "debug"
        reader.shell.run(RELOAD)
        assert reader.serving() != before
        assert "2 generations alive" in reader.pbx.cli("elevenlabs show version")
        assert re.search(r"sales_agent +default .* 1 +\d+\n", reader.shell.run(AGENTS))


@covers(f"{UNLOAD} && {LOAD}")
def test_unload_and_load(reader: Place) -> None:
    with a_call(reader):
        reader.shell.run(f"{UNLOAD} && {LOAD}")
    said = reader.shell.run(f"{UNLOAD} && {LOAD}")
    assert f"Unloaded {MODULE}" in said
    assert f"Loaded {MODULE}" in said


@covers("sudo cp elevenlabs.conf.example /etc/asterisk/elevenlabs.conf", CONFIGURE)
def test_configuration(reader: Place) -> None:
    conf = reader.pbx.etc / "elevenlabs.conf"
    ours = conf.read_text()
    try:
        reader.shell.run("sudo cp elevenlabs.conf.example /etc/asterisk/elevenlabs.conf")
        with conf.open("a") as file:
            file.write("[added]\nagent_id = agent_added\nauth = none\n")
        said = reader.shell.run(CONFIGURE)
        assert "reloaded successfully" in said
        assert "added" in said
        assert re.search("^added +agent_added ", reader.shell.run(AGENTS), re.M)
    finally:
        conf.write_text(ours)
        reader.shell.run(CONFIGURE)


# ---- Testing ----


@covers("make mock-server", "make mock-server &")
def test_mock_server(reader: Place) -> None:
    """In the foreground; with `&` it is the same. It is the machine's own make here."""
    command = ["make", "-C", MODULE, "mock-server", "PORT=0"]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        assert server.stdout is not None
        try:
            assert any(line.startswith("ready http://127.0.0.1:") for line in server.stdout)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(EVENT)


@covers("make test", "make test-all", "make test-full")
def test_test_targets(reader: Place) -> None:
    """What they would run: they cannot be run in a test of theirs."""
    for target in ("test", "test-all", "test-full"):
        said = subprocess.run(
            ["make", "-C", MODULE, "--dry-run", target],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=PROGRAM,
            check=True,
        ).stdout
        assert "-m tests.twice" in said
        assert "tests/unit tests/asterisk tests/conformance" in said
        assert ("tests.mutations.run" in said) == (target != "test")


# ---- A running Asterisk ----


@covers(
    'asterisk -rx "elevenlabs debug on"',
    'asterisk -rx "core set verbose 4"',
    'asterisk -rx "core set verbose 5"',
    "tail -f /var/log/asterisk/messages | grep -i elevenlabs",
    r'tail -f /var/log/asterisk/messages | grep -i "elevenlabs\|error\|warning"',
    r'tail -f /var/log/asterisk/messages | grep -i "frame\|audio"',
)
def test_logs(reader: Place) -> None:
    shell = reader.shell
    shell.run('asterisk -rx "logger add channel messages notice,warning,error,verbose"')
    assert "enabled" in shell.run('asterisk -rx "elevenlabs debug on"')
    shell.run('asterisk -rx "core set verbose 4"')
    shell.run('asterisk -rx "core set verbose 5"')
    log = reader.pbx.log_path.with_name("messages")
    for pattern, wanted in (
        ("elevenlabs", "conversation_initiation_metadata"),
        (r'"elevenlabs\|error\|warning"', "conversation_initiation_metadata"),
        (r'"frame\|audio"', "agent_output_audio_format"),
    ):
        # Lines that grep keeps back until there are enough of them would not be seen.
        command = f"tail -n 0 -f /var/log/asterisk/messages | grep --line-buffered -i {pattern}"
        watching = shell.start(command)
        try:
            until(lambda: is_read(log, watching.pid), "tail does not read the log")  # noqa: B023
            with a_call(reader):
                assert watching.stdout is not None
                assert any(wanted in line for line in watching.stdout)
        finally:
            kill_all(watching)
    shell.run('asterisk -rx "elevenlabs debug off"')


def is_read(file: Path, session: int) -> bool:
    """Whether a process of this session has the file open."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            after_name = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(after_name[3]) == session and any(
                each.readlink() == file for each in (process / "fd").iterdir()
            ):
                return True
    return False


def kill_all(process: subprocess.Popen[str]) -> None:
    """End a pipeline, which is a session of its own."""
    with process:
        subprocess.run(["pkill", "-s", str(process.pid)], check=False)


@covers(
    'asterisk -rx "core show channels"',
    'asterisk -rx "core show sysinfo"',
    'asterisk -rx "module show like elevenlabs"',
)
def test_monitoring(reader: Place) -> None:
    with a_call(reader):
        assert "ElevenLabsConvAI" in reader.shell.run('asterisk -rx "core show channels"')
        assert "Total RAM" in reader.shell.run('asterisk -rx "core show sysinfo"')
        said = reader.shell.run('asterisk -rx "module show like elevenlabs"')
        # The application counts, and what it has attached to the channel.
        assert re.search(rf"{MODULE}\.so .* 2 +Running", said)


@covers('asterisk -rx "originate Local/100@default application ElevenLabsConvAI(sales_agent)"')
def test_originate(reader: Place) -> None:
    command = "channel originate Local/100@default application ElevenLabsConvAI sales_agent"
    for _ in range(3):
        reader.shell.run(f'asterisk -rx "{command}"')
    wait_talking(reader.pbx, 3)
    heard = re.compile(r"talking +\S+ +\S+ s +[1-9]")
    show = "elevenlabs show sessions"
    until(lambda: len(heard.findall(reader.pbx.cli(show))) == 3, "not all hear their agent")
    reader.pbx.cli("elevenlabs hangup all")
    reader.pbx.wait_no_channels()


@covers(
    f"ldd /usr/lib/asterisk/modules/{MODULE}.so", f"ls -la /usr/lib/asterisk/modules/{MODULE}.so"
)
def test_module_file(reader: Place) -> None:
    """ldd is the testbed's: another machine's would look for libraries elsewhere."""
    module = reader.pbx.root.path(reader.pbx.module_folder / f"{MODULE}.so")
    said = reader.pbx.root.run(["ldd", module]).stdout
    assert re.search(r"libpython3\.\d+\.so\S* => /", said)
    assert "not found" not in said
    assert "rw" in reader.shell.run(f"ls -la /usr/lib/asterisk/modules/{MODULE}.so")


@covers(
    'curl -v -H "xi-api-key: YOUR_API_KEY" "https://api.elevenlabs.io/v1/convai/conversation/'
    'get-signed-url?agent_id=YOUR_AGENT_ID"'
)
def test_signed_url(reader: Place) -> None:
    """Of the mock agent; the real service needs an account."""
    where = f"{reader.mock.url}/v1/convai/conversation/get-signed-url?agent_id=default"
    said = reader.shell.run(f'curl -v -H "xi-api-key: test-key" "{where}"')
    assert "200 OK" in said
    assert '"signed_url"' in said
    assert "Agent sales_agent: OK" in reader.pbx.cli("elevenlabs test agent sales_agent")
