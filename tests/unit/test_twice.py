"""What fails once beside others is tried again, told, and written down; a real fault stays one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.paths import PROJECT
from tests.timing import PROGRAM

pytestmark = pytest.mark.slow

ONCE = """
import pathlib, pytest
def once(name, words="it was late"):
    mark = pathlib.Path(name)
    if not mark.exists():
        mark.touch()
        pytest.fail(words)
"""

UNSTEADY = "def test_unsteady():\n    once('a')\n"
CRASH = "def test_crash():\n    once('b', 'ERROR: AddressSanitizer: heap-use-after-free')\n"
BROKEN = "def test_broken():\n    assert not once('c')\n    assert 1 == 2\n"
FIXTURE = (
    "@pytest.fixture\ndef bed():\n    once('d')\n\ndef test_fixture(bed):\n    assert bed is None\n"
)
FOUR = "@pytest.mark.parametrize('n', range(4))\ndef test_four(n):\n    once(f'e{n}')\n"


def run(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "build").mkdir(exist_ok=True)
    (folder / "test_some.py").write_text(ONCE + "def test_fine():\n    pass\n\n" + code)
    command = [sys.executable, "-m", "tests.twice", "-q", "--rootdir", ".", *options, "."]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROGRAM,
        check=False,
    )


def kept(folder: Path) -> list[str]:
    file = folder / "build" / "unsteady.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_a_second_try(tmp_path: Path) -> None:
    """Both reports are there, and the name is in the last lines and in the file."""
    done = run(tmp_path, UNSTEADY, "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "it was late" in done.stdout
    assert "UNSTEADY" in done.stdout.splitlines()[-2]
    assert "test_some.py::test_unsteady" in done.stdout.splitlines()[-1]
    assert kept(tmp_path) == ["test_some.py::test_unsteady"]


@pytest.mark.parametrize("code", [BROKEN, CRASH, FIXTURE, FOUR, UNSTEADY + "\n" + BROKEN])
def test_no_excuse(tmp_path: Path, code: str) -> None:
    done = run(tmp_path, code)
    assert done.returncode == 1, done.stdout
    assert "UNSTEADY" not in done.stdout
    assert not kept(tmp_path)
