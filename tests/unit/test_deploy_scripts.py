"""The deploy scripts, against an Asterisk of a few lines: what they do when something fails.

tests/asterisk/test_deploy.py runs them against a real one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import PROGRAM
from tests.unit.nobody import NOBODY, holds, only_root

ROOT = Path(__file__).parents[2]
SCRIPTS = ("dev-deploy.sh", "prod-deploy.sh")
FAKE_ASTERISK = Path(__file__).with_name("fake_asterisk.sh")
LONG_NAME = "agent with blanks, longer than 20"

sys.path.insert(0, str(ROOT / "scripts"))

import engine_store  # noqa: E402

pytestmark = pytest.mark.slow

MAKEFILE = f"""\
all release:
install:
\t@{sys.executable} {ROOT}/scripts/install_engine.py install --package pyconvai \\
\t\t--file module.so ../lib/app_elevenlabs_convai.so \\
\t\t--file module.xml ../data/documentation/thirdparty/app_elevenlabs_convai-en_US.xml \\
\t\t../lib/app_elevenlabs_convai.d
\t@{sys.executable} {ROOT}/scripts/trusted_files.py put \\
\t\ttap.xml ../data/documentation/thirdparty/app_forkstream-en_US.xml \\
\t\ttap.example ../etc/forkstream.conf.example tap.so ../lib/app_forkstream.so
.PHONY: all release install
"""


class Machine:
    """A machine with an Asterisk that runs, sources to deploy to it, and the first build in it."""

    def __init__(self, folder: Path, template: Path) -> None:
        shutil.copytree(template, folder, symlinks=True)
        self.folder, self.sources = folder, folder / "sources"
        self.lib, self.data = folder / "lib", folder / "data"
        self.engines = self.lib / "app_elevenlabs_convai.d"
        self.module = self.lib / "app_elevenlabs_convai.so"
        self.conf = folder / "asterisk.conf"
        self.tap = [
            self.lib / "app_forkstream.so",
            self.data / "documentation/thirdparty/app_forkstream-en_US.xml",
            folder / "etc" / "forkstream.conf.example",
        ]
        directories = {"astmoddir": self.lib, "astdatadir": self.data, "astetcdir": folder / "etc"}
        lines = [f"{name} = {path}\n" for name, path in directories.items()]
        self.conf.write_text(f"[directories]\n{''.join(lines)}")

    def write(self, text: str) -> None:
        """Change the sources; the words BROKEN, DEAF and LAME mean something to the Asterisk."""
        write_sources(self.sources, text)

    @property
    def loaded_tap(self) -> str:
        """What is loaded of the tap."""
        return (self.folder / "tap").read_text()

    @property
    def current(self) -> str:
        return str((self.engines / "current").readlink())

    @property
    def in_service(self) -> str:
        return (self.folder / "service").read_text().strip()

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    def deploy(self, script: str, *words: str, status: int = 0) -> str:
        """Run a script for this machine; what it prints."""
        if script == "prod-deploy.sh":
            words = ("--backup-dir", str(self.folder / "backups"), *words)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return run(
            script,
            *["--host-asterisk", "--conf", str(self.conf), "--source", str(self.sources)],
            *words,
            status=status,
            env={"PATH": path, "FAKE": str(self.folder)},
        )


def write_sources(sources: Path, text: str) -> None:
    (sources / "pyconvai" / "conversation" / "session.py").write_text(f"# {text}\n")
    for name in ("module.so", "module.xml", "tap.so", "tap.xml", "tap.example"):
        (sources / name).write_text(text)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every machine begins with."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "bin").mkdir()
    (folder / "bin" / "asterisk").symlink_to(FAKE_ASTERISK)
    sources = folder / "sources"
    for part in ("conversation", "core"):
        (sources / "pyconvai" / part).mkdir(parents=True)
    (sources / "Makefile").write_text(MAKEFILE)
    (sources / "pyconvai" / engine_store.core_name()).write_bytes(b"no real core")
    write_sources(sources, "first")
    subprocess.run(["make", "-s", "install"], cwd=sources, check=True, capture_output=True)
    (folder / "loaded").touch()
    (folder / "tap").write_text("first")
    (folder / "streams").write_text("0")
    current = (folder / "lib" / "app_elevenlabs_convai.d" / "current").readlink()
    (folder / "service").write_text(str(current))
    (folder / "sessions").write_text("0")
    (folder / "agents").write_text(
        f"{'sales':20} agent_1 api.elevenlabs.io signed_url sent 0 7\n"
        f"{LONG_NAME:20} agent_2 api.elevenlabs.io none kept 1 12\n"
    )
    return folder


def run(script: str, *words: str, status: int, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [ROOT / "scripts" / script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PROGRAM,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture
def machine(tmp_path: Path, template: Path) -> Machine:
    return Machine(tmp_path / "machine", template)


def assert_as_before(machine: Machine, build: str) -> None:
    """Everything is the first build's."""
    assert machine.in_service == build
    assert machine.current == build
    assert machine.module.read_text() == "first"
    document = machine.data / "documentation/thirdparty/app_elevenlabs_convai-en_US.xml"
    assert document.read_text() == "first"
    assert [path.read_text() for path in machine.tap] == ["first"] * 3
    assert machine.loaded_tap == "first"
    assert {path.name for path in machine.engines.iterdir()} == {".lock", "current", build}


