"""The programs of app_elevenlabs_convai/tests that need no Asterisk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from testbed.building import one_build_at_a_time
from tests.timing import PROGRAM, only_in_full

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "app_elevenlabs_convai" / "tests"
PROGRAMS = ("test_config", "test_websocket", "test_audio", "test_integration")
EXAMPLE = ROOT / "app_elevenlabs_convai" / "elevenlabs.conf.example"
RUN_SECONDS = PROGRAM


def run(folder: Path, status: int, *command: str) -> str:
    with one_build_at_a_time():
        done = subprocess.run(
            command,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_tells_how_it_is_used(program: str, tmp_path: Path) -> None:
    """From anywhere, and through a link."""
    link = tmp_path / program
    link.symlink_to(FOLDER / program)
    assert f"usage: {program} [-h]" in run(tmp_path, 0, str(link), "--help")


@only_in_full("takes half a minute")
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_under_valgrind() -> None:
    """It works, and says that it shows nothing."""
    said = run(FOLDER, 0, "valgrind", "--leak-check=full", "./test_config", f"../{EXAMPLE.name}")
    assert "valgrind does not follow" in said
    assert f"{EXAMPLE}: valid\n" in said


def test_a_configuration_with_faults(tmp_path: Path) -> None:
    """Each is named with file, line, key and what is allowed; included files count."""
    (tmp_path / "more.conf").write_text("[b]\nagent_id = y\nauth = none\nbase_ulr = us\n")
    conf = "[general]\n[a]\nagent_id = x\nauth = none\nchunk_ms = 7\n#include more.conf\nno\n"
    (tmp_path / "mine.conf").write_text(conf)
    said = run(tmp_path, 1, str(FOLDER / "test_config"), "mine.conf")
    assert f"ERROR: {tmp_path}/mine.conf:5 [a]: chunk_ms = 7: allowed is " in said
    assert f"ERROR: {tmp_path}/more.conf:4 [b]: there is no key base_ulr; allowed are " in said
    assert f"WARNING: No '=' (equal sign), line 7 of {tmp_path}/mine.conf\n" in said
    assert said.endswith(f"{tmp_path}/mine.conf: would be refused\n")


def test_a_configuration_without_faults() -> None:
    said = run(FOLDER, 0, "./test_config", f"../{EXAMPLE.name}")
    assert said == f"{EXAMPLE}: valid\n"


def test_a_configuration_that_asterisk_does_not_take(tmp_path: Path) -> None:
    (tmp_path / "mine.conf").write_text("[a]\nagent_id = x\n[b\n")
    said = run(tmp_path, 1, str(FOLDER / "test_config"), "mine.conf")
    assert f"line 3 of {tmp_path}/mine.conf\n" in said
    assert f"ERROR: {tmp_path}/mine.conf: Asterisk cannot parse it; " in said
    assert said.endswith(f"{tmp_path}/mine.conf: would be refused\n")


def test_a_configuration_that_is_not_there() -> None:
    said = run(FOLDER, 2, "./test_config", "no-such.conf")
    assert "no-such.conf: there is no such file" in said


@only_in_full("runs other tests again")
def test_the_audio_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run for real; the others run files that are tests of their own in the same way."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    said = run(FOLDER, 0, "./test_audio")
    assert " 0 failed" in said
    assert " passed in " in said
    assert said.endswith("test_audio: passed\n")
