"""H8: the versions that are promised are the same everywhere, and the oldest of them work.

All other tests run with the newest that pip finds, and those through Asterisk with Debian's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import PROGRAM, SECOND, only_in_full

ROOT = Path(__file__).parents[2]

OLDEST = dict(
    re.findall(
        r"^([\w-]+)==(.+)$", (ROOT / "requirements" / "oldest.txt").read_text(), re.MULTILINE
    )
)
PYTHON = "3.11"

PINS = r"^([\w-]+)>=([\d.]+)$"
QUOTED = r'"([\w-]+)>=([\d.]+)"'
TUPLES = r"^(\w+)_NEEDED = \(([\d, ]+)\)"
PLACES = {
    "requirements.txt": (PINS, {"setuptools", "cython", "websockets", "orjson"}),
    "requirements/test.txt": (PINS, set(OLDEST) - {"setuptools", "cython", "websockets", "orjson"}),
    "setup.py": (QUOTED, {"websockets", "orjson", "cffi", "pytest"}),
    "pyproject.toml": (QUOTED, {"setuptools", "cython"}),
    "scripts/install-deps.sh": (r"\b(\w+)_NEEDED=(\S+)", {"cython", "websockets", "orjson"}),
    "scripts/check_deps.py": (TUPLES, {"cython", "setuptools", "websockets", "orjson"}),
}
"""Where versions are promised: what finds name and version, and the packages that are named."""

FILES = ("session", "websocket", "stalls", "tls", "loader", "protocol", "rings_model", "spec_mock")
"""Of tests/unit, for the oldest versions: what uses each of them."""

COPIED = ("Makefile", "README.md", "setup.py", "pyproject.toml", "requirements.txt",
          "requirements", "app_elevenlabs_convai", "app_forkstream", "asterisk_context_files",
          "docs", "pyconvai", "scripts", "testbed", "tests")  # fmt: skip


def promised(place: str) -> dict[str, str]:
    """Packages and versions that a file names."""
    pattern, _ = PLACES[place]
    found = re.findall(pattern, (ROOT / place).read_text(), re.MULTILINE)
    return {
        name.lower(): ".".join(re.findall(r"\d+", version))
        for name, version in found
        if name not in ("PYTHON", "ASTERISK")
    }


def needed_by_the_table() -> dict[str, str]:
    """What dependencies.md says is needed; a row may have several packages."""
    found = {}
    for row in (ROOT / "dependencies.md").read_text().splitlines():
        if row.startswith("| ["):
            packages, versions = row.split("|")[1:3]
            names = re.findall(r"\[([\w-]+)\]", packages)
            found |= dict(zip((name.lower() for name in names), re.split(r",\s*", versions.strip()),
                              strict=True))  # fmt: skip
        elif row.startswith("| setuptools"):
            found["setuptools"] = row.split("|")[2].strip()
    return found


def test_the_table_names_what_is_tried() -> None:
    """H8: the oldest of each package begins with what is promised."""
    table = needed_by_the_table()
    assert set(OLDEST) <= set(table)
    for name, version in OLDEST.items():
        assert f"{version}.".startswith(f"{table[name]}."), name


@pytest.mark.parametrize("place", PLACES)
def test_every_place_names_the_same_versions(place: str) -> None:
    """H8."""
    found, table = promised(place), needed_by_the_table()
    assert found.keys() == PLACES[place][1]
    assert found == {name: table[name] for name in found}


def test_every_place_names_the_same_python() -> None:
    """H8."""
    commas = PYTHON.replace(".", ", ")
    for name, text in (
        ("setup.py", f'python_requires=">={PYTHON}"'),
        ("pyproject.toml", f'python_version = "{PYTHON}"'),
        ("pyproject.toml", f'target-version = "py{PYTHON.replace(".", "")}"'),
        ("scripts/check_deps.py", f"PYTHON_NEEDED = ({commas})"),
        ("scripts/make-venv.sh", f"sys.version_info < ({commas})"),
        ("scripts/install-deps.sh", f"sys.version_info < ({commas})"),
        ("dependencies.md", f"| CPython, shared library | {PYTHON} |"),
    ):
        assert text in (ROOT / name).read_text(), name


@only_in_full("downloads packages, compiles the core, and runs other files of tests with both")
@pytest.mark.limit(300)
def test_the_oldest_versions_work(tmp_path: Path) -> None:
    """H8: all of them at once, Cython for a core that is compiled anew."""
    packages, copy = tmp_path / "packages", tmp_path / "copy"
    fetched = subprocess.run(
        [ROOT / "scripts" / "pip-locked.sh", sys.executable, "oldest", "--no-deps",
         "--target", str(packages)],
        capture_output=True, text=True, check=False, timeout=PROGRAM,
    )  # fmt: skip
    if fetched.returncode:
        pytest.skip(f"no index that has them: {fetched.stderr}")
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        left_out = shutil.ignore_patterns("__pycache__", "*.so")
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=left_out)
        else:
            shutil.copy2(source, copy)
    environment = os.environ | {"PYTHONPATH": str(packages), "CONVAI_FULL": "0"}
    for command in (
        ["setup.py", "--quiet", "build_ext", "--inplace"],
        ["-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider",
         *(f"tests/unit/test_{name}.py" for name in FILES)],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, *command],
            cwd=copy, env=environment | {"CONVAI_CFLAGS": "-O0"},
            capture_output=True, text=True, check=False, timeout=150 * SECOND,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