# --- the command line ---


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    said = run(script, "--help", status=0)
    for option in ("--name", "--host-asterisk", "--conf", "--replace-module", "--drain-seconds"):
        assert option in said


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["--name"], "--name needs a value"),
        (["--drain-seconds", "soon"], "no number of seconds"),
        (["--source", "/nowhere"], "no directory /nowhere"),
    ],
)
def test_a_wrong_command_line(script: str, words: list[str], reason: str) -> None:
    assert reason in run(script, *words, status=2)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_instance_runs(script: str) -> None:
    said = run(script, "--name", "never-started", status=1)
    assert "no instance 'never-started' runs" in said
    assert "python3 -m testbed up" in said
    assert "Building" not in said


# --- a good build ---


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_good_build_comes_into_service(machine: Machine, script: str) -> None:
    before = machine.in_service
    machine.write("second")
    said = machine.deploy(script)
    assert machine.in_service == machine.current != before
    assert machine.current in said
    assert "--replace-module" in said, "the C module has changed and is not brought in"
    assert machine.module.read_text() == "second"
    assert "module unload" not in " ".join(machine.asked)


def test_every_agent_is_tested(machine: Machine) -> None:
    machine.write("second")
    machine.deploy("prod-deploy.sh")
    tests = [line for line in machine.asked if "test agent" in line]
    assert tests == ["elevenlabs test agent sales", f'elevenlabs test agent "{LONG_NAME}"']


def test_only_the_named_agents_are_tested(machine: Machine) -> None:
    machine.write("second")
    machine.deploy("prod-deploy.sh", "--agent", "sales", "--agent", "other")
    tests = [line for line in machine.asked if "test agent" in line]
    assert tests == ["elevenlabs test agent sales", "elevenlabs test agent other"]


def test_the_backup_has_everything(machine: Machine) -> None:
    first = machine.in_service
    machine.write("second")
    said = machine.deploy("prod-deploy.sh")
    backup = next(path for path in (machine.folder / "backups").iterdir() if path.is_dir())
    assert str(backup) in said
    assert (backup / "app_elevenlabs_convai.so").read_text() == "first"
    assert (backup / "app_elevenlabs_convai-en_US.xml").read_text() == "first"
    for path in machine.tap:
        assert (backup / path.name).read_text() == "first"
    assert f"current {first}" in (backup / "links").read_text()


def test_the_first_build_is_loaded(machine: Machine) -> None:
    (machine.folder / "loaded").unlink()
    machine.write("second")
    assert "the module is not loaded" in machine.deploy("prod-deploy.sh", status=1)
    machine.deploy("dev-deploy.sh")
    assert (machine.folder / "loaded").exists()
    assert machine.in_service == machine.current


