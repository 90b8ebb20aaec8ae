"""The deploy scripts on a real Asterisk: good builds come in, bad ones do not, and calls go on."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from testbed import service
from testbed.callers import Callers, place_call
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.named import agents, check_audio, named, run_testbed
from tests.asterisk.phone import talk, wait_result
from tests.asterisk.sources import Sources
from tests.timing import SECOND

MODULE = "app_elevenlabs_convai"
NAME = f"deploy-{os.getpid()}"
DEPLOY_SECONDS = 240 * SECOND
"""A release is built from nothing the first time."""

ULAW = CODECS["ulaw"]
NOISE_SECONDS = 180.0


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, agents("deploy", NOISE_SECONDS), record=True) as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(mock: MockAgent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[service.Attached]:
    """An instance as `python3 -m testbed up` starts it: the scripts look for it by its name."""
    with named(NAME, mock, tmp_path_factory.mktemp("etc"), DEPLOY_SECONDS) as pbx:
        yield pbx


@pytest.fixture(scope="module")
def copy(root: Root, pbx: service.Attached) -> Iterator[Sources]:
    sources = Sources(root, NAME)
    yield sources
    sources.remove()


@pytest.fixture
def sources(copy: Sources) -> Iterator[Sources]:
    """Sources to change at will."""
    yield copy
    copy.restore()


def command(script: str, sources: Sources, *words: str) -> list[str]:
    path = str(PROJECT / "scripts" / script)
    return [path, "--name", NAME, "--source", str(sources.folder), *words]


def deploy(script: str, sources: Sources, *words: str, status: int = 0) -> str:
    """Run a script for the instance; what it prints."""
    done = subprocess.run(
        command(script, sources, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEPLOY_SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def current(pbx: service.Attached) -> str:
    return str((pbx.module_folder / f"{MODULE}.d" / "current").readlink())


def assert_calls_work(pbx: service.Attached) -> None:
    start = len(pbx.log())
    talk(pbx, "default")
    result = wait_result(pbx, start)
    assert (result.status, result.conversation_id[:5]) == ("HANGUP", "conv_")


@pytest.mark.limit(300)
def test_dev_deploy(pbx: service.Attached, sources: Sources) -> None:
    before = pbx.engine_build()
    sources.append("pyconvai/service/endings.py", "\n# dev\n")
    said = deploy("dev-deploy.sh", sources)
    assert pbx.engine_build() == current(pbx) != before
    assert current(pbx) in said
    assert_calls_work(pbx)


@pytest.mark.limit(300)
def test_prod_deploy(pbx: service.Attached, sources: Sources) -> None:
    before = pbx.engine_build()
    sources.append("pyconvai/service/endings.py", "\n# prod\n")
    said = deploy("prod-deploy.sh", sources)
    assert pbx.engine_build() == current(pbx) != before
    assert f"DEPLOYED: build {current(pbx)} is in service" in said
    assert "Agent default: OK" in said
    assert "Agent noise: OK" in said
    assert_calls_work(pbx)


@pytest.mark.limit(400)
def test_bad_builds_are_taken_back_and_a_call_goes_on(
    pbx: service.Attached, sources: Sources, mock: MockAgent
) -> None:
    """One that does not compile, one that does not start, and one that agents refuse."""
    before = pbx.engine_build()
    with Callers(pbx, 1, "noise", send=ULAW.noise(NOISE_SECONDS, 9)) as calls:
        calls.wait_up()

        sources.append("pyconvai/conversation/session.py", "\ndef broken(:\n")
        said = deploy("prod-deploy.sh", sources, status=1)
        assert "DEPLOYMENT FAILED: Installing" in said
        assert_taken_back(pbx, said, before)
        sources.restore()

        sources.append(
            "pyconvai/conversation/session.py", '\nraise RuntimeError("broken on purpose")\n'
        )
        said = deploy("prod-deploy.sh", sources, status=1)
        assert "DEPLOYMENT FAILED: Verifying which build is in service" in said
        assert_taken_back(pbx, said, before)
        sources.restore()

        sources.replace("pyconvai/service/signed_urls.py", '"xi-api-key"', '"x-other-key"')
        said = deploy("prod-deploy.sh", sources, status=1)
        assert "DEPLOYMENT FAILED: Testing the agents" in said
        assert "Agent default: FAILED, AUTH" in said
        assert_taken_back(pbx, said, before)

        assert "1 session" in pbx.cli("elevenlabs show sessions")
        assert calls[0].ended_at is None
        calls.hangup_all()
        calls.wait()
    call = calls[0]
    print(f"the call was up for {call.seconds:.1f} s")
    check_audio(mock, call)
    assert_calls_work(pbx)


def assert_taken_back(pbx: service.Attached, said: str, build: str) -> None:
    assert f"ROLLED BACK: build {build} is in service again" in said
    assert pbx.engine_build() == current(pbx) == build


@pytest.mark.limit(300)
def test_rollback(pbx: service.Attached, sources: Sources) -> None:
    before = pbx.engine_build()
    sources.append("pyconvai/service/endings.py", "\n# not wanted\n")
    run_testbed(NAME, "make", "--directory", str(sources.folder), "install", limit=DEPLOY_SECONDS)
    pbx.cli(f"module reload {MODULE}")
    assert pbx.engine_build() != before
    said = run_testbed(NAME, "make", "rollback", limit=DEPLOY_SECONDS)
    assert re.search(r"STAYS +\S+/app_elevenlabs_convai\.so and \S+/app_forkstream\.so:", said)
    pbx.cli(f"module reload {MODULE}")
    assert pbx.engine_build() == before
    assert_calls_work(pbx)


@pytest.mark.limit(300)
def test_the_module_is_replaced_after_the_last_call(
    pbx: service.Attached, sources: Sources
) -> None:
    """A new version of both. The call that is up ends when it likes; a new one is turned away."""
    sources.replace("pyconvai/__init__.py", '__version__ = "', '__version__ = "9.')
    with Callers(pbx, 1, "default") as calls:
        calls.wait_up()
        words = command("prod-deploy.sh", sources, "--replace-module")
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as deployment:
            wait_draining(pbx, deployment)
            start = len(pbx.log())
            place_call(pbx, "default")
            assert wait_result(pbx, start).status == "LIMIT"
            assert calls[0].ended_at is None
            calls.hangup_all()
            assert deployment.wait(DEPLOY_SECONDS) == 0
    shown = pbx.cli("elevenlabs show version")
    assert "Module:    9." in shown
    assert "Engine:    9." in shown
    assert_calls_work(pbx)


def wait_draining(pbx: service.Attached, deployment: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while "Draining" not in pbx.cli("elevenlabs show sessions"):
        assert deployment.poll() is None, "the deployment did not wait"
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.limit(300)
def test_calls_that_do_not_end_are_left_alone(pbx: service.Attached, sources: Sources) -> None:
    before = pbx.engine_build()
    sources.append("pyconvai/service/endings.py", "\n# impatient\n")
    with Callers(pbx, 1, "default") as calls:
        calls.wait_up()
        said = deploy(
            "prod-deploy.sh", sources, "--replace-module", "--drain-seconds", "1", status=1
        )
        assert "conversations that have not ended after 1 s: 1" in said
        assert_taken_back(pbx, said, before)
        assert "Drain" not in pbx.cli("elevenlabs show sessions")
        assert calls[0].ended_at is None


@pytest.mark.limit(300)
def test_on_the_machines_own_asterisk(pbx: service.Attached, root: Root, sources: Sources) -> None:
    """The root is a machine that has an Asterisk."""
    before = pbx.engine_build()
    sources.append("pyconvai/service/endings.py", "\n# host\n")
    backups = root.path(pbx.folder / "backups")
    words = ["--host-asterisk", "--conf", root.path(pbx.conf), "--backup-dir", backups]
    script = root.path(PROJECT / "scripts" / "prod-deploy.sh")
    root.run([script, *words, "--source", root.path(sources.folder)], timeout=DEPLOY_SECONDS)
    assert pbx.engine_build() == current(pbx) != before
    assert any((pbx.folder / "backups").glob(f"*-{before}-*/links"))


TAP = "app_forkstream"
NEW = "Lists the streams of another build"
SYNOPSIS = "Have the audio of this channel copied"


def tap_files(pbx: service.Attached) -> list[bytes]:
    documents = pbx.data_folder / "documentation" / "thirdparty"
    files = [pbx.module_folder / f"{TAP}.so", documents / f"{TAP}-en_US.xml"]
    return [path.read_bytes() for path in (*files, pbx.etc / "forkstream.conf.example")]


def new_tap_is_loaded(pbx: service.Attached) -> bool:
    return NEW in pbx.cli("core show help forkstream show streams")


@pytest.mark.limit(400)
def test_the_tap_comes_and_goes_with_the_rest(pbx: service.Attached, sources: Sources) -> None:
    """A stream that is up holds the module that is loaded, and no deployment."""
    before, files = pbx.engine_build(), tap_files(pbx)
    sources.replace("app_forkstream/control.c", "Lists the streams of ForkStream()", NEW)
    sources.replace("app_forkstream/app_forkstream.c", "Copy the audio of this channel", SYNOPSIS)
    sources.append("app_forkstream/forkstream.conf.example", "; another\n")
    sources.append("pyconvai/conversation/session.py", '\nraise RuntimeError("broken")\n')
    assert_taken_back(pbx, deploy("prod-deploy.sh", sources, status=1), before)
    assert tap_files(pbx) == files

    (sources.folder / "pyconvai" / "conversation" / "session.py").write_text(
        (PROJECT / "pyconvai" / "conversation" / "session.py").read_text(encoding="utf-8")
    )
    for number, line in enumerate(("Answer()", "ForkStream(udp://127.0.0.1:9)", "Wait(300)"), 1):
        pbx.cli(f"dialplan add extension tapped,{number},{line} into callers")
    with Callers(pbx, 1, "tapped") as calls:
        calls.wait_up()
        said = deploy("prod-deploy.sh", sources, "--replace-module")
        assert "cannot be unloaded while streams are up" in said
        assert "1 stream\n" in pbx.cli("forkstream show streams") + "\n"
        assert not new_tap_is_loaded(pbx)
        calls.hangup_all()
    pbx.wait_no_channels()
    assert all(new != old for new, old in zip(tap_files(pbx), files, strict=True))
    assert f"{TAP} was unloaded and loaded" in deploy("prod-deploy.sh", sources, "--replace-module")
    assert new_tap_is_loaded(pbx)
    assert SYNOPSIS in pbx.cli("core show application ForkStream"), "it has its own documentation"


@pytest.mark.limit(300)
def test_uninstall_beside_calls(pbx: service.Attached) -> None:
    """The last test. The engine in use stays until the module is unloaded."""
    pbx.cli(f"module reload {MODULE}")  # lets go of engines that have ended
    engines, build = pbx.module_folder / f"{MODULE}.d", pbx.engine_build()
    example = (pbx.etc / "elevenlabs-extensions.conf.example").read_text(encoding="utf-8")
    assert "[elevenlabs-steps]" in example
    said = run_testbed(NAME, "make", "uninstall", limit=DEPLOY_SECONDS)
    assert f"{build}: a running Asterisk uses them" in said
    assert {path.name for path in engines.iterdir()} == {build, ".lock"}
    assert_calls_work(pbx)
    pbx.cli(f"module unload {MODULE}")
    run_testbed(NAME, "make", "uninstall", limit=DEPLOY_SECONDS)
    assert not engines.exists()
    assert not list(pbx.module_folder.glob(f"{MODULE}*"))
    assert not list(pbx.module_folder.glob(f"{TAP}*"))
    assert not (pbx.etc / "forkstream.conf.example").exists()
    assert not list((pbx.data_folder / "documentation" / "thirdparty").glob("*"))
    assert (pbx.etc / "elevenlabs.conf").exists()
    assert not (pbx.etc / "elevenlabs-extensions.conf.example").exists()
