"""The version stands in one place, and everybody reads it there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyconvai import __version__
from tests.timing import PROGRAM

ROOT = Path(__file__).parents[2]
PLACE = Path("pyconvai/__init__.py")
PARTS = (
    *("Makefile", "README.md", "setup.py", "app_elevenlabs_convai", "app_forkstream", "pyconvai"),
    "scripts",
)
OTHERS = "7.8.9"
# Of the changelog, which tells of all versions; of other packages'; and of what tests make up.
SPEAK_OF_VERSIONS = ("CHANGELOG.md", "requirements", "tests")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with another version."""
    folder = tmp_path_factory.mktemp("sources")
    for name in PARTS:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.new")
            )
        else:
            shutil.copy2(source, target)
    place = folder / PLACE
    text = place.read_text(encoding="utf-8")
    assert text.count(f'"{__version__}"') == 1
    place.write_text(text.replace(f'"{__version__}"', f'"{OTHERS}"'), encoding="utf-8")
    return folder


def said(copy: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, timeout=PROGRAM, check=True
    )
    return done.stdout


def test_no_other_file_states_it() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("this is no checkout of git's")
    places = [
        name
        for name in listed.stdout.splitlines()
        if Path(name).parts[0] not in SPEAK_OF_VERSIONS
        and (ROOT / name).is_file()
        and __version__ in (ROOT / name).read_text(encoding="utf-8", errors="replace")
    ]
    assert places == [str(PLACE)]


def test_the_package(copy: Path) -> None:
    assert said(copy, sys.executable, "setup.py", "--version").strip() == OTHERS


def test_the_module_and_its_command_line(copy: Path) -> None:
    """`elevenlabs show version` prints CONVAI_VERSION; test_deploy.py looks at it."""
    make = ["make", "-n", "-C", "app_elevenlabs_convai", "built", f"PYTHON={sys.executable}"]
    compiled = [line for line in said(copy, *make).splitlines() if " -c " in line]
    assert compiled
    for line in compiled:
        assert f"-DCONVAI_VERSION='\"{OTHERS}\"'" in line


def test_the_mock_agent(copy: Path) -> None:
    words = [sys.executable, "-m", "pyconvai.mock", "--version"]
    assert said(copy, *words).strip() == f"mock agent {OTHERS}"


def test_what_the_service_is_told(copy: Path) -> None:
    """The engine's first message, and what `show version` says of the engine, come from here."""
    script = "from pyconvai import __version__; print(__version__)"
    assert said(copy, sys.executable, "-c", script).strip() == OTHERS
    for name in ("runtime.py", "conversation/sent.py"):
        assert "__version__" in (copy / "pyconvai" / name).read_text(encoding="utf-8")