# --- a bad one ---


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("BROKEN", "FAILED: Verifying which build is in service"),
        ("DEAF", "FAILED: Testing the agents"),
        ("no comment\ndef f(:", "FAILED: Installing"),
    ],
)
def test_a_bad_build_is_taken_back(machine: Machine, text: str, failure: str) -> None:
    before = machine.in_service
    machine.write(text)
    said = machine.deploy("prod-deploy.sh", status=1)
    assert failure in said
    assert f"ROLLED BACK: build {before} is in service again." in said
    assert_as_before(machine, before)


def test_an_older_previous_build_is_previous_again(machine: Machine) -> None:
    first = machine.in_service
    machine.write("second")
    machine.deploy("prod-deploy.sh")
    second = machine.in_service
    machine.write("BROKEN")
    with (machine.engines / first / "in-use").open() as file:  # else the next install removes it
        fcntl.flock(file, fcntl.LOCK_SH)
        machine.deploy("prod-deploy.sh", status=1)
    assert (machine.in_service, machine.current) == (second, second)
    assert str((machine.engines / "previous").readlink()) == first


def test_no_agents_prove_nothing(machine: Machine) -> None:
    before = machine.in_service
    (machine.folder / "agents").write_text("")
    machine.write("second")
    assert "lists none" in machine.deploy("prod-deploy.sh", status=1)
    assert_as_before(machine, before)


def test_what_cannot_be_taken_back_is_shouted(machine: Machine) -> None:
    machine.write("BROKEN")
    old = machine.engines / machine.in_service / "pyconvai" / "conversation" / "session.py"
    old.write_text("DEAF BROKEN")
    (machine.folder / "service").write_text("0123456789ab")
    said = machine.deploy("prod-deploy.sh", status=1)
    assert "ROLLBACK FAILED AS WELL" in said
    assert str(machine.folder / "backups") in said


def test_a_build_that_fails_to_build_changes_nothing(machine: Machine) -> None:
    before = machine.in_service
    with (machine.sources / "Makefile").open("a") as makefile:
        makefile.write("release: broken\nbroken:\n\tfalse\n")
    machine.write("second")
    said = machine.deploy("prod-deploy.sh", status=1)
    assert "FAILED: Building the release. Nothing was changed." in said
    assert_as_before(machine, before)


def test_one_deployment_at_a_time(machine: Machine) -> None:
    (machine.folder / "backups").mkdir()
    with (machine.folder / "backups" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = machine.deploy("prod-deploy.sh", status=1)
    assert f"another deployment runs: process {os.getpid()} (" in said


@only_root
def test_nobody_keeps_deployments_out(machine: Machine) -> None:
    """K5: the lock that an earlier version left for all to read is closed, and the next is not."""
    (machine.folder / "backups").mkdir()
    (machine.folder / "backups" / ".lock").touch(0o644)
    with holds(machine.folder / "backups" / ".lock") as (pid, _):
        said = machine.deploy("prod-deploy.sh", status=1)
        assert f"process {pid} (" in said
    machine.write("second")
    with holds(machine.folder / "backups" / ".lock") as (_, count):
        assert count == 0
        machine.deploy("prod-deploy.sh")


@only_root
def test_a_backup_is_root_s_alone(machine: Machine) -> None:
    """K3: what Asterisk's user could change is not put back, and no link of its is followed."""
    before, secret = machine.in_service, machine.folder / "secret"
    machine.write("second")
    (machine.folder / "backups").mkdir()
    os.chown(machine.folder / "backups", NOBODY, NOBODY)
    said = machine.deploy("prod-deploy.sh", status=1)
    assert f"others may change the backups: {machine.folder}/backups belongs to nobody" in said
    os.chown(machine.folder / "backups", 0, 0)
    secret.write_text("root's own")
    secret.chmod(0o600)
    module = machine.folder / "lib" / "app_elevenlabs_convai.so"
    module.unlink()
    module.symlink_to(secret)
    said = machine.deploy("prod-deploy.sh", status=1)
    assert "a link, where a plain file should be" in said
    assert "FAILED: Backing up. Nothing was changed." in said
    assert (machine.in_service, machine.current) == (before, before)
    for path in (machine.folder / "backups").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


# --- the C module ---


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_module_is_replaced_when_the_calls_have_ended(machine: Machine, script: str) -> None:
    (machine.folder / "sessions").write_text("2")
    machine.write("second")
    machine.deploy(script, "--replace-module")
    steps = ["elevenlabs drain on", *["elevenlabs show sessions"] * 3]
    steps += ["module unload app_elevenlabs_convai", "module load app_elevenlabs_convai"]
    shown = [line for line in machine.asked if line in steps]
    assert shown == steps
    assert machine.in_service == machine.current


@pytest.mark.parametrize("script", SCRIPTS)
def test_calls_that_do_not_end_are_left_alone(machine: Machine, script: str) -> None:
    before = machine.in_service
    (machine.folder / "sessions").write_text("1000")
    machine.write("second")
    said = machine.deploy(script, "--replace-module", "--drain-seconds", "0", status=1)
    assert "conversations that have not ended after 0 s: 1000" in said
    assert ("ROLLED BACK" in said) == (script == "prod-deploy.sh")
    assert not (machine.folder / "drain").exists(), "new calls are taken again"
    assert not any("unload" in line for line in machine.asked)
    assert machine.in_service == before


def test_a_module_that_does_not_load_is_replaced_by_the_old_one(machine: Machine) -> None:
    before = machine.in_service
    machine.write("BROKEN")
    said = machine.deploy("prod-deploy.sh", "--replace-module", status=1)
    assert "ROLLED BACK" in said
    assert (machine.folder / "loaded").exists()
    assert_as_before(machine, before)


# --- the tap ---

HOW = "'module unload app_forkstream' and 'module load app_forkstream'"


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_tap_is_installed_and_stays_what_it_is(machine: Machine, script: str) -> None:
    """Streams go on; and it is said what brings the new one in."""
    machine.write("second")
    assert HOW in machine.deploy(script)
    assert [path.read_text() for path in machine.tap] == ["second"] * 3
    assert machine.loaded_tap == "first"
    assert "module unload app_forkstream" not in machine.asked
    assert HOW not in machine.deploy(script), "nothing has changed"


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_tap_is_replaced_when_no_stream_is_up(machine: Machine, script: str) -> None:
    (machine.folder / "streams").write_text("2")
    machine.write("second")
    assert "app_forkstream was unloaded and loaded" in machine.deploy(script, "--replace-module")
    assert machine.loaded_tap == "second"
    assert machine.asked.count("module unload app_forkstream") == 3


@pytest.mark.parametrize("script", SCRIPTS)
def test_streams_of_other_calls_are_left_alone(machine: Machine, script: str) -> None:
    """They fail no deployment: the tap that is loaded works on."""
    (machine.folder / "streams").write_text("1000")
    machine.write("second")
    said = machine.deploy(script, "--replace-module", "--drain-seconds", "0")
    assert "cannot be unloaded while streams are up" in said
    assert HOW in said
    assert machine.loaded_tap == "first"
    assert machine.in_service == machine.current


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_tap_that_is_not_loaded_is_not_loaded(machine: Machine, script: str) -> None:
    (machine.folder / "tap").unlink()
    machine.write("second")
    said = machine.deploy(script, "--replace-module")
    assert "app_forkstream is installed and not loaded: 'module load app_forkstream'" in said
    assert not (machine.folder / "tap").exists()


def test_a_tap_that_does_not_load_is_taken_back(machine: Machine) -> None:
    """With the engine and the module that came with it."""
    before = machine.in_service
    machine.write("LAME")
    said = machine.deploy("prod-deploy.sh", "--replace-module", status=1)
    assert "app_forkstream does not load" in said
    assert f"ROLLED BACK: build {before} is in service again." in said
    assert_as_before(machine, before)


def test_the_way_back_to_a_version_without_the_tap(machine: Machine) -> None:
    """What would be loaded at Asterisk's next start is what was there before."""
    before = machine.in_service
    (machine.folder / "tap").unlink()
    for path in machine.tap:
        path.unlink()
    machine.write("BROKEN")
    assert "ROLLED BACK" in machine.deploy("prod-deploy.sh", status=1)
    assert machine.in_service == before
    assert not any(path.exists() for path in machine.tap)
